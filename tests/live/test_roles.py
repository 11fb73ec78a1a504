# SPDX-License-Identifier: Apache-2.0
"""Roles x objects: every privilege on every object is what schemas/README.md says, and an analyst
can in fact read every view and ask every function that is made for it."""

import re

import psycopg
import pytest
from lib.system import SCHEMAS, System
from psycopg import sql

ROLES = ["fangxian_writer", "fangxian_analyst", "fangxian_public"]
PRIVILEGES = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]


@pytest.fixture(scope="module")
def system():
    system = System("roles")
    system.run("fx-report", "--publish")
    yield system
    system.close()


def matrix():
    """{schema: {words of the first column: {role: privileges}}} of the section Roles."""
    section = (SCHEMAS / "README.md").read_text().split("\n## Roles\n")[1].split("\n## ")[0]
    found, current = {}, None
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or set(line) <= set("|-"):
            continue
        head = re.fullmatch(r"in `(\w+)`", cells[0])
        if head:
            roles = [cell.strip("`") for cell in cells[1:]]
            assert roles == ROLES, f"columns of the matrix: {roles}"
            current = found.setdefault(head[1], {})
            continue
        rights = {role: set(cell.split()) for role, cell in zip(ROLES, cells[1:])}
        for name in re.findall(r"`(\w+)`", cells[0]) or [cells[0]]:
            assert name not in current, f"{name} stands twice in the matrix"
            current[name] = rights
    return found


def relations(system, schema):
    return system.rows(
        "SELECT c.oid, c.relname AS name, c.relkind::text AS kind,"
        " c.relowner::regrole::text AS owner,"
        " EXISTS (SELECT FROM {s}.rollup_definition d WHERE c.relname ~ ('^' || d.rollup ||"
        " '_(town|county|city|source)(_total)?$')) AS is_rollup,"
        " EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL)"
        " AS has_column_grants,"
        " EXISTS (SELECT FROM aclexplode(c.relacl) x WHERE x.grantee = 0) AS is_public"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relkind NOT IN ('i', 'S', 'c') ORDER BY 2",
        schema,
    )


def wanted(rules, relation):
    """The rule of the object itself, else of what it is; else the owner's alone."""
    group = "nothing"
    if relation["kind"] == "v":
        group = "every view"
    elif "every table" in rules:
        group = "every table"
    elif relation["is_rollup"]:
        group = "tables of rollups, and their totals"
    return rules.get(relation["name"], rules.get(group, {role: set() for role in ROLES}))


def schemas(system):
    """Names in the matrix, and those of the system."""
    own = system.schema
    return {"fangxian": own, "fangxian_record": own + "_record",
            "fangxian_published": own + "_published"}


def test_every_privilege_is_that_of_the_matrix(system, note):
    rules, compared, wrong = matrix(), 0, []
    assert set(rules) == set(schemas(system))
    for title, schema in schemas(system).items():
        found = relations(system, schema)
        named = {name for name in rules[title] if re.fullmatch(r"[a-z_]+", name)}
        assert named <= {relation["name"] for relation in found}, "the matrix names what is not"
        for relation in found:
            for role in ROLES:
                has = {
                    p
                    for p in PRIVILEGES
                    if system.value("SELECT has_table_privilege(%s, %s::oid, %s)", role,
                                    relation["oid"], p)
                }
                compared += len(PRIVILEGES)
                if has != wanted(rules[title], relation)[role]:
                    wrong.append((title, relation["name"], role, sorted(has)))
            if relation["has_column_grants"] or relation["is_public"]:
                wrong.append((title, relation["name"], "grants on columns, or to everybody"))
            if relation["owner"] != "fangxian_owner":
                wrong.append((title, relation["name"], "owner", relation["owner"]))
    assert wrong == []
    assert compared > 2000
    note(f"roles x objects: {compared} privileges are those of the matrix")


def test_schemas_are_closed_to_all_others(system):
    rules = matrix()
    for title, schema in schemas(system).items():
        for role in ROLES:
            has = {
                p
                for p in ("USAGE", "CREATE")
                if system.value("SELECT has_schema_privilege(%s, %s, %s)", role, schema, p)
            }
            assert has == rules[title]["the schema"][role], (schema, role)
        others = system.rows(
            "SELECT r.rolname FROM pg_roles r WHERE NOT r.rolsuper AND r.rolname NOT LIKE 'pg_%%'"
            " AND has_schema_privilege(r.oid, %s, 'USAGE')"
            " AND NOT pg_has_role(r.oid, 'fangxian_owner', 'MEMBER')"
            " AND NOT pg_has_role(r.oid, 'fangxian_writer', 'MEMBER')"
            " AND NOT pg_has_role(r.oid, 'fangxian_analyst', 'MEMBER')"
            " AND NOT pg_has_role(r.oid, 'fangxian_public', 'MEMBER')",
            schema,
        )
        assert others == []


