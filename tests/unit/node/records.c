// Records as a station takes them in: through the real store, keyring, author and ledger.
#include "tests/unit/node/village.h"

#include <stdio.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "node/subjects.h"
#include "record.pb-c.h"
#include "relay/receipt.h"

static const char *after_place(const char *detail)
{
    static const char place[] = "test.json:1:";
    if (strncmp(detail, place, sizeof place - 1) != 0)
        return detail;
    const char *end = strstr(detail, ": ");
    return end ? end + 2 : detail;
}

#define accepts(village, form, json)                                                                                                       \
    do {                                                                                                                                   \
        if (village_enter(village, form, json) != OK)                                                                                      \
            fail_msg("%s", (village)->error.detail);                                                                                       \
    } while (0)
// What a person reads after "test.json:1:COLUMN: ".
#define refuses(village, form, json, message)                                                                                              \
    do {                                                                                                                                   \
        assert_int_equal(village_enter(village, form, json), ERR_INPUT);                                                                   \
        assert_string_equal(after_place((village)->error.detail), message);                                                                \
    } while (0)

static int64_t level(struct village *village, const char *indicator, const char *month)
{
    return village_figure(village, indicator, "V1", month_of(month), -1, NULL, true);
}

static const char *hex_of(const uint8_t *id)
{
    static char texts[4][2 * SUBJECT_ID_SIZE + 1];
    static unsigned next;
    char *text = texts[next++ % 4];
    crypto_hex(bytes_of(id, SUBJECT_ID_SIZE), text);
    return text;
}

static char *format(const char *pattern, ...) __attribute__((format(printf, 1, 2)));
static char *format(const char *pattern, ...)
{
    static char text[4096];
    va_list args;
    va_start(args, pattern);
    vsnprintf(text, sizeof text, pattern, args);
    va_end(args);
    return text;
}

static void a_child_comes_on_file_and_is_counted(void **state)
{
    struct village *village = *state;
    accepts(village, "file",
            "[{\"key\":1,\"since\":\"2024-03-10\",\"birth\":\"2016-02-29\",\"sex\":\"f\",\"category\":[\"orphan\",\"disabled\"],\"state\":"
            "\"active\"},"
            " {\"key\":\"2\",\"at\":\"2024-05-01\",\"sex\":\"m\",\"state\":\"active\"}]");
    assert_int_equal(village->result_count, 2);
    assert_int_equal(village->results[0].revision, 1);
    int32_t march = month_of("2024-03-01"), may = month_of("2024-05-01");
    // T1: the child with two categories is one head; T2: the one with none is `_`, and parts with `_` add up per sex
    assert_int_equal(village_figure(village, "children", "V1", march, 0, "*", true), 1);
    assert_int_equal(village_figure(village, "children", "V1", march, 0, "orphan", true), 1);
    assert_int_equal(village_figure(village, "children", "V1", march, 0, "disabled", true), 1);
    assert_int_equal(village_figure(village, "children", "V1", may, 0, "*", true), 2);
    assert_int_equal(village_figure(village, "children", "V1", may, 0, "_", true), 1);
    assert_int_equal(village_figure(village, "children", "V1", may, 0, "_", false), 1);
    assert_int_equal(village_figure(village, "ages", "V1", may, 0, "7-13", true), 1);
    assert_int_equal(village_figure(village, "ages", "V1", may, 0, "_", true), 1);
    // attributes: both categories of the first are led by one department
    assert_int_equal(village_figure(village, "leads", "V1", may, 0, "civil", true), 1);
    assert_int_equal(village_figure(village, "leads", "V1", may, 0, "*", true), 2);
}

static void key_names_the_same_subject_again(void **state)
{
    struct village *village = *state;
    accepts(village, "file", "{\"key\":\"17\",\"since\":\"2024-01-05\",\"state\":\"active\"}");
    struct record_result first = village->results[0];
    accepts(village, "visit", "{\"key\":17,\"day\":\"2024-02-01\",\"minutes\":30}");
    assert_memory_equal(village->results[0].subject, first.subject, SUBJECT_ID_SIZE);
    accepts(village, "visit", format("{\"subject\":\"%s\",\"day\":\"2024-02-02\",\"minutes\":40}", hex_of(first.subject)));
    assert_int_equal(village_figure(village, "visits", "V1", month_of("2024-02-01"), 0, "*", false), 2);
    assert_int_equal(village_figure(village, "minutes", "V1", month_of("2024-02-01"), -1, NULL, false), 70);
    // the same key in another unit is another child
    village_begin(village);
    assert_int_equal(village_submit(village, "file", "{\"key\":\"17\",\"since\":\"2024-01-05\",\"state\":\"active\"}", "H"), OK);
    assert_memory_not_equal(village->results[0].subject, first.subject, SUBJECT_ID_SIZE);
    village_commit(village);
    assert_int_equal(village_figure(village, "everyone", "H", month_of("2024-01-01"), -1, NULL, false), 1);
    assert_int_equal(village_figure(village, "everyone", "V1", month_of("2024-01-01"), -1, NULL, false), 1);
}

