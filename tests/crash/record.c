// For LD_PRELOAD: writes down what a process does to the files under $RECORD_UNDER, and what it says, in the order in which it happens.
// With $RECORD_KILL_AT=N it kills the process at its N-th event: before it is done, or just after where that is when it is written down.
// Events (log.h) go to $RECORD_TO, one write() each, so that several threads and processes share one order. A write is written down before
// it is made, a flush before and after: what the log calls durable was so.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "tests/crash/log.h"

static int log_fd = -1;
static char under[PATH_MAX];
static size_t under_size;
static _Atomic long until_killed; // 0: never

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("RECORD_TO"), *directory = getenv("RECORD_UNDER");
    if (!path || !directory)
        return;
    const char *kill_at = getenv("RECORD_KILL_AT");
    until_killed = kill_at ? strtol(kill_at, NULL, 10) : 0;
    under_size = (size_t)snprintf(under, sizeof under, "%s/", directory);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

static void put(struct event_head head, const void *a, size_t a_size, const void *b, size_t b_size)
{
    int kept = errno;
    int ends = log_fd >= 0 && until_killed > 0 && --until_killed == 0;
    int is_done = head.kind == LOG_CREATE || head.kind == LOG_MKDIR || head.kind == LOG_UNLINK;
    if (ends && !is_done)
        kill(getpid(), SIGKILL);
    head.a_size = (uint32_t)a_size;
    head.b_size = (uint32_t)b_size;
    head.size = (uint32_t)(sizeof head + a_size + b_size);
    head.process = (uint32_t)getpid();
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)(uintptr_t)a, a_size}, {(void *)(uintptr_t)b, b_size}};
    if (log_fd >= 0 && syscall(SYS_writev, log_fd, parts, 3) != (ssize_t)head.size)
        abort();
    if (ends)
        kill(getpid(), SIGKILL);
    errno = kept;
}

// ---- which files count

// Sockets, locks and what processes share in memory are no part of what lasts.
static int counts_path(const char *path)
{
    if (log_fd < 0 || strncmp(path, under, under_size) != 0)
        return 0;
    const char *name = strrchr(path, '/') + 1;
    return strcmp(name, "lock") != 0 && strcmp(name, "lock.mdb") != 0 && strncmp(name, "control.sock", 12) != 0;
}

static int counts(int fd, struct stat *ret)
{
    char link[64], path[PATH_MAX];
    if (log_fd < 0 || fstat(fd, ret) != 0 || (!S_ISREG(ret->st_mode) && !S_ISDIR(ret->st_mode)))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0)
        return 0;
    path[size] = 0;
    return counts_path(path) || (strncmp(path, under, under_size - 1) == 0 && (size_t)size == under_size - 1);
}

static uint64_t number_of(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 ? status.st_ino : 0;
}

static uint64_t parent_of(const char *path)
{
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = 0;
    return number_of(parent);
}

static void path_event(enum event_kind kind, const char *path, const char *to)
{
    struct event_head head = {.kind = (uint8_t)kind, .parent = parent_of(path), .file = kind == LOG_UNLINK ? 0 : number_of(path)};
    put(head, path, strlen(path), to, to ? strlen(to) : 0);
}

static void forbidden(const char *what) { put((struct event_head){.kind = LOG_FORBIDDEN}, what, strlen(what), NULL, 0); }

// ---- names

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    int mine = counts_path(path), fresh = mine && (flags & O_CREAT) && number_of(path) == 0;
    int fd = REAL(open)(path, flags, mode);
    struct stat status;
    if (fd < 0 || !mine || fstat(fd, &status) != 0)
        return fd;
    if (fresh)
        path_event(LOG_CREATE, path, NULL);
    else if (flags & O_TRUNC)
        put((struct event_head){.kind = LOG_TRUNCATE, .file = status.st_ino}, NULL, 0, NULL, 0);
    return fd;
}

int mkdir(const char *path, mode_t mode)
{
    int rc = REAL(mkdir)(path, mode);
    if (rc == 0 && counts_path(path))
        path_event(LOG_MKDIR, path, NULL);
    return rc;
}

char *mkdtemp(char *path)
{
    char *made = REAL(mkdtemp)(path);
    if (made && counts_path(made))
        path_event(LOG_MKDIR, made, NULL);
    return made;
}

static int removed(int rc, const char *path)
{
    if (rc == 0 && counts_path(path))
        path_event(LOG_UNLINK, path, NULL);
    return rc;
}
int unlink(const char *path) { return removed(REAL(unlink)(path), path); }
int rmdir(const char *path) { return removed(REAL(rmdir)(path), path); }
int remove(const char *path) { return removed(REAL(remove)(path), path); }

