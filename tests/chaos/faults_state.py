# SPDX-License-Identifier: Apache-2.0
"""What people do while the load goes on: partitions added, schemas counted anew and exchanged."""

import time

from faults import Fault

PARTITIONS_MAX = 12


class AddPartitions(Fault):
    hold_s = (1.0, 3.0)

    def strike(self):
        rig = self.rig
        self.before = rig.partitions
        more = min(PARTITIONS_MAX, self.before + self.pick.randint(1, 2))
        if more > self.before:
            rig.partitions = rig.system.partitions = more
            rig.system.setup()

    def evidence(self):
        topics = self.rig.system.admin.list_topics(timeout=20).topics
        topic = self.rig.system.topic("checkpoint")
        count = len(topics[topic].partitions)
        return f"{self.before} partitions became {count}" if count > self.before else None


class Swap(Fault):
    """A schema is counted anew from the beginning, catches up, and takes the live one's place."""

    hold_s = (0.2, 1.0)

    def strike(self):
        system = self.rig.system
        self.next = f"{system.schema}_n"
        if self.next not in system.extra_schemas:
            system.setup("--record-schema", system.schema + "_record", schema=self.next)
        self.before = self.oid()
        env = {"FX_SCHEMA_NAME": self.next}
        counter = system.start("fx-rollup", "--workers", 2, env=env)
        try:
            for _ in range(60):
                result = system.run("fx-setup", "--swap", self.next, code=None)
                if result.code in (0, 1):
                    break
                time.sleep(0.5)  # it has not caught up
        finally:
            self.code = result.code
            assert counter.stop(60).code == 0, counter.result()

    def oid(self):
        table = f"{self.rig.system.schema}.partition_position"
        return self.rig.system.value("SELECT %s::regclass::oid::bigint", table)

    def evidence(self):
        after = self.oid()
        if after == self.before or self.code != 0:
            return None
        return f"table {self.before} was live, now {after}: swapped under load"
