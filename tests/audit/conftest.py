# SPDX-License-Identifier: Apache-2.0
"""Makes tests/lib importable, and keeps the targets."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

pytest_plugins = ["lib.closing"]


@pytest.fixture(scope="session")
def target(note):
    """target(name, value, wanted): a line of its own at the end; False if it falls short. Fewer are
    short of the target, but of a target of 0 more are."""

    def add(name, value, wanted):
        is_met = value >= wanted if wanted else value == 0
        note(f"{name} {value} {wanted} {'ok' if is_met else 'short'}")
        return is_met

    return add