int rename(const char *from, const char *to)
{
    if (counts_path(from))
        path_event(LOG_RENAME, from, to);
    return REAL(rename)(from, to);
}

int link(const char *from, const char *to)
{
    if (counts_path(from))
        forbidden("a hard link");
    return REAL(link)(from, to);
}

// ---- contents

static void write_event(int fd, const struct stat *file, const void *data, size_t size, uint64_t offset, int *ret_durable)
{
    *ret_durable = fcntl(fd, F_GETFL) & O_DSYNC ? 1 : 0;
    put((struct event_head){.kind = LOG_WRITE, .durable = (uint8_t)*ret_durable, .file = file->st_ino, .offset = offset}, data, size, NULL,
        0);
}

static ssize_t written(ssize_t rc, size_t size, const struct stat *file, uint64_t offset, int durable)
{
    if (rc != (ssize_t)size)
        forbidden("a short write"); // the machine's own trouble: this log is no use
    if (durable)
        put((struct event_head){.kind = LOG_WRITTEN, .file = file->st_ino, .offset = offset}, NULL, 0, NULL, 0);
    return rc;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    struct stat file;
    int durable;
    if (!counts(fd, &file))
        return REAL(pwrite)(fd, data, size, offset);
    write_event(fd, &file, data, size, (uint64_t)offset, &durable);
    return written(REAL(pwrite)(fd, data, size, offset), size, &file, (uint64_t)offset, durable);
}

static uint64_t place(int fd, const struct stat *file)
{
    return fcntl(fd, F_GETFL) & O_APPEND ? (uint64_t)file->st_size : (uint64_t)lseek(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *data, size_t size)
{
    struct stat file;
    int durable;
    if (!counts(fd, &file))
        return REAL(write)(fd, data, size);
    uint64_t offset = place(fd, &file);
    write_event(fd, &file, data, size, offset, &durable);
    return written(REAL(write)(fd, data, size), size, &file, offset, durable);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct stat file;
    int durable = 0;
    if (!counts(fd, &file))
        return REAL(writev)(fd, parts, count);
    uint64_t begin = place(fd, &file), size = 0;
    for (int i = 0; i < count; size += parts[i++].iov_len)
        write_event(fd, &file, parts[i].iov_base, parts[i].iov_len, begin + size, &durable);
    if (durable)
        forbidden("a gathered write with O_DSYNC");
    return written(REAL(writev)(fd, parts, count), size, &file, begin, 0);
}

int ftruncate(int fd, off_t size)
{
    struct stat file;
    if (counts(fd, &file))
        put((struct event_head){.kind = LOG_TRUNCATE, .file = file.st_ino, .offset = (uint64_t)size}, NULL, 0, NULL, 0);
    return REAL(ftruncate)(fd, size);
}

static int flush(int (*call)(int), int fd)
{
    struct stat file;
    if (!counts(fd, &file))
        return call(fd);
    put((struct event_head){.kind = LOG_SYNC, .file = file.st_ino}, NULL, 0, NULL, 0);
    int rc = call(fd);
    if (rc == 0)
        put((struct event_head){.kind = LOG_SYNCED, .file = file.st_ino}, NULL, 0, NULL, 0);
    return rc;
}
int fsync(int fd) { return flush(REAL(fsync), fd); }
int fdatasync(int fd) { return flush(REAL(fdatasync), fd); }

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    struct stat file;
    if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE) && counts(fd, &file)) {
        forbidden("a shared writable map");
        errno = EACCES;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

// ---- what it says

size_t fwrite(const void *data, size_t size, size_t count, FILE *file)
{
    if (file == stdout && size > 0 && count > 0)
        put((struct event_head){.kind = LOG_SAY, .offset = STDOUT_FILENO}, data, size * count, NULL, 0);
    return REAL(fwrite)(data, size, count, file);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    struct sockaddr_un address = {0};
    socklen_t length = sizeof address;
    if (log_fd >= 0 && getsockname(fd, (struct sockaddr *)&address, &length) == 0 && address.sun_family == AF_UNIX)
        put((struct event_head){.kind = LOG_ANSWER}, data, size, NULL, 0);
    return REAL(send)(fd, data, size, flags);
}

int zmq_msg_send(zmq_msg_t *message, void *socket, int flags)
{
    put((struct event_head){.kind = LOG_MESSAGE}, zmq_msg_data(message), zmq_msg_size(message), NULL, 0);
    return REAL(zmq_msg_send)(message, socket, flags);
}