def functions(system):
    return system.rows(
        "SELECT p.oid, p.oid::regprocedure::text AS name, p.proname, p.prosecdef AS is_definer,"
        " p.provolatile::text AS volatile, p.proretset AS is_set,"
        " p.proowner::regrole::text AS owner,"
        " pg_get_function_identity_arguments(p.oid) AS arguments"
        " FROM pg_proc p WHERE p.pronamespace = %s::regnamespace ORDER BY 2",
        system.schema,
    )


def test_functions_lend_no_right_but_to_read(system):
    rules, found = matrix()["fangxian"]["every function"], functions(system)
    for function in found:
        for role in ROLES:
            may = system.value(
                "SELECT has_function_privilege(%s, %s::oid, 'EXECUTE')"
                " AND has_schema_privilege(%s, %s, 'USAGE')",
                role,
                function["oid"],
                role,
                system.schema,
            )
            assert may == (rules[role] == {"EXECUTE"}), (role, function["name"])
        assert function["owner"] == "fangxian_owner", function["name"]
        if function["is_definer"]:
            assert function["volatile"] in "si", f"{function['name']} lends rights and may write"
    assert any(function["is_definer"] for function in found)


@pytest.fixture(scope="module")
def analyst(system):
    with psycopg.connect(autocommit=True) as connection:
        settings = "SET ROLE fangxian_analyst; SET search_path = {s}, pg_catalog; SET jit = off"
        connection.execute(sql.SQL(settings).format(s=sql.Identifier(system.schema)))
        yield connection


def test_an_analyst_reads_every_view_and_function(system, analyst):
    """What a view or function uses in turn must be readable, too. None looks so costly to the
    planner that it would be compiled (JIT), which takes longer than to run it."""
    limit = float(analyst.execute("SHOW jit_above_cost").fetchone()[0])
    views = {r["name"] for r in relations(system, system.schema) if r["kind"] == "v"}
    views -= {"rejected_event"}  # not for analysts
    asked = [sql.Identifier(name) for name in views]
    asked += [
        sql.SQL("{}('2022-02-11 00:00+08')").format(sql.Identifier(f["proname"]))
        for f in functions(system)
        if f["is_set"] and f["arguments"] == "at timestamp with time zone"
    ]
    assert len(asked) > 200
    for one in asked:
        analyst.execute(sql.SQL("SELECT * FROM {}").format(one)).fetchall()
        plan = analyst.execute(sql.SQL("EXPLAIN SELECT * FROM {}").format(one)).fetchone()[0]
        assert float(re.search(r"\.\.([\d.]+) ", plan)[1]) < limit, one


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM source_ledger",
        "SELECT * FROM rejected_event",
        "SELECT * FROM rejected_range",
        "INSERT INTO correction (rollup) VALUES ('x')",
        "UPDATE checkpoint_city SET checked_groups = 0",
        "DELETE FROM region",
        "SELECT fence_all()",
        "SELECT write_off_range('t', 's', 1, 1, 1, now(), false)",
        "CREATE TABLE mine (a int)",
    ],
)
def test_an_analyst_is_refused(analyst, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        analyst.execute(statement)


def test_what_somebody_else_keeps_in_the_schema_stays_theirs(system):
    """A table and a view of a superuser's: fx-setup goes on, and no role gets a right on them."""
    schema = sql.Identifier(system.schema)
    made = "CREATE TABLE {s}.theirs (name text); CREATE VIEW {s}.his_view AS TABLE {s}.theirs"
    system.db.execute(sql.SQL(made).format(s=schema))
    try:
        system.setup("--no-topics")
        may = "SELECT has_table_privilege(%s, %s, 'SELECT')"
        for name in ("theirs", "his_view"):
            for role in ROLES:
                assert not system.value(may, role, f"{system.schema}.{name}"), (role, name)
    finally:
        system.db.execute(sql.SQL("DROP TABLE {s}.theirs CASCADE").format(s=schema))
