#include "relay/store_lmdb.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay/language.h"
#include "relay/store_file.h"
#include "relay/store_gate.h"
#include "relay/store_ops.h"

enum {
    TABLES_MAX = 32,         // room for tables of later versions beside ours
    READERS_MAX = 126,       // over all processes: HTTP threads, and commands beside the node
    BEGIN_TRIES_MAX = 1000,  // each fails only when two commits come between two instructions
    READER_CHECK_EVERY = 64, // write transactions: a killed reader pins at most the pages of so many commits
};
static const MDB_dbi absent = 0; // LMDB's own free list has this number, so no table of ours can

_Static_assert((int)TABLE_COUNT <= (int)TABLES_MAX, "mdb_env_set_maxdbs");

struct lmdb_store {
    struct store base;
    MDB_env *env;
    MDB_dbi tables[TABLE_COUNT];
    char *path;
    // Between threads of this process, before LMDB's own lock between processes: so that the map is grown while nothing is open.
    pthread_mutex_t writer;
    uint64_t writes; // write transactions begun; under `writer`
    struct store_gate gate;
};

struct lmdb_txn {
    struct txn base;
    MDB_txn *txn;
};

struct lmdb_cursor {
    struct cursor base;
    MDB_cursor *cursor;
};

static struct lmdb_store *lmdb_store_of(struct store *store) { return (struct lmdb_store *)store; }
static struct lmdb_store *store_of(struct txn *txn) { return (struct lmdb_store *)txn->store; }
static MDB_txn *txn_of(struct txn *txn) { return ((struct lmdb_txn *)txn)->txn; }
static MDB_val val_of(struct bytes bytes) { return (MDB_val){bytes.size, (void *)(uintptr_t)bytes.data}; }
static struct bytes bytes_of_val(MDB_val val) { return bytes_of(val.mv_data, val.mv_size); }

// ---- errors

// The one place where LMDB's codes become ours.
static enum error_code code_of(MDB_env *env, int rc)
{
    int fd;
    switch (rc) {
    case MDB_SUCCESS:
        return OK;
    case MDB_MAP_FULL:
        return ERR_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_CURSOR_FULL: // a tree deeper than any real one
    case MDB_INCOMPATIBLE:
        return ERR_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return ERR_VERSION;
    case MDB_READERS_FULL:
    case MDB_MAP_RESIZED: // readers kept us from following
    case EAGAIN:
    case EMFILE: // of the process, or of the machine: nothing is wrong with the store
    case ENFILE:
        return ERR_BUSY;
    case MDB_TXN_FULL:
    case MDB_DBS_FULL:
    case MDB_BAD_VALSIZE:
        return ERR_LIMIT;
    case ENOMEM:
        return ERR_MEMORY;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_IO;
    default: // MDB_PANIC, EIO ...: what is on disk is unknown
        return mdb_env_get_fd(env, &fd) == MDB_SUCCESS && store_file_no_room(fd, rc) ? ERR_FULL : ERR_STORE;
    }
}

static enum error_code report(MDB_env *env, const char *path, int rc, struct error *error)
{
    if (rc == MDB_MAP_FULL)
        return error_set(error, ERR_FULL, tr("%s: the map is full and will grow; try again", "%s：映射区已满，将自动扩大；请重试"), path);
    if (rc == EMFILE || rc == ENFILE)
        return store_file_too_many(path, error);
    enum error_code code = code_of(env, rc);
    if (code == ERR_FULL)
        return error_set(error, code, tr("%s: the disk is full; nothing was changed", "%s：磁盘已满；未作任何更改"), path);
    if (code == ERR_CORRUPT)
        return store_file_broken(path, mdb_strerror(rc), error);
    return error_set(error, code, "%s: %s", path, mdb_strerror(rc));
}

static void fail(struct txn *txn, enum table table, int rc)
{
    struct lmdb_store *store = store_of(txn);
    struct error error;
    char place[STORE_PATH_MAX];
    snprintf(place, sizeof place, "%s: %s", store->path, table_name(table));
    if (rc == MDB_MAP_FULL)
        store_gate_want(&store->gate, false);
    enum error_code code = report(store->env, place, rc, &error);
    txn_fail(txn, code, error.detail);
}

// ---- transactions

// Twice the map, or what another process has made of it. When that fails the old one is gone.
static bool grow(void *context, bool adopt)
{
    struct lmdb_store *store = context;
    MDB_envinfo info;
    size_t bytes = 0;
    if (!adopt && mdb_env_info(store->env, &info) == MDB_SUCCESS)
        bytes = info.me_mapsize > SIZE_MAX / 2 ? info.me_mapsize : info.me_mapsize * 2;
    return (!adopt && !bytes) || mdb_env_set_mapsize(store->env, bytes) == MDB_SUCCESS;
}

