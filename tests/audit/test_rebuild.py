# SPDX-License-Identifier: Apache-2.0
"""A schema counted anew equals the live one cell for cell, and takes its place under load."""

import random
import shutil
import threading
import time

import psycopg
import pytest
from lib import recount, same
from lib.post import HAICHENG, HAIFENG, SHANWEI, Post
from lib.system import SCHEMAS, System, now_ms, wait_until

KINDS = ("checkpoint", "test_site", "quarantine")


@pytest.fixture
def system():
    system = System("rebuild", partitions=3)
    yield system
    system.close()


class Next:
    """The same topics, counted anew beside the live schema."""

    def __init__(self, system, **kw):
        self.system, self.name = system, system.schema + "_next"
        self.env = {"FX_SCHEMA_NAME": self.name}
        system.setup("--record-schema", system.schema + "_record", schema=self.name, **kw)

    def count(self, **kw):
        return self.system.run("fx-rollup", "--until-end", env={**self.env, **kw.pop("env", {})},
                               **kw)

    def value(self, query):
        return next(iter(self.system.rows(query, schema=self.name)[0].values()))


def swap(system, code=0, **kw):
    kw.setdefault("seconds", 180)
    return system.run("fx-setup", "--swap", system.schema + "_next", code=code, **kw)


def is_rebuild(system, schema=None):
    return system.rows("SELECT is_rebuild FROM {s}.definition", schema=schema)[0]["is_rebuild"]


