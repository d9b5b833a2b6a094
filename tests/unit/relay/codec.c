#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "record.pb-c.h"
#include "relay/codec.h"
#include "relay/crypto.h"
#include "relay/language.h"

typedef const struct ProtobufCMessageDescriptor *descriptor;
static const struct codec_limits wide = {.bytes_max = 1 << 20, .elements_max = 10000};

static struct bytes hex(const char *text)
{
    static uint8_t data[512];
    size_t size = strlen(text) / 2;
    assert_in_range(size, 0, sizeof data);
    assert_true(crypto_from_hex(text, data, size));
    return bytes_of(data, size);
}

static void refused(descriptor type, const char *text, enum error_code code, const char *where)
{
    struct error error = {0};
    struct arena arena = {0};
    void *message = NULL;
    if (codec_scan(type, hex(text), &wide, &error) != code || !strstr(error.detail, where))
        fail_msg("%s: %s \"%s\", expected %s at \"%s\"", text, error_name(error.code), error.detail, error_name(code), where);
    assert_int_equal(codec_unpack(type, hex(text), &wide, &arena, &message, NULL), code);
    assert_null(message);            // untouched
    assert_int_equal(arena.used, 0); // refused before anything was allocated
    arena_finish(&arena);
}

static void accepted(descriptor type, struct bytes wire)
{
    struct error error = {0};
    struct arena arena = {0};
    void *message = NULL;
    if (codec_unpack(type, wire, &wide, &arena, &message, &error) != OK)
        fail_msg("%s", error.detail);
    struct buffer again = {0};
    codec_pack(message, &again);
    assert_true(bytes_equal(wire, buffer_bytes(&again)));
    buffer_finish(&again);
    arena_finish(&arena);
}

static void canonical_bytes_come_back_the_same(void **state)
{
    (void)state;
    accepted(&sanji__entry__descriptor, hex("080210011a0161"));
    accepted(&sanji__feed__descriptor, hex("0a026161"
                                           "1001"
                                           "190300000000000000"
                                           "2001"
                                           "2801"));
    accepted(&sanji__link_message__descriptor, hex("090102030405060708"
                                                   "2a11080110021901000000000000002001"
                                                   "2802"));
}

static void fault_46_nothing_is_no_message_unless_said_so(void **state)
{
    (void)state;
    struct codec_limits limits = wide;
    assert_int_equal(codec_scan(&sanji__entry__descriptor, bytes_of(NULL, 0), &limits, NULL), ERR_INPUT);
    limits.empty_ok = true;
    assert_int_equal(codec_scan(&sanji__entry__descriptor, bytes_of(NULL, 0), &limits, NULL), OK);
    struct arena arena = {0};
    void *message = NULL;
    assert_int_equal(codec_unpack(&sanji__entry__descriptor, bytes_of(NULL, 0), &limits, &arena, &message, NULL), OK);
    assert_int_equal(((Sanji__Entry *)message)->kind, 0);
    arena_finish(&arena);
}

