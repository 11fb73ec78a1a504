/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's protocol, one fault at a time; pipeline_random_test.c mixes them. */
#include "fake_worker.h"

static void a_crash_after_any_step_loses_and_doubles_nothing(void **state)
{
    (void)state;
    for (int steps = 0; steps < 25; steps++) {
        world_open(&world, &catalog, (uint64_t)steps);
        append(1, 60);
        append(20, 25);
        start();
        for (int i = 0; i < steps; i++)
            assert_int_equal(worker_step(&world, 0), FX_OK);
        crash();
        for (int i = 0; i < steps; i++)
            assert_int_equal(worker_step(&world, 0), FX_OK);
        store_settle_late(&world);
        crash();
        run_and_check();
        world_close(&world);
    }
}

static void a_second_claim_fences_the_first_worker(void **state)
{
    (void)state;
    append(1, 50);
    start();
    for (int i = 0; i < 5; i++)
        assert_int_equal(worker_step(&world, 0), FX_OK);
    worker_open(&world, 1); /* the group believes that worker 0 is dead */
    worker_assign(&world, 1, WORLD_ALL_PARTS);
    assert_int_equal(worker_step(&world, 1), FX_OK);
    while (stats()->drops == 0)
        assert_int_equal(worker_step(&world, 0), FX_OK);
    worker_change(&world, 0, INTAKE_LOST);
    run_and_check();
    assert_int_equal(pipeline_stats(world.workers[1].pipeline)->drops, 0);
    assert_int_equal(stats()->partitions, 0);
}

static void a_commit_without_an_answer_is_settled_by_the_claim(void **state)
{
    (void)state;
    for (int fate = FATE_COMMIT; fate < FATE_COUNT; fate++) {
        world_open(&world, &catalog, 3);
        world.fates[0] = FATE_COMMIT;
        world.fates[1] = (enum fate)fate;
        world.fate_count = 2;
        append(1, 60);
        start();
        run_and_check();
        store_settle_late(&world);
        world_check(&world);
        assert_int_equal(stats()->drops, fate != FATE_COMMIT);
        world_close(&world);
    }
}

static void one_refused_event_is_found_and_the_rest_counted(void **state)
{
    (void)state;
    append(1, 90);
    struct saying poison = saying_of("CP-1", RUN, 91);
    poison.persons = WORLD_POISON;
    world_append(&world, 0, &poison, FLAW_NONE);
    append(92, 120);
    poison.seq = 121;
    world_append(&world, 0, &poison, FLAW_NONE);
    append(122, 130);
    world.burst = 200;
    start();
    run_and_check();
    assert_string_equal(reasons(), "store_refused store_refused");
    assert_int_equal(the_run()->sums.counted, 128);
    assert_int_equal(the_run()->gaps, 2);
    assert_in_range(stats()->drops, 6, 40); /* by halving, not one by one */
}

static void offsets_that_stay_away_are_a_hole(void **state)
{
    (void)state;
    append(1, 10);
    world_skip_offsets(&world, GATE_0, 5);
    append(11, 20);
    start();
    run_and_check();
    assert_int_equal(world.db.hole_count, 1);
    assert_int_equal(world.db.holes[0].first_offset, 10);
    assert_int_equal(world.db.holes[0].last_offset, 14);
    assert_int_equal(world.workers[0].intake.seeks, 1);
}

static void offsets_that_stay_away_at_the_end_are_a_hole(void **state)
{
    (void)state;
    append(1, 10);
    world_skip_offsets(&world, GATE_0, 5);
    start();
    run_and_check();
    assert_int_equal(world.db.hole_count, 1);
    assert_int_equal(world.db.holes[0].first_offset, 10);
    assert_int_equal(world.db.holes[0].last_offset, 14);
    crash();
    append(11, 20);
    run_and_check();
    assert_int_equal(world.db.hole_count, 1);
    assert_int_equal(the_run()->sums.counted, 20);
}

static void offsets_that_come_after_a_seek_are_no_hole(void **state)
{
    (void)state;
    append(1, 30);
    start();
    assert_int_equal(worker_step(&world, 0), FX_OK);
    world.skips = 1;
    world.overlap = 2; /* fetched before, comes again */
    run_and_check();
    assert_int_equal(world.skips, 0);
    assert_int_equal(world.db.hole_count, 0);
    assert_int_equal(world.workers[0].intake.seeks, 1);
}

