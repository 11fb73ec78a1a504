/* SPDX-License-Identifier: Apache-2.0 */
/* decide - one decision: its transaction, again when locks do not come, and what is said of it. */
#include "decide_state.h"

#include "../common/log.h"
#include "../common/text.h"
#include "again.h"
#include "decide_text.h"
#include "setup_sql.h"

#include <stdio.h>
#include <string.h>

/* A decision, how it is asked for and who takes it. */
struct asked {
    const char *option;
    const char *event; /* of the log line */
    bool is_asked;
    bool has_reason;
    bool is_live_only; /* not in a schema that is counted anew: the swap hands it on */
    decide_action *take;
};
#define ASKED_COUNT 6

static int list_asked(const struct decide_options *options, struct asked asked[ASKED_COUNT])
{
    const struct asked all[ASKED_COUNT] = {
        {"write-off", "write_off", options->write_off != NULL, true, true, decide_write_off},
        {"release", "release", options->release != NULL, false, true, decide_release},
        {"accept-loss", "accept_loss", options->accept_loss != NULL, true, false,
         decide_accept_loss},
        {"accept-cluster", "accept_cluster", options->is_cluster_accepted, true, false,
         decide_accept_cluster},
        {"cut-off", "cut_off", options->cut_off_ms != DECIDE_NO_TIME, false, true, decide_cut_off},
        {"swap", "swap", options->swap != NULL, false, false, decide_swap},
    };
    int count = 0;
    for (int i = 0; i < ASKED_COUNT; i++)
        if (all[i].is_asked)
            asked[count++] = all[i];
    return count;
}

bool decide_is_asked(const struct decide_options *options)
{
    struct asked asked[ASKED_COUNT];
    return list_asked(options, asked) > 0 || options->reason != NULL || options->kind != NULL;
}

/* The one decision that is asked for. */
static enum fx_code choose(const struct decide_options *options, struct asked *chosen,
                           struct fx_err *err)
{
    struct asked asked[ASKED_COUNT];
    int count = list_asked(options, asked);
    if (count == 0)
        return fx_err_set(err, FX_ECONFIG, "--reason and --kind go with a decision");
    if (count > 1)
        return fx_err_set(err, FX_ECONFIG, "--%s and --%s: one decision at a time", asked[0].option,
                          asked[1].option);
    *chosen = asked[0];
    if (chosen->has_reason && decide_check_reason(options->reason, err) != FX_OK)
        return fx_err_wrap(err, "--%s", chosen->option);
    if (!chosen->has_reason && options->reason != NULL)
        return fx_err_set(err, FX_ECONFIG, "--%s takes no --reason", chosen->option);
    return FX_OK;
}

enum fx_code decide_record(struct decide *decide, const char *sql, int count,
                           const char *const *values, struct fx_err *err)
{
    struct buf text = BUF_INIT;
    const char *table = strstr(sql, "%s");
    fx_assert(table != NULL);
    buf_append_format(&text, "%.*s\"%s\"%s", (int)(table - sql), sql, decide->record, table + 2);
    enum fx_code code = buf_check(&text, err);
    if (code == FX_OK)
        code = sql_execute(decide->conn, buf_text(&text), count, values, err);
    buf_release(&text);
    return code;
}

/* The schema's own word on what it counts, and where decisions about it are kept. */
static enum fx_code read_definition(struct decide *decide, struct fx_err *err)
{
    PGresult *rows = NULL;
    struct pg_statement statement = {
        "SELECT record_schema, topic_prefix, is_rebuild FROM definition", 0, NULL};
    if (pg_query(decide->conn, &statement, &rows, err) != FX_OK)
        return fx_err_wrap(err, "schema %s", decide->place->schema_name);
    if (PQntuples(rows) != 1)
        fx_err_set(err, FX_ECONFIG, "schema %s is not set up: run fx-setup",
                   decide->place->schema_name);
    else if (!text_is_identifier(PQgetvalue(rows, 0, 0)) ||
             !text_copy(decide->prefix, sizeof decide->prefix, PQgetvalue(rows, 0, 1)))
        fx_err_set(err, FX_ESTATE, "definition.record_schema is no identifier");
    if (err->code == FX_OK) {
        text_copy(decide->record, sizeof decide->record, PQgetvalue(rows, 0, 0));
        decide->is_rebuild = PQgetvalue(rows, 0, 2)[0] == 't';
    }
    PQclear(rows);
    return err->code;
}

/* One fx-setup at a time, as setup_database.c has it, and as the owner if the schema is its. */
static enum fx_code begin(struct decide *decide, struct fx_err *err)
{
    bool is_owner;
    if (sql_run(decide->conn,
                "SET statement_timeout = '60s'; BEGIN ISOLATION LEVEL READ COMMITTED; "
                "SELECT pg_advisory_xact_lock(hashtextextended('fx-setup', 0))",
                err) != FX_OK)
        return err->code;
    return sql_act_as_owner(decide->conn, decide->place->schema_name, &is_owner, err);
}

static enum fx_code attempt(struct decide *decide, const struct asked *chosen, struct fx_err *err)
{
    buf_reset(&decide->fields);
    buf_reset(&decide->sentence);
    decide->is_short = false;
    if (begin(decide, err) != FX_OK || read_definition(decide, err) != FX_OK)
        return err->code;
    if (decide->is_rebuild && chosen->is_live_only)
        return fx_err_set(err, FX_ECONFIG,
                          "schema %s is counted anew beside the live one: decide there, "
                          "and --swap %s will know",
                          decide->place->schema_name, decide->place->schema_name);
    if (chosen->take(decide, err) != FX_OK || buf_check(&decide->fields, err) != FX_OK ||
        buf_check(&decide->sentence, err) != FX_OK)
        return err->code;
    return sql_run(decide->conn, "COMMIT", err);
}

/* A worker's flush, or a worker that stands still in one, may hold what we want for a while. */
static enum fx_code attempt_again(struct decide *decide, const struct asked *chosen,
                                  struct fx_err *err)
{
    struct again again = again_begin();
    while (attempt(decide, chosen, err) != FX_OK && again_try(&again, decide->conn, err)) {
    }
    return err->code;
}

enum fx_code decide_run(const struct decide_options *options, const struct decide_place *place,
                        bool *is_short, struct fx_err *err)
{
    struct asked chosen = {.option = NULL};
    if (choose(options, &chosen, err) != FX_OK)
        return err->code;
    struct decide decide = {.options = options, .place = place};
    struct pg_options pg = {place->conninfo, "fx-setup", place->schema_name};
    if (pg_open(&pg, &decide.conn, err) != FX_OK)
        return err->code;
    enum fx_code code = attempt_again(&decide, &chosen, err);
    PQfinish(decide.conn); /* what was not committed is rolled back */
    *is_short = code == FX_OK && decide.is_short;
    if (code == FX_OK) {
        fx_log(FX_LOG_INFO, chosen.event, "schema=%s %s", place->schema_name,
               buf_text(&decide.fields));
        printf("%s\n", buf_text(&decide.sentence));
    } else {
        fx_err_wrap(err, "--%s", chosen.option);
    }
    buf_release(&decide.fields);
    buf_release(&decide.sentence);
    return code;
}
