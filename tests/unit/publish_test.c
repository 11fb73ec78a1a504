/* SPDX-License-Identifier: Apache-2.0 */
#include "../../consumers/publish_sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add(struct publish_rollup *rollup, const char *name, const char *aggregate,
                const char *unit, const char *sql)
{
    struct publish_column column = {.sql = sql, .doc = "doc 文"};
    strncat(column.name, name, sizeof column.name - 1);
    assert_true(publish_add_column(rollup, &column, aggregate, unit));
}

static struct publish_rollup checks(void)
{
    struct publish_rollup rollup = {.name = "check",
                                    .doc = "Checks 查验",
                                    .kind = "check",
                                    .topic = "p.check",
                                    .dimensions = {"tier"},
                                    .dimension_docs = {"tier 类"},
                                    .dimension_symbols = {"CLOSE,OTHER"},
                                    .dimension_count = 1,
                                    .is_by_region = true,
                                    .proves_zeros = true};
    add(&rollup, "seen_persons", "sum", "persons", "sum(persons)");
    add(&rollup, "seen_vehicles", "count", "vehicles", "count");
    add(&rollup, "duty_person_minutes", "sum", "person_minutes", "sum(minutes)");
    add(&rollup, "queue_persons_max", "max", "persons", "max(queue)");
    add(&rollup, "held_persons", "last", "persons", "last(held)");
    return rollup;
}

static const struct publish_column *last(const struct publish_rollup *rollup)
{
    return &rollup->columns[rollup->column_count - 1];
}

static char *text_of(const struct publish_rollup *rollup, bool is_detail)
{
    static const struct publish_place place = {.schema_name = "s_next",
                                               .published = "s_next_published",
                                               .cut_off = "2022-02-10T08:00:00.000+08:00",
                                               .starts = "2022-02-10T00:00:00.000+08:00",
                                               .day = "2022-02-10"};
    struct buf out = BUF_INIT;
    publish_append_insert(&out, rollup, is_detail, &place);
    assert_false(out.is_failed);
    char *text = strdup(buf_text(&out));
    buf_release(&out);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in %s", part, text);
}

