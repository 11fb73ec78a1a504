/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_json - the report as one JSON object, for programs.
 *
 *   {"verdict": "incomplete", "exit_status": 1, "schema": "fangxian", "audited_at": …, "day": null,
 *    "kinds": [{"kind": "checkpoint", "verdict": …, "sources_expected": 17, …}],
 *    "findings": {"missing": [{"source": …, "advice": …, "command": …}], …}}
 *
 * Every section is there, an empty one as []. Numbers are numbers, instants ISO 8601 in the
 * reporting zone, what is not known is null.
 */
#ifndef FX_AUDIT_JSON_H
#define FX_AUDIT_JSON_H

#include "../common/buf.h"
#include "audit_report.h"

/* Appends the object and a newline. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code audit_json(const struct audit_report *report, struct buf *out,
                                      struct fx_err *err);

#endif
