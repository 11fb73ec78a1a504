# SPDX-License-Identifier: Apache-2.0
"""Processes killed and stopped: consumers, producers; a worker frozen within a flush."""

import pathlib
import signal
import time

from faults import POSTS, Fault
from lib.system import wait_until
from load import connect
from rig import SESSION_MS

OTHERS_GO_ON_S = 20


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def reach(path):
    """A connection to a post, as soon as it listens."""

    def attempt():
        try:
            return connect(path, 20)
        except OSError:
            return None

    return wait_until(attempt, 30, f"{path} answers", every=0.05)


class BaseRollups(Fault):
    def victims(self, count):
        return [self.rig.rollups[n] for n in self.pick.sample(sorted(self.rig.rollups), count)]


class KillRollup(BaseRollups):
    weight = 3

    def strike(self):
        (self.victim,) = self.victims(1)
        self.pid = self.victim.kill()

    def evidence(self):
        return self.pid and f"{self.victim.name}: pid {self.pid} killed, gone"

    def heal(self):
        self.victim.start()


class KillAllRollups(BaseRollups):
    """Nobody counts for a moment."""

    hold_s = (0.1, 1.0)

    def strike(self):
        self.pids = [victim.kill() for victim in self.victims(len(self.rig.rollups))]

    def evidence(self):
        return f"pids {self.pids} killed, gone" if all(self.pids) else None

    def heal(self):
        for victim in self.rig.rollups.values():
            victim.start()


class StopRollup(BaseRollups):
    """Longer than its session in the group: others take over, and it wakes up as a zombie."""

    count = 1
    hold_s = (SESSION_MS / 1000 + 1.5, SESSION_MS / 1000 + 3)

    def strike(self):
        self.stopped = self.victims(self.count)
        wait_until(self.all_count, 20, "the victims have partitions to lose")
        self.before = self.rig.positions()
        for victim in self.stopped:
            victim.tell(signal.SIGSTOP)
        self.at = time.monotonic()

    def all_count(self):
        owners = {who or "" for _, who in self.rig.positions().values()}
        return all(any(f"-{v.pid}-" in who for who in owners) for v in self.stopped)

    def evidence(self):
        states, stopped = [state_of(v.pid) for v in self.stopped], time.monotonic() - self.at
        after = self.rig.positions()
        moved = [k for k, (_, who) in after.items() if who != self.before.get(k, (0, who))[1]]
        if set(states) != {"T"} or not moved:
            return None
        text = f"state T for {stopped:.1f} s, {len(moved)} partitions taken over"
        return f"{', '.join(v.name for v in self.stopped)}: {text}"

    def heal(self):
        for victim in self.stopped:
            victim.tell(signal.SIGCONT)


class StopTwoRollups(StopRollup):
    """Three or four of the five workers: the one that is left takes all over."""

    count = 2


class FrozenFlush(BaseRollups):
    """A worker stands still between the first and the last byte of a flush, locks held; the
    others go on: every other position moves within OTHERS_GO_ON_S."""

    hold_s = (0.8, 1.2)

    def strike(self):
        (self.victim,) = self.victims(1)
        self.gate = self.rig.gates[self.victim.name]
        self.order = self.gate.hold_flush(self.pick.uniform(0.3, 0.999))
        assert self.order.done.wait(20), "no flush came by"
        self.victim.tell(signal.SIGSTOP)
        self.at = time.monotonic()

    def evidence(self):
        held = self.rig.backends(
            f"client_port = {self.order.link.port} AND state <> 'idle'"
            " AND wait_event = 'ClientRead'"
            " AND xact_start < clock_timestamp() - interval '0.5 s'"
        )
        if not held or state_of(self.victim.pid) != "T":
            return None
        others = wait_until(self.behind, 10, "others with something to count", every=0.2)

        def went_on():
            now = self.rig.positions()
            return all(now[k][0] > offset for k, offset in others.items())

        wait_until(went_on, OTHERS_GO_ON_S, "others go on while one is frozen", every=0.2)
        took = time.monotonic() - self.at
        self.rig.others_go_on_s.append(took)
        return (
            f"{self.victim.name}: held after {self.order.after} bytes, backend {held[0]['pid']}"
            f" in ClientRead for {held[0]['open_s']:.1f} s; others went on after {took:.1f} s"
        )

    def behind(self):
        """{partition: position} where others have something to count."""
        mine, ends = f"-{self.victim.pid}-", self.rig.end_offsets()
        return {
            k: offset
            for k, (offset, who) in self.rig.positions().items()
            if mine not in (who or "") and ends.get(k, 0) > offset
        }

    def heal(self):
        """It wakes up, and finds the connection gone, or the rest of the flush still goes out."""
        if self.pick.random() < 0.5:
            self.gate.release()
        else:
            self.gate.forget()
        self.victim.tell(signal.SIGCONT)


