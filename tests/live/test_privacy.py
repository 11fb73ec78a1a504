# SPDX-License-Identifier: Apache-2.0
"""The analysts' database holds counts: what events say beyond counts is nowhere in it."""

import json
import secrets

import pytest
from lib.post import Post
from lib.system import System
from psycopg import sql

# who may be in a text column: posts, places, kinds, our own words; nobody's name, no plate
MARK = secrets.token_hex(6)


@pytest.fixture(scope="module")
def system():
    system = System("privacy")
    yield system
    system.close()


def texts_of(system, schema):
    """(table or view, a row of it as text) of all there is."""
    tables = system.db.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (schema,)
    ).fetchall()
    for (table,) in tables:
        query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, table))
        for (value,) in system.db.execute(query):
            yield table, value


def test_what_was_refused_leaves_no_text_behind(system):
    """Bytes and texts of messages that were rejected: only their length and digest are kept."""
    post = Post(system)
    post.send(1, 2)
    post.send(3, region=f"R{MARK}")
    post.send_raw(post.bytes(4) + MARK.encode())
    post.send_raw(post.bytes(5), key=f"K{MARK}")
    post.count()
    assert system.value("SELECT count(*) FROM {s}.rejected_event") == 3
    for schema in (system.schema, f"{system.schema}_record"):
        held = [where for where, value in texts_of(system, schema) if MARK in value]
        assert held == []


def test_what_a_line_says_beyond_its_schema_is_refused_and_not_kept(system):
    line = {"direction": "IN", "vehicle": "CAR", "plate_scope": "IN_CITY", "passed": 1}
    line["persons"] = 1
    lines = [{**line, "plate": f"P{MARK}"}, {**line, "name": f"N{MARK}"}, line]
    words = ["--outbox", system.dir / "p.db", "--source", "CP-P", "--region", "441521115"]
    text = "".join(json.dumps(one) + "\n" for one in lines)
    result = system.run("fx-checkpoint", *words, "--set", "post_type=VILLAGE", text=text, code=1)
    assert MARK not in result.err, "a log line tells what a line said"
    system.count()
    assert Post(system, source="CP-P").total() == 1
    for schema in (system.schema, f"{system.schema}_record"):
        assert [where for where, value in texts_of(system, schema) if MARK in value] == []


def test_no_column_is_for_a_person(system):
    """Names of columns in the analysts' schema, in both languages of their comments."""
    rows = system.rows(
        "SELECT c.relname, a.attname, coalesce(col_description(c.oid, a.attnum), '') AS doc"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        f" WHERE c.relnamespace = '{system.schema}'::regnamespace AND c.relkind IN ('r', 'v')"
    )
    assert len(rows) > 300
    for row in rows:
        for word in ("plate_number", "id_card", "phone", "mobile", "person_name", "birth"):
            assert word not in row["attname"], row
        for word in ("身份证", "手机号", "电话", "车牌号", "姓名"):
            assert word not in row["doc"], row
