/* SPDX-License-Identifier: Apache-2.0 */
#include "straight.h"

static bool is_same_op(const struct op *a, const struct op *b)
{
    return a->kind == b->kind && a->first == b->first && a->count == b->count && a->to == b->to &&
           a->min == b->min && a->max == b->max && a->mask == b->mask && a->limits == b->limits &&
           a->is_name == b->is_name;
}

static bool is_same_sum(const struct sum_row *a, const struct sum_row *b)
{
    return a->sum == b->sum && a->total == b->total && a->first == b->first && a->count == b->count;
}

/* The steps are not compared: they are walked as they are, where an op takes nothing. */
static bool is_made_of_decoder(const struct straight_decoder *made, const struct decoder *decoder)
{
    const struct schema *current = decoder->current;
    if (made->op_count != decoder->op_count || made->sum_count != current->sum_count ||
        made->field_count != current->field_count)
        return false;
    for (int i = 0; i < made->op_count; i++)
        if (!is_same_op(&made->ops[i], &decoder->ops[i]))
            return false;
    for (int i = 0; i < made->sum_count; i++)
        if (!is_same_sum(&made->sums[i], &decoder->sums[i]))
            return false;
    return true;
}

straight_decode *straight_find_decode(const struct decoder *decoder)
{
    for (const struct straight_decoder *made = straight_decoders; made->run != NULL; made++)
        if (is_made_of_decoder(made, decoder))
            return made->run;
    return NULL;
}

/* Nor are the conditions: a test that needs one takes the measure's own. */
static bool is_same_predicate(const struct predicate *a, const struct predicate *b)
{
    return a->test == b->test && a->bit == b->bit && a->is_negated == b->is_negated &&
           a->field == b->field && a->mask == b->mask && a->low == b->low && a->high == b->high;
}

static bool is_same_row(const struct row *a, const struct row *b)
{
    return a->field == b->field && a->slot == b->slot && a->count == b->count;
}

static bool is_same_operation(const struct operation *a, const struct operation *b)
{
    return a->needs == b->needs && a->aggregate == b->aggregate && a->field == b->field &&
           a->slot == b->slot;
}

static bool is_made_of_measure(const struct straight_measure *made, const struct measure *measure)
{
    if (made->predicate_count != measure->predicate_count ||
        made->row_count != measure->row_count || made->operation_count != measure->operation_count)
        return false;
    for (int i = 0; i < made->predicate_count; i++)
        if (!is_same_predicate(&made->predicates[i], &measure->predicates[i]))
            return false;
    for (int i = 0; i < made->row_count; i++)
        if (!is_same_row(&made->rows[i], &measure->rows[i]))
            return false;
    for (int i = 0; i < made->operation_count; i++)
        if (!is_same_operation(&made->operations[i], &measure->operations[i]))
            return false;
    return true;
}

straight_measure_add *straight_find_measure(const struct measure *measure)
{
    for (const struct straight_measure *made = straight_measures; made->run != NULL; made++)
        if (is_made_of_measure(made, measure))
            return made->run;
    return NULL;
}
