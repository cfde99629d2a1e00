/* Loaded before the C library (LD_PRELOAD): counts the calls by which files below one folder come to be, and fails one
   of them, or all from it on, with an error of choice. What counts is in a file that all processes map, so that a
   program that is started (ffmpeg) goes on counting. Calls that the C library makes within itself are not seen. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
    _Atomic long count;   /* calls so far */
    _Atomic long fail_at; /* which one fails, from 1; 0 is none */
    _Atomic int number;   /* errno to fail with */
    _Atomic int go_on;    /* whether all later ones fail, too */
    char folder[PATH_MAX];
    char last[64]; /* name of the call that failed first */
};

static struct control *control;

__attribute__((constructor)) static void map_control(void) {
    const char *path = getenv("TAS_FAILING_CALLS");
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int (*real_close)(int) = dlsym(RTLD_NEXT, "close");
    int file = path ? real_open(path, O_RDWR) : -1;
    if (file < 0) return;
    void *there = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    real_close(file);
    if (there != MAP_FAILED) control = there;
}

static int fails(const char *call) {
    long now = atomic_fetch_add(&control->count, 1) + 1, at = atomic_load(&control->fail_at);
    if (!at || now < at || (now > at && !atomic_load(&control->go_on))) return 0;
    if (now == at) strncpy(control->last, call, sizeof control->last - 1);
    errno = atomic_load(&control->number);
    return 1;
}

static int below(const char *path) {
    size_t size = strlen(control->folder);
    return size && !strncmp(path, control->folder, size);
}

static int is_ours(int file) {
    char link[64], path[PATH_MAX];
    int before = errno;
    if (!control || !atomic_load(&control->fail_at)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    errno = before;
    if (size < 0) return 0;
    path[size] = 0;
    return below(path);
}

static int is_written(int file) {
    int before = errno, flags = fcntl(file, F_GETFL);
    errno = before;
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

static int names_ours(const char *path) {
    return control && atomic_load(&control->fail_at) && path && below(path);
}

#define ON_FILE(type, name, parameters, arguments, file) \
    type name parameters { \
        static type(*real) parameters; \
        if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        if (is_ours(file) && fails(#name)) return -1; \
        return real arguments; \
    }

#define ON_NAME(name, parameters, arguments, path) \
    int name parameters { \
        static int(*real) parameters; \
        if (!real) real = (int(*) parameters)dlsym(RTLD_NEXT, #name); \
        if (names_ours(path) && fails(#name)) return -1; \
        return real arguments; \
    }

ON_FILE(ssize_t, write, (int file, const void *data, size_t size), (file, data, size), file)
ON_FILE(ssize_t, pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at), file)
ON_FILE(ssize_t, pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at), file)
ON_FILE(ssize_t, writev, (int file, const struct iovec *parts, int count), (file, parts, count), file)
ON_FILE(ssize_t, sendfile, (int file, int from, off_t *at, size_t size), (file, from, at, size), file)
ON_FILE(ssize_t, sendfile64, (int file, int from, off64_t *at, size_t size), (file, from, at, size), file)
ON_FILE(int, fsync, (int file), (file), file)
ON_FILE(int, fdatasync, (int file), (file), file)
ON_FILE(int, ftruncate, (int file, off_t size), (file, size), file)
ON_FILE(int, ftruncate64, (int file, off64_t size), (file, size), file)
ON_NAME(rename, (const char *from, const char *to), (from, to), to)
ON_NAME(link, (const char *from, const char *to), (from, to), to)
ON_NAME(mkdir, (const char *path, mode_t mode), (path, mode), path)

ssize_t copy_file_range(int from, off64_t *at, int file, off64_t *to, size_t size, unsigned flags) {
    static ssize_t (*real)(int, off64_t *, int, off64_t *, size_t, unsigned);
    if (!real) real = (ssize_t(*)(int, off64_t *, int, off64_t *, size_t, unsigned))dlsym(RTLD_NEXT, "copy_file_range");
    if (is_ours(file) && fails("copy_file_range")) return -1;
    return real(from, at, file, to, size, flags);
}

int renameat(int there, const char *from, int here, const char *to) {
    static int (*real)(int, const char *, int, const char *);
    if (!real) real = (int (*)(int, const char *, int, const char *))dlsym(RTLD_NEXT, "renameat");
    if (names_ours(to) && fails("renameat")) return -1;
    return real(there, from, here, to);
}

int linkat(int there, const char *from, int here, const char *to, int flags) {
    static int (*real)(int, const char *, int, const char *, int);
    if (!real) real = (int (*)(int, const char *, int, const char *, int))dlsym(RTLD_NEXT, "linkat");
    if (names_ours(to) && fails("linkat")) return -1;
    return real(there, from, here, to, flags);
}

int close(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "close");
    if (is_ours(file) && is_written(file) && fails("close")) {
        int number = errno;
        real(file); /* as Linux does: it is closed all the same */
        errno = number;
        return -1;
    }
    return real(file);
}

static mode_t mode_of(int flags, va_list more) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

#define OPENING(name) \
    int name(const char *path, int flags, ...) { \
        static int (*real)(const char *, int, ...); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = mode_of(flags, more); \
        va_end(more); \
        if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
        if ((flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) && names_ours(path) && fails(#name)) return -1; \
        return real(path, flags, mode); \
    }

OPENING(open)
OPENING(open64)

int openat(int folder, const char *path, int flags, ...) {
    static int (*real)(int, const char *, int, ...);
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    if (!real) real = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
    if (flags & O_CREAT && names_ours(path) && fails("openat")) return -1;
    return real(folder, path, flags, mode);
}
