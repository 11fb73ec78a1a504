/* SPDX-License-Identifier: Apache-2.0 */
/*
 * redrive - takes rejected events again after their cause is mended.
 *
 *   rejected_event -> the same records from Kafka -> claim -> take -> flush -> store
 *
 * Pure, as pipeline.h: Kafka and PostgreSQL only through intake.h and store.h, time from the
 * caller. Workers of the same schema may run: a batch of rows of one partition is read and fetched
 * first, then the partition is claimed, which fences its worker, and the batch is flushed at once
 * with the position unchanged. A worker that claims in between fences the batch; nothing of it is
 * done then, and it begins anew. Workers that are there get a pause between batches.
 *
 * A record is taken with the append time it was rejected at, by the rules of every event, so that
 * it counts in the bucket where it would have counted. Then its row is deleted in the same
 * transaction, which demands that the row is still there, and
 *   it counted, or a copy of it had   one row of redriven_event says so
 *   it is rejected for another reason it is one row of rejected_event again
 * An event that stays rejected, for its reason or because of the state its run is in (too far
 * ahead, quarantined), changes nothing.
 *
 * A rebuild from Kafka under the same definitions gives the same ledgers, gaps and figures, except
 * that where an event and a copy of it say different things, the first that counted decides.
 *
 * Limits: REDRIVE_BATCH_MAX events or REDRIVE_BYTES_MAX of them in one transaction. Rows that are
 * added while it runs are left for the next time.
 */
#ifndef FX_REDRIVE_H
#define FX_REDRIVE_H

#include "intake.h"
#include "store.h"

#define REDRIVE_BATCH_MAX 256
#define REDRIVE_BYTES_MAX (4u << 20)

struct redrive;

struct redrive_options {
    const struct catalog *catalog;
    const char *const *topics; /* names, by kind */
    struct intake *intake;     /* never subscribed */
    struct store *store;
    uint64_t seed;      /* of hashes, tokens and back-off */
    size_t bytes_max;   /* bound of a batch's cells, per rollup */
    enum reason reason; /* REASON_COUNT: all */
};

/* Rows that are done with, by what became of them. */
struct redrive_stats {
    int64_t rows; /* sum of all below */
    int64_t counted;
    int64_t duplicates;             /* a copy had counted */
    int64_t rejected[REASON_COUNT]; /* still, or for this reason now */
    int64_t gone;                   /* Kafka does not have the record any more */
    int64_t claims;
    int64_t drops; /* batches begun anew */
};

/* For take.c: the rejected event that is taken again. */
struct redriven {
    enum reason reason;  /* it stands in rejected_event for */
    enum reason verdict; /* out: why it stays there as it is, REASON_COUNT: it does not */
};

FX_MUST_CHECK enum fx_code redrive_open(const struct redrive_options *options,
                                        struct redrive **redrive, struct fx_err *err);
void redrive_close(struct redrive *redrive);

/*
 * One step at now_ms; waits at most wait_ms when there is nothing to do.
 *
 * FX_OK       go on.
 * FX_ECONFIG  the definitions changed: run fx-setup.
 * FX_ESTATE   Kafka has another record than the one that was rejected: the topic was recreated or
 *             truncated, or this is another cluster.
 */
FX_MUST_CHECK enum fx_code redrive_step(struct redrive *redrive, int64_t now_ms, int wait_ms,
                                        struct fx_err *err);
bool redrive_is_done(const struct redrive *redrive);

/* No further batch is begun; redrive_is_done when the one in flight is committed or dropped. */
void redrive_drain(struct redrive *redrive);

/* Why a batch was begun anew since the last one that was done; "" if none was. */
const char *redrive_trouble(const struct redrive *redrive);

const struct redrive_stats *redrive_stats(const struct redrive *redrive);

#endif