class Rebalance(BaseRollups):
    """A further member joins the group, counts, and leaves."""

    hold_s = (2.0, 4.0)

    def strike(self):
        self.before = self.rig.positions()
        name = f"guest{self.pick.randrange(10**6)}"
        words = ["--workers", self.pick.choice((1, 2, 3)), "--instance", name]
        env = self.rig.rollups["a"].env
        self.guest = self.rig.system.start("fx-rollup", *words, env=env)

    def evidence(self):
        after = self.rig.positions()
        moved = [k for k in after if after[k][1] != self.before.get(k, after[k])[1]]
        return f"a guest joined, {len(moved)} partitions changed hands" if moved else None

    def heal(self):
        assert self.guest.stop(60).code == 0, self.guest.result()


class BaseProducers(Fault):
    lane = POSTS

    def victim(self):
        return self.rig.producers[self.pick.choice(sorted(self.rig.producers))]


class KillProducer(BaseProducers):
    weight = 4
    hold_s = (0.05, 0.8)

    def strike(self):
        self.one = self.victim()
        self.pid = self.one.kill()

    def evidence(self):
        return self.pid and f"{self.one.name}: pid {self.pid} killed, gone"

    def heal(self):
        self.one.start()


class KillAllProducers(BaseProducers):
    hold_s = (0.05, 0.5)

    def strike(self):
        self.pids = [one.kill() for one in self.rig.producers.values()]

    def evidence(self):
        return f"pids {self.pids} killed, gone" if all(self.pids) else None

    def heal(self):
        for one in self.rig.producers.values():
            one.start()


class StopProducer(BaseProducers):
    """It answers nobody and takes nothing: what is asked over its socket stays unanswered, and of a
    followed file it reads no byte, however many are added."""

    hold_s = (1.0, 4.0)
    client = None

    def strike(self):
        self.one = self.victim()
        self.sink = next(sink for sink in self.rig.SINKS if sink.name == self.one.name)
        self.client = reach(self.sink.command_path(self.rig.folder))
        self.one.tell(signal.SIGSTOP)
        wait_until(lambda: state_of(self.one.pid) == "T", 5, "it stands still")
        self.at, self.before = time.monotonic(), self.followed()
        self.client.sendall(b'{"command":"status"}\n')

    def followed(self):
        """(bytes read, bytes there) of the file it follows; None: none."""
        path = self.rig.folder / f"{self.sink.name}.in"
        for link in pathlib.Path(f"/proc/{self.one.pid}/fd").iterdir():
            if not self.sink.is_socket and link.readlink() == path.resolve():
                told = pathlib.Path(f"/proc/{self.one.pid}/fdinfo/{link.name}").read_text()
                return int(told.split()[1]), path.stat().st_size
        return None

    def is_unanswered(self):
        self.client.setblocking(False)
        try:
            self.client.recv(1)
        except BlockingIOError:
            return True
        return False

    def evidence(self):
        if state_of(self.one.pid) != "T" or not self.is_unanswered():
            return None
        text = f"{self.one.name}: state T, unanswered for {time.monotonic() - self.at:.1f} s"
        after = self.followed()
        if after is None:
            return text
        if self.before is None or after[0] != self.before[0]:
            return None
        return f"{text}, {after[1] - after[0]} bytes unread, of {after[1] - self.before[1]} added"

    def heal(self):
        self.one.tell(signal.SIGCONT)
        if self.client:
            self.client.close()
