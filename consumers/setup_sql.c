/* SPDX-License-Identifier: Apache-2.0 */
#include "setup_sql.h"

#include "../schemas/document.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define ADVICE " (run fx-setup)"
#define WORD "fangxian."
#define TOGETHER_BYTES 65536
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
    out->is_failed |= text.is_failed;
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
    if (strncmp(statement, SQL_FILE, strlen(SQL_FILE)) == 0)
        statement += strlen(SQL_FILE);
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

enum fx_code sql_columns(PGconn *conn, const char *schema_name, const char *table,
                         PGresult **columns, struct fx_err *err)
{
    const char *values[] = {schema_name, table};
    return pg_query(conn,
                    &(struct pg_statement){"SELECT attname FROM pg_attribute WHERE attrelid = "
                                           "to_regclass(format('%I.%I', $1::text, $2::text)) "
                                           "AND attnum > 0 AND NOT attisdropped",
                                           2, values},
                    columns, err);
}

bool sql_has_column(const PGresult *columns, const char *name)
{
    for (int i = 0; i < PQntuples(columns); i++)
        if (strcmp(PQgetvalue(columns, i, 0), name) == 0)
            return true;
    return false;
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

/* Runs what was put together, and empties it. */
static enum fx_code run_together(PGconn *conn, struct buf *together, struct fx_err *err)
{
    enum fx_code code = buf_check(together, err);
    if (code == FX_OK && together->size > 0)
        code = sql_run(conn, buf_text(together), err);
    buf_reset(together);
    return code;
}

/* Comments are thousands, and what they are about is there: they go together. With an exchange for
 * each, fx-setup would wait for these half of its time. */
static enum fx_code run_next(PGconn *conn, const char *statement, struct buf *together,
                             struct fx_err *err)
{
    if (strncmp(statement, "COMMENT ", 8) != 0) {
        if (run_together(conn, together, err) != FX_OK)
            return err->code;
        return sql_run(conn, statement, err);
    }
    buf_append_format(together, "%s;\n", statement);
    return together->size < TOGETHER_BYTES ? FX_OK : run_together(conn, together, err);
}

enum fx_code sql_run_list(PGconn *conn, const struct buf *list, struct fx_err *err)
{
    if (buf_check(list, err) != FX_OK)
        return err->code;
    fx_assert(list->size == 0 || list->data[list->size - 1] == '\0');
    struct buf together = BUF_INIT;
    for (size_t at = 0; err->code == FX_OK && at < list->size;) {
        const char *statement = (const char *)list->data + at;
        (void)(run_next(conn, statement, &together, err) == FX_OK);
        at += strlen(statement) + 1;
    }
    if (err->code == FX_OK)
        (void)(run_together(conn, &together, err) == FX_OK);
    buf_release(&together);
    return err->code;
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
