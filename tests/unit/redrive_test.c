/* SPDX-License-Identifier: Apache-2.0 */
/* Rejected events taken again: figures, ledgers and gaps are as if they had counted in turn. */
#include "fake_redriver.h"

#define NEW_REGION kinds_regions[KINDS_REGIONS - 1][0]

static struct redriver redriver, other;

static int close_all(void **state)
{
    redriver_close(&redriver);
    redriver_close(&other);
    return close_world(state);
}

/* Numbers first to last of CP-1's run at a place that is not in the tree yet. */
static void append_elsewhere(int64_t first, int64_t last)
{
    for (int64_t seq = first; seq <= last; seq++) {
        struct saying saying = saying_of("CP-1", RUN, seq);
        saying.region = NEW_REGION;
        saying.persons = 1 + seq % 9;
        world_append(&world, 0, &saying, FLAW_NONE);
        world.now_ms += 1000;
    }
}

static void append_one(const char *source, int64_t run, int64_t seq, enum flaw flaw)
{
    struct saying saying = saying_of(source, run, seq);
    world_append(&world, 0, &saying, flaw);
}

/* As fx-setup does, which fences every worker. */
static void mend_region(void)
{
    world.region_count = KINDS_REGIONS;
    for (int i = 0; i < WORLD_PARTS; i++)
        world.db.positions[i].generation++;
}

/* Numbers up to last are rejected; what they were rejected for is no more. */
static void reject_and_mend(int64_t last)
{
    world.region_count = KINDS_REGIONS - 1;
    append_elsewhere(1, last);
    start();
    world_run(&world);
    mend_region();
}

static void mended_events_count_in_their_own_buckets(void **state)
{
    (void)state;
    world.region_count = KINDS_REGIONS - 1;
    append(1, 5);
    append_elsewhere(6, 40);
    world.now_ms += 7200000;
    append(41, 60);
    start();
    run_and_check();
    assert_int_equal(world.db.rejected_count, 35);
    mend_region();
    worker_close(&world, 0);
    struct db_position before = world.db.positions[GATE_0];
    struct redrive_stats did = redrive_reason(REASON_UNKNOWN_REGION);
    before.generation = world.db.positions[GATE_0].generation;
    assert_memory_equal(&world.db.positions[GATE_0], &before, sizeof before);
    assert_int_equal(did.counted, 35);
    assert_int_equal(did.rows, 35);
    assert_int_equal(world.db.redriven[0], 35);
    assert_int_equal(the_run()->sums.rejected, 0);
    assert_int_equal(world.db.gap_count, 0);
    start();
    append(61, 70);
    run_and_check();
    int commits = world.db.commits;
    did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.rows, 0);
    assert_int_equal(world.db.commits, commits);
}

static void a_worker_goes_on_meanwhile(void **state)
{
    (void)state;
    reject_and_mend(900);
    append(901, 1500);
    redriver_open(&redriver, REASON_COUNT);
    redriver_run(&redriver);
    append(1501, 1600);
    run_and_check();
    assert_int_equal(the_run()->sums.counted, 1600);
    assert_true(redrive_stats(redriver.redrive)->claims >= 4);
}

static void what_is_not_mended_stays_as_it_is(void **state)
{
    (void)state;
    append(1, 3);
    append_one("CP-1", RUN, 4, FLAW_SUMS);
    append_one("CP-1", RUN, 5, FLAW_BYTES);
    append_one("CP-1", RUN, 6, FLAW_KEY);
    append_one("SIM-1", RUN, 1, FLAW_NONE);
    append_elsewhere(7, 7);
    append(8, 9);
    world.region_count = KINDS_REGIONS - 1;
    start();
    world_run(&world);
    struct saying moved = saying_of("CP-1", RUN, 10);
    world_append(&world, 1, &moved, FLAW_NONE);
    world_run(&world);
    assert_int_equal(world.db.gap_count, 3);
    for (int i = 0; i < world.db.gap_count; i++)
        if (world.db.gaps[i].first == 4)
            world.db.gaps[i].cause = GAP_WRITTEN_OFF;
    worker_close(&world, 0);
    struct database *before = malloc(sizeof *before);
    assert_non_null(before);
    *before = world.db;
    struct redrive_stats did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.rows, 6);
    assert_int_equal(did.rejected[REASON_SUMS_MISMATCH], 1);
    assert_int_equal(did.rejected[REASON_UNDECODABLE], 1);
    assert_int_equal(did.rejected[REASON_KEY_MISMATCH], 1);
    assert_int_equal(did.rejected[REASON_SIMULATED], 1);
    assert_int_equal(did.rejected[REASON_UNKNOWN_REGION], 1);
    assert_int_equal(did.rejected[REASON_MOVED_PARTITION], 1);
    assert_int_equal(world.db.commits, before->commits);
    assert_int_equal(world.db.rejected_count, before->rejected_count);
    assert_memory_equal(world.db.rejected, before->rejected, sizeof before->rejected);
    assert_memory_equal(world.db.gaps, before->gaps, sizeof before->gaps);
    assert_memory_equal(world.db.runs, before->runs, sizeof before->runs);
    free(before);
}

