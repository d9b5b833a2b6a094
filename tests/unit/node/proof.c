#include "tests/unit/node/office.h"

#include <stdio.h>
#include <stdlib.h>

#include "control.pb-c.h"
#include "envelope.pb-c.h"
#include "node/proof.h"
#include "record.pb-c.h"

static const char tree[] = "code,name,tier,parent_code\n"
                           "c,County,county,\n"
                           "t1,Town 1,township,c\n"
                           "v1,Village 1,village,t1\n"
                           "v2,Village 2,village,t1\n"
                           "t2,Town 2,township,c\n"
                           "v3,Village 3,village,t2\n";
enum { APRIL = 2024 * 12 + 3, MAY = APRIL + 1, ORPHAN = 2, DISABLED = 4, F = 2 };

struct county {
    struct office office;
    struct mate v1, t1, old, v3;
};

static uint32_t child(uint32_t category, uint32_t sex) { return category * 4 + sex; }

static void full(struct county *county, struct mate *mate, int indicator, const char *unit, int32_t month, uint32_t cell, int64_t value)
{
    mate_state(mate, &county->office, indicator, unit, MONTH_TYPE, month, true, &cell, &value, 1);
}

static void patch(struct county *county, struct mate *mate, int indicator, const char *unit, int32_t month, uint32_t cell, int64_t value)
{
    mate_state(mate, &county->office, indicator, unit, MONTH_TYPE, month, false, &cell, &value, 1);
}

// Several feeds, several batches, an incarnation that no longer speaks, the county's own, restatements.
static struct county *county_open(void)
{
    struct county *county = calloc(1, sizeof *county);
    struct office *office = &county->office;
    office_open(office, tree, "c");
    mate_open(&county->v1, office, "v1", 3, 2);
    mate_open(&county->old, office, "v1", 3, 1);
    county->old.certificate.station = county->old.feed.station; // a lower incarnation of another machine
    mate_open(&county->t1, office, "t1", 2, 1);
    mate_open(&county->v3, office, "v3", 3, 1);
    office_begin(office);
    full(county, &county->old, VISITS, "v1", MAY, ORPHAN, 999999);
    mate_send(&county->old, office);
    full(county, &county->v1, VISITS, "v1", APRIL, ORPHAN, 1);
    full(county, &county->v1, VISITS, "v1", MAY, ORPHAN, 5555);
    full(county, &county->v1, VISITS, "v1", MAY, ORPHAN, 10);
    mate_send(&county->v1, office);
    patch(county, &county->v1, VISITS, "v1", MAY, DISABLED, 3);
    patch(county, &county->v1, VISITS, "v1", APRIL, ORPHAN, 2);
    patch(county, &county->v1, VISITS, "v1", MAY, ORPHAN, 20);
    full(county, &county->v1, CHILDREN, "v1", APRIL - 30, child(0, F), 50);
    full(county, &county->v1, CHILDREN, "v1", MAY, child(0, F), -4);
    mate_send(&county->v1, office);
    full(county, &county->t1, VISITS, "v2", MAY, ORPHAN, 100);
    full(county, &county->t1, VISITS, "t1", MAY, ORPHAN, 1000);
    mate_state(&county->t1, office, POPULATION, "t1", YEAR_TYPE, 2024, true, (uint32_t[]){0}, (int64_t[]){7}, 1);
    mate_send(&county->t1, office);
    full(county, &county->v3, VISITS, "v3", MAY, ORPHAN, 10000);
    mate_send(&county->v3, office);
    struct group_key own = office_group(office, office->desk.txn, VISITS, "c", MONTH_TYPE, MAY);
    ledger_add(office->ledger, &office->desk, &own, "c", ORPHAN, 100000);
    office_commit(office);
    return county;
}

static void county_close(struct county *county)
{
    mate_close(&county->v1);
    mate_close(&county->old);
    mate_close(&county->t1);
    mate_close(&county->v3);
    office_close(&county->office);
    free(county);
}

