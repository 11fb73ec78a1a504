/* SPDX-License-Identifier: Apache-2.0 */
#include "audit_text.h"

#include "audit_mend.h"

#include <inttypes.h>
#include <string.h>

#define COLUMNS_MAX 24

/* Wide in East Asian terminals: CJK, kana, Hangul, full-width forms. */
static bool is_wide(uint32_t point)
{
    return (point >= 0x1100 && point <= 0x115F) || (point >= 0x2E80 && point <= 0xA4CF) ||
           (point >= 0xAC00 && point <= 0xD7A3) || (point >= 0xF900 && point <= 0xFAFF) ||
           (point >= 0xFE30 && point <= 0xFE4F) || (point >= 0xFF00 && point <= 0xFF60) ||
           (point >= 0x20000 && point <= 0x3FFFD);
}

int audit_text_width(const char *text)
{
    int width = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        int more = *at < 0xC0 ? 0 : *at < 0xE0 ? 1 : *at < 0xF0 ? 2 : 3;
        uint32_t point = more == 0 ? *at : *at & (0x3Fu >> more);
        at++;
        for (; more > 0 && (*at & 0xC0) == 0x80; more--, at++)
            point = point << 6 | (*at & 0x3Fu);
        width += is_wide(point) ? 2 : 1;
    }
    return width;
}

/* Lines of cells, padded to the widest of their column when they are written. */
struct grid {
    struct buf text; /* cells, each ended by a NUL */
    int columns;
    int widths[COLUMNS_MAX];
};

/* The next cell of a line; columns counts those that it has. */
static void grid_add_text(struct grid *grid, const char *text)
{
    int column = grid->columns++;
    int width = audit_text_width(text);
    fx_assert(column < COLUMNS_MAX);
    if (width > grid->widths[column])
        grid->widths[column] = width;
    buf_append(&grid->text, text, strlen(text) + 1);
}

/* The same of a buffer; what it had no memory for the grid lacks. */
static void grid_add(struct grid *grid, struct buf *cell)
{
    const char *text = buf_text(cell);
    grid->text.is_failed |= cell->is_failed;
    grid_add_text(grid, text);
}

/* Takes the grid's memory. Empty columns vanish; nothing is padded after the last cell. Of a grid
 * that lacks something nothing is written, and out has failed too. */
static void grid_write(struct grid *grid, struct buf *out)
{
    const char *at = buf_text(&grid->text);
    const char *end = at + (grid->text.is_failed ? 0 : grid->text.size);
    out->is_failed |= grid->text.is_failed;
    while (at < end) {
        int owed = 2;
        for (int column = 0; column < grid->columns; column++) {
            int width = audit_text_width(at);
            if (width > 0) {
                buf_append_format(out, "%*s%s", owed, "", at);
                owed = 0;
            }
            if (grid->widths[column] > 0)
                owed += grid->widths[column] - width + 2;
            at += strlen(at) + 1;
        }
        buf_append_byte(out, '\n');
    }
    buf_release(&grid->text);
}

/* The template with each "{column}" replaced; empty if all of these are NULL. */
static void fill(const char *template, const struct audit_rows *rows, int row, struct buf *cell)
{
    bool has_value = strchr(template, '{') == NULL;
    buf_reset(cell);
    for (const char *at = template; *at != '\0';) {
        size_t plain = strcspn(at, "{");
        buf_append(cell, at, plain);
        at += plain;
        if (*at == '\0')
            break;
        char name[AUDIT_NAME_SIZE];
        size_t size = strcspn(at, "}") - 1;
        fx_assert(size < sizeof name);
        memcpy(name, at + 1, size);
        name[size] = '\0';
        const char *value = audit_rows_cell(rows, row, name);
        has_value = has_value || value != NULL;
        buf_append_text(cell, value == NULL ? "" : value);
        at += size + 2;
    }
    if (!has_value)
        cell->size = 0;
}

