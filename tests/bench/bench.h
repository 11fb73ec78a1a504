/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench - the line by which a consumer of the benchmark ends: one JSON object on stdout.
 *
 * {"events":N,"first_fetch_ms":EPOCH,"last_commit_ms":EPOCH,"cpu_s":S,"vm_hwm_kb":N}
 */
#ifndef FX_BENCH_H
#define FX_BENCH_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>

struct bench_result {
    int64_t events;
    int64_t first_fetch_ms; /* when the first message came */
    int64_t last_commit_ms; /* when the last one was done with */
};

static inline void bench_print(const struct bench_result *result)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu_s = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                   (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"events\":%" PRId64 ",\"first_fetch_ms\":%" PRId64 ",\"last_commit_ms\":%" PRId64
           ",\"cpu_s\":%.3f,\"vm_hwm_kb\":%ld}\n",
           result->events, result->first_fetch_ms, result->last_commit_ms, cpu_s, used.ru_maxrss);
}

#endif
