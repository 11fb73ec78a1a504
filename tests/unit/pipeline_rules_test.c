/* SPDX-License-Identifier: Apache-2.0 */
/* What counts, when and where, and what does not, seen through a whole worker. */
#include "fake_worker.h"

static void everything_good_is_counted_once(void **state)
{
    (void)state;
    append(1, 40);
    append(1, 5);   /* sent again */
    append(45, 50); /* out of order, with a gap */
    append(43, 43);
    for (int64_t seq = 1; seq <= 30; seq++) {
        struct saying bell = saying_of("BELL-1", 5, seq);
        bell.topic = TOPIC_BELL;
        world_append(&world, (int32_t)(seq / 16), &bell, FLAW_NONE);
        bell.run = 6;
    }
    world.logs[part_index(TOPIC_BELL, 1)].count = 0; /* a run lives in one partition */
    world.logs[part_index(TOPIC_BELL, 1)].end = 0;
    start();
    run_and_check();
    assert_int_equal(the_run()->sums.counted, 47);
    assert_int_equal(the_run()->sums.duplicates, 5);
    assert_int_equal(stats()->claims, 1);
    assert_int_equal(stats()->drops, 0);
    assert_true(world.db.commits > 1);
}

static void what_does_not_count_is_rejected_with_its_reason(void **state)
{
    (void)state;
    struct saying saying = saying_of("CP-1", RUN, 1);
    world_append(&world, 0, &saying, FLAW_BYTES);
    world_append(&world, 0, &saying, FLAW_KEY);
    world_append(&world, 0, &saying, FLAW_SUMS);
    saying.source = "SIM-1";
    world_append(&world, 0, &saying, FLAW_NONE);
    append(2, 3);
    world_append(&world, 0, &world.logs[GATE_0].records[2].saying, FLAW_NONE); /* mended */
    saying = saying_of("CP-1", RUN, LEDGER_JUMP_MAX + 9);
    start();
    run_and_check();
    assert_string_equal(reasons(), "undecodable key_mismatch sums_mismatch simulated");
    assert_int_equal(the_run()->sums.counted, 3);
    world_append(&world, 0, &saying, FLAW_NONE);
    world_run(&world);
    assert_int_equal(world.db.rejected[4].reason, REASON_SEQ_JUMP);
    assert_int_equal(the_run()->high, 3);
}

static void a_run_stays_in_its_partition(void **state)
{
    (void)state;
    append(1, 3);
    start();
    world_run(&world);
    struct saying saying = saying_of("CP-1", RUN, 4);
    world_append(&world, 1, &saying, FLAW_NONE);
    crash();
    world_run(&world);
    assert_string_equal(reasons(), "moved_partition");
    assert_int_equal(the_run()->high, 3);
}

/* Counted anew, and the other partition is read first. */
static void a_rebuild_keeps_a_run_where_it_lives(void **state)
{
    (void)state;
    append(1, 3);
    start();
    world_run(&world);
    struct saying saying = saying_of("CP-1", RUN, 4);
    world_append(&world, 1, &saying, FLAW_NONE);
    run_and_check();
    assert_int_equal(world.homes.count, 1);
    assert_int_equal(world.homes.rows[0].partition, 0);
    worker_close(&world, 0);
    database_release_tables(&world.db);
    database_reset(&world.db, &world.homes);
    world.db.is_rebuild = true;
    worker_open(&world, 0);
    worker_assign(&world, 0, 1u << (GATE_0 + 1));
    for (int i = 0; i < 1000 && world.db.rejected_count == 0; i++)
        (void)worker_step(&world, 0);
    assert_string_equal(reasons(), "moved_partition");
    assert_int_equal(world.db.run_count, 0);
    crash();
    run_and_check();
    assert_int_equal(the_run()->partition, 0);
    assert_int_equal(the_run()->sums.counted, 3);
}

