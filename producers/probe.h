/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe - kafka_partition_count without waiting for it.
 *
 * librdkafka asks for metadata synchronously only; a broker that is away must not hold up the
 * input. One thread, alive only while a question is out.
 */
#ifndef FX_PROBE_H
#define FX_PROBE_H

#include "../common/kafka.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define PROBE_TIMEOUT_MS 2000 /* bounds how long probe_cancel waits */

struct probe {
    pthread_t thread;
    bool is_started;     /* thread is to be joined */
    atomic_bool is_done; /* the fields below hold the answer */
    rd_kafka_t *rk;
    const char *topic;
    int wake_fd; /* a byte is written to it when the answer is there */
    int32_t partitions;
    enum fx_code code;
    struct fx_err err;
};

/* Asks rk for topic's partitions; both are borrowed until the answer is polled or cancelled.
 * FX_ERETRY: there is no thread for it. */
FX_MUST_CHECK enum fx_code probe_ask(struct probe *probe, rd_kafka_t *rk, const char *topic,
                                     struct fx_err *err);

/* true: *partitions is set, or err as kafka_partition_count does; the probe is free again. */
bool probe_poll(struct probe *probe, int32_t *partitions, struct fx_err *err);

/* Waits for a question that is out and forgets the answer. */
void probe_cancel(struct probe *probe);

#endif
