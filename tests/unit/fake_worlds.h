/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_worlds - plays a world for each seed from 0; FX_SEED=N plays that one only. Where one fails,
 * name_failing_world, as the test's teardown, says how to play it again.
 */
#ifndef FX_FAKE_WORLDS_H
#define FX_FAKE_WORLDS_H

#include "fake_base.h"

static int64_t failing = -1; /* seed of the world at play */

static inline void play_worlds(uint64_t count, void (*play)(uint64_t seed))
{
    const char *only = getenv("FX_SEED");
    for (uint64_t seed = 0; seed < count; seed++) {
        if (only != NULL && strtoull(only, NULL, 10) != seed)
            continue;
        failing = (int64_t)seed;
        play(seed);
    }
    failing = -1;
}

static inline int name_failing_world(void **state)
{
    (void)state;
    if (failing >= 0)
        print_error("FX_SEED=%" PRId64 " plays this world alone\n", failing);
    return 0;
}

#endif
