/* SPDX-License-Identifier: Apache-2.0 */
#include "setup_sql.h"

#include "../schemas/document.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define ADVICE " (run fx-setup)"
#define WORD "fangxian."
#define SHOWN_MAX 60 /* bytes of a statement in an error: the cause must fit behind them */

void sql_literal(struct buf *out, const char *text)
{
    buf_append_byte(out, '\'');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'')
            buf_append_byte(out, '\'');
        buf_append_byte(out, (uint8_t)*c);
    }
    buf_append_byte(out, '\'');
}

void sql_end(struct buf *out)
{
    buf_append_byte(out, '\0');
}

static void append_doc(struct buf *out, const char *doc, const char *gloss)
{
    struct buf text = BUF_INIT;
    buf_append_format(&text, "%s%s%s", doc, gloss[0] == '\0' ? "" : " ", gloss);
    sql_literal(out, buf_text(&text));
    buf_release(&text);
}

void sql_comment(struct buf *out, const char *what, const char *name, const char *doc,
                 const char *gloss)
{
    buf_append_format(out, "COMMENT ON %s \"%s\" IS ", what, name);
    append_doc(out, doc, gloss);
    sql_end(out);
}

void sql_comment_column(struct buf *out, const char *relation, const char *column, const char *doc)
{
    buf_append_format(out, "COMMENT ON COLUMN \"%s\".\"%s\" IS ", relation, column);
    append_doc(out, doc, "");
    sql_end(out);
}

void sql_comment_number(struct buf *out, const char *relation, const char *column, const char *doc,
                        const char *unit)
{
    size_t size = strlen(doc);
    if (size > 0 && doc[size - 1] == ')') {
        sql_comment_column(out, relation, column, doc);
        return;
    }
    struct buf text = BUF_INIT;
    buf_append_format(&text, "%s(%s)", doc, unit);
    sql_comment_column(out, relation, column, buf_text(&text));
    out->is_failed |= text.is_failed;
    buf_release(&text);
}

void sql_expression(struct buf *out, const char *expression, const char *schema_name)
{
    bool is_inside = false; /* the byte before belongs to a word */
    for (const char *c = expression; *c != '\0';) {
        if (!is_inside && strncmp(c, WORD, strlen(WORD)) == 0) {
            buf_append_format(out, "\"%s\".", schema_name);
            c += strlen(WORD);
            continue;
        }
        is_inside = isalnum((unsigned char)*c) || *c == '_' || *c == '.' || *c == '"';
        buf_append_byte(out, (uint8_t)*c++);
    }
}

/* "run fx-setup" is no advice to who runs it. */
static void drop_advice(struct fx_err *err)
{
    size_t size = strlen(err->text);
    size_t advice = strlen(ADVICE);
    if (size >= advice && strcmp(err->text + size - advice, ADVICE) == 0)
        err->text[size - advice] = '\0';
}

enum fx_code sql_run(PGconn *conn, const char *statement, struct fx_err *err)
{
    if (pg_run(conn, statement, err) == FX_OK)
        return FX_OK;
    drop_advice(err);
    if (strncmp(statement, "DO ", 3) == 0 || strncmp(statement, "SET ", 4) == 0 ||
        strncmp(statement, "SELECT ", 7) == 0)
        return err->code; /* its beginning says nothing */
    size_t shown = strcspn(statement, "(;\n");
    return fx_err_wrap(err, "%.*s", (int)(shown < SHOWN_MAX ? shown : SHOWN_MAX), statement);
}

enum fx_code sql_execute(PGconn *conn, const char *sql, int count, const char *const *values,
                         struct fx_err *err)
{
    PGresult *result = NULL;
    enum fx_code code = pg_query(conn, &(struct pg_statement){sql, count, values}, &result, err);
    if (code == FX_OK)
        PQclear(result);
    return code;
}

enum fx_code sql_has_table(PGconn *conn, const char *schema_name, const char *table, bool *is_there,
                           struct fx_err *err)
{
    const char *values[] = {schema_name, table};
    PGresult *rows = NULL;
    enum fx_code code =
        pg_query(conn,
                 &(struct pg_statement){"SELECT to_regclass(format('%I.%I', $1::text, $2::text))",
                                        2, values},
                 &rows, err);
    if (code == FX_OK)
        *is_there = !PQgetisnull(rows, 0, 0);
    PQclear(rows);
    return code;
}

enum fx_code sql_act_as_owner(PGconn *conn, const char *schema_name, bool *is_owner,
                              struct fx_err *err)
{
    const char *values[] = {schema_name};
    struct pg_statement statement = {
        "SELECT set_config('role', 'fangxian_owner', true) FROM pg_namespace n "
        "JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = $1 AND "
        "r.rolname = 'fangxian_owner' AND pg_has_role(r.oid, 'MEMBER')",
        1, values};
    PGresult *rows = NULL;
    if (pg_query(conn, &statement, &rows, err) != FX_OK)
        return err->code;
    *is_owner = PQntuples(rows) == 1;
    PQclear(rows);
    return FX_OK;
}

enum fx_code sql_run_list(PGconn *conn, const struct buf *list, struct fx_err *err)
{
    if (buf_check(list, err) != FX_OK)
        return err->code;
    fx_assert(list->size == 0 || list->data[list->size - 1] == '\0');
    size_t at = 0;
    while (at < list->size) {
        const char *statement = (const char *)list->data + at;
        if (sql_run(conn, statement, err) != FX_OK)
            return err->code;
        at += strlen(statement) + 1;
    }
    return FX_OK;
}

enum fx_code sql_run_file(PGconn *conn, const char *path, struct fx_err *err)
{
    struct buf text = BUF_INIT;
    enum fx_code code = document_read(path, DOCUMENT_SIZE_MAX, &text, err);
    if (code == FX_OK && pg_run(conn, buf_text(&text), err) != FX_OK) {
        drop_advice(err);
        code = err->code;
    }
    buf_release(&text);
    return code == FX_OK ? FX_OK : fx_err_wrap(err, "%s", path);
}
