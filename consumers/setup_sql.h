/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup_sql - lists of SQL statements as text.
 *
 * A list is a buf that holds statements one after another, each ended by a NUL byte, so that one
 * that fails can be named. Identifiers go in as "name": the loader and text_is_identifier
 * guarantee that none holds a quote.
 */
#ifndef FX_SETUP_SQL_H
#define FX_SETUP_SQL_H

#include "../common/buf.h"
#include "pg.h"

#define SQL_FILE "-- " /* before the name of a file, in the first line of what it holds */

/* Condition over pg_class c: a table of a rollup, or of its totals. The schema is first on the
 * search_path. */
#define SQL_IS_ROLLUP                                                                              \
    "EXISTS (SELECT FROM rollup_definition d, (VALUES ('_town'), ('_county'), ('_city'), "         \
    "('_source')) l (suffix), (VALUES (''), ('_total')) x (suffix) WHERE "                         \
    "c.relname = d.rollup || l.suffix || x.suffix)"

/* Appends text as an SQL literal. */
void sql_literal(struct buf *out, const char *text);

/* Ends the statement. */
void sql_end(struct buf *out);

/* COMMENT ON what "name" IS 'doc 'gloss''; what is "TABLE", "VIEW", … */
void sql_comment(struct buf *out, const char *what, const char *name, const char *doc,
                 const char *gloss);

/* COMMENT ON COLUMN "relation"."column" IS 'doc'; */
void sql_comment_column(struct buf *out, const char *relation, const char *column, const char *doc);

/* The same for a column of numbers: "(unit)" is added where doc does not end in a bracket. */
void sql_comment_number(struct buf *out, const char *relation, const char *column, const char *doc,
                        const char *unit);

/* Appends expression with each word "fangxian." replaced by the quoted schema name. */
void sql_expression(struct buf *out, const char *expression, const char *schema_name);

/* Runs one or more statements; an error is wrapped in their beginning, or their file's name. */
FX_MUST_CHECK enum fx_code sql_run(PGconn *conn, const char *statement, struct fx_err *err);

/* pg_query without its result. */
FX_MUST_CHECK enum fx_code sql_execute(PGconn *conn, const char *sql, int count,
                                       const char *const *values, struct fx_err *err);

FX_MUST_CHECK enum fx_code sql_has_table(PGconn *conn, const char *schema_name, const char *table,
                                         bool *is_there, struct fx_err *err);

/* The names of a table's columns: the caller's, to be cleared whatever is returned; no row where
 * there is no such table. What is there is not added once more: ALTER TABLE locks out everybody,
 * even if it finds nothing to do. */
FX_MUST_CHECK enum fx_code sql_columns(PGconn *conn, const char *schema_name, const char *table,
                                       PGresult **columns, struct fx_err *err);
bool sql_has_column(const PGresult *columns, const char *name);

/* Acts as fangxian_owner to the end of the transaction, if the schema is its and it may be acted
 * as. */
FX_MUST_CHECK enum fx_code sql_act_as_owner(PGconn *conn, const char *schema_name, bool *is_owner,
                                            struct fx_err *err);

/* Runs the list; FX_EMEMORY if it is not whole. */
FX_MUST_CHECK enum fx_code sql_run_list(PGconn *conn, const struct buf *list, struct fx_err *err);

/* Runs the file. Errors name it. */
FX_MUST_CHECK enum fx_code sql_run_file(PGconn *conn, const char *path, struct fx_err *err);

#endif
