# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin: prints the lines tests left (figures, targets) and ends with the runner's line,
also where several processes share the tests. A conftest names it in pytest_plugins."""

import pytest

lines = []


@pytest.fixture(scope="session")
def note():
    """note("text"): a line for the end."""
    return lines.append


def pytest_sessionfinish(session):
    """A process that runs a part of the tests hands its lines to the one that prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["lines"] = lines


def pytest_testnodedown(node):
    lines.extend(getattr(node, "workeroutput", {}).get("lines", []))


def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    for line in lines:
        print(line)
    count = {name: len(reporter.stats.get(name, [])) for name in ("passed", "failed", "error")}
    print(f"{count['passed']} passed, {count['failed'] + count['error']} failed", flush=True)
