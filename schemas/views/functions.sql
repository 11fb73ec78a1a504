-- SPDX-License-Identifier: Apache-2.0
-- Functions that views and definitions call. fx-setup runs this file before it makes the views;
-- by hand: psql -c 'SET search_path = fangxian' -f functions.sql. Bodies are bound to their tables
-- when they are created, so they survive a schema that is renamed by fx-setup --swap.

-- The p-quantile of a histogram: total values, of which cumulative[i] are <= edges[i]. Straight
-- lines between the edges, from 0 below the first. NULL if nothing was counted or an edge was not
-- counted yet; the last edge where the quantile lies beyond it.
CREATE OR REPLACE FUNCTION quantile(p double precision, total bigint, edges bigint[],
                                    cumulative bigint[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE
               WHEN coalesce(total, 0) <= 0 OR array_position(cumulative, NULL) IS NOT NULL
                   THEN NULL
               ELSE coalesce(
                   (SELECT b.edge_before + (b.edge - b.edge_before)
                               * greatest(p * total - b.count_before, 0)
                               / nullif(b.counted - b.count_before, 0)::double precision
                    FROM (SELECT e.edge, e.counted, e.nth,
                                 lag(e.edge, 1, 0::bigint) OVER w AS edge_before,
                                 lag(e.counted, 1, 0::bigint) OVER w AS count_before
                          FROM unnest(edges, cumulative) WITH ORDINALITY AS e (edge, counted, nth)
                          WINDOW w AS (ORDER BY e.nth)) b
                    WHERE b.counted >= p * total AND b.counted > b.count_before
                    ORDER BY b.nth
                    LIMIT 1),
                   edges[array_upper(edges, 1)]::double precision)
           END;
END;
COMMENT ON FUNCTION quantile(double precision, bigint, bigint[], bigint[]) IS
    'p-quantile from cumulative counts per edge 由累计直方图求分位数';

-- One row per region of a level, for the time from starts (included) to ends (not included):
--   expected   sources of the kind registered on the local day of starts at the node or below
--   heard      those of them with a sign of life (event or heartbeat) in that time
--   missing    numbers known to be missing or rejected, of sources at the node or below. A number
--              that was not counted has no time of its own; it is charged to the time it was found
--              missing and to all time before, since it may belong to any of it, and to none
--              after. Settling it (a resend, a write-off) takes the charge away.
--              An unregistered source lies where its heartbeat says.
-- is_everywhere: the rollup's region is a role (whence a person came), not the source's place, so
-- all sources of the kind answer for every node.
--
-- SECURITY DEFINER: analysts read the result, not the ledger. It also keeps the planner from
-- merging the body into a view and running it once per region instead of once per day. ROWS lies
-- between a province's cities and a prefecture's towns; a high guess would have the planner compile
-- (JIT) a query over one day, which takes longer than to run it.
CREATE OR REPLACE FUNCTION region_status(kind text, topic text, level text, is_everywhere boolean,
                                         starts timestamptz, ends timestamptz)
    RETURNS TABLE (region text, name text, name_latin text, is_registered boolean,
                   expected bigint, heard bigint, missing bigint)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 10
BEGIN ATOMIC
    WITH alive AS MATERIALIZED (
        SELECT h.source
        FROM source_hour h
        WHERE h.topic = region_status.topic
          AND h.hour_start > region_status.starts - interval '1 hour'
          AND h.hour_start < region_status.ends
        GROUP BY h.source
    ), registered AS MATERIALIZED (
        SELECT s.region,
               (region_status.starts AT TIME ZONE 'Asia/Shanghai')::date
                   BETWEEN s.valid_from AND coalesce(s.valid_to, 'infinity'::date) AS is_expected,
               alive.source IS NOT NULL AS is_alive
        FROM source s
        LEFT JOIN alive ON alive.source = s.source
        WHERE s.kind = region_status.kind
    ), gap AS MATERIALIZED (
        SELECT coalesce((SELECT s.region FROM source s
                         WHERE s.kind = region_status.kind AND s.source = g.source
                         ORDER BY s.valid_from DESC LIMIT 1),
                        (SELECT l.region FROM source_ledger l
                         WHERE l.topic = region_status.topic AND l.source = g.source
                           AND l.run = g.run)) AS region,
               g.events
        FROM (SELECT source_gap.source, source_gap.run,
                     sum(source_gap.last_seq - source_gap.first_seq + 1)::bigint AS events
              FROM source_gap
              WHERE source_gap.topic = region_status.topic
                AND source_gap.cause IN ('missing', 'rejected')
                AND source_gap.opened_at >= region_status.starts
              GROUP BY source_gap.source, source_gap.run) g
    ), station AS (
        SELECT a.ancestor,
               count(*) FILTER (WHERE registered.is_expected) AS expected,
               count(*) FILTER (WHERE registered.is_expected AND registered.is_alive) AS heard
        FROM registered
        JOIN region_ancestor a ON a.region = registered.region
        GROUP BY a.ancestor
    ), loss AS (
        SELECT a.ancestor, sum(gap.events)::bigint AS missing
        FROM gap
        JOIN region_ancestor a ON a.region = gap.region
        GROUP BY a.ancestor
    ), everywhere AS (
        SELECT (SELECT count(*) FROM registered WHERE registered.is_expected) AS expected,
               (SELECT count(*) FROM registered
                WHERE registered.is_expected AND registered.is_alive) AS heard,
               (SELECT coalesce(sum(gap.events), 0)::bigint FROM gap) AS missing
    )
    SELECT r.code, r.name, r.name_latin,
           NOT region_status.is_everywhere AND station.ancestor IS NOT NULL,
           CASE WHEN region_status.is_everywhere THEN e.expected
                ELSE coalesce(station.expected, 0) END,
           CASE WHEN region_status.is_everywhere THEN e.heard
                ELSE coalesce(station.heard, 0) END,
           CASE WHEN region_status.is_everywhere THEN e.missing
                ELSE coalesce(loss.missing, 0) END
    FROM region r
    CROSS JOIN everywhere e
    LEFT JOIN station ON station.ancestor = r.code
    LEFT JOIN loss ON loss.ancestor = r.code
    WHERE r.level = region_status.level;
END;
COMMENT ON FUNCTION region_status(text, text, text, boolean, timestamptz, timestamptz) IS
    'who was expected and heard, and what is missing, per region 各地区应报、已报与缺失';

-- The same per source: every source that is registered for the kind or has a ledger.
CREATE OR REPLACE FUNCTION source_status(kind text, topic text, starts timestamptz,
                                         ends timestamptz)
    RETURNS TABLE (source text, name text, region text, is_registered boolean,
                   expected bigint, heard bigint, missing bigint)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 50
BEGIN ATOMIC
    WITH alive AS MATERIALIZED (
        SELECT h.source
        FROM source_hour h
        WHERE h.topic = source_status.topic
          AND h.hour_start > source_status.starts - interval '1 hour'
          AND h.hour_start < source_status.ends
        GROUP BY h.source
    ), registered AS (
        SELECT DISTINCT ON (x.source) x.source, x.name, x.region, x.is_expected
        FROM (SELECT s.source, s.name, s.region, s.valid_from,
                     (source_status.starts AT TIME ZONE 'Asia/Shanghai')::date
                         BETWEEN s.valid_from AND coalesce(s.valid_to, 'infinity'::date)
                         AS is_expected
              FROM source s
              WHERE s.kind = source_status.kind) x
        ORDER BY x.source, x.is_expected DESC, x.valid_from DESC
    ), run AS (
        SELECT l.source, (array_agg(l.region ORDER BY l.heartbeat_at DESC NULLS LAST))[1] AS region
        FROM source_ledger l
        WHERE l.topic = source_status.topic
        GROUP BY l.source
    ), loss AS (
        SELECT g.source, sum(g.last_seq - g.first_seq + 1)::bigint AS missing
        FROM source_gap g
        WHERE g.topic = source_status.topic
          AND g.cause IN ('missing', 'rejected')
          AND g.opened_at >= source_status.starts
        GROUP BY g.source
    )
    SELECT coalesce(s.source, run.source), s.name, coalesce(s.region, run.region),
           s.source IS NOT NULL,
           CASE WHEN s.is_expected THEN 1 ELSE 0 END,
           CASE WHEN alive.source IS NULL THEN 0 ELSE 1 END,
           coalesce(loss.missing, 0)
    FROM registered s
    FULL JOIN run ON run.source = s.source
    LEFT JOIN alive ON alive.source = coalesce(s.source, run.source)
    LEFT JOIN loss ON loss.source = coalesce(s.source, run.source);
END;
COMMENT ON FUNCTION source_status(text, text, timestamptz, timestamptz) IS
    'who was expected and heard, and what is missing, per source 各来源应报、已报与缺失';
