# SPDX-License-Identifier: Apache-2.0
"""A Kafka and a PostgreSQL that may be killed: data, ports and processes of their own.

deploy/local/up runs in a copy of the scripts, whose state is beside the copy. From then on the
servers are started and killed here: Kafka by the very words it was first started with, PostgreSQL
by pg_ctl, so that a standby can take its place.
"""

import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

import psycopg

ROOT = pathlib.Path(__file__).resolve().parents[2]
PG_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
PARTITIONS = 4  # of a topic, until somebody adds some


def free_port():
    """Below the range the kernel gives to clients: nobody takes it while the server is down."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def is_alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_gone(pid, seconds=30):
    end = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() > end:
            raise AssertionError(f"process {pid} does not end")
        time.sleep(0.02)


def working_under(folder):
    """Pids of the processes whose working directory is this folder or lies in it."""
    found, where = [], str(folder.resolve())
    for link in pathlib.Path("/proc").glob("[0-9]*/cwd"):
        try:
            at = os.readlink(link)
        except OSError:
            continue
        if at == where or at.startswith(f"{where}/"):
            found.append(int(link.parts[2]))
    return found


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def as_postgres(words, **kw):
    """PostgreSQL refuses to run as root."""
    if os.geteuid() == 0:
        words = ["runuser", "-u", "postgres", "--", *words]
    return subprocess.run([str(w) for w in words], cwd="/", **kw)


class Kafka:
    def __init__(self, state, port):
        self.state, self.port = state, port
        self.pid = int((state / "kafka/pid").read_text())
        words = pathlib.Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
        self.words = [word.decode() for word in words if word]
        self.popen = None

    def start(self):
        with open(self.state / "log/kafka.log", "ab") as log:
            self.popen = subprocess.Popen(
                self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self.popen.pid
        (self.state / "kafka/pid").write_text(f"{self.pid}\n")
        return self

    def tell(self, number):
        os.kill(self.pid, number)

    def end(self, number=signal.SIGKILL):
        """Ends it; the pid that is gone."""
        pid = self.pid
        os.kill(pid, number)
        if self.popen:
            self.popen.wait(60)
        else:
            wait_gone(pid, 60)
        return pid

    def wait_ready(self, admin, seconds=90):
        """Until it answers a question, not only a connection."""
        end = time.monotonic() + seconds
        while True:
            try:
                return admin.list_topics(timeout=5)
            except Exception:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)


class Postgres:
    """One cluster: the primary, or a standby on its way to become it."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port  # folder holds data/ and run/

    @property
    def data(self):
        return self.folder / "data"

    @property
    def pid(self):
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def start(self, log):
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        with open(log, "ab") as out:
            words = [PG_BIN / "pg_ctl", "start", "-w", "-t", "90", "-s", "-D", self.data]
            done = as_postgres(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        assert done.returncode == 0, f"PostgreSQL did not start; see {log}"
        return self

    def processes(self):
        """Its server processes: all work in the data directory."""
        return working_under(self.data)

    def end(self, number, stopped=()):
        """SIGQUIT is an immediate stop: no checkpoint. The pid that is gone, with all children;
        children that stand still are killed once it knows that it must end."""
        pid, children = self.pid, self.processes()
        os.kill(pid, number)
        for child in stopped:
            os.kill(child, signal.SIGKILL)
        for one in [pid, *children]:
            wait_gone(one)
        return pid

    def connect(self, database="fangxian", user="postgres", **kw):
        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=database, user=user, autocommit=True, **kw
        )

    def copy_to(self, folder, port):
        """A standby of this primary, not started."""
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o755)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        words = [PG_BIN / "pg_basebackup", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres"]
        words += ["-D", folder / "data", "-R", "-X", "stream", "-c", "fast"]
        done = as_postgres(words, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        config = folder / "data/postgresql.conf"
        text = config.read_text() + f"port = {port}\nunix_socket_directories = ''\n"
        config.write_text(text)
        return Postgres(folder, port)

    def promote(self):
        words = [PG_BIN / "pg_ctl", "promote", "-w", "-t", "60", "-s", "-D", self.data]
        done = as_postgres(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


class Stack:
    def __init__(self, home=ROOT / ".local/chaos"):
        self.home, self.state = home, home / ".local"
        self._sweep()
        (self.state / "kafka").mkdir(parents=True)
        shutil.copytree(ROOT / "deploy/local", home / "deploy/local")
        jars = ROOT / ".local/kafka/libs"
        if jars.exists():
            (self.state / "kafka/libs").symlink_to(jars.resolve())
        ports = [free_port() for _ in range(3)]
        names = ("FX_KAFKA_PORT", "FX_CONTROLLER_PORT", "FX_PG_PORT")
        env = {**os.environ, **{n: str(p) for n, p in zip(names, ports)}}
        subprocess.run([home / "deploy/local/up", "--install"], env=env, check=True)
        self.kafka = Kafka(self.state, ports[0])
        self.primary = Postgres((self.state / "pg").resolve(), ports[2])
        self.log = self.state / "log/postgres.log"

    def _sweep(self):
        """What a run that was killed has left."""
        if (self.home / "deploy/local/down").exists():
            subprocess.run([self.home / "deploy/local/down", "--erase"], check=False)
        for pid in working_under(self.home):  # a standby that took the primary's place
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)

    def close(self, keep=False):
        if is_alive(self.kafka.pid):
            self.kafka.tell(signal.SIGCONT)
            self.kafka.end(signal.SIGKILL)
        try:
            self.primary.end(signal.SIGQUIT)
        except (OSError, IndexError):
            pass  # it is down
        if not keep:
            shutil.rmtree(self.primary.folder, ignore_errors=True)
            self._sweep()
