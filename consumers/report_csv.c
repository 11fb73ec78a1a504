/* SPDX-License-Identifier: Apache-2.0 */
#include "report_csv.h"

#include "report_measures.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CSV_ROW,
    CSV_AS_OF,
    CSV_REGION,
    CSV_VERSION,
    CSV_SECTION,
    CSV_PART,
    CSV_PLACE,
    CSV_NAME,
    CSV_LEVEL,
    CSV_ITEM,
    CSV_MEASURE,
    CSV_LABEL,
    CSV_ITEM_LABEL,
    CSV_UNIT,
    CSV_VALUE,
    CSV_OLD_VALUE,
    CSV_RECORDED,
    CSV_COMPLETE,
    CSV_CHANGED_AT,
    CSV_SOURCE,
    CSV_SOURCE_NAME,
    CSV_RUN,
    CSV_DAY,
    CSV_FIRST_SEQ,
    CSV_LAST_SEQ,
    CSV_CAUSE,
    CSV_COLUMNS
};

static const char *const names[CSV_COLUMNS] = {
    "row",   "as_of",     "region",    "version",  "section",    "part",       "place",
    "name",  "level",     "item",      "measure",  "label",      "item_label", "unit",
    "value", "old_value", "recorded",  "complete", "changed_at", "source",     "source_name",
    "run",   "day",       "first_seq", "last_seq", "cause",
};

/* "-12.5" */
static bool is_number(const char *text)
{
    const char *digits = text + (text[0] == '-');
    size_t size = strspn(digits, "0123456789.");
    return size > 0 && digits[size] == '\0';
}

/* What a spreadsheet would take for a formula is marked as text. */
static void append_field(struct buf *out, const char *text)
{
    char marked[2] = "";
    if (text == NULL)
        return;
    if (text[0] != '\0' && strchr("=+-@\t\r\n", text[0]) != NULL && !is_number(text))
        marked[0] = '\'';
    if (text[strcspn(text, ",\"\r\n")] == '\0' && text[0] != '\0') {
        buf_append_text(out, marked);
        buf_append_text(out, text);
        return;
    }
    buf_append_byte(out, '"');
    buf_append_text(out, marked);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            buf_append_byte(out, '"');
        buf_append_byte(out, (uint8_t)*text);
    }
    buf_append_byte(out, '"');
}

static void append_line(struct buf *out, const char *const *fields, int count)
{
    for (int i = 0; i < count; i++) {
        if (i > 0)
            buf_append_byte(out, ',');
        append_field(out, fields[i]);
    }
    buf_append_byte(out, '\n');
}

void report_csv_rows(const struct audit_rows *rows, struct buf *out)
{
    const char *header[AUDIT_COLUMNS_MAX];
    for (int i = 0; i < rows->column_count; i++)
        header[i] = rows->columns[i].name;
    append_line(out, header, rows->column_count);
    for (int row = 0; row < rows->count; row++)
        append_line(out,
                    (const char *const *)(rows->cells + (size_t)row * (size_t)rows->column_count),
                    rows->column_count);
}

struct csv {
    const struct report *report;
    enum report_lang lang;
    struct buf *out;
    struct buf label;
    struct buf item;
    struct buf name;
};

/* Both languages stand in one field. */
static const char *say(const struct csv *csv, struct buf *text, const char *zh, const char *en)
{
    csv->out->is_failed |= text->is_failed; /* the reset forgets it */
    buf_reset(text);
    report_say(text, csv->lang, zh, en);
    for (size_t i = 0; i < text->size; i++)
        if (text->data[i] == REPORT_SPLIT)
            text->data[i] = ' ';
    return buf_text(text);
}

static void begin(const struct csv *csv, const char *row, const char **fields)
{
    memset(fields, 0, CSV_COLUMNS * sizeof *fields);
    fields[CSV_ROW] = row;
    fields[CSV_AS_OF] = report_cell(csv->report, REPORT_HEAD, 0, HEAD_AS_OF);
    fields[CSV_REGION] = report_cell(csv->report, REPORT_HEAD, 0, HEAD_REGION);
    if (report_cell(csv->report, REPORT_HEAD, 0, HEAD_MADE_AT) != NULL) /* else a draft */
        fields[CSV_VERSION] = report_cell(csv->report, REPORT_HEAD, 0, HEAD_VERSION);
}

