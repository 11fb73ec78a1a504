# SPDX-License-Identifier: Apache-2.0
"""What a fault is, and the lanes that strike with one after the other."""

import random
import threading
import time
import traceback
from dataclasses import dataclass

LANES = CITY, POSTS = "city", "posts"
ALL = []


class Fault:
    """See README.md. victim and all numbers come from self.pick alone."""

    lane = CITY
    weight = 1
    hold_s = (0.3, 1.5)  # between strike and evidence
    is_long = False  # only in the long form
    may_end_posts = False  # one that opens its outbox meanwhile may end with 5

    def __init_subclass__(cls):
        super().__init_subclass__()
        if not cls.__name__.startswith("Base"):
            ALL.append(cls)

    def __init__(self, rig, pick):
        self.rig, self.pick = rig, pick

    @classmethod
    def name(cls):
        text = "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__)
        return text.lstrip("_")

    def strike(self):
        raise NotImplementedError

    def evidence(self):
        """That it was in effect, as a text; None: it was not."""
        raise NotImplementedError

    def heal(self):
        pass


@dataclass
class Struck:
    lane: str
    number: int
    name: str
    at_s: float
    took_s: float
    evidence: str
    trouble: str = ""
    began: float = 0  # monotonic
    may_end_posts: bool = False

    def is_about(self, at, after_s):
        """Whether that moment lies within the fault, its healing or so many seconds after it."""
        return self.began <= at <= self.began + self.took_s + after_s


def deck(lane, pick, is_long, only):
    """Without end: every class of the lane as often as it weighs, shuffled, and again."""
    kinds = [c for c in ALL if c.lane == lane and (is_long or not c.is_long)]
    kinds = [c for c in kinds if not only or c.name() in only]
    if not kinds:
        return
    while True:
        cards = [c for c in kinds for _ in range(c.weight)]
        pick.shuffle(cards)
        yield from cards


class Lane:
    """Strikes until it is told to stop; every fault is healed before the next."""

    def __init__(self, rig, name, seed, is_long, only):
        self.rig, self.name, self.seed = rig, name, seed
        self.pick = random.Random(f"{seed} {name}")
        self.deck = deck(name, self.pick, is_long, only)
        self.struck, self.over = [], threading.Event()
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self, seconds=180):
        self.over.set()
        self.thread.join(seconds)
        assert not self.thread.is_alive(), f"lane {self.name} does not end"

    def _run(self):
        for number, kind in enumerate(self.deck):
            if self.over.wait(self.pick.uniform(0.2, 1.5)):
                return
            one = self._strike(number, kind)
            self.struck.append(one)
            print(
                f"{one.at_s:7.1f} s {one.lane} {one.number} {one.name} ({one.took_s:.1f} s):"
                f" {one.evidence or 'NO EVIDENCE'} {one.trouble}",
                flush=True,
            )

    def _strike(self, number, kind):
        began = time.monotonic()
        fault = kind(self.rig, random.Random(f"{self.seed} {self.name} {number} {kind.name()}"))
        evidence = trouble = ""
        try:
            fault.strike()
            time.sleep(fault.pick.uniform(*fault.hold_s))
            evidence = fault.evidence() or ""
        except Exception:
            trouble = traceback.format_exc(limit=-3)
        try:
            fault.heal()
        except Exception:
            trouble += traceback.format_exc(limit=-3)
        ended = time.monotonic()
        at = began - self.began
        told = (self.name, number, kind.name(), at, ended - began, evidence, trouble)
        return Struck(*told, began, kind.may_end_posts)
