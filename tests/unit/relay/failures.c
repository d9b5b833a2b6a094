#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// The n-th allocation, write or flush fails, n = 1, 2, 3, ... until the operation succeeds: a clean error each time, nothing leaked (the
// sanitizer watches), nothing half done. Linked with --wrap for the functions below.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "envelope.pb-c.h"
#include "relay/enrol.h"
#include "relay/file.h"
#include "relay/keyring.h"
#include "relay/marker.h"
#include "tests/directory.h"
#include "tests/samples.h"

static unsigned countdown; // 0: nothing fails
static bool failed;

static bool fails(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = true;
    return true;
}

static enum { MEMORY, DISK } kind;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
ssize_t __real_pwrite(int fd, const void *data, size_t size, off_t offset);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_rename(const char *from, const char *to);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_rename(const char *from, const char *to);

void *__wrap_malloc(size_t size) { return kind == MEMORY && fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return kind == MEMORY && fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *memory, size_t size) { return kind == MEMORY && fails() ? NULL : __real_realloc(memory, size); }

static int disk_error(int code)
{
    errno = code;
    return -1;
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (kind != DISK || !fails())
        return __real_pwrite(fd, data, size > 1 && kind == DISK ? size / 2 : size, offset); // short writes are ordinary
    return disk_error(ENOSPC);
}
int __wrap_fsync(int fd) { return kind == DISK && fails() ? disk_error(EIO) : __real_fsync(fd); }
int __wrap_fdatasync(int fd) { return kind == DISK && fails() ? disk_error(EIO) : __real_fdatasync(fd); }
int __wrap_rename(const char *from, const char *to) { return kind == DISK && fails() ? disk_error(EIO) : __real_rename(from, to); }

static struct sample samples[SAMPLES];
static char *directory;

static int setup(void **state)
{
    (void)state;
    countdown = 0;
    samples_init(samples);
    directory = directory_make();
    return directory && identity_create(directory, NULL) == OK && keyring_create(directory, NULL) == OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    countdown = 0;
    samples_finish(samples);
    directory_remove(directory);
    return 0;
}

// ---- operations; each cleans up after itself

static enum error_code make_batch(void)
{
    struct feed_key feed = sample_feed(&samples[2]);
    struct batch_draft draft = {0};
    struct feed_state chain = {.next = 1, .bodies = 1};
    struct buffer wire = {0};
    struct header header;
    uint8_t sign[SIGNATURE_SIZE], content[1000] = {1};
    enum error_code code = batch_draft_init(&draft, &feed, 1, NULL);
    for (int i = 0; i < 5 && !code; i++)
        code = batch_draft_add(&draft, SANJI__ENTRY_KIND__STATEMENT, 1, bytes_of(content, sizeof content), NULL, NULL);
    if (!code)
        code = batch_draft_sign(&draft, &chain, &samples[2].certificate, &samples[2].identity.sign.secret_key, 1, NULL, NULL, 0, &wire,
                                &header, sign, NULL);
    batch_draft_finish(&draft);
    buffer_finish(&wire);
    return code;
}

static enum error_code issue(void)
{
    struct certificate draft = sample_draft(&samples[2].identity, &samples[1].certificate);
    struct buffer wire = {0};
    enum error_code code = certificate_issue(&draft, &samples[1].certificate, &samples[1].identity.sign.secret_key, &wire, NULL);
    buffer_finish(&wire);
    return code;
}

static enum error_code unpack(void)
{
    struct codec_limits limits = {.bytes_max = 10000, .elements_max = 100};
    struct arena arena = {0};
    void *message;
    enum error_code code =
        codec_unpack(&sanji__signed_certificate__descriptor, buffer_bytes(&samples[0].wire), &limits, &arena, &message, NULL);
    arena_finish(&arena);
    return code;
}

static enum error_code token(void)
{
    struct join_token token = {
        .secret = {1}, .endpoint = "tcp://h:1", .parent_key = {{1}}, .root = {{1}}, .parent = {{1}}, .expires_ms = 1, .unit = "1"};
    char text[TOKEN_TEXT_MAX];
    enum error_code code = token_format(&token, text, NULL);
    return code ? code : token_parse(text, &token, NULL);
}

