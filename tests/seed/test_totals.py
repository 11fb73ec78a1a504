# SPDX-License-Identifier: Apache-2.0
"""Totals and last values as of any hour equal a recount of the cells before it: on the reference
day, with what came in late and was reversed, at every edge of an hour and the moment before it."""

import datetime

import pytest
from lib import totals

TIMES = list(totals.hours(datetime.datetime.fromisoformat("2022-02-09T22:00:00+08:00"),
                          datetime.datetime.fromisoformat("2022-02-11T03:00:00+08:00")))
STOCKS = ["contact", "duty", "duty_unit", "quarantine", "test_site"]
REPORTED = ["quarantine", "quarantine_place"]


def test_there_are_totals_where_there_are_stocks(city):
    assert totals.functions(city, "_total_before") == STOCKS
    assert totals.functions(city, "_last_before") == REPORTED


@pytest.mark.parametrize("rollup", STOCKS)
def test_a_total_before_is_the_sum_of_the_cells_before(city, rollup):
    assert totals.check_totals(city, rollup, TIMES) > 100


@pytest.mark.parametrize("rollup", REPORTED)
def test_a_last_value_before_is_the_newest_of_the_cells_before(city, rollup):
    assert totals.check_last(city, rollup, TIMES) > 10


def test_a_census_is_that_of_the_cells_before(city):
    """Place by place and tier by tier, from the source's own cells."""
    change = "admitted_persons + transferred_in_persons - transferred_out_persons"
    change += " - released_persons - hospital_persons - became_case_persons - absconded_persons"
    met = 0
    for at in TIMES[::5]:
        told = city.rows("SELECT source, place, tier, census_persons AS n"
                         " FROM {s}.quarantine_census_at(%s) WHERE level = 'source'"
                         " AND place <> 'ALL' AND tier <> 'ALL'", at)
        cells = city.rows(f"SELECT source, place, tier, sum({change})::bigint AS n"
                          " FROM {s}.quarantine_source WHERE bucket_start < %s"
                          " GROUP BY 1, 2, 3", totals.edge_before(at))
        assert sorted(map(str, told)) == sorted(map(str, cells)), at
        met += len(cells)
    assert met > 10
