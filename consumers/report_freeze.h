/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_freeze - makes a report: a draft of the figures now, or a version that is kept.
 *
 * A version that is kept is read while every fx-rollup is held between two flushes, in the
 * transaction that also records the cut-off (as fx-setup --cut-off does, once per time) and writes
 * the report: so what the log of corrections adds to the kept figures is what is counted now.
 */
#ifndef FX_REPORT_FREEZE_H
#define FX_REPORT_FREEZE_H

#include "report_figures.h"
#include "report_store.h"

/*
 * The figures now, with what differs from the newest report that is kept of this time, or else of
 * an earlier one. Fills a report that report_init made; version 0, no made_at.
 */
FX_MUST_CHECK enum fx_code report_draft(const struct report_store *store,
                                        const struct report_scope *scope, struct report *report,
                                        struct fx_err *err);

/*
 * Makes and keeps the next version; *version is its number. Tries again while locks do not come.
 *
 * FX_ECONFIG  the user may not, the schema is a rebuild, no such region
 * FX_ERETRY   PostgreSQL is away; nothing is kept
 * FX_ECLAIM   busy to the end of all tries; nothing is kept
 */
FX_MUST_CHECK enum fx_code report_freeze(struct report_store *store,
                                         const struct report_scope *scope, int *version,
                                         struct fx_err *err);

#endif
