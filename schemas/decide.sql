-- SPDX-License-Identifier: Apache-2.0
-- What a person decides about numbers, as functions: fx-setup --write-off and --release call them,
-- and fx-setup --swap once more for a schema that was counted anew. fx-setup runs this file after
-- tables.sql, with search_path set to the system's schema; the functions work in the schema that
-- is first on their caller's search_path, with the caller's rights.

-- Whoever had the partition cannot commit any more and claims again. The row stays locked until the
-- end of the transaction: it comes before any other row of the partition, as in a claim.
CREATE OR REPLACE FUNCTION fence(of_topic text, of_partition integer) RETURNS boolean
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE partition_position p
    SET generation = ('x' || left(md5(gen_random_uuid()::text), 16))::bit(64)::bigint
    WHERE p.topic = of_topic AND p.partition = of_partition;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION fence(text, integer) IS 'takes a partition from its worker 收回分区';

CREATE OR REPLACE FUNCTION fence_all() RETURNS bigint
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM partition_position ORDER BY topic, partition FOR UPDATE;
    RETURN (SELECT count(*) FILTER (WHERE fence(p.topic, p.partition)) FROM partition_position p);
END $$;
COMMENT ON FUNCTION fence_all() IS 'takes all partitions from their workers 收回全部分区';

-- The last number that a run is known to have used: met, announced by its heartbeats, or named by
-- the run that followed it. NULL: there is no word of the run.
CREATE OR REPLACE FUNCTION known_last(of_topic text, of_source text, of_run bigint) RETURNS bigint
    LANGUAGE sql STABLE AS $$
    SELECT greatest((SELECT greatest(l.high, l.announced) FROM source_ledger l
                     WHERE l.topic = of_topic AND l.source = of_source AND l.run = of_run),
                    (SELECT max(s.previous_last_seq) FROM source_ledger s
                     WHERE s.topic = of_topic AND s.source = of_source
                       AND s.previous_run = of_run))
$$;
COMMENT ON FUNCTION known_last(text, text, bigint) IS 'last number a run is known to have 已知末号';

-- Gives up the numbers from_seq to to_seq of a run as far as they are not counted; how many. Those
-- up to high lie in gaps: these are split exactly, and what then touches with one cause is joined,
-- as gapset.h has it. Those above, up to known_last, get a gap and high is raised, so that
-- counted + gaps = high stays true and the newest day still goes to high. A run that only its
-- successor knows gets its row. An event that comes after all counts: the ledger takes it out.
-- is_again: a decision of then, applied to a schema that was counted anew. What was rejected after
-- it stays rejected, as it did where it was decided.
CREATE OR REPLACE FUNCTION write_off_range(of_topic text, of_source text, of_run bigint,
                                           from_seq bigint, to_seq bigint,
                                           decided timestamptz, is_again boolean) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    known bigint := known_last(of_topic, of_source, of_run);
    ledger source_ledger;
    old source_gap[];
    top bigint;
    written bigint;
