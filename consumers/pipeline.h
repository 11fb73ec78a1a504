/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline - one worker: from messages to committed figures.
 *
 *   intake -> take (plan, ledger, cells) -> flush -> store
 *
 * Pure: reaches Kafka and PostgreSQL only through intake.h and store.h, knows the time only from
 * its caller, and random numbers only from a seed, so that a simulator can run it through any
 * order of faults. pipeline_step does one small piece of work; the caller loops.
 *
 * Memory is a cache of PostgreSQL. At any error or doubt - a fence, a lost assignment, a commit
 * whose answer did not come, an allocation that failed - all of it is dropped and the partitions
 * are claimed again; what was not committed comes again from Kafka.
 *
 * Pace. Idle: the first event after a pause is flushed at once. Busy: one flush at a time, and
 * PostgreSQL is left alone as long as the last one took; nine times as long, at most a second, in a
 * backlog (Kafka has had the newest event taken for ten seconds). Meanwhile events accumulate up to
 * bytes_max, then Kafka is left waiting. With until_end the last ones that are wanted are flushed
 * at once. A clock that is far from the broker's only makes one pace of the other.
 *
 * Time. An event counts in the bucket of occurred_at, however late. A clock more than 10 minutes
 * ahead of the append time, or before the kind's not_before, counts in the append hour and is
 * tallied. Append time is max(message time, partition's highest append time - 1 h). The rule
 * never applies to a reversal, which counts at counted_at, else occurred_at; a reversal of a time
 * in which nothing can have been counted is invalid_field.
 */
#ifndef FX_PIPELINE_H
#define FX_PIPELINE_H

#include "intake.h"
#include "store.h"

#include <stdbool.h>
#include <stdint.h>

struct pipeline;

struct pipeline_options {
    const struct catalog *catalog;
    const char *const *topics; /* names, by kind */
    struct intake *intake;
    struct store *store;
    uint64_t seed;    /* of hashes, tokens and back-off */
    size_t bytes_max; /* bound of the accumulating cells */
    int runs_max;     /* bound of the ledger's entries */
    int events_max;   /* most events in one flush */
    bool until_end;   /* done when PostgreSQL reaches the end offsets seen at the start */
};

/* Lifetime counters of a worker. */
struct pipeline_stats {
    int64_t messages;
    int64_t committed; /* messages in committed flushes */
    int64_t events;    /* counted, perhaps not committed yet */
    int64_t duplicates;
    int64_t rejected;
    int64_t heartbeats;
    int64_t late;
    int64_t clock_corrected;
    int64_t unread; /* offsets in batches that nobody can unpack */
    int64_t flushes;
    int64_t flush_rows;
    int64_t flush_ms_last;
    int64_t claims;
    int64_t drops;     /* times that uncommitted memory was dropped */
    int64_t lag;       /* messages between our position and the end, when last asked; -1 */
    int64_t began_ms;  /* when the first message was taken, 0: none yet */
    int64_t ended_ms;  /* when the last flush that holds messages was committed, 0: none yet */
    int partitions;    /* assigned now */
    int waiting;       /* of these: for a leader */
    bool is_connected; /* the last word with PostgreSQL was good */
};

FX_MUST_CHECK enum fx_code pipeline_open(const struct pipeline_options *options,
                                         struct pipeline **pipeline, struct fx_err *err);
void pipeline_close(struct pipeline *pipeline);

/*
 * One step at now_ms: serves Kafka, takes messages, moves the flush on, begins another. Waits at
 * most wait_ms when there is nothing to do.
 *
 * FX_OK        go on; is_done says whether --until-end is reached.
 * FX_ECONFIG, FX_ESTATE  stop: the definitions changed, or a person must decide.
 */
FX_MUST_CHECK enum fx_code pipeline_step(struct pipeline *pipeline, int64_t now_ms, int wait_ms,
                                         struct fx_err *err);
bool pipeline_is_done(const struct pipeline *pipeline);

/* No more messages are taken; pipeline_is_done when what was taken is committed or dropped. */
void pipeline_drain(struct pipeline *pipeline);

/* Why memory was dropped last; "" if it never was. */
const char *pipeline_trouble(const struct pipeline *pipeline);

const struct pipeline_stats *pipeline_stats(const struct pipeline *pipeline);

#endif
