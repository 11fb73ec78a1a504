/* SPDX-License-Identifier: Apache-2.0 */
/* report_sections - the tables of a page: figures, findings, corrections. */
#include "report_page_state.h"

#include <stdio.h>
#include <string.h>

static void put_place(struct page *page, const char *part, const char *zh, const char *en)
{
    struct buf sides[2] = {BUF_INIT, BUF_INIT};
    buf_append_format(&sides[0], "%s%s", zh,
                      strcmp(part, "total") == 0 ? "合计"
                      : strcmp(part, "own") == 0 ? "本级"
                                                 : "");
    buf_append_format(&sides[1], "%s%s", en,
                      strcmp(part, "total") == 0 ? ", total"
                      : strcmp(part, "own") == 0 ? ", own"
                                                 : "");
    page_say(page, buf_text(&sides[0]), buf_text(&sides[1]));
    page_drop(page, sides);
}

/* "采样(人次)", "Sampled (person-times)" */
static void say_measure(struct page *page, const struct report_measure *measure)
{
    const struct report_word *unit = report_word_named("unit", measure->unit);
    struct buf sides[2] = {BUF_INIT, BUF_INIT};
    buf_append_format(&sides[0], "%s(%s)", measure->zh, unit == NULL ? measure->unit : unit->zh);
    buf_append_format(&sides[1], "%s (%s)", measure->en, unit == NULL ? measure->unit : unit->en);
    page_say(page, buf_text(&sides[0]), buf_text(&sides[1]));
    page_drop(page, sides);
}

static void say_item(struct page *page, const char *dimension, const char *item)
{
    if (item[0] == '\0')
        page_say(page, "全部", "All");
    else
        report_say_word(&page->text, page->lang, dimension, item);
}

static void put_complete(struct page *page, const char *complete)
{
    if (complete == NULL)
        page_plain(page, REPORT_CELL_TEXT, "–");
    else if (complete[0] == 't')
        page_words(page, REPORT_CELL_TEXT, "是", "yes");
    else
        page_words(page, REPORT_CELL_TEXT, "否", "NO");
}

static void put_line_of(struct page *page, const struct report_table *table, int index)
{
    const struct report_line *line = &table->lines[index];
    put_place(page, report_cell(page->report, REPORT_PLACES, line->place, PLACE_PART),
              report_cell(page->report, REPORT_PLACES, line->place, PLACE_NAME),
              report_cell(page->report, REPORT_PLACES, line->place, PLACE_LATIN));
    page_cell(page, REPORT_CELL_LABEL);
    if (table->has_items) {
        say_item(page, table->section->dimension, line->item);
        page_cell(page, REPORT_CELL_LABEL);
    }
    for (int i = 0; i < table->column_count; i++)
        page_number(page, report_table_value(table, index, i));
    put_complete(page, line->complete);
}

static void put_table(struct page *page, const struct report_table *table)
{
    page_table(page, table->section->zh, table->section->en,
               table->column_count + 2 + (table->has_items ? 1 : 0));
    page_words(page, REPORT_CELL_HEAD, "单位", "Unit");
    if (table->has_items)
        page_words(page, REPORT_CELL_HEAD, table->section->item_zh, table->section->item_en);
    for (int i = 0; i < table->column_count; i++) {
        say_measure(page, table->columns[i]);
        page_cell(page, REPORT_CELL_HEAD);
    }
    page_words(page, REPORT_CELL_HEAD, "完整", "Complete");
    for (int i = 0; i < table->line_count; i++)
        put_line_of(page, table, i);
    page->sink->calls->table_close(page->sink);
}

/* What no kind of event records is said, not left out. */
static void put_absent(struct page *page, const struct report_table *table)
{
    if (table->absent_count == 0)
        return;
    struct buf sides[2] = {BUF_INIT, BUF_INIT};
    buf_append_text(&sides[0], "未记录: ");
    buf_append_text(&sides[1], "Not recorded: ");
    for (int i = 0; i < table->absent_count; i++) {
        buf_append_format(&sides[0], "%s%s", i == 0 ? "" : "、", table->absent[i]->zh);
        buf_append_format(&sides[1], "%s%s", i == 0 ? "" : ", ", table->absent[i]->en);
    }
    page_say(page, buf_text(&sides[0]), buf_text(&sides[1]));
    page_paragraph(page);
    page_drop(page, sides);
}