static void fault_46_what_is_not_canonical_is_refused(void **state)
{
    (void)state;
    descriptor entry = &sanji__entry__descriptor, statement = &sanji__statement__descriptor, feed = &sanji__feed__descriptor;
    descriptor link = &sanji__link_message__descriptor, value = &sanji__value__descriptor, hello = &sanji__hello__descriptor;
    refused(entry,
            "0802100130"
            "01",
            ERR_INPUT, "byte 4"); // unknown field 6
    refused(entry,
            "08021a0161"
            "3a0162",
            ERR_INPUT, "byte 5");                                // unknown field 7
    refused(entry, "10010802", ERR_INPUT, "byte 2");             // out of order
    refused(entry, "08020801", ERR_INPUT, "Entry.kind, byte 2"); // singular field twice
    refused(entry, "1a01611a0162", ERR_INPUT, "Entry.clear, byte 3");
    refused(entry, "0a0102", ERR_INPUT, "Entry.kind, byte 0"); // wrong wire types
    refused(entry, "1801", ERR_INPUT, "Entry.clear, byte 0");
    refused(feed, "1801", ERR_INPUT, "Feed.nonce, byte 0");       // varint for fixed64
    refused(feed, "1d01000000", ERR_INPUT, "Feed.nonce, byte 0"); // fixed32 for fixed64
    refused(entry, "0b", ERR_INPUT, "byte 0");                    // groups, and types that are none
    refused(entry, "0c", ERR_INPUT, "byte 0");
    refused(entry, "0e00", ERR_INPUT, "byte 0");
    refused(entry,
            "0801"
            "00",
            ERR_INPUT, "byte 2");                            // field number 0
    refused(entry, "0800", ERR_INPUT, "Entry.kind, byte 0"); // default values
    refused(entry, "08021000", ERR_INPUT, "Entry.time_ms, byte 2");
    refused(entry, "1a00", ERR_INPUT, "Entry.clear, byte 0");
    refused(feed, "190000000000000000", ERR_INPUT, "Feed.nonce, byte 0");
    refused(value, "1000", ERR_INPUT, "Value.has_number, byte 0");
    refused(value, "2a00", ERR_INPUT, "Value.text, byte 0");
    refused(entry, "088200", ERR_INPUT, "byte 0"); // over-long varints: value,
    refused(entry,
            "888000"
            "02",
            ERR_INPUT, "byte 0");                                     // tag,
    refused(entry, "1a810061", ERR_INPUT, "byte 0");                  // length
    refused(entry, "10ffffffffffffffffff02", ERR_INPUT, "byte 0");    // above 64 bits
    refused(entry, "10ffffffffffffffffffff01", ERR_INPUT, "byte 0");  // 11 bytes
    refused(feed, "10ffffffff1f", ERR_INPUT, "Feed.ordinal, byte 0"); // above 32 bits
    refused(value, "1002", ERR_INPUT, "Value.has_number, byte 0");    // a bool of 2
    refused(value, "18ffffffff1f", ERR_INPUT, "Value.date, byte 0");  // a sint32 of 33 bits
    refused(entry, "0863", ERR_INPUT, "Entry.kind, byte 0");          // enum values that are not declared
    refused(entry, "08ffffffffffffffffff01", ERR_INPUT, "Entry.kind, byte 0");
    refused(feed, "2006", ERR_INPUT, "Feed.lane, byte 0");
    refused(entry, "08", ERR_INPUT, "byte 0"); // cut short
    refused(entry, "1a0561", ERR_INPUT, "byte 0");
    refused(entry, "1affffffffffffffffff01", ERR_INPUT, "byte 0"); // a length near 2^64
    refused(feed, "1901020304050607", ERR_INPUT, "byte 0");
    refused(link,
            "12021001"
            "2a021801",
            ERR_INPUT, "LinkMessage.ack, byte 4"); // two members of a oneof
    refused(hello,
            "4a020801"
            "4a020800",
            ERR_INPUT, "Hello.held.stream, byte 6"); // inside a message: a default value
    // packed arrays
    refused(statement, "5001", ERR_INPUT, "Statement.cells, byte 0"); // unpacked
    refused(statement,
            "52010152"
            "0102",
            ERR_INPUT, "Statement.cells, byte 3");                              // in two pieces
    refused(statement, "5200", ERR_INPUT, "Statement.cells");                   // empty
    refused(statement, "52028100", ERR_INPUT, "Statement.cells, byte 2");       // over-long element
    refused(statement, "520181", ERR_INPUT, "Statement.cells, byte 2");         // cut short
    refused(statement, "5205ffffffff1f", ERR_INPUT, "Statement.cells, byte 2"); // above 32 bits
}

static void enums_can_be_left_open(void **state)
{
    (void)state;
    struct codec_limits limits = wide;
    limits.open_enums = true;
    assert_int_equal(codec_scan(&sanji__entry__descriptor, hex("0863"), &limits, NULL), OK);
    assert_int_equal(codec_scan(&sanji__entry__descriptor, hex("0800"), &limits, NULL), ERR_INPUT);
    assert_int_equal(codec_scan(&sanji__entry__descriptor, hex("088080808008"), &limits, NULL), ERR_INPUT); // above INT32_MAX
}

static void presence_that_proto3_has_is_kept(void **state)
{
    (void)state;
    accepted(&sanji__statement__descriptor, hex("52020001"
                                                "5a020000")); // zeros inside packed arrays
    accepted(&sanji__link_message__descriptor, hex("2a00"));  // an empty member of a oneof
    accepted(&sanji__value__descriptor, hex("3200"
                                            "320161"));                 // an empty string in a repeated field
    accepted(&sanji__value__descriptor, hex("4a00"));                   // an empty message
    accepted(&sanji__value__descriptor, hex("1803"));                   // -2
    accepted(&sanji__entry__descriptor, hex("10ffffffffffffffffff01")); // 2^64 - 1
}

