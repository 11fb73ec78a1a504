/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rolldef_fuzz - a rollup definition, and what the loader and the plan make of it.
 *
 * The head is "KIND NAME": the schema it is read by and the file's name (gate, if there is no such
 * kind or it is no name). Promised:
 *   - a refusal names the file; nothing is filled then;
 *   - what is loaded keeps what rolldef.h says, and written anew as plain columns, without each, is
 *     the same definition again, by its fingerprint and by its docs;
 *   - random events make the figures that a naive recount finds (fake_recount.h).
 */
#include "../unit/fake_counter.h"
#include "fuzz_rewrite.h"
#include "fuzz_target.h"

#include "../../common/day.h"
#include "../../common/text.h"

#define EVENTS 6

static struct catalog catalog; /* of what is in schemas/, and gate */
static char last_folder[SCHEMA_NAME_MAX];
static char last_file[SCHEMA_NAME_MAX + 16];

static void open_target(void)
{
    char names[CATALOG_KINDS_MAX][SCHEMA_NAME_MAX];
    int count = 0;
    assert_ok(kind_list(FX_SCHEMAS_DIR, names, CATALOG_KINDS_MAX - 1, &count, &err));
    for (int i = 0; i < count; i++)
        assert_ok(kind_load(FX_SCHEMAS_DIR, names[i], &catalog.kinds[i + 1].kind, &err));
    assert_ok(kind_load(FX_TESTS_DIR "/fuzz/schemas", "gate", &catalog.kinds[0].kind, &err));
    assert_ok(schema_load_heartbeat(FX_SCHEMAS_DIR, &catalog.heartbeat, &err));
    catalog.kind_count = count + 1;
    fuzz_folder();
}

/* ---- where the definition goes --------------------------------------------------------------- */

static const struct kind *find_kind(const char *name)
{
    for (int i = 0; i < catalog.kind_count; i++)
        if (strcmp(catalog.kinds[i].kind.name, name) == 0)
            return &catalog.kinds[i].kind;
    return &catalog.kinds[0].kind;
}

static void put_file(const struct kind *kind, const void *bytes, size_t size)
{
    snprintf(last_folder, sizeof last_folder, "%s", kind->name);
    fuzz_write(last_folder, last_file, bytes, size);
}

static const struct kind *put_definition(const struct fuzz_text *text)
{
    char *space = strchr(text->head, ' ');
    const char *name = space == NULL ? "" : space + 1;
    if (last_folder[0] != '\0')
        fuzz_remove(last_folder, last_file);
    if (space != NULL)
        *space = '\0';
    const struct kind *kind = find_kind(text->head);
    snprintf(last_file, sizeof last_file, "%s.rollup.json",
             text_is_identifier(name) ? name : "gate");
    put_file(kind, text->body, text->size);
    return kind;
}

/* ---- what a definition is -------------------------------------------------------------------- */

static void check_condition(const struct schema *schema, const struct condition *condition)
{
    const struct field *field = &schema->fields[condition->field];
    bool is_null_test =
        condition->compare == COMPARE_IS_NULL || condition->compare == COMPARE_IS_NOT_NULL;
    bool is_list = condition->compare == COMPARE_IN || condition->compare == COMPARE_NOT_IN;
    bool is_number = (field->type == FIELD_INT || field->type == FIELD_LONG) && !field->is_time;
    assert_true(condition->field >= ENVELOPE_COUNT || condition->field == ENVELOPE_SOURCE ||
                condition->field == ENVELOPE_REGION);
    assert_true(is_null_test ? field->is_nullable && condition->value_count == 0
                             : condition->value_count >= 1);
    assert_true(is_list || is_null_test || (is_number && condition->value_count == 1));
    for (int i = 0; i < condition->value_count; i++) {
        assert_int_equal(condition->texts[i] != NULL, field->type == FIELD_STRING);
        if (field->type == FIELD_ENUM)
            assert_in_range(condition->values[i], 0, field->symbol_count - 1);
    }
}

