/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_base.h"

#include "../../common/day.h"
#include "../../consumers/ledger.h"

#define SEED 7
#define PARTITION 3
#define NUMBERS_MAX 3000

static const struct gap missing = {.cause = GAP_MISSING, .opened_ms = 1000};

static struct ledger_key key_of(const char *source, int64_t run)
{
    return (struct ledger_key){1, run, source, strlen(source)};
}

static int open_ledger(void **state)
{
    struct ledger *ledger = NULL;
    assert_ok(ledger_open(100000, SEED, &ledger, &err));
    *state = ledger;
    return 0;
}

static int close_ledger(void **state)
{
    ledger_close(*state);
    return 0;
}

static int find(struct ledger *ledger, const char *source, int64_t run)
{
    struct ledger_key key = key_of(source, run);
    int index = -1;
    assert_ok(ledger_find(ledger, &key, PARTITION, &index, &err));
    return index;
}

static enum ledger_verdict judge(struct ledger *ledger, int index, int64_t seq)
{
    return ledger_judge(ledger_entry(ledger, index), PARTITION, seq, false);
}

static enum ledger_verdict judge_rejected(struct ledger *ledger, int index, int64_t seq)
{
    return ledger_judge(ledger_entry(ledger, index), PARTITION, seq, true);
}

static void count(struct ledger *ledger, int index, int64_t seq)
{
    assert_int_equal(judge(ledger, index, seq), LEDGER_NEW);
    assert_ok(ledger_count(ledger, index, seq, &missing, &err));
}

static void assert_invariant(struct ledger *ledger, int index, int64_t counted)
{
    const struct ledger_entry *entry = ledger_entry(ledger, index);
    assert_int_equal(counted + gapset_sum(&entry->gaps), entry->high);
}

static void keys_are_told_apart(void **state)
{
    struct ledger *ledger = *state;
    char source[32];
    for (int i = 0; i < 20000; i++) {
        snprintf(source, sizeof source, "CP-%d", i / 4);
        assert_int_equal(find(ledger, source, i % 4), i);
    }
    struct ledger_key other = {2, 0, "CP-0", 4};
    assert_int_equal(ledger_lookup(ledger, &other), -1);
    other.topic = 1;
    assert_int_equal(ledger_lookup(ledger, &other), 0);
    other.source_size = 3;
    assert_int_equal(ledger_lookup(ledger, &other), -1);
    assert_int_equal(find(ledger, "CP-4999", 3), 19999);
    assert_int_equal(names_count(ledger_names(ledger)), 5000);
    ledger_reset(ledger);
    assert_int_equal(ledger_count_entries(ledger), 0);
    assert_int_equal(find(ledger, "CP-4999", 3), 0);
}

static void a_full_ledger_says_so(void **state)
{
    (void)state;
    struct ledger *ledger = NULL;
    assert_ok(ledger_open(2, SEED, &ledger, &err));
    find(ledger, "A", 1);
    assert_int_not_equal(ledger_room(ledger), 0);
    find(ledger, "A", 2);
    assert_int_equal(ledger_room(ledger), 0);
    struct ledger_key key = key_of("A", 3);
    int index;
    assert_code(ledger_find(ledger, &key, PARTITION, &index, &err), FX_EFULL);
    assert_int_equal(find(ledger, "A", 1), 0);
    ledger_close(ledger);
}

static void numbers_in_order_count_once(void **state)
{
    struct ledger *ledger = *state;
    int index = find(ledger, "A", 1);
    for (int64_t seq = 1; seq <= 3; seq++)
        count(ledger, index, seq);
    for (int64_t seq = 1; seq <= 3; seq++)
        assert_int_equal(judge(ledger, index, seq), LEDGER_DUPLICATE);
    struct ledger_tally spilled;
    assert_false(ledger_tally(ledger, index, &(struct ledger_tally){.duplicates = 1}, &spilled));
    assert_int_equal(ledger_entry(ledger, index)->delta.duplicates, 1);
    assert_invariant(ledger, index, 3);
}

static void a_run_lives_in_one_partition(void **state)
{
    struct ledger *ledger = *state;
    int index = find(ledger, "A", 1);
    count(ledger, index, 1);
    const struct ledger_entry *entry = ledger_entry(ledger, index);
    assert_int_equal(ledger_judge(entry, PARTITION + 1, 2, false), LEDGER_MOVED);
    assert_int_equal(ledger_judge(entry, PARTITION + 1, 1, true), LEDGER_MOVED);
}

