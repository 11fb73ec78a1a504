# SPDX-License-Identifier: Apache-2.0
"""The city that soaks: tests/chaos's rig with a post for each kind, lines by a compressed clock.

Who is spared is never killed, however long it runs: what grows in it shows. The others are killed
as in any week, and start again.
"""

import multiprocessing
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient
from load import BATCH_S, FileOut, Shared, Sink, SocketOut
from rig import Rig
from week import AT, path_of

DAY_MS = 86_400_000
DIGITS = slice(len(AT), len(AT) + 13)
OUTBOX_MAX_BYTES = 12 << 20


@dataclass(frozen=True)
class Post(Sink):
    heartbeat_s: int = 10
    is_spared: bool = True
    keeps: tuple = ("--keep-days", "0")  # what makes its outbox forget

    @property
    def is_forgetful(self):
        """Of every row, once it is acknowledged."""
        return "--keep-days" in self.keeps

    def words(self, folder):
        return [*super().words(folder), *self.keeps]


BY_SIZE = ("--outbox-max-bytes", str(OUTBOX_MAX_BYTES))
POSTS = (
    Post("gate", "fx-checkpoint", "checkpoint", False, keeps=BY_SIZE),
    Post("swab", "fx-test-site", "test_site", False, is_spared=False),
    Post("room", "fx-quarantine", "quarantine", True),
    Post("door", "fx-emit", "screening", True),
    Post("list", "fx-emit", "contact", False, is_spared=False),
    Post("duty", "fx-emit", "duty", False),
    Post("help", "fx-emit", "service", False, is_spared=False),
)


class Caller(SocketOut):
    """Each batch over a connection of its own."""

    def give(self, lines):
        super().give(lines)
        self.answers.close()
        self._hang_up()


class Days:
    """The rig's load: a day at a time, a thread for each post, at the times its lines bear."""

    def __init__(self, folder, week):
        self.folder, self.week = folder, week
        self.shared = {post.name: Shared() for post in POSTS}
        self.stop = multiprocessing.Value("b", 0)
        self.outs = {post.name: self._out(post) for post in POSTS}

    def _out(self, post):
        kind = Caller if post.is_socket else FileOut
        return kind(post, self.folder, self.shared[post.name])

    def start(self):
        """Nothing: main.py says when a day begins."""

    def play(self, day):
        """Gives every post its lines of the day; returns when the day is over."""
        began = time.monotonic()
        with ThreadPoolExecutor(len(POSTS)) as pool:
            writers = [pool.submit(self._write, post, day, began) for post in POSTS]
        for writer in writers:
            writer.result()

    def _write(self, post, day, began):
        """A line of an earlier time, as offline posts send, comes when it comes: behind those
        before it."""
        begin_ms, scale = self.week.begin_ms(day), self.week.day_s / DAY_MS
        batch, now_ms = [], begin_ms
        with open(path_of(self.folder, post.name, day), encoding="utf-8") as lines:
            for line in lines:
                now_ms = max(now_ms, int(line[DIGITS]))
                due = began + (now_ms - begin_ms) * scale
                while (wait := due - time.monotonic()) > 0 and not self.stop.value:
                    batch = self._give(post, batch)
                    time.sleep(max(wait, BATCH_S))
                batch.append(line.rstrip("\n"))
                if len(batch) >= 1000:
                    batch = self._give(post, batch)
        self._give(post, batch)

    def _give(self, post, batch):
        """The next batch: none yet."""
        if batch:
            self.outs[post.name].give(batch)
            self.shared[post.name].written.value += len(batch)
        return []


class City(Rig):
    NAME = "soak"
    IS_SIMULATED = True
    SINKS = POSTS
    ROLLUPS = {"a": 2, "b": 1}
    ROLLUP_WORDS = ("--ledger-runs", 2048)  # reached on day 2: posts that are killed open thousands
    SPARED = "a"

    def _make_load(self, week):
        return Days(self.folder, week)

    def _make_disks(self):
        return {}

    def _disk_env(self, sink):
        return {}

    def _register(self):
        """The week's posts, as the simulation names them; and PostgreSQL's minute, compressed."""
        rows = []
        for post in POSTS:
            program, *words = self.load.week.words(post.kind, 1)
            path = self.folder / f"{post.name}.sources"
            self.system.run(program, *words, "--write-sources", path)
            header, *more = path.read_text(encoding="utf-8").splitlines()
            rows += more
        path = self.folder / "sources.csv"
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        self.system.setup("--sources", path)
        with self.stack.primary.connect() as db:
            db.execute("CREATE EXTENSION pgstattuple")
            # a day takes half a minute or some minutes: autovacuum looks as often as it may
            db.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
            db.execute("SELECT pg_reload_conf()")

    def warm_up(self, seconds):
        """Outages as long as the week's or longer, so that each table, queue and outbox was full
        once: what takes more is growth then. None before every worker has claimed: one that cannot
        when it starts gives up after half a minute, for whoever started it to see."""
        from lib.system import wait_until

        def all_claimed():
            owners = {who for _, who in self.positions().values() if who}
            return len(owners) == sum(self.ROLLUPS.values())

        wait_until(all_claimed, 30, "a claim of every worker")
        kafka, primary = self.stack.kafka, self.stack.primary
        primary.end(signal.SIGQUIT)
        time.sleep(seconds)
        primary.start(self.stack.log)
        kafka.end(signal.SIGKILL)
        time.sleep(seconds)
        kafka.start()
        kafka.wait_ready(AdminClient({"bootstrap.servers": f"127.0.0.1:{kafka.port}"}))

    def spared(self):
        """{name: its Servant}, of those that live through the week."""
        posts = {post.name: self.producers[post.name] for post in POSTS if post.is_spared}
        return {"rollup": self.rollups[self.SPARED], **posts}

    def start(self):
        for servant in self.servants():
            servant.start()
        self.tender.start()
        return self

    def counted_lines(self):
        """{post: events counted}"""
        query = "SELECT topic, sum(counted)::bigint AS n FROM {s}.source_ledger GROUP BY 1"
        by_topic = {row["topic"]: row["n"] for row in self.system.rows(query)}
        return {post.name: by_topic.get(self.system.topic(post.kind), 0) for post in POSTS}

    def wait_level(self, seconds=180):
        """Until every line given so far is counted; how long that took."""
        began = time.monotonic()
        given = {name: shared.written.value for name, shared in self.load.shared.items()}
        while (counted := self.counted_lines()) != given:
            short = {n: (counted[n], g) for n, g in given.items() if counted[n] != g}
            assert time.monotonic() - began < seconds, f"counted, given: {short}"
            time.sleep(0.2)
        return time.monotonic() - began

    def _wait_taken(self, seconds):
        self.wait_level(seconds)