static void a_rebuild_notes_no_home(void **state)
{
    (void)state;
    world.db.is_rebuild = true;
    append(1, 3);
    start();
    world_run(&world);
    struct saying saying = saying_of("CP-1", RUN, 4);
    world_append(&world, 1, &saying, FLAW_NONE);
    run_and_check();
    assert_string_equal(reasons(), "moved_partition");
    assert_int_equal(world.homes.count, 0);
}

static void a_new_schema_begins_at_what_kafka_still_has(void **state)
{
    (void)state;
    append(1, 30);
    world_trim(&world, GATE_0, 12);
    heartbeat(1, 30);
    start();
    run_and_check();
    assert_int_equal(world.db.positions[GATE_0].base, 12);
    assert_int_equal(world.db.gaps[0].cause, GAP_BEFORE_BASE);
    assert_int_equal(the_run()->sums.counted, 18);
}

static void a_heartbeat_first_seen_shows_what_lies_before_the_base(void **state)
{
    (void)state;
    append(1, 30);
    heartbeat(1, 30);
    world_trim(&world, GATE_0, 30);
    append(31, 33);
    start();
    run_and_check();
    assert_int_equal(world.db.gap_count, 1);
    assert_int_equal(world.db.gaps[0].last, 30);
    assert_int_equal(world.db.gaps[0].cause, GAP_BEFORE_BASE);
}

static void a_region_that_was_just_added_is_known(void **state)
{
    (void)state;
    world.region_count = KINDS_REGIONS - 1;
    append(1, 3);
    start();
    run_and_check();
    struct saying saying = saying_of("CP-1", RUN, 4);
    saying.region = kinds_regions[KINDS_REGIONS - 1][0];
    world_append(&world, 0, &saying, FLAW_NONE);
    run_and_check();
    assert_string_equal(reasons(), "unknown_region");
    world.region_count = KINDS_REGIONS; /* fx-setup fences every worker as it adds a region */
    for (int i = 0; i < WORLD_PARTS; i++)
        world.db.positions[i].generation++;
    saying.seq = 5;
    world_append(&world, 0, &saying, FLAW_NONE);
    world_run(&world);
    assert_string_equal(reasons(), "unknown_region");
    assert_int_equal(the_run()->sums.counted, 4);
    assert_int_equal(stats()->claims, 2);
}

static void an_event_is_reversed_once(void **state)
{
    (void)state;
    append(1, 5);
    struct saying reversal = world.logs[GATE_0].records[2].saying;
    reversal.sign = -1;
    reversal.reverses_run = RUN;
    reversal.reverses_seq = 3;
    reversal.seq = 6;
    world_append(&world, 0, &reversal, FLAW_NONE);
    world_append(&world, 0, &reversal, FLAW_NONE); /* a copy */
    reversal.seq = 7;
    world_append(&world, 0, &reversal, FLAW_NONE);
    start();
    run_and_check();
    assert_string_equal(reasons(), "already_reversed");
    assert_int_equal(the_run()->sums.duplicates, 1);
    append(8, 20);
    run_and_check();
    assert_int_equal(stats()->drops, 0);
    crash(); /* memory knows nothing of it now; the flush finds out */
    reversal.seq = 21;
    world_append(&world, 0, &reversal, FLAW_NONE);
    append(22, 30);
    run_and_check();
    assert_string_equal(reasons(), "already_reversed already_reversed");
    assert_int_equal(stats()->drops, 1);
}

/* An event whose clock is wrong counts when it was appended, and so does its reversal, a copy with
 * the same wrong clock: whatever the order, and whatever memory knows. */