static void another_record_at_the_bookmark_stops_the_worker(void **state)
{
    (void)state;
    append(1, 10);
    start();
    run_and_check();
    worker_close(&world, 0);
    append(11, 15);
    struct record *last = &world.logs[GATE_0].records[9];
    last->append_ms++; /* recreated: the same offsets, other records */
    start();
    worker_run_to_stop(&world, 0, FX_ESTATE);
    assert_holds(world.text, "topic t.1 partition 0: offsets 0 to 9 were counted");
    assert_holds(world.text, "fx-setup --accept-loss t.1:0:0-9 --reason TEXT");
    last->append_ms--;
    crash();
    run_and_check();
}

static void a_log_that_ends_before_the_position_stops_the_worker(void **state)
{
    (void)state;
    append(1, 10);
    start();
    run_and_check();
    worker_close(&world, 0);
    world.logs[GATE_0].count = 5;
    world.logs[GATE_0].end = 5;
    start();
    worker_run_to_stop(&world, 0, FX_ESTATE);
    assert_holds(world.text, "offsets 0 to 9 were counted, but the log ends at offset 5");
}

/* A person accepts, and the worker is started again. */
static void accept(int64_t first, int64_t last, bool is_counted)
{
    struct db_acceptance one = {GATE_0, first, last, is_counted, 0};
    world_accept(&world, &one);
    crash();
}

static void a_loss_must_be_accepted_by_a_person(void **state)
{
    (void)state;
    append(1, 10);
    start();
    run_and_check();
    worker_close(&world, 0);
    append(11, 30);
    world_trim(&world, GATE_0, 20);
    start();
    worker_run_to_stop(&world, 0, FX_ESTATE);
    assert_holds(world.text, "offsets 10 to 19 are gone from Kafka and were never counted");
    accept(10, 18, false); /* not all of it */
    worker_run_to_stop(&world, 0, FX_ESTATE);
    accept(10, 19, false);
    run_and_check();
    assert_int_equal(the_run()->sums.counted, 20);
    assert_int_equal(the_run()->gaps, 1);
    assert_int_equal(world.db.positions[GATE_0].accepted_at, 2);
}

static void what_is_lost_under_a_running_worker_is_named_exactly(void **state)
{
    (void)state;
    append(1, 10);
    start();
    run_and_check();
    append(11, 30);
    world_trim(&world, GATE_0, 20); /* it reads at 10, which is gone */
    worker_run_to_stop(&world, 0, FX_ESTATE);
    assert_holds(world.text, "offsets 10 to 19 are gone from Kafka and were never counted");
    assert_holds(world.text, "--accept-loss t.1:0:10-19 ");
    accept(10, 19, false);
    run_and_check();
}

static void an_accepted_log_is_read_again_once(void **state)
{
    (void)state;
    append(1, 10);
    start();
    run_and_check();
    worker_close(&world, 0);
    struct log *log = &world.logs[GATE_0];
    for (int i = 0; i < 10; i++)
        log->records[i].append_ms += 7; /* made anew with copies, and longer */
    append(11, 14);
    start();
    worker_run_to_stop(&world, 0, FX_ESTATE);
    accept(0, 9, true);
    world_run(&world);
    assert_int_equal(the_run()->sums.counted, 14);
    assert_int_equal(the_run()->sums.duplicates, 10);
    for (int i = 0; i < 3; i++) { /* later claims do not go back again */
        crash();
        append(15 + i, 15 + i);
        world_run(&world);
    }
    assert_int_equal(the_run()->sums.counted, 17);
    assert_int_equal(the_run()->sums.duplicates, 10);
    assert_int_equal(world.db.positions[GATE_0].base, 0);
}

static void a_log_that_begins_later_is_accepted_with_its_beginning(void **state)
{
    (void)state;
    append(1, 10);
    start();
    run_and_check();
    worker_close(&world, 0);
    struct log *log = &world.logs[GATE_0];
    log->count = 0;
    log->end = 3; /* made anew, and its first three are gone */
    world_trim(&world, GATE_0, 3);
    append(11, 12);
    start();
    worker_run_to_stop(&world, 0, FX_ESTATE);
    assert_holds(world.text, "offsets 3 to 9 were counted, but the log ends at offset 5");
    accept(3, 9, true);
    world_run(&world);
    assert_int_equal(the_run()->sums.counted, 12);
    assert_int_equal(world.db.positions[GATE_0].next, 5);
}

