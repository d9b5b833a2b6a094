#include "node/apply.h"

#include "tests/unit/node/office.h"

#include <stdio.h>

#include "envelope.pb-c.h"
#include "node/documents.h"
#include "node/ledger_rows.h"
#include "record.pb-c.h"

static const char tree[] = "code,name,tier,parent_code\n"
                           "c,County,county,\n"
                           "t1,Town 1,township,c\n"
                           "v1,Village 1,village,t1\n"
                           "v2,Village 2,village,t1\n"
                           "t2,Town 2,township,c\n";
static const char later_tree[] = "code,name,tier,parent_code\nc,County,county,\nt1,Town 1,township,c\nv9,Village 9,village,t1\n";
static const char without_us[] = "code,name,tier,parent_code\nc,County,county,\nt2,Town 2,township,c\n";
static const char good_codebook[] =
    "codebook: {id: small, version: 2, grammar: 1, tz: \"+08:00\", base: month, tiers: [county, township, village], zh: 小, en: small}\n";
static const char later_codebook[] =
    "codebook: {id: small, version: 3, grammar: 9, tz: \"+08:00\", base: month, tiers: [county, township, village], zh: 小, en: small}\n";
enum { MAY = 2024 * 12 + 4 };

// One batch: entries added one by one, then judged.
struct act {
    struct entry entries[8];
    struct buffer contents[8];
    uint32_t count;
    const char *reason;
    bool reload;
};

static struct buffer *add(struct act *act, uint32_t kind)
{
    assert_true(act->count < 8);
    act->entries[act->count] = (struct entry){.kind = kind, .time_ms = UINT64_C(1718409600000)};
    return &act->contents[act->count++];
}

static void add_raw(struct act *act, uint32_t kind, const char *text) { buffer_append(add(act, kind), text, strlen(text)); }

static void add_statement(struct act *act, const struct office *office, const char *unit, uint64_t term, int64_t value)
{
    uint32_t cell = 2;
    struct statement statement = {.definition = office->codebook->indicators[VISITS].definition,
                                  .term = term,
                                  .period = {MONTH_TYPE, MAY},
                                  .scope = SANJI__SCOPE__OWN,
                                  .basis = SANJI__BASIS__COMPUTED,
                                  .extent = SANJI__EXTENT__FULL,
                                  .cells = &cell,
                                  .values = &value,
                                  .count = value != 0};
    snprintf(statement.unit, sizeof statement.unit, "%s", unit);
    statement_encode(&statement, add(act, SANJI__ENTRY_KIND__STATEMENT));
}

static void add_complete(struct act *act, const char *unit, uint64_t term)
{
    struct complete complete = {.term = term, .through = {MONTH_TYPE, MAY}};
    snprintf(complete.unit, sizeof complete.unit, "%s", unit);
    complete_encode(&complete, add(act, SANJI__ENTRY_KIND__COMPLETE));
}

static void add_announce(struct act *act, uint32_t kind, const struct hash *hash, size_t hash_size, uint32_t version)
{
    Sanji__Announce announce = SANJI__ANNOUNCE__INIT;
    announce.kind = (Sanji__DocumentKind)kind;
    announce.hash = (ProtobufCBinaryData){hash_size, (uint8_t *)(uintptr_t)hash->bytes};
    announce.version = version;
    announce.size = 100;
    codec_pack(&announce, add(act, SANJI__ENTRY_KIND__ANNOUNCE));
}

// In the open transaction, as the batch of `signer` that begins at `first`.
static enum verdict judge(struct act *act, struct office *office, const struct certificate *signer, uint64_t first)
{
    struct header header = {.feed = {.station = signer->station, .ordinal = signer->ordinal}, .first = first, .count = act->count};
    struct applier applier = {.desk = &office->desk};
    for (uint32_t i = 0; i < act->count; i++)
        act->entries[i].content = buffer_bytes(&act->contents[i]);
    enum verdict verdict = apply_batch(&applier, office->desk.txn, &header, signer, act->entries, 1, office->now_ms, &act->reason);
    for (uint32_t i = 0; i < act->count; i++)
        buffer_finish(&act->contents[i]);
    act->count = 0;
    act->reload = applier.reload;
    return verdict;
}

