/* SPDX-License-Identifier: Apache-2.0 */
/*
 * straight - decoders and measures of the schemas that are in the tree when it is built, as C.
 *
 * A table of ops can be walked for any schema, but each op costs its loads and branches again for
 * every event. straight_make (a program of the build) compiles each kind in schemas/ as fx-rollup
 * would, and writes one function for each table: the same inline code (decode_walk.h,
 * measure_walk.h), called with the op's numbers as constants. It is not another decoder, and there
 * is nothing in it to keep in step with the first one.
 *
 * decoder_open and measure_open look for a function made of exactly their table; a kind that was
 * added or changed after the build has none, and its table is walked. Figures are the same; a
 * checkpoint event takes about half the instructions (tests/bench, "hot").
 */
#ifndef FX_STRAIGHT_H
#define FX_STRAIGHT_H

#include "decode_ops.h"
#include "measure_ops.h"

struct straight_decoder {
    const struct op *ops;
    int op_count;
    const struct sum_row *sums;
    int sum_count;
    int field_count;      /* of the current schema */
    straight_decode *run; /* NULL: the end of the list */
};

struct straight_measure {
    const struct predicate *predicates; /* without their conditions */
    int predicate_count;
    const struct row *rows;
    int row_count;
    const struct operation *operations;
    int operation_count;
    straight_measure_add *run; /* NULL: the end of the list */
};

/* Made when the tree is built. */
extern const struct straight_decoder straight_decoders[];
extern const struct straight_measure straight_measures[];

/* NULL: there is none. */
straight_decode *straight_find_decode(const struct decoder *decoder);
straight_measure_add *straight_find_measure(const struct measure *measure);

#endif