static void corrections_and_withdrawals_are_differences(void **state)
{
    struct village *village = *state;
    accepts(village, "file", "{\"key\":\"1\",\"since\":\"2024-01-05\",\"sex\":\"f\",\"state\":\"active\"}");
    struct record_result file = village->results[0];
    accepts(village, "file",
            format("{\"record\":\"%s\",\"since\":\"2024-03-05\",\"sex\":\"m\",\"state\":\"active\"}", hex_of(file.record)));
    assert_int_equal(village->results[0].revision, 2);
    assert_memory_equal(village->results[0].record, file.record, RECORD_ID_SIZE);
    assert_memory_equal(village->results[0].subject, file.subject, SUBJECT_ID_SIZE);
    assert_int_equal(level(village, "everyone", "2024-02-01"), 0);
    assert_int_equal(level(village, "everyone", "2024-03-01"), 1);
    assert_int_equal(village_figure(village, "children", "V1", month_of("2024-03-01"), 1, "f", true), 0);
    accepts(village, "file", format("{\"record\":\"%s\",\"void\":true,\"reason\":\"typed twice\"}", hex_of(file.record)));
    assert_int_equal(village->results[0].revision, 3);
    assert_int_equal(level(village, "everyone", "2024-06-01"), 0);
    // and back: a withdrawal keeps the id
    accepts(village, "file", format("{\"record\":\"%s\",\"since\":\"2024-02-05\",\"state\":\"active\"}", hex_of(file.record)));
    assert_int_equal(level(village, "everyone", "2024-02-01"), 1);
    // a record about nothing
    accepts(village, "money", "[{\"day\":\"2024-04-01\",\"amount\":5000,\"source\":\"civil\"},{\"day\":\"2024-04-02\",\"amount\":70}]");
    struct record_result money = village->results[0];
    assert_int_equal(level(village, "funds", "2024-04-01"), 5070);
    accepts(village, "money", format("{\"record\":\"%s\",\"day\":\"2024-05-01\",\"amount\":4000}", hex_of(money.record)));
    assert_int_equal(level(village, "funds", "2024-04-01"), 70);
    assert_int_equal(level(village, "funds", "2024-05-01"), 4070);
    accepts(village, "money", format("{\"record\":\"%s\",\"void\":true,\"reason\":\"x\"}", hex_of(money.record)));
    assert_int_equal(level(village, "funds", "2024-05-01"), 70);
}

struct checked {
    unsigned count;
    bool ids;
};

static void count_checked(void *context, const struct record_result *result)
{
    static const uint8_t none[RECORD_ID_SIZE];
    struct checked *checked = context;
    checked->count++;
    checked->ids |= memcmp(result->record, none, sizeof none) != 0;
}

static void all_or_nothing(void **state)
{
    struct village *village = *state;
    struct hash before = village_table(village, TABLE_JOURNAL);
    village_begin(village);
    assert_int_equal(
        village_submit(village, "money", "[{\"day\":\"2024-04-01\",\"amount\":5},\n {\"day\":\"2024-04-02\",\"amount\":\"x\"}]", NULL),
        ERR_INPUT);
    assert_string_equal(village->error.detail, "test.json:2:31: amount: 'x' is not a number with at most four decimals");
    assert_int_equal(village->result_count, 0);
    village_commit(village); // the transaction is good, and empty
    struct hash after = village_table(village, TABLE_JOURNAL);
    assert_true(hash_equal(&before, &after));
    assert_int_equal(level(village, "funds", "2024-04-01"), 0);
    // checking only writes nothing either
    village_begin(village);
    struct checked checked = {0};
    struct record_input input = {.form = "money",
                                 .data = bytes_of_text("[{\"day\":\"2024-04-01\",\"amount\":5},{\"amount\":6,\"at\":\"2024-04-01\"}]"),
                                 .check_only = true};
    assert_int_equal(records_submit(&village->desk, &input, count_checked, &checked, &village->error), OK);
    assert_true(checked.count == 2 && !checked.ids);
    input.data = bytes_of_text("[{\"amount\":5}]");
    assert_int_equal(records_submit(&village->desk, &input, count_checked, &checked, &village->error), ERR_INPUT);
    assert_string_equal(village->error.detail, "input:1:2: day: needed: the record's date (day)");
    village_commit(village);
    after = village_table(village, TABLE_JOURNAL);
    assert_true(hash_equal(&before, &after));
    struct txn *txn = txn_begin(village->store, false, NULL);
    assert_int_equal(txn_count(txn, TABLE_RECORDS), 0);
    txn_abort(txn);
}

static void later_records_see_earlier_ones_of_the_request(void **state)
{
    struct village *village = *state;
    accepts(village, "assess",
            "[{\"key\":\"a\",\"day\":\"2024-04-01\",\"harm\":\"none\",\"colour\":\"green\"},"
            "{\"key\":\"a\",\"day\":\"2024-05-01\",\"harm\":\"grave\",\"colour\":\"red\",\"worse\":true}]");
    assert_memory_equal(village->results[0].subject, village->results[1].subject, SUBJECT_ID_SIZE);
    // two of one day: the later in the file has the last word
    accepts(village, "file",
            "[{\"key\":\"b\",\"since\":\"2024-04-01\",\"state\":\"active\"},{\"key\":\"b\",\"since\":\"2024-04-01\",\"state\":\"left\"},"
            "{\"key\":\"c\",\"since\":\"2024-04-01\",\"state\":\"left\"},{\"key\":\"c\",\"since\":\"2024-04-01\",\"state\":\"active\"}]");
    assert_int_equal(village_figure(village, "children", "V1", month_of("2024-04-01"), 0, "*", true), 1);
}

