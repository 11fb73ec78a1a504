/* SPDX-License-Identifier: Apache-2.0 */
#include "setup_rule.h"

#include <inttypes.h>
#include <string.h>

/* "a""b": quotes doubled, so that no two texts look alike. */
static void append_text(struct buf *out, const char *text)
{
    buf_append_byte(out, '"');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"')
            buf_append_byte(out, '"');
        buf_append_byte(out, (uint8_t)*c);
    }
    buf_append_byte(out, '"');
}

static void append_value(struct buf *out, const struct field *field,
                         const struct condition *condition, int index)
{
    int64_t value = condition->values[index];
    if (field->type == FIELD_STRING)
        append_text(out, condition->texts[index]);
    else if (field->type == FIELD_ENUM && value >= 0 && value < field->symbol_count)
        buf_append_text(out, field->symbols[value]);
    else if (field->type == FIELD_BOOLEAN)
        buf_append_text(out, value != 0 ? "true" : "false");
    else
        buf_append_format(out, "%" PRId64, value);
}

static void append_condition(struct buf *out, const struct schema *schema,
                             const struct condition *condition)
{
    static const char *const words[] = {
        [COMPARE_IN] = " in (",         [COMPARE_NOT_IN] = " not in (",
        [COMPARE_GT] = " > (",          [COMPARE_GTE] = " >= (",
        [COMPARE_LT] = " < (",          [COMPARE_LTE] = " <= (",
        [COMPARE_IS_NULL] = " is null", [COMPARE_IS_NOT_NULL] = " is not null",
    };
    const struct field *field = &schema->fields[condition->field];
    buf_append_text(out, field->name);
    buf_append_text(out, words[condition->compare]);
    if (condition->compare == COMPARE_IS_NULL || condition->compare == COMPARE_IS_NOT_NULL)
        return;
    for (int i = 0; i < condition->value_count; i++) {
        buf_append_text(out, i == 0 ? "" : ", ");
        append_value(out, field, condition, i);
    }
    buf_append_byte(out, ')');
}

void rule_append(struct buf *out, const struct schema *schema, const struct rollup_column *column)
{
    buf_append_text(out, aggregate_name(column->aggregate));
    if (column->field >= 0)
        buf_append_format(out, "(%s)", schema->fields[column->field].name);
    for (int i = 0; i < column->condition_count; i++) {
        buf_append_text(out, i == 0 ? " where " : ", ");
        append_condition(out, schema, &column->conditions[i]);
    }
}

const char *rule_counted_by(const struct rollup *rollup)
{
    if (!rollup->by_source)
        return "region";
    return rollup->by_region ? "source, region" : "source";
}

void rule_append_dimensions(struct buf *out, const struct schema *schema,
                            const struct rollup *rollup)
{
    for (int i = 0; i < rollup->dimension_count; i++)
        buf_append_format(out, "%s%s", i == 0 ? "" : ", ",
                          schema->fields[rollup->dimensions[i]].name);
}

const char *rule_unit(const char *name)
{
    const char *last = name;
    for (const char *at = strchr(name, '_'); at != NULL; at = strchr(at + 1, '_')) {
        last = at + 1;
        if (rollup_unit_gloss(last)[0] != '\0')
            return last;
    }
    return last;
}

const char *rule_over_time(enum aggregate aggregate)
{
    return aggregate == AGGREGATE_COUNT ? "sum" : aggregate_name(aggregate);
}

const char *rule_over_regions(enum aggregate aggregate)
{
    return aggregate == AGGREGATE_LAST ? "sum" : rule_over_time(aggregate);
}
