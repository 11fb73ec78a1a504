/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure - a rollup's columns, compiled: what one event adds to one cell.
 *
 * Conditions are evaluated once per event into bits; a column applies where all its bits are set.
 * The sign multiplies counts and sums; extremes and last ignore reversals and nulls.
 * Pure and read-only after measure_open; never fails at run time.
 */
#ifndef FX_MEASURE_H
#define FX_MEASURE_H

#include "plan.h"

struct measure;

/* FX_ECONFIG: more than PLAN_PREDICATES_MAX different conditions; FX_EMEMORY. Borrows both. */
FX_MUST_CHECK enum fx_code measure_open(const struct schema *schema, const struct rollup *rollup,
                                        struct measure **measure, struct fx_err *err);
void measure_close(struct measure *measure);

/* As decoder_is_straight. */
bool measure_is_straight(const struct measure *measure);

void measure_add(const struct measure *measure, const struct plan_target *target,
                 struct cell *cell);

#endif