static void times_of_producers_must_be_accepted(void **state)
{
    (void)state;
    append(1, 10);
    start();
    run_and_check();
    int64_t trusted_ms = world.db.positions[GATE_0].append_high_ms;
    append(11, 14);
    world.is_producer_time = true;
    world.logs[GATE_0].records[13].append_ms += INT64_C(1) << 50; /* a clock far ahead */
    worker_run_to_stop(&world, 0, FX_ESTATE);
    assert_holds(world.text, "topic t.1 partition 0: offsets 10 to ");
    accept(10, 12, false);
    worker_run_to_stop(&world, 0, FX_ESTATE);
    assert_holds(world.text, "offsets 13 to 13 bear their producer's time");
    accept(13, 13, false);
    world_run(&world);
    assert_int_equal(the_run()->sums.counted, 14);
    assert_true(world.db.positions[GATE_0].append_high_ms == trusted_ms);
}

static void another_cluster_stops_the_worker(void **state)
{
    (void)state;
    append(1, 10);
    world.db.cluster = "there";
    start();
    worker_run_to_stop(&world, 0, FX_ESTATE);
    assert_false(world.db.positions[GATE_0].is_there);
    world.db.cluster = "here";
    crash();
    run_and_check();
}

static void a_revoke_writes_first_and_a_loss_drops(void **state)
{
    (void)state;
    world.polls = 5;
    append(1, 40);
    start();
    for (int i = 0; i < 4; i++)
        assert_int_equal(worker_step(&world, 0), FX_OK);
    int64_t taken = stats()->messages;
    assert_true(taken > 0 && world.db.positions[GATE_0].next == 0);
    worker_change(&world, 0, INTAKE_REVOKE);
    assert_int_equal(worker_step(&world, 0), FX_OK);
    assert_int_equal(world.db.positions[GATE_0].next, taken);
    assert_int_equal(world.workers[0].intake.assigned_count, 0);
    world_check(&world);
    worker_assign(&world, 0, WORLD_ALL_PARTS);
    for (int i = 0; i < 3; i++)
        assert_int_equal(worker_step(&world, 0), FX_OK);
    assert_true(stats()->messages > taken);
    worker_change(&world, 0, INTAKE_LOST);
    assert_int_equal(worker_step(&world, 0), FX_OK);
    assert_int_equal(world.db.positions[GATE_0].next, taken);
    store_settle_late(&world);
    worker_assign(&world, 0, WORLD_ALL_PARTS);
    run_and_check();
}

/* A step that waits for its first event begins the flush behind the wait. */
static void the_pace_is_that_of_the_flush_alone(void **state)
{
    (void)state;
    const int waited_ms = 50;
    start();
    world_run(&world);
    append(1, 1);
    int64_t flushes = stats()->flushes;
    int steps = 0;
    for (; stats()->flushes == flushes; steps++) {
        assert_int_equal(worker_step(&world, 0), FX_OK);
        world.now_ms += steps == 0 ? waited_ms : 1;
    }
    assert_in_range(steps, 2, waited_ms / 2);
    assert_in_range(stats()->flush_ms_last, 0, steps * (world.tick_ms + 1));
}

static void runs_that_memory_does_not_hold_are_looked_up(void **state)
{
    (void)state;
    world.runs_max = 8; /* of which a claim loads the newest four */
    for (int64_t run = 1; run <= 6; run++) {
        for (int64_t seq = 1; seq <= 3; seq++) {
            struct saying saying = saying_of("CP-1", run, seq);
            world_append(&world, 0, &saying, FLAW_NONE);
        }
        world.now_ms += 1000;
    }
    start();
    run_and_check();
    crash();
    struct saying saying = saying_of("CP-1", 1, 4);
    world_append(&world, 0, &saying, FLAW_NONE);
    while (stats()->drops == 0) /* the flush finds out about this run */
        assert_int_equal(worker_step(&world, 0), FX_OK);
    saying.run = 2; /* another one comes together with it */
    world_append(&world, 0, &saying, FLAW_NONE);
    run_and_check();
    assert_in_range(stats()->drops, 1, 6);
}

