/* SPDX-License-Identifier: Apache-2.0 */
/* fake_check - the rules of the ledger and of time, applied naively to the logs of a world. */
#include "fake_expect.h"

static void sign_of_life(struct expectation *to, const struct saying *saying, int64_t instant_ms)
{
    char key[TABLE_KEY_MAX];
    int64_t hour_ms = instant_ms - instant_ms % 3600000;
    snprintf(key, sizeof key, "%d|%s|%" PRId64, saying->topic, saying->source, hour_ms);
    table_row(&to->hours, key, NULL)->values[0] |= 1 << (instant_ms - hour_ms) / 300000;
}

static void reject(struct expectation *to, const struct occasion *now, enum reason reason)
{
    const struct record *record = now->record;
    const struct flush_rejected *row = find_rejected(to, now->part, record->offset);
    enum reason noted = noted_reason(to, now);
    to->rejected_count++;
    if (noted != reason)
        fail_msg("part %d offset %" PRId64 ": rejected as %s, not as %s", now->part, record->offset,
                 reason_name(noted), reason_name(reason));
    if (row == NULL)
        return;
    assert_int_equal(row->length, record->value.size);
    if (row->has_envelope)
        assert_string_equal(row->source, record->saying.source);
}

/* The instant whose bucket a reversal counts in: that of its original, where that is known to have
 * counted at another time than it says. Which of the two came first, only the database knows,
 * unless both lie in one partition. */
