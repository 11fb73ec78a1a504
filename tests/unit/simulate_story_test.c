/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The city's story, as each kind tells it. What holds across kinds is checked from the lines of
 * whole days in tests/live/test_story.py.
 */
#include "simulated.h"

static const char *const kinds[] = {"screening",  "contact",   "duty",      "service",
                                    "checkpoint", "test_site", "quarantine"};
#define ALONE 4 /* the first have no other lines */
#define KINDS 7
#define PLENTY 20000

static bool is_of_story(const struct buf *line)
{
    static const char mark[] = "-000\",\"region\"";
    return memmem(line->data, line->size, mark, sizeof mark - 1) != NULL;
}

/* The next line of the story alone. */
static bool next_of_story(struct simulation *simulation, struct buf *line)
{
    bool is_line = must_next(simulation, line);
    while (is_line && !is_of_story(line))
        is_line = must_next(simulation, line);
    return is_line;
}

static void is_same(const struct buf *a, const struct buf *b)
{
    assert_int_equal(a->size, b->size);
    assert_true(a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static int64_t length_of(const struct simulation_options *options)
{
    struct simulation *simulation = must_open(options);
    struct buf line = BUF_INIT;
    int64_t count = 0;
    while (must_next(simulation, &line))
        count++;
    buf_release(&line);
    simulation_close(simulation);
    return count;
}

static void seed_decides_and_nothing_else(void **state)
{
    (void)state;
    for (int i = 0; i < ALONE; i++) {
        struct simulation_options options = a_day(kinds[i], PLENTY, 1);
        struct simulation_options other = a_day(kinds[i], PLENTY + 1, 500);
        int64_t count = 0;
        assert_true(is_same_run(&options, &other, &count));
        assert_in_range(count, 60, PLENTY / 2);
        other.seed++;
        assert_false(is_same_run(&options, &other, &count));
    }
}

/* Whatever events and sources the background has. */
static void background_changes_no_story(void **state)
{
    (void)state;
    for (int i = ALONE; i < KINDS; i++) {
        struct simulation_options options = a_day(kinds[i], PLENTY, 200);
        struct simulation_options other = a_day(kinds[i], PLENTY / 2, 9);
        struct simulation *one = must_open(&options);
        struct simulation *two = must_open(&other);
        struct buf a = BUF_INIT;
        struct buf b = BUF_INIT;
        int count = 0;
        for (; next_of_story(one, &a); count++) {
            assert_true(next_of_story(two, &b));
            is_same(&a, &b);
        }
        assert_false(next_of_story(two, &b));
        assert_in_range(count, 20, PLENTY / 4);
        buf_release(&a);
        buf_release(&b);
        simulation_close(one);
        simulation_close(two);
    }
}

static void fewer_events_break_it_off(void **state)
{
    (void)state;
    for (int i = 0; i < ALONE; i++) {
        struct simulation_options whole = a_day(kinds[i], PLENTY, 10);
        struct simulation_options part = a_day(kinds[i], 50, 10);
        struct simulation *one = must_open(&whole);
        struct simulation *two = must_open(&part);
        struct buf a = BUF_INIT;
        struct buf b = BUF_INIT;
        for (int n = 0; n < 50; n++) {
            assert_true(must_next(one, &a));
            assert_true(must_next(two, &b));
            is_same(&a, &b);
        }
        assert_false(must_next(two, &b));
        assert_true(must_next(one, &a));
        buf_release(&a);
        buf_release(&b);
        simulation_close(one);
        simulation_close(two);
    }
}

/* All or nothing, where there is a background. */
static void too_few_events_leave_it_out(void **state)
{
    (void)state;
    for (int i = ALONE; i < KINDS; i++) {
        struct simulation_options options = a_day(kinds[i], 15, 10);
        struct simulation *simulation = must_open(&options);
        struct buf line = BUF_INIT;
        int count = 0;
        for (; must_next(simulation, &line); count++)
            assert_false(is_of_story(&line));
        assert_int_equal(count, options.events);
        buf_release(&line);
        simulation_close(simulation);
    }
}

static void skip_goes_where_next_goes(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        struct fx_err err = FX_ERR_INIT;
        struct simulation_options options = a_day(kinds[i], 3000, 40);
        options.to_ms += DAY_MS / 3; /* over midnight */
        int64_t count = length_of(&options);
        struct simulation *read = must_open(&options);
        struct buf a = BUF_INIT;
        struct buf b = BUF_INIT;
        for (int64_t n = 0; n <= count; n++) {
            struct simulation *skipped = n % 97 == 0 ? must_open(&options) : NULL;
            bool is_line = must_next(read, &a);
            assert_int_equal(is_line, n < count);
            if (skipped == NULL)
                continue;
            assert_int_equal(simulation_skip(skipped, n, &err), FX_OK);
            assert_int_equal(must_next(skipped, &b), is_line);
            is_same(&a, &b);
            assert_int_equal(simulation_skip(skipped, count + 1, &err), FX_ECONFIG);
            simulation_close(skipped);
        }
        buf_release(&a);
        buf_release(&b);
        simulation_close(read);
    }
}

/* Weeks, so that everybody is released, and spans of nothing. */
static void any_span_holds(void **state)
{
    (void)state;
    static const int64_t spans_ms[] = {1, 999, DAY_HOUR_MS, 40 * DAY_MS};
    for (int i = 0; i < KINDS * 4; i++) {
        struct simulation_options options = a_day(kinds[i / 4], 200000, 30);
        options.from_ms += 12345;
        options.to_ms = options.from_ms + spans_ms[i % 4];
        if (i % 4 == 3)
            assert_true(length_of(&options) > 2000);
        else
            assert_true(length_of(&options) <= options.events);
    }
}

/* Every line's source is a row of sources.csv, and stands there once. */
static void its_posts_are_listed(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        struct fx_err err = FX_ERR_INIT;
        struct simulation_options options = a_day(kinds[i], PLENTY, 30);
        struct simulation *simulation = must_open(&options);
        char *rows = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&rows, &size);
        fputc('\n', out);
        assert_int_equal(simulation_write_sources(simulation, out, &err), FX_OK);
        fclose(out);
        struct buf line = BUF_INIT;
        while (must_next(simulation, &line)) {
            const char *source = buf_text(&line) + strlen("{\"source\":\"");
            char row[128];
            snprintf(row, sizeof row, "\n%.*s,%s,", (int)strcspn(source, "\""), source, kinds[i]);
            const char *found = strstr(rows, row);
            assert_non_null(found);
            assert_null(strstr(found + 1, row));
        }
        buf_release(&line);
        free(rows);
        simulation_close(simulation);
    }
}

static void producer_accepts(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++)
        must_accept_kind(kinds[i], PLENTY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seed_decides_and_nothing_else),
        cmocka_unit_test(background_changes_no_story),
        cmocka_unit_test(fewer_events_break_it_off),
        cmocka_unit_test(too_few_events_leave_it_out),
        cmocka_unit_test(skip_goes_where_next_goes),
        cmocka_unit_test(any_span_holds),
        cmocka_unit_test(its_posts_are_listed),
        cmocka_unit_test(producer_accepts),
    };
    return cmocka_run_group_tests(tests, open_tree, close_tree);
}