static void only_the_reason_asked_for_is_taken(void **state)
{
    (void)state;
    world.region_count = KINDS_REGIONS - 1;
    append_elsewhere(1, 3);
    append_one("SIM-1", RUN, 1, FLAW_NONE);
    start();
    world_run(&world);
    mend_region();
    world.accept_simulated = true;
    struct redrive_stats did = redrive_reason(REASON_SIMULATED);
    assert_int_equal(did.rows, 1);
    assert_int_equal(did.counted, 1);
    assert_string_equal(reasons(), "unknown_region unknown_region unknown_region");
    (void)redrive_reason(REASON_COUNT);
    run_and_check();
}

/* Their envelopes were not believed, so the ledger learns of them now. */
static void events_the_ledger_never_met_open_gaps(void **state)
{
    (void)state;
    for (int64_t seq = 2; seq <= 9; seq += 3)
        append_one("SIM-1", RUN, seq, seq == 5 ? FLAW_SUMS : FLAW_NONE);
    struct saying beat = saying_of("SIM-1", RUN, 1);
    beat.is_heartbeat = true;
    beat.acked_seq = beat.last_seq = 9;
    world_append(&world, 0, &beat, FLAW_NONE);
    start();
    run_and_check();
    assert_int_equal(world.db.run_count, 0);
    world.accept_simulated = true;
    struct redrive_stats did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.counted, 3);
    assert_int_equal(did.rejected[REASON_SUMS_MISMATCH], 1);
    assert_string_equal(reasons(), "sums_mismatch");
    assert_int_equal(world.db.runs[0].sums.rejected, 1);
    assert_int_equal(world.db.runs[0].high, 9);
    run_and_check();
    did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.rejected[REASON_SUMS_MISMATCH], 1);
    assert_int_equal(world.db.runs[0].sums.rejected, 1);
    run_and_check();
}

static void a_copy_that_counted_makes_a_duplicate(void **state)
{
    (void)state;
    world.region_count = KINDS_REGIONS - 1;
    append_elsewhere(1, 6);
    append_elsewhere(5, 6);
    start();
    world_run(&world);
    mend_region();
    append_elsewhere(1, 2);
    world_run(&world);
    struct redrive_stats did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.counted, 4);
    assert_int_equal(did.duplicates, 4);
    assert_int_equal(world.db.redriven[1], 4);
    run_and_check();
    assert_int_equal(the_run()->sums.duplicates, 4);
    assert_int_equal(the_run()->sums.rejected, 0);
}

static void a_quarantined_run_is_taken_after_its_release(void **state)
{
    (void)state;
    append(1, 3);
    start();
    world_run(&world);
    world.db.runs[0].is_quarantined = true;
    mend_region();
    append(4, 6);
    append_one("CP-1", RUN, 7, FLAW_SUMS);
    world_run(&world);
    assert_int_equal(world.db.rejected_count, 4);
    struct redrive_stats did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.rejected[REASON_SOURCE_QUARANTINED], 4);
    assert_int_equal(the_run()->high, 3);
    world.db.runs[0].is_quarantined = false;
    did = redrive_reason(REASON_SOURCE_QUARANTINED);
    assert_int_equal(did.counted, 3);
    assert_int_equal(did.rejected[REASON_SUMS_MISMATCH], 1);
    run_and_check();
    assert_int_equal(the_run()->sums.counted, 6);
}

static void a_reversal_is_taken_once(void **state)
{
    (void)state;
    world.region_count = KINDS_REGIONS - 1;
    append_elsewhere(1, 2);
    struct saying reversal = world.logs[GATE_0].records[1].saying;
    reversal.sign = -1;
    reversal.reverses_run = RUN;
    reversal.reverses_seq = 2;
    for (reversal.seq = 3; reversal.seq <= 4; reversal.seq++)
        world_append(&world, 0, &reversal, FLAW_NONE);
    start();
    run_and_check();
    mend_region();
    struct redrive_stats did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.counted, 3);
    assert_int_equal(did.rejected[REASON_ALREADY_REVERSED], 1);
    assert_string_equal(reasons(), "already_reversed");
    run_and_check();
    did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.rejected[REASON_ALREADY_REVERSED], 1);
    run_and_check();
}

