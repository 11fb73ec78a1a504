/* SPDX-License-Identifier: Apache-2.0 */
#include "setup_generated.h"

#include "../common/digest.h"
#include "setup_sql.h"

#include <sodium.h>
#include <string.h>

/* Views that are ours, but are never dropped: setup_install.c makes them before generated_begin. */
#define OWN_VIEWS "'source', 'correction', 'accepted_loss'"

/* NULL: there is no such object. */
#define OID_OF_NAME                                                                                \
    "CASE WHEN is_function THEN to_regprocedure(name)::oid ELSE to_regclass(name)::oid END"

#define IS_OURS                                                                                    \
    "c.relkind = 'v' AND c.relnamespace = current_schema()::regnamespace AND (c.relname IN "       \
    "(" OWN_VIEWS ") OR c.oid IN (SELECT to_regclass(name) FROM generated_object WHERE NOT "       \
    "is_function))"

/* Text, comments and owners of all that is ours, as they are stored: to make a view's text from
 * that takes PostgreSQL twenty times as long. */
#define OBJECTS_MD5                                                                                \
    "(SELECT md5(string_agg(x, ' ' ORDER BY x)) FROM (SELECT concat(c.oid, c.relname, "            \
    "c.relowner, "                                                                                 \
    "md5(concat(c.reloptions, (SELECT w.ev_action FROM pg_rewrite w WHERE w.ev_class = c.oid), "   \
    "obj_description(c.oid, 'pg_class'), (SELECT string_agg(concat(a.attname, "                    \
    "col_description(c.oid, a.attnum)), ',' ORDER BY a.attnum) FROM pg_attribute a "               \
    "WHERE a.attrelid = c.oid AND a.attnum > 0)))) FROM pg_class c WHERE " IS_OURS                 \
    " UNION ALL SELECT concat(p.oid, p.proowner, md5(concat(p.prosrc, p.prosqlbody, "              \
    "p.proargnames, p.proargdefaults, p.prorettype, p.proallargtypes, p.provolatile, "             \
    "p.prosecdef, p.proconfig, p.procost, p.prorows, p.proparallel, "                              \
    "obj_description(p.oid, 'pg_proc')))) FROM pg_proc p JOIN generated_object g "                 \
    "ON g.is_function AND p.oid = to_regprocedure(g.name)) o(x))"

void generated_digest(const struct buf *text, char digest[GENERATED_DIGEST_SIZE])
{
    uint8_t bytes[DIGEST_SHA256_SIZE];
    _Static_assert(sizeof bytes * 2 + 1 == GENERATED_DIGEST_SIZE, "the digest as hex digits");
    digest_sha256(text->data, text->size, bytes);
    sodium_bin2hex(digest, GENERATED_DIGEST_SIZE, bytes, sizeof bytes);
}

enum fx_code generated_find(PGconn *conn, const char *digest, bool *is_made, struct fx_err *err)
{
    const char *values[] = {digest};
    PGresult *rows = NULL;
    if (pg_query(conn,
                 &(struct pg_statement){"SELECT FROM generated_state WHERE text_sha256 = $1 AND "
                                        "objects_md5 = " OBJECTS_MD5,
                                        1, values},
                 &rows, err) != FX_OK)
        return fx_err_wrap(err, "look at the views");
    *is_made = PQntuples(rows) == 1;
    PQclear(rows);
    return FX_OK;
}

/* Those made later use those made before, as good as always: a reader locks them in this order, and
 * tables last. To give a view the owner that it has locks it and does nothing else; LOCK TABLE
 * would lock the tables beneath as well. The time is that of all locks together. */
#define LOCK_EACH(commands)                                                                        \
    "DO $$ DECLARE r record; until timestamptz := clock_timestamp() + interval '600 ms'; BEGIN "   \
    "FOR r IN " commands " LOOP PERFORM set_config('lock_timeout', greatest(1, (extract(epoch "    \
    "FROM until - clock_timestamp()) * 1000)::int)::text, true); EXECUTE r.command; END LOOP; "    \
    "END $$; SET LOCAL lock_timeout TO DEFAULT"

#define LOCK_VIEWS                                                                                 \
    "SELECT format('ALTER VIEW %s OWNER TO %I', c.oid::regclass, pg_get_userbyid(c.relowner)) "    \
    "AS command, 1 AS turn, c.oid::bigint FROM pg_class c WHERE " IS_OURS                          \
    " AND pg_has_role(c.relowner, 'USAGE')"

#define LOCK_TABLES                                                                                \
    "SELECT format('LOCK TABLE ONLY %s', c.oid::regclass), 2, c.oid::bigint FROM pg_class c "      \
    "WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND " SQL_IS_ROLLUP \
    " AND pg_has_role(c.relowner, 'USAGE')"

static const char lock_views[] = LOCK_EACH(LOCK_VIEWS " ORDER BY 2, 3 DESC");
static const char lock_all[] =
    LOCK_EACH(LOCK_VIEWS " UNION ALL " LOCK_TABLES " ORDER BY 2, 3 DESC");

