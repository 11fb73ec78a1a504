# SPDX-License-Identifier: Apache-2.0
"""Ten runs in which much happens and nothing is lost: fx-audit finds nothing, exit status 0. Time
is compressed: events are stamped over the time that a run stands for."""

import datetime
import json
import subprocess
import time

import pytest
from lib.audit import ZONE, audit, found, keep_off_midnight, register, today
from lib.post import BODIES, HAICHENG, HAIFENG, SHANWEI, Post
from lib.proxy import Proxy
from lib.system import HOUR_MS, MINUTE_MS, System, now_ms, wait_until

PLACES = (HAICHENG, HAIFENG, SHANWEI)
clean = []


@pytest.fixture
def system(request):
    keep_off_midnight(30)
    system = System(f"clean{len(clean)}", is_set_up=False)  # expect() does
    yield system
    system.close()


@pytest.fixture(scope="module", autouse=True)
def clean_runs(target):
    yield
    target("clean_runs", len(clean), 10)


def posts(system, count=6, kinds=("checkpoint", "test_site", "quarantine")):
    """Third-party posts at every level."""
    return [Post(system, kinds[i % len(kinds)], region=PLACES[i % 3]) for i in range(count)]


def expect(system, *posts, more=()):
    register(system, [*((p.source, p.kind, p.region) for p in posts), *more])


def is_clean(system, *args):
    """Nothing at all is found, and everybody was heard."""
    report = audit(system, *args)
    assert found(report) == [] and report["verdict"] == "complete", report
    for kind in report["kinds"]:
        assert kind["sources_heard"] == kind["sources_expected"], report
    return report


def passed(system, *args):
    is_clean(system, *args)
    clean.append(system.schema)


def lines(count, begin_ms, step_ms):
    """Device lines of a checkpoint, stamped step by step."""
    body = BODIES["checkpoint"]
    return "".join(json.dumps({**body, "at": begin_ms + i * step_ms}) + "\n" for i in range(count))


class Checkpoint:
    """A real fx-checkpoint with a short heartbeat; lines go to its stdin."""

    def __init__(self, system, source="CP-REAL", env=None):
        self.system, self.source, self.env = system, source, env
        self.words = ["--outbox", system.dir / f"{source}.db", "--source", source]
        self.words += ["--region", HAICHENG, "--heartbeat-s", 1]
        self.start()

    def start(self):
        self.process = self.system.start(
            "fx-checkpoint", *self.words, stdin=subprocess.PIPE, env=self.env
        )

    def feed(self, text):
        self.process.popen.stdin.write(text.encode())
        self.process.popen.stdin.flush()

    def end(self):
        """End of input: it sends all, says ENDED and exits."""
        self.process.popen.stdin.close()
        assert self.process.wait(30) == 0, self.process.result()


def counted(system, source="CP-REAL"):
    query = "SELECT coalesce(sum(counted), 0)::int FROM {s}.source_ledger WHERE source = %s"
    return system.value(query, source)


def settled(system, source, events):
    """As many counted, and a heartbeat that says there are no more."""

    def is_settled():
        rows = system.rows(
            "SELECT sum(counted)::int AS n, bool_and(acked = high) AS told"
            " FROM {s}.source_ledger WHERE source = %s",
            source,
        )
        return rows[0]["n"] == events and rows[0]["told"]

    wait_until(is_settled, 30, f"{events} events of {source} counted and told")


def stop(system, *processes):
    """They end well, and all partitions are caught up once more."""
    assert [process.stop().code for process in processes] == [0] * len(processes)
    system.count()


def test_posts_of_every_kind_and_level(system):
    all_posts = posts(system, 12)
    expect(system, *all_posts)
    for post in all_posts:
        post.send(*range(1, 41))
        post.send_raw(post.heartbeat(1, 40))
    all_posts[0].count()
    passed(system)


def test_late_events_and_copies(system):
    """Out of order, twice, hours late; a hole that is open for a while and filled."""
    all_posts = posts(system)
    expect(system, *all_posts)
    for post in all_posts:
        post.send(3, 1, 2, 2, 9, 8)
        post.send(4, occurred_at=now_ms() - 30 * HOUR_MS)
    all_posts[0].count()
    assert audit(system)["exit_status"] == 1, "the hole is open"
    for post in all_posts:
        post.send(5, 6, 7, 8, 9)
        post.send_raw(post.heartbeat(1, 9))
        post.send_raw(post.heartbeat(1, 9))
    all_posts[0].count()
    passed(system)


def test_reversals_and_wrong_clocks(system):
    """Figures go up and down again; a clock a day ahead counts in the hour of arrival."""
    all_posts = posts(system)
    expect(system, *all_posts)
    for post in all_posts:
        originals = [post.event(seq, occurred_at=now_ms() - seq * HOUR_MS) for seq in range(1, 9)]
        for original in originals:
            post.send_raw(post.schema.encode(original))
        for seq, original in enumerate(originals[:5], 9):
            post.send_raw(post.reversal(seq, original))
        post.send(14, occurred_at=now_ms() + 24 * HOUR_MS)
        post.send_raw(post.heartbeat(1, 14))
    all_posts[0].count()
    passed(system)


