# SPDX-License-Identifier: Apache-2.0
"""What an outsider can tell of withheld figures from everything that was published.

The attacker has every snapshot, schemas/ and common sense, and knows no event. A published figure
is an interval of whole numbers: withheld 1 to 7 in the city's own totals, 0 to 7 elsewhere; 0 is 0;
a rounded r is r - 2 to r + 2 and at least 8; a thing is exact. Between them holds, exactly:

  levels      a node = its own part + its children; a county has no own part: posts are in towns
              or the city's own
  dimensions  a node's total = the sum over the values of the dimensions
  columns     what the definitions say of one event: entering + leaving = checked, the parts of
              "sums" make their total, what is counted under one more condition is at most what is
              counted without it; and common sense: a vehicle has a driver, a tube a swab
  kinds       whom a retest finds, a tube each, stands on the lists as positive
  time        within a day nothing becomes less (nobody reverses), neither a figure nor what is
              left between two of them
  stocks      change by exactly what came and went
  sources     of which none was heard that day have counted nothing
  rollups     that count the same by another place: roots add up to at most the same

Intervals are narrowed by one equation at a time until nothing changes: what this finds is certain,
though a person with more patience could find more.
"""

import collections
import functools
import gc
import json
import re

FAR = 10**9
LEVELS = ("city", "county", "town")
PERSON_UNITS = (
    "person_times", "persons", "household_times", "households", "visits", "tubes", "rooms"
)


class Intervals:
    """Whole numbers between bounds, and sums of them that are 0."""

    def __init__(self):
        self.low, self.high, self.sums, self.used_in = [], [], [], []

    def number(self, low=0, high=FAR):
        self.low.append(low)
        self.high.append(high)
        self.used_in.append([])
        return len(self.low) - 1

    def is_zero(self, plus, minus):
        """The numbers of plus add up to those of minus."""
        terms = [(n, 1) for n in plus] + [(n, -1) for n in minus]
        for n, _ in terms:
            self.used_in[n].append(len(self.sums))
        self.sums.append(terms)

    def narrow(self):
        """To the fixpoint. Terms of a sum are mostly two or three."""
        queue = collections.deque(range(len(self.sums)))
        is_queued = [True] * len(self.sums)
        low, high = self.low, self.high
        while queue:
            at = queue.popleft()
            is_queued[at] = False
            terms = self.sums[at]
            least = most = 0
            for n, sign in terms:
                if sign > 0:
                    least, most = least + low[n], most + high[n]
                else:
                    least, most = least - high[n], most - low[n]
            for n, sign in terms:
                if sign > 0:
                    new_low, new_high = high[n] - most, low[n] - least
                else:
                    new_low, new_high = least + high[n], most + low[n]
                if new_low <= low[n] and new_high >= high[n]:
                    continue
                was = low[n], high[n]
                low[n], high[n] = max(low[n], new_low), min(high[n], new_high)
                assert low[n] <= high[n], "what was published contradicts itself"
                if sign > 0:
                    least, most = least + low[n] - was[0], most + high[n] - was[1]
                else:
                    least, most = least - high[n] + was[1], most - low[n] + was[0]
                for other in self.used_in[n]:
                    if not is_queued[other]:
                        is_queued[other] = True
                        queue.append(other)


# ---- what definitions say ---------------------------------------------------------------------


