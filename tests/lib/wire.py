# SPDX-License-Identifier: Apache-2.0
"""Events as a third party writes them: schemas/README.md and fastavro, nothing of ours."""

import io
import json
import pathlib

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form

MARKER = b"\xc3\x01"
HEADER_SIZE = 10


def murmur2(key):
    m, mask, h = 0x5BD1E995, 0xFFFFFFFF, 0x9747B28C ^ len(key)
    for i in range(0, len(key) & ~3, 4):
        k = int.from_bytes(key[i : i + 4], "little") * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
    if len(key) & 3:
        h = (h ^ int.from_bytes(key[len(key) & ~3 :], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def partition_of(source, partitions):
    return (murmur2(source.encode()) & 0x7FFFFFFF) % partitions


def varint(number):
    """Avro's zigzag long in its shortest form."""
    rest, out = (number << 1) ^ (number >> 63), bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes(out) + bytes([rest])


def read_varint(data, at):
    rest = shift = 0
    while True:
        byte = data[at]
        rest |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (rest >> 1) ^ -(rest & 1), at


def without_number(message):
    """The message without run and seq: the same event, whatever number it was given."""
    size, at = read_varint(message, HEADER_SIZE)
    source = message[at : at + size]
    _, end = read_varint(message, at + size)
    _, end = read_varint(message, end)
    return source + b"|" + message[end:]


def plain(schema):
    """Without logical types: times stay whole numbers of milliseconds."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if isinstance(schema, dict):
        return {k: plain(v) for k, v in schema.items() if k != "logicalType"}
    return schema


class Version:
    def __init__(self, path):
        self.definition = json.loads(path.read_text())
        form = to_parsing_canonical_form(self.definition)
        self.header = MARKER + bytes.fromhex(fingerprint(form, "CRC-64-AVRO"))
        self.avro = parse_schema(plain(self.definition), named_schemas={})
        self.fields = {field["name"]: field for field in self.definition["fields"]}


class Kind:
    """All versions of a kind's schema."""

    def __init__(self, schemas, name):
        folder = pathlib.Path(schemas) / name
        self.name = name
        self.versions = {int(p.stem): Version(p) for p in folder.glob("*.avsc")}
        self.current = self.versions[max(self.versions)]
        self.by_header = {version.header: version for version in self.versions.values()}
        self.defaults = {n: f["default"] for n, f in self.current.fields.items() if "default" in f}

    def encode(self, event, version=None):
        writer = self.versions[version] if version else self.current
        body = io.BytesIO()
        schemaless_writer(body, writer.avro, event)
        return writer.header + body.getvalue()

    def is_event(self, message):
        return message[:HEADER_SIZE] in self.by_header

    def decode(self, message):
        """As the current schema sees it: what an old writer did not have takes the default."""
        avro = self.by_header[message[:HEADER_SIZE]].avro
        event = schemaless_reader(io.BytesIO(message[HEADER_SIZE:]), avro)
        return event if avro is self.current.avro else {**self.defaults, **event}

    def complete(self, line, source, run, seq):
        """The event that an accepted device line stands for."""
        event = {"sign": 1, "reverses_run": None, "reverses_seq": None, "counted_at": None}
        event |= {k: v for k, v in line.items() if k not in ("id", "at")}
        if "at" in line:
            event["occurred_at"] = line["at"]
        for rule in self.current.definition.get("sums", []):
            rest = rule.get("rest")
            if rest and rest not in line:
                said = sum(line.get(part, 0) for part in rule["parts"])
                event[rest] = line[rule["total"]] - said
        return {**self.defaults, **event, "source": source, "run": run, "seq": seq}
