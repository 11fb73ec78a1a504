/* SPDX-License-Identifier: Apache-2.0 */
#include "report_figures.h"

#include "../common/day.h"
#include "audit_fetch.h"
#include "report_pg.h"
#include "report_query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_SIZE 24
#define ITEMS_MAX 64

struct reading {
    PGconn *conn;
    struct report *report;
    struct report_installed installed;
    struct audit_rows status; /* of the kinds, per region */
    struct buf codes;         /* the report's regions and the root above, a text[] literal */
    char root[64];            /* "" if there is none */
    char as_of[DAY_TEXT_SIZE];
    char period_start[DAY_TEXT_SIZE];
};

static enum fx_code read_into(const struct reading *reading, enum report_query query,
                              const char *const *values, struct audit_rows *rows,
                              struct fx_err *err)
{
    struct pg_statement statement = {report_query(query), report_query_parameters(query), values};
    return audit_fetch(reading->conn, &statement, rows, err);
}

/* "2022-02-10T08:00:00.000+08:00" -> "2022-02-10T08:00:00+08:00" */
static void format_instant(int64_t instant_ms, char out[DAY_TEXT_SIZE])
{
    char text[DAY_TEXT_SIZE];
    day_format(instant_ms, text);
    snprintf(out, DAY_TEXT_SIZE, "%.19s%s", text, text + strlen(text) - strlen("+08:00"));
}

static const char *place_cell(const struct reading *reading, int row, int column)
{
    return report_cell(reading->report, REPORT_PLACES, row, column);
}

static int place_count(const struct reading *reading)
{
    return reading->report->parts[REPORT_PLACES].count;
}

static bool is_own(const struct reading *reading, int row)
{
    return strcmp(place_cell(reading, row, PLACE_PART), "own") == 0;
}

/* The region itself, its units, and what is left: what was counted at the region and no unit. */
static enum fx_code read_places(struct reading *reading, const char *region, struct fx_err *err)
{
    struct audit_rows *places = &reading->report->parts[REPORT_PLACES];
    struct audit_rows root = AUDIT_ROWS_INIT;
    if (read_into(reading, REPORT_QUERY_PLACES, &region, places, err) != FX_OK)
        return err->code;
    if (places->count == 0 || strcmp(place_cell(reading, 0, PLACE_PART), "total") != 0)
        return fx_err_set(err, FX_ECONFIG, "--region: no region \"%.32s\"", region);
    for (int i = 0; i < places->count; i++)
        report_pg_element(&reading->codes, place_cell(reading, i, PLACE_CODE));
    if (places->count > 1) {
        const char *own[PLACE_COLUMNS] = {"own"};
        for (int i = PLACE_CODE; i < PLACE_COLUMNS; i++)
            own[i] = place_cell(reading, 0, i);
        if (audit_rows_add(places, own, err) != FX_OK)
            return err->code;
    }
    if (read_into(reading, REPORT_QUERY_ROOT, &region, &root, err) == FX_OK && root.count > 0) {
        snprintf(reading->root, sizeof reading->root, "%s", audit_rows_cell(&root, 0, "code"));
        if (strcmp(reading->root, region) != 0)
            report_pg_element(&reading->codes, reading->root);
    }
    audit_rows_release(&root);
    report_pg_array(&reading->codes);
    return err->code == FX_OK ? buf_check(&reading->codes, err) : err->code;
}

static enum fx_code add_head(struct reading *reading, const char *region, struct fx_err *err)
{
    struct audit_rows clock = AUDIT_ROWS_INIT;
    if (read_into(reading, REPORT_QUERY_CLOCK, NULL, &clock, err) == FX_OK) {
        const char *cells[HEAD_COLUMNS] = {reading->as_of, region, "0", reading->period_start};
        cells[HEAD_COUNTED_UNTIL] = clock.count == 0 ? NULL : clock.cells[0];
        (void)(audit_rows_add(&reading->report->parts[REPORT_HEAD], cells, err) == FX_OK);
    }
    audit_rows_release(&clock);
    return err->code;
}

