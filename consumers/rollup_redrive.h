/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollup_redrive - fx-rollup --redrive: runs a redrive to its end on the real services.
 */
#ifndef FX_ROLLUP_REDRIVE_H
#define FX_ROLLUP_REDRIVE_H

#include "worker.h"

/* "all" and NULL: REASON_COUNT. FX_ECONFIG: no such reason; err lists them. */
FX_MUST_CHECK enum fx_code rollup_redrive_parse(const char *name, enum reason *reason,
                                                struct fx_err *err);

/*
 * Takes every rejected event of reason again, REASON_COUNT: of any. Says on the terminal how far
 * it is, in the log what became of them. *is_clean: none stays rejected. give_up_ms of options
 * bounds the wait for a service at any time. FX_ERETRY, FX_ECONFIG, FX_ESTATE, FX_EMEMORY.
 */
FX_MUST_CHECK enum fx_code rollup_redrive(const struct worker_options *options, enum reason reason,
                                          bool *is_clean, struct fx_err *err);

#endif
