/* SPDX-License-Identifier: Apache-2.0 */
/*
 * levels - the rows of the town, county, city and source tables, derived from a rollup's cells.
 *
 * A cell at a node counts at that node and at each ancestor, so a county's row is its own direct
 * part plus its towns', and the city's is everything. Rows come in the order of their keys as the
 * database compares them (COLLATE "C"), the one lock order of all workers.
 *
 * Pure. Memory is kept from flush to flush as far as flushes need it: cells.h. Rows are good until
 * the next levels_derive or levels_reset, and until the cells they come from change.
 */
#ifndef FX_LEVELS_H
#define FX_LEVELS_H

#include "../schemas/region.h"
#include "cells.h"
#include "plan.h"

/* A level's index is its region_level; LEVEL_SOURCE comes behind them. */
#define LEVEL_SOURCE REGION_LEVEL_COUNT
#define LEVEL_COUNT (REGION_LEVEL_COUNT + 1)

struct level_table {
    const struct rollup *rollup;
    const struct plan *plan;   /* for the texts of dimensions */
    const struct cells *cells; /* for the slots of columns */
    int level;
    struct cell **rows;
    int count;
};

struct levels;

FX_MUST_CHECK enum fx_code levels_open(const struct plan *plan, int rollup, uint64_t seed,
                                       struct levels **levels, struct fx_err *err);
void levels_close(struct levels *levels);
void levels_reset(struct levels *levels); /* behind each flush, whether it had rows or not */

/* The names that a cell's keys stand for. */
struct level_names {
    const struct region_tree *regions;
    const struct names *sources;
};

/* The rows of table->level of the rollup's cells; fills the rest of table. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code levels_derive(struct levels *levels, const struct cells *from,
                                         const struct level_names *names, struct level_table *table,
                                         struct fx_err *err);

/* Whether the definition has a table of this level: "by". */
bool levels_has(const struct rollup *rollup, int level);

/*
 * Whether it also has a table of totals at this level, <rollup>_<level>_total: where there are
 * stocks. A total is all that was ever counted of a region or source and dimensions: every column
 * that is totalled, and the first bucket that has a row. Of a last value, which only the table by
 * source has, it is the newest bucket that holds one.
 */
bool levels_has_total(const struct rollup *rollup, int level);
bool levels_is_totalled(const struct rollup_column *column, int level);

/* "city", "county", "town", "source": the suffix of the table's name. */
const char *levels_suffix(int level);

#endif
