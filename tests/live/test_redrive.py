# SPDX-License-Identifier: Apache-2.0
"""fx-rollup --redrive: what was rejected counts once its cause is mended, as if it had in its turn.

A rebuild from Kafka under the mended definitions is the judge: every rollup table, the ledger and
the gaps must be the same."""

import random
import re
import threading
import time

import pytest
from lib.post import Post
from lib.system import System, wait_until
from test_loss import recreate, trim
from test_new_kind import RATION, RATION_2, copy_schemas, write_kind

NEW = "441521999"
REBUILT = ["source_ledger", "source_gap", "source_hour", "source_day", "source_tally"]
REBUILT += ["reversal", "corrected_event"]


@pytest.fixture
def system(tmp_path):
    system = System("redrive", schemas=copy_schemas(tmp_path), partitions=2)
    yield system
    system.close()


def rejected(system, reason=None):
    return system.value(
        "SELECT count(*) FROM {s}.rejected_event WHERE reason = coalesce(%s, reason)", reason
    )


def redrive(system, *reason, code=0, **kw):
    """The result line's numbers, with the result as "said"."""
    said = system.run("fx-rollup", "--redrive", *reason, code=code, **kw)
    (line,) = re.findall(r"ev=redriven (.*)", said.err)
    return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)} | {"said": said}


def start_worker(system):
    """A live worker that has claimed."""
    worker = system.start("fx-rollup", "--workers", 2)
    wait_until(lambda: "ev=claim" in worker.result().err, what="a claim")
    return worker


def tables(system):
    found = system.rows(
        "SELECT c.relname AS name FROM pg_class c JOIN {s}.rollup_definition d ON "
        "c.relname ~ ('^' || d.rollup || '_(town|county|city|source)(_total)?$') "
        "WHERE c.relkind = 'r' AND c.relnamespace = %s::regnamespace",
        system.schema,
    )
    return [row["name"] for row in found] + REBUILT


def assert_as_rebuilt(system):
    """All that was counted is what a new schema counts from the beginning."""
    anew = system.schema + "_anew"
    system.setup(schema=anew)
    system.count(env={"FX_SCHEMA_NAME": anew, "FX_GROUP": anew})
    for table in tables(system):
        query = "SELECT count(*) FROM (TABLE {a}.{t} EXCEPT ALL TABLE {b}.{t}) d"
        for a, b in ((system.schema, anew), (anew, system.schema)):
            text = query.format(a=a, b=b, t=table)
            assert system.value(text) == 0, f"{table}: rows of {a} are not those of {b}"
    assert len(tables(system)) > 8


class Traffic:
    """A post that goes on sending good events while the block runs."""

    def __init__(self, system, kind="checkpoint"):
        self.post, self.sent, self.over = Post(system, kind), 0, threading.Event()
        self.thread = threading.Thread(target=self._send, daemon=True)

    def _send(self):
        while not self.over.wait(0.01):
            self.sent += 5
            self.post.send(*range(self.sent - 4, self.sent + 1))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.post.system.sent()

    def wait_counted(self):
        wait_until(lambda: self.post.counted() == self.sent, what="the traffic is counted")


def test_mended_causes_under_traffic(system):
    """Regions and simulated sources are mended while a worker counts; the rest stays."""
    worker = start_worker(system)
    posts = [Post(system) for _ in range(4)]
    simulated = Post(system, source="SIM-CP-1")
    with Traffic(system) as traffic:
        for post in posts:
            post.send(*range(1, 101))
            post.send(*range(101, 201), region=NEW)
            post.send_raw(post.heartbeat(1, 200))
            post.send(*range(150, 181), region=NEW)  # copies
            post.send(201, 202, passed=2)
            post.send(*range(203, 221))
        simulated.send(*range(1, 60))
        simulated.send(60, passed=2)
        simulated.send_raw(simulated.heartbeat(1, 62))
        simulated.send(*range(63, 80))
        system.sent()
        wait_until(lambda: rejected(system) == 4 * (100 + 31 + 2) + 78, what="all are rejected")
        assert all((101, 202, "rejected") in post.gaps() for post in posts)
        system.is_simulated = True
        system.add_town(NEW)
        did = redrive(system, "unknown_region")
        assert (did["counted"], did["duplicates"], did["rejected"]) == (400, 4 * 31, 0)
        did = redrive(system, code=1)
        assert (did["counted"], did["duplicates"], did["rejected"]) == (59 + 1 + 17, 0, 9)
        assert "reason=sums_mismatch events=9" in did["said"].err
        again = redrive(system, code=1)
        assert (again["counted"], again["duplicates"], again["rejected"]) == (0, 0, 9)
    traffic.wait_counted()
    assert worker.stop().code == 0
    for post in posts:
        assert post.gaps() == [(201, 202, "rejected")]
        ledger = post.ledger()
        assert (ledger["counted"], ledger["rejected"], ledger["duplicates"]) == (218, 2, 31)
        assert post.total(table="checkpoint_source") == 218
    assert simulated.gaps() == [(60, 60, "rejected"), (61, 62, "missing")]
    outcomes = system.rows(
        f"SELECT outcome, count(*) AS n FROM {system.schema}_record.redriven_event GROUP BY 1"
    )
    assert {r["outcome"]: r["n"] for r in outcomes} == {"counted": 477, "duplicate": 124}
    assert_as_rebuilt(system)