static int64_t value_of(struct office *office, const char *unit)
{
    ledger_flush(office->ledger, office->desk.txn);
    struct group_key group = office_group(office, office->desk.txn, VISITS, unit, MONTH_TYPE, MAY);
    struct cells cells;
    return cells_read(office->desk.txn, TABLE_CELLS, &group, 0, &cells) ? cells.values[2] : 0;
}

#define REASON(act, text)                                                                                                                  \
    do {                                                                                                                                   \
        assert_non_null((act)->reason);                                                                                                    \
        assert_string_equal((act)->reason, text);                                                                                          \
    } while (0)

static void statements_and_complete_count(void **context)
{
    (void)context;
    struct office office;
    struct mate v1;
    struct act act = {0};
    struct complete_row row;
    office_open(&office, tree, "c");
    mate_open(&v1, &office, "v1", 3, 1);
    office_begin(&office);
    add_statement(&act, &office, "v1", 3, 5);
    add_complete(&act, "v1", 3);
    assert_int_equal(judge(&act, &office, &v1.certificate, 1), VERDICT_APPLIED);
    assert_null(act.reason);
    assert_int_equal(value_of(&office, "v1"), 5);
    assert_true(complete_row_read(office.desk.txn, 3, MONTH_TYPE, &row));
    assert_int_equal(row.through, MAY);
    assert_int_equal(row.sequence, 2); // its place in the feed, not in the batch's bytes
    // The same again, as a deferred batch is judged again: spoken over by itself.
    add_statement(&act, &office, "v1", 3, 5);
    add_complete(&act, "v1", 3);
    assert_int_equal(judge(&act, &office, &v1.certificate, 1), VERDICT_HELD);
    add_statement(&act, &office, "v1", 3, 7);
    assert_int_equal(judge(&act, &office, &v1.certificate, 3), VERDICT_APPLIED);
    assert_int_equal(value_of(&office, "v1"), 7);
    office_commit(&office);
    mate_close(&v1);
    office_close(&office);
}

static void what_is_not_for_here_is_held(void **context)
{
    (void)context;
    struct office office;
    struct mate v1;
    struct act act = {0};
    office_open(&office, tree, "c");
    mate_open(&v1, &office, "v1", 3, 1);
    office_begin(&office);
    static const uint32_t kinds[] = {SANJI__ENTRY_KIND__RECORD,
                                     SANJI__ENTRY_KIND__KEY_GRANT,
                                     SANJI__ENTRY_KIND__RECEIPT,
                                     SANJI__ENTRY_KIND__CUSTODY,
                                     SANJI__ENTRY_KIND__CUT,
                                     SANJI__ENTRY_KIND__HEADS,
                                     99 /* of a later program */};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        add_raw(&act, kinds[i], "whatever");
    assert_int_equal(judge(&act, &office, &v1.certificate, 1), VERDICT_HELD);
    assert_null(act.reason);
    // Sealed is sealed, whatever kind it claims: nobody can judge it.
    add_raw(&act, SANJI__ENTRY_KIND__STATEMENT, "not a statement");
    act.entries[0].is_sealed = true;
    assert_int_equal(judge(&act, &office, &v1.certificate, 9), VERDICT_HELD);
    add_statement(&act, &office, "v1", 3, 5);
    add_raw(&act, 99, "later");
    assert_int_equal(judge(&act, &office, &v1.certificate, 10), VERDICT_APPLIED);
    office_commit(&office);
    mate_close(&v1);
    office_close(&office);
}

