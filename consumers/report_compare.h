/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_compare - which figures of an earlier report are otherwise now (订正).
 *
 * Pure.
 */
#ifndef FX_REPORT_COMPARE_H
#define FX_REPORT_COMPARE_H

#include "report_data.h"

/*
 * Adds to corrections (shaped as REPORT_CORRECTIONS) each figure that differs: in the order of now,
 * then those that only base has. log: rows of report_figures_log, which say when. Of a report as of
 * another time (is_same_time false) completeness is left out: its day went on, which corrects
 * nothing.
 */
FX_MUST_CHECK enum fx_code report_compare(const struct report *base, const struct report *now,
                                          const struct audit_rows *log, bool is_same_time,
                                          struct audit_rows *corrections, struct fx_err *err);

#endif
