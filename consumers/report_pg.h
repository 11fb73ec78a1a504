/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_pg - rows out of PostgreSQL and back, as text.
 */
#ifndef FX_REPORT_PG_H
#define FX_REPORT_PG_H

#include "../common/buf.h"
#include "audit_rows.h"
#include "pg.h"

/*
 * Appends what the statement returns. Rows without columns get those of the result; else cells go
 * by position. FX_ECONFIG also for a permission that is missing.
 */
FX_MUST_CHECK enum fx_code report_pg_read(PGconn *conn, const struct pg_statement *statement,
                                          struct audit_rows *rows, struct fx_err *err);

/* A text[] literal, {"a",NULL}: elements one by one, then its end. */
void report_pg_element(struct buf *array, const char *text);
const char *report_pg_array(struct buf *array);

#endif
