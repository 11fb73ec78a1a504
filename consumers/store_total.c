/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_total - what the rows of a flush add to the tables of totals.
 *
 * A total has no bucket: rows that differ in it alone are added up here, so that a total is written
 * once a flush, after all cells, in the one order of all workers.
 */
#include "store_state.h"

#include <stdlib.h>
#include <string.h>

static bool has_one_head(const struct level_table *table, const struct cell *a,
                         const struct cell *b)
{
    return table->level == LEVEL_SOURCE ? a->key.source == b->key.source
                                        : a->key.region == b->key.region;
}

static int compare_dimensions(const struct level_table *table, const struct cell *a,
                              const struct cell *b)
{
    int difference = 0;
    for (int i = 0; difference == 0 && i < table->rollup->dimension_count; i++)
        if (a->key.dimensions[i] != b->key.dimensions[i])
            difference =
                strcmp(plan_dimension_text(table->plan, table->rollup, i, a->key.dimensions[i]),
                       plan_dimension_text(table->plan, table->rollup, i, b->key.dimensions[i]));
    return difference;
}

static int compare_rows(const void *left, const void *right, void *context)
{
    const struct cell *a = *(struct cell *const *)left;
    const struct cell *b = *(struct cell *const *)right;
    int difference = compare_dimensions(context, a, b);
    if (difference == 0)
        difference = (a->key.bucket_ms > b->key.bucket_ms) - (a->key.bucket_ms < b->key.bucket_ms);
    return difference;
}

/* The table's rows by region or source, dimensions, bucket. They come by region or source, bucket,
 * dimensions. FX_EMEMORY. */
static enum fx_code sort_rows(struct store *store, struct level_table *table, struct fx_err *err)
{
    if (table->count > store->rows_room) {
        struct cell **rows = realloc(store->rows, (size_t)table->count * sizeof(*rows));
        if (rows == NULL)
            return fx_err_set(err, FX_EMEMORY, "no memory for %d rows", table->count);
        store->rows = rows;
        store->rows_room = table->count;
    }
    memcpy(store->rows, table->rows, (size_t)table->count * sizeof(*store->rows));
    for (int first = 0, next = 1; first < table->count; first = next++) {
        while (next < table->count && has_one_head(table, store->rows[first], store->rows[next]))
            next++;
        if (next - first > 1)
            qsort_r(&store->rows[first], (size_t)(next - first), sizeof(*store->rows), compare_rows,
                    table);
    }
    return FX_OK;
}

static int64_t sum_of(struct cell *const *rows, int count, int slot)
{
    int64_t sum = 0;
    for (int r = 0; r < count; r++)
        sum += rows[r]->slots[slot];
    return sum;
}

/* One total: count rows of one key, by bucket. */
static void add_total(struct store *store, const struct flush *flush,
                      const struct level_table *table, struct cell *const *rows, int count)
{
    const struct rollup *rollup = table->rollup;
    struct array *sums = &store->arrays[2 + rollup->dimension_count];
    struct array *to = sums + store_has_sums(rollup);
    store_add_key(store, flush, table, &rows[0]->key);
    for (int i = 0; i < rollup->column_count; i++) {
        int slot = cells_slot(table->cells, i);
        if (!levels_is_totalled(&rollup->columns[i], table->level))
            continue;
        if (store_is_sum(&rollup->columns[i])) {
            array_add_int8(sums, sum_of(rows, count, slot));
            continue;
        }
        int newest = count - 1;
        while (newest >= 0 && rows[newest]->slots[slot] == CELL_NONE)
            newest--;
        if (newest < 0)
            array_add_null(to++);
        else
            array_add_int8(to++, rows[newest]->key.bucket_ms);
    }
}

static int begin_totals(struct store *store, const struct level_table *table)
{
    static const enum array_type types[2 + ROLLUP_DIMENSIONS_MAX] = {
        ARRAY_TEXT, ARRAY_TIMESTAMPTZ, ARRAY_TEXT, ARRAY_TEXT, ARRAY_TEXT, ARRAY_TEXT};
    int count = 2 + table->rollup->dimension_count;
    store_begin_arrays(store, types, count);
    if (store_has_sums(table->rollup))
        array_begin(&store->arrays[count++], ARRAY_INT8);
    for (int i = 0; i < table->rollup->column_count; i++)
        if (levels_is_totalled(&table->rollup->columns[i], table->level) &&
            !store_is_sum(&table->rollup->columns[i]))
            array_begin(&store->arrays[count++], ARRAY_INT8);
    return count;
}

/* As many totals as one statement takes, from row *first on; *first: the row after them. */
static enum fx_code send_part(struct store *store, const struct flush *flush,
                              const struct level_table *table, int *first, struct fx_err *err)
{
    char name[STORE_NAME_MAX];
    struct cell *const *rows = store->rows;
    int arrays = begin_totals(store, table);
    for (int totals = 0; *first < table->count && totals < STORE_ROWS_MAX; totals++) {
        int next = *first + 1;
        while (next < table->count && has_one_head(table, rows[*first], rows[next]) &&
               compare_dimensions(table, rows[*first], rows[next]) == 0)
            next++;
        add_total(store, flush, table, &rows[*first], next - *first);
        *first = next;
    }
    store_total_name(store->options.catalog, table->rollup, table->level, name);
    return store_send_arrays(store, name, arrays, err);
}

enum fx_code store_send_totals(struct store *store, const struct flush *flush,
                               const struct level_table *table, struct fx_err *err)
{
    struct level_table sorted = *table;
    int first = 0;
    if (!levels_has_total(table->rollup, table->level) || table->count == 0)
        return FX_OK;
    enum fx_code code = sort_rows(store, &sorted, err);
    while (code == FX_OK && first < table->count) {
        if (first > 0)
            store_drain(store);
        code = send_part(store, flush, &sorted, &first, err);
    }
    return code == FX_OK
               ? FX_OK
               : fx_err_wrap(err, "%s_%s_total", table->rollup->name, levels_suffix(table->level));
}
