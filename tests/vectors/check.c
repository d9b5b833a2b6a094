// Decodes every file of schema/vectors (the directory is the first argument) and compares: with what its own lines say must happen,
// and with what this code makes today.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "envelope.pb-c.h"
#include "record.pb-c.h"
#include "relay/batch.h"
#include "relay/enrol.h"
#include "relay/file.h"
#include "relay/heads.h"
#include "relay/introduce.h"
#include "tests/vectors/vectors.h"

static const char *directory;
static struct entry entries[BATCH_ENTRIES_MAX];

struct read_vector {
    char kind[32], with[64], expect[32];
    struct buffer bytes;
};

static void line_of(const char **at, const char *title, char *ret, size_t size)
{
    size_t title_size = strlen(title);
    if (strncmp(*at, title, title_size) != 0)
        fail_msg("expected \"%s\" at: %.40s", title, *at);
    const char *begin = *at + title_size, *end = strchr(begin, '\n');
    assert_non_null(end);
    if (ret) {
        assert_in_range((size_t)(end - begin), 1, size - 1);
        memcpy(ret, begin, (size_t)(end - begin));
        ret[end - begin] = 0;
    }
    *at = end + 1;
}

static void read_vector(const char *name, struct read_vector *ret)
{
    char file[80];
    struct buffer text = {0};
    struct error error = {0};
    memset(ret, 0, sizeof *ret);
    snprintf(file, sizeof file, "%s.hex", name);
    if (file_read(directory, file, 1 << 20, false, &text, &error) != OK)
        fail_msg("%s", error.detail);
    buffer_append(&text, "", 1);
    const char *at = (const char *)text.data;
    line_of(&at, "# kind: ", ret->kind, sizeof ret->kind);
    line_of(&at, "# with: ", ret->with, sizeof ret->with);
    line_of(&at, "# expect: ", ret->expect, sizeof ret->expect);
    line_of(&at, "# why: ", NULL, 0);
    while (*at) {
        char line[65] = "";
        line_of(&at, "", line, sizeof line);
        size_t size = strlen(line) / 2;
        assert_true(crypto_from_hex(line, buffer_extend(&ret->bytes, size), size));
    }
    buffer_finish(&text);
}

static void split_header(struct bytes wire, struct bytes *ret_header, struct bytes *ret_signature)
{
    size_t at = 0;
    assert_true(codec_next(wire, 1, &at, ret_header));
    assert_true(codec_next(wire, 2, &at, ret_signature));
}

static enum error_code check_certificate(struct bytes wire, struct bytes with, struct error *error)
{
    struct certificate certificate, issuer;
    enum error_code code = certificate_decode(wire, &certificate, error);
    if (code)
        return code;
    if (with.size)
        assert_int_equal(certificate_decode(with, &issuer, NULL), OK);
    return certificate_check(wire, &certificate, with.size ? &issuer : NULL, error);
}

static enum error_code check_header(struct bytes wire, struct bytes with, struct error *error)
{
    struct bytes inner, signature;
    struct certificate signer;
    struct header header;
    split_header(wire, &inner, &signature);
    assert_int_equal(certificate_decode(with, &signer, NULL), OK);
    enum error_code code = header_decode(inner, &header, error);
    return code ? code : header_check_signature(inner, signature, &signer, &header, error);
}

static enum error_code check_body(struct bytes wire, struct bytes with, struct error *error)
{
    struct bytes inner, signature;
    struct header header;
    split_header(with, &inner, &signature);
    assert_int_equal(header_decode(inner, &header, NULL), OK);
    return body_check(wire, &header, entries, error);
}

