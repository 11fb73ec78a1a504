# SPDX-License-Identifier: Apache-2.0
"""The judge of tests/chaos over a week: its journal are the days as they were simulated.

A simulated post may tell two things at one instant, and a week is too long to keep every line in
mind: a source's lines are compared by how many they are and by a sum over their times.
"""

from collections import Counter

from judge import FromJournal, FromKafka, Reader, judge, judge_sinks
from posts import POSTS
from week import DAYS, path_of

PARTS = (POSTS[:1], POSTS[1:])


class FromDays(FromJournal):
    def __init__(self, *args):
        self.times = Counter()
        super().__init__(*args)

    def texts(self, folder):
        for day in range(1, DAYS + 1):
            with open(path_of(folder, self.sink.name, day), "rb") as lines:
                yield from lines

    def note(self, source, at_ms, _sign):
        self.times[source] += hash((source, at_ms))


class FromKafkaToo(FromKafka):
    def note(self, source, at_ms, _sign):
        self.found[source] += hash((source, at_ms))

    def sources(self):
        """How many events of each, a number once."""
        out = Counter()
        for (source, _run), numbers in self.tally.numbers.items():
            out[source] += len(numbers)
        return out


def compare_sources(days, kafka, verdict):
    sources = kafka.sources()
    missing, more = days.sources - sources, sources - days.sources
    verdict.say(missing.total(), "lost", f"not in Kafka: {list(missing.items())[:3]}")
    verdict.say(more.total(), "doubled", f"in Kafka, never simulated: {list(more.items())[:3]}")
    others = {s for s, n in days.sources.items() if sources[s] == n}
    others = [source for source in others if days.times[source] != kafka.found[source]]
    verdict.note([f"Kafka: other times than simulated: {source}" for source in others])


def apart(address, folder, sinks, also):
    by = (FromDays, FromKafkaToo, compare_sources)
    return judge_sinks(Reader(*address), folder, sinks, also, by)


def judge_week(rig):
    return judge(rig.system, rig.folder, parts=PARTS, apart=apart)
