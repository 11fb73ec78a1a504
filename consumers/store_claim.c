/* SPDX-License-Identifier: Apache-2.0 */
/* store_claim - what a worker reads from PostgreSQL, under the locks that make it true. */
#include "store_state.h"

#include "../common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Literals of the claim's partitions and of what is wanted, for text parameters. */
struct literals {
    struct buf topics;
    struct buf partitions;
    struct buf generations;
    struct buf lows;
    struct buf wanted_topics;
    struct buf wanted_sources;
    struct buf wanted_runs;
    struct buf wanted_seqs;
};

static void add_number(struct buf *literal, int64_t number)
{
    buf_append_format(literal, "%c%" PRId64, literal->size == 0 ? '{' : ',', number);
}

/* Topics and sources hold no quote or backslash: text_is_name. */
static void add_name(struct buf *literal, const char *name)
{
    buf_append_format(literal, "%c\"%s\"", literal->size == 0 ? '{' : ',', name);
}

static const char *close_literal(struct buf *literal)
{
    buf_append_text(literal, literal->size == 0 ? "{}" : "}");
    return buf_text(literal);
}

#define LITERAL_COUNT 8

static void list_literals(struct literals *literals, struct buf *all[LITERAL_COUNT])
{
    struct buf *listed[] = {&literals->topics,        &literals->partitions,
                            &literals->generations,   &literals->lows,
                            &literals->wanted_topics, &literals->wanted_sources,
                            &literals->wanted_runs,   &literals->wanted_seqs};
    _Static_assert(sizeof listed == LITERAL_COUNT * sizeof listed[0], "all of them");
    memcpy(all, listed, sizeof listed);
}

static enum fx_code write_literals(const struct store *store, const struct claim *claim,
                                   struct literals *to, struct fx_err *err)
{
    for (int i = 0; i < claim->count; i++) {
        const struct claim_partition *part = &claim->partitions[i];
        add_name(&to->topics, store->options.topics[part->topic]);
        add_number(&to->partitions, part->partition);
        add_number(&to->generations, part->generation);
        add_number(&to->lows, part->low_offset);
    }
    for (int i = 0; i < claim->wanted_count; i++) {
        const struct claim_wanted *wanted = &claim->wanted[i];
        add_name(&to->wanted_topics, store->options.topics[wanted->topic]);
        add_name(&to->wanted_sources, wanted->source);
        add_number(&to->wanted_runs, wanted->run);
        add_number(&to->wanted_seqs, wanted->seq);
    }
    struct buf *all[LITERAL_COUNT];
    list_literals(to, all);
    for (int i = 0; i < LITERAL_COUNT && err->code == FX_OK; i++) {
        close_literal(all[i]);
        (void)(buf_check(all[i], err) == FX_OK);
    }
    return err->code;
}

static void release_literals(struct literals *literals)
{
    struct buf *all[LITERAL_COUNT];
    list_literals(literals, all);
    for (int i = 0; i < LITERAL_COUNT; i++)
        buf_release(all[i]);
}

static int64_t number_at(const PGresult *rows, int row, int column, int64_t if_null)
{
    return PQgetisnull(rows, row, column) ? if_null
                                          : strtoll(PQgetvalue(rows, row, column), NULL, 10);
}

