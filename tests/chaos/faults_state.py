# SPDX-License-Identifier: Apache-2.0
"""What people do while the load goes on: partitions added, schemas counted anew and exchanged."""

import time

from faults import Fault
from lib.system import wait_until
from load import SINKS, SocketOut

MANY = 12  # partitions; from then on they are added one at a time
PARTITIONS_MAX = 64


class AddPartitions(Fault):
    """A run keeps its partition, so a post that follows a file is killed and started again: some of
    its sources go to the new ones."""

    hold_s = (1.0, 3.0)

    def strike(self):
        rig = self.rig
        self.before = rig.partitions
        added = self.pick.randint(1, 2) if self.before < MANY else 1
        more = min(PARTITIONS_MAX, self.before + added)
        if more > self.before:
            rig.system.setup("--partitions", more)
            rig.partitions = rig.system.partitions = more
            rig.producers[self.pick.choice(("gate", "swab"))].restart()

    def evidence(self):
        if self.rig.partitions == self.before:
            return None
        added = wait_until(self.in_added, 30, "something comes to the added partitions", every=0.2)
        return f"{self.before} partitions became {self.rig.partitions}, {added} messages in these"

    def in_added(self):
        ends = self.rig.end_offsets().items()
        return sum(end for (_, partition), end in ends if partition >= self.before)


class Swap(Fault):
    """A schema is counted anew from the beginning, catches up, and takes the live one's place; the
    next swap brings the other back, which counts on from where it was. An operator's steps: it is
    set up before it is counted, since places were added, and re-driven if the swap says so."""

    hold_s = (0.2, 1.0)

    def strike(self):
        system = self.rig.system
        self.next = f"{system.schema}_n"
        system.setup("--record-schema", system.schema + "_record", schema=self.next)
        self.before, self.mended = self.oid(), ""
        env = {"FX_SCHEMA_NAME": self.next}
        counter = system.start("fx-rollup", "--workers", 2, env=env)
        try:
            result = wait_until(self.is_swapped, 90, "it catches up and is swapped", every=0.5)
        finally:
            assert counter.stop(60).code == 0, counter.result()
        if result.code == 1:
            system.run("fx-rollup", "--redrive", "unknown_region")
            self.mended = f", then re-driven: {result.out.strip()[-200:]}"

    def is_swapped(self):
        """The result; None as long as it has not caught up."""
        result = self.rig.system.run("fx-setup", "--swap", self.next, code=None)
        if result.code in (0, 1):
            return result
        is_early = "is behind at" in result.err or result.code == 4  # 4: try again
        assert is_early, result
        return None

    def oid(self):
        table = f"{self.rig.system.schema}.partition_position"
        return self.rig.system.value("SELECT %s::regclass::oid::bigint", table)

    def evidence(self):
        after = self.oid()
        if after == self.before:
            return None
        return f"table {self.before} was live, now {after}: swapped under load{self.mended}"


class Nonsense(Fault):
    """Somebody writes into a topic what is no event: it is rejected, and stays so."""

    hold_s = (0.0, 0.2)

    def strike(self):
        rig, sink = self.rig, self.pick.choice(SINKS)
        self.before, self.more = rig.nonsense, self.pick.randint(20, 200)
        rig.nonsense += self.more
        for number in range(self.more):
            value = b"%d no event" % self.pick.randrange(10**9)
            rig.system.send(sink.kind, f"NOBODY-{number}", value)
        rig.system.forget_topics()

    def evidence(self):
        wait_until(self.are_rejected, 60, "nonsense is rejected", every=0.1)
        return f"{self.more} messages that are no events, rejected"

    def are_rejected(self):
        return self.rig.rejected("undecodable") >= self.before + self.more


class Redrive(Fault):
    """Events of a place that the city does not know yet are rejected; the place is added, and
    they are counted after all, while the workers go on."""

    LINES = 30
    hold_s = (0.0, 0.2)

    def strike(self):
        rig = self.rig
        self.code, self.is_added = f"4415219{len(rig.places):02d}", False
        rig.places.append(self.code)
        sink = next(sink for sink in SINKS if sink.kind == "screening")
        with rig.at_rest:
            rig.load.pause(sink.name)
            lines = rig.load.extra_lines(sink, self.LINES, self.pick.random(), self.code)
            rig.load.go_on(sink.name)
        SocketOut(sink, rig.folder, rig.load.shared[sink.name]).give(lines)
        self.rejected = wait_until(self.are_rejected, 60, "they are rejected", every=0.1)

    def are_rejected(self):
        count = self.rig.rejected("unknown_region")
        return count if count >= self.LINES else None

    def evidence(self):
        self.add_place()
        done = self.rig.system.run("fx-rollup", "--redrive", "unknown_region", code=None)
        left = self.rig.rejected("unknown_region")
        if done.code != 0 or left:
            raise AssertionError(f"{left} stay rejected: {done}")
        return f"{self.rejected} of a place unknown were rejected, and re-driven under load"

    def add_place(self):
        if not self.is_added:
            self.rig.system.add_town(self.code)
            self.is_added = True

    def heal(self):
        self.add_place()
