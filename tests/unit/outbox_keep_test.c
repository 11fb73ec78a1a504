/* SPDX-License-Identifier: Apache-2.0 */
/* How long the outbox keeps what is acknowledged, and what was answered. */
#include "../../common/day.h"
#include "../../producers/outbox_rules.h"
#include "../../producers/outbox_send.h"
#include "scratch.h"

#include <sodium.h>
#include <sqlite3.h>

struct bench {
    struct scratch scratch;
    struct outbox_options options;
    struct outbox *outbox;
    char path[512];
    int64_t now_ms;
    struct fx_err err;
};

static void reopen(struct bench *bench)
{
    outbox_close(bench->outbox);
    bench->outbox = NULL;
    if (outbox_open(&bench->options, &bench->outbox, &bench->err) != FX_OK)
        fail_msg("%s", bench->err.text);
}

static int set_up(void **state)
{
    static struct bench bench;
    bench = (struct bench){.now_ms = day_now_ms()};
    scratch_open(&bench.scratch);
    snprintf(bench.path, sizeof bench.path, "%s/o.db", bench.scratch.root);
    bench.options = (struct outbox_options){.path = bench.path, .kind = "checkpoint"};
    if (sodium_init() < 0)
        return -1;
    reopen(&bench);
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    outbox_close(bench->outbox);
    scratch_close(&bench->scratch);
    return 0;
}

/* So many lines of source A, the i-th with the id "prefix-i"; prefix NULL: without. */
static void store(struct bench *bench, const char *prefix, int count)
{
    char id[32];
    struct outbox_run *run = NULL;
    assert_int_equal(outbox_begin(bench->outbox, &bench->err), FX_OK);
    assert_int_equal(outbox_take_run(bench->outbox, "A", "4415", &run, &bench->err), FX_OK);
    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof id, "%s-%d", prefix == NULL ? "" : prefix, i);
        const struct outbox_event event = {(const uint8_t *)"x", 1, bench->now_ms, bench->now_ms,
                                           prefix == NULL ? NULL : id};
        assert_int_equal(outbox_append(bench->outbox, run, &event, &bench->err), FX_OK);
    }
    assert_int_equal(outbox_commit(bench->outbox, &bench->err), FX_OK);
}

/* All is acknowledged; so much later the outbox is told to write that down. */
static void acknowledge(struct bench *bench, int64_t later_ms)
{
    bool is_end;
    outbox_ack(bench->outbox, outbox_last_id(bench->outbox));
    outbox_touch(bench->outbox, outbox_run_at(bench->outbox, 0, &is_end));
    bench->now_ms += later_ms;
    for (int i = 0; i < 8; i++)
        assert_int_equal(outbox_flush(bench->outbox, bench->now_ms, &bench->err), FX_OK);
}

static int64_t count_kept(struct bench *bench)
{
    struct outbox_counts counts;
    assert_int_equal(outbox_count(bench->outbox, &counts, &bench->err), FX_OK);
    return counts.kept;
}

/* The number that a line with this id is answered, 0: it would get a new one. */
static int64_t answer(struct bench *bench, const char *id)
{
    struct outbox_number number;
    assert_int_equal(outbox_find_line(bench->outbox, "A", id, &number, &bench->err), FX_OK);
    return number.seq;
}

/* Who did not read the answer repeats the line, when its event is long gone. */
static void an_id_outlives_its_event(void **state)
{
    struct bench *bench = *state;
    struct outbox_number number;
    bool is_end;
    store(bench, "a", 10);
    int64_t run = outbox_run_at(bench->outbox, 0, &is_end)->run;
    acknowledge(bench, 1);
    assert_int_equal(count_kept(bench), 0);
    assert_int_equal(answer(bench, "a-9"), 10);
    reopen(bench);
    assert_int_equal(outbox_find_line(bench->outbox, "A", "a-4", &number, &bench->err), FX_OK);
    assert_int_equal(number.run, run);
    assert_int_equal(number.seq, 5);
    store(bench, "b", 1);
    acknowledge(bench, OUTBOX_ID_KEEP_MS);
    assert_int_equal(answer(bench, "a-4"), 0);
    assert_int_equal(answer(bench, "b-0"), 1); /* as old as may be */
    acknowledge(bench, 1);
    assert_int_equal(answer(bench, "b-0"), 0);
}

