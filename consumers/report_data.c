/* SPDX-License-Identifier: Apache-2.0 */
#include "report_data.h"

#include <stdlib.h>
#include <string.h>

static const struct report_shape shapes[REPORT_PART_COUNT] = {
    {"report",
     {{"as_of", "timestamptz"},
      {"region", "text"},
      {"version", "integer"},
      {"period_start", "timestamptz"},
      {"counted_until", "timestamptz"},
      {"schema_name", "text"},
      {"program", "text"},
      {"base_as_of", "timestamptz"},
      {"base_version", "integer"},
      {"made_at", "timestamptz(6)"}}},
    {"report_place",
     {{"part", "text"},
      {"place", "text"},
      {"name", "text"},
      {"name_latin", "text"},
      {"level", "text"}}},
    {"report_figure",
     {{"section", "text"},
      {"part", "text"},
      {"place", "text"},
      {"item", "text"},
      {"measure", "text"},
      {"unit", "text"},
      {"value", "numeric"},
      {"is_recorded", "boolean"},
      {"complete", "boolean"}}},
    {"report_finding",
     {{"finding", "text"},
      {"kind", "text"},
      {"source", "text"},
      {"name", "text"},
      {"place", "text"},
      {"place_name", "text"},
      {"place_latin", "text"},
      {"run", "text"},
      {"day", "date"},
      {"first_seq", "bigint"},
      {"last_seq", "bigint"},
      {"cause", "text"},
      {"silent_minutes", "bigint"}}},
    {"report_correction",
     {{"section", "text"},
      {"part", "text"},
      {"place", "text"},
      {"item", "text"},
      {"measure", "text"},
      {"unit", "text"},
      {"old_value", "numeric"},
      {"new_value", "numeric"},
      {"changed_at", "timestamptz"}}},
};

static const int column_counts[REPORT_PART_COUNT] = {HEAD_COLUMNS, PLACE_COLUMNS, FIGURE_COLUMNS,
                                                     FINDING_COLUMNS, CORRECTION_COLUMNS};

const struct report_shape *report_shape(enum report_part part)
{
    fx_assert(part < REPORT_PART_COUNT);
    return &shapes[part];
}

void report_init(struct report *report)
{
    memset(report, 0, sizeof *report);
    for (int part = 0; part < REPORT_PART_COUNT; part++) {
        for (int i = 0; shapes[part].columns[i][0] != NULL; i++)
            audit_rows_column(&report->parts[part], shapes[part].columns[i][0], AUDIT_TEXT);
        fx_assert(report->parts[part].column_count == column_counts[part]);
    }
}

void report_release(struct report *report)
{
    for (int part = 0; part < REPORT_PART_COUNT; part++)
        audit_rows_release(&report->parts[part]);
}

const char *report_cell(const struct report *report, enum report_part part, int row, int column)
{
    const struct audit_rows *rows = &report->parts[part];
    fx_assert(row >= 0 && row < rows->count && column < rows->column_count);
    return rows->cells[row * rows->column_count + column];
}

/* Keys are never NULL. */
static int compare_keys(const char *const *a, const char *const *b)
{
    for (int i = FIGURE_SECTION; i <= FIGURE_MEASURE; i++) {
        int order = strcmp(a[i], b[i]);
        if (order != 0)
            return order;
    }
    return 0;
}

static int compare_refs(const void *a, const void *b)
{
    const struct report_ref *left = a;
    const struct report_ref *right = b;
    return compare_keys(left->cells, right->cells);
}

enum fx_code report_index_build(const struct audit_rows *figures, struct report_index *index,
                                struct fx_err *err)
{
    index->count = figures->count;
    index->refs = calloc((size_t)figures->count + 1, sizeof *index->refs);
    if (index->refs == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %d figures", figures->count);
    for (int i = 0; i < figures->count; i++) {
        char **cells = figures->cells + (size_t)i * (size_t)figures->column_count;
        index->refs[i] = (struct report_ref){(const char *const *)cells, i};
    }
    qsort(index->refs, (size_t)index->count, sizeof *index->refs, compare_refs);
    return FX_OK;
}

void report_index_release(struct report_index *index)
{
    free(index->refs);
    *index = (struct report_index){NULL, 0};
}

int report_index_find(const struct report_index *index, const char *const *cells)
{
    struct report_ref wanted = {cells, 0};
    const struct report_ref *found =
        index->count == 0
            ? NULL
            : bsearch(&wanted, index->refs, (size_t)index->count, sizeof wanted, compare_refs);
    return found == NULL ? -1 : found->row;
}
