# SPDX-License-Identifier: Apache-2.0
"""The commit exchange cut after byte N, in both directions; every sum exact after every cut.

A bench is a system of one partition with one fx-rollup, whose connection to PostgreSQL leads
through a gate. A round: a few events are sent, the flush that counts them is cut after N bytes, the
worker claims again; then figures, ledger and position must all say the same. N goes over the whole
exchange: what the first, uncut flushes took, measured.
"""

import random
import threading
import time

from proxy import DOWN, UP, Gate, Loop

BENCHES, POSITIONS, EVENTS = 6, 520, 3
REACHED_S = 30


class Bench:
    def __init__(self, stack, loop, name):
        from lib.post import Post
        from lib.system import System

        self.system = System(f"cut{name}", partitions=1)
        self.gate = Gate(loop, stack.primary.port)
        self.post, self.seq = Post(self.system), 0
        self.errors, self.cut, self.missed = [], 0, 0
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

    def reach(self):
        from lib.system import wait_until

        wait_until(lambda: self.position() >= self.seq, REACHED_S, "the events are counted")

    def position(self):
        return self.system.value(
            "SELECT next_offset FROM {s}.partition_position WHERE topic = %s",
            self.system.topic("checkpoint"),
        ) or 0  # nobody has claimed it yet

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

    def round(self, direction, share):
        after = 1 + int(share * (self.lengths[direction] - 1))
        order = self.gate.order(direction, after)
        self.send()
        self.reach()
        if not order.done.wait(0.5):
            self.missed += 1
            self.gate.forget()
        else:
            self.cut += 1
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
        for direction, share in rounds:
            try:
                self.round(direction, share)
            except Exception as trouble:
                self.errors.append(f"{direction} {share:.3f}: {trouble}")
                return

    def close(self):
        code = self.rollup.stop(60).code
        if code != 0:
            self.errors.append(f"exit status {code}: {self.rollup.result().err[-500:]}")
        self.system.close()
        self.gate.close()


def plan(seed):
    """(direction, share of the exchange) of every cut: evenly over it, shuffled."""
    pick, half = random.Random(f"{seed} cuts"), POSITIONS // 2
    rounds = [(way, (i + pick.random()) / half) for way in (UP, DOWN) for i in range(half)]
    pick.shuffle(rounds)
    return rounds


def run(stack, seed, targets):
    loop, rounds, benches = Loop(), plan(seed), []
    try:
        for i in range(BENCHES):
            benches.append(Bench(stack, loop, i))
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
    print(f"exchange: {benches[0].lengths} bytes; not reached: {sum(b.missed for b in benches)}")
    targets.least("commit_cuts", sum(bench.cut for bench in benches), 500)
    targets.most("commit_cut_errors", len(errors), 0)