static void add_place(struct csv *csv, const char **fields)
{
    const struct audit_rows *places = &csv->report->parts[REPORT_PLACES];
    for (int i = 0; fields[CSV_PLACE] != NULL && i < places->count; i++) {
        if (strcmp(report_cell(csv->report, REPORT_PLACES, i, PLACE_CODE), fields[CSV_PLACE]) != 0)
            continue;
        fields[CSV_NAME] =
            say(csv, &csv->name, report_cell(csv->report, REPORT_PLACES, i, PLACE_NAME),
                report_cell(csv->report, REPORT_PLACES, i, PLACE_LATIN));
        fields[CSV_LEVEL] = report_cell(csv->report, REPORT_PLACES, i, PLACE_LEVEL);
        return;
    }
}

/* label and item_label, from section, item and measure. */
static void add_labels(struct csv *csv, const char **fields)
{
    const struct report_section *section = report_section_named(fields[CSV_SECTION]);
    const struct report_measure *measure =
        report_measure_named(fields[CSV_SECTION], fields[CSV_MEASURE]);
    const struct report_word *word = NULL;
    if (measure != NULL)
        fields[CSV_LABEL] = say(csv, &csv->label, measure->zh, measure->en);
    if (section != NULL && section->dimension != NULL && fields[CSV_ITEM] != NULL)
        word = report_word_named(section->dimension, fields[CSV_ITEM]);
    if (word != NULL)
        fields[CSV_ITEM_LABEL] = say(csv, &csv->item, word->zh, word->en);
}

static const char *or_absent(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : text;
}

static const char *truth(const char *boolean)
{
    return boolean == NULL ? NULL : boolean[0] == 't' ? "true" : "false";
}

static void add_figures(struct csv *csv)
{
    const char *fields[CSV_COLUMNS];
    for (int i = 0; i < csv->report->parts[REPORT_FIGURES].count; i++) {
        begin(csv, "figure", fields);
        fields[CSV_SECTION] = report_cell(csv->report, REPORT_FIGURES, i, FIGURE_SECTION);
        fields[CSV_PART] = report_cell(csv->report, REPORT_FIGURES, i, FIGURE_PART);
        fields[CSV_PLACE] = report_cell(csv->report, REPORT_FIGURES, i, FIGURE_PLACE);
        fields[CSV_ITEM] = or_absent(report_cell(csv->report, REPORT_FIGURES, i, FIGURE_ITEM));
        fields[CSV_MEASURE] = report_cell(csv->report, REPORT_FIGURES, i, FIGURE_MEASURE);
        fields[CSV_UNIT] = report_cell(csv->report, REPORT_FIGURES, i, FIGURE_UNIT);
        fields[CSV_VALUE] = report_cell(csv->report, REPORT_FIGURES, i, FIGURE_VALUE);
        fields[CSV_RECORDED] = truth(report_cell(csv->report, REPORT_FIGURES, i, FIGURE_RECORDED));
        fields[CSV_COMPLETE] = truth(report_cell(csv->report, REPORT_FIGURES, i, FIGURE_COMPLETE));
        add_place(csv, fields);
        add_labels(csv, fields);
        append_line(csv->out, fields, CSV_COLUMNS);
    }
}

static const char *finding(const struct csv *csv, int row, int column)
{
    return report_cell(csv->report, REPORT_FINDINGS, row, column);
}

static void begin_finding(const struct csv *csv, const char *row, bool is_missing,
                          const char **fields)
{
    begin(csv, row, fields);
    fields[CSV_SECTION] = "completeness";
    fields[CSV_MEASURE] = is_missing ? "missing_events" : "silent_minutes";
}

/* There are more of this sort than are listed. */
static void add_cut(struct csv *csv, bool is_missing)
{
    const char *fields[CSV_COLUMNS];
    begin_finding(csv, "cut", is_missing, fields);
    fields[CSV_LABEL] = say(csv, &csv->label, REPORT_CUT_ZH, REPORT_CUT_EN);
    append_line(csv->out, fields, CSV_COLUMNS);
}

