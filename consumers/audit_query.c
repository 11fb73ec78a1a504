/* SPDX-License-Identifier: Apache-2.0 */
#include "audit_query.h"

#include <stddef.h>

const char audit_query_head[] =
    "WITH scope AS (SELECT $1::text AS kind, $2::text AS region, $3::date AS day, "
    "$4::text AS source), "
    "kinds AS (SELECT DISTINCT d.kind, f.topic_prefix || '.' || replace(d.kind, '_', '-') AS topic "
    "FROM rollup_definition d CROSS JOIN definition f CROSS JOIN scope "
    "WHERE scope.kind IS NULL OR scope.kind = d.kind), "
    "places AS (SELECT a.region FROM region_ancestor a JOIN scope ON a.ancestor = scope.region), "
    /* a source whose place is unknown is charged to every root, as in the views */
    "placed AS (SELECT scope.*, EXISTS (SELECT FROM region r WHERE r.code = scope.region AND "
    "r.parent IS NULL) AS has_root FROM scope), "
    "now AS (SELECT c.* FROM completeness c JOIN kinds k ON k.kind = c.kind "
    "JOIN placed s ON (s.source IS NULL OR s.source = c.source) AND (s.region IS NULL OR "
    "c.region IN (SELECT region FROM places) OR (c.region IS NULL AND s.has_root)) "
    "WHERE c.level = 'source'), "
    "daily AS (SELECT c.* FROM completeness_daily c JOIN kinds k ON k.kind = c.kind "
    "JOIN placed s ON c.day = s.day AND (s.source IS NULL OR s.source = c.source) AND "
    "(s.region IS NULL OR c.region IN (SELECT region FROM places) OR "
    "(c.region IS NULL AND s.has_root)) WHERE c.level = 'source'), "
    "ranges AS (SELECT m.* FROM missing_range m JOIN kinds k ON k.kind = m.kind "
    "JOIN placed s ON (s.source IS NULL OR s.source = m.source) AND (s.region IS NULL OR "
    "m.region IN (SELECT region FROM places) OR (m.region IS NULL AND s.has_root)) AND "
    "(s.day IS NULL OR s.day = m.day)), "
    "runs AS (SELECT r.* FROM source_run r JOIN kinds k ON k.kind = r.kind "
    "JOIN placed s ON (s.source IS NULL OR s.source = r.source) AND (s.region IS NULL OR "
    "r.region IN (SELECT region FROM places) OR (r.region IS NULL AND s.has_root))), "
    "called AS (SELECT DISTINCT ON (r.kind, r.source) r.kind, r.source, r.name FROM source r "
    "ORDER BY r.kind, r.source, r.valid_from DESC) ";

const char audit_query_scope[] =
    "SELECT current_schema()::text AS schema, now() AS audited_at, s.kind, s.region, s.day, "
    "s.source, d.is_rebuild, d.record_schema, d.topic_prefix, "
    "EXISTS (SELECT FROM kinds) AS is_kind, "
    "s.region IS NULL OR EXISTS (SELECT FROM places) AS is_region, "
    "s.source IS NULL OR EXISTS (SELECT FROM source o WHERE o.source = s.source) OR "
    "EXISTS (SELECT FROM source_ledger l WHERE l.source = s.source) OR "
    "EXISTS (SELECT FROM rejected_range e WHERE e.source = s.source) AS is_source "
    "FROM placed s CROSS JOIN definition d";