/* The definitions this worker compiled must be the ones the tables were made from. */
static enum fx_code check_definition(struct store *store, struct claim *claim, struct fx_err *err)
{
    PGresult *rows = NULL;
    struct pg_statement statement = {"SELECT hash, accept_simulated, record_schema, "
                                     "cluster_id FROM definition",
                                     0, NULL};
    if (pg_query(store->conn, &statement, &rows, err) != FX_OK)
        return err->code;
    const char *hash = store->options.catalog->hash;
    if (PQntuples(rows) != 1)
        fx_err_set(err, FX_ECONFIG, "schema %s is not set up: run fx-setup",
                   store->options.schema_name);
    else if (strcmp(PQgetvalue(rows, 0, 0), hash) != 0)
        fx_err_set(err, FX_ECONFIG,
                   "the definitions here (%.12s) are not those schema %s was set up from (%.12s): "
                   "run fx-setup, restart",
                   hash, store->options.schema_name, PQgetvalue(rows, 0, 0));
    else if (!text_is_identifier(PQgetvalue(rows, 0, 2)))
        fx_err_set(err, FX_ESTATE, "definition.record_schema is no identifier");
    else if (!PQgetisnull(rows, 0, 3) && strcmp(PQgetvalue(rows, 0, 3), claim->cluster) != 0)
        fx_err_set(err, FX_ESTATE,
                   "this Kafka is cluster %s, but schema %s counts cluster %s: correct -b; if the "
                   "topics were moved: fx-setup --accept-cluster --reason TEXT",
                   claim->cluster, store->options.schema_name, PQgetvalue(rows, 0, 3));
    if (err->code == FX_OK) {
        claim->accept_simulated = PQgetvalue(rows, 0, 1)[0] == 't';
        text_copy(store->record_schema, sizeof store->record_schema, PQgetvalue(rows, 0, 2));
    }
    PQclear(rows);
    return err->code;
}

static enum fx_code run_with(struct store *store, const char *sql, int count,
                             const char *const *values, struct fx_err *err)
{
    PGresult *rows = NULL;
    struct pg_statement statement = {sql, count, values};
    if (pg_query(store->conn, &statement, &rows, err) == FX_OK)
        PQclear(rows);
    return err->code;
}

static struct claim_partition *find_partition(const struct claim *claim, int topic,
                                              int64_t partition)
{
    for (int i = 0; i < claim->count; i++)
        if (claim->partitions[i].topic == topic && claim->partitions[i].partition == partition)
            return &claim->partitions[i];
    return NULL;
}

static enum fx_code read_positions(const struct store *store, const PGresult *rows,
                                   struct claim *claim, struct fx_err *err)
{
    if (PQntuples(rows) != claim->count)
        return fx_err_set(err, FX_ESTATE, "%d positions for %d partitions", PQntuples(rows),
                          claim->count);
    for (int i = 0; i < claim->count; i++) {
        struct claim_partition *part = find_partition(
            claim, store_topic(store, PQgetvalue(rows, i, 0)), number_at(rows, i, 1, -1));
        if (part == NULL)
            return fx_err_set(err, FX_ESTATE, "a position that was not asked for");
        part->base_offset = number_at(rows, i, 2, 0);
        part->next_offset = number_at(rows, i, 3, 0);
        part->has_bookmark = !PQgetisnull(rows, i, 4);
        part->bookmark = number_at(rows, i, 4, 0);
        part->append_high_ms = number_at(rows, i, 5, 0);
    }
    return FX_OK;
}

/* A partition that is met for the first time: losses that were accepted before are of a log that
 * this schema never knew. */
static const char insert_sql[] =
    "INSERT INTO partition_position (topic, partition, generation, base_offset, next_offset, "
    "accepted_id) SELECT d.topic, d.partition, d.generation, d.low, d.low, (SELECT "
    "max(a.id) FROM %s.acceptance a WHERE a.topic = d.topic AND "
    "a.partition = d.partition AND a.is_counted) FROM unnest($1::text[], $2::int[], $3::bigint[], "
    "$4::bigint[]) AS d(topic, partition, generation, low) ORDER BY 1, 2 ON CONFLICT DO NOTHING";

static const char lock_sql[] =
    "SELECT FROM partition_position p WHERE (p.topic, p.partition) IN "
    "(SELECT * FROM unnest($1::text[], $2::int[])) ORDER BY p.topic, p.partition FOR UPDATE OF p";

