# SPDX-License-Identifier: Apache-2.0
"""What the plan makes of messages, against fastavro and the rules of schemas/README.md.

    plan_fuzz --dump ... | compare.py

Reads the lines of plan_fuzz --dump (fuzz_dump.h) and works out each one anew from the bytes:
reason per kind, whether the envelope is believed, every field, every column of every rollup row
(tests/lib/recount.py). Prints every difference and, at the end, lines NAME NUMBER. Shares nothing
with the C programs but the files of schemas/.
"""

import collections
import io
import json
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "lib"))
import recount  # noqa: E402
import wire  # noqa: E402
from fastavro import schemaless_reader  # noqa: E402

FOLDERS = [TESTS.parent / "schemas", TESTS / "fuzz" / "schemas"]
MESSAGE_MAX = 4096
RANGES = {"int": (-(1 << 31), (1 << 31) - 1), "long": (-(1 << 63), (1 << 63) - 1)}
SOURCE = re.compile(r"[A-Za-z0-9._-]{1,64}")
TIME_MIN_MS, TIME_MAX_MS = 1_577_836_800_000, 4_102_444_800_000
APPEND_MS = 1_644_451_200_000  # where plan_fuzz counts what lies beyond
DIFFERENCES_SHOWN = 20


def base_of(kind):
    """(name of the type, index of null or None) of a field's type."""
    if isinstance(kind, list):
        null = kind.index("null")
        return base_of(kind[1 - null])[0], null
    return (kind if isinstance(kind, str) else kind["type"]), None


def to_bytes(text):
    return text.encode("utf-8", "surrogateescape")


class Field:
    def __init__(self, definition):
        self.type, self.null = base_of(definition["type"])
        low, high = RANGES.get(self.type, (0, 0))
        self.min, self.max = definition.get("min", low), definition.get("max", high)
        self.max_length = definition.get("max_length", 256)
        kinds = definition["type"] if self.null is not None else [definition["type"]]
        self.symbols = next((k["symbols"] for k in kinds if isinstance(k, dict)
                             and k["type"] == "enum"), None)

    def encode(self, value):
        """The one form that the specification allows."""
        if value is None:
            return wire.varint(self.null)
        head = b"" if self.null is None else wire.varint(1 - self.null)
        if self.type == "boolean":
            return head + bytes([value])
        if self.type == "string":
            return head + wire.varint(len(to_bytes(value))) + to_bytes(value)
        return head + wire.varint(value if self.symbols is None else self.symbols.index(value))

    def is_valid(self, name, value):
        if value is None or self.type in ("enum", "boolean"):
            return True
        if self.type != "string":
            return self.min <= value <= self.max
        if name == "source":
            return SOURCE.fullmatch(value) is not None
        is_utf8 = not any("\ud800" <= c <= "\udfff" for c in value)
        return is_utf8 and "\0" not in value and len(to_bytes(value)) <= self.max_length


class Version:
    def __init__(self, kind, version):
        self.kind, self.avro = kind, version.avro
        self.fields = {name: Field(f) for name, f in version.fields.items()}


# ---- fastavro takes more than the specification: each of these is malformed all the same --------

def has_trailing_bytes(version, event, body, used):
    return used < len(body)


def has_wide_int(version, event, body, used):
    low, high = RANGES["int"]
    return any(f.type == "int" and event[name] is not None and not low <= event[name] <= high
               for name, f in version.fields.items())


def has_another_form(version, event, body, used):
    """Varints that are too long or overflow, texts shorter than their length says, indexes
    counted from the end, booleans that are neither 0 nor 1: not the bytes of this value."""
    return b"".join(f.encode(event[name]) for name, f in version.fields.items()) != body


LENIENCIES = [has_trailing_bytes, has_wide_int, has_another_form]


