/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_csv - a daily report as one long table, a row per figure, finding and correction.
 *
 * Pure. RFC 4180: UTF-8, a header, fields quoted where they need it, but lines end in LF. Codes
 * stay as they are in every language; label, item_label and name follow it. An empty field is a
 * value that is not there. A text that a spreadsheet would take for a formula (it begins with
 * = + - @, a tab or an end of line, and is no number) has a ' before it. After the first
 * REPORT_FINDINGS_MAX findings of a sort a row "cut" says that there are more.
 */
#ifndef FX_REPORT_CSV_H
#define FX_REPORT_CSV_H

#include "../common/buf.h"
#include "report_data.h"
#include "report_text.h"

void report_csv(const struct report *report, enum report_lang lang, struct buf *out);

/* Rows with their column names as header. */
void report_csv_rows(const struct audit_rows *rows, struct buf *out);

#endif
