/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_data - one daily report as rows, as they stand in the record schema.
 *
 * Pure. Instants are texts of one form, local time and +08:00, so that they compare as texts.
 * report_figures.h fills it from what is counted, report_store.h keeps it and reads it back,
 * report_page.h and report_csv.h print it. All that is printed stands here.
 *
 * Ownership: rows own their text, until report_release.
 */
#ifndef FX_REPORT_DATA_H
#define FX_REPORT_DATA_H

#include "audit_rows.h"

enum report_part {
    REPORT_HEAD, /* one row */
    REPORT_PLACES,
    REPORT_FIGURES,
    REPORT_FINDINGS,
    REPORT_CORRECTIONS,
    REPORT_PART_COUNT
};

/* Columns of the parts, in order: of the tables report, report_place, … without their key. */
enum {
    HEAD_AS_OF,
    HEAD_REGION,
    HEAD_VERSION,
    HEAD_PERIOD_START,
    HEAD_COUNTED_UNTIL,
    HEAD_SCHEMA,
    HEAD_PROGRAM,
    HEAD_BASE_AS_OF,
    HEAD_BASE_VERSION,
    HEAD_MADE_AT,
    HEAD_COLUMNS
};
enum { PLACE_PART, PLACE_CODE, PLACE_NAME, PLACE_LATIN, PLACE_LEVEL, PLACE_COLUMNS };
enum {
    FIGURE_SECTION,
    FIGURE_PART,
    FIGURE_PLACE,
    FIGURE_ITEM,
    FIGURE_MEASURE,
    FIGURE_UNIT,
    FIGURE_VALUE,
    FIGURE_RECORDED,
    FIGURE_COMPLETE,
    FIGURE_COLUMNS
};
enum {
    FINDING_WHAT,
    FINDING_KIND,
    FINDING_SOURCE,
    FINDING_NAME,
    FINDING_PLACE,
    FINDING_PLACE_NAME,
    FINDING_PLACE_LATIN,
    FINDING_RUN,
    FINDING_DAY,
    FINDING_FIRST,
    FINDING_LAST,
    FINDING_CAUSE,
    FINDING_SILENT,
    FINDING_COLUMNS
};
enum {
    CORRECTION_SECTION,
    CORRECTION_PART,
    CORRECTION_PLACE,
    CORRECTION_ITEM,
    CORRECTION_MEASURE,
    CORRECTION_UNIT,
    CORRECTION_OLD,
    CORRECTION_NEW,
    CORRECTION_CHANGED,
    CORRECTION_COLUMNS
};

/* Findings of a sort that are printed. A report has one more if there are more, of which all that
 * is printed is that. */
#define REPORT_FINDINGS_MAX 1000
#define REPORT_CUT_ZH "仅列前1000行"
#define REPORT_CUT_EN "The first 1,000 rows alone"

struct report {
    struct audit_rows parts[REPORT_PART_COUNT];
};

/* A part's table in the record schema, its columns and their types in PostgreSQL. */
struct report_shape {
    const char *table;
    const char *columns[16][2]; /* name, type; NULL ends */
};
const struct report_shape *report_shape(enum report_part part);

/* Empty parts with their columns. */
void report_init(struct report *report);
void report_release(struct report *report);

/* A cell, NULL if it is NULL. column: of the enums above. */
const char *report_cell(const struct report *report, enum report_part part, int row, int column);

/* Figures by their key. Borrows the figures; valid until one is added. */
struct report_index {
    struct report_ref *refs;
    int count;
};
struct report_ref {
    const char *const *cells; /* of the row */
    int row;
};

/* FX_EMEMORY. The caller releases it. */
FX_MUST_CHECK enum fx_code report_index_build(const struct audit_rows *figures,
                                              struct report_index *index, struct fx_err *err);
void report_index_release(struct report_index *index);

/* The row of the figure with the key in cells[FIGURE_SECTION] to cells[FIGURE_MEASURE]; -1: none.
 */
int report_index_find(const struct report_index *index, const char *const *cells);

#endif
