/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup_rule - what a column counts, in words that can be stored, compared and shown. Pure.
 *
 * Two columns count the same exactly when their rules are equal, so a changed rule over old rows
 * is found and named: "was sum(persons), is sum(persons) where direction in (IN)".
 */
#ifndef FX_SETUP_RULE_H
#define FX_SETUP_RULE_H

#include "../common/buf.h"
#include "../schemas/rolldef.h"

/* "count", "sum(persons) where step in (SAMPLED), minutes_since_sampling <= 60" */
void rule_append(struct buf *out, const struct schema *schema, const struct rollup_column *column);

/* "source", "region" or "source, region" */
const char *rule_counted_by(const struct rollup *rollup);

/* Names of the dimensions, "place, tier". */
void rule_append_dimensions(struct buf *out, const struct schema *schema,
                            const struct rollup *rollup);

/* The unit at the end of a derived column's name: the longest one that has a gloss, else the last
 * word. Borrowed from name. */
const char *rule_unit(const char *name);

/* "sum", "min", "max" or "last" */
const char *rule_over_time(enum aggregate aggregate);
const char *rule_over_regions(enum aggregate aggregate);

#endif
