# SPDX-License-Identifier: Apache-2.0
"""Writes lines at a steady rate to stdout, one write each, and to TIMES when each was written:
nanoseconds of CLOCK_MONOTONIC, as int64. A process of its own: nothing else may hold it up.

usage: pace.py RATE COUNT TIMES LINE...    the lines take turns; @ stands for the time
"""

import array
import os
import sys
import time


def main(rate, count, path, *lines):
    rate, count = float(rate), int(count)
    parts = [line.encode().split(b"@") for line in lines]
    written = array.array("q", bytes(8 * count))
    began = time.monotonic_ns()
    for i in range(count):
        wait_s = (began + i * 1e9 / rate - time.monotonic_ns()) / 1e9
        if wait_s > 0:
            time.sleep(wait_s)
        line = (b"%d" % (time.time_ns() // 1_000_000)).join(parts[i % len(parts)]) + b"\n"
        written[i] = time.monotonic_ns()
        os.write(1, line)
    with open(path, "wb") as file:
        written.tofile(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
