/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_views.h"

#include "../../consumers/setup_bounds.h"
#include "../../consumers/setup_rule.h"
#include "../../consumers/setup_sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void literal_doubles_quotes(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    sql_literal(&out, "it's 查验\\");
    assert_string_equal(buf_text(&out), "'it''s 查验\\'");
    buf_release(&out);
}

static void expression_names_the_schema(void **state)
{
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        {"fangxian.quantile(1)", "\"s_next\".quantile(1)"},
        {"1+fangxian.f(fangxian.g(x))", "1+\"s_next\".f(\"s_next\".g(x))"},
        {"quantile(0.9, a)", "quantile(0.9, a)"},
        {"my_fangxian.x", "my_fangxian.x"},
        {"a.fangxian.x", "a.fangxian.x"},
        {"fangxian", "fangxian"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = BUF_INIT;
        sql_expression(&out, cases[i].in, "s_next");
        assert_string_equal(buf_text(&out), cases[i].out);
        buf_release(&out);
    }
}

static void rules_say_what_is_counted(void **state)
{
    static const struct {
        const char *kind;
        const char *column;
        const char *rule;
    } cases[] = {
        {"checkpoint", "checked_groups", "count"},
        {"checkpoint", "checked_vehicles", "count where vehicle not in (ON_FOOT)"},
        {"checkpoint", "entering_person_times", "sum(persons) where direction in (IN)"},
        {"checkpoint", "wait_measured_groups", "count where wait_s is not null"},
        {"checkpoint", "waited_within_5min_groups", "count where wait_s <= (300)"},
        {"checkpoint", "queue_vehicles_max", "max(queue_vehicles)"},
        {"quarantine", "headcount_persons", "last(reported_persons)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct catalog_kind *entry = find_kind(cases[i].kind);
        const struct rollup *rollup = find_rollup(entry, cases[i].kind);
        struct buf out = BUF_INIT;
        for (int c = 0; c < rollup->column_count; c++)
            if (strcmp(rollup->columns[c].name, cases[i].column) == 0)
                rule_append(&out, kind_current(&entry->kind), &rollup->columns[c]);
        assert_string_equal(buf_text(&out), cases[i].rule);
        buf_release(&out);
    }
}

static void a_rule_tells_texts_apart(void **state)
{
    (void)state;
    struct field field = {.name = "note", .type = FIELD_STRING};
    struct schema schema = {.fields = &field, .field_count = 1};
    char text[] = "a\"), b in (\"c";
    struct rollup_column column = {.aggregate = AGGREGATE_COUNT, .field = -1};
    column.conditions[0] = (struct condition){.compare = COMPARE_IN, .value_count = 1};
    column.conditions[0].texts[0] = text;
    column.condition_count = 1;
    struct buf out = BUF_INIT;
    rule_append(&out, &schema, &column);
    assert_string_equal(buf_text(&out), "count where note in (\"a\"\"), b in (\"\"c\")");
    buf_release(&out);
}

#define BOUNDS "n int 0 10 0 \ne enum 0 0 0 A,B\ns string? 0 0 32 \n(not_before) ms 500 0 0 \n"

static void bounds_may_only_widen(void **state)
{
    static const struct {
        const char *is;
        const char *part; /* NULL: it may */
    } cases[] = {
        {BOUNDS, NULL},
        {"n int -1 11 0 \ne enum 0 0 0 A,B\ns string? 0 0 33 \n(not_before) ms 400 0 0 \n", NULL},
        {"n int 1 10 0 \n", "field n: min was 0, is 1"},
        {"n int 0 9 0 \n", "field n: max was 10, is 9"},
        {"n int 0 10 0 \ne enum 0 0 0 B,A\n", "field e: its place, type, symbols"},
        {"n int 0 10 0 \ns string? 0 0 32 \n", "field s: its place"},
        {"n long 0 10 0 \n", "field n: its place, type"},
        {"n int 0 10 0 \ne enum 0 0 0 A,B\ns string? 0 0 31 \n", "field s: max_length was 32"},
        {"n int 0 10 0 \ne enum 0 0 0 A,B\n", "field s: its place"},
        {"n int 0 10 0 \ne enum 0 0 0 A,B\ns string? 0 0 32 \n(not_before) ms 501 0 0 \n",
         "(not_before): min was 500"},
        {BOUNDS "(sums) n=a+b/ 0 0 0 \n", "field (sums): its place, type, symbols or sums"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fx_err err = FX_ERR_INIT;
        enum fx_code code = bounds_compare(BOUNDS, cases[i].is, &err);
        assert_int_equal(code, cases[i].part == NULL ? FX_OK : FX_ECONFIG);
        if (cases[i].part != NULL)
            assert_non_null(strstr(err.text, cases[i].part));
    }
}

static void bounds_hold_every_field_and_sum(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    bounds_append(&out, kind_current(&find_kind("checkpoint")->kind));
    assert_has(buf_text(&out), "\npersons int 0 10000 0 \n");
    assert_has(buf_text(&out), "\ndirection enum 0 0 0 IN,OUT\n");
    assert_has(buf_text(&out), "(sums) persons=code_green+");
    assert_has(buf_text(&out), "/code_unchecked 0 0 0 \n");
    buf_release(&out);
}

static void derived_units_are_suffixes(void **state)
{
    (void)state;
    assert_string_equal(rule_unit("wait_mean_s"), "s");
    assert_string_equal(rule_unit("turned_back_percent"), "percent");
    assert_string_equal(rule_unit("found_person_times"), "person_times");
}

static void combination_follows_the_aggregate(void **state)
{
    (void)state;
    assert_string_equal(rule_over_time(AGGREGATE_COUNT), "sum");
    assert_string_equal(rule_over_time(AGGREGATE_MAX), "max");
    assert_string_equal(rule_over_time(AGGREGATE_LAST), "last");
    assert_string_equal(rule_over_regions(AGGREGATE_LAST), "sum");
    assert_string_equal(rule_over_regions(AGGREGATE_SUM), "sum");
}

static void checkpoint_has_every_view(void **state)
{
    static const char *const views[] = {
        "checkpoint_days",          "checkpoint_hours",         "checkpoint_town_daily",
        "checkpoint_county_hourly", "checkpoint_city_daily",    "checkpoint_town_daily_detail",
        "checkpoint_source_daily",  "checkpoint_source_hourly", "checkpoint_levels",
        "checkpoint_levels_detail", "checkpoint_direct",        "checkpoint_parts",
        "checkpoint_statistical",
    };
    (void)state;
    char *text = views_text("checkpoint", "checkpoint", NULL, false);
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        char start[120];
        snprintf(start, sizeof start, "CREATE OR REPLACE VIEW \"%s\" AS", views[i]);
        assert_has(text, start);
        snprintf(start, sizeof start, "COMMENT ON VIEW \"%s\" IS", views[i]);
        assert_has(text, start);
    }
    assert_null(strstr(text, "checkpoint_stock_at"));
    assert_has(text, "region_status('checkpoint', 'p.kind', 'town', false");
    free(text);
}

static void a_number_says_its_unit_once(void **state)
{
    static const struct {
        const char *doc;
        const char *comment;
    } cases[] = {
        {"persons checked 查验人次", "'persons checked 查验人次(人次)'"},
        {"persons checked 查验(人次)", "'persons checked 查验(人次)'"},
        {"", "'(人次)'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = BUF_INIT;
        sql_comment_number(&out, "t", "c", cases[i].doc, "人次");
        assert_has(buf_text(&out), cases[i].comment);
        buf_release(&out);
    }
    char *text = views_text("checkpoint", "checkpoint", NULL, false);
    assert_has(text, "\"checkpoint_levels\".\"checked_groups\" IS 'vehicles, and groups on foot, "
                     "checked 查验批次(批)'");
    assert_has(text, "\"checkpoint_levels\".\"wait_mean_s\" IS 'mean wait, in seconds "
                     "平均等候(秒)'");
    free(text);
}

/* As of 12:30 is as of 12:00, and as of midnight the day that is over. */
static void a_day_up_to_an_hour_is_rows_of_the_day(void **state)
{
    (void)state;
    char *text = views_text("checkpoint", "checkpoint", NULL, false);
    assert_has(text,
               "CREATE OR REPLACE FUNCTION \"checkpoint_as_of\"(at timestamptz) RETURNS SETOF "
               "\"checkpoint_levels\" LANGUAGE sql STABLE BEGIN ATOMIC SELECT q.day, q.level");
    assert_has(text, "RETURNS SETOF \"checkpoint_levels_detail\"");
    assert_has(text, "date_bin(interval '3600000 milliseconds', $1, ");
    assert_has(text, "date_trunc('day', e.edge - interval '1 microsecond', 'Asia/Shanghai')");
    free(text);
}

static void parts_have_sums_and_no_extremes(void **state)
{
    static const char *const views[] = {"direct", "parts", "statistical"};
    (void)state;
    char *text = views_text("checkpoint", "checkpoint", NULL, false);
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        char start[80];
        snprintf(start, sizeof start, "CREATE OR REPLACE VIEW \"checkpoint_%s\" AS", views[i]);
        const char *view = strstr(text, start);
        assert_non_null(view);
        const char *end = strchr(view, '\n');
        const char *sum = strstr(view, "checked_groups");
        const char *extreme = strstr(view, "queue_vehicles_max");
        const char *percent = strstr(view, "turned_back_percent");
        assert_true(sum != NULL && sum < end);
        assert_true(percent != NULL && percent < end);
        assert_true(extreme == NULL || extreme > end);
    }
    assert_has(text, "sum(w.weight * t.\"checked_groups\")::bigint AS \"checked_groups\"");
    free(text);
}

static void an_added_column_is_whole_or_null_in_its_parts(void **state)
{
    (void)state;
    char *text = views_text("checkpoint", "checkpoint", NULL, true);
    assert_has(text, "CASE WHEN count(t.\"checked_groups\") = count(*) THEN sum(w.weight * "
                     "t.\"checked_groups\")::bigint END AS \"checked_groups\"");
    free(text);
}

static void zero_needs_a_source_that_was_heard(void **state)
{
    (void)state;
    char *text = views_text("checkpoint", "checkpoint", NULL, false);
    assert_has(text, "CASE WHEN v.cells > 0 THEN v.\"checked_groups\" WHEN c.heard > 0 THEN 0 END");
    assert_has(text, "sum(t.\"checked_groups\")::bigint AS \"checked_groups\"");
    assert_has(text, "v.\"queue_vehicles_max\""); /* an extreme of nothing is no number */
    assert_null(strstr(text, "THEN v.\"queue_vehicles_max\""));
    free(text);
}

static void an_added_column_is_whole_or_null(void **state)
{
    (void)state;
    char *text = views_text("checkpoint", "checkpoint", NULL, true);
    assert_has(text, "CASE WHEN count(t.\"checked_groups\") = count(*) THEN "
                     "sum(t.\"checked_groups\")::bigint END AS \"checked_groups\"");
    free(text);
}

static void an_added_column_follows_the_derived_ones(void **state)
{
    (void)state;
    char *text = views_text("checkpoint", "checkpoint", NULL, true);
    assert_has(text, "q.complete, q.\"checked_vehicles\"");
    assert_has(text, "AS \"turned_back_percent\", q.\"checked_groups\" FROM (SELECT d.day");
    assert_has(text, "CREATE OR REPLACE VIEW \"checkpoint_levels\" AS SELECT q.day, q.level, ");
    assert_has(text, "region_status('checkpoint', 'p.kind', NULL, false");
    free(text);
}

static void days_reach_from_sign_of_life_to_what_is_judged(void **state)
{
    (void)state;
    char *text = views_text("checkpoint", "checkpoint", NULL, false);
    assert_has(text, "SELECT min(hour_start), max(hour_start) FROM source_hour WHERE topic = "
                     "'p.kind' UNION ALL SELECT NULL, max(caught_up_at) FROM partition_position");
    free(text);
}

static void a_source_shows_its_silence(void **state)
{
    (void)state;
    char *text = views_text("checkpoint", "checkpoint", NULL, false);
    assert_has(text, "q.complete, q.silent_minutes, q.\"checked_groups\"");
    assert_has(text, "END AS complete, c.silent_minutes, CASE");
    assert_has(text, "COMMENT ON COLUMN \"checkpoint_source_hourly\".\"silent_minutes\" IS");
    assert_null(strstr(text, "\"checkpoint_town_daily\".\"silent_minutes\""));
    free(text);
}

static void an_added_rollup_knows_no_zero_before_it(void **state)
{
    (void)state;
    char *text = views_text("checkpoint", "checkpoint", "timestamptz 'T'", false);
    assert_has(text, "WHEN c.heard > 0 AND d.starts >= timestamptz 'T' THEN 0 END");
    assert_has(text, "c.complete AND d.starts >= timestamptz 'T' END AS complete");
    free(text);
}

static void a_role_is_everybodys(void **state)
{
    (void)state;
    char *text = views_text("quarantine", "quarantine_origin", NULL, false);
    assert_has(text, "region_status('quarantine', 'p.kind', 'town', true");
    assert_null(strstr(text, "quarantine_origin_source"));
    free(text);
}

static void regions_have_no_last_values(void **state)
{
    (void)state;
    char *text = views_text("quarantine", "quarantine", NULL, false);
    const char *view = strstr(text, "CREATE OR REPLACE VIEW \"quarantine_town_daily\" AS");
    assert_non_null(view);
    const char *end = strchr(view, '\n');
    const char *last = strstr(view, "headcount_persons");
    assert_true(last == NULL || last > end);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literal_doubles_quotes),
        cmocka_unit_test(expression_names_the_schema),
        cmocka_unit_test(rules_say_what_is_counted),
        cmocka_unit_test(a_rule_tells_texts_apart),
        cmocka_unit_test(bounds_may_only_widen),
        cmocka_unit_test(bounds_hold_every_field_and_sum),
        cmocka_unit_test(derived_units_are_suffixes),
        cmocka_unit_test(combination_follows_the_aggregate),
        cmocka_unit_test(checkpoint_has_every_view),
        cmocka_unit_test(a_number_says_its_unit_once),
        cmocka_unit_test(a_day_up_to_an_hour_is_rows_of_the_day),
        cmocka_unit_test(parts_have_sums_and_no_extremes),
        cmocka_unit_test(an_added_column_is_whole_or_null_in_its_parts),
        cmocka_unit_test(zero_needs_a_source_that_was_heard),
        cmocka_unit_test(an_added_column_is_whole_or_null),
        cmocka_unit_test(an_added_column_follows_the_derived_ones),
        cmocka_unit_test(days_reach_from_sign_of_life_to_what_is_judged),
        cmocka_unit_test(a_source_shows_its_silence),
        cmocka_unit_test(an_added_rollup_knows_no_zero_before_it),
        cmocka_unit_test(a_role_is_everybodys),
        cmocka_unit_test(regions_have_no_last_values),
    };
    return cmocka_run_group_tests(tests, load, release);
}
