/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_base.h"

#include "../../consumers/marks.h"

static struct mark mark_of(const char *source, int64_t run, int64_t seq)
{
    struct mark one = {.topic = 1, .run = run, .seq = seq};
    snprintf(one.source, sizeof one.source, "%s", source);
    one.by_run = 99;
    one.by_seq = seq + 1000;
    return one;
}

static void add(struct mark_set *set, const char *source, int64_t run, int64_t seq)
{
    struct mark one = mark_of(source, run, seq);
    assert_ok(mark_set_add(set, &one, &err));
}

static const struct mark *find(const struct mark_set *set, const char *source, int64_t run,
                               int64_t seq)
{
    struct mark one = mark_of(source, run, seq);
    one.by_run = one.by_seq = 0; /* not looked at */
    return mark_set_find(set, &one);
}

static void an_event_is_found_by_all_of_its_key(void **state)
{
    (void)state;
    struct mark_set set;
    mark_set_init(&set, 5);
    assert_null(find(&set, "A", 1, 1));
    add(&set, "A", 1, 1);
    assert_int_equal(find(&set, "A", 1, 1)->by_seq, 1001);
    assert_null(find(&set, "B", 1, 1));
    assert_null(find(&set, "A", 2, 1));
    assert_null(find(&set, "A", 1, 2));
    struct mark other_topic = mark_of("A", 1, 1);
    other_topic.topic = 2;
    assert_null(mark_set_find(&set, &other_topic));
    mark_set_release(&set);
}

static void many_are_found_and_sent_once(void **state)
{
    (void)state;
    struct mark_set set;
    mark_set_init(&set, 6);
    for (int64_t i = 0; i < 5000; i++)
        add(&set, i % 2 ? "A" : "B", i / 100, i);
    for (int64_t i = 0; i < 5000; i++)
        assert_int_equal(find(&set, i % 2 ? "A" : "B", i / 100, i)->by_seq, i + 1000);
    mark_set_sent(&set);
    add(&set, "C", 1, 1);
    assert_int_equal(set.stored_count, 5000);
    assert_int_equal(set.count, 5001);
    mark_set_reset(&set);
    assert_int_equal(set.count, 0);
    assert_null(find(&set, "C", 1, 1));
    add(&set, "C", 1, 1);
    assert_non_null(find(&set, "C", 1, 1));
    mark_set_release(&set);
    assert_null(find(&set, "C", 1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_found_by_all_of_its_key),
        cmocka_unit_test(many_are_found_and_sent_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