static void add_findings(struct csv *csv)
{
    const char *fields[CSV_COLUMNS];
    char numbers[24];
    int counts[2] = {0, 0};
    for (int i = 0; i < csv->report->parts[REPORT_FINDINGS].count; i++) {
        bool is_missing = strcmp(finding(csv, i, FINDING_WHAT), "missing") == 0;
        if (++counts[is_missing] == REPORT_FINDINGS_MAX + 1)
            add_cut(csv, is_missing);
        if (counts[is_missing] > REPORT_FINDINGS_MAX)
            continue;
        begin_finding(csv, finding(csv, i, FINDING_WHAT), is_missing, fields);
        fields[CSV_UNIT] = is_missing ? "events" : "minutes";
        fields[CSV_ITEM] = finding(csv, i, FINDING_KIND);
        fields[CSV_PLACE] = finding(csv, i, FINDING_PLACE);
        if (finding(csv, i, FINDING_PLACE_NAME) != NULL &&
            finding(csv, i, FINDING_PLACE_LATIN) != NULL)
            fields[CSV_NAME] = say(csv, &csv->name, finding(csv, i, FINDING_PLACE_NAME),
                                   finding(csv, i, FINDING_PLACE_LATIN));
        fields[CSV_SOURCE] = finding(csv, i, FINDING_SOURCE);
        fields[CSV_SOURCE_NAME] = finding(csv, i, FINDING_NAME);
        fields[CSV_RUN] = finding(csv, i, FINDING_RUN);
        fields[CSV_DAY] = finding(csv, i, FINDING_DAY);
        fields[CSV_FIRST_SEQ] = finding(csv, i, FINDING_FIRST);
        fields[CSV_LAST_SEQ] = finding(csv, i, FINDING_LAST);
        fields[CSV_CAUSE] = finding(csv, i, FINDING_CAUSE);
        fields[CSV_VALUE] = finding(csv, i, FINDING_SILENT);
        if (is_missing) {
            snprintf(numbers, sizeof numbers, "%lld",
                     strtoll(fields[CSV_LAST_SEQ], NULL, 10) -
                         strtoll(fields[CSV_FIRST_SEQ], NULL, 10) + 1);
            fields[CSV_VALUE] = numbers;
        }
        add_labels(csv, fields);
        append_line(csv->out, fields, CSV_COLUMNS);
    }
}

static const char *correction(const struct csv *csv, int row, int column)
{
    return report_cell(csv->report, REPORT_CORRECTIONS, row, column);
}

static void add_corrections(struct csv *csv)
{
    const char *fields[CSV_COLUMNS];
    for (int i = 0; i < csv->report->parts[REPORT_CORRECTIONS].count; i++) {
        begin(csv, "correction", fields);
        fields[CSV_SECTION] = correction(csv, i, CORRECTION_SECTION);
        fields[CSV_PART] = correction(csv, i, CORRECTION_PART);
        fields[CSV_PLACE] = correction(csv, i, CORRECTION_PLACE);
        fields[CSV_ITEM] = or_absent(correction(csv, i, CORRECTION_ITEM));
        fields[CSV_MEASURE] = correction(csv, i, CORRECTION_MEASURE);
        fields[CSV_UNIT] = correction(csv, i, CORRECTION_UNIT);
        fields[CSV_VALUE] = correction(csv, i, CORRECTION_NEW);
        fields[CSV_OLD_VALUE] = correction(csv, i, CORRECTION_OLD);
        fields[CSV_CHANGED_AT] = correction(csv, i, CORRECTION_CHANGED);
        add_place(csv, fields);
        add_labels(csv, fields);
        append_line(csv->out, fields, CSV_COLUMNS);
    }
}

void report_csv(const struct report *report, enum report_lang lang, struct buf *out)
{
    struct csv csv = {report, lang, out, BUF_INIT, BUF_INIT, BUF_INIT};
    append_line(out, names, CSV_COLUMNS);
    add_figures(&csv);
    add_findings(&csv);
    add_corrections(&csv);
    out->is_failed |= csv.label.is_failed || csv.item.is_failed || csv.name.is_failed;
    buf_release(&csv.label);
    buf_release(&csv.item);
    buf_release(&csv.name);
}
