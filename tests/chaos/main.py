# SPDX-License-Identifier: Apache-2.0
"""The run: stack, load, faults, healing, judgement. See README.md."""

import argparse
import json
import os
import pathlib
import random
import sys
import time
from collections import Counter

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lib.targets import Targets  # noqa: E402

LONG = os.environ.get("FX_LONG") == "1"
EVENTS, RATE, FAULTS, LIMIT_S = (
    (10_200_000, 3000, 500, 7000) if LONG else (1_040_000, 4500, 40, 480)
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
    from faults import CITY, POSTS, Lane

    only = {name for name in args.only.split(",") if name}
    rig.start()
    lanes = [Lane(rig, name, args.seed, LONG, only).start() for name in (CITY, POSTS)]
    rig.finish_load(args.events / args.rate * 3 + 120)
    for lane in lanes:
        lane.stop()
    return [one for lane in lanes for one in lane.struck]


def judge_faults(struck, rig, targets):
    counted = [one for one in struck if one.evidence and not one.trouble]
    void = [one for one in struck if not one.evidence]
    troubled = [one for one in struck if one.trouble]
    for name, count in sorted(Counter(one.name for one in counted).items()):
        print(f"struck {name} {count}")
    targets.least("faults", len(counted), FAULTS)
    targets.least("fault_classes", len({one.name for one in counted}), 15)
    targets.most("faults_without_evidence", len(void), len(struck) // 5)
    targets.most("faults_not_healed", len(troubled), 0)
    print(f"rolled back with a lost tail: {rig.rolled_back}")
    slowest = round(max(rig.others_go_on_s, default=0), 1)
    targets.most("others_go_on_s", slowest, 20)
    ends = [(name, code) for name, r in rig.rollups.items() for code in r.ends if code != 4]
    targets.most("rollups_ended_by_themselves", len(ends), 0)
    print(f"ended by themselves: {ends}; posts: {[p.ends for p in rig.producers.values()]}")


def judge_figures(rig, targets, args):
    from judge import judge

    began = time.monotonic()
    found = judge(rig.system, rig.folder)
    print(f"recounted in {time.monotonic() - began:.1f} s; {found.copies} copies in Kafka")
    for text in found.texts[:20]:
        print(f"  {text[:300]}")
    targets.least("lines", found.lines, args.events * 99 // 100)
    targets.least("events", found.events, found.lines)
    targets.most("lost", found.lost, 0)
    targets.most("doubled", found.doubled, 0)
    targets.least("cells", found.cells, 10_000)
    targets.most("cells_differ", found.differ, 0)


def judge_audit(rig, targets):
    result = rig.system.run("fx-audit", "--json", "--all", code=None, seconds=300)
    report = json.loads(result.out)
    faults = "missing rejected silent stale runs refused pending holes breaches".split()
    strange = [
        (section, finding)
        for section in faults
        for finding in report["findings"].get(section, [])
        if finding.get("source") not in rig.excused(section)
    ]
    for one in strange[:10]:
        print(f"  audit: {one}")
    print(f"fx-audit: exit {result.code}")
    targets.most("audit_findings", len(strange), 0)
    is_fine = result.code == (1 if any(report["findings"].get(s) for s in faults) else 0)
    targets.most("audit_exit", 0 if is_fine else result.code, 0)


def judge_judge(rig, targets):
    import planted
    from judge import judge

    for name in planted.SPOILT:
        schema = planted.count(rig.system, name, rig.folder)
        for which in ("journal", "kafka"):
            found = judge(rig.system, rig.folder, schema, (which,))
            is_caught = found.differ > 0
            print(f"planted bug: {name} one event; {which}: {found.differ} cells or rows differ")
            targets.least(f"{name}_caught_from_{which}", int(is_caught), 1)


def run(args, targets):
    from stack import Stack

    stack = Stack()
    rig = None
    try:
        from rig import Rig

        rig = Rig(stack, args.seed, args.events, args.rate)
        struck = play(rig, args)
        codes = rig.drain()
        print(f"drained; exit statuses {codes}")
        judge_faults(struck, rig, targets)
        judge_figures(rig, targets, args)
        judge_audit(rig, targets)
        if not args.no_planted:
            judge_judge(rig, targets)
        if not args.no_cuts:
            import cuts

            cuts.run(stack, args.seed, targets)
    finally:
        if rig:
            rig.close()
        stack.close(args.keep)


def main():
    args, targets, began = arguments(), Targets(), time.monotonic()
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
