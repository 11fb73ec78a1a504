# SPDX-License-Identifier: Apache-2.0
"""Brings a folder of device lines, KIND.ndjson each, to Kafka through the real producers, and says
which events they stand for. By hand, into a schema that stays (deploy/local/up first):

    . .local/env && cd tests/seed && ../../.local/venv/bin/python load.py
"""

import datetime
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib.audit import PROGRAMS  # noqa: E402
from lib.system import MINUTE_MS, System  # noqa: E402

SEED = pathlib.Path(__file__).resolve().parent
DAY = SEED / "day"
DATE = "2022-02-10"
IS_WRITING = os.environ.get("FX_WRITE") == "1"  # what is checked in is made anew
END = "2022-02-11T00:00:00+08:00"  # what the morning brings in counts in hours before it


def instant(text):
    return round(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def read(folder, kind):
    path = folder / f"{kind}.ndjson"
    return [json.loads(row) for row in path.read_text().splitlines()] if path.exists() else []


class Load:
    """What a system was told: events by kind, as an independent reader understands the lines."""

    def __init__(self, system, kinds):
        self.system, self.kinds = system, kinds
        self.schemas = {kind: system.kind(kind) for kind in kinds}
        self.events = {kind: [] for kind in kinds}
        self.named = {}  # {(kind, source, id of the line): event}

    def tell(self, folder):
        """All kinds side by side, each by a gateway of many devices: one outbox, one program."""
        running = []
        for kind in self.kinds:
            lines = read(folder, kind)
            if lines:
                with open(folder / f"{kind}.ndjson", "rb") as file:
                    process = self.system.start(*self.words(kind), "--answers", stdin=file)
                running.append((kind, lines, process))
        for kind, lines, process in running:
            assert process.wait() == 0, process.result()
            answers = [json.loads(row) for row in process.result().out.splitlines()]
            assert len(answers) == len(lines), f"{kind}: {len(answers)} answers"
            for line, answer in zip(lines, answers):
                assert answer["ok"], f"{kind}: {line}: {answer}"
                self.note(kind, line, int(answer["run"], 16), answer["seq"])

    def words(self, kind):
        outbox = ["--outbox", self.system.dir / f"{kind}.db"]
        return [PROGRAMS[kind], *outbox] if kind in PROGRAMS else ["fx-emit", *outbox, kind]

    def note(self, kind, line, run, seq):
        said = {**line, "at": instant(line["at"])}
        if "sampled_at" in line:
            sampled = instant(said.pop("sampled_at"))
            said["minutes_since_sampling"] = (said["at"] - sampled) // MINUTE_MS
        event = self.schemas[kind].complete(said, line["source"], run, seq)
        self.events[kind].append(event)
        if "id" in line:
            self.named[kind, line["source"], line["id"]] = event

    def reverse(self, folder):
        """reversals.ndjson names lines by kind, source and id."""
        for one in read(folder, "reversals"):
            original = self.named[one["kind"], one["source"], one["id"]]
            what = f"{one['source']}:{original['run']:012x}:{original['seq']}"
            words = [*self.words(one["kind"]), "--reverse", what, "--reason", one["reason"]]
            answer = json.loads(self.system.run(*words).out)
            number = {"run": int(answer["run"], 16), "seq": answer["seq"], "sign": -1}
            undone = {"reverses_run": original["run"], "reverses_seq": original["seq"]}
            self.events[one["kind"]].append({**original, **number, **undone})


def kinds_of(folder):
    return sorted(path.stem for path in folder.glob("*.ndjson"))


def cut_off(system):
    """The day is reported: what changes its hours from now on is a correction."""
    system.run("fx-setup", "--cut-off", END)


def load(system, day=DAY, report=cut_off):
    """The day, its report, then what the next morning brings in."""
    told = Load(system, kinds_of(day))
    system.setup("--sources", DAY / "sources.csv")
    told.tell(day)
    system.count()
    report(system)
    told.tell(day / "late")
    told.reverse(day / "late")
    system.count()
    return told


def main():
    system = System("seed", is_set_up=False)
    load(system)
    print(f"schema {system.schema}, topics {system.prefix}.*, outboxes in {system.dir}")


if __name__ == "__main__":
    main()
