/* SPDX-License-Identifier: Apache-2.0 */
#include "document.h"
#include "rolldef_column.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *key;
    enum compare compare;
} operators[] = {
    {"not", COMPARE_NOT_IN}, {"gt", COMPARE_GT},   {"gte", COMPARE_GTE},
    {"lt", COMPARE_LT},      {"lte", COMPARE_LTE},
};

bool rolldef_is_number(const struct field *field)
{
    return (field->type == FIELD_INT || field->type == FIELD_LONG) && !field->is_time;
}

/*
 * Of the envelope only source and region may be asked for: a reversal differs from its original
 * in all else, and has to match the same conditions to undo it.
 */
enum fx_code rolldef_find_field(const struct schema *schema, const char *name, int *index,
                                struct fx_err *err)
{
    int found = schema_field(schema, name);
    bool is_open = found >= ENVELOPE_COUNT || found == ENVELOPE_SOURCE || found == ENVELOPE_REGION;
    if (found >= 0 && !is_open)
        return fx_err_set(err, FX_ECONFIG, "field \"%s\" belongs to the envelope", name);
    if (found < 0) {
        char text[DOCUMENT_HINT_MAX];
        struct hint hint = hint_init(name);
        for (int i = ENVELOPE_COUNT; i < schema->field_count; i++)
            hint_offer(&hint, schema->fields[i].name);
        return fx_err_set(err, FX_ECONFIG, "no field \"%.64s\"%s", name, hint_format(&hint, text));
    }
    *index = found;
    return FX_OK;
}

static enum fx_code find_symbol(const struct field *field, const char *name, int64_t *value,
                                struct fx_err *err)
{
    int found = field_symbol(field, name, strlen(name));
    if (found < 0) {
        char text[DOCUMENT_HINT_MAX];
        struct hint hint = hint_init(name);
        for (int i = 0; i < field->symbol_count; i++)
            hint_offer(&hint, field->symbols[i]);
        return fx_err_set(err, FX_ECONFIG, "no symbol \"%.64s\"%s", name, hint_format(&hint, text));
    }
    *value = found;
    return FX_OK;
}

/* Reads one value of the field's type into values or texts at condition->value_count. */
static enum fx_code parse_value(const struct field *field, const json_t *json,
                                struct condition *condition, struct fx_err *err)
{
    int64_t *value = &condition->values[condition->value_count];
    switch (field->type) {
    case FIELD_INT:
    case FIELD_LONG:
        *value = json_integer_value(json);
        return json_is_integer(json) ? FX_OK : fx_err_set(err, FX_ECONFIG, "is no whole number");
    case FIELD_BOOLEAN:
        *value = json_is_true(json);
        return json_is_boolean(json) ? FX_OK : fx_err_set(err, FX_ECONFIG, "is not true or false");
    case FIELD_ENUM:
        if (!json_is_string(json))
            return fx_err_set(err, FX_ECONFIG, "is no symbol");
        return find_symbol(field, json_string_value(json), value, err);
    case FIELD_STRING:
        if (!json_is_string(json) || json_string_length(json) > (size_t)field->max_length)
            return fx_err_set(err, FX_ECONFIG, "is no string of at most %d bytes",
                              field->max_length);
        return document_copy(json_string_value(json), &condition->texts[condition->value_count],
                             err);
    }
    return fx_err_set(err, FX_ECONFIG, "has a type without comparisons");
}

static bool is_repeated(const struct condition *condition)
{
    int last = condition->value_count;
    for (int i = 0; i < last; i++) {
        bool is_text = condition->texts[last] != NULL;
        if (is_text ? strcmp(condition->texts[i], condition->texts[last]) == 0
                    : condition->values[i] == condition->values[last])
            return true;
    }
    return false;
}

static enum fx_code add_value(const struct field *field, const json_t *json,
                              struct condition *condition, struct fx_err *err)
{
    if (json_is_null(json))
        return fx_err_set(err, FX_ECONFIG, "null inside a list: nothing equals null");
    if (condition->value_count == ROLLUP_VALUES_MAX)
        return fx_err_set(err, FX_ECONFIG, "more than %d values", ROLLUP_VALUES_MAX);
    if (parse_value(field, json, condition, err) != FX_OK)
        return err->code;
    bool is_again = is_repeated(condition);
    condition->value_count++;
    return is_again ? fx_err_set(err, FX_ECONFIG, "a value is there twice") : FX_OK;
}

