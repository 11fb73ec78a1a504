/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_expect - what a naive recount gathers from the logs, and what only the database can tell it.
 */
#ifndef FX_FAKE_EXPECT_H
#define FX_FAKE_EXPECT_H

#include "fake_world.h"

#define CHECK_SEQ_MAX 4096

struct known_run {
    int topic;
    char source[65];
    int64_t run;
    int64_t high;
    struct ledger_delta sums;
    int64_t opened_ms;
    struct ledger_day day;
    int64_t heartbeat_n;
    int redriven; /* commit that took events of it again last */
    bool is_counted[CHECK_SEQ_MAX + 1];
    bool is_rejected[CHECK_SEQ_MAX + 1];
};

/* A time that a record is taken: in its turn, or again after it was rejected. */
struct occasion {
    int part;
    const struct record *record;
    int64_t append_ms;
    const struct db_settled *again; /* NULL: in its turn */
};

struct expectation {
    const struct world *world;
    struct region_tree regions;
    struct table rollups;
    struct table hours;
    struct table days;
    struct table tallies;
    struct known_run runs[WORLD_RUNS_MAX];
    int run_count;
    struct saying reversals[WORLD_REVERSALS_MAX];
    int reversal_count;
    int corrected_count;
    int rejected_count;
};

static inline struct known_run *find_known(struct expectation *to, const struct saying *saying,
                                           int64_t append_ms)
{
    for (int i = 0; i < to->run_count; i++)
        if (to->runs[i].topic == saying->topic && to->runs[i].run == saying->run &&
            strcmp(to->runs[i].source, saying->source) == 0)
            return &to->runs[i];
    assert_true(to->run_count < WORLD_RUNS_MAX);
    struct known_run *fresh = &to->runs[to->run_count++];
    memset(fresh, 0, sizeof *fresh);
    fresh->heartbeat_n = -1;
    fresh->opened_ms = append_ms;
    fresh->day.end_ms = LEDGER_NO_DAY;
    fresh->topic = saying->topic;
    fresh->run = saying->run;
    snprintf(fresh->source, sizeof fresh->source, "%s", saying->source);
    return fresh;
}

static inline bool has_region(const struct expectation *to, const struct occasion *now)
{
    const char *code = now->record->saying.region;
    bool is_last = strcmp(code, kinds_regions[KINDS_REGIONS - 1][0]) == 0;
    bool is_known = now->again != NULL ? now->again->knows_region
                                       : now->record->offset >= to->world->region_from[now->part];
    return region_tree_find(&to->regions, code, strlen(code)) > 0 && (!is_last || is_known);
}

static inline bool accepts_simulated(const struct expectation *to, const struct occasion *now)
{
    if (now->again != NULL)
        return now->again->accepts_simulated;
    return to->world->accept_simulated &&
           now->record->offset >= to->world->db.simulated_from[now->part];
}

/* What the database knows of event (run, seq) of saying's source, NULL: nothing. */
static inline const struct mark *find_mark_of(const struct mark *marks, int count,
                                              const struct saying *saying, int64_t run, int64_t seq)
{
    for (int i = 0; i < count; i++)
        if (marks[i].topic == saying->topic && marks[i].run == run && marks[i].seq == seq &&
            strcmp(marks[i].source, saying->source) == 0)
            return &marks[i];
    return NULL;
}

/* Which of several reversals came first, across partitions, only the database knows: the others
 * are refused, and that there is one row for each one counted is checked at the end. */
static inline bool was_reversed(const struct expectation *to, const struct saying *saying)
{
    const struct database *db = &to->world->db;
    const struct mark *other = find_mark_of(db->reversals, db->reversal_count, saying,
                                            saying->reverses_run, saying->reverses_seq);
    return other != NULL && (other->by_run != saying->run || other->by_seq != saying->seq);
}

/* The partition where the run was met first, or is on record to live; part if it was met nowhere
 * yet. */
static inline int home_of(const struct expectation *to, const struct saying *saying, int part)
{
    const struct database *db = &to->world->db;
    int index = db_find_run(db, saying->topic, saying->source, saying->run);
    const struct db_home *home =
        db_find_home(db->homes, saying->topic, saying->source, saying->run);
    if (index < 0 && home != NULL)
        return part_index(saying->topic, home->partition);
    return index < 0 ? part : part_index(saying->topic, db->runs[index].partition);
}

static inline const struct flush_rejected *find_rejected(const struct expectation *to, int part,
                                                         int64_t offset)
{
    const struct database *db = &to->world->db;
    for (int i = 0; i < db->rejected_count; i++)
        if (part_index(db->rejected[i].topic, db->rejected[i].partition) == part &&
            db->rejected[i].offset == offset)
            return &db->rejected[i];
    return NULL;
}

/* What the database says it was rejected for on this occasion; REASON_COUNT: it was not. */
static inline enum reason noted_reason(const struct expectation *to, const struct occasion *now)
{
    const struct database *db = &to->world->db;
    int64_t offset = now->record->offset;
    for (int i = now->again == NULL ? 0 : (int)(now->again - db->settled) + 1;
         i < db->settled_count; i++)
        if (db->settled[i].part == now->part && db->settled[i].offset == offset)
            return db->settled[i].reason;
    const struct flush_rejected *row = find_rejected(to, now->part, offset);
    return row == NULL ? REASON_COUNT : row->reason;
}

#endif
