/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_base - what the tests of the pure core share: cmocka, seeded random numbers, assert_ok.
 */
#ifndef FX_FAKE_BASE_H
#define FX_FAKE_BASE_H

#include "scratch.h"

#include "../../common/err.h"

#include <inttypes.h>
#include <stdbool.h>

/* Calls a function whose last argument is &err; fails with its text unless it gives FX_OK. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        struct fx_err err = FX_ERR_INIT;                                                           \
        if ((call) != FX_OK)                                                                       \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)

/* Calls a function whose last argument is &err and expects this code. */
#define assert_code(call, expected)                                                                \
    do {                                                                                           \
        struct fx_err err = FX_ERR_INIT;                                                           \
        assert_string_equal(fx_code_name(call), fx_code_name(expected));                           \
    } while (0)

/* splitmix64 (S. Vigna, public domain). */
struct dice {
    uint64_t state;
};

static inline uint64_t dice_u64(struct dice *dice)
{
    uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 to count - 1. */
static inline int dice_below(struct dice *dice, int count)
{
    return (int)(dice_u64(dice) % (uint64_t)count);
}

/* low to high, both included. */
static inline int64_t dice_between(struct dice *dice, int64_t low, int64_t high)
{
    uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    uint64_t number = dice_u64(dice);
    return (int64_t)((uint64_t)low + (span == 0 ? number : number % span));
}

static inline bool dice_chance(struct dice *dice, int percent)
{
    return dice_below(dice, 100) < percent;
}

#endif