// The case key and the village's id, as keys.txt and certificate-village give them to anybody.
static void open_sealed(const struct entry *entry, struct buffer *ret)
{
    struct buffer text = {0};
    struct key_id id;
    struct symmetric_key key;
    struct read_vector village;
    struct certificate certificate;
    char id_text[33], key_text[65];
    assert_int_equal(file_read(directory, "keys.txt", 1 << 16, false, &text, NULL), OK);
    buffer_append(&text, "", 1);
    assert_int_equal(sscanf((const char *)text.data, "case id-and-key %32s %64s\n", id_text, key_text), 2);
    assert_true(crypto_from_hex(id_text, id.bytes, sizeof id.bytes) && crypto_from_hex(key_text, key.bytes, sizeof key.bytes));
    read_vector("certificate-village", &village);
    assert_int_equal(certificate_decode(buffer_bytes(&village.bytes), &certificate, NULL), OK);
    uint8_t associated[4 + STATION_ID_SIZE + KEY_ID_SIZE];
    entry_associated(&certificate.station, entry->kind, &id, associated);
    assert_memory_equal(&entry->key, &id, sizeof id);
    assert_int_equal(crypto_decrypt(&key, bytes_of(associated, sizeof associated), entry->content, ret), OK);
    buffer_finish(&village.bytes);
    buffer_finish(&text);
}

// An entry alone, as the only one of a body.
static enum error_code check_entry(struct bytes wire, struct bytes with, struct error *error)
{
    struct buffer body = {0}, content = {0};
    uint8_t secret[34] = {0x0A, 32, 1}, size[CODEC_VARINT_MAX];
    buffer_append(&body, secret, sizeof secret);
    buffer_append(&body, "\x12", 1);
    buffer_append(&body, size, codec_put_varint(size, wire.size));
    buffer_append(&body, wire.data, wire.size);
    struct header header = {.count = 1, .body_size = (uint32_t)body.size, .feed = {.lane = SANJI__LANE__CASE}};
    enum error_code code = body_decode(buffer_bytes(&body), &header, entries, error);
    if (!code && entries[0].is_sealed)
        open_sealed(&entries[0], &content);
    if (!code)
        assert_true(bytes_equal(entries[0].is_sealed ? buffer_bytes(&content) : entries[0].content, with));
    buffer_finish(&body);
    buffer_finish(&content);
    return code;
}

static enum error_code check_token(struct bytes wire, struct bytes with, struct error *error)
{
    (void)with;
    char text[TOKEN_TEXT_MAX + 1] = "", again[TOKEN_TEXT_MAX];
    struct join_token token;
    assert_true(wire.size < TOKEN_TEXT_MAX);
    memcpy(text, wire.data, wire.size);
    enum error_code code = token_parse(text, &token, error);
    if (!code) {
        assert_int_equal(token_format(&token, again, NULL), OK);
        assert_string_equal(text, again);
    }
    return code;
}

static enum error_code check_request(struct bytes wire, struct bytes with, struct error *error)
{
    (void)with;
    struct join_request request;
    enum error_code code = join_request_unpack(wire, &request, error);
    return code ? code : join_request_check(&request, error);
}

static enum error_code check_signed_heads(struct bytes wire, struct bytes with, struct error *error)
{
    static const struct codec_limits limits = {.bytes_max = MESSAGE_MAX, .elements_max = 16};
    struct arena arena = {0};
    void *unpacked;
    struct heads heads;
    struct certificate signer;
    assert_int_equal(certificate_decode(with, &signer, NULL), OK);
    enum error_code code = codec_unpack(&sanji__signed_heads__descriptor, wire, &limits, &arena, &unpacked, error);
    if (!code) {
        const Sanji__SignedHeads *message = unpacked;
        struct bytes claim = bytes_of(message->claim.data, message->claim.len);
        code = heads_decode(claim, &heads, error);
        if (!code)
            code = heads_check(claim, bytes_of(message->signature.data, message->signature.len), &heads, &signer, error);
    }
    arena_finish(&arena);
    return code;
}

static enum error_code check_introduction(struct bytes wire, struct bytes with, struct error *error)
{
    struct certificate called, caller, root;
    struct bytes bytes;
    size_t at = 0;
    assert_true(introduction_is(wire));
    assert_int_equal(certificate_decode(with, &called, NULL), OK);
    assert_true(codec_next(wire, 16, &at, &bytes));
    assert_int_equal(certificate_decode(bytes, &root, NULL), OK);
    return introduction_check(wire, &root.hash, &called.transport_key, &caller, error);
}