static enum error_code prove(struct county *county, const char *indicator, const char *unit, const char *period, const char *by,
                             const char *category, struct buffer *ret, struct proof_made *made, struct error *error)
{
    Sanji__FiguresRequest request = SANJI__FIGURES_REQUEST__INIT;
    Sanji__Filter filter = SANJI__FILTER__INIT, *filters = &filter;
    char *indicators[] = {(char *)indicator}, *bys[] = {(char *)by};
    request.indicators = indicators;
    request.n_indicators = 1;
    request.unit = (char *)unit;
    request.period = (char *)period;
    request.by = bys;
    request.n_by = *by ? 1 : 0;
    filter.dimension = (char *)"category";
    filter.code = (char *)category;
    request.filters = &filters;
    request.n_filters = *category ? 1 : 0;
    struct txn *txn = office_read(&county->office);
    struct figures_view view = {
        .txn = txn, .codebook = county->office.codebook, .units = county->office.units, .unit = 0, .now_ms = county->office.now_ms};
    enum error_code code = proof_make(&view, &request, NULL, NULL, ret, made, error);
    txn_abort(txn);
    return code;
}

static void holds(struct county *county, const char *indicator, const char *unit, const char *period, const char *by, const char *category,
                  int64_t value, uint32_t statements, uint32_t units)
{
    struct buffer proof = {0};
    struct proof_made made;
    struct proof_report report;
    struct error error = {0};
    char root[2 * HASH_SIZE + 1];
    if (prove(county, indicator, unit, period, by, category, &proof, &made, &error))
        fail_msg("%s", error.detail);
    assert_int_equal(made.value, value);
    assert_int_equal(made.statements, statements);
    assert_int_equal(made.units, units);
    crypto_hex(bytes_of(county->office.root.hash.bytes, HASH_SIZE), root);
    assert_int_equal(proof_check(buffer_bytes(&proof), root, &report, &error), OK);
    assert_int_equal(report.value, value);
    assert_int_equal(report.statements, statements);
    assert_int_equal(report.units, units);
    assert_true(report.root_pinned);
    assert_string_equal(report.indicator, indicator);
    assert_string_equal(report.root_unit, "c");
    assert_memory_equal(&report.root, &county->office.root.hash, sizeof report.root);
    root[0] = root[0] == '0' ? '1' : '0';
    assert_int_equal(proof_check(buffer_bytes(&proof), root, &report, &error), ERR_FORGED);
    assert_int_equal(proof_check(buffer_bytes(&proof), "abc", &report, &error), ERR_INPUT);
    buffer_finish(&proof);
}

static void figures_are_proved(void **context)
{
    (void)context;
    struct county *county = county_open();
    holds(county, "visits", "", "2024-05", "", "", 111123, 7, 5); // v1: full and two patches
    holds(county, "visits", "v1", "2024-05", "", "", 23, 3, 1);
    holds(county, "visits", "v1", "2024-05", "", "orphan", 20, 2, 1); // the patch of `disabled` is left out
    holds(county, "visits", "t1", "2024", "", "", 1125, 7, 3);
    holds(county, "visits", "t1", "2024-05", "itself", "", 1000, 1, 1);
    holds(county, "visits", "c", "2024-05", "itself", "", 100000, 1, 1); // signed by the root itself
    holds(county, "children", "", "2024-05", "", "", 46, 2, 1);          // a level: every change since the first
    holds(county, "children", "", "2024-04", "", "", 50, 1, 1);
    holds(county, "population", "", "2024", "", "", 7, 1, 1);
    county_close(county);
}

static void refuse(struct county *county, enum error_code code, const char *why, const char *indicator, const char *unit,
                   const char *period, const char *by)
{
    struct buffer proof = {0};
    struct proof_made made = {.value = 5};
    struct error error = {0};
    assert_int_equal(prove(county, indicator, unit, period, by, "", &proof, &made, &error), code);
    assert_non_null(strstr(error.detail, why));
    assert_int_equal(made.value, 5);
    assert_int_equal(proof.size, 0);
}

static void what_cannot_be_proved_is_refused(void **context)
{
    (void)context;
    struct county *county = county_open();
    refuse(county, ERR_REFUSED, "visits and children", "share", "", "2024-05", "");
    refuse(county, ERR_REFUSED, "one figure", "visits", "", "2024-05", "unit");
    refuse(county, ERR_NOT_FOUND, "nobody", "visits", "", "2024-03", "");
    refuse(county, ERR_NOT_FOUND, "nobody", "visits", "t2", "2024-05", "itself");
    refuse(county, ERR_NOT_FOUND, "nothing", "nothing", "", "2024-05", "");
    county_close(county);
}

