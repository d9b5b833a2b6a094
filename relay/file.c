#include "relay/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/language.h"

enum error_code file_error(struct error *error, const char *format, const char *path)
{
    bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    return error_set_errno(error, full ? ERR_FULL : ERR_IO, format, path);
}

enum error_code file_path(const char *directory, const char *name, char ret[FILE_PATH_SIZE], struct error *error)
{
    char path[FILE_PATH_SIZE];
    int size = snprintf(path, sizeof path, "%s/%s", directory, name);
    if (size < 0 || size >= FILE_PATH_SIZE)
        return error_set(error, ERR_LIMIT, tr("%s: the path is longer than %d bytes", "%s：路径超过 %d 字节"), directory,
                         FILE_PATH_SIZE - 1);
    memcpy(ret, path, (size_t)size + 1);
    return OK;
}

bool file_write_at(int fd, const void *data, size_t size, uint64_t offset)
{
    const uint8_t *bytes = data;
    size_t done = 0;
    while (done < size) {
        ssize_t n = pwrite(fd, bytes + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

bool file_read_at(int fd, void *data, size_t size, uint64_t offset)
{
    uint8_t *p = data;
    while (size > 0) {
        ssize_t n = pread(fd, p, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}

enum error_code file_sync_directory(const char *directory, struct error *error)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    enum error_code code = synced ? OK : file_error(error, tr("%s: can't sync the directory", "%s：无法同步目录"), directory);
    if (fd >= 0)
        close(fd);
    return code;
}

enum error_code file_sync_name(const char *directory, struct error *error)
{
    char parent[FILE_PATH_SIZE];
    enum error_code code = file_path(directory, "..", parent, error); // right for links and "." too
    return code == OK ? file_sync_directory(parent, error) : code;
}

static enum error_code write_new(const char *path, struct bytes content, struct error *error)
{
    unlink(path); // left by a crash
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return file_error(error, tr("%s: can't create", "%s：无法创建"), path);
    enum error_code code = OK;
    if (!file_write_at(fd, content.data, content.size, 0) || fsync(fd) != 0)
        code = file_error(error, tr("%s: can't write", "%s：无法写入"), path);
    if (close(fd) != 0 && !code)
        code = file_error(error, tr("%s: can't write", "%s：无法写入"), path);
    if (code)
        unlink(path);
    return code;
}

enum error_code file_replace(const char *directory, const char *name, struct bytes content, struct error *error)
{
    char path[FILE_PATH_SIZE], fresh[FILE_PATH_SIZE], fresh_name[64];
    snprintf(fresh_name, sizeof fresh_name, "%s.new", name);
    enum error_code code = file_path(directory, name, path, error);
    if (!code)
        code = file_path(directory, fresh_name, fresh, error);
    if (!code)
        code = write_new(fresh, content, error);
    if (code)
        return code;
    if (rename(fresh, path) != 0) {
        code = file_error(error, tr("%s: can't replace", "%s：无法替换"), path);
        unlink(fresh);
        return code;
    }
    return file_sync_directory(directory, error);
}

enum error_code file_open(const char *path, int flags, bool is_private, int *ret, struct error *error)
{
    // O_NONBLOCK: a pipe put in the file's place must not hold us.
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return error_set(error, ERR_NOT_FOUND, tr("%s: no such file", "%s：文件不存在"), path);
    if (fd < 0 && errno == ELOOP)
        return error_set(error, ERR_REFUSED, tr("%s: is a symbolic link", "%s：是符号链接"), path);
    if (fd < 0)
        return file_error(error, tr("%s: can't open", "%s：无法打开"), path);
    struct stat status;
    enum error_code code = OK;
    if (fstat(fd, &status) != 0)
        code = file_error(error, tr("%s: can't open", "%s：无法打开"), path);
    else if (!S_ISREG(status.st_mode))
        code = error_set(error, ERR_REFUSED, tr("%s: not a regular file", "%s：不是普通文件"), path);
    else if (is_private && (status.st_mode & 077))
        code = error_set(error, ERR_REFUSED,
                         tr("%s: others can reach this secret (mode %03o): run chmod 600 on it",
                            "%s：他人可访问此密钥文件（权限 %03o）：请对其执行 chmod 600"),
                         path, (unsigned)(status.st_mode & 0777));
    if (code)
        close(fd);
    else
        *ret = fd;
    return code;
}

static enum error_code read_all(int fd, const char *path, size_t max, struct buffer *ret, struct error *error)
{
    size_t begin = ret->size;
    for (;;) {
        size_t done = ret->size - begin;
        uint8_t *place = buffer_extend(ret, 4096);
        if (!place)
            return error_set(error, ERR_MEMORY, tr("%s: out of memory", "%s：内存不足"), path);
        ssize_t n;
        do
            n = read(fd, place, 4096);
        while (n < 0 && errno == EINTR);
        ret->size = begin + done + (n > 0 ? (size_t)n : 0);
        if (n < 0)
            return file_error(error, tr("%s: can't read", "%s：无法读取"), path);
        if (n == 0)
            return OK;
        if (ret->size - begin > max)
            return error_set(error, ERR_LIMIT, tr("%s: more than %zu bytes", "%s：超过 %zu 字节"), path, max);
    }
}

enum error_code file_read(const char *directory, const char *name, size_t max, bool is_private, struct buffer *ret, struct error *error)
{
    char path[FILE_PATH_SIZE];
    int fd;
    size_t begin = ret->size;
    enum error_code code = file_path(directory, name, path, error);
    if (!code)
        code = file_open(path, O_RDONLY, is_private, &fd, error);
    if (code)
        return code;
    code = read_all(fd, path, max, ret, error);
    close(fd);
    if (code)
        ret->size = begin;
    return code;
}