// LMDB 0.9.24 registers a reader under the last commit's number and then reads the meta page at number & 1. Two commits in between, and it
// reads the second one's page, which may not be durable yet. Then a newer commit than the next shows: the reader begins again.
static int only_durable(MDB_env *env, MDB_txn *txn)
{
    for (int tries = 0; tries < BEGIN_TRIES_MAX; tries++) {
        MDB_envinfo info;
        int rc = mdb_env_info(env, &info);
        if (rc || info.me_last_txnid <= mdb_txn_id(txn) + 1)
            return rc;
        mdb_txn_reset(txn);
        rc = mdb_txn_renew(txn);
        if (rc)
            return rc;
    }
    return EAGAIN;
}

static int begin_once(struct lmdb_store *store, bool write, MDB_txn **ret)
{
    if (!store_gate_enter(&store->gate))
        return MDB_PANIC;
    int rc = mdb_txn_begin(store->env, NULL, write ? 0 : MDB_RDONLY, ret);
    if (rc == MDB_SUCCESS && !write) {
        rc = only_durable(store->env, *ret);
        if (rc)
            mdb_txn_abort(*ret);
    }
    if (rc)
        store_gate_leave(&store->gate);
    if (rc == MDB_MAP_RESIZED)
        store_gate_want(&store->gate, true);
    return rc;
}

static void lmdb_end(struct txn *txn)
{
    struct lmdb_store *store = store_of(txn);
    bool write = txn->write;
    free(txn);
    store_gate_leave(&store->gate);
    if (write) {
        int rc = pthread_mutex_unlock(&store->writer);
        assert(rc == 0); // by the thread that began it
    }
}

static struct txn *lmdb_begin(struct store *base, bool write, struct error *error)
{
    struct lmdb_store *store = lmdb_store_of(base);
    struct lmdb_txn *txn = calloc(1, sizeof *txn);
    if (!txn) {
        error_set(error, ERR_MEMORY, "%s", store->path);
        return NULL;
    }
    if (write) {
        int rc = pthread_mutex_lock(&store->writer);
        assert(rc == 0); // EDEADLK: this thread has a write transaction open
        if (++store->writes % READER_CHECK_EVERY == 0)
            mdb_reader_check(store->env, NULL);
    }
    int rc = begin_once(store, write, &txn->txn);
    if (rc == MDB_MAP_RESIZED)
        rc = begin_once(store, write, &txn->txn);
    if (rc) {
        report(store->env, store->path, rc, error);
        if (write)
            pthread_mutex_unlock(&store->writer);
        free(txn);
        return NULL;
    }
    txn->base.ops = base->ops;
    txn->base.store = base;
    txn->base.write = write;
    return &txn->base;
}

static void lmdb_abort(struct txn *txn)
{
    mdb_txn_abort(txn_of(txn));
    lmdb_end(txn);
}

// After a failed write of the meta page LMDB refuses everything (MDB_PANIC): then it is unknown what the next start will find.
static bool outcome_known(struct lmdb_store *store)
{
    MDB_txn *probe;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &probe);
    if (rc == MDB_SUCCESS)
        mdb_txn_abort(probe);
    return rc == MDB_SUCCESS;
}

static enum error_code lmdb_commit(struct txn *txn, struct error *error)
{
    struct lmdb_store *store = store_of(txn);
    if (!txn->write) {
        lmdb_abort(txn);
        return OK;
    }
    int rc = mdb_txn_commit(txn_of(txn));
    enum error_code code = rc ? report(store->env, store->path, rc, error) : OK;
    if (code && code != ERR_STORE && !outcome_known(store))
        code = error_set(error, ERR_STORE, "%s: %s", store->path, mdb_strerror(rc));
    if (rc == MDB_MAP_FULL)
        store_gate_want(&store->gate, false);
    lmdb_end(txn);
    return code;
}

// ---- rows

static bool lmdb_get(struct txn *txn, enum table table, struct bytes key, struct bytes *ret)
{
    MDB_dbi dbi = store_of(txn)->tables[table];
    MDB_val k = val_of(key), v;
    int rc = dbi == absent ? MDB_NOTFOUND : mdb_get(txn_of(txn), dbi, &k, &v);
    if (rc == MDB_SUCCESS)
        *ret = bytes_of_val(v);
    else if (rc != MDB_NOTFOUND)
        fail(txn, table, rc);
    return rc == MDB_SUCCESS;
}

