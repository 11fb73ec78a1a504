/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure_ops - what a measure is made of, and what a predicate, a row and an operation do, as
 * inline code. measure.c walks tables of them with it; what straight_make.c writes has their
 * numbers as constants. Private to these two.
 */
#ifndef FX_MEASURE_OPS_H
#define FX_MEASURE_OPS_H

#include "decode_ops.h"
#include "measure.h"

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
    int bit;         /* of the operations' needs */
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

/* Sums without conditions, of fields in a row that are never null, into slots in a row. */
struct row {
    int field;
    int slot;
    int count;
};

struct measure;

/* A measure's whole way as code made for it (straight.h). */
typedef void straight_measure_add(const struct measure *measure, const struct plan_target *target,
                                  struct cell *cell);

/*
 * What an event says is as good as random, so a branch on it is guessed wrong again and again and
 * costs more than what it saves. The tests and operations that most columns are made of therefore
 * run without one: a condition is a mask, all ones or zero, and what is null is the number 0. In
 * predicates the symbols' tests come first, then the ranges; in operations counts, then sums.
 */
struct measure {
    straight_measure_add *straight; /* NULL: there is none */
    struct predicate predicates[PLAN_PREDICATES_MAX];
    int symbol_count; /* predicates that are TEST_SYMBOLS */
    int range_count;  /* behind them: TEST_RANGE */
    int predicate_count;
    struct row *rows;
    int row_count;
    int count_count; /* operations that count */
    int sum_count;   /* behind them: that sum */
    int operation_count;
    struct operation operations[];
};

/* The predicate's bit, or 0. As in SQL, null passes neither. */
FX_INLINE uint64_t test_symbols(const struct predicate *one, const struct decoded *fields)
{
    uint64_t is_there = !fields->is_null[one->field];
    return (one->mask >> fields->numbers[one->field] & is_there) << one->bit;
}

FX_INLINE uint64_t test_range(const struct predicate *one, const struct decoded *fields)
{
    int64_t number = fields->numbers[one->field];
    bool is_in = (number >= one->low) & (number <= one->high) & !fields->is_null[one->field];
    return (uint64_t)is_in << one->bit;
}

FX_INLINE uint64_t test_presence(const struct predicate *one, const struct decoded *fields)
{
    bool is_null = fields->is_null[one->field];
    return (uint64_t)(is_null == (one->test == TEST_IS_NULL)) << one->bit;
}

/* A predicate that is neither of symbols nor a range. */
uint64_t measure_test(const struct predicate *one, const struct decoded *fields);

FX_INLINE void add_row(const struct row *row, const int64_t *restrict numbers, int64_t sign,
                       int64_t *restrict slots)
{
    numbers += row->field;
    slots += row->slot;
    int i = 0;
    for (; sign == 1 && i + 4 <= row->count; i += 4) {
        slots[i] += numbers[i];
        slots[i + 1] += numbers[i + 1];
        slots[i + 2] += numbers[i + 2];
        slots[i + 3] += numbers[i + 3];
    }
    for (; i < row->count; i++)
        slots[i] += sign * numbers[i];
}

/* All ones where nothing that operation needs is missing. */
FX_INLINE int64_t mask_of(const struct operation *operation, uint64_t missing)
{
    return -(int64_t)((operation->needs & missing) == 0);
}

FX_INLINE void add_count(const struct operation *one, uint64_t missing, int64_t sign,
                         int64_t *slots)
{
    slots[one->slot] += sign & mask_of(one, missing);
}

FX_INLINE void add_sum(const struct operation *one, uint64_t missing, int64_t sign,
                       const int64_t *numbers, int64_t *slots)
{
    slots[one->slot] += sign * numbers[one->field] & mask_of(one, missing);
}

/* Least and last: a reversal does not undo them. */
void measure_keep(const struct operation *operation, const struct plan_target *target,
                  int64_t *slot);

/* CELL_NONE is less than any value, so the greatest needs no branch. */
FX_INLINE void keep(const struct operation *one, uint64_t missing, const struct plan_target *target,
                    int64_t *slots)
{
    const struct decoded *fields = &target->event->fields;
    bool is_kept =
        ((one->needs & missing) == 0) & (target->sign > 0) & !fields->is_null[one->field];
    if (one->aggregate == AGGREGATE_MAX) {
        int64_t value = is_kept ? fields->numbers[one->field] : CELL_NONE;
        slots[one->slot] = value > slots[one->slot] ? value : slots[one->slot];
    } else if (is_kept) {
        measure_keep(one, target, &slots[one->slot]);
    }
}

#endif
