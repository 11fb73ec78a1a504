/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_sink - where a page goes: Markdown (report_md.c) or HTML (report_html.c).
 *
 * Pure. report_page.h calls these in order; a table is opened, gets its rows cell by cell, the
 * first row is the header, and is closed. Text is plain: whoever prints it escapes it, and replaces
 * REPORT_SPLIT.
 */
#ifndef FX_REPORT_SINK_H
#define FX_REPORT_SINK_H

#include "report_text.h"

enum report_cell_kind {
    REPORT_CELL_HEAD,  /* of a column */
    REPORT_CELL_LABEL, /* of a row */
    REPORT_CELL_TEXT,
    REPORT_CELL_NUMBER
};

struct report_sink {
    const struct report_sink_calls *calls;
    struct buf *out;
    enum report_lang lang;
    int columns; /* of the open table */
    int cell;    /* of the open row */
    int row;     /* of the open table, the header is 0 */
};

struct report_sink_calls {
    void (*page_open)(struct report_sink *sink, const char *title);
    void (*heading)(struct report_sink *sink, int level, const char *text); /* 1 to 3 */
    void (*paragraph)(struct report_sink *sink, const char *text);
    void (*table_open)(struct report_sink *sink, const char *caption, int columns);
    void (*cell)(struct report_sink *sink, enum report_cell_kind kind, const char *text);
    void (*table_close)(struct report_sink *sink);
    void (*page_close)(struct report_sink *sink);
};

extern const struct report_sink_calls report_md_calls;
extern const struct report_sink_calls report_html_calls;

#endif
