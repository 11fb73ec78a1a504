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
 * Adds to the corrections of report each figure of base that differs in now, which may be the same
 * report: in the order of now, then those that only base has. log: rows of report_figures_log,
 * which say when. If base is as of another time than report, completeness is left out: its day went
 * on, which corrects nothing; and so is a measure of which one of them has no figure at all: the
 * program that made it did not know it.
 */
FX_MUST_CHECK enum fx_code report_compare(const struct report *base, const struct report *now,
                                          const struct audit_rows *log, struct report *report,
                                          struct fx_err *err);

#endif
