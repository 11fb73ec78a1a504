/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_page - the daily report as a page to be read: completeness first, then section by section.
 *
 * Pure: the same report gives the same bytes. Everything it says stands in the report's rows.
 */
#ifndef FX_REPORT_PAGE_H
#define FX_REPORT_PAGE_H

#include "report_data.h"
#include "report_sink.h"

/* Appends the page to sink->out; calls, out and lang are set. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code report_page(const struct report *report, struct report_sink *sink,
                                       struct fx_err *err);

/* Appends the report in a format: "md", "csv" or "html". FX_ECONFIG: none of these. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code report_render(const struct report *report, enum report_lang lang,
                                         const char *format, struct buf *out, struct fx_err *err);

#endif
