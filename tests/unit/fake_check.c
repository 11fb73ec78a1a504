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
    int64_t heartbeat_n;
    bool is_counted[CHECK_SEQ_MAX + 1];
    bool is_rejected[CHECK_SEQ_MAX + 1];
};

struct expectation {
    const struct world *world;
    struct region_tree regions;
    struct table rollups;
    struct table hours;
    struct known_run runs[WORLD_RUNS_MAX];
    int run_count;
    struct saying reversals[WORLD_REVERSALS_MAX];
    int reversal_count;
    int rejected_count;
};

static struct known_run *find_known(struct expectation *to, const struct saying *saying)
{
    for (int i = 0; i < to->run_count; i++)
        if (to->runs[i].topic == saying->topic && to->runs[i].run == saying->run &&
            strcmp(to->runs[i].source, saying->source) == 0)
            return &to->runs[i];
    assert_true(to->run_count < WORLD_RUNS_MAX);
    struct known_run *fresh = &to->runs[to->run_count++];
    memset(fresh, 0, sizeof *fresh);
    fresh->heartbeat_n = -1;
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

/* Which of several reversals came first, across partitions, only the database knows: the others
 * are refused, and that there is one row for each one counted is checked at the end. */
static bool was_reversed(const struct expectation *to, const struct saying *saying)
{
    const struct database *db = &to->world->db;
    for (int i = 0; i < db->reversal_count; i++) {
        const struct reversal *other = &db->reversals[i];
        if (other->topic == saying->topic && other->reversed_run == saying->reverses_run &&
            other->reversed_seq == saying->reverses_seq &&
            strcmp(other->source, saying->source) == 0)
            return other->run != saying->run || other->seq != saying->seq;
    }
    return false;
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

static void reject(struct expectation *to, int part, const struct record *record,
                   enum reason reason)
{
    const struct database *db = &to->world->db;
    to->rejected_count++;
    for (int i = 0; i < db->rejected_count; i++) {
        const struct flush_rejected *row = &db->rejected[i];
        if (part_index(row->topic, row->partition) == part && row->offset == record->offset) {
            assert_string_equal(reason_name(row->reason), reason_name(reason));
            assert_int_equal(row->length, record->value.size);
            if (row->has_envelope)
                assert_string_equal(row->source, record->saying.source);
            return;
        }
    }
    fail_msg("part %d offset %" PRId64 ": not rejected as %s", part, record->offset,
             reason_name(reason));
}

/* Why a number that is not counted yet does not count; REASON_COUNT: it does. */
static enum reason judge_record(const struct expectation *to, int part, const struct record *record,
                                int64_t append_ms)
{
    const struct saying *saying = &record->saying;
    int64_t undone_ms =
        saying->counted_ms == SAYING_NEVER ? saying->occurred_ms : saying->counted_ms;
    if (!has_region(to, part, record))
        return REASON_UNKNOWN_REGION;
    if (saying->sign < 0 &&
        (undone_ms < INT64_C(1577836800000) - 86400000 || undone_ms > append_ms + 86400000))
        return REASON_INVALID_FIELD;
    if (saying->topic == TOPIC_GATE && saying->persons == WORLD_POISON)
        return REASON_STORE_REFUSED;
    if (saying->sign < 0 && was_reversed(to, saying))
        return REASON_ALREADY_REVERSED;
    return REASON_COUNT;
}

static void count(struct expectation *to, const struct saying *saying, int64_t append_ms,
                  struct known_run *run)
{
    const struct catalog_kind *kind = &to->world->catalog->kinds[saying->topic];
    struct recount_event event = {saying_fields(saying), saying->occurred_ms};
    bool is_wrong =
        saying->occurred_ms > append_ms + 600000 || saying->occurred_ms < INT64_C(1577836800000);
    if (saying->sign > 0 && is_wrong) {
        event.counted_ms = append_ms;
        run->sums.clock_corrected++;
    } else if (saying->sign < 0 && saying->counted_ms != SAYING_NEVER) {
        event.counted_ms = saying->counted_ms;
    }
    run->is_counted[saying->seq] = true;
    run->sums.counted++;
    run->sums.late += append_ms - event.counted_ms > 3600000;
    if (saying->sign < 0)
        to->reversals[to->reversal_count++] = *saying;
    else
        sign_of_life(to, saying, event.counted_ms);
    for (int i = 0; i < kind->rollups.count; i++)
        recount_add(&to->rollups, kind_current(&kind->kind), &kind->rollups.rollups[i],
                    &to->regions, &event);
}

static void expect_heartbeat(struct expectation *to, const struct saying *saying, int64_t append_ms)
{
    struct known_run *run = find_known(to, saying);
    if (saying->seq >= run->heartbeat_n && saying->acked_seq > run->high)
        run->high = saying->acked_seq;
    if (saying->seq >= run->heartbeat_n)
        run->heartbeat_n = saying->seq;
    bool is_believed =
        saying->occurred_ms <= append_ms + 600000 && saying->occurred_ms >= INT64_C(1577836800000);
    sign_of_life(to, saying, is_believed ? saying->occurred_ms : append_ms);
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
        expect_heartbeat(to, saying, append_ms);
        return;
    }
    struct known_run *run = find_known(to, saying);
    assert_in_range(saying->seq, 1, CHECK_SEQ_MAX);
    bool is_counted = run->is_counted[saying->seq];
    enum reason reason = record->flaw == FLAW_SUMS ? REASON_SUMS_MISMATCH
                         : is_counted              ? REASON_COUNT
                                                   : judge_record(to, part, record, append_ms);
    if (saying->seq > run->high)
        run->high = saying->seq;
    if (reason != REASON_COUNT) {
        run->sums.rejected++;
        run->is_rejected[saying->seq] = true;
        reject(to, part, record, reason);
    } else if (is_counted) {
        run->sums.duplicates++;
    } else {
        count(to, saying, append_ms, run);
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
    int64_t missing = 0;
    int gaps = 0;
    for (int i = 0; i < db->gap_count; i++) {
        if (db->gaps[i].run != index)
            continue;
        for (int64_t seq = db->gaps[i].first; seq <= db->gaps[i].last; seq++)
            assert_true(!run->is_counted[seq] &&
                        run->is_rejected[seq] == (db->gaps[i].cause == GAP_REJECTED));
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
    to.run_count = to.reversal_count = to.rejected_count = 0;
    table_reset(&to.rollups);
    table_reset(&to.hours);
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
    assert_same_tables(&world->db.hours, &to.hours);
    region_tree_release(&to.regions);
    table_release(&to.rollups);
    table_release(&to.hours);
}