static void subjects_are_found_or_refused(void **state)
{
    struct village *village = *state;
    refuses(village, "visit", "{\"day\":\"2024-02-01\"}", "subject: needed: form visit opens no new child");
    refuses(village, "visit", "{\"day\":\"2024-02-01\",\"subject\":\"00112233445566778899aabbccddeeff\"}",
            "subject: no such subject on this station");
    refuses(village, "visit", "{\"day\":\"2024-02-01\",\"subject\":\"0011\"}", "subject: not an id of 32 hex digits");
    refuses(village, "money", "{\"day\":\"2024-02-01\",\"amount\":1,\"key\":\"5\"}", "key: form money is about no subject");
    refuses(village, "visit", "{\"day\":\"2024-02-01\",\"record\":\"00112233445566778899aabbccddeeff\"}",
            "record: no such record on this station");
    accepts(village, "file", "{\"since\":\"2024-01-05\",\"state\":\"active\"}");
    struct record_result file = village->results[0];
    accepts(village, "organise", "{\"since\":\"2024-01-05\",\"state\":\"active\"}");
    struct record_result unit = village->results[0];
    refuses(village, "visit", format("{\"day\":\"2024-02-01\",\"subject\":\"%s\"}", hex_of(unit.subject)),
            "subject: does not belong to register child");
    refuses(village, "visit", format("{\"day\":\"2024-02-01\",\"record\":\"%s\"}", hex_of(file.record)),
            "record: is of form file, not visit");
    refuses(village, "file",
            format("{\"since\":\"2024-02-01\",\"state\":\"left\",\"record\":\"%s\",\"subject\":\"%s\"}", hex_of(file.record),
                   hex_of(unit.subject)),
            "subject: a correction keeps its subject");
    refuses(village, "file",
            format("[{\"since\":\"2024-02-01\",\"state\":\"left\",\"record\":\"%s\"},{\"since\":\"2024-02-01\",\"state\":\"left\","
                   "\"record\":\"%s\"}]",
                   hex_of(file.record), hex_of(file.record)),
            "record: is corrected twice in one request");
    refuses(village, "file", format("{\"record\":\"%s\",\"void\":true}", hex_of(file.record)), "void: a withdrawal needs a reason");
    refuses(village, "file", "{\"void\":true,\"reason\":\"x\"}", "void: names no record to withdraw; give `record`");
}

static void units_must_be_ours(void **state)
{
    struct village *village = *state;
    refuses(village, "money", "{\"day\":\"2024-02-01\",\"amount\":1,\"unit\":\"V2\"}", "unit: V2 (二村) is not below this station's unit");
    refuses(village, "money", "{\"day\":\"2024-02-01\",\"amount\":1,\"unit\":\"X\"}", "unit: 'X' is not in the unit tree");
    refuses(village, "money", "{\"day\":\"2014-12-31\",\"amount\":1}", "day: lies before the unit began, 2015-01-01");
    accepts(village, "money", "{\"day\":\"2024-02-01\",\"amount\":1,\"unit\":\"H\"}");
    uint8_t delegated[8] = {0};
    delegated[units_find(village->units, "H")] = 1;
    village->desk.delegated = delegated;
    refuses(village, "money", "{\"day\":\"2024-02-01\",\"amount\":1,\"unit\":\"H\"}",
            "unit: H (一组) has a station of its own: record it there");
    village->desk.delegated = NULL;
    // a row of the register `unit` belongs to that unit
    accepts(village, "organise",
            "[{\"since\":\"2024-01-05\",\"state\":\"active\"},{\"since\":\"2024-01-05\",\"state\":\"active\",\"key\":\"H\"}]");
    assert_int_equal(level(village, "units", "2024-01-01"), 1);
    assert_int_equal(village_figure(village, "units", "H", month_of("2024-01-01"), -1, NULL, true), 1);
    refuses(village, "organise", "{\"since\":\"2024-01-05\",\"state\":\"active\",\"key\":\"H\",\"unit\":\"V1\"}",
            "key: the subject is the unit itself; `unit` says V1");
}

static void dates_must_be_possible(void **state)
{
    struct village *village = *state;
    accepts(village, "money", "{\"day\":\"2024-06-16\",\"amount\":1}"); // T27: a day ahead is a clock or a time zone
    refuses(village, "money", "{\"day\":\"2024-06-17\",\"amount\":1}", "day: lies in the future; today is 2024-06-15");
    refuses(village, "file", "{\"since\":\"2023-12-31\",\"birth\":\"2024-01-01\",\"state\":\"active\"}",
            "since: lies before the subject's birth");
    accepts(village, "file", "{\"key\":\"1\",\"since\":\"2024-01-01\",\"birth\":\"2024-01-01\",\"state\":\"active\"}");
    refuses(village, "visit", "{\"key\":\"1\",\"day\":\"2023-12-31\"}", "day: lies before the subject's birth"); // T6
    struct certificate later = village->self; // a station that took over a unit in April speaks for nothing before
    later.from_period = month_of("2024-04-01");
    village->desk.self = &later;
    refuses(village, "money", "{\"day\":\"2024-03-31\",\"amount\":1}", "day: lies before 2024-04, when this station took over");
    village->desk.self = &village->self;
}

