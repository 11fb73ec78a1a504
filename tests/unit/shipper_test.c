/* SPDX-License-Identifier: Apache-2.0 */
#include "../../producers/outbox_asked.h"
#include "arrived.h"

static struct arrived arrived;

static void sends_everything_once(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 20000);
    pump_until_done(bench);
    shipper_end(bench->shipper);
    pump_until_done(bench);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.events, 20000);
    assert_int_equal(arrived.unique, 20000);
    assert_int_equal(arrived.beats, 2);
    assert_int_equal(arrived.beats_before, 1);
    struct outbox_counts counts;
    assert_int_equal(outbox_count(bench->outbox, &counts, &bench->err), FX_OK);
    assert_int_equal(counts.unsent, 0);
    assert_int_equal(counts.runs_open, 0);
}

/* What an earlier opening left unsent goes first, then ENDED for it, then OPEN for the new run. */
static void old_rows_go_first(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 100);
    shipper_close(bench->shipper);
    outbox_close(bench->outbox);
    open_outbox(bench);
    open_shipper(bench);
    store(bench, "A", 50);
    bool is_end;
    struct outbox_run *old = outbox_run_at(bench->outbox, 0, &is_end);
    pump_until_done(bench);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.events, 150);
    assert_int_equal(arrived.unique, 100);
    assert_int_equal(arrived.beats, 2);
    assert_int_equal(arrived.beats_before, 0);
    assert_true(old->is_ended);
    assert_int_equal(old->acked_seq, 100);
}

/* Old rows are on their way and not acknowledged: a new one is nothing to turn round and round for.
 */
static void a_row_that_has_to_wait_is_no_hunger(void **state)
{
    struct bench *bench = *state;
    struct shipper_counts counts = {0};
    store(bench, "A", 100);
    shipper_close(bench->shipper);
    outbox_close(bench->outbox);
    open_outbox(bench);
    open_shipper(bench);
    rd_kafka_mock_broker_set_rtt(cluster, 1, 300);
    while (counts.sent < 100) {
        pump(bench);
        shipper_count(bench->shipper, &counts);
    }
    store(bench, "A", 50);
    pump(bench);
    assert_int_equal(outbox_acked_id(bench->outbox), 0);
    assert_false(shipper_is_hungry(bench->shipper));
    rd_kafka_mock_broker_set_rtt(cluster, 1, 0);
    pump_until_done(bench);
    assert_int_equal(outbox_acked_id(bench->outbox), 150);
}

static void resends_what_is_asked_for(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 100);
    pump_until_done(bench);
    bool is_end;
    struct outbox_resend wanted = {
        .run = outbox_run_at(bench->outbox, 0, &is_end)->run, .first = 10, .last = 19};
    assert_int_equal(outbox_request_resend(bench->outbox, "A", &wanted, &bench->err), FX_OK);
    shipper_note_resend(bench->shipper);
    pump_until_done(bench);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.events, 110);
    assert_int_equal(arrived.unique, 100);
    assert_int_equal(outbox_next_resend(bench->outbox, 0, &wanted, &bench->err), FX_OK);
    assert_int_equal(wanted.id, 0);
}

/* A post whose window is never empty: what is asked for ends all the same, range by range. */
static void resends_end_on_a_busy_post(void **state)
{
    struct bench *bench = *state;
    store(bench, "A", 200);
    pump_until_done(bench);
    bool is_end;
    int64_t run = outbox_run_at(bench->outbox, 0, &is_end)->run;
    int64_t waiting = 5;
    for (int64_t i = 0; i < waiting; i++) {
        struct outbox_resend wanted = {.run = run, .first = 30 * i + 1, .last = 30 * i + 20};
        assert_int_equal(outbox_request_resend(bench->outbox, "A", &wanted, &bench->err), FX_OK);
    }
    rd_kafka_mock_broker_set_rtt(cluster, 1, 200);
    store(bench, "A", 1);
    pump(bench);
    shipper_note_resend(bench->shipper);
    for (int lines = 0; waiting > 0; lines++) {
        if (lines == 400)
            fail_msg("%lld requests wait still", (long long)waiting);
        store(bench, "A", 1);
        pump(bench);
        usleep(20000);
        assert_true(outbox_acked_id(bench->outbox) < outbox_last_id(bench->outbox));
        assert_int_equal(outbox_count_resends(bench->outbox, &waiting, &bench->err), FX_OK);
    }
    rd_kafka_mock_broker_set_rtt(cluster, 1, 0);
    pump_until_done(bench);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.unique, outbox_last_id(bench->outbox));
    assert_int_equal(arrived.events, arrived.unique + 100);
}

