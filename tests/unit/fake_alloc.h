/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_alloc - memory that fails, at every place.
 *
 * A scenario runs again and again, and each time another of its allocations fails, until none is
 * left. It must say FX_EMEMORY and give everything back. The linker leads a program's allocations
 * through here (CMakeLists.txt).
 */
#ifndef FX_FAKE_ALLOC_H
#define FX_FAKE_ALLOC_H

#include "fake_kinds.h"

#define LIVE_MAX (1 << 18)

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *memory);

static long until_failure = -1; /* allocations that still succeed; negative: all do */
static void *live[LIVE_MAX];    /* what was given and not given back */
static int live_count;

static bool fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
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

typedef enum fx_code (*scenario)(struct fx_err *err);

/* Fails one allocation after another; how many there are. step: every so many of them only. */
static long fail_each(scenario run, long step)
{
    for (long k = 0;; k += step) {
        struct fx_err err = FX_ERR_INIT;
        int before = live_count;
        until_failure = k;
        enum fx_code code = run(&err);
        bool has_failed = until_failure < 0;
        until_failure = -1;
        if (live_count != before)
            fail_msg("allocation %ld: %d are not given back (%s)", k, live_count - before,
                     err.text);
        if (has_failed && code != FX_OK && code != FX_EMEMORY)
            fail_msg("allocation %ld: code %s: %s", k, fx_code_name(code), err.text);
        if (has_failed)
            continue;
        if (code != FX_OK)
            fail_msg("without a failure: %s", err.text);
        return k;
    }
}

static struct scratch scratch;
static struct catalog catalog;

static int open_kinds(void **state)
{
    (void)state;
    kinds_open(&scratch, &catalog);
    return 0;
}

static int close_kinds(void **state)
{
    (void)state;
    kinds_close(&scratch, &catalog);
    return 0;
}

#endif
