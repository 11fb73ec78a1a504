# SPDX-License-Identifier: Apache-2.0
"""What the questions' answers are compared with was counted from the lines, not from a database."""

import answers
import lines


def test_the_answers_are_those_of_the_lines():
    day = lines.Day()
    assert len(answers.ANSWERS) == 20
    for name in answers.ANSWERS:
        written = (lines.SEED / "questions" / f"{name}.csv").read_text(encoding="utf-8")
        assert written == answers.text(name, day), f"run answers.py: {name}"


def test_every_question_has_an_answer_and_says_itself_in_two_languages():
    questions = sorted((lines.SEED / "questions").glob("*.sql"))
    assert [path.stem for path in questions] == sorted(answers.ANSWERS)
    index = (lines.SEED / "questions/README.md").read_text(encoding="utf-8")
    for path in questions:
        text = path.read_text(encoding="utf-8")
        asked = text[: text.index("SELECT")].replace("-- Q (en): ", "").replace("\n-- 问: ", " | ")
        asked = asked.replace("\n-- ", " ").strip()
        assert f"| [{path.stem}]({path.name}) | {asked} |" in index, f"README.md lacks {path.name}"
        assert text.startswith("-- Q (en): ") and "\n-- 问: " in text, path.name
        statement = "".join(row for row in text.splitlines() if not row.startswith("--"))
        assert statement.count(";") == 1 and text.endswith(";\n"), f"{path.name}: one statement"
