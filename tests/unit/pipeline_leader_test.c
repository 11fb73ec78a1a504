/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions without a leader: what becomes of them, and of the worker's others. */
#include "fake_worker.h"

#define GATE_1 (GATE_0 + 1)

static void append_elsewhere(int64_t first, int64_t last)
{
    for (int64_t seq = first; seq <= last; seq++) {
        struct saying saying = saying_of("CP-2", RUN, seq);
        world_append(&world, 1, &saying, FLAW_NONE);
        world.now_ms += 1000;
    }
}

static void step(int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(worker_step(&world, 0), FX_OK);
}

/* All is counted in both partitions, then one loses its leader. */
static void lose_a_leader(void)
{
    append(1, 30);
    append_elsewhere(1, 30);
    start();
    run_and_check();
    world.leaderless = 1u << GATE_1;
}

static void a_partition_without_a_leader_holds_up_no_other(void **state)
{
    (void)state;
    append(1, 30);
    append_elsewhere(1, 30);
    world.leaderless = 1u << GATE_1;
    start();
    step(400);
    assert_int_equal(world.db.positions[GATE_0].next, 30);
    assert_int_equal(world.db.positions[GATE_1].next, 0);
    assert_int_equal(stats()->drops, 0);
    assert_int_equal(stats()->waiting, 1);
    append(31, 60);
    step(400);
    assert_int_equal(world.db.positions[GATE_0].next, 60);
    world.leaderless = 0;
    append(61, 70);
    run_and_check();
    assert_int_equal(stats()->waiting, 0);
    assert_int_equal(world.db.positions[GATE_1].next, 30);
}

static void a_leader_that_goes_stops_one_partition(void **state)
{
    (void)state;
    lose_a_leader();
    append_elsewhere(31, 40);
    append(31, 60);
    world.assign_failures = 2;
    crash(); /* or whatever else brings about a claim */
    step(400);
    assert_int_equal(world.db.positions[GATE_0].next, 60);
    assert_int_equal(world.db.positions[GATE_1].next, 30);
    world.leaderless = 0;
    run_and_check();
    assert_int_equal(world.db.positions[GATE_1].next, 40);
}

static void a_partition_that_waited_is_checked_like_any_other(void **state)
{
    (void)state;
    lose_a_leader();
    crash();
    append(31, 40);
    step(400);
    world.logs[GATE_1].count = 5;
    world.logs[GATE_1].end = 5; /* the new leader has no more */
    world.leaderless = 0;
    worker_run_to_stop(&world, 0, FX_ESTATE);
    assert_holds(world.text, "topic t.1 partition 1: offsets 0 to 29 were counted");
    assert_int_equal(world.db.positions[GATE_0].next, 40);
}

static void without_any_leader_a_worker_waits(void **state)
{
    (void)state;
    append(1, 30);
    world.leaderless = WORLD_ALL_PARTS;
    start();
    step(100);
    assert_int_equal(stats()->claims, 0);
    world.leaderless = 0;
    run_and_check();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_partition_without_a_leader_holds_up_no_other),
        TEST(a_leader_that_goes_stops_one_partition),
        TEST(a_partition_that_waited_is_checked_like_any_other),
        TEST(without_any_leader_a_worker_waits),
    };
    return cmocka_run_group_tests(tests, load_catalog, release_catalog);
}
