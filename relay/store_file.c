#include "relay/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "relay/file.h"
#include "relay/language.h"

enum {
    READS_MAX = 8,           // a running writer may change what is looked at; it commits a few hundred times a second
    NO_ROOM_BYTES = 1 << 20, // a short write fills what there was; others may have freed a little since
};

struct look {
    struct page_meta meta;
    uint64_t bytes;              // of the file
    bool truncated;              // pages are missing
    struct tree_finding finding; // with ERR_CORRUPT
};

// Whether all counted pages behind the end of the file are free.
static enum error_code missing_are_free(int fd, struct look *look)
{
    uint64_t last = look->meta.last_page;
    uint8_t *free_pages = calloc(1, last / 8 + 1);
    if (!free_pages)
        return ERR_MEMORY;
    enum error_code code = tree_free_pages(fd, &look->meta, free_pages, &look->finding);
    uint64_t page = look->bytes / look->meta.page_size;
    while (page <= last && free_pages[page / 8] & 1u << page % 8)
        page++;
    look->truncated = look->finding.fault != PAGE_WHOLE || page <= last;
    if (look->finding.fault == PAGE_WHOLE && page <= last)
        look->finding = (struct tree_finding){PAGE_UNREADABLE, page, "file"};
    free(free_pages);
    return code ? code : look->truncated ? ERR_CORRUPT : OK;
}

static enum error_code look_once(int fd, struct look *ret)
{
    struct stat status;
    *ret = (struct look){.finding = {PAGE_BAD_HEADER, 0, "meta"}};
    enum error_code code = tree_metas(fd, &ret->meta);
    if (code)
        return code;
    ret->finding = (struct tree_finding){0};
    if (fstat(fd, &status) != 0)
        return ERR_IO;
    ret->bytes = (uint64_t)status.st_size;
    if (ret->bytes / ret->meta.page_size <= ret->meta.last_page)
        code = missing_are_free(fd, ret);
    if (!code)
        code = tree_check_tops(fd, &ret->meta, &ret->finding);
    return code ? code : ret->finding.fault ? ERR_CORRUPT : OK;
}

struct metas {
    uint8_t bytes[PAGE_METAS][PAGE_META_END];
};

// As they lie there, for comparison.
static struct metas metas_read(int fd)
{
    struct metas metas = {0};
    struct page_meta first;
    if (file_read_at(fd, metas.bytes[0], PAGE_META_END, 0) && page_meta_read(metas.bytes[0], &first))
        file_read_at(fd, metas.bytes[1], PAGE_META_END, first.page_size);
    return metas;
}

// Good, or bad while nobody wrote. ERR_BUSY: somebody always did.
static enum error_code look(int fd, struct look *ret)
{
    enum error_code code = ERR_BUSY;
    for (unsigned reads = 0; reads < READS_MAX && code == ERR_BUSY; reads++) {
        struct metas before = metas_read(fd);
        code = look_once(fd, ret);
        struct metas after = metas_read(fd);
        if (code != OK && memcmp(&before, &after, sizeof before) != 0)
            code = ERR_BUSY;
    }
    return code;
}

enum error_code store_file_too_many(const char *path, struct error *error)
{
    return error_set(error, ERR_BUSY,
                     tr("%s: too many files are open, so the store can't be opened; nothing was changed. Close some, or raise the limit "
                        "(ulimit -n)",
                        "%s：打开的文件过多，无法打开存储；未作任何更改。请关闭部分文件，或提高上限（ulimit -n）"),
                     path);
}

bool store_file_damage(const char *path, struct tree_finding *ret)
{
    struct look seen;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool damaged = look(fd, &seen) == ERR_CORRUPT;
    close(fd);
    if (damaged)
        *ret = seen.finding;
    return damaged;
}

enum error_code store_file_broken(const char *path, const char *how, struct error *error)
{
    return error_set(error, ERR_CORRUPT,
                     tr("%s: the store's tree is damaged (%s); it is kept as it is. Put a copy back, or run 'sanji rebuild DIR --salvage'",
                        "%s：存储的树结构已损坏（%s）；已原样保留。请恢复副本，或执行 'sanji rebuild DIR --salvage'"),
                     path, how);
}

