-- SPDX-License-Identifier: Apache-2.0
-- Functions that views and definitions call. fx-setup runs this file before it makes the views;
-- by hand: psql -c 'SET search_path = fangxian' -f functions.sql. Bodies are bound to their tables
-- when they are created, so they survive a schema that is renamed.

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

-- One row per region of a level (NULL: of every level), for the time from starts (included) to ends (not included):
--   expected   sources of the kind registered on the local day of starts at the node or below
--   heard      those of them with a sign of life in that time: an event, or a heartbeat of an open
--              input
--   missing    numbers known to be missing or rejected, of sources at the node or below. A number
--              that was not counted has no time of its own; it is charged to the time it was found
--              missing and to all time before, since it may belong to any of it, and to none
--              after. Settling it (a resend, a write-off) takes the charge away.
--              An unregistered source lies where its heartbeat or its latest event says; as long
--              as neither said, it is charged to every root.
--   complete   NULL if none was expected, or if a partition was not caught up up to the end of
--              that time (for a time that is not over: in the last minute). Else: every expected
--              source was heard in every whole hour of it that is over, nothing is missing, and
--              nothing that an outbox told of since starts is still to come.
-- is_everywhere: the rollup's region is a role (whence a person came), not the source's place, so
-- all sources of the kind answer for every node.
--
-- SECURITY DEFINER: analysts read the result, not the ledger. It also keeps the planner from
-- merging the body into a view and running it once per region instead of once per day. ROWS lies
-- between a province's cities and a prefecture's towns; a high guess would have the planner compile
-- (JIT) a query over one day, which takes longer than to run it.
CREATE OR REPLACE FUNCTION region_status(kind text, topic text, level text, is_everywhere boolean,
                                         starts timestamptz, ends timestamptz)
    RETURNS TABLE (of_level text, region text, name text, name_latin text, is_registered boolean,
                   expected bigint, heard bigint, missing bigint, complete boolean)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 10
BEGIN ATOMIC
    WITH clock AS MATERIALIZED (
        SELECT p.judged_at >= least(region_status.ends, now() - interval '1 minute') AS is_known,
               o.hours, region_status.starts + o.hours * interval '1 hour' AS until
        FROM (SELECT CASE WHEN count(caught_up_at) = count(*) THEN min(caught_up_at) END
                         AS judged_at
              FROM partition_position
              WHERE partition_position.topic = region_status.topic) p
        CROSS JOIN LATERAL (SELECT greatest(floor(extract(
            epoch FROM least(region_status.ends, p.judged_at) - region_status.starts) / 3600),
            0)::bigint AS hours) o
    ), alive AS MATERIALIZED (
        SELECT h.source,
               count(*) FILTER (WHERE h.hour_start >= region_status.starts
                                  AND h.hour_start < clock.until) AS hours
        FROM source_hour h
        CROSS JOIN clock
        WHERE h.topic = region_status.topic
          AND h.hour_start > region_status.starts - interval '1 hour'
          AND h.hour_start < region_status.ends
        GROUP BY h.source
    ), registered AS MATERIALIZED (
        SELECT s.region,
               (region_status.starts AT TIME ZONE 'Asia/Shanghai')::date
                   BETWEEN s.valid_from AND coalesce(s.valid_to, 'infinity'::date) AS is_expected,
               alive.source IS NOT NULL AS is_alive,
               alive.hours >= clock.hours AS is_whole
        FROM source s
        CROSS JOIN clock
        LEFT JOIN alive ON alive.source = s.source
        WHERE s.kind = region_status.kind
    ), owed AS MATERIALIZED (
        SELECT coalesce((SELECT s.region FROM source s
                         WHERE s.kind = region_status.kind AND s.source = x.source
                         ORDER BY s.valid_from DESC LIMIT 1),
                        (SELECT r.code FROM source_ledger l JOIN region r ON r.code = l.region
                         WHERE l.topic = region_status.topic AND l.source = x.source
                           AND l.run = x.run)) AS region,
               x.missing, x.pending
        FROM (SELECT g.source, g.run, sum(g.last_seq - g.first_seq + 1) AS missing, 0 AS pending
              FROM source_gap g
              WHERE g.topic = region_status.topic
                AND g.cause IN ('missing', 'rejected')
                AND g.opened_at >= region_status.starts
              GROUP BY g.source, g.run
              UNION ALL
              SELECT l.source, l.run, 0, l.announced - l.high
              FROM source_ledger l
              WHERE l.topic = region_status.topic
                AND l.announced > l.high
                AND l.heartbeat_at >= region_status.starts) x
    ), station AS (
        SELECT a.ancestor,
               count(*) FILTER (WHERE registered.is_expected) AS expected,
               count(*) FILTER (WHERE registered.is_expected AND registered.is_alive) AS heard,
               count(*) FILTER (WHERE registered.is_expected AND registered.is_whole) AS whole
        FROM registered
        JOIN region_ancestor a ON a.region = registered.region
        GROUP BY a.ancestor
    ), charge AS (
        SELECT a.ancestor, sum(owed.missing)::bigint AS missing,
               sum(owed.pending)::bigint AS pending
        FROM owed
        JOIN region_ancestor a ON a.region = owed.region
        GROUP BY a.ancestor
        UNION ALL
        SELECT r.code, sum(owed.missing)::bigint, sum(owed.pending)::bigint
        FROM owed
        JOIN region r ON r.parent IS NULL AND r.code <> '-'
        WHERE owed.region IS NULL
        GROUP BY r.code
    ), node AS (
        SELECT station.ancestor, station.expected, station.heard, station.whole,
               0::bigint AS missing, 0::bigint AS pending
        FROM station
        WHERE NOT region_status.is_everywhere
        UNION ALL
        SELECT charge.ancestor, 0, 0, 0, charge.missing, charge.pending
        FROM charge
        WHERE NOT region_status.is_everywhere
        UNION ALL
        SELECT r.code, e.expected, e.heard, e.whole, o.missing, o.pending
        FROM region r
        CROSS JOIN (SELECT count(*) AS expected,
                           count(*) FILTER (WHERE registered.is_alive) AS heard,
                           count(*) FILTER (WHERE registered.is_whole) AS whole
                    FROM registered
                    WHERE registered.is_expected) e
        CROSS JOIN (SELECT coalesce(sum(owed.missing), 0)::bigint AS missing,
                           coalesce(sum(owed.pending), 0)::bigint AS pending
                    FROM owed) o
        WHERE region_status.is_everywhere
    ), summed AS (
        SELECT node.ancestor, sum(node.expected)::bigint AS expected,
               sum(node.heard)::bigint AS heard, sum(node.whole)::bigint AS whole,
               sum(node.missing)::bigint AS missing, sum(node.pending)::bigint AS pending
        FROM node
        GROUP BY node.ancestor
    )
    SELECT r.level, r.code, r.name, r.name_latin,
           NOT region_status.is_everywhere
               AND EXISTS (SELECT FROM station WHERE station.ancestor = r.code),
           coalesce(n.expected, 0), coalesce(n.heard, 0), coalesce(n.missing, 0),
           CASE WHEN n.expected > 0 AND clock.is_known
                THEN n.whole = n.expected AND n.missing = 0 AND n.pending = 0 END
    FROM region r
    CROSS JOIN clock
    LEFT JOIN summed n ON n.ancestor = r.code
    WHERE region_status.level IS NULL OR r.level = region_status.level;