static void one_bad_entry_rejects_the_batch_and_the_others_count(void **context)
{
    (void)context;
    struct office office;
    struct mate v1;
    struct act act = {0};
    office_open(&office, tree, "c");
    mate_open(&v1, &office, "v1", 3, 1);
    office_begin(&office);
    add_statement(&act, &office, "v1", 3, 5);
    add_raw(&act, SANJI__ENTRY_KIND__COMPLETE, "\xFF");
    add_raw(&act, SANJI__ENTRY_KIND__STATEMENT, "\xFF");
    add_statement(&act, &office, "v1", 3, 6);
    assert_int_equal(judge(&act, &office, &v1.certificate, 1), VERDICT_REJECTED);
    REASON(&act, "complete does not decode"); // the first
    assert_int_equal(value_of(&office, "v1"), 6);
    office_commit(&office);
    mate_close(&v1);
    office_close(&office);
}

static void units_of_another_tree_are_waited_for(void **context)
{
    (void)context;
    struct office office;
    struct mate v1;
    struct act act = {0};
    office_open(&office, tree, "c");
    mate_open(&v1, &office, "v1", 3, 1);
    struct certificate other = v1.certificate, moved = v1.certificate;
    other.units = (struct hash){{7}};
    snprintf(moved.unit, sizeof moved.unit, "v9"); // enrolled for a unit that our tree lacks
    moved.units = other.units;
    office_begin(&office);
    add_statement(&act, &office, "v9", 3, 5);
    assert_int_equal(judge(&act, &office, &v1.certificate, 1), VERDICT_REJECTED); // it names our own tree
    assert_non_null(act.reason);
    add_statement(&act, &office, "v9", 3, 5);
    assert_int_equal(judge(&act, &office, &other, 1), VERDICT_DEFERRED);
    REASON(&act, "units");
    add_complete(&act, "v9", 3);
    assert_int_equal(judge(&act, &office, &other, 2), VERDICT_DEFERRED);
    REASON(&act, "units");
    add_complete(&act, "v9", 3);
    assert_int_equal(judge(&act, &office, &v1.certificate, 3), VERDICT_REJECTED);
    add_statement(&act, &office, "v1", 3, 5);
    assert_int_equal(judge(&act, &office, &moved, 1), VERDICT_DEFERRED);
    // Known units are judged here, whatever tree the signer has.
    add_statement(&act, &office, "v1", 3, 5);
    add_statement(&act, &office, "v9", 3, 5);
    assert_int_equal(judge(&act, &office, &other, 4), VERDICT_DEFERRED);
    assert_int_equal(value_of(&office, "v1"), 5);
    // Of two the one that waits decides, or nobody would come back to it.
    add_statement(&act, &office, "v9", 3, 5);
    add_raw(&act, SANJI__ENTRY_KIND__STATEMENT, "\xFF");
    assert_int_equal(judge(&act, &office, &other, 6), VERDICT_DEFERRED);
    add_raw(&act, SANJI__ENTRY_KIND__STATEMENT, "\xFF");
    add_statement(&act, &office, "v9", 3, 5);
    assert_int_equal(judge(&act, &office, &other, 8), VERDICT_DEFERRED);
    REASON(&act, "units");
    office_commit(&office);
    mate_close(&v1);
    office_close(&office);
}

// ---- T27: a village whose clock is four months ahead, at a county in June

enum { JUNE = MAY + 1, AUGUST = MAY + 3, OCTOBER = MAY + 5 };
static const uint64_t day_ms = 86400000;

struct ahead {
    struct office office;
    struct mate v1;
    struct act act;
    struct applier applier;
    uint64_t june;
    struct header header;
};