static void a_reversal_counts_where_its_original_did(void **state)
{
    (void)state;
    static const int64_t ahead_ms[] = {900000, 5 * DAY_MS}; /* believed by the time of the reversal,
                                                               and never to be believed */
    start();
    for (int i = 0; i < 2; i++) {
        int64_t seq = 1 + 4 * i;
        struct saying original = saying_of("CP-1", RUN, seq);
        original.occurred_ms = world.now_ms + ahead_ms[i];
        world_append(&world, 0, &original, FLAW_NONE);
        struct saying reversal = original;
        reversal.sign = -1;
        reversal.reverses_run = RUN;
        reversal.reverses_seq = seq;
        reversal.seq = seq + 1;
        world_append(&world, 0, &reversal, FLAW_NONE); /* in one flush with it */
        run_and_check();
        original.seq = seq + 2;
        world_append(&world, 0, &original, FLAW_NONE);
        run_and_check();
        crash(); /* memory knows nothing of it now; the flush finds out */
        reversal.reverses_seq = original.seq;
        reversal.seq = seq + 3;
        world.now_ms += 1200000;
        world_append(&world, 0, &reversal, FLAW_NONE);
        run_and_check();
        assert_string_equal(reasons(), "");
        assert_int_equal(the_run()->sums.counted, 4 * (i + 1));
    }
    assert_int_equal(world.db.corrected_count, 4);
    for (int i = 0; i < world.db.rollups.count; i++)
        assert_int_equal(world.db.rollups.rows[i].values[0], 0); /* groups: all are undone */
}

/* A heartbeat that is refused dates no number: the days of the run stay whole. */
static void a_refused_heartbeat_closes_no_day(void **state)
{
    (void)state;
    append(1, 3);
    start();
    run_and_check();
    for (int day = 1; day <= 2; day++) {
        world.now_ms += DAY_MS;
        heartbeat(day, 2 * LEDGER_JUMP_MAX);
        run_and_check();
        crash();
    }
    world.now_ms += DAY_MS;
    struct saying later = saying_of("CP-1", RUN, 4);
    later.occurred_ms = world.now_ms;
    world_append(&world, 0, &later, FLAW_NONE);
    run_and_check();
    assert_string_equal(reasons(), "seq_jump seq_jump");
    assert_int_equal(the_run()->day.first, 4);
    assert_int_equal(world.db.days.count, 1);
}

/* A reversal that came first says where it counted, and its original counts there whatever its
 * clock. */
static void an_original_counts_where_its_reversal_did(void **state)
{
    (void)state;
    struct saying original = saying_of("CP-1", RUN, 1);
    original.occurred_ms = world.now_ms + 20 * DAY_MS;
    struct saying reversal = original;
    reversal.sign = -1;
    reversal.reverses_run = RUN;
    reversal.reverses_seq = 1;
    reversal.seq = 2;
    reversal.counted_ms = world.now_ms;
    world_append(&world, 0, &reversal, FLAW_NONE);
    start();
    run_and_check();
    crash();
    world_append(&world, 0, &original, FLAW_NONE);
    run_and_check();
    assert_string_equal(reasons(), "");
    assert_int_equal(world.db.corrected_count, 0);
    for (int i = 0; i < world.db.rollups.count; i++)
        assert_int_equal(world.db.rollups.rows[i].values[0], 0);
}

static void a_heartbeat_shows_the_loss_of_the_last_events(void **state)
{
    (void)state;
    append(1, 3);
    heartbeat(1, 5);
    heartbeat(2, 5);
    start();
    run_and_check();
    assert_int_equal(the_run()->high, 5);
    assert_int_equal(the_run()->gaps, 1);
    append(5, 6);
    heartbeat(1, 4); /* an old one */
    run_and_check();
    assert_int_equal(the_run()->high, 6);
    assert_int_equal(the_run()->acked_seq, 5);
    heartbeat(1, 9); /* none that is old could tell of so many: the count was lost */
    run_and_check();
    assert_int_equal(the_run()->high, 9);
    assert_int_equal(the_run()->acked_seq, 9);
    assert_int_equal(the_run()->heartbeat_n, 1);
}

