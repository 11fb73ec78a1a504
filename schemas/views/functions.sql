-- SPDX-License-Identifier: Apache-2.0
-- Functions that views and definitions call. fx-setup runs this file before it makes the views;
-- by hand: psql -c 'SET search_path = fangxian' -f functions.sql. Bodies are bound to their tables
-- when they are created, so they survive a schema that is renamed.

-- generate_series, of which the planner expects few rows: days and hours are asked for one or few at
-- a time. Of a thousand it would expect so much work that it compiles every query (JIT), which takes
-- seconds where to run it takes milliseconds. (SET keeps the body from becoming a part of the query.)
CREATE OR REPLACE FUNCTION time_steps(low timestamp, high timestamp, step interval)
    RETURNS TABLE (at timestamp)
    LANGUAGE sql STABLE ROWS 5 SET jit = off
BEGIN ATOMIC
    SELECT g FROM generate_series(time_steps.low, time_steps.high, time_steps.step) g;
END;
COMMENT ON FUNCTION time_steps(timestamp, timestamp, interval) IS
    'local times from low to high 起止之间的各时刻';
CREATE OR REPLACE FUNCTION time_steps(low timestamptz, high timestamptz, step interval)
    RETURNS TABLE (at timestamptz)
    LANGUAGE sql STABLE ROWS 5 SET jit = off
BEGIN ATOMIC
    SELECT g FROM generate_series(time_steps.low, time_steps.high, time_steps.step) g;
END;
COMMENT ON FUNCTION time_steps(timestamptz, timestamptz, interval) IS
    'instants from low to high 起止之间的各时刻';

