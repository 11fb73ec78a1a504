-- SPDX-License-Identifier: Apache-2.0
-- The data dictionary (数据字典) as one text, from what the database itself says: fx-setup --dictionary
-- asks this, with the schema on the search_path. $1: its name, $2: that of the record schema, $3: of
-- what was published (fx-report --publish makes its tables). It names none of them, so that the page
-- is the same wherever it was made.
--
-- Objects of a rollup share most columns: these are listed once, with the numbers of the objects
-- that have them. The unit of a column of numbers stands in brackets at the end of its comment.
WITH place AS (
    SELECT v.number, n.oid AS namespace
    FROM (VALUES (1, $1::text), (2, $2::text), (3, $3::text)) v (number, name)
    JOIN pg_namespace n ON n.nspname = v.name
), reader AS (
    SELECT r.oid, replace(r.rolname::text, 'fangxian_', '') COLLATE "C" AS name
    FROM pg_roles r
    WHERE r.rolname IN ('fangxian_writer', 'fangxian_analyst', 'fangxian_public')
), object AS (
    SELECT p.number AS place, c.oid, c.relname::text COLLATE "C" AS name,
           CASE c.relkind WHEN 'r' THEN 1 ELSE 2 END AS kind, NULL AS returns,
           (SELECT string_agg(r.name, ', ' ORDER BY r.name)
            FROM reader r
            WHERE has_schema_privilege(r.oid, p.namespace, 'USAGE')
              AND has_table_privilege(r.oid, c.oid, 'SELECT')) AS readers,
           obj_description(c.oid, 'pg_class') AS doc
    FROM place p
    JOIN pg_class c ON c.relnamespace = p.namespace AND c.relkind IN ('r', 'v')
    UNION ALL
    SELECT p.number, f.oid,
           (f.proname || '(' || pg_get_function_identity_arguments(f.oid) || ')') COLLATE "C", 3,
           CASE WHEN t.typtype = 'c' THEN 'rows of `' || t.typname || '`'
                WHEN 't' = ANY (f.proargmodes)
                THEN coalesce('rows like `' || (SELECT c.relname FROM pg_class c
                                                WHERE c.relnamespace = p.namespace
                                                  AND c.relname || '_at' = f.proname) || '`',
                              'rows: ' || (SELECT string_agg(a.name, ', ' ORDER BY a.nth)
                                           FROM unnest(f.proargnames, f.proargmodes)
                                                WITH ORDINALITY a (name, mode, nth)
                                           WHERE a.mode = 't'))
                ELSE format_type(f.prorettype, NULL) END,
           (SELECT string_agg(r.name, ', ' ORDER BY r.name)
            FROM reader r
            WHERE has_schema_privilege(r.oid, p.namespace, 'USAGE')
              AND has_function_privilege(r.oid, f.oid, 'EXECUTE')),
           obj_description(f.oid, 'pg_proc')
    FROM place p
    JOIN pg_proc f ON f.pronamespace = p.namespace
    JOIN pg_type t ON t.oid = f.prorettype
), member AS (
    -- a family: the objects of a rollup, or one object alone; published ones stand at the end
    SELECT o.*, d.rollup, d.doc AS family_doc, coalesce(d.rollup COLLATE "C", o.name) AS family,
           CASE WHEN d.rollup IS NOT NULL AND o.place = 3 THEN 7 WHEN o.place = 3 THEN 8
                WHEN d.rollup IS NOT NULL THEN 2 WHEN o.kind = 3 THEN 2 + 2 * o.place
                ELSE 1 + 2 * o.place END AS section,
           row_number() OVER (PARTITION BY o.place, coalesce(d.rollup COLLATE "C", o.name)
                              ORDER BY o.kind, o.name) AS number
    FROM object o
    LEFT JOIN LATERAL (SELECT x.rollup, x.doc
                       FROM rollup_definition x
                       WHERE (o.place = 1 AND starts_with(o.name, x.rollup || '_'))
                          OR (o.place = 3 AND o.name IN (x.rollup, x.rollup || '_detail'))
                       ORDER BY length(x.rollup) DESC
                       LIMIT 1) d ON true
), own_column AS (
    SELECT m.section, m.family, m.number, a.attnum, a.attname::text AS name,
           format_type(a.atttypid, a.atttypmod) AS type,
           coalesce(col_description(a.attrelid, a.attnum), '') AS doc,
           a.atttypid IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype,
                          'real'::regtype, 'double precision'::regtype, 'numeric'::regtype)
               AS is_number
    FROM member m
    JOIN pg_attribute a ON a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE m.kind < 3
), merged AS (
    SELECT c.section, c.family, c.name, c.type,
           CASE WHEN c.is_number THEN coalesce(substring(c.doc FROM '\(([^()]+)\)$'), '?')
                ELSE '' END AS unit,
           CASE WHEN c.is_number THEN regexp_replace(c.doc, '\([^()]+\)$', '') ELSE c.doc END
               AS doc,
           array_agg(c.number ORDER BY c.number) AS numbers,
           min(c.number * 10000 + c.attnum) AS position
    FROM own_column c
    GROUP BY c.section, c.family, c.name, c.type, c.doc, c.is_number
), unit AS (
    SELECT m.unit, min(v.english) AS english
    FROM merged m
    LEFT JOIN (VALUES
        ('人次', 'person-times: each time counts'), ('人', 'persons'), ('人分钟', 'person-minutes'),
        ('户次', 'household-times'), ('户', 'households'), ('次', 'times'), ('辆', 'vehicles'),
        ('批', 'groups: a vehicle, or persons on foot together'), ('管', 'tubes'),
        ('间', 'rooms'), ('个', 'how many'), ('条', 'events, or their numbers'),
        ('行', 'device lines'), ('秒', 'seconds'), ('分钟', 'minutes'), ('毫秒', 'milliseconds'),
        ('0.1℃', 'tenths of a degree Celsius'), ('%', 'percent'), ('倍', 'factor'),
        ('字节', 'bytes'), ('位', 'bits'), ('编号', 'a name in digits: tells apart, counts nothing'),
        ('序号', 'place in an order'), ('位点', 'Kafka offset'),
        ('见unit列', 'as the column unit of the same row says')) v (unit, english)
        ON v.unit = m.unit
    WHERE m.unit <> ''
    GROUP BY m.unit
), line (section, family, part, position, text) AS (
    SELECT v.section, '', 0, v.position, v.text
    FROM (VALUES
        (0, 1, '# Data dictionary 数据字典'), (0, 2, ''),
        (0, 3, 'Made by `fx-setup --dictionary` from the comments in the database itself; the tests '
               'compare the two.'),
        (0, 4, '`fangxian` and `fangxian_record` stand for the names that `--schema-name` and '
               '`--record-schema` give,'),
        (0, 5, '`fangxian_published` for the first of them with `_published` behind it.'),
        (0, 6, 'Read by: who may read it beside the owner, as `fangxian_analyst`, '
               '`fangxian_writer`, …'),
        (0, 7, ''), (1, 1, '## Units 计量单位'), (1, 2, ''),
        (1, 3, '| unit 单位 | English |'), (1, 4, '|---|---|'),
        (2, 1, ''), (2, 2, '## `fangxian`: rollups 汇总'), (2, 3, ''),
        (2, 4, 'A column is in the objects whose numbers are given.'),
        (3, 1, ''), (3, 2, '## `fangxian`: other tables and views 其他表与视图'),
        (4, 1, ''), (4, 2, '## `fangxian`: other functions 其他函数'), (4, 3, ''),
        (4, 4, '| function 函数 | returns 返回 | run by 可执行 | meaning 含义 |'),
        (4, 5, '|---|---|---|---|'),
        (5, 1, ''), (5, 2, '## `fangxian_record`: what people decided and published 人工决定与发布'),
        (6, 1, ''), (6, 2, '## `fangxian_record`: functions 函数'), (6, 3, ''),
        (6, 4, '| function 函数 | returns 返回 | run by 可执行 | meaning 含义 |'),
        (6, 5, '|---|---|---|---|'),
        (7, 1, ''), (7, 2, '## `fangxian_published`: rollups, for everybody 对外发布的汇总'),
        (8, 1, ''), (8, 2, '## `fangxian_published`: its other tables 对外发布的其他表'))
        v (section, position, text)
    WHERE v.section < 6 OR EXISTS (SELECT FROM member m WHERE m.section = v.section)
    UNION ALL
    SELECT 1, '', 1, row_number() OVER (ORDER BY u.unit COLLATE "C"),
           format('| %s | %s |', u.unit, coalesce(u.english, '?'))
    FROM unit u
    UNION ALL
    -- rollups
    SELECT m.section, m.family, 0, v.position, v.text
    FROM (SELECT DISTINCT x.section, x.family, x.family_doc FROM member x
          WHERE x.section IN (2, 7)) m
    CROSS JOIN LATERAL (VALUES
        (1, ''), (2, format('### `%s` %s', m.family, m.family_doc)), (3, ''),
        (4, '| | object 对象 | type 类型 | read by 可读 | meaning 含义 |'), (5, '|---|---|---|---|---|'))
        v (position, text)
    UNION ALL
    SELECT m.section, m.family, 1, m.number,
           format('| %s | `%s` | %s | %s | %s |', m.number, m.name,
                  CASE m.kind WHEN 1 THEN 'table 表' WHEN 2 THEN 'view 视图'
                       ELSE 'function 函数: ' || m.returns END,
                  coalesce(m.readers, ''), coalesce(replace(m.doc, '|', '\|'), '?'))
    FROM member m
    WHERE m.section IN (2, 7)
    UNION ALL
    SELECT m.section, m.family, 2, v.position, v.text
    FROM (SELECT DISTINCT x.section, x.family FROM member x WHERE x.section IN (2, 7)) m
    CROSS JOIN (VALUES
        (1, ''), (2, '| column 列 | type 类型 | unit 单位 | in 所在 | meaning 含义 |'),
        (3, '|---|---|---|---|---|')) v (position, text)
    UNION ALL
    SELECT c.section, c.family, 3, c.position,
           format('| `%s` | %s | %s | %s | %s |', c.name, c.type, c.unit,
                  (SELECT string_agg(CASE WHEN g.low = g.high THEN g.low::text
                                          ELSE g.low || '-' || g.high END, ' ' ORDER BY g.low)
                   FROM (SELECT min(x.n) AS low, max(x.n) AS high
                         FROM (SELECT n, n - row_number() OVER (ORDER BY n) AS island
                               FROM unnest(c.numbers) n) x
                         GROUP BY x.island) g),
                  replace(c.doc, '|', '\|'))
    FROM merged c
    WHERE c.section IN (2, 7)
    UNION ALL
    -- tables and views alone
    SELECT m.section, m.family, 0, v.position, v.text
    FROM member m
    CROSS JOIN LATERAL (VALUES
        (1, ''),
        (2, format('### `%s` %s', m.name, CASE m.kind WHEN 1 THEN 'table 表' ELSE 'view 视图' END)),
        (3, ''),
        (4, format('%s. Read by: %s', coalesce(m.doc, '?'), coalesce(m.readers, 'the owner only'))),
        (5, ''), (6, '| column 列 | type 类型 | unit 单位 | meaning 含义 |'), (7, '|---|---|---|---|'))
        v (position, text)
    WHERE m.section IN (3, 5, 8)
    UNION ALL
    SELECT c.section, c.family, 1, c.position,
           format('| `%s` | %s | %s | %s |', c.name, c.type, c.unit, replace(c.doc, '|', '\|'))
    FROM merged c
    WHERE c.section IN (3, 5, 8)
    UNION ALL
    -- functions alone
    SELECT m.section, m.family, 1, 1,
           format('| `%s` | %s | %s | %s |', m.name, m.returns, coalesce(m.readers, ''),
                  coalesce(replace(m.doc, '|', '\|'), '?'))
    FROM member m
    WHERE m.section IN (4, 6)
)
SELECT string_agg(l.text, E'\n' ORDER BY l.section, l.family COLLATE "C", l.part, l.position,
                  l.text COLLATE "C")
FROM line l;
