# SPDX-License-Identifier: Apache-2.0
"""What a running process has taken of the machine, by /proc."""

import os
import pathlib

TICKS_S = os.sysconf("SC_CLK_TCK")
GROWTH_MAX_MB = 16


def peak_mb(process):
    """VmHWM: the most memory it ever had."""
    status = pathlib.Path(f"/proc/{process.popen.pid}/status").read_text()
    (row,) = [row for row in status.splitlines() if row.startswith("VmHWM:")]
    return int(row.split()[1]) / 1024


def cpu_s(process):
    fields = pathlib.Path(f"/proc/{process.popen.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_S


class Growth:
    """How much the peak of a process rises from here on."""

    def __init__(self, process):
        self.process, self.before_mb = process, peak_mb(process)

    def mb(self):
        assert self.process.is_running(), self.process.result()
        return round(peak_mb(self.process) - self.before_mb, 1)
