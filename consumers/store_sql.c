/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_sql - the statements of a flush. All parameters are arrays for unnest: one statement
 * text, prepared once, whatever the number of rows.
 */
#include "store_state.h"

#include <stdio.h>

const struct store_statement store_statements[] = {
    /* Waits for an old backend's row lock, then looks again: see store.h. */
    {"positions",
     "WITH d AS (SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], "
     "$5::bigint[], $6::bigint[], $7::bigint[], $8::timestamptz[]) AS d(topic, partition, "
     "generation, old_next, new_next, append_high_ms, bookmark, caught_up_at)), "
     "u AS (UPDATE partition_position p SET next_offset = d.new_next, "
     "append_high_ms = d.append_high_ms, bookmark = d.bookmark, "
     "caught_up_at = CASE WHEN d.caught_up_at IS NULL THEN p.caught_up_at ELSE "
     "greatest(p.caught_up_at, least(d.caught_up_at, clock_timestamp())) END FROM d "
     "WHERE p.topic = d.topic AND p.partition = d.partition AND p.next_offset = d.old_next "
     "AND p.generation = d.generation RETURNING 1) "
     "SELECT must((SELECT count(*) FROM u) = (SELECT count(*) FROM d), 'FX001', "
     "'a partition has another owner or position')"},
    /* A run not in memory is presumed new; the row counts tell. */
    {"runs",
     "WITH d AS (SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::int[], "
     "$5::bool[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], "
     "$11::bigint[], $12::bigint[], $13::int[], $14::bool[], $15::timestamptz[], "
     "$16::timestamptz[], $17::text[], $18::timestamptz[], $19::date[], $20::bigint[]) AS "
     "d(topic, source, run, partition, is_known, old_high, high, counted, duplicates, late, "
     "clock_corrected, rejected, gaps, is_quarantined, last_occurred_at, last_appended_at, region, "
     "opened_at, day, day_first_seq)), "
     "i AS (INSERT INTO source_ledger (topic, source, run, partition, high, counted, duplicates, "
     "late, clock_corrected, rejected, gaps, is_quarantined, last_occurred_at, last_appended_at, "
     "region, opened_at, day, day_first_seq) SELECT topic, source, run, partition, high, counted, "
     "duplicates, late, clock_corrected, rejected, gaps, is_quarantined, last_occurred_at, "
     "last_appended_at, region, opened_at, day, day_first_seq FROM d "
     "WHERE NOT is_known ON CONFLICT DO NOTHING RETURNING 1), "
     "u AS (UPDATE source_ledger l SET high = d.high, counted = l.counted + d.counted, "
     "duplicates = l.duplicates + d.duplicates, late = l.late + d.late, "
     "clock_corrected = l.clock_corrected + d.clock_corrected, "
     "rejected = l.rejected + d.rejected, gaps = d.gaps, is_quarantined = d.is_quarantined, "
     "last_occurred_at = greatest(l.last_occurred_at, d.last_occurred_at), "
     "last_appended_at = greatest(l.last_appended_at, d.last_appended_at), "
     "opened_at = least(l.opened_at, d.opened_at), "
     "day = d.day, day_first_seq = d.day_first_seq, "
     "region = CASE WHEN l.heartbeat_at IS NOT NULL THEN l.region "
     "WHEN d.last_appended_at < l.last_appended_at THEN coalesce(l.region, d.region) "
     "ELSE coalesce(d.region, l.region) END "
     "FROM d "
     "WHERE d.is_known AND l.topic = d.topic AND l.source = d.source AND l.run = d.run "
     "AND l.partition = d.partition AND l.high = d.old_high RETURNING 1) "
     "SELECT must((SELECT count(*) FROM i) + (SELECT count(*) FROM u) = "
     "(SELECT count(*) FROM d), 'FX002', 'a run is not what the ledger presumed')"},
    {"heartbeats",
     "UPDATE source_ledger l SET heartbeat_n = d.n, heartbeat_state = d.state, "
     "heartbeat_at = CASE WHEN l.heartbeat_state = 'ENDED' AND d.state = 'ENDED' "
     "THEN l.heartbeat_at ELSE d.appended_at END, announced = d.last_seq, acked = d.acked_seq, "
     "oldest_kept = d.oldest_kept, refused = d.refused, input_state = d.input_state, "
     "last_line_at = d.last_line_at, previous_run = d.previous_run, "
     "previous_last_seq = d.previous_last_seq, region = d.region, "
     "clock_offset_ms = d.clock_offset_ms FROM unnest($1::text[], $2::text[], $3::bigint[], "
     "$4::bigint[], $5::text[], $6::timestamptz[], $7::bigint[], $8::bigint[], $9::bigint[], "
     "$10::bigint[], $11::text[], $12::timestamptz[], $13::bigint[], $14::bigint[], $15::text[], "
     "$16::bigint[]) AS d(topic, source, run, n, state, appended_at, last_seq, acked_seq, "
     "oldest_kept, refused, input_state, last_line_at, previous_run, previous_last_seq, region, "
     "clock_offset_ms) WHERE l.topic = d.topic AND l.source = d.source AND l.run = d.run"},
    {"gaps_gone",
     "DELETE FROM source_gap g USING unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) "
     "AS d(topic, source, run, first_seq) WHERE g.topic = d.topic AND g.source = d.source "
     "AND g.run = d.run AND g.first_seq = d.first_seq"},
    {"gaps",
     "INSERT INTO source_gap (topic, source, run, first_seq, last_seq, cause, opened_at) "
     "SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], "
     "$6::text[], $7::timestamptz[])"},
    /* Folded with the one before it, if follows and of its kind. None is there yet; if one were, it
     * would stay, and nothing be folded over it. */
    {"rejected",
     "WITH d AS (SELECT d.*, (appended_at AT TIME ZONE 'Asia/Shanghai')::date AS day "
     "FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[], "
     "$7::bigint[], $8::bigint[], $9::int[], $10::bytea[], $11::timestamptz[], $12::bool[]) AS "
     "d(topic, partition, \"offset\", reason, detail, source, run, seq, length, sha256, "
     "appended_at, follows)), "
     "m AS (SELECT topic, partition, min(\"offset\") AS low, max(\"offset\") AS high FROM d "
     "GROUP BY 1, 2), "
     "t AS MATERIALIZED (SELECT r.topic, r.partition, unnest(r.offsets) AS \"offset\" FROM m JOIN "
     "rejected_range r ON r.topic = m.topic AND r.partition = m.partition AND "
     "r.last_offset >= m.low AND r.first_offset <= m.high), "
     "n AS (SELECT d.*, NOT follows OR EXISTS (SELECT FROM t) OR "
     "lag(reason) OVER w IS DISTINCT FROM reason OR lag(source) OVER w IS DISTINCT FROM source OR "
     "lag(run) OVER w IS DISTINCT FROM run OR lag(day) OVER w IS DISTINCT FROM day AS is_first "
     "FROM d WHERE (topic, partition, \"offset\") NOT IN (SELECT topic, partition, \"offset\" "
     "FROM t) WINDOW w AS (PARTITION BY topic, partition ORDER BY \"offset\")), "
     "f AS (SELECT n.*, count(*) FILTER (WHERE is_first) OVER (PARTITION BY topic, partition "
     "ORDER BY \"offset\") AS fold FROM n) " STORE_FOLD_SQL("f")},
    /* 64 locks at most, whatever the number of events: the lock table is small */
    {"mark_locks",
     "SELECT pg_advisory_xact_lock(hashtext('fx-mark ' || current_schema()), x.lock) FROM "
     "(SELECT DISTINCT hashtext(s.source) & 63 AS lock FROM unnest($1::text[]) AS s(source) "
     "ORDER BY 1) x"},
    /* Before the reversals of the same flush: none that is stored took the event to have counted
     * when it says. */
    {"corrected",
     "WITH d AS (SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], "
     "$5::timestamptz[]) AS d(topic, source, run, seq, counted_at)), "
     "i AS (INSERT INTO corrected_event SELECT * FROM d) "
     "SELECT must(NOT EXISTS (SELECT FROM d JOIN reversal r ON r.topic = d.topic AND "
     "r.source = d.source AND r.reversed_run = d.run AND r.reversed_seq = d.seq), 'FX003', "
     "'an event was reversed before it came')"},
    {"uncorrected",
     "SELECT must(NOT EXISTS (SELECT FROM unnest($1::text[], $2::text[], $3::bigint[], "
     "$4::bigint[]) AS d(topic, source, run, seq) JOIN corrected_event c ON c.topic = d.topic AND "
     "c.source = d.source AND c.run = d.run AND c.seq = d.seq), 'FX003', "
     "'the original of a refused reversal counted at another time')"},
    /* Each was reversed once, and counted when this worker took it to have counted. */
    {"reversals",
     "WITH d AS (SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], "
     "$5::bigint[], $6::bigint[], $7::timestamptz[], $8::timestamptz[]) AS d(topic, source, "
     "reversed_run, reversed_seq, run, seq, counted_at, undone_at)), "
     "i AS (INSERT INTO reversal SELECT topic, source, reversed_run, reversed_seq, run, seq, "
     "undone_at FROM d ON CONFLICT DO NOTHING RETURNING 1) "
     "SELECT must((SELECT count(*) FROM i) = (SELECT count(*) FROM d) AND NOT EXISTS (SELECT FROM "
     "d LEFT JOIN corrected_event c ON c.topic = d.topic AND c.source = d.source AND "
     "c.run = d.reversed_run AND c.seq = d.reversed_seq "
     "WHERE c.counted_at IS DISTINCT FROM d.counted_at), 'FX003', "
     "'an event was reversed before, or counted at another time')"},
    {"days", "INSERT INTO source_day (topic, source, run, day, first_seq, last_seq) "
             "SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::date[], $5::bigint[], "
             "$6::bigint[])"},
    {"tallies",
     "INSERT INTO source_tally AS t (topic, source, day, duplicates, late, clock_corrected) "
     "SELECT topic, source, day, sum(duplicates), sum(late), sum(clock_corrected) "
     "FROM unnest($1::text[], $2::text[], $3::date[], $4::bigint[], $5::bigint[], $6::bigint[]) "
     "AS d(topic, source, day, duplicates, late, clock_corrected) GROUP BY 1, 2, 3 ORDER BY 1, 2, "
     "3 ON CONFLICT (topic, source, day) DO UPDATE SET "
     "duplicates = t.duplicates + excluded.duplicates, late = t.late + excluded.late, "
     "clock_corrected = t.clock_corrected + excluded.clock_corrected"},
    /* "correction" is a view of the record schema's table */
    {"corrections",
     "INSERT INTO correction (rollup, level, region, bucket_start, dimensions, changes, cutoff_at) "
     "SELECT d.rollup, d.level, d.region, d.bucket_start, "
     "ARRAY(SELECT jsonb_array_elements_text(d.dimensions::jsonb)), d.changes::jsonb, d.cutoff_at "
     "FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], "
     "$7::timestamptz[]) AS d(rollup, level, region, bucket_start, dimensions, changes, "
     "cutoff_at)"},
    /* two runs of one source, or an hour met twice, meet here */
    {"hours",
     "INSERT INTO source_hour AS h (topic, source, hour_start, slots) "
     "SELECT topic, source, hour_start, bit_or(slots) FROM unnest($1::text[], $2::text[], "
     "$3::timestamptz[], $4::int[]) AS d(topic, source, hour_start, slots) GROUP BY 1, 2, 3 "
     "ORDER BY 1, 2, 3 ON CONFLICT (topic, source, hour_start) DO UPDATE "
     "SET slots = h.slots | excluded.slots WHERE h.slots <> h.slots | excluded.slots"},
    /* One that goes on where another ended is the same. Offsets that are read once more, as their
     * loss was accepted, are the hole that they were. */
    {"holes",
     "WITH d AS (SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS "
     "d(topic, partition, first_offset, last_offset)), "
     "u AS (UPDATE offset_hole h SET last_offset = d.last_offset FROM d WHERE "
     "h.topic = d.topic AND h.partition = d.partition AND h.last_offset = d.first_offset - 1 "
     "RETURNING d.topic, d.partition, d.first_offset) "
     "INSERT INTO offset_hole (topic, partition, first_offset, last_offset) SELECT * FROM d WHERE "
     "(topic, partition, first_offset) NOT IN (SELECT * FROM u) AND NOT EXISTS (SELECT FROM "
     "offset_hole h WHERE h.topic = d.topic AND h.partition = d.partition AND "
     "h.first_offset <= d.first_offset AND h.last_offset >= d.last_offset) "
     "ON CONFLICT DO NOTHING"},
    {NULL, NULL},
};

