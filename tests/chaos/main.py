# SPDX-License-Identifier: Apache-2.0
"""The run: stack, load, faults, healing, judgement. See README.md."""

import argparse
import json
import os
import pathlib
import random
import signal
import sys
import time
from collections import Counter

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import faults  # noqa: E402
from lib.targets import Targets  # noqa: E402

LONG = os.environ.get("FX_LONG") == "1"
EVENTS, RATE, FAULTS, CLASSES, LIMIT_S = (  # classes 0: all there are
    (10_200_000, 3000, 500, 0, 7000) if LONG else (1_040_000, 4500, 40, 20, 480)
)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    seed = os.environ.get("FX_CHAOS_SEED") or random.SystemRandom().randrange(2**31)
    parser.add_argument("--seed", type=int, default=int(seed))
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rate", type=int, default=RATE)
    parser.add_argument("--only", default=os.environ.get("FX_CHAOS_ONLY", ""))
    parser.add_argument("--no-cuts", action="store_true")
    parser.add_argument("--no-planted", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the stack's files")
    return parser.parse_args()


def play(rig, args):
    """Faults while the load lasts; what was struck."""
    import faults_disk, faults_process, faults_service, faults_state  # noqa: E401, F401

    only = {name for name in args.only.split(",") if name}
    rig.start()
    lanes = [faults.Lane(rig, name, args.seed, LONG, only) for name in faults.LANES]
    for lane in lanes:
        lane.start()
    rig.finish_load(args.events / args.rate * 3 + 120)
    for lane in lanes:
        lane.stop()
    return [one for lane in lanes for one in lane.struck]


def judge_faults(struck, rig, targets):
    counted = Counter(one.name for one in struck if one.evidence and not one.trouble)
    void = Counter(one.name for one in struck if not one.evidence)
    for name in sorted(counted.keys() | void.keys()):
        print(f"struck {name} {counted[name]}, without evidence {void[name]}")
    targets.least("faults", counted.total(), FAULTS)
    targets.least("fault_classes", len(counted), CLASSES or len(faults.ALL))
    targets.most("faults_without_evidence", void.total(), len(struck) // 10)
    vain = [name for name in void if void[name] > max(1, counted[name])]
    targets.most("fault_classes_mostly_in_vain", len(vain), 0)
    targets.most("faults_not_healed", sum(bool(one.trouble) for one in struck), 0)
    print(f"counted offsets that PostgreSQL lost: {rig.rolled_back}")
    for cause, offsets in rig.rolled_back.items():
        targets.least(f"offsets_rolled_back_{cause}", sum(offsets), 1)
    targets.least("flushes_frozen", len(rig.others_go_on_s), 1)
    targets.most("others_go_on_s", round(max(rig.others_go_on_s, default=0), 1), 20)


def judge_figures(rig, targets, args):
    import planted
    from judge import judge

    schemas = {} if args.no_planted else planted.count_all(rig.system, rig.folder)
    began = time.monotonic()
    found = judge(rig.system, rig.folder, tuple(schemas.values()))
    print(f"recounted in {time.monotonic() - began:.1f} s; {found.copies} copies in Kafka")
    for text in found.texts[:20]:
        print(f"  {text[:300]}")
    targets.least("lines", found.lines, args.events * 99 // 100)
    targets.least("events", found.events, found.lines)
    targets.most("lost", found.lost, 0)
    targets.most("doubled", found.doubled, 0)
    targets.least("reversals", found.reversed, args.events // 2000)
    targets.least("clocks_corrected", found.corrected, args.events // 1000)
    targets.least("events_in_added_partitions", found.in_added, 1)
    targets.least("cells", found.cells, 10_000)
    targets.most("cells_differ", found.differ, 0)
    planted.judge(schemas, found, targets)
    if schemas:
        planted.compare_tables(rig.system, schemas, targets)


def judge_audit(rig, targets):
    result = rig.system.run("fx-audit", "--json", "--all", code=None, seconds=300)
    report = json.loads(result.out)
    faults = "missing rejected silent stale runs refused pending holes breaches".split()
    strange = [
        (section, finding)
        for section in faults
        for finding in report["findings"].get(section, [])
        if not rig.is_excused(section, finding)
    ]
    for one in strange[:10]:
        print(f"  audit: {one}")
    sizes = {section: len(rows) for section, rows in report["findings"].items() if rows}
    print(f"fx-audit: exit {result.code}, {report['verdict']}, findings {sizes}")
    targets.most("audit_findings", len(strange), 0)
    targets.most("rejected_wrong", abs(rig.rejected("undecodable") - rig.nonsense), 0)
    is_fine = result.code == (1 if any(report["findings"].get(s) for s in faults) else 0)
    targets.most("audit_exit_wrong", int(not is_fine), 0)


def run(args, targets):
    from stack import Stack

    stack = Stack()
    rig = None
    try:
        from rig import Rig

        rig = Rig(stack, args.seed, args.events, args.rate)
        struck = play(rig, args)
        codes = rig.drain()
        judge_faults(struck, rig, targets)
        rig.judge_ends(codes, struck, targets)
        judge_audit(rig, targets)  # soon: nobody counts any more, and that is a finding in a minute
        judge_figures(rig, targets, args)
        if not args.no_cuts:
            import cuts

            cuts.run(stack, args.seed, targets)
    finally:
        if rig:
            rig.close()
        stack.close(args.keep)


def main():
    args, targets, began = arguments(), Targets(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends, too
    print(f"seed {args.seed}: replay with FX_CHAOS_SEED={args.seed} tests/run chaos", flush=True)
    try:
        run(args, targets)
    except Exception as trouble:  # the lines so far are worth printing
        print(f"stopped: {type(trouble).__name__}: {trouble}", flush=True)
        targets.bad += 1
        import traceback

        traceback.print_exc()
    targets.most("seconds", round(time.monotonic() - began), LIMIT_S)
    print("\n".join(targets.lines))
    print(f"{targets.good} passed, {targets.bad} failed")
    return 1 if targets.bad else 0


if __name__ == "__main__":
    sys.exit(main())