/* Locks the position rows in order, makes them ours, and reads them. */
static enum fx_code lock_positions(struct store *store, struct claim *claim,
                                   struct literals *literals, struct fx_err *err)
{
    const char *values[] = {buf_text(&literals->topics), buf_text(&literals->partitions),
                            buf_text(&literals->generations), buf_text(&literals->lows),
                            store->options.worker};
    PGresult *rows = NULL;
    struct pg_statement insert = {insert_sql, 4, values};
    if (store_record_query(store, &insert, &rows, err) != FX_OK)
        return err->code;
    PQclear(rows);
    if (run_with(store, lock_sql, 2, values, err) != FX_OK ||
        store_take_positions(store, values, &rows, err) != FX_OK)
        return err->code;
    (void)(read_positions(store, rows, claim, err) == FX_OK);
    PQclear(rows);
    if (err->code == FX_OK)
        (void)(store_read_untimed(store, values, claim, err) == FX_OK);
    return err->code;
}

#define WANTED_RUNS                                                                                \
    "(l.topic, l.source, l.run) IN (SELECT * FROM unnest($3::text[], $4::text[], $5::bigint[]))"

#define RUN_COLUMNS                                                                                \
    "l.topic, l.source, l.run, l.partition, l.high, CASE WHEN l.heartbeat_at IS NULL THEN -1 "     \
    "ELSE l.heartbeat_n END, l.is_quarantined, (extract(epoch FROM (l.day + 1)::timestamp AT "     \
    "TIME ZONE 'Asia/Shanghai') * 1000)::bigint, l.day_first_seq "

/* The newest runs of the partitions, and those that were presumed new and are not. */
static const char runs_sql[] =
    "(SELECT " RUN_COLUMNS "FROM source_ledger l WHERE (l.topic, l.partition) IN "
    "(SELECT * FROM unnest($1::text[], $2::int[])) "
    "ORDER BY l.last_appended_at DESC NULLS LAST LIMIT $6) UNION "
    "SELECT " RUN_COLUMNS "FROM source_ledger l WHERE " WANTED_RUNS;

#define GAPS_OF_RUNS                                                                               \
    "SELECT g.topic, g.source, g.run, g.first_seq, g.last_seq, g.cause, "                          \
    "(extract(epoch FROM g.opened_at) * 1000)::bigint FROM source_gap g "                          \
    "JOIN source_ledger l USING (topic, source, run) WHERE "

/* Who wants no newest runs, as a re-drive, does not read all gaps of the partition. */
static const char gaps_sql[] =
    GAPS_OF_RUNS "$6::int > 0 AND (l.topic, l.partition) IN "
                 "(SELECT * FROM unnest($1::text[], $2::int[])) UNION " GAPS_OF_RUNS WANTED_RUNS
                 " ORDER BY 1, 2, 3, 4";

static bool read_key(const struct store *store, const PGresult *rows, int row,
                     struct ledger_key *key)
{
    int topic = store_topic(store, PQgetvalue(rows, row, 0));
    key->topic = (uint16_t)topic;
    key->source = PQgetvalue(rows, row, 1);
    key->source_size = (size_t)PQgetlength(rows, row, 1);
    key->run = number_at(rows, row, 2, 0);
    return topic >= 0;
}

static enum fx_code read_runs(const struct store *store, const PGresult *rows,
                              struct ledger *ledger, struct fx_err *err)
{
    for (int i = 0; i < PQntuples(rows); i++) {
        struct ledger_key key;
        int index;
        int32_t partition = (int32_t)number_at(rows, i, 3, 0);
        if (!read_key(store, rows, i, &key))
            continue;
        if (ledger_find(ledger, &key, partition, &index, err) != FX_OK)
            return err->code;
        ledger_load(ledger, index, number_at(rows, i, 4, 0), partition,
                    PQgetvalue(rows, i, 6)[0] == 't');
        struct ledger_entry *entry = ledger_entry(ledger, index);
        entry->heartbeat_n = number_at(rows, i, 5, 0);
        entry->day.end_ms = number_at(rows, i, 7, LEDGER_NO_DAY);
        entry->day.first = number_at(rows, i, 8, 0);
    }
    return FX_OK;
}

