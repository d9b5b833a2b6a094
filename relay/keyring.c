#include "relay/keyring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/file.h"
#include "relay/language.h"

enum {
    KEY_SIZE = 32,
    CHECKSUM_SIZE = 16,
    ROW_SIZE = KEY_ID_SIZE + KEY_SIZE + CHECKSUM_SIZE,
    ROWS_AT_ONCE = 1024, // read at opening
    SLOTS_MIN = 1024,    // a village's subjects, without growing
};
static_assert(512 % ROW_SIZE == 0, "a row never crosses a sector, so overwriting one is all or nothing");

static const char magic[] = "sanji-keyring-1\n";
static_assert(sizeof magic - 1 == KEY_ID_SIZE, "the magic stands where other rows have the key id");

struct slot {
    struct key_id id;
    struct symmetric_key key; // zero: destroyed
    uint32_t row;             // in the file; 0: the slot is empty (row 0 is the header)
};

struct keyring {
    pthread_mutex_t mutex; // guards all below
    int fd;
    bool unsynced, failed;
    uint64_t rows;            // in the file, with the header
    struct slot *slots;       // open addressing, at most three quarters full
    uint32_t slots_count;     // a power of two
    uint32_t used, forgotten; // slots in use, and of those destroyed
    uint64_t damaged;
    uint8_t hash_key[SHORT_HASH_KEY_SIZE]; // ids come from others: they must not choose their slots
    char path[FILE_PATH_SIZE];
};

static bool is_zero_key(const struct symmetric_key *key)
{
    static const struct symmetric_key zero;
    return memcmp(key, &zero, sizeof zero) == 0;
}

// ---- rows

static void row_make(uint8_t row[ROW_SIZE], const void *id, const void *key)
{
    memcpy(row, id, KEY_ID_SIZE);
    memcpy(row + KEY_ID_SIZE, key, KEY_SIZE);
    struct hash hash = crypto_hash(TAG_KEYRING, bytes_of(row, KEY_ID_SIZE + KEY_SIZE));
    memcpy(row + KEY_ID_SIZE + KEY_SIZE, hash.bytes, CHECKSUM_SIZE);
}

static bool row_valid(const uint8_t row[ROW_SIZE])
{
    struct hash hash = crypto_hash(TAG_KEYRING, bytes_of(row, KEY_ID_SIZE + KEY_SIZE));
    return memcmp(row + KEY_ID_SIZE + KEY_SIZE, hash.bytes, CHECKSUM_SIZE) == 0;
}

// Rows are appended before they are synced, so a power cut may keep a later sector and lose an earlier one: that then reads as zeros.
// No key was ever there, as keys that were needed had been synced.
static bool row_unwritten(const uint8_t row[ROW_SIZE])
{
    static const uint8_t zeros[ROW_SIZE];
    return memcmp(row, zeros, ROW_SIZE) == 0;
}

enum error_code keyring_create(const char *directory, struct error *error)
{
    char keys[FILE_PATH_SIZE], path[FILE_PATH_SIZE];
    enum error_code code = file_path(directory, "keys", keys, error);
    if (!code)
        code = file_path(keys, "keyring", path, error);
    if (code)
        return code;
    struct stat status;
    if (lstat(path, &status) == 0)
        return error_set(error, ERR_EXISTS, tr("%s: is there already; keys are never overwritten", "%s：已存在，密钥不会被覆盖"), path);
    static const uint8_t no_key[KEY_SIZE];
    uint8_t header[ROW_SIZE];
    row_make(header, magic, no_key);
    return file_replace(keys, "keyring", bytes_of(header, sizeof header), error);
}

// ---- the table

// The slot of `id`: its own, or the empty one where it would go.
static struct slot *find_slot(const struct keyring *keyring, const struct key_id *id)
{
    uint32_t mask = keyring->slots_count - 1;
    uint32_t at = (uint32_t)crypto_short_hash(keyring->hash_key, bytes_of(id->bytes, sizeof id->bytes)) & mask;
    while (keyring->slots[at].row && memcmp(&keyring->slots[at].id, id, sizeof *id) != 0)
        at = (at + 1) & mask;
    return &keyring->slots[at];
}