static void far_clocks_do_not_hurt(void **state)
{
    (void)state;
    static const int64_t clocks[] = {INT64_MIN, INT64_MAX, 0, DAY_2020_MS - 1, DAY_2020_MS};
    for (int i = 0; i < 5; i++) {
        struct saying saying = saying_of("CP-1", RUN, i + 1);
        saying.occurred_ms = clocks[i];
        world_append(&world, 0, &saying, FLAW_NONE);
        saying.is_heartbeat = true;
        world_append(&world, 0, &saying, FLAW_NONE);
    }
    start();
    run_and_check();
    assert_int_equal(the_run()->sums.clock_corrected, 4);
}

static void time_rules(void **state)
{
    (void)state;
    struct saying saying = saying_of("CP-1", RUN, 1);
    saying.occurred_ms = world.now_ms + 600000;
    world_append(&world, 0, &saying, FLAW_NONE);
    saying.seq = 2;
    saying.occurred_ms++;
    world_append(&world, 0, &saying, FLAW_NONE); /* corrected */
    saying.seq = 3;
    saying.occurred_ms = world.now_ms - 3600000;
    world_append(&world, 0, &saying, FLAW_NONE);
    saying.seq = 4;
    saying.occurred_ms--;
    world_append(&world, 0, &saying, FLAW_NONE); /* late */
    saying.seq = 5;
    start();
    run_and_check();
    crash();
    saying.occurred_ms = world.now_ms;
    world_append(&world, 0, &saying, FLAW_NONE)->append_ms -= 7200000; /* the broker's clock fell */
    saying.seq = 6;
    saying.sign = -1;
    saying.reverses_run = RUN;
    saying.reverses_seq = 2;
    saying.counted_ms = world.now_ms;
    world_append(&world, 0, &saying, FLAW_NONE);
    run_and_check();
    assert_int_equal(the_run()->sums.clock_corrected, 2); /* 2 and 5 */
    assert_int_equal(the_run()->sums.late, 1);
    saying.seq = 7;
    saying.reverses_seq = 3;
    saying.counted_ms = DAY_2020_MS - DAY_MS - 1;
    world_append(&world, 0, &saying, FLAW_NONE);
    world_run(&world);
    assert_string_equal(reasons(), "invalid_field");
}

static void a_small_table_is_flushed_when_it_is_full(void **state)
{
    (void)state;
    world.bytes_max = 40000;
    world.burst = 500;
    for (int64_t seq = 1; seq <= 600; seq++) {
        struct saying saying = saying_of("CP-1", RUN, seq);
        saying.occurred_ms -= seq * 3600000;
        world_append(&world, 0, &saying, FLAW_NONE);
    }
    start();
    run_and_check();
    assert_true(stats()->flushes >= 5);
    assert_int_equal(stats()->drops, 0);
}

static void until_end_is_done_when_the_database_is_there(void **state)
{
    (void)state;
    world.until_end = true;
    append(1, 50);
    start();
    assert_int_equal(worker_step(&world, 0), FX_OK);
    append(51, 60); /* after the start: not waited for */
    for (int i = 0; !pipeline_is_done(world.workers[0].pipeline); i++) {
        assert_true(i < 1000);
        assert_int_equal(worker_step(&world, 0), FX_OK);
    }
    assert_true(world.db.positions[GATE_0].next >= 50);
    world_check(&world);
}

static void append_now(int64_t seq)
{
    struct saying saying = saying_of("CP-1", RUN, seq);
    world_append(&world, 0, &saying, FLAW_NONE);
}

/* How long the database is left alone between two flushes, in durations of one; events are age_ms
 * old when they are taken. */
