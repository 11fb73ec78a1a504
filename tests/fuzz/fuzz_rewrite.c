/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_rewrite.h"

#include <jansson.h>

static void set_member(json_t *object, const char *key, json_t *value)
{
    assert_null(json_object_get(object, key));
    assert_int_equal(json_object_set_new(object, key, value), 0);
}

static json_t *write_value(const struct field *field, const struct condition *condition, int i)
{
    switch (field->type) {
    case FIELD_STRING:
        return json_string(condition->texts[i]);
    case FIELD_ENUM:
        return json_string(field->symbols[condition->values[i]]);
    case FIELD_BOOLEAN:
        return json_boolean(condition->values[i]);
    case FIELD_INT:
    case FIELD_LONG:
        break;
    }
    return json_integer(condition->values[i]);
}

static json_t *write_values(const struct field *field, const struct condition *condition)
{
    bool is_null_test =
        condition->compare == COMPARE_IS_NULL || condition->compare == COMPARE_IS_NOT_NULL;
    bool is_list = condition->compare == COMPARE_IN || condition->compare == COMPARE_NOT_IN;
    if (is_null_test)
        return json_null();
    if (!is_list)
        return write_value(field, condition, 0);
    json_t *list = json_array();
    for (int i = 0; i < condition->value_count; i++)
        assert_int_equal(json_array_append_new(list, write_value(field, condition, i)), 0);
    return list;
}

static const char *key_of(enum compare compare)
{
    static const char *const keys[] = {
        [COMPARE_IN] = NULL,      [COMPARE_NOT_IN] = "not",      [COMPARE_GT] = "gt",
        [COMPARE_GTE] = "gte",    [COMPARE_LT] = "lt",           [COMPARE_LTE] = "lte",
        [COMPARE_IS_NULL] = NULL, [COMPARE_IS_NOT_NULL] = "not",
    };
    return keys[compare];
}

/* The only way that a field has one comparison twice is an edge of within, which comes last. Its
 * label "{}" leaves a mark that stands in a text as it is. */
static void write_within(json_t *entry, const struct field *field,
                         const struct condition *condition)
{
    assert_int_equal(condition->compare, COMPARE_LTE);
    json_t *edges = json_object();
    set_member(edges, "{}", json_integer(condition->values[0]));
    json_t *within = json_object();
    set_member(within, field->name, edges);
    set_member(entry, "within", within);
}

static void write_conditions(json_t *entry, const struct schema *schema,
                             const struct rollup_column *column)
{
    json_t *where = json_object();
    for (int i = 0; i < column->condition_count; i++) {
        const struct condition *condition = &column->conditions[i];
        const struct field *field = &schema->fields[condition->field];
        const char *key = key_of(condition->compare);
        json_t *before = json_object_get(where, field->name);
        bool is_last = i + 1 == column->condition_count;
        bool is_taken = before != NULL && (key == NULL || !json_is_object(before) ||
                                           json_object_get(before, key) != NULL);
        /* in the order they were in: a field that comes again later is an edge, too */
        bool is_apart =
            before != NULL && i > 0 && column->conditions[i - 1].field != condition->field;
        if (is_last && (is_taken || is_apart)) {
            write_within(entry, field, condition);
            break;
        }
        if (key == NULL) {
            set_member(where, field->name, write_values(field, condition));
            continue;
        }
        if (before == NULL) {
            before = json_object();
            set_member(where, field->name, before);
        }
        set_member(before, key, write_values(field, condition));
    }
    if (json_object_size(where) > 0)
        set_member(entry, "where", where);
    else
        json_decref(where);
}

static json_t *write_column(const struct schema *schema, const struct rollup_column *column)
{
    json_t *entry = json_object();
    const char *aggregate = aggregate_name(column->aggregate);
    set_member(entry, "name", json_string(column->name));
    set_member(entry, "doc", json_string(column->doc));
    set_member(entry, aggregate,
               column->field < 0 ? json_true() : json_string(schema->fields[column->field].name));
    write_conditions(entry, schema, column);
    return entry;
}

static json_t *write_derived(const struct rollup_derived *derived)
{
    json_t *entry = json_object();
    set_member(entry, "name", json_string(derived->name));
    set_member(entry, "sql", json_string(derived->sql));
    set_member(entry, "doc", json_string(derived->doc));
    return entry;
}

static json_t *write_head(const struct schema *schema, const struct rollup *rollup)
{
    char bucket[32];
    json_t *root = json_object();
    json_t *by = json_array();
    json_t *dimensions = json_array();
    if (rollup->by_source)
        json_array_append_new(by, json_string("source"));
    if (rollup->by_region)
        json_array_append_new(by, json_string("region"));
    for (int i = 0; i < rollup->dimension_count; i++)
        json_array_append_new(dimensions, json_string(schema->fields[rollup->dimensions[i]].name));
    snprintf(bucket, sizeof bucket, "%" PRId64 "min", rollup->bucket_ms / 60000);
    set_member(root, "rollup", json_string(rollup->name));
    set_member(root, "doc", json_string(rollup->doc));
    set_member(root, "region", json_string(schema->fields[rollup->region_field].name));
    set_member(root, "by", by);
    set_member(root, "bucket", json_string(bucket));
    set_member(root, "dimensions", dimensions);
    return root;
}

char *fuzz_rewrite(const struct schema *schema, const struct rollup *rollup)
{
    json_t *root = write_head(schema, rollup);
    json_t *columns = json_array();
    for (int i = 0; i < rollup->column_count; i++)
        json_array_append_new(columns, write_column(schema, &rollup->columns[i]));
    set_member(root, "columns", columns);
    if (rollup->derived_count > 0) {
        json_t *derived = json_array();
        for (int i = 0; i < rollup->derived_count; i++)
            json_array_append_new(derived, write_derived(&rollup->derived[i]));
        set_member(root, "derived", derived);
    }
    char *text = json_dumps(root, JSON_INDENT(1));
    assert_non_null(text);
    json_decref(root);
    return text;
}
