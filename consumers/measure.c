/* SPDX-License-Identifier: Apache-2.0 */
#include "measure.h"

#include <stdlib.h>
#include <string.h>

enum test {
    TEST_SYMBOLS, /* bit of the symbol (or boolean) in mask */
    TEST_RANGE,   /* low <= value <= high */
    TEST_LIST,    /* one of the condition's numbers */
    TEST_TEXTS,   /* one of the condition's texts */
    TEST_IS_NULL,
    TEST_IS_NOT_NULL
};

struct predicate {
    enum test test;
    bool is_negated; /* TEST_SYMBOLS has the negation in mask already */
    int field;
    uint64_t mask;
    int64_t low;
    int64_t high;
    const struct condition *condition;
};

struct operation {
    uint64_t needs; /* bits of predicates that must hold */
    enum aggregate aggregate;
    int field; /* -1: count */
    int slot;
};

struct measure {
    struct predicate predicates[PLAN_PREDICATES_MAX];
    int predicate_count;
    int operation_count;
    struct operation operations[];
};

static bool is_same_condition(const struct condition *a, const struct condition *b)
{
    if (a->field != b->field || a->compare != b->compare || a->value_count != b->value_count)
        return false;
    for (int i = 0; i < a->value_count; i++) {
        if (a->texts[i] != NULL || b->texts[i] != NULL) {
            if (a->texts[i] == NULL || b->texts[i] == NULL || strcmp(a->texts[i], b->texts[i]) != 0)
                return false;
        } else if (a->values[i] != b->values[i]) {
            return false;
        }
    }
    return true;
}

static uint64_t symbols_mask(const struct condition *condition)
{
    uint64_t mask = 0;
    for (int i = 0; i < condition->value_count; i++)
        mask |= UINT64_C(1) << condition->values[i];
    return condition->compare == COMPARE_NOT_IN ? ~mask : mask;
}

/* value > x is value >= x + 1; nothing is above INT64_MAX, so the range is empty then. */
static void compile_range(struct predicate *predicate, const struct condition *condition)
{
    int64_t edge = condition->values[0];
    predicate->test = TEST_RANGE;
    predicate->low = INT64_MIN;
    predicate->high = INT64_MAX;
    switch (condition->compare) {
    case COMPARE_GT:
        predicate->low = edge == INT64_MAX ? INT64_MAX : edge + 1;
        predicate->high = edge == INT64_MAX ? INT64_MIN : INT64_MAX;
        break;
    case COMPARE_GTE:
        predicate->low = edge;
        break;
    case COMPARE_LT:
        predicate->high = edge == INT64_MIN ? INT64_MIN : edge - 1;
        predicate->low = edge == INT64_MIN ? INT64_MAX : INT64_MIN;
        break;
    case COMPARE_LTE:
        predicate->high = edge;
        break;
    case COMPARE_IN:
    case COMPARE_NOT_IN:
    case COMPARE_IS_NULL:
    case COMPARE_IS_NOT_NULL:
        fx_assert(condition->value_count == 1); /* these have no edge: never here */
    }
}

static void compile_predicate(struct predicate *predicate, const struct schema *schema,
                              const struct condition *condition)
{
    const struct field *field = &schema->fields[condition->field];
    predicate->field = condition->field;
    predicate->condition = condition;
    predicate->is_negated = condition->compare == COMPARE_NOT_IN;
    if (condition->compare == COMPARE_IS_NULL) {
        predicate->test = TEST_IS_NULL;
    } else if (condition->compare == COMPARE_IS_NOT_NULL) {
        predicate->test = TEST_IS_NOT_NULL;
    } else if (condition->compare != COMPARE_IN && condition->compare != COMPARE_NOT_IN) {
        compile_range(predicate, condition);
    } else if (field->type == FIELD_STRING) {
        predicate->test = TEST_TEXTS;
    } else if ((field->type == FIELD_ENUM && field->symbol_count <= 64) ||
               field->type == FIELD_BOOLEAN) {
        predicate->test = TEST_SYMBOLS;
        predicate->mask = symbols_mask(condition);
    } else {
        predicate->test = TEST_LIST;
    }
}

/* The bit of condition, a new one if no column had it so far. */
static enum fx_code add_predicate(struct measure *measure, const struct schema *schema,
                                  const struct condition *condition, uint64_t *needs,
                                  struct fx_err *err)
{
    int at = 0;
    while (at < measure->predicate_count &&
           !is_same_condition(measure->predicates[at].condition, condition))
        at++;
    if (at == PLAN_PREDICATES_MAX)
        return fx_err_set(err, FX_ECONFIG, "more than %d different conditions",
                          PLAN_PREDICATES_MAX);
    if (at == measure->predicate_count)
        compile_predicate(&measure->predicates[measure->predicate_count++], schema, condition);
    *needs |= UINT64_C(1) << at;
    return FX_OK;
}

