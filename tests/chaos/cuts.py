# SPDX-License-Identifier: Apache-2.0
"""The commit exchange cut after byte N, in both directions; every sum exact after every cut.

A bench is a system of one partition with one fx-rollup, whose connection to PostgreSQL leads
through a gate. A round: a few events are sent, the flush that counts them is cut after N bytes, the
worker claims again; then figures, ledger and position must all say the same. N goes over the whole
exchange: what the first, uncut flushes took, measured. All of the answers' bytes are cut at. Of the
request in the long form all, in the short one its last bytes, where COMMIT is, and a sample of the
others, evenly spread.

What became of a flush is seen by who had the partition when its events were first there: the claim
that sent it (its COMMIT took effect, and only the answer was lost), or the next one (it was rolled
back, and its events counted once more from Kafka). Both must have happened.
"""

import os
import random
import threading
import time
from collections import Counter

from proxy import DOWN, UP, Gate, Loop

BENCHES, EVENTS = 6, 3
LONG = os.environ.get("FX_LONG") == "1"
SAMPLE, TAIL = 200, 80  # positions of the request in the short form
REACHED_S = 30


class Bench:
    def __init__(self, stack, loop, name):
        from lib.post import Post
        from lib.system import System

        self.system = System(f"cut{name}", partitions=1)
        self.gate = Gate(loop, stack.primary.port)
        self.post, self.seq = Post(self.system), 0
        self.errors, self.cut, self.missed = [], set(), 0
        self.fates = Counter()
        env = {"PGPORT": str(self.gate.port)}
        self.rollup = self.system.start("fx-rollup", "--no-resend", env=env)
        try:
            self.lengths = self.measure()
        except BaseException:
            self.rollup.kill()
            raise

    def send(self):
        self.post.send(*range(self.seq + 1, self.seq + 1 + EVENTS))
        self.seq += EVENTS
        self.system.sent()

    def claim(self):
        """Position and generation; None: nobody has claimed it yet."""
        rows = self.system.rows(
            "SELECT next_offset, generation FROM {s}.partition_position WHERE topic = %s",
            self.system.topic("checkpoint"),
        )
        return rows[0] if rows else None

    def reach(self):
        """The claim under which all events are there, as soon as they are."""
        from lib.system import wait_until

        def counted():
            now = self.claim()
            return now if now and now["next_offset"] >= self.seq else None

        return wait_until(counted, REACHED_S, "the events are counted", every=0.003)

    def measure(self):
        """Bytes of one exchange, by direction: the least of a few."""
        taken = []
        for _ in range(4):
            self.settle()
            before = dict(self.gate.passed)
            self.send()
            self.reach()
            self.settle()
            taken.append({way: self.gate.passed[way] - before[way] for way in (UP, DOWN)})
        return {way: min(one[way] for one in taken[1:]) for way in (UP, DOWN)}

    def settle(self):
        """Nothing passes for a moment."""
        seen = None
        while seen != (seen := dict(self.gate.passed)):
            time.sleep(0.03)

    def round(self, direction, after):
        before = self.claim()["generation"]
        order = self.gate.order(direction, after)
        self.send()
        now = self.reach()
        if not order.done.wait(0.5):
            self.missed += 1
            self.gate.forget()
        else:
            self.cut.add((direction, after))
            self.fates["unanswered" if now["generation"] == before else "rolled_back"] += 1
        self.check(direction, after)

    def check(self, direction, after):
        with self.system.snapshot():
            told = (self.post.total(), self.post.total(table="checkpoint_city", key="441500"))
            row = self.system.rows(
                "SELECT counted, high, duplicates FROM {s}.source_ledger WHERE source = %s",
                self.post.source,
            )[0]
        told += (row["counted"], row["high"], self.seq + row["duplicates"])
        if set(told) != {self.seq}:
            self.errors.append(f"cut after {after} bytes {direction}: {told}, not {self.seq}")

    def play(self, rounds):
        for direction, after in rounds:
            try:
                self.round(direction, after)
            except Exception as trouble:
                self.errors.append(f"{direction} {after}: {trouble}")
                return

    def close(self):
        code = self.rollup.stop(60).code
        if code != 0:
            self.errors.append(f"exit status {code}: {self.rollup.result().err[-500:]}")
        self.system.close()
        self.gate.close()


def plan(seed, lengths):
    """(direction, after how many bytes) of every cut, shuffled."""
    up, down = lengths[UP], lengths[DOWN]
    sample = {1 + i * up // SAMPLE for i in range(SAMPLE)} | set(range(up - TAIL, up))
    rounds = [(UP, after) for after in (range(1, up) if LONG else sorted(sample))]
    rounds += [(DOWN, after) for after in range(1, down)]
    random.Random(f"{seed} cuts").shuffle(rounds)
    return rounds


def run(stack, seed, targets):
    loop, benches = Loop(), []
    try:
        for i in range(BENCHES):
            benches.append(Bench(stack, loop, i))
        lengths = {way: min(bench.lengths[way] for bench in benches) for way in (UP, DOWN)}
        rounds = plan(seed, lengths)
        lanes = [
            threading.Thread(target=bench.play, args=(rounds[i::BENCHES],))
            for i, bench in enumerate(benches)
        ]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
    finally:
        for bench in benches:
            bench.close()
        loop.close()
    errors = [error for bench in benches for error in bench.errors]
    for error in errors[:10]:
        print(f"  {error}")
    fates = sum((bench.fates for bench in benches), Counter())
    missed = sum(bench.missed for bench in benches)
    print(f"exchange: {lengths} bytes, {len(rounds)} positions; not reached: {missed}")
    wanted = len(rounds) * 99 // 100 if LONG else 500
    targets.least("commit_cut_positions", len(set().union(*(b.cut for b in benches))), wanted)
    targets.least("commit_cuts_unanswered", fates["unanswered"], 1)
    targets.least("commit_cuts_rolled_back", fates["rolled_back"], 1)
    targets.most("commit_cut_errors", len(errors), 0)