static void a_refused_value_is_found_and_set_aside(void **state)
{
    (void)state;
    world.region_count = KINDS_REGIONS - 1;
    append_elsewhere(1, 100);
    for (int64_t seq = 101; seq <= 102; seq++) {
        struct saying saying = saying_of("CP-1", RUN, seq);
        saying.region = NEW_REGION;
        saying.persons = WORLD_POISON;
        world_append(&world, 0, &saying, FLAW_NONE);
    }
    append_elsewhere(103, 200);
    start();
    world_run(&world);
    mend_region();
    struct redrive_stats did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.counted, 198);
    assert_int_equal(did.rejected[REASON_STORE_REFUSED], 2);
    assert_string_equal(reasons(), "store_refused store_refused");
    run_and_check();
    did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.rejected[REASON_STORE_REFUSED], 2);
    run_and_check();
}

/* Until its flush is in flight; no worker steps meanwhile. */
static void step_to_flight(struct redriver *one)
{
    for (int i = 0; !one->store.is_in_flight; i++) {
        assert_true(i < 1000);
        assert_int_equal(redriver_step(one), FX_OK);
    }
}

static void a_worker_that_claims_in_between_fences_it(void **state)
{
    (void)state;
    world.region_count = KINDS_REGIONS - 1;
    append_elsewhere(1, 20);
    start();
    world_run(&world);
    world.region_count = KINDS_REGIONS;
    redriver_open(&redriver, REASON_COUNT);
    world.polls = 3;
    step_to_flight(&redriver);
    int commits = world.db.commits;
    crash(); /* claims anew */
    append(21, 30);
    world_run(&world);
    assert_true(world.db.commits > commits);
    redriver_run(&redriver);
    assert_int_equal(redrive_stats(redriver.redrive)->drops, 1);
    assert_int_equal(redrive_stats(redriver.redrive)->counted, 20);
    run_and_check();
}

static void two_at_once_settle_each_event_once(void **state)
{
    (void)state;
    reject_and_mend(600);
    worker_close(&world, 0);
    world.polls = 2;
    redriver_open(&redriver, REASON_COUNT);
    redriver_open(&other, REASON_COUNT);
    while (!redrive_is_done(redriver.redrive) || !redrive_is_done(other.redrive)) {
        struct redriver *one = dice_chance(&world.dice, 50) ? &redriver : &other;
        if (!redrive_is_done(one->redrive))
            assert_int_equal(redriver_step(one), FX_OK);
    }
    const struct redrive_stats *a = redrive_stats(redriver.redrive);
    const struct redrive_stats *b = redrive_stats(other.redrive);
    assert_int_equal(a->counted + b->counted, 600);
    assert_int_equal(world.db.redriven[0], 600);
    assert_true(a->drops + b->drops > 0);
    world_check(&world);
}

static void it_may_die_at_any_moment(void **state)
{
    (void)state;
    reject_and_mend(300);
    worker_close(&world, 0);
    for (int life = 0; life < 12; life++) {
        redriver_open(&redriver, REASON_COUNT);
        for (int i = 0; i < life && !redrive_is_done(redriver.redrive); i++)
            assert_int_equal(redriver_step(&redriver), FX_OK);
        redriver_close(&redriver);
        store_settle_late(&world);
    }
    (void)redrive_reason(REASON_COUNT);
    world_check(&world);
    assert_int_equal(the_run()->sums.counted, 300);
    assert_int_equal(world.db.redriven[0], 300);
}

static void what_kafka_does_not_have_is_said_to_be_gone(void **state)
{
    (void)state;
    world.region_count = KINDS_REGIONS - 1;
    append_elsewhere(1, 9);
    append(10, 12);
    start();
    world_run(&world);
    mend_region();
    world_trim(&world, GATE_0, 4);
    struct log *log = &world.logs[GATE_0]; /* offset 6 is no more */
    memmove(&log->records[6], &log->records[7], (size_t)(log->count - 7) * sizeof *log->records);
    log->count--;
    struct redrive_stats did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.counted, 4);
    assert_int_equal(did.gone, 5);
    assert_int_equal(world.db.rejected_count, 5);
    assert_int_equal(the_run()->sums.rejected, 5);
    assert_int_equal(the_run()->sums.counted, 7);
    append(1, 2); /* copies of two that are gone */
    world_run(&world);
    did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.duplicates, 2);
    assert_int_equal(world.db.rejected_count, 3);
    assert_int_equal(the_run()->sums.rejected, 3);
    assert_int_equal(the_run()->sums.duplicates, 2);
}