def test_a_new_version_counts_what_came_before_it(tmp_path):
    folder = copy_schemas(tmp_path)
    later = copy_schemas(tmp_path / "later")
    write_kind(folder, RATION)
    write_kind(later, RATION)
    write_kind(later, (2, RATION_2[1], RATION[2]))  # a column of its own would be NULL before it
    system = System("version", schemas=folder, partitions=2)
    try:
        body = {"channel": "GRID", "parcels": 2, "urgent": True}
        post = Post(system, "ration", body=body)
        post.send(1, 2)
        worker = start_worker(system)
        system.schemas = later
        system.env["FX_SCHEMAS"] = str(later)
        ahead = Post(system, "ration", source=post.source, body=body | {"channel": "ARMY"})
        ahead.run = post.run
        ahead.body |= {"crew": 3}
        ahead.send(*range(3, 43))
        ahead.send(43, parcels=501)
        system.sent()
        wait_until(lambda: rejected(system, "unknown_schema") == 41, what="all are rejected")
        assert post.ledger()["high"] == 2 and redrive_is_refused(system)
        system.setup()
        assert worker.wait(30) == 2, "it says to run fx-setup and to be started again"
        worker = start_worker(system)
        did = redrive(system, "unknown_schema", code=1)
        assert (did["counted"], did["rejected"]) == (40, 1)
        assert post.gaps() == [(43, 43, "rejected")] and rejected(system, "invalid_field") == 1
        assert post.total("parcel_times", "ration_source") == 84
        assert worker.stop().code == 0
        assert_as_rebuilt(system)
    finally:
        system.close()


def redrive_is_refused(system):
    """These definitions are not those of the schema."""
    said = system.run("fx-rollup", "--redrive", code=2)
    return "run fx-setup" in said.err


def test_released_source(system):
    post = Post(system)
    post.send(1)
    post.count()
    quarantine = "UPDATE {s}.source_ledger SET is_quarantined = {v}"
    system.db.execute(quarantine.format(s=system.schema, v="true"))
    post.send(2, 3, 6)
    post.count()
    assert rejected(system, "source_quarantined") == 3
    did = redrive(system, "source_quarantined", code=1)
    assert did["rejected"] == 3 and post.ledger()["high"] == 1
    system.db.execute(quarantine.format(s=system.schema, v="false"))
    as_writer = {"PGOPTIONS": "-c role=fangxian_writer"}
    assert redrive(system, "source_quarantined", env=as_writer)["counted"] == 3
    assert post.gaps() == [(4, 5, "missing")] and post.counted() == 4
    assert_as_rebuilt(system)


def test_refused_by_the_database(system):
    bad, good = Post(system, source="BAD-1"), Post(system)
    bad.send(1, region=NEW)
    good.send(*range(1, 40), region=NEW)
    bad.send(2, region=NEW)
    bad.count()
    rule = f"ALTER TABLE {system.schema}.checkpoint_source"
    system.db.execute(f"{rule} ADD CONSTRAINT refuse CHECK (source <> 'BAD-1')")
    system.add_town(NEW)
    did = redrive(system, code=1)
    assert (did["counted"], did["rejected"]) == (39, 2)
    assert rejected(system, "store_refused") == 2 and bad.ledger()["rejected"] == 2
    assert redrive(system, "store_refused", code=1)["rejected"] == 2
    system.db.execute(f"{rule} DROP CONSTRAINT refuse")
    assert redrive(system, "store_refused")["counted"] == 2
    assert bad.gaps() == [] and bad.ledger()["rejected"] == 0
    assert_as_rebuilt(system)


