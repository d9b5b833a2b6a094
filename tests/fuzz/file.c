// Files of a station's directory, whatever stands in them: the marker, the four of an identity, the keyring, the configuration. The first
// byte says which, and whether its checksums are made right, so that what lies behind them is reached.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/config.h"
#include "relay/identity.h"
#include "relay/keyring.h"
#include "relay/marker.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"

enum { FILES = 7, ROW = 64, ROW_FIELDS = 48, SUM = 16 };
static char directory[64];
static struct buffer kept[FILES]; // of a good identity

static const char *const names[FILES] = {"marker",       "keys/station", "keys/sign.key", "keys/seal.key", "keys/transport.key",
                                         "keys/keyring", "station.conf"};

static void path_of(unsigned which, char path[128]) { snprintf(path, 128, "%s/%s", directory, names[which]); }

static void put(unsigned which, struct bytes content)
{
    char path[128];
    path_of(which, path);
    FILE *file = fopen(path, "w");
    MUST(file && (content.size == 0 || fwrite(content.data, 1, content.size, file) == content.size) && fclose(file) == 0 &&
         chmod(path, 0600) == 0);
}

static void remove_all(void)
{
    char path[128];
    for (unsigned i = 0; i < FILES; i++) {
        path_of(i, path);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/keys", directory);
    rmdir(path);
    rmdir(directory);
}

static void begin(void)
{
    char path[128];
    snprintf(directory, sizeof directory, "/tmp/sanji-fuzz-XXXXXX");
    MUST(crypto_init(NULL) == OK && mkdtemp(directory) && identity_create(directory, NULL) == OK);
    atexit(remove_all);
    for (unsigned i = 1; i < 5; i++) {
        uint8_t content[4096];
        path_of(i, path);
        FILE *file = fopen(path, "r");
        MUST(file);
        buffer_append(&kept[i], content, fread(content, 1, sizeof content, file));
        fclose(file);
    }
}

static void read_keyring(struct buffer *content, bool right)
{
    struct keyring *keyring;
    for (size_t at = 0; right && at + ROW <= content->size; at += ROW) {
        struct hash sum = crypto_hash(TAG_KEYRING, bytes_of(content->data + at, ROW_FIELDS));
        memcpy(content->data + at + ROW_FIELDS, sum.bytes, SUM);
    }
    put(5, buffer_bytes(content));
    if (keyring_open(directory, &keyring, NULL) != OK)
        return;
    uint64_t count = keyring_count(keyring);
    MUST(keyring_damaged(keyring) <= content->size / ROW && count <= content->size / ROW);
    struct key_id id = {{7}};
    struct symmetric_key key = {{9}}, found;
    enum error_code code = keyring_add(keyring, &id, &key, NULL);
    if (code == OK)
        MUST(keyring_find(keyring, &id, &found) && memcmp(&found, &key, sizeof key) == 0);
    else
        MUST(code == ERR_EXISTS || code == ERR_REFUSED);
    keyring_close(keyring);
}

static void read_identity(unsigned which, struct bytes content)
{
    struct identity identity;
    for (unsigned i = 1; i < 5; i++)
        put(i, i == which ? content : buffer_bytes(&kept[i]));
    if (identity_load(directory, &identity, NULL) == OK)
        identity_finish(&identity);
}

static void read_marker(struct buffer *content, bool right)
{
    struct marker marker, same;
    if (right && content->size >= SUM) {
        struct hash sum = crypto_hash(TAG_MARKER, bytes_of(content->data + SUM, content->size - SUM));
        memcpy(content->data, sum.bytes, SUM);
    }
    put(0, buffer_bytes(content));
    if (marker_read(directory, &marker, NULL) != OK)
        return;
    MUST(marker_write(directory, &marker, NULL) == OK && marker_read(directory, &same, NULL) == OK);
    MUST(same.starts == marker.starts && same.nonce == marker.nonce && same.clean == marker.clean && same.end == marker.end);
}

static void read_config(struct bytes content)
{
    struct config config, same;
    put(6, content);
    if (config_read(directory, &config, NULL) != OK)
        return;
    MUST(config_write(directory, &config, NULL) == OK && config_read(directory, &same, NULL) == OK);
    MUST(memcmp(&config.root, &same.root, sizeof config.root) == 0 && strcmp(config.parent, same.parent) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!directory[0])
        begin();
    struct input input = {data, size};
    uint8_t choice = input_byte(&input);
    unsigned which = choice % FILES;
    struct buffer content = {0};
    buffer_append(&content, input.data, input.size);
    if (which == 0)
        read_marker(&content, choice & 128);
    else if (which == 5)
        read_keyring(&content, choice & 128);
    else if (which == 6)
        read_config(buffer_bytes(&content));
    else
        read_identity(which, buffer_bytes(&content));
    buffer_finish(&content);
    return 0;
}