static enum error_code damaged(const char *path, const struct look *seen, struct error *error)
{
    char text[TREE_TEXT_MAX];
    if (seen->truncated)
        return error_set(error, ERR_CORRUPT,
                         tr("%s: truncated: %llu bytes, and page %llu is missing; it is kept as it is. Put a copy back, or "
                            "run 'sanji rebuild DIR --salvage'",
                            "%s：文件被截断：现有 %llu 字节，缺少第 %llu 页；已原样保留。请恢复副本，或执行 'sanji rebuild DIR --salvage'"),
                         path, (unsigned long long)seen->bytes, (unsigned long long)(seen->bytes / seen->meta.page_size));
    if (seen->meta.page_size == 0)
        return error_set(error, ERR_CORRUPT,
                         tr("%s: its first pages are damaged; it is kept as it is. Put a copy back, or run 'sanji rebuild DIR --salvage'",
                            "%s：文件头页已损坏；已原样保留。请恢复副本，或执行 'sanji rebuild DIR --salvage'"),
                         path);
    tree_describe(&seen->finding, text);
    return store_file_broken(path, text, error);
}

enum error_code store_file_check(const char *path, uint64_t *ret_bytes, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        return store_file_too_many(path, error);
    if (fd < 0)
        return error_set_errno(error, errno == ENOENT ? ERR_CORRUPT : ERR_IO, "%s", path);
    struct look seen;
    enum error_code code = look(fd, &seen);
    close(fd);
    if (code == ERR_VERSION)
        return error_set(error, code,
                         tr("%s: written by another version of LMDB; it is kept as it is", "%s：由其他版本的 LMDB 写入；已原样保留"), path);
    if (code == ERR_IO)
        return error_set_errno(error, code, "%s", path);
    if (code == ERR_MEMORY)
        return error_set(error, code, "%s", path);
    if (code == ERR_BUSY)
        return error_set(error, code, tr("%s: a node writes too much to look at it; try again", "%s：节点写入频繁，暂时无法检查；请重试"),
                         path);
    if (code)
        return damaged(path, &seen, error);
    *ret_bytes = seen.bytes;
    return OK;
}

enum error_code store_file_path(const char *directory, const char *name, char ret[STORE_PATH_MAX], struct error *error)
{
    char path[STORE_PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/%s", directory, name);
    if (size < 0 || size >= STORE_PATH_MAX)
        return error_set(error, ERR_LIMIT, tr("%.60s...: the path is too long", "%.60s...：路径过长"), directory);
    memcpy(ret, path, (size_t)size + 1);
    return OK;
}

enum error_code store_file_begin(const char *directory, const char *path, char ret_temporary[STORE_PATH_MAX], struct error *error)
{
    struct stat status;
    if (stat(directory, &status) != 0)
        return error_set_errno(error, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s", directory);
    if (lstat(path, &status) == 0)
        return error_set(error, ERR_EXISTS, tr("%s: there is a store already; it is kept", "%s：已有存储；已保留"), path);
    if (errno != ENOENT)
        return error_set_errno(error, ERR_IO, "%s", path);
    char temporary[STORE_PATH_MAX];
    enum error_code code = store_file_path(directory, "store.new-XXXXXX", temporary, error);
    if (code)
        return code;
    if (!mkdtemp(temporary))
        return error_set_errno(error, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, "%s", temporary);
    memcpy(ret_temporary, temporary, strlen(temporary) + 1);
    return OK;
}

static enum error_code sync_path(const char *path, int flags, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return error_set_errno(error, ERR_IO, "%s", path);
    enum error_code code = OK;
    if (fsync(fd) != 0)
        code = error_set_errno(error, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, "%s", path);
    close(fd);
    return code;
}

enum error_code store_file_publish(const char *directory, const char *temporary, const char *path, struct error *error)
{
    char data[STORE_PATH_MAX];
    enum error_code code = store_file_path(temporary, "data.mdb", data, error);
    if (!code)
        code = sync_path(data, 0, error);
    if (!code)
        code = sync_path(temporary, O_DIRECTORY, error);
    if (code)
        return code;
    // Fails on a directory with anything in it; whoever came first keeps the place.
    if (rename(temporary, path) != 0)
        return error_set_errno(error, errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR ? ERR_EXISTS : ERR_IO, "%s", path);
    return sync_path(directory, O_DIRECTORY, error);
}

void store_file_discard(const char *temporary)
{
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    char path[STORE_PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (store_file_path(temporary, names[i], path, NULL) == OK)
            unlink(path);
    rmdir(temporary);
}

bool store_file_no_room(int fd, int code)
{
    struct statvfs system;
    struct stat status;
    struct rlimit limit;
    if (code == ENOSPC || code == EDQUOT || code == EFBIG)
        return true;
    if (code != EIO)
        return false;
    if (fstatvfs(fd, &system) == 0 && (uint64_t)system.f_bavail * system.f_frsize < NO_ROOM_BYTES)
        return true;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && fstat(fd, &status) == 0 &&
           (uint64_t)status.st_size + NO_ROOM_BYTES > limit.rlim_cur;
}
