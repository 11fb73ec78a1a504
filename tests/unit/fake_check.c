/* SPDX-License-Identifier: Apache-2.0 */
/* fake_check - the rules of the ledger and of time, applied naively to the logs of a world. */
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
    bool is_counted[CHECK_SEQ_MAX + 1];
    bool is_rejected[CHECK_SEQ_MAX + 1];
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

static struct known_run *find_known(struct expectation *to, const struct saying *saying,
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

static bool has_region(const struct expectation *to, int part, const struct record *record)
{
    const char *code = record->saying.region;
    bool is_last = strcmp(code, kinds_regions[KINDS_REGIONS - 1][0]) == 0;
    return region_tree_find(&to->regions, code, strlen(code)) > 0 &&
           !(is_last && record->offset < to->world->region_from[part]);
}

/* What the database knows of event (run, seq) of saying's source, NULL: nothing. */
static const struct mark *find_mark_of(const struct mark *marks, int count,
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
static bool was_reversed(const struct expectation *to, const struct saying *saying)
{
    const struct database *db = &to->world->db;
    const struct mark *other = find_mark_of(db->reversals, db->reversal_count, saying,
                                            saying->reverses_run, saying->reverses_seq);
    return other != NULL && (other->by_run != saying->run || other->by_seq != saying->seq);
}

/* The partition where the run was met first; part if it was met nowhere yet. */
static int home_of(const struct expectation *to, const struct saying *saying, int part)
{
    const struct database *db = &to->world->db;
    int index = db_find_run(db, saying->topic, saying->source, saying->run);
    return index < 0 ? part : part_index(saying->topic, db->runs[index].partition);
}

static void sign_of_life(struct expectation *to, const struct saying *saying, int64_t instant_ms)
{
    char key[TABLE_KEY_MAX];
    int64_t hour_ms = instant_ms - instant_ms % 3600000;
    snprintf(key, sizeof key, "%d|%s|%" PRId64, saying->topic, saying->source, hour_ms);
    table_row(&to->hours, key, NULL)->values[0] |= 1 << (instant_ms - hour_ms) / 300000;
}

static const struct flush_rejected *find_rejected(const struct expectation *to, int part,
                                                  int64_t offset)
{
    const struct database *db = &to->world->db;
    for (int i = 0; i < db->rejected_count; i++)
        if (part_index(db->rejected[i].topic, db->rejected[i].partition) == part &&
            db->rejected[i].offset == offset)
            return &db->rejected[i];
    return NULL;
}

static void reject(struct expectation *to, int part, const struct record *record,
                   enum reason reason)
{
    const struct flush_rejected *row = find_rejected(to, part, record->offset);
    to->rejected_count++;
    if (row == NULL)
        fail_msg("part %d offset %" PRId64 ": not rejected as %s", part, record->offset,
                 reason_name(reason));
    assert_string_equal(reason_name(row->reason), reason_name(reason));
    assert_int_equal(row->length, record->value.size);
    if (row->has_envelope)
        assert_string_equal(row->source, record->saying.source);
}

/* The instant whose bucket a reversal counts in: that of its original, where that is known to have
 * counted at another time than it says. Which of the two came first, only the database knows,
 * unless both lie in one partition. */
static int64_t undone_ms_of(struct expectation *to, int part, const struct record *record)
{
    const struct saying *saying = &record->saying;
    const struct database *db = &to->world->db;
    const struct mark *mark = find_mark_of(db->corrected, db->corrected_count, saying,
                                           saying->reverses_run, saying->reverses_seq);
    struct saying original = *saying;
    original.run = saying->reverses_run;
    int known = db_find_run(db, saying->topic, saying->source, original.run);
    bool is_before = false;
    for (int i = 0; known >= 0 && i < to->run_count; i++)
        is_before |= to->runs[i].topic == saying->topic && to->runs[i].run == original.run &&
                     strcmp(to->runs[i].source, saying->source) == 0 &&
                     to->runs[i].is_counted[saying->reverses_seq] &&
                     part_index(saying->topic, db->runs[known].partition) == part;
    const struct flush_rejected *row = find_rejected(to, part, record->offset);
    bool was_unknown = row != NULL && row->reason == REASON_INVALID_FIELD;
    if (mark != NULL && (is_before || !was_unknown))
        return mark->counted_ms;
    return saying->counted_ms == SAYING_NEVER ? saying->occurred_ms : saying->counted_ms;
}

static bool is_clock_wrong(const struct saying *saying, int64_t append_ms)
{
    return saying->occurred_ms > append_ms + 600000 || saying->occurred_ms < INT64_C(1577836800000);
}

static int64_t day_end_of(int64_t instant_ms)
{
    int64_t local_ms = instant_ms + 8 * 3600000;
    int64_t into_ms = (local_ms % 86400000 + 86400000) % 86400000;
    return instant_ms - into_ms + 86400000;
}

/* Numbers up to high belong to the day of instant_ms, or to the newest one that was before. */
static void raise_high(struct expectation *to, struct known_run *run, int64_t high,
                       int64_t instant_ms)
{
    char key[TABLE_KEY_MAX];
    struct db_run row = {.topic = run->topic, .run = run->run};
    bool has_day = run->day.end_ms != LEDGER_NO_DAY;
    if (high <= run->high)
        return;
    if (!has_day || instant_ms >= run->day.end_ms) {
        memcpy(row.source, run->source, sizeof row.source);
        day_key(key, &row, &run->day);
        if (has_day && run->high >= run->day.first)
            table_row(&to->days, key, NULL)->values[0] = run->high;
        run->day = (struct ledger_day){day_end_of(instant_ms), run->high + 1};
    }
    run->high = high;
}

static void raise_by_event(struct expectation *to, struct known_run *run,
                           const struct saying *saying, int64_t append_ms)
{
    int64_t instant_ms = is_clock_wrong(saying, append_ms) ? append_ms : saying->occurred_ms;
    if (saying->sign < 0) /* a copy: it does not tell when it was numbered */
        instant_ms = run->day.end_ms == LEDGER_NO_DAY ? append_ms : run->day.end_ms - 1;
    raise_high(to, run, saying->seq, instant_ms);
}

/* Why a number that is not counted yet does not count; REASON_COUNT: it does. */
static enum reason judge_record(struct expectation *to, int part, const struct record *record,
                                int64_t append_ms)
{
    const struct saying *saying = &record->saying;
    if (!has_region(to, part, record))
        return REASON_UNKNOWN_REGION;
    if (saying->sign < 0) {
        int64_t undone_ms = undone_ms_of(to, part, record);
        if (undone_ms < INT64_C(1577836800000) - 86400000 || undone_ms > append_ms + 86400000)
            return REASON_INVALID_FIELD;
    }
    if (saying->topic == TOPIC_GATE && saying->persons == WORLD_POISON)
        return REASON_STORE_REFUSED;
    if (saying->sign < 0 && was_reversed(to, saying))
        return REASON_ALREADY_REVERSED;
    return REASON_COUNT;
}

/* An event with a wrong clock counts when it was appended, or where a reversal that was before it
 * did. */
static int64_t counted_ms_of(struct expectation *to, const struct saying *saying, int64_t append_ms,
                             bool *is_corrected)
{
    const struct database *db = &to->world->db;
    const struct mark *mark =
        find_mark_of(db->corrected, db->corrected_count, saying, saying->run, saying->seq);
    const struct mark *reversed =
        find_mark_of(db->reversals, db->reversal_count, saying, saying->run, saying->seq);
    *is_corrected = is_clock_wrong(saying, append_ms) && (mark != NULL || reversed == NULL);
    if (!*is_corrected) {
        assert_null(mark);
        return is_clock_wrong(saying, append_ms) ? reversed->undone_ms : saying->occurred_ms;
    }
    assert_non_null(mark);
    assert_int_equal(mark->counted_ms, append_ms);
    to->corrected_count++;
    return append_ms;
}

static void tally(struct expectation *to, const struct saying *saying, struct ledger_tally one,
                  int64_t append_ms)
{
    one.day_end_ms = day_end_of(append_ms);
    tally_add(&to->tallies, saying->topic, saying->source, &one);
}

static void count(struct expectation *to, int part, const struct record *record, int64_t append_ms)
{
    const struct saying *saying = &record->saying;
    struct known_run *run = find_known(to, saying, append_ms);
    const struct catalog_kind *kind = &to->world->catalog->kinds[saying->topic];
    bool is_corrected = false;
    struct recount_event event = {saying_fields(saying), saying->occurred_ms};
    event.counted_ms = saying->sign < 0 ? undone_ms_of(to, part, record)
                                        : counted_ms_of(to, saying, append_ms, &is_corrected);
    bool is_late = append_ms - event.counted_ms > 3600000;
    run->is_counted[saying->seq] = true;
    run->sums.counted++;
    run->sums.late += is_late;
    run->sums.clock_corrected += is_corrected;
    tally(to, saying, (struct ledger_tally){.late = is_late, .clock_corrected = is_corrected},
          append_ms);
    if (saying->sign < 0) {
        const struct database *db = &to->world->db;
        const struct mark *mark = find_mark_of(db->reversals, db->reversal_count, saying,
                                               saying->reverses_run, saying->reverses_seq);
        assert_int_equal(mark->undone_ms, event.counted_ms);
        to->reversals[to->reversal_count++] = *saying;
    } else {
        sign_of_life(to, saying, event.counted_ms);
    }
    for (int i = 0; i < kind->rollups.count; i++)
        recount_add(&to->rollups, kind_current(&kind->kind), &kind->rollups.rollups[i],
                    &to->regions, &event);
}

static void expect_heartbeat(struct expectation *to, int part, const struct record *record,
                             int64_t append_ms)
{
    const struct saying *saying = &record->saying;
    if (saying->acked_seq > LEDGER_JUMP_MAX + CHECK_SEQ_MAX) {
        reject(to, part, record, REASON_SEQ_JUMP);
        return;
    }
    struct known_run *run = find_known(to, saying, append_ms);
    int64_t instant_ms = is_clock_wrong(saying, append_ms) ? append_ms : saying->occurred_ms;
    if (saying->seq >= run->heartbeat_n)
        raise_high(to, run, saying->acked_seq, instant_ms);
    if (saying->seq >= run->heartbeat_n)
        run->heartbeat_n = saying->seq;
    if (!saying->is_closed)
        sign_of_life(to, saying, instant_ms);
}

static void expect_record(struct expectation *to, int part, const struct record *record,
                          int64_t append_ms)
{
    const struct saying *saying = &record->saying;
    if (record->flaw == FLAW_BYTES) {
        reject(to, part, record, REASON_UNDECODABLE);
        return;
    }
    if (record->flaw == FLAW_KEY) {
        reject(to, part, record, REASON_KEY_MISMATCH);
        return;
    }
    if (!to->world->accept_simulated && strncmp(saying->source, "SIM-", 4) == 0) {
        reject(to, part, record, REASON_SIMULATED);
        return;
    }
    if (home_of(to, saying, part) != part) {
        reject(to, part, record, REASON_MOVED_PARTITION);
        return;
    }
    if (saying->is_heartbeat) {
        expect_heartbeat(to, part, record, append_ms);
        return;
    }
    struct known_run *run = find_known(to, saying, append_ms);
    assert_in_range(saying->seq, 1, CHECK_SEQ_MAX);
    bool is_counted = run->is_counted[saying->seq];
    enum reason reason = record->flaw == FLAW_SUMS ? REASON_SUMS_MISMATCH
                         : is_counted              ? REASON_COUNT
                                                   : judge_record(to, part, record, append_ms);
    raise_by_event(to, run, saying, append_ms);
    if (reason != REASON_COUNT) {
        run->sums.rejected++;
        run->is_rejected[saying->seq] = true;
        reject(to, part, record, reason);
    } else if (is_counted) {
        run->sums.duplicates++;
        tally(to, saying, (struct ledger_tally){.duplicates = 1}, append_ms);
    } else {
        count(to, part, record, append_ms);
    }
}

static void expect_log(struct expectation *to, int part)
{
    const struct log *log = &to->world->logs[part];
    const struct db_position *at = &to->world->db.positions[part];
    int64_t append_high_ms = 0;
    for (int i = 0; i < log->count; i++) {
        const struct record *record = &log->records[i];
        bool is_read = at->is_there && record->offset >= at->base && record->offset < at->next;
        if (!is_read || record->is_lost)
            continue;
        int64_t append_ms = record->append_ms > append_high_ms - 3600000 ? record->append_ms
                                                                         : append_high_ms - 3600000;
        expect_record(to, part, record, append_ms);
        if (record->append_ms > append_high_ms)
            append_high_ms = record->append_ms;
    }
}

static bool is_written_off(const struct database *db, int run, int64_t seq)
{
    for (int i = 0; i < db->write_off_count; i++)
        if (db->write_offs[i].run == run && db->write_offs[i].first <= seq &&
            db->write_offs[i].last >= seq)
            return true;
    return false;
}

/* A run's row and its gaps: exactly the numbers up to high that are not counted. */
static void check_run(const struct database *db, const struct known_run *run)
{
    int index = db_find_run(db, run->topic, run->source, run->run);
    if (index < 0)
        fail_msg("no run %s:%" PRId64, run->source, run->run);
    const struct db_run *row = &db->runs[index];
    assert_int_equal(row->high, run->high);
    assert_int_equal(row->sums.counted, run->sums.counted);
    assert_int_equal(row->sums.duplicates, run->sums.duplicates);
    assert_int_equal(row->sums.late, run->sums.late);
    assert_int_equal(row->sums.clock_corrected, run->sums.clock_corrected);
    assert_int_equal(row->sums.rejected, run->sums.rejected);
    assert_int_equal(row->heartbeat_n, run->heartbeat_n);
    assert_int_equal(row->opened_ms, run->opened_ms);
    assert_int_equal(row->day.end_ms, run->day.end_ms);
    assert_int_equal(row->day.first, run->day.first);
    int64_t missing = 0;
    int gaps = 0;
    for (int i = 0; i < db->gap_count; i++) {
        if (db->gaps[i].run != index)
            continue;
        for (int64_t seq = db->gaps[i].first; seq <= db->gaps[i].last; seq++) {
            bool is_given_up = is_written_off(db, index, seq);
            assert_false(run->is_counted[seq]);
            if (db->gaps[i].cause == GAP_WRITTEN_OFF)
                assert_true(is_given_up);
            else /* one given up is rejected where a bad copy came after that */
                assert_true(run->is_rejected[seq] == (db->gaps[i].cause == GAP_REJECTED) &&
                            (run->is_rejected[seq] || !is_given_up));
        }
        missing += db->gaps[i].last - db->gaps[i].first + 1;
        gaps++;
    }
    assert_int_equal(row->gaps, gaps);
    assert_int_equal(row->sums.counted + missing, row->high);
}

/* What was passed over as a hole held nothing, or something that is lost. */
static void check_holes(const struct world *world)
{
    for (int i = 0; i < world->db.hole_count; i++) {
        const struct flush_hole *hole = &world->db.holes[i];
        const struct log *log = &world->logs[part_index(hole->topic, hole->partition)];
        for (int r = 0; r < log->count; r++)
            if (log->records[r].offset >= hole->first_offset &&
                log->records[r].offset <= hole->last_offset && !log->records[r].is_lost)
                fail_msg("offset %" PRId64 " was passed over as a hole", log->records[r].offset);
    }
}

void world_check(const struct world *world)
{
    static struct expectation to;
    to.world = world;
    to.run_count = to.reversal_count = to.rejected_count = to.corrected_count = 0;
    table_reset(&to.rollups);
    table_reset(&to.hours);
    table_reset(&to.days);
    table_reset(&to.tallies);
    assert_ok(region_tree_init(&to.regions, &err));
    for (int i = 0; i < world->region_count; i++)
        kinds_add_region(&to.regions, kinds_regions[i]);
    check_holes(world);
    for (int part = 0; part < WORLD_PARTS; part++)
        expect_log(&to, part);
    for (int i = 0; i < to.run_count; i++)
        check_run(&world->db, &to.runs[i]);
    assert_int_equal(world->db.run_count, to.run_count);
    assert_int_equal(world->db.rejected_count, to.rejected_count);
    assert_int_equal(world->db.reversal_count, to.reversal_count);
    assert_same_tables(&world->db.rollups, &to.rollups);
    assert_int_equal(world->db.corrected_count, to.corrected_count);
    assert_same_tables(&world->db.hours, &to.hours);
    assert_same_tables(&world->db.days, &to.days);
    assert_same_tables(&world->db.tallies, &to.tallies);
    region_tree_release(&to.regions);
    table_release(&to.rollups);
    table_release(&to.hours);
    table_release(&to.days);
    table_release(&to.tallies);
}
