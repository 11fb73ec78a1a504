/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mender_core - what the two halves of the mender share. For mender*.c alone.
 */
#ifndef FX_MENDER_CORE_H
#define FX_MENDER_CORE_H

#include "ask.h"
#include "mender.h"

#include <stdatomic.h>

#define MENDER_SOURCE_SIZE 65

/* What is to be said to one source. */
struct mend {
    char source[MENDER_SOURCE_SIZE];
    struct ask_decision decision;
    struct buf body;
    bool is_acked;
};

/* The messages of one round. */
struct mends {
    struct mend *items;
    int count;
    int room;
    size_t bytes;
};

struct mends_target {
    const struct kafka_options *kafka;
    const char *topic;
    const atomic_bool *stop; /* gives up what is not acknowledged yet */
};

/*
 * Publishes all and waits for the broker; sets is_acked of those that are in the topic.
 *
 * FX_ERETRY   the broker is away; some may be acknowledged nevertheless.
 * FX_ECONFIG  the topic does not exist (run fx-setup), or a property is wrong.
 */
FX_MUST_CHECK enum fx_code mends_publish(struct mends *mends, const struct mends_target *target,
                                         struct fx_err *err);

#endif