static const struct {
    const char *kind;
    enum error_code (*check)(struct bytes wire, struct bytes with, struct error *error);
} checks[] = {{"certificate", check_certificate},
              {"header", check_header},
              {"body", check_body},
              {"entry", check_entry},
              {"token", check_token},
              {"signed-heads", check_signed_heads},
              {"join-request", check_request},
              {"introduction", check_introduction}};

static const ProtobufCMessageDescriptor *const messages[] = {
    &sanji__statement__descriptor, &sanji__complete__descriptor,       &sanji__key_grant__descriptor,
    &sanji__announce__descriptor,  &sanji__receipt__descriptor,        &sanji__cut__descriptor,
    &sanji__heads__descriptor,     &sanji__record_section__descriptor, &sanji__custody__descriptor,
};

// A message by its name: scanned, and packed again to the same bytes.
static enum error_code check_message(const char *kind, struct bytes wire, struct error *error)
{
    static const struct codec_limits limits = {.bytes_max = ENTRY_MAX, .elements_max = 10000};
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        if (strcmp(messages[i]->short_name, kind) != 0)
            continue;
        struct arena arena = {0};
        struct buffer again = {0};
        void *message;
        enum error_code code = codec_unpack(messages[i], wire, &limits, &arena, &message, error);
        if (!code) {
            codec_pack(message, &again);
            assert_true(bytes_equal(wire, buffer_bytes(&again)));
        }
        buffer_finish(&again);
        arena_finish(&arena);
        return code;
    }
    fail_msg("unknown kind %s", kind);
    return ERR_STATE;
}

static void check_vector(const char *name)
{
    struct read_vector vector, with = {0};
    struct error error = {0};
    read_vector(name, &vector);
    if (strcmp(vector.with, "none") != 0)
        read_vector(vector.with, &with);
    struct bytes wire = buffer_bytes(&vector.bytes), other = buffer_bytes(&with.bytes);
    enum error_code code = OK;
    bool checked = false;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (strcmp(checks[i].kind, vector.kind) == 0) {
            code = checks[i].check(wire, other, &error);
            checked = true;
        }
    if (!checked)
        code = check_message(vector.kind, wire, &error);
    if (strcmp(error_name(code), vector.expect) != 0)
        fail_msg("%s: %s (%s), expected %s", name, error_name(code), error.detail, vector.expect);
    assert_int_equal(strncmp(name, "bad-", 4) == 0, code != OK);
    buffer_finish(&vector.bytes);
    buffer_finish(&with.bytes);
}

static void fault_46_each_file_means_what_it_says(void **state)
{
    (void)state;
    DIR *list = opendir(directory);
    assert_non_null(list);
    unsigned count = 0;
    for (struct dirent *file; (file = readdir(list));) {
        char name[64];
        size_t size = strlen(file->d_name);
        if (size < 4 || size >= sizeof name || strcmp(file->d_name + size - 4, ".hex") != 0)
            continue;
        memcpy(name, file->d_name, size - 4);
        name[size - 4] = 0;
        check_vector(name);
        count++;
    }
    closedir(list);
    assert_in_range(count, 60, VECTORS_MAX);
}

static void the_files_are_what_this_code_makes(void **state)
{
    (void)state;
    static struct vectors vectors;
    struct buffer file = {0}, text = {0};
    vectors_make(&vectors);
    assert_int_equal(file_read(directory, "keys.txt", 1 << 16, false, &file, NULL), OK);
    assert_true(bytes_equal(buffer_bytes(&file), buffer_bytes(&vectors.keys)));
    for (size_t i = 0; i < vectors.count; i++) {
        char name[80];
        snprintf(name, sizeof name, "%s.hex", vectors.items[i].name);
        buffer_clear(&file);
        buffer_clear(&text);
        vector_text(&vectors.items[i], &text);
        assert_int_equal(file_read(directory, name, 1 << 20, false, &file, NULL), OK);
        if (!bytes_equal(buffer_bytes(&file), buffer_bytes(&text)))
            fail_msg("%s differs: a format has changed", name);
    }
    buffer_finish(&file);
    buffer_finish(&text);
    vectors_finish(&vectors);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_46_each_file_means_what_it_says),
        cmocka_unit_test(the_files_are_what_this_code_makes),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: check DIRECTORY\n");
        return 2;
    }
    directory = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
