#include "relay/identity.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/file.h"
#include "relay/language.h"

enum {
    SIGN_SECRET_SIZE = 64,
    BOX_SECRET_SIZE = 32,
    KEY_FILE_MAX = 512, // bytes: a title and two lines of hex
};

static const char station_title[] = "sanji station 1";

static const struct key_file {
    const char *name, *title;
    size_t secret_size;
    void (*make)(struct public_key *, struct secret_key *);
    bool (*valid)(const struct public_key *, const struct secret_key *);
    size_t offset; // of its pair in struct identity
} key_files[] = {
    {"sign.key", "sanji sign key 1", SIGN_SECRET_SIZE, crypto_sign_keypair, crypto_sign_pair_valid, offsetof(struct identity, sign)},
    {"seal.key", "sanji seal key 1", BOX_SECRET_SIZE, crypto_seal_keypair, crypto_seal_pair_valid, offsetof(struct identity, seal)},
    {"transport.key", "sanji transport key 1", BOX_SECRET_SIZE, crypto_seal_keypair, crypto_seal_pair_valid,
     offsetof(struct identity, transport)},
};
enum { KEY_FILES = sizeof key_files / sizeof *key_files };

// ---- creating

static enum error_code write_key(const char *directory, const struct key_file *file, struct error *error)
{
    struct key_pair pair;
    char public_text[2 * PUBLIC_KEY_SIZE + 1], secret_text[2 * SIGN_SECRET_SIZE + 1], text[KEY_FILE_MAX];
    file->make(&pair.public_key, &pair.secret_key);
    crypto_hex(bytes_of(pair.public_key.bytes, PUBLIC_KEY_SIZE), public_text);
    crypto_hex(bytes_of(pair.secret_key.bytes, file->secret_size), secret_text);
    int size = snprintf(text, sizeof text, "%s\n%s\n%s\n", file->title, public_text, secret_text);
    enum error_code code = file_replace(directory, file->name, bytes_of(text, (size_t)size), error);
    crypto_wipe(&pair, sizeof pair);
    crypto_wipe(secret_text, sizeof secret_text);
    crypto_wipe(text, sizeof text);
    return code;
}

static enum error_code write_station(const char *directory, struct error *error)
{
    struct station_id station;
    char hex[2 * STATION_ID_SIZE + 1], text[KEY_FILE_MAX];
    crypto_random(&station, sizeof station);
    crypto_hex(bytes_of(station.bytes, sizeof station.bytes), hex);
    int size = snprintf(text, sizeof text, "%s\n%s\n", station_title, hex);
    return file_replace(directory, "station", bytes_of(text, (size_t)size), error);
}

// Removes what a crash left of a directory that was never renamed into place: no one has used its keys.
static void remove_unused(const char *directory)
{
    static const char *const names[] = {"station",  "station.new",  "sign.key",      "sign.key.new",
                                        "seal.key", "seal.key.new", "transport.key", "transport.key.new"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[FILE_PATH_SIZE];
        if (file_path(directory, names[i], path, NULL) == OK)
            unlink(path);
    }
    rmdir(directory);
}

enum error_code identity_create(const char *directory, struct error *error)
{
    char keys[FILE_PATH_SIZE], fresh[FILE_PATH_SIZE];
    enum error_code code = file_path(directory, "keys", keys, error);
    if (!code)
        code = file_path(directory, "keys.new", fresh, error);
    if (code)
        return code;
    struct stat status;
    if (lstat(keys, &status) == 0)
        return error_set(error, ERR_EXISTS,
                         tr("%s: this directory has keys already; they are never overwritten", "%s：该目录已有密钥，密钥不会被覆盖"), keys);
    remove_unused(fresh);
    if (mkdir(fresh, 0700) != 0)
        return file_error(error, tr("%s: can't create", "%s：无法创建"), fresh);
    code = write_station(fresh, error);
    for (size_t i = 0; i < KEY_FILES && !code; i++)
        code = write_key(fresh, &key_files[i], error);
    if (!code && rename(fresh, keys) != 0)
        code = file_error(error, tr("%s: can't put the keys in place", "%s：无法将密钥放置到位"), keys);
    if (code) {
        remove_unused(fresh);
        return code;
    }
    return file_sync_directory(directory, error);
}

