# SPDX-License-Identifier: Apache-2.0
"""What is measured after each day, when all is counted: processes, tables, outboxes.

A sample is {"processes": {name: ...}, "tables": {group: {table: ...}}, "catalog_mb": n,
"outboxes": {post: ...}}; growth.py judges a week of them.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter

READINGS, READING_S = 6, 0.25
MIB = 1 << 20
BUT_IDS = """
SELECT (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size) - sum(pgsize)
FROM dbstat WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name = 'line')
"""
TABLES = """
SELECT c.relname AS name, t.tuple_count::bigint AS rows, t.dead_tuple_count::bigint AS dead,
       pg_total_relation_size(c.oid)::bigint AS bytes
FROM pg_class c CROSS JOIN LATERAL public.pgstattuple(c.oid::regclass) t
WHERE c.relnamespace = %s::regnamespace AND c.relkind = 'r'
"""
CATALOG = """
SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
"""

GROUPS = {"source_ledger": "ledger", "source_day": "ledger", "source_hour": "hours"}


def memory(pid):
    """(VmRSS, VmHWM) in MiB: what it holds, and the most since forget_peak."""
    found = {}
    for row in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = row.partition(":")
        if name in ("VmRSS", "VmHWM"):
            found[name] = int(value.split()[0]) / 1024
    return found["VmRSS"], found["VmHWM"]


def forget_peak(pid):
    """A day's peak is its own; "5" resets VmHWM, see proc(5)."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def descriptors(pid):
    """{what: how many are open}: socket, pipe, anon_inode, file"""
    out, folder = Counter(), f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:
            continue  # closed meanwhile
        out["file" if target.startswith("/") else target.partition(":")[0]] += 1
    return out


def processes(pids, readings=READINGS):
    """{name: what it holds}, of {name: pid}. The least of some readings: what stays, not what is
    on its way just now."""
    out = {}
    for reading in range(readings):
        if reading:
            time.sleep(READING_S)
        for name, pid in pids.items():
            rss, hwm = memory(pid)
            kinds = descriptors(pid)
            one = {"pid": pid, "rss_mb": rss, "hwm_mb": hwm, "fds": kinds.total(), "open": kinds}
            old = out.setdefault(name, one)
            old |= {"rss_mb": min(rss, old["rss_mb"]), "hwm_mb": hwm}
            if one["fds"] < old["fds"]:
                old |= {"fds": one["fds"], "open": kinds}
    return out


def tables(system):
    """{group: {table: {rows, dead, bytes}}}: cells and totals of the rollups, the ledger with what
    is kept per run, the hours in which sources were heard, and all others, which hold a row per
    source, partition or definition."""
    from lib.same import rollup_tables

    rollups = rollup_tables(system.eye(), system.schema)
    out = {group: {} for group in ("cells", "totals", "ledger", "hours", "others")}
    for row in system.rows(TABLES, system.schema):
        name = row.pop("name")
        group = GROUPS.get(name, "others")
        if name in rollups:
            group = "totals" if name.endswith("_total") else "cells"
        out[group][name] = row
    return out


def outbox(city, post):
    """MiB of its database less the ids of its lines, and of its log; rows it keeps, and those that
    are not acknowledged. Ids are kept for a day, a week of ours is over sooner."""
    paths = [city.folder / f"{post.name}.db{end}" for end in ("", "-wal")]
    status = city.status(post)
    with tempfile.TemporaryDirectory(dir=city.folder) as folder:
        with standing(city, post):
            copies = [shutil.copy(path, folder) for path in paths if path.exists()]
        log_mb = sum(os.path.getsize(copy) for copy in copies[1:]) / MIB
        with contextlib.closing(sqlite3.connect(copies[0])) as db:
            mb = db.execute(BUT_IDS).fetchone()[0] / MIB
    return {"mb": mb, "log_mb": log_mb, "kept": status["kept"], "unsent": status["unsent"]}


@contextlib.contextmanager
def standing(city, post):
    """Who writes the outbox and lets nobody else read it stands still, if it runs: what lies on
    the disk then is an image as a crash would leave it."""
    servant = city.producers[post.name]
    if servant.is_running():
        servant.tell(signal.SIGSTOP)
    try:
        yield
    finally:
        if servant.is_running():
            servant.tell(signal.SIGCONT)


def sample(city):
    pids = {f"rollup {name}": servant.pid for name, servant in city.rollups.items()}
    pids |= {name: servant.pid for name, servant in city.producers.items()}
    taken = processes(pids)
    for pid in pids.values():
        forget_peak(pid)
    return {
        "processes": taken,
        "tables": tables(city.system),
        "catalog_mb": city.system.value(CATALOG) / MIB,
        "outboxes": {post.name: outbox(city, post) for post in city.SINKS},
    }
