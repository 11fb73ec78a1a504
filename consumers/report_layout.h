/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_layout - a section of a report as a table: a line per place and item, a column per
 * measure.
 *
 * Pure. Lines: every place with all items together; then its items, of the whole region all of
 * them, of a unit those with a figure that is not 0. The region's own part only if it has one.
 */
#ifndef FX_REPORT_LAYOUT_H
#define FX_REPORT_LAYOUT_H

#include "report_data.h"
#include "report_measures.h"

struct report_line {
    int place; /* row of REPORT_PLACES */
    const char *item;
    const char *complete; /* "t", "f", NULL: not known; the worst of its figures */
};

struct report_table {
    const struct report *report;
    const struct report_section *section;
    const struct report_index *index; /* of the report's figures */
    const struct report_measure *columns[REPORT_MEASURES_MAX];
    int column_count;
    const struct report_measure *absent[REPORT_MEASURES_MAX]; /* not recorded */
    int absent_count;
    struct report_line *lines;
    int line_count;
    int room;
    bool has_items;
};

/* FX_EMEMORY. Borrows report, section and index. The caller releases it. */
FX_MUST_CHECK enum fx_code report_table_build(struct report_table *table, struct fx_err *err);
void report_table_release(struct report_table *table);

/* The figure of a line and column: its row of REPORT_FIGURES, -1: there is none. */
int report_table_find(const struct report_table *table, int line, int column);

/* Its value, NULL: none. */
const char *report_table_value(const struct report_table *table, int line, int column);

#endif