class Definition:
    """A rollup's columns and the relations between them, from its files alone."""

    def __init__(self, folder, path, unfold):
        definition = json.loads(path.read_text())
        versions = sorted(folder.glob("*.avsc"), key=lambda p: int(p.stem))
        self.schema = json.loads(versions[-1].read_text())
        self.name, self.kind = definition["rollup"], folder.name
        self.by = definition["by"]
        self.is_role = definition.get("region", "region") != "region"
        self.columns = {}
        for entry in (one for e in definition["columns"] for one in unfold(e)):
            aggregate = next(a for a in ("count", "sum", "min", "max", "last") if a in entry)
            where = {f: json.dumps(w) for f, w in entry.get("where", {}).items()}
            if "edge" in entry:
                where[entry["edge"][0]] = entry["edge"][1]
            field = None if aggregate == "count" else entry[aggregate]
            self.columns[entry["name"]] = (aggregate, field, where)
        self.changes = {}  # stock: (columns that add to it, columns that take from it)
        for derived in definition.get("derived", []):
            self.note_change(derived)
        self.relations = list(self.find_relations())

    def note_change(self, derived):
        match = re.fullmatch(r"(\w+)_change_(\w+)", derived["name"])
        if match:
            stock = ("census" if match[1] == "net" else match[1]) + "_" + match[2]
            signs = re.findall(r"([+-]?)\s*(\w+)", derived["sql"])
            self.changes[stock] = (
                [name for sign, name in signs if sign != "-"],
                [name for sign, name in signs if sign == "-"],
            )

    def enum(self, name):
        for field in self.schema["fields"]:
            if field["name"] == name and isinstance(field["type"], dict):
                return field["type"].get("symbols")
        return None

    def like(self, aggregate, field, where):
        return [n for n, c in self.columns.items() if c == (aggregate, field, where)]

    def find_relations(self):
        """(total, parts, is_all): the parts make the total, or at most that."""
        for total, (aggregate, field, where) in self.columns.items():
            if aggregate not in ("count", "sum"):
                continue
            yield from self.split_by_values(total, aggregate, field, where)
            for rule in self.schema.get("sums", []):
                parts = [self.like("sum", part, where) for part in rule["parts"]]
                if rule["total"] == field and any(parts):
                    yield total, [p[0] for p in parts if p], all(parts)
            for name, (other, of, narrower) in self.columns.items():
                if name != total and self.is_within((other, of, narrower), (field, where)):
                    yield total, [name], False

    def split_by_values(self, total, aggregate, field, where):
        """What is counted per value of one more field."""
        groups = collections.defaultdict(dict)
        for name, (other, of, narrower) in self.columns.items():
            more = narrower.keys() - where.keys()
            if (other, of) == (aggregate, field) and len(more) == 1:
                (one,) = more
                if where.items() <= narrower.items():
                    groups[one].setdefault(narrower[one], name)
        for one, names in groups.items():
            values = {v: n for v, n in names.items() if str(v).startswith('"')}
            if values:
                symbols = self.enum(one)
                is_all = symbols is not None and {json.dumps(s) for s in symbols} == set(values)
                yield total, list(values.values()), is_all

    def is_within(self, column, total):
        """Whether the column's events are among those of the total, and add no more to it."""
        (aggregate, field, narrower), (of, where) = column, total
        rest = dict(narrower)
        if aggregate == "count" and of is not None:
            # each of the events counts at least one of the total
            has_one = rest.pop(of, None) == '{"gte": 1}' or of == "persons"
            if not has_one:
                return False
        elif not at_most(self.kind, field, of):
            return False
        return all(f in rest and implies(rest[f], v) for f, v in where.items()) and (
            rest != where or field != of
        )


def at_most(kind, field, other):
    """Whether an event's one field is never more than the other."""
    known = {"tubes": "persons", "households": "persons"}
    if kind == "checkpoint":
        known |= {"temperature_high": "temperature_taken", "temperature_taken": "persons"}
    return field == other or (other is not None and known.get(field) == other)


def implies(one, other):
    """Whether a condition holds wherever the other does; edges are numbers."""
    if isinstance(one, int) and isinstance(other, int):
        return one <= other
    return one == other or (isinstance(one, int) and other == '{"not": null}')


# ---- what was published -----------------------------------------------------------------------