static void fault_47_strings_are_utf8_without_nul(void **state)
{
    (void)state;
    descriptor value = &sanji__value__descriptor;
    refused(value,
            "2a0161"
            "2a0162",
            ERR_INPUT, "Value.text, byte 3");
    refused(value, "2a01ff", ERR_INPUT, "Value.text, byte 0");
    refused(value, "2a0461006263", ERR_INPUT, "Value.text, byte 0");
    refused(value, "2a02c080", ERR_INPUT, "Value.text, byte 0");
    refused(value, "2a03eda080", ERR_INPUT, "Value.text, byte 0");
    refused(value,
            "320161"
            "3201ff",
            ERR_INPUT, "Value.codes, byte 3");
    accepted(value, hex("2a03e7baa7"));
    accepted(value, hex("3a0200ff")); // bytes may hold anything
}

// ---- a message type that holds itself: none of ours may, and this is why
static const ProtobufCFieldDescriptor nest_fields[1];
static const ProtobufCIntRange nest_ranges[] = {{1, 0}, {0, 1}};
static const unsigned nest_names[] = {0};
static const ProtobufCMessageDescriptor nest = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "Nest",
    .short_name = "Nest",
    .sizeof_message = sizeof(ProtobufCMessage) + sizeof(void *),
    .n_fields = 1,
    .fields = nest_fields,
    .fields_sorted_by_name = nest_names,
    .n_field_ranges = 1,
    .field_ranges = nest_ranges,
};
static const ProtobufCFieldDescriptor nest_fields[1] = {
    {"inner", 1, PROTOBUF_C_LABEL_NONE, PROTOBUF_C_TYPE_MESSAGE, 0, sizeof(ProtobufCMessage), &nest, NULL, 0, 0, NULL, NULL}};

static struct bytes nested(unsigned depth)
{
    static uint8_t wire[64];
    size_t begin = sizeof wire;
    for (unsigned i = 1; i < depth; i++) {
        uint8_t size = (uint8_t)(sizeof wire - begin);
        wire[--begin] = size;
        wire[--begin] = 0x0A;
    }
    return bytes_of(wire + begin, sizeof wire - begin);
}

static void fault_45_depth_is_bounded(void **state)
{
    (void)state;
    struct error error = {0};
    assert_int_equal(codec_scan(&nest, nested(CODEC_DEPTH_MAX), &wide, &error), OK);
    assert_int_equal(codec_scan(&nest, nested(CODEC_DEPTH_MAX + 1), &wide, &error), ERR_LIMIT);
    assert_non_null(strstr(error.detail, "Nest.inner.inner"));
    assert_int_equal(codec_scan(&nest, nested(30), &wide, &error), ERR_LIMIT);
    // 30 kB of nesting kills protobuf-c alone; the scan's cost is bounded by CODEC_DEPTH_MAX
    struct buffer deep = {0};
    for (int i = 0; i < 15000; i++)
        buffer_append(&deep, "\x0a\x80", 2);
    assert_int_not_equal(codec_scan(&nest, buffer_bytes(&deep), &wide, &error), OK);
    buffer_finish(&deep);
}

static void fault_44_bytes_and_elements_are_bounded(void **state)
{
    (void)state;
    struct codec_limits limits = {.bytes_max = 7, .elements_max = 3};
    struct error error = {0};
    assert_int_equal(codec_scan(&sanji__entry__descriptor, hex("080210011a0161"), &limits, &error), OK);
    limits.bytes_max = 6;
    assert_int_equal(codec_scan(&sanji__entry__descriptor, hex("080210011a0161"), &limits, &error), ERR_LIMIT);
    limits = (struct codec_limits){.bytes_max = 7, .elements_max = 2};
    assert_int_equal(codec_scan(&sanji__entry__descriptor, hex("080210011a0161"), &limits, &error), ERR_LIMIT);
    // elements of packed arrays count one by one
    limits = (struct codec_limits){.bytes_max = 100, .elements_max = 4};
    assert_int_equal(codec_scan(&sanji__statement__descriptor, hex("5203000102"), &limits, &error), OK);
    assert_int_equal(codec_scan(&sanji__statement__descriptor, hex("520400010203"), &limits, &error), ERR_LIMIT);
}

