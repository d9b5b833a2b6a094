#include "node/documents.h"

#include "tests/unit/node/office.h"

static const char tree[] = "code,name,tier,parent_code\n"
                           "c,County,county,\n"
                           "t1,Town 1,township,c\n"
                           "v1,Village 1,village,t1\n"
                           "v2,Village 2,village,t1\n"
                           "t2,Town 2,township,c\n";
static const char codebook[] =
    "codebook: {id: small, version: 7, grammar: 1, tz: \"+08:00\", base: month, tiers: [county, township, village], zh: 小, en: small}\n";

static struct hash add(struct txn *txn, const char *text)
{
    struct hash hash = crypto_hash(TAG_DOCUMENT, bytes_of_text(text));
    object_add(txn, &hash, OBJECT_DOCUMENT, bytes_of_text(text));
    return hash;
}

static struct documents *load(struct txn *txn, const char *unit)
{
    struct documents *documents = NULL;
    struct error error = {0};
    if (documents_load(txn, unit, &documents, &error) != OK)
        fail_msg("%s", error.detail);
    return documents;
}

static void refused(struct txn *txn, const char *unit, enum error_code wanted, const char *text)
{
    struct documents *documents = (struct documents *)8;
    struct error error = {0};
    assert_int_equal(documents_load(txn, unit, &documents, &error), wanted);
    assert_ptr_equal(documents, (struct documents *)8);
    if (!strstr(error.detail, text))
        fail_msg("%s: not '%s'", error.detail, text);
}

static void an_older_version_never_replaces_a_newer_one(void **context)
{
    (void)context;
    struct office office;
    struct hash one = {{1}}, two = {{2}}, got = {{9}};
    uint32_t version = 99;
    office_open(&office, tree, "c");
    office_begin(&office);
    struct txn *txn = office.desk.txn;
    assert_false(document_in_force(txn, DOCUMENT_CODEBOOK, &got, &version));
    assert_int_equal(version, 99);
    assert_true(document_enforce(txn, DOCUMENT_CODEBOOK, &two, 2));
    assert_false(document_enforce(txn, DOCUMENT_CODEBOOK, &one, 1));
    assert_false(document_enforce(txn, DOCUMENT_CODEBOOK, &one, 2)); // the first of a version stands
    assert_true(document_in_force(txn, DOCUMENT_CODEBOOK, &got, &version));
    assert_true(hash_equal(&got, &two));
    assert_int_equal(version, 2);
    assert_false(document_in_force(txn, DOCUMENT_UNITS, &got, &version)); // each kind for itself
    assert_true(document_enforce(txn, DOCUMENT_CODEBOOK, &one, 3));
    office_commit(&office);
    txn = office_read(&office);
    assert_true(document_in_force(txn, DOCUMENT_CODEBOOK, &got, &version));
    assert_true(hash_equal(&got, &one));
    assert_int_equal(version, 3);
    txn_abort(txn);
    office_close(&office);
}

static void what_is_in_force_is_loaded(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "t1");
    office_begin(&office);
    struct txn *txn = office.desk.txn;
    document_enforce(txn, DOCUMENT_UNITS, &office.units->hash, 4);
    struct documents *documents = load(txn, "t1");
    assert_null(documents->codebook);
    assert_int_equal(documents->codebook_version, 0);
    assert_int_equal(documents->units_version, 4);
    assert_string_equal(documents->units->items[documents->unit].code, "t1");
    for (int32_t i = 0; i < 5; i++) {
        assert_int_equal(documents->unit_ids[i], i + 1);
        assert_int_equal(documents->delegated[i], 0);
    }
    documents_destroy(documents);
    struct hash hash = add(txn, codebook);
    document_enforce(txn, DOCUMENT_CODEBOOK, &hash, 7);
    documents = load(txn, "c");
    assert_string_equal(documents->codebook->id, "small");
    assert_int_equal(documents->codebook_version, 7);
    assert_int_equal(documents->unit, 0);
    documents_destroy(documents);
    documents_destroy(NULL);
    office_commit(&office);
    office_close(&office);
}

static void a_new_tree_gets_its_numbers(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "c");
    office_begin(&office);
    struct txn *txn = office.desk.txn;
    struct hash hash = add(txn, "code,name,tier,parent_code\nc,County,county,\nt3,Town 3,township,c\nt1,Town 1,township,c\n");
    document_enforce(txn, DOCUMENT_UNITS, &hash, 2);
    struct documents *documents = load(txn, "c");
    assert_int_equal(documents->unit_ids[1], UNIT_ID_NONE); // not yet
    documents_number(documents, txn);
    assert_int_equal(documents->unit_ids[0], 1);
    assert_int_equal(documents->unit_ids[1], 6);
    assert_int_equal(documents->unit_ids[2], 2);
    documents_destroy(documents);
    office_commit(&office);
    office_close(&office);
}