static void names_the_forms_there_are(void **state)
{
    struct village *village = *state;
    village_begin(village);
    assert_int_equal(village_submit(village, "nope", "{}", NULL), ERR_NOT_FOUND);
    assert_string_equal(village->error.detail, "form 'nope'; the codebook has: file, assess, visit, money, report, organise, kinds");
    village->desk.codebook = NULL;
    assert_int_equal(village_submit(village, "file", "{}", NULL), ERR_STATE);
    assert_int_equal(records_tick(&village->desk, 1), false);
    village->desk.codebook = village->codebook;
    village_abort(village);
}

// ---- who may read what

struct seen {
    unsigned grants[8], records[8];
    bool plain;
};

static void look(void *context, uint32_t reach, uint32_t kind, bool sealed, struct bytes content, const struct key_id *key)
{
    (void)key;
    struct seen *seen = context;
    bool figures = kind == SANJI__ENTRY_KIND__STATEMENT;
    assert_true(figures || reach < 8);
    if (kind == SANJI__ENTRY_KIND__KEY_GRANT)
        seen->grants[reach]++;
    if (kind == SANJI__ENTRY_KIND__RECORD) {
        seen->records[reach]++;
        assert_true(sealed);
    }
    seen->plain |= memmem(content.data, content.size, CANARY, strlen(CANARY)) != NULL;
}

static void fault_38_no_plaintext_in_store_or_entries(void **state)
{
    struct village *village = *state;
    struct seen seen = {0};
    accepts(village, "file",
            "{\"key\":\"k\",\"since\":\"2024-01-05\",\"name\":\"" CANARY "\",\"birth\":\"2019-03-04\",\"state\":\"active\"}");
    struct record_result file = village->results[0];
    accepts(village, "visit", "{\"key\":\"k\",\"day\":\"2024-02-01\",\"notes\":\"" CANARY "\"}");
    accepts(village, "report", "{\"day\":\"2024-02-01\",\"facts\":\"" CANARY "\",\"told_by\":\"" CANARY "\"}");
    accepts(village, "file", format("{\"record\":\"%s\",\"void\":true,\"reason\":\"" CANARY "\"}", hex_of(file.record)));
    village_tick(village, 10);
    village_entries(village, look, &seen);
    assert_false(seen.plain);
    assert_false(village_stored(village, CANARY));
    assert_true(village_stored(village, "V1")); // the search itself works
}

static void sections_travel_no_further_than_their_readers(void **state)
{
    struct village *village = *state;
    struct seen seen = {0};
    accepts(
        village, "file",
        "[{\"key\":\"k\",\"since\":\"2024-01-05\",\"state\":\"active\"},{\"key\":\"l\",\"since\":\"2024-01-05\",\"state\":\"active\"}]");
    village_entries(village, look, &seen);
    assert_int_equal(seen.records[1], 4); // own fields and body, to the township
    assert_int_equal(seen.grants[1], 2);
    assert_int_equal(seen.records[2] + seen.grants[2], 0);
    accepts(village, "visit", "{\"key\":\"k\",\"day\":\"2024-02-01\"}");
    accepts(village, "assess", "{\"key\":\"k\",\"day\":\"2024-02-01\",\"harm\":\"none\",\"colour\":\"green\"}");
    seen = (struct seen){0};
    village_entries(village, look, &seen);
    assert_int_equal(seen.grants[1], 2); // known already
    assert_int_equal(seen.records[2], 2);
    assert_int_equal(seen.grants[2], 1); // the county reads assessments
    accepts(village, "assess", "{\"key\":\"k\",\"day\":\"2024-03-01\",\"harm\":\"none\",\"colour\":\"green\"}");
    seen = (struct seen){0};
    village_entries(village, look, &seen);
    assert_int_equal(seen.grants[2], 1);
}

struct opened {
    struct village *village;
    struct key_id narrow;
    bool narrow_found;
    unsigned parent_grants, county_grants;
    bool reporter_to_parent;
};

static void look_report(void *context, uint32_t reach, uint32_t kind, bool sealed, struct bytes content, const struct key_id *key)
{
    (void)sealed;
    struct opened *opened = context;
    if (kind == SANJI__ENTRY_KIND__RECORD && reach == 2) { // the reporter's identity
        opened->narrow = *key;
        opened->narrow_found = true;
    }
    if (kind != SANJI__ENTRY_KIND__KEY_GRANT)
        return;
    struct arena arena = {0};
    void *message;
    const struct codec_limits limits = {.bytes_max = 1024, .elements_max = 16};
    assert_int_equal(codec_unpack(&sanji__key_grant__descriptor, content, &limits, &arena, &message, NULL), OK);
    const Sanji__KeyGrant *grant = message;
    for (unsigned i = 0; i < 2; i++) {
        if (memcmp(grant->station.data, opened->village->ancestors[i].station.bytes, STATION_ID_SIZE) != 0)
            continue;
        struct symmetric_key mine, theirs;
        struct key_id id;
        memcpy(id.bytes, grant->key_id.data, KEY_ID_SIZE);
        assert_int_equal(reach, i + 1);
        assert_int_equal(
            crypto_unwrap(&opened->village->ancestors[i].seal_key, &opened->village->seal_keys[i], grant->wrapped.data, &theirs), OK);
        assert_true(keyring_find(opened->village->keyring, &id, &mine));
        assert_memory_equal(&mine, &theirs, sizeof mine);
        *(i ? &opened->county_grants : &opened->parent_grants) += 1;
        opened->reporter_to_parent |= i == 0 && opened->narrow_found && memcmp(&id, &opened->narrow, sizeof id) == 0;
    }
    arena_finish(&arena);
}

