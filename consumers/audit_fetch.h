/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_fetch - what a statement returns, as rows.
 *
 * Rows without columns get those of the result, with their types; else cells go by position.
 * Instants, which the session has in PostgreSQL's ISO style, get their T and their minutes of zone.
 */
#ifndef FX_AUDIT_FETCH_H
#define FX_AUDIT_FETCH_H

#include "audit_rows.h"
#include "pg.h"

/* Appends all rows. pg_query's errors, among them FX_ECONFIG for a permission that is missing;
 * FX_EMEMORY. */
FX_MUST_CHECK enum fx_code audit_fetch(PGconn *conn, const struct pg_statement *statement,
                                       struct audit_rows *rows, struct fx_err *err);

#endif