static void a_view_that_the_journal_does_not_bear_out_is_no_proof(void **context) // fault 42
{
    (void)context;
    struct county *county = county_open();
    struct office *office = &county->office;
    office_begin(office); // a statement that was applied and never journaled
    const uint32_t cell = ORPHAN;
    const int64_t value = 6;
    struct statement statement = {.definition = office->codebook->indicators[VISITS].definition,
                                  .unit = "v3",
                                  .term = 3,
                                  .period = {MONTH_TYPE, MAY},
                                  .scope = SANJI__SCOPE__OWN,
                                  .basis = SANJI__BASIS__COMPUTED,
                                  .extent = SANJI__EXTENT__PATCH,
                                  .cells = &cell,
                                  .values = &value,
                                  .count = 1};
    struct speaker speaker = {county->v3.certificate.station, 3, 1, 50, office->now_ms, units_find(office->units, "v3"), 0,
                              county->v3.feed.nonce};
    const char *reason;
    assert_int_equal(ledger_apply(office->ledger, &office->desk, &statement, &speaker, &reason), VERDICT_APPLIED);
    office_commit(office);
    refuse(county, ERR_CORRUPT, "add up", "visits", "", "2024-05", "");
    county_close(county);
}

static void fault_27_every_flipped_bit_is_found(void **context)
{
    (void)context;
    struct county *county = county_open();
    struct buffer proof = {0};
    struct proof_made made;
    struct proof_report report;
    struct error error = {0};
    assert_int_equal(prove(county, "visits", "v1", "2024-05", "", "", &proof, &made, &error), OK);
    uint32_t held = 0;
    for (size_t i = 0; i < proof.size; i++) {
        proof.data[i] ^= (uint8_t)(1 << i % 8);
        char root[2 * HASH_SIZE + 1];
        crypto_hex(bytes_of(county->office.root.hash.bytes, HASH_SIZE), root);
        error.detail[0] = 0;
        if (proof_check(buffer_bytes(&proof), root, &report, &error) == OK)
            held++; // when it was made: nobody signs that
        else
            assert_true(error.detail[0] != 0);
        assert_true(error.detail[0] != 0 || report.value == 23);
        proof.data[i] ^= (uint8_t)(1 << i % 8);
    }
    assert_true(held <= 10); // bytes of a time
    buffer_finish(&proof);
    county_close(county);
}

// ---- proofs that a dishonest maker might hand out

static Sanji__Proof *unpack(const struct buffer *wire, struct arena *arena)
{
    const struct codec_limits limits = {.bytes_max = 1 << 20, .elements_max = 10000};
    void *message;
    struct error error;
    assert_int_equal(codec_unpack(&sanji__proof__descriptor, buffer_bytes(wire), &limits, arena, &message, &error), OK);
    return message;
}

static void fails(Sanji__Proof *proof, const char *why)
{
    struct buffer wire = {0};
    struct proof_report report = {.value = 4321};
    struct error error = {0};
    codec_pack(proof, &wire);
    enum error_code code = proof_check(buffer_bytes(&wire), NULL, &report, &error);
    if (code != ERR_FORGED || !strstr(error.detail, why))
        fail_msg("%s: '%s' does not say '%s'", error_name(code), error.detail, why);
    assert_int_equal(report.value, 4321); // untouched
    buffer_finish(&wire);
}

