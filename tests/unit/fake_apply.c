/* SPDX-License-Identifier: Apache-2.0 */
/* fake_apply - a flush as bytes, and what a transaction of it does to tables in memory. */
#include "fake_world.h"

enum verdict { APPLIED, REFUSED_FENCED, REFUSED_RUNS, REFUSED_REVERSALS, REFUSED_VALUE };

int db_find_run(const struct database *db, int topic, const char *source, int64_t run)
{
    for (int i = 0; i < db->run_count; i++)
        if (db->runs[i].topic == topic && db->runs[i].run == run &&
            strcmp(db->runs[i].source, source) == 0)
            return i;
    return -1;
}

static int find_own_run(const struct database *db, const struct transaction *flight, int index)
{
    const struct db_run *run = &flight->runs[index];
    return db_find_run(db, run->topic, run->source, run->run);
}

static struct db_home *home_of_run(const struct database *db, const struct db_run *run)
{
    return db_find_home(db->homes, run->topic, run->source, run->run);
}

static const struct mark *find_mark(const struct mark *marks, int count, const struct mark *one)
{
    for (int i = 0; i < count; i++)
        if (marks[i].topic == one->topic && marks[i].run == one->run && marks[i].seq == one->seq &&
            strcmp(marks[i].source, one->source) == 0)
            return &marks[i];
    return NULL;
}

/* Each event is reversed once, and counted when the reversal takes it to have counted. */
static bool are_marks_right(const struct database *db, const struct transaction *flight)
{
    for (int i = 0; i < flight->corrected_count; i++)
        if (find_mark(db->reversals, db->reversal_count, &flight->corrected[i]) != NULL)
            return false;
    for (int i = 0; i < flight->uncorrected_count; i++)
        if (find_mark(db->corrected, db->corrected_count, &flight->uncorrected[i]) != NULL)
            return false;
    for (int i = 0; i < flight->reversal_count; i++) {
        const struct mark *one = &flight->reversals[i];
        const struct mark *at = find_mark(db->corrected, db->corrected_count, one);
        if (at == NULL)
            at = find_mark(flight->corrected, flight->corrected_count, one);
        if (find_mark(db->reversals, db->reversal_count, one) != NULL ||
            one->counted_ms != (at == NULL ? MARK_AS_SAID : at->counted_ms))
            return false;
    }
    return true;
}

static int row_of(const struct database *db, const struct flush_rejected *row)
{
    for (int i = 0; i < db->rejected_count; i++)
        if (db->rejected[i].topic == row->topic && db->rejected[i].partition == row->partition &&
            db->rejected[i].offset == row->offset)
            return i;
    return -1;
}

/* Rows that were settled by another are not there any more, or for another reason. */
static bool is_settled(const struct database *db, const struct transaction *flight)
{
    for (int i = 0; i < flight->settled_count; i++) {
        int found = row_of(db, &flight->settled[i]);
        if (found < 0 || db->rejected[found].reason != flight->settled[i].reason)
            return true;
    }
    return false;
}

/* The first statement of the flush that would fail. */
static enum verdict judge(const struct database *db, const struct transaction *flight)
{
    for (int i = 0; i < flight->position_count; i++) {
        const struct flush_position *to = &flight->positions[i];
        const struct db_position *at = &db->positions[part_index(to->topic, to->partition)];
        if (!at->is_there || at->next != to->old_next || at->generation != to->generation)
            return REFUSED_FENCED;
    }
    for (int i = 0; i < flight->run_count; i++) {
        int found = find_own_run(db, flight, i);
        bool is_same = found >= 0 && db->runs[found].partition == flight->runs[i].partition &&
                       db->runs[found].high == flight->old_high[i];
        const struct db_home *home = home_of_run(db, &flight->runs[i]);
        bool is_elsewhere = home != NULL && home->partition != flight->runs[i].partition;
        if (flight->is_known[i] ? !is_same : found >= 0 || is_elsewhere)
            return REFUSED_RUNS;
    }
    if (is_settled(db, flight))
        return REFUSED_FENCED;
    if (!are_marks_right(db, flight))
        return REFUSED_REVERSALS;
    for (int i = 0; i < flight->rollups.count; i++)
        for (int v = 0; v < TABLE_VALUES_MAX; v++)
            if (flight->rollups.rows[i].values[v] == WORLD_POISON)
                return REFUSED_VALUE;
    return APPLIED;
}

