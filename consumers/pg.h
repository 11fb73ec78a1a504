/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg - PostgreSQL connections and what their errors mean.
 *
 * libpq's own variables and conninfo apply (PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSFILE, …).
 * Every session of ours is set up here: search_path, keepalives, tcp_user_timeout, lock_timeout
 * and statement_timeout, timezone UTC. Messages of the server go to the log, never to the caller
 * only; classification goes by SQLSTATE, never by text:
 *
 *   08 25 53 57P 58   FX_ERETRY    the service is away, read-only, full or shutting down
 *   40 55P03 57014    FX_ECLAIM    deadlock, serialization, lock or statement timeout
 *   FX001 FX002 FX003 FX_ECLAIM    our own checks (tables.sql, must)
 *   22 23             FX_EREFUSED  a value is refused
 *   28 3D 42 3F       FX_ECONFIG   login, database, or a missing table: run fx-setup
 *   others            FX_ESTATE
 */
#ifndef FX_PG_H
#define FX_PG_H

#include "../common/err.h"

#include <libpq-fe.h>

struct pg_options {
    const char *conninfo;    /* added to libpq's defaults; NULL or "" for none */
    const char *application; /* application_name */
    const char *schema_name; /* first on the search_path; an SQL identifier */
};

/* Connects within 10 s. FX_ERETRY, FX_ECONFIG. */
FX_MUST_CHECK enum fx_code pg_open(const struct pg_options *options, PGconn **conn,
                                   struct fx_err *err);

/* Runs sql, one or more statements without parameters, and drops what they return. Nothing at all
 * is FX_ESTATE: a text was lost on the way. */
FX_MUST_CHECK enum fx_code pg_run(PGconn *conn, const char *sql, struct fx_err *err);

struct pg_statement {
    const char *sql;
    int count;                 /* parameters */
    const char *const *values; /* text; NULL entries are SQL NULL */
};

/* Runs one statement. The caller clears *result (PQclear); it is untouched on error. */
FX_MUST_CHECK enum fx_code pg_query(PGconn *conn, const struct pg_statement *statement,
                                    PGresult **result, struct fx_err *err);

/* Turns a failed result (or a broken connection when result is NULL) into code and text. */
enum fx_code pg_failed(const PGconn *conn, const PGresult *result, struct fx_err *err);

/* The result's SQLSTATE, "" if it has none. */
const char *pg_sqlstate(const PGresult *result);

#endif