static void lmdb_put(struct txn *txn, enum table table, struct bytes key, struct bytes value, bool append)
{
    MDB_val k = val_of(key), v = val_of(value);
    int rc = mdb_put(txn_of(txn), store_of(txn)->tables[table], &k, &v, append ? MDB_APPEND : 0);
    if (rc == MDB_KEYEXIST)
        txn_fail(txn, ERR_CORRUPT, tr("a row to be appended has a key that is not the last", "追加的行其键并非最大"));
    else if (rc)
        fail(txn, table, rc);
}

static bool lmdb_remove(struct txn *txn, enum table table, struct bytes key)
{
    MDB_val k = val_of(key);
    int rc = mdb_del(txn_of(txn), store_of(txn)->tables[table], &k, NULL);
    if (rc && rc != MDB_NOTFOUND)
        fail(txn, table, rc);
    return rc == MDB_SUCCESS;
}

static uint64_t lmdb_count(struct txn *txn, enum table table)
{
    MDB_dbi dbi = store_of(txn)->tables[table];
    MDB_stat stat = {0};
    int rc = dbi == absent ? MDB_SUCCESS : mdb_stat(txn_of(txn), dbi, &stat);
    if (rc)
        fail(txn, table, rc);
    return stat.ms_entries;
}

static bool lmdb_file(struct txn *txn, int *ret_fd, uint64_t *ret_number)
{
    *ret_number = mdb_txn_id(txn_of(txn));
    return mdb_env_get_fd(store_of(txn)->env, ret_fd) == MDB_SUCCESS;
}

static struct cursor *lmdb_cursor_open(struct txn *txn, enum table table)
{
    MDB_dbi dbi = store_of(txn)->tables[table];
    struct lmdb_cursor *cursor = calloc(1, sizeof *cursor);
    int rc = cursor ? MDB_SUCCESS : ENOMEM;
    if (!rc && dbi != absent)
        rc = mdb_cursor_open(txn_of(txn), dbi, &cursor->cursor);
    if (!rc)
        return &cursor->base;
    fail(txn, table, rc);
    free(cursor);
    return NULL;
}

static bool lmdb_cursor_move(struct cursor *cursor, enum cursor_move move, struct bytes key)
{
    static const MDB_cursor_op moves[] = {
        [MOVE_SEEK] = MDB_SET_RANGE, [MOVE_FIRST] = MDB_FIRST, [MOVE_LAST] = MDB_LAST, [MOVE_NEXT] = MDB_NEXT, [MOVE_PREV] = MDB_PREV,
    };
    MDB_cursor *place = ((struct lmdb_cursor *)cursor)->cursor;
    MDB_val k = val_of(key), v;
    int rc = place ? mdb_cursor_get(place, &k, &v, moves[move]) : MDB_NOTFOUND;
    if (rc == MDB_SUCCESS) {
        cursor->key = bytes_of_val(k);
        cursor->value = bytes_of_val(v);
    } else if (rc != MDB_NOTFOUND) {
        fail(cursor->txn, cursor->table, rc);
    }
    return rc == MDB_SUCCESS;
}

static void lmdb_cursor_close(struct cursor *cursor)
{
    MDB_cursor *place = ((struct lmdb_cursor *)cursor)->cursor;
    if (place)
        mdb_cursor_close(place);
    free(cursor);
}

// ---- the store

static void lmdb_size(struct store *base, uint64_t *ret_bytes, uint64_t *ret_map_bytes)
{
    struct lmdb_store *store = lmdb_store_of(base);
    MDB_envinfo info = {0};
    MDB_stat stat = {0};
    if (store_gate_hold(&store->gate)) {
        mdb_env_info(store->env, &info);
        mdb_env_stat(store->env, &stat);
    }
    store_gate_release(&store->gate);
    *ret_bytes = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
    *ret_map_bytes = info.me_mapsize;
}

static void lmdb_close(struct store *base)
{
    struct lmdb_store *store = lmdb_store_of(base);
    if (store->env)
        mdb_env_close(store->env);
    store_gate_finish(&store->gate);
    pthread_mutex_destroy(&store->writer);
    free(store->path);
    free(store);
}

static const struct store_ops lmdb_ops = {
    .close = lmdb_close,
    .size = lmdb_size,
    .begin = lmdb_begin,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .get = lmdb_get,
    .put = lmdb_put,
    .remove = lmdb_remove,
    .count = lmdb_count,
    .file = lmdb_file,
    .cursor_open = lmdb_cursor_open,
    .cursor_move = lmdb_cursor_move,
    .cursor_close = lmdb_cursor_close,
};

