/* SPDX-License-Identifier: Apache-2.0 */
#include "pg.h"

#include "../common/log.h"
#include "../common/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Sessions of ours must fail before Kafka's max.poll.interval.ms passes: a cut cable after 15 s,
 * a lock after 5 s, a statement after 10 s. */
#define SESSION_CONNINFO                                                                           \
    "connect_timeout=10 keepalives_idle=5 keepalives_interval=3 keepalives_count=3 "               \
    "tcp_user_timeout=15000 client_encoding=UTF8"

static void forward_notice(void *unused, const PGresult *result)
{
    (void)unused;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    char quoted[360];
    bool is_warning = severity != NULL && strcmp(severity, "WARNING") == 0;
    fx_log(is_warning ? FX_LOG_WARN : FX_LOG_DEBUG, "postgres", "severity=%s msg=%s",
           severity == NULL ? "?" : severity,
           fx_log_quote(quoted, sizeof quoted, text == NULL ? "" : text));
}

const char *pg_sqlstate(const PGresult *result)
{
    const char *state = result == NULL ? NULL : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state == NULL ? "" : state;
}

static enum fx_code classify(const char *state)
{
    static const struct {
        const char *prefix;
        enum fx_code code;
    } classes[] = {
        {"57014", FX_ECLAIM}, {"55P03", FX_ECLAIM}, {"FX0", FX_ECLAIM},  {"40", FX_ECLAIM},
        {"08", FX_ERETRY},    {"53", FX_ERETRY},    {"57P", FX_ERETRY},  {"58", FX_ERETRY},
        {"25", FX_ERETRY},    {"22", FX_EREFUSED},  {"23", FX_EREFUSED}, {"28", FX_ECONFIG},
        {"3D", FX_ECONFIG},   {"42", FX_ECONFIG},   {"3F", FX_ECONFIG},
    };
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strncmp(state, classes[i].prefix, strlen(classes[i].prefix)) == 0)
            return classes[i].code;
    return FX_ESTATE;
}

enum fx_code pg_failed(const PGconn *conn, const PGresult *result, struct fx_err *err)
{
    const char *state = pg_sqlstate(result);
    if (PQresultStatus(result) == PGRES_EMPTY_QUERY)
        return fx_err_set(err, FX_ESTATE, "PostgreSQL: the statement is empty");
    if (state[0] == '\0') {
        char text[200];
        text_copy(text, sizeof text, PQerrorMessage(conn));
        text[strcspn(text, "\n")] = '\0';
        return fx_err_set(err, FX_ERETRY, "PostgreSQL connection: %s",
                          text[0] == '\0' ? "lost" : text);
    }
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    bool is_missing = strncmp(state, "42P01", 5) == 0 || strncmp(state, "42703", 5) == 0 ||
                      strncmp(state, "3F", 2) == 0 || strncmp(state, "42883", 5) == 0;
    return fx_err_set(err, classify(state), "PostgreSQL %s: %.300s%s", state,
                      text == NULL ? "" : text, is_missing ? " (run fx-setup)" : "");
}

/* A server that refuses the login or the database will refuse it again; an absent one may come. */
static enum fx_code connect_failed(PGconn *conn, struct fx_err *err)
{
    char text[300];
    text_copy(text, sizeof text, PQerrorMessage(conn));
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
    bool is_wrong = strstr(text, "does not exist") != NULL ||
                    strstr(text, "authentication failed") != NULL ||
                    strstr(text, "no password supplied") != NULL ||
                    strstr(text, "invalid connection option") != NULL;
    return fx_err_set(err, is_wrong ? FX_ECONFIG : FX_ERETRY, "PostgreSQL: %s", text);
}

enum fx_code pg_open(const struct pg_options *options, PGconn **conn, struct fx_err *err)
{
    fx_assert(text_is_identifier(options->schema_name));
    /* dbname with a conninfo string expands; earlier words are overridden by later ones */
    const char *names[] = {"dbname", "application_name", "options", NULL};
    char settings[200];
    snprintf(settings, sizeof settings,
             "-c search_path=%s,pg_catalog -c timezone=UTC -c lock_timeout=5s "
             "-c statement_timeout=10s -c idle_in_transaction_session_timeout=60s",
             options->schema_name);
    char base[1024];
    snprintf(base, sizeof base, SESSION_CONNINFO " %s",
             options->conninfo == NULL ? "" : options->conninfo);
    const char *values[] = {base, options->application, settings, NULL};
    PGconn *fresh = PQconnectdbParams(names, values, 1);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a connection");
    if (PQstatus(fresh) != CONNECTION_OK) {
        enum fx_code code = connect_failed(fresh, err);
        PQfinish(fresh);
        return code;
    }
    PQsetNoticeReceiver(fresh, forward_notice, NULL);
    *conn = fresh;
    return FX_OK;
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

enum fx_code pg_run(PGconn *conn, const char *sql, struct fx_err *err)
{
    PGresult *result = PQexec(conn, sql);
    enum fx_code code = is_good(result) ? FX_OK : pg_failed(conn, result, err);
    PQclear(result);
    return code;
}

enum fx_code pg_query(PGconn *conn, const struct pg_statement *statement, PGresult **result,
                      struct fx_err *err)
{
    PGresult *answer = PQexecParams(conn, statement->sql, statement->count, NULL, statement->values,
                                    NULL, NULL, 0);
    if (!is_good(answer)) {
        enum fx_code code = pg_failed(conn, answer, err);
        PQclear(answer);
        return code;
    }
    *result = answer;
    return FX_OK;
}
