# SPDX-License-Identifier: Apache-2.0
"""Lines of C by folder, the largest file and function: for information."""

import re

from lib.system import ROOT


def functions(text):
    """(lines, name) of each function: from its name to the brace in the first column."""
    name, began = None, 0
    for number, row in enumerate(text.splitlines()):
        head = re.match(r"[a-z].*?\b(\w+)\(", row)
        if head:
            name, began = head[1], number
        if row == "}" and name:
            yield number - began + 1, name
            name = None


def test_lines_of_c(note):
    largest, longest = (0, ""), (0, "")
    for folder in ("common", "schemas", "producers", "consumers", "tests/unit"):
        total = 0
        for path in [*(ROOT / folder).glob("*.c"), *(ROOT / folder).glob("*.h")]:
            text = path.read_text()
            lines = len(text.splitlines())
            total += lines
            if not folder.startswith("tests"):
                largest = max(largest, (lines, str(path.relative_to(ROOT))))
                longest = max(
                    [longest, *((n, f"{name} in {path.name}") for n, name in functions(text))]
                )
        note(f"lines of C in {folder}: {total}")
    note(
        f"largest file: {largest[1]}, {largest[0]} lines; "
        f"longest function: {longest[1]}, {longest[0]}"
    )
    assert largest[0] > 0 and longest[0] > 0
