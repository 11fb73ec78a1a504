/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide_swap - a schema that was counted anew becomes the live one, and that one takes its name.
 *
 * Workers and readers know names, tables have none but their schema's. A statement that waits for a
 * lock resolves its names again when it gets it, also a prepared one. So both position tables are
 * locked first: a flush or a claim, which begin with them, has either ended before, or finds after
 * the commit the other tables under its name, and in them a generation that is not its own: it is
 * fenced and claims again. Without the locks a flush would write its positions into the one schema
 * and its figures into the other.
 *
 * EXCLUSIVE is enough: it stops whoever writes or locks rows, and lets those read who only read, so
 * that an analyst's long query does not hold up the swap, and the swap no query.
 */
#include "decide_state.h"

#include "../common/day.h"
#include "../common/log.h"
#include "../common/text.h"
#include "setup_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CATCH_UP_MS 3000
#define STANDSTILL_MS 700 /* so long without progress: nobody counts there */
#define POLL_MS 20
#define BREATH_MS 500
#define IDLE_MS 15000   /* longer than a session of Kafka's, that of a dead worker */
#define ROUNDS_MS 40000 /* of one attempt; then it is not the next one's workers that are slow */
#define TOO_FAR 200000  /* messages that are surely not counted while the live schema waits */
#define BETWEEN "fx_setup_swap"

struct swap {
    struct decide *decide;
    const char *live;
    const char *next;
};

static enum fx_code refuse(const struct swap *swap, const char *why, struct fx_err *err)
{
    return fx_err_set(err, FX_ECONFIG, "schema %s cannot take the place of %s: %s", swap->next,
                      swap->live, why);
}

/* Runs statements in whose text $L and $N stand for the two schemas, $R for the record schema, as
 * identifiers. */
static enum fx_code run(const struct swap *swap, const char *text, PGresult **rows,
                        struct fx_err *err)
{
    struct buf sql = BUF_INIT;
    for (const char *c = text; *c != '\0'; c++) {
        bool is_mark = c[0] == '$' && (c[1] == 'L' || c[1] == 'N' || c[1] == 'R');
        if (is_mark)
            buf_append_format(&sql, "\"%s\"",
                              *++c == 'L' ? swap->live
                              : *c == 'N' ? swap->next
                                          : swap->decide->record);
        else
            buf_append_byte(&sql, (uint8_t)*c);
    }
    enum fx_code code = buf_check(&sql, err);
    if (code == FX_OK && rows == NULL)
        code = sql_run(swap->decide->conn, buf_text(&sql), err);
    else if (code == FX_OK)
        code = pg_query(swap->decide->conn, &(struct pg_statement){buf_text(&sql), 0, NULL}, rows,
                        err);
    buf_release(&sql);
    return code;
}

static enum fx_code check_there(const struct swap *swap, struct fx_err *err)
{
    PGresult *rows = NULL;
    if (!text_is_identifier(swap->next))
        return fx_err_set(err, FX_ECONFIG, "a schema is 1 to 63 of a-z, 0-9 and _");
    if (strcmp(swap->live, swap->next) == 0)
        return fx_err_set(err, FX_ECONFIG, "%s and %s are the same", swap->live, swap->next);
    if (run(swap, "SELECT to_regclass('$N.definition'), to_regnamespace('" BETWEEN "')", &rows,
            err) != FX_OK)
        return err->code;
    if (PQgetisnull(rows, 0, 0))
        fx_err_set(err, FX_ECONFIG,
                   "schema %s is not there; to count anew: fx-setup --schema-name %s "
                   "--record-schema %s, then fx-rollup --schema-name %s --until-end",
                   swap->next, swap->next, swap->decide->record, swap->next);
    else if (!PQgetisnull(rows, 0, 1))
        fx_err_set(err, FX_ESTATE, "a schema is called " BETWEEN);
    PQclear(rows);
    return err->code;
}

