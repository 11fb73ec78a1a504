# SPDX-License-Identifier: Apache-2.0
"""Kafka and PostgreSQL killed, restarted, replaced by a standby; connections cut at some byte."""

import os
import shutil
import signal
import time

from confluent_kafka.admin import AdminClient
from faults import POSTS, Fault
from faults_process import state_of
from lib.system import wait_until
from proxy import DOWN, UP
from stack import answers, free_port, is_alive


class BaseBroker(Fault):
    def restart(self):
        kafka = self.rig.stack.kafka
        kafka.start()
        where = {"bootstrap.servers": f"127.0.0.1:{kafka.port}", "log_level": 0}
        admin = AdminClient(where)
        kafka.wait_ready(admin)

    def evidence(self):
        if is_alive(self.pid) or answers(self.rig.stack.kafka.port):
            return None
        return f"broker pid {self.pid} gone, its port refuses"


class KillBroker(BaseBroker):
    def strike(self):
        self.pid = self.rig.stack.kafka.end(signal.SIGKILL)

    heal = BaseBroker.restart


class RestartBroker(BaseBroker):
    hold_s = (0.0, 0.2)

    def strike(self):
        self.pid = self.rig.stack.kafka.end(signal.SIGTERM)

    heal = BaseBroker.restart


class StopBroker(Fault):
    """It says nothing for a while, in half of the cases for longer than a session of the group, and
    goes on as if nothing had been."""

    hold_s = (2.0, 9.0)

    def strike(self):
        self.rig.stack.kafka.tell(signal.SIGSTOP)
        self.at, self.before = time.monotonic(), self.rig.city_gate.passed[DOWN]

    def evidence(self):
        more = self.rig.city_gate.passed[DOWN] - self.before
        if state_of(self.rig.stack.kafka.pid) != "T" or more >= 1 << 16:
            return None
        took = time.monotonic() - self.at
        return f"broker in state T for {took:.1f} s, {more} bytes that were on their way"

    def heal(self):
        self.rig.stack.kafka.tell(signal.SIGCONT)


class BasePostgres(Fault):
    stopped = ()  # of its processes

    def stop_now(self):
        primary = self.rig.stack.primary
        self.before = self.rig.counted()
        self.pid = primary.end(signal.SIGQUIT, stopped=self.stopped)

    def stop_behind(self, pids, *seconds):
        """These of its processes stand still while others count on, until all end."""
        self.stopped = pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(self.pick.uniform(*seconds))
        was = self.rig.counted()  # after the fault before there may be nobody to count for a while
        wait_until(lambda: self.rig.counted() > was, 20, "something is counted")
        self.stop_now()

    def evidence(self):
        if is_alive(self.pid) or answers(self.rig.stack.primary.port):
            return None
        return f"postmaster pid {self.pid} gone with all its children, its port refuses"

    def heal(self):
        self.rig.stack.primary.start(self.rig.stack.log)


class KillPostgres(BasePostgres):
    weight = 2

    def strike(self):
        self.stop_now()


class StopPostgres(BasePostgres):
    """All of its processes stand still, in half of the cases for longer than a session of Kafka's
    group; then they go on as if nothing had been."""

    hold_s = (1.0, 10.0)

    def strike(self):
        self.pids = self.rig.stack.primary.processes()
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)
        self.at = time.monotonic()

    def evidence(self):
        if {state_of(pid) for pid in self.pids} != {"T"}:
            return None
        took = time.monotonic() - self.at
        return f"{len(self.pids)} processes of PostgreSQL in state T for {took:.1f} s"

    def heal(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGCONT)


class KillPostgresAsync(BasePostgres):
    """With synchronous_commit off: commits that were answered are gone. The WAL writer, which would
    hand to the system within moments what it can, stands still as before a disk that hangs."""

    def set(self, is_on):
        with self.rig.stack.primary.connect() as db:
            what = "SET synchronous_commit = off" if is_on else "RESET synchronous_commit"
            db.execute(f"ALTER SYSTEM {what}")
            db.execute("SELECT pg_reload_conf()")

    def strike(self):
        self.set(True)
        query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"
        self.stop_behind([row["pid"] for row in self.rig.system.rows(query)], 0.3, 1.0)

    def evidence(self):
        gone = super().evidence()
        super().heal()
        lost = self.before - self.rig.counted()
        if not gone or lost <= 0:
            return None
        self.rig.rolled_back["killed"].append(lost)
        return f"{gone}; {lost} counted offsets rolled back, synchronous_commit was off"

    def heal(self):
        if not self.rig.stack.primary.processes():
            super().heal()
        self.set(False)