static void fault_37_the_parent_never_gets_the_key_of_what_passes_it(void **state)
{
    struct village *village = *state;
    accepts(village, "report", "{\"day\":\"2024-02-01\",\"facts\":\"f\",\"told_by\":\"who\"}");
    struct opened opened = {.village = village};
    village_entries(village, look_report, &opened); // finds the narrow key
    assert_true(opened.narrow_found);
    opened.parent_grants = opened.county_grants = 0;
    village_entries(village, look_report, &opened); // and now its grants
    assert_int_equal(opened.parent_grants, 1);
    assert_int_equal(opened.county_grants, 1);
    assert_false(opened.reporter_to_parent);
}

// Whether the urgent batch at `position` brings a grant of the key of each of its records to each ancestor that it reaches and that may
// read.
static unsigned urgent_entries(struct village *village, uint64_t position, uint32_t *ret_reach, unsigned *ret_grants)
{
    static struct entry entries[BATCH_ENTRIES_MAX];
    struct batch_row row;
    struct header header;
    unsigned records = 0, grants = 0;
    assert_true(journal_read(village->desk.txn, position, &row));
    assert_int_equal(header_decode(row.header, &header, NULL), OK);
    if (header.feed.lane != SANJI__LANE__URGENT)
        return 0;
    assert_int_equal(body_decode(row.body, &header, entries, NULL), OK);
    for (uint32_t i = 0; i < header.count; i++) {
        records += entries[i].kind == SANJI__ENTRY_KIND__RECORD;
        grants += entries[i].kind == SANJI__ENTRY_KIND__KEY_GRANT && records == 0; // the keys come first
    }
    *ret_reach = header.reach;
    *ret_grants = grants;
    return records;
}

static void an_urgent_record_is_a_batch_of_its_own_with_its_keys(void **state)
{
    struct village *village = *state;
    unsigned batches = 0;
    for (unsigned round = 0; round < 2; round++) // the second time too, though its keys were granted before: those may be late
        accepts(village, "report",
                "[{\"day\":\"2024-02-01\",\"facts\":\"f\",\"told_by\":\"w\"},{\"day\":\"2024-02-02\",\"facts\":\"g\",\"told_by\":\"w\"}]");
    village_begin(village);
    for (uint64_t position = 1; position <= journal_end(village->desk.txn); position++) {
        uint32_t reach;
        unsigned grants, records = urgent_entries(village, position, &reach, &grants);
        if (!records)
            continue;
        batches++;
        assert_int_equal(records, reach == 1 ? 2 : 1); // own fields and body; who reported
        assert_int_equal(grants, 1);                   // the township's, the county's
    }
    assert_int_equal(batches, 8);
    struct urgent_batch batch;
    unsigned waiting = 0;
    for (bool at = urgent_next(village->desk.txn, NULL, &batch); at; at = urgent_next(village->desk.txn, &batch, &batch)) {
        assert_false(batch.decided);
        assert_string_equal(batch.what, "report");
        assert_int_equal(batch.within_ms, RECEIPT_WITHIN_MS);
        assert_int_equal(batch.decider, village->ancestors[0].depth); // as the form says
        assert_true(batch.reach == 1 || batch.reach == 2);
        waiting++;
    }
    assert_int_equal(waiting, 8);
    village_abort(village);
}

static void erased_subjects_stay_erased(void **state)
{
    struct village *village = *state;
    accepts(village, "file", "{\"key\":\"k\",\"since\":\"2024-01-05\",\"birth\":\"2017-07-01\",\"state\":\"active\"}");
    struct record_result file = village->results[0];
    struct subject_row row;
    village_begin(village);
    assert_true(subject_read(village->desk.txn, file.subject, &row));
    assert_int_equal(row.edge, day_of("2024-07-01")); // seven
    village_abort(village);
    assert_int_equal(keyring_forget(village->keyring, &row.key, &village->error), OK);
    assert_int_equal(village_enter(village, "visit", "{\"key\":\"k\",\"day\":\"2024-02-01\"}"), ERR_NOT_FOUND);
    village_today(village, "2024-08-01"); // its birthday changes nothing, and blocks nothing
    village_tick(village, 1);
    assert_int_equal(level(village, "everyone", "2024-08-01"), 1);
    village_begin(village);
    assert_int_equal(records_next_edge(village->desk.txn), INT32_MAX);
    village_abort(village);
}

// ---- time