def mixed_events(system, pick, count=400):
    """Every kind of trouble: gaps, copies, rejected ones, reversals, wrong clocks, heartbeats."""
    posts = [Post(system, kind, region=place) for kind in KINDS for place in (HAICHENG, HAIFENG)]
    for post in posts:
        kept = {}
        for seq in range(1, count):
            if seq % 17 == 0:
                continue  # a gap
            event = post.event(seq, occurred_at=now_ms() - pick.randrange(3 * 86_400_000))
            if seq % 19 == 0:
                event["region"] = "nowhere"
            if seq % 23 == 0:
                event["occurred_at"] = now_ms() + 86_400_000  # a wrong clock
            elif seq % 29 == 0 and kept:
                post.send_raw(post.reversal(seq, kept.pop(min(kept))))
                continue
            elif "nowhere" not in event["region"]:
                kept[seq] = event
            post.send_raw(post.schema.encode(event))
            if seq % 11 == 0:
                post.send_raw(post.schema.encode(event))
            if seq % 97 == 0:
                post.send_raw(post.heartbeat(seq // 97, acked=seq + 3))
        for seq in range(17, count, 34):
            post.send(seq)  # half of the gaps close late
        post.send_raw(b"no event")
    system.sent()
    return posts


# ---- the same definitions ----


def test_counted_anew_equals_the_live_one(system):
    """Live: bit by bit, by two processes, one of them killed. Anew: by one, at once."""
    first = system.start("fx-rollup", "--workers", 2, "--flush-events", 50)
    second = system.start("fx-rollup", "--flush-events", 30)
    mixed_events(system, random.Random(5))
    second.kill()
    system.count()
    assert first.stop().code == 0
    rebuilt = Next(system)
    assert is_rebuild(system, rebuilt.name) and not is_rebuild(system)
    rebuilt.count()
    found = same.assert_same(system.db, system.schema, rebuilt.name)
    assert found.cells > 5_000
    # and the comparison sees a difference
    for change in (
        "UPDATE {s}.checkpoint_city SET checked_groups = checked_groups + 1 WHERE ctid ="
        " (SELECT min(ctid) FROM {s}.checkpoint_city)",
        "DELETE FROM {s}.source_gap WHERE ctid = (SELECT min(ctid) FROM {s}.source_gap)",
        "UPDATE {s}.rejected_range SET reason = 'simulated' WHERE ctid ="
        " (SELECT min(ctid) FROM {s}.rejected_range)",
    ):
        before = same.compare(system.db, system.schema, rebuilt.name).differing
        system.db.execute(change.replace("{s}", rebuilt.name))
        assert same.compare(system.db, system.schema, rebuilt.name).differing > before


def test_decisions_are_handed_on(system):
    """Write-offs and releases are of the record: the swap applies them to what was counted anew."""
    post = Post(system)
    post.send(1, 2, 9, 15)
    post.send(4, sign=0)
    post.send_raw(post.heartbeat(1, acked=15, last_seq=20))
    post.count()
    many = Post(system)
    many.send(*range(1, 2 * 16_384 + 5, 2))
    many.count()
    name = f"{post.source}:{post.run:012x}"
    for numbers in ("4-10", "12-12", "17-20"):
        system.run("fx-setup", "--write-off", f"{name}:{numbers}", "--reason", "lost at sea")
    system.run("fx-setup", "--release", f"{many.source}:{many.run:012x}")
    post.send(6)
    post.count()
    gaps = post.gaps()
    assert ("written_off" in {cause for *_, cause in gaps}) and post.ledger()["high"] == 20
    rebuilt = Next(system)
    rebuilt.count()
    refused = system.run("fx-setup", "--write-off", f"{name}:3-3", "--reason", "x", code=2,
                         env=rebuilt.env)
    assert "decide there" in refused.err
    result = swap(system)
    assert "written_off=10" in result.err and "To go back, swap again" in result.out
    assert post.gaps() == gaps and not many.ledger()["is_quarantined"]
    same.assert_same(system.db, system.schema, rebuilt.name)
    swap(system)
    same.assert_same(system.db, system.schema, rebuilt.name)
    assert post.gaps() == gaps


def test_figures_that_drop_at_the_swap_are_told(system):
    """What was re-driven after a release lies rejected in what was counted anew: the swap names it
    and the command that counts it there too."""
    post, other = Post(system), Post(system)
    post.send(1)
    other.send(1, 2)
    post.count()
    rebuilt = Next(system)
    rebuilt.count()
    for schema in (system.schema, rebuilt.name):
        system.db.execute(f"UPDATE {schema}.source_ledger SET is_quarantined = true"
                          f" WHERE source = '{post.source}'")
    post.send(2, 3)
    post.count()
    rebuilt.count()
    run = f"{post.source}:{post.run:012x}"
    system.run("fx-setup", "--release", run)
    system.run("fx-rollup", "--redrive", "source_quarantined")
    assert post.counted() == 3
    result = swap(system, code=1)
    assert f"1 runs, 2 events ({run} by 2)" in result.out
    assert "ev=fewer" in result.err and "runs=1 events=2" in result.err
    assert post.counted() == 1 and not is_rebuild(system)
    mend = result.out.split("To mend it: ")[1].split()
    assert mend[0] == "fx-rollup" and mend[-1] == "source_quarantined"
    system.run(*mend)
    assert post.counted() == post.total() == 3
    back = swap(system)
    assert "ewer" not in back.out and "ev=fewer" not in back.err
    system.db.execute(f"UPDATE {rebuilt.name}.source_ledger SET counted = 1"
                      f" WHERE source = '{other.source}'")  # nothing to re-drive: only back
    result = swap(system, code=1)
    assert f"To mend it: fx-setup --schema-name {system.schema} --swap {rebuilt.name}" in result.out


def post_in(system, kind, partition):
    """A post whose events go to that partition."""
    while True:
        post = Post(system, kind)
        if post.partition == partition:
            return post


def send_to_two(system):
    """Events of runs in two partitions, of which the live schema counts the first one's."""
    posts = [post_in(system, kind, p) for kind in KINDS for p in range(system.partitions)]
    for post in posts:
        post.send(1, 2)
    posts[0].count()
    for post in posts:
        for seq in (1, 2, 3):  # other events of the same numbers, of hours before
            post.send_raw(post.bytes(seq, occurred_at=now_ms() - seq * 3_600_000),
                          partition=(post.partition + 1) % system.partitions)
    posts[0].count()
    assert all(post.counted() == 2 for post in posts)
    return posts


def homes(system):
    query = f"SELECT source, run, partition FROM {system.schema}_record.run_home"
    return {tuple(row.values()) for row in system.rows(query)}


def test_a_run_in_two_partitions_keeps_its_home(system):
    """Whichever partition a rebuild reads first, of one in three runs it is the other one."""
    posts = send_to_two(system)
    expected = {(post.source, post.run, post.partition) for post in posts}
    assert homes(system) == expected
    rebuilt = Next(system)
    said = rebuilt.count(env={"PGOPTIONS": "-c role=fangxian_writer"}).err
    assert "a run lives in another partition" in said  # it was tried
    same.assert_same(system.db, system.schema, rebuilt.name)
    assert swap(system).out.count("\n") == 1
    same.assert_same(system.db, system.schema, rebuilt.name)
    assert homes(system) == expected


def test_a_run_that_lives_elsewhere_after_all_is_told(system):
    """As where a rebuild took an event before the live schema rejected it; until it is mended."""
    post, *others = send_to_two(system)
    moved = f"UPDATE {system.schema}_record.run_home SET partition = {{}} WHERE source = %s"
    system.db.execute(moved.format((post.partition + 1) % system.partitions), (post.source,))
    rebuilt = Next(system)
    rebuilt.count()
    result = swap(system, code=1)
    assert f"of another partition: 1 runs ({post.source}:{post.run:012x})" in result.out
    assert "ev=elsewhere" in result.err and "ev=fewer" not in result.err
    assert post.counted() == 3 and all(other.counted() == 2 for other in others)
    assert (post.source, post.run, (post.partition + 1) % system.partitions) in homes(system)
    program, *words = result.out.split("To go back: ")[1].split()
    system.run(program, *words, code=1)
    assert post.counted() == 2
    assert (post.source, post.run, post.partition) in homes(system)
    system.db.execute(f"DROP SCHEMA {rebuilt.name} CASCADE")
    rebuilt = Next(system)
    rebuilt.count()
    same.assert_same(system.db, system.schema, rebuilt.name)
    swap(system)


def test_what_is_refused(system):
    post = Post(system)
    post.send(1, 2)
    post.count()
    missing = swap(system, code=2).err
    assert "--record-schema " + system.schema + "_record" in missing
    rebuilt = Next(system)
    behind = swap(system, code=2).err
    assert "behind" in behind and f"fx-rollup --schema-name {rebuilt.name} --until-end" in behind
    rebuilt.count()
    post.send(3)
    post.count()
    behind = swap(system, code=2).err
    assert f"{system.topic('checkpoint')}:{post.partition} by 1" in behind
    rebuilt.count()
    words = ["--swap", system.schema]
    wrong = system.run("fx-setup", *words, code=2, env=rebuilt.env).err
    assert "--schema-name" in wrong
    for words in (["--swap", "No-Name"], ["--swap", system.schema], ["--swap", "live_nothing"]):
        system.run("fx-setup", *words, code=2)
    other = system.schema + "_other"
    system.run("fx-setup", "--partitions", 1, env={"FX_SCHEMA_NAME": other,
                                                  "FX_TOPIC_PREFIX": system.prefix + ".other"})
    system.extra_schemas.append(other)
    assert "prefix" in system.run("fx-setup", "--swap", other, code=2).err
    assert not is_rebuild(system) and is_rebuild(system, rebuilt.name)
    swap(system)


def test_a_flush_that_holds_its_locks_is_waited_for(system):
    """And the swap gives up, with nothing changed, when the locks do not come."""
    post = Post(system)
    post.send(1)
    post.count()
    rebuilt = Next(system)
    rebuilt.count()
    with psycopg.connect() as other:
        other.execute(f"SELECT FROM {system.schema}.partition_position FOR UPDATE")
        result = swap(system, code=4, seconds=90)
        assert "nothing changed, try again" in result.err and "ev=again" in result.err
        assert "FX_ECLAIM" not in result.err  # nobody took over
        other.rollback()
    assert not is_rebuild(system) and is_rebuild(system, rebuilt.name)
    reader = psycopg.connect()  # who only reads does not hold it up
    reader.execute(f"SELECT count(*) FROM {system.schema}.partition_position")
    swap(system)
    reader.close()


# ---- readers ----


def test_readers_go_on(system):
    """Roles, grants of others and search_path work as before; foreign views are named."""
    post = Post(system)
    post.send(1, 2, 3)
    post.count()
    db, schema = system.db, system.schema
    foreign = f"{schema}_x"
    db.execute(f"CREATE SCHEMA {foreign}")
    db.execute(f"CREATE VIEW {foreign}.mine AS SELECT * FROM {schema}.checkpoint_city")
    db.execute(f"GRANT USAGE ON SCHEMA {schema} TO pg_monitor")
    db.execute(f"GRANT SELECT ON {schema}.checkpoint_city TO pg_monitor WITH GRANT OPTION")
    try:
        Next(system).count()
        result = swap(system)
        assert f"{foreign}.mine" in result.err and "old tables" in result.err
        privilege = "SELECT has_schema_privilege('pg_monitor', %s, 'USAGE') AND"
        privilege += " has_table_privilege('pg_monitor', %s, 'SELECT WITH GRANT OPTION')"
        assert db.execute(privilege, (schema, f"{schema}.checkpoint_city")).fetchone()[0]
        with psycopg.connect() as analyst:
            analyst.execute("SET ROLE fangxian_analyst")
            analyst.execute(f"SET search_path = {schema}, pg_catalog")
            view = "SELECT sum(checked_groups)::bigint FROM checkpoint_city_daily"
            assert analyst.execute(view).fetchone()[0] == 3
            assert analyst.execute("SELECT count(*) FROM accepted_loss").fetchone()[0] == 0
    finally:
        db.execute(f"DROP SCHEMA {foreign} CASCADE")
    system.setup()
    assert system.differences() == []


# ---- other definitions ----


def test_other_definitions_take_over(system, tmp_path):
    """A changed bucket: who counts by the old definitions stops with 2, the new ones go on."""
    folder = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, folder, ignore=shutil.ignore_patterns("*.c", "*.h"))
    path = folder / "checkpoint/checkpoint.rollup.json"
    path.write_text(path.read_text().replace('"bucket": "1h"', '"bucket": "15min"'))
    post = Post(system)
    post.send(*range(1, 30))
    system.sent()
    live = system.start("fx-rollup")
    wait_until(lambda: post.counted() == 29, 30, "the first events")
    assert "rebuild" in system.setup(schemas=folder, code=2).err
    rebuilt = Next(system, schemas=folder)
    newer = {"FX_SCHEMAS": str(folder)}
    rebuilt.count(env=newer)
    swap(system)
    post.send(30)
    system.sent()
    assert live.wait(30) == 2
    assert "run fx-setup" in live.result().err
    assert post.counted() == 29
    system.run("fx-rollup", "--until-end", env=newer)
    assert post.counted() == 30 and post.total() == 30
    width = system.value("SELECT bucket_ms FROM {s}.rollup_definition WHERE rollup = 'checkpoint'")
    assert width == 900_000


# ---- under load ----


class Load:
    """Posts that send all the time, and a journal of what they sent."""

    def __init__(self, system):
        self.system, self.stop = system, threading.Event()
        self.posts = [Post(system, kind) for kind in KINDS for _ in range(4)]
        self.posts += [Post(system, "checkpoint", region=place) for place in (HAIFENG, SHANWEI)]
        self.tallies = {kind: recount.Recount(SCHEMAS, kind) for kind in KINDS}
        self.sent = 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        pick, seq = random.Random(7), 0
        while not self.stop.is_set():
            seq += 1
            for post in self.posts:
                if seq > 3 and pick.random() < 0.03:
                    continue
                event = post.event(seq)
                post.send_raw(post.schema.encode(event))
                self.tallies[post.kind].add(event)
                self.sent += 1
                if pick.random() < 0.02:
                    post.send_raw(post.schema.encode(event))
            self.system.sent()
            time.sleep(0.002)

    def close(self):
        self.stop.set()
        self.thread.join()


def watch(system, stop, seen):
    """An analyst's eye: a figure never goes back, whatever is swapped."""
    with psycopg.connect(autocommit=True) as db:
        query = "SELECT coalesce(sum(checked_groups), 0)::bigint"
        query += f" FROM {system.schema}.checkpoint_city"
        while not stop.is_set():
            seen.append(db.execute(query).fetchone()[0])
            time.sleep(0.005)


def test_swaps_under_load(system, target):
    rebuilt = Next(system)
    load = Load(system)
    seen, stop = [], threading.Event()
    eye = threading.Thread(target=watch, args=(system, stop, seen))
    workers = [
        system.start("fx-rollup", "--workers", 2, "--flush-events", 500),
        system.start("fx-rollup", "--flush-events", 300),
        system.start("fx-rollup", "--workers", 2, env=rebuilt.env),
        system.start("fx-rollup", "--flush-events", 100, env=rebuilt.env),
    ]
    swaps = 0
    try:
        wait_until(lambda: system.value("SELECT count(*) FROM {s}.source_ledger") > 10, 30, "live")
        wait_until(lambda: rebuilt.value("SELECT count(*) FROM {s}.source_ledger") > 10, 30, "next")
        eye.start()
        for _ in range(8):
            swap(system)
            swaps += 1
            time.sleep(random.uniform(0.05, 0.8))
    finally:
        stop.set()
        load.close()
    for worker in workers:
        assert worker.is_running(), worker.result()
        assert worker.stop().code == 0
    eye.join()
    system.count()
    rebuilt.count()
    fences = sum(w.result().err.count("ev=drop") for w in workers)
    assert fences > 0 and len(seen) > 50
    assert seen == sorted(seen), "a figure went back"
    compared, texts = 0, []
    for tally in load.tallies.values():
        for schema in (None, rebuilt.name):
            count, wrong = tally.compare(system, schema)
            compared += count
            texts += wrong + tally.compare_ledger(system, schema)
    between = same.compare(system.db, system.schema, rebuilt.name)
    assert target("swaps_under_load", swaps, 8)
    assert target("swap_cells", compared + between.cells, 1000)
    is_same = target("swap_cells_differ", len(texts) + between.differing, 0)
    assert is_same, f"{texts[:20]} {between}"

