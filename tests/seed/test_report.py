# SPDX-License-Identifier: Apache-2.0
"""The daily report of the reference day, as it was frozen before the late lines came: the example
in report/ is what fx-report prints of it after they were counted, byte for byte."""

import load
import pytest

EXAMPLE = sorted((load.SEED / "report").glob("*.*"))


@pytest.mark.skipif(not EXAMPLE, reason="there is no example")
def test_the_example_is_printed_anew_byte_for_byte(city, exactly, tmp_path):
    languages = {path.name.split(".")[1] for path in EXAMPLE}
    for language in languages:
        words = ["--report-version", 1, "--lang", language, "--format", "all", "--output", tmp_path]
        city.run("fx-report", *load.REPORT, *words)
    differ = [path.name for path in EXAMPLE if is_other(path, tmp_path / path.name)]
    print(*differ, sep="\n")
    exactly("report_files_differ", len(differ), 0)


def is_other(example, printed):
    return not printed.exists() or example.read_bytes() != printed.read_bytes()
