-- SPDX-License-Identifier: Apache-2.0
-- needs: quarantine, quarantine_place
-- Quarantine as the command post asks for it: who should be in it by the events (census 在册人数)
-- beside what the places themselves report (headcount 在管人数), and the rooms. Per place, town,
-- county and city; per kind of place and tier, and ALL of them. The views say it as far as all is
-- counted, the functions at the last edge of a bucket by a time.
--
-- The census of a node is the running sum of what was counted at it. A headcount is the last one
-- that each place reported, per tier; of places that were expected then, or never registered. A
-- difference is a finding, not an error of these views: somebody entered or left without a line, a
-- line came twice from another source, or a report is old.
--
-- jit: compiling these takes seconds, running them does not; who asks may not have set it off.

CREATE OR REPLACE FUNCTION quarantine_census_at(at timestamptz)
    RETURNS TABLE (level text, region text, source text, name text, name_latin text, place text,
                   tier text, sources_expected bigint, sources_heard bigint,
                   missing_events bigint, complete boolean, census_persons bigint,
                   headcount_persons bigint, difference_persons bigint,
                   headcount_sources bigint, headcount_oldest timestamptz)
    LANGUAGE sql STABLE SET jit = off
BEGIN ATOMIC
    WITH clock AS MATERIALIZED (
        SELECT c.* FROM stock_clock('quarantine', quarantine_census_at.at) c
    ), status AS MATERIALIZED (
        SELECT s.*
        FROM clock c
        CROSS JOIN LATERAL stock_status('quarantine', c.topic, false, c.edge) s
    ), report AS MATERIALIZED (
        SELECT l.source, l.place, l.tier, l.headcount_persons AS persons,
               l.headcount_persons_at AS reported_at
        FROM quarantine_last_before(quarantine_census_at.at) l
        WHERE l.headcount_persons IS NOT NULL
    ), cell AS (
        SELECT t.level, coalesce(t.source, t.region) AS code, t.place, t.tier,
               t.admitted_persons + t.transferred_in_persons - t.transferred_out_persons
                   - t.released_persons - t.hospital_persons - t.became_case_persons
                   - t.absconded_persons AS census,
               NULL::bigint AS persons, NULL::text AS reporter, NULL::timestamptz AS reported_at
        FROM quarantine_total_before(quarantine_census_at.at) t
        UNION ALL
        SELECT 'source', r.source, r.place, r.tier, 0, r.persons, r.source, r.reported_at
        FROM report r
        UNION ALL
        SELECT n.level, n.code, r.place, r.tier, 0, r.persons, r.source, r.reported_at
        FROM report r
        JOIN status s ON s.source = r.source AND (s.expected > 0 OR NOT s.is_registered)
        JOIN region_ancestor a ON a.region = s.region
        JOIN region n ON n.code = a.ancestor
    ), summed AS MATERIALIZED (
        SELECT c.level, c.code, coalesce(c.place, 'ALL') AS place, coalesce(c.tier, 'ALL') AS tier,
               sum(c.census)::bigint AS census, sum(c.persons)::bigint AS persons,
               count(DISTINCT c.reporter) AS reporters, min(c.reported_at) AS oldest
        FROM cell c
        GROUP BY c.level, c.code, CUBE (c.place, c.tier)
    )
    SELECT v.level, c.region, c.source, c.name, c.name_latin, v.place, v.tier, c.expected, c.heard,
           c.missing, c.complete, v.census, v.persons, v.census - v.persons, v.reporters, v.oldest
    FROM status c
    JOIN summed v ON v.level = c.of_level AND v.code = coalesce(c.source, c.region);
END;
COMMENT ON FUNCTION quarantine_census_at(timestamptz) IS
    'census beside reported headcount at the last edge of a bucket by then, as quarantine_census '
    '某时刻在册与在管人数';

CREATE OR REPLACE VIEW quarantine_census AS
SELECT c.*
FROM kind_clock k
CROSS JOIN LATERAL quarantine_census_at(
    bucket_end('quarantine', coalesce(k.judged_at, now()))) c
