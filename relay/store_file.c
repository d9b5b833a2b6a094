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

// LMDB 0.9 writes native integers; nodes split theirs into halves in an order that depends on the machine.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && sizeof(size_t) == 8, "the layout below is of 64-bit little-endian machines");

enum {
    PAGE_HEADER = 16, // pgno 8, pad 2, flags 2, lower 2, upper 2
    PAGE_FLAGS = 10,
    PAGE_LOWER = 12,
    FLAG_BRANCH = 1,
    FLAG_LEAF = 2,
    FLAG_OVERFLOW = 4,
    FLAG_META = 8,
    NODE_HEADER = 8, // lo 2, hi 2, flags 2, key size 2
    NODE_BIG = 1,    // the value is in overflow pages
    META_MAGIC = PAGE_HEADER,
    META_VERSION = META_MAGIC + 4,
    META_FREE_DB = META_MAGIC + 24, // MDB_db: pad 4 (here: page size), flags 2, depth 2, three counts, entries, root
    META_MAIN_DB = META_FREE_DB + 48,
    META_LAST_PAGE = META_MAIN_DB + 48,
    META_TXN = META_LAST_PAGE + 8,
    META_END = META_TXN + 8,
    DB_DEPTH = 6,
    DB_ROOT = 40,
    DEPTH_LIMIT = 32,        // LMDB's own CURSOR_STACK
    PAGE_SIZE_MAX = 65536,   // LMDB's MAX_PAGESIZE is less
    MISSING_MAX = 1 << 28,   // pages: 1 TiB; a meta page that says more is garbage
    READS_MAX = 8,           // a running writer may change what is looked at; it commits a few hundred times a second
    NO_ROOM_BYTES = 1 << 20, // a short write fills what there was; others may have freed a little since
};

struct meta {
    uint32_t page_size;
    uint64_t last_page, txn, free_root;
    unsigned free_depth;
};

struct check {
    int fd;
    struct meta meta;
    uint64_t file_pages;
    uint8_t *missing; // bit per page behind the end of the file that is not known to be free
    uint64_t missing_count;
    uint64_t visits; // pages of the tree so far: a damaged one may have loops
    bool no_memory;
};

// One of the two meta pages. OK, ERR_CORRUPT or ERR_VERSION.
static enum error_code meta_read(int fd, uint64_t offset, struct meta *ret)
{
    uint8_t page[META_END];
    if (!file_read_at(fd, page, sizeof page, offset) || !(native16(page + PAGE_FLAGS) & FLAG_META) ||
        native32(page + META_MAGIC) != 0xBEEFC0DE)
        return ERR_CORRUPT;
    if (native32(page + META_VERSION) != 1)
        return ERR_VERSION;
    struct meta meta = {
        .page_size = native32(page + META_FREE_DB),
        .last_page = native64(page + META_LAST_PAGE),
        .txn = native64(page + META_TXN),
        .free_root = native64(page + META_FREE_DB + DB_ROOT),
        .free_depth = native16(page + META_FREE_DB + DB_DEPTH),
    };
    if (meta.page_size < 512 || meta.page_size > PAGE_SIZE_MAX || (meta.page_size & (meta.page_size - 1)) || meta.last_page < 1)
        return ERR_CORRUPT;
    *ret = meta;
    return OK;
}

static enum error_code metas_read(int fd, struct meta *ret)
{
    struct meta first, second;
    enum error_code code = meta_read(fd, 0, &first);
    if (code)
        return code;
    code = meta_read(fd, first.page_size, &second);
    if (code)
        return code;
    if (second.page_size != first.page_size)
        return ERR_CORRUPT;
    *ret = first.txn < second.txn ? second : first;
    return OK;
}

// A value of the free list: a count, then page numbers.
static bool free_pages(struct check *check, const uint8_t *value, size_t size)
{
    if (size < 8 || native64(value) > size / 8 - 1)
        return false;
    uint64_t count = native64(value);
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page = native64(value + 8 * i);
        if (page > check->meta.last_page)
            return false;
        if (page < check->file_pages)
            continue;
        uint64_t bit = page - check->file_pages;
        if (check->missing[bit / 8] & 1u << bit % 8)
            check->missing_count--;
        check->missing[bit / 8] &= (uint8_t) ~(1u << bit % 8);
    }
    return true;
}

static bool free_overflow(struct check *check, uint64_t page, size_t size)
{
    uint64_t bytes = check->file_pages * check->meta.page_size;
    if (page >= check->file_pages || size > bytes - page * check->meta.page_size - PAGE_HEADER)
        return false;
    uint8_t *value = malloc(size);
    check->no_memory |= !value;
    bool good = value && file_read_at(check->fd, value, size, page * check->meta.page_size + PAGE_HEADER) && free_pages(check, value, size);
    free(value);
    return good;
}

static bool free_tree(struct check *check, uint64_t number, unsigned depth);