/* The status row of a kind at a region; -1: there is none. */
static int find_status(const struct reading *reading, const char *kind, const char *region)
{
    for (int i = 0; i < reading->status.count; i++)
        if (strcmp(audit_rows_cell(&reading->status, i, "kind"), kind) == 0 &&
            strcmp(audit_rows_cell(&reading->status, i, "region"), region) == 0)
            return i;
    return -1;
}

/* What is known of the kind that a figure of this place is counted from. */
struct standing {
    bool is_heard;
    const char *complete; /* "t", "f", NULL: not known */
};

static struct standing stand(const struct reading *reading, const struct report_measure *measure,
                             int rollup, int place)
{
    const char *kind = measure->from;
    const char *region = place_cell(reading, place, PLACE_CODE);
    if (rollup >= 0) {
        const struct audit_rows *rollups = &reading->installed.rollups;
        kind = audit_rows_cell(rollups, rollup, "kind");
        /* a role, such as the unit that sends: every source may speak of any node */
        if (strcmp(audit_rows_cell(rollups, rollup, "region_field"), "region") != 0)
            region = reading->root;
    }
    struct standing standing = {false, NULL};
    int row = find_status(reading, kind, region);
    if (row < 0)
        return standing;
    standing.is_heard = audit_rows_number(&reading->status, row, "sources_heard") > 0;
    standing.complete = audit_rows_cell(&reading->status, row, "complete");
    if (measure->is_to_date && audit_rows_number(&reading->status, row, "missing_before") > 0)
        standing.complete = "f";
    return standing;
}

static enum fx_code add_figure(const struct reading *reading, const struct report_measure *measure,
                               int place, const char *const item_value_complete[3],
                               struct fx_err *err)
{
    const char *cells[FIGURE_COLUMNS] = {
        [FIGURE_SECTION] = measure->section,
        [FIGURE_PART] = place_cell(reading, place, PLACE_PART),
        [FIGURE_PLACE] = place_cell(reading, place, PLACE_CODE),
        [FIGURE_ITEM] = item_value_complete[0],
        [FIGURE_MEASURE] = measure->name,
        [FIGURE_UNIT] = measure->unit,
        [FIGURE_VALUE] = item_value_complete[1],
        [FIGURE_RECORDED] = "t",
        [FIGURE_COMPLETE] = item_value_complete[2],
    };
    return audit_rows_add(&reading->report->parts[REPORT_FIGURES], cells, err);
}

static enum fx_code add_unrecorded(const struct reading *reading,
                                   const struct report_measure *measure, struct fx_err *err)
{
    const char *cells[FIGURE_COLUMNS] = {measure->section,
                                         place_cell(reading, 0, PLACE_PART),
                                         place_cell(reading, 0, PLACE_CODE),
                                         "",
                                         measure->name,
                                         measure->unit,
                                         NULL,
                                         "f",
                                         NULL};
    return audit_rows_add(&reading->report->parts[REPORT_FIGURES], cells, err);
}

/* The figure of this measure added last for the place and item, NULL: no value. */
static const char *find_value(const struct reading *reading, const struct report_measure *measure,
                              int place, const char *item)
{
    const struct audit_rows *figures = &reading->report->parts[REPORT_FIGURES];
    for (int i = figures->count - 1; i >= 0; i--) {
        char **cells = figures->cells + (size_t)i * FIGURE_COLUMNS;
        if (strcmp(cells[FIGURE_MEASURE], measure->name) == 0 &&
            strcmp(cells[FIGURE_SECTION], measure->section) == 0 &&
            strcmp(cells[FIGURE_ITEM], item) == 0 &&
            strcmp(cells[FIGURE_PLACE], place_cell(reading, place, PLACE_CODE)) == 0 &&
            strcmp(cells[FIGURE_PART], place_cell(reading, place, PLACE_PART)) == 0)
            return cells[FIGURE_VALUE];
    }
    return NULL;
}