static void apply_runs(struct database *db, const struct transaction *flight)
{
    for (int i = 0; i < flight->run_count; i++) {
        const struct db_run *from = &flight->runs[i];
        int found = find_own_run(db, flight, i);
        if (found < 0) {
            assert_true(db->run_count < WORLD_RUNS_MAX);
            found = db->run_count++;
            db->runs[found] = (struct db_run){.topic = from->topic,
                                              .partition = from->partition,
                                              .run = from->run,
                                              .opened_ms = from->opened_ms,
                                              .heartbeat_n = -1,
                                              .had_home = home_of_run(db, from) != NULL};
            memcpy(db->runs[found].source, from->source, sizeof from->source);
        }
        struct db_run *to = &db->runs[found];
        if (from->opened_ms != 0 && from->opened_ms < to->opened_ms)
            to->opened_ms = from->opened_ms;
        to->high = from->high;
        to->gaps = from->gaps;
        to->day = from->day;
        to->is_quarantined = from->is_quarantined;
        to->sums.counted += from->sums.counted;
        to->sums.duplicates += from->sums.duplicates;
        to->sums.late += from->sums.late;
        to->sums.clock_corrected += from->sums.clock_corrected;
        to->sums.rejected += from->sums.rejected;
        if (from->last_appended_ms > to->last_appended_ms)
            to->last_appended_ms = from->last_appended_ms;
        if (from->heartbeat_n >= 0) {
            to->heartbeat_n = from->heartbeat_n;
            to->acked_seq = from->acked_seq;
        }
    }
}

static int find_gap(const struct database *db, int run, int64_t first)
{
    for (int i = 0; i < db->gap_count; i++)
        if (db->gaps[i].run == run && db->gaps[i].first == first)
            return i;
    return -1;
}

/* Deletes, then inserts; a row that is not there or is there already would be a mistake. */
static void apply_gaps(struct database *db, const struct transaction *flight)
{
    for (int i = 0; i < flight->gone_count; i++) {
        int run = find_own_run(db, flight, flight->gone[i].run);
        int found = find_gap(db, run, flight->gone[i].first);
        assert_true(found >= 0);
        db->gaps[found] = db->gaps[--db->gap_count];
    }
    for (int i = 0; i < flight->gap_count; i++) {
        struct db_gap gap = flight->gaps[i];
        gap.run = find_own_run(db, flight, gap.run);
        assert_int_equal(find_gap(db, gap.run, gap.first), -1);
        assert_true(db->gap_count < WORLD_GAPS_MAX);
        db->gaps[db->gap_count++] = gap;
    }
}

void db_note_home(struct database *db, const struct flush_rejected *row)
{
    struct db_homes *homes = db->homes;
    int run = db_find_run(db, row->topic, row->source, row->run);
    if (row->reason != REASON_MOVED_PARTITION || db->is_rebuild || run < 0 ||
        home_of_run(db, &db->runs[run]) != NULL)
        return;
    assert_true(homes->count < WORLD_HOMES_MAX);
    struct db_home *fresh = &homes->rows[homes->count++];
    *fresh = (struct db_home){.topic = row->topic, .run = row->run};
    fresh->partition = db->runs[run].partition;
    memcpy(fresh->source, row->source, sizeof fresh->source);
}

static void apply_rejected(struct database *db, const struct transaction *flight)
{
    for (int i = 0; i < flight->rejected_count; i++) {
        const struct flush_rejected *row = &flight->rejected[i];
        bool is_there = row_of(db, row) >= 0;
        assert_true(db->rejected_count < WORLD_REJECTED_MAX);
        if (!is_there)
            db->rejected[db->rejected_count++] = *row;
        db_note_home(db, row);
    }
}