static void check_column(const struct schema *schema, const struct rollup *rollup, int index)
{
    const struct rollup_column *column = &rollup->columns[index];
    bool is_last = column->aggregate == AGGREGATE_LAST;
    assert_true(text_is_identifier(column->name));
    assert_non_null(column->unit);
    assert_non_null(strstr(column->name, column->unit));
    assert_string_not_equal(rollup_unit_gloss(column->unit), "");
    assert_true(column->doc[0] == '\0' || strpbrk(column->doc, "\xe4\xe5\xe6\xe7\xe8\xe9"));
    for (int i = 0; i < index; i++)
        assert_string_not_equal(rollup->columns[i].name, column->name);
    for (int i = 0; i < column->condition_count; i++)
        check_condition(schema, &column->conditions[i]);
    assert_true(!is_last || rollup->by_source);
    if (column->aggregate == AGGREGATE_COUNT) {
        assert_int_equal(column->field, -1);
        return;
    }
    const struct field *field = &schema->fields[column->field];
    assert_true(column->field >= ENVELOPE_COUNT && !field->is_time);
    assert_true(field->type == FIELD_INT || field->type == FIELD_LONG);
    assert_true(column->aggregate != AGGREGATE_SUM ||
                (field->min >= -1000000000 && field->max <= 1000000000));
    assert_true(column->aggregate == AGGREGATE_SUM || field->min > INT64_MIN);
}

static void check_rollup(const struct schema *schema, const struct rollup *rollup)
{
    assert_true(text_is_identifier(rollup->name));
    assert_true(rollup->by_source || rollup->by_region);
    assert_true(DAY_HOUR_MS % rollup->bucket_ms == 0 ||
                (DAY_MS % rollup->bucket_ms == 0 && DAY_ZONE_OFFSET_MS % rollup->bucket_ms == 0));
    assert_int_equal(schema->fields[rollup->region_field].type, FIELD_STRING);
    assert_in_range(schema->fields[rollup->region_field].max_length, 1, SCHEMA_REGION_MAX);
    assert_in_range(rollup->column_count, 1, ROLLUP_COLUMNS_MAX);
    for (int i = 0; i < rollup->column_count; i++)
        check_column(schema, rollup, i);
    for (int i = 0; i < rollup->dimension_count; i++) {
        const struct field *field = &schema->fields[rollup->dimensions[i]];
        assert_true(field->type == FIELD_ENUM ||
                    (field->type == FIELD_STRING && field->max_length <= 64));
        assert_false(field->is_nullable);
    }
    for (int i = 0; i < rollup->derived_count; i++) {
        assert_true(text_is_identifier(rollup->derived[i].name));
        assert_null(strpbrk(rollup->derived[i].sql, ";\"$\\"));
    }
}

/* ---- the same in other words ----------------------------------------------------------------- */

static void compare_rollups(const struct rollup *a, const struct rollup *b)
{
    assert_true(a->fingerprint == b->fingerprint);
    assert_string_equal(a->doc, b->doc);
    assert_int_equal(a->column_count, b->column_count);
    assert_int_equal(a->derived_count, b->derived_count);
    for (int i = 0; i < a->column_count; i++) {
        assert_string_equal(a->columns[i].doc, b->columns[i].doc);
        assert_ptr_equal(a->columns[i].unit, b->columns[i].unit);
    }
    for (int i = 0; i < a->derived_count; i++) {
        assert_string_equal(a->derived[i].name, b->derived[i].name);
        assert_string_equal(a->derived[i].sql, b->derived[i].sql);
        assert_string_equal(a->derived[i].doc, b->derived[i].doc);
    }
}

