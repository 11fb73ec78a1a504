# SPDX-License-Identifier: Apache-2.0
"""A kind that did not exist before: a folder, fx-setup, fx-emit, figures; then it changes."""

import copy
import json
import shutil

import pytest
from lib import recount
from lib.post import HAICHENG, HAIFENG, SHANWEI
from lib.system import DAY_MS, SCHEMAS, System, now_ms


def enum(name, symbols, **more):
    return {
        "name": name,
        "doc": "…",
        "type": {"type": "enum", "name": f"ration_{name}", "symbols": symbols},
        **more,
    }


def envelope():
    """Copied from another kind, as the README says."""
    return json.loads((SCHEMAS / "checkpoint/1.avsc").read_text())["fields"][:9]


# Parcels of food carried to households; (version, schema, rollup).
FIELDS = [
    enum("channel", ["GRID", "VOLUNTEER"]),
    {"name": "parcels", "type": "int", "min": 0, "max": 500, "default": 1, "doc": "份数"},
    {"name": "urgent", "type": "boolean", "default": False, "doc": "急件"},
]
ROLLUP = {
    "rollup": "ration",
    "doc": "Rations delivered 送菜",
    "by": ["source", "region"],
    "bucket": "15min",
    "dimensions": ["channel"],
    "columns": [
        {"name": "delivered_visits", "count": True, "doc": "deliveries 次"},
        {"name": "parcel_times", "sum": "parcels", "doc": "parcels 份"},
        {"name": "urgent_visits", "count": True, "where": {"urgent": True}, "doc": "急"},
        {
            "name": "large_within_{}_visits",
            "count": True,
            "where": {"parcels": {"gt": 1}},
            "within": {"parcels": {"5": 5, "20": 20}},
            "doc": "at most {} 不超过{}",
        },
    ],
}
RATION = (
    1,
    {
        "type": "record",
        "name": "ration",
        "namespace": "fangxian",
        "doc": "送菜",
        "fields": envelope() + FIELDS,
    },
    ROLLUP,
)
RATION_2 = (
    2,
    {
        **RATION[1],
        "fields": [
            *envelope(),
            enum("channel", ["GRID", "VOLUNTEER", "ARMY"]),
            *FIELDS[1:],
            {"name": "crew", "type": "int", "min": 0, "max": 100, "default": 5, "doc": "人手"},
        ],
    },
    {
        **ROLLUP,
        "columns": [*ROLLUP["columns"], {"name": "crew_persons", "sum": "crew", "doc": "crew 人"}],
    },
)


def copy_schemas(tmp_path):
    """The definitions alone, without the C code beside them."""
    folder = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, folder, ignore=shutil.ignore_patterns("*.c", "*.h", "*.md"))
    return folder


def write_kind(folder, kind):
    version, schema, rollup = kind
    home = folder / schema["name"]
    home.mkdir(exist_ok=True)
    (home / f"{version}.avsc").write_text(json.dumps(schema, ensure_ascii=False))
    (home / f"{rollup['rollup']}.rollup.json").write_text(json.dumps(rollup, ensure_ascii=False))


