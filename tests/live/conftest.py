# SPDX-License-Identifier: Apache-2.0
"""Makes tests/lib importable, and ends with the figures and the runner's line."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

pytest_plugins = ["lib.closing", "lib.shortage"]