static void units_decide_the_rule(void **state)
{
    static const struct {
        const char *unit;
        enum publish_rule rule;
    } cases[] = {
        {"persons", PUBLISH_PERSONS},
        {"person_times", PUBLISH_PERSONS},
        {"households", PUBLISH_PERSONS},
        {"household_times", PUBLISH_PERSONS},
        {"visits", PUBLISH_PERSONS},
        {"tubes", PUBLISH_PERSONS},
        {"rooms", PUBLISH_PERSONS},
        {"vehicles", PUBLISH_THINGS},
        {"groups", PUBLISH_THINGS},
        {"s", PUBLISH_THINGS},
        {"person_minutes", PUBLISH_NOT},
        {"decicelsius", PUBLISH_NOT},
        {"percent", PUBLISH_NOT},
        {"min", PUBLISH_NOT},
        {"something_of_tomorrow", PUBLISH_NOT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(publish_rule_of(cases[i].unit), cases[i].rule);
}

static void a_ratio_has_a_denominator(void **state)
{
    static const struct {
        const char *sql;
        bool is_ratio;
    } cases[] = {
        {"100.0 * seen_persons / nullif(seen_vehicles, 0)", true},
        {"seen_persons/nullif( seen_vehicles,0)", true},
        {"fangxian.quantile(0.9, seen_vehicles, '{60,120}', array[seen_persons, seen_vehicles])",
         true},
        {"seen_persons - seen_vehicles", false},
        {"seen_persons / seen_vehicles", false},
        {"duty_person_minutes / nullif(seen_persons, 0)", false},
        {"seen_persons / nullif(duty_person_minutes, 0)", false},
        {"1 / nullif(unseen_persons, 0)", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct publish_rollup rollup = checks();
        add(&rollup, "share_percent", "derived", "percent", cases[i].sql);
        assert_int_equal(last(&rollup)->rule == PUBLISH_RATIO, cases[i].is_ratio);
        assert_int_equal(publish_is_shown(last(&rollup), false), cases[i].is_ratio);
    }
}

static void a_change_is_published_as_its_stock(void **state)
{
    (void)state;
    struct publish_rollup rollup = checks();
    add(&rollup, "net_change_persons", "derived", "persons", "seen_persons - seen_vehicles");
    assert_string_equal(last(&rollup)->name, "census_persons");
    assert_int_equal(last(&rollup)->source, PUBLISH_STOCK);
    assert_true(publish_is_shown(last(&rollup), false));
    assert_false(publish_is_shown(last(&rollup), true));
}

static void only_stocks_of_what_is_counted_by_source(void **state)
{
    (void)state;
    struct publish_rollup rollup = {.name = "place", .doc = "", .kind = "k", .topic = "p.k"};
    add(&rollup, "seen_persons", "sum", "persons", "sum(persons)");
    assert_false(publish_has_totals(&rollup));
    add(&rollup, "total_rooms", "last", "rooms", "last(rooms)");
    assert_true(publish_has_totals(&rollup));
    assert_false(publish_has_detail(&rollup));
    char *text = text_of(&rollup, false);
    assert_has(text, "\"place_stock_at\"");
    assert_null(strstr(text, "seen_persons"));
    assert_null(strstr(text, "place_city"));
    free(text);
}

static void ratios_wait_for_what_they_are_made_of(void **state)
{
    (void)state;
    struct publish_rollup rollup = checks();
    add(&rollup, "share_percent", "derived", "percent",
        "100.0 * seen_persons / nullif(seen_vehicles, 0)");
    char *text = text_of(&rollup, false);
    assert_has(text, "CASE WHEN true AND p.\"seen_persons\" IS NOT NULL AND p.\"seen_vehicles\" "
                     ">= 8 THEN round((100.0 * seen_persons / nullif(seen_vehicles, 0))");
    free(text);
}

static void each_figure_goes_through_its_rule(void **state)
{
    (void)state;
    struct publish_rollup rollup = checks();
    char *totals = text_of(&rollup, false);
    char *detail = text_of(&rollup, true);
    assert_has(totals, "publish_persons(e.\"seen_persons\", e.is_fine) AS \"seen_persons\"");
    assert_has(totals, "publish_things(e.\"seen_vehicles\", e.is_fine) AS \"seen_vehicles\"");
    assert_has(totals, "c.of_level <> 'city' AS is_fine");
    assert_has(totals, "publish_persons(e.\"held_persons\"");
    assert_has(totals, "INSERT INTO \"s_next_published\".\"check\"");
    assert_has(detail, "true AS is_fine");
    assert_has(detail, "INSERT INTO \"s_next_published\".\"check_detail\"");
    assert_null(strstr(detail, "check_town"));
    assert_null(strstr(detail, "held_persons"));
    assert_has(detail, "unnest('{CLOSE,OTHER}'::text[])");
    assert_null(strstr(totals, "duty_person_minutes"));
    free(totals);
    free(detail);
}

static void a_stock_needs_all_days_before(void **state)
{
    (void)state;
    struct publish_rollup rollup = checks();
    char *text = text_of(&rollup, false);
    assert_has(text, "ELSE c.complete AND k.complete END AS complete");
    rollup.column_count--; /* held_persons */
    char *without = text_of(&rollup, false);
    assert_has(without, "c.complete, c.of_level");
    assert_null(strstr(without, "k.complete"));
    free(text);
    free(without);
}

static void a_comment_ends_in_its_unit(void **state)
{
    static const struct {
        const char *doc;
        const char *ends;
    } cases[] = {
        {"seen 查验(人)", "seen 查验; rounded to 5, withheld below 8 取整到5, 不足8不公布(人)"},
        {"seen 查验", "seen 查验; rounded to 5, withheld below 8 取整到5, 不足8不公布(人)"},
        {"seen (twice)", "seen (twice); rounded to 5, withheld below 8 取整到5, 不足8不公布(人)"},
        {"人", "人; rounded to 5, withheld below 8 取整到5, 不足8不公布(人)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct publish_rollup rollup = {.name = "check"};
        struct publish_column column = {.name = "seen_persons", .doc = cases[i].doc};
        struct buf out = BUF_INIT;
        rollup.is_by_region = true;
        assert_true(publish_add_column(&rollup, &column, "sum", "persons"));
        publish_append_doc(&out, last(&rollup));
        assert_string_equal(buf_text(&out), cases[i].ends);
        buf_release(&out);
    }
}

static void a_rollup_that_is_new_proves_no_zero(void **state)
{
    (void)state;
    struct publish_rollup rollup = checks();
    char *old = text_of(&rollup, false);
    assert_has(old, "WHEN c.heard > 0 THEN 0");
    rollup.proves_zeros = false;
    char *fresh = text_of(&rollup, false);
    assert_null(strstr(fresh, "THEN 0"));
    free(old);
    free(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_decide_the_rule),
        cmocka_unit_test(a_ratio_has_a_denominator),
        cmocka_unit_test(a_change_is_published_as_its_stock),
        cmocka_unit_test(only_stocks_of_what_is_counted_by_source),
        cmocka_unit_test(ratios_wait_for_what_they_are_made_of),
        cmocka_unit_test(each_figure_goes_through_its_rule),
        cmocka_unit_test(a_stock_needs_all_days_before),
        cmocka_unit_test(a_comment_ends_in_its_unit),
        cmocka_unit_test(a_rollup_that_is_new_proves_no_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