static enum fx_code add_values(const struct field *field, const json_t *json,
                               struct condition *condition, struct fx_err *err)
{
    if (!json_is_array(json))
        return add_value(field, json, condition, err);
    if (json_array_size(json) == 0)
        return fx_err_set(err, FX_ECONFIG, "an empty list");
    for (size_t i = 0; i < json_array_size(json); i++)
        if (add_value(field, json_array_get(json, i), condition, err) != FX_OK)
            return err->code;
    return FX_OK;
}

static enum fx_code add_condition(int field, enum compare compare, struct rollup_column *column,
                                  struct condition **condition, struct fx_err *err)
{
    if (column->condition_count == ROLLUP_CONDITIONS_MAX)
        return fx_err_set(err, FX_ECONFIG, "more than %d conditions", ROLLUP_CONDITIONS_MAX);
    *condition = &column->conditions[column->condition_count++];
    **condition = (struct condition){.field = field, .compare = compare};
    return FX_OK;
}

/* compare is COMPARE_IN or COMPARE_NOT_IN until null turns it into the test for null. */
static enum fx_code parse_equality(const struct field *field, const json_t *json,
                                   struct condition *condition, struct fx_err *err)
{
    if (!json_is_null(json))
        return add_values(field, json, condition, err);
    if (!field->is_nullable)
        return fx_err_set(err, FX_ECONFIG, "is never null");
    condition->compare = condition->compare == COMPARE_IN ? COMPARE_IS_NULL : COMPARE_IS_NOT_NULL;
    return FX_OK;
}

static enum fx_code parse_order(const struct field *field, const json_t *json,
                                struct condition *condition, struct fx_err *err)
{
    if (!rolldef_is_number(field))
        return fx_err_set(err, FX_ECONFIG, "gt, gte, lt and lte compare numbers");
    return add_value(field, json, condition, err);
}

static enum fx_code parse_operator(const struct schema *schema, int index, const json_t *json,
                                   struct condition *condition, struct fx_err *err)
{
    const struct field *field = &schema->fields[index];
    bool is_equality = condition->compare == COMPARE_IN || condition->compare == COMPARE_NOT_IN;
    return is_equality ? parse_equality(field, json, condition, err)
                       : parse_order(field, json, condition, err);
}

/* {"gte": 1, "lt": 5}: one condition per operator. */
static enum fx_code parse_operators(const json_t *json, const struct schema *schema, int index,
                                    struct rollup_column *column, struct fx_err *err)
{
    static const char *const keys[] = {"not", "gt", "gte", "lt", "lte", NULL};
    if (document_check_keys(json, keys, err) != FX_OK)
        return err->code;
    if (json_object_size(json) == 0)
        return fx_err_set(err, FX_ECONFIG, "no comparison");
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        const json_t *operand = json_object_get(json, operators[i].key);
        struct condition *condition = NULL;
        if (operand == NULL)
            continue;
        if (add_condition(index, operators[i].compare, column, &condition, err) != FX_OK ||
            parse_operator(schema, index, operand, condition, err) != FX_OK)
            return fx_err_wrap(err, "%s", operators[i].key);
    }
    return FX_OK;
}

static enum fx_code parse_member(const char *name, const json_t *json, const struct schema *schema,
                                 struct rollup_column *column, struct fx_err *err)
{
    int index = -1;
    if (rolldef_find_field(schema, name, &index, err) != FX_OK)
        return err->code;
    if (json_is_object(json))
        return parse_operators(json, schema, index, column, err);
    struct condition *condition = NULL;
    if (add_condition(index, COMPARE_IN, column, &condition, err) != FX_OK)
        return err->code;
    return parse_operator(schema, index, json, condition, err);
}

enum fx_code conditions_parse(const json_t *where, const struct schema *schema,
                              struct rollup_column *column, struct fx_err *err)
{
    if (where == NULL)
        return FX_OK;
    if (!json_is_object(where) || json_object_size(where) == 0)
        return fx_err_set(err, FX_ECONFIG, "\"where\" names no field");
    json_t *members = (json_t *)(uintptr_t)where;
    for (void *at = json_object_iter(members); at != NULL;
         at = json_object_iter_next(members, at)) {
        const char *name = json_object_iter_key(at);
        if (parse_member(name, json_object_iter_value(at), schema, column, err) != FX_OK)
            return fx_err_wrap(err, "where %.64s", name);
    }
    return FX_OK;
}

enum fx_code condition_add_edge(int field, int64_t edge, struct rollup_column *column,
                                struct fx_err *err)
{
    struct condition *condition = NULL;
    if (add_condition(field, COMPARE_LTE, column, &condition, err) != FX_OK)
        return err->code;
    condition->values[0] = edge;
    condition->value_count = 1;
    return FX_OK;
}
