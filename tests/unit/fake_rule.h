/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_rule - a rollup column, read naively: what one event is to it.
 *
 * Shares nothing with plan, measure and cells but the definitions.
 */
#ifndef FX_FAKE_RULE_H
#define FX_FAKE_RULE_H

#include "fake_base.h"

#include "../../consumers/decode.h"
#include "../../schemas/rolldef.h"

struct recount_event {
    struct decoded fields; /* source, run, seq, region and sign among them */
    int64_t counted_ms;
};

static inline bool recount_is_text(const struct decoded_text *text, const char *other)
{
    return text->size == strlen(other) && memcmp(text->bytes, other, text->size) == 0;
}

static inline bool recount_is_listed(const struct condition *condition,
                                     const struct decoded *fields)
{
    bool is_found = false;
    for (int i = 0; i < condition->value_count; i++)
        is_found |= condition->texts[i] != NULL
                        ? recount_is_text(&fields->texts[condition->field], condition->texts[i])
                        : fields->numbers[condition->field] == condition->values[i];
    return is_found;
}

static inline bool recount_holds(const struct condition *condition, const struct decoded *fields)
{
    int64_t number = fields->numbers[condition->field];
    if (condition->compare == COMPARE_IS_NULL)
        return fields->is_null[condition->field];
    if (fields->is_null[condition->field])
        return false;
    switch (condition->compare) {
    case COMPARE_IN:
        return recount_is_listed(condition, fields);
    case COMPARE_NOT_IN:
        return !recount_is_listed(condition, fields);
    case COMPARE_GT:
        return number > condition->values[0];
    case COMPARE_GTE:
        return number >= condition->values[0];
    case COMPARE_LT:
        return number < condition->values[0];
    case COMPARE_LTE:
        return number <= condition->values[0];
    case COMPARE_IS_NULL:
    case COMPARE_IS_NOT_NULL:
        break;
    }
    return true;
}

/* What one event is to one column; false: nothing. */
static inline bool recount_value(const struct rollup_column *column,
                                 const struct recount_event *event, int64_t value[4])
{
    const struct decoded *fields = &event->fields;
    int64_t sign = fields->numbers[ENVELOPE_SIGN];
    for (int i = 0; i < column->condition_count; i++)
        if (!recount_holds(&column->conditions[i], fields))
            return false;
    if (column->aggregate != AGGREGATE_COUNT && fields->is_null[column->field])
        return false;
    value[0] = column->aggregate == AGGREGATE_COUNT ? 1 : fields->numbers[column->field];
    value[1] = event->counted_ms;
    value[2] = fields->numbers[ENVELOPE_RUN];
    value[3] = fields->numbers[ENVELOPE_SEQ];
    if (column->aggregate == AGGREGATE_COUNT || column->aggregate == AGGREGATE_SUM)
        value[0] *= sign;
    else if (sign < 0)
        return false;
    return true;
}

#endif
