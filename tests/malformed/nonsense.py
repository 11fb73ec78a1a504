# SPDX-License-Identifier: Apache-2.0
"""Lines that no station may take, each of them one line but for those of no_newline()."""

import json
import random

from lib.post import LINE

LINE_MAX = 65_536
LONG_BYTES = 64 << 20  # a line that does not end
GOOD = json.dumps(LINE).encode()


def with_field(name, text):
    """A good line, but for one field; text is JSON, or not."""
    rest = json.dumps({k: v for k, v in LINE.items() if k != name}).encode()
    return rest[:-1] + b',"' + name.encode() + b'":' + text + b"}"


def nested(opening, closing, depth):
    return opening * depth + b"1" + closing * depth


FIXED = {
    "nul": b'{"a":1}\x00',
    "nul_escaped": with_field("direction", b'"I\\u0000N"'),
    "binary": bytes(set(range(256)) - {10}),
    "utf16": json.dumps(LINE).encode("utf-16-be").replace(b"\n", b""),
    "byte_order_mark": b"\xef\xbb\xbf" + GOOD,
    "bad_utf8": with_field("direction", b'"\xff\xfe"'),
    "overlong_utf8": with_field("direction", b'"\xc0\xaf"'),
    "surrogate": with_field("direction", b'"\xed\xa0\x80"'),
    "lone_surrogate": with_field("direction", b'"\\ud800"'),
    "unfinished": GOOD[:-1],
    "two_values": GOOD + GOOD,
    "trailing_comma": GOOD[:-1] + b",}",
    "deep_arrays": nested(b"[", b"]", 30_000),
    "deep_objects": nested(b'{"a":', b"}", 10_000),
    "deep_in_field": with_field("persons", nested(b"[", b"]", 30_000)),
    "deep_and_open": b"[" * 65_000,
    "same_key": b'{"persons":1' + b',"persons":1' * 5000 + b"}",
    "many_keys": b'{"k":0' + b"".join(b',"k%d":0' % i for i in range(5000)) + b"}",
    "long_key": b'{"' + b"k" * 60_000 + b'":1}',
    "long_text": with_field("direction", b'"' + b"x" * 60_000 + b'"'),
    "long_source": with_field("source", b'"' + b"s" * 60_000 + b'"'),
    "bad_source": with_field("source", b'"a\'b;--"'),
    "long_id": with_field("id", b'"' + b"i" * 60_000 + b'"'),
    "many_digits": with_field("persons", b"9" * 60_000),
    "many_decimals": with_field("persons", b"2." + b"0" * 60_000 + b"1"),
    "big_exponent": with_field("persons", b"1e999999999"),
    "huge": with_field("persons", b"18446744073709551616"),
    "int64_max": with_field("persons", b"9223372036854775807"),
    "int64_min": with_field("persons", b"-9223372036854775808"),
    "not_a_number": with_field("persons", b"NaN"),
    "infinity": with_field("persons", b"-Infinity"),
    "hexadecimal": with_field("persons", b"0x10"),
    "leading_zero": with_field("persons", b"02"),
    "escapes": with_field("direction", b'"' + b"\\u0041" * 10_000 + b'"'),
    "quotes": b'"' * 60_000,
    "given_number": with_field("seq", b"1"),
    "format": b"%s%n%d" * 1000,
    "too_long": b'{"direction":"' + b"x" * LINE_MAX + b'"}',
    "too_long_and_good": GOOD[:-1] + b" " * LINE_MAX + b"}",
}


def mixed(count, seed=1):
    """(line, is_good) of all kinds of nonsense, and of good lines among them."""
    dice = random.Random(seed)
    names = list(FIXED) * (1 + count // len(FIXED))
    for name in dice.sample(names, count):
        yield FIXED[name], False
        yield b"\x80" + dice.randbytes(dice.randrange(200)).replace(b"\n", b""), False
        yield GOOD, True


def no_newline(size=LONG_BYTES):
    """One line of so many bytes, in pieces, with its end."""
    piece = b"x" * (1 << 20)
    for _ in range(size // len(piece)):
        yield piece
    yield b"\n"