BEGIN
    IF known IS NULL OR from_seq > known THEN
        RETURN 0;
    END IF;
    INSERT INTO source_ledger (topic, source, run, partition)
    SELECT s.topic, s.source, of_run, s.partition
    FROM source_ledger s
    WHERE s.topic = of_topic AND s.source = of_source AND s.previous_run = of_run
    ORDER BY s.previous_last_seq DESC LIMIT 1
    ON CONFLICT DO NOTHING;
    SELECT l.* INTO STRICT ledger FROM source_ledger l
    WHERE l.topic = of_topic AND l.source = of_source AND l.run = of_run FOR UPDATE;
    top := greatest(ledger.high, least(to_seq, known));
    SELECT coalesce(array_agg(g ORDER BY g.first_seq), '{}') INTO old FROM source_gap g
    WHERE g.topic = of_topic AND g.source = of_source AND g.run = of_run
      AND g.last_seq >= least(from_seq, ledger.high + 1) - 1 AND g.first_seq <= to_seq + 1;
    DELETE FROM source_gap g USING unnest(old) o
    WHERE g.topic = of_topic AND g.source = of_source AND g.run = of_run
      AND g.first_seq = o.first_seq;
    WITH piece AS (
        SELECT v.first_seq, v.last_seq, v.cause, v.opened_at, v.is_written
        FROM unnest(old) o
        CROSS JOIN LATERAL (SELECT o.cause = 'written_off' OR
            (is_again AND o.cause = 'rejected' AND o.opened_at > decided)) k (is_kept)
        CROSS JOIN LATERAL (VALUES
            (o.first_seq, least(o.last_seq, from_seq - 1), o.cause, o.opened_at, false),
            (greatest(o.first_seq, from_seq), least(o.last_seq, to_seq),
             CASE WHEN k.is_kept THEN o.cause ELSE 'written_off' END, o.opened_at, NOT k.is_kept),
            (greatest(o.first_seq, to_seq + 1), o.last_seq, o.cause, o.opened_at, false)
        ) v (first_seq, last_seq, cause, opened_at, is_written)
        UNION ALL VALUES
            (ledger.high + 1, least(from_seq - 1, top), 'missing', decided, false),
            (greatest(ledger.high + 1, from_seq), top, 'written_off', decided, true)
    ), placed AS (
        SELECT p.*, p.cause IS DISTINCT FROM lag(p.cause) OVER w
                 OR p.first_seq IS DISTINCT FROM lag(p.last_seq) OVER w + 1 AS is_apart
        FROM piece p
        WHERE p.first_seq <= p.last_seq
        WINDOW w AS (ORDER BY p.first_seq)
    ), island AS (
        SELECT p.*, count(*) FILTER (WHERE p.is_apart) OVER (ORDER BY p.first_seq) AS number
        FROM placed p
    ), stored AS (
        INSERT INTO source_gap (topic, source, run, first_seq, last_seq, cause, opened_at)
        SELECT of_topic, of_source, of_run, min(i.first_seq), max(i.last_seq), i.cause,
               (array_agg(i.opened_at ORDER BY i.first_seq))[1]
        FROM island i
        GROUP BY i.number, i.cause
    )
    SELECT coalesce(sum(i.last_seq - i.first_seq + 1) FILTER (WHERE i.is_written), 0)
    INTO written FROM island i;
    UPDATE source_ledger l
    SET high = top,
        gaps = (SELECT count(*) FROM source_gap g WHERE g.topic = of_topic
                AND g.source = of_source AND g.run = of_run),
        day = CASE WHEN l.high = 0 AND top > 0
                   THEN coalesce(l.day, (decided AT TIME ZONE 'Asia/Shanghai')::date)
                   ELSE l.day END,
        day_first_seq = CASE WHEN l.high = 0 AND top > 0
                             THEN coalesce(l.day_first_seq, 1) ELSE l.day_first_seq END
    WHERE l.topic = of_topic AND l.source = of_source AND l.run = of_run;
    RETURN written;
END $$;
COMMENT ON FUNCTION write_off_range(text, text, bigint, bigint, bigint, timestamptz, boolean) IS
    'gives up numbers of a run that are not counted 核销序号';

-- All recorded write-offs once more, in their order: for a schema that was counted anew. The caller
-- has all partitions. Numbers that are given up already, or counted, stay as they are.
CREATE OR REPLACE FUNCTION apply_write_offs() RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    one record;
    total bigint := 0;
BEGIN
    FOR one IN EXECUTE format('SELECT * FROM %I.write_off ORDER BY decided_at, topic COLLATE "C", '
                              'source, run, first_seq', (SELECT record_schema FROM definition))
    LOOP
        total := total + write_off_range(one.topic, one.source, one.run, one.first_seq,
                                         one.last_seq, one.decided_at, true);
    END LOOP;
    RETURN total;
END $$;
COMMENT ON FUNCTION apply_write_offs() IS 'recorded write-offs, applied once more 重新应用核销';