enum fx_code generated_lock(PGconn *conn, bool with_tables, struct fx_err *err)
{
    if (sql_run(conn, with_tables ? lock_all : lock_views, err) != FX_OK)
        return fx_err_wrap(err, "lock the views");
    return FX_OK;
}

/* What stands in the schema before the views are made; what is new after it is ours. */
static const char note_standing[] =
    "CREATE TEMPORARY TABLE standing ON COMMIT DROP AS SELECT oid FROM pg_class "
    "WHERE relnamespace = current_schema()::regnamespace "
    "UNION ALL SELECT oid FROM pg_proc WHERE pronamespace = current_schema()::regnamespace";

static const char note_generated[] =
    "INSERT INTO generated_object SELECT c.oid::regclass::text, false FROM pg_class c "
    "WHERE c.relkind = 'v' AND c.relnamespace = current_schema()::regnamespace "
    "AND c.oid NOT IN (SELECT oid FROM standing) ON CONFLICT DO NOTHING; "
    "INSERT INTO generated_object SELECT p.oid::regprocedure::text, true FROM pg_proc p "
    "WHERE p.pronamespace = current_schema()::regnamespace "
    "AND p.oid NOT IN (SELECT oid FROM standing) ON CONFLICT DO NOTHING; "
    "DELETE FROM generated_object WHERE " OID_OF_NAME " IS NULL; DROP TABLE standing";

/* Grants of others on what is about to be dropped, as statements. */
static const char keep_grants[] =
    "CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT g.name, g.is_function, format('GRANT %s "
    "ON %s %s TO "
    "%s%s', a.privilege_type, CASE WHEN g.is_function THEN 'FUNCTION' ELSE 'TABLE' END, g.name, "
    "CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, "
    "CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END) AS command FROM generated_object g "
    "LEFT JOIN pg_class c ON c.oid = " OID_OF_NAME " LEFT JOIN pg_proc p ON p.oid = " OID_OF_NAME
    " CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, p.proacl)) a "
    "WHERE a.grantee <> coalesce(c.relowner, p.proowner)";

static const char restore_grants[] =
    "DO $$ DECLARE r text; BEGIN FOR r IN SELECT command FROM kept WHERE " OID_OF_NAME
    " IS NOT NULL LOOP EXECUTE r; END LOOP; "
    "END $$; DROP TABLE kept";

/* Views use functions, and functions views: round by round go those that nothing uses any more,
 * until none is left. A view of somebody else's that uses one of ours stops it: only its owner can
 * say whether it may go. */
static const char drop_generated[] =
    "DO $$ DECLARE r record; gone boolean := true; detail text; BEGIN WHILE gone LOOP "
    "gone := false; detail := NULL; "
    "FOR r IN SELECT name, is_function FROM generated_object WHERE " OID_OF_NAME " IS NOT NULL "
    "LOOP BEGIN EXECUTE format('DROP %s %s', CASE WHEN r.is_function THEN 'FUNCTION' ELSE 'VIEW' "
    "END, r.name); gone := true; "
    "EXCEPTION WHEN dependent_objects_still_exist THEN "
    "GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL; END; END LOOP; END LOOP; "
    "IF detail IS NOT NULL THEN "
    "RAISE EXCEPTION 'drop what is not ours first: %', translate(detail, E'\n', ' ') "
    "USING ERRCODE = 'dependent_objects_still_exist'; END IF; END $$";

enum fx_code generated_begin(PGconn *conn, struct fx_err *err)
{
    if (sql_run(conn, note_standing, err) != FX_OK)
        return err->code;
    return sql_run(conn, "SAVEPOINT views", err);
}

enum fx_code generated_end(PGconn *conn, struct fx_err *err)
{
    return sql_run(conn, note_generated, err);
}

bool generated_is_other_shape(const struct fx_err *err)
{
    return strstr(err->text, "PostgreSQL 42P16:") != NULL ||
           strstr(err->text, "PostgreSQL 42P13:") != NULL;
}

enum fx_code generated_drop(PGconn *conn, struct fx_err *err)
{
    if (sql_run(conn, "ROLLBACK TO SAVEPOINT views", err) != FX_OK ||
        sql_run(conn, keep_grants, err) != FX_OK)
        return err->code;
    if (sql_run(conn, drop_generated, err) != FX_OK)
        return fx_err_wrap(err, "make the views anew");
    return FX_OK;
}

enum fx_code generated_restore(PGconn *conn, struct fx_err *err)
{
    return sql_run(conn, restore_grants, err);
}

enum fx_code generated_keep(PGconn *conn, const char *digest, struct fx_err *err)
{
    const char *values[] = {digest};
    return sql_execute(
        conn,
        "INSERT INTO generated_state (text_sha256, objects_md5) VALUES ($1, " OBJECTS_MD5
        ") ON CONFLICT (is_only) DO UPDATE SET text_sha256 = "
        "EXCLUDED.text_sha256, objects_md5 = EXCLUDED.objects_md5",
        1, values, err);
}
