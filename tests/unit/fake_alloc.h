/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_alloc - memory that fails where a test wants it to. See fake_shortage.h.
 *
 * The linker leads a program's allocations through here, and the calls of libc that allocate what
 * our modules use (CMakeLists.txt).
 */
#ifndef FX_FAKE_ALLOC_H
#define FX_FAKE_ALLOC_H

#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>

#define LIVE_MAX (1 << 18)

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *memory);
char *__real_strdup(const char *text);
FILE *__real_fopen(const char *path, const char *mode);
DIR *__real_opendir(const char *path);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
FILE *__wrap_fopen(const char *path, const char *mode);
DIR *__wrap_opendir(const char *path);

static long until_failure = -1; /* allocations that still succeed; negative: all do */
static bool is_for_good;        /* those after the failing one fail too */
static long failures;           /* since the scenario was begun */
static void *live[LIVE_MAX];    /* what was given and not given back */
static int live_count;

static bool fails(void)
{
    if (until_failure < 0 || until_failure-- > 0)
        return false;
    until_failure = is_for_good ? 0 : -1;
    failures++;
    errno = ENOMEM;
    return true;
}

static size_t home_of(const void *memory)
{
    return ((uintptr_t)memory >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 46;
}

static void *note(void *memory)
{
    size_t at = home_of(memory);
    if (memory == NULL)
        return NULL;
    while (live[at] != NULL)
        at = (at + 1) % LIVE_MAX;
    live[at] = memory;
    if (++live_count > LIVE_MAX / 2)
        abort();
    return memory;
}

/* What libraries gave is not known here. */
static void forget(const void *memory)
{
    size_t at = home_of(memory);
    while (live[at] != NULL && live[at] != memory)
        at = (at + 1) % LIVE_MAX;
    if (memory == NULL || live[at] == NULL)
        return;
    live[at] = NULL;
    live_count--;
    /* those that stand behind it may have been put off their home by it */
    for (at = (at + 1) % LIVE_MAX; live[at] != NULL; at = (at + 1) % LIVE_MAX) {
        void *moved = live[at];
        live[at] = NULL;
        live_count--;
        note(moved);
    }
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : note(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : note(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (fails())
        return NULL;
    forget(old);
    return note(__real_realloc(old, size));
}

void __wrap_free(void *memory)
{
    forget(memory);
    __real_free(memory);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : note(__real_strdup(text));
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    return fails() ? NULL : __real_fopen(path, mode);
}

DIR *__wrap_opendir(const char *path)
{
    return fails() ? NULL : __real_opendir(path);
}

/* jansson's allocations fail as well, from here on. */
static inline void lead_jansson(void)
{
    json_set_alloc_funcs(malloc, free);
}

#endif
