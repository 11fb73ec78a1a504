/* SPDX-License-Identifier: Apache-2.0 */
#include "rolldef_fixture.h"

static int field(const struct fixture *fixture, const char *name)
{
    int index = schema_field(kind_current(&fixture->kind), name);
    assert_true(index >= 0);
    return index;
}

static const struct rollup_column *find_column(const struct rollup *rollup, const char *name)
{
    for (int i = 0; i < rollup->column_count; i++)
        if (strcmp(rollup->columns[i].name, name) == 0)
            return &rollup->columns[i];
    fail_msg("no column %s", name);
    return NULL;
}

static bool is_bilingual(const char *doc)
{
    bool has_ascii = false;
    bool has_chinese = false;
    for (; *doc != '\0'; doc++) {
        has_ascii = has_ascii || (*doc >= 'a' && *doc <= 'z');
        has_chinese = has_chinese || ((unsigned char)*doc >= 0xe4 && (unsigned char)*doc <= 0xe9);
    }
    return has_ascii && has_chinese;
}

static void check_docs(const struct rollup *rollup)
{
    if (!is_bilingual(rollup->doc))
        fail_msg("%s: %s", rollup->name, rollup->doc);
    for (int i = 0; i < rollup->column_count; i++)
        if (!is_bilingual(rollup->columns[i].doc))
            fail_msg("%s.%s: %s", rollup->name, rollup->columns[i].name, rollup->columns[i].doc);
    for (int i = 0; i < rollup->derived_count; i++)
        if (!is_bilingual(rollup->derived[i].doc))
            fail_msg("%s.%s: %s", rollup->name, rollup->derived[i].name, rollup->derived[i].doc);
}

static void shipped_rollups_load_with_bilingual_docs(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *kind;
        const char *rollup;
        int column_count;
    } cases[] = {
        {"checkpoint", "checkpoint", 32},       {"quarantine", "quarantine", 10},
        {"quarantine", "quarantine_origin", 5}, {"quarantine", "quarantine_place", 2},
        {"test_site", "test_site", 23},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kind kind;
        struct rollup_set set;
        const struct rollup *found = NULL;
        assert_int_equal(kind_load(FX_SCHEMAS_DIR, cases[i].kind, &kind, &fixture->err), FX_OK);
        if (rollup_set_load(FX_SCHEMAS_DIR, &kind, &set, &fixture->err) != FX_OK)
            fail_msg("%s", fixture->err.text);
        for (int j = 0; j < set.count; j++)
            if (strcmp(set.rollups[j].name, cases[i].rollup) == 0)
                found = &set.rollups[j];
        assert_non_null(found);
        assert_int_equal(found->column_count, cases[i].column_count);
        check_docs(found);
        rollup_set_release(&set);
        kind_release(&kind);
    }
}

