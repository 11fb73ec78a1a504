/* SPDX-License-Identifier: Apache-2.0 */
#include "report_page.h"

#include "report_csv.h"
#include "report_page_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *head(const struct page *page, int column)
{
    return report_cell(page->report, REPORT_HEAD, 0, column);
}

/* What could not be put together must not be missing without a word. */
static void carry(struct page *page, const struct buf *text)
{
    page->sink->out->is_failed |= text->is_failed;
}

static void clear(struct page *page)
{
    carry(page, &page->text);
    buf_reset(&page->text);
}

void page_drop(struct page *page, struct buf sides[2])
{
    for (int i = 0; i < 2; i++) {
        carry(page, &sides[i]);
        buf_release(&sides[i]);
    }
}

void page_say(struct page *page, const char *zh, const char *en)
{
    report_say(&page->text, page->lang, zh, en);
}

void page_heading(struct page *page, int level, const char *zh, const char *en)
{
    clear(page);
    page_say(page, zh, en);
    page->sink->calls->heading(page->sink, level, buf_text(&page->text));
    clear(page);
}

void page_paragraph(struct page *page)
{
    page->sink->calls->paragraph(page->sink, buf_text(&page->text));
    clear(page);
}

void page_cell(struct page *page, enum report_cell_kind kind)
{
    page->sink->calls->cell(page->sink, kind, buf_text(&page->text));
    clear(page);
}

void page_words(struct page *page, enum report_cell_kind kind, const char *zh, const char *en)
{
    page_say(page, zh, en);
    page_cell(page, kind);
}

void page_plain(struct page *page, enum report_cell_kind kind, const char *text)
{
    buf_append_text(&page->text, text == NULL ? "–" : text);
    page_cell(page, kind);
}

void page_number(struct page *page, const char *number)
{
    report_say_number(&page->text, number);
    page_cell(page, REPORT_CELL_NUMBER);
}

void page_table(struct page *page, const char *zh, const char *en, int columns)
{
    clear(page);
    page_say(page, zh, en);
    page->sink->calls->table_open(page->sink, buf_text(&page->text), columns);
    clear(page);
}

/* A sentence in each language, from parts that say what they are in both. */
static void put_line(struct page *page, const char *zh, const char *en, const char *value)
{
    struct buf sides[2] = {BUF_INIT, BUF_INIT};
    buf_append_format(&sides[0], "%s%s", zh, value);
    buf_append_format(&sides[1], "%s%s", en, value);
    page_say(page, buf_text(&sides[0]), buf_text(&sides[1]));
    page_drop(page, sides);
}

/* "截至…" or "as of …", an instant in the words of each language. */
static void put_instant(struct page *page, const char *const label[2], const char *instant,
                        bool is_end)
{
    struct buf sides[2] = {BUF_INIT, BUF_INIT};
    for (int i = 0; i < 2; i++) {
        buf_append_text(&sides[i], label[i]);
        if (instant == NULL)
            buf_append_text(&sides[i], i == 0 ? "不明" : "not known");
        else
            report_say_instant(&sides[i], i == 0 ? REPORT_ZH : REPORT_EN, instant, is_end);
    }
    page_say(page, buf_text(&sides[0]), buf_text(&sides[1]));
    page_paragraph(page);
    page_drop(page, sides);
}

/* ---- the head ---- */

#define NUMBER_SIZE 24

/* A measure of completeness over all kinds, of the whole region; "–" if that of a kind is not
 * known. */
static void sum_completeness(const struct page *page, const char *measure, char out[NUMBER_SIZE])
{
    int64_t sum = 0;
    bool is_known = true;
    for (int i = 0; i < page->report->parts[REPORT_FIGURES].count; i++) {
        const char *value = report_cell(page->report, REPORT_FIGURES, i, FIGURE_VALUE);
        if (strcmp(report_cell(page->report, REPORT_FIGURES, i, FIGURE_SECTION), "completeness") !=
                0 ||
            strcmp(report_cell(page->report, REPORT_FIGURES, i, FIGURE_PART), "total") != 0 ||
            strcmp(report_cell(page->report, REPORT_FIGURES, i, FIGURE_MEASURE), measure) != 0)
            continue;
        is_known = is_known && value != NULL;
        sum += value == NULL ? 0 : strtoll(value, NULL, 10);
    }
    if (is_known)
        snprintf(out, NUMBER_SIZE, "%" PRId64, sum);
    else
        snprintf(out, NUMBER_SIZE, "–");
}

/* 'f' if any kind is not complete, '?' if that of an expected one is not known, 't'. */
static char judge(const struct page *page)
{
    char verdict = '?';
    bool is_open = false;
    for (int i = 0; i < page->report->parts[REPORT_FIGURES].count; i++) {
        const char *value = report_cell(page->report, REPORT_FIGURES, i, FIGURE_VALUE);
        const char *complete = report_cell(page->report, REPORT_FIGURES, i, FIGURE_COMPLETE);
        if (strcmp(report_cell(page->report, REPORT_FIGURES, i, FIGURE_SECTION), "completeness") !=
                0 ||
            strcmp(report_cell(page->report, REPORT_FIGURES, i, FIGURE_PART), "total") != 0 ||
            strcmp(report_cell(page->report, REPORT_FIGURES, i, FIGURE_MEASURE),
                   "expected_posts") != 0)
            continue;
        if (complete != NULL && complete[0] == 'f')
            return 'f';
        is_open = is_open || (complete == NULL && value != NULL && strcmp(value, "0") != 0);
        verdict = complete != NULL ? 't' : verdict;
    }
    return is_open ? '?' : verdict;
}