static void children_speak_for_their_units(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "c");
    office_begin(&office);
    struct txn *txn = office.desk.txn;
    document_enforce(txn, DOCUMENT_UNITS, &office.units->hash, 1);
    peer_write(txn, &(struct peer){.station = {{1}}, .unit = "t1"});
    peer_write(txn, &(struct peer){.station = {{2}}, .unit = "t2", .barred = true});
    peer_write(txn, &(struct peer){.station = {{3}}, .unit = "gone"}); // not in the tree
    peer_write(txn, &(struct peer){.station = {{4}}, .unit = "c"});    // never: it is our own
    struct documents *documents = load(txn, "c");
    static const uint8_t wanted[] = {0, 1, 1, 1, 0}; // t1 and all below it
    assert_memory_equal(documents->delegated, wanted, 5);
    documents_destroy(documents);
    peer_write(txn, &(struct peer){.station = {{1}}, .unit = "t1", .barred = true});
    documents = load(txn, "c");
    static const uint8_t none[5];
    assert_memory_equal(documents->delegated, none, 5);
    documents_destroy(documents);
    office_commit(&office);
    office_close(&office);
}

static void what_cannot_be_in_force_is_refused(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "c");
    office_begin(&office);
    struct txn *txn = office.desk.txn;
    refused(txn, "c", ERR_CORRUPT, "no unit tree");
    document_enforce(txn, DOCUMENT_UNITS, &office.units->hash, 1);
    refused(txn, "x9", ERR_NOT_FOUND, "x9");
    struct hash absent = {{5}}, bad = add(txn, "codebook: {id: small\n"), list = add(txn, "code,name\n");
    document_enforce(txn, DOCUMENT_CODEBOOK, &absent, 1);
    refused(txn, "c", ERR_CORRUPT, "not in the store");
    document_enforce(txn, DOCUMENT_CODEBOOK, &office.root.hash, 2); // a certificate
    refused(txn, "c", ERR_CORRUPT, "not in the store");
    document_enforce(txn, DOCUMENT_CODEBOOK, &bad, 3);
    refused(txn, "c", ERR_INPUT, "codebook.yaml:");
    document_enforce(txn, DOCUMENT_UNITS, &list, 2);
    refused(txn, "c", ERR_INPUT, "units.csv:");
    office_commit(&office);
    office_close(&office);
}

// Damage reads as absence: without care a station whose PEERS are damaged would speak for units that others speak for.
static void fault_10_damage_is_not_taken_for_absence(void **context)
{
    (void)context;
    static const enum table tables[] = {TABLE_OBJECTS, TABLE_PEERS, TABLE_UNITS, TABLE_META};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        struct office office;
        office_open(&office, tree, "c");
        office_begin(&office);
        struct txn *txn = office.desk.txn;
        struct hash hash = add(txn, codebook);
        document_enforce(txn, DOCUMENT_UNITS, &office.units->hash, 1);
        document_enforce(txn, DOCUMENT_CODEBOOK, &hash, 7);
        peer_write(txn, &(struct peer){.station = {{1}}, .unit = "t1"});
        static uint8_t value[4096];
        uint8_t key[64];
        struct bytes at = tables[i] == TABLE_OBJECTS ? bytes_of(hash.bytes, HASH_SIZE)
                          : tables[i] == TABLE_META  ? bytes_of_text("document/1")
                                                     : bytes_of(NULL, 0);
        struct cursor *cursor = cursor_open(txn, tables[i]);
        assert_true(cursor_seek(cursor, at));
        size_t key_size = cursor_key(cursor).size, size = cursor_value(cursor).size;
        assert_true(key_size <= sizeof key && size <= sizeof value);
        memcpy(key, cursor_key(cursor).data, key_size);
        memcpy(value, cursor_value(cursor).data, size);
        cursor_close(cursor);
        value[size / 2] ^= 0x10;
        txn_put(txn, tables[i], bytes_of(key, key_size), bytes_of(value, size));
        if (tables[i] == TABLE_OBJECTS)
            txn_delete(txn, TABLE_COPIES, bytes_of(key, key_size)); // or it would be read from there
        office_commit(&office);
        txn = office_read(&office);
        refused(txn, "c", ERR_CORRUPT, table_name(tables[i]));
        txn_abort(txn);
        office_close(&office);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_older_version_never_replaces_a_newer_one),
        cmocka_unit_test(what_is_in_force_is_loaded),
        cmocka_unit_test(a_new_tree_gets_its_numbers),
        cmocka_unit_test(children_speak_for_their_units),
        cmocka_unit_test(what_cannot_be_in_force_is_refused),
        cmocka_unit_test(fault_10_damage_is_not_taken_for_absence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