static void check_rewritten(const struct kind *kind, const struct rollup *rollup)
{
    struct rollup_set again = {0};
    char *text = fuzz_rewrite(kind_current(kind), rollup);
    put_file(kind, text, strlen(text));
    struct fx_err err = FX_ERR_INIT;
    if (rollup_set_load(fuzz_folder(), kind, &again, &err) != FX_OK)
        fail_msg("%s: %s", err.text, text);
    assert_int_equal(again.count, 1);
    compare_rollups(rollup, &again.rollups[0]);
    rollup_set_release(&again);
    free(text);
}

/* ---- the figures ----------------------------------------------------------------------------- */

static void add_place(struct region_tree *regions, const char *code, enum region_level level,
                      const char *parent)
{
    struct region node = {.level = level, .parent = -1};
    snprintf(node.code, sizeof node.code, "%s", code);
    snprintf(node.name, sizeof node.name, "%s", code);
    assert_ok(region_tree_add(regions, &node, parent, &err));
}

/* Whether the recount's rows have room for it. */
static bool can_be_recounted(const struct schema *schema, const struct rollup *rollup)
{
    size_t key = strlen(rollup->name) + 48;
    for (int i = 0; i < rollup->dimension_count; i++) {
        const struct field *field = &schema->fields[rollup->dimensions[i]];
        size_t longest = 8;
        for (int k = 0; k < field->symbol_count; k++)
            if (strlen(field->symbols[k]) > longest)
                longest = strlen(field->symbols[k]);
        key += longest + 1;
    }
    return key < TABLE_KEY_MAX && table_width(rollup) <= TABLE_VALUES_MAX;
}

static void count_events(const struct catalog *one, uint64_t seed)
{
    static struct table expected;
    static struct table actual;
    struct dice dice = {seed};
    struct counter counter;
    counter_open(&counter, one, 0, SIZE_MAX);
    add_place(&counter.regions, "C", REGION_CITY, "");
    add_place(&counter.regions, "C1", REGION_COUNTY, "C");
    add_place(&counter.regions, "C1-T1", REGION_TOWN, "C1");
    table_reset(&expected);
    table_reset(&actual);
    for (int i = 0; i < EVENTS; i++) {
        struct recount_event event = counter_random(&counter, &dice);
        assert_ok(counter_apply(&counter, &event, &err));
        recount_add(&expected, counter.schema, plan_rollup(counter.plan, 0), &counter.regions,
                    &event);
    }
    counter_collect(&counter, &actual);
    assert_same_tables(&actual, &expected);
    counter_close(&counter);
}

static void check_figures(const struct kind *kind, struct rollup_set *set)
{
    static struct catalog one;
    static const char *const names[] = {"conditions", NULL};
    struct fx_err err = FX_ERR_INIT;
    struct plan *plan = NULL;
    one.kinds[0] = (struct catalog_kind){*kind, *set};
    one.kind_count = 1;
    one.heartbeat = catalog.heartbeat;
    if (plan_open(&one, 0, 1, &plan, &err) != FX_OK) {
        fuzz_check_refusal(&err, FX_ECONFIG, names); /* PLAN_PREDICATES_MAX */
        return;
    }
    plan_close(plan);
    if (can_be_recounted(kind_current(kind), &set->rollups[0]))
        count_events(&one, set->rollups[0].fingerprint);
}

static bool check(const uint8_t *bytes, size_t size)
{
    struct fuzz_text text;
    struct rollup_set set = {.count = 77};
    struct fx_err err = FX_ERR_INIT;
    fuzz_split(bytes, size, &text);
    const struct kind *kind = put_definition(&text);
    if (rollup_set_load(fuzz_folder(), kind, &set, &err) != FX_OK) {
        const char *const names[] = {last_file, ": ", NULL};
        fuzz_check_refusal(&err, FX_ECONFIG, names);
        assert_int_equal(set.count, 77);
        return false;
    }
    assert_int_equal(set.count, 1);
    check_rollup(kind_current(kind), &set.rollups[0]);
    check_rewritten(kind, &set.rollups[0]);
    check_figures(kind, &set);
    rollup_set_release(&set);
    return true;
}

const struct fuzz_target fuzz_target = {open_target, check};