static void a_jump_has_a_limit(void **state)
{
    struct ledger *ledger = *state;
    int index = find(ledger, "A", 1);
    count(ledger, index, 5);
    assert_int_equal(judge(ledger, index, 5 + LEDGER_JUMP_MAX + 1), LEDGER_JUMP);
    assert_int_equal(judge(ledger, index, INT64_MAX), LEDGER_JUMP);
    count(ledger, index, 5 + LEDGER_JUMP_MAX);
    assert_invariant(ledger, index, 2);
    assert_int_equal(ledger_entry(ledger, index)->high, 5 + LEDGER_JUMP_MAX);
}

/* Every second number: a run with LEDGER_GAPS_MAX gaps of three numbers each. */
static int find_full_run(struct ledger *ledger)
{
    int index = find(ledger, "A", 1);
    for (int64_t i = 1; i <= LEDGER_GAPS_MAX; i++)
        count(ledger, index, i * 4);
    assert_int_equal(ledger_entry(ledger, index)->gaps.count, LEDGER_GAPS_MAX);
    return index;
}

static void one_gap_too_many_quarantines(void **state)
{
    struct ledger *ledger = *state;
    int index = find_full_run(ledger);
    int64_t high = ledger_entry(ledger, index)->high;
    assert_int_equal(judge(ledger, index, high + 2), LEDGER_QUARANTINED);
    assert_int_equal(judge_rejected(ledger, index, high + 1), LEDGER_QUARANTINED);
    assert_int_equal(judge(ledger, index, 2), LEDGER_QUARANTINED); /* would split a gap */
    assert_int_equal(judge_rejected(ledger, index, 1), LEDGER_QUARANTINED);
    assert_int_equal(judge(ledger, index, 1), LEDGER_NEW); /* shrinks one */
    count(ledger, index, high + 1);
    count(ledger, index, 1);
    count(ledger, index, 2);
    count(ledger, index, 3); /* one gap less */
    count(ledger, index, high + 3);
    assert_int_equal(judge(ledger, index, high + 5), LEDGER_QUARANTINED);
    assert_invariant(ledger, index, LEDGER_GAPS_MAX + 5);
}

static void a_quarantined_run_takes_nothing(void **state)
{
    struct ledger *ledger = *state;
    int index = find(ledger, "A", 1);
    count(ledger, index, 1);
    ledger_quarantine(ledger, index);
    assert_int_equal(judge(ledger, index, 2), LEDGER_QUARANTINED);
    assert_int_equal(judge(ledger, index, 1), LEDGER_QUARANTINED);
    ledger_load(ledger, index, 1, PARTITION, false);
    assert_int_equal(judge(ledger, index, 2), LEDGER_NEW);
}

static void a_rejected_number_lies_in_a_gap_until_a_good_copy(void **state)
{
    struct ledger *ledger = *state;
    int index = find(ledger, "A", 1);
    count(ledger, index, 1);
    assert_ok(ledger_reject(ledger, index, 4, &missing, &err));
    struct gapset *gaps = &ledger_entry(ledger, index)->gaps;
    assert_int_equal(gaps->count, 2);
    assert_int_equal(gaps->gaps[0].cause, GAP_MISSING);
    assert_int_equal(gaps->gaps[1].cause, GAP_REJECTED);
    assert_invariant(ledger, index, 1);
    assert_ok(ledger_reject(ledger, index, 1, &missing, &err)); /* a bad copy of a counted one */
    assert_int_equal(judge(ledger, index, 1), LEDGER_DUPLICATE);
    count(ledger, index, 4);
    assert_int_equal(gaps->count, 1);
    assert_int_equal(ledger_entry(ledger, index)->delta.rejected, 2);
    assert_invariant(ledger, index, 2);
}

static struct ledger_heartbeat beat_of(int64_t n, int64_t acked_seq)
{
    return (struct ledger_heartbeat){
        .n = n, .last_seq = acked_seq + 9, .acked_seq = acked_seq, .appended_ms = 1000};
}

static void a_heartbeat_shows_what_is_missing(void **state)
{
    struct ledger *ledger = *state;
    int index = find(ledger, "A", 1);
    count(ledger, index, 1);
    struct ledger_heartbeat beat = beat_of(2, 4);
    assert_ok(ledger_apply_heartbeat(ledger, index, &beat, &missing, &err));
    assert_int_equal(ledger_entry(ledger, index)->high, 4);
    assert_invariant(ledger, index, 1);
    struct ledger_heartbeat older = beat_of(1, 3);
    assert_false(ledger_heartbeat_raises(ledger_entry(ledger, index), &older));
    assert_ok(ledger_apply_heartbeat(ledger, index, &older, &missing, &err));
    assert_int_equal(ledger_entry(ledger, index)->high, 4);
    assert_int_equal(ledger_pending_heartbeat(ledger, index)->acked_seq, 4);
    count(ledger, index, 3);
    count(ledger, index, 5);
    assert_invariant(ledger, index, 3);
    struct ledger_heartbeat far = beat_of(3, 5 + LEDGER_JUMP_MAX + 1);
    assert_code(ledger_apply_heartbeat(ledger, index, &far, &missing, &err), FX_EFULL);
    assert_int_equal(ledger_entry(ledger, index)->heartbeat_n, 2);
}

