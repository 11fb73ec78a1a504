/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_figures - the figures of a daily report, as they are counted now.
 *
 * Reads only, and in the caller's transaction: REPEATABLE READ makes all of them one snapshot.
 * What no installed kind records is a figure that is not recorded, never an error.
 */
#ifndef FX_REPORT_FIGURES_H
#define FX_REPORT_FIGURES_H

#include "pg.h"
#include "report_data.h"

#include <stdint.h>

struct report_scope {
    const char *region;
    int64_t as_of_ms; /* a full hour */
};

/* Fills places, figures and findings, and of the head as_of, region, period_start, counted_until,
 * of a report that report_init made.
 *
 * FX_ECONFIG  no such region, or not set up
 */
FX_MUST_CHECK enum fx_code report_figures_read(PGconn *conn, const struct report_scope *scope,
                                               struct report *report, struct fx_err *err);

/* The newest change of each column in the log of corrections, since the instant, of hours before
 * the scope's time: rows of REPORT_QUERY_LOG. */
FX_MUST_CHECK enum fx_code report_figures_log(PGconn *conn, const struct report *report,
                                              const char *since, struct audit_rows *log,
                                              struct fx_err *err);

#endif
