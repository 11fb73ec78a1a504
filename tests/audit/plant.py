# SPDX-License-Identifier: Apache-2.0
"""Plants everything that can go wrong, and keeps the list of what an audit must then say.

The list comes from what is sent, never from a query: a number that is not sent is missing. A plant
is a generator; all run in step, and between two steps everything is in Kafka and the clock has
moved on, so that append times tell their order. COUNT asks for fx-rollup in between.
"""

import datetime
import random
import secrets
import time
from collections import Counter, defaultdict

from lib.audit import PROGRAMS, today
from lib.post import Post
from lib.system import MINUTE_MS, now_ms
from lib.wire import HEADER_SIZE

KINDS = ("checkpoint", "test_site", "quarantine")
# towns, counties and the city: figures of every level are at stake
REGIONS = ("441521115", "441502001", "441502002", "441521", "441581", "441500")
COUNT, DONE = "count", "done"


class Garden:
    def __init__(self, system, seed):
        self.system, self.pick = system, random.Random(seed)
        self.expected = defaultdict(set)  # section: findings
        self.rejected = Counter()  # (kind, reason): messages
        self.rejected_sources = defaultdict(set)
        self.registered, self.plants, self.later = [], [], []
        self.changed = set()  # sources whose ledger was changed in the database alone
        self.counted = Counter()  # kind: events that count
        self.day = today()

    # ---- what plants are made of ----

    def post(self, kind, prefix, is_registered=True):
        source = f"{prefix}-{secrets.token_hex(4)}"
        post = Post(self.system, kind, source, self.pick.choice(REGIONS))
        if is_registered:
            self.registered.append((source, kind, post.region))
        return post

    def again(self, post):
        """Another run of the same source."""
        return Post(self.system, post.kind, post.source, post.region)

    def send(self, post, numbers):
        numbers = list(numbers)
        post.send(*numbers)
        self.counted[post.kind] += len(numbers)

    def beat(self, post, acked, n=1, **changes):
        post.send_raw(post.heartbeat(n, acked, **changes))

    def missing(self, post, first, last, cause="missing", **more):
        """Expects the range; gone: the source says it no longer holds it (None: says nothing)."""
        gone, reasons = more.get("gone", False), more.get("reasons")
        run = f"{post.run:012x}"
        numbers = f"{post.source}:{run}:{first}-{last}"
        topics = f"--topic-prefix {self.system.prefix}"
        there = f"--schema-name {self.system.schema} {topics}"
        if cause == "rejected" and reasons == "already_reversed":
            command = f"fx-setup {there} --write-off {numbers} --reason TEXT"
        elif cause == "rejected":
            command = f"fx-rollup {there} --redrive" + ("" if " " in reasons else f" {reasons}")
        elif cause == "lost" or gone:
            command = f"fx-setup {there} --write-off {numbers} --reason TEXT"
        else:
            command = f"{PROGRAMS[post.kind]} {topics} --resend {numbers}"
        day = more.get("day", self.day).isoformat()
        key = (post.kind, post.source, run, first, last, day, cause, gone, reasons, command)
        self.expected["missing"].add(key)

    def reject(self, post, reason, value, source=None, **where):
        post.send_raw(value, **where)
        self.rejected[post.kind, reason] += 1
        if source:
            self.rejected_sources[post.kind, reason].add(source)

    def run_found(self, post, state, is_quarantined=False):
        key = (post.kind, post.source, f"{post.run:012x}", state, is_quarantined)
        self.expected["runs"].add(key)

    def add(self, count, plant, *args, kinds=KINDS):
        for i in range(count):
            self.plants.append(plant(kinds[i % len(kinds)], *args))

    # ---- numbers that do not come ----

    def holes(self, kind, count=7, keeps=1):
        """Numbers lost in the middle; those below keeps are gone from the outbox."""
        post, high = self.post(kind, "HOLE"), count * 15 + 2
        lost = []
        for i in range(count):
            first = i * 15 + self.pick.randint(2, 8)
            lost.append((first, first + self.pick.randint(0, 4)))
        gone = {seq for first, last in lost for seq in range(first, last + 1)}
        self.send(post, (seq for seq in range(1, high + 1) if seq not in gone))
        self.beat(post, high, oldest_kept=keeps)
        for first, last in lost:
            if first < keeps:
                self.missing(post, first, min(last, keeps - 1), gone=True)
            if last >= keeps:
                self.missing(post, max(first, keeps), last)
        yield

    def silent_about_itself(self, kind):
        """No heartbeat ever: nobody knows what the outbox holds."""
        post = self.post(kind, "MUTE")
        self.send(post, (1, 2, 6))
        self.missing(post, 3, 5, gone=None)
        yield

    def across_midnight(self, kind):
        """The numbers up to 10 are yesterday's: a hole from 8 to 13 is of two days."""
        post, yesterday = self.post(kind, "NIGHT"), self.day - datetime.timedelta(1)
        self.send(post, (1, 2, 3, 4, 5, 6, 7, 14, 15, 17))
        self.beat(post, 17)
        self.missing(post, 8, 10, day=yesterday)
        self.missing(post, 11, 13)
        self.missing(post, 16, 16)
        self.later.append((self.move_day, post, yesterday, 10))
        yield

    def move_day(self, post, yesterday, last):
        """As if the numbers up to last had come the day before."""
        self.changed.add(post.source)
        where = "WHERE source = %s AND run = %s"
        key = (post.source, post.run)
        self.system.rows(
            "WITH l AS (UPDATE {s}.source_ledger SET day = %s, day_first_seq = %s"
            f" {where} RETURNING topic, source, run), d AS (DELETE FROM {{s}}.source_day {where})"
            " INSERT INTO {s}.source_day SELECT topic, source, run, %s, 1, %s FROM l RETURNING 1",
            *(self.day, last + 1, *key, *key, yesterday, last),
        )

    def lost_tail(self, kind):
        """The broker acknowledged the last five and lost them."""
        post = self.post(kind, "TAIL")
        self.send(post, range(1, 21))
        self.beat(post, 25)
        self.missing(post, 21, 25)
        yield

    def told_by_successor(self, kind):
        """The outbox went back in time: its next run knows of five more."""
        post = self.post(kind, "HEIR")
        self.send(post, range(1, 21))
        self.beat(post, 20)
        yield
        heir = self.again(post)
        more = {"state": "OPEN", "previous_run": post.run, "previous_last_seq": 25}
        self.beat(heir, 0, n=0, oldest_kept=0, **more)
        self.send(heir, range(1, 4))
        self.missing(post, 21, 25, "lost")

    def lost_device(self, kind, untold=10):
        """Another device under the same name; what the first had announced will not come."""
        post = self.post(kind, "GONE")
        self.send(post, range(1, 21))
        self.beat(post, 20, last_seq=20 + untold)
        yield
        other = self.again(post)
        self.beat(other, 0, n=0, oldest_kept=0, state="OPEN")
        self.send(other, range(1, 4))
        self.run_found(post, "lost")
        if untold:
            self.missing(post, 21, 20 + untold, "lost")

    # ---- clones ----

    def fork(self, kind):
        """Two runs name the same run before: the outbox was copied."""
        post = self.post(kind, "FORK")
        self.send(post, range(1, 11))
        self.beat(post, 10)
        for _ in range(2):
            yield
            heir = self.again(post)
            more = {"state": "OPEN", "previous_run": post.run, "previous_last_seq": 10}
            self.beat(heir, 0, n=0, oldest_kept=0, **more)
            self.send(heir, range(1, 3))
            self.run_found(heir, "cloned")

    def by_turns(self, kind):
        """Two devices report by turns under one name."""
        one = self.post(kind, "TURN")
        two = self.again(one)
        for first in (1, 6):
            for post in (one, two):
                self.send(post, range(first, first + 5))
                self.beat(post, first + 4, n=first)
                yield
        self.run_found(one, "cloned")
        self.run_found(two, "cloned")

    def restored(self, kind):
        """An image of number 10 was started elsewhere, and the original went on to 20."""
        post = self.post(kind, "BACK")
        self.send(post, range(1, 21))
        self.beat(post, 20)
        yield
        heir = self.again(post)
        more = {"state": "OPEN", "previous_run": post.run, "previous_last_seq": 10}
        self.beat(heir, 0, n=0, oldest_kept=0, **more)
        self.run_found(post, "cloned")

    # ---- silence and inputs ----

    def never_heard(self, kind):
        post = self.post(kind, "NEVER")
        self.expected["silent"].add((kind, post.source, "never heard"))
        yield

    def fallen_silent(self, kind):
        post = self.post(kind, "HUSH")
        self.send(post, range(1, 6))
        self.beat(post, 5)
        self.expected["silent"].add((kind, post.source, "silent"))
        self.later.append((self.move_back, post))
        yield

    def move_back(self, post):
        """As if all of this had been 20 minutes ago."""
        self.changed.add(post.source)
        columns = ("opened_at", "heartbeat_at", "last_appended_at")
        sets = ", ".join(f"{c} = {c} - interval '20 minutes'" for c in columns)
        query = f"UPDATE {{s}}.source_ledger SET {sets} WHERE source = %s RETURNING 1"
        self.system.rows(query, post.source)

    def input_of(self, kind, state, input_state):
        post = self.post(kind, input_state)
        self.send(post, range(1, 6))
        self.beat(post, 5, state=state, input_state=input_state)
        if state != "ENDED":
            section = {"STALE": "stale", "CLOSED": "closed"}[input_state]
            self.expected[section].add((kind, post.source))
        yield

    def told(self, kind, section, **changes):
        """A heartbeat that says so; numbers 1 to 5 count."""
        post = self.post(kind, section.upper()[:5], section != "unregistered")
        self.send(post, range(1, 6))
        self.beat(post, 5, **changes)
        more = {"refused": (3,), "pending": (4,)}.get(section, ())
        self.expected[section].add((kind, post.source, *more))
        yield

    # ---- rejected ----

    def rejected_numbers(self, kind):
        """One number, a range of one reason, a range of two; the last one sent well again."""
        post = self.post(kind, "BAD")
        region, field = {"region": "999999"}, {"persons": -1}
        self.send(post, (1, 2, 3))
        self.reject(post, "unknown_region", post.bytes(4, **region), post.source)
        self.send(post, (5, 6))
        for seq in (7, 8, 9):
            self.reject(post, "invalid_field", post.bytes(seq, **field), post.source)
        self.send(post, (10, 11))
        self.reject(post, "unknown_region", post.bytes(12, **region), post.source)
        self.reject(post, "invalid_field", post.bytes(13, **field), post.source)
        self.send(post, (14,))
        post.send(15, **field)  # settled by the good copy below
        self.send(post, (16,))
        self.beat(post, 16)
        self.missing(post, 4, 4, "rejected", reasons="unknown_region")
        self.missing(post, 7, 9, "rejected", reasons="invalid_field")
        self.missing(post, 12, 13, "rejected", reasons="invalid_field unknown_region")
        yield
        self.send(post, (15,))

    def rejected_sums(self, kind):
        post = self.post(kind, "SUM")
        self.send(post, (1, 3))
        self.reject(post, "sums_mismatch", post.bytes(2, passed=2), post.source)
        self.missing(post, 2, 2, "rejected", reasons="sums_mismatch", gone=None)
        yield

    def reversed_twice(self, kind):
        post = self.post(kind, "TWICE")
        original = post.event(1)
        post.send_raw(post.schema.encode(original))
        post.send_raw(post.reversal(2, original))
        self.reject(post, "already_reversed", post.reversal(3, original), post.source)
        self.send(post, (4,))
        self.counted[kind] += 2
        self.missing(post, 3, 3, "rejected", reasons="already_reversed", gone=None)
        yield

    def store_refused(self, kind):
        """Only PostgreSQL refuses it: a constraint that the second count meets."""
        post = self.post(kind, "REFUSED")
        yield COUNT
        self.refused = post.source
        self.refuse(self.system.schema)
        self.reject(post, "store_refused", post.bytes(1), post.source)
        self.beat(post, 1)
        self.missing(post, 1, 1, "rejected", reasons="store_refused")

    def refuse(self, schema):
        rule = f"ADD CONSTRAINT refuse CHECK (source <> '{self.refused}') NOT VALID"
        self.system.db.execute(f"ALTER TABLE {schema}.checkpoint_source {rule}")

    def untrusted(self, kind):
        """Messages that leave the ledger alone."""
        post = self.post(kind, "ALIEN")
        self.send(post, range(1, 4))
        self.beat(post, 3)
        other = "test_site" if kind != "test_site" else "checkpoint"
        stranger = Post(self.system, other, post.source, post.region)
        unknown = b"\xc3\x01" + b"\x11" * 8 + post.bytes(4)[HEADER_SIZE:]
        self.reject(post, "undecodable", post.bytes(4)[:-3])
        self.reject(post, "unknown_schema", unknown)
        self.reject(post, "wrong_kind", stranger.bytes(4))
        self.reject(post, "key_mismatch", post.bytes(4), key="somebody-else")
        self.reject(post, "seq_jump", post.bytes(10**9 + 50), post.source)
        trial = Post(self.system, kind, f"SIM-{secrets.token_hex(4)}", post.region)
        self.reject(trial, "simulated", trial.bytes(1), trial.source)
        yield COUNT

    def moved(self, kind):
        """Events in two partitions: those of the second are not counted, nor in a rebuild, though
        it may read them first. The numbers of two of them have counted."""
        post = self.post(kind, "MOVED")
        self.send(post, (1, 2))
        yield COUNT
        elsewhere = (post.partition + 1) % self.system.partitions
        for seq in (1, 2):
            other = post.bytes(seq, occurred_at=now_ms() - seq * 60 * MINUTE_MS)
            post.send_raw(other, partition=elsewhere)
        self.reject(post, "moved_partition", post.bytes(3), post.source, partition=elsewhere)

    def quarantined(self, kind):
        """Every other number, until the run has too many gaps."""
        post = self.post(kind, "COMB")
        self.send(post, range(2, 2 * 16384 + 1, 2))
        for seq in (32770, 32771, 1):
            self.reject(post, "source_quarantined", post.bytes(seq), post.source)
        for seq in range(1, 32768, 2):
            self.missing(post, seq, seq, gone=None)
        self.run_found(post, "current", True)
        yield

    # ---- what must not be named ----

    def healthy(self, kind):
        post = self.post(kind, "WELL")
        self.send(post, range(1, 31))
        self.beat(post, 30)
        yield

    def resent(self, kind):
        """Lost at first, sent late, some of them twice."""
        post = self.post(kind, "LATE")
        self.send(post, [1, 2, 3, 9, 10, 14])
        self.beat(post, 16)
        yield
        self.send(post, [12, 11, 13, 8, 4])
        yield COUNT
        self.send(post, [5, 6, 7, 15, 16])
        post.send(4, 5, 16)

    def copies(self, kind):
        post = self.post(kind, "COPY")
        self.send(post, range(1, 11))
        post.send(*range(1, 11))
        self.beat(post, 10)
        yield
        post.send(*range(3, 7))

    def restarted(self, kind):
        """A crash and a restart: the old run is replaced, not lost."""
        post = self.post(kind, "CRASH")
        self.send(post, range(1, 11))
        self.beat(post, 8, last_seq=10)
        yield
        self.beat(post, 10, n=2, state="ENDED", input_state="CLOSED")
        heir = self.again(post)
        more = {"state": "OPEN", "previous_run": post.run, "previous_last_seq": 10}
        self.beat(heir, 0, n=0, oldest_kept=0, **more)
        self.send(heir, range(1, 6))

    def written_off(self, kind):
        post = self.post(kind, "GIVEN")
        self.send(post, (1, 2, 3, 7, 8))
        self.beat(post, 8)
        self.later.append((self.write_off, post, 4, 6))
        yield

    def write_off(self, post, first, last):
        numbers = f"{post.source}:{post.run:012x}:{first}-{last}"
        self.system.run("fx-setup", "--write-off", numbers, "--reason", "its disk is broken")

    # ---- all of it ----

    def offset_holes(self):
        for partition in range(3):
            topic = self.system.topic("checkpoint")
            query = "INSERT INTO {s}.offset_hole VALUES (%s, %s, %s, %s) RETURNING 1"
            self.system.rows(query, topic, partition, 5, 7 + partition)
            self.expected["holes"].add((topic, partition, 5, 7 + partition))

    def fill(self):
        self.add(120, self.holes)
        self.add(9, self.holes, 7, 40)
        self.add(12, self.silent_about_itself)
        self.add(12, self.across_midnight)
        self.add(24, self.lost_tail)
        self.add(24, self.told_by_successor)
        self.add(24, self.lost_device)
        self.add(3, self.lost_device, 0)
        self.add(9, self.fork)
        self.add(9, self.by_turns)
        self.add(9, self.restored)
        self.add(24, self.never_heard)
        self.add(12, self.fallen_silent)
        self.add(12, self.input_of, "ALIVE", "STALE")
        self.add(12, self.input_of, "ALIVE", "CLOSED")
        self.add(12, self.input_of, "ENDED", "CLOSED")
        for section, changes in {
            "refused": {"refused": 3},
            "pending": {"last_seq": 9},
            "clocks": {"at": now_ms() - 20 * MINUTE_MS},
            "unregistered": {},
        }.items():
            self.plants += [self.told(kind, section, **changes) for kind in KINDS * 3]
        self.add(30, self.rejected_numbers)
        self.add(6, self.rejected_sums, kinds=("checkpoint",))
        self.add(9, self.reversed_twice)
        self.add(1, self.store_refused, kinds=("checkpoint",))
        self.add(9, self.untrusted)
        self.add(3, self.moved)
        self.add(1, self.quarantined, kinds=("checkpoint",))
        self.add(60, self.healthy)
        self.add(30, self.resent)
        self.add(15, self.copies)
        self.add(15, self.restarted)
        self.add(6, self.written_off)
        self.pick.shuffle(self.plants)

    def grow(self):
        """Runs all plants to their ends, counts, and changes what only a database can."""
        waiting = self.until_count(self.plants)
        self.system.count()
        while waiting:
            waiting = self.until_count(waiting)
            # what PostgreSQL refuses is found by halving: from here, not from two million
            self.system.count("--flush-events", 64)
        for change, *args in self.later:
            change(*args)
        self.offset_holes()
        for (kind, reason), events in self.rejected.items():
            sources = len(self.rejected_sources[kind, reason])
            self.expected["rejected"].add((kind, reason, events, sources))
        return self

    def until_count(self, plants):
        """Steps until each plant has ended or waits for a count; those that wait."""
        waiting = []
        while plants:
            words = [(plant, next(plant, DONE)) for plant in plants]
            waiting += [plant for plant, word in words if word == COUNT]
            plants = [plant for plant, word in words if word is None]
            self.system.sent()
            time.sleep(0.03)
        return waiting
