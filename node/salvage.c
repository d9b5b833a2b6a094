#include "node/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/config.h"
#include "node/salvage_inside.h"
#include "relay/file.h"
#include "relay/language.h"

enum { PATH_SIZE = 4096, NAME_TRIES = 100 };

static bool read_file(void *context, uint64_t offset, void *data, size_t size)
{
    const struct salvage *salvage = context;
    return file_read_at(salvage->file, data, size, offset);
}

static enum error_code lock(struct salvage *salvage, struct error *error)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/lock", salvage->directory);
    salvage->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (salvage->lock < 0)
        return error_set_errno(error, ERR_IO, "%s", path);
    if (flock(salvage->lock, LOCK_EX | LOCK_NB) != 0)
        return error_set(error, ERR_BUSY, tr("%s: a node or another command has this station open", "%s：节点或另一命令正在使用此站点"),
                         salvage->directory);
    return OK;
}

// No file is an empty one.
static enum error_code open_damaged(struct salvage *salvage, struct error *error)
{
    char path[PATH_SIZE];
    struct stat status;
    snprintf(path, sizeof path, "%s/store/data.mdb", salvage->directory);
    salvage->file = open(path, O_RDONLY | O_CLOEXEC);
    if (salvage->file < 0)
        return errno == ENOENT || errno == ENOTDIR ? OK : error_set_errno(error, ERR_IO, "%s", path);
    if (fstat(salvage->file, &status) != 0)
        return error_set_errno(error, ERR_IO, "%s", path);
    salvage->source = (struct salvage_source){salvage, read_file, (uint64_t)status.st_size};
    return OK;
}

// A marker that can be read says which incarnation the station was in; without one the rows do.
static enum error_code read_marker(struct salvage *salvage, const struct identity *identity, struct error *error)
{
    struct marker marker = {.station = identity->station};
    enum error_code code = marker_read(salvage->directory, &marker, error);
    if (code != OK && code != ERR_NOT_FOUND && code != ERR_CORRUPT)
        return code;
    if (!station_equal(&marker.station, &identity->station))
        return error_set(error, ERR_CORRUPT, tr("%s/marker: belongs to another station", "%s/marker：属于另一站点"), salvage->directory);
    salvage->report->expected = marker.end;
    if (salvage->ordinal > marker.ordinal) {
        marker.ordinal = salvage->ordinal;
        marker.nonce = salvage->nonce;
    }
    marker.restored = true;
    marker.wants = crypto_random_u64();
    salvage->marker = marker;
    return OK;
}

static enum error_code who(struct salvage *salvage, struct error *error)
{
    struct config config;
    struct identity identity = {0};
    enum error_code code = config_read(salvage->directory, &config, error);
    if (code == OK)
        code = identity_load(salvage->directory, &identity, error);
    if (code == OK)
        code = read_marker(salvage, &identity, error);
    if (code == OK && !salvage_find_self(salvage, &identity, &config.root, &salvage->self))
        code = error_set(error, ERR_NOT_FOUND,
                         tr("%s: this station's certificate, with its issuers', is neither in the damaged store nor in DIR/enrolment, so "
                            "nothing proves whose station it is. Put a copy of the store or of that file back; or invite the unit again, "
                            "and join as a new station in another directory: what this one sent is with its parent",
                            "%s：损坏的存储和 DIR/enrolment 中均无本站点的证书及其签发链，无法证明站点归属。"
                            "请恢复存储或该文件的副本；或重新邀请该单位，在其他目录作为新站点加入：本站点已发送的内容保存在上级"),
                         salvage->directory);
    identity_finish(&identity);
    if (code == OK) {
        snprintf(salvage->report->unit, sizeof salvage->report->unit, "%s", salvage->self.unit);
        salvage->report->root = salvage->self.root;
    }
    return code;
}

// ---- putting it in its place

static void remove_staging(const char *staging)
{
    static const char *const names[] = {"store/data.mdb", "store/lock.mdb", "store", ""};
    char path[PATH_SIZE + 32];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", staging, names[i]);
        remove(path);
    }
}

// A name in DIR that is free: store.damaged-YYYYMMDD, and then store.damaged-YYYYMMDD-2 ...
static enum error_code free_name(const char *directory, char name[64], char path[PATH_SIZE], struct error *error)
{
    time_t now = time(NULL);
    struct tm day = {0};
    struct stat status;
    gmtime_r(&now, &day);
    for (unsigned i = 1; i <= NAME_TRIES; i++) {
        size_t size = strftime(name, 32, "store.damaged-%Y%m%d", &day);
        if (i > 1)
            snprintf(name + size, 16, "-%u", i);
        snprintf(path, PATH_SIZE, "%s/%s", directory, name);
        if (lstat(path, &status) != 0 && errno == ENOENT)
            return OK;
    }
    return error_set(error, ERR_EXISTS, tr("%s: too many damaged stores of today are kept here", "%s：今日保留的损坏存储过多"), directory);
}

