# SPDX-License-Identifier: Apache-2.0
"""A gap heals without a command: the audit names it, fx-rollup asks over PREFIX.resend, the post
sends again, the audit is quiet. The post's outbox is told that its first numbers were acknowledged,
as a broker would have that lost them afterwards."""

import contextlib
import json
import sqlite3
import subprocess

from lib.audit import audit, found, register
from lib.post import BODIES, HAICHENG
from lib.system import System, now_ms, wait_until

LOST, LINES = 6, 10


def lines():
    body = {**BODIES["checkpoint"], "at": now_ms()}
    return (json.dumps(body) + "\n").encode() * LINES


def start(system, outbox, brokers=None):
    words = ["--outbox", outbox, "--source", "CP-HEAL", "--region", HAICHENG]
    words += ["--answers", "--heartbeat-s", 1]
    env = {"FX_BROKERS": brokers} if brokers else None
    return system.start("fx-checkpoint", *words, stdin=subprocess.PIPE, env=env)


def answers(process):
    """Lines that are on disk."""
    return process.out_path.read_text().count("\n")


def test_a_gap_heals_without_a_command(target):
    system = System("heal", partitions=2, is_set_up=False)
    try:
        register(system, [("CP-HEAL", "checkpoint", HAICHENG)])
        outbox = system.dir / "heal.db"
        post = start(system, outbox, "127.0.0.1:1")
        post.popen.stdin.write(lines())
        post.popen.stdin.flush()
        wait_until(lambda: answers(post) == LINES, 20, "lines accepted")
        assert post.kill()
        with contextlib.closing(sqlite3.connect(outbox)) as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('acked', ?)", (LOST,))
            db.commit()
        # counted before anybody asks: the audit has to name the loss
        post = start(system, outbox)
        query = "SELECT coalesce(sum(counted), 0)::int FROM {s}.source_ledger WHERE acked = high"

        def counted():
            system.run("fx-rollup", "--until-end", "--no-resend")
            return system.value(query)

        wait_until(lambda: counted() == LINES - LOST, 30, "the rest counted and told")
        (lost,) = found(audit(system, code=1), "missing")
        assert (lost[1]["first_seq"], lost[1]["last_seq"], lost[1]["is_gone"]) == (1, LOST, False)
        rollup = system.start("fx-rollup", "--resend-after", 1)
        wait_until(lambda: system.value(query) == LINES, 60, "the gap healed")
        assert rollup.stop().code == 0 and post.stop().code == 0
        system.count()
        report = audit(system)
        assert target("healed_without_command", report["kinds"][0]["counted"], LINES)
        assert found(report) == [] and report["exit_status"] == 0, report
    finally:
        system.close()