WHERE k.kind = 'quarantine';
COMMENT ON VIEW quarantine_census IS
    'census by the events beside the headcount that places report, as far as counted '
    '在册与在管人数对照';
COMMENT ON COLUMN quarantine_census.level IS 'source (a place), town, county or city 级别';
COMMENT ON COLUMN quarantine_census.region IS 'the node, or where the place is 地区代码';
COMMENT ON COLUMN quarantine_census.source IS 'quarantine place, at level source 隔离点';
COMMENT ON COLUMN quarantine_census.name IS 'name in Chinese 名称';
COMMENT ON COLUMN quarantine_census.name_latin IS 'name in Latin letters 拉丁字母名称';
COMMENT ON COLUMN quarantine_census.place IS 'CENTRAL, HOME or ALL 集中、居家或合计';
COMMENT ON COLUMN quarantine_census.tier IS 'tier of the persons, or ALL 人员类别或合计';
COMMENT ON COLUMN quarantine_census.sources_expected IS
    'sources registered for the day 应报来源数(个)';
COMMENT ON COLUMN quarantine_census.sources_heard IS 'those heard on it so far 已报来源数(个)';
COMMENT ON COLUMN quarantine_census.missing_events IS
    'numbers missing, rejected or lost, of this day and all before 缺失事件数(条)';
COMMENT ON COLUMN quarantine_census.complete IS
    'all heard so far and nothing missing, of this day or before; NULL: not known 是否完整';
COMMENT ON COLUMN quarantine_census.census_persons IS
    'persons in quarantine by the events: admitted and moved in, less moved out and left '
    '在册人数(人)';
COMMENT ON COLUMN quarantine_census.headcount_persons IS
    'persons in the places as they last reported; NULL: none ever did 在管人数(人)';
COMMENT ON COLUMN quarantine_census.difference_persons IS
    'census - headcount; NULL: no headcount 在册减上报(人)';
COMMENT ON COLUMN quarantine_census.headcount_sources IS
    'places whose report is in the headcount 采用的来源数(个)';
COMMENT ON COLUMN quarantine_census.headcount_oldest IS
    'start of the hour of the oldest report in it 最早采用的上报时段';

CREATE OR REPLACE FUNCTION quarantine_rooms_at(at timestamptz)
    RETURNS TABLE (level text, region text, source text, name text, name_latin text, place text,
                   sources_expected bigint, sources_heard bigint, missing_events bigint,
                   complete boolean, total_rooms bigint, used_rooms bigint, free_rooms bigint,
                   used_percent numeric, reported_places bigint, used_places bigint,
                   oldest timestamptz)
    LANGUAGE sql STABLE SET jit = off