static void file_cohort(struct village *village)
{
    accepts(village, "file",
            "[{\"key\":\"a\",\"since\":\"2024-01-05\",\"birth\":\"2017-07-10\",\"state\":\"active\"}," // seven in July
            "{\"key\":\"b\",\"since\":\"2024-01-05\",\"birth\":\"2021-09-30\",\"state\":\"active\"},"  // three at the end of September
            "{\"key\":\"c\",\"since\":\"2024-01-05\",\"birth\":\"2021-10-01\",\"state\":\"active\"},"
            "{\"key\":\"d\",\"since\":\"2024-01-05\",\"birth\":\"2010-11-30\",\"state\":\"left\"}," // fourteen, but has left
            "{\"key\":\"e\",\"since\":\"2024-01-05\",\"birth\":\"2022-02-28\",\"state\":\"active\"}]");
}

static struct hash cells_hash(struct village *village) { return village_table(village, TABLE_CELLS); }

static void asleep_equals_awake(void **state)
{
    struct village *awake = *state, *asleep = calloc(1, sizeof *asleep);
    assert_non_null(asleep);
    village_open(asleep);
    file_cohort(awake);
    file_cohort(asleep);
    village_begin(awake);
    assert_int_equal(records_next_edge(awake->desk.txn), day_of("2024-07-10"));
    village_abort(awake);
    char date[11];
    for (int32_t day = day_of("2024-06-15"); day <= day_of("2024-12-15"); day++) { // T14
        civil_format(day, date);
        village_today(awake, date);
        village_begin(awake);
        int32_t next = records_next_edge(awake->desk.txn);
        assert_true(next >= day);
        village_abort(awake);
        if (next == day)
            village_tick(awake, 1);
    }
    village_today(asleep, "2024-12-15");
    village_tick(asleep, 2);
    struct hash a = cells_hash(awake), b = cells_hash(asleep);
    assert_true(hash_equal(&a, &b));
    int32_t sep = month_of("2024-09-01"), oct = month_of("2024-10-01");
    assert_int_equal(village_figure(asleep, "ages", "V1", month_of("2024-06-01"), 0, "0-2", true), 3);
    assert_int_equal(village_figure(asleep, "ages", "V1", sep, 0, "3-6", true), 1);
    assert_int_equal(village_figure(asleep, "ages", "V1", oct, 0, "3-6", true), 2);
    assert_int_equal(village_figure(asleep, "ages", "V1", oct, 0, "7-13", true), 1);
    assert_int_equal(village_figure(asleep, "ages", "V1", oct, -1, NULL, true), 4);
    village_close(asleep);
    free(asleep);
}

static void leap_birthdays_turn_in_march(void **state)
{
    struct village *village = *state;
    village_today(village, "2023-02-15");
    accepts(village, "file",
            "{\"key\":\"a\",\"since\":\"2023-02-01\",\"birth\":\"2016-02-29\",\"state\":\"active\"}"); // seven on 2023-03-01
    village_begin(village);
    assert_int_equal(records_next_edge(village->desk.txn), day_of("2023-03-01"));
    village_abort(village);
    village_today(village, "2023-02-28");
    village_tick(village, 5);
    assert_int_equal(village_figure(village, "ages", "V1", month_of("2023-02-01"), 0, "3-6", true), 1);
    village_today(village, "2023-03-01");
    village_tick(village, 5);
    assert_int_equal(village_figure(village, "ages", "V1", month_of("2023-02-01"), 0, "3-6", true), 1);
    assert_int_equal(village_figure(village, "ages", "V1", month_of("2023-03-01"), 0, "3-6", true), 0);
    assert_int_equal(village_figure(village, "ages", "V1", month_of("2023-03-01"), 0, "7-13", true), 1);
}

static void fault_58_a_clock_that_goes_back_takes_nothing_away(void **state)
{
    struct village *village = *state;
    file_cohort(village);
    village_today(village, "2014-06-15"); // ten years off
    village_tick(village, 5);
    assert_int_equal(level(village, "everyone", "2024-06-01"), 5);
    assert_int_equal(village_enter(village, "visit", "{\"key\":\"a\",\"day\":\"2024-06-01\"}"), ERR_INPUT); // T27
    village_today(village, "2024-06-16");
    accepts(village, "visit", "{\"key\":\"a\",\"day\":\"2024-06-01\"}");
    assert_int_equal(level(village, "everyone", "2024-06-01"), 5);
}

// ---- the journal says it all

struct replaying {
    struct village *to;
    unsigned applied, tick_every;
};

static void replay_entry(void *context, uint32_t reach, uint32_t kind, bool sealed, struct bytes content, const struct key_id *key)
{
    (void)reach;
    (void)sealed;
    struct replaying *replaying = context;
    const char *reason = NULL;
    if (kind != SANJI__ENTRY_KIND__RECORD)
        return;
    assert_int_equal(records_replay(&replaying->to->desk, content, key, true, &reason), VERDICT_APPLIED);
    assert_int_equal(records_replay(&replaying->to->desk, content, key, true, &reason), VERDICT_APPLIED);
    if (++replaying->applied % replaying->tick_every == 0)
        records_tick(&replaying->to->desk, 3);
}

