/* SPDX-License-Identifier: Apache-2.0 */
#include "straight.h"

#include <stdlib.h>
#include <string.h>

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
    if (at == measure->predicate_count) {
        measure->predicates[at].bit = at;
        compile_predicate(&measure->predicates[measure->predicate_count++], schema, condition);
    }
    *needs |= UINT64_C(1) << at;
    return FX_OK;
}

static int compare_tests(const void *left, const void *right)
{
    const struct predicate *a = left;
    const struct predicate *b = right;
    return a->test != b->test ? (int)a->test - (int)b->test : a->bit - b->bit;
}

/* Counts, sums, others. */
static int operation_rank(const struct operation *operation)
{
    switch (operation->aggregate) {
    case AGGREGATE_COUNT:
        return 0;
    case AGGREGATE_SUM:
        return 1;
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
    case AGGREGATE_LAST:
        break;
    }
    return 2;
}

static int compare_operations(const void *left, const void *right)
{
    const struct operation *a = left;
    const struct operation *b = right;
    int order = operation_rank(a) - operation_rank(b);
    return order != 0 ? order : a->slot - b->slot;
}

/* Takes the operations that make a row out of the others. */
static void compile_rows(struct measure *measure, const struct schema *schema)
{
    int kept = 0;
    for (int i = 0; i < measure->operation_count; i++) {
        const struct operation *one = &measure->operations[i];
        struct row *last = measure->row_count == 0 ? NULL : &measure->rows[measure->row_count - 1];
        bool is_plain = one->aggregate == AGGREGATE_SUM && one->needs == 0 &&
                        !schema->fields[one->field].is_nullable;
        if (!is_plain)
            measure->operations[kept++] = *one;
        else if (last != NULL && last->field + last->count == one->field &&
                 last->slot + last->count == one->slot)
            last->count++;
        else
            measure->rows[measure->row_count++] = (struct row){one->field, one->slot, 1};
    }
    measure->operation_count = kept;
}

/* The order that struct measure promises. */
static void arrange(struct measure *measure, const struct schema *schema)
{
    qsort(measure->predicates, (size_t)measure->predicate_count, sizeof measure->predicates[0],
          compare_tests);
    for (int i = 0; i < measure->predicate_count; i++) {
        measure->symbol_count += measure->predicates[i].test == TEST_SYMBOLS;
        measure->range_count += measure->predicates[i].test == TEST_RANGE;
    }
    compile_rows(measure, schema);
    qsort(measure->operations, (size_t)measure->operation_count, sizeof measure->operations[0],
          compare_operations);
    for (int i = 0; i < measure->operation_count; i++) {
        measure->count_count += operation_rank(&measure->operations[i]) == 0;
        measure->sum_count += operation_rank(&measure->operations[i]) == 1;
    }
}

enum fx_code measure_open(const struct schema *schema, const struct rollup *rollup,
                          struct measure **measure, struct fx_err *err)
{
    size_t columns = (size_t)rollup->column_count;
    struct measure *fresh = calloc(1, sizeof *fresh + columns * sizeof(struct operation));
    if (fresh != NULL)
        fresh->rows = calloc(columns, sizeof *fresh->rows);
    if (fresh == NULL || fresh->rows == NULL)
        fx_err_set(err, FX_EMEMORY, "no memory for the plan of %s", rollup->name);
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
    arrange(fresh, schema);
    fresh->straight = straight_find_measure(fresh);
    *measure = fresh;
    return FX_OK;
}

void measure_close(struct measure *measure)
{
    if (measure == NULL)
        return;
    free(measure->rows);
    free(measure);
}

bool measure_is_straight(const struct measure *measure)
{
    return measure->straight != NULL;
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

/* A test that is neither of symbols nor of a range. As in SQL, null passes none but its own. */
static bool holds(const struct predicate *predicate, const struct decoded *fields)
{
    int field = predicate->field;
    bool is_null = fields->is_null[field];
    switch (predicate->test) {
    case TEST_LIST:
        return !is_null &&
               is_listed(predicate->condition, fields->numbers[field]) != predicate->is_negated;
    case TEST_TEXTS:
        return !is_null &&
               is_text_listed(predicate->condition, &fields->texts[field]) != predicate->is_negated;
    case TEST_IS_NULL:
        return is_null;
    case TEST_IS_NOT_NULL:
        return !is_null;
    case TEST_SYMBOLS:
    case TEST_RANGE:
        break;
    }
    fx_assert(false); /* these have loops of their own */
    return false;
}

uint64_t measure_test(const struct predicate *one, const struct decoded *fields)
{
    return (uint64_t)holds(one, fields) << one->bit;
}

static uint64_t test_all(const struct measure *measure, const struct decoded *fields)
{
    uint64_t bits = 0;
    const struct predicate *one = measure->predicates;
    const struct predicate *end = one + measure->symbol_count;
    for (; one < end; one++)
        bits |= test_symbols(one, fields);
    for (end += measure->range_count; one < end; one++)
        bits |= test_range(one, fields);
    for (end = measure->predicates + measure->predicate_count; one < end; one++)
        bits |= measure_test(one, fields);
    return bits;
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

void measure_keep(const struct operation *operation, const struct plan_target *target,
                  int64_t *slot)
{
    int64_t value = target->event->fields.numbers[operation->field];
    if (operation->aggregate == AGGREGATE_LAST)
        keep_last(slot, value, target);
    else if (*slot == CELL_NONE || value < *slot)
        *slot = value;
}

/* Any measure's way. */
static void walk(const struct measure *measure, const struct plan_target *target, struct cell *cell)
{
    const int64_t *numbers = target->event->fields.numbers;
    int64_t *slots = cell->slots;
    int64_t sign = target->sign;
    uint64_t missing = ~test_all(measure, &target->event->fields);
    for (int i = 0; i < measure->row_count; i++)
        add_row(&measure->rows[i], numbers, sign, slots);
    const struct operation *one = measure->operations;
    const struct operation *end = one + measure->count_count;
    for (; one < end; one++)
        add_count(one, missing, sign, slots);
    for (end += measure->sum_count; one < end; one++)
        add_sum(one, missing, sign, numbers, slots);
    for (end = measure->operations + measure->operation_count; one < end; one++)
        keep(one, missing, target, slots);
}

void measure_add(const struct measure *measure, const struct plan_target *target, struct cell *cell)
{
    if (measure->straight != NULL)
        measure->straight(measure, target, cell);
    else
        walk(measure, target, cell);
}
