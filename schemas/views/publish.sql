-- SPDX-License-Identifier: Apache-2.0
-- What becomes of a figure before everybody may read it: see consumers/publish.h. fx-report
-- --publish calls these for every figure of a snapshot.

-- A count of persons or households, or of what stands for one person: tubes, rooms. is_fine: not of the city's own totals: 0 is withheld, too.
CREATE OR REPLACE FUNCTION publish_persons(n bigint, is_fine boolean) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN n >= 8 THEN (n + 2) / 5 * 5 WHEN n = 0 AND NOT is_fine THEN 0 END;
END;
COMMENT ON FUNCTION publish_persons(bigint, boolean) IS
    'persons as published: 1 to 7 withheld, others rounded to 5 对外发布的人数: 1至7不公布, 其余取整到5';

-- A count of vehicles, groups, times.
CREATE OR REPLACE FUNCTION publish_things(n bigint, is_fine boolean) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN n >= 8 OR NOT is_fine THEN n END;
END;
COMMENT ON FUNCTION publish_things(bigint, boolean) IS
    'things as published: exact, below the city withheld below 8 对外发布的物数: 市以下不足8不公布';