/* An event that is not acknowledged holds its id, however old. */
static void an_id_stays_with_its_event(void **state)
{
    struct bench *bench = *state;
    store(bench, "a", 3);
    outbox_ack(bench->outbox, 1);
    assert_int_equal(
        outbox_flush(bench->outbox, bench->now_ms + 9 * OUTBOX_ID_KEEP_MS, &bench->err), FX_OK);
    assert_int_equal(answer(bench, "a-0"), 0);
    assert_int_equal(answer(bench, "a-1"), 2);
    bench->options.keep_ms = 3 * OUTBOX_ID_KEEP_MS;
    reopen(bench);
    acknowledge(bench, 2 * OUTBOX_ID_KEEP_MS);
    assert_int_equal(answer(bench, "a-1"), 2);
    acknowledge(bench, OUTBOX_ID_KEEP_MS + 1);
    assert_int_equal(answer(bench, "a-1"), 0);
}

/* At its bound the outbox gives up ids before it takes no more, but not those of the last hour. */
static void ids_give_way_to_lines(void **state)
{
    struct bench *bench = *state;
    bench->options.bytes_max = 1 << 20;
    reopen(bench);
    bench->now_ms -= OUTBOX_ID_KEEP_FULL_MS + 60000;
    store(bench, "old", 6000);
    bench->now_ms = day_now_ms();
    store(bench, "young", 1000);
    outbox_ack(bench->outbox, outbox_last_id(bench->outbox));
    assert_int_equal(outbox_flush(bench->outbox, bench->now_ms + 1, &bench->err), FX_OK);
    assert_int_equal(answer(bench, "old-0"), 1);
    while (answer(bench, "old-0") != 0) {
        store(bench, NULL, 500);
        assert_true(outbox_has_room(bench->outbox));
    }
    assert_int_equal(answer(bench, "young-0"), 6001);
    while (outbox_has_room(bench->outbox))
        store(bench, NULL, 500);
    assert_int_equal(answer(bench, "young-0"), 6001);
    assert_int_equal(answer(bench, "old-5999"), 0);
}

/* A clock that was far ahead for more rows than are looked at at once. They are kept for as long as
 * what came next, and hold up nothing behind them. */
static void a_jump_of_the_clock_passes(void **state)
{
    struct bench *bench = *state;
    const int64_t jump_ms = 70 * 365 * OUTBOX_ID_KEEP_MS;
    bench->options.keep_ms = 1000;
    reopen(bench);
    bench->now_ms += jump_ms;
    store(bench, "ahead", 9000);
    bench->now_ms -= jump_ms;
    store(bench, "b", 10);
    acknowledge(bench, 1000);
    assert_int_equal(count_kept(bench), 9010);
    acknowledge(bench, 1);
    assert_int_equal(count_kept(bench), 0);
    assert_int_equal(answer(bench, "ahead-8999"), 9000);
    acknowledge(bench, OUTBOX_ID_KEEP_MS);
    assert_int_equal(answer(bench, "ahead-0"), 0);
    assert_int_equal(answer(bench, "b-9"), 0);
}

/* Less than that is a clock like others. */
static void a_clock_a_little_ahead_is_believed(void **state)
{
    struct bench *bench = *state;
    bench->options.keep_ms = 1000;
    reopen(bench);
    bench->now_ms += OUTBOX_AHEAD_MS - 10000;
    store(bench, NULL, 10);
    bench->now_ms -= OUTBOX_AHEAD_MS - 10000;
    store(bench, NULL, 10);
    acknowledge(bench, 2000);
    assert_int_equal(count_kept(bench), 20);
    acknowledge(bench, OUTBOX_AHEAD_MS - 10000);
    assert_int_equal(count_kept(bench), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_id_outlives_its_event), TEST(an_id_stays_with_its_event),
        TEST(ids_give_way_to_lines), TEST(a_jump_of_the_clock_passes),
        TEST(a_clock_a_little_ahead_is_believed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
