# SPDX-License-Identifier: Apache-2.0
"""The path of an event through memory alone: see hot.c."""

import subprocess

from lib.system import BUILD, SCHEMAS

TARGETS = {"decode": 30, "decode_count": 10, "ledger": 30}
NAMES = {"decode_count": "decode_all_columns"}


def run(bench):
    ran = subprocess.run(
        [BUILD / "bin/fangxian-hot", SCHEMAS], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    found = {name: float(value) for name, value in map(str.split, ran.stdout.splitlines())}
    rows = [[name, rate, 1000 / rate] for name, rate in found.items()]
    bench.report.table("one thread, nothing but memory", ["", "M/s", "ns each"], rows)
    for name, bound in TARGETS.items():
        bench.report.at_least(f"hot_{NAMES.get(name, name)}_m_per_s", found[name], bound)
