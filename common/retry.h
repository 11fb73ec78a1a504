/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry - how long to wait before trying again: exponential back-off with full jitter
 * (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 *
 * Pure but for the caller's random numbers, so that a simulator can drive it.
 */
#ifndef FX_RETRY_H
#define FX_RETRY_H

#include <stdint.h>

struct retry {
    int64_t wait_min_ms; /* lower bound of every wait */
    int64_t wait_max_ms; /* upper bound of every wait */
    int64_t ceiling_ms;  /* upper bound of the next wait */
    int tries;           /* waits given since the last reset */
};

void retry_init(struct retry *retry, int64_t wait_min_ms, int64_t wait_max_ms);
void retry_reset(struct retry *retry);

/* The next wait, between wait_min_ms and a ceiling that doubles; random is any 64 bits. */
int64_t retry_next_ms(struct retry *retry, uint64_t random);

#endif