class PromoteStandby(BasePostgres):
    """The primary dies with commits that its standby never got; the standby takes its place."""

    standby = None

    def strike(self):
        stack = self.rig.stack
        folder = stack.primary.folder.parent / f"pg-{self.pick.randrange(10**9)}"
        self.standby = stack.primary.copy_to(folder, free_port()).start(stack.log)
        self.stop_behind(self._sender(), 1.0, 2.5)

    def _sender(self):
        """Pids of the primary's processes that feed the standby, once it is level."""

        def find():
            query = "SELECT pid FROM pg_stat_replication WHERE state = 'streaming'"
            return [row["pid"] for row in self.rig.system.rows(query)]

        return wait_until(find, 30, "the standby streams")

    def evidence(self):
        stack = self.rig.stack
        self.standby.promote()
        self.old, stack.primary = stack.primary, self.standby
        self.rig.system.seen.db = None
        after = self.rig.counted()
        self.rig.retarget()
        lost = self.before - after
        if lost <= 0 or is_alive(self.pid):
            return None
        self.rig.rolled_back["promoted"].append(lost)
        return f"standby on port {stack.primary.port} promoted, {lost} counted offsets rolled back"

    def heal(self):
        stack = self.rig.stack
        if stack.primary is self.standby:
            shutil.rmtree(self.old.folder, ignore_errors=True)
            return
        if self.standby and self.standby.processes():
            self.standby.end(signal.SIGQUIT)
        if not stack.primary.processes():
            stack.primary.start(stack.log)


# ---- connections ----


class CutPostgres(Fault):
    """After byte N of what passes from now on, in one direction."""

    weight = 3
    hold_s = (0.0, 0.5)
    reach = (1, 20000)

    def strike(self):
        self.who = self.pick.choice(sorted(self.rig.gates))
        self.gate = self.rig.gates[self.who]
        self.direction = self.pick.choice((UP, DOWN))
        after = self.pick.randint(*self.reach) // (1 if self.direction == UP else 20) + 1
        self.order = self.gate.order(self.direction, after)
        self.order.done.wait(15)

    def evidence(self):
        if not self.order.done.is_set():
            return None
        return f"{self.who}: cut after {self.order.after} bytes {self.direction}"

    def heal(self):
        self.gate.forget()


class CutKafkaCity(CutPostgres):
    weight = 1
    reach = (1, 200_000)

    def strike(self):
        self.who, self.gate = "consumers", self.rig.city_gate
        self.direction = self.pick.choice((UP, DOWN))
        after = self.pick.randint(*self.reach) // (50 if self.direction == UP else 1) + 1
        self.order = self.gate.order(self.direction, after)
        self.order.done.wait(15)


class CutKafkaPosts(CutPostgres):
    lane = POSTS
    weight = 2
    reach = (1, 200_000)

    def strike(self):
        self.who, self.gate = "producers", self.rig.post_gate
        self.direction = self.pick.choice((UP, DOWN))
        after = self.pick.randint(*self.reach) // (1 if self.direction == UP else 50) + 1
        self.order = self.gate.order(self.direction, after)
        self.order.done.wait(15)


class NoNetwork(Fault):
    """All connections of the posts break, new ones are refused."""

    lane = POSTS
    hold_s = (1.0, 4.0)

    def strike(self):
        gate = self.rig.post_gate
        self.before = gate.refused
        gate.refuse(True)
        self.dropped = gate.drop_all()

    def evidence(self):
        refused = self.rig.post_gate.refused - self.before
        if self.dropped == 0 or refused == 0:
            return None
        return f"{self.dropped} connections broken, {refused} refused"

    def heal(self):
        self.rig.post_gate.refuse(False)


class TerminateBackends(Fault):
    """An administrator ends the sessions of all workers."""

    def strike(self):
        rows = self.rig.system.rows(
            "SELECT pg_terminate_backend(pid) AS is_ended FROM pg_stat_activity"
            " WHERE application_name LIKE 'fx-rollup%%'"
        )
        self.ended = sum(row["is_ended"] for row in rows)

    def evidence(self):
        return f"{self.ended} sessions terminated" if self.ended else None