static void a_whole_definition_is_understood(void **state)
{
    struct fixture *fixture = *state;
    const struct rollup *rollup = load_good(
        fixture, "{\"rollup\":\"r\",\"doc\":\"all 全部\",\"by\":[\"source\",\"region\"],"
                 "\"region\":\"origin\",\"bucket\":\"15min\",\"dimensions\":[\"lane\",\"round\"],"
                 "\"columns\":["
                 "{\"name\":\"groups\",\"count\":true},"
                 "{\"name\":\"x_person_times\",\"sum\":\"persons\",\"doc\":\"p 人\"},"
                 "{\"name\":\"wait_s_max\",\"max\":\"wait_s\"},"
                 "{\"name\":\"wait_s_min\",\"min\":\"wait_s\"},"
                 "{\"name\":\"last_persons\",\"last\":\"persons\"}],"
                 "\"derived\":[{\"name\":\"y_percent\",\"doc\":\"d 率\","
                 "\"sql\":\"100.0 * X_Person_Times / nullif(groups, 0)\"}]}");
    assert_string_equal(rollup->name, "r");
    assert_string_equal(rollup->doc, "all 全部");
    assert_true(rollup->by_source && rollup->by_region);
    assert_true(rollup->bucket_ms == 900000);
    assert_int_equal(rollup->region_field, field(fixture, "origin"));
    assert_int_equal(rollup->dimension_count, 2);
    assert_int_equal(rollup->dimensions[1], field(fixture, "round"));
    assert_int_equal(rollup->column_count, 5);
    static const struct {
        const char *name;
        enum aggregate aggregate;
        const char *unit;
    } columns[] = {
        {"groups", AGGREGATE_COUNT, "groups"},
        {"x_person_times", AGGREGATE_SUM, "person_times"},
        {"wait_s_max", AGGREGATE_MAX, "s"},
        {"wait_s_min", AGGREGATE_MIN, "s"},
        {"last_persons", AGGREGATE_LAST, "persons"},
    };
    for (int i = 0; i < rollup->column_count; i++) {
        assert_string_equal(rollup->columns[i].name, columns[i].name);
        assert_int_equal(rollup->columns[i].aggregate, columns[i].aggregate);
        assert_string_equal(rollup->columns[i].unit, columns[i].unit);
    }
    assert_int_equal(rollup->columns[0].field, -1);
    assert_int_equal(rollup->columns[1].field, field(fixture, "persons"));
    assert_string_equal(rollup->columns[1].doc, "p 人");
    assert_int_equal(rollup->derived_count, 1);
    assert_string_equal(rollup->derived[0].name, "y_percent");
    assert_string_equal(rollup->derived[0].doc, "d 率");
}

/* The condition that text, a member of "where", becomes. */
static const struct condition *load_where(struct fixture *fixture, const char *text)
{
    char json[512];
    snprintf(json, sizeof json, COLUMN("\"count\":true,\"where\":{%s}"), text);
    const struct rollup_column *column = &load_good(fixture, json)->columns[0];
    assert_int_equal(column->condition_count, 1);
    return &column->conditions[0];
}

static void where_knows_every_comparison(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *text;
        const char *field;
        enum compare compare;
        int value_count;
        int64_t values[2];
    } cases[] = {
        {"\"lane\":\"GREEN\"", "lane", COMPARE_IN, 1, {1}},
        {"\"lane\":[\"RED\",\"NORMAL\"]", "lane", COMPARE_IN, 2, {2, 0}},
        {"\"lane\":{\"not\":\"RED\"}", "lane", COMPARE_NOT_IN, 1, {2}},
        {"\"lane\":{\"not\":[\"RED\",\"GREEN\"]}", "lane", COMPARE_NOT_IN, 2, {2, 1}},
        {"\"persons\":3", "persons", COMPARE_IN, 1, {3}},
        {"\"persons\":{\"gt\":3}", "persons", COMPARE_GT, 1, {3}},
        {"\"persons\":{\"gte\":3}", "persons", COMPARE_GTE, 1, {3}},
        {"\"wait_s\":{\"lt\":3}", "wait_s", COMPARE_LT, 1, {3}},
        {"\"wait_s\":{\"lte\":3}", "wait_s", COMPARE_LTE, 1, {3}},
        {"\"wait_s\":null", "wait_s", COMPARE_IS_NULL, 0, {0}},
        {"\"wait_s\":{\"not\":null}", "wait_s", COMPARE_IS_NOT_NULL, 0, {0}},
        {"\"first\":true", "first", COMPARE_IN, 1, {1}},
        {"\"first\":false", "first", COMPARE_IN, 1, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct condition *condition = load_where(fixture, cases[i].text);
        assert_int_equal(condition->field, field(fixture, cases[i].field));
        assert_int_equal(condition->compare, cases[i].compare);
        assert_int_equal(condition->value_count, cases[i].value_count);
        for (int j = 0; j < cases[i].value_count; j++)
            assert_true(condition->values[j] == cases[i].values[j]);
    }
    const struct condition *condition = load_where(fixture, "\"round\":[\"\",\"二\"]");
    assert_int_equal(condition->compare, COMPARE_IN);
    assert_string_equal(condition->texts[0], "");
    assert_string_equal(condition->texts[1], "二");
    assert_int_equal(load_where(fixture, "\"region\":\"c\"")->field, ENVELOPE_REGION);
}