/* A sum of what the heartbeats tell must never be too large for the views. */
static void a_heartbeat_tells_of_nothing_out_of_reach(void **state)
{
    struct ledger *ledger = *state;
    int index = find(ledger, "A", 1);
    count(ledger, index, 1);
    struct fx_err err = FX_ERR_INIT;
    static const struct {
        const char *name;
        size_t field;
        int64_t most;
    } limits[] = {
        {"last_seq", offsetof(struct ledger_heartbeat, last_seq), 4 + LEDGER_JUMP_MAX},
        {"oldest_kept", offsetof(struct ledger_heartbeat, oldest_kept), 4 + LEDGER_JUMP_MAX},
        {"refused", offsetof(struct ledger_heartbeat, refused), LEDGER_TOLD_MAX},
        {"previous_last_seq", offsetof(struct ledger_heartbeat, previous_last_seq),
         LEDGER_TOLD_MAX},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        int64_t values[] = {limits[i].most, limits[i].most + 1, INT64_MAX};
        for (size_t v = 0; v < 3; v++) {
            struct ledger_heartbeat beat = beat_of((int64_t)i + 1, 4);
            memcpy((char *)&beat + limits[i].field, &values[v], sizeof values[v]);
            enum fx_code code = ledger_apply_heartbeat(ledger, index, &beat, &missing, &err);
            assert_int_equal(code, v == 0 ? FX_OK : FX_EFULL);
            assert_true(v == 0 || strstr(err.text, limits[i].name) != NULL);
            assert_false(v > 0 && ledger_heartbeat_raises(ledger_entry(ledger, index), &beat));
            fx_err_clear(&err);
        }
        assert_int_equal(ledger_entry(ledger, index)->high, 4);
    }
}

/* What a post that lost its count of heartbeats had acknowledged, and the broker lost, is told. */
static void a_lower_number_that_tells_of_more_is_newer(void **state)
{
    struct ledger *ledger = *state;
    int index = find(ledger, "A", 1);
    count(ledger, index, 1);
    struct ledger_heartbeat beat = beat_of(7, 0);
    assert_ok(ledger_apply_heartbeat(ledger, index, &beat, &missing, &err));
    struct ledger_heartbeat ended = beat_of(0, 2);
    ended.state = HEARTBEAT_ENDED;
    assert_true(ledger_heartbeat_raises(ledger_entry(ledger, index), &ended));
    assert_ok(ledger_apply_heartbeat(ledger, index, &ended, &missing, &err));
    assert_int_equal(ledger_entry(ledger, index)->high, 2);
    assert_int_equal(ledger_entry(ledger, index)->heartbeat_n, 0);
    assert_int_equal(ledger_pending_heartbeat(ledger, index)->state, HEARTBEAT_ENDED);
    assert_invariant(ledger, index, 1);
}

static void a_heartbeat_opens_no_gap_too_many(void **state)
{
    struct ledger *ledger = *state;
    int index = find_full_run(ledger);
    struct ledger_heartbeat beat = beat_of(1, ledger_entry(ledger, index)->high + 1);
    assert_code(ledger_apply_heartbeat(ledger, index, &beat, &missing, &err), FX_EFULL);
    beat.acked_seq--;
    assert_ok(ledger_apply_heartbeat(ledger, index, &beat, &missing, &err));
    assert_invariant(ledger, index, LEDGER_GAPS_MAX);
}

static void what_changed_is_sent_once(void **state)
{
    struct ledger *ledger = *state;
    int first = find(ledger, "A", 1);
    int second = find(ledger, "B", 1);
    int dirty = 0;
    ledger_dirty(ledger, &dirty);
    assert_int_equal(dirty, 0); /* met is not changed */
    count(ledger, second, 2);
    count(ledger, second, 3);
    struct ledger_heartbeat beat = beat_of(1, 3);
    assert_ok(ledger_apply_heartbeat(ledger, second, &beat, &missing, &err));
    const int *list = ledger_dirty(ledger, &dirty);
    assert_int_equal(dirty, 1);
    assert_int_equal(list[0], second);
    assert_false(ledger_entry(ledger, second)->is_known);
    assert_null(ledger_pending_heartbeat(ledger, first));
    ledger_sent(ledger);
    ledger_dirty(ledger, &dirty);
    assert_int_equal(dirty, 0);
    const struct ledger_entry *entry = ledger_entry(ledger, second);
    assert_true(entry->is_known && entry->gaps.gaps[0].is_stored);
    assert_int_equal(entry->sent_high, 3);
    assert_int_equal(entry->delta.counted, 0);
    assert_null(ledger_pending_heartbeat(ledger, second));
    assert_false(ledger_entry(ledger, first)->is_known);
}

