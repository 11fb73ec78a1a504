# SPDX-License-Identifier: Apache-2.0
"""The judge is judged: fx-rollup counts all of Kafka anew as it is, and with a bug. One event in a
million is lost or counted twice in the figures alone, or goes by without any trace."""

import os
import pathlib
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from lib import same

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "consumers/take.c"
EVERY, WHICH = 1_000_000, 500_000
TOUCHED_MAX = 200  # in ten millions; one that counts otherwise differs in many thousands
APPLY = """        plan_apply(taking->kind->plan, &target, err) != FX_OK)
        return err->code;"""
FIRST = """    struct gap gap = gap_of(taking);
    if (take_mark("""
SPOILT = {  # name: (what is there, what takes its place)
    "loses": (
        APPLY,
        f"""        (++planted % {EVERY} != {WHICH} &&
         plan_apply(taking->kind->plan, &target, err) != FX_OK))
        return err->code;""",
    ),
    "doubles": (
        APPLY,
        f"""        plan_apply(taking->kind->plan, &target, err) != FX_OK ||
        (++planted % {EVERY} == {WHICH} &&
         plan_apply(taking->kind->plan, &target, err) != FX_OK))
        return err->code;""",
    ),
    "skips": (
        FIRST,
        f"""    struct gap gap = gap_of(taking);
    if (++planted % {EVERY} == {WHICH})
        return FX_OK;
    if (take_mark(""",
    ),
}
SOUND = "sound"  # the program as it is: nothing may differ
ROWS = 10_000  # in all tables together, at least
# of tests/lib/same.py's tables, those that the load fills
HOLD_ROWS = (
    "source_ledger source_day source_hour source_tally reversal corrected_event rejected_event"
    " checkpoint_town checkpoint_source screening_city quarantine_town_total"
).split()
BEFORE = "static enum fx_code count_event("
LIBRARIES = "rdkafka jansson avro-c libsodium libmicrohttpd libpq"


def build(name, folder):
    """The program's path: the build's own objects and libraries, one source changed."""
    build_dir = pathlib.Path(os.environ.get("FX_BUILD", ROOT / ".local/build/release"))
    if name == SOUND:
        return build_dir / "bin/fx-rollup"
    text, (old, new) = SOURCE.read_text(), SPOILT[name]
    assert text.count(old) == 1 and text.count(BEFORE) == 1, f"{SOURCE} has changed: see {__file__}"
    text = text.replace(old, new).replace(BEFORE, f"static long planted;\n\n{BEFORE}")
    source, made = folder / f"{name}.c", folder / f"fx-rollup-{name}"
    source.write_text(text)
    libraries = subprocess.run(
        ["pkg-config", "--libs", *LIBRARIES.split()], check=True, capture_output=True, text=True
    ).stdout.split()
    words = [os.environ.get("CC", "cc"), "-std=c11", "-O2", "-D_GNU_SOURCE"]
    words += ["-iquote", ROOT / "consumers", "-fno-lto", "-o", made, source]
    (main,) = (build_dir / "CMakeFiles/fx-rollup.dir/consumers").glob("*.o")
    words += [main, "-lmimalloc"] if b"mi_option_" in main.read_bytes() else [main]
    words += [build_dir / f"libfx_{part}.a" for part in ("consumers", "schemas", "common")]
    subprocess.run([*words, *libraries, "-lpthread", "-lm"], check=True)
    return made


def count(system, name, folder):
    """Counts all of Kafka with that program, into a schema of its own; the schema's name."""
    program, schema = build(name, folder), f"{system.schema}_{name}"
    record = ["--record-schema", f"{system.schema}_record"] if name == SOUND else []
    system.setup(*record, schema=schema)
    env = {**system.env, "FX_SCHEMA_NAME": schema}
    words = [program, "--until-end", "--no-resend"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return schema


def count_all(system, folder):
    """{name: schema} of the sound program and each that is spoilt, two at a time."""
    names = [SOUND, *SPOILT]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(lambda name: count(system, name, folder), names)))


def judge(schemas, found, targets):
    """One event touches a few cells; a schema that differs in more was not caught by it."""
    for name, schema in schemas.items():
        for which in ("journal", "kafka"):
            differ = found.also[schema, which]
            print(f"planted bug: {name} one event; {which}: {differ} cells or rows differ")
            if name == SOUND:
                targets.most(f"sound_differs_from_{which}", differ, 0)
            else:
                targets.least(f"{name}_caught_from_{which}", int(0 < differ <= TOUCHED_MAX), 1)


def compare_tables(system, schemas, targets):
    """Every table of the live schema is what the sound program counts anew, totals, days, hours and
    marks as well; the two recounts look at figures, ledger, gaps and marks alone."""
    began = time.monotonic()
    found = same.compare(system.eye(), system.schema, schemas[SOUND])
    rows = {table: found.rows[table] for table in HOLD_ROWS}
    print(f"compared with a rebuild in {time.monotonic() - began:.1f} s: {rows}")
    for text in found.texts[:10]:
        print(f"  {text[:300]}")
    targets.most("tables_differ", found.differing, 0)
    targets.least("rows_compared", found.rows.total(), ROWS)
    empty = [table for table, count in rows.items() if count == 0]
    targets.most("tables_empty", len(empty), 0)