static void where_joins_several_conditions(void **state)
{
    struct fixture *fixture = *state;
    const struct rollup *rollup =
        load_good(fixture, WHERE("\"persons\":{\"lt\":9,\"gte\":1},\"lane\":\"RED\""));
    const struct rollup_column *column = &rollup->columns[0];
    assert_int_equal(column->condition_count, 3);
    assert_int_equal(column->conditions[0].field, field(fixture, "persons"));
    assert_int_equal(column->conditions[1].field, field(fixture, "persons"));
    assert_int_equal(column->conditions[0].compare + column->conditions[1].compare,
                     COMPARE_LT + COMPARE_GTE);
    assert_int_equal(column->conditions[2].field, field(fixture, "lane"));
}

static void each_repeats_an_entry(void **state)
{
    struct fixture *fixture = *state;
    const struct rollup *rollup = load_good(
        fixture,
        COLUMNS("{\"each\":[\"GREEN\",\"RED\"],\"name\":\"{}_persons\",\"sum\":\"persons\","
                "\"where\":{\"lane\":\"{}\"},\"doc\":\"lane {} 道\"},"
                "{\"each\":{\"persons\":\"people 人\"},\"name\":\"{}\",\"sum\":\"{}\","
                "\"where\":{\"{}\":{\"gt\":0},\"lane\":[\"RED\",\"GREEN\"]},"
                "\"doc\":\"all {doc}\"}"));
    assert_int_equal(rollup->column_count, 3);
    const struct rollup_column *green = find_column(rollup, "green_persons");
    assert_int_equal(green->conditions[0].values[0], 1);
    assert_string_equal(green->doc, "lane GREEN 道");
    assert_int_equal(find_column(rollup, "red_persons")->conditions[0].values[0], 2);
    const struct rollup_column *persons = find_column(rollup, "persons");
    assert_int_equal(persons->field, field(fixture, "persons"));
    assert_string_equal(persons->doc, "all people 人");
    assert_int_equal(persons->condition_count, 2);
    assert_int_equal(persons->conditions[0].field, field(fixture, "persons"));
}

static void within_makes_cumulative_columns_in_order(void **state)
{
    struct fixture *fixture = *state;
    const struct rollup *rollup = load_good(
        fixture, COLUMNS("{\"name\":\"in_{}_groups\",\"count\":true,\"where\":{\"lane\":\"RED\"},"
                         "\"within\":{\"wait_s\":{\"5min\":300,\"10min\":600,\"1h\":3600}},"
                         "\"doc\":\"at most {} 内\"}"));
    static const char *const names[] = {"in_5min_groups", "in_10min_groups", "in_1h_groups"};
    static const int64_t edges[] = {300, 600, 3600};
    assert_int_equal(rollup->column_count, 3);
    for (int i = 0; i < 3; i++) {
        const struct rollup_column *column = &rollup->columns[i];
        assert_string_equal(column->name, names[i]);
        assert_int_equal(column->condition_count, 2);
        assert_int_equal(column->conditions[1].field, field(fixture, "wait_s"));
        assert_int_equal(column->conditions[1].compare, COMPARE_LTE);
        assert_int_equal(column->conditions[1].value_count, 1);
        assert_true(column->conditions[1].values[0] == edges[i]);
    }
    assert_string_equal(rollup->columns[1].doc, "at most 10min 内");
}

