/* SPDX-License-Identifier: Apache-2.0 */
/* fake_claim - what a claim locks and reads of tables in memory. */
#include "fake_world.h"

/* When the log of a partition was given up last, 0: never. */
static int64_t newest_log(const struct database *db, int part)
{
    int64_t at = 0;
    for (int i = 0; i < db->acceptance_count; i++)
        if (db->acceptances[i].part == part && db->acceptances[i].is_counted)
            at = db->acceptances[i].at;
    return at;
}

/* The oldest first: whatever the order in SQL, a first claim finds one or two. */
static void apply_acceptances(const struct database *db, int part, int64_t low,
                              struct db_position *at)
{
    int64_t applied = at->accepted_at;
    int64_t newest = newest_log(db, part);
    for (int i = 0; i < db->acceptance_count; i++) {
        const struct db_acceptance *one = &db->acceptances[i];
        if (one->part != part || one->at <= applied || !one->is_counted)
            continue;
        at->accepted_at = one->at;
        if (one->first < at->next) {
            at->next = one->first;
            at->has_bookmark = false;
        }
    }
    for (int i = 0; i < db->acceptance_count; i++) {
        const struct db_acceptance *one = &db->acceptances[i];
        if (one->part != part || one->at <= applied || one->at < newest || low <= at->next ||
            one->first > at->next || one->last < low - 1)
            continue;
        at->accepted_at = one->at > at->accepted_at ? one->at : at->accepted_at;
        at->next = low;
        at->has_bookmark = false;
    }
    if (at->base > at->next)
        at->base = at->next;
}

static void read_untimed(const struct database *db, struct claim *claim)
{
    claim->untimed_count = 0;
    for (int i = 0; i < db->acceptance_count; i++) {
        const struct db_acceptance *one = &db->acceptances[i];
        if (!one->is_counted && one->at > newest_log(db, one->part))
            claim->untimed[claim->untimed_count++] = (struct claim_range){
                one->part / WORLD_PARTITIONS, one->part % WORLD_PARTITIONS, one->first, one->last};
    }
}

static bool is_other_cluster(const struct database *db, const struct claim *claim)
{
    return db->cluster != NULL && strcmp(db->cluster, claim->cluster) != 0;
}

static void lock_positions(struct database *db, struct claim *claim)
{
    for (int i = 0; i < claim->count; i++) {
        struct claim_partition *part = &claim->partitions[i];
        int index = part_index(part->topic, part->partition);
        struct db_position *at = &db->positions[index];
        if (!at->is_there)
            *at = (struct db_position){.is_there = true,
                                       .base = part->low_offset,
                                       .next = part->low_offset,
                                       .accepted_at = newest_log(db, index)};
        apply_acceptances(db, index, part->low_offset, at);
        at->generation = part->generation;
        part->base_offset = at->base;
        part->next_offset = at->next;
        part->append_high_ms = at->append_high_ms;
        part->has_bookmark = at->has_bookmark;
        part->bookmark = at->bookmark;
    }
    read_untimed(db, claim);
}

static bool is_claimed(const struct claim *claim, const struct db_run *run)
{
    for (int i = 0; i < claim->count; i++)
        if (claim->partitions[i].topic == run->topic &&
            claim->partitions[i].partition == run->partition)
            return true;
    return false;
}

static bool is_wanted(const struct claim *claim, const struct db_run *run)
{
    for (int i = 0; i < claim->wanted_count; i++)
        if (claim->wanted[i].topic == run->topic && claim->wanted[i].run == run->run &&
            strcmp(claim->wanted[i].source, run->source) == 0)
            return true;
    return false;
}

/* How many runs of the claimed partitions were appended to after this one. */
static int newer_runs(const struct database *db, const struct claim *claim, int index)
{
    int newer = 0;
    for (int i = 0; i < db->run_count; i++) {
        int64_t ahead_ms = db->runs[i].last_appended_ms - db->runs[index].last_appended_ms;
        newer += is_claimed(claim, &db->runs[i]) && (ahead_ms > 0 || (ahead_ms == 0 && i < index));
    }
    return newer;
}

