/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shipper - carries the outbox's rows to Kafka, in order, until each is acknowledged.
 *
 * One idempotent producer, acks=all, no message timeout, explicit partitions. Messages on their
 * way lie in a window in the order they were handed over; an effect (a row acknowledged, a run
 * ended, a resend finished) is taken only when everything before it is done too, so one watermark
 * in the outbox is enough. A failed delivery or a fatal error of the producer: it is destroyed,
 * made anew, and sending begins again behind the watermark. No number is ever left out; a number
 * sent twice is a duplicate to consumers.
 *
 * Order: rows of earlier runs, ENDED for those runs, OPEN for each new run before its first row.
 * A run that owes the city a word (outbox_asked.h) says it at once: ALIVE, or once more ENDED.
 * The broker being away is no error: it is logged once per change and tried again. So is a producer
 * that cannot be made anew at present.
 * A full disk takes no partition of a new run: its rows wait, those of other runs before them go.
 * A topic that gets more partitions meanwhile: runs stay where they are, later runs use them all.
 *
 * Not thread-safe; shipper_pump is called outside of the outbox's transactions.
 */
#ifndef FX_SHIPPER_H
#define FX_SHIPPER_H

#include "../common/kafka.h"
#include "heartbeat.h"
#include "outbox.h"

#define SHIPPER_WINDOW 4224 /* messages on their way at once: more than a batch of lines */

struct shipper;

struct shipper_options {
    struct kafka_options kafka;
    const char *topic;              /* borrowed, as all below */
    const struct schema *heartbeat; /* heartbeat_check was well */
    struct outbox *outbox;
    int64_t heartbeat_ms;  /* between two ALIVE of a run */
    int64_t partitions_ms; /* between two looks at how many partitions the topic has */
};

/* FX_ECONFIG: brokers or a property are wrong. No broker has to answer yet. */
FX_MUST_CHECK enum fx_code shipper_open(const struct shipper_options *options,
                                        struct shipper **shipper, struct fx_err *err);

/*
 * Takes in acknowledgements and hands over what fits; never waits. input is what heartbeats say.
 *
 * FX_EDISK, FX_ESTATE  from the outbox. A broker's troubles are not returned: shipper_trouble.
 */
FX_MUST_CHECK enum fx_code shipper_pump(struct shipper *shipper, enum input_state input,
                                        struct fx_err *err);

/* The input is at its end: when all is acknowledged, say ENDED for every run. */
void shipper_end(struct shipper *shipper);

/* A resend was requested, or a heartbeat became owed, while the shipper is open. */
void shipper_note_resend(struct shipper *shipper);

/* Everything is acknowledged: rows, resends, and the ENDED of every run if shipper_end was called.
 * What was noted in the outbox still wants outbox_flush. */
bool shipper_is_done(const struct shipper *shipper);

/* pump has something to do without anything having happened. */
bool shipper_is_hungry(const struct shipper *shipper);

/* Readable when pump has something to do; pump empties it. */
int shipper_wake_fd(const struct shipper *shipper);

/* FX_OK, or why nothing gets through at present; *err is set to the text. */
enum fx_code shipper_trouble(const struct shipper *shipper, struct fx_err *err);

/* Messages handed over and acknowledged, producers made, for statistics. */
struct shipper_counts {
    int64_t sent;
    int64_t acked;
    int64_t opened;
};
void shipper_count(const struct shipper *shipper, struct shipper_counts *counts);

/* What is not acknowledged stays in the outbox. */
void shipper_close(struct shipper *shipper);

#endif