/* Which of the catalog's rollups it is. */
static int unit_of(const struct catalog *catalog, const struct rollup *rollup)
{
    int unit = 0;
    for (int k = 0; k < catalog->kind_count; unit += catalog->kinds[k++].rollups.count)
        for (int i = 0; i < catalog->kinds[k].rollups.count; i++)
            if (&catalog->kinds[k].rollups.rollups[i] == rollup)
                return unit + i;
    return unit;
}

void store_rollup_name(const struct catalog *catalog, const struct rollup *rollup, int level,
                       char name[STORE_NAME_MAX])
{
    snprintf(name, STORE_NAME_MAX, "rollup_%d_%d", unit_of(catalog, rollup), level);
}

void store_total_name(const struct catalog *catalog, const struct rollup *rollup, int level,
                      char name[STORE_NAME_MAX])
{
    snprintf(name, STORE_NAME_MAX, "total_%d_%d", unit_of(catalog, rollup), level);
}

bool store_is_sum(const struct rollup_column *column)
{
    return column->aggregate == AGGREGATE_COUNT || column->aggregate == AGGREGATE_SUM;
}

static int count_sums(const struct rollup *rollup)
{
    int count = 0;
    for (int i = 0; i < rollup->column_count; i++)
        count += store_is_sum(&rollup->columns[i]);
    return count;
}

