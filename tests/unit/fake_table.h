/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_table - rows of numbers by a text key: what a rollup table is to a test.
 *
 * A row's values lie as in consumers/cells.h: one per column, four for last.
 */
#ifndef FX_FAKE_TABLE_H
#define FX_FAKE_TABLE_H

#include "fake_base.h"

#include "../../common/hash.h"
#include "../../schemas/rolldef.h"

#define TABLE_KEY_MAX 160
#define TABLE_VALUES_MAX 80
#define TABLE_NONE INT64_MIN

struct row {
    char key[TABLE_KEY_MAX];
    const struct rollup *rollup; /* NULL: one value, 0 at first */
    int64_t values[TABLE_VALUES_MAX];
};

struct table {
    struct row *rows;
    int count;
    int room;
    int *slots; /* row + 1, 0: free */
};

static inline void table_release(struct table *table)
{
    free(table->rows);
    free(table->slots);
    memset(table, 0, sizeof *table);
}

static inline void table_reset(struct table *table)
{
    table->count = 0;
    if (table->slots != NULL)
        memset(table->slots, 0, (size_t)table->room * 2 * sizeof *table->slots);
}

static inline int *table_slot(const struct table *table, const char *key)
{
    size_t mask = (size_t)table->room * 2 - 1;
    size_t at = hash_bytes(key, strlen(key), 1) & mask;
    while (table->slots[at] != 0 && strcmp(table->rows[table->slots[at] - 1].key, key) != 0)
        at = (at + 1) & mask;
    return &table->slots[at];
}

static inline struct row *table_find(const struct table *table, const char *key)
{
    int found = table->room == 0 ? 0 : *table_slot(table, key);
    return found == 0 ? NULL : &table->rows[found - 1];
}

static inline int table_width(const struct rollup *rollup)
{
    int width = 0;
    for (int i = 0; i < rollup->column_count; i++)
        width += rollup->columns[i].aggregate == AGGREGATE_LAST ? 4 : 1;
    return width;
}

static inline void table_grow(struct table *table)
{
    table->room = table->room == 0 ? 64 : table->room * 2;
    table->rows = realloc(table->rows, (size_t)table->room * sizeof *table->rows);
    free(table->slots);
    table->slots = calloc((size_t)table->room * 2, sizeof *table->slots);
    assert_true(table->rows != NULL && table->slots != NULL);
    for (int i = 0; i < table->count; i++)
        *table_slot(table, table->rows[i].key) = i + 1;
}

/* The row of key, made empty if there is none. Good until the next one is made. */
static inline struct row *table_row(struct table *table, const char *key,
                                    const struct rollup *rollup)
{
    struct row *row = table_find(table, key);
    if (row != NULL)
        return row;
    if (table->count == table->room)
        table_grow(table);
    *table_slot(table, key) = table->count + 1;
    row = &table->rows[table->count++];
    memset(row, 0, sizeof *row);
    snprintf(row->key, sizeof row->key, "%s", key);
    row->rollup = rollup;
    if (rollup != NULL)
        assert_true(table_width(rollup) <= TABLE_VALUES_MAX);
    for (int i = 0, at = 0; rollup != NULL && i < rollup->column_count; i++) {
        enum aggregate aggregate = rollup->columns[i].aggregate;
        bool is_sum = aggregate == AGGREGATE_COUNT || aggregate == AGGREGATE_SUM;
        row->values[at] = is_sum ? 0 : TABLE_NONE;
        at += aggregate == AGGREGATE_LAST ? 4 : 1;
    }
    return row;
}

/* Whether (time, run, seq) at a comes after that at b. */
static inline bool table_is_newer(const int64_t *a, const int64_t *b)
{
    if (a[0] != b[0])
        return a[0] > b[0];
    return a[1] != b[1] ? a[1] > b[1] : a[2] > b[2];
}

/* One column of an upsert. */
static inline void table_add(enum aggregate aggregate, int64_t *to, const int64_t *from)
{
    bool is_sum = aggregate == AGGREGATE_COUNT || aggregate == AGGREGATE_SUM;
    if (is_sum)
        *to += *from;
    if (is_sum || *from == TABLE_NONE)
        return;
    bool is_better = *to == TABLE_NONE || (aggregate == AGGREGATE_MIN && *from < *to) ||
                     (aggregate == AGGREGATE_MAX && *from > *to) ||
                     (aggregate == AGGREGATE_LAST && table_is_newer(from + 1, to + 1));
    if (is_better)
        memcpy(to, from, (aggregate == AGGREGATE_LAST ? 4 : 1) * sizeof *to);
}

/* INSERT … ON CONFLICT DO UPDATE. */
static inline void table_upsert(struct table *table, const struct row *from)
{
    struct row *to = table_row(table, from->key, from->rollup);
    for (int i = 0, at = 0; i < from->rollup->column_count; i++) {
        enum aggregate aggregate = from->rollup->columns[i].aggregate;
        table_add(aggregate, &to->values[at], &from->values[at]);
        at += aggregate == AGGREGATE_LAST ? 4 : 1;
    }
}

#endif