def test_outage_of_ten_minutes(system):
    """The post loses the broker, goes on, and sends its backlog when it is back: at no time is
    anything missing."""
    proxy = Proxy()
    try:
        expect(system, more=[("CP-REAL", "checkpoint", HAICHENG)])
        begin_ms = now_ms() - 10 * MINUTE_MS
        rollup = system.start("fx-rollup")
        post = Checkpoint(system, env={"FX_BROKERS": proxy.address})
        post.feed(lines(100, begin_ms, 100))
        settled(system, "CP-REAL", 100)
        proxy.cut()
        post.feed(lines(2900, begin_ms + 10_000, 200))
        time.sleep(3)
        assert counted(system) == 100, "the proxy was cut"
        is_clean(system)  # what is in the outbox is not known to be anywhere yet
        proxy.mend()
        settled(system, "CP-REAL", 3000)
        post.end()
        stop(system, rollup)
        passed(system)
    finally:
        proxy.close()


def test_consumer_stopped_and_started(system):
    """Nobody counts for two minutes: unknown, never wrong; then complete again."""
    all_posts = posts(system)
    expect(system, *all_posts)
    for post in all_posts:
        post.send(*range(1, 21))
        post.send_raw(post.heartbeat(1, 20))
    all_posts[0].count()
    is_clean(system)
    for post in all_posts:
        post.send(*range(21, 41))
        post.send_raw(post.heartbeat(2, 40))
    system.sent()
    ago = "caught_up_at - interval '2 minutes'"
    system.rows(f"UPDATE {{s}}.partition_position SET caught_up_at = {ago} RETURNING 1")
    report = audit(system, code=2)
    assert report["verdict"] == "unknown" and {s for s, _ in found(report)} == {"behind"}, report
    text = system.run("fx-audit", code=2).out
    assert text.startswith("unknown since ") and ", 0 missing" in text.splitlines()[0]
    system.count()
    passed(system)


def test_partitions_added(system):
    """Runs stay where they are, new ones use the new partitions."""
    old, new = posts(system, 12), posts(system, 12)
    expect(system, *old, *new)
    for post in old:
        post.send(*range(1, 11))
    old[0].count()
    system.partitions = 7
    system.setup()
    system.forget_topics()
    for post in old:
        post.send(*range(11, 21))
        post.send_raw(post.heartbeat(1, 20))
    for post in new:
        again = Post(system, post.kind, post.source, post.region)
        again.send(*range(1, 11))
        again.send_raw(again.heartbeat(1, 10))
    old[0].count()
    used = system.value("SELECT count(DISTINCT partition)::int FROM {s}.source_ledger")
    assert used > 4
    passed(system)


def test_day_change(system):
    """Events on both sides of midnight, and a whole day before it that is complete too."""
    midnight = datetime.datetime.combine(today(), datetime.time(), ZONE)
    midnight_ms = int(midnight.timestamp() * 1000)
    yesterday = today() - datetime.timedelta(1)
    all_posts = posts(system)
    expect(system, *all_posts)
    for post in all_posts:
        for seq in range(1, 25):
            post.send(seq, occurred_at=midnight_ms - (25 - seq) * HOUR_MS + 5 * MINUTE_MS)
        post.send(25, occurred_at=midnight_ms - 1)
        post.send(26, occurred_at=midnight_ms)
        post.send_raw(post.heartbeat(1, 26))
    all_posts[0].count()
    past = is_clean(system, "--day", yesterday.isoformat())
    counted = {kind["kind"]: kind["counted"] for kind in past["kinds"] if kind["counted"] > 0}
    assert counted == {post.kind: 50 for post in all_posts}
    passed(system)


def test_post_closed_on_purpose(system):
    """It sent all and said that it ended: neither silent nor lost."""
    expect(system, more=[("CP-REAL", "checkpoint", HAICHENG)])
    post = Checkpoint(system)
    post.feed(lines(200, now_ms() - 200_000, 1000))
    post.end()
    system.count()
    assert counted(system) == 200
    report = is_clean(system)
    assert report["kinds"][0]["inputs_closed"] == 1
    passed(system)


def test_producer_killed_and_restarted(system):
    """kill -9 twice: each run is replaced by the next, and nothing is lost."""
    expect(system, more=[("CP-REAL", "checkpoint", HAICHENG)])
    rollup = system.start("fx-rollup")
    post = Checkpoint(system)
    for kills in range(3):
        post.feed(lines(300, now_ms() - 300_000, 1000))
        wait_until(lambda: counted(system) == 300 * (kills + 1), 30, "lines counted")
        if kills < 2:
            assert post.process.kill()
            post.start()
    post.end()
    wait_until(lambda: counted(system) == 900, 30, "all counted")
    stop(system, rollup)
    query = "SELECT state FROM {s}.source_run WHERE source = 'CP-REAL' ORDER BY opened_at"
    states = [row["state"] for row in system.rows(query)]
    assert len(states) == 3 and set(states) <= {"ended", "replaced"}, states
    passed(system)


def test_consumers_killed_and_rebalanced(system):
    """Two consumers, one of them killed in the middle and started again."""
    all_posts = posts(system, 24)
    expect(system, *all_posts)
    first = system.start("fx-rollup", "--instance", "a")
    second = system.start("fx-rollup", "--instance", "b")
    for chunk in range(6):
        for post in all_posts:
            post.send(*range(chunk * 50 + 1, chunk * 50 + 51))
        system.sent()
        if chunk in (2, 4):
            assert second.kill()
            second = system.start("fx-rollup", "--instance", "b")
    for post in all_posts:
        post.send_raw(post.heartbeat(1, 300))
    system.sent()
    query = "SELECT coalesce(sum(counted), 0)::int FROM {s}.source_ledger WHERE acked = high"
    wait_until(lambda: system.value(query) == 300 * 24, 60, "all counted")
    stop(system, first, second)
    passed(system)