static bool free_node(struct check *check, const uint8_t *page, unsigned place, unsigned flags, unsigned depth)
{
    const uint8_t *node = page + place;
    uint64_t low = native16(node) | (uint64_t)native16(node + 2) << 16;
    uint16_t node_flags = native16(node + 4), key_size = native16(node + 6);
    if (flags & FLAG_BRANCH)
        return free_tree(check, low | (uint64_t)node_flags << 32, depth - 1);
    size_t value = (size_t)place + NODE_HEADER + key_size;
    bool big = node_flags & NODE_BIG;
    if (value + (big ? 8 : low) > check->meta.page_size)
        return false;
    return big ? free_overflow(check, native64(page + value), low) : free_pages(check, page + value, low);
}

// Walks the free list's B-tree with plain reads: nothing is trusted, nothing is mapped.
static bool free_tree(struct check *check, uint64_t number, unsigned depth)
{
    size_t size = check->meta.page_size;
    if (depth == 0 || number >= check->file_pages || check->visits++ > check->file_pages)
        return false;
    uint8_t *page = malloc(size);
    check->no_memory |= !page;
    bool good = page && file_read_at(check->fd, page, size, number * size);
    unsigned flags = good ? native16(page + PAGE_FLAGS) & (FLAG_BRANCH | FLAG_LEAF | FLAG_OVERFLOW) : 0;
    unsigned lower = good ? native16(page + PAGE_LOWER) : 0;
    good = good && native64(page) == number && flags == (depth == 1 ? FLAG_LEAF : FLAG_BRANCH) && lower >= PAGE_HEADER && lower <= size;
    for (unsigned at = PAGE_HEADER; good && at + 2 <= lower; at += 2) {
        unsigned place = native16(page + at);
        good = place >= lower && place + NODE_HEADER <= size && free_node(check, page, place, flags, depth);
    }
    free(page);
    return good;
}

// Whether all counted pages behind the end of the file are free.
static bool missing_are_free(struct check *check)
{
    uint64_t count = check->meta.last_page + 1 - check->file_pages;
    if (count > MISSING_MAX || check->meta.free_depth == 0 || check->meta.free_depth > DEPTH_LIMIT)
        return false;
    check->missing = malloc(count / 8 + 1);
    check->no_memory = !check->missing;
    if (!check->missing)
        return false;
    memset(check->missing, 0xFF, count / 8 + 1);
    check->missing_count = count;
    bool good = free_tree(check, check->meta.free_root, check->meta.free_depth) && check->missing_count == 0;
    free(check->missing);
    return good;
}

static enum error_code look(int fd, uint64_t *ret_bytes, struct meta *ret)
{
    struct stat status;
    enum error_code code = metas_read(fd, ret);
    if (code)
        return code;
    if (fstat(fd, &status) != 0)
        return ERR_IO;
    *ret_bytes = (uint64_t)status.st_size;
    struct check check = {.fd = fd, .meta = *ret, .file_pages = (uint64_t)status.st_size / ret->page_size};
    if (check.file_pages > ret->last_page || missing_are_free(&check))
        return OK;
    return check.no_memory ? ERR_MEMORY : ERR_CORRUPT;
}

enum error_code store_file_too_many(const char *path, struct error *error)
{
    return error_set(error, ERR_BUSY,
                     tr("%s: too many files are open, so the store can't be opened; nothing was changed. Close some, or raise the limit "
                        "(ulimit -n)",
                        "%s：打开的文件过多，无法打开存储；未作任何更改。请关闭部分文件，或提高上限（ulimit -n）"),
                     path);
}

enum error_code store_file_check(const char *path, uint64_t *ret_bytes, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        return store_file_too_many(path, error);
    if (fd < 0)
        return error_set_errno(error, errno == ENOENT ? ERR_CORRUPT : ERR_IO, "%s", path);
    struct meta meta = {0}, again = {0};
    uint64_t bytes = 0;
    enum error_code code = OK;
    for (unsigned reads = 0; reads < READS_MAX; reads++) {
        code = look(fd, &bytes, &meta);
        if (code == OK || metas_read(fd, &again) != OK || again.txn == meta.txn)
            break; // good, or bad while nobody wrote
    }
    close(fd);
    if (code == ERR_VERSION)
        return error_set(error, code,
                         tr("%s: written by another version of LMDB; it is kept as it is", "%s：由其他版本的 LMDB 写入；已原样保留"), path);
    if (code == ERR_IO)
        return error_set_errno(error, code, "%s", path);
    if (code == ERR_MEMORY)
        return error_set(error, code, "%s", path);
    if (code && meta.last_page)
        return error_set(error, code,
                         tr("%s: truncated: %llu bytes, and page %llu is missing; it is kept as it is. Put a copy back, or "
                            "run 'sanji rebuild DIR --salvage'",
                            "%s：文件被截断：现有 %llu 字节，缺少第 %llu 页；已原样保留。请恢复副本，或执行 'sanji rebuild DIR --salvage'"),
                         path, (unsigned long long)bytes, (unsigned long long)(bytes / meta.page_size));
    if (code)
        return error_set(error, code,
                         tr("%s: its first pages are damaged; it is kept as it is. Put a copy back, or run 'sanji rebuild DIR --salvage'",
                            "%s：文件头页已损坏；已原样保留。请恢复副本，或执行 'sanji rebuild DIR --salvage'"),
                         path);
    *ret_bytes = bytes;
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
