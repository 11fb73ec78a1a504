/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_database - the tables of PostgreSQL in memory, and one transaction on them.
 */
#ifndef FX_FAKE_DATABASE_H
#define FX_FAKE_DATABASE_H

#include "fake_homes.h"
#include "fake_kinds.h"
#include "fake_recount.h"
#include "fake_settled.h"

#include "../../consumers/flush.h"

#define WORLD_PARTITIONS 2 /* of each topic */
#define WORLD_PARTS (TOPICS * WORLD_PARTITIONS)
#define WORLD_RUNS_MAX 64
#define WORLD_GAPS_MAX 4096
#define WORLD_REJECTED_MAX 2048
#define WORLD_REVERSALS_MAX 512
#define WORLD_CORRECTED_MAX 4096
#define WORLD_HOLES_MAX 64
#define WORLD_WRITE_OFFS_MAX 64
#define WORLD_ACCEPTANCES_MAX 8

struct db_position {
    bool is_there;
    int64_t generation;
    int64_t base;
    int64_t next;
    int64_t append_high_ms;
    bool has_bookmark;
    int64_t bookmark;
    int64_t accepted_at; /* of the last acceptance applied, 0: none */
    int64_t caught_up_ms;
};

/* A loss that a person accepted. */
struct db_acceptance {
    int part;
    int64_t first;
    int64_t last;
    bool is_counted;
    int64_t at; /* 1, 2, … */
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
    int64_t opened_ms;
    int64_t last_appended_ms;
    struct ledger_day day;
    int64_t heartbeat_n;
    int64_t acked_seq;
    bool had_home; /* when it was counted first, it was on record where */
};

struct db_gap {
    int run; /* index */
    int64_t first;
    int64_t last;
    enum gap_cause cause;
};

/* Numbers of a run that a person gave up while they were in a gap. */
struct write_off {
    int run; /* index */
    int64_t first;
    int64_t last;
};

struct database {
    struct db_position positions[WORLD_PARTS];
    struct db_run runs[WORLD_RUNS_MAX];
    int run_count;
    struct db_gap gaps[WORLD_GAPS_MAX];
    int gap_count;
    struct flush_rejected rejected[WORLD_REJECTED_MAX];
    int rejected_count;
    struct mark reversals[WORLD_REVERSALS_MAX];
    int reversal_count;
    struct flush_hole holes[WORLD_HOLES_MAX];
    int hole_count;
    struct write_off write_offs[WORLD_WRITE_OFFS_MAX];
    int write_off_count;
    struct db_acceptance acceptances[WORLD_ACCEPTANCES_MAX];
    int acceptance_count;
    const char *cluster; /* NULL: not known */
    struct table rollups;
    struct mark corrected[WORLD_CORRECTED_MAX];
    int corrected_count;
    struct table hours;
    int redriven[2]; /* rows of redriven_event: counted, duplicate */
    struct db_settled settled[WORLD_SETTLED_MAX];
    int settled_count;
    int64_t simulated_from[WORLD_PARTS]; /* offset from which simulated sources may count */
    struct table days;                   /* by run and day: last number */
    struct table tallies;                /* by source, day and what: how many */
    int commits;
    struct db_homes *homes; /* borrowed; shared with rebuilds */
    bool is_rebuild;
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
    struct mark reversals[WORLD_REVERSALS_MAX];
    int reversal_count;
    struct flush_hole holes[WORLD_HOLES_MAX];
    int hole_count;
    struct flush_rejected settled[WORLD_REJECTED_MAX];
    enum settled outcomes[WORLD_REJECTED_MAX];
    int settled_count;
    struct mark corrected[WORLD_CORRECTED_MAX];
    int corrected_count;
    struct mark uncorrected[WORLD_CORRECTED_MAX];
    int uncorrected_count;
    struct table rollups;
    struct table hours;
    struct table days;
    struct table tallies;
};

/* A partition of a topic as one number. */
static inline int part_index(int topic, int32_t partition)
{
    return topic * WORLD_PARTITIONS + (int)partition;
}

/* Index of the run, -1 if there is none. */
int db_find_run(const struct database *db, int topic, const char *source, int64_t run);

#endif
