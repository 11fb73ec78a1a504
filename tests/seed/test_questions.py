# SPDX-License-Identifier: Apache-2.0
"""The worked questions: each one statement, asked as an analyst of the reference day; the answer is
what its .csv holds, byte for byte."""

import load
import psycopg
import pytest
from psycopg import sql

QUESTIONS = sorted((load.SEED / "questions").glob("*.sql"))


@pytest.fixture(scope="module")
def analyst(city):
    """A session with an analyst's rights and settings."""
    with psycopg.connect(autocommit=True) as connection:
        settings = "SET ROLE fangxian_analyst; SET search_path = {s}, pg_catalog;"
        settings += " SET timezone = 'Asia/Shanghai'; SET default_transaction_read_only = on;"
        settings += " SET jit = off; SET statement_timeout = '20s'"
        connection.execute(sql.SQL(settings).format(s=sql.Identifier(city.schema)))
        yield connection


def answer(connection, path):
    """As CSV with a header."""
    statement = path.read_text().strip().removesuffix(";")
    copy = f"COPY (\n{statement}\n) TO STDOUT (FORMAT csv, HEADER)"
    with connection.cursor().copy(copy.encode()) as rows:
        return b"".join(rows).decode()


def test_every_question_has_its_answer(analyst, exactly):
    wrong = []
    for path in QUESTIONS:
        found, wanted = answer(analyst, path), path.with_suffix(".csv").read_text()
        if found != wanted:
            wrong.append(f"{path.name}:\n{found}instead of\n{wanted}")
    print(*wrong, sep="\n")
    exactly("questions_answered", len(QUESTIONS) - len(wrong), 20)
