/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asked_message - what a message of the resend topic says: schemas/README.md, "Asking for a
 * resend".
 *
 * Whoever may write to the topic may write anything, so nothing is taken on trust: a message is
 * right as a whole or counts for nothing. Members that are not known are passed over, so that
 * later versions may say more.
 */
#ifndef FX_ASKED_MESSAGE_H
#define FX_ASKED_MESSAGE_H

#include "../common/err.h"
#include "outbox_asked.h"

#include <stddef.h>
#include <stdint.h>

#define ASKED_BYTES_MAX 65536           /* of a message */
#define ASKED_SPANS_MAX 1024            /* ranges in a message, of all its runs */
#define ASKED_AHEAD_MS INT64_C(3600000) /* how far asked_at may be ahead of the append time */

struct asked_message {
    int64_t asked_at_ms;
    int64_t attempt;
    int count;                                 /* of spans */
    struct outbox_span spans[ASKED_SPANS_MAX]; /* of the runs of one topic */
};

/* A message as it came. */
struct asked_bytes {
    const char *bytes;
    size_t size;
    int64_t append_ms;
};

/*
 * Reads what came into message: the spans of runs of topic.
 *
 * FX_EINPUT   not such a message; err says what is wrong, without its text.
 * FX_EMEMORY  not looked at.
 */
FX_MUST_CHECK enum fx_code asked_parse(const struct asked_bytes *came, const char *topic,
                                       struct asked_message *message, struct fx_err *err);

#endif
