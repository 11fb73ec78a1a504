# SPDX-License-Identifier: Apache-2.0
"""Asks fx-audit, and writes the list of who is expected."""

import csv
import datetime
import json
import time

ZONE = datetime.timezone(datetime.timedelta(hours=8))
FAULTS = "missing rejected silent stale runs refused pending holes breaches".split()
NOTICES = "closed clocks unregistered behind".split()
PROGRAMS = {
    "checkpoint": "fx-checkpoint",
    "test_site": "fx-test-site",
    "quarantine": "fx-quarantine",
}


def today():
    return datetime.datetime.now(ZONE).date()


def keep_off_midnight(seconds):
    """Waits until no midnight of the reporting zone lies within so many seconds."""
    now = datetime.datetime.now(ZONE)
    midnight = datetime.datetime.combine(now.date() + datetime.timedelta(1), datetime.time(), ZONE)
    left = (midnight - now).total_seconds()
    if left < seconds:
        time.sleep(left + 1)


def register(system, sources, day="2020-01-01"):
    """Expects (source, kind, region) from that day on, and nobody else."""
    path = system.dir / "sources.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["source", "kind", "name", "region", "valid_from", "valid_to"])
        for source, kind, region in sources:
            rows.writerow([source, kind, f"点位 {source}", region, day, ""])
    for _ in range(5):
        result = system.setup("--sources", path, code=None)
        if result.code != 4:
            break  # 4: another fx-setup held the database's lock for longer than ours waits
    assert result.code == 0, result


def audit(system, *args, code=None, seconds=60):
    """The report as a dict; its exit status is the program's."""
    result = system.run("fx-audit", "--json", *args, code=code, seconds=seconds)
    assert result.out, result
    report = json.loads(result.out)
    assert report["exit_status"] == result.code, result
    return report


def found(report, *names):
    """(section, finding) of the named sections, or of all."""
    return [
        (section, finding)
        for section, findings in report["findings"].items()
        for finding in findings
        if not names or section in names
    ]