static void apply_settled(struct database *db, const struct transaction *flight)
{
    for (int i = 0; i < flight->settled_count; i++) {
        int found = row_of(db, &flight->settled[i]);
        db->rejected[found] = db->rejected[--db->rejected_count];
        if (flight->outcomes[i] != SETTLED_ANEW)
            db->redriven[flight->outcomes[i] == SETTLED_DUPLICATE]++;
    }
}

static enum verdict db_apply(struct database *db, const struct transaction *flight)
{
    enum verdict verdict = judge(db, flight);
    if (verdict != APPLIED)
        return verdict;
    for (int i = 0; i < flight->position_count; i++) {
        const struct flush_position *from = &flight->positions[i];
        struct db_position *to = &db->positions[part_index(from->topic, from->partition)];
        to->next = from->new_next;
        to->append_high_ms = from->append_high_ms;
        to->has_bookmark = from->has_bookmark;
        to->bookmark = from->bookmark;
        if (from->caught_up_ms > to->caught_up_ms)
            to->caught_up_ms = from->caught_up_ms;
    }
    apply_runs(db, flight);
    apply_gaps(db, flight);
    apply_settled(db, flight);
    apply_rejected(db, flight);
    assert_true(db->reversal_count + flight->reversal_count <= WORLD_REVERSALS_MAX);
    for (int i = 0; i < flight->reversal_count; i++)
        db->reversals[db->reversal_count++] = flight->reversals[i];
    assert_true(db->corrected_count + flight->corrected_count <= WORLD_CORRECTED_MAX);
    for (int i = 0; i < flight->corrected_count; i++)
        db->corrected[db->corrected_count++] = flight->corrected[i];
    assert_true(db->hole_count + flight->hole_count <= WORLD_HOLES_MAX);
    for (int i = 0; i < flight->hole_count; i++)
        db->holes[db->hole_count++] = flight->holes[i];
    for (int i = 0; i < flight->rollups.count; i++)
        table_upsert(&db->rollups, &flight->rollups.rows[i]);
    for (int i = 0; i < flight->hours.count; i++)
        table_row(&db->hours, flight->hours.rows[i].key, NULL)->values[0] |=
            flight->hours.rows[i].values[0];
    for (int i = 0; i < flight->days.count; i++) {
        assert_null(table_find(&db->days, flight->days.rows[i].key));
        table_row(&db->days, flight->days.rows[i].key, NULL)->values[0] =
            flight->days.rows[i].values[0];
    }
    for (int i = 0; i < flight->tallies.count; i++)
        table_row(&db->tallies, flight->tallies.rows[i].key, NULL)->values[0] +=
            flight->tallies.rows[i].values[0];
    db->commits++;
    return APPLIED;
}

static void add_hour(struct transaction *flight, int topic, const char *source, int64_t hour_ms,
                     uint32_t slots)
{
    char key[TABLE_KEY_MAX];
    snprintf(key, sizeof key, "%d|%s|%" PRId64, topic, source, hour_ms);
    table_row(&flight->hours, key, NULL)->values[0] |= slots;
}

static void copy_gaps(struct transaction *flight, const struct gapset *from)
{
    assert_true(flight->gone_count + from->removed_count <= WORLD_GAPS_MAX);
    assert_true(flight->gap_count + from->count <= WORLD_GAPS_MAX);
    for (int i = 0; i < from->removed_count; i++)
        flight->gone[flight->gone_count++] =
            (struct db_gap){.run = flight->run_count, .first = from->removed[i]};
    for (int i = 0; i < from->count; i++)
        if (!from->gaps[i].is_stored)
            flight->gaps[flight->gap_count++] = (struct db_gap){
                flight->run_count, from->gaps[i].first, from->gaps[i].last, from->gaps[i].cause};
}

