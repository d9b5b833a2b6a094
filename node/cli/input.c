#include "node/cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "relay/language.h"

enum { CHUNK = 64 * 1024 };

const char *input_name(const char *path) { return strcmp(path, "-") == 0 ? tr("(stdin)", "（标准输入）") : path; }

static enum error_code read_all(int fd, const char *path, size_t max, struct buffer *ret, struct error *error)
{
    for (;;) {
        uint8_t *place = buffer_extend(ret, CHUNK);
        if (!place)
            return error_set(error, ERR_MEMORY, tr("%s: no memory to read it", "%s：内存不足，无法读取"), input_name(path));
        ssize_t n = read(fd, place, CHUNK);
        ret->size -= CHUNK - (n > 0 ? (size_t)n : 0);
        if (n == 0)
            return OK;
        if (n < 0 && errno != EINTR)
            return error_set_errno(error, ERR_IO, "%s", input_name(path));
        if (ret->size > max)
            return error_set(error, ERR_LIMIT, tr("%s: larger than %zu MiB: divide the file", "%s：超过 %zu MiB：请拆分文件"),
                             input_name(path), max / (1024 * 1024));
    }
}

enum error_code input_read(const char *path, size_t max, struct buffer *ret, struct error *error)
{
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, path, max, ret, error);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s", path);
    enum error_code code = read_all(fd, path, max, ret, error);
    close(fd);
    return code;
}

static bool ends_with(const char *path, const char *end)
{
    size_t size = strlen(path), more = strlen(end);
    return size > more && strcasecmp(path + size - more, end) == 0;
}

Sanji__InputFormat input_format(const char *path, struct bytes data)
{
    if (ends_with(path, ".json"))
        return SANJI__INPUT_FORMAT__INPUT_JSON;
    if (ends_with(path, ".csv"))
        return SANJI__INPUT_FORMAT__INPUT_CSV;
    size_t at = data.size >= 3 && memcmp(data.data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    while (at < data.size && memchr(" \t\r\n", data.data[at], 4))
        at++;
    return at < data.size && (data.data[at] == '{' || data.data[at] == '[') ? SANJI__INPUT_FORMAT__INPUT_JSON
                                                                            : SANJI__INPUT_FORMAT__INPUT_CSV;
}

static enum error_code write_all(int fd, const char *path, struct bytes data, struct error *error)
{
    for (size_t at = 0; at < data.size;) {
        ssize_t n = write(fd, data.data + at, data.size - at);
        if (n < 0 && errno != EINTR)
            return error_set_errno(error, errno == ENOSPC ? ERR_FULL : ERR_IO, "%s", path);
        at += n > 0 ? (size_t)n : 0;
    }
    return OK;
}

enum error_code input_write_new(const char *path, struct bytes data, struct error *error)
{
    if (strcmp(path, "-") == 0)
        return write_all(STDOUT_FILENO, tr("(stdout)", "（标准输出）"), data, error);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set_errno(error, errno == EEXIST ? ERR_EXISTS : ERR_IO, "%s", path);
    enum error_code code = write_all(fd, path, data, error);
    if (close(fd) != 0 && code == OK)
        code = error_set_errno(error, ERR_IO, "%s", path);
    if (code != OK)
        unlink(path);
    return code;
}
