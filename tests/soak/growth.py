# SPDX-License-Identifier: Apache-2.0
"""Whether anything grew over a week of samples (meter.py): day 7 against day 2; peaks of a day,
which are as high as that day's faults made them, three days against three.

Day 1 warms up: caches fill, tables get their first pages, every path is taken once, and
outages as long as the week's or longer fill what a backlog can. What grows with what is kept (a
ledger with its runs, tables of cells with the hours) may grow by as much, row for row, as day 2
had; the rest is growth.
"""

from statistics import fmean

from meter import MIB

FIRST, LAST = 2, 7
# librdkafka may or may not hold a connection to the address it began with beside those to the
# broker and the group's coordinator, after Kafka was away: one more for each of its handles (a
# consumer per worker and what asks for resends; a post's producer and what hears these).
ROLLUP_FDS, POST_FDS = 3, 2


class Growth:
    """Of a list of samples; who of the processes is spared."""

    def __init__(self, samples, rollup, posts, emits):
        self.samples = samples
        self.before, self.after = samples[FIRST - 1], samples[LAST - 1]
        self.rollup, self.posts, self.emits = rollup, posts, emits

    def grew(self, names, what):
        """The most by which one of the processes grew."""
        before, after = self.before["processes"], self.after["processes"]
        return round(max(after[name][what] - before[name][what] for name in names), 1)

    def peaks(self, name):
        """VmHWM of the process, day by day."""
        return [sample["processes"][name]["hwm_mb"] for sample in self.samples]

    def peaks_grew(self, name):
        """Days 5 to 7 on an average, against 2 to 4."""
        peaks = self.peaks(name)
        return round(fmean(peaks[LAST - 3 : LAST]) - fmean(peaks[FIRST - 1 : FIRST + 2]), 1)

    def restarted(self, names):
        before, after = self.before["processes"], self.after["processes"]
        return sum(before[name]["pid"] != after[name]["pid"] for name in names)

    def outboxes(self, what):
        before, after = self.before["outboxes"], self.after["outboxes"]
        return round(sum(after[name][what] - before[name][what] for name in after), 1)

    def log_mb(self):
        return round(max(one["log_mb"] for one in self.after["outboxes"].values()), 1)

    def excess_mb(self, group):
        """What more bytes the group's tables have than their rows explain; none makes up for
        another."""
        excess, before = 0, self.before["tables"][group]
        for name, table in self.after["tables"][group].items():
            old = before[name]
            share = max(1, table["rows"] / old["rows"]) if old["rows"] else 1
            excess += max(0, table["bytes"] - old["bytes"] * share)
        return round(excess / MIB, 2)

    def bytes_per_row_pct(self, group):
        """By how many percent a row takes more."""

        def per_row(sample):
            tables = sample["tables"][group].values()
            return sum(t["bytes"] for t in tables) / sum(t["rows"] for t in tables)

        return round(100 * (per_row(self.after) / per_row(self.before) - 1), 1)

    def dead_pct(self):
        """Dead rows of all tables against live ones, at the end."""
        rows = [t for group in self.after["tables"].values() for t in group.values()]
        return round(100 * sum(t["dead"] for t in rows) / sum(t["rows"] for t in rows), 1)


def judge(grown, targets):
    """The lines; see README.md for what each bound rests on."""
    rollup, posts, emits = [grown.rollup], grown.posts, grown.emits
    targets.most("soak_spared_restarted", grown.restarted([*rollup, *posts]), 0)
    targets.most("soak_rollup_rss_growth_mb", grown.grew(rollup, "rss_mb"), 8)
    targets.most("soak_rollup_peak_mb", round(max(grown.peaks(grown.rollup)), 1), 128)
    targets.most("soak_rollup_peak_growth_mb", grown.peaks_grew(grown.rollup), 32)
    targets.most("soak_rollup_fds_growth", grown.grew(rollup, "fds"), ROLLUP_FDS)
    targets.most("soak_producer_rss_growth_mb", grown.grew(posts, "rss_mb"), 4)
    targets.most("soak_producer_fds_growth", grown.grew(posts, "fds"), POST_FDS)
    targets.most("soak_emit_rss_growth_mb", grown.grew(emits, "rss_mb"), 4)
    targets.most("soak_emit_fds_growth", grown.grew(emits, "fds"), POST_FDS)
    targets.most("soak_outbox_growth_mb", grown.outboxes("mb"), 8)
    targets.most("soak_outbox_log_mb", grown.log_mb(), 16)
    targets.most("soak_cell_bytes_per_row_growth_pct", grown.bytes_per_row_pct("cells"), 5)
    hours = grown.bytes_per_row_pct("hours")
    targets.most("soak_hour_bytes_per_row_growth_pct", hours, 10)
    targets.most("soak_totals_mb_growth", grown.excess_mb("totals"), 2)
    targets.most("soak_ledger_mb_growth", grown.excess_mb("ledger"), 1)
    targets.most("soak_other_tables_mb_growth", grown.excess_mb("others"), 1)
    catalog = round(grown.after["catalog_mb"] - grown.before["catalog_mb"], 2)
    targets.most("soak_catalog_mb_growth", catalog, 1)
    targets.most("soak_dead_rows_pct", grown.dead_pct(), 25)
