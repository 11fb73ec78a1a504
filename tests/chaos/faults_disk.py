# SPDX-License-Identifier: Apache-2.0
"""Disks under the outboxes: slow, full, broken; images of outboxes restored and cloned."""

import json
import shutil

from faults import POSTS, Fault
from faults_process import reach
from lib.system import wait_until
from load import SINKS
from rig import FULL, SLOW, SYNCS_FAIL, WRITES_FAIL

SENT_S = 150  # a killed broker with ten million messages takes a minute to come back


class BaseDisk(Fault):
    lane = POSTS
    hold_s = (1.0, 3.0)
    mode, counter, delay_us = 0, "", 0
    may_end_posts = True

    def strike(self):
        self.who = self.pick.choice(sorted(self.rig.disks))
        self.disk = self.rig.disks[self.who]
        self.before = self.disk.read()[self.counter]
        self.disk.set(self.mode, self.delay_us)

    def evidence(self):
        count = self.disk.read()[self.counter] - self.before
        return f"{self.who}: {self.counter} {count} calls" if count else None

    def heal(self):
        self.disk.set(0)


class SlowDisk(BaseDisk):
    mode, counter = SLOW, "slowed"

    def strike(self):
        self.delay_us = self.pick.choice((2_000, 20_000, 100_000))
        super().strike()


class FullDisk(BaseDisk):
    """No write succeeds: no line is taken, none is lost."""

    mode, counter = FULL, "full"


class FailingWrites(BaseDisk):
    mode, counter = WRITES_FAIL, "failed"
    hold_s = (0.5, 1.5)


class FailingSyncs(BaseDisk):
    mode, counter = SYNCS_FAIL, "failed"
    hold_s = (0.5, 1.5)


class BaseImage(Fault):
    """Of an outbox whose lines come through a socket: they are answered, and not sent again. At
    the moment of the image nothing is owed, or the device would have lost it with its disk."""

    lane = POSTS
    hold_s = (0.0, 0.3)

    def quiet(self):
        """No line is on its way, and all are in Kafka."""
        self.sink = next(sink for sink in SINKS if sink.kind == "screening")
        self.one = self.rig.producers[self.sink.name]
        self.rig.at_rest.acquire()
        self.rig.load.pause(self.sink.name)
        wait_until(self._is_sent, SENT_S, f"{self.sink.name} sends everything", every=0.1)

    def _is_sent(self):
        status = self.rig.status(self.sink)
        return status is not None and status["unsent"] == 0

    def files(self, name):
        return [self.rig.folder / f"{name}.db{end}" for end in ("", "-wal", "-shm")]

    def copy(self, source, target):
        for old, new in zip(self.files(source), self.files(target)):
            new.unlink(missing_ok=True)
            if old.exists():
                shutil.copyfile(old, new)

    def heal(self):
        self.rig.load.go_on(self.sink.name)
        self.rig.at_rest.release()
        if not self.one.is_running():
            self.one.start()


class RestoredImage(BaseImage):
    """The outbox goes back to an older image of itself: its runs are not taken up again."""

    def strike(self):
        self.quiet()
        self.one.kill()
        self.copy(self.sink.name, "image")
        self.one.start()
        shared = self.rig.load.shared[self.sink.name]
        before = shared.written.value
        self.rig.load.go_on(self.sink.name)
        more = lambda: shared.written.value > before + 50 or shared.is_done.value
        wait_until(more, 60, "lines after the image", every=0.05)
        self.quiet_again()
        self.kept = self.rig.status(self.sink)["kept"]
        self.one.kill()
        self.copy("image", self.sink.name)
        self.one.start()

    def quiet_again(self):
        self.rig.load.pause(self.sink.name)
        wait_until(self._is_sent, SENT_S, f"{self.sink.name} sends everything", every=0.1)

    def evidence(self):
        status = wait_until(lambda: self.rig.status(self.sink), 30, "a status", every=0.1)
        lost = self.kept - status["kept"]
        if lost <= 0:
            return None
        self.rig.marked.update(self.sink.source_names())
        return f"{self.sink.name}: outbox restored, {lost} events older"


class ClonedImage(BaseImage):
    """Two devices from one image: both go on under the same names."""

    LINES = 40

    def strike(self):
        self.quiet()
        self.one.kill()
        name = f"clone{self.pick.randrange(10**6)}"
        self.copy(self.sink.name, name)
        self.one.start()
        words = list(self.one.words)
        words[words.index("--outbox") + 1] = str(self.rig.folder / f"{name}.db")
        path = self.rig.folder / f"{name}.sock"
        words[words.index("--socket-path") + 1] = str(path)
        clone = self.rig.system.start(self.sink.program, *words, env=self.one.env)
        self.answered = self.write(path)
        for _ in range(5):
            if clone.stop(60).code == 0:
                return
            # the other lane has the broker away: what is left is sent another time
            clone = self.rig.system.start(self.sink.program, *words, env=self.one.env)
            reach(path).close()
        assert clone.stop(60).code == 0, clone.result()

    def write(self, path):
        """Lines of the clone's own, from the writer's journal on."""
        lines = self.rig.load.extra_lines(self.sink, self.LINES, self.pick.random())
        with reach(path) as client, client.makefile("rb") as answers:
            client.sendall("".join(line + "\n" for line in lines).encode())
            return sum(json.loads(answers.readline())["ok"] for _ in lines)

    def evidence(self):
        if self.answered != self.LINES:
            return None
        self.rig.marked.update(self.sink.source_names())
        return f"{self.sink.name}: a clone took {self.answered} lines under the same names"
