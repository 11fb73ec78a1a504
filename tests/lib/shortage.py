# SPDX-License-Identifier: Apache-2.0
"""A whole program's allocations, counted, and failing where a test wants it: ../live/shortage.c."""

import contextlib
import mmap
import os
import pathlib
import random
import struct
import subprocess
from collections import Counter

import pytest
from lib.system import LONG, wait_until

SOURCE = pathlib.Path(__file__).parents[1] / "live/shortage.c"
SEED = random.SystemRandom().randrange(2**31)
STRUCK = 1 << 20 if LONG else 6  # places of each program
STACKS, ALL = 1 << 17, 1 << 62
AWAY = 4  # exit status: try again
WITHOUT_SANITIZER = pytest.mark.skipif(
    "ASAN_OPTIONS" in os.environ, reason="sanitizers have allocators of their own"
)


class Shortage:
    """The control file of shortage.c: see struct control there."""

    def __init__(self, folder):
        self.library = folder / "shortage.so"
        options = ["-O1", "-shared", "-fPIC", "-D_GNU_SOURCE", "-ldl"]
        subprocess.run(["cc", *options, "-o", self.library, SOURCE], check=True)
        path = folder / "shortage"
        path.write_bytes(bytes(32 + 8 * STACKS))
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)
        self.env = {"LD_PRELOAD": str(self.library), "FX_SHORTAGE": str(path)}

    def order(self, first=0, last=0):
        self.memory[:32] = struct.pack("<4Q", first, last, 0, 0)

    def told(self):
        """(allocations, how many failed)"""
        return struct.unpack("<2Q", self.memory[16:32])

    def places(self):
        """The first allocation of each place in the last run, in which none failed."""
        count = min(self.told()[0], STACKS)
        stacks = struct.unpack(f"<{count}Q", self.memory[32 : 32 + 8 * count])
        first = {}
        for number, stack in enumerate(stacks, 1):
            first.setdefault(stack, number)
        return sorted(first.values())


class Strike:
    """strike(program, words, text=, prepare=): yields (result, how many failed) of each run.
    limit_s: how long it may try again by itself before it is sent SIGTERM."""

    def __init__(self, system, note):
        self.system, self.note = system, note
        self.shortage = Shortage(system.dir)

    def __call__(self, program, *words, text=lambda: None, prepare=lambda: None, limit_s=None):
        system, shortage = self.system, self.shortage

        def once(first=0, last=0):
            prepare()
            shortage.order(first, last)
            if limit_s is None:
                return system.run(program, *words, text=text(), env=shortage.env, code=None)
            process = system.start(program, *words, env=shortage.env)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: not process.is_running(), limit_s)
            return process.stop()

        yield once(), 0
        yield once(), 0  # the first may find less than those that follow
        places = shortage.places()
        assert len(places) >= 4
        picked = random.Random(SEED).sample(places, min(STRUCK, len(places)))
        found = Counter()
        for first in sorted(picked):
            for last in (first, ALL):
                result, failed = once(first, last), shortage.told()[1]
                assert result.code in (0, 1, AWAY), f"allocation {first}-{last}: {result}"
                is_told = "memory" in result.err
                assert is_told or result.code != AWAY, f"allocation {first}-{last}: {result}"
                found[result.code if failed else "not reached"] += 1
                yield result, failed
        what = f"{program} {words[0]}"
        self.note(f"{what}: {len(picked)} of {len(places)} places struck, {dict(found)}")
        assert found[AWAY] >= len(picked)


@pytest.fixture
def strike(system, note):
    return Strike(system, note)