/* The region less its units, of what adds up. */
static enum fx_code add_own(const struct reading *reading, const struct report_measure *measure,
                            int place, const char *item, struct fx_err *err)
{
    const char *total = find_value(reading, measure, 0, item);
    char text[NUMBER_SIZE];
    if (total == NULL || measure->op == REPORT_VALUE)
        return FX_OK;
    int64_t own = strtoll(total, NULL, 10);
    for (int i = 1; i < place; i++) {
        const char *value = find_value(reading, measure, i, item);
        own -= value == NULL ? 0 : strtoll(value, NULL, 10);
    }
    snprintf(text, sizeof text, "%" PRId64, own);
    return add_figure(reading, measure, place, (const char *const[]){item, text, NULL}, err);
}

/* ---- measures of rollups ---- */

static int find_answer(const struct audit_rows *answer, const char *region, const char *item)
{
    for (int i = 0; i < answer->count; i++)
        if (strcmp(answer->cells[i * answer->column_count], region) == 0 &&
            strcmp(answer->cells[i * answer->column_count + 1], item) == 0)
            return i;
    return -1;
}

/* "" and every value of the dimension that the answer has, each once. */
static int list_items(const struct audit_rows *answer, bool is_by_item,
                      const char *items[ITEMS_MAX])
{
    int count = 1;
    items[0] = "";
    for (int i = 0; is_by_item && i < answer->count; i++) {
        const char *item = answer->cells[i * answer->column_count + 1];
        int found = 0;
        while (found < count && strcmp(items[found], item) != 0)
            found++;
        if (found == count && count < ITEMS_MAX)
            items[count++] = item;
    }
    return count;
}

/* An answer's column as the figures of a measure. Where nothing was counted, a sum is 0 if somebody
 * was heard; and so is what a place that counted something has of another item. */
static enum fx_code add_answer(const struct reading *reading, const struct report_measure *measure,
                               const struct audit_rows *answer, int column, struct fx_err *err)
{
    const char *items[ITEMS_MAX];
    int rollup = report_query_rollup(&reading->installed, measure);
    int item_count = list_items(answer, measure->is_by_item, items);
    for (int place = 0; place < place_count(reading); place++) {
        const char *region = place_cell(reading, place, PLACE_CODE);
        struct standing standing = stand(reading, measure, rollup, place);
        bool has_rows = find_answer(answer, region, "") >= 0;
        for (int i = 0; i < item_count; i++) {
            int row = find_answer(answer, region, items[i]);
            const char *value = NULL;
            if (row >= 0)
                value = answer->cells[row * answer->column_count + column];
            else if (measure->op == REPORT_SUMS && (has_rows || standing.is_heard))
                value = "0";
            const char *const cells[] = {items[i], value, standing.complete};
            enum fx_code code = is_own(reading, place)
                                    ? add_own(reading, measure, place, items[i], err)
                                    : add_figure(reading, measure, place, cells, err);
            if (code != FX_OK)
                return code;
        }
    }
    return FX_OK;
}

static bool reads_sums(const struct report_measure *measure)
{
    return measure->op == REPORT_SUMS || measure->op == REPORT_VALUE;
}

static bool reads_same(const struct report_measure *a, const struct report_measure *b)
{
    bool is_where = a->where == b->where ||
                    (a->where != NULL && b->where != NULL && strcmp(a->where, b->where) == 0);
    return reads_sums(a) && reads_sums(b) && strcmp(a->section, b->section) == 0 &&
           strcmp(a->from, b->from) == 0 && a->is_to_date == b->is_to_date &&
           a->is_by_item == b->is_by_item && is_where;
}