/* Both count the same topics, and one of them is the other counted anew. */
static enum fx_code check_pair(const struct swap *swap, struct fx_err *err)
{
    PGresult *rows = NULL;
    char why[300];
    if (check_there(swap, err) != FX_OK ||
        run(swap,
            "SELECT n.topic_prefix, n.record_schema, n.is_rebuild, n.cluster_id <> l.cluster_id, "
            "l.is_rebuild FROM $N.definition n, $L.definition l",
            &rows, err) != FX_OK)
        return err->code;
    if (PQntuples(rows) != 1) {
        (void)refuse(swap, "it is not set up: run fx-setup", err);
    } else if (strcmp(PQgetvalue(rows, 0, 0), swap->decide->prefix) != 0) {
        snprintf(why, sizeof why, "it counts the topics of prefix %.100s, not %.100s",
                 PQgetvalue(rows, 0, 0), swap->decide->prefix);
        (void)refuse(swap, why, err);
    } else if (strcmp(PQgetvalue(rows, 0, 1), swap->decide->record) != 0) {
        snprintf(why, sizeof why, "its record schema is %.63s, not %.63s", PQgetvalue(rows, 0, 1),
                 swap->decide->record);
        (void)refuse(swap, why, err);
    } else if (PQgetvalue(rows, 0, 3)[0] == 't') {
        (void)refuse(swap, "it counts another Kafka cluster", err);
    } else if (PQgetvalue(rows, 0, 4)[0] == 't' || PQgetvalue(rows, 0, 2)[0] != 't') {
        (void)refuse(swap,
                     "the live one is named by --schema-name, the one that was counted anew by "
                     "--swap",
                     err);
    }
    PQclear(rows);
    return err->code;
}

/* How far the live schema has counted beyond the next one. */
struct behind {
    int64_t messages; /* in all; -1: there is a partition that the next one never met */
    int64_t position; /* of the next one: the sum of its offsets */
    bool is_counting; /* somebody counts the next one, or did until just now */
    char where[200];  /* the partition that is furthest behind */
};

static enum fx_code ask_behind(const struct swap *swap, struct behind *behind, struct fx_err *err)
{
    PGresult *rows = NULL;
    if (run(swap,
            "SELECT CASE WHEN bool_or(n.topic IS NULL) THEN -1 ELSE coalesce(sum(l.next_offset - "
            "n.next_offset), 0) END, (array_agg(format('%s:%s by %s', l.topic, l.partition, "
            "coalesce((l.next_offset - n.next_offset)::text, 'all')) ORDER BY n.topic IS NULL "
            "DESC, l.next_offset - n.next_offset DESC))[1], (SELECT max(greatest(claimed_at, "
            "caught_up_at)) > clock_timestamp() - interval '30 s' FROM $N.partition_position), "
            "(SELECT coalesce(sum(next_offset), 0) FROM $N.partition_position) "
            "FROM $L.partition_position l LEFT JOIN $N.partition_position n USING (topic, "
            "partition) WHERE l.next_offset > coalesce(n.next_offset, -1)",
            &rows, err) != FX_OK)
        return err->code;
    behind->messages = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    behind->is_counting = PQgetvalue(rows, 0, 2)[0] == 't';
    behind->position = strtoll(PQgetvalue(rows, 0, 3), NULL, 10);
    text_copy(behind->where, sizeof behind->where, PQgetvalue(rows, 0, 1));
    PQclear(rows);
    return FX_OK;
}