const char audit_query_kinds_now[] =
    "SELECT k.kind, count(c.source) AS sources, "
    "coalesce(sum(c.sources_expected), 0)::bigint AS sources_expected, "
    "coalesce(sum(c.sources_heard), 0)::bigint AS sources_heard, "
    "coalesce(sum(c.sources_silent), 0)::bigint AS sources_silent, "
    "coalesce(sum(c.inputs_closed), 0)::bigint AS inputs_closed, "
    "coalesce(sum(c.inputs_stale), 0)::bigint AS inputs_stale, "
    "coalesce(sum(c.announced), 0)::bigint AS announced, "
    "coalesce(sum(c.counted), 0)::bigint AS counted, "
    "coalesce(sum(c.pending), 0)::bigint AS pending, "
    "coalesce(sum(c.missing), 0)::bigint AS missing, "
    "coalesce(sum(c.rejected), 0)::bigint AS rejected, "
    "coalesce(sum(c.written_off), 0)::bigint AS written_off, "
    "coalesce(sum(c.before_base), 0)::bigint AS before_base, "
    "coalesce(sum(c.duplicates), 0)::bigint AS duplicates, "
    "coalesce(sum(c.late), 0)::bigint AS late, "
    "coalesce(sum(c.clock_corrected), 0)::bigint AS clock_corrected, "
    "coalesce(sum(c.refused), 0)::bigint AS refused, "
    "coalesce(sum(c.runs_opened), 0)::bigint AS runs_opened, "
    "coalesce(sum(c.runs_lost), 0)::bigint AS runs_lost, "
    "coalesce(sum(c.runs_cloned), 0)::bigint AS runs_cloned, "
    "min(c.judged_at) AS judged_at, min(c.unknown_since) AS unknown_since "
    "FROM kinds k LEFT JOIN now c ON c.kind = k.kind GROUP BY k.kind ORDER BY k.kind";

const char audit_query_kinds_day[] =
    "SELECT k.kind, count(c.source) AS sources, "
    "coalesce(sum(c.sources_expected), 0)::bigint AS sources_expected, "
    "coalesce(sum(c.sources_heard), 0)::bigint AS sources_heard, "
    "coalesce(sum(c.silent_minutes), 0)::bigint AS silent_minutes, "
    "coalesce(sum(c.announced), 0)::bigint AS announced, "
    "coalesce(sum(c.counted), 0)::bigint AS counted, "
    "coalesce(sum(c.pending), 0)::bigint AS pending, "
    "coalesce(sum(c.missing), 0)::bigint AS missing, "
    "coalesce(sum(c.rejected), 0)::bigint AS rejected, "
    "coalesce(sum(c.written_off), 0)::bigint AS written_off, "
    "coalesce(sum(c.before_base), 0)::bigint AS before_base, "
    "coalesce(sum(c.duplicates), 0)::bigint AS duplicates, "
    "coalesce(sum(c.late), 0)::bigint AS late, "
    "coalesce(sum(c.clock_corrected), 0)::bigint AS clock_corrected, "
    "coalesce(sum(c.runs_opened), 0)::bigint AS runs_opened, "
    "coalesce(sum(c.runs_lost), 0)::bigint AS runs_lost, "
    "coalesce(sum(c.runs_cloned), 0)::bigint AS runs_cloned, "
    "min(c.judged_at) AS judged_at, min(c.unknown_since) AS unknown_since "
    "FROM kinds k LEFT JOIN daily c ON c.kind = k.kind GROUP BY k.kind ORDER BY k.kind";

/* closed: a run that goes on without input; one that ended is closed on purpose, and no finding. */
const char audit_query_sources_now[] =
    ", newest AS (SELECT DISTINCT ON (kind, source) kind, source, heartbeat_state, input_state, "
    "last_line_at, last_sign_at FROM runs ORDER BY kind, source, met_at DESC, run_number) "
    "SELECT c.*, q.*, n.last_sign_at, n.last_line_at, n.input_state, "
    "CASE WHEN n.source IS NULL THEN 'never heard' ELSE 'silent' END AS state FROM now c "
    "LEFT JOIN newest n ON n.kind = c.kind AND n.source = c.source "
    "CROSS JOIN LATERAL (SELECT c.sources_silent > 0 AS is_silent, c.inputs_stale > 0 AS is_stale, "
    "c.inputs_closed > 0 AND n.heartbeat_state <> 'ENDED' AS is_closed, c.refused > 0 AS "
    "is_refusing, c.pending > 0 AS is_pending, abs(c.clock_offset_ms) > 600000 AS is_clock_wrong, "
    "c.name IS NULL AS is_unregistered) q ORDER BY c.kind, c.source";

