/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_looks - a followed file whose device acts, and whose disk fails, between any two looks
 * at it; and what the log was told. The linker leads the calls through here (CMakeLists.txt).
 */
#ifndef FX_FAKE_LOOKS_H
#define FX_FAKE_LOOKS_H

#include "followed.h"

#include <errno.h>

static int look_errno; /* what looking at an open file fails with; 0: it does not */
static int read_errno; /* what reading back fails with */

static char told[4096];       /* what was logged, a line each: event and the rest */
static struct bench *rotated; /* whose device acts between two looks */
static int looks_until_rotation;

/* By the linker (--wrap). */
void __wrap_fx_log(enum fx_log_level level, const char *event, const char *format, ...)
    FX_PRINTF(3, 4);
int __wrap_openat(int directory, const char *name, int flags, ...);
int __real_openat(int directory, const char *name, int flags, ...);
int __wrap_stat(const char *path, struct stat *status);
int __real_stat(const char *path, struct stat *status);
int __wrap_fstat(int file, struct stat *status);
int __real_fstat(int file, struct stat *status);
ssize_t __wrap_pread(int file, void *bytes, size_t size, off_t offset);
ssize_t __real_pread(int file, void *bytes, size_t size, off_t offset);
ssize_t __wrap___pread_chk(int file, void *bytes, size_t size, off_t offset, size_t room);

void __wrap_fx_log(enum fx_log_level level, const char *event, const char *format, ...)
{
    size_t used = strlen(told);
    va_list values;
    (void)level;
    used += (size_t)snprintf(told + used, sizeof told - used, "%s ", event);
    va_start(values, format);
    used += (size_t)vsnprintf(told + used, sizeof told - used, format, values);
    va_end(values);
    snprintf(told + used, sizeof told - used, "\n");
}

/* path.2 becomes path.3, path.1 path.2, the path path.1 (or path.0), and there is a new one. */
static inline void shift(struct bench *bench, int first)
{
    char from[640];
    char to[640];
    for (int number = 8; number >= first; number--) {
        snprintf(from, sizeof from, "%.512s.%d", bench->path, number);
        snprintf(to, sizeof to, "%.512s.%d", bench->path, number + 1);
        (void)rename(from, to);
    }
    snprintf(to, sizeof to, "%d", first);
    rotate(bench, to);
}

/* Its last line, another file, and that one's first line. */
static void rotate_at_last(void)
{
    struct bench *bench = rotated;
    if (bench == NULL || looks_until_rotation-- > 0)
        return;
    rotated = NULL;
    add(bench, "b\n");
    shift(bench, 1);
    add(bench, "c\n");
}

int __wrap_openat(int directory, const char *name, int flags, ...)
{
    rotate_at_last();
    return __real_openat(directory, name, flags);
}

int __wrap_stat(const char *path, struct stat *status)
{
    int result = __real_stat(path, status);
    rotate_at_last();
    return result;
}

int __wrap_fstat(int file, struct stat *status)
{
    errno = look_errno;
    int result = look_errno == 0 ? __real_fstat(file, status) : -1;
    rotate_at_last();
    return result;
}

ssize_t __wrap_pread(int file, void *bytes, size_t size, off_t offset)
{
    errno = read_errno;
    return read_errno == 0 ? __real_pread(file, bytes, size, offset) : -1;
}

ssize_t __wrap___pread_chk(int file, void *bytes, size_t size, off_t offset, size_t room)
{
    assert_true(size <= room);
    return __wrap_pread(file, bytes, size, offset);
}

static inline int looks_open(void **state)
{
    look_errno = 0;
    read_errno = 0;
    told[0] = '\0';
    return followed_open(state);
}

#endif