static enum fx_code read_gaps(const struct store *store, const PGresult *rows,
                              struct ledger *ledger, struct fx_err *err)
{
    for (int i = 0; i < PQntuples(rows); i++) {
        struct ledger_key key;
        struct gap gap = {.first = number_at(rows, i, 3, 0),
                          .last = number_at(rows, i, 4, 0),
                          .opened_ms = number_at(rows, i, 6, 0),
                          .cause = gap_cause_parse(PQgetvalue(rows, i, 5))};
        int index = read_key(store, rows, i, &key) ? ledger_lookup(ledger, &key) : -1;
        if (index < 0)
            continue; /* of a run that was not loaded */
        if (gap.cause == GAP_CAUSE_COUNT)
            return fx_err_set(err, FX_ESTATE, "source_gap: unknown cause");
        if (ledger_load_gap(ledger, index, &gap, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

/* Runs that are not counted yet, but are known to live in one of several partitions. */
static const char homes_sql[] =
    "SELECT h.topic, h.source, h.run, h.partition FROM %s.run_home h "
    "WHERE (h.topic, h.source, h.run) IN "
    "(SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])) AND NOT EXISTS (SELECT FROM "
    "source_ledger l WHERE l.topic = h.topic AND l.source = h.source AND l.run = h.run)";

/* They stay presumed new, and have their home. */
static enum fx_code load_homes(struct store *store, const char *const values[3],
                               struct ledger *ledger, struct fx_err *err)
{
    PGresult *rows = NULL;
    struct pg_statement statement = {homes_sql, 3, values};
    if (store_record_query(store, &statement, &rows, err) != FX_OK)
        return err->code;
    for (int i = 0; i < PQntuples(rows) && err->code == FX_OK; i++) {
        struct ledger_key key;
        int index;
        int32_t partition = (int32_t)number_at(rows, i, 3, 0);
        if (read_key(store, rows, i, &key))
            (void)(ledger_find(ledger, &key, partition, &index, err) == FX_OK);
    }
    PQclear(rows);
    return err->code;
}

static enum fx_code load_ledger(struct store *store, const struct claim *claim,
                                struct literals *literals, struct ledger *ledger,
                                struct fx_err *err)
{
    char limit[16];
    snprintf(limit, sizeof limit, "%d", claim->runs_max);
    const char *values[] = {buf_text(&literals->topics),        buf_text(&literals->partitions),
                            buf_text(&literals->wanted_topics), buf_text(&literals->wanted_sources),
                            buf_text(&literals->wanted_runs),   limit};
    PGresult *rows = NULL;
    struct pg_statement runs = {runs_sql, 6, values};
    struct pg_statement gaps = {gaps_sql, 6, values};
    if (pg_query(store->conn, &runs, &rows, err) != FX_OK)
        return err->code;
    (void)(read_runs(store, rows, ledger, err) == FX_OK);
    PQclear(rows);
    if (err->code != FX_OK || pg_query(store->conn, &gaps, &rows, err) != FX_OK)
        return err->code;
    (void)(read_gaps(store, rows, ledger, err) == FX_OK);
    PQclear(rows);
    if (err->code == FX_OK && claim->wanted_count > 0)
        (void)(load_homes(store, &values[2], ledger, err) == FX_OK);
    return err->code;
}

/* What a flush found out about: by whom an event was reversed, or when it counted. */
static const char reversed_sql[] =
    "SELECT r.topic, r.source, r.reversed_run, r.reversed_seq, r.run, r.seq, "
    "(extract(epoch FROM c.counted_at) * 1000)::bigint, "
    "(extract(epoch FROM r.undone_at) * 1000)::bigint FROM reversal r "
    "LEFT JOIN corrected_event c ON c.topic = r.topic AND c.source = r.source AND "
    "c.run = r.reversed_run AND c.seq = r.reversed_seq "
    "WHERE (r.topic, r.source, r.reversed_run, r.reversed_seq) IN "
    "(SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]))";
static const char corrected_sql[] =
    "SELECT topic, source, run, seq, 0, 0, (extract(epoch FROM counted_at) * 1000)::bigint, 0 "
    "FROM corrected_event WHERE (topic, source, run, seq) IN "
    "(SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]))";

static enum fx_code load_set(struct store *store, const struct pg_statement *statement,
                             struct mark_set *set, struct fx_err *err)
{
    PGresult *rows = NULL;
    if (pg_query(store->conn, statement, &rows, err) != FX_OK)
        return err->code;
    fx_assert(set->count == 0); /* what is not committed was dropped */
    for (int i = 0; i < PQntuples(rows) && err->code == FX_OK; i++) {
        struct mark one = {.topic = (uint16_t)store_topic(store, PQgetvalue(rows, i, 0)),
                           .run = number_at(rows, i, 2, 0),
                           .seq = number_at(rows, i, 3, 0),
                           .by_run = number_at(rows, i, 4, 0),
                           .by_seq = number_at(rows, i, 5, 0),
                           .counted_ms = number_at(rows, i, 6, MARK_AS_SAID),
                           .undone_ms = number_at(rows, i, 7, 0)};
        text_copy(one.source, sizeof one.source, PQgetvalue(rows, i, 1));
        (void)(mark_set_add(set, &one, err) == FX_OK);
    }
    mark_set_sent(set);
    PQclear(rows);
    return err->code;
}

static enum fx_code load_marks(struct store *store, const struct claim *claim,
                               struct literals *literals, struct marks *marks, struct fx_err *err)
{
    if (claim->wanted_count == 0)
        return FX_OK;
    const char *values[] = {buf_text(&literals->wanted_topics), buf_text(&literals->wanted_sources),
                            buf_text(&literals->wanted_runs), buf_text(&literals->wanted_seqs)};
    struct pg_statement reversed = {reversed_sql, 4, values};
    struct pg_statement corrected = {corrected_sql, 4, values};
    if (load_set(store, &reversed, &marks->reversed, err) != FX_OK)
        return err->code;
    return load_set(store, &corrected, &marks->corrected, err);
}

/* Buckets before the newest cut-off stand in a report. A rebuild counts them anew: that is no
 * correction. */
static enum fx_code load_cutoff(struct store *store, struct claim *claim, struct fx_err *err)
{
    PGresult *rows = NULL;
    struct pg_statement statement = {
        "SELECT (extract(epoch FROM max(c.as_of)) * 1000)::bigint FROM %s.cutoff c "
        "WHERE NOT (SELECT is_rebuild FROM definition)",
        0, NULL};
    if (store_record_query(store, &statement, &rows, err) == FX_OK)
        claim->reported_until_ms = number_at(rows, 0, 0, INT64_MIN);
    PQclear(rows);
    return err->code;
}

static enum fx_code claim_all(struct store *store, struct claim *claim, struct ledger *ledger,
                              struct marks *marks, struct fx_err *err)
{
    struct literals literals = {BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT,
                                BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT};
    enum fx_code code = write_literals(store, claim, &literals, err);
    if (code == FX_OK)
        code = pg_run(store->conn, "BEGIN ISOLATION LEVEL READ COMMITTED", err);
    if (code == FX_OK)
        code = check_definition(store, claim, err);
    if (code == FX_OK)
        code = lock_positions(store, claim, &literals, err);
    if (code == FX_OK) /* again: fx-setup may have waited for the same rows, or we for its */
        code = check_definition(store, claim, err);
    if (code == FX_OK)
        code = load_ledger(store, claim, &literals, ledger, err);
    if (code == FX_OK)
        code = load_marks(store, claim, &literals, marks, err);
    if (code == FX_OK)
        code = load_cutoff(store, claim, err);
    if (code == FX_OK)
        code = pg_run(store->conn, "COMMIT", err);
    release_literals(&literals);
    return code;
}

enum fx_code store_claim(struct store *store, struct claim *claim, struct ledger *ledger,
                         struct marks *marks, struct fx_err *err)
{
    enum fx_code code = store_connect(store, err);
    if (code == FX_OK)
        code = claim_all(store, claim, ledger, marks, err);
    if (code == FX_OK)
        return FX_OK;
    if (code == FX_ECLAIM)
        store->is_blocked = true;
    store_disconnect(store);
    return fx_err_wrap(err, "claim");
}

enum fx_code store_load_regions(struct store *store, struct region_tree *tree, struct fx_err *err)
{
    PGresult *rows = NULL;
    struct pg_statement statement = {
        "SELECT code, name, name_latin, level, coalesce(parent, ''), "
        "coalesce(statistical_parent, '') FROM region WHERE code <> '-' "
        "ORDER BY array_position(array['city', 'county', 'town'], level), code",
        0, NULL};
    if (store->is_in_flight)
        return fx_err_set(err, FX_ERETRY, "regions: a flush is in flight");
    if (store_connect(store, err) != FX_OK ||
        pg_query(store->conn, &statement, &rows, err) != FX_OK)
        return fx_err_wrap(err, "regions");
    for (int i = 0; i < PQntuples(rows) && err->code == FX_OK; i++) {
        struct region node;
        memset(&node, 0, sizeof node);
        text_copy(node.code, sizeof node.code, PQgetvalue(rows, i, 0));
        text_copy(node.name, sizeof node.name, PQgetvalue(rows, i, 1));
        text_copy(node.name_latin, sizeof node.name_latin, PQgetvalue(rows, i, 2));
        text_copy(node.statistical_parent, sizeof node.statistical_parent, PQgetvalue(rows, i, 5));
        const char *level = PQgetvalue(rows, i, 3);
        node.level = level[0] == 't'                ? REGION_TOWN
                     : strcmp(level, "county") == 0 ? REGION_COUNTY
                                                    : REGION_CITY;
        if (region_tree_add(tree, &node, PQgetvalue(rows, i, 4), err) != FX_OK)
            fx_err_wrap(err, "table region");
    }
    PQclear(rows);
    return err->code;
}

enum fx_code store_reached(struct store *store, const struct intake_range *ends, int count,
                           bool *is_reached, struct fx_err *err)
{
    struct buf topics = BUF_INIT;
    struct buf partitions = BUF_INIT;
    struct buf offsets = BUF_INIT;
    for (int i = 0; i < count; i++) {
        add_name(&topics, store->options.topics[ends[i].topic]);
        add_number(&partitions, ends[i].partition);
        add_number(&offsets, ends[i].high);
    }
    const char *values[] = {close_literal(&topics), close_literal(&partitions),
                            close_literal(&offsets)};
    struct pg_statement statement = {
        "SELECT count(*) FROM unnest($1::text[], $2::int[], $3::bigint[]) AS e(topic, partition, "
        "ending) LEFT JOIN partition_position p USING (topic, partition) "
        "WHERE e.ending > coalesce(p.next_offset, 0)",
        3, values};
    PGresult *rows = NULL;
    if (buf_check(&topics, err) == FX_OK && buf_check(&partitions, err) == FX_OK &&
        buf_check(&offsets, err) == FX_OK && store_connect(store, err) == FX_OK &&
        pg_query(store->conn, &statement, &rows, err) == FX_OK) {
        *is_reached = number_at(rows, 0, 0, 1) == 0;
        PQclear(rows);
    } else {
        store_disconnect(store);
    }
    buf_release(&topics);
    buf_release(&partitions);
    buf_release(&offsets);
    return err->code;
}