/* A day is whole if every hour of it that is over has a sign of life. */
const char audit_query_sources_day[] =
    ", clock AS (SELECT k.kind, k.topic, s.day, s.day::timestamp AT TIME ZONE 'Asia/Shanghai' AS "
    "starts, s.day::timestamp AT TIME ZONE 'Asia/Shanghai' + greatest(floor(extract(epoch FROM "
    "least((s.day + 1)::timestamp AT TIME ZONE 'Asia/Shanghai', y.judged_at) - "
    "s.day::timestamp AT TIME ZONE 'Asia/Shanghai') / 3600), 0) * interval '1 hour' AS until "
    "FROM kinds k CROSS JOIN scope s JOIN kind_clock y ON y.kind = k.kind), "
    "hours AS (SELECT c.kind, h.source, count(*) AS hours FROM clock c JOIN source_hour h "
    "ON h.topic = c.topic AND h.hour_start >= c.starts AND h.hour_start < c.until "
    "GROUP BY c.kind, h.source) "
    "SELECT c.*, q.silent_hours, q.is_silent, c.name IS NULL AS is_unregistered, "
    "c.pending > 0 OR (NOT c.complete AND NOT q.is_silent AND c.missing + c.rejected + "
    "c.runs_lost + c.runs_cloned = 0) AS is_pending, CASE WHEN c.sources_heard = 0 THEN "
    "'not heard' ELSE 'silent' END AS state FROM daily c JOIN clock k ON k.kind = c.kind "
    "LEFT JOIN hours h ON h.kind = c.kind AND h.source = c.source CROSS JOIN LATERAL (SELECT "
    "n.silent_hours, c.sources_expected > 0 AND (c.sources_heard = 0 OR n.silent_hours > 0) AS "
    "is_silent FROM (SELECT (extract(epoch FROM k.until - k.starts) / 3600)::bigint - "
    "coalesce(h.hours, 0) AS silent_hours) n) q ORDER BY c.kind, c.source";

/* region_field other than region skips events, and what was added later has not counted all. */
const char audit_query_definitions[] =
    "SELECT d.rollup, f.topic_prefix || '.' || replace(d.kind, '_', '-') AS topic, "
    "d.counted_by LIKE '%source%' AS by_source, d.counted_by LIKE '%region%' AS by_region, "
    "d.region_field = 'region' AND d.counted_since IS NULL AS counts_all, d.dimensions, "
    "to_regclass(d.rollup || '_city_total') IS NOT NULL AS has_region_totals, "
    "to_regclass(d.rollup || '_source_total') IS NOT NULL AS has_source_totals "
    "FROM rollup_definition d CROSS JOIN definition f ORDER BY d.rollup";

/* bounds: a line per field, "name type min max …" (setup_bounds.c). */
const char audit_query_columns[] =
    "SELECT c.rollup, c.name, c.aggregate, c.rule, c.aggregate = 'sum' AND EXISTS (SELECT FROM "
    "schema_version v WHERE v.kind = c.kind AND v.bounds ~ ('(?n)^' || "
    "substring(c.rule FROM '^sum\\(([^)]*)\\)') || ' [^ ]+ -')) AS may_be_negative "
    "FROM rollup_column c ORDER BY c.rollup, c.position";

/* Ranges and rejected numbers of a run in one order: each number falls to the range before it. A
 * join of the two would compare every number with every range. */
