# SPDX-License-Identifier: Apache-2.0
"""A week of a simulated city: what --simulate tells of each of seven days, as lines for posts.

An outbox keeps to one simulation, and a simulation ends; posts that run for a week follow files
instead. So each day is made by `--simulate --dry-run` with dates, seed and posts of its own week,
and its records are written down as a device writes lines: what is as the schema has it anyway is
left out. These files are known before any post saw a line of them: they are what has to come out.

Nothing of tests/lib/system.py may be imported before the stack is up: it reads the addresses.
"""

import datetime
import json
import subprocess
from dataclasses import dataclass

DAYS = 7
ZONE = datetime.timezone(datetime.timedelta(hours=8))
# lines a day of the kinds that have a background; the others tell the story alone
EVENTS = {"checkpoint": 70_000, "test_site": 45_000, "quarantine": 25_000}
SOURCES = {"checkpoint": 150, "test_site": 80, "quarantine": 60}
AT = '{"at":'  # a line begins with it and 13 digits
ENVELOPE = ("source", "region")
PRODUCERS_OWN = {"run", "seq", "sign", "reverses_run", "reverses_seq", "counted_at", "occurred_at"}


@dataclass(frozen=True)
class Week:
    seed: int
    times: int  # as many events as EVENTS says
    day_s: float  # how long a day takes
    first: datetime.date  # all seven are over

    def begin(self, day):
        """Of day 1 to 7, and the end of the one before."""
        return (self.first + datetime.timedelta(days=day - 1)).isoformat()

    def begin_ms(self, day):
        at = datetime.datetime.fromisoformat(self.begin(day)).replace(tzinfo=ZONE)
        return round(at.timestamp() * 1000)

    def words(self, kind, day):
        """The command line that plays the kind's day."""
        from lib.story import words_of

        events = EVENTS[kind] * self.times if kind in EVENTS else None
        sources = SOURCES.get(kind)
        return words_of(kind, self.seed, self.begin(day), self.begin(day + 1), sources, events)


def newest(seed, times, day_s):
    """The week that ended with the last midnight."""
    today = datetime.datetime.now(ZONE).date()
    return Week(seed, times, day_s, today - datetime.timedelta(days=DAYS))


def path_of(folder, name, day):
    return folder / f"{name}.day{day}"


def as_line(event, defaults, number):
    """The record as a device would write it."""
    at = round(datetime.datetime.fromisoformat(event["occurred_at"]).timestamp() * 1000)
    line = {"at": at}
    for name, value in event.items():
        if name in PRODUCERS_OWN or (name in defaults and defaults[name] == value):
            continue
        line[name] = value
    if number:
        line["id"] = number
    return line


def make_lines(week, folder, post, day, schemas):
    """Writes the post's lines of a day; how many."""
    from lib.system import BUILD
    from lib.wire import Kind

    defaults = Kind(schemas, post.kind).defaults
    encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
    program, *words = week.words(post.kind, day)
    words = [str(BUILD / "bin" / program), *map(str, words), "--dry-run"]
    words += ["--schemas", str(schemas)]
    count, path = 0, path_of(folder, post.name, day)
    fresh = path.with_name(path.name + ".new")
    with open(fresh, "w", encoding="utf-8") as out:
        with subprocess.Popen(words, stdout=subprocess.PIPE, encoding="utf-8") as made:
            for text in made.stdout:
                count += 1
                number = f"{day}-{count}" if post.is_socket else ""
                out.write(encode(as_line(json.loads(text), defaults, number)) + "\n")
        assert made.returncode == 0, f"{words} ended with {made.returncode}"
    fresh.rename(path)
    return count


def make_day(week, folder, posts, day, schemas):
    """In a process of its own: {post: lines}."""
    return {post.name: make_lines(week, folder, post, day, schemas) for post in posts}