// At no moment is there no store: the two are exchanged. Where the file system can't, the damaged one goes first.
static enum error_code exchange(struct salvage *salvage, const char *staging, const char *store, const char *damaged, struct error *error)
{
    char made[PATH_SIZE + 8];
    struct stat status;
    snprintf(made, sizeof made, "%s/store", staging);
    if (lstat(store, &status) != 0 && errno == ENOENT)
        return rename(made, store) == 0 ? OK : error_set_errno(error, ERR_IO, "%s", store);
    if (renameat2(AT_FDCWD, made, AT_FDCWD, store, RENAME_EXCHANGE) == 0) {
        if (rename(made, damaged) == 0)
            return OK;
        enum error_code code = error_set_errno(error, ERR_IO, "%s", damaged);
        salvage->swapped = renameat2(AT_FDCWD, made, AT_FDCWD, store, RENAME_EXCHANGE) != 0;
        return code;
    }
    if (errno != EINVAL && errno != ENOSYS)
        return error_set_errno(error, ERR_IO, "%s", store);
    if (rename(store, damaged) != 0)
        return error_set_errno(error, ERR_IO, "%s", damaged);
    return rename(made, store) == 0 ? OK : error_set_errno(error, ERR_IO, "%s", store);
}

// The marker first: from then on the station is one that was put back, whichever store is in its place.
static enum error_code put_in_place(struct salvage *salvage, const char *staging, struct error *error)
{
    char store[PATH_SIZE], damaged[PATH_SIZE], made[PATH_SIZE + 8], name[64];
    struct stat status;
    snprintf(store, sizeof store, "%s/store", salvage->directory);
    snprintf(made, sizeof made, "%s/store", staging);
    bool was_there = lstat(store, &status) == 0;
    enum error_code code = free_name(salvage->directory, name, damaged, error);
    if (code == OK)
        code = file_sync_directory(made, error);
    if (code == OK)
        code = marker_write(salvage->directory, &salvage->marker, error);
    if (code == OK)
        code = exchange(salvage, staging, store, damaged, error);
    if (code == OK)
        code = file_sync_directory(salvage->directory, error);
    if (code == OK)
        snprintf(salvage->report->kept_as, sizeof salvage->report->kept_as, "%s", was_there ? name : "-");
    return code;
}

static enum error_code make(struct salvage *salvage, bool go_on, struct error *error)
{
    char staging[PATH_SIZE];
    snprintf(staging, sizeof staging, "%s/store.new-XXXXXX", salvage->directory);
    if (!mkdtemp(staging))
        return error_set_errno(error, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, "%s", staging);
    enum error_code code = salvage_make(salvage, staging, error);
    if (code == OK && go_on)
        code = put_in_place(salvage, staging, error);
    if (!salvage->swapped) // or it is the damaged one that stands there
        remove_staging(staging);
    return code;
}

enum error_code station_salvage(const char *directory, bool go_on, void (*progress)(void *context, uint64_t done, uint64_t total),
                                void *context, struct salvage_report *ret, struct error *error)
{
    struct salvage *salvage = calloc(1, sizeof *salvage);
    if (!salvage)
        return error_set(error, ERR_MEMORY, "salvage");
    *ret = (struct salvage_report){0};
    *salvage =
        (struct salvage){.directory = directory, .lock = -1, .file = -1, .progress = progress, .progress_context = context, .report = ret};
    enum error_code code = crypto_init(error);
    struct config config;
    if (code == OK)
        code = config_read(directory, &config, error); // a station's directory, before anything is made in it
    if (code == OK)
        code = lock(salvage, error);
    if (code == OK)
        code = open_damaged(salvage, error);
    if (code == OK)
        code = salvage_look(salvage, error);
    if (code == OK)
        code = who(salvage, error);
    if (code == OK)
        code = make(salvage, go_on, error);
    if (salvage->file >= 0)
        close(salvage->file);
    if (salvage->lock >= 0)
        close(salvage->lock);
    buffer_finish(&salvage->batches);
    buffer_finish(&salvage->rows);
    buffer_finish(&salvage->enrolment);
    free(salvage);
    return code;
}