static void free_slots(struct slot *slots, uint32_t count)
{
    if (!slots)
        return;
    crypto_unlock(slots, (size_t)count * sizeof *slots); // wipes
    free(slots);
}

static bool resize(struct keyring *keyring, uint32_t count)
{
    struct slot *slots = calloc(count, sizeof *slots), *old = keyring->slots;
    if (!slots)
        return false;
    crypto_lock(slots, (size_t)count * sizeof *slots); // where LimitMEMLOCK lets us; go on without
    uint32_t old_count = keyring->slots_count;
    keyring->slots = slots;
    keyring->slots_count = count;
    for (uint32_t i = 0; i < old_count; i++)
        if (old[i].row)
            *find_slot(keyring, &old[i].id) = old[i];
    free_slots(old, old_count);
    return true;
}

static enum error_code make_room(struct keyring *keyring, struct error *error)
{
    if (keyring->used >= KEYRING_MAX)
        return error_set(error, ERR_LIMIT, tr("%s: holds %d keys, no more fit", "%s：已有 %d 个密钥，达到上限"), keyring->path,
                         KEYRING_MAX);
    if (keyring->used >= keyring->slots_count / 4 * 3 && !resize(keyring, keyring->slots_count * 2))
        return error_set(error, ERR_MEMORY, tr("%s: no memory for more keys", "%s：内存不足"), keyring->path);
    return OK;
}

// Takes a row of the file into the table. A later row for an id that is there is ignored: only damage makes one.
static enum error_code take_row(struct keyring *keyring, const uint8_t row[ROW_SIZE], uint32_t number, struct error *error)
{
    enum error_code code = make_room(keyring, error);
    if (code)
        return code;
    struct key_id id;
    memcpy(id.bytes, row, sizeof id.bytes);
    struct slot *slot = find_slot(keyring, &id);
    if (slot->row)
        return OK;
    *slot = (struct slot){.id = id, .row = number};
    memcpy(slot->key.bytes, row + KEY_ID_SIZE, KEY_SIZE);
    keyring->used++;
    keyring->forgotten += is_zero_key(&slot->key);
    return OK;
}

// ---- opening

static enum error_code read_rows(struct keyring *keyring, uint64_t size, uint8_t *rows, struct error *error)
{
    uint64_t number = 0, last_whole = 0, bad = 0, bad_inside = 0;
    while (number < size / ROW_SIZE) {
        ssize_t n = pread(keyring->fd, rows, ROWS_AT_ONCE * ROW_SIZE, (off_t)(number * ROW_SIZE));
        if (n < 0 && errno == EINTR)
            continue;
        if (n >= 0 && n < ROW_SIZE)
            errno = EIO; // shorter than it was a moment ago
        if (n < ROW_SIZE)
            return file_error(error, tr("%s: can't read", "%s：无法读取"), keyring->path);
        for (ssize_t i = 0; i + ROW_SIZE <= n; i += ROW_SIZE, number++) {
            if (!row_valid(rows + i)) {
                bad += !row_unwritten(rows + i);
                continue;
            }
            bad_inside = bad;
            last_whole = number;
            enum error_code code = number == 0 ? OK : take_row(keyring, rows + i, (uint32_t)number, error);
            if (code)
                return code;
        }
    }
    keyring->rows = last_whole + 1;
    keyring->damaged = bad_inside;
    keyring->unsynced = true; // a process that was killed may have written them and not synced
    return OK;
}

static enum error_code check_header(struct keyring *keyring, uint64_t size, struct error *error)
{
    uint8_t row[ROW_SIZE] = {0};
    if (size < ROW_SIZE || pread(keyring->fd, row, ROW_SIZE, 0) != ROW_SIZE)
        return error_set(error, ERR_CORRUPT, tr("%s: cut short", "%s：被截断"), keyring->path);
    if (!row_valid(row) || memcmp(row, magic, sizeof magic - 3) != 0)
        return error_set(error, ERR_CORRUPT, tr("%s: not a keyring", "%s：不是密钥环"), keyring->path);
    if (memcmp(row, magic, sizeof magic - 1) != 0)
        return error_set(error, ERR_VERSION, tr("%s: written by a newer version", "%s：由更新版本写入"), keyring->path);
    return OK;
}