static void signs_of_life_are_five_minute_slots(void **state)
{
    struct ledger *ledger = *state;
    int index = find(ledger, "A", 1);
    int64_t hour_ms = DAY_2020_MS + 7 * DAY_HOUR_MS;
    int64_t spilled_ms = 0;
    uint32_t spilled = 0;
    assert_true(ledger_sign_of_life(ledger, index, hour_ms, &spilled_ms, &spilled));
    assert_true(ledger_sign_of_life(ledger, index, hour_ms + 3599999, &spilled_ms, &spilled));
    assert_int_equal(ledger_entry(ledger, index)->slots, 0x801);
    assert_false(ledger_sign_of_life(ledger, index, hour_ms - 1, &spilled_ms, &spilled));
    assert_int_equal(spilled_ms, hour_ms);
    assert_int_equal(spilled, 0x801);
    assert_int_equal(ledger_entry(ledger, index)->hour_ms, hour_ms - DAY_HOUR_MS);
    assert_int_equal(ledger_entry(ledger, index)->slots, 0x800);
}

static void a_sign_of_life_is_flushed_once(void **state)
{
    struct ledger *ledger = *state;
    int index = find(ledger, "A", 1);
    int64_t hour_ms = DAY_2020_MS + 7 * DAY_HOUR_MS;
    int64_t spilled_ms = 0;
    uint32_t spilled = 0;
    assert_true(ledger_sign_of_life(ledger, index, hour_ms, &spilled_ms, &spilled));
    ledger_sent(ledger);
    assert_true(ledger_sign_of_life(ledger, index, hour_ms + 1, &spilled_ms, &spilled));
    assert_int_equal(ledger_entry(ledger, index)->slots, 0);
    assert_true(ledger_sign_of_life(ledger, index, hour_ms + 300000, &spilled_ms, &spilled));
    assert_int_equal(ledger_entry(ledger, index)->slots, 0x2);
    ledger_sent(ledger);
    /* nothing waits: another hour begins, and the first one would be said again */
    assert_true(ledger_sign_of_life(ledger, index, hour_ms - 1, &spilled_ms, &spilled));
    assert_false(ledger_sign_of_life(ledger, index, hour_ms, &spilled_ms, &spilled));
    assert_int_equal(spilled, 0x800);
    assert_int_equal(ledger_entry(ledger, index)->slots, 0x1);
}

/* One random message of a run, and what a bitmap says about it. */
struct stream {
    struct dice dice;
    struct ledger *ledger;
    int index;
    bool is_counted[NUMBERS_MAX + 1];
    int64_t counted;
    int64_t high;
    int64_t beats;
};

static void take_number(struct stream *stream, int64_t seq, bool is_rejected)
{
    enum ledger_verdict verdict =
        ledger_judge(ledger_entry(stream->ledger, stream->index), PARTITION, seq, is_rejected);
    bool was_counted = stream->is_counted[seq];
    assert_int_equal(verdict, was_counted ? LEDGER_DUPLICATE : LEDGER_NEW);
    if (is_rejected) {
        assert_ok(ledger_reject(stream->ledger, stream->index, seq, &missing, &err));
    } else if (!was_counted) {
        assert_ok(ledger_count(stream->ledger, stream->index, seq, &missing, &err));
        stream->is_counted[seq] = true;
        stream->counted++;
    }
    if (seq > stream->high)
        stream->high = seq;
}

static void step(struct stream *stream)
{
    struct dice *dice = &stream->dice;
    int64_t ahead = dice_chance(dice, 70) ? 1 : dice_between(dice, 1, 6);
    if (dice_chance(dice, 5)) {
        struct ledger_heartbeat beat = beat_of(++stream->beats, stream->high + ahead - 1);
        assert_ok(ledger_apply_heartbeat(stream->ledger, stream->index, &beat, &missing, &err));
        stream->high += ahead - 1;
    } else if (dice_chance(dice, 40) && stream->high > 0) {
        take_number(stream, dice_between(dice, 1, stream->high), dice_chance(dice, 30));
    } else {
        take_number(stream, stream->high + ahead, dice_chance(dice, 15));
    }
    if (dice_chance(dice, 5))
        ledger_sent(stream->ledger);
}

