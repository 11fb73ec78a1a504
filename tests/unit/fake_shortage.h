/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_shortage - a scenario in which memory is short, at every place.
 *
 * A scenario runs again and again, and each time another of its allocations fails, until none is
 * left: that one alone, then all from it on. Every failure has to be reported as FX_EMEMORY, as the
 * scenario's own result or to is_short, and everything to be given back, memory and files.
 *
 * A scenario says (say) what came out of it. What it says has to be what it says when nothing
 * fails, unless it ended with FX_EMEMORY. To look for states that are made by halves it does again
 * what failed (is_short), and then has to say the same as ever.
 */
#ifndef FX_FAKE_SHORTAGE_H
#define FX_FAKE_SHORTAGE_H

#include "fake_alloc.h"
#include "fake_kinds.h"

#include <fcntl.h>

#define SAID_MAX (1 << 16)
#define FILES_MAX 256

static char said[SAID_MAX];
static size_t said_size;
static long refusals; /* failures reported to is_short */

/* What came out of the scenario. Allocates nothing. */
FX_PRINTF(1, 2) static inline void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(said + said_size, sizeof said - said_size, format, args);
    va_end(args);
    assert_true(size >= 0 && (size_t)size < sizeof said - said_size);
    said_size += (size_t)size;
}

/* Whether a call failed because memory was short: then there is some again, and it is done again.
 */
static inline bool is_short(struct fx_err *err)
{
    if (err->code != FX_EMEMORY)
        return false;
    until_failure = -1;
    if (++refusals > 1)
        fail_msg("it goes on to fail: %s", err->text);
    fx_err_clear(err);
    return true;
}

/* How a scenario may take a failed allocation. */
enum promise {
    REPORTED, /* FX_EMEMORY, always */
    TOLERATED /* or not at all: somebody else's caches, without which the result is the same */
};

typedef enum fx_code (*scenario)(struct fx_err *err);

struct tries {
    long count;    /* allocations */
    long reported; /* of their failures */
    long tolerated;
};

static int count_files(void)
{
    int count = 0;
    for (int file = 0; file < FILES_MAX; file++)
        count += fcntl(file, F_GETFD) >= 0;
    return count;
}

static char whole[SAID_MAX]; /* what the scenario says when nothing fails */

/* Runs with allocation k failing, negative: none. true: there was such an allocation. */
static bool run_once(scenario run, long k, enum promise promise, struct tries *tries)
{
    struct fx_err err = FX_ERR_INIT;
    int before = live_count;
    int files = count_files();
    said[0] = '\0';
    said_size = 0;
    failures = refusals = 0;
    until_failure = k;
    enum fx_code code = run(&err);
    until_failure = -1;
    if (live_count != before)
        fail_msg("allocation %ld: %d are not given back (%s)", k, live_count - before, err.text);
    if (count_files() != files)
        fail_msg("allocation %ld: %d files stay open (%s)", k, count_files() - files, err.text);
    if (code != FX_OK && (failures == 0 || code != FX_EMEMORY))
        fail_msg("allocation %ld: code %s: %s", k, fx_code_name(code), err.text);
    bool is_reported = code == FX_EMEMORY || refusals > 0;
    if (failures > 0 && !is_reported && promise == REPORTED)
        fail_msg("allocation %ld failed, and nobody says so", k);
    if (code == FX_OK && k >= 0 && strcmp(said, whole) != 0)
        fail_msg("allocation %ld: it says \"%s\", not \"%s\"", k, said, whole);
    tries->reported += failures > 0 && is_reported;
    tries->tolerated += failures > 0 && !is_reported;
    return failures > 0;
}

#define PLACES_MAX 300 /* from which on all fail */

/* Fails one allocation after another, every so many of them only. */
static struct tries fail_each(scenario run, long step, enum promise promise)
{
    struct tries tries = {0, 0, 0};
    run_once(run, -1, promise, &tries);
    memcpy(whole, said, sizeof whole);
    while (run_once(run, tries.count, promise, &tries))
        tries.count += step;
    is_for_good = true;
    for (long k = 0; run_once(run, k, promise, &tries);)
        k += step + tries.count / PLACES_MAX;
    is_for_good = false;
    return tries;
}

static struct scratch scratch;
static struct catalog catalog;

static inline int open_kinds(void **state)
{
    (void)state;
    kinds_open(&scratch, &catalog);
    return 0;
}

static inline int close_kinds(void **state)
{
    (void)state;
    kinds_close(&scratch, &catalog);
    return 0;
}

#endif
