#include "node/reserve.h"

#include <fcntl.h>
#include <unistd.h>

#include "relay/file.h"

void reserve_hold(const char *directory)
{
    char path[FILE_PATH_SIZE];
    if (file_path(directory, "reserve", path, NULL) != OK)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    bool held = false;
    for (off_t size = RESERVE_BYTES; size >= RESERVE_BYTES_MIN && !held; size /= 2)
        held = posix_fallocate(fd, 0, size) == 0;
    close(fd);
    if (!held)
        unlink(path);
}

bool reserve_release(const char *directory)
{
    char path[FILE_PATH_SIZE];
    return file_path(directory, "reserve", path, NULL) == OK && unlink(path) == 0;
}