static const char missing[] =
    ", marks AS (SELECT m.topic, m.source, m.run_number, m.first_seq AS at, m.last_seq, "
    "ROW(m.*)::missing_range AS range, NULL AS reason FROM ranges m "
    "WHERE m.cause IN ('missing', 'rejected', 'lost') "
    "UNION ALL SELECT r.topic, r.source, r.run, unnest(r.seqs), NULL, NULL, r.reason "
    "FROM rejected_range r WHERE (r.topic, r.source, r.run) IN (SELECT topic, source, run_number "
    "FROM ranges WHERE cause = 'rejected')), "
    "placed_marks AS (SELECT x.*, count(last_seq) OVER w AS nth, max(last_seq) OVER w AS until "
    "FROM marks x WINDOW w AS (PARTITION BY topic, source, run_number "
    "ORDER BY at, last_seq NULLS LAST)), "
    "told AS (SELECT (array_agg(range) FILTER (WHERE reason IS NULL))[1] AS range, "
    "string_agg(DISTINCT reason, ' ' ORDER BY reason) FILTER (WHERE at <= until) AS reasons "
    "FROM placed_marks WHERE nth > 0 GROUP BY topic, source, run_number, nth) "
    "SELECT m.kind, m.topic, m.source, n.name, m.region, m.run, m.first_seq, m.last_seq, m.events, "
    "m.day, m.cause, m.found_at, m.is_gone, CASE WHEN m.cause = 'rejected' THEN t.reasons END AS "
    "reasons, l.is_quarantined FROM told t CROSS JOIN LATERAL (SELECT (t.range).*) m "
    "LEFT JOIN source_ledger l ON l.topic = m.topic AND l.source = m.source AND "
    "l.run = m.run_number "
    "LEFT JOIN called n ON n.kind = m.kind AND n.source = m.source "
    "ORDER BY m.kind, m.source, m.run, m.first_seq";

/* In a gap: until the number counts or is written off. Outside of the ledger, where the numbers of
 * good writers are missed all the same, a message troubles the day it came, as in the views; but
 * those of a quarantined run are missed by nobody else. Those of a log that was accepted as lost
 * (offsets below 0) are settled. A heartbeat has no number (0): the next one settles it. The gap of
 * a number is looked up for each by itself: a join would compare it with all gaps of its run. */
static const char rejected[] =
    ", met AS MATERIALIZED (SELECT r.topic, r.partition, r.reason, r.source, r.day, e.\"offset\", "
    "e.seq, e.appended_at, l.region, l.run AS known_run, l.high, l.heartbeat_at, "
    "(SELECT CASE WHEN e.seq <= g.last_seq THEN g.cause END FROM source_gap g WHERE "
    "g.topic = r.topic AND g.source = r.source AND g.run = r.run AND g.first_seq <= e.seq "
    "ORDER BY g.first_seq DESC LIMIT 1) AS cause FROM rejected_range r "
    "LEFT JOIN source_ledger l ON l.topic = r.topic AND l.source = r.source AND l.run = r.run "
    "CROSS JOIN LATERAL unnest(r.offsets, r.seqs, r.appended_at) AS e(\"offset\", seq, "
    "appended_at) WHERE r.last_offset >= 0 AND r.topic IN (SELECT topic FROM kinds)), "
    "unsettled AS (SELECT k.kind, m.* FROM met m JOIN kinds k ON k.topic = m.topic "
    "JOIN kind_clock y ON y.kind = k.kind CROSS JOIN placed s "
    "WHERE (s.source IS NULL OR s.source = m.source) AND (s.region IS NULL "
    "OR s.has_root OR "
    "m.region IN (SELECT region FROM places)) AND (s.day IS NULL OR s.day = m.day) AND "
    "(m.cause <> 'written_off' OR ((m.seq IS NULL OR m.known_run IS NULL OR m.seq > m.high OR "
    "(m.seq = 0 AND coalesce(m.heartbeat_at, '-infinity') < m.appended_at)) AND "
    "(s.day IS NOT NULL OR m.day >= y.judged_day OR m.reason = 'source_quarantined')))) "
    "SELECT kind, topic, reason, sum(events)::bigint AS events, "
    "(SELECT count(DISTINCT u.source) FROM unsettled u WHERE u.topic = p.topic AND "
    "u.reason = p.reason) AS sources, min(first_at) AS first_at, max(last_at) AS last_at, "
    "string_agg(partition || ':' || first_offset || '-' || last_offset, ' ' ORDER BY partition) "
    "AS offsets FROM (SELECT kind, topic, reason, partition, count(*) AS events, "
    "min(\"offset\") AS first_offset, max(\"offset\") AS last_offset, min(appended_at) AS "
    "first_at, max(appended_at) AS last_at FROM unsettled GROUP BY kind, topic, reason, partition) "
    "p GROUP BY kind, topic, reason ORDER BY kind, reason";

