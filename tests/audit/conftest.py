# SPDX-License-Identifier: Apache-2.0
"""Makes tests/lib importable, prints the targets, and ends with the runner's line."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

targets = []


@pytest.fixture(scope="session")
def target():
    """target(name, value, wanted): a line of its own at the end; False if it falls short. Fewer are
    short of the target, but of a target of 0 more are."""

    def add(name, value, wanted):
        is_met = value >= wanted if wanted else value == 0
        targets.append(f"{name} {value} {wanted} {'ok' if is_met else 'short'}")
        return is_met

    return add


def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    for line in targets:
        print(line)
    count = {name: len(reporter.stats.get(name, [])) for name in ("passed", "failed", "error")}
    print(f"{count['passed']} passed, {count['failed'] + count['error']} failed", flush=True)
