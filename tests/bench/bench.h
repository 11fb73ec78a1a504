/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench - the line by which a consumer of the benchmark ends: one JSON object on stdout.
 *
 * {"events":N,"first_fetch_ms":EPOCH,"last_commit_ms":EPOCH}
 *
 * What it took of CPU and memory, meter.py reads from outside, alike of all.
 */
#ifndef FX_BENCH_H
#define FX_BENCH_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

struct bench_result {
    int64_t events;
    int64_t first_fetch_ms; /* when the first message came */
    int64_t last_commit_ms; /* when the last one was done with */
};

static inline void bench_print(const struct bench_result *result)
{
    printf("{\"events\":%" PRId64 ",\"first_fetch_ms\":%" PRId64 ",\"last_commit_ms\":%" PRId64
           "}\n",
           result->events, result->first_fetch_ms, result->last_commit_ms);
}

#endif
