/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asked - hears what the city asks its posts to send again, and has the outbox note it.
 *
 * Reads every message of the topic PREFIX.resend from its beginning, without a group: what was
 * obeyed stands in the outbox. A message is this outbox's if it remembers a run of its key, the
 * source, and if the message names runs of this outbox's topic.
 *
 * Nothing here is ever a reason to stop: a broker that is away, a topic that does not exist (an
 * older city) or cannot be read, and wrong messages are logged once, and reading is tried again.
 * A consumer of its own, small: a fetch waits half a minute at the broker, queues hold 256 KiB.
 * Partitions that are added to the topic later are read after a restart.
 *
 * Not thread-safe; asked_poll is called outside of the outbox's transactions.
 */
#ifndef FX_ASKED_H
#define FX_ASKED_H

#include "../common/kafka.h"
#include "outbox.h"

#include <stdbool.h>

#define ASKED_WAITING_MAX 4096 /* resends waiting in the outbox: no more is taken meanwhile */

struct asked;

struct asked_options {
    struct kafka_options kafka;
    const char *topic;     /* PREFIX.resend; borrowed, as all below */
    const char *own_topic; /* of the outbox's events */
    struct outbox *outbox;
};

struct asked_counts {
    int64_t obeyed;
    int64_t wrong;
    int64_t away; /* how often reading had to begin anew */
    int64_t told; /* how often that was logged */
};

/* FX_ECONFIG: a property of librdkafka does not fit. No broker has to answer yet. */
FX_MUST_CHECK enum fx_code asked_open(const struct asked_options *options, struct asked **asked,
                                      struct fx_err *err);

/*
 * Takes in what came; never waits. *is_noted: something is to be sent, see shipper_note_resend.
 *
 * FX_EDISK, FX_ESTATE, FX_EMEMORY  the message at hand is taken again by the next call.
 */
FX_MUST_CHECK enum fx_code asked_poll(struct asked *asked, bool *is_noted, struct fx_err *err);

/* All that lay in the topic when it was first looked at has been taken, or there is no topic. */
bool asked_is_settled(const struct asked *asked);

/* Readable when poll has something to do; poll empties it. */
int asked_wake_fd(const struct asked *asked);

void asked_count(const struct asked *asked, struct asked_counts *counts);
void asked_close(struct asked *asked);

#endif