static void ahead_open(struct ahead *ahead)
{
    struct hash seed = {{44}};
    memset(ahead, 0, sizeof *ahead);
    crypto_random_replay(seed.bytes); // the same keys each time
    office_open(&ahead->office, tree, "c");
    mate_open(&ahead->v1, &ahead->office, "v1", 3, 1);
    ahead->june = ahead->office.now_ms;
    ahead->applier.desk = &ahead->office.desk;
    office_begin(&ahead->office);
    static const int32_t months[] = {JUNE, OCTOBER, AUGUST, OCTOBER};
    for (int i = 0; i < 4; i++) {
        uint32_t cell = (uint32_t)i + 2;
        int64_t value = 100;
        struct statement statement = {.definition = ahead->office.codebook->indicators[VISITS].definition,
                                      .unit = "v1",
                                      .term = 3,
                                      .period = {MONTH_TYPE, months[i]},
                                      .scope = SANJI__SCOPE__OWN,
                                      .basis = SANJI__BASIS__COMPUTED,
                                      .extent = i == 3 ? SANJI__EXTENT__PATCH : SANJI__EXTENT__FULL,
                                      .cells = &cell,
                                      .values = &value,
                                      .count = 1};
        statement_encode(&statement, add(&ahead->act, SANJI__ENTRY_KIND__STATEMENT));
    }
    struct complete complete = {.unit = "v1", .term = 3, .through = {MONTH_TYPE, AUGUST}, .head = 4};
    complete_encode(&complete, add(&ahead->act, SANJI__ENTRY_KIND__COMPLETE));
    for (uint32_t i = 0; i < ahead->act.count; i++) {
        ahead->act.entries[i].time_ms = ahead->june + 125 * day_ms;
        ahead->act.entries[i].content = buffer_bytes(&ahead->act.contents[i]);
    }
    ahead->header = (struct header){.feed = {.station = ahead->v1.certificate.station, .ordinal = 1}, .first = 1, .count = 5};
}

static struct hash ahead_close(struct ahead *ahead)
{
    office_commit(&ahead->office);
    struct hash tables = office_tables(&ahead->office);
    for (uint32_t i = 0; i < ahead->act.count; i++)
        buffer_finish(&ahead->act.contents[i]);
    mate_close(&ahead->v1);
    office_close(&ahead->office);
    crypto_random_replay(NULL);
    return tables;
}

// As it came in June and was judged again on some of these days. What was said of it last.
static struct hash live(const int *days, int count, enum verdict *ret, char ret_reason[32])
{
    struct ahead ahead;
    const char *reason;
    ahead_open(&ahead);
    for (int i = -1; i < count; i++) {
        ahead.office.desk.now_ms = ahead.june + (i < 0 ? 0 : (uint64_t)days[i]) * day_ms;
        *ret = apply_batch(&ahead.applier, ahead.office.desk.txn, &ahead.header, &ahead.v1.certificate, ahead.act.entries, 1, ahead.june,
                           &reason);
    }
    snprintf(ret_reason, 32, "%s", reason ? reason : "");
    return ahead_close(&ahead);
}

static struct hash fold(enum verdict verdict, const char *reason, enum verdict *ret)
{
    struct ahead ahead;
    const char *found;
    ahead_open(&ahead);
    struct batch_row row = {.position = 1, .received_ms = ahead.june, .verdict = verdict};
    snprintf(row.reason, sizeof row.reason, "%s", reason);
    *ret = apply_fold(&ahead.applier, &row, &ahead.header, &ahead.v1.certificate, ahead.act.entries, &found);
    return ahead_close(&ahead);
}

