/* SPDX-License-Identifier: Apache-2.0 */
#include "../../consumers/ask.h"
#include "scratch.h"

#define NOW_MS INT64_C(1700000000000)
#define AFTER_MS INT64_C(600000)
#define TOPIC "fangxian.checkpoint"
#define RUN INT64_C(0x0123456789ab)

static struct ask ask;
static const struct ask_policy policy = {AFTER_MS, NOW_MS};
static const struct ask_run caught_up = {NOW_MS - 1000, -1, 0, false};
static const struct ask_known nothing = {0, 0, ""};

static void add(int64_t first, int64_t last)
{
    const struct ask_gap gap = {TOPIC, RUN, first, last, NOW_MS - 2 * AFTER_MS};
    ask_add(&ask, &policy, &gap, &caught_up);
}

static int set_up(void **state)
{
    (void)state;
    ask_reset(&ask);
    return 0;
}

/* What a request for the gaps in ask would be; valid until the next call. */
static const char *body_now(void)
{
    static struct buf body = BUF_INIT;
    buf_reset(&body);
    ask_write_body(&ask, &body);
    return buf_text(&body);
}

static void the_first_request_says_it_all(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    const struct ask_gap other = {TOPIC, 1, 7, 7, 0};
    const struct ask_gap site = {"fangxian.test-site", RUN, 2, 3, 0};
    add(20, 20);
    add(4811, 4813);
    ask_add(&ask, &policy, &site, &caught_up);
    ask_add(&ask, &policy, &other, &caught_up);
    struct ask_decision decision = ask_decide(&ask, &policy, &nothing);
    assert_int_equal(decision.action, ASK_SEND);
    ask_write(&decision, body_now(), &out);
    assert_string_equal(
        buf_text(&out),
        "{\"asked_at\":\"2023-11-15T06:13:20.000+08:00\",\"attempt\":1,\"runs\":["
        "{\"topic\":\"fangxian.checkpoint\",\"run\":\"000000000001\",\"ranges\":[[7,7]]},"
        "{\"topic\":\"fangxian.checkpoint\",\"run\":\"0123456789ab\",\"ranges\":[[20,20],"
        "[4811,4813]]},"
        "{\"topic\":\"fangxian.test-site\",\"run\":\"0123456789ab\",\"ranges\":[[2,3]]}]}");
    buf_release(&out);
}

static void a_gap_may_fill_by_itself_first(void **state)
{
    (void)state;
    struct ask_gap gap = {TOPIC, RUN, 1, 5, caught_up.caught_up_ms - AFTER_MS + 1};
    ask_add(&ask, &policy, &gap, &caught_up);
    assert_int_equal(ask_decide(&ask, &policy, &nothing).action, ASK_NOTHING);
    gap.opened_ms--;
    ask_add(&ask, &policy, &gap, &caught_up);
    assert_int_equal(ask_decide(&ask, &policy, &nothing).action, ASK_SEND);
}

/* Whoever is behind may find the numbers in Kafka; a request already made stays as it is. */
/* Kafka's clock was a week ahead for a moment: its gap is not left alone for a week. */
static void a_gap_from_far_ahead_is_asked_for(void **state)
{
    (void)state;
    struct ask_gap gap = {TOPIC, RUN, 1, 5, NOW_MS + ASK_AHEAD_MS - 1};
    ask_add(&ask, &policy, &gap, &caught_up);
    assert_int_equal(ask_decide(&ask, &policy, &nothing).action, ASK_NOTHING);
    gap.opened_ms = NOW_MS + 7 * 24 * ASK_AHEAD_MS;
    ask_add(&ask, &policy, &gap, &caught_up);
    assert_int_equal(ask_decide(&ask, &policy, &nothing).action, ASK_SEND);
}

static void a_partition_that_is_behind_is_not_judged(void **state)
{
    (void)state;
    static const int64_t behind[] = {-1, NOW_MS - ASK_STALE_MS - 1};
    const struct ask_gap gap = {TOPIC, RUN, 1, 5, NOW_MS - 100 * AFTER_MS};
    const struct ask_known known = {NOW_MS - 1, 3, "[]"};
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++) {
        const struct ask_run run = {behind[i], -1, 0, false};
        ask_reset(&ask);
        ask_add(&ask, &policy, &gap, &run);
        assert_int_equal(ask_decide(&ask, &policy, &nothing).action, ASK_NOTHING);
        assert_int_equal(ask_decide(&ask, &policy, &known).action, ASK_NOTHING);
    }
}

/* oldest_kept, announced -> first number asked for of 5 to 9, 0: nobody is asked. */
static void what_its_source_gave_up_is_not_asked_for(void **state)
{
    (void)state;
    static const int64_t cases[][3] = {{-1, 0, 5},  {1, 20, 5}, {5, 20, 5}, {6, 20, 6}, {9, 20, 9},
                                       {10, 20, 0}, {0, 20, 0}, {0, 9, 0},  {0, 7, 8},  {0, 0, 5}};
    const struct ask_gap gap = {TOPIC, RUN, 5, 9, 0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct ask_run run = {NOW_MS, cases[i][0], cases[i][1], false};
        ask_reset(&ask);
        ask_add(&ask, &policy, &gap, &run);
        assert_int_equal(ask.count, cases[i][2] != 0);
        if (ask.count == 1)
            assert_int_equal(ask.gaps[0].first, cases[i][2]);
    }
}

