// For LD_PRELOAD: the $FAIL_AT-th call of the kind $FAIL_WHAT fails, counted from 1; with $FAIL_EVER it and all after it do. When one has
// failed, $FAIL_NOTE names a file that is made. Only calls that the program or its libraries make from outside libc are seen.
//   memory   malloc, calloc, realloc, posix_memalign        ENOMEM
//   write    pwrite, write, writev under $FAIL_UNDER        ENOSPC  (meta: EIO)
//   short    the same: half is written; then the next says ENOSPC
//   meta     pwrite with O_DSYNC                            EIO
//   sync     fsync, fdatasync                               EIO
//   rename   rename                                         EIO
//   open     open                                           EMFILE
//   send     send                                           ENOBUFS (a full buffer says EAGAIN, which is no failure)
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);
int posix_memalign(void **memory, size_t alignment, size_t size);

enum { NONE, MEMORY, WRITE, SHORT, META, SYNC, RENAME, OPEN, SEND, KINDS };
static const char *const names[KINDS] = {"", "memory", "write", "short", "meta", "sync", "rename", "open", "send"};

static int what, ever;
static _Atomic long left;
static const char *note, *under;

// libc's own, for malloc can't be looked up with dlsym(), which allocates
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

__attribute__((constructor)) static void begin(void)
{
    const char *kind = getenv("FAIL_WHAT"), *at = getenv("FAIL_AT");
    for (int i = 1; kind && at && i < KINDS; i++)
        if (strcmp(kind, names[i]) == 0)
            what = i;
    note = getenv("FAIL_NOTE");
    under = getenv("FAIL_UNDER");
    ever = getenv("FAIL_EVER") != NULL;
    left = at ? strtol(at, NULL, 10) : 0;
}

static int fails(int kind, int error)
{
    if (kind != what || left <= 0 || --left > 0)
        return 0;
    left = ever;
    int fd = note ? (int)syscall(SYS_openat, AT_FDCWD, note, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0)
        syscall(SYS_close, fd);
    errno = error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

static int counts(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = what && under ? readlink(link, path, sizeof path - 1) : 0;
    if (size <= 0)
        return 0;
    path[size] = 0;
    return strncmp(path, under, strlen(under)) == 0;
}

void *malloc(size_t size) { return fails(MEMORY, ENOMEM) ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails(MEMORY, ENOMEM) ? NULL : __libc_calloc(count, size); }
void *realloc(void *memory, size_t size) { return fails(MEMORY, ENOMEM) ? NULL : __libc_realloc(memory, size); }
int posix_memalign(void **memory, size_t alignment, size_t size)
{
    void *made = fails(MEMORY, ENOMEM) ? NULL : __libc_memalign(alignment, size);
    if (made)
        *memory = made;
    return made ? 0 : ENOMEM;
}

// How much of a write is let through. Negative: it fails.
static ssize_t let(int fd, size_t size)
{
    static _Atomic int halved;
    if (!what || !counts(fd))
        return (ssize_t)size;
    if (halved && what == SHORT) {
        halved = 0;
        errno = ENOSPC;
        return -1;
    }
    if (fails(WRITE, ENOSPC) || (fcntl(fd, F_GETFL) & O_DSYNC && fails(META, EIO)))
        return -1;
    if (!fails(SHORT, ENOSPC))
        return (ssize_t)size;
    halved = 1;
    return (ssize_t)(size / 2);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    ssize_t part = let(fd, size);
    return part < 0 ? part : REAL(pwrite)(fd, data, (size_t)part, offset);
}

ssize_t write(int fd, const void *data, size_t size)
{
    ssize_t part = let(fd, size);
    return part < 0 ? part : REAL(write)(fd, data, (size_t)part);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    ssize_t part = let(fd, size);
    if (part < 0)
        return part;
    return part < (ssize_t)size ? REAL(write)(fd, parts[0].iov_base, parts[0].iov_len) : REAL(writev)(fd, parts, count);
}

int fsync(int fd) { return fails(SYNC, EIO) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails(SYNC, EIO) ? -1 : REAL(fdatasync)(fd); }
int rename(const char *from, const char *to) { return fails(RENAME, EIO) ? -1 : REAL(rename)(from, to); }
ssize_t send(int fd, const void *data, size_t size, int flags) { return fails(SEND, ENOBUFS) ? -1 : REAL(send)(fd, data, size, flags); }

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails(OPEN, EMFILE) ? -1 : REAL(open)(path, flags, mode);
}