static void write_section(const struct audit_report *report, enum audit_section section,
                          int lines_max, struct buf *out)
{
    const struct audit_section_info *info = audit_section_info(section);
    const struct audit_rows *rows = &report->sections[section];
    int shown = lines_max > 0 && rows->count > lines_max ? lines_max : rows->count;
    struct grid grid = {.text = BUF_INIT};
    struct buf cell = BUF_INIT;
    for (int row = 0; row < shown; row++) {
        struct audit_mend mend;
        grid.columns = 0;
        for (int i = 0; i < AUDIT_CELLS_MAX && info->cells[i] != NULL; i++) {
            fill(info->cells[i], rows, row, &cell);
            grid_add(&grid, &cell);
        }
        audit_mend(report, section, row, &mend);
        buf_reset(&cell);
        buf_append_format(&cell, "> %s%s%s", mend.advice,
                          mend.advice[0] != '\0' && mend.command[0] != '\0' ? ": " : "",
                          mend.command);
        grid_add(&grid, &cell);
    }
    buf_append_format(out, "\n%s (%d)\n", info->title, rows->count);
    grid_write(&grid, out);
    if (shown < rows->count)
        buf_append_format(out, "  ... and %d more, see --json or --all\n", rows->count - shown);
    buf_release(&cell);
}

static void write_kinds(const struct audit_report *report, struct buf *out)
{
    static const char *const shown[][2] = {
        {"sources_expected", "expected"}, {"sources_heard", "heard"},
        {"sources_silent", "silent"},     {"inputs_closed", "closed"},
        {"inputs_stale", "stale"},        {"announced", "announced"},
        {"counted", "counted"},           {"pending", "pending"},
        {"missing", "missing"},           {"rejected", "rejected"},
        {"written_off", "written off"},
    };
    const struct audit_rows *kinds = &report->kinds;
    struct grid grid = {.text = BUF_INIT};
    for (int row = -1; row < kinds->count; row++) {
        grid.columns = 0;
        grid_add_text(&grid, row < 0 ? "kind" : audit_rows_cell(kinds, row, "kind"));
        grid_add_text(&grid,
                      row < 0 ? "verdict" : audit_verdict_name(audit_judge_kind(report, row)));
        for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
            if (audit_rows_has(kinds, shown[i][0]))
                grid_add_text(&grid,
                              row < 0 ? shown[i][1] : audit_rows_cell(kinds, row, shown[i][0]));
    }
    buf_append_byte(out, '\n');
    grid_write(&grid, out);
}

/* The earliest instant of a column, as its text; NULL if there is none. All have one format. */
static const char *earliest(const struct audit_rows *rows, const char *column)
{
    const char *found = NULL;
    for (int row = 0; row < rows->count; row++) {
        const char *value = audit_rows_cell(rows, row, column);
        if (value != NULL && (found == NULL || strcmp(value, found) < 0))
            found = value;
    }
    return found;
}

static void append_count(struct buf *out, int64_t count, const char *what)
{
    if (count > 0)
        buf_append_format(out, ", %" PRId64 " %s", count, what);
}

static void write_verdict(const struct audit_report *report, struct buf *out)
{
    enum audit_verdict verdict = audit_judge(report);
    const struct audit_rows *kinds = &report->kinds;
    const char *judged = earliest(kinds, "judged_at");
    const char *unknown = earliest(kinds, "unknown_since");
    const char *day = audit_rows_cell(&report->head, 0, "day");
    int64_t expected = audit_rows_sum(kinds, "sources_expected", NULL);
    if (verdict == AUDIT_UNKNOWN && expected == 0 && unknown == NULL)
        buf_append_text(out, "unknown: nobody is expected");
    else if (verdict == AUDIT_UNKNOWN)
        buf_append_format(out, "unknown since %s", unknown == NULL ? "ever" : unknown);
    else
        buf_append_format(out, "%s as of %s",
                          verdict == AUDIT_COMPLETE ? "complete" : "NOT complete",
                          judged == NULL ? "never" : judged);
    if (day != NULL)
        buf_append_format(out, ", day %s", day);
    buf_append_format(out, ", %" PRId64 " of %" PRId64 " posts, %" PRId64 " missing",
                      audit_rows_sum(kinds, "sources_heard", NULL), expected,
                      audit_count_numbers(report, false));
    append_count(out, audit_count_numbers(report, true), "rejected");
    append_count(out, report->sections[AUDIT_SILENT].count, "silent");
    append_count(out, report->sections[AUDIT_RUNS].count, "runs lost, cloned or quarantined");
    append_count(out, report->sections[AUDIT_BREACHES].count, "invariants broken");
    if (verdict == AUDIT_INCOMPLETE && unknown != NULL)
        buf_append_format(out, "; unknown since %s", unknown);
    buf_append_byte(out, '\n');
}

void audit_text(const struct audit_report *report, int lines_max, struct buf *out)
{
    write_verdict(report, out);
    write_kinds(report, out);
    for (int i = 0; i < AUDIT_SECTION_COUNT; i++)
        if (report->sections[i].count > 0)
            write_section(report, (enum audit_section)i, lines_max, out);
}