static int64_t undone_ms_of(struct expectation *to, const struct occasion *now)
{
    const struct saying *saying = &now->record->saying;
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
                     part_index(saying->topic, db->runs[known].partition) == now->part;
    bool was_unknown = mark != NULL && noted_reason(to, now) == REASON_INVALID_FIELD;
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
static enum reason judge_record(struct expectation *to, const struct occasion *now)
{
    const struct saying *saying = &now->record->saying;
    if (!has_region(to, now))
        return REASON_UNKNOWN_REGION;
    if (saying->sign < 0) {
        int64_t undone_ms = undone_ms_of(to, now);
        if (undone_ms < INT64_C(1577836800000) - 86400000 || undone_ms > now->append_ms + 86400000)
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

static void count(struct expectation *to, const struct occasion *now)
{
    const struct saying *saying = &now->record->saying;
    int64_t append_ms = now->append_ms;
    struct known_run *run = find_known(to, saying, append_ms);
    const struct catalog_kind *kind = &to->world->catalog->kinds[saying->topic];
    bool is_corrected = false;
    struct recount_event event = {saying_fields(saying), saying->occurred_ms};
    event.counted_ms = saying->sign < 0 ? undone_ms_of(to, now)
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

static void expect_heartbeat(struct expectation *to, const struct saying *saying, int64_t append_ms)
{
    struct known_run *run = find_known(to, saying, append_ms);
    int64_t instant_ms = is_clock_wrong(saying, append_ms) ? append_ms : saying->occurred_ms;
    if (saying->seq >= run->heartbeat_n || saying->acked_seq > run->high) {
        raise_high(to, run, saying->acked_seq, instant_ms);
        run->heartbeat_n = saying->seq;
    }
    if (!saying->is_closed)
        sign_of_life(to, saying, instant_ms);
}

/* Reasons that leave the ledger alone. REASON_COUNT: none of these. */
static enum reason judge_envelope(const struct expectation *to, const struct occasion *now)
{
    const struct saying *saying = &now->record->saying;
    if (now->record->flaw == FLAW_BYTES)
        return REASON_UNDECODABLE;
    if (now->record->flaw == FLAW_KEY)
        return REASON_KEY_MISMATCH;
    if (!accepts_simulated(to, now) && strncmp(saying->source, "SIM-", 4) == 0)
        return REASON_SIMULATED;
    return home_of(to, saying, now->part) == now->part ? REASON_COUNT : REASON_MOVED_PARTITION;
}

static enum settled expect_event(struct expectation *to, const struct occasion *now)
{
    const struct saying *saying = &now->record->saying;
    struct known_run *run = find_known(to, saying, now->append_ms);
    assert_in_range(saying->seq, 1, CHECK_SEQ_MAX);
    bool is_counted = run->is_counted[saying->seq];
    bool was_tallied = now->again != NULL && now->again->is_tallied;
    enum reason reason = now->record->flaw == FLAW_SUMS ? REASON_SUMS_MISMATCH
                         : is_counted                   ? REASON_COUNT
                                                        : judge_record(to, now);
    raise_by_event(to, run, saying, now->append_ms);
    run->sums.rejected += (reason != REASON_COUNT) - was_tallied;
    if (reason != REASON_COUNT) {
        run->is_rejected[saying->seq] = true;
        reject(to, now, reason);
        return SETTLED_ANEW;
    }
    if (!is_counted) {
        count(to, now);
        return SETTLED_COUNTED;
    }
    run->sums.duplicates++;
    tally(to, saying, (struct ledger_tally){.duplicates = 1}, now->append_ms);
    return SETTLED_DUPLICATE;
}

static enum settled expect_record(struct expectation *to, const struct occasion *now)
{
    enum reason reason = judge_envelope(to, now);
    if (reason != REASON_COUNT) {
        reject(to, now, reason);
        return SETTLED_ANEW;
    }
    if (!now->record->saying.is_heartbeat)
        return expect_event(to, now);
    if (now->record->saying.acked_seq > LEDGER_JUMP_MAX + CHECK_SEQ_MAX) {
        reject(to, now, REASON_SEQ_JUMP);
        return SETTLED_ANEW;
    }
    expect_heartbeat(to, &now->record->saying, now->append_ms);
    return SETTLED_COUNTED;
}

/* A record that lies more than an hour before one in front of it was appended an hour before. */
static int64_t append_ms_of(const struct record *record, int64_t append_high_ms)
{
    int64_t floor_ms = append_high_ms - 3600000;
    return record->append_ms > floor_ms ? record->append_ms : floor_ms;
}

/* A run that is known begins with the first of its events that a commit takes again, if that was
 * appended before. */
static void expect_opening(struct expectation *to, const struct occasion *now)
{
    struct known_run *run = find_known(to, &now->record->saying, now->append_ms);
    if (run->redriven != now->again->commit && now->append_ms < run->opened_ms)
        run->opened_ms = now->append_ms;
    run->redriven = now->again->commit;
}

/* A rejected record that is taken again, with the time it was rejected at. */
static void expect_again(struct expectation *to, const struct db_settled *settled)
{
    const struct log *log = &to->world->logs[settled->part];
    int64_t append_high_ms = 0;
    int i = 0;
    for (; log->records[i].offset < settled->offset; i++)
        if (log->records[i].append_ms > append_high_ms)
            append_high_ms = log->records[i].append_ms;
    struct occasion now = {settled->part, &log->records[i],
                           append_ms_of(&log->records[i], append_high_ms), settled};
    to->rejected_count--;
    enum settled outcome = expect_record(to, &now);
    assert_int_equal(outcome, settled->outcome);
    bool is_trusted = judge_envelope(to, &now) == REASON_COUNT; /* else the run is left alone */
    if (is_trusted && (outcome != SETTLED_ANEW || !settled->is_tallied))
        expect_opening(to, &now);
}

/* What was settled before offset was read; from index at on. */
static int expect_settled(struct expectation *to, int part, int at, int64_t offset)
{
    const struct database *db = &to->world->db;
    for (; at < db->settled_count; at++) {
        if (db->settled[at].part == part && db->settled[at].next > offset)
            break;
        if (db->settled[at].part == part)
            expect_again(to, &db->settled[at]);
    }
    return at;
}

static void expect_log(struct expectation *to, int part)
{
    const struct log *log = &to->world->logs[part];
    const struct db_position *at = &to->world->db.positions[part];
    int64_t append_high_ms = 0;
    int settled = 0;
    for (int i = 0; i < log->count; i++) {
        const struct record *record = &log->records[i];
        settled = expect_settled(to, part, settled, record->offset);
        bool is_read = at->is_there && record->offset >= at->base && record->offset < at->next;
        if (!is_read || record->is_lost)
            continue;
        struct occasion now = {part, record, append_ms_of(record, append_high_ms), NULL};
        (void)expect_record(to, &now);
        if (record->append_ms > append_high_ms)
            append_high_ms = record->append_ms;
    }
    (void)expect_settled(to, part, settled, INT64_MAX);
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
