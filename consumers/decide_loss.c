/* SPDX-License-Identifier: Apache-2.0 */
/* decide_loss - decisions about Kafka: it lost records, or it is another one. See store.h, "Loss".
 */
#include "decide_state.h"
#include "decide_text.h"
#include "setup_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 10000

static enum fx_code open_kafka(const struct decide *decide, rd_kafka_t **rk, struct fx_err *err)
{
    static const char *const none[][2] = {{NULL, NULL}};
    rd_kafka_conf_t *conf = NULL;
    if (kafka_conf_new(decide->place->kafka, "fx-setup", none, &conf, err) != FX_OK)
        return err->code;
    return kafka_open(RD_KAFKA_PRODUCER, conf, rk, err);
}

/* What there is instead of a partition that is not counted. */
static enum fx_code refuse_partition(struct decide *decide, const struct decide_offsets *offsets,
                                     struct fx_err *err)
{
    PGresult *rows = NULL;
    struct pg_statement statement = {
        "SELECT string_agg(format('%s:%s', topic, n), ', ' ORDER BY topic) FROM (SELECT topic, "
        "concat_ws('-', min(partition), nullif(max(partition), min(partition))) AS n FROM "
        "partition_position GROUP BY topic) t",
        0, NULL};
    if (pg_query(decide->conn, &statement, &rows, err) != FX_OK)
        return err->code;
    fx_err_set(err, FX_ECONFIG, "schema %s does not count %.100s:%d; it counts %.500s",
               decide->place->schema_name, offsets->topic, (int)offsets->partition,
               PQgetisnull(rows, 0, 0) ? "nothing yet" : PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return err->code;
}

/* Takes the partition from its worker; next: the next offset that would have been counted. */
static enum fx_code take_partition(struct decide *decide, const struct decide_offsets *offsets,
                                   int64_t *next, struct fx_err *err)
{
    char partition[16];
    snprintf(partition, sizeof partition, "%d", (int)offsets->partition);
    const char *values[] = {offsets->topic, partition};
    PGresult *rows = NULL;
    struct pg_statement fence = {"SELECT fence($1, $2)", 2, values};
    struct pg_statement position = {
        "SELECT next_offset FROM partition_position WHERE topic = $1 AND partition = $2", 2,
        values};
    if (pg_query(decide->conn, &fence, &rows, err) != FX_OK)
        return err->code;
    bool is_there = PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    if (!is_there)
        return refuse_partition(decide, offsets, err);
    if (pg_query(decide->conn, &position, &rows, err) != FX_OK)
        return err->code;
    *next = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    PQclear(rows);
    return FX_OK;
}

static enum fx_code record_acceptance(struct decide *decide, const struct decide_offsets *offsets,
                                      bool is_counted, struct fx_err *err)
{
    char partition[16];
    char first[24];
    char last[24];
    snprintf(partition, sizeof partition, "%d", (int)offsets->partition);
    snprintf(first, sizeof first, "%" PRId64, offsets->first);
    snprintf(last, sizeof last, "%" PRId64, offsets->last);
    const char *values[] = {
        offsets->topic,         partition, first, last, is_counted ? "true" : "false",
        decide->options->reason};
    return decide_record(decide,
                         "INSERT INTO %s.acceptance (topic, partition, first_offset, last_offset, "
                         "is_counted, reason, accepted_by) VALUES ($1, $2, $3, $4, $5, $6, "
                         "session_user)",
                         6, values, err);
}

/* Kafka's first offset of the partition, and the one behind its last. */
static enum fx_code ask_range(const struct decide *decide, const struct decide_offsets *offsets,
                              int64_t *low, int64_t *end, struct fx_err *err)
{
    rd_kafka_t *rk = NULL;
    if (open_kafka(decide, &rk, err) != FX_OK)
        return err->code;
    rd_kafka_resp_err_t failed = rd_kafka_query_watermark_offsets(
        rk, offsets->topic, offsets->partition, low, end, ANSWER_MS);
    rd_kafka_destroy(rk);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR)
        return fx_err_set(err, FX_ERETRY, "asking Kafka for the offsets of %s:%d: %s",
                          offsets->topic, (int)offsets->partition, rd_kafka_err2str(failed));
    return FX_OK;
}

/* Who accepts what is not lost yet would not hear of it when it is. Lost are the offsets below
 * Kafka's first one, or else those of records that are there, but lack Kafka's time. */
