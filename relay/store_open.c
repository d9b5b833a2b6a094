#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "relay/language.h"
#include "relay/store_file.h"
#include "relay/store_lmdb.h"
#include "relay/store_ops.h"

enum { TABLES_FIRST = TABLE_EDGES + 1 }; // those before it were there from the first

static const uint64_t map_default = (uint64_t)64 << 30; // address space only

static enum error_code create(const char *directory, const char *path, struct error *error)
{
    char temporary[STORE_PATH_MAX];
    enum error_code code = store_file_begin(directory, path, temporary, error);
    if (code)
        return code;
    code = store_lmdb_make(temporary, path, map_default, error);
    if (!code)
        code = store_file_publish(directory, temporary, path, error);
    if (code)
        store_file_discard(temporary);
    return code;
}

// A name that we don't know beside one that is missing is what has become of it: opened for writing, the table would be made anew, empty.
enum error_code store_tables_check(struct txn *txn, const char *path, const bool there[TABLE_COUNT], uint64_t names, struct error *error)
{
    char how[128];
    uint64_t present = 0;
    unsigned missing = TABLE_COUNT;
    enum error_code code = there[TABLE_META] ? store_format_check(txn, error) : OK;
    for (unsigned i = TABLE_COUNT; i > 0; i--) {
        present += there[i - 1];
        missing = there[i - 1] ? missing : i - 1;
    }
    if (code || missing == TABLE_COUNT || (missing >= TABLES_FIRST && names == present))
        return code;
    snprintf(how, sizeof how, tr("table %s is missing", "缺少表 %s"), table_name((enum table)missing));
    return store_file_broken(path, how, error);
}

enum error_code store_open(const char *directory, enum store_mode mode, uint64_t map_bytes, struct store **ret, struct error *error)
{
    char path[STORE_PATH_MAX], data[STORE_PATH_MAX];
    struct error own;
    struct stat status;
    uint64_t bytes;
    if (!error)
        error = &own;
    enum error_code code = store_file_path(directory, "store", path, error);
    if (!code)
        code = store_file_path(path, "data.mdb", data, error);
    if (!code && mode == STORE_CREATE)
        code = create(directory, path, error);
    if (!code && stat(path, &status) != 0)
        code = errno == ENOENT ? error_set(error, ERR_NOT_FOUND, tr("%s: there is no store", "%s：没有存储"), path)
                               : error_set_errno(error, ERR_IO, "%s", path);
    if (!code)
        code = store_file_check(data, &bytes, error);
    if (code)
        return code;
    uint64_t map = map_bytes ? map_bytes : map_default;
    while (map < bytes + bytes / 4) // room to begin with
        map *= 2;
    return store_lmdb_open(path, mode == STORE_READ_ONLY, map, ret, error);
}
