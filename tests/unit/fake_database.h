/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_database - the tables of PostgreSQL in memory, and one transaction on them.
 */
#ifndef FX_FAKE_DATABASE_H
#define FX_FAKE_DATABASE_H

#include "fake_kinds.h"
#include "fake_recount.h"

#include "../../consumers/flush.h"

#define WORLD_PARTITIONS 2 /* of each topic */
#define WORLD_PARTS (TOPICS * WORLD_PARTITIONS)
#define WORLD_RUNS_MAX 64
#define WORLD_GAPS_MAX 4096
#define WORLD_REJECTED_MAX 2048
#define WORLD_REVERSALS_MAX 512
#define WORLD_HOLES_MAX 64

struct db_position {
    bool is_there;
    int64_t generation;
    int64_t base;
    int64_t next;
    int64_t append_high_ms;
    bool has_bookmark;
    int64_t bookmark;
    int64_t accepted_to; /* -1: none */
    int64_t caught_up_ms;
};

struct db_run {
    int topic;
    int32_t partition;
    char source[65];
    int64_t run;
    int64_t high;
    struct ledger_delta sums;
    int gaps;
    bool is_quarantined;
    int64_t last_appended_ms;
    int64_t heartbeat_n;
    int64_t acked_seq;
};

struct db_gap {
    int run; /* index */
    int64_t first;
    int64_t last;
    enum gap_cause cause;
};

struct database {
    struct db_position positions[WORLD_PARTS];
    struct db_run runs[WORLD_RUNS_MAX];
    int run_count;
    struct db_gap gaps[WORLD_GAPS_MAX];
    int gap_count;
    struct flush_rejected rejected[WORLD_REJECTED_MAX];
    int rejected_count;
    struct reversal reversals[WORLD_REVERSALS_MAX];
    int reversal_count;
    struct flush_hole holes[WORLD_HOLES_MAX];
    int hole_count;
    struct table rollups;
    struct table hours;
    int commits;
};

/* What a flush changes, as bytes on the way would hold it. */
struct transaction {
    struct flush_position positions[WORLD_PARTS];
    int position_count;
    struct db_run runs[WORLD_RUNS_MAX];
    int64_t old_high[WORLD_RUNS_MAX];
    bool is_known[WORLD_RUNS_MAX];
    int run_count;
    struct db_gap gone[WORLD_GAPS_MAX]; /* run is an index into runs of this transaction */
    int gone_count;
    struct db_gap gaps[WORLD_GAPS_MAX];
    int gap_count;
    struct flush_rejected rejected[WORLD_REJECTED_MAX];
    int rejected_count;
    struct reversal reversals[WORLD_REVERSALS_MAX];
    int reversal_count;
    struct flush_hole holes[WORLD_HOLES_MAX];
    int hole_count;
    struct table rollups;
    struct table hours;
};

/* A partition of a topic as one number. */
static inline int part_index(int topic, int32_t partition)
{
    return topic * WORLD_PARTITIONS + (int)partition;
}

/* Index of the run, -1 if there is none. */
int db_find_run(const struct database *db, int topic, const char *source, int64_t run);

#endif