static enum fx_code check_uncounted(const struct decide *decide,
                                    const struct decide_offsets *offsets, int64_t next,
                                    struct fx_err *err)
{
    int64_t low = 0;
    int64_t end = 0;
    if (ask_range(decide, offsets, &low, &end, err) != FX_OK)
        return err->code;
    int64_t behind = low > next ? low : end;
    if (offsets->last < behind)
        return FX_OK;
    char lost[120] = "none that was not counted is lost";
    if (low > next)
        snprintf(lost, sizeof lost, "lost are %" PRId64 "-%" PRId64, next, low - 1);
    else if (end > next)
        snprintf(lost, sizeof lost, "%" PRId64 "-%" PRId64 " are there, none is lost above", next,
                 end - 1);
    return fx_err_set(err, FX_ECONFIG,
                      "%s:%d: the next offset to count is %" PRId64 ", Kafka's log is from %" PRId64
                      ", its end %" PRId64 ": %s; what is not lost yet cannot be accepted",
                      offsets->topic, (int)offsets->partition, next, low, end, lost);
}

/* The first claim after this one applies it: until then nothing of the figures changes. */
enum fx_code decide_accept_loss(struct decide *decide, struct fx_err *err)
{
    struct decide_offsets offsets;
    int64_t next = 0;
    if (decide_parse_offsets(decide->options->accept_loss, &offsets, err) != FX_OK ||
        take_partition(decide, &offsets, &next, err) != FX_OK)
        return err->code;
    if (offsets.first < next && offsets.last >= next)
        return fx_err_set(err, FX_ECONFIG,
                          "%s:%d is counted up to offset %" PRId64 ": accept either %" PRId64
                          "-%" PRId64 " or %" PRId64 "-%" PRId64,
                          offsets.topic, (int)offsets.partition, next - 1, offsets.first, next - 1,
                          next, offsets.last);
    bool is_counted = offsets.last < next;
    if (!is_counted && check_uncounted(decide, &offsets, next, err) != FX_OK)
        return err->code;
    if (record_acceptance(decide, &offsets, is_counted, err) != FX_OK)
        return err->code;
    buf_append_format(
        &decide->fields, "topic=%s partition=%d first=%" PRId64 " last=%" PRId64 " counted=%d",
        offsets.topic, (int)offsets.partition, offsets.first, offsets.last, is_counted);
    if (is_counted)
        buf_append_format(&decide->sentence,
                          "Accepted. fx-rollup reads %s:%d from offset %" PRId64 " on once more; "
                          "copies of what was counted do not count again.",
                          offsets.topic, (int)offsets.partition, offsets.first);
    else
        buf_append_format(&decide->sentence,
                          "Accepted. fx-rollup goes on in %s:%d without the offsets that are gone; "
                          "those that only lack Kafka's time count.",
                          offsets.topic, (int)offsets.partition);
    return FX_OK;
}

/* The id of the Kafka at -b. */
static enum fx_code ask_cluster(const struct decide *decide, char id[KAFKA_CLUSTER_MAX],
                                struct fx_err *err)
{
    rd_kafka_t *rk = NULL;
    if (open_kafka(decide, &rk, err) != FX_OK)
        return err->code;
    enum fx_code code = kafka_cluster(rk, ANSWER_MS, id, err);
    rd_kafka_destroy(rk);
    return code;
}

enum fx_code decide_accept_cluster(struct decide *decide, struct fx_err *err)
{
    char id[KAFKA_CLUSTER_MAX];
    PGresult *rows = NULL;
    struct pg_statement statement = {"SELECT cluster_id, fence_all() FROM definition", 0, NULL};
    if (ask_cluster(decide, id, err) != FX_OK ||
        pg_query(decide->conn, &statement, &rows, err) != FX_OK)
        return err->code;
    const char *old = PQgetisnull(rows, 0, 0) ? NULL : PQgetvalue(rows, 0, 0);
    const char *values[] = {decide->place->schema_name, old, id, decide->options->reason};
    if (old != NULL && strcmp(old, id) == 0)
        fx_err_set(err, FX_ECONFIG, "schema %s counts cluster %s already",
                   decide->place->schema_name, id);
    else if (decide_record(decide,
                           "INSERT INTO %s.cluster_move (schema_name, old_cluster, new_cluster, "
                           "reason, decided_by) VALUES ($1, $2, $3, $4, session_user)",
                           4, values, err) == FX_OK)
        (void)(sql_execute(decide->conn, "UPDATE definition SET cluster_id = $1", 1, &values[2],
                           err) == FX_OK);
    buf_append_format(&decide->fields, "old=%s new=%s", old == NULL ? "" : old, id);
    buf_append_format(&decide->sentence,
                      "Schema %s counts the topics of Kafka cluster %s from now on.",
                      decide->place->schema_name, id);
    PQclear(rows);
    return err->code;
}
