# SPDX-License-Identifier: Apache-2.0
"""Makes tests/lib importable, prints the targets, and ends with the runner's line."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

targets = []


def judge(name, value, wanted, is_met):
    targets.append(f"{name} {value} {wanted} {'ok' if is_met else 'short'}")
    assert is_met, f"{name}: {value}, the target is {wanted}"


@pytest.fixture(scope="session")
def at_least():
    """at_least(name, value, wanted): a line at the end; falling short fails the test."""
    return lambda name, value, wanted: judge(name, value, wanted, value >= wanted)


@pytest.fixture(scope="session")
def at_most():
    return lambda name, value, wanted: judge(name, value, wanted, value <= wanted)


def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    for line in targets:
        print(line)
    count = {name: len(reporter.stats.get(name, [])) for name in ("passed", "failed", "error")}
    print(f"{count['passed']} passed, {count['failed'] + count['error']} failed", flush=True)