bool store_has_sums(const struct rollup *rollup)
{
    return count_sums(rollup) > 0;
}

/* Of an upsert: see store_state.h. */
struct parameters {
    int next;
    int sums;  /* the array of sums, 0: there are none */
    int width; /* of its rows */
    int nth;   /* sums that are named already */
};

static struct parameters parameters_of(const struct rollup *rollup, int next)
{
    struct parameters at = {.next = next, .width = count_sums(rollup)};
    at.sums = at.width > 0 ? at.next++ : 0;
    return at;
}

/* The next sum in the select list, and its addition. */
static void append_sum(struct buf *select, struct buf *set, const char *name, struct parameters *at)
{
    at->nth++;
    buf_append_format(select, ", ($%d::bigint[])[o * %d - %d]", at->sums, at->width,
                      at->width - at->nth);
    /* NULL stays NULL: the row is older than the column, see rollup_column.counted_since */
    buf_append_format(set, ", %s = t.%s + excluded.%s", name, name, name);
}

/* "name" in the select list; what is added where in the upsert. */
static void append_column(struct buf *select, struct buf *set, const struct rollup_column *column,
                          struct parameters *at)
{
    const char *name = column->name;
    int next = at->next;
    switch (column->aggregate) {
    case AGGREGATE_COUNT:
    case AGGREGATE_SUM:
        append_sum(select, set, name, at);
        return;
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
        at->next++;
        buf_append_format(select, ", c%d", next);
        buf_append_format(set, ", %s = %s(t.%s, excluded.%s)", name,
                          column->aggregate == AGGREGATE_MIN ? "least" : "greatest", name, name);
        return;
    case AGGREGATE_LAST:
        at->next += 4;
        buf_append_format(select, ", c%d, CASE WHEN c%d IS NOT NULL THEN ARRAY[c%d, c%d, c%d] END",
                          next, next, next + 1, next + 2, next + 3);
        buf_append_format(set,
                          ", %s = CASE WHEN t.%s_last IS NULL OR excluded.%s_last > t.%s_last "
                          "THEN excluded.%s ELSE t.%s END, %s_last = greatest(t.%s_last, "
                          "excluded.%s_last)",
                          name, name, name, name, name, name, name, name, name);
        return;
    }
}

