/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_read - fills the report from PostgreSQL, in one REPEATABLE READ READ ONLY transaction.
 *
 * Figures, completeness and invariants are of one snapshot. Needs what fangxian_writer or
 * fangxian_owner may read, and writes nothing.
 */
#ifndef FX_AUDIT_READ_H
#define FX_AUDIT_READ_H

#include "audit_report.h"
#include "pg.h"

struct audit_scope {
    const char *kind;   /* NULL: all */
    const char *region; /* the node and all below it; NULL: all */
    const char *day;    /* "2022-02-10"; NULL: now */
    const char *source; /* NULL: all */
};

/*
 * The report is the caller's to release, whatever is returned.
 *
 * FX_ECONFIG  no such kind or region, or the schema is not set up
 * FX_ERETRY   PostgreSQL is away
 */
FX_MUST_CHECK enum fx_code audit_read(PGconn *conn, const struct audit_scope *scope,
                                      struct audit_report *report, struct fx_err *err);

#endif