static void fault_58_what_is_held_is_folded_as_it_was_taken_up(void **context)
{
    (void)context;
    static const struct {
        int days[3], count;
        enum verdict verdict;
        const char *reason;
    } stories[] = {
        {{0}, 0, VERDICT_DEFERRED, "period 2024-08"},          // the next of the months that it waits for
        {{20, 40}, 2, VERDICT_DEFERRED, "period 2024-08"},     // July
        {{47}, 1, VERDICT_DEFERRED, "period 2024-09"},         // August: of the rest the word for August comes next
        {{20, 47, 80}, 3, VERDICT_DEFERRED, "period 2024-10"}, // September
        {{80}, 1, VERDICT_DEFERRED, "period 2024-10"},         // ... at once
        {{20, 47, 120}, 3, VERDICT_APPLIED, ""},
        {{120}, 1, VERDICT_APPLIED, ""},
    };
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        enum verdict verdict, folded_verdict;
        char reason[32];
        struct hash lived = live(stories[i].days, stories[i].count, &verdict, reason);
        assert_int_equal(verdict, stories[i].verdict);
        assert_string_equal(reason, stories[i].reason);
        struct hash folded = fold(verdict, reason, &folded_verdict);
        assert_memory_equal(&folded, &lived, sizeof lived);
        assert_int_equal(folded_verdict, verdict);
    }
    // What nobody has judged, as a row before it is damaged, leaves nothing behind.
    struct ahead ahead;
    enum verdict verdict;
    ahead_open(&ahead);
    struct hash nothing = ahead_close(&ahead), folded = fold(VERDICT_DEFERRED, "feed 00000001", &verdict);
    assert_memory_equal(&folded, &nothing, sizeof nothing);
    assert_int_equal(verdict, VERDICT_DEFERRED);
}

static struct hash object(struct office *office, enum object_kind kind, const char *text)
{
    struct hash hash = crypto_hash(TAG_DOCUMENT, bytes_of_text(text));
    object_add(office->desk.txn, &hash, kind, bytes_of_text(text));
    return hash;
}

static void only_the_root_announces(void **context)
{
    (void)context;
    struct office office;
    struct mate t2;
    struct act act = {0};
    office_open(&office, tree, "t1");
    mate_open(&t2, &office, "t2", 3, 1);
    office_begin(&office);
    struct hash good = object(&office, OBJECT_DOCUMENT, good_codebook), got;
    uint32_t version;
    add_announce(&act, DOCUMENT_CODEBOOK, &good, HASH_SIZE, 2);
    assert_int_equal(judge(&act, &office, &t2.certificate, 1), VERDICT_REJECTED);
    REASON(&act, "only the root announces");
    assert_false(act.reload);
    add_announce(&act, DOCUMENT_CODEBOOK, &good, HASH_SIZE, 2);
    assert_int_equal(judge(&act, &office, &office.self, 1), VERDICT_REJECTED);
    assert_false(document_in_force(office.desk.txn, DOCUMENT_CODEBOOK, &got, &version));
    office_commit(&office);
    mate_close(&t2);
    office_close(&office);
}

static void announcements_come_into_force(void **context)
{
    (void)context;
    struct office office;
    struct act act = {0};
    struct hash absent = crypto_hash(TAG_DOCUMENT, bytes_of_text(good_codebook)), got;
    uint32_t version;
    office_open(&office, tree, "t1");
    office_begin(&office);
    add_announce(&act, DOCUMENT_CODEBOOK, &absent, HASH_SIZE, 2);
    assert_int_equal(judge(&act, &office, &office.root, 1), VERDICT_DEFERRED);
    REASON(&act, "document");
    assert_false(act.reload);
    struct hash good = object(&office, OBJECT_DOCUMENT, good_codebook), units = object(&office, OBJECT_DOCUMENT, later_tree);
    add_announce(&act, DOCUMENT_CODEBOOK, &good, HASH_SIZE, 2);
    assert_int_equal(judge(&act, &office, &office.root, 1), VERDICT_APPLIED);
    assert_true(act.reload);
    add_announce(&act, DOCUMENT_UNITS, &units, HASH_SIZE, 5);
    assert_int_equal(judge(&act, &office, &office.root, 2), VERDICT_APPLIED);
    assert_true(act.reload);
    assert_true(document_in_force(office.desk.txn, DOCUMENT_UNITS, &got, &version));
    assert_int_equal(version, 5);
    // An older version is understood, and changes nothing.
    struct hash first = object(&office, OBJECT_DOCUMENT, tree);
    add_announce(&act, DOCUMENT_UNITS, &first, HASH_SIZE, 4);
    assert_int_equal(judge(&act, &office, &office.root, 3), VERDICT_APPLIED);
    assert_false(act.reload);
    assert_true(document_in_force(office.desk.txn, DOCUMENT_UNITS, &got, &version));
    assert_true(hash_equal(&got, &units));
    office_commit(&office);
    office_close(&office);
}