enum fx_code page_section(struct page *page, const struct report_section *section,
                          struct fx_err *err)
{
    struct report_table table = {.report = page->report, .section = section, .index = &page->index};
    enum fx_code code = report_table_build(&table, err);
    if (code == FX_OK) {
        page_heading(page, 2, section->zh, section->en);
        if (section->note_zh != NULL && table.column_count > 0) {
            page_say(page, section->note_zh, section->note_en);
            page_paragraph(page);
        }
        if (table.column_count > 0)
            put_table(page, &table);
        put_absent(page, &table);
    }
    report_table_release(&table);
    return code;
}

/* ---- findings ---- */

static int count_findings(const struct page *page, const char *what)
{
    int count = 0;
    for (int i = 0; i < page->report->parts[REPORT_FINDINGS].count; i++)
        if (strcmp(report_cell(page->report, REPORT_FINDINGS, i, FINDING_WHAT), what) == 0)
            count++;
    return count;
}

static const char *finding(const struct page *page, int row, int column)
{
    return report_cell(page->report, REPORT_FINDINGS, row, column);
}

/* Kind, source, its name, its place. */
static void put_source(struct page *page, int row)
{
    const char *name = finding(page, row, FINDING_NAME);
    const char *zh = finding(page, row, FINDING_PLACE_NAME);
    const char *en = finding(page, row, FINDING_PLACE_LATIN);
    report_say_word(&page->text, page->lang, "kind", finding(page, row, FINDING_KIND));
    page_cell(page, REPORT_CELL_TEXT);
    page_plain(page, REPORT_CELL_LABEL, finding(page, row, FINDING_SOURCE));
    if (name == NULL)
        page_words(page, REPORT_CELL_TEXT, "未登记", "not registered");
    else
        page_plain(page, REPORT_CELL_TEXT, name);
    if (zh == NULL || en == NULL)
        page_plain(page, REPORT_CELL_TEXT, NULL);
    else
        page_words(page, REPORT_CELL_TEXT, zh, en);
}

static void put_source_heads(struct page *page)
{
    page_words(page, REPORT_CELL_HEAD, "事件种类", "Kind of event");
    page_words(page, REPORT_CELL_HEAD, "来源", "Source");
    page_words(page, REPORT_CELL_HEAD, "名称", "Name");
    page_words(page, REPORT_CELL_HEAD, "所在地", "Place");
}

static void put_more(struct page *page, int count)
{
    if (count <= REPORT_FINDINGS_MAX)
        return;
    page_say(page, REPORT_CUT_ZH, REPORT_CUT_EN);
    page_paragraph(page);
}

static void put_missing(struct page *page, int count)
{
    page_heading(page, 3, "缺失的序号", "Numbers that are not counted");
    page_table(page, "缺失的序号", "Numbers that are not counted", 8);
    put_source_heads(page);
    page_words(page, REPORT_CELL_HEAD, "运行号", "Run");
    page_words(page, REPORT_CELL_HEAD, "序号", "Numbers");
    page_words(page, REPORT_CELL_HEAD, "所属日期", "Day");
    page_words(page, REPORT_CELL_HEAD, "原因", "Cause");
    for (int i = 0, row = 0; i < page->report->parts[REPORT_FINDINGS].count; i++) {
        if (strcmp(finding(page, i, FINDING_WHAT), "missing") != 0 || ++row > REPORT_FINDINGS_MAX)
            continue;
        put_source(page, i);
        page_plain(page, REPORT_CELL_TEXT, finding(page, i, FINDING_RUN));
        buf_append_format(&page->text, "%s–%s", finding(page, i, FINDING_FIRST),
                          finding(page, i, FINDING_LAST));
        page_cell(page, REPORT_CELL_NUMBER);
        page_plain(page, REPORT_CELL_TEXT, finding(page, i, FINDING_DAY));
        report_say_word(&page->text, page->lang, "cause", finding(page, i, FINDING_CAUSE));
        page_cell(page, REPORT_CELL_TEXT);
    }
    page->sink->calls->table_close(page->sink);
    put_more(page, count);
}

static void put_silent(struct page *page, int count)
{
    page_heading(page, 3, "静默的来源", "Silent posts");
    page_table(page, "静默的来源", "Silent posts", 5);
    put_source_heads(page);
    page_words(page, REPORT_CELL_HEAD, "当日静默(分钟)", "Silent on the day (min)");
    for (int i = 0, row = 0; i < page->report->parts[REPORT_FINDINGS].count; i++) {
        if (strcmp(finding(page, i, FINDING_WHAT), "silent") != 0 || ++row > REPORT_FINDINGS_MAX)
            continue;
        put_source(page, i);
        page_number(page, finding(page, i, FINDING_SILENT));
    }
    page->sink->calls->table_close(page->sink);
    put_more(page, count);
}

