/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk - preloaded into a producer: its outbox's disk is slow, full or broken, on command.
 *
 * FX_CHAOS_DISK names a file of struct control, shared with whoever commands. Only files with
 * ".db" in their name are touched, so logs, sockets and inputs go on.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum mode { IS_FULL = 1, WRITES_FAIL = 2, SYNCS_FAIL = 4, IS_SLOW = 8 };

struct control {
    _Atomic uint64_t mode;     /* bits of enum mode */
    _Atomic uint64_t delay_us; /* of a slow call */
    _Atomic uint64_t calls;    /* writes and syncs seen */
    _Atomic uint64_t full;     /* answered ENOSPC */
    _Atomic uint64_t failed;   /* answered EIO */
    _Atomic uint64_t slowed;
};

static struct control *control;

__attribute__((constructor)) static void map_control(void)
{
    const char *path = getenv("FX_CHAOS_DISK");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at != MAP_FAILED)
        control = at;
    close(file);
}

static int is_outbox(int file)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0)
        return 0;
    path[size] = '\0';
    return strstr(path, ".db") != NULL;
}

/* 0: the call may go on; else the errno it fails with. */
static int trouble(int file, int is_sync)
{
    if (control == NULL || !is_outbox(file))
        return 0;
    uint64_t mode = atomic_load(&control->mode);
    atomic_fetch_add(&control->calls, 1);
    if (mode & IS_SLOW) {
        uint64_t us = atomic_load(&control->delay_us);
        struct timespec delay = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
        atomic_fetch_add(&control->slowed, 1);
        nanosleep(&delay, NULL);
    }
    if (!is_sync && (mode & IS_FULL)) {
        atomic_fetch_add(&control->full, 1);
        return ENOSPC;
    }
    if (mode & (is_sync ? SYNCS_FAIL : WRITES_FAIL)) {
        atomic_fetch_add(&control->failed, 1);
        return EIO;
    }
    return 0;
}

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

#define FAIL_OR(file, is_sync, call)                                                               \
    int code = trouble(file, is_sync);                                                             \
    if (code != 0) {                                                                               \
        errno = code;                                                                              \
        return -1;                                                                                 \
    }                                                                                              \
    return call

ssize_t write(int file, const void *data, size_t size)
{
    static ssize_t (*real)(int, const void *, size_t);
    if (real == NULL)
        real = (ssize_t(*)(int, const void *, size_t))next("write");
    FAIL_OR(file, 0, real(file, data, size));
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (real == NULL)
        real = (ssize_t(*)(int, const void *, size_t, off_t))next("pwrite");
    FAIL_OR(file, 0, real(file, data, size, at));
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (real == NULL)
        real = (ssize_t(*)(int, const void *, size_t, off64_t))next("pwrite64");
    FAIL_OR(file, 0, real(file, data, size, at));
}

int fsync(int file)
{
    static int (*real)(int);
    if (real == NULL)
        real = (int (*)(int))next("fsync");
    FAIL_OR(file, 1, real(file));
}

int fdatasync(int file)
{
    static int (*real)(int);
    if (real == NULL)
        real = (int (*)(int))next("fdatasync");
    FAIL_OR(file, 1, real(file));
}
