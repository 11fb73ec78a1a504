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
    int64_t opened_ms;
    int64_t last_appended_ms;
    struct ledger_day day;
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
    struct mark reversals[WORLD_REVERSALS_MAX];
    int reversal_count;
    struct flush_hole holes[WORLD_HOLES_MAX];
    int hole_count;
    struct table rollups;
    struct mark corrected[WORLD_REVERSALS_MAX];
    int corrected_count;
    struct table hours;
    struct table days;    /* by run and day: last number */
    struct table tallies; /* by source, day and what: how many */
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
    struct mark reversals[WORLD_REVERSALS_MAX];
    int reversal_count;
    struct flush_hole holes[WORLD_HOLES_MAX];
    int hole_count;
    struct mark corrected[WORLD_REVERSALS_MAX];
    int corrected_count;
    struct mark uncorrected[WORLD_REVERSALS_MAX];
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

static inline void day_key(char key[TABLE_KEY_MAX], const struct db_run *run,
                           const struct ledger_day *day)
{
    snprintf(key, TABLE_KEY_MAX, "%d|%s|%" PRId64 "|%" PRId64 "|%" PRId64, run->topic, run->source,
             run->run, day->end_ms, day->first);
}

/* Adds a tally to the three rows of a source's day. */
static inline void tally_add(struct table *tallies, int topic, const char *source,
                             const struct ledger_tally *tally)
{
    const int64_t values[] = {tally->duplicates, tally->late, tally->clock_corrected};
    for (int i = 0; i < 3; i++) {
        char key[TABLE_KEY_MAX];
        snprintf(key, sizeof key, "%d|%s|%" PRId64 "|%d", topic, source, tally->day_end_ms, i);
        if (values[i] != 0)
            table_row(tallies, key, NULL)->values[0] += values[i];
    }
}

static inline void database_release_tables(struct database *db)
{
    table_release(&db->rollups);
    table_release(&db->hours);
    table_release(&db->days);
    table_release(&db->tallies);
}

static inline void transaction_release(struct transaction *flight)
{
    table_release(&flight->rollups);
    table_release(&flight->hours);
    table_release(&flight->days);
    table_release(&flight->tallies);
}

/* Index of the run, -1 if there is none. */
int db_find_run(const struct database *db, int topic, const char *source, int64_t run);

#endif
