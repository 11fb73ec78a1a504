/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_text - the report for people: the verdict, a line per kind, a line per finding.
 *
 * Pure. Columns are aligned by what terminals show (a Chinese character is two columns wide). Each
 * finding's line ends in what mends it: "> advice: command".
 */
#ifndef FX_AUDIT_TEXT_H
#define FX_AUDIT_TEXT_H

#include "../common/buf.h"
#include "audit_report.h"

/* Appends the report; at most lines_max findings per section, all if it is 0. Failed allocations
 * are out's (buf_check). */
void audit_text(const struct audit_report *report, int lines_max, struct buf *out);

/* Columns that a terminal shows text in. */
int audit_text_width(const char *text);

#endif
