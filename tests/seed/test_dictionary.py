# SPDX-License-Identifier: Apache-2.0
"""That the database explains itself: every table, view, function and column has a comment
in Chinese and in English, and that of a number ends with its unit in parentheses."""

OBJECTS = """
    SELECT n.nspname || '.' || c.relname AS name, obj_description(c.oid, 'pg_class') AS comment,
           false AS is_number
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm')
    UNION ALL
    SELECT n.nspname || '.' || p.oid::regprocedure, obj_description(p.oid, 'pg_proc'), false
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = ANY (%(schemas)s)
    UNION ALL
    SELECT n.nspname || '.' || c.relname || '.' || a.attname,
           col_description(c.oid, a.attnum),
           coalesce(e.typcategory, t.typcategory) = 'N'
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
    WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm')
"""
FLAWS = {
    "uncommented": "coalesce(comment, '') = ''",
    "without_han": "comment !~ '[\u4e00-\u9fff]'",
    "without_latin": "comment !~ '[A-Za-z]'",
    "without_unit": r"is_number AND comment !~ '[(][^()]+[)]$'",
}


def objects(city, condition):
    schemas = {"schemas": [city.schema + name for name in ("", "_record", "_published")]}
    query = f"SELECT name, comment FROM ({OBJECTS}) o WHERE {condition} ORDER BY name"
    return city.db.execute(query, schemas).fetchall()


def test_every_object_and_column_is_explained(city, exactly):
    city.run("fx-report", "--publish")  # makes the tables
    assert any("_published." in name for name, _ in objects(city, "is_number"))
    assert len(objects(city, "true")) > 1000
    for flaw, condition in FLAWS.items():
        found = objects(city, condition)
        for name, comment in found[:20]:
            print(f"{name}: {comment}")
        exactly(f"dictionary_objects_{flaw}", len(found), 0)
