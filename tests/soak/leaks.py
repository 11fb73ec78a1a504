# SPDX-License-Identifier: Apache-2.0
"""The judge of growth is judged: leaks are planted in weeks of samples that are flat but for them,
and in a real process that is measured like all others."""

import copy
import subprocess
import sys

import growth
import meter
from lib.targets import Targets

DAYS = 7
LEAKER = """
import sys
kept = []
for row in sys.stdin:
    megabytes, files = map(int, row.split())
    if megabytes:
        kept.append(bytearray(b"x") * (megabytes << 20))
    kept += [open("/dev/null") for _ in range(files)]
    print("done", flush=True)
"""


def flat():
    """A week in which nothing grows but what may: the ledger and the cells, with their rows; and
    nothing stands quite still."""
    days = []
    for day in range(1, DAYS + 1):
        noise = (day * 7 % 5 - 2) / 4
        one = {"rss_mb": 40 + noise, "hwm_mb": 70 + 20 * noise, "fds": 30 + day % 2, "pid": 1}
        ledger = {"rows": 900 + 40 * day, "dead": 50, "bytes": (900 + 40 * day) * 600}
        cells = {"rows": 40_000 * day, "dead": 900, "bytes": 40_000 * day * 500 + 300_000}
        hours = {"rows": 8000 * day, "dead": 40, "bytes": 8000 * day * 270}
        total = {"rows": 3000, "dead": 300, "bytes": 3 << 20}
        days.append(
            {
                "processes": {name: dict(one) for name in ("rollup", "post", "emit", "other")},
                "tables": {
                    "cells": {"checkpoint_town": cells},
                    "totals": {"quarantine_town_total": total},
                    "ledger": {"source_ledger": ledger},
                    "hours": {"source_hour": hours},
                    "others": {"source_tally": dict(total), "offset_hole": dict(total, rows=0)},
                },
                "catalog_mb": 9 + noise / 10,
                "outboxes": {
                    "post": {"mb": 20 + noise, "log_mb": 8},
                    "emit": {"mb": 1, "log_mb": 8},
                },
            }
        )
    return days


def at(path, amount):
    """A leak of so much more each day, at a place in the sample."""

    def leak(sample, day):
        *way, last = path.split("/")
        for name in way:
            sample = sample[name]
        sample[last] += amount * day

    return leak


def restart(sample, day):
    sample["processes"]["post"]["pid"] = 1 if day < 5 else 2


def swell(*way):
    """Rows that take more and more: their number grows with the days by nature."""

    def leak(sample, day):
        group, table = way
        sample["tables"][group][table]["bytes"] *= 1 + 0.03 * day

    return leak


def peaks(days, amount):
    """Of fx-rollup, higher by so much on these days."""

    def leak(sample, day):
        sample["processes"]["rollup"]["hwm_mb"] += amount if day in days else 0

    return leak


ROLLUP, POST, EMIT = (f"processes/{name}" for name in ("rollup", "post", "emit"))
# the line that has to fall short: what makes it so
LEAKS = {
    "soak_spared_restarted": restart,
    "soak_rollup_rss_growth_mb": at(f"{ROLLUP}/rss_mb", 2),
    "soak_rollup_peak_mb": peaks([1], 80),
    "soak_rollup_peak_growth_mb": peaks([5, 6, 7], 40),
    "soak_rollup_fds_growth": at(f"{ROLLUP}/fds", 1),
    "soak_producer_rss_growth_mb": at(f"{POST}/rss_mb", 1.2),
    "soak_producer_fds_growth": at(f"{POST}/fds", 1),
    "soak_emit_rss_growth_mb": at(f"{EMIT}/rss_mb", 1.2),
    "soak_emit_fds_growth": at(f"{EMIT}/fds", 1),
    "soak_outbox_growth_mb": at("outboxes/post/mb", 2),
    "soak_outbox_log_mb": at("outboxes/emit/log_mb", 2),
    "soak_cell_bytes_per_row_growth_pct": swell("cells", "checkpoint_town"),
    "soak_hour_bytes_per_row_growth_pct": swell("hours", "source_hour"),
    "soak_totals_mb_growth": at("tables/totals/quarantine_town_total/bytes", 500_000),
    "soak_ledger_mb_growth": at("tables/ledger/source_ledger/bytes", 300_000),
    "soak_other_tables_mb_growth": at("tables/others/source_tally/bytes", 300_000),
    "soak_catalog_mb_growth": at("catalog_mb", 0.3),
    "soak_dead_rows_pct": at("tables/cells/checkpoint_town/dead", 20_000),
}


def shorts(days):
    """Names of the lines that are short."""
    targets = Targets()
    growth.judge(growth.Growth(days, "rollup", ["post", "emit"], ["emit"]), targets)
    return {line.split()[0] for line in targets.lines if line.endswith(" short")}


def planted(wanted):
    """Whether that leak makes its line short. One in an fx-emit is one in a producer, too."""
    days = copy.deepcopy(flat())
    for day, sample in enumerate(days, 1):
        LEAKS[wanted](sample, day)
    also = {wanted.replace("emit", "producer")}
    return wanted in (found := shorts(days)) and found - {wanted} <= also


def real(megabytes, files):
    """Lines of fx-rollup's that are short, were it a real process that leaks so much a day."""
    days = flat()
    words = [sys.executable, "-c", LEAKER]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, encoding="utf-8") as process:
        for sample in days:
            process.stdin.write(f"{megabytes} {files}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"
            sample["processes"]["rollup"] = meter.processes({"rollup": process.pid}, 1)["rollup"]
        process.stdin.close()
    return shorts(days)


def judge(targets):
    caught = [name for name in LEAKS if planted(name)]
    missed = sorted(LEAKS.keys() - set(caught))
    if missed:
        print(f"leaks that nobody saw, or saw elsewhere: {missed}")
    wanted = {f"soak_rollup_{what}_growth{unit}" for what, unit in (("rss", "_mb"), ("fds", ""))}
    is_real = wanted <= real(2, 1)
    targets.least("soak_planted_leaks_caught", len(caught) + is_real, len(LEAKS) + 1)
    alarms = len(shorts(flat())) + len(real(0, 0))
    targets.most("soak_planted_false_alarms", alarms, 0)