static struct lmdb_store *store_new(const char *path)
{
    struct lmdb_store *store = calloc(1, sizeof *store);
    char *copy = strdup(path);
    if (!store || !copy) {
        free(store);
        free(copy);
        return NULL;
    }
    store->base.ops = &lmdb_ops;
    store->path = copy;
    pthread_mutexattr_t checked;
    pthread_mutexattr_init(&checked);
    pthread_mutexattr_settype(&checked, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&store->writer, &checked);
    pthread_mutexattr_destroy(&checked);
    store_gate_init(&store->gate, grow, store);
    return store;
}

// No WRITEMAP (a full disk would be SIGBUS), no NOMEMINIT (it writes stale memory to disk). NOTLS: a reader belongs to a
// transaction, not to a thread.
static int environment_open(struct lmdb_store *store, unsigned flags, uint64_t map_bytes)
{
    int fd, rc = mdb_env_create(&store->env);
    if (!rc)
        rc = mdb_env_set_mapsize(store->env, map_bytes);
    if (!rc)
        rc = mdb_env_set_maxdbs(store->env, TABLES_MAX);
    if (!rc)
        rc = mdb_env_set_maxreaders(store->env, READERS_MAX);
    if (!rc)
        rc = mdb_env_open(store->env, store->path, flags | MDB_NOTLS, 0600);
    if (!rc)
        rc = mdb_env_get_fd(store->env, &fd);
    if (!rc && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) // LMDB 0.9 opens data.mdb alone without it
        rc = errno;
    if (!rc)
        rc = mdb_reader_check(store->env, NULL);
    return rc;
}

// Opens what tables there are, and makes the missing ones where it may: a table added later is no new format.
static int tables_open(struct lmdb_store *store, MDB_txn *txn, bool make)
{
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        int rc = mdb_dbi_open(txn, table_name((enum table)i), make ? MDB_CREATE : 0, &store->tables[i]);
        if (rc == MDB_NOTFOUND)
            store->tables[i] = absent;
        else if (rc)
            return rc;
    }
    return MDB_SUCCESS;
}

// Handles live on when the transaction that opened them was committed, and not when it was aborted.
static enum error_code tables_begin(struct lmdb_store *store, bool make, bool write_format, struct error *error)
{
    struct lmdb_txn *txn = (struct lmdb_txn *)lmdb_begin(&store->base, make, error);
    if (!txn)
        return error->code;
    int rc = tables_open(store, txn->txn, make);
    if (!rc && write_format)
        store_format_write(&txn->base);
    if (!rc && !txn->base.error.code && make)
        return lmdb_commit(&txn->base, error);
    enum error_code code = rc ? report(store->env, store->path, rc, error) : txn->base.error.code;
    if (!rc && code && error)
        *error = txn->base.error;
    if (!code) {
        rc = mdb_txn_commit(txn->txn); // a reader's, for the handles
        code = rc ? report(store->env, store->path, rc, error) : OK;
        lmdb_end(&txn->base);
        return code;
    }
    lmdb_abort(&txn->base);
    return code;
}

static enum error_code open_tables(struct lmdb_store *store, bool read_only, struct error *error)
{
    bool there[TABLE_COUNT], whole = true;
    MDB_stat names = {0};
    MDB_dbi list;
    enum error_code code = tables_begin(store, false, false, error);
    if (code)
        return code;
    struct txn *txn = lmdb_begin(&store->base, false, error);
    if (!txn)
        return error->code;
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        whole &= there[i] = store->tables[i] != absent;
    int rc = mdb_dbi_open(txn_of(txn), NULL, 0, &list);
    if (!rc)
        rc = mdb_stat(txn_of(txn), list, &names);
    code = rc ? report(store->env, store->path, rc, error) : store_tables_check(txn, store->path, there, names.ms_entries, error);
    lmdb_abort(txn);
    return code || read_only || whole ? code : tables_begin(store, true, false, error);
}

enum error_code store_lmdb_make(const char *path, const char *name, uint64_t map_bytes, struct error *error)
{
    struct lmdb_store *store = store_new(path);
    if (!store)
        return error_set(error, ERR_MEMORY, "%s", name);
    int rc = environment_open(store, 0, map_bytes);
    enum error_code code = rc ? report(store->env, name, rc, error) : tables_begin(store, true, true, error);
    lmdb_close(&store->base);
    return code;
}

enum error_code store_lmdb_open(const char *path, bool read_only, uint64_t map_bytes, struct store **ret, struct error *error)
{
    struct lmdb_store *store = store_new(path);
    if (!store)
        return error_set(error, ERR_MEMORY, "%s", path);
    int rc = environment_open(store, read_only ? MDB_RDONLY : 0, map_bytes);
    enum error_code code = rc ? report(store->env, path, rc, error) : open_tables(store, read_only, error);
    if (code) {
        lmdb_close(&store->base);
        return code;
    }
    *ret = &store->base;
    return OK;
}
