/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker - a thread that runs one pipeline on its own consumer and connection.
 *
 * Workers share nothing but the read-only catalog and the stop flag. A worker that fails stops
 * the others: a program half of whose workers count would look healthy.
 *
 * The first one joins the group before the others do. All at once, the first would hardly have its
 * partitions when it had to give them up, and librdkafka asks to join once a second at most: for
 * that second nobody counts.
 */
#ifndef FX_WORKER_H
#define FX_WORKER_H

#include "intake_kafka.h"
#include "pipeline.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define WORKERS_MAX 64

struct worker_options {
    const struct catalog *catalog;
    struct intake_options intake;
    struct store_options store;
    size_t bytes_max;
    int runs_max;
    int events_max;
    bool until_end;
    int64_t give_up_ms;      /* how long the services may be away at the start */
    const atomic_bool *stop; /* set by a signal, whichever thread it finds */
    atomic_bool *has_failed; /* of any worker */
    struct worker *first;    /* whom to let join before; NULL: nobody */
};

struct worker {
    struct worker_options options;
    char instance[128]; /* in the group; "" for a dynamic member */
    char name[128];     /* partition_position.claimed_by */
    pthread_t thread;
    bool is_joined;
    pthread_mutex_t mutex;       /* of stats */
    struct pipeline_stats stats; /* a copy, for others to read */
    struct fx_err err;           /* how it ended; read after the thread is joined */
};

/* Starts the thread; the worker stays at its address until it is joined. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code worker_open(struct worker *worker, struct fx_err *err);

/* A copy of the counters, from any thread. */
struct pipeline_stats worker_stats(struct worker *worker);

#endif
