/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_state - what store.c (connection, poll), store_claim.c (reads), store_accept.c (losses),
 * store_send.c and store_total.c (writes) share. Private to them.
 */
#ifndef FX_STORE_STATE_H
#define FX_STORE_STATE_H

#include "pg.h"
#include "store.h"
#include "store_array.h"

#define STORE_ARRAYS_MAX (3 + ROLLUP_DIMENSIONS_MAX + 4 * ROLLUP_COLUMNS_MAX)
#define STORE_NAME_MAX 32
#define STORE_ROWS_MAX 2048 /* of one statement: arrays of more would be as much memory again */

struct store {
    struct store_options options;
    PGconn *conn; /* NULL: none */
    bool is_in_flight;
    bool is_blocked; /* the last failure was a lock that did not come */
    int64_t sent_ms;
    int results; /* of the flush in flight so far */
    bool is_commit_tagged;
    struct fx_err failure; /* first error of the flush in flight */
    enum store_conflict conflict;
    struct array arrays[STORE_ARRAYS_MAX];
    struct cell **rows; /* of a table, in the order of its totals; kept from flush to flush */
    int rows_room;
    char record_schema[64]; /* of what was decided, as the last claim found it */
};

/* Rejected messages as rows of rejected_range, see schemas/tables.sql. events: a relation of those
 * that are to lie in one row together where fold is the same. */
#define STORE_FOLD_SQL(events)                                                                     \
    "INSERT INTO rejected_range (topic, partition, reason, source, run, offsets, details, seqs, "  \
    "lengths, digests, appended_at) SELECT topic, partition, reason, source, run, "                \
    "array_agg(\"offset\" ORDER BY \"offset\"), array_agg(detail ORDER BY \"offset\"), "           \
    "array_agg(seq ORDER BY \"offset\"), array_agg(length ORDER BY \"offset\"), "                  \
    "array_agg(sha256 ORDER BY \"offset\"), array_agg(appended_at ORDER BY \"offset\") "           \
    "FROM " events " GROUP BY topic, partition, reason, source, run, fold"

/* The messages of row r. */
#define STORE_UNFOLD_SQL                                                                           \
    " CROSS JOIN LATERAL unnest(r.offsets, r.details, r.seqs, r.lengths, r.digests, "              \
    "r.appended_at) AS e(\"offset\", detail, seq, length, sha256, appended_at) "

/* store_sql.c: the fixed statements, by name. */
struct store_statement {
    const char *name;
    const char *sql;
};
extern const struct store_statement store_statements[];

/*
 * store_sql.c: the upsert into table rollup_level, and the name it is prepared under. Parameters:
 * region or source, bucket, dimensions, an array each; the counts and sums of all rows, one row
 * after another, in one array; per extreme an array, per last value four.
 *
 * An array that is unnested costs PostgreSQL as much a row as the addition it is for; one that is
 * subscripted next to nothing, but it must hold no null, or each look at it begins at its front.
 */
FX_MUST_CHECK enum fx_code store_rollup_sql(const struct schema *schema,
                                            const struct rollup *rollup, int level, struct buf *sql,
                                            struct fx_err *err);
void store_rollup_name(const struct catalog *catalog, const struct rollup *rollup, int level,
                       char name[STORE_NAME_MAX]);

/* store_sql.c: the same for its table of totals. Parameters: region or source, first bucket,
 * dimensions; counts and sums, as above; of sources, per last value its newest bucket in ms. */
FX_MUST_CHECK enum fx_code store_total_sql(const struct schema *schema, const struct rollup *rollup,
                                           int level, struct buf *sql, struct fx_err *err);
void store_total_name(const struct catalog *catalog, const struct rollup *rollup, int level,
                      char name[STORE_NAME_MAX]);

/* store_sql.c: whether a column is never null and only added to; whether there is one. */
bool store_is_sum(const struct rollup_column *column);
bool store_has_sums(const struct rollup *rollup);

/* store_send.c: the parameters of one statement as arrays, then the statement: by the name it was
 * prepared under, or as text. */
void store_begin_arrays(struct store *store, const enum array_type *types, int count);
FX_MUST_CHECK enum fx_code store_send_arrays(struct store *store, const char *name, int count,
                                             struct fx_err *err);
FX_MUST_CHECK enum fx_code store_send_arrays_sql(struct store *store, const char *sql, int count,
                                                 struct fx_err *err);

/* store_send.c: region or source, bucket and dimensions of one of the table's rows, into the first
 * arrays. */
void store_add_key(struct store *store, const struct flush *flush, const struct level_table *table,
                   const struct cell_key *key);

/* store_total.c: what the table's rows add to its table of totals; nothing if it has none. */
FX_MUST_CHECK enum fx_code store_send_totals(struct store *store, const struct flush *flush,
                                             const struct level_table *table, struct fx_err *err);

/* store_note.c: what a flush notes beside the figures. */
FX_MUST_CHECK enum fx_code store_send_marks(struct store *store, const struct flush *flush,
                                            struct fx_err *err);
FX_MUST_CHECK enum fx_code store_send_homes(struct store *store, const struct flush *flush,
                                            struct fx_err *err);
FX_MUST_CHECK enum fx_code store_send_days(struct store *store, const struct flush *flush,
                                           struct fx_err *err);
FX_MUST_CHECK enum fx_code store_send_tallies(struct store *store, const struct flush *flush,
                                              struct fx_err *err);
FX_MUST_CHECK enum fx_code store_send_corrections(struct store *store, const struct flush *flush,
                                                  struct fx_err *err);

/* store_redrive.c: the part of a flush that settles rejected events. */
FX_MUST_CHECK enum fx_code store_send_settled(struct store *store, const struct flush *flush,
                                              struct fx_err *err);

/* store.c: a connection with all statements prepared. */
FX_MUST_CHECK enum fx_code store_connect(struct store *store, struct fx_err *err);
void store_disconnect(struct store *store);

/* store.c: waits, but not for long, until the server has taken what was sent. */
void store_drain(struct store *store);

/* store_accept.c: appends text, in which each %s stands for the quoted record schema; and runs such
 * a statement. */
void store_record_sql(const struct store *store, const char *text, struct buf *sql);
FX_MUST_CHECK enum fx_code store_record_query(struct store *store,
                                              const struct pg_statement *statement, PGresult **rows,
                                              struct fx_err *err);

/* store_accept.c: the locked positions get their new generations, and what was accepted is applied.
 * values: topics, partitions, generations, low offsets, worker. The caller clears *rows. */
FX_MUST_CHECK enum fx_code store_take_positions(struct store *store, const char *const values[5],
                                                PGresult **rows, struct fx_err *err);

/* store_accept.c: the accepted offsets that are not counted yet. values: topics, partitions. */
FX_MUST_CHECK enum fx_code store_read_untimed(struct store *store, const char *const values[2],
                                              struct claim *claim, struct fx_err *err);

/* Index of the topic called name, -1: not ours. */
int store_topic(const struct store *store, const char *name);

#endif
