/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store - PostgreSQL as the only authority: claim, then flush after flush.
 *
 * No third-party type in here: a simulator links another store. One worker, one store, one
 * connection, one thread. The protocol:
 *
 *   claim   one READ COMMITTED transaction: SELECT … FOR UPDATE of the partitions' position rows
 *           in order, a fresh random generation, then ledger and gaps. The only way to read.
 *   flush   one transaction, one pipeline, one Sync: compare-and-set of the positions, ledger,
 *           gaps, rejected events, reversals, rollups, totals, COMMIT. Only the tag COMMIT means
 *           committed: COMMIT of a failed transaction answers ROLLBACK without an error.
 *
 * The compare-and-set waits for an old backend's row lock and re-checks, so it fences stopped
 * workers, settles a COMMIT whose answer was lost and survives a failover that rolled back
 * (PostgreSQL documentation, 13.2.1 Read Committed).
 *
 * Homes. A run lives in the partition whose message was counted first; others are rejected. The
 * live schema's flush that rejects one notes the home in the record schema. A schema counted anew
 * keeps to it: a flush that counts such a run first elsewhere is refused (STORE_RUNS), and the next
 * claim loads where it lives.
 *
 * Loss. What Kafka lost stops every worker (claim.c, arrive.c) until a person accepts it. An
 * acceptance is applied by the first claim after it, in the claim's transaction, once: its id is
 * above partition_position.accepted_id, which takes it over. No clock has a say.
 *
 *   of counted offsets    the log was made anew or cut off: next_offset goes back to the first of
 *                         them. What is there now is read again; the ledger drops the copies.
 *   of uncounted offsets  they are gone: if they reach from next_offset to Kafka's first offset,
 *                         next_offset moves there. Those that are there, but bear their producer's
 *                         time, count by the partition's highest append time.
 *
 * Both forget the bookmark, and base_offset stays <= next_offset. Offsets of counted ones are a
 * log that is no more: acceptances before them, and rejected events in them, are no longer of it.
 *
 * Any error but FX_ECONFIG and FX_ESTATE means: drop all uncommitted memory, claim again. After
 * an error the connection is gone; store_claim makes a new one.
 */
#ifndef FX_STORE_H
#define FX_STORE_H

#include "../schemas/region.h"
#include "catalog.h"
#include "flush.h"
#include "intake.h"

struct store;

struct store_options {
    const char *conninfo; /* added to libpq's defaults */
    const char *schema_name;
    const char *worker; /* partition_position.claimed_by */
    const struct catalog *catalog;
    const char *const *topics; /* names, by kind */
};

/* Makes a store; connects at the first call that needs it. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code store_open(const struct store_options *options, struct store **store,
                                      struct fx_err *err);
void store_close(struct store *store);

struct claim_partition {
    int topic;
    int32_t partition;
    int64_t generation;  /* in: the new token */
    int64_t low_offset;  /* in: base if the partition was never counted */
    int64_t base_offset; /* out, as all below */
    int64_t next_offset;
    int64_t append_high_ms;
    bool has_bookmark;
    int64_t bookmark;
};

/* Offsets that a person accepted. */
struct claim_range {
    int topic;
    int32_t partition;
    int64_t first;
    int64_t last;
};

#define CLAIM_UNTIMED_MAX 64

/* A run or a marked event that must be looked up because it was presumed new and was not. */
struct claim_wanted {
    int topic;
    char source[65];
    int64_t run;
    int64_t seq; /* of an event; 0: a run is wanted */
};

struct claim {
    struct claim_partition *partitions; /* by topic, partition */
    int count;
    const struct claim_wanted *wanted;
    int wanted_count;
    int runs_max;              /* how many of the partitions' newest runs to load */
    const char *cluster;       /* id of the Kafka that is asked */
    bool accept_simulated;     /* out, as below */
    int64_t reported_until_ms; /* buckets that end by then are reported; INT64_MIN: none */
    struct claim_range untimed[CLAIM_UNTIMED_MAX]; /* accepted, not counted yet: the lowest */
    int untimed_count;
};

/*
 * Claims the partitions; loads runs and gaps into ledger and what is wanted of single events into
 * marks; both are empty.
 *
 * FX_ERETRY, FX_ECLAIM  not now: back off, poll Kafka, try again if still assigned.
 * FX_ECONFIG  another definition hash, tables missing: run fx-setup, restart.
 * FX_ESTATE   another Kafka than the one that is counted.
 */
FX_MUST_CHECK enum fx_code store_claim(struct store *store, struct claim *claim,
                                       struct ledger *ledger, struct marks *marks,
                                       struct fx_err *err);

/* Adds every row of the table region to tree. */
FX_MUST_CHECK enum fx_code store_load_regions(struct store *store, struct region_tree *tree,
                                              struct fx_err *err);

/* Sends flush; nothing may be in flight. The outcome comes from store_poll. */
FX_MUST_CHECK enum fx_code store_send(struct store *store, const struct flush *flush,
                                      struct fx_err *err);

/*
 * Moves a flush in flight on, waiting up to timeout_ms. *is_done: it is committed.
 *
 * FX_ECLAIM    not committed, or in doubt.
 * FX_EREFUSED  the database refuses a value: replay with fewer events per flush.
 */
FX_MUST_CHECK enum fx_code store_poll(struct store *store, int timeout_ms, bool *is_done,
                                      struct fx_err *err);

/* Gives a flush in flight up, whatever becomes of it, and the locks it holds. */
void store_abandon(struct store *store);

/* What the last FX_ECLAIM of store_poll was about. */
enum store_conflict {
    STORE_FENCED,
    STORE_RUNS,  /* a run was presumed new and is not, or lives in another partition */
    STORE_MARKS, /* an event was reversed before, or counted at another time than presumed */
    STORE_SLOW   /* it took too long: replay with fewer events per flush */
};
enum store_conflict store_conflict(const struct store *store);

/* For --until-end: whether the database is at or behind the high end of every range. */
FX_MUST_CHECK enum fx_code store_reached(struct store *store, const struct intake_range *ends,
                                         int count, bool *is_reached, struct fx_err *err);

#endif