static void a_quarantined_run_is_left_alone(void **state)
{
    (void)state;
    const struct ask_gap gap = {TOPIC, RUN, 5, 9, 0};
    const struct ask_run run = {NOW_MS, -1, 0, true};
    ask_add(&ask, &policy, &gap, &run);
    assert_int_equal(ask_decide(&ask, &policy, &nothing).action, ASK_NOTHING);
}

static void the_same_is_asked_again_after_a_wait(void **state)
{
    (void)state;
    add(1, 5);
    add(8, 9);
    (void)ask_decide(&ask, &policy, &nothing);
    for (int attempts = 1; attempts < 12; attempts++) {
        int64_t wait_ms = ask_wait_ms(AFTER_MS, attempts);
        struct ask_known known = {NOW_MS - wait_ms + 1, attempts, body_now()};
        assert_int_equal(ask_decide(&ask, &policy, &known).action, ASK_NOTHING);
        known.asked_at_ms--;
        struct ask_decision decision = ask_decide(&ask, &policy, &known);
        assert_int_equal(decision.action, ASK_SEND);
        assert_int_equal(decision.attempt, attempts + 1);
    }
}

static void waits_double_up_to_six_hours(void **state)
{
    (void)state;
    static const int64_t minutes[] = {10, 20, 40, 80, 160, 320, 360, 360};
    for (int i = 0; i < (int)(sizeof minutes / sizeof minutes[0]); i++)
        assert_int_equal(ask_wait_ms(AFTER_MS, i + 1), minutes[i] * 60000);
    assert_int_equal(ask_wait_ms(AFTER_MS, 1000000), ASK_WAIT_MAX_MS);
    assert_int_equal(ask_wait_ms(100 * ASK_WAIT_MAX_MS, 1), ASK_WAIT_MAX_MS);
}

/* Otherwise every number that arrives would have the rest sent twice. */
static void an_answer_in_part_is_no_new_request(void **state)
{
    (void)state;
    const struct ask_known known = {
        NOW_MS - 1, 1,
        "[{\"topic\":\"fangxian.checkpoint\",\"run\":\"0123456789ab\",\"ranges\":[[1,5],[8,20]]}]"};
    add(2, 3);
    add(5, 5);
    add(20, 20);
    assert_int_equal(ask_decide(&ask, &policy, &known).action, ASK_NOTHING);
}

static void one_number_more_is_a_new_request(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "[{\"topic\":\"fangxian.checkpoint\",\"run\":\"0123456789ab\",\"ranges\":[[2,5]]}]",
        "[{\"topic\":\"fangxian.checkpoint\",\"run\":\"0123456789ab\",\"ranges\":[[1,4]]}]",
        "[{\"topic\":\"fangxian.checkpoint\",\"run\":\"0123456789ab\",\"ranges\":[[7,9]]}]",
        "[{\"topic\":\"fangxian.checkpoint\",\"run\":\"0123456789ac\",\"ranges\":[[1,5]]}]",
        "[{\"topic\":\"fangxian.checkpoin\",\"run\":\"0123456789ab\",\"ranges\":[[1,5]]}]",
        "[]",
        "",
        "[[1,5]]",
        "{\"topic\":\"fangxian.checkpoint\"",
        "no body of ours"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const struct ask_known known = {NOW_MS - 1, 5, bodies[i]};
        ask_reset(&ask);
        add(1, 5);
        struct ask_decision decision = ask_decide(&ask, &policy, &known);
        assert_int_equal(decision.action, ASK_SEND);
        assert_int_equal(decision.attempt, 1);
    }
}

static void nothing_left_withdraws_the_request(void **state)
{
    (void)state;
    const struct ask_known known = {NOW_MS - 1, 2, "[]"};
    assert_int_equal(ask_decide(&ask, &policy, &known).action, ASK_WITHDRAW);
    assert_int_equal(ask_decide(&ask, &policy, &nothing).action, ASK_NOTHING);
}

/* Stations tell requests apart by their time. */
static void a_later_request_has_a_later_time(void **state)
{
    (void)state;
    const struct ask_known known = {NOW_MS + 5000, 1, "[]"};
    add(1, 1);
    struct ask_decision decision = ask_decide(&ask, &policy, &known);
    assert_int_equal(decision.action, ASK_SEND);
    assert_int_equal(decision.asked_at_ms, NOW_MS + 5001);
}