static void compare_rebuilt(struct village *village, unsigned tick_every)
{
    struct village rebuilt;
    village_open(&rebuilt);
    rebuilt.desk.self = &village->self; // the same station: same associated data, same term
    rebuilt.desk.ancestors = village->ancestors;
    struct keyring *own = rebuilt.desk.keyring;
    rebuilt.desk.keyring = village->keyring;
    rebuilt.now_ms = village->now_ms;
    struct replaying replaying = {.to = &rebuilt, .tick_every = tick_every};
    village_begin(&rebuilt);
    village_entries(village, replay_entry, &replaying);
    while (records_tick(&rebuilt.desk, 3))
        ;
    assert_true(replaying.applied > 0);
    static const enum table tables[] = {TABLE_RECORDS, TABLE_RECORD_IDS, TABLE_SUBJECTS, TABLE_EDGES};
    ledger_flush(rebuilt.ledger, rebuilt.desk.txn);
    rebuilt.desk.keyring = own;
    // statements would be another station's: compare the ledger through what it states, with the author's own certificate
    rebuilt.desk.self = &rebuilt.self;
    village_commit(&rebuilt);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        struct hash a = village_table(village, tables[i]), b = village_table(&rebuilt, tables[i]);
        if (!hash_equal(&a, &b))
            fail_msg("table %zu differs", i);
    }
    struct hash a = village_table(village, TABLE_CELLS), b = village_table(&rebuilt, TABLE_CELLS);
    assert_true(hash_equal(&a, &b));
    village_close(&rebuilt);
}

static uint64_t random_state;
static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % limit;
}

// Random entries about many subjects: new, corrected, withdrawn, back-dated, in any order, over half a year of days.
static void random_day(struct village *village, struct record_result *known, const char **forms, uint32_t *count, uint32_t max)
{
    static const char *const categories[] = {"[]", "[\"orphan\"]", "[\"orphan\",\"disabled\"]", "[\"left_behind\",\"disabled\",\"orphan\"]",
                                             "null"};
    static const char *const states[] = {"active", "active", "active", "left"};
    char date[11], body[400], json[600];
    civil_format(civil_of_instant(village->now_ms, 480) - (int32_t)random_below(300), date);
    bool correct = *count && random_below(3) == 0;
    uint32_t which = correct ? random_below(*count) : *count;
    if (!correct && *count == max)
        return;
    static const char *const names[] = {"file", "file", "visit", "assess", "money", "report"};
    const char *form = correct ? forms[which] : names[random_below(6)];
    bool lone = strcmp(form, "money") == 0 || strcmp(form, "report") == 0;
    if (strcmp(form, "file") == 0)
        snprintf(body, sizeof body, "\"since\":\"%s\",\"sex\":%s,\"category\":%s,\"state\":\"%s\"%s", date,
                 random_below(2) ? "\"f\"" : "\"m\"", categories[random_below(5)], states[random_below(4)],
                 random_below(2)   ? ",\"birth\":\"2017-08-20\""
                 : random_below(2) ? ",\"birth\":\"2021-01-31\""
                                   : "");
    else if (strcmp(form, "visit") == 0)
        snprintf(body, sizeof body, "\"day\":\"%s\",\"minutes\":%u", date, 1 + random_below(90));
    else if (strcmp(form, "assess") == 0)
        snprintf(body, sizeof body, "\"day\":\"%s\",\"harm\":\"%s\",\"colour\":\"%s\"", date, random_below(2) ? "grave" : "none", "red");
    else if (strcmp(form, "report") == 0)
        snprintf(body, sizeof body, "\"day\":\"%s\",\"told_by\":\"w\"", date);
    else
        snprintf(body, sizeof body, "\"day\":\"%s\",\"amount\":%u", date, random_below(1000));
    if (strcmp(form, "assess") == 0 && strstr(body, "none"))
        strcat(body, ",\"why\":\"w\"");
    if (correct && random_below(3) == 0)
        snprintf(json, sizeof json, "{\"record\":\"%s\",\"void\":true,\"reason\":\"r\"}", hex_of(known[which].record));
    else if (correct)
        snprintf(json, sizeof json, "{\"record\":\"%s\",%s}", hex_of(known[which].record), body);
    else if (lone)
        snprintf(json, sizeof json, "{%s}", body);
    else
        snprintf(json, sizeof json, "{\"key\":%u,%s}", random_below(6), body);
    if (village_enter(village, form, json) != OK) // some are before a birth that another record gave
        return;
    if (!correct) {
        known[*count] = village->results[0];
        forms[(*count)++] = form;
    }
}

static void fault_42_the_journal_gives_the_same_figures(void **state)
{
    enum { RECORDS = 60, STEPS = 150 };
    static struct record_result known[RECORDS];
    static const char *forms[RECORDS];
    struct village *village = *state;
    uint32_t count = 0;
    char date[11];
    random_state = 42;
    for (unsigned i = 0; i < STEPS; i++) {
        if (i % 10 == 0) {
            civil_format(day_of("2024-03-01") + (int32_t)i, date);
            village_today(village, date);
            if (i % 20 == 0)
                village_tick(village, 2);
        }
        random_day(village, known, forms, &count, RECORDS);
    }
    assert_true(count > 40);
    village_tick(village, 100);
    compare_rebuilt(village, 1000000);
    compare_rebuilt(village, 7); // subjects stated halfway: differences from there
}

static void take_back_entry(void *context, uint32_t reach, uint32_t kind, bool sealed, struct bytes content, const struct key_id *key)
{
    (void)reach;
    (void)sealed;
    const char *reason = NULL;
    if (kind == SANJI__ENTRY_KIND__RECORD)
        assert_int_equal(records_replay(context, content, key, false, &reason), VERDICT_APPLIED);
}