static int compare_gaps(const void *left, const void *right)
{
    const struct db_gap *a = left;
    const struct db_gap *b = right;
    return (a->first > b->first) - (a->first < b->first);
}

static enum fx_code load_run(struct database *db, int index, struct ledger *ledger,
                             struct fx_err *err)
{
    const struct db_run *run = &db->runs[index];
    struct ledger_key key = {(uint16_t)run->topic, run->run, run->source, strlen(run->source)};
    int entry;
    if (ledger_find(ledger, &key, run->partition, &entry, err) != FX_OK)
        return err->code;
    ledger_load(ledger, entry, run->high, run->partition, run->is_quarantined);
    ledger_entry(ledger, entry)->heartbeat_n = run->heartbeat_n;
    ledger_entry(ledger, entry)->day = run->day;
    qsort(db->gaps, (size_t)db->gap_count, sizeof db->gaps[0], compare_gaps);
    for (int i = 0; i < db->gap_count && err->code == FX_OK; i++) {
        struct gap gap = {.first = db->gaps[i].first, .last = db->gaps[i].last};
        gap.cause = db->gaps[i].cause;
        if (db->gaps[i].run == index)
            (void)(ledger_load_gap(ledger, entry, &gap, err) == FX_OK);
    }
    return err->code;
}

/* Those of a table's marks that are wanted. */
struct marked {
    const struct mark *marks;
    int count;
};

static enum fx_code load_wanted_marks(const struct claim *claim, struct marked from,
                                      struct mark_set *set, struct fx_err *err)
{
    assert_int_equal(set->count, 0);
    for (int i = 0; i < from.count; i++) {
        struct mark one = from.marks[i];
        bool is_asked = false;
        for (int w = 0; w < claim->wanted_count; w++)
            is_asked |= claim->wanted[w].topic == one.topic && claim->wanted[w].run == one.run &&
                        claim->wanted[w].seq == one.seq &&
                        strcmp(claim->wanted[w].source, one.source) == 0;
        if (is_asked && mark_set_add(set, &one, err) != FX_OK)
            return err->code;
    }
    mark_set_sent(set);
    return FX_OK;
}

/* Where wanted runs live that are not counted yet. */
static enum fx_code load_homes(const struct database *db, const struct claim *claim,
                               struct ledger *ledger, struct fx_err *err)
{
    for (int i = 0; i < db->homes->count && err->code == FX_OK; i++) {
        const struct db_home *home = &db->homes->rows[i];
        struct db_run run = {.topic = home->topic, .run = home->run};
        struct ledger_key key = {(uint16_t)home->topic, home->run, home->source,
                                 strlen(home->source)};
        int entry;
        memcpy(run.source, home->source, sizeof run.source);
        if (is_wanted(claim, &run) && db_find_run(db, run.topic, run.source, run.run) < 0)
            (void)(ledger_find(ledger, &key, home->partition, &entry, err) == FX_OK);
    }
    return err->code;
}

/* What a claim reads of ledger and marks. */
static enum fx_code load_claimed(struct database *db, const struct claim *claim,
                                 struct ledger *ledger, struct marks *marks, struct fx_err *err)
{
    for (int i = 0; i < db->run_count; i++) {
        bool is_recent =
            is_claimed(claim, &db->runs[i]) && newer_runs(db, claim, i) < claim->runs_max;
        if ((is_recent || is_wanted(claim, &db->runs[i])) && load_run(db, i, ledger, err) != FX_OK)
            return err->code;
    }
    if (load_homes(db, claim, ledger, err) != FX_OK)
        return err->code;
    if (load_wanted_marks(claim, (struct marked){db->reversals, db->reversal_count},
                          &marks->reversed, err) != FX_OK)
        return err->code;
    return load_wanted_marks(claim, (struct marked){db->corrected, db->corrected_count},
                             &marks->corrected, err);
}