def deliver(system, count, **fields):
    """fx-emit takes count lines; the events they stand for, by its answers."""
    lines = [
        {
            "channel": ("GRID", "VOLUNTEER")[i % 2],
            "parcels": i % 30,
            "urgent": i % 3 == 0,
            "at": now_ms() - i * 60_000,
            **fields,
            "region": (HAICHENG, HAIFENG, SHANWEI)[i % 3],
        }
        for i in range(count)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    result = system.run(
        "fx-emit",
        "ration",
        "--answers",
        "--source",
        "RT-1",
        "--region",
        HAICHENG,
        "--outbox",
        system.dir / "ration.db",
        text=text,
    )
    answers = [json.loads(row) for row in result.out.splitlines()]
    assert [a["ok"] for a in answers] == [True] * count
    kind = system.kind("ration")
    return [
        kind.complete(line, "RT-1", int(answer["run"], 16), answer["seq"])
        for line, answer in zip(lines, answers)
    ]


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A system whose kind ration got a field and a column after its first events."""
    folder = copy_schemas(tmp_path_factory.mktemp("kind"))
    system = System("kind", schemas=folder)
    try:
        write_kind(folder, RATION)
        system.setup()
        first = deliver(system, 600)
        system.count()
        before = recount.Recount(folder, "ration")
        for event in first:
            before.add(event)
        cells = recount.assert_equal(before, system)
        write_kind(folder, RATION_2)
        refused = system.run("fx-rollup", "--until-end", code=None)
        system.setup()
        second = deliver(system, 90, at=now_ms() - 2 * DAY_MS, crew=3)  # new cells
        second += deliver(system, 30, crew=3)  # most of these fall into cells that exist
        system.count()
        yield {
            "system": system,
            "first": first,
            "second": second,
            "cells": cells,
            "folder": folder,
            "refused": refused,
        }
    finally:
        system.close()


def test_a_kind_without_code_counts_at_three_levels(grown):
    assert grown["cells"] > 1000
    system = grown["system"]
    for table, place in (("town", HAICHENG), ("county", HAIFENG), ("city", SHANWEI)):
        assert (
            system.value(f"SELECT count(*) FROM {{s}}.ration_{table} WHERE region = %s", place) > 0
        )


def test_changed_definitions_stop_fx_rollup(grown):
    assert grown["refused"].code == 2 and "fx-setup" in grown["refused"].err


def test_added_column_is_null_before_and_counted_since(grown):
    """Old cells stay NULL even where new events fell into them; all else equals the recount."""
    tally = recount.Recount(grown["folder"], "ration")
    old = recount.Recount(grown["folder"], "ration")
    for event in grown["first"]:
        old.add(event | {"crew": 5})
        tally.add(event | {"crew": 5})
    for event in grown["second"]:
        tally.add(event)
    texts = []
    existing = old.rollups[0].tables()
    for table, wanted in tally.rollups[0].tables().items():
        for key in existing[table]:
            wanted[key]["crew_persons"] = None
        found = recount.read_table(grown["system"], table, ["channel"])
        texts += recount.differences(table, wanted, found)
    assert texts == []
    assert (
        grown["system"].value(
            "SELECT sum(crew_persons)::int FROM {s}.ration_source"
            " WHERE bucket_start < now() - interval '1 day'"
        )
        == 270
    )
    assert tally.compare_ledger(grown["system"]) == []


def test_added_column_says_since_when(grown):
    rows = grown["system"].rows(
        "SELECT name, counted_since FROM {s}.rollup_column"
        " WHERE rollup = 'ration' ORDER BY position"
    )
    since = {row["name"]: row["counted_since"] for row in rows}
    assert since["crew_persons"] > since["delivered_visits"]


def test_new_symbol_and_old_schema_live_side_by_side(grown):
    system = grown["system"]
    deliver(system, 3, channel="ARMY")
    system.count()
    assert (
        system.value(
            "SELECT sum(delivered_visits)::int FROM {s}.ration_source" " WHERE channel = 'ARMY'"
        )
        == 3
    )


def without_column(rollup):
    del rollup["columns"][1]


def other_dimension(rollup):
    rollup["dimensions"] = []


def other_bucket(rollup):
    rollup["bucket"] = "1h"


def other_meaning(rollup):
    rollup["columns"][2]["where"] = {"urgent": False}


def other_edge(rollup):
    rollup["columns"][3]["within"]["parcels"]["20"] = 21


def unknown_field(rollup):
    rollup["columns"][1]["sum"] = "parcel"


def no_unit(rollup):
    rollup["columns"].append({"name": "things", "count": True, "doc": "…"})


def null_in_list(rollup):
    rollup["columns"][2]["where"] = {"channel": ["GRID", None]}


REFUSED = [
    without_column,
    other_dimension,
    other_bucket,
    other_meaning,
    other_edge,
    unknown_field,
    no_unit,
    null_in_list,
]


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda f: f.__name__)
def test_fx_setup_refuses_what_would_change_old_figures(grown, tmp_path, spoil):
    system = grown["system"]
    folder = tmp_path / "schemas"
    shutil.copytree(grown["folder"], folder)
    rollup = copy.deepcopy(RATION_2[2])
    spoil(rollup)
    write_kind(folder, (2, RATION_2[1], rollup))
    before = system.rows("SELECT * FROM {s}.definition")
    result = system.setup(schemas=folder, code=2)
    assert "ration" in result.err
    assert system.rows("SELECT * FROM {s}.definition") == before
    system.count()


def test_fx_setup_again_changes_nothing(grown):
    assert grown["system"].differences() == []
