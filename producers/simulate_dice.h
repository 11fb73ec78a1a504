/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_dice - the random sequence of simulations: splitmix64 (G. Steele, D. Lea, C. Flood,
 * 2014; public domain reference by S. Vigna), the same on every machine.
 *
 * A dice is one number, any number; it changes with each draw. Shared by the files simulate*.c.
 */
#ifndef FX_SIMULATE_DICE_H
#define FX_SIMULATE_DICE_H

#include <stdint.h>

static inline uint64_t dice_draw(uint64_t *dice)
{
    uint64_t z = *dice += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* from to to, both possible */
static inline int32_t dice_between(uint64_t *dice, int32_t from, int32_t to)
{
    return from + (int32_t)(((dice_draw(dice) >> 32) * (uint64_t)(to - from + 1)) >> 32);
}

/* A time of day, so many minutes from then up to so many. */
static inline int64_t dice_after_ms(uint64_t *dice, int64_t at_ms, int32_t from_min, int32_t to_min)
{
    return at_ms + INT64_C(1000) * dice_between(dice, 60 * from_min, 60 * to_min);
}

#endif
