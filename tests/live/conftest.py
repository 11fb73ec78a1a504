# SPDX-License-Identifier: Apache-2.0
"""Makes tests/lib importable, prints what tests measured, and ends with the runner's line."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

figures = []


@pytest.fixture(scope="session")
def note():
    """note("text"): a figure for information, shown at the end."""
    return figures.append


def pytest_sessionfinish(session):
    """A process that runs a part of the tests hands its figures to the one that prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = figures


def pytest_testnodedown(node):
    figures.extend(getattr(node, "workeroutput", {}).get("figures", []))


def pytest_terminal_summary(terminalreporter):
    if figures:
        terminalreporter.section("figures, for information")
        for line in figures:
            terminalreporter.write_line(line)


def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    count = {name: len(reporter.stats.get(name, [])) for name in ("passed", "failed", "error")}
    print(f"{count['passed']} passed, {count['failed'] + count['error']} failed", flush=True)
