# SPDX-License-Identifier: Apache-2.0
"""Figures of the reference day (figures.csv) and what is asked of them: that they are exact."""

import csv
import dataclasses

import load


@dataclasses.dataclass
class Figure:
    name: str
    value: object  # None: nothing was counted
    wanted: int

    @property
    def is_met(self):
        return self.value == self.wanted

    def __str__(self):
        value = "none" if self.value is None else self.value
        return f"{self.name} {value} {self.wanted} {'ok' if self.is_met else 'short'}"


def rules():
    """Rows of figures.csv: a figure is the sum of a column over the rows of the day that where
    chooses in a view of the analysts'."""
    with open(load.SEED / "figures.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def ask(system, rule):
    query = (
        f"SELECT sum({rule['column']})::bigint FROM {{s}}.{rule['relation']}"
        f" WHERE day = %s AND {rule['where']}"
    )
    return Figure(rule["name"], system.value(query, load.DATE), int(rule["wanted"]))


def ask_all(system, relations=""):
    """Every figure whose view's name begins so."""
    return [ask(system, rule) for rule in rules() if rule["relation"].startswith(relations)]