/* As in the views: a lost or cloned run troubles the day of its newest numbers; one that is known
 * to have lost some, until they are written off. */
static const char runs[] =
    "SELECT r.kind, r.topic, r.source, n.name, r.region, r.run, r.state, r.is_quarantined, "
    "r.previous_run, r.opened_at, r.last_sign_at, r.high, r.lost_first_seq, r.lost_last_seq "
    "FROM runs r CROSS JOIN scope s JOIN kind_clock k ON k.kind = r.kind "
    "LEFT JOIN called n ON n.kind = r.kind AND n.source = r.source "
    "WHERE (r.is_quarantined OR (r.state IN ('lost', 'cloned') AND (s.day IS NOT NULL OR "
    "r.day >= k.judged_day OR r.lost_first_seq IS NOT NULL))) AND (s.day IS NULL OR s.day = r.day) "
    "ORDER BY r.kind, r.source, r.run";

static const char holes[] =
    "SELECT k.kind, h.topic, h.partition, h.first_offset, h.last_offset, "
    "h.last_offset - h.first_offset + 1 AS events, h.found_at FROM offset_hole h "
    "JOIN kinds k ON k.topic = h.topic JOIN scope s ON s.day IS NULL OR "
    "s.day = (h.found_at AT TIME ZONE 'Asia/Shanghai')::date WHERE NOT EXISTS (SELECT FROM "
    "%s.acceptance a WHERE a.topic = h.topic AND a.partition = h.partition AND "
    "a.accepted_at > h.found_at AND a.first_offset <= h.first_offset AND a.last_offset >= "
    "h.last_offset) "
    "ORDER BY h.topic, h.partition, h.first_offset";

static const char behind[] =
    "SELECT k.kind, f.topic, f.partition, f.next_offset, f.caught_up_at, f.unknown_since, "
    "f.worker FROM freshness f JOIN kinds k ON k.topic = f.topic "
    "WHERE f.unknown_since IS NOT NULL ORDER BY f.topic, f.partition";

static const struct {
    const char *own;
    const char *flag;
    const char *picks;
    bool is_daily;
} queries[AUDIT_SECTION_COUNT] = {
    [AUDIT_MISSING] = {missing, NULL, NULL, true},
    [AUDIT_REJECTED] = {rejected, NULL, NULL, true},
    [AUDIT_SILENT] = {NULL, "is_silent",
                      "kind source name region state last_sign_at silent_since silent_minutes "
                      "silent_hours",
                      true},
    [AUDIT_STALE] = {NULL, "is_stale", "kind source name region input_state last_line_at", false},
    [AUDIT_RUNS] = {runs, NULL, NULL, true},
    [AUDIT_REFUSED] = {NULL, "is_refusing", "kind source name region refused", false},
    [AUDIT_PENDING] = {NULL, "is_pending", "kind source name region pending announced counted",
                       true},
    [AUDIT_HOLES] = {holes, NULL, NULL, true},
    [AUDIT_BREACHES] = {NULL, NULL, NULL, true},
    [AUDIT_CLOSED] = {NULL, "is_closed", "kind source name region input_state last_line_at", false},
    [AUDIT_CLOCKS] = {NULL, "is_clock_wrong", "kind source name region clock_offset_ms", false},
    [AUDIT_UNREGISTERED] = {NULL, "is_unregistered", "kind source region announced counted", true},
    [AUDIT_BEHIND] = {behind, NULL, NULL, false},
};

const char *audit_query_section(enum audit_section section)
{
    return queries[section].own;
}

bool audit_query_is_daily(enum audit_section section)
{
    return queries[section].is_daily;
}

const char *audit_query_flag(enum audit_section section)
{
    return queries[section].flag;
}

const char *audit_query_picks(enum audit_section section)
{
    return queries[section].picks;
}
