/* SPDX-License-Identifier: Apache-2.0 */
/* decide_ledger - decisions about runs and their numbers, and that a report was made. */
#include "../common/day.h"
#include "decide_state.h"
#include "decide_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A run as values of statements. */
struct run {
    struct decide_numbers numbers;
    char topic[KAFKA_TOPIC_MAX];
    char partition[16];
    char run[24];
    char first[24];
    char last[24];
};

/* What there is instead of a run that is not. */
static enum fx_code refuse_unknown(struct decide *decide, const struct run *run, struct fx_err *err)
{
    const char *values[] = {run->numbers.source};
    PGresult *rows = NULL;
    struct pg_statement statement = {
        "SELECT string_agg(lpad(to_hex(run), 12, '0'), ', ') FROM (SELECT DISTINCT run, "
        "greatest(heartbeat_at, last_appended_at) AS at FROM source_ledger WHERE source = $1 "
        "ORDER BY at DESC NULLS LAST, run LIMIT 5) r",
        1, values};
    if (pg_query(decide->conn, &statement, &rows, err) != FX_OK)
        return err->code;
    if (PQgetisnull(rows, 0, 0))
        fx_err_set(err, FX_ECONFIG, "nothing was ever heard of source %s", run->numbers.source);
    else
        fx_err_set(err, FX_ECONFIG, "source %s has no run %012" PRIx64 "; its newest are %s",
                   run->numbers.source, (uint64_t)run->numbers.run, PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return err->code;
}

/* Topic and partition of the run, from its row or from that of the run that followed it. */
static enum fx_code find_run(struct decide *decide, struct run *run, struct fx_err *err)
{
    char wanted[KAFKA_TOPIC_MAX];
    const char *kind = decide->options->kind;
    snprintf(run->run, sizeof run->run, "%" PRId64, run->numbers.run);
    snprintf(run->first, sizeof run->first, "%" PRId64, run->numbers.first);
    snprintf(run->last, sizeof run->last, "%" PRId64, run->numbers.last);
    const char *values[] = {run->numbers.source, run->run,
                            kind == NULL ? NULL : kafka_topic_name(wanted, decide->prefix, kind)};
    PGresult *rows = NULL;
    struct pg_statement statement = {
        "SELECT topic, (array_agg(partition ORDER BY run = $2 DESC, previous_last_seq DESC "
        "NULLS LAST))[1], string_agg(topic, ', ') OVER () FROM source_ledger "
        "WHERE source = $1 AND (run = $2 OR previous_run = $2) AND topic = coalesce($3, topic) "
        "GROUP BY topic ORDER BY topic",
        3, values};
    if (pg_query(decide->conn, &statement, &rows, err) != FX_OK)
        return err->code;
    if (PQntuples(rows) == 0) {
        PQclear(rows);
        return refuse_unknown(decide, run, err);
    }
    if (PQntuples(rows) > 1)
        fx_err_set(err, FX_ECONFIG, "run %012" PRIx64 " of source %s is in %s: add --kind",
                   (uint64_t)run->numbers.run, run->numbers.source, PQgetvalue(rows, 0, 2));
    snprintf(run->topic, sizeof run->topic, "%s", PQgetvalue(rows, 0, 0));
    snprintf(run->partition, sizeof run->partition, "%s", PQgetvalue(rows, 0, 1));
    PQclear(rows);
    return err->code;
}

/* The run is ours until the commit: whoever counts it claims again afterwards. */
static enum fx_code take_run(struct decide *decide, struct run *run, struct fx_err *err)
{
    if (find_run(decide, run, err) != FX_OK)
        return err->code;
    const char *values[] = {run->topic, run->partition};
    PGresult *rows = NULL;
    struct pg_statement statement = {"SELECT fence($1, $2)", 2, values};
    if (pg_query(decide->conn, &statement, &rows, err) != FX_OK)
        return err->code;
    if (PQgetvalue(rows, 0, 0)[0] != 't')
        fx_err_set(err, FX_ESTATE, "topic %s partition %s has runs, but no position", run->topic,
                   run->partition);
    PQclear(rows);
    return err->code;
}

/* Says which numbers of the run are not counted; what begins the sentence. */
static enum fx_code refuse_numbers(struct decide *decide, const struct run *run, const char *what,
                                   struct fx_err *err)
{
    const char *values[] = {run->topic, run->numbers.source, run->run};
    PGresult *rows = NULL;
    struct pg_statement statement = {
        "SELECT k, (SELECT string_agg(format('%s-%s', a, b), ', ') FROM (SELECT a, b FROM "
        "(SELECT first_seq AS a, last_seq AS b FROM source_gap WHERE topic = $1 AND source = $2 "
        "AND run = $3 AND cause <> 'written_off' UNION ALL SELECT h + 1, k WHERE k > h) g "
        "ORDER BY a LIMIT 8) s) FROM (SELECT known_last($1, $2, $3) AS k, coalesce((SELECT high "
        "FROM source_ledger WHERE topic = $1 AND source = $2 AND run = $3), 0) AS h) x",
        3, values};
    if (pg_query(decide->conn, &statement, &rows, err) != FX_OK)
        return err->code;
    bool is_whole = PQgetisnull(rows, 0, 1);
    fx_err_set(err, FX_ECONFIG, "%s; run %012" PRIx64 " of source %s has numbers up to %s, %s%s",
               what, (uint64_t)run->numbers.run, run->numbers.source, PQgetvalue(rows, 0, 0),
               is_whole ? "all counted or written off" : "missing: ",
               is_whole ? "" : PQgetvalue(rows, 0, 1));
    PQclear(rows);
    return err->code;
}

/* written: how many numbers were not counted and are given up now, -1: some were never announced.
 */
static enum fx_code apply_write_off(struct decide *decide, const struct run *run, int64_t *written,
                                    struct fx_err *err)
{
    const char *values[] = {run->topic, run->numbers.source, run->run, run->first, run->last};
    PGresult *rows = NULL;
    struct pg_statement statement = {
        "SELECT CASE WHEN $5::bigint > coalesce(known_last($1, $2, $3), 0) THEN -1 "
        "ELSE write_off_range($1, $2, $3, $4, $5, now(), false) END",
        5, values};
    if (pg_query(decide->conn, &statement, &rows, err) != FX_OK)
        return err->code;
    *written = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    PQclear(rows);
    return FX_OK;
}

enum fx_code decide_write_off(struct decide *decide, struct fx_err *err)
{
    struct run run;
    int64_t written = 0;
    if (decide_parse_numbers(decide->options->write_off, &run.numbers, err) != FX_OK ||
        take_run(decide, &run, err) != FX_OK ||
        apply_write_off(decide, &run, &written, err) != FX_OK)
        return err->code;
    if (written <= 0)
        return refuse_numbers(decide, &run,
                              written < 0 ? "the range goes beyond what was ever announced"
                                          : "nothing in the range is missing",
                              err);
    const char *values[] = {run.topic, run.numbers.source, run.run,
                            run.first, run.last,           decide->options->reason};
    if (decide_record(decide,
                      "INSERT INTO %s.write_off (topic, source, run, first_seq, last_seq, reason, "
                      "decided_by) VALUES ($1, $2, $3, $4, $5, $6, session_user)",
                      6, values, err) != FX_OK)
        return err->code;
    buf_append_format(
        &decide->fields, "topic=%s source=%s run=%012" PRIx64 " first=%s last=%s numbers=%" PRId64,
        run.topic, run.numbers.source, (uint64_t)run.numbers.run, run.first, run.last, written);
    buf_append_format(&decide->sentence,
                      "%" PRId64 " numbers of %s:%012" PRIx64 " are written off; one that comes "
                      "after all still counts.",
                      written, run.numbers.source, (uint64_t)run.numbers.run);
    return FX_OK;
}

enum fx_code decide_release(struct decide *decide, struct fx_err *err)
{
    struct run run;
    PGresult *rows = NULL;
    if (decide_parse_run(decide->options->release, &run.numbers, err) != FX_OK ||
        take_run(decide, &run, err) != FX_OK)
        return err->code;
    const char *values[] = {run.topic, run.numbers.source, run.run};
    struct pg_statement statement = {
        "UPDATE source_ledger SET is_quarantined = false WHERE topic = $1 AND source = $2 AND "
        "run = $3 AND is_quarantined RETURNING gaps",
        3, values};
    if (pg_query(decide->conn, &statement, &rows, err) != FX_OK)
        return err->code;
    if (PQntuples(rows) == 0)
        fx_err_set(err, FX_ECONFIG, "run %012" PRIx64 " of source %s is not quarantined",
                   (uint64_t)run.numbers.run, run.numbers.source);
    else
        buf_append_format(&decide->fields, "topic=%s source=%s run=%012" PRIx64 " gaps=%s",
                          run.topic, run.numbers.source, (uint64_t)run.numbers.run,
                          PQgetvalue(rows, 0, 0));
    PQclear(rows);
    if (err->code != FX_OK)
        return err->code;
    buf_append_format(&decide->sentence,
                      "Run %012" PRIx64 " of %s counts again. Count what was rejected meanwhile "
                      "with: fx-rollup --redrive source_quarantined",
                      (uint64_t)run.numbers.run, run.numbers.source);
    return decide_record(decide,
                         "INSERT INTO %s.release (topic, source, run, decided_by) "
                         "VALUES ($1, $2, $3, session_user)",
                         3, values, err);
}

/* Workers read the cut-offs at their next claim; so no hour changes unseen behind the report. */
enum fx_code decide_cut_off(struct decide *decide, struct fx_err *err)
{
    char text[DAY_TEXT_SIZE];
    int64_t as_of_ms = decide->options->cut_off_ms;
    day_format(as_of_ms, text);
    if (as_of_ms > day_now_ms())
        return fx_err_set(err, FX_ECONFIG, "%s is yet to come: a report is about the past", text);
    const char *values[] = {text};
    PGresult *rows = NULL;
    struct pg_statement statement = {"SELECT fence_all()", 0, NULL};
    if (pg_query(decide->conn, &statement, &rows, err) != FX_OK)
        return err->code;
    buf_append_format(&decide->fields, "as_of=%s partitions=%s", text, PQgetvalue(rows, 0, 0));
    PQclear(rows);
    buf_append_format(&decide->sentence,
                      "Hours that end by %s are reported; what changes them from now on is kept "
                      "as a correction.",
                      text);
    if (decide_record(decide,
                      "INSERT INTO %s.cutoff (as_of, reported_by) VALUES ($1, session_user)", 1,
                      values, err) == FX_EREFUSED)
        err->code = FX_ECONFIG; /* the primary key: see the message */
    return err->code == FX_OK ? FX_OK : fx_err_wrap(err, "a report as of %s is recorded", text);
}