static void buckets_fit_hours_and_days(void **state)
{
    struct fixture *fixture = *state;
    static const char *const good[] = {"1min", "15min", "60min", "1h", "2h", "8h"};
    static const char *const wrong[] = {"7min", "90min", "3h", "16h", "12h", "1d"};
    char json[512];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(json, sizeof json,
                 "{\"rollup\":\"r\",\"by\":[\"region\"],\"bucket\":\"%s\",\"columns\":"
                 "[{\"name\":\"visits\",\"count\":true}]}",
                 good[i]);
        load_good(fixture, json);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(json, sizeof json,
                 "{\"rollup\":\"r\",\"by\":[\"region\"],\"bucket\":\"%s\",\"columns\":"
                 "[{\"name\":\"visits\",\"count\":true}]}",
                 wrong[i]);
        assert_int_equal(load(fixture, json), FX_ECONFIG);
        assert_holds(fixture->err.text, "r.rollup.json: bucket: ");
    }
}

static void rollups_come_sorted_by_name(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {"b", "a_x", "a"};
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        char json[256];
        snprintf(path, sizeof path, "k/%s.rollup.json", names[i]);
        snprintf(json, sizeof json,
                 "{\"rollup\":\"%s\",\"by\":[\"region\"],\"bucket\":\"1h\",\"columns\":"
                 "[{\"name\":\"visits\",\"count\":true}]}",
                 names[i]);
        scratch_write(&fixture->scratch, path, json);
    }
    struct rollup_set *set = &fixture->set;
    assert_int_equal(rollup_set_load(fixture->scratch.root, &fixture->kind, set, &fixture->err),
                     FX_OK);
    assert_int_equal(set->count, 3);
    assert_string_equal(set->rollups[0].name, "a");
    assert_string_equal(set->rollups[1].name, "a_x");
    assert_string_equal(set->rollups[2].name, "b");
}

static void fingerprint_follows_meaning_only(void **state)
{
    struct fixture *fixture = *state;
    static const char *const base = WITH("\"dimensions\":[\"lane\"]");
    static const struct {
        const char *json;
        bool is_same;
    } cases[] = {
        {WITH("\"dimensions\":[\"lane\"],\"doc\":\"x\""), true},
        {WITH("\"dimensions\":[\"lane\"],\"derived\":[{\"name\":\"b_persons\",\"sql\":"
              "\"a_persons\"}]"),
         true},
        {WITH("\"dimensions\":[\"round\"]"), false},
        {WITH("\"dimensions\":[]"), false},
        {WITH("\"dimensions\":[\"lane\"],\"region\":\"origin\""), false},
        {"{\"rollup\":\"r\",\"by\":[\"region\"],\"bucket\":\"1h\",\"dimensions\":[\"lane\"],"
         "\"columns\":[{\"name\":\"a_persons\",\"count\":true}]}",
         false},
        {"{\"rollup\":\"r\",\"by\":[\"region\",\"source\"],\"bucket\":\"2h\",\"dimensions\":"
         "[\"lane\"],\"columns\":[{\"name\":\"a_persons\",\"count\":true}]}",
         false},
        {HEAD ",\"dimensions\":[\"lane\"],\"columns\":[{\"name\":\"a_persons\",\"count\":true,"
              "\"where\":{\"lane\":\"RED\"}}]}",
         false},
    };
    uint64_t fingerprint = load_good(fixture, base)->fingerprint;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(load_good(fixture, cases[i].json)->fingerprint == fingerprint,
                         cases[i].is_same);
}

static void units_have_glosses(void **state)
{
    (void)state;
    assert_string_equal(rollup_unit_gloss("person_times"), "人次");
    assert_string_equal(rollup_unit_gloss("vehicles"), "辆");
    assert_string_equal(rollup_unit_gloss("furlongs"), "");
    assert_string_equal(aggregate_name(AGGREGATE_COUNT), "count");
    assert_string_equal(aggregate_name(AGGREGATE_LAST), "last");
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shipped_rollups_load_with_bilingual_docs),
        TEST(a_whole_definition_is_understood),
        TEST(where_knows_every_comparison),
        TEST(where_joins_several_conditions),
        TEST(each_repeats_an_entry),
        TEST(within_makes_cumulative_columns_in_order),
        TEST(buckets_fit_hours_and_days),
        TEST(rollups_come_sorted_by_name),
        TEST(fingerprint_follows_meaning_only),
        TEST(units_have_glosses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