static void of_many_gaps_the_newest_are_asked_for(void **state)
{
    (void)state;
    for (int i = 0; i < ASK_RANGES_MAX + 100; i++) {
        const struct ask_gap gap = {TOPIC, RUN, 2 * i + 1, 2 * i + 1, i};
        ask_add(&ask, &policy, &gap, &caught_up);
    }
    assert_int_equal(ask_decide(&ask, &policy, &nothing).action, ASK_SEND);
    assert_int_equal(ask.count, ASK_RANGES_MAX);
    assert_int_equal(ask.left_out, 100);
    assert_int_equal(ask.gaps[0].first, 201);
    const struct ask_known known = {NOW_MS, 1, body_now()};
    assert_int_equal(ask_decide(&ask, &policy, &known).action, ASK_NOTHING);
}

/* The newest cannot be answered: attempt by attempt the older ones are asked for too. */
static void of_many_gaps_each_gets_its_turn(void **state)
{
    (void)state;
    static bool is_asked[2 * ASK_RANGES_MAX + 100];
    static char last[ASK_BODY_MAX + 1];
    struct ask_known known = nothing;
    for (int attempt = 1; attempt <= 4; attempt++) {
        ask_reset(&ask);
        for (int i = 0; i < 2 * ASK_RANGES_MAX + 100; i++) {
            const struct ask_gap gap = {TOPIC, RUN, 2 * i + 1, 2 * i + 1, i};
            ask_add(&ask, &policy, &gap, &caught_up);
        }
        struct ask_decision decision = ask_decide(&ask, &policy, &known);
        assert_int_equal(decision.action, ASK_SEND);
        assert_int_equal(decision.attempt, attempt);
        assert_int_equal(ask.count, attempt == 3 ? 100 : ASK_RANGES_MAX);
        for (int i = 0; i < ask.count; i++)
            is_asked[ask.gaps[i].first / 2] = true;
        snprintf(last, sizeof last, "%s", body_now());
        /* the wait doubles with each round of three */
        known = (struct ask_known){NOW_MS - AFTER_MS * (attempt < 4 ? 1 : 2), attempt, last};
    }
    for (int i = 0; i < 2 * ASK_RANGES_MAX + 100; i++)
        assert_true(is_asked[i]);
}

/* In part: wait. In full: ask for the others at once. */
static void of_many_gaps_the_next_follow_an_answer(void **state)
{
    (void)state;
    static char first[ASK_BODY_MAX + 1];
    const struct ask_known known = {NOW_MS, 1, first};
    for (int answered = 0; answered <= ASK_RANGES_MAX; answered += ASK_RANGES_MAX / 2) {
        ask_reset(&ask);
        for (int i = answered; i < 4 * ASK_RANGES_MAX; i++) {
            const struct ask_gap gap = {TOPIC, RUN, 2 * i + 1, 2 * i + 1, 10000 - i};
            ask_add(&ask, &policy, &gap, &caught_up);
        }
        struct ask_decision decision = ask_decide(&ask, &policy, answered ? &known : &nothing);
        assert_int_equal(decision.action, answered == ASK_RANGES_MAX / 2 ? ASK_NOTHING : ASK_SEND);
        if (answered == 0)
            snprintf(first, sizeof first, "%s", body_now());
    }
    assert_int_equal(ask.gaps[0].first, 2 * ASK_RANGES_MAX + 1);
}

/* Long names, long numbers, a run each: bytes are the limit. */
static void a_message_is_bounded(void **state)
{
    (void)state;
    char topic[250];
    memset(topic, 't', sizeof topic - 1);
    topic[sizeof topic - 1] = '\0';
    for (int i = 0; i < ASK_RANGES_MAX; i++) {
        const struct ask_gap gap = {topic, RUN + i, INT64_MAX - 1, INT64_MAX, 0};
        ask_add(&ask, &policy, &gap, &caught_up);
    }
    assert_int_equal(ask_decide(&ask, &policy, &nothing).action, ASK_SEND);
    assert_in_range(strlen(body_now()), ASK_BODY_MAX / 2, ASK_BODY_MAX);
    assert_int_equal(ask.count + ask.left_out, ASK_RANGES_MAX);
    const struct ask_known known = {NOW_MS, 1, body_now()};
    assert_int_equal(ask_decide(&ask, &policy, &known).action, ASK_NOTHING);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(the_first_request_says_it_all),
                                       TEST(a_gap_may_fill_by_itself_first),
                                       TEST(a_gap_from_far_ahead_is_asked_for),
                                       TEST(a_partition_that_is_behind_is_not_judged),
                                       TEST(what_its_source_gave_up_is_not_asked_for),
                                       TEST(a_quarantined_run_is_left_alone),
                                       TEST(the_same_is_asked_again_after_a_wait),
                                       TEST(waits_double_up_to_six_hours),
                                       TEST(an_answer_in_part_is_no_new_request),
                                       TEST(one_number_more_is_a_new_request),
                                       TEST(nothing_left_withdraws_the_request),
                                       TEST(a_later_request_has_a_later_time),
                                       TEST(of_many_gaps_the_newest_are_asked_for),
                                       TEST(of_many_gaps_each_gets_its_turn),
                                       TEST(of_many_gaps_the_next_follow_an_answer),
                                       TEST(a_message_is_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