class Comparison:
    def __init__(self):
        self.kinds, self.by_header, self.known, self.rollups = {}, {}, {}, {}
        for folder in FOLDERS:
            names = sorted(p.parent.name for p in folder.glob("*/1.avsc"))
            kinds = {name: wire.Kind(folder, name) for name in names}
            headers = {h for kind in kinds.values() for h in kind.by_header}
            for name, kind in kinds.items():
                self.add_kind(folder, name, kind, headers)
        self.counts = collections.Counter()
        self.shown = 0

    def add_kind(self, folder, name, kind, headers):
        self.kinds[name] = kind
        for header, version in kind.by_header.items():
            self.by_header[header] = Version(name, version)
        if name != "heartbeat":
            self.known[name] = headers
            regions = recount.Regions(FOLDERS[0] / "regions.csv")
            paths = sorted((folder / name).glob("*.rollup.json"))
            self.rollups[name] = [recount.Rollup(path, regions) for path in paths]

    def read(self, version, body):
        stream = io.BytesIO(body)
        try:
            event = schemaless_reader(stream, version.avro,
                                      handle_unicode_errors="surrogateescape")
        except Exception:  # fastavro has no class of its own for what is malformed
            return None
        for is_lenient in LENIENCIES:
            if is_lenient(version, event, body, stream.tell()):
                self.counts["lenient_" + is_lenient.__name__] += 1
                return None
        return event

    def current(self, version, event):
        """As the current schema sees it; None for a field out of its bounds."""
        kind = self.kinds[version.kind]
        newest = self.by_header[kind.current.header]
        fields = {n: event.get(n, kind.defaults.get(n)) for n in newest.fields}
        is_valid = all(f.is_valid(n, fields[n]) for n, f in newest.fields.items()
                       if n in version.fields)
        return fields, is_valid

    def judge(self, version, fields, is_valid):
        if not is_valid:
            return "invalid_field"
        if version.kind == "heartbeat":
            return "ok"
        is_reversal = fields["sign"] == -1
        said = [fields[n] is not None for n in ("reverses_run", "reverses_seq")]
        if fields["sign"] not in (1, -1) or said != [is_reversal] * 2:
            return "invalid_field"
        if fields["counted_at"] is not None and not is_reversal:
            return "invalid_field"
        for rule in self.kinds[version.kind].current.definition.get("sums", []):
            if fields[rule["total"]] != sum(fields[part] for part in rule["parts"]):
                return "sums_mismatch"
        return "ok"

    def rows(self, kind, fields):
        rollups = self.rollups[kind]
        region = fields["region"]
        if region not in rollups[0].regions.level or region == recount.OUTSIDE:
            return {}
        when = fields["occurred_at"] if fields["counted_at"] is None else fields["counted_at"]
        if not TIME_MIN_MS <= when <= TIME_MAX_MS:
            when = APPEND_MS
        rows = {}
        for rollup in rollups:
            rollup.base = {}
            rollup.add(fields, when)
            for table, cells in rollup.tables().items():
                rows |= {"|".join(map(str, (table, *key))): row for key, row in cells.items()}
        return rows

    def expect(self, message):
        """What the line of message has to say, as JSON has it."""
        header = message[:wire.HEADER_SIZE]
        wanted = {"reasons": dict.fromkeys(self.known, "undecodable"), "envelope": False,
                  "values": None, "rows": {}}
        is_framed = len(header) == wire.HEADER_SIZE and header.startswith(wire.MARKER)
        if len(message) > MESSAGE_MAX or not is_framed:
            return wanted
        version = self.by_header.get(header)
        event = self.read(version, message[wire.HEADER_SIZE:]) if version else None
        reason = "undecodable"
        if event is not None:
            fields, is_valid = self.current(version, event)
            reason = self.judge(version, fields, is_valid)
            third = "n" if version.kind == "heartbeat" else "seq"
            wanted["envelope"] = (SOURCE.fullmatch(fields["source"]) is not None
                                  and 0 <= fields["run"] < 1 << 48
                                  and fields[third] >= (third == "seq"))
            wanted["values"] = {n: {"hex": to_bytes(v).hex()} if self.is_text(version, n) and
                                v is not None else v for n, v in fields.items()}
            if reason == "ok" and version.kind != "heartbeat":
                wanted["rows"] = self.rows(version.kind, fields)
        for kind, known in self.known.items():
            if header not in known:
                wanted["reasons"][kind] = "unknown_schema"
            elif version.kind in (kind, "heartbeat"):
                wanted["reasons"][kind] = reason
            else:
                wanted["reasons"][kind] = "wrong_kind"
        return wanted

    def is_text(self, version, name):
        newest = self.by_header[self.kinds[version.kind].current.header]
        return newest.fields[name].type == "string"

    def check(self, line):
        wanted = self.expect(bytes.fromhex(line["bytes"]))
        self.counts["inputs"] += 1
        self.counts["accepted"] += "ok" in wanted["reasons"].values()
        self.counts["values"] += len(wanted["values"] or ())
        self.counts["figures"] += sum(len(row) for row in wanted["rows"].values())
        wrong = [key for key in wanted if line[key] != wanted[key]]
        self.counts["differences"] += bool(wrong)
        if wrong and self.shown < DIFFERENCES_SHOWN:
            self.shown += 1
            for key in wrong:
                print(f"{line['name']} {line['bytes']}: {key}: {line[key]} for {wanted[key]}")


def main():
    comparison = Comparison()
    for line in sys.stdin.buffer:
        comparison.check(json.loads(line))
    for name in ["inputs", "accepted", "values", "figures", "differences"]:
        print(name, comparison.counts[name])
    for is_lenient in LENIENCIES:
        name = "lenient_" + is_lenient.__name__
        print(name, comparison.counts[name])
    return 1 if comparison.counts["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