static void a_message_that_kafka_left_out_once_is_not_gone(void **state)
{
    (void)state;
    reject_and_mend(30);
    worker_close(&world, 0);
    world.skips = 2;
    struct redrive_stats did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.counted, 30);
    assert_int_equal(world.skips, 0);
    world_check(&world);
}

/* A minute for 60 records: what comes in order is waited for. */
static void a_slow_kafka_is_read_to_the_end(void **state)
{
    (void)state;
    reject_and_mend(60);
    worker_close(&world, 0);
    world.burst = 1;
    world.tick_ms = 1000;
    struct redrive_stats did = redrive_reason(REASON_COUNT);
    assert_int_equal(did.counted, 60);
    assert_int_equal(did.drops, 0);
}

static enum fx_code stops(void)
{
    enum fx_code code = FX_OK;
    redriver_open(&redriver, REASON_COUNT);
    for (int i = 0; code == FX_OK && !redrive_is_done(redriver.redrive); i++) {
        assert_true(i < 1000);
        code = redriver_step(&redriver);
    }
    redriver_close(&redriver);
    return code;
}

static void another_record_in_its_place_stops_it(void **state)
{
    (void)state;
    reject_and_mend(3);
    worker_close(&world, 0);
    struct log *log = &world.logs[GATE_0];
    log->records[1].value.bytes[log->records[1].value.size - 1] ^= 1;
    int commits = world.db.commits;
    assert_int_equal(stops(), FX_ESTATE);
    assert_non_null(strstr(world.text, "record 1 is not the one"));
    log->end = log->count = 1; /* cut off */
    assert_int_equal(stops(), FX_ESTATE);
    assert_non_null(strstr(world.text, "ends at offset 1"));
    assert_int_equal(world.db.commits, commits);
    for (int i = 0; i < world.db.rejected_count; i++) /* as a claim does that a person accepted */
        if (world.db.rejected[i].offset >= 1)
            world.db.rejected[i].offset -= INT64_C(1) << 40;
    struct redrive_stats did = redrive_reason(REASON_UNKNOWN_REGION);
    assert_int_equal(did.counted, 1);
    assert_int_equal(did.gone, 0);
    assert_int_equal(world.db.rejected_count, 2);
}

static void new_definitions_stop_it(void **state)
{
    (void)state;
    reject_and_mend(3);
    world.is_redefined = true;
    assert_int_equal(stops(), FX_ECONFIG);
}

static void what_is_rejected_meanwhile_is_left_for_the_next_time(void **state)
{
    (void)state;
    reject_and_mend(300);
    redriver_open(&redriver, REASON_COUNT);
    step_to_flight(&redriver);
    append_one("SIM-1", RUN, 1, FLAW_NONE);
    redriver_run(&redriver);
    world_run(&world);
    assert_int_equal(redrive_stats(redriver.redrive)->rows, 300);
    assert_string_equal(reasons(), "simulated");
}

static void a_drain_ends_behind_the_batch_in_flight(void **state)
{
    (void)state;
    reject_and_mend(600);
    redriver_open(&redriver, REASON_COUNT);
    step_to_flight(&redriver);
    redrive_drain(redriver.redrive);
    redriver_run(&redriver);
    assert_int_equal(redrive_stats(redriver.redrive)->counted, REDRIVE_BATCH_MAX);
    assert_int_equal(world.db.rejected_count, 600 - REDRIVE_BATCH_MAX);
    (void)redrive_reason(REASON_COUNT);
    run_and_check();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mended_events_count_in_their_own_buckets),
        TEST(a_worker_goes_on_meanwhile),
        TEST(what_is_not_mended_stays_as_it_is),
        TEST(only_the_reason_asked_for_is_taken),
        TEST(events_the_ledger_never_met_open_gaps),
        TEST(a_copy_that_counted_makes_a_duplicate),
        TEST(a_quarantined_run_is_taken_after_its_release),
        TEST(a_reversal_is_taken_once),
        TEST(a_refused_value_is_found_and_set_aside),
        TEST(a_worker_that_claims_in_between_fences_it),
        TEST(two_at_once_settle_each_event_once),
        TEST(it_may_die_at_any_moment),
        TEST(what_kafka_does_not_have_is_said_to_be_gone),
        TEST(a_message_that_kafka_left_out_once_is_not_gone),
        TEST(a_slow_kafka_is_read_to_the_end),
        TEST(another_record_in_its_place_stops_it),
        TEST(new_definitions_stop_it),
        TEST(what_is_rejected_meanwhile_is_left_for_the_next_time),
        TEST(a_drain_ends_behind_the_batch_in_flight),
    };
    return cmocka_run_group_tests(tests, load_catalog, release_catalog);
}