static int pause_of(int64_t age_ms)
{
    world_open(&world, &catalog, 5);
    world.polls = 5;
    world.burst = 1;
    for (int64_t seq = 1; seq <= 400; seq++)
        append_now(seq);
    world.now_ms += age_ms;
    start();
    while (stats()->flushes < 1)
        assert_int_equal(worker_step(&world, 0), FX_OK);
    int64_t committed_ms = world.now_ms;
    int64_t took_ms = stats()->flush_ms_last;
    while (stats()->flushes < 2)
        assert_int_equal(worker_step(&world, 0), FX_OK);
    int64_t pause_ms = world.now_ms - committed_ms - stats()->flush_ms_last;
    world_close(&world);
    assert_in_range(took_ms, 80, 110); /* nine of them are less than a second */
    return (int)((pause_ms + took_ms / 2) / took_ms);
}

static void a_backlog_is_flushed_seldom(void **state)
{
    (void)state;
    assert_int_equal(pause_of(0), 1);
    assert_int_equal(pause_of(5000), 1);
    assert_int_equal(pause_of(60000), 9);
}

static void the_last_wanted_events_do_not_wait_for_the_pace(void **state)
{
    (void)state;
    const int64_t flush_ms = 300; /* and so is the pace */
    world.until_end = true;
    world.burst = 40;
    append(1, 50);
    start();
    while (stats()->messages == 0)
        assert_int_equal(worker_step(&world, 0), FX_OK);
    world.now_ms += flush_ms;
    int64_t began_ms = world.now_ms;
    while (!pipeline_is_done(world.workers[0].pipeline))
        assert_int_equal(worker_step(&world, 0), FX_OK);
    assert_int_equal(stats()->committed, 50);
    assert_in_range(world.now_ms - began_ms, 0, flush_ms / 2);
}

static void until_end_ends_while_events_keep_coming(void **state)
{
    (void)state;
    world.until_end = true;
    append(1, 50);
    start();
    for (int64_t seq = 51; !pipeline_is_done(world.workers[0].pipeline); seq++) {
        assert_true(seq < 1000);
        append_now(seq);
        assert_int_equal(worker_step(&world, 0), FX_OK);
    }
    assert_true(world.db.positions[GATE_0].next >= 50);
}

static void a_drain_commits_what_was_taken(void **state)
{
    (void)state;
    append(1, 50);
    start();
    for (int i = 0; i < 3; i++)
        assert_int_equal(worker_step(&world, 0), FX_OK);
    pipeline_drain(world.workers[0].pipeline);
    int64_t taken = stats()->messages;
    for (int i = 0; !pipeline_is_done(world.workers[0].pipeline); i++) {
        assert_true(i < 1000);
        assert_int_equal(worker_step(&world, 0), FX_OK);
    }
    assert_int_equal(world.db.positions[GATE_0].next, taken);
    world_check(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_good_is_counted_once),
        TEST(what_does_not_count_is_rejected_with_its_reason),
        TEST(a_run_stays_in_its_partition),
        TEST(a_rebuild_keeps_a_run_where_it_lives),
        TEST(a_rebuild_notes_no_home),
        TEST(a_new_schema_begins_at_what_kafka_still_has),
        TEST(a_heartbeat_first_seen_shows_what_lies_before_the_base),
        TEST(a_region_that_was_just_added_is_known),
        TEST(an_event_is_reversed_once),
        TEST(a_reversal_counts_where_its_original_did),
        TEST(a_refused_heartbeat_closes_no_day),
        TEST(an_original_counts_where_its_reversal_did),
        TEST(a_heartbeat_shows_the_loss_of_the_last_events),
        TEST(far_clocks_do_not_hurt),
        TEST(time_rules),
        TEST(a_small_table_is_flushed_when_it_is_full),
        TEST(until_end_is_done_when_the_database_is_there),
        cmocka_unit_test(a_backlog_is_flushed_seldom),
        TEST(the_last_wanted_events_do_not_wait_for_the_pace),
        TEST(until_end_ends_while_events_keep_coming),
        TEST(a_drain_commits_what_was_taken),
    };
    return cmocka_run_group_tests(tests, load_catalog, release_catalog);
}
