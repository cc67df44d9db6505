/* Loaded before the C library: makes the Nth change of a folder fail, or kills the process there.
 *
 * Counted are the calls that change something below the folder: opening for writing, write, fsync,
 * truncate, rename, link, unlink, mkdir and rmdir. A write that fails has written half. From the Nth
 * call on a full disk or a broken one fails every write, and a read-only one every change.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX];
static int nth = -1, fault, count;

enum kind { WRITE, CHANGE };

void fault_arm(const char *folder, int at, int what) {
    snprintf(root, sizeof root, "%s/", folder);
    nth = at, fault = what, count = 0;
}

int fault_count(void) { return count; }

static int inside(const char *path) {
    return root[0] && path && strncmp(path, root, strlen(root)) == 0;
}

static int inside_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (!root[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return inside(path);
}

static int inside_at(int folder, const char *path) {
    return path && path[0] == '/' ? inside(path) : folder != AT_FDCWD && inside_fd(folder);
}

/* Whether this call is to fail; the process ends here where it is to be killed. */
static int fails(enum kind kind) {
    int place = __atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
    if (nth < 0 || place < nth) return 0;
    if (fault == -SIGKILL) kill(getpid(), SIGKILL);
    if (kind == CHANGE && fault != EROFS) return 0;
    errno = fault;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int for_writing(int flags) { return (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0; }

#define OPEN(name)                                                    \
    int name(const char *path, int flags, ...) {                      \
        va_list more;                                                 \
        va_start(more, flags);                                        \
        mode_t mode = va_arg(more, mode_t);                           \
        va_end(more);                                                 \
        if (for_writing(flags) && inside(path) && fails(WRITE)) return -1; \
        return REAL(name)(path, flags, mode);                         \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                  \
    int name(int folder, const char *path, int flags, ...) {          \
        va_list more;                                                 \
        va_start(more, flags);                                        \
        mode_t mode = va_arg(more, mode_t);                           \
        va_end(more);                                                 \
        if (for_writing(flags) && inside_at(folder, path) && fails(WRITE)) return -1; \
        return REAL(name)(folder, path, flags, mode);                 \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *data, size_t size) {
    if (inside_fd(fd) && fails(WRITE)) {
        int saved = errno;
        REAL(write)(fd, data, size / 2);
        errno = saved;
        return -1;
    }
    return REAL(write)(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int number) {
    if (inside_fd(fd) && fails(WRITE)) return -1;
    return REAL(writev)(fd, parts, number);
}

#define PWRITE(name, offset_type)                                     \
    ssize_t name(int fd, const void *data, size_t size, offset_type at) { \
        if (inside_fd(fd) && fails(WRITE)) return -1;                 \
        return REAL(name)(fd, data, size, at);                        \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define ON_FD(name, kind)                                             \
    int name(int fd) {                                                \
        if (inside_fd(fd) && fails(kind)) return -1;                  \
        return REAL(name)(fd);                                        \
    }
ON_FD(fsync, WRITE)
ON_FD(fdatasync, WRITE)

int ftruncate(int fd, off_t size) {
    if (inside_fd(fd) && fails(WRITE)) return -1;
    return REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size) {
    if (inside_fd(fd) && fails(WRITE)) return -1;
    return REAL(ftruncate64)(fd, size);
}

int rename(const char *from, const char *to) {
    if (inside(to) && fails(CHANGE)) return -1;
    return REAL(rename)(from, to);
}

int renameat(int a, const char *from, int b, const char *to) {
    if (inside_at(b, to) && fails(CHANGE)) return -1;
    return REAL(renameat)(a, from, b, to);
}

int link(const char *from, const char *to) {
    if (inside(to) && fails(CHANGE)) return -1;
    return REAL(link)(from, to);
}

int unlink(const char *path) {
    if (inside(path) && fails(CHANGE)) return -1;
    return REAL(unlink)(path);
}

int unlinkat(int folder, const char *path, int flags) {
    if (inside_at(folder, path) && fails(CHANGE)) return -1;
    return REAL(unlinkat)(folder, path, flags);
}

int rmdir(const char *path) {
    if (inside(path) && fails(CHANGE)) return -1;
    return REAL(rmdir)(path);
}

int mkdir(const char *path, mode_t mode) {
    if (inside(path) && fails(WRITE)) return -1;
    return REAL(mkdir)(path, mode);
}