// ---- loading

static enum error_code damaged(struct error *error, const char *directory, const char *name)
{
    return error_set(error, ERR_CORRUPT, tr("%s/%s: not what this program wrote there", "%s/%s：内容不是本程序所写"), directory, name);
}

// Splits the file's text into its title and `count` lines, in place. ERR_VERSION for a title that differs in its version only.
static enum error_code read_lines(const char *directory, const char *name, const char *title, struct buffer *text, char **lines,
                                  size_t count, struct error *error)
{
    enum error_code code = file_read(directory, name, KEY_FILE_MAX, true, text, error);
    if (code)
        return code;
    if (memchr(text->data, 0, text->size))
        return damaged(error, directory, name);
    buffer_append(text, "", 1);
    if (text->failed)
        return error_set(error, ERR_MEMORY, "%s/%s", directory, name);
    char *at = (char *)text->data;
    size_t title_size = strlen(title), stem_size = title_size - 1; // the version is its last character
    if (strncmp(at, title, stem_size) != 0)
        return damaged(error, directory, name);
    if (strncmp(at, title, title_size) != 0 || at[title_size] != '\n')
        return error_set(error, ERR_VERSION, tr("%s/%s: written by a newer version", "%s/%s：由更新版本写入"), directory, name);
    at += title_size + 1;
    for (size_t i = 0; i < count; i++) {
        char *end = strchr(at, '\n');
        if (!end)
            return damaged(error, directory, name);
        *end = 0;
        lines[i] = at;
        at = end + 1;
    }
    return *at ? damaged(error, directory, name) : OK;
}

static enum error_code read_key(const char *directory, const struct key_file *file, struct key_pair *ret, struct error *error)
{
    struct buffer text = {0};
    char *lines[2];
    // Room for the whole file at once, so that growing leaves no copy of the secret behind.
    if (buffer_extend(&text, 2 * 4096 + KEY_FILE_MAX))
        buffer_clear(&text);
    enum error_code code = read_lines(directory, file->name, file->title, &text, lines, 2, error);
    if (!code && (!crypto_from_hex(lines[0], ret->public_key.bytes, PUBLIC_KEY_SIZE) ||
                  !crypto_from_hex(lines[1], ret->secret_key.bytes, file->secret_size) || !file->valid(&ret->public_key, &ret->secret_key)))
        code = damaged(error, directory, file->name);
    if (text.data)
        crypto_wipe(text.data, text.capacity);
    buffer_finish(&text);
    return code;
}

static enum error_code read_station(const char *directory, struct station_id *ret, struct error *error)
{
    struct buffer text = {0};
    char *line;
    enum error_code code = read_lines(directory, "station", station_title, &text, &line, 1, error);
    if (!code && !crypto_from_hex(line, ret->bytes, sizeof ret->bytes))
        code = damaged(error, directory, "station");
    buffer_finish(&text);
    return code;
}

enum error_code identity_load(const char *directory, struct identity *ret, struct error *error)
{
    char keys[FILE_PATH_SIZE];
    enum error_code code = file_path(directory, "keys", keys, error);
    if (code)
        return code;
    memset(ret, 0, sizeof *ret);
    crypto_lock(ret, sizeof *ret); // where LimitMEMLOCK lets us; go on without
    code = read_station(keys, &ret->station, error);
    for (size_t i = 0; i < KEY_FILES && !code; i++)
        code = read_key(keys, &key_files[i], (struct key_pair *)(void *)((uint8_t *)ret + key_files[i].offset), error);
    if (code)
        identity_finish(ret);
    return code;
}

void identity_finish(struct identity *identity) { crypto_unlock(identity, sizeof *identity); }
