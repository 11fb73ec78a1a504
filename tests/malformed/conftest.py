# SPDX-License-Identifier: Apache-2.0
"""Makes tests/lib importable, and judges the targets."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

pytest_plugins = ["lib.closing"]


@pytest.fixture(scope="session")
def judge(note):
    def add(name, value, wanted, is_met):
        note(f"{name} {value} {wanted} {'ok' if is_met else 'short'}")
        assert is_met, f"{name}: {value}, the target is {wanted}"

    return add


@pytest.fixture(scope="session")
def at_least(judge):
    """at_least(name, value, wanted): a line at the end; falling short fails the test."""
    return lambda name, value, wanted: judge(name, value, wanted, value >= wanted)


@pytest.fixture(scope="session")
def at_most(judge):
    return lambda name, value, wanted: judge(name, value, wanted, value <= wanted)
