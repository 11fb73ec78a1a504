/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_base.h"

#include "../../consumers/store_state.h"

enum { FIELD_POST, FIELD_ROUND, FIELDS };

static struct field fields[FIELDS] = {{.name = "post_type"}, {.name = "round"}};
static const struct schema schema = {.fields = fields, .field_count = FIELDS};

static struct rollup_column columns[] = {
    {.name = "checked_groups", .aggregate = AGGREGATE_COUNT},
    {.name = "checked_persons", .aggregate = AGGREGATE_SUM},
    {.name = "headcount_persons", .aggregate = AGGREGATE_LAST},
    {.name = "wait_s_min", .aggregate = AGGREGATE_MIN},
    {.name = "wait_s_max", .aggregate = AGGREGATE_MAX},
};

static struct rollup rollup_of(int first, int count)
{
    struct rollup rollup = {.name = "gate", .columns = &columns[first], .column_count = count};
    rollup.dimensions[0] = FIELD_POST;
    rollup.dimensions[1] = FIELD_ROUND;
    return rollup;
}

static void assert_sql(const struct rollup *rollup, int level, const char *expected)
{
    struct buf sql = BUF_INIT;
    assert_ok(store_rollup_sql(&schema, rollup, level, &sql, &err));
    assert_string_equal(buf_text(&sql), expected);
    buf_release(&sql);
}

static void a_region_table_adds_and_keeps_extremes_but_no_last(void **state)
{
    (void)state;
    struct rollup rollup = rollup_of(0, 5);
    rollup.dimension_count = 2;
    assert_sql(&rollup, REGION_COUNTY,
               "INSERT INTO gate_county AS t (region, bucket_start, \"post_type\", \"round\", "
               "checked_groups, checked_persons, wait_s_min, wait_s_max) "
               "SELECT c1, c2, c3, c4, ($5::bigint[])[o * 2 - 1], ($5::bigint[])[o * 2 - 0], "
               "c6, c7 FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], "
               "$6::bigint[], $7::bigint[]) WITH ORDINALITY AS u(c1, c2, c3, c4, c6, c7, o) "
               "ON CONFLICT (region, bucket_start, \"post_type\", \"round\") DO UPDATE SET "
               "checked_groups = t.checked_groups + excluded.checked_groups, "
               "checked_persons = t.checked_persons + excluded.checked_persons, "
               "wait_s_min = least(t.wait_s_min, excluded.wait_s_min), "
               "wait_s_max = greatest(t.wait_s_max, excluded.wait_s_max)");
}

static void a_source_table_keeps_the_newest_of_last(void **state)
{
    (void)state;
    struct rollup rollup = rollup_of(1, 3);
    assert_sql(&rollup, LEVEL_SOURCE,
               "INSERT INTO gate_source AS t (source, bucket_start, checked_persons, "
               "headcount_persons, headcount_persons_last, wait_s_min) "
               "SELECT c1, c2, ($3::bigint[])[o * 1 - 0], c4, "
               "CASE WHEN c4 IS NOT NULL THEN ARRAY[c5, c6, c7] END, c8 "
               "FROM unnest($1::text[], $2::timestamptz[], $4::bigint[], $5::bigint[], "
               "$6::bigint[], $7::bigint[], $8::bigint[]) WITH ORDINALITY "
               "AS u(c1, c2, c4, c5, c6, c7, c8, o) "
               "ON CONFLICT (source, bucket_start) DO UPDATE SET "
               "checked_persons = t.checked_persons + excluded.checked_persons, "
               "headcount_persons = CASE WHEN t.headcount_persons_last IS NULL OR "
               "excluded.headcount_persons_last > t.headcount_persons_last "
               "THEN excluded.headcount_persons ELSE t.headcount_persons END, "
               "headcount_persons_last = greatest(t.headcount_persons_last, "
               "excluded.headcount_persons_last), "
               "wait_s_min = least(t.wait_s_min, excluded.wait_s_min)");
}

static void nothing_to_add_is_no_conflict(void **state)
{
    (void)state;
    struct rollup rollup = rollup_of(2, 1);
    assert_sql(&rollup, REGION_TOWN,
               "INSERT INTO gate_town AS t (region, bucket_start) SELECT c1, c2 "
               "FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS u(c1, c2, o) "
               "ON CONFLICT (region, bucket_start) DO NOTHING");
}

static void assert_total_sql(const struct rollup *rollup, int level, const char *expected)
{
    struct buf sql = BUF_INIT;
    assert_ok(store_total_sql(&schema, rollup, level, &sql, &err));
    assert_string_equal(buf_text(&sql), expected);
    buf_release(&sql);
}