// A document that can't be read must never come into force: every later transaction would fail on it.
static void documents_that_cannot_stand_are_rejected(void **context)
{
    (void)context;
    struct office office;
    struct act act = {0};
    struct hash got;
    uint32_t version;
    office_open(&office, tree, "t1");
    office_begin(&office);
    struct hash later = object(&office, OBJECT_DOCUMENT, later_codebook), text = object(&office, OBJECT_DOCUMENT, "hello"),
                us = object(&office, OBJECT_DOCUMENT, without_us);
    const struct {
        uint32_t kind;
        const struct hash *hash;
        size_t size;
        const char *reason;
    } bad[] = {
        {DOCUMENT_CODEBOOK, &later, HASH_SIZE, "codebook does not load"},
        {DOCUMENT_CODEBOOK, &text, HASH_SIZE, "codebook does not load"},
        {DOCUMENT_UNITS, &text, HASH_SIZE, "unit tree does not load"},
        {DOCUMENT_UNITS, &us, HASH_SIZE, "unit tree without this station's unit"},
        {DOCUMENT_UNITS, &office.root.hash, HASH_SIZE, "announcement of no document"},
        {SANJI__DOCUMENT_KIND__OVERLAY, &us, HASH_SIZE, "announcement of no known document"},
        {SANJI__DOCUMENT_KIND__DOCUMENT_NONE, &us, HASH_SIZE, "announcement of no known document"},
        {DOCUMENT_UNITS, &us, HASH_SIZE - 1, "announcement of no known document"},
    };
    for (uint32_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        add_announce(&act, bad[i].kind, bad[i].hash, bad[i].size, 9);
        assert_int_equal(judge(&act, &office, &office.root, i + 1), VERDICT_REJECTED);
        REASON(&act, bad[i].reason);
        assert_false(act.reload);
    }
    add_raw(&act, SANJI__ENTRY_KIND__ANNOUNCE, "\x08\x09");
    assert_int_equal(judge(&act, &office, &office.root, 20), VERDICT_REJECTED);
    REASON(&act, "announcement does not decode");
    assert_false(document_in_force(office.desk.txn, DOCUMENT_UNITS, &got, &version));
    assert_false(document_in_force(office.desk.txn, DOCUMENT_CODEBOOK, &got, &version));
    assert_int_equal(txn_error(office.desk.txn), OK);
    office_commit(&office);
    office_close(&office);
}

// Every tier must come to the same word for the same bytes.
static void the_reason_depends_on_the_bytes_only(void **context)
{
    (void)context;
    struct office county, town;
    struct mate v1;
    office_open(&county, tree, "c");
    office_open(&town, tree, "t1");
    town.now_ms += UINT64_C(86400000) * 400;
    mate_open(&v1, &county, "v1", 3, 1);
    office_begin(&county);
    office_begin(&town);
    struct act act = {0};
    add_statement(&act, &town, "v1", 3, 1); // the town has heard of it before, the county has not
    assert_int_equal(judge(&act, &town, &v1.certificate, 1), VERDICT_APPLIED);
    for (int i = 0; i < 8; i++) {
        enum verdict verdicts[2];
        const char *reasons[2];
        for (int at = 0; at < 2; at++) {
            struct office *office = at ? &town : &county;
            switch (i) {
            case 0:
                add_raw(&act, SANJI__ENTRY_KIND__STATEMENT, "x");
                break;
            case 1:
                add_raw(&act, SANJI__ENTRY_KIND__COMPLETE, "x");
                break;
            case 2:
                add_raw(&act, SANJI__ENTRY_KIND__ANNOUNCE, "x");
                break;
            case 3:
                add_statement(&act, office, "v2", 3, 1); // not the signer's
                break;
            case 4:
                add_statement(&act, office, "v1", 4, 1); // another term than the certificate's
                break;
            case 5:
                add_statement(&act, office, "nowhere", 3, 1);
                break;
            case 6:
                add_complete(&act, "t1", 3);
                break;
            default:
                add_complete(&act, "v1", 2);
            }
            verdicts[at] = judge(&act, office, &v1.certificate, 10 + (uint64_t)i);
            reasons[at] = act.reason;
        }
        assert_int_equal(verdicts[0], VERDICT_REJECTED);
        assert_int_equal(verdicts[1], VERDICT_REJECTED);
        assert_non_null(reasons[0]);
        assert_string_equal(reasons[0], reasons[1]);
    }
    office_commit(&county);
    office_commit(&town);
    mate_close(&v1);
    office_close(&county);
    office_close(&town);
}

