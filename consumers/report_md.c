/* SPDX-License-Identifier: Apache-2.0 */
/* report_md - GitHub's Markdown: headings, paragraphs, pipe tables. */
#include "report_sink.h"

#include <string.h>

/* What Markdown would take for markup. */
static void append_escaped(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == REPORT_SPLIT || *text == '\n' || *text == '\r') {
            buf_append_byte(out, ' ');
            continue;
        }
        if (strchr("\\`*_[]<>|~#&", *text) != NULL)
            buf_append_byte(out, '\\');
        buf_append_byte(out, (uint8_t)*text);
    }
}

static void page_open(struct report_sink *sink, const char *title)
{
    (void)sink;
    (void)title; /* the first heading says it */
}

static void heading(struct report_sink *sink, int level, const char *text)
{
    if (sink->out->size > 0)
        buf_append_byte(sink->out, '\n');
    buf_append_format(sink->out, "%.*s ", level, "######");
    append_escaped(sink->out, text);
    buf_append_byte(sink->out, '\n');
}

static void paragraph(struct report_sink *sink, const char *text)
{
    buf_append_byte(sink->out, '\n');
    append_escaped(sink->out, text);
    buf_append_byte(sink->out, '\n');
}

static void table_open(struct report_sink *sink, const char *caption, int columns)
{
    (void)caption; /* the heading above says it */
    sink->columns = columns;
    sink->row = sink->cell = 0;
    buf_append_byte(sink->out, '\n');
}

/* The line under the header. */
static void append_rule(struct report_sink *sink)
{
    buf_append_byte(sink->out, '|');
    for (int i = 0; i < sink->columns; i++)
        buf_append_text(sink->out, " --- |");
    buf_append_byte(sink->out, '\n');
}

static void cell(struct report_sink *sink, enum report_cell_kind kind, const char *text)
{
    (void)kind;
    buf_append_text(sink->out, sink->cell == 0 ? "| " : " ");
    append_escaped(sink->out, text);
    buf_append_text(sink->out, " |");
    if (++sink->cell < sink->columns)
        return;
    buf_append_byte(sink->out, '\n');
    if (sink->row++ == 0)
        append_rule(sink);
    sink->cell = 0;
}

static void close_nothing(struct report_sink *sink)
{
    (void)sink;
}

const struct report_sink_calls report_md_calls = {
    page_open, heading, paragraph, table_open, cell, close_nothing, close_nothing,
};