static enum error_code load(struct keyring *keyring, struct error *error)
{
    struct stat status;
    if (fstat(keyring->fd, &status) != 0)
        return file_error(error, tr("%s: can't open", "%s：无法打开"), keyring->path);
    uint64_t size = (uint64_t)status.st_size;
    enum error_code code = check_header(keyring, size, error);
    if (code)
        return code;
    if (size / ROW_SIZE > UINT32_MAX)
        return error_set(error, ERR_LIMIT, tr("%s: too large", "%s：文件过大"), keyring->path);
    uint8_t *rows = malloc(ROWS_AT_ONCE * ROW_SIZE);
    if (!rows || !resize(keyring, SLOTS_MIN))
        code = error_set(error, ERR_MEMORY, tr("%s: out of memory", "%s：内存不足"), keyring->path);
    else
        code = read_rows(keyring, size, rows, error);
    if (rows)
        crypto_wipe(rows, ROWS_AT_ONCE * ROW_SIZE);
    free(rows);
    // What lies behind the last whole row was never synced, so nothing that was committed needs it.
    if (!code && size > keyring->rows * ROW_SIZE &&
        (ftruncate(keyring->fd, (off_t)(keyring->rows * ROW_SIZE)) != 0 || fdatasync(keyring->fd) != 0))
        code = file_error(error, tr("%s: can't cut a torn row off", "%s：无法截去残缺行"), keyring->path);
    return code;
}

enum error_code keyring_open(const char *directory, struct keyring **ret, struct error *error)
{
    struct keyring *keyring = calloc(1, sizeof *keyring);
    if (!keyring)
        return error_set(error, ERR_MEMORY, "%s", directory);
    pthread_mutex_init(&keyring->mutex, NULL);
    keyring->fd = -1;
    crypto_random(keyring->hash_key, sizeof keyring->hash_key);
    enum error_code code = file_path(directory, "keys/keyring", keyring->path, error);
    if (!code)
        code = file_open(keyring->path, O_RDWR, true, &keyring->fd, error);
    if (!code && flock(keyring->fd, LOCK_EX | LOCK_NB) != 0)
        code = error_set(error, ERR_BUSY, tr("%s: another process has it open", "%s：已被另一进程打开"), keyring->path);
    if (!code)
        code = load(keyring, error);
    if (code)
        keyring_close(keyring);
    else
        *ret = keyring;
    return code;
}

void keyring_close(struct keyring *keyring)
{
    if (!keyring)
        return;
    free_slots(keyring->slots, keyring->slots_count);
    if (keyring->fd >= 0)
        close(keyring->fd);
    pthread_mutex_destroy(&keyring->mutex);
    free(keyring);
}

// ---- asking

uint64_t keyring_count(struct keyring *keyring)
{
    pthread_mutex_lock(&keyring->mutex);
    uint64_t count = keyring->used - keyring->forgotten;
    pthread_mutex_unlock(&keyring->mutex);
    return count;
}

uint64_t keyring_damaged(struct keyring *keyring) { return keyring->damaged; } // set at opening only

bool keyring_find(struct keyring *keyring, const struct key_id *id, struct symmetric_key *ret)
{
    pthread_mutex_lock(&keyring->mutex);
    const struct slot *slot = find_slot(keyring, id);
    bool found = slot->row && !is_zero_key(&slot->key);
    if (found)
        *ret = slot->key;
    pthread_mutex_unlock(&keyring->mutex);
    return found;
}

bool keyring_forgotten(struct keyring *keyring, const struct key_id *id)
{
    pthread_mutex_lock(&keyring->mutex);
    const struct slot *slot = find_slot(keyring, id);
    bool forgotten = slot->row && is_zero_key(&slot->key);
    pthread_mutex_unlock(&keyring->mutex);
    return forgotten;
}

// ---- changing; with the mutex held

