# SPDX-License-Identifier: Apache-2.0
"""That the suite can fail: figures that are wrong are said to be short, and a day with a line less
or a number doubled is told from the reference day by exactly the figures it touches."""

import json

import figures
import load
import pytest
from figures import Figure
from lib.system import System


def test_a_figure_is_met_by_its_value_alone():
    assert str(Figure("cadres_posted_city", 831, 831)) == "cadres_posted_city 831 831 ok"
    for value in (830, 832, -831, 0):
        assert str(Figure("cadres_posted_city", value, 831)).endswith(f" {value} 831 short")
    assert str(Figure("silent", None, 0)) == "silent none 0 short", "nothing counted is not 0"


def is_doors_at_noon(line):
    return line["method"] == "DOOR" and line["at"].startswith("2022-02-10T12:")


def is_huaqiaos_nine(line):
    return line["step"] == "POSTED" and line["unit"] == "441500-huaqiao"


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    """Two kinds of the day: a line of screening is left out, a number of duty is doubled."""
    day = tmp_path_factory.mktemp("day")
    screening, duty = load.read(load.DAY, "screening"), load.read(load.DAY, "duty")
    kept = [line for line in screening if not is_doors_at_noon(line)]
    assert len(kept) == len(screening) - 1
    doubled = [line for line in duty if is_huaqiaos_nine(line)]
    assert [line["persons"] for line in doubled] == [9]
    doubled[0]["persons"] *= 2
    write(day / "screening.ndjson", kept)
    write(day / "duty.ndjson", duty)
    system = System("spoiled", is_set_up=False)
    try:
        system.told = load.load(system, day)
        yield system
    finally:
        system.close()


def short(asked):
    return {figure.name: figure.value for figure in asked if not figure.is_met}


def test_a_line_less_is_found(spoiled):
    """At the three levels of the place, and nowhere else."""
    less = 2727 - 150
    assert short(figures.ask_all(spoiled, "screening_")) == {
        "screened_person_times_441521115": less,
        "screened_person_times_441521": less,
        "screened_person_times_441500": less,
    }


def test_a_doubled_number_is_found(spoiled):
    """In its unit and in the city, and nowhere else."""
    assert short(figures.ask_all(spoiled, "duty_")) == {
        "posted_unit_441500-huaqiao": 18,
        "cadres_posted_city": 840,
        "posted_served_city": 840,
    }


def test_what_was_never_told_is_short(spoiled):
    """The five kinds that are left out: no figure of theirs is met by chance."""
    asked = figures.ask_all(spoiled, "contact_") + figures.ask_all(spoiled, "service_")
    assert len(asked) > 0 and len(short(asked)) == len(asked)
