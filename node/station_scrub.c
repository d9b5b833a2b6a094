// What is damaged in the station's store: looked for before the node does anything with it, and once a day by a thread that waits for the
// scrubber's process. What neighbours can give back goes into quarantine; for the rest there is an alarm; a damaged tree ends the node,
// for whatever is written to it destroys more, and whatever is read from it may be less than was there.
#include "node/station_inside.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/scrub.h"
#include "relay/language.h"
#include "relay/quarantine.h"

enum {
    FIRST_MS = 3000,             // a start waits so long: enough for a village, a township, a small county; a larger one goes on beside
    EVERY_MS = 24 * 3600 * 1000, // rot is slow; reading a large store takes minutes of a disk that has other work
    RETRY_MS = 3600 * 1000,      // when none could be started
};

struct station_scrub {
    pthread_t thread;
    int wake[2]; // written to when the station stops
    struct scrub_report *report;
};

// ---- what was found

static enum error_code run_enter(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    const struct scrub_report *report = argument;
    for (uint32_t i = 0; i < report->count && txn_error(txn) == OK; i++) {
        const struct scrub_found *found = &report->found[i];
        struct hash hash;
        if (found->table == TABLE_JOURNAL && found->key_size == 8)
            quarantine_batch(txn, get_be64(found->key), false, utc_ms());
        if ((found->table == TABLE_OBJECTS || found->table == TABLE_COPIES) && found->key_size == HASH_SIZE) {
            memcpy(hash.bytes, found->key, HASH_SIZE);
            quarantine_object(txn, &hash, utc_ms());
        }
    }
    if (report->beyond_fetching) {
        struct alarm alarm = {.time_ms = utc_ms(), .kind = "damaged"};
        snprintf(alarm.text, sizeof alarm.text, "%llu rows are damaged on disk, some of views: stop the node and run 'sanji rebuild'",
                 (unsigned long long)report->damaged);
        alarm_add(txn, &alarm);
    }
    return OK;
}

static void enter(struct station *station, struct scrub_report *report)
{
    struct error error = {0};
    if (report->damaged == 0)
        return;
    scrub_advice(station->directory, report, &error);
    station_log(NULL, true, error.detail);
    if (writer_call(station->writer, run_enter, report, &error) != OK)
        station_log(NULL, true, error.detail);
}

// ---- before anything else

static bool look_first(struct station *station, int wait_ms, struct scrub_report *report)
{
    struct scrubber scrubber = {0};
    *report = (struct scrub_report){0};
    bool whole = scrub_begin(station->directory, true, &scrubber, NULL) == OK && scrub_watch(&scrubber, wait_ms, -1, report);
    scrub_end(&scrubber);
    return whole && report->failure.code == OK;
}

enum error_code station_scrub_first(struct station *station, bool *ret_died, struct error *error)
{
    struct scrub_report *report = calloc(1, sizeof *report);
    if (!report)
        return error_set(error, ERR_MEMORY, "scrub");
    bool whole = look_first(station, FIRST_MS, report);
    if (whole && report->broken) // a process may die of other things, too: twice is enough
        whole = look_first(station, -1, report);
    enum error_code code = whole && report->broken ? scrub_advice(station->directory, report, error) : OK;
    station->scrubbed = whole;
    *ret_died = whole && report->died;
    if (code == OK && whole)
        station->found = report;
    else
        free(report);
    return code;
}

void station_scrub_enter(struct station *station)
{
    if (station->found)
        enter(station, station->found);
    free(station->found);
    station->found = NULL;
}

// ---- while the node runs

static bool stops_within(const struct station_scrub *scrub, int ms)
{
    struct pollfd fd = {.fd = scrub->wake[0], .events = POLLIN};
    return poll(&fd, 1, ms) > 0;
}

// One whole look. False: the station stops, or it could not be read now.
static bool look(struct station *station, struct scrub_report *report)
{
    struct scrubber scrubber = {0};
    *report = (struct scrub_report){0};
    bool whole =
        scrub_begin(station->directory, false, &scrubber, NULL) == OK && scrub_watch(&scrubber, -1, station->scrub->wake[0], report);
    scrub_end(&scrubber);
    return whole && report->failure.code == OK;
}

static void *scrub_thread(void *argument)
{
    struct station *station = argument;
    struct scrub_report *report = station->scrub->report;
    int wait_ms = station->scrubbed ? EVERY_MS : 0;
    while (!stops_within(station->scrub, wait_ms)) {
        bool whole = look(station, report);
        wait_ms = whole ? EVERY_MS : RETRY_MS;
        if (!whole)
            continue;
        enter(station, report);
        if (!report->broken || !look(station, report) || !report->broken) // twice, as above
            continue;
        scrub_advice(station->directory, report, &station->failure);
        station_log(NULL, true, station->failure.detail);
        engine_stop(station->engine);
        break;
    }
    return NULL;
}

enum error_code station_scrub_start(struct station *station, struct error *error)
{
    struct station_scrub *scrub = calloc(1, sizeof *scrub);
    if (scrub)
        scrub->report = calloc(1, sizeof *scrub->report);
    if (!scrub || !scrub->report) {
        free(scrub);
        return error_set(error, ERR_MEMORY, "scrub");
    }
    if (pipe2(scrub->wake, O_CLOEXEC) != 0) {
        free(scrub->report);
        free(scrub);
        return error_set_errno(error, ERR_IO, "pipe");
    }
    station->scrub = scrub;
    if (pthread_create(&scrub->thread, NULL, scrub_thread, station) != 0) {
        station->scrub = NULL;
        close(scrub->wake[0]);
        close(scrub->wake[1]);
        free(scrub->report);
        free(scrub);
        return error_set(error, ERR_MEMORY, "%s", tr("the scrubber's thread could not be started", "无法启动巡检线程"));
    }
    return OK;
}

void station_scrub_stop(struct station *station)
{
    struct station_scrub *scrub = station->scrub;
    if (!scrub)
        return;
    close(scrub->wake[1]); // readable from now on
    pthread_join(scrub->thread, NULL);
    close(scrub->wake[0]);
    free(scrub->report);
    free(scrub);
    station->scrub = NULL;
}
