/* SPDX-License-Identifier: Apache-2.0 */
/* report_html - one page of HTML that needs nothing else: no script, no link; it prints on A4. */
#include "report_sink.h"

#include <string.h>

static const char style[] =
    "@page { size: A4 landscape; margin: 12mm; }\n"
    "body { font: 14px/1.45 \"Noto Sans CJK SC\", \"Source Han Sans SC\", \"Microsoft YaHei\", "
    "sans-serif; color: #111; background: #fff; margin: 1.5em auto; padding: 0 1em; "
    "max-width: 90em; }\n"
    "h1 { font-size: 1.6em; margin: 0 0 .3em; }\n"
    "h2 { font-size: 1.2em; margin: 1.6em 0 .4em; break-after: avoid; }\n"
    "h3 { font-size: 1em; margin: 1em 0 .3em; break-after: avoid; }\n"
    "p { margin: .3em 0; }\n"
    ".wide { overflow-x: auto; }\n"
    "table { border-collapse: collapse; width: 100%; }\n"
    "caption { position: absolute; width: 1px; height: 1px; overflow: hidden; "
    "clip-path: inset(50%); }\n"
    "th, td { border: 1px solid #999; padding: .2em .5em; text-align: left; "
    "vertical-align: top; }\n"
    "thead { display: table-header-group; }\n"
    "thead th { background: #eee; font-weight: 600; vertical-align: bottom; }\n"
    "tbody th { font-weight: 400; }\n"
    "td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }\n"
    "tr { break-inside: avoid; }\n"
    "@media print { body { font-size: 10px; margin: 0; padding: 0; max-width: none; } "
    ".wide { overflow: visible; } thead th { print-color-adjust: exact; "
    "-webkit-print-color-adjust: exact; } }\n";

static void append_escaped(struct buf *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        switch (text[i]) {
        case '&':
            buf_append_text(out, "&amp;");
            break;
        case '<':
            buf_append_text(out, "&lt;");
            break;
        case '>':
            buf_append_text(out, "&gt;");
            break;
        case '"':
            buf_append_text(out, "&quot;");
            break;
        case '\'':
            buf_append_text(out, "&#39;");
            break;
        case REPORT_SPLIT:
            buf_append_byte(out, ' ');
            break;
        default:
            buf_append_byte(out, (uint8_t)text[i]);
        }
    }
}

/* The page is in Chinese if it has both; what stands behind a split is English. */
static void append_text(struct buf *out, const char *text)
{
    size_t first = strcspn(text, (const char[]){REPORT_SPLIT, '\0'});
    append_escaped(out, text, first);
    if (text[first] == '\0')
        return;
    buf_append_text(out, " <span lang=\"en\">");
    append_escaped(out, text + first + 1, strlen(text + first + 1));
    buf_append_text(out, "</span>");
}

static void page_open(struct report_sink *sink, const char *title)
{
    buf_append_format(sink->out,
                      "<!DOCTYPE html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                      "<title>",
                      sink->lang == REPORT_EN ? "en" : "zh-Hans");
    append_escaped(sink->out, title, strlen(title));
    buf_append_format(sink->out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
}

static void heading(struct report_sink *sink, int level, const char *text)
{
    buf_append_format(sink->out, "<h%d>", level);
    append_text(sink->out, text);
    buf_append_format(sink->out, "</h%d>\n", level);
}

static void paragraph(struct report_sink *sink, const char *text)
{
    buf_append_text(sink->out, "<p>");
    append_text(sink->out, text);
    buf_append_text(sink->out, "</p>\n");
}

static void table_open(struct report_sink *sink, const char *caption, int columns)
{
    sink->columns = columns;
    sink->row = sink->cell = 0;
    buf_append_text(sink->out, "<div class=\"wide\"><table>\n<caption>");
    append_text(sink->out, caption);
    buf_append_text(sink->out, "</caption>\n<thead>\n");
}

static void cell(struct report_sink *sink, enum report_cell_kind kind, const char *text)
{
    static const struct {
        const char *open;
        const char *close;
    } tags[] = {
        [REPORT_CELL_HEAD] = {"<th scope=\"col\">", "</th>"},
        [REPORT_CELL_LABEL] = {"<th scope=\"row\">", "</th>"},
        [REPORT_CELL_TEXT] = {"<td>", "</td>"},
        [REPORT_CELL_NUMBER] = {"<td class=\"n\">", "</td>"},
    };
    if (sink->cell == 0)
        buf_append_text(sink->out, "<tr>");
    buf_append_text(sink->out, tags[kind].open);
    append_text(sink->out, text);
    buf_append_text(sink->out, tags[kind].close);
    if (++sink->cell < sink->columns)
        return;
    buf_append_text(sink->out, "</tr>\n");
    if (sink->row++ == 0)
        buf_append_text(sink->out, "</thead>\n<tbody>\n");
    sink->cell = 0;
}

static void table_close(struct report_sink *sink)
{
    buf_append_text(sink->out, "</tbody>\n</table></div>\n");
}

static void page_close(struct report_sink *sink)
{
    buf_append_text(sink->out, "</body>\n</html>\n");
}

const struct report_sink_calls report_html_calls = {
    page_open, heading, paragraph, table_open, cell, table_close, page_close,
};