-- Edges of a rollup's buckets: the last one by at, and the first one that is not before it. A bucket
-- divides eight hours, so that midnight of the reporting zone is an edge of every width.
CREATE OR REPLACE FUNCTION bucket_edge(rollup text, at timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT date_bin(d.bucket_ms * interval '1 millisecond', bucket_edge.at,
                    timestamptz '2000-01-01 00:00+00')
    FROM rollup_definition d
    WHERE d.rollup = bucket_edge.rollup;
END;
COMMENT ON FUNCTION bucket_edge(text, timestamptz) IS
    'the last edge of a bucket by then 不晚于某时的时段界';
CREATE OR REPLACE FUNCTION bucket_end(rollup text, at timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT bucket_edge(d.rollup, bucket_end.at - interval '1 microsecond')
               + d.bucket_ms * interval '1 millisecond'
    FROM rollup_definition d
    WHERE d.rollup = bucket_end.rollup;
END;
COMMENT ON FUNCTION bucket_end(text, timestamptz) IS
    'the first edge of a bucket that is not before then 不早于某时的时段界';

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

-- One row per source that is registered for the kind or has a ledger, for the time from starts
-- (included) to ends (not included), which lies within one local day:
--   expected   1: registered on that day
--   heard      1: gave a sign of life in that time: an event, or a heartbeat of an open input
--   is_whole   heard in every whole hour of it that is over
--   silent_minutes  five for each five-minute slot that is over and has no sign of life; NULL:
--              not expected. Heartbeats come every five minutes, so that one slot may be skipped
--   missing    numbers of that day that are missing, rejected or lost (missing_range): an hour
--              shows its day's, since a number that was not counted has no hour
--   pending    numbers told of on that day and still to come
--   is_open    numbers of that day may be still to come: told of on that day or later, and the
--              newest ones that came are of that day or before
--   lost       those of missing that lie above what was ever met
--   runs_lost, runs_cloned  runs charged to that day
--   is_known   all partitions were caught up to the end of that time; for a time that is not over:
--              in the last minute
--   complete   NULL unless expected and is_known; else is_whole and nothing missing, still to
--              come, lost or cloned
-- A source that is not registered lies where its newest heartbeat or event says.
--
-- SECURITY DEFINER: analysts read the result, not the ledger. It also keeps the planner from
-- merging the body into a view and running it once per source instead of once per day. ROWS is
-- low on purpose: a high guess would have the planner compile (JIT) a query over one day, which
-- takes longer than to run it.
CREATE OR REPLACE FUNCTION source_status(kind text, topic text, starts timestamptz,
                                         ends timestamptz)
    RETURNS TABLE (source text, name text, region text, is_registered boolean,
                   expected bigint, heard bigint, missing bigint, complete boolean,
                   is_whole boolean, silent_minutes bigint, pending bigint, is_open boolean,
                   lost bigint, runs_lost bigint, runs_cloned bigint, is_known boolean)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 50
BEGIN ATOMIC
    WITH clock AS MATERIALIZED (
        SELECT (source_status.starts AT TIME ZONE 'Asia/Shanghai')::date AS day, k.judged_at,
               k.judged_at >= least(source_status.ends, now() - interval '1 minute') AS is_known,
               o.slots / 12 AS hours,
               source_status.starts + o.slots / 12 * interval '1 hour' AS until,
               o.slots, source_status.starts + o.slots * interval '5 minutes' AS silent_until
        FROM kind_clock k
        CROSS JOIN LATERAL (SELECT greatest(floor(extract(
            epoch FROM least(source_status.ends, k.judged_at) - source_status.starts) / 300),
            0)::bigint AS slots) o
        WHERE k.kind = source_status.kind
    ), alive AS MATERIALIZED (
        SELECT h.source,
               count(*) FILTER (WHERE h.hour_start >= source_status.starts
                                  AND h.hour_start < clock.until) AS hours,
               coalesce(sum(bit_count(h.slots::bit(12) & (CASE
                   WHEN h.hour_start < clock.until THEN 4095
                   ELSE (1 << (extract(epoch FROM clock.silent_until - h.hour_start) / 300)::int)
                            - 1 END)::bit(12)))
                   FILTER (WHERE h.hour_start >= source_status.starts
                             AND h.hour_start < clock.silent_until), 0)::bigint AS slots
        FROM source_hour h
        CROSS JOIN clock
        WHERE h.topic = source_status.topic
          AND h.hour_start > source_status.starts - interval '1 hour'
          AND h.hour_start < source_status.ends
        GROUP BY h.source
    ), registered AS MATERIALIZED (
        SELECT DISTINCT ON (x.source) x.source, x.name, x.region, x.is_expected
        FROM (SELECT s.source, s.name, s.region, s.valid_from,
                     clock.day BETWEEN s.valid_from AND coalesce(s.valid_to, 'infinity'::date)
                         AS is_expected
              FROM source s
              CROSS JOIN clock
              WHERE s.kind = source_status.kind) x
        ORDER BY x.source, x.is_expected DESC, x.valid_from DESC
    ), chain AS MATERIALIZED (
        SELECT c.source, c.is_chain, c.has_pending
        FROM run_chain c
        WHERE c.topic = source_status.topic
    ), verdict AS MATERIALIZED (
        SELECT c.source, j.run, j.is_cloned, j.is_lost, j.lost_last_seq
        FROM chain c
        CROSS JOIN clock
        CROSS JOIN LATERAL judge_runs(source_status.topic, c.source, clock.judged_at) j
        WHERE NOT c.is_chain AND (j.is_cloned OR j.is_lost OR j.lost_last_seq IS NOT NULL)
    ), odd AS (
        SELECT l.source, coalesce(v.is_lost AND NOT v.is_cloned, false) AS is_lost,
               coalesce(v.is_cloned, false) AS is_cloned,
               greatest(v.lost_last_seq - l.high, 0) AS lost,
               CASE WHEN v.is_lost THEN 0
                    ELSE greatest(l.announced - greatest(l.high, v.lost_last_seq), 0) END
                   AS pending,
               coalesce(l.day, (coalesce(l.opened_at, l.heartbeat_at, l.last_appended_at)
                                    AT TIME ZONE 'Asia/Shanghai')::date) AS day,
               (l.last_occurred_at AT TIME ZONE 'Asia/Shanghai')::date AS occurred_day,
               (l.heartbeat_at AT TIME ZONE 'Asia/Shanghai')::date AS told_day
        FROM chain c
        CROSS JOIN LATERAL (SELECT * FROM source_ledger x
                            WHERE x.topic = source_status.topic AND x.source = c.source
                            OFFSET 0) l
        LEFT JOIN verdict v ON v.source = l.source AND v.run = l.run
        WHERE (c.has_pending OR NOT c.is_chain)
          AND (l.announced > l.high OR v.run IS NOT NULL)
    ), run AS (
        SELECT o.source,
               coalesce(sum(o.pending) FILTER (WHERE o.told_day = clock.day), 0)::bigint
                   AS pending,
               coalesce(bool_or(o.pending > 0 AND clock.day BETWEEN least(o.day, o.occurred_day)
                                                            AND o.told_day), false) AS is_open,
               coalesce(sum(o.lost) FILTER (WHERE o.day = clock.day), 0)::bigint AS lost,
               count(*) FILTER (WHERE o.is_lost AND o.day = clock.day) AS runs_lost,
               count(*) FILTER (WHERE o.is_cloned AND o.day = clock.day) AS runs_cloned
        FROM odd o
        CROSS JOIN clock
        GROUP BY o.source
    ), loss AS (
        SELECT g.source, sum(g.last_seq - g.first_seq + 1)::bigint AS missing
        FROM gap_range g
        WHERE g.topic = source_status.topic AND g.cause IN ('missing', 'rejected')
          AND g.day = (source_status.starts AT TIME ZONE 'Asia/Shanghai')::date
        GROUP BY g.source
    ), stranger AS (
        SELECT DISTINCT ON (l.source) l.source, r.code AS region
        FROM chain c
        CROSS JOIN LATERAL (SELECT * FROM source_ledger x
                            WHERE x.topic = source_status.topic AND x.source = c.source
                            OFFSET 0) l -- each by its key, whatever the planner thinks of filters
        LEFT JOIN region r ON r.code = l.region
        WHERE c.source NOT IN (SELECT x.source FROM registered x)
        ORDER BY l.source, r.code IS NULL,
                 coalesce(l.opened_at, l.heartbeat_at, l.last_appended_at) DESC
    ), known AS (
        SELECT s.source, s.name, s.region, true AS is_registered, s.is_expected
        FROM registered s
        UNION ALL
        SELECT s.source, NULL, s.region, false, false
        FROM stranger s
    ), state AS (
        SELECT s.*, alive.source IS NOT NULL AS is_alive,
               coalesce(loss.missing, 0) + coalesce(run.lost, 0) AS missing,
               coalesce(run.lost, 0) AS lost,
               alive.source IS NOT NULL AND alive.hours >= clock.hours AS is_whole,
               (clock.slots - coalesce(alive.slots, 0)) * 5 AS silent_minutes,
               coalesce(run.pending, 0) AS pending, coalesce(run.is_open, false) AS is_open,
               coalesce(run.runs_lost, 0) AS runs_lost,
               coalesce(run.runs_cloned, 0) AS runs_cloned, clock.is_known
        FROM known s
        CROSS JOIN clock
        LEFT JOIN alive ON alive.source = s.source
        LEFT JOIN run ON run.source = s.source
        LEFT JOIN loss ON loss.source = s.source
    )
    SELECT s.source, s.name, s.region, s.is_registered, s.is_expected::int, s.is_alive::int,
           s.missing,
           CASE WHEN s.is_expected AND s.is_known
                THEN s.is_whole AND s.missing = 0 AND NOT s.is_open
                     AND s.runs_lost + s.runs_cloned = 0 END,
           s.is_whole, CASE WHEN s.is_expected THEN s.silent_minutes END, s.pending, s.is_open,
           s.lost, s.runs_lost, s.runs_cloned, coalesce(s.is_known, false)
    FROM state s;
END;
COMMENT ON FUNCTION source_status(text, text, timestamptz, timestamptz) IS
    'who was expected and heard, and what is missing, per source 各来源应报、已报与缺失';

-- Numbers of all days before day that are missing, rejected or lost, per source that has some; where
-- it is registered on that day, else where it says it is.
CREATE OR REPLACE FUNCTION missing_before(kind text, topic text, day date)
    RETURNS TABLE (source text, region text, missing bigint)
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 5
BEGIN ATOMIC
    WITH gone AS (
        SELECT g.source, g.last_seq - g.first_seq + 1 AS missing
        FROM gap_range g
        WHERE g.topic = missing_before.topic AND g.cause IN ('missing', 'rejected')
          AND g.day < missing_before.day
        UNION ALL
        SELECT l.source, j.lost_last_seq - l.high
        FROM kind_clock k
        CROSS JOIN run_chain c
        CROSS JOIN LATERAL judge_runs(c.topic, c.source, k.judged_at) j
        JOIN source_ledger l ON l.topic = c.topic AND l.source = c.source AND l.run = j.run
        WHERE k.kind = missing_before.kind AND c.topic = missing_before.topic
          AND NOT c.is_chain AND j.lost_last_seq > l.high
          AND coalesce(l.day, (coalesce(l.opened_at, l.heartbeat_at, l.last_appended_at)
                                   AT TIME ZONE 'Asia/Shanghai')::date) < missing_before.day
    )
    SELECT x.source,
           coalesce((SELECT s.region FROM source s
                     WHERE s.kind = missing_before.kind AND s.source = x.source
                     ORDER BY missing_before.day BETWEEN s.valid_from
                                  AND coalesce(s.valid_to, 'infinity'::date) DESC,
                              s.valid_from DESC
                     LIMIT 1),
                    (SELECT r.code FROM source_ledger l JOIN region r ON r.code = l.region
                     WHERE l.topic = missing_before.topic AND l.source = x.source
                     ORDER BY coalesce(l.opened_at, l.heartbeat_at, l.last_appended_at) DESC
                     LIMIT 1)),
           x.missing
    FROM (SELECT g.source, sum(g.missing)::bigint AS missing FROM gone g GROUP BY g.source) x;
END;
COMMENT ON FUNCTION missing_before(text, text, date) IS
    'numbers of earlier days that are not counted, per source 此前各日缺失事件';

-- The same summed up the tree: one row per region of a level (NULL: of every level), over the
-- sources at the node or below; and where the level is NULL or "source", the sources themselves.
-- expected and heard of a region count the expected ones. A source whose place is unknown is charged
-- to every root. is_everywhere: the rollup's region is a role (whence a person came), not the
-- source's place, so all sources of the kind answer for every node. is_stock: missing counts the
-- numbers of all days before, too, and complete needs them. It becomes a part of the query that asks
-- it, so that source_status is planned once, not once per day.
CREATE OR REPLACE FUNCTION place_status(kind text, topic text, level text, is_everywhere boolean,
                                        starts timestamptz, ends timestamptz, is_stock boolean)
    RETURNS TABLE (of_level text, region text, source text, name text, name_latin text,
                   is_registered boolean, expected bigint, heard bigint, missing bigint,
                   complete boolean, silent_minutes bigint)
    LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
    WITH state AS MATERIALIZED (
        SELECT s.*, s.missing + coalesce(b.missing, 0) AS all_missing,
               CASE WHEN s.complete IS NOT NULL
                    THEN s.complete AND coalesce(b.missing, 0) = 0 END AS all_complete
        FROM source_status(place_status.kind, place_status.topic, place_status.starts,
                           place_status.ends) s
        LEFT JOIN (SELECT m.source, m.missing
                   FROM missing_before(place_status.kind, place_status.topic,
                                       (place_status.starts AT TIME ZONE 'Asia/Shanghai')::date) m
                   WHERE place_status.is_stock) b ON b.source = s.source
    ), placed AS (
        -- per place first: a county has many sources and few ancestors
        SELECT s.region, bool_or(s.is_registered) AS is_registered, sum(s.expected) AS expected,
               sum(s.heard * s.expected) AS heard, sum(s.all_missing) AS missing,
               bool_and(s.is_whole OR s.expected = 0) AND sum(s.all_missing) = 0
                   AND NOT bool_or(s.is_open) AND sum(s.runs_lost + s.runs_cloned) = 0
                   AS is_complete,
               bool_and(s.is_known) AS is_known, sum(s.silent_minutes) AS silent_minutes
        FROM state s
        GROUP BY s.region
    ), charged AS (
        SELECT a.ancestor, p.*
        FROM placed p
        JOIN region_ancestor a ON a.region = p.region
        WHERE NOT place_status.is_everywhere
        UNION ALL
        SELECT r.code, p.*
        FROM placed p
        JOIN region r ON place_status.is_everywhere
             OR (p.region IS NULL AND r.parent IS NULL AND r.code <> '-')
    ), summed AS (
        SELECT c.ancestor, bool_or(c.is_registered) AND NOT place_status.is_everywhere
                   AS is_registered,
               sum(c.expected)::bigint AS expected, sum(c.heard)::bigint AS heard,
               sum(c.missing)::bigint AS missing,
               CASE WHEN sum(c.expected) > 0 AND bool_and(c.is_known)
                    THEN bool_and(c.is_complete) END AS complete,
               sum(c.silent_minutes)::bigint AS silent_minutes
        FROM charged c
        GROUP BY c.ancestor
    )
    SELECT r.level, r.code, NULL::text, r.name, r.name_latin, coalesce(n.is_registered, false),
           coalesce(n.expected, 0), coalesce(n.heard, 0), coalesce(n.missing, 0), n.complete,
           n.silent_minutes
    FROM region r
    LEFT JOIN summed n ON n.ancestor = r.code
    WHERE place_status.level IS NULL OR r.level = place_status.level
    UNION ALL
    SELECT 'source', s.region, s.source, s.name, NULL, s.is_registered, s.expected, s.heard,
           s.all_missing, s.all_complete, s.silent_minutes
    FROM state s
    WHERE place_status.level IS NULL OR place_status.level = 'source';
END;
COMMENT ON FUNCTION place_status(text, text, text, boolean, timestamptz, timestamptz, boolean) IS
    'who was expected and heard, and what is missing, per region and source 各地区与来源应报、已报与缺失';

-- The regions alone, of one day.
CREATE OR REPLACE FUNCTION region_status(kind text, topic text, level text, is_everywhere boolean,
                                         starts timestamptz, ends timestamptz)
    RETURNS TABLE (of_level text, region text, name text, name_latin text, is_registered boolean,
                   expected bigint, heard bigint, missing bigint, complete boolean,
                   silent_minutes bigint)
    LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
    SELECT p.of_level, p.region, p.name, p.name_latin, p.is_registered, p.expected, p.heard,
           p.missing, p.complete, p.silent_minutes
    FROM place_status(region_status.kind, region_status.topic, region_status.level,
                      region_status.is_everywhere, region_status.starts, region_status.ends,
                      false) p
    WHERE p.of_level <> 'source';
END;
COMMENT ON FUNCTION region_status(text, text, text, boolean, timestamptz, timestamptz) IS
    'who was expected and heard, and what is missing, per region 各地区应报、已报与缺失';