static void a_total_has_no_bucket_and_no_extremes(void **state)
{
    (void)state;
    struct rollup rollup = rollup_of(0, 5);
    rollup.dimension_count = 2;
    assert_total_sql(&rollup, REGION_COUNTY,
                     "INSERT INTO gate_county_total AS t (region, \"post_type\", \"round\", "
                     "first_bucket, checked_groups, checked_persons) SELECT c1, c3, c4, c2, "
                     "($5::bigint[])[o * 2 - 1], ($5::bigint[])[o * 2 - 0] FROM unnest($1::text[], "
                     "$2::timestamptz[], $3::text[], $4::text[]) WITH ORDINALITY "
                     "AS u(c1, c2, c3, c4, o) "
                     "ON CONFLICT (region, \"post_type\", \"round\") DO UPDATE SET "
                     "first_bucket = least(t.first_bucket, excluded.first_bucket), "
                     "checked_groups = t.checked_groups + excluded.checked_groups, "
                     "checked_persons = t.checked_persons + excluded.checked_persons");
}

static void a_source_total_knows_where_the_newest_of_last_stands(void **state)
{
    (void)state;
    struct rollup rollup = rollup_of(1, 3);
    assert_total_sql(&rollup, LEVEL_SOURCE,
                     "INSERT INTO gate_source_total AS t (source, first_bucket, checked_persons, "
                     "headcount_persons_at) SELECT c1, c2, ($3::bigint[])[o * 1 - 0], "
                     "to_timestamp(c4 / 1000) FROM unnest($1::text[], $2::timestamptz[], "
                     "$4::bigint[]) WITH ORDINALITY AS u(c1, c2, c4, o) "
                     "ON CONFLICT (source) DO UPDATE SET "
                     "first_bucket = least(t.first_bucket, excluded.first_bucket), "
                     "checked_persons = t.checked_persons + excluded.checked_persons, "
                     "headcount_persons_at = greatest(t.headcount_persons_at, "
                     "excluded.headcount_persons_at)");
}

static void every_table_of_a_catalog_has_a_name_of_its_own(void **state)
{
    (void)state;
    static struct catalog catalog;
    char names[128][STORE_NAME_MAX];
    int count = 0;
    assert_ok(catalog_load(FX_SCHEMAS_DIR, &catalog, &err));
    for (int k = 0; k < catalog.kind_count; k++)
        for (int i = 0; i < catalog.kinds[k].rollups.count * LEVEL_COUNT && count < 127; i++) {
            const struct rollup *rollup = &catalog.kinds[k].rollups.rollups[i / LEVEL_COUNT];
            store_rollup_name(&catalog, rollup, i % LEVEL_COUNT, names[count++]);
            store_total_name(&catalog, rollup, i % LEVEL_COUNT, names[count++]);
        }
    assert_true(count > LEVEL_COUNT);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(names[i], names[k]);
    catalog_release(&catalog);
}

/* The highest N of $N in sql. */
static int parameters_of(const char *sql)
{
    int highest = 0;
    for (const char *at = strchr(sql, '$'); at != NULL; at = strchr(at + 1, '$')) {
        int number = (int)strtol(at + 1, NULL, 10);
        highest = number > highest ? number : highest;
    }
    return highest;
}

static void the_fixed_statements_take_as_many_arrays_as_are_sent(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int parameters;
    } expected[] = {{"positions", 8},   {"runs", 20},     {"heartbeats", 16}, {"gaps_gone", 4},
                    {"gaps", 7},        {"rejected", 12}, {"mark_locks", 1},  {"corrected", 5},
                    {"uncorrected", 4}, {"reversals", 8}, {"days", 6},        {"tallies", 6},
                    {"corrections", 7}, {"hours", 4},     {"holes", 4}};
    const int count = (int)(sizeof expected / sizeof expected[0]);
    for (int i = 0; i < count; i++) {
        assert_string_equal(store_statements[i].name, expected[i].name);
        assert_int_equal(parameters_of(store_statements[i].sql), expected[i].parameters);
    }
    assert_null(store_statements[count].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_table_adds_and_keeps_extremes_but_no_last),
        cmocka_unit_test(a_source_table_keeps_the_newest_of_last),
        cmocka_unit_test(nothing_to_add_is_no_conflict),
        cmocka_unit_test(a_total_has_no_bucket_and_no_extremes),
        cmocka_unit_test(a_source_total_knows_where_the_newest_of_last_stands),
        cmocka_unit_test(every_table_of_a_catalog_has_a_name_of_its_own),
        cmocka_unit_test(the_fixed_statements_take_as_many_arrays_as_are_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