static enum error_code reply(void)
{
    struct join_reply reply = {.refusal = "no"};
    struct buffer wire = {0};
    enum error_code code = join_reply_pack(&reply, &wire, NULL);
    buffer_finish(&wire);
    return code;
}

static enum error_code seal(void)
{
    struct symmetric_key key = {{1}};
    struct buffer sealed = {0}, opened = {0};
    crypto_encrypt(&key, bytes_of(NULL, 0), bytes_of_text("x"), &sealed);
    enum error_code code = sealed.failed ? ERR_MEMORY : crypto_decrypt(&key, bytes_of(NULL, 0), buffer_bytes(&sealed), &opened);
    buffer_finish(&sealed);
    buffer_finish(&opened);
    return code;
}

static enum error_code load(void)
{
    struct identity identity;
    enum error_code code = identity_load(directory, &identity, NULL);
    if (!code)
        identity_finish(&identity);
    return code;
}

static enum error_code mark(void)
{
    struct marker marker = {.station = {{1}}, .starts = 1};
    enum error_code code = marker_write(directory, &marker, NULL);
    return code ? code : marker_read(directory, &marker, NULL);
}

static enum error_code fill_keyring(void)
{
    struct keyring *keyring;
    enum error_code code = keyring_open(directory, &keyring, NULL);
    if (code)
        return code;
    for (uint32_t n = 0; n < 800 && !code; n++) { // past the first table
        struct key_id id = {{1}};
        struct symmetric_key key = {{1}};
        put_be32(id.bytes + 4, n);
        code = keyring_add(keyring, &id, &key, NULL);
    }
    keyring_close(keyring);
    return code;
}

static void fault_13_each_allocation_may_fail(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum error_code (*run)(void);
    } cases[] = {{"batch", make_batch}, {"certificate", issue}, {"unpack", unpack}, {"token", token},         {"reply", reply},
                 {"seal", seal},        {"identity", load},     {"marker", mark},   {"keyring", fill_keyring}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned n = 1;
        for (;; n++) {
            kind = MEMORY;
            failed = false;
            countdown = n;
            enum error_code code = cases[i].run();
            countdown = 0;
            if (!failed) {
                assert_int_equal(code, OK);
                break;
            }
            if (code != ERR_MEMORY)
                fail_msg("%s, allocation %u: %s", cases[i].name, n, error_name(code));
        }
        assert_in_range(n, 2, 100); // it allocates at all
    }
}

static enum error_code create(void)
{
    char *fresh = directory_make();
    assert_non_null(fresh);
    enum error_code code = identity_create(fresh, NULL);
    unsigned left = countdown;
    countdown = 0;
    struct identity identity;
    enum error_code loaded = identity_load(fresh, &identity, NULL);
    if (!loaded)
        identity_finish(&identity);
    // All of it, or none of it and a second attempt succeeds. (A failed last sync may leave all of it.)
    assert_true(loaded == OK || (code != OK && loaded == ERR_NOT_FOUND && identity_create(fresh, NULL) == OK));
    countdown = left;
    directory_remove(fresh);
    return code;
}

static void fault_32_an_identity_is_made_whole_or_not(void **state)
{
    (void)state;
    unsigned n = 1;
    for (;; n++) {
        kind = DISK;
        failed = false;
        countdown = n;
        enum error_code code = create();
        countdown = 0;
        if (!failed)
            break;
        assert_true(code == ERR_IO || code == ERR_FULL);
    }
    assert_in_range(n, 13, 100);
}

static void fault_2_a_marker_is_old_or_new(void **state)
{
    (void)state;
    struct marker old = {.station = {{1}}, .starts = 1}, fresh = {.station = {{1}}, .starts = 2}, read;
    for (unsigned n = 1;; n++) {
        assert_int_equal(marker_write(directory, &old, NULL), OK);
        kind = DISK;
        failed = false;
        countdown = n;
        enum error_code code = marker_write(directory, &fresh, NULL);
        countdown = 0;
        assert_int_equal(marker_read(directory, &read, NULL), OK);
        assert_true(read.starts == 2 || (read.starts == 1 && code != OK));
        if (!failed) {
            assert_int_equal(code, OK);
            assert_int_equal(n > 4, true); // write, sync, rename, sync of the directory
            break;
        }
        assert_true(code == ERR_IO || code == ERR_FULL);
    }
}