END;
COMMENT ON FUNCTION region_status(text, text, text, boolean, timestamptz, timestamptz) IS
    'who was expected and heard, and what is missing, per region 各地区应报、已报与缺失';

-- The same per source: every source that is registered for the kind or has a ledger.
CREATE OR REPLACE FUNCTION source_status(kind text, topic text, starts timestamptz,
                                         ends timestamptz)
    RETURNS TABLE (source text, name text, region text, is_registered boolean,
                   expected bigint, heard bigint, missing bigint, complete boolean)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 50
BEGIN ATOMIC
    WITH clock AS MATERIALIZED (
        SELECT p.judged_at >= least(source_status.ends, now() - interval '1 minute') AS is_known,
               o.hours, source_status.starts + o.hours * interval '1 hour' AS until
        FROM (SELECT CASE WHEN count(caught_up_at) = count(*) THEN min(caught_up_at) END
                         AS judged_at
              FROM partition_position
              WHERE partition_position.topic = source_status.topic) p
        CROSS JOIN LATERAL (SELECT greatest(floor(extract(
            epoch FROM least(source_status.ends, p.judged_at) - source_status.starts) / 3600),
            0)::bigint AS hours) o
    ), alive AS MATERIALIZED (
        SELECT h.source,
               count(*) FILTER (WHERE h.hour_start >= source_status.starts
                                  AND h.hour_start < clock.until) AS hours
        FROM source_hour h
        CROSS JOIN clock
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
        SELECT l.source,
               (array_agg(l.region ORDER BY greatest(l.heartbeat_at, l.last_appended_at) DESC
                                            NULLS LAST)
                FILTER (WHERE l.region IS NOT NULL))[1] AS region,
               sum(greatest(l.announced - l.high, 0))
                   FILTER (WHERE l.heartbeat_at >= source_status.starts) AS pending
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
           coalesce(loss.missing, 0),
           CASE WHEN s.is_expected AND clock.is_known
                THEN coalesce(alive.hours >= clock.hours, false) AND loss.missing IS NULL
                     AND coalesce(run.pending, 0) = 0 END
    FROM registered s
    FULL JOIN run ON run.source = s.source
    CROSS JOIN clock
    LEFT JOIN alive ON alive.source = coalesce(s.source, run.source)
    LEFT JOIN loss ON loss.source = coalesce(s.source, run.source);
END;
COMMENT ON FUNCTION source_status(text, text, timestamptz, timestamptz) IS
    'who was expected and heard, and what is missing, per source 各来源应报、已报与缺失';