static void forged_proofs_fail_and_say_where(void **context)
{
    (void)context;
    struct county *county = county_open();
    struct buffer wire = {0}, other_wire = {0};
    struct proof_made made;
    struct error error;
    struct arena arena = {0};
    assert_int_equal(prove(county, "visits", "t1", "2024-05", "", "", &wire, &made, &error), OK);
    Sanji__Proof *proof = unpack(&wire, &arena), *again;
    proof->figure->value++;
    fails(proof, "add up to 1123, not to 1124");
    proof->figure->value--;

    proof->n_entries--; // one unit's statements left out
    fails(proof, "named, but none of its statements");
    proof->figure->n_units--;
    fails(proof, "add up");
    proof->n_entries++;
    fails(proof, "added, but not named");
    proof->figure->n_units++;

    Sanji__EntryProof *first = proof->entries[1], *second = proof->entries[2]; // of v1, after t1's own
    uint32_t its_header = first->header;
    proof->entries[1] = second; // folded in another order
    proof->entries[2] = first;
    fails(proof, "statement 1 (sequence 4, unit v1, 2024-05): a patch without its full statement");
    proof->entries[1] = first;
    proof->entries[2] = second;
    Sanji__EntryProof *third = proof->entries[3];
    proof->entries[3] = first; // goes back
    fails(proof, "statement 3 (sequence 3, unit v1, 2024-05): it does not come after the one before it");
    proof->entries[3] = third;
    first->sequence++;
    fails(proof, "statement 1");
    first->sequence--;
    first->header = 99;
    fails(proof, "header is not in the proof");
    first->header = its_header;
    proof->figure->period_first = proof->figure->period_last = APRIL;
    fails(proof, "period does not belong");
    proof->figure->period_first = proof->figure->period_last = MAY;
    proof->figure->subtree = false;
    fails(proof, "unit does not belong");
    proof->figure->subtree = true;
    proof->figure->definition.data[0] ^= 1;
    fails(proof, "not defined as indicator 'visits'");
    proof->figure->definition.data[0] ^= 1;
    proof->figure->indicator[0] ^= 1;
    fails(proof, "not defined as indicator 'wisits'");
    proof->figure->indicator[0] ^= 1;
    ProtobufCBinaryData certificate = proof->certificates[1];
    proof->certificates[1] = proof->certificates[0];
    fails(proof, "certificate 1");
    proof->certificates[1] = certificate;
    proof->root.data[3] ^= 1;
    fails(proof, "root record");
    proof->root.data[3] ^= 1;
    ProtobufCBinaryData header = proof->headers[0];
    proof->headers[0] = proof->headers[1];
    fails(proof, "statement");
    proof->headers[0] = header;

    // a tree in which v3's town lies below t1: its certificate says that it does not
    assert_int_equal(prove(county, "visits", "", "2024-05", "", "", &other_wire, &made, &error), OK);
    again = unpack(&other_wire, &arena);
    static const char moved[] =
        "code,name,tier,parent_code\nc,County,county,\nt1,Town 1,township,c\nv1,Village 1,village,t1\nv2,Village 2,village,t1\n"
        "t2,Town 2,township,t1\nv3,Village 3,village,t2\n";
    again->units = (ProtobufCBinaryData){sizeof moved - 1, (uint8_t *)(uintptr_t)moved};
    again->figure->unit = (char *)"t1";
    fails(again, "stands elsewhere");
    static const char renamed[] =
        "code,name,tier,parent_code\nc,County,county,\nt1,Town 2,township,c\nv1,Village 1,village,t1\nv2,Village 2,village,t1\n"
        "t2,Town 1,township,c\nv3,Village 3,village,t2\n";
    again->units = (ProtobufCBinaryData){sizeof renamed - 1, (uint8_t *)(uintptr_t)renamed};
    again->figure->unit = (char *)"c";
    fails(again, "none that a certificate names");
    buffer_finish(&wire);
    buffer_finish(&other_wire);
    arena_finish(&arena);
    county_close(county);
}

static void bytes_that_are_no_proof_are_refused(void **context)
{
    (void)context;
    struct proof_report report;
    struct error error = {0};
    assert_int_equal(proof_check(bytes_of("hello", 5), NULL, &report, &error), ERR_INPUT);
    assert_int_equal(proof_check(bytes_of("", 0), NULL, &report, &error), ERR_INPUT);
    static const uint8_t format_2[] = {0x08, 0x02};
    assert_int_equal(proof_check(bytes_of(format_2, sizeof format_2), NULL, &report, &error), ERR_VERSION);
    static const uint8_t format_1[] = {0x08, 0x01};
    assert_int_equal(proof_check(bytes_of(format_1, sizeof format_1), NULL, &report, &error), ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_proved),
        cmocka_unit_test(what_cannot_be_proved_is_refused),
        cmocka_unit_test(a_view_that_the_journal_does_not_bear_out_is_no_proof),
        cmocka_unit_test(fault_27_every_flipped_bit_is_found),
        cmocka_unit_test(forged_proofs_fail_and_say_where),
        cmocka_unit_test(bytes_that_are_no_proof_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