/* One query for count measures of one rollup. */
static enum fx_code read_group(const struct reading *reading, const struct report_measure *measures,
                               int count, struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    struct audit_rows answer = AUDIT_ROWS_INIT;
    const char *values[] = {(const char *)reading->codes.data, reading->period_start,
                            reading->as_of};
    int rollup = report_query_rollup(&reading->installed, measures);
    const char *dimension = report_section_named(measures->section)->dimension;
    if (!measures->is_by_item ||
        !report_query_has_dimension(&reading->installed, rollup, dimension))
        dimension = NULL;
    if (reads_sums(measures))
        report_query_sums(&sql, &reading->installed, measures, count, dimension);
    else
        report_query_last(&sql, &reading->installed, measures);
    enum fx_code code = buf_check(&sql, err);
    if (code == FX_OK)
        code = audit_fetch(reading->conn, &(struct pg_statement){buf_text(&sql), 3, values},
                           &answer, err);
    for (int i = 0; code == FX_OK && i < count; i++)
        code = add_answer(reading, &measures[i], &answer, 2 + i, err);
    audit_rows_release(&answer);
    buf_release(&sql);
    return code == FX_OK ? FX_OK : fx_err_wrap(err, "%s", measures->from);
}

/* ---- other measures ---- */

static enum fx_code add_status_of(const struct reading *reading,
                                  const struct report_measure *measure, const char *kind,
                                  struct fx_err *err)
{
    const char *item = measure->is_by_item ? kind : "";
    for (int place = 0; place < place_count(reading); place++) {
        const char *region = place_cell(reading, place, PLACE_CODE);
        int row = find_status(reading, kind, region);
        const char *value = row < 0 ? "0" : audit_rows_cell(&reading->status, row, measure->sql);
        const char *const cells[] = {
            item, value, row < 0 ? NULL : audit_rows_cell(&reading->status, row, "complete")};
        enum fx_code code = is_own(reading, place)
                                ? add_own(reading, measure, place, item, err)
                                : add_figure(reading, measure, place, cells, err);
        if (code != FX_OK)
            return code;
    }
    return FX_OK;
}

static enum fx_code add_status(const struct reading *reading, const struct report_measure *measure,
                               struct fx_err *err)
{
    const char *last = "";
    bool is_recorded = false;
    for (int i = 0; i < reading->installed.rollups.count; i++) { /* in the order of their kinds */
        const char *kind = audit_rows_cell(&reading->installed.rollups, i, "kind");
        bool is_wanted = measure->from == NULL || strcmp(measure->from, kind) == 0;
        if (!is_wanted || strcmp(kind, last) == 0)
            continue;
        last = kind;
        is_recorded = true;
        if (add_status_of(reading, measure, kind, err) != FX_OK)
            return err->code;
    }
    return is_recorded ? FX_OK : add_unrecorded(reading, measure, err);
}