/* The target list: keys, then columns; last has a second one that orders. */
static void append_targets(struct buf *sql, const struct rollup *rollup, int level)
{
    bool is_source = level == LEVEL_SOURCE;
    for (int i = 0; i < rollup->column_count; i++) {
        const struct rollup_column *column = &rollup->columns[i];
        if (column->aggregate == AGGREGATE_LAST && is_source)
            buf_append_format(sql, ", %s, %s_last", column->name, column->name);
        else if (column->aggregate != AGGREGATE_LAST)
            buf_append_format(sql, ", %s", column->name);
    }
}

/* What is unnested, as columns c1, c2, … and the row's number o. */
static void append_unnest(struct buf *sql, const struct rollup *rollup, const struct parameters *at)
{
    int keys = 2 + rollup->dimension_count;
    buf_append_text(sql, " FROM unnest($1::text[], $2::timestamptz[]");
    for (int i = 3; i < at->next; i++)
        if (i != at->sums)
            buf_append_format(sql, ", $%d::%s", i, i <= keys ? "text[]" : "bigint[]");
    buf_append_text(sql, ") WITH ORDINALITY AS u(c1, c2");
    for (int i = 3; i < at->next; i++)
        if (i != at->sums)
            buf_append_format(sql, ", c%d", i);
    buf_append_text(sql, ", o)");
}

