# SPDX-License-Identifier: Apache-2.0
"""What processes take: CPU time, memory, and the time until something can be seen."""

import os
import pathlib
import secrets
import subprocess
import threading
import time
from dataclasses import dataclass

import psycopg

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
NUDGE_S = 0.2
SAMPLE_S = 0.02
LOOK_S = 0.005  # between two looks at a process and at what it should show


def _stat(pid):
    """(parent, CPU seconds of its own, of children it has waited for), or None if it is gone. A
    thread's name is PID/task/TID."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    words = text[text.rindex(")") + 2 :].split()  # a name may hold spaces and brackets
    ticks = [int(word) for word in words[11:15]]
    return int(words[1]), sum(ticks[:2]) / TICKS_PER_S, sum(ticks[2:]) / TICKS_PER_S


def cpu_s(pid):
    """CPU seconds of a process and of the children it has waited for."""
    _, own, waited = _stat(pid)
    return own + waited


def peak_mb(pid):
    """VmHWM. The rusage of a child will not do: it starts from what its parent had."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    for row in status.splitlines():
        if row.startswith("VmHWM:"):
            return int(row.split()[1]) / 1024
    return 0.0  # it has ended, and nobody has waited for it


class Services:
    """The broker and the PostgreSQL cluster of the local stack."""

    def __init__(self):
        state = pathlib.Path(os.environ["FX_STATE"])
        self.broker = int((state / "kafka/pid").read_text())
        with psycopg.connect(autocommit=True) as db:
            backend = db.execute("SELECT pg_backend_pid()").fetchone()[0]
            self.postmaster = _stat(backend)[0]

    def cpu_s(self):
        """(broker, all of PostgreSQL): CPU seconds since they were started."""
        parent, own, waited = _stat(self.broker)
        return own + waited, self._postgres_cpu_s()

    def _postgres_cpu_s(self):
        """A backend that ends passes its time on to the postmaster, which waits for it."""
        _, own, waited = _stat(self.postmaster)
        total = own + waited
        for entry in os.listdir("/proc"):
            found = _stat(entry) if entry.isdigit() else None
            if found and found[0] == self.postmaster:
                total += found[1] + found[2]
        return total


@dataclass
class Ran:
    """How a process ran."""

    out: str
    err: str
    cpu_s: float
    broker_cpu_s: float
    postgres_cpu_s: float
    peak_mb: float
    wall_s: float
    seen_ms: float | None  # from its start until look() was true


def run(words, env, folder, seconds, services, look=None, nudge=None):
    """Runs a program to its end, which has to be a good one and to come within the time. nudge: a
    signal that it gets every NUDGE_S, once look() was true."""
    name = pathlib.Path(words[0]).name
    stem = folder / f"{name}-{secrets.token_hex(3)}"
    out_path, err_path = stem.with_suffix(".out"), stem.with_suffix(".err")
    before = services.cpu_s()
    began = time.monotonic()
    with open(out_path, "wb") as out, open(err_path, "wb") as err:
        popen = subprocess.Popen(
            words, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
    try:
        peak, seen_ms, used = _watch(popen, began, seconds, look, nudge)
    finally:
        if popen.returncode is None:
            popen.kill()
            popen.wait()
    after = services.cpu_s()
    text = err_path.read_text(errors="replace")
    assert used is not None, f"{name} did not end within {seconds} s: {text[-2000:]}"
    assert popen.returncode == 0, f"{name}: exit code {popen.returncode}: {text[-2000:]}"
    cpu_s = used.ru_utime + used.ru_stime
    broker, postgres = (after[i] - before[i] for i in range(2))
    wall_s = time.monotonic() - began
    return Ran(out_path.read_text(), text, cpu_s, broker, postgres, peak, wall_s, seen_ms)


def _watch(popen, began, seconds, look, nudge):
    peak, seen_ms, nudged = 0.0, None, began
    while time.monotonic() < began + seconds:
        pid, status, used = os.wait4(popen.pid, os.WNOHANG)
        if pid:
            popen.returncode = os.waitstatus_to_exitcode(status)
            return peak, seen_ms, used
        peak = max(peak, peak_mb(popen.pid))
        if look and seen_ms is None and look():
            seen_ms = (time.monotonic() - began) * 1000
        if nudge and seen_ms is not None and time.monotonic() > nudged + NUDGE_S:
            nudged = time.monotonic()
            os.kill(popen.pid, nudge)  # nobody else has waited for it
        time.sleep(LOOK_S if look and seen_ms is None else 4 * LOOK_S)
    return peak, seen_ms, None


class Watched:
    """A program in the background: its CPU, that of its main thread, memory and duration. Its
    stderr goes to the log."""

    def __init__(self, words, env, log, **pipes):
        self.began, self.log = time.monotonic(), log
        self.cpu_s = self.main_cpu_s = self.peak_mb = 0.0
        with open(log, "ab") as err:
            self.popen = subprocess.Popen(
                words, env=env, stderr=err, **{"stdin": subprocess.DEVNULL, **pipes}
            )
        self.is_over = threading.Event()
        self.sampler = threading.Thread(target=self._sample, daemon=True)
        self.sampler.start()

    def _sample(self):
        pid = self.popen.pid
        while not self.is_over.wait(SAMPLE_S):
            main = _stat(f"{pid}/task/{pid}")
            self.main_cpu_s = max(self.main_cpu_s, main[1] if main else 0.0)
            self.peak_mb = max(self.peak_mb, peak_mb(pid))

    def end(self, is_stopped=False):
        """Waits for its end, which has to be a good one, after SIGTERM if so wanted; how long it
        ran."""
        if is_stopped:
            self.popen.terminate()
        _, status, used = os.wait4(self.popen.pid, 0)
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.monotonic() - self.began
        self.cpu_s = used.ru_utime + used.ru_stime
        self.is_over.set()
        self.sampler.join(10)
        told = self.log.read_text(errors="replace")[-2000:]
        assert self.popen.returncode == 0, f"exit code {self.popen.returncode}: {told}"
        return self.seconds
