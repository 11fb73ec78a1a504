/* SPDX-License-Identifier: Apache-2.0 */
#include "levels.h"

#include <stdlib.h>
#include <string.h>

struct levels {
    const struct plan *plan;
    const struct rollup *rollup;
    struct cells *cells[LEVEL_COUNT];
    struct cell **rows[LEVEL_COUNT];
    int room[LEVEL_COUNT];
};

bool levels_has(const struct rollup *rollup, int level)
{
    return level == LEVEL_SOURCE ? rollup->by_source : rollup->by_region;
}

bool levels_has_total(const struct rollup *rollup, int level)
{
    return levels_has(rollup, level) &&
           (rollup_has_change(rollup) || (level == LEVEL_SOURCE && rollup_has_last(rollup)));
}

bool levels_is_totalled(const struct rollup_column *column, int level)
{
    return column->aggregate == AGGREGATE_COUNT || column->aggregate == AGGREGATE_SUM ||
           (column->aggregate == AGGREGATE_LAST && level == LEVEL_SOURCE);
}

const char *levels_suffix(int level)
{
    return level == LEVEL_SOURCE ? "source" : region_level_name((enum region_level)level);
}

enum fx_code levels_open(const struct plan *plan, int rollup, uint64_t seed, struct levels **levels,
                         struct fx_err *err)
{
    struct levels *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for levels");
    fresh->plan = plan;
    fresh->rollup = plan_rollup(plan, rollup);
    for (int i = 0; i < LEVEL_COUNT && err->code == FX_OK; i++)
        if (levels_has(fresh->rollup, i) &&
            cells_open(fresh->rollup, SIZE_MAX, seed, &fresh->cells[i], err) != FX_OK)
            fx_err_wrap(err, "levels");
    if (err->code != FX_OK) {
        levels_close(fresh);
        return err->code;
    }
    *levels = fresh;
    return FX_OK;
}

void levels_close(struct levels *levels)
{
    if (levels == NULL)
        return;
    for (int i = 0; i < LEVEL_COUNT; i++) {
        cells_close(levels->cells[i]);
        free(levels->rows[i]);
    }
    free(levels);
}

void levels_reset(struct levels *levels)
{
    for (int i = 0; i < LEVEL_COUNT; i++)
        if (levels->cells[i] != NULL)
            cells_reset(levels->cells[i]);
}

/* The node of the level at or above region; -1: there is none (a county has no town). */
static int ancestor_at(const struct region_tree *regions, int region, int level)
{
    while (region >= 0 && (int)regions->nodes[region].level != level)
        region = regions->nodes[region].parent;
    return region;
}

static enum fx_code merge_all(struct levels *levels, const struct cells *from, int level,
                              const struct region_tree *regions, struct fx_err *err)
{
    struct cells *to = levels->cells[level];
    cells_reset(to);
    for (int i = 0; i < cells_count(from); i++) {
        const struct cell *cell = cells_at(from, i);
        struct cell_key key = cell->key;
        if (level == LEVEL_SOURCE) {
            key.region = 0;
        } else {
            int region = ancestor_at(regions, (int)key.region, level);
            if (region < 0)
                continue;
            key.region = (uint32_t)region;
            key.source = 0;
        }
        struct cell *sum;
        if (cells_find(to, &key, &sum, err) != FX_OK)
            return err->code;
        cells_merge(to, sum, cell);
    }
    return FX_OK;
}

struct order {
    const struct levels *levels;
    const struct level_names *names;
    int level;
};

static const char *head_text(const struct order *order, const struct cell *cell)
{
    return order->level == LEVEL_SOURCE ? names_text(order->names->sources, cell->key.source)
                                        : order->names->regions->nodes[cell->key.region].code;
}

/* By region or source, bucket, dimensions: the primary key of the table. */
static int compare_rows(const void *left, const void *right, void *context)
{
    const struct order *order = context;
    const struct cell *a = *(struct cell *const *)left;
    const struct cell *b = *(struct cell *const *)right;
    int difference = strcmp(head_text(order, a), head_text(order, b));
    if (difference == 0)
        difference = (a->key.bucket_ms > b->key.bucket_ms) - (a->key.bucket_ms < b->key.bucket_ms);
    const struct rollup *rollup = order->levels->rollup;
    for (int i = 0; difference == 0 && i < rollup->dimension_count; i++)
        difference =
            strcmp(plan_dimension_text(order->levels->plan, rollup, i, a->key.dimensions[i]),
                   plan_dimension_text(order->levels->plan, rollup, i, b->key.dimensions[i]));
    return difference;
}

/* The cells as rows, in order. FX_EMEMORY. */
static enum fx_code sort_rows(struct levels *levels, const struct cells *cells, struct order *order,
                              struct fx_err *err)
{
    int level = order->level;
    int count = cells_count(cells);
    if (count > levels->room[level]) {
        struct cell **rows = realloc(levels->rows[level], (size_t)count * sizeof(*rows));
        if (rows == NULL)
            return fx_err_set(err, FX_EMEMORY, "no memory for %d rows", count);
        levels->rows[level] = rows;
        levels->room[level] = count;
    }
    struct cell **rows = levels->rows[level];
    for (int i = 0; i < count; i++)
        rows[i] = cells_at(cells, i);
    if (count > 1)
        qsort_r(rows, (size_t)count, sizeof *rows, compare_rows, order);
    return FX_OK;
}

/* Whether two of the sorted rows have one key: a source that reported from two regions. */
static bool has_twins(struct cell *const *rows, int count, struct order *order)
{
    for (int i = 1; i < count; i++)
        if (compare_rows(&rows[i - 1], &rows[i], order) == 0)
            return true;
    return false;
}

enum fx_code levels_derive(struct levels *levels, const struct cells *from,
                           const struct level_names *names, struct level_table *table,
                           struct fx_err *err)
{
    int level = table->level;
    fx_assert(level >= 0 && level < LEVEL_COUNT && levels->cells[level] != NULL);
    struct order order = {levels, names, level};
    const struct cells *cells = from; /* nearly always the sources' rows as they are */
    if (level == LEVEL_SOURCE && sort_rows(levels, from, &order, err) != FX_OK)
        return err->code;
    if (level != LEVEL_SOURCE || has_twins(levels->rows[level], cells_count(from), &order)) {
        cells = levels->cells[level];
        if (merge_all(levels, from, level, names->regions, err) != FX_OK ||
            sort_rows(levels, cells, &order, err) != FX_OK)
            return err->code;
    }
    table->rollup = levels->rollup;
    table->plan = levels->plan;
    table->cells = cells;
    table->rows = levels->rows[level];
    table->count = cells_count(cells);
    return FX_OK;
}
