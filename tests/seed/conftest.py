# SPDX-License-Identifier: Apache-2.0
"""Makes tests/lib importable, loads the reference day once, prints the figures, and ends with the
runner's line."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import figures  # noqa: E402
import load  # noqa: E402
from lib.system import System  # noqa: E402

pytest_plugins = ["lib.closing"]


@pytest.fixture(scope="session")
def show(note):
    """show(figure): a line of its own at the end; whether it is met."""

    def add(figure):
        note(str(figure))
        return figure.is_met

    return add


@pytest.fixture(scope="session")
def exactly(show):
    """exactly(name, value, wanted): the same for a value that is at hand; a wrong one fails."""

    def add(name, value, wanted):
        figure = figures.Figure(name, value, wanted)
        assert show(figure), figure

    return add


def keep_report(system):
    """The day's report at midnight: it is its cut-off, too."""
    system.run("fx-report", "--as-of", load.END, "--freeze")


@pytest.fixture(scope="session")
def city():
    """The reference day, counted, with what the next morning brought in."""
    system = System("seed", is_set_up=False)
    try:
        system.told = load.load(system, report=keep_report)
        yield system
    finally:
        system.close()


def pytest_collection_modifyitems(items):
    """test_speed.py copies the day over others; nothing else is asked of it after that."""
    items.sort(key=lambda item: item.path.name == "test_speed.py")
