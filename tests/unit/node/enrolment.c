#include "node/enrolment.h"

#include "tests/unit/node/stations.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/documents.h"
#include "relay/file.h"

static struct stations stations;

static int setup(void **context)
{
    (void)context;
    stations_begin(&stations);
    stations_root(&stations);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    stations_end(&stations);
    return 0;
}

static enum error_code read_all(struct buffer *file, struct enrolled *items, uint32_t *count)
{
    buffer_clear(file);
    return enrolment_read(stations.root, file, items, count, NULL);
}

static void test_it_has_what_makes_a_station(void **context)
{
    (void)context;
    struct enrolled items[ENROLLED_MAX];
    struct buffer file = {0};
    struct certificate certificate;
    uint32_t count = 0;
    assert_int_equal(read_all(&file, items, &count), OK);
    assert_int_equal(count, 3);
    assert_int_equal(items[0].kind, OBJECT_CERTIFICATE);
    assert_int_equal(certificate_decode(items[0].content, &certificate, NULL), OK);
    assert_true(certificate.root);
    assert_string_equal(certificate.unit, "C");
    assert_int_equal(items[1].document, DOCUMENT_UNITS);
    assert_int_equal(items[1].version, 1);
    assert_true(bytes_equal(items[1].content, bytes_of_text(stations_units)));
    assert_int_equal(items[2].document, DOCUMENT_CODEBOOK);
    buffer_finish(&file);
}

static void test_fault_12_a_damaged_one_is_not_taken(void **context)
{
    (void)context;
    struct enrolled items[ENROLLED_MAX];
    struct buffer file = {0}, whole = {0};
    uint32_t count = 0;
    assert_int_equal(read_all(&whole, items, &count), OK);
    for (size_t at = 0; at < whole.size; at += 97) {
        whole.data[at] ^= 1;
        assert_int_equal(file_replace(stations.root, "enrolment", buffer_bytes(&whole), NULL), OK);
        assert_int_equal(read_all(&file, items, &count), ERR_CORRUPT);
        whole.data[at] ^= 1;
    }
    for (size_t size = 0; size < whole.size; size += 1 + size) {
        assert_int_equal(file_replace(stations.root, "enrolment", bytes_of(whole.data, size), NULL), OK);
        assert_int_equal(read_all(&file, items, &count), ERR_CORRUPT);
    }
    char path[256];
    snprintf(path, sizeof path, "%s/enrolment", stations.root);
    unlink(path);
    assert_int_equal(read_all(&file, items, &count), ERR_NOT_FOUND);
    buffer_finish(&file);
    buffer_finish(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_has_what_makes_a_station, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fault_12_a_damaged_one_is_not_taken, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
