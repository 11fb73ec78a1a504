/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_query - the SQL that the daily report's figures are read with, as text.
 *
 * Pure. Parameters of every statement, as far as it has them:
 *   $1  codes of the regions wanted, text[]; in REPORT_QUERY_PLACES the report's region
 *   $2  first instant of the reporting day
 *   $3  the time of the report
 * Hours that end after $3 are not counted in. Sums that were not counted from the beginning of the
 * time asked for are NULL: part of a figure is no figure.
 */
#ifndef FX_REPORT_QUERY_H
#define FX_REPORT_QUERY_H

#include "../common/buf.h"
#include "audit_rows.h"
#include "report_measures.h"

enum report_query {
    REPORT_QUERY_PLACES,  /* the region, its units: part, place, name, name_latin, level */
    REPORT_QUERY_ROOT,    /* root above the region: code */
    REPORT_QUERY_ROLLUPS, /* rollup, kind, topic, bucket_ms, dimensions, counted_by, region_field */
    REPORT_QUERY_COLUMNS, /* rollup, name */
    REPORT_QUERY_CLOCK,   /* one row: counted_until, NULL: a kind was never caught up */
    REPORT_QUERY_STATUS,  /* kind, region, complete, and the columns of REPORT_STATUS measures */
    REPORT_QUERY_MISSING, /* findings, in the order of struct report; of the regions of $1 */
    REPORT_QUERY_SILENT,
    REPORT_QUERY_LOG, /* rollup, region, column_name, item, changed_at: newest change of hours
                         before $3, logged after $2; item is empty, or a value of a dimension */
    REPORT_QUERY_COUNT
};
const char *report_query(enum report_query query);

/* How many of the parameters it has. */
int report_query_parameters(enum report_query query);

/* What is installed: the rows of REPORT_QUERY_ROLLUPS and _COLUMNS. */
struct report_installed {
    struct audit_rows rollups;
    struct audit_rows columns;
};

/* The row of the measure's rollup if it has all that the measure reads, else -1: not recorded. */
int report_query_rollup(const struct report_installed *installed,
                        const struct report_measure *measure);

/* Whether the rollup in this row counts by that dimension. */
bool report_query_has_dimension(const struct report_installed *installed, int row,
                                const char *dimension);

/*
 * Appends one statement for count measures that read the same rows; its columns are region, item
 * ('' for all) and m0, m1, … dimension: NULL, or what items are values of.
 */
void report_query_sums(struct buf *out, const struct report_installed *installed,
                       const struct report_measure *measures, int count, const char *dimension);

/* The same for one measure of REPORT_LAST or REPORT_SOURCES. */
void report_query_last(struct buf *out, const struct report_installed *installed,
                       const struct report_measure *measure);

/* Calls visit for each column that the measure's sql reads. */
void report_query_each_column(const struct report_measure *measure,
                              void (*visit)(const char *name, void *context), void *context);

#endif
