/* SPDX-License-Identifier: Apache-2.0 */
#include "report_layout.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS_MAX 64

static int find_figure(const struct report_table *table, int place, const char *item,
                       const char *measure)
{
    const char *key[FIGURE_MEASURE + 1] = {
        table->section->name, report_cell(table->report, REPORT_PLACES, place, PLACE_PART),
        report_cell(table->report, REPORT_PLACES, place, PLACE_CODE), item, measure};
    return report_index_find(table->index, key);
}

static const char *figure(const struct report_table *table, int row, int column)
{
    return report_cell(table->report, REPORT_FIGURES, row, column);
}

int report_table_find(const struct report_table *table, int line, int column)
{
    const struct report_line *at = &table->lines[line];
    fx_assert(line < table->line_count && column < table->column_count);
    return find_figure(table, at->place, at->item, table->columns[column]->name);
}

const char *report_table_value(const struct report_table *table, int line, int column)
{
    int row = report_table_find(table, line, column);
    return row < 0 ? NULL : figure(table, row, FIGURE_VALUE);
}

/* A measure that the report says is not recorded; what it does not name at all is left out. */
static void sort_measures(struct report_table *table)
{
    const struct report_measure *measure;
    for (int i = 0; (measure = report_measure_at(i)) != NULL; i++) {
        if (strcmp(measure->section, table->section->name) != 0)
            continue;
        const struct audit_rows *figures = &table->report->parts[REPORT_FIGURES];
        int row = 0;
        while (row < figures->count &&
               (strcmp(figure(table, row, FIGURE_MEASURE), measure->name) != 0 ||
                strcmp(figure(table, row, FIGURE_SECTION), measure->section) != 0))
            row++;
        if (row == figures->count)
            continue;
        fx_assert(table->column_count < REPORT_MEASURES_MAX &&
                  table->absent_count < REPORT_MEASURES_MAX);
        if (figure(table, row, FIGURE_RECORDED)[0] == 't')
            table->columns[table->column_count++] = measure;
        else
            table->absent[table->absent_count++] = measure;
    }
}

/* "" first, then the known words in their order, then all others as they come. */
static int list_items(const struct report_table *table, const char *items[ITEMS_MAX])
{
    const struct audit_rows *figures = &table->report->parts[REPORT_FIGURES];
    const struct report_word *word;
    int count = 1;
    items[0] = "";
    if (table->section->dimension == NULL)
        return count;
    for (int i = 0; (word = report_word_at(table->section->dimension, i)) != NULL; i++)
        if (count < ITEMS_MAX)
            items[count++] = word->name;
    for (int row = 0; row < figures->count; row++) {
        int found = 0;
        if (strcmp(figure(table, row, FIGURE_SECTION), table->section->name) != 0)
            continue;
        while (found < count && strcmp(items[found], figure(table, row, FIGURE_ITEM)) != 0)
            found++;
        if (found == count && count < ITEMS_MAX)
            items[count++] = figure(table, row, FIGURE_ITEM);
    }
    return count;
}

static bool is_zero(const char *value)
{
    return value == NULL || strspn(value, "-0.") == strlen(value);
}

/* Incomplete, then not known, then complete. */
static const char *worse(const char *a, const char *b)
{
    if ((a != NULL && a[0] == 'f') || (b != NULL && b[0] == 'f'))
        return "f";
    return a == NULL || b == NULL ? NULL : "t";
}

struct summary {
    bool is_there;
    bool is_zero;
    const char *complete;
};

static struct summary sum_up(const struct report_table *table, int place, const char *item)
{
    struct summary summary = {false, true, NULL};
    for (int i = 0; i < table->column_count; i++) {
        int row = find_figure(table, place, item, table->columns[i]->name);
        if (row < 0)
            continue;
        const char *complete = figure(table, row, FIGURE_COMPLETE);
        summary.is_zero = summary.is_zero && is_zero(figure(table, row, FIGURE_VALUE));
        summary.complete = summary.is_there ? worse(summary.complete, complete) : complete;
        summary.is_there = true;
    }
    return summary;
}

static enum fx_code add_line(struct report_table *table, const struct report_line *line,
                             struct fx_err *err)
{
    if (table->line_count == table->room) {
        int room = table->room == 0 ? 32 : 2 * table->room;
        struct report_line *lines = realloc(table->lines, (size_t)room * sizeof *lines);
        if (lines == NULL)
            return fx_err_set(err, FX_EMEMORY, "no memory for %d lines", room);
        table->lines = lines;
        table->room = room;
    }
    table->lines[table->line_count++] = *line;
    table->has_items = table->has_items || line->item[0] != '\0';
    return FX_OK;
}

enum fx_code report_table_build(struct report_table *table, struct fx_err *err)
{
    const char *items[ITEMS_MAX];
    sort_measures(table);
    int item_count = list_items(table, items);
    for (int place = 0; place < table->report->parts[REPORT_PLACES].count; place++) {
        const char *part = report_cell(table->report, REPORT_PLACES, place, PLACE_PART);
        bool is_total = strcmp(part, "total") == 0;
        bool is_own = strcmp(part, "own") == 0;
        for (int i = 0; i < item_count; i++) {
            struct summary summary = sum_up(table, place, items[i]);
            struct report_line line = {place, items[i], summary.complete};
            bool is_shown = is_total || !summary.is_zero || (items[i][0] == '\0' && !is_own);
            if (!summary.is_there || !is_shown)
                continue;
            if (add_line(table, &line, err) != FX_OK)
                return err->code;
        }
    }
    return FX_OK;
}

void report_table_release(struct report_table *table)
{
    free(table->lines);
    table->lines = NULL;
    table->line_count = table->room = 0;
}