BEGIN ATOMIC
    WITH clock AS MATERIALIZED (
        SELECT c.* FROM stock_clock('quarantine_place', quarantine_rooms_at.at) c
    ), status AS MATERIALIZED (
        SELECT s.*
        FROM clock c
        CROSS JOIN LATERAL place_status('quarantine', c.topic, NULL, false, c.starts, c.edge,
                                        false) s
    ), report AS MATERIALIZED (
        SELECT t.source, t.place, t.total_rooms AS total, t.used_rooms AS used,
               t.bucket_start AS reported_at
        FROM (SELECT l.source, l.place,
                     greatest(l.total_rooms_at, l.used_rooms_at) AS bucket_start
              FROM quarantine_place_last_before(quarantine_rooms_at.at) l) n
        JOIN quarantine_place_source t USING (source, bucket_start, place)
    ), placed AS (
        SELECT r.*, s.region, s.name, s.expected, s.heard, s.missing, s.complete
        FROM report r
        JOIN status s ON s.source = r.source AND (s.expected > 0 OR NOT s.is_registered)
    )
    SELECT q.level, q.region, q.source, q.name, q.name_latin, q.place, q.expected, q.heard,
           q.missing, q.complete, q.total, q.used, q.total - q.used,
           round(100.0 * q.used / nullif(q.total, 0), 1), q.places, q.used_places, q.oldest
    FROM (
        SELECT c.of_level AS level, c.region, NULL::text AS source, c.name, c.name_latin,
               coalesce(r.place, 'ALL') AS place, c.expected, c.heard, c.missing, c.complete,
               sum(r.total)::bigint AS total, sum(r.used)::bigint AS used, count(*) AS places,
               count(*) FILTER (WHERE r.used > 0) AS used_places, min(r.reported_at) AS oldest
        FROM status c
        JOIN region_ancestor a ON a.ancestor = c.region
        JOIN placed r ON r.region = a.region
        WHERE c.source IS NULL
        GROUP BY c.of_level, c.region, c.name, c.name_latin, c.expected, c.heard, c.missing,
                 c.complete, ROLLUP (r.place)
        UNION ALL
        SELECT 'source', s.region, s.source, s.name, NULL, s.place, s.expected, s.heard,
               s.missing, s.complete, s.total, s.used, 1, (coalesce(s.used, 0) > 0)::int,
               s.reported_at
        FROM placed s) q;
END;
COMMENT ON FUNCTION quarantine_rooms_at(timestamptz) IS
    'rooms of quarantine places at the last edge of a bucket by then, as quarantine_rooms '
    '某时刻隔离房间';

CREATE OR REPLACE VIEW quarantine_rooms AS
SELECT r.*
FROM kind_clock k
CROSS JOIN LATERAL quarantine_rooms_at(
    bucket_end('quarantine_place', coalesce(k.judged_at, now()))) r
WHERE k.kind = 'quarantine';
COMMENT ON VIEW quarantine_rooms IS
    'rooms of quarantine places: in all, in use, free, as far as counted 隔离房间';
COMMENT ON COLUMN quarantine_rooms.level IS 'source (a place), town, county or city 级别';
COMMENT ON COLUMN quarantine_rooms.region IS 'the node, or where the place is 地区代码';
COMMENT ON COLUMN quarantine_rooms.source IS 'quarantine place, at level source 隔离点';
COMMENT ON COLUMN quarantine_rooms.name IS 'name in Chinese 名称';
COMMENT ON COLUMN quarantine_rooms.name_latin IS 'name in Latin letters 拉丁字母名称';
COMMENT ON COLUMN quarantine_rooms.place IS
    'CENTRAL, HOME or, of a node, ALL 集中、居家或合计';
COMMENT ON COLUMN quarantine_rooms.sources_expected IS
    'sources registered for the day 应报来源数(个)';
COMMENT ON COLUMN quarantine_rooms.sources_heard IS 'those heard on it so far 已报来源数(个)';
COMMENT ON COLUMN quarantine_rooms.missing_events IS
    'numbers of the day that are missing, rejected or lost 缺失事件数(条)';
COMMENT ON COLUMN quarantine_rooms.complete IS
    'all heard so far and nothing missing; NULL: not known 是否完整';
COMMENT ON COLUMN quarantine_rooms.total_rooms IS 'rooms, as last reported 房间总数(间)';
COMMENT ON COLUMN quarantine_rooms.used_rooms IS 'rooms in use, as last reported 在用房间(间)';
COMMENT ON COLUMN quarantine_rooms.free_rooms IS 'total - used 空余房间(间)';
COMMENT ON COLUMN quarantine_rooms.used_percent IS 'share of rooms in use 房间使用率(%)';
COMMENT ON COLUMN quarantine_rooms.reported_places IS
    'places whose report is in it 采用的隔离点数(个)';
COMMENT ON COLUMN quarantine_rooms.used_places IS 'of them with a room in use 在用隔离点数(个)';
COMMENT ON COLUMN quarantine_rooms.oldest IS
    'start of the hour of the oldest report in it 最早采用的上报时段';