static void a_failed_transaction_ends_the_work(void **context)
{
    (void)context;
    struct office office;
    struct mate v1;
    struct act act = {0};
    office_open(&office, tree, "c");
    mate_open(&v1, &office, "v1", 3, 1);
    office_begin(&office);
    txn_fail(office.desk.txn, ERR_FULL, "full");
    add_statement(&act, &office, "v1", 3, 5);
    add_raw(&act, SANJI__ENTRY_KIND__STATEMENT, "x");
    judge(&act, &office, &v1.certificate, 1);
    assert_null(act.reason);
    ledger_abort(office.ledger);
    author_abort(office.author);
    txn_abort(office.desk.txn);
    office.desk.txn = NULL;
    mate_close(&v1);
    office_close(&office);
}

static void who_may_certify_whom(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "c");
    office_begin(&office);
    struct applier applier = {.desk = &office.desk};
    struct hash ours = office.units->hash, other = {{3}};
    const struct {
        const char *unit, *issuer;
        const struct hash *units;
        bool may;
    } cases[] = {
        {"t1", "c", &ours, true},   {"v1", "c", &ours, true},  {"v1", "t1", &ours, true},  {"c", "c", &ours, false},
        {"t1", "t1", &ours, false}, {"c", "t1", &ours, false}, {"v1", "t2", &ours, false}, {"t2", "t1", &ours, false},
        {"v9", "t1", &ours, false}, {"v1", "x", &ours, false}, {"v9", "t1", &other, true}, {"v1", "t2", &other, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct certificate certificate = {.units = *cases[i].units}, issuer = {0};
        snprintf(certificate.unit, sizeof certificate.unit, "%s", cases[i].unit);
        snprintf(issuer.unit, sizeof issuer.unit, "%s", cases[i].issuer);
        if (apply_may_certify(&applier, office.desk.txn, &certificate, &issuer) != cases[i].may)
            fail_msg("%s by %s", cases[i].unit, cases[i].issuer);
    }
    assert_false(applier.reload);
    apply_document(&applier, office.desk.txn, &ours, bytes_of_text("any"));
    assert_true(applier.reload);
    office_commit(&office);
    office_close(&office);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_and_complete_count),
        cmocka_unit_test(what_is_not_for_here_is_held),
        cmocka_unit_test(one_bad_entry_rejects_the_batch_and_the_others_count),
        cmocka_unit_test(units_of_another_tree_are_waited_for),
        cmocka_unit_test(fault_58_what_is_held_is_folded_as_it_was_taken_up),
        cmocka_unit_test(only_the_root_announces),
        cmocka_unit_test(announcements_come_into_force),
        cmocka_unit_test(documents_that_cannot_stand_are_rejected),
        cmocka_unit_test(the_reason_depends_on_the_bytes_only),
        cmocka_unit_test(a_failed_transaction_ends_the_work),
        cmocka_unit_test(who_may_certify_whom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
