# SPDX-License-Identifier: Apache-2.0
"""schemas/DICTIONARY.md is what the database says of itself. (Its comments, that they are in both
languages and have their units: tests/seed/test_dictionary.py.)"""

import difflib
import subprocess

import pytest
from lib.system import BUILD, SCHEMAS, System

PAGE = SCHEMAS / "DICTIONARY.md"


@pytest.fixture(scope="module")
def system():
    system = System("dictionary")
    system.run("fx-report", "--publish")  # makes the tables
    yield system
    system.close()


def dictionary(system):
    return system.run("fx-setup", "--dictionary").out


def test_the_page_is_what_the_database_says(system):
    """Printed anew: fx-setup --dictionary > schemas/DICTIONARY.md"""
    found, page = dictionary(system), PAGE.read_text()
    differ = difflib.unified_diff(page.splitlines(), found.splitlines(), "page", "database", n=0)
    assert found == page, "\n".join(list(differ)[:40])


def test_the_page_names_every_object_and_column(system, note):
    page = dictionary(system)
    names = system.rows(
        "SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname IN (%(s)s, %(s)s || '_record', %(s)s || '_published')"
        " AND c.relkind IN ('r', 'v')"
        " UNION ALL SELECT p.proname FROM pg_proc p WHERE p.pronamespace = %(s)s::regnamespace"
        " UNION ALL SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname IN (%(s)s, %(s)s || '_record', %(s)s || '_published')"
        " AND c.relkind IN ('r', 'v')"
        " AND a.attnum > 0 AND NOT a.attisdropped".replace("%(s)s", f"'{system.schema}'")
    )
    assert len(names) > 2000
    assert [n["name"] for n in names if f"`{n['name']}" not in page] == []
    note(f"data dictionary: {len(names)} objects and columns, {len(page.splitlines())} lines")


def test_a_page_that_cannot_be_written_is_an_error(system):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([BUILD / "bin" / "fx-setup", "--dictionary"], env=system.env,
                                stdout=full, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 5
    assert b"No space left" in result.stderr


def test_every_unit_is_explained(system):
    page = dictionary(system)
    assert "| ? |" not in page and "| ?\n" not in page
    assert system.schema not in page, "the page names the schema it was made from"


def test_a_function_of_a_time_has_a_view_that_says_what_its_columns_mean(system):
    rows = system.rows(
        "SELECT p.proname AS name, p.proargnames[2:] AS columns, ARRAY(SELECT a.attname::text"
        " FROM pg_attribute a WHERE a.attrelid = to_regclass(format('%%I.%%I', %s::text,"
        " regexp_replace(p.proname, '_at$', ''))) AND a.attnum > 0 ORDER BY a.attnum) AS described"
        " FROM pg_proc p WHERE p.pronamespace = %s::regnamespace AND p.proname LIKE '%%\\_at'"
        " AND 't' = ANY (p.proargmodes)",
        system.schema,
        system.schema,
    )
    assert {"quarantine_census_at", "contact_funnel_at", "quarantine_stock_at"} <= {
        row["name"] for row in rows
    }
    for row in rows:
        assert row["columns"] == row["described"], row["name"]