static void fault_44_empty_messages_do_not_amplify(void **state)
{
    (void)state; // 2 MB of empty sub-messages made protobuf-c allocate 161 MB
    struct buffer wire = {0};
    for (int i = 0; i < 1000000; i++)
        buffer_append(&wire, "\x5a\x00", 2); // Value.rows
    struct codec_limits limits = {.bytes_max = 4 << 20, .elements_max = 5000};
    struct arena arena = {0};
    void *message = NULL;
    assert_int_equal(codec_unpack(&sanji__value__descriptor, buffer_bytes(&wire), &limits, &arena, &message, NULL), ERR_LIMIT);
    assert_int_equal(arena.used, 0);
    // and where the elements are allowed, the arena is the limit
    limits.elements_max = UINT32_MAX;
    arena.limit = 1 << 20;
    struct error error = {0};
    assert_int_equal(codec_unpack(&sanji__value__descriptor, buffer_bytes(&wire), &limits, &arena, &message, &error), ERR_LIMIT);
    assert_null(message);
    assert_true(arena.used <= arena.limit);
    arena_finish(&arena);
    buffer_finish(&wire);
}

// ---- any bytes at all: what passes is what pack() would have written

static uint32_t random_state = 1;
static uint32_t draw(uint32_t below)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % below;
}

static void fault_46_whatever_passes_packs_to_the_same_bytes(void **state)
{
    (void)state;
    static const struct {
        descriptor type;
        const char *wire;
    } seeds[] = {
        {&sanji__entry__descriptor, "080210011a0161"},
        {&sanji__statement__descriptor, "12033332311801280130c0fc0138014001480152030001055a0301028101"},
        {&sanji__value__descriptor, "08021001180320012a03e7baa73201613201624201614a0208045a050a030a0161"},
        {&sanji__link_message__descriptor, "0901020304050607082a11080110021901000000000000002001"
                                           "2802"},
        {&sanji__head__descriptor, "0a130a0261611001190300000000000000200128011002"
                                   "1a0162"},
    };
    unsigned passed = 0;
    for (unsigned round = 0; round < 60000; round++) {
        uint8_t data[128];
        descriptor type = seeds[round % 5].type;
        const char *text = seeds[round % 5].wire;
        size_t size = strlen(text) / 2;
        assert_true(crypto_from_hex(text, data, size));
        for (uint32_t changes = draw(4); changes > 0; changes--) {
            uint32_t at = draw((uint32_t)size);
            switch (draw(3)) {
            case 0:
                data[at] ^= (uint8_t)(1u << draw(8));
                break;
            case 1:
                data[at] = (uint8_t)draw(256);
                break;
            default:
                memmove(data + at, data + at + 1, size - at - 1);
                size -= size > 1;
            }
        }
        struct bytes wire = bytes_of(data, size);
        if (codec_scan(type, wire, &wide, NULL) == OK) {
            passed++;
            accepted(type, wire);
        }
    }
    assert_true(passed > 1000);
}

static void a_field_is_walked_in_place(void **state)
{
    (void)state;
    struct bytes wire = hex("0802"
                            "1005"
                            "1a03616263"
                            "2a0164");
    struct codec_field field;
    size_t at = 0;
    assert_true(codec_walk(wire, &at, &field));
    assert_int_equal(field.number, 1);
    assert_int_equal(field.value, 2);
    assert_true(codec_walk(wire, &at, &field));
    assert_int_equal(field.value, 5);
    assert_true(codec_walk(wire, &at, &field));
    assert_true(bytes_equal(field.bytes, bytes_of_text("abc")));
    assert_int_equal(field.whole.size, 5);
    assert_true(codec_walk(wire, &at, &field));
    assert_int_equal(field.number, 5);
    assert_false(codec_walk(wire, &at, &field));
    at = 0;
    struct bytes bytes;
    assert_true(codec_next(wire, 5, &at, &bytes));
    assert_true(bytes_equal(bytes, bytes_of_text("d")));
    assert_false(codec_next(wire, 5, &at, &bytes));
    at = 0;
    assert_false(codec_next(wire, 1, &at, &bytes)); // not length-delimited
    at = 0;
    assert_false(codec_walk(hex("1aff"), &at, &field)); // malformed: an end, never beyond it
    assert_int_equal(at, 0);
}

