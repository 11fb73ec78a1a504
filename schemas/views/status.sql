-- SPDX-License-Identifier: Apache-2.0
-- Completeness of what is no day of a region: stocks, and the counties of the national statistics.
-- fx-setup runs this file after functions.sql and before it makes the views.

-- place_status of the day that at ends or lies in, for every level and source. A stock is the sum of
-- all that ever came, so missing counts the numbers of all days before as well, and complete needs
-- them.
CREATE OR REPLACE FUNCTION stock_status(kind text, topic text, is_everywhere boolean,
                                        at timestamptz)
    RETURNS TABLE (of_level text, region text, source text, name text, name_latin text,
                   is_registered boolean, expected bigint, heard bigint, missing bigint,
                   complete boolean)
    LANGUAGE sql STABLE ROWS 75
BEGIN ATOMIC
    SELECT s.of_level, s.region, s.source, s.name, s.name_latin, s.is_registered, s.expected,
           s.heard, s.missing, s.complete
    FROM place_status(stock_status.kind, stock_status.topic, NULL, stock_status.is_everywhere,
                      date_trunc('day', stock_status.at - interval '1 microsecond',
                                 'Asia/Shanghai'), stock_status.at, true) s;
END;
COMMENT ON FUNCTION stock_status(text, text, boolean, timestamptz) IS
    'place_status of a stock: nothing may be missing of any day before either 存量的完整性';

-- What a function X_at(at) of a rollup asks first: its topic, the last edge of a bucket by then, and
-- the start of the day that this edge ends or lies in.
CREATE OR REPLACE FUNCTION stock_clock(rollup text, at timestamptz)
    RETURNS TABLE (topic text, edge timestamptz, starts timestamptz)
    LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
    SELECT k.topic, x.edge,
           date_trunc('day', x.edge - interval '1 microsecond', 'Asia/Shanghai')
    FROM rollup_definition d
    JOIN kind_clock k ON k.kind = d.kind
    CROSS JOIN (SELECT bucket_edge(stock_clock.rollup, stock_clock.at) AS edge) x
    WHERE d.rollup = stock_clock.rollup;
END;
COMMENT ON FUNCTION stock_clock(text, timestamptz) IS
    'topic of a rollup, last edge of a bucket by then, start of its day 某时的时段界与当日起点';

-- Figures of the tree, taken apart again: a node's figure holds those of its children, which may
-- lie in another county of the statistics. Every node adds its figure where it lies itself and takes
-- it away where its parent lies; where both are the same, that is nothing. A node that names no
-- county stands for itself: the city's own part, and the outside.
CREATE OR REPLACE VIEW statistical_share AS
SELECT n.code AS region, n.own AS statistical, 1 AS weight, n.level
FROM (SELECT r.code, r.level, coalesce(r.statistical_parent, r.code) AS own,
             coalesce(p.statistical_parent, p.code) AS above
      FROM region r
      LEFT JOIN region p ON p.code = r.parent) n
WHERE n.above IS DISTINCT FROM n.own
UNION ALL
SELECT n.code, n.above, -1, n.level
FROM (SELECT r.code, r.level, coalesce(r.statistical_parent, r.code) AS own,
             coalesce(p.statistical_parent, p.code) AS above
      FROM region r
      JOIN region p ON p.code = r.parent) n
WHERE n.above <> n.own;
COMMENT ON VIEW statistical_share IS
    'which figures of the tree make up each county of the statistics 统计区划的构成';
COMMENT ON COLUMN statistical_share.region IS 'node of the tree 地区代码';
COMMENT ON COLUMN statistical_share.statistical IS
    'county of the statistics, or the node itself 统计区划代码';
COMMENT ON COLUMN statistical_share.weight IS '1: is added, -1: is taken away 加减系数(倍)';
COMMENT ON COLUMN statistical_share.level IS 'level of the node of the tree 级别';

-- source_status, summed up by county of the statistics. A source whose place is unknown is charged
-- to every one; is_everywhere: see region_status.
CREATE OR REPLACE FUNCTION statistical_status(kind text, topic text, is_everywhere boolean,
                                              starts timestamptz, ends timestamptz)
    RETURNS TABLE (region text, name text, name_latin text, units text, is_county boolean,
                   expected bigint, heard bigint, missing bigint, complete boolean)
    LANGUAGE sql STABLE ROWS 6
BEGIN ATOMIC
    WITH state AS MATERIALIZED (
        SELECT * FROM source_status(statistical_status.kind, statistical_status.topic,
                                    statistical_status.starts, statistical_status.ends)
    ), node AS MATERIALIZED (
        SELECT r.code, CASE WHEN r.level = 'town' THEN r.parent ELSE r.code END AS unit,
               coalesce(r.statistical_parent, r.code) AS county,
               r.statistical_parent IS NOT NULL AS is_named
        FROM region r
    ), place AS (
        SELECT n.county, bool_or(n.is_named) AS is_county FROM node n GROUP BY n.county
    ), unit AS (
        SELECT x.county, string_agg(r.name, '、' ORDER BY r.code) AS names
        FROM (SELECT DISTINCT n.county, n.unit FROM node n WHERE n.is_named) x
        JOIN region r ON r.code = x.unit
        GROUP BY x.county
    ), charged AS (
        SELECT n.county, s.*
        FROM state s
        JOIN node n ON n.code = s.region
        WHERE NOT statistical_status.is_everywhere
        UNION ALL
        SELECT p.county, s.*
        FROM state s
        JOIN place p ON statistical_status.is_everywhere OR s.region IS NULL
    ), summed AS (
        SELECT c.county, sum(c.expected)::bigint AS expected,
               sum(c.heard * c.expected)::bigint AS heard, sum(c.missing)::bigint AS missing,
               CASE WHEN sum(c.expected) > 0 AND bool_and(c.is_known)
                    THEN bool_and(c.is_whole OR c.expected = 0) AND sum(c.missing) = 0
                         AND NOT bool_or(c.is_open) AND sum(c.runs_lost + c.runs_cloned) = 0
               END AS complete
        FROM charged c
        GROUP BY c.county
    )
    SELECT p.county, r.name, r.name_latin, u.names, p.is_county, coalesce(s.expected, 0),
           coalesce(s.heard, 0), coalesce(s.missing, 0), s.complete
    FROM place p
    LEFT JOIN region r ON r.code = p.county
    LEFT JOIN unit u ON u.county = p.county
    LEFT JOIN summed s ON s.county = p.county;
END;
COMMENT ON FUNCTION statistical_status(text, text, boolean, timestamptz, timestamptz) IS
    'who was expected and heard, and what is missing, per statistical county 各统计区划应报、已报与缺失';