static void pause_ms(int64_t ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

/* The live schema stands still, whoever counts the next one goes on: until it is there, or nothing
 * moves any more. */
static enum fx_code catch_up(const struct swap *swap, struct behind *behind, struct fx_err *err)
{
    int64_t least = INT64_MAX;
    int64_t began_ms = day_monotonic_ms();
    int64_t moved_ms = began_ms;
    for (;;) {
        int64_t now_ms = day_monotonic_ms();
        if (ask_behind(swap, behind, err) != FX_OK || behind->messages == 0)
            return err->code;
        if (behind->messages < least) {
            least = behind->messages;
            moved_ms = now_ms;
        }
        if (now_ms - moved_ms > STANDSTILL_MS || now_ms - began_ms > CATCH_UP_MS)
            return FX_OK;
        pause_ms(POLL_MS);
    }
}

/* One round: both tables are locked, or behind says why not. */
static enum fx_code try_locks(const struct swap *swap, struct behind *behind, struct fx_err *err)
{
    if (run(swap,
            "SAVEPOINT unlocked; SET LOCAL lock_timeout = '2s'; "
            "LOCK TABLE $L.partition_position IN EXCLUSIVE MODE",
            NULL, err) != FX_OK ||
        catch_up(swap, behind, err) != FX_OK || behind->messages != 0 ||
        run(swap, "LOCK TABLE $N.partition_position IN EXCLUSIVE MODE", NULL, err) != FX_OK)
        return err->code;
    return ask_behind(swap, behind, err); /* an acceptance may have sent it back */
}

/* Without a lock, until the next schema's workers have counted something; IDLE_MS at most. */
static enum fx_code await_movement(const struct swap *swap, int64_t position, struct behind *behind,
                                   struct fx_err *err)
{
    int64_t began_ms = day_monotonic_ms();
    while (behind->position == position && day_monotonic_ms() - began_ms < IDLE_MS) {
        pause_ms(POLL_MS);
        if (ask_behind(swap, behind, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

/* Rounds, so that the live schema's workers are never held up for longer than they wait. Where the
 * next one's stand still, as in a rebalance, it is waited for without a lock. */
static enum fx_code lock_both(const struct swap *swap, struct fx_err *err)
{
    struct behind behind;
    if (ask_behind(swap, &behind, err) != FX_OK)
        return err->code;
    int64_t began_ms = day_monotonic_ms();
    while (behind.messages >= 0 && behind.messages < TOO_FAR) {
        int64_t position = behind.position;
        if (try_locks(swap, &behind, err) != FX_OK || behind.messages == 0)
            return err->code;
        if (!behind.is_counting || day_monotonic_ms() - began_ms > ROUNDS_MS)
            break;
        fx_log(FX_LOG_INFO, "wait", "behind=%" PRId64 " furthest=\"%s\"", behind.messages,
               behind.where);
        if (run(swap, "ROLLBACK TO SAVEPOINT unlocked", NULL, err) != FX_OK)
            return err->code;
        pause_ms(BREATH_MS);
        if (await_movement(swap, position, &behind, err) != FX_OK)
            return err->code;
        if (behind.position == position)
            break;
    }
    return fx_err_set(err, FX_ECONFIG,
                      "schema %s is behind at %s: run fx-rollup --schema-name %s --until-end once "
                      "more, or let it run",
                      swap->next, behind.where, swap->next);
}

/* From now on runs live where the next schema has them: whoever counts anew keeps to that. */
static const char homes_sql[] =
    "INSERT INTO $R.run_home AS h (topic, source, run, partition) SELECT n.topic, n.source, n.run, "
    "n.partition FROM $N.source_ledger n WHERE (n.topic, n.source, n.run) IN "
    "(SELECT topic, source, run FROM $N.rejected_range WHERE reason = 'moved_partition' "
    "UNION ALL SELECT topic, source, run FROM $R.run_home) ON CONFLICT (topic, source, run) "
    "DO UPDATE SET partition = excluded.partition WHERE h.partition <> excluded.partition";

/* What people decided while the next schema was counted. A run that the live schema quarantined
 * once more after its release stays so. */
static enum fx_code hand_on(const struct swap *swap, struct fx_err *err)
{
    PGresult *rows = NULL;
    struct decide *decide = swap->decide;
    if (run(swap, "SET LOCAL search_path = $N, pg_catalog", NULL, err) != FX_OK ||
        run(swap, "SELECT fence_all(), apply_write_offs()", &rows, err) != FX_OK)
        return err->code;
    buf_append_format(&decide->fields, "next=%s partitions=%s written_off=%s", swap->next,
                      PQgetvalue(rows, 0, 0), PQgetvalue(rows, 0, 1));
    PQclear(rows);
    if (decide_record(decide,
                      "UPDATE source_ledger n SET is_quarantined = false FROM %s.release r WHERE "
                      "n.is_quarantined AND n.topic = r.topic AND n.source = r.source AND "
                      "n.run = r.run",
                      0, NULL, err) != FX_OK)
        return err->code;
    return run(swap,
               "UPDATE source_ledger n SET is_quarantined = true FROM $L.source_ledger l WHERE "
               "l.is_quarantined AND n.topic = l.topic AND n.source = l.source AND n.run = l.run; "
               "SET LOCAL search_path = $L, pg_catalog; SELECT fence_all(); "
               "UPDATE $L.definition SET is_rebuild = true; "
               "UPDATE $N.definition SET is_rebuild = false",
               NULL, err);
}

/* Grants that others got on the live schema and what is in it, and that fx-setup does not make. */
static const char grants_sql[] =
    "DO $do$ DECLARE r text; BEGIN FOR r IN "
    "WITH o AS (SELECT 'SCHEMA' AS kind, n.oid::regnamespace::text AS name, n.nspname = "
    "split_part('$L', '\"', 2) AS is_live, '' AS key, n.nspacl AS acl, n.nspowner AS owner FROM "
    "pg_namespace n WHERE n.oid IN ('$L'::regnamespace, '$N'::regnamespace) "
    "UNION ALL SELECT 'TABLE', format('%I.%I', n.nspname, c.relname), n.oid = '$L'::regnamespace, "
    "c.relname, c.relacl, c.relowner FROM pg_class c JOIN pg_namespace n ON n.oid = "
    "c.relnamespace WHERE n.oid IN ('$L'::regnamespace, '$N'::regnamespace) AND c.relkind IN "
    "('r', 'v') "
    "UNION ALL SELECT 'FUNCTION', format('%I.%I(%s)', n.nspname, p.proname, "
    "pg_get_function_identity_arguments(p.oid)), n.oid = '$L'::regnamespace, format('%s(%s)', "
    "p.proname, pg_get_function_identity_arguments(p.oid)), p.proacl, p.proowner FROM pg_proc p "
    "JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.oid IN ('$L'::regnamespace, "
    "'$N'::regnamespace)) "
    "SELECT format('GRANT %s ON %s %s TO %s%s', a.privilege_type, n.kind, n.name, CASE WHEN "
    "a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, CASE WHEN a.is_grantable THEN "
    "' WITH GRANT OPTION' END) FROM o l JOIN o n ON n.kind = l.kind AND n.key = l.key AND "
    "NOT n.is_live CROSS JOIN LATERAL aclexplode(l.acl) a WHERE l.is_live AND a.grantee <> "
    "l.owner AND NOT EXISTS (SELECT FROM aclexplode(n.acl) b WHERE b.grantee = a.grantee AND "
    "b.privilege_type = a.privilege_type AND b.is_grantable >= a.is_grantable) "
    "LOOP EXECUTE r; END LOOP; END $do$";

/* Views that are not ours follow their tables, not the name: only their owners can make them anew.
 */
static enum fx_code name_left_behind(const struct swap *swap, struct fx_err *err)
{
    PGresult *rows = NULL;
    if (run(swap,
            "SELECT string_agg(DISTINCT v.oid::regclass::text, ' ') FROM pg_class v WHERE "
            "v.relkind IN ('v', 'm') AND (v.relnamespace = '$L'::regnamespace AND NOT EXISTS "
            "(SELECT FROM pg_class n WHERE n.relnamespace = '$N'::regnamespace AND n.relname = "
            "v.relname) OR v.relnamespace NOT IN ('$L'::regnamespace, '$N'::regnamespace) AND "
            "EXISTS (SELECT FROM pg_rewrite w JOIN pg_depend d ON d.classid = "
            "'pg_rewrite'::regclass AND d.objid = w.oid JOIN pg_class t ON d.refclassid = "
            "'pg_class'::regclass AND t.oid = d.refobjid WHERE w.ev_class = v.oid AND "
            "t.relnamespace = '$L'::regnamespace))",
            &rows, err) != FX_OK)
        return err->code;
    char quoted[360];
    if (!PQgetisnull(rows, 0, 0))
        fx_log(FX_LOG_WARN, "left_behind", "views=%s msg=\"they go on reading the old tables\"",
               fx_log_quote(quoted, sizeof quoted, PQgetvalue(rows, 0, 0)));
    PQclear(rows);
    return FX_OK;
}

/* Runs of which the next schema counts another partition's events than the live one. */
static const char elsewhere_sql[] =
    "WITH o AS (SELECT l.source, l.run, row_number() OVER (ORDER BY l.topic, l.source, l.run) AS n "
    "FROM $L.source_ledger l JOIN $N.source_ledger n USING (topic, source, run) "
    "WHERE l.partition <> n.partition) SELECT count(*), string_agg(format('%s:%s', source, "
    "lpad(to_hex(run), 12, '0')), ', ' ORDER BY n) FILTER (WHERE n <= 5) || CASE WHEN count(*) > 5 "
    "THEN ', …' ELSE '' END FROM o";

/* Runs of which the next schema counts fewer events of the same partition than the live one, the
 * worst ones first. */
static const char fewer_sql[] =
    "WITH f AS (SELECT l.topic, l.source, l.run, l.counted - coalesce(n.counted, 0) AS events, "
    "r.is_any, r.is_quarantined FROM $L.source_ledger l LEFT JOIN $N.source_ledger n "
    "USING (topic, source, run) CROSS JOIN LATERAL (SELECT count(*) > 0 AS is_any, "
    "coalesce(bool_and(e.reason = 'source_quarantined'), false) AS is_quarantined FROM "
    "$N.rejected_range e WHERE e.topic = l.topic AND e.source = l.source AND e.run = l.run AND "
    "e.last_offset >= 0 AND e.reason <> 'moved_partition') r WHERE "
    "l.counted > coalesce(n.counted, 0) AND coalesce(n.partition, l.partition) = l.partition), "
    "o AS (SELECT f.*, row_number() OVER (ORDER BY events DESC, topic, source, run) AS n FROM f) "
    "SELECT count(*), coalesce(sum(events), 0), string_agg(format('%s:%s by %s', source, "
    "lpad(to_hex(run), 12, '0'), events), ', ' ORDER BY n) FILTER (WHERE n <= 5) || CASE WHEN "
    "count(*) > 5 THEN ', …' ELSE '' END, bool_or(is_any), bool_and(is_quarantined) FROM o";

/* What was re-driven in the live schema lies rejected in the one that was counted anew. */
static enum fx_code tell_fewer(const struct swap *swap, PGresult *rows, struct fx_err *err)
{
    struct decide *decide = swap->decide;
    const char *runs = PQgetvalue(rows, 0, 0);
    const char *events = PQgetvalue(rows, 0, 1);
    struct buf mend = BUF_INIT;
    char quoted[2][360];
    if (strcmp(runs, "0") == 0)
        return FX_OK;
    decide->is_short = true;
    if (PQgetvalue(rows, 0, 3)[0] == 't')
        buf_append_format(&mend, "fx-rollup --schema-name %s --redrive%s", swap->live,
                          PQgetvalue(rows, 0, 4)[0] == 't' ? " source_quarantined" : "");
    else
        buf_append_format(&mend, "fx-setup --schema-name %s --swap %s", swap->live, swap->next);
    buf_append_format(&decide->sentence,
                      "\nFewer events are counted now: %s runs, %s events (%s). To mend it: %s",
                      runs, events, PQgetvalue(rows, 0, 2), buf_text(&mend));
    fx_log(FX_LOG_WARN, "fewer", "schema=%s runs=%s events=%s first=%s mend=%s", swap->live, runs,
           events, fx_log_quote(quoted[0], sizeof quoted[0], PQgetvalue(rows, 0, 2)),
           fx_log_quote(quoted[1], sizeof quoted[1], buf_text(&mend)));
    enum fx_code code = buf_check(&mend, err);
    buf_release(&mend);
    return code;
}

/* The live schema rejected their messages after the next one had taken one of them. */
static void tell_elsewhere(const struct swap *swap, const PGresult *rows)
{
    struct decide *decide = swap->decide;
    const char *runs = PQgetvalue(rows, 0, 0);
    char quoted[360];
    if (strcmp(runs, "0") == 0)
        return;
    decide->is_short = true;
    buf_append_format(&decide->sentence,
                      "\nOther events are counted now, of another partition: %s runs (%s). To go "
                      "back: fx-setup --schema-name %s --swap %s",
                      runs, PQgetvalue(rows, 0, 1), swap->live, swap->next);
    fx_log(FX_LOG_WARN, "elsewhere", "schema=%s runs=%s first=%s", swap->live, runs,
           fx_log_quote(quoted, sizeof quoted, PQgetvalue(rows, 0, 1)));
}

enum fx_code decide_swap(struct decide *decide, struct fx_err *err)
{
    struct swap swap = {decide, decide->place->schema_name, decide->options->swap};
    PGresult *fewer = NULL;
    PGresult *elsewhere = NULL;
    if (check_pair(&swap, err) != FX_OK || lock_both(&swap, err) != FX_OK ||
        hand_on(&swap, err) != FX_OK || run(&swap, grants_sql, NULL, err) != FX_OK ||
        name_left_behind(&swap, err) != FX_OK || run(&swap, homes_sql, NULL, err) != FX_OK ||
        run(&swap, fewer_sql, &fewer, err) != FX_OK)
        return err->code;
    if (run(&swap, elsewhere_sql, &elsewhere, err) != FX_OK) {
        PQclear(fewer);
        return err->code;
    }
    buf_append_format(&decide->sentence,
                      "%s holds what was counted anew; the figures until now are in %s. To go "
                      "back, swap again.",
                      swap.live, swap.next);
    /* the owner of a schema may be one who may not make any: a rename wants both */
    if (run(&swap,
            "SET LOCAL ROLE NONE; ALTER SCHEMA $L RENAME TO " BETWEEN
            "; ALTER SCHEMA $N RENAME TO $L; ALTER SCHEMA " BETWEEN " RENAME TO $N",
            NULL, err) != FX_OK)
        (void)fx_err_wrap(err, "rename (wants CREATE on the database)");
    else if (tell_fewer(&swap, fewer, err) == FX_OK)
        tell_elsewhere(&swap, elsewhere);
    PQclear(fewer);
    PQclear(elsewhere);
    return err->code;
}