static void versions_are_seen_before_what_they_added(void **state)
{
    (void)state;
    struct error error = {0};
    assert_int_equal(codec_version(hex("08011001"), &error), OK);
    assert_int_equal(codec_version(hex("08021001f801"), &error), ERR_VERSION);
    assert_non_null(strstr(error.detail, "format 2"));
    assert_int_equal(codec_version(hex("08011002"), &error), ERR_VERSION);
    assert_non_null(strstr(error.detail, "suite 2"));
    assert_int_equal(codec_version(hex("08ffff03"), &error), ERR_VERSION);
    assert_int_equal(codec_version(hex("0801"), &error), OK);
    assert_int_equal(codec_version(bytes_of(NULL, 0), &error), OK);
}

static void ids_and_texts_are_copied_whole_or_not(void **state)
{
    (void)state;
    uint8_t id[4] = {9, 9, 9, 9}, zero[4] = {0};
    char text[5];
    struct error error = {0};
    assert_int_equal(codec_copy(bytes_of("\1\2\3", 3), id, 4, "a.b", &error), ERR_INPUT);
    assert_string_equal(error.detail, "a.b: not 4 bytes");
    assert_int_equal(codec_copy(bytes_of(zero, 4), id, 4, "a.b", &error), ERR_INPUT);
    assert_int_equal(id[0], 9);
    assert_int_equal(codec_copy(bytes_of("\1\2\3\4", 4), id, 4, "a.b", &error), OK);
    assert_int_equal(id[3], 4);
    assert_int_equal(codec_copy_text(bytes_of_text("abcde"), text, 4, "a.c", &error), ERR_LIMIT);
    assert_int_equal(codec_copy_text(bytes_of_text("a\nb"), text, 4, "a.c", &error), ERR_INPUT);
    assert_int_equal(codec_copy_text(bytes_of_text("abcd"), text, 4, "a.c", &error), OK);
    assert_string_equal(text, "abcd");
    assert_int_equal(codec_copy_text(bytes_of(NULL, 0), text, 4, "a.c", &error), OK);
    assert_string_equal(text, "");
}

static void varints_are_written_shortest(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    static const size_t sizes[] = {1, 1, 1, 2, 2, 3, 5, 10};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        uint8_t wire[1 + CODEC_VARINT_MAX] = {0x10};
        size_t size = codec_put_varint(wire + 1, values[i]), at = 0;
        assert_int_equal(size, sizes[i]);
        assert_int_equal(codec_varint_size(values[i]), size);
        struct codec_field field;
        assert_true(codec_walk(bytes_of(wire, 1 + size), &at, &field));
        assert_true(field.value == values[i]);
    }
}

static void errors_speak_both_languages(void **state)
{
    (void)state;
    struct error error = {0};
    language_set(LANGUAGE_ZH);
    assert_int_equal(codec_scan(&sanji__entry__descriptor, hex("0800"), &wide, &error), ERR_INPUT);
    language_set(LANGUAGE_EN);
    assert_string_equal(error.detail, "Entry.kind，第 0 字节：线上出现默认值");
    assert_int_equal(codec_scan(&sanji__entry__descriptor, hex("0800"), &wide, &error), ERR_INPUT);
    assert_string_equal(error.detail, "Entry.kind, byte 0: a default value on the wire");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_bytes_come_back_the_same),
        cmocka_unit_test(fault_46_nothing_is_no_message_unless_said_so),
        cmocka_unit_test(fault_46_what_is_not_canonical_is_refused),
        cmocka_unit_test(enums_can_be_left_open),
        cmocka_unit_test(presence_that_proto3_has_is_kept),
        cmocka_unit_test(fault_47_strings_are_utf8_without_nul),
        cmocka_unit_test(fault_45_depth_is_bounded),
        cmocka_unit_test(fault_44_bytes_and_elements_are_bounded),
        cmocka_unit_test(fault_44_empty_messages_do_not_amplify),
        cmocka_unit_test(fault_46_whatever_passes_packs_to_the_same_bytes),
        cmocka_unit_test(a_field_is_walked_in_place),
        cmocka_unit_test(versions_are_seen_before_what_they_added),
        cmocka_unit_test(ids_and_texts_are_copied_whole_or_not),
        cmocka_unit_test(varints_are_written_shortest),
        cmocka_unit_test(errors_speak_both_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