class Attack:
    """published: {rollup: [(is_detail, row)]}, rows as dicts with cut_off, day, level, region,
    withheld and figures. parents: {code: code of its parent}. dimensions: of rows of detail."""

    off = 2  # a rounded figure is off by so much at most
    has_fine_rows = True  # all but the city's own totals: what is below 8 is withheld, be it 0

    def __init__(self, definitions, published, parents, dimensions):
        self.definitions, self.parents = definitions, parents
        self.published, self.dimensions = published, dimensions
        self.intervals = Intervals()
        self.cells = {}  # (rollup, cut_off, region, values of dimensions or None, column): number
        self.withheld = set()  # keys of cells that are
        self.left = {}  # what is left between cells: (cut_off, key without it): number
        self.days = {}
        self.children = collections.defaultdict(list)
        for code, parent in parents.items():
            if parent:
                self.children[parent].append(code)

    def run(self):
        gc.disable()  # it would look at millions of lists that all stay, again and again
        try:
            self.reason()
        finally:
            gc.enable()

    def reason(self):
        for name, rows in self.published.items():
            for is_detail, row in rows:
                self.read(name, self.dimensions[name] if is_detail else None, row)
        self.cut_offs = sorted(self.days)
        for name, definition in self.definitions.items():
            self.relate(name, definition)
        self.relate_rollups()
        self.relate_kinds()
        self.relate_times()
        self.intervals.narrow()

    def read(self, name, dimensions, row):
        self.days[row["cut_off"]] = row["day"]
        values = None if dimensions is None else tuple(row[d] for d in dimensions)
        is_fine = row["level"] != "city" or values is not None
        columns = self.definitions[name].columns.keys() | self.definitions[name].changes.keys()
        for column in columns & row.keys():
            key = name, row["cut_off"], row["region"], values, column
            is_person = counts_persons(column)
            low, high = 0, FAR
            if column in row["withheld"] and self.is_unheard(row, name, column):
                high = 0
            elif column in row["withheld"]:
                hides_zero = self.has_fine_rows or self.may_be_unknown(name, column)
                low, high = (0 if is_fine and hides_zero else 1), 7
            if column in row["withheld"]:
                self.withheld.add(key)
            elif row[column] is not None:
                low = high = row[column]
                if is_person and low:
                    low, high = max(low - self.off, 8), high + self.off
            self.cells[key] = self.intervals.number(low, high)

    def may_be_unknown(self, name, column):
        """An extreme of nothing is none, and a stock nobody spoke of: rows that are not the city's
        do not tell that from a few."""
        return self.definitions[name].columns.get(column, ("",))[0] not in ("count", "sum")

    def is_unheard(self, row, name, column):
        """Whether nothing was counted there because nobody was heard all day."""
        return not self.may_be_unknown(name, column) and row.get("sources_heard") == 0

    def find(self, *key):
        return self.cells.get(key)

    def leave(self, key, plus, minus):
        """plus is at least minus: what is left between them is a number, too."""
        if key not in self.left:
            self.left[key] = self.intervals.number()
            self.intervals.is_zero(plus, [*minus, self.left[key]])

    def groups(self, name):
        """{(cut_off, values): {region: {column: number}}} of a rollup."""
        out = collections.defaultdict(lambda: collections.defaultdict(dict))
        for (rollup, cut_off, region, values, column), number in self.cells.items():
            if rollup == name:
                out[cut_off, values][region][column] = number
        return out

    def relate(self, name, definition):
        groups = self.groups(name)
        for (cut_off, values), regions in groups.items():
            for region, cells in regions.items():
                where = name, cut_off, region, values
                self.relate_levels(where, definition, regions)
                self.relate_columns(where, definition, cells)
        for (cut_off, values), regions in groups.items():
            if values is None:
                self.relate_dimensions(name, cut_off, definition, groups)

    def relate_levels(self, where, definition, regions):
        name, cut_off, region, values = where
        below = [regions[code] for code in self.children[region] if code in regions]
        for column, number in regions[region].items() if below else ():
            parts = [cells[column] for cells in below if column in cells]
            key = cut_off, name, region, values, column
            if definition.columns.get(column, ("sum",))[0] in ("min", "max"):
                for i, part in enumerate(parts):
                    self.leave((*key, i), [number], [part])
            elif self.parents.get(region):  # a county
                self.intervals.is_zero([number], parts)
            else:
                self.leave(key, [number], parts)

    def relate_columns(self, where, definition, cells):
        name, cut_off, region, values = where
        for total, parts, is_all in definition.relations:
            numbers = [cells[part] for part in parts if part in cells]
            if total not in cells or not numbers:
                continue
            if is_all and len(numbers) == len(parts):
                self.intervals.is_zero([cells[total]], numbers)
            else:
                self.leave((cut_off, name, region, values, total, *parts), [cells[total]], numbers)

    def relate_dimensions(self, name, cut_off, definition, groups):
        details = [g for (c, values), g in groups.items() if c == cut_off and values is not None]
        for region, cells in groups[cut_off, None].items():
            for column, number in cells.items():
                parts = [g[region][column] for g in details if column in g.get(region, {})]
                if parts and definition.columns[column][0] in ("count", "sum"):
                    self.intervals.is_zero([number], parts)

    def relate_rollups(self):
        """The same rule, counted by where it happened and by another place."""
        roots = [code for code, parent in self.parents.items() if not parent]
        for role in (d for d in self.definitions.values() if d.is_role):
            for home in self.definitions.values():
                if home.kind != role.kind or home.is_role or "region" not in home.by:
                    continue
                for column, rule in role.columns.items():
                    if home.columns.get(column) != rule or rule[0] not in ("count", "sum"):
                        continue
                    for cut_off in self.cut_offs:
                        self.relate_roots(cut_off, roots, (home.name, role.name), column)

    def relate_roots(self, cut_off, roots, names, column):
        home, role = (
            [self.find(name, cut_off, root, None, column) for root in roots] for name in names
        )
        if None not in home + role:
            self.leave((cut_off, *names, column), home, role)

    def relate_kinds(self):
        """Towns have no rows by scheme: there the tubes of all are at least those of retests."""
        persons, tubes = "positive_persons", "presumptive_positive_tubes"
        for key, number in list(self.cells.items()):
            name, cut_off, region, values, column = key
            if (name, values, column) == ("contact", None, persons):
                found = self.find("test_site", cut_off, region, ("RETEST",), tubes)
                every = self.find("test_site", cut_off, region, None, tubes)
                if found is not None:
                    self.intervals.is_zero([number], [found])
                elif every is not None:
                    self.leave((cut_off, name, region, None, persons, tubes), [every], [number])
            elif (name, values, column) == ("test_site", ("RETEST",), "resulted_tubes"):
                swabbed = self.find(*key[:4], "resulted_person_times")
                self.intervals.is_zero([number], [swabbed])

    def relate_times(self):
        before = dict(zip(self.cut_offs[1:], self.cut_offs))
        for key, number in self.left.items():
            earlier = before.get(key[0])
            if earlier is not None and self.days[earlier] == self.days[key[0]]:
                then = self.left.get((earlier, *key[1:]))
                if then is not None and not self.may_shrink(key):
                    self.grow(then, number)
        for key, number in self.cells.items():
            earlier = before.get(key[1])
            if earlier is not None:
                self.relate_time(key, number, earlier, self.days[earlier] == self.days[key[1]])

    def may_shrink(self, key):
        """Of what is left between stocks or extremes nobody knows which way it goes."""
        definition = self.definitions[key[1]]
        rules = [definition.columns.get(k, ("",))[0] for k in key if isinstance(k, str)]
        return any(k in definition.changes for k in key if isinstance(k, str)) or any(
            rule in ("min", "max", "last") for rule in rules
        )

    def grow(self, then, now):
        self.intervals.is_zero([now], [then, self.intervals.number()])

    def relate_time(self, key, number, earlier, is_same_day):
        name, cut_off, region, values, column = key
        then = self.find(name, earlier, region, values, column)
        definition = self.definitions[name]
        if column not in definition.changes:
            aggregate = definition.columns[column][0]
            if is_same_day and then is not None and aggregate in ("count", "sum", "max"):
                self.grow(then, number)
            return
        came, went = (
            [self.find(name, cut_off, region, values, c) for c in names]
            for names in definition.changes[column]
        )
        before = [[], []]
        if is_same_day:
            before = [
                [self.find(name, earlier, region, values, c) for c in names]
                for names in definition.changes[column]
            ]
        if then is not None and None not in came + went + before[0] + before[1]:
            self.intervals.is_zero([number, *went, *before[0]], [then, *came, *before[1]])

    def interval(self, key):
        number = self.cells[key]
        return self.intervals.low[number], self.intervals.high[number]

    def is_possible(self, key, number):
        low, high = self.interval(key)
        return low <= number <= high

    def left_of(self, key):
        """How many numbers are possible."""
        low, high = self.interval(key)
        return high - low + 1


@functools.cache
def counts_persons(column):
    return unit_of(column) in PERSON_UNITS


def unit_of(column):
    """The longest unit that the name ends in, before _max or _min."""
    name = re.sub(r"_(max|min)$", "", column)
    units = [u for u in PERSON_UNITS if name == u or name.endswith("_" + u)]
    return max(units, key=len, default="")
