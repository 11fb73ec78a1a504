/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake_kafka - opens the intake that reads a real Kafka, by librdkafka.
 *
 * Group consumer, classic protocol, eager assignor, explicit offsets, auto.offset.reset=error,
 * no commits to Kafka. Messages go through one queue that all assigned partitions are forwarded
 * to (intake_queue.h); rebalances stay outside of it.
 */
#ifndef FX_INTAKE_KAFKA_H
#define FX_INTAKE_KAFKA_H

#include "../common/kafka.h"
#include "intake.h"

struct intake_options {
    struct kafka_options kafka;
    const char *group;
    const char
        *instance; /* group.instance.id: unique per worker, stable over restarts; NULL: none */
    const char *const *topics;
    int topic_count;
};

/* Makes the client; no broker is asked yet. FX_ECONFIG, FX_EMEMORY. */
FX_MUST_CHECK enum fx_code intake_open(const struct intake_options *options, struct intake **intake,
                                       struct fx_err *err);

/* A static member (with instance) keeps its place in the group until its session ends, so that a
 * restart takes over at once; a dynamic one leaves the group now. */
void intake_close(struct intake *intake);

#endif