static void fault_7_a_key_that_finds_no_room_is_not_there(void **state)
{
    (void)state;
    struct keyring *keyring;
    struct key_id id = {{3}};
    struct symmetric_key key = {{4}}, found;
    assert_int_equal(keyring_open(directory, &keyring, NULL), OK);
    uint64_t before = keyring_count(keyring);
    kind = DISK;
    for (unsigned n = 1; n <= 3; n++) { // at the first write, and after part of the row
        countdown = n;
        assert_int_equal(keyring_add(keyring, &id, &key, NULL), ERR_FULL);
        countdown = 0;
        assert_false(keyring_find(keyring, &id, &found));
        assert_int_equal(keyring_count(keyring), before);
    }
    assert_int_equal(keyring_add(keyring, &id, &key, NULL), OK); // room came back
    assert_int_equal(keyring_sync(keyring, NULL), OK);
    keyring_close(keyring);
    assert_int_equal(keyring_open(directory, &keyring, NULL), OK);
    assert_true(keyring_find(keyring, &id, &found));
    keyring_close(keyring);
}

static void fault_5_after_a_failed_sync_nothing_is_promised_any_more(void **state)
{
    (void)state;
    struct keyring *keyring;
    struct key_id id = {{5}}, other = {{6}};
    struct symmetric_key key = {{4}};
    struct error error = {0};
    assert_int_equal(keyring_open(directory, &keyring, NULL), OK);
    assert_int_equal(keyring_add(keyring, &id, &key, NULL), OK);
    kind = DISK;
    countdown = 1;
    assert_int_equal(keyring_sync(keyring, &error), ERR_STORE);
    countdown = 0; // the next fdatasync would say OK, and lie
    assert_int_equal(keyring_sync(keyring, &error), ERR_STORE);
    assert_int_equal(keyring_add(keyring, &other, &key, &error), ERR_STORE);
    assert_int_equal(keyring_forget(keyring, &id, &error), ERR_STORE);
    keyring_close(keyring);
    assert_int_equal(keyring_open(directory, &keyring, NULL), OK); // opened again: what is there is there
    for (unsigned n = 1; n <= 3; n++) {
        assert_int_equal(keyring_add(keyring, &id, &key, NULL), OK);
        countdown = n; // first write, second write, sync
        assert_int_equal(keyring_forget(keyring, &id, &error), ERR_STORE);
        countdown = 0;
        assert_int_equal(keyring_sync(keyring, &error), ERR_STORE);
        keyring_close(keyring);
        assert_int_equal(keyring_open(directory, &keyring, NULL), OK);
        id.bytes[0]++;
    }
    keyring_close(keyring);
}

static void fault_3_keys_of_a_killed_process_are_synced_before_they_are_relied_on(void **state)
{
    (void)state;
    struct keyring *keyring;
    struct key_id id = {{7}};
    struct symmetric_key key = {{4}};
    assert_int_equal(keyring_open(directory, &keyring, NULL), OK);
    assert_int_equal(keyring_add(keyring, &id, &key, NULL), OK);
    keyring_close(keyring); // killed: no sync
    assert_int_equal(keyring_open(directory, &keyring, NULL), OK);
    assert_int_equal(keyring_add(keyring, &id, &key, NULL), OK); // is here already
    kind = DISK;
    countdown = 1;
    assert_int_equal(keyring_sync(keyring, NULL), ERR_STORE); // it does sync
    countdown = 0;
    keyring_close(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fault_13_each_allocation_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_32_an_identity_is_made_whole_or_not, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_2_a_marker_is_old_or_new, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_7_a_key_that_finds_no_room_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_5_after_a_failed_sync_nothing_is_promised_any_more, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_3_keys_of_a_killed_process_are_synced_before_they_are_relied_on, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