enum fx_code store_rollup_sql(const struct schema *schema, const struct rollup *rollup, int level,
                              struct buf *sql, struct fx_err *err)
{
    struct buf keys = BUF_INIT;
    struct buf select = BUF_INIT;
    struct buf set = BUF_INIT;
    bool is_source = level == LEVEL_SOURCE;
    int parameter = 1;
    buf_append_format(&keys, "%s, bucket_start", is_source ? "source" : "region");
    buf_append_format(&select, "c%d, c%d", parameter, parameter + 1);
    parameter += 2;
    for (int i = 0; i < rollup->dimension_count; i++) {
        buf_append_format(&keys, ", \"%s\"", schema->fields[rollup->dimensions[i]].name);
        buf_append_format(&select, ", c%d", parameter++);
    }
    struct parameters at = parameters_of(rollup, parameter);
    for (int i = 0; i < rollup->column_count; i++)
        if (rollup->columns[i].aggregate != AGGREGATE_LAST || is_source)
            append_column(&select, &set, &rollup->columns[i], &at);
    const char *assignments = buf_text(&set);
    buf_append_format(sql, "INSERT INTO %s_%s AS t (%s", rollup->name, levels_suffix(level),
                      buf_text(&keys));
    append_targets(sql, rollup, level);
    buf_append_format(sql, ") SELECT %s", buf_text(&select));
    append_unnest(sql, rollup, &at);
    buf_append_format(sql, " ON CONFLICT (%s) DO ", buf_text(&keys));
    if (assignments[0] == '\0')
        buf_append_text(sql, "NOTHING");
    else
        buf_append_format(sql, "UPDATE SET %s", assignments + 2);
    sql->is_failed = sql->is_failed || keys.is_failed || select.is_failed || set.is_failed;
    buf_release(&keys);
    buf_release(&select);
    buf_release(&set);
    return buf_check(sql, err);
}

/* One column of a total: its name, its parameter, what the upsert does. */
static void append_total(struct buf *names, struct buf *select, struct buf *set,
                         const struct rollup_column *column, struct parameters *at)
{
    const char *name = column->name;
    if (store_is_sum(column)) {
        buf_append_format(names, ", %s", name);
        append_sum(select, set, name, at);
        return;
    }
    buf_append_format(names, ", %s_at", name);
    buf_append_format(select, ", to_timestamp(c%d / 1000)", at->next++);
    buf_append_format(set, ", %s_at = greatest(t.%s_at, excluded.%s_at)", name, name, name);
}

enum fx_code store_total_sql(const struct schema *schema, const struct rollup *rollup, int level,
                             struct buf *sql, struct fx_err *err)
{
    struct buf keys = BUF_INIT;
    struct buf names = BUF_INIT;
    struct buf select = BUF_INIT;
    struct buf set = BUF_INIT;
    int parameter = 3;
    buf_append_text(&keys, level == LEVEL_SOURCE ? "source" : "region");
    buf_append_text(&select, "c1");
    for (int i = 0; i < rollup->dimension_count; i++) {
        buf_append_format(&keys, ", \"%s\"", schema->fields[rollup->dimensions[i]].name);
        buf_append_format(&select, ", c%d", parameter++);
    }
    buf_append_text(&select, ", c2");
    struct parameters at = parameters_of(rollup, parameter);
    for (int i = 0; i < rollup->column_count; i++)
        if (levels_is_totalled(&rollup->columns[i], level))
            append_total(&names, &select, &set, &rollup->columns[i], &at);
    buf_append_format(sql, "INSERT INTO %s_%s_total AS t (%s, first_bucket%s) SELECT %s",
                      rollup->name, levels_suffix(level), buf_text(&keys), buf_text(&names),
                      buf_text(&select));
    append_unnest(sql, rollup, &at);
    buf_append_format(sql,
                      " ON CONFLICT (%s) DO UPDATE SET first_bucket = least(t.first_bucket, "
                      "excluded.first_bucket)%s",
                      buf_text(&keys), buf_text(&set));
    sql->is_failed =
        sql->is_failed || keys.is_failed || names.is_failed || select.is_failed || set.is_failed;
    buf_release(&keys);
    buf_release(&names);
    buf_release(&select);
    buf_release(&set);
    return buf_check(sql, err);
}
