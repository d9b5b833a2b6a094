#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "relay/file.h"
#include "relay/marker.h"
#include "tests/directory.h"
#include "trust.pb-c.h"

#include "relay/codec.h"

static char *directory;

static int setup(void **state)
{
    (void)state;
    return (directory = directory_make()) && crypto_init(NULL) == OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    directory_remove(directory);
    return 0;
}

static const struct marker sample = {
    .station = {{1, 2, 3}}, .ordinal = 3, .nonce = 0xFEDCBA9876543210, .starts = 12, .end = 400, .digest = {{9}}, .clean = true, .restored = true, .wants = UINT64_MAX};

static void a_marker_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct marker marker, other = {.station = {{4}}, .nonce = 1};
    assert_int_equal(marker_read(directory, &marker, NULL), ERR_NOT_FOUND);
    assert_int_equal(marker_write(directory, &sample, NULL), OK);
    assert_int_equal(marker_read(directory, &marker, NULL), OK);
    assert_memory_equal(&marker.station, &sample.station, sizeof marker.station);
    assert_int_equal(marker.ordinal, 3);
    assert_true(marker.nonce == sample.nonce);
    assert_int_equal(marker.starts, 12);
    assert_int_equal(marker.end, 400);
    assert_memory_equal(&marker.digest, &sample.digest, sizeof marker.digest);
    assert_true(marker.clean && marker.restored && marker.wants == UINT64_MAX);
    assert_int_equal(marker_write(directory, &other, NULL), OK); // not clean, an empty journal, no incarnation granted yet
    assert_int_equal(marker_read(directory, &marker, NULL), OK);
    assert_false(marker.clean || marker.restored || marker.wants);
    assert_true(hash_is_zero(&marker.digest));
    assert_int_equal(marker.ordinal, 0);
}

static void fault_10_every_flipped_bit_and_every_cut_is_damage(void **state)
{
    (void)state;
    struct buffer file = {0};
    struct marker marker;
    struct error error = {0};
    assert_int_equal(marker_write(directory, &sample, NULL), OK);
    assert_int_equal(file_read(directory, "marker", 1000, true, &file, NULL), OK);
    for (size_t bit = 0; bit < 8 * file.size; bit += 3) {
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(file_replace(directory, "marker", buffer_bytes(&file), NULL), OK);
        assert_int_equal(marker_read(directory, &marker, &error), ERR_CORRUPT);
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size = 0; size < file.size; size += 5) {
        assert_int_equal(file_replace(directory, "marker", bytes_of(file.data, size), NULL), OK);
        assert_int_equal(marker_read(directory, &marker, &error), ERR_CORRUPT);
    }
    uint8_t large[300] = {0};
    assert_int_equal(file_replace(directory, "marker", bytes_of(large, sizeof large), NULL), OK);
    assert_int_equal(marker_read(directory, &marker, &error), ERR_CORRUPT);
    buffer_finish(&file);
}

static enum error_code read_wire(struct bytes wire)
{
    struct buffer file = {0};
    struct hash hash = crypto_hash(TAG_MARKER, wire);
    buffer_append(&file, hash.bytes, 16);
    buffer_append(&file, wire.data, wire.size);
    assert_int_equal(file_replace(directory, "marker", buffer_bytes(&file), NULL), OK);
    buffer_finish(&file);
    struct marker marker;
    return marker_read(directory, &marker, NULL);
}

static void a_later_format_is_kept_and_said(void **state)
{
    (void)state;
    assert_int_equal(read_wire(bytes_of("\x08\x02\x4a\x01x", 5)), ERR_VERSION);
    assert_int_equal(read_wire(bytes_of("\x08\x01", 2)), ERR_CORRUPT);          // no station
    assert_int_equal(read_wire(bytes_of("\x08\x01\x12\x01x", 5)), ERR_CORRUPT); // a short one
    assert_int_equal(read_wire(bytes_of("", 0)), ERR_CORRUPT);
}

static void a_marker_that_cannot_be_written_is_said(void **state)
{
    (void)state;
    struct error error = {0};
    assert_int_equal(marker_write("/nonexistent-directory", &sample, &error), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_marker_is_read_as_it_was_written),
        cmocka_unit_test(fault_10_every_flipped_bit_and_every_cut_is_damage),
        cmocka_unit_test(a_later_format_is_kept_and_said),
        cmocka_unit_test(a_marker_that_cannot_be_written_is_said),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