static void append_to_each_partition(int64_t run, int64_t seq, int sign)
{
    for (int part = 0; part < WORLD_PARTS; part++) {
        struct saying saying = saying_of("CP-1", part * 100 + run, seq);
        saying.topic = part / WORLD_PARTITIONS;
        saying.sign = sign;
        saying.reverses_run = sign < 0 ? saying.run : SAYING_NEVER;
        saying.reverses_seq = sign < 0 ? 1 : SAYING_NEVER;
        world_append(&world, part % WORLD_PARTITIONS, &saying, FLAW_NONE);
    }
    world.now_ms += 1000;
}

/* Each finds out about two things, and there is no room for eight beside the newest runs. */
static void old_runs_of_several_partitions_do_not_take_turns_for_ever(void **state)
{
    (void)state;
    world.runs_max = 12;
    world.events_max = 1;
    world.burst = 1;
    for (int64_t run = 1; run <= 8; run++)
        append_to_each_partition(run, 1, 1);
    start();
    run_and_check();
    crash();
    append_to_each_partition(1, 2, -1);
    run_and_check();
}

static void more_old_runs_than_memory_holds_are_counted_bit_by_bit(void **state)
{
    (void)state;
    world.runs_max = 8;
    world.burst = 200;
    for (int64_t seq = 1; seq <= 60; seq++) {
        struct saying saying = saying_of("CP-1", 1 + seq % 30, 1 + seq / 30);
        world_append(&world, 0, &saying, FLAW_NONE);
    }
    start();
    run_and_check();
    crash();
    for (int64_t seq = 61; seq <= 180; seq++) {
        struct saying saying = saying_of("CP-1", 1 + seq % 30, 1 + seq / 30);
        world_append(&world, 0, &saying, FLAW_NONE);
    }
    run_and_check();
}

static void services_that_are_away_are_waited_for(void **state)
{
    (void)state;
    world.claim_failures = world.ask_failures = world.assign_failures = 3;
    append(1, 20);
    start();
    run_and_check();
    assert_int_equal(stats()->drops, 9);
}

static void wrong_definitions_and_topics_stop_the_worker(void **state)
{
    (void)state;
    append(1, 5);
    world.is_redefined = true;
    start();
    worker_run_to_stop(&world, 0, FX_ECONFIG);
    world.is_redefined = false;
    world.is_producer_time = true;
    crash();
    worker_run_to_stop(&world, 0, FX_ESTATE);
    assert_holds(world.text, "LogAppendTime");
    world.is_producer_time = false;
    crash();
    run_and_check();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_after_any_step_loses_and_doubles_nothing),
        TEST(a_second_claim_fences_the_first_worker),
        cmocka_unit_test(a_commit_without_an_answer_is_settled_by_the_claim),
        TEST(one_refused_event_is_found_and_the_rest_counted),
        TEST(offsets_that_stay_away_are_a_hole),
        TEST(offsets_that_stay_away_at_the_end_are_a_hole),
        TEST(offsets_that_come_after_a_seek_are_no_hole),
        TEST(another_record_at_the_bookmark_stops_the_worker),
        TEST(a_log_that_ends_before_the_position_stops_the_worker),
        TEST(a_loss_must_be_accepted_by_a_person),
        TEST(what_is_lost_under_a_running_worker_is_named_exactly),
        TEST(an_accepted_log_is_read_again_once),
        TEST(a_log_that_begins_later_is_accepted_with_its_beginning),
        TEST(times_of_producers_must_be_accepted),
        TEST(another_cluster_stops_the_worker),
        TEST(a_revoke_writes_first_and_a_loss_drops),
        TEST(the_pace_is_that_of_the_flush_alone),
        TEST(runs_that_memory_does_not_hold_are_looked_up),
        TEST(old_runs_of_several_partitions_do_not_take_turns_for_ever),
        TEST(more_old_runs_than_memory_holds_are_counted_bit_by_bit),
        TEST(services_that_are_away_are_waited_for),
        TEST(wrong_definitions_and_topics_stop_the_worker),
    };
    return cmocka_run_group_tests(tests, load_catalog, release_catalog);
}