static void put_verdict(struct page *page)
{
    static const char *const measures[] = {"expected_posts",  "heard_posts",    "missing_events",
                                           "rejected_events", "pending_events", "silent_posts"};
    char sums[6][NUMBER_SIZE];
    char verdict = judge(page);
    struct buf sides[2] = {BUF_INIT, BUF_INIT};
    for (int i = 0; i < 6; i++)
        sum_completeness(page, measures[i], sums[i]);
    buf_append_format(&sides[0],
                      "%s: 应报%s个来源, 已报%s个; 缺失%s条, 拒收%s条, 待收%s条; 静默%s个。",
                      verdict == 't'   ? "数据完整"
                      : verdict == 'f' ? "数据不完整"
                                       : "完整性尚不能判定",
                      sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]);
    buf_append_format(&sides[1],
                      "%s: heard %s of %s posts; events missing: %s, rejected: %s, still to come: "
                      "%s; posts silent: %s.",
                      verdict == 't'   ? "Complete"
                      : verdict == 'f' ? "NOT complete"
                                       : "Completeness not known yet",
                      sums[1], sums[0], sums[2], sums[3], sums[4], sums[5]);
    page_say(page, buf_text(&sides[0]), buf_text(&sides[1]));
    page_paragraph(page);
    page_drop(page, sides);
}

static void put_head(struct page *page)
{
    struct buf sides[2] = {BUF_INIT, BUF_INIT};
    bool is_kept = head(page, HEAD_MADE_AT) != NULL;
    buf_append_format(&sides[0], "%s疫情防控日报",
                      report_cell(page->report, REPORT_PLACES, 0, PLACE_NAME));
    buf_append_format(&sides[1], "Daily situation report: %s",
                      report_cell(page->report, REPORT_PLACES, 0, PLACE_LATIN));
    page_say(page, buf_text(&sides[0]), buf_text(&sides[1]));
    page->sink->calls->page_open(page->sink, buf_text(&page->text));
    page_heading(page, 1, buf_text(&sides[0]), buf_text(&sides[1]));
    page_drop(page, sides);
    put_instant(page, (const char *const[]){"截至", "As of "}, head(page, HEAD_AS_OF), true);
    put_verdict(page);
    put_instant(page, (const char *const[]){"统计日自", "The reporting day began at "},
                head(page, HEAD_PERIOD_START), false);
    if (is_kept) {
        put_line(page, "版本", "Version ", head(page, HEAD_VERSION));
        page_paragraph(page);
    } else {
        page_say(page, "草稿: 未定稿, 数据仍会变化",
                 "Draft: not kept, the figures may still change");
        page_paragraph(page);
    }
    /* the first version is of its time, whenever it was made: made again, it is the same */
    if (is_kept && strcmp(head(page, HEAD_VERSION), "1") != 0)
        put_instant(page, (const char *const[]){"重新生成于", "Made anew at "},
                    head(page, HEAD_MADE_AT), false);
    if (head(page, HEAD_COUNTED_UNTIL) == NULL ||
        strcmp(head(page, HEAD_COUNTED_UNTIL), head(page, HEAD_AS_OF)) < 0)
        put_instant(page, (const char *const[]){"仅计数至", "Counted up to "},
                    head(page, HEAD_COUNTED_UNTIL), false);
    put_line(page, "生成程序: ", "Made by ", head(page, HEAD_PROGRAM));
    page_paragraph(page);
}

enum fx_code report_page(const struct report *report, struct report_sink *sink, struct fx_err *err)
{
    struct page page = {.report = report, .sink = sink, .lang = sink->lang, .text = BUF_INIT};
    const struct report_section *section;
    enum fx_code code = report_index_build(&report->parts[REPORT_FIGURES], &page.index, err);
    if (code == FX_OK)
        put_head(&page);
    for (int i = 0; code == FX_OK && (section = report_section_at(i)) != NULL; i++) {
        code = page_section(&page, section, err);
        if (code == FX_OK && i == 0) /* completeness: then what it lacks, by name and number */
            page_findings(&page);
    }
    if (code == FX_OK) {
        page_corrections(&page);
        sink->calls->page_close(sink);
        code = buf_check(&page.text, err);
    }
    report_index_release(&page.index);
    buf_release(&page.text);
    return code == FX_OK ? buf_check(sink->out, err) : code;
}

enum fx_code report_render(const struct report *report, enum report_lang lang, const char *format,
                           struct buf *out, struct fx_err *err)
{
    struct report_sink sink = {.calls = &report_md_calls, .out = out, .lang = lang};
    if (strcmp(format, "csv") == 0) {
        report_csv(report, lang, out);
        return buf_check(out, err);
    }
    if (strcmp(format, "html") == 0)
        sink.calls = &report_html_calls;
    else if (strcmp(format, "md") != 0)
        return fx_err_set(err, FX_ECONFIG, "--format '%.20s' is none of md, csv, html, all",
                          format);
    return report_page(report, &sink, err);
}
