#include "node/config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "relay/crypto.h"
#include "relay/endpoint.h"
#include "relay/file.h"
#include "relay/language.h"

enum { LINE_MAX_BYTES = 512 };

static char *trim(char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\r\n", text[size - 1]))
        text[--size] = 0;
    return text;
}

static enum error_code set_endpoint(const char *path, unsigned line, const char *name, const char *value, char target[ADDRESS_SIZE],
                                    struct error *error)
{
    struct endpoint endpoint;
    if (strlen(value) >= ADDRESS_SIZE || endpoint_parse(value, &endpoint, NULL) != OK)
        return error_set(error, ERR_INPUT,
                         tr("%s:%u: %s: expected tcp://HOST:PORT, found '%s'", "%s:%u: %s: 应为 tcp://主机:端口，实为 '%s'"), path, line,
                         name, value);
    memcpy(target, value, strlen(value) + 1);
    return OK;
}

static enum error_code set(const char *path, unsigned line, const char *name, const char *value, struct config *config, unsigned *seen,
                           struct error *error)
{
    static const char *const names[] = {"root", "parent", "listen", "join", "parent_join", "above", "above_join"};
    char *const targets[] = {NULL, config->parent, config->listen, config->join, config->parent_join, config->above, config->above_join};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        if (*seen & 1u << i)
            return error_set(error, ERR_INPUT, tr("%s:%u: '%s' is given twice", "%s:%u: '%s' 重复给出"), path, line, name);
        *seen |= 1u << i;
        if (i > 0)
            return set_endpoint(path, line, name, value, targets[i], error);
        if (!crypto_from_hex(value, config->root.bytes, HASH_SIZE))
            return error_set(error, ERR_INPUT, tr("%s:%u: root: expected 64 hex digits", "%s:%u: root: 应为 64 位十六进制数字"), path,
                             line);
        return OK;
    }
    return error_set(error, ERR_INPUT,
                     tr("%s:%u: unknown name '%s'; known are root, parent, listen, join, parent_join, above, above_join",
                        "%s:%u: 未知名称 '%s'；可用的有 root、parent、listen、join、parent_join、above、above_join"),
                     path, line, name);
}

enum error_code config_read(const char *directory, struct config *ret, struct error *error)
{
    char path[4096], text[LINE_MAX_BYTES];
    snprintf(path, sizeof path, "%s/station.conf", directory);
    FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT)
        return error_set(error, ERR_NOT_FOUND,
                         tr("%s: no station here; make one with 'sanji init' or 'sanji join'",
                            "%s：此处没有站点；请用 'sanji init' 或 'sanji join' 建立"),
                         directory);
    if (!file)
        return error_set_errno(error, ERR_IO, "%s", path);
    struct config config = {0};
    unsigned line = 0, seen = 0;
    enum error_code code = OK;
    while (code == OK && fgets(text, sizeof text, file)) {
        line++;
        if (!strchr(text, '\n') && !feof(file)) {
            code = error_set(error, ERR_INPUT, tr("%s:%u: longer than %d bytes, or no text", "%s:%u: 超过 %d 字节，或不是文本"), path, line,
                             LINE_MAX_BYTES - 2);
            break;
        }
        char *start = trim(text), *equals = strchr(start, '=');
        if (*start == 0 || *start == '#')
            continue;
        if (!equals) {
            code = error_set(error, ERR_INPUT, tr("%s:%u: expected 'name = value'", "%s:%u: 应为 '名称 = 值'"), path, line);
            break;
        }
        *equals = 0;
        code = set(path, line, trim(start), trim(equals + 1), &config, &seen, error);
    }
    if (code == OK && ferror(file))
        code = error_set_errno(error, ERR_IO, "%s", path);
    fclose(file);
    if (code == OK && !(seen & 1))
        code = error_set(error, ERR_INPUT, tr("%s: 'root' is missing", "%s：缺少 'root'"), path);
    if (code == OK)
        *ret = config;
    return code;
}

enum error_code config_write(const char *directory, const struct config *config, struct error *error)
{
    char text[128 + 2 * HASH_SIZE + 6 * (ADDRESS_SIZE + 16)], root[2 * HASH_SIZE + 1];
    const struct {
        const char *name, *value;
    } lines[] = {{"root", root},
                 {"parent", config->parent},
                 {"listen", config->listen},
                 {"join", config->join},
                 {"parent_join", config->parent_join},
                 {"above", config->above},
                 {"above_join", config->above_join}};
    crypto_hex(bytes_of(config->root.bytes, HASH_SIZE), root);
    size_t size = (size_t)snprintf(text, sizeof text, "# Sanji station. 'root' pins the network: never change it.\n");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (*lines[i].value)
            size += (size_t)snprintf(text + size, sizeof text - size, "%s = %s\n", lines[i].name, lines[i].value);
    assert(size < sizeof text);
    return file_replace(directory, "station.conf", bytes_of(text, size), error);
}