enum fx_code measure_open(const struct schema *schema, const struct rollup *rollup,
                          struct measure **measure, struct fx_err *err)
{
    size_t operations = (size_t)rollup->column_count * sizeof(struct operation);
    struct measure *fresh = calloc(1, sizeof *fresh + operations);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for the plan of %s", rollup->name);
    int slot = 0;
    for (int i = 0; i < rollup->column_count && err->code == FX_OK; i++) {
        const struct rollup_column *column = &rollup->columns[i];
        struct operation *operation = &fresh->operations[fresh->operation_count++];
        operation->aggregate = column->aggregate;
        operation->field = column->field;
        operation->slot = slot;
        slot += column->aggregate == AGGREGATE_LAST ? 4 : 1;
        for (int k = 0; k < column->condition_count && err->code == FX_OK; k++)
            if (add_predicate(fresh, schema, &column->conditions[k], &operation->needs, err) !=
                FX_OK)
                fx_err_wrap(err, "rollup %s, column %s", rollup->name, column->name);
    }
    if (err->code != FX_OK) {
        measure_close(fresh);
        return err->code;
    }
    *measure = fresh;
    return FX_OK;
}

void measure_close(struct measure *measure)
{
    free(measure);
}

static bool is_listed(const struct condition *condition, int64_t number)
{
    for (int i = 0; i < condition->value_count; i++)
        if (condition->values[i] == number)
            return true;
    return false;
}

static bool is_text_listed(const struct condition *condition, const struct decoded_text *text)
{
    for (int i = 0; i < condition->value_count; i++)
        if (strlen(condition->texts[i]) == text->size &&
            memcmp(condition->texts[i], text->bytes, text->size) == 0)
            return true;
    return false;
}

/* As in SQL, null passes no test but the one for it. */
static bool holds(const struct predicate *predicate, const struct decoded *fields)
{
    int field = predicate->field;
    if (fields->is_null[field])
        return predicate->test == TEST_IS_NULL;
    int64_t number = fields->numbers[field];
    switch (predicate->test) {
    case TEST_SYMBOLS:
        return (predicate->mask >> number) & 1;
    case TEST_RANGE:
        return number >= predicate->low && number <= predicate->high;
    case TEST_LIST:
        return is_listed(predicate->condition, number) != predicate->is_negated;
    case TEST_TEXTS:
        return is_text_listed(predicate->condition, &fields->texts[field]) != predicate->is_negated;
    case TEST_IS_NULL:
        return false;
    case TEST_IS_NOT_NULL:
        return true;
    }
    return false;
}

static void keep_last(int64_t *slots, int64_t value, const struct plan_target *target)
{
    const struct event *event = target->event;
    const int64_t order[3] = {target->counted_ms, event->run, event->seq};
    if (slots[0] != CELL_NONE) {
        int i = 0;
        while (i < 2 && slots[1 + i] == order[i])
            i++;
        if (slots[1 + i] > order[i])
            return;
    }
    slots[0] = value;
    memcpy(&slots[1], order, sizeof order);
}

static void apply(const struct operation *operation, const struct plan_target *target,
                  int64_t *slot)
{
    const struct event *event = target->event;
    if (operation->field < 0) {
        *slot += target->sign;
        return;
    }
    if (event->fields.is_null[operation->field])
        return;
    int64_t value = event->fields.numbers[operation->field];
    if (operation->aggregate == AGGREGATE_SUM) {
        *slot += target->sign * value;
        return;
    }
    if (target->sign < 0)
        return;
    if (operation->aggregate == AGGREGATE_LAST)
        keep_last(slot, value, target);
    else if (*slot == CELL_NONE ||
             (operation->aggregate == AGGREGATE_MAX ? value > *slot : value < *slot))
        *slot = value;
}

void measure_add(const struct measure *measure, const struct plan_target *target, struct cell *cell)
{
    const struct event *event = target->event;
    uint64_t bits = 0;
    for (int i = 0; i < measure->predicate_count; i++)
        bits |= (uint64_t)holds(&measure->predicates[i], &event->fields) << i;
    for (int i = 0; i < measure->operation_count; i++) {
        const struct operation *operation = &measure->operations[i];
        if ((bits & operation->needs) == operation->needs)
            apply(operation, target, &cell->slots[operation->slot]);
    }
}