static void copy_runs(struct transaction *flight, const struct flush *flush)
{
    int count;
    const int *dirty = ledger_dirty(flush->ledger, &count);
    for (int i = 0; i < count; i++) {
        const struct ledger_entry *entry = ledger_entry(flush->ledger, dirty[i]);
        const struct ledger_heartbeat *beat = ledger_pending_heartbeat(flush->ledger, dirty[i]);
        assert_true(flight->run_count < WORLD_RUNS_MAX);
        struct db_run *to = &flight->runs[flight->run_count];
        *to = (struct db_run){.topic = entry->topic,
                              .partition = entry->partition,
                              .run = entry->run,
                              .high = entry->high,
                              .sums = entry->delta,
                              .gaps = entry->gaps.count,
                              .is_quarantined = entry->is_quarantined,
                              .opened_ms = entry->opened_ms,
                              .last_appended_ms = entry->last_appended_ms,
                              .day = entry->day,
                              .heartbeat_n = beat == NULL ? -1 : beat->n,
                              .acked_seq = beat == NULL ? 0 : beat->acked_seq};
        memcpy(to->source, entry->source_text, entry->source_size);
        flight->old_high[flight->run_count] = entry->sent_high;
        flight->is_known[flight->run_count] = entry->is_known;
        copy_gaps(flight, &entry->gaps);
        flight->run_count++;
        tally_add(&flight->tallies, entry->topic, to->source, &entry->tally);
        if (entry->slots != 0)
            add_hour(flight, entry->topic, to->source, entry->hour_ms, entry->slots);
    }
}

static void copy_marks(struct mark *to, int *count, const struct mark_set *from)
{
    assert_true(from->count - from->stored_count <= WORLD_CORRECTED_MAX);
    for (int i = from->stored_count; i < from->count; i++)
        to[(*count)++] = from->items[i];
}

static void copy_days(struct transaction *flight, const struct flush *flush)
{
    const struct names *names = ledger_names(flush->ledger);
    for (int i = 0; i < flush->day_count; i++) {
        const struct flush_day *from = &flush->days[i];
        struct db_run run = {.topic = from->topic, .run = from->run};
        char key[TABLE_KEY_MAX];
        snprintf(run.source, sizeof run.source, "%s", names_text(names, from->source));
        day_key(key, &run, &from->day);
        table_row(&flight->days, key, NULL)->values[0] = from->last;
    }
    for (int i = 0; i < flush->tally_count; i++)
        tally_add(&flight->tallies, flush->tallies[i].topic,
                  names_text(names, flush->tallies[i].source), &flush->tallies[i].tally);
}

static void copy_flush(struct transaction *flight, const struct flush *flush)
{
    struct level_names names = {flush->regions, ledger_names(flush->ledger)};
    table_reset(&flight->rollups);
    table_reset(&flight->hours);
    table_reset(&flight->days);
    table_reset(&flight->tallies);
    flight->run_count = flight->gone_count = flight->gap_count = flight->reversal_count = 0;
    flight->corrected_count = flight->uncorrected_count = 0;
    flight->position_count = flush->position_count;
    flight->rejected_count = flush->rejected_count;
    flight->hole_count = flush->hole_count;
    assert_in_range(flush->position_count, 1, WORLD_PARTS);
    memcpy(flight->positions, flush->positions,
           (size_t)flush->position_count * sizeof *flush->positions);
    memcpy(flight->rejected, flush->rejected,
           (size_t)flush->rejected_count * sizeof *flush->rejected);
    memcpy(flight->holes, flush->holes, (size_t)flush->hole_count * sizeof *flush->holes);
    assert_true(flush->settled_count <= WORLD_REJECTED_MAX);
    flight->settled_count = flush->settled_count;
    for (int i = 0; i < flush->settled_count; i++) {
        flight->settled[i] = *flush->settled[i].row;
        flight->outcomes[i] = flush->settled[i].outcome;
    }
    copy_marks(flight->reversals, &flight->reversal_count, &flush->marks->reversed);
    copy_marks(flight->corrected, &flight->corrected_count, &flush->marks->corrected);
    copy_marks(flight->uncorrected, &flight->uncorrected_count, &flush->marks->uncorrected);
    copy_days(flight, flush);
    for (int i = 0; i < flush->hour_count; i++)
        add_hour(flight, flush->hours[i].topic, names_text(names.sources, flush->hours[i].source),
                 flush->hours[i].hour_ms, flush->hours[i].slots);
    copy_runs(flight, flush);
    for (int i = 0; i < flush->table_count; i++)
        recount_collect(&flight->rollups, &flush->tables[i], &names);
}
