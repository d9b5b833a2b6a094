#include "tests/crash/judge.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.pb-c.h"
#include "node/cli/client.h"
#include "node/station.h"
#include "node/subjects.h"
#include "node/verify.h"
#include "relay/file.h"

static bool no(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool no(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return false;
}

static bool exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

// ---- what is in the store

static bool learn_rows(struct txn *txn, const struct judge *judge)
{
    *judge->end = journal_end(txn);
    if (*judge->end > JUDGE_ROWS_MAX)
        return no("more than %d journal rows", JUDGE_ROWS_MAX);
    for (uint64_t position = 1; position <= *judge->end; position++) {
        struct batch_row row;
        if (!journal_read(txn, position, &row))
            return no("journal row %" PRIu64 " is not there", position);
        judge->rows[position] = journal_digest(&row);
    }
    return true;
}

// The same rows as ever, up to some place: what was not acknowledged is there whole or not at all.
static bool is_beginning(struct txn *txn, const struct judge *judge)
{
    uint64_t end = journal_end(txn);
    if (end > *judge->end)
        return no("the journal has %" PRIu64 " rows; it never had more than %" PRIu64, end, *judge->end);
    for (uint64_t position = 1; position <= end; position++) {
        struct batch_row row;
        if (!journal_read(txn, position, &row))
            return no("journal row %" PRIu64 " is not there", position);
        struct hash digest = journal_digest(&row);
        if (!hash_equal(&digest, &judge->rows[position]))
            return no("journal row %" PRIu64 " is another", position);
    }
    return true;
}

// A generation names the peer's journal, so the mark is found without knowing the peer.
static bool holds(struct txn *txn, const struct promise *promise)
{
    bool held = false;
    struct cursor *cursor = cursor_open(txn, TABLE_CURSORS);
    for (bool at = cursor && cursor_seek(cursor, bytes_of("", 0)); at && !held; at = cursor_next(cursor)) {
        struct bytes key = cursor_key(cursor);
        struct station_id peer;
        struct mark mark;
        if (key.size != STATION_ID_SIZE + 3)
            continue;
        memcpy(peer.bytes, key.data, STATION_ID_SIZE);
        held = mark_read(txn, &peer, true, promise->stream, promise->lane, &mark) && mark.generation == promise->generation &&
               mark.headers >= promise->headers && mark.bodies >= promise->bodies;
    }
    cursor_close(cursor);
    return held;
}

static bool kept(struct txn *txn, const struct promise *promise)
{
    uint8_t subject[SUBJECT_ID_SIZE];
    uint32_t revision;
    struct station_id station;
    struct peer peer;
    struct bytes row;
    switch (promise->kind) {
    case PROMISE_RECORD:
        return record_find(txn, promise->id, subject, &revision) || no("a record that was acknowledged is gone");
    case PROMISE_TOKEN:
        return txn_get(txn, TABLE_TOKENS, bytes_of(promise->id, HASH_SIZE), &row) || no("a token that was given out is not known");
    case PROMISE_ENROLLED:
        memcpy(station.bytes, promise->id, STATION_ID_SIZE);
        return peer_read(txn, &station, &peer) || no("a child that has its certificate is not known");
    case PROMISE_HELD:
        return holds(txn, promise) || no("stream %u, lane %u: rows to %" PRIu64 " (bodies %" PRIu64 ") were acknowledged and are not held",
                                         promise->stream, promise->lane, promise->headers, promise->bodies);
    case PROMISE_END:
        return journal_end(txn) >= promise->headers ||
               no("a command said done: the journal had %" PRIu64 " rows, and has %" PRIu64, promise->headers, journal_end(txn));
    default:
        return true;
    }
}

static bool look_into(struct station *station, const struct judge *judge, bool (*look)(struct txn *, const struct judge *))
{
    struct error error = {0};
    struct txn *txn = txn_begin(station_store(station), false, &error);
    if (!txn)
        return no("the store can't be read: %s", error.detail);
    bool good = look(txn, judge);
    if (good && txn_report(txn, &error) != OK)
        good = no("the store is damaged: %s", error.detail);
    txn_abort(txn);
    return good;
}

static bool keeps_promises(struct txn *txn, const struct judge *judge)
{
    if (!is_beginning(txn, judge))
        return false;
    for (size_t i = 0; i < judge->promise_count; i++)
        if (!kept(txn, &judge->promises[i]))
            return false;
    return true;
}

// ---- the directory

static bool promised(const struct judge *judge, enum promise_kind kind, const struct promise **ret)
{
    for (size_t i = 0; i < judge->promise_count; i++)
        if (judge->promises[i].kind == kind) {
            *ret = &judge->promises[i];
            return true;
        }
    return false;
}

static bool verifies(const char *directory)
{
    static struct verify_report report;
    struct error error = {0};
    memset(&report, 0, sizeof report);
    if (station_verify_dir(directory, &report, NULL, NULL, &error) != OK)
        return no("verify can't look: %s", error.detail);
    if (report.difference_count || report.damaged_rows)
        return no("verify finds %" PRIu64 " differences, %" PRIu64 " damaged rows: %s", report.difference_count, report.damaged_rows,
                  report.differences[0]);
    return true;
}

static bool opens(const char *directory, const struct judge *judge, bool (*look)(struct txn *, const struct judge *))
{
    struct error error = {0};
    struct station *station;
    if (station_open(directory, &station, &error) != OK)
        return no("does not open: %s: %s", error_name(error.code), error.detail);
    bool good = !station_restored(station) || no("takes itself for restored from a copy");
    good = good && (!look || look_into(station, judge, look));
    station_close(station);
    return good;
}

static bool records(const char *directory, const struct judge *judge)
{
    static char form[] = "file", source[] = "crash";
    Sanji__RecordRequest record = SANJI__RECORD_REQUEST__INIT;
    Sanji__Request request = SANJI__REQUEST__INIT;
    struct client_answer answer;
    struct error error = {0};
    record.form = form;
    record.source = source;
    record.format = SANJI__INPUT_FORMAT__INPUT_JSON;
    record.data = (ProtobufCBinaryData){strlen(judge->record), (uint8_t *)(uintptr_t)judge->record};
    request.request_case = SANJI__REQUEST__REQUEST_RECORD;
    request.record = &record;
    if (client_call(directory, &request, SANJI__REPLY__REPLY_RECORD, &answer, &error) != OK)
        return no("can't record any more: %s: %s", error_name(error.code), error.detail);
    client_finish(&answer);
    return true;
}

// The store as it was before it was opened, put back: that is a copy, and must be found out.
static bool finds_copy(const char *directory, struct bytes before)
{
    char store[PATH_MAX];
    struct station *station;
    struct error error = {0};
    snprintf(store, sizeof store, "%.1000s/store", directory);
    if (file_replace(store, "data.mdb", before, &error) != OK)
        return no("%s", error.detail);
    if (station_open(directory, &station, &error) != OK)
        return no("a store put back does not open: %s", error.detail);
    bool found = station_restored(station);
    station_close(station);
    return found || no("a store put back from a copy was not found out");
}

static bool goes_on(const char *directory, const struct judge *judge)
{
    char store[PATH_MAX];
    struct buffer before = {0};
    snprintf(store, sizeof store, "%.1000s/store", directory);
    bool good = (file_read(store, "data.mdb", (size_t)1 << 30, false, &before, NULL) == OK || no("data.mdb can't be read")) &&
                records(directory, judge) && verifies(directory) && opens(directory, judge, NULL) &&
                finds_copy(directory, buffer_bytes(&before));
    buffer_finish(&before);
    return good;
}

// It is not there. Then nobody was told that it is, it can be made, and keys that were shown to a parent are still here.
static bool may_be_absent(const char *directory, const struct judge *judge)
{
    const struct promise *promise;
    char joining[PATH_MAX];
    struct error error = {0};
    struct identity identity;
    if (promised(judge, PROMISE_MADE, &promise))
        return no("the station was said to be ready, and is not there");
    if (promised(judge, PROMISE_RECORD, &promise) || promised(judge, PROMISE_HELD, &promise))
        return no("the station acknowledged something, and is not there");
    snprintf(joining, sizeof joining, "%.1000s.joining", directory);
    if (promised(judge, PROMISE_ASKED, &promise)) {
        if (identity_load(joining, &identity, &error) != OK)
            return no("the keys that asked to be enrolled are gone: %s", error.detail);
        bool same = memcmp(identity.station.bytes, promise->id, STATION_ID_SIZE) == 0;
        identity_finish(&identity);
        return same || no("other keys than those that asked to be enrolled");
    }
    if (!judge->units)
        return true;
    if (station_create_root(directory, judge->unit, judge->units, judge->codebook, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", &error) != OK)
        return no("can't be made again: %s: %s", error_name(error.code), error.detail);
    return verifies(directory) && records(directory, judge) && opens(directory, judge, NULL);
}

static void place(const struct judge *judge, const char *base, char ret[PATH_MAX]) { snprintf(ret, PATH_MAX, "%s/%s", base, judge->name); }

bool judge_learn(const struct judge *judge, const char *base)
{
    char directory[PATH_MAX];
    place(judge, base, directory);
    *judge->end = 0;
    return !exists(directory) || opens(directory, judge, learn_rows);
}

bool judge_state(const struct judge *judge, const char *base)
{
    char directory[PATH_MAX];
    place(judge, base, directory);
    if (!exists(directory))
        return may_be_absent(directory, judge);
    return opens(directory, judge, keeps_promises) && verifies(directory) && (!judge->go_on || goes_on(directory, judge));
}
