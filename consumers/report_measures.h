/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_measures - what the daily report says, as data: its sections, their measures, all labels.
 *
 * Pure. A measure belongs to the section that its table names and is shown in the table's order.
 * Measures in a row that read the same rows (from, where, time) are read by one query.
 *
 * Labels are Chinese and English; ids never change, as frozen figures bear them.
 */
#ifndef FX_REPORT_MEASURES_H
#define FX_REPORT_MEASURES_H

#include <stdbool.h>

#define REPORT_MEASURES_MAX 20 /* of a section */

enum report_op {
    REPORT_SUMS,    /* sql over the rollup's tables by region; {column} is its sum */
    REPORT_VALUE,   /* the same, but no sum: a ratio, a quantile, an extreme */
    REPORT_LAST,    /* sql names a "last" column: newest values before the time, added up */
    REPORT_SOURCES, /* sql names a "last" column: how many sources have it above 0 */
    REPORT_STATUS,  /* sql names a column of completeness; from is a kind, NULL: each kind */
    REPORT_MINUS,   /* from minus sql, two measures of the section above */
    REPORT_NEVER    /* no kind of event records it */
};

struct report_measure {
    const char *section;
    const char *name; /* ends in its unit */
    const char *unit;
    const char *zh;
    const char *en;
    enum report_op op;
    bool is_to_date; /* all that was counted before the time; else of the reporting day */
    bool is_by_item; /* also per value of the section's dimension */
    const char *from;
    const char *sql;
    const char *where; /* a condition over the rollup's rows t; NULL: none */
};

struct report_section {
    const char *name;
    const char *zh;
    const char *en;
    const char *dimension; /* of the rollup, whose values are items; NULL: none */
    const char *item_zh;   /* what an item is */
    const char *item_en;
    const char *note_zh; /* how to read it; NULL: plain */
    const char *note_en;
};

/* The index-th, NULL after the last. */
const struct report_section *report_section_at(int index);
const struct report_measure *report_measure_at(int index);

/* NULL: there is none of that name. */
const struct report_section *report_section_named(const char *name);
const struct report_measure *report_measure_named(const char *section, const char *name);

/* A word that stands in frozen rows: a unit, an item of a dimension, a kind, a cause, a level. */
struct report_word {
    const char *group;
    const char *name;
    const char *zh;
    const char *en;
};

/* NULL: not known; it is shown as it is. */
const struct report_word *report_word_named(const char *group, const char *name);

/* The index-th word of the group, NULL after the last. */
const struct report_word *report_word_at(const char *group, int index);

#endif
