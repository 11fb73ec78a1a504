# SPDX-License-Identifier: Apache-2.0
"""The run: a city, seven days, faults, samples, judgement. See README.md."""

import argparse
import contextlib
import json
import multiprocessing
import os
import pathlib
import random
import signal
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[1:1] = [str(ROOT / "tests"), str(ROOT / "tests/chaos")]

import week  # noqa: E402
from lib.targets import Targets  # noqa: E402

LONG = os.environ.get("FX_LONG") == "1"
TIMES, DAY_S, OUTAGE_S, FAULTS, EVENTS, LIMIT_S = (
    (10, 240, 20, 400, 9_800_000, 7000) if LONG else (1, 20, 10, 40, 1_000_000, 480)
)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    seed = os.environ.get("FX_SOAK_SEED") or random.SystemRandom().randrange(2**31)
    parser.add_argument("--seed", type=int, default=int(seed))
    parser.add_argument("--day-s", type=float, default=DAY_S, help="how long a day takes")
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--only-judge", action="store_true", help="the judge of growth, no city")
    parser.add_argument("--keep", action="store_true", help="leave the stack's files")
    return parser.parse_args()


def tell(text):
    print(text, file=sys.stderr, flush=True)


class Maker:
    """Makes the days in a process beside the run, one ahead of it."""

    def __init__(self, plan, city):
        import posts

        self.pool = multiprocessing.get_context("spawn").Pool(1)
        self.work = [plan, city.folder, posts.POSTS]
        self.schemas = city.system.schemas
        self.made = {}

    def ask(self, day):
        if day <= week.DAYS:
            args = [*self.work, day, self.schemas]
            self.made[day] = self.pool.apply_async(week.make_day, args)

    def wait(self, day):
        return self.made.pop(day).get(900)

    def close(self):
        self.pool.terminate()


def describe(day, sample, counts, level_s, faults):
    """A line about the day."""
    processes, cells = sample["processes"], sample["tables"]["cells"].values()
    posts = [one for name, one in processes.items() if not name.startswith("rollup")]
    rollup, rss = processes["rollup a"], [one["rss_mb"] for one in posts]
    rows = sum(table["rows"] for table in cells)
    boxes = [one["mb"] + one["log_mb"] for one in sample["outboxes"].values()]
    return (
        f"day {day}: {sum(counts.values())} lines, level after {level_s:.1f} s, {faults} faults;"
        f" fx-rollup {rollup['rss_mb']:.1f} MiB (HWM {rollup['hwm_mb']:.1f}), {rollup['fds']} open;"
        f" posts max {max(rss):.1f} MiB, sum {sum(rss):.1f},"
        f" {sum(one['fds'] for one in posts)} open;"
        f" outboxes {sum(boxes):.1f} MiB;"
        f" {rows} cells, {sum(table['bytes'] for table in cells) / rows:.0f} B each"
    )


def soak(city, maker, faults, args):
    """Seven days; a sample of each."""
    import meter

    samples = []
    maker.ask(1)
    city.start()
    for day in range(1, week.DAYS + 1):
        counts = maker.wait(day)
        maker.ask(day + 1)
        struck = len(faults.struck)
        with ThreadPoolExecutor(1) as pool:
            played = pool.submit(city.load.play, day)
            if day == 1:
                city.warm_up(OUTAGE_S)
            if not args.no_faults:
                faults.start(day)
            played.result()
        faults.stop()
        level_s = city.wait_level()
        time.sleep(2)
        samples.append(meter.sample(city))
        tell(describe(day, samples[-1], counts, level_s, len(faults.struck) - struck))
    return samples


def judge_faults(struck, kinds, targets):
    counted = [one for one in struck if one.evidence and not one.trouble]
    for name, count in sorted(Counter(one.name for one in counted).items()):
        tell(f"struck {name} {count}")
    targets.least("soak_faults", len(counted), FAULTS)
    targets.least("soak_fault_kinds", len({one.name for one in counted}), kinds)
    vain = [one for one in struck if not one.evidence]
    for one in vain:
        tell(f"without evidence: {one.name} {one.trouble}")
    targets.most("soak_faults_without_evidence", len(vain), len(struck) // 10)
    targets.most("soak_faults_not_healed", sum(bool(one.trouble) for one in struck), 0)


def judge_outboxes(city, targets):
    """At the end: all is acknowledged, and the posts have ended."""
    import meter

    left = {post.name: meter.outbox(city, post) for post in city.SINKS}
    tell(f"outboxes at the end: {left}")
    forgetful = [left[post.name]["kept"] for post in city.SINKS if post.is_forgetful]
    targets.most("soak_outbox_unsent", sum(one["unsent"] for one in left.values()), 0)
    targets.most("soak_outbox_rows_kept", max(forgetful), 4096)
    size = sum(one["mb"] + one["log_mb"] for one in left.values())
    targets.most("soak_outbox_mb", round(size, 1), 48)


def judge_growth(city, samples, targets):
    import growth

    spared = [post for post in city.SINKS if post.is_spared]
    emits = [post.name for post in spared if post.program == "fx-emit"]
    names = [post.name for post in spared]
    growth.judge(growth.Growth(samples, f"rollup {city.SPARED}", names, emits), targets)


def judge_figures(city, targets):
    from recounts import judge_week

    began = time.monotonic()
    found = judge_week(city)
    tell(f"recounted in {time.monotonic() - began:.1f} s; {found.copies} copies in Kafka")
    for text in found.texts[:20]:
        tell(f"  {text[:300]}")
    targets.least("soak_lines", found.lines, EVENTS)
    targets.least("soak_events", found.events, found.lines)
    targets.most("soak_lost", found.lost, 0)
    targets.most("soak_doubled", found.doubled, 0)
    targets.least("soak_cells", found.cells, 100_000)
    targets.most("soak_cells_differ", found.differ, 0)


def keep(samples):
    path = ROOT / ".local/log/soak.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(samples, indent=1), encoding="utf-8")
    tell(f"samples: {path.relative_to(ROOT)}")


def run(args, targets):
    import leaks

    leaks.judge(targets)
    if args.only_judge:
        return
    from stack import Stack

    plan = week.newest(args.seed, TIMES, args.day_s)
    stack = Stack(ROOT / ".local/soak")
    city = maker = None
    try:
        from posts import City

        city = City(stack, plan)
        from mortal import ONLY, Faults

        maker, faults = Maker(plan, city), Faults(city, args.seed)
        samples = soak(city, maker, faults, args)
        city.judge_ends(city.drain(), faults.struck, targets, "soak_")
        keep(samples)
        judge_faults(faults.struck, len(ONLY), targets)
        judge_growth(city, samples, targets)
        judge_outboxes(city, targets)
        judge_figures(city, targets)
    finally:
        if maker:
            maker.close()
        if city:
            city.close()
        stack.close(args.keep)


def main():
    args, targets, began = arguments(), Targets(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends, too
    tell(f"seed {args.seed}: replay with FX_SOAK_SEED={args.seed} tests/run soak")
    with contextlib.redirect_stdout(sys.stderr):
        try:
            run(args, targets)
        except Exception as trouble:  # the lines so far are worth printing
            tell(f"stopped: {type(trouble).__name__}: {trouble}")
            targets.bad += 1
            traceback.print_exc()
        targets.most("soak_seconds", round(time.monotonic() - began), LIMIT_S)
    sys.stderr.flush()
    print("\n".join(targets.lines))
    print(f"{targets.good} passed, {targets.bad} failed", flush=True)
    return 1 if targets.bad else 0


if __name__ == "__main__":
    sys.exit(main())