def test_what_kafka_has_no_more(system):
    post = Post(system)
    post.send(*range(1, 11), region=NEW)
    post.count()
    trim(system, post, 4)
    system.add_town(NEW)
    did = redrive(system, "all", code=1)
    assert (did["counted"], did["gone"]) == (6, 4)
    assert f"resend={post.source}:{post.run:012x}:4" in did["said"].err
    assert post.gaps() == [(1, 4, "rejected")] and rejected(system) == 4
    post.send(*range(1, 5), region=NEW)
    post.count()
    assert post.gaps() == [] and post.counted() == 10
    assert redrive(system, code=0)["duplicates"] == 4
    assert rejected(system) == 0 and redrive(system)["events"] == 0
    assert (post.ledger()["rejected"], post.ledger()["duplicates"]) == (0, 4)
    outcomes = system.rows(
        f"SELECT outcome, count(*) AS n FROM {system.schema}_record.redriven_event GROUP BY 1"
    )
    assert {r["outcome"]: r["n"] for r in outcomes} == {"counted": 6, "duplicate": 4}


def test_a_log_that_was_accepted_as_lost_troubles_no_redrive(system):
    """Its rows are kept, but no view counts them and nobody can take them again."""
    post = Post(system)
    post.send(1, 2)
    post.send(3, 4, region=NEW)
    post.send_raw(b"no event")
    post.count()
    summary = "SELECT coalesce(sum(events), 0)::int FROM {s}.rejected_summary"
    daily = "SELECT coalesce(sum(rejected_events), 0)::int FROM {s}.completeness_daily"
    daily += " WHERE level = 'city'"
    assert system.value(summary) == 3
    assert system.value(daily) == 2  # one names no source
    assert "undecodable" in system.run("fx-audit", "--json", code=None).out
    recreate(system)
    again = Post(system, source=post.source)
    again.run = post.run
    again.send(3)
    system.sent()
    refused = system.count(code=3).err
    found = re.search(r"--accept-loss (\S+)", refused)[1]
    system.run("fx-setup", "--accept-loss", found, "--reason", "the topic was made anew")
    post.count()
    assert rejected(system) == 3 and post.gaps() == [(4, 4, "rejected")]
    assert system.value(summary) == 0 and system.value(daily) == 0
    assert "undecodable" not in system.run("fx-audit", "--json", code=None).out
    assert redrive(system)["events"] == 0


def test_killed_at_any_moment(system):
    """kill -9 during batches, with a worker that takes the partition back each time."""
    worker = start_worker(system)
    posts = [Post(system) for _ in range(4)]
    for post in posts:
        post.send(*range(1, 1501), region=NEW)
    system.sent()
    wait_until(lambda: rejected(system) == 6000, what="all are rejected")
    system.add_town(NEW)
    killed = 0
    with Traffic(system) as traffic:
        for _ in range(5):
            process = system.start("fx-rollup", "--redrive")
            time.sleep(random.uniform(0.05, 1))
            killed += process.kill()
        left = rejected(system)
        did = redrive(system)
    # what the last one had sent may have been committed after it was killed, and after the look
    assert killed > 0 and did["counted"] <= left
    traffic.wait_counted()
    assert worker.stop().code == 0
    settled = system.value(f"SELECT count(*) FROM {system.schema}_record.redriven_event")
    assert settled == 6000 and rejected(system) == 0
    assert [post.total() for post in posts] == [1500] * 4
    assert_as_rebuilt(system)


def test_two_at_once(system):
    post = Post(system)
    post.send(*range(1, 3001), region=NEW)
    post.count()
    system.add_town(NEW)
    both = [system.start("fx-rollup", "--redrive") for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    counted = [re.search(r"counted=(\d+)", process.result().err)[1] for process in both]
    assert sum(map(int, counted)) == 3000
    assert post.counted() == 3000 and post.total() == 3000 and rejected(system) == 0


def test_another_record_in_its_place(system):
    post = Post(system)
    post.send(1, 2, region=NEW)
    post.count()
    system.add_town(NEW)
    system.db.execute(
        f"UPDATE {system.schema}.rejected_range SET"
        " digests = array_fill(sha256('x'), ARRAY[events])"
    )
    said = system.run("fx-rollup", "--redrive", code=3)
    assert "is not the one that was rejected" in said.err
    assert rejected(system) == 2 and post.counted() == 0


def test_usage_and_absent_services(system):
    said = system.run("fx-rollup", "--redrive", "unknown_regions", code=2)
    assert "unknown_region, simulated" in said.err
    assert "no operand" in system.run("fx-rollup", "unknown_region", code=2).err
    assert redrive(system)["events"] == 0, "there is nothing to do"
    post = Post(system)
    post.send(1, region=NEW)
    post.count()
    for away in ({"FX_BROKERS": "127.0.0.1:1"}, {"PGPORT": "1"}):
        said = system.run("fx-rollup", "--redrive", "--give-up", 1, code=4, env=away)
        assert "ev=stopped" in said.err
    assert redrive(system, code=1)["rejected"] == 1
