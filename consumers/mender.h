/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mender - asks sources, over the topic PREFIX.resend, for the numbers that are missing.
 *
 * A thread beside the workers, with a connection and, while it has something to say, a producer of
 * its own. Every 30 s (or after_ms, if that is shorter) it reads source_gap, decides by ask.h, and
 * writes resend_request for what the broker acknowledged; a crash in between asks once more, which
 * is harmless. One process of all speaks for a schema: it holds a session's advisory lock, which
 * goes with the connection; the others stand by and try. A rebuild (definition.is_rebuild) is
 * silent.
 *
 * Never a reason for the workers to stop: what fails is logged once per change and tried again.
 */
#ifndef FX_MENDER_H
#define FX_MENDER_H

#include "../common/kafka.h"

#include <stdint.h>

struct mender;

struct mender_options {
    struct kafka_options kafka; /* borrowed, as all below */
    const char *conninfo;
    const char *schema_name;
    const char *topic_prefix;
    const char *const *topics; /* of the kinds; gaps of others are left alone */
    int topic_count;
    int64_t after_ms; /* how long a gap is left alone */
};

struct mender_stats {
    int64_t requests; /* acknowledged, since the start */
    int64_t gaps;     /* ranges asked for at present, by this process */
};

/* FX_EMEMORY. No service has to answer. */
FX_MUST_CHECK enum fx_code mender_open(const struct mender_options *options, struct mender **mender,
                                       struct fx_err *err);

/* From any thread; zeros for NULL. */
struct mender_stats mender_stats(struct mender *mender);

/* Waits for what is at work, some seconds at most. */
void mender_close(struct mender *mender);

#endif