/* Both operands are figures of the same section, added before. */
static enum fx_code add_difference(const struct reading *reading,
                                   const struct report_measure *measure, struct fx_err *err)
{
    const struct report_measure *from = report_measure_named(measure->section, measure->from);
    const struct report_measure *less = report_measure_named(measure->section, measure->sql);
    fx_assert(from != NULL && less != NULL);
    if (report_query_rollup(&reading->installed, from) < 0 ||
        report_query_rollup(&reading->installed, less) < 0)
        return add_unrecorded(reading, measure, err);
    for (int place = 0; place < place_count(reading); place++) {
        char text[NUMBER_SIZE];
        const char *a = find_value(reading, from, place, "");
        const char *b = find_value(reading, less, place, "");
        struct standing standing =
            stand(reading, from, report_query_rollup(&reading->installed, from), place);
        if (a != NULL && b != NULL)
            snprintf(text, sizeof text, "%lld", strtoll(a, NULL, 10) - strtoll(b, NULL, 10));
        const char *const cells[] = {"", a != NULL && b != NULL ? text : NULL,
                                     is_own(reading, place) ? NULL : standing.complete};
        if (add_figure(reading, measure, place, cells, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

/* The measure at index, with those after it that read the same rows; how many. */
static int read_measure(const struct reading *reading, int index, struct fx_err *err)
{
    const struct report_measure *measure = report_measure_at(index);
    int count = 1;
    switch (measure->op) {
    case REPORT_NEVER:
        (void)(add_unrecorded(reading, measure, err) == FX_OK);
        return 1;
    case REPORT_STATUS:
        (void)(add_status(reading, measure, err) == FX_OK);
        return 1;
    case REPORT_MINUS:
        (void)(add_difference(reading, measure, err) == FX_OK);
        return 1;
    case REPORT_SUMS:
    case REPORT_VALUE:
    case REPORT_LAST:
    case REPORT_SOURCES:
        break;
    }
    if (report_query_rollup(&reading->installed, measure) < 0) {
        (void)(add_unrecorded(reading, measure, err) == FX_OK);
        return 1;
    }
    for (;; count++) {
        const struct report_measure *next = report_measure_at(index + count);
        if (next == NULL || !reads_same(measure, next) ||
            report_query_rollup(&reading->installed, next) < 0)
            break;
    }
    (void)(read_group(reading, measure, count, err) == FX_OK);
    return count;
}

static enum fx_code read_all(struct reading *reading, const char *region, struct fx_err *err)
{
    enum fx_code code = read_places(reading, region, err);
    const char *values[] = {(const char *)reading->codes.data, reading->period_start,
                            reading->as_of};
    const char *self[] = {"{}", reading->period_start, reading->as_of};
    struct buf own = BUF_INIT;
    report_pg_element(&own, region);
    self[0] = report_pg_array(&own);
    if (code == FX_OK)
        code = buf_check(&own, err);
    struct audit_rows *findings = &reading->report->parts[REPORT_FINDINGS];
    if (code == FX_OK)
        code = add_head(reading, region, err);
    if (code == FX_OK)
        code = read_into(reading, REPORT_QUERY_ROLLUPS, NULL, &reading->installed.rollups, err);
    if (code == FX_OK)
        code = read_into(reading, REPORT_QUERY_COLUMNS, NULL, &reading->installed.columns, err);
    if (code == FX_OK)
        code = read_into(reading, REPORT_QUERY_STATUS, values, &reading->status, err);
    if (code == FX_OK)
        code = read_into(reading, REPORT_QUERY_MISSING, self, findings, err);
    if (code == FX_OK)
        code = read_into(reading, REPORT_QUERY_SILENT, self, findings, err);
    for (int i = 0; code == FX_OK && report_measure_at(i) != NULL; code = err->code)
        i += read_measure(reading, i, err);
    buf_release(&own);
    return code;
}

enum fx_code report_figures_read(PGconn *conn, const struct report_scope *scope,
                                 struct report *report, struct fx_err *err)
{
    struct reading reading = {.conn = conn, .report = report, .codes = BUF_INIT};
    format_instant(scope->as_of_ms, reading.as_of);
    /* 24:00 of a day belongs to it */
    format_instant(day_local_start_ms(scope->as_of_ms - 1), reading.period_start);
    enum fx_code code = read_all(&reading, scope->region, err);
    audit_rows_release(&reading.installed.rollups);
    audit_rows_release(&reading.installed.columns);
    audit_rows_release(&reading.status);
    buf_release(&reading.codes);
    return code;
}

enum fx_code report_figures_log(PGconn *conn, const struct report *report, const char *since,
                                struct audit_rows *log, struct fx_err *err)
{
    struct buf codes = BUF_INIT;
    for (int i = 0; i < report->parts[REPORT_PLACES].count; i++)
        report_pg_element(&codes, report_cell(report, REPORT_PLACES, i, PLACE_CODE));
    const char *values[] = {report_pg_array(&codes), since,
                            report_cell(report, REPORT_HEAD, 0, HEAD_AS_OF)};
    struct pg_statement statement = {report_query(REPORT_QUERY_LOG), 3, values};
    enum fx_code code = buf_check(&codes, err);
    if (code == FX_OK)
        code = audit_fetch(conn, &statement, log, err);
    buf_release(&codes);
    return code;
}