static void counted_and_gaps_always_add_up_to_high(void **state)
{
    static struct stream stream;
    for (uint64_t seed = 0; seed < 40; seed++) {
        memset(&stream, 0, sizeof stream);
        stream.dice.state = seed;
        stream.ledger = *state;
        ledger_reset(stream.ledger);
        stream.index = find(stream.ledger, "A", (int64_t)seed);
        while (stream.high < NUMBERS_MAX - 10) {
            step(&stream);
            assert_int_equal(ledger_entry(stream.ledger, stream.index)->high, stream.high);
            assert_invariant(stream.ledger, stream.index, stream.counted);
        }
        const struct gapset *gaps = &ledger_entry(stream.ledger, stream.index)->gaps;
        for (int64_t seq = 1; seq <= stream.high; seq++)
            assert_int_equal(gapset_find(gaps, seq) < 0, stream.is_counted[seq]);
    }
}

/* The day before is closed by the first number above all others that belongs to a later one. */
static void numbers_belong_to_days(void **state)
{
    static const int64_t day_ms = 86400000;
    static const int64_t midnight_ms = INT64_C(1644422400000); /* 2022-02-10T00:00+08:00 */
    struct ledger *ledger = *state;
    struct ledger_day closed;
    int index = find(ledger, "A", 1);
    const struct ledger_entry *entry = ledger_entry(ledger, index);
    assert_false(ledger_date(ledger, index, midnight_ms - 1, &closed));
    assert_int_equal(entry->day.end_ms, midnight_ms);
    assert_int_equal(entry->day.first, 1);
    count(ledger, index, 3);
    assert_false(ledger_date(ledger, index, midnight_ms - day_ms, &closed)); /* late */
    count(ledger, index, 4);
    assert_false(ledger_date(ledger, index, midnight_ms - 1, &closed));
    count(ledger, index, 5);
    assert_true(ledger_date(ledger, index, midnight_ms, &closed));
    assert_int_equal(closed.end_ms, midnight_ms);
    assert_int_equal(closed.first, 1);
    assert_int_equal(entry->day.end_ms, midnight_ms + day_ms);
    assert_int_equal(entry->day.first, 6);
    /* no number came of it: the day holds none and is not closed */
    assert_false(ledger_date(ledger, index, midnight_ms + 3 * day_ms, &closed));
    assert_int_equal(entry->day.end_ms, midnight_ms + 4 * day_ms);
    assert_int_equal(entry->day.first, 6);
}

static void a_tally_is_of_one_day(void **state)
{
    struct ledger *ledger = *state;
    struct ledger_tally spilled;
    int index = find(ledger, "A", 1);
    struct ledger_tally late = {.day_end_ms = 1000, .late = 1};
    struct ledger_tally twice = {.day_end_ms = 2000, .duplicates = 1};
    assert_false(ledger_tally(ledger, index, &late, &spilled));
    assert_false(ledger_tally(ledger, index, &late, &spilled));
    assert_true(ledger_tally(ledger, index, &twice, &spilled));
    assert_int_equal(spilled.day_end_ms, 1000);
    assert_int_equal(spilled.late, 2);
    assert_int_equal(ledger_entry(ledger, index)->tally.duplicates, 1);
    assert_int_equal(ledger_entry(ledger, index)->delta.late, 2);
    ledger_sent(ledger);
    assert_false(ledger_tally(ledger, index, &late, &spilled));
    assert_int_equal(ledger_entry(ledger, index)->tally.duplicates, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_ledger, close_ledger)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_are_told_apart),
        cmocka_unit_test(a_full_ledger_says_so),
        TEST(numbers_in_order_count_once),
        TEST(a_run_lives_in_one_partition),
        TEST(a_jump_has_a_limit),
        TEST(one_gap_too_many_quarantines),
        TEST(a_quarantined_run_takes_nothing),
        TEST(a_rejected_number_lies_in_a_gap_until_a_good_copy),
        TEST(a_heartbeat_shows_what_is_missing),
        TEST(a_heartbeat_tells_of_nothing_out_of_reach),
        TEST(a_lower_number_that_tells_of_more_is_newer),
        TEST(a_heartbeat_opens_no_gap_too_many),
        TEST(what_changed_is_sent_once),
        TEST(signs_of_life_are_five_minute_slots),
        TEST(a_sign_of_life_is_flushed_once),
        TEST(numbers_belong_to_days),
        TEST(a_tally_is_of_one_day),
        TEST(counted_and_gaps_always_add_up_to_high),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