/* After this opening's ENDED too: another one says what is not kept. */
static void what_is_asked_for_after_the_end_is_said(void **state)
{
    struct bench *bench = *state;
    struct outbox_obeyed obeyed;
    bool is_end;
    store(bench, "A", 10);
    pump_until_done(bench);
    struct outbox_run *run = outbox_run_at(bench->outbox, 0, &is_end);
    outbox_touch(bench->outbox, run);
    assert_int_equal(outbox_flush(bench->outbox, 2 * DAY_MS, &bench->err), FX_OK);
    shipper_end(bench->shipper);
    pump_until_done(bench);
    assert_true(run->is_ended);
    const struct outbox_span span = {run->run, 3, 5};
    const struct outbox_request request = {"A", DAY_2020_MS, 1, &span, 1};
    assert_int_equal(outbox_obey(bench->outbox, &request, &obeyed, &bench->err), FX_OK);
    assert_int_equal(obeyed.gone, 1);
    shipper_note_resend(bench->shipper);
    pump_until_done(bench);
    struct outbox_run *owing = NULL;
    assert_int_equal(outbox_next_declared(bench->outbox, 0, &owing, &bench->err), FX_OK);
    assert_null(owing);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.beats, 3);
}

/* An ended run, forgotten by memory, and the present one say once more what they keep. */
static void what_is_owed_is_said(void **state)
{
    struct bench *bench = *state;
    struct outbox_obeyed obeyed;
    bool is_end;
    store(bench, "A", 10);
    pump_until_done(bench);
    shipper_end(bench->shipper);
    pump_until_done(bench);
    int64_t run = outbox_run_at(bench->outbox, 0, &is_end)->run;
    assert_int_equal(outbox_flush(bench->outbox, 0, &bench->err), FX_OK);
    for (int round = 0; round < 2; round++) {
        shipper_close(bench->shipper);
        outbox_close(bench->outbox);
        open_outbox(bench);
        open_shipper(bench);
        if (round == 0) { /* what was acknowledged is given up */
            store(bench, "A", 1);
            pump_until_done(bench);
            outbox_touch(bench->outbox, outbox_run_at(bench->outbox, 0, &is_end));
            assert_int_equal(outbox_flush(bench->outbox, 2 * DAY_MS, &bench->err), FX_OK);
        }
    }
    store(bench, "A", 1);
    pump_until_done(bench);
    read_all(bench, "A", &arrived);
    int beats = arrived.beats;
    const struct outbox_span span = {run, 3, 5};
    const struct outbox_request request = {"A", DAY_2020_MS, 1, &span, 1};
    assert_int_equal(outbox_obey(bench->outbox, &request, &obeyed, &bench->err), FX_OK);
    assert_int_equal(obeyed.gone, 1);
    shipper_note_resend(bench->shipper);
    assert_false(shipper_is_done(bench->shipper));
    pump_until_done(bench);
    read_all(bench, "A", &arrived);
    assert_int_equal(arrived.beats, beats + 2);
    struct outbox_run *owing = NULL;
    assert_int_equal(outbox_next_declared(bench->outbox, 0, &owing, &bench->err), FX_OK);
    assert_null(owing);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(sends_everything_once),
                                       TEST(old_rows_go_first),
                                       TEST(a_row_that_has_to_wait_is_no_hunger),
                                       TEST(resends_what_is_asked_for),
                                       TEST(resends_end_on_a_busy_post),
                                       TEST(what_is_asked_for_after_the_end_is_said),
                                       TEST(what_is_owed_is_said)};
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