void page_findings(struct page *page)
{
    int missing = count_findings(page, "missing");
    int silent = count_findings(page, "silent");
    if (missing > 0)
        put_missing(page, missing);
    if (silent > 0)
        put_silent(page, silent);
}

/* ---- corrections ---- */

static const char *correction(const struct page *page, int row, int column)
{
    return report_cell(page->report, REPORT_CORRECTIONS, row, column);
}

/* The place by the name that the report gives it, else its code: a unit that is there no more. */
static void put_corrected_place(struct page *page, int row)
{
    const char *part = correction(page, row, CORRECTION_PART);
    const char *code = correction(page, row, CORRECTION_PLACE);
    const char *zh = code;
    const char *en = code;
    for (int i = 0; i < page->report->parts[REPORT_PLACES].count; i++)
        if (strcmp(report_cell(page->report, REPORT_PLACES, i, PLACE_CODE), code) == 0) {
            zh = report_cell(page->report, REPORT_PLACES, i, PLACE_NAME);
            en = report_cell(page->report, REPORT_PLACES, i, PLACE_LATIN);
            break;
        }
    put_place(page, part, zh, en);
    page_cell(page, REPORT_CELL_LABEL);
}

static void put_correction(struct page *page, int row)
{
    const char *name = correction(page, row, CORRECTION_SECTION);
    const char *changed = correction(page, row, CORRECTION_CHANGED);
    const struct report_section *section = report_section_named(name);
    const struct report_measure *measure =
        report_measure_named(name, correction(page, row, CORRECTION_MEASURE));
    page_words(page, REPORT_CELL_TEXT, section == NULL ? name : section->zh,
               section == NULL ? name : section->en);
    put_corrected_place(page, row);
    if (section == NULL || section->dimension == NULL)
        page_plain(page, REPORT_CELL_TEXT, NULL);
    else {
        say_item(page, section->dimension, correction(page, row, CORRECTION_ITEM));
        page_cell(page, REPORT_CELL_TEXT);
    }
    if (measure != NULL)
        say_measure(page, measure);
    else
        buf_append_text(&page->text, correction(page, row, CORRECTION_MEASURE));
    page_cell(page, REPORT_CELL_TEXT);
    page_number(page, correction(page, row, CORRECTION_OLD));
    page_number(page, correction(page, row, CORRECTION_NEW));
    if (changed != NULL)
        report_say_instant(&page->text, page->lang, changed, false);
    else
        buf_append_text(&page->text, "–");
    page_cell(page, REPORT_CELL_TEXT);
}

static void say_base(struct page *page, const char *as_of, const char *version)
{
    struct buf sides[2] = {BUF_INIT, BUF_INIT};
    buf_append_text(&sides[0], "与截至");
    report_say_instant(&sides[0], REPORT_ZH, as_of, true);
    buf_append_format(&sides[0], "的第%s版相比", version);
    buf_append_format(&sides[1], "Against version %s as of ", version);
    report_say_instant(&sides[1], REPORT_EN, as_of, true);
    page_say(page, buf_text(&sides[0]), buf_text(&sides[1]));
    page_paragraph(page);
    page_drop(page, sides);
}

void page_corrections(struct page *page)
{
    static const char *const heads[][2] = {
        {"章节", "Section"},     {"单位", "Unit"},          {"分项", "Item"},
        {"指标", "Measure"},     {"原值", "Reported then"}, {"现值", "Counted now"},
        {"变更时间", "Changed"},
    };
    const char *as_of = report_cell(page->report, REPORT_HEAD, 0, HEAD_BASE_AS_OF);
    const char *version = report_cell(page->report, REPORT_HEAD, 0, HEAD_BASE_VERSION);
    int count = page->report->parts[REPORT_CORRECTIONS].count;
    page_heading(page, 2, "订正", "Corrections");
    if (as_of == NULL || version == NULL) {
        page_say(page, "无以往版本可比", "There is no earlier report to compare with");
        page_paragraph(page);
        return;
    }
    say_base(page, as_of, version);
    if (count == 0) {
        page_say(page, "无订正", "No figure differs");
        page_paragraph(page);
        return;
    }
    page_table(page, "订正", "Corrections", (int)(sizeof heads / sizeof heads[0]));
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        page_words(page, REPORT_CELL_HEAD, heads[i][0], heads[i][1]);
    for (int i = 0; i < count; i++)
        put_correction(page, i);
    page->sink->calls->table_close(page->sink);
}
