/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_page_state - what report_page.c (head, order) and report_sections.c (tables) share.
 *
 * Private to them.
 */
#ifndef FX_REPORT_PAGE_STATE_H
#define FX_REPORT_PAGE_STATE_H

#include "report_layout.h"
#include "report_page.h"

struct page {
    const struct report *report;
    struct report_sink *sink;
    enum report_lang lang;
    struct report_index index;
    struct buf text; /* of the next heading, paragraph or cell; put out, it is empty again */
};

/* Adds to the text. */
void page_say(struct page *page, const char *zh, const char *en);

/* Releases a text's Chinese and English side. If one is not whole, nor is the page: it fails. */
void page_drop(struct page *page, struct buf sides[2]);

/* Put the text out. */
void page_paragraph(struct page *page);
void page_cell(struct page *page, enum report_cell_kind kind);

/* A cell of these words, of this text ("–" for NULL), of this number. */
void page_words(struct page *page, enum report_cell_kind kind, const char *zh, const char *en);
void page_plain(struct page *page, enum report_cell_kind kind, const char *text);
void page_number(struct page *page, const char *number);

void page_heading(struct page *page, int level, const char *zh, const char *en);
void page_table(struct page *page, const char *zh, const char *en, int columns);

/* report_sections.c */
FX_MUST_CHECK enum fx_code page_section(struct page *page, const struct report_section *section,
                                        struct fx_err *err);
void page_findings(struct page *page);
void page_corrections(struct page *page);

#endif