static void state_wrongly(struct village *village, int64_t value)
{
    village_begin(village);
    for (int i = 0; i < village->codebook->indicator_count; i += 2) {
        struct group_key group = {.definition = village->codebook->indicators[i].definition,
                                  .unit_id = unit_id_find(village->desk.txn, "V1", 0),
                                  .period = {SANJI__PERIOD_TYPE__MONTH, month_of("2024-04-01") + i % 3}};
        ledger_add(village->ledger, &village->desk, &group, "V1", 0, value);
    }
    village_commit(village);
}

static void restate(struct village *village)
{
    village_begin(village);
    records_restate(&village->desk);
    village_commit(village);
}

// After a restore a statement may be here without its record, or the other way round.
static void fault_18_records_and_statements_are_held_together(void **state)
{
    enum { RECORDS = 60, STEPS = 150 };
    static struct record_result known[RECORDS];
    static const char *forms[RECORDS];
    struct village *village = *state, back;
    uint32_t count = 0;
    random_state = 18;
    village_today(village, "2024-06-15");
    for (unsigned i = 0; i < STEPS; i++)
        random_day(village, known, forms, &count, RECORDS);
    struct hash right = village_table(village, TABLE_CELLS), edges = village_table(village, TABLE_EDGES), now;
    restate(village);
    now = village_table(village, TABLE_CELLS);
    assert_true(hash_equal(&now, &right));
    state_wrongly(village, 5); // as by records that are lost
    now = village_table(village, TABLE_CELLS);
    assert_false(hash_equal(&now, &right));
    restate(village);
    now = village_table(village, TABLE_CELLS);
    assert_true(hash_equal(&now, &right));
    now = village_table(village, TABLE_EDGES);
    assert_true(hash_equal(&now, &edges));

    village_open(&back); // the records came back, and no statement
    back.now_ms = village->now_ms;
    struct keyring *own = back.desk.keyring;
    village_begin(&back);
    back.desk.self = &village->self;
    back.desk.ancestors = village->ancestors;
    back.desk.keyring = village->keyring;
    village_entries(village, take_back_entry, &back.desk);
    records_restate(&back.desk);
    back.desk.keyring = own;
    back.desk.self = &back.self;
    village_commit(&back);
    now = village_table(&back, TABLE_CELLS);
    assert_true(hash_equal(&now, &right));
    village_close(&back);

    state_wrongly(village, 5); // what can't be opened says nothing against what was stated
    struct hash wrong = village_table(village, TABLE_CELLS);
    village_begin(village);
    records_note_unopened(village->desk.txn);
    village_commit(village);
    restate(village);
    now = village_table(village, TABLE_CELLS);
    assert_true(hash_equal(&now, &wrong));
    now = village_table(village, TABLE_EDGES);
    assert_true(hash_equal(&now, &edges));
}

static void replay_tells_what_it_cannot_read(void **state)
{
    struct village *village = *state;
    const char *reason = NULL;
    struct key_id key = {{1, 2, 3}};
    struct symmetric_key secret = {{9}};
    uint8_t junk[100] = {0};
    village_begin(village);
    assert_int_equal(records_replay(&village->desk, bytes_of(junk, sizeof junk), &key, true, &reason), VERDICT_HELD);
    assert_int_equal(keyring_add(village->keyring, &key, &secret, NULL), OK);
    assert_int_equal(records_replay(&village->desk, bytes_of(junk, sizeof junk), &key, true, &reason), VERDICT_REJECTED);
    assert_string_equal(reason, "a record that does not open");
    struct buffer sealed = {0};
    section_seal(&village->desk, &secret, &key, bytes_of_text("no record"), &sealed);
    assert_int_equal(records_replay(&village->desk, buffer_bytes(&sealed), &key, true, &reason), VERDICT_REJECTED);
    assert_string_equal(reason, "a record that the codebook does not allow");
    buffer_finish(&sealed);
    village->desk.codebook = NULL;
    assert_int_equal(records_replay(&village->desk, bytes_of(junk, sizeof junk), &key, true, &reason), VERDICT_DEFERRED);
    village->desk.codebook = village->codebook;
    assert_int_equal(txn_count(village->desk.txn, TABLE_RECORDS), 0);
    village_abort(village);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, village_setup, village_teardown)
    const struct CMUnitTest tests[] = {
        test(a_child_comes_on_file_and_is_counted),
        test(key_names_the_same_subject_again),
        test(corrections_and_withdrawals_are_differences),
        test(all_or_nothing),
        test(later_records_see_earlier_ones_of_the_request),
        test(subjects_are_found_or_refused),
        test(units_must_be_ours),
        test(dates_must_be_possible),
        test(names_the_forms_there_are),
        test(fault_38_no_plaintext_in_store_or_entries),
        test(sections_travel_no_further_than_their_readers),
        test(fault_37_the_parent_never_gets_the_key_of_what_passes_it),
        test(an_urgent_record_is_a_batch_of_its_own_with_its_keys),
        test(erased_subjects_stay_erased),
        test(asleep_equals_awake),
        test(leap_birthdays_turn_in_march),
        test(fault_58_a_clock_that_goes_back_takes_nothing_away),
        test(fault_42_the_journal_gives_the_same_figures),
        test(fault_18_records_and_statements_are_held_together),
        test(replay_tells_what_it_cannot_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