static enum error_code unknown(const struct keyring *keyring, struct error *error)
{
    return error_set(error, ERR_STORE, tr("%s: an earlier sync failed, what is on disk is unknown", "%s：此前同步失败，磁盘内容未知"),
                     keyring->path);
}

static enum error_code sync_now(struct keyring *keyring, struct error *error)
{
    if (fdatasync(keyring->fd) != 0) {
        keyring->failed = true;
        return error_set_errno(error, ERR_STORE, tr("%s: can't sync", "%s：无法同步"), keyring->path);
    }
    keyring->unsynced = false;
    return OK;
}

static enum error_code append(struct keyring *keyring, const struct key_id *id, const struct symmetric_key *key, struct error *error)
{
    enum error_code code = make_room(keyring, error);
    if (code)
        return code;
    uint8_t row[ROW_SIZE];
    row_make(row, id->bytes, key->bytes);
    uint64_t end = keyring->rows * ROW_SIZE;
    bool written = file_write_at(keyring->fd, row, sizeof row, end);
    crypto_wipe(row, sizeof row);
    if (!written) {
        code = file_error(error, tr("%s: can't write", "%s：无法写入"), keyring->path);
        // A part of a row would be cut off at the next opening; the next append overwrites it.
        return code;
    }
    *find_slot(keyring, id) = (struct slot){.id = *id, .key = *key, .row = (uint32_t)keyring->rows};
    keyring->rows++;
    keyring->used++;
    keyring->unsynced = true;
    return OK;
}

enum error_code keyring_add(struct keyring *keyring, const struct key_id *id, const struct symmetric_key *key, struct error *error)
{
    if (is_zero_key(key))
        return error_set(error, ERR_INPUT, "%s", tr("a key of zeros", "密钥全为零"));
    pthread_mutex_lock(&keyring->mutex);
    enum error_code code;
    const struct slot *slot = find_slot(keyring, id);
    if (keyring->failed)
        code = unknown(keyring, error);
    else if (!slot->row)
        code = append(keyring, id, key, error);
    else if (is_zero_key(&slot->key))
        code = error_set(error, ERR_REFUSED, "%s", tr("this key was destroyed here for good", "该密钥已在此永久销毁"));
    else if (memcmp(&slot->key, key, sizeof *key) != 0)
        code = error_set(error, ERR_EXISTS, "%s", tr("another key has this id", "该编号已对应另一密钥"));
    else
        code = OK;
    pthread_mutex_unlock(&keyring->mutex);
    return code;
}

enum error_code keyring_sync(struct keyring *keyring, struct error *error)
{
    // Lookups go on during the flush: only the writer changes these two.
    pthread_mutex_lock(&keyring->mutex);
    bool failed = keyring->failed, unsynced = keyring->unsynced;
    pthread_mutex_unlock(&keyring->mutex);
    if (failed)
        return unknown(keyring, error);
    return unsynced ? sync_now(keyring, error) : OK;
}

enum error_code keyring_forget(struct keyring *keyring, const struct key_id *id, struct error *error)
{
    pthread_mutex_lock(&keyring->mutex);
    enum error_code code = OK;
    struct slot *slot = find_slot(keyring, id);
    if (keyring->failed) {
        code = unknown(keyring, error);
    } else if (!slot->row) {
        code = error_set(error, ERR_NOT_FOUND, "%s", tr("no such key here", "此处无该密钥"));
    } else if (!is_zero_key(&slot->key)) {
        static const uint8_t no_key[KEY_SIZE];
        uint8_t row[ROW_SIZE];
        row_make(row, id->bytes, no_key);
        crypto_wipe(&slot->key, sizeof slot->key);
        keyring->forgotten++;
        if (!file_write_at(keyring->fd, row, sizeof row, (uint64_t)slot->row * ROW_SIZE)) {
            keyring->failed = true;
            code = error_set_errno(error, ERR_STORE, tr("%s: can't write", "%s：无法写入"), keyring->path);
        } else {
            code = sync_now(keyring, error);
        }
    }
    pthread_mutex_unlock(&keyring->mutex);
    return code;
}
