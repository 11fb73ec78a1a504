/* SPDX-License-Identifier: Apache-2.0 */
#include "report_compare.h"

#include "report_measures.h"
#include "report_query.h"

#include <string.h>

/* Columns of the log, as REPORT_QUERY_LOG orders them. */
enum { LOG_ROLLUP, LOG_REGION, LOG_COLUMN, LOG_ITEM, LOG_CHANGED };

struct search {
    const struct audit_rows *log;
    const char *const *figure; /* cells */
    const char *rollup;
    const char *newest; /* NULL: none found */
};

/* Instants of one form compare as text. */
static void look_up(const char *column, void *context)
{
    struct search *search = context;
    for (int i = 0; i < search->log->count; i++) {
        char **row = search->log->cells + (size_t)i * (size_t)search->log->column_count;
        if (strcmp(row[LOG_COLUMN], column) == 0 && strcmp(row[LOG_ROLLUP], search->rollup) == 0 &&
            strcmp(row[LOG_REGION], search->figure[FIGURE_PLACE]) == 0 &&
            strcmp(row[LOG_ITEM], search->figure[FIGURE_ITEM]) == 0 &&
            (search->newest == NULL || strcmp(row[LOG_CHANGED], search->newest) > 0))
            search->newest = row[LOG_CHANGED];
    }
}

static const char *find_change(const struct audit_rows *log, const char *const *figure)
{
    const struct report_measure *measure =
        report_measure_named(figure[FIGURE_SECTION], figure[FIGURE_MEASURE]);
    struct search search = {log, figure, measure == NULL ? NULL : measure->from, NULL};
    if (measure == NULL)
        return NULL;
    if (measure->op != REPORT_MINUS) {
        report_query_each_column(measure, look_up, &search);
        return search.newest;
    }
    const char *const operands[] = {measure->from, measure->sql};
    for (int i = 0; i < 2; i++) {
        const struct report_measure *operand = report_measure_named(measure->section, operands[i]);
        fx_assert(operand != NULL);
        search.rollup = operand->from;
        report_query_each_column(operand, look_up, &search);
    }
    return search.newest;
}

static bool is_equal(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static enum fx_code add_correction(const char *const *figure, const char *const values[2],
                                   const struct audit_rows *log, struct audit_rows *corrections,
                                   struct fx_err *err)
{
    const char *cells[CORRECTION_COLUMNS];
    for (int i = CORRECTION_SECTION; i <= CORRECTION_UNIT; i++)
        cells[i] = figure[i];
    cells[CORRECTION_OLD] = values[0];
    cells[CORRECTION_NEW] = values[1];
    cells[CORRECTION_CHANGED] = find_change(log, figure);
    return audit_rows_add(corrections, cells, err);
}

/* The figures of one report that differ in the other; */
struct pass {
    const struct audit_rows *figures;
    const struct audit_rows *others;
    const struct report_index *index; /* of others */
    const struct audit_rows *log;
    bool is_base; /* figures are the old ones: those alone that the others lack */
    bool is_same_time;
};

/* Whether there is any figure of the measure that figure is of. */
static bool has_measure(const struct audit_rows *figures, const char *const *figure)
{
    for (int i = 0; i < figures->count; i++) {
        char **row = figures->cells + (size_t)i * FIGURE_COLUMNS;
        if (strcmp(row[FIGURE_MEASURE], figure[FIGURE_MEASURE]) == 0 &&
            strcmp(row[FIGURE_SECTION], figure[FIGURE_SECTION]) == 0)
            return true;
    }
    return false;
}

static enum fx_code compare_all(const struct pass *pass, struct audit_rows *corrections,
                                struct fx_err *err)
{
    _Static_assert((int)CORRECTION_UNIT == (int)FIGURE_UNIT, "keys and unit stand alike");
    for (int i = 0; i < pass->figures->count; i++) {
        const char *const *figure =
            (const char *const *)(pass->figures->cells + (size_t)i * FIGURE_COLUMNS);
        int other = report_index_find(pass->index, figure);
        const char *there = NULL;
        if (other >= 0)
            there = pass->others->cells[(size_t)other * FIGURE_COLUMNS + FIGURE_VALUE];
        const char *const values[] = {pass->is_base ? figure[FIGURE_VALUE] : there,
                                      pass->is_base ? NULL : figure[FIGURE_VALUE]};
        bool is_out = (pass->is_base && other >= 0) ||
                      (!pass->is_same_time && strcmp(figure[FIGURE_SECTION], "completeness") == 0);
        if (is_out || is_equal(values[0], values[1]) ||
            (other < 0 && !has_measure(pass->others, figure)))
            continue;
        if (add_correction(figure, values, pass->log, corrections, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

enum fx_code report_compare(const struct report *base, const struct report *now,
                            const struct audit_rows *log, struct report *report, struct fx_err *err)
{
    struct audit_rows *corrections = &report->parts[REPORT_CORRECTIONS];
    bool is_same_time = strcmp(report_cell(base, REPORT_HEAD, 0, HEAD_AS_OF),
                               report_cell(report, REPORT_HEAD, 0, HEAD_AS_OF)) == 0;
    const struct audit_rows *old = &base->parts[REPORT_FIGURES];
    const struct audit_rows *new = &now->parts[REPORT_FIGURES];
    struct report_index old_index = {NULL, 0};
    struct report_index new_index = {NULL, 0};
    enum fx_code code = report_index_build(old, &old_index, err);
    if (code == FX_OK)
        code = report_index_build(new, &new_index, err);
    if (code == FX_OK)
        code = compare_all(&(struct pass){new, old, &old_index, log, false, is_same_time},
                           corrections, err);
    if (code == FX_OK)
        code = compare_all(&(struct pass){old, new, &new_index, log, true, is_same_time},
                           corrections, err);
    report_index_release(&old_index);
    report_index_release(&new_index);
    return code;
}
