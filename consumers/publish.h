/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish - snapshots for everybody, in schema <schema-name>_published (对外发布).
 *
 * A snapshot holds the figures of a day from its beginning to a cut-off, a full hour that is over.
 * Each rollup has a table of its name: a row per cut-off and node of the tree (city, county, town),
 * and if it has dimensions that are enums, <rollup>_detail: the same by all their symbols for city
 * and counties. The table snapshot lists the cut-offs.
 *
 * Rule (functions publish_persons and publish_things of schemas/views/publish.sql; stateless, a
 * figure decides for itself):
 *   persons   person-times, persons, household-times, households, visits, tubes and rooms: 1 to 7
 *             is withheld, 0 is shown, any other, totals too, is rounded to 5:
 *             5 * floor((n + 2) / 5). Totals come from exact figures and are rounded then, so that
 *             parts need not add up. A tube of a retest and a room of quarantine are one person:
 *             exact, they would tell the positive and the headcount.
 *   things    vehicles, groups, posts, times and seconds: exact.
 *   fine rows all but the city's own totals: what is below 8 is withheld whatever it is, 0 and
 *             things too. A shown 0 tells how many of the hidden figures are at least 1: 7 hidden
 *             ones under a total of at most 7 are 1 each. And a vehicle has a driver.
 *   ratios    derived columns with a denominator, "nullif(x, 0)" or "quantile(p, x, …)": computed
 *             from published figures alone; NULL below a denominator of 8 or where one is withheld.
 *   left out  other derived columns, minutes of persons, temperatures, dimensions that are texts.
 * NULL is: withheld, if the row's column withheld names it; else not known (nobody was heard), or
 * not counted yet in that snapshot. Units of columns decide which rule it is, see publish_rule_of.
 *
 * Why so: small cells alone are not enough. CMS withholds 1 to 10 and what lets one be derived
 * (CMS Cell Size Suppression Policy, ResDAC); NHS Digital gave up 1 to 5 with secondary
 * suppression in 2018 for 1 to 7 withheld and all else rounded to 5, means from 8 on, totals first
 * computed, then rounded (HES Disclosure Control Methodology); OpenSAFELY has it in code, where 0
 * and small counts look the same, as in our fine rows (ehrQL measures: counts up to 7 become 0, the
 * rest is rounded to 5). Weighed: complementary suppression, linked tables are NP-hard and a
 * rule that nobody can check by hand; noise (ONS cell keys), figures that operators cannot explain.
 * Measured by tests/seed/test_attacker.py over the hourly snapshots of a day: of the figures of
 * persons that are withheld and are 1 to 7 the attacker knows 0.01 to 0.02 % by this rule, 1.3 to
 * 3.7 % if zeros and things were shown in all rows, 26 to 28 % if only small counts were withheld
 * and totals were exact. Of all that is withheld a third is certain: zeros, but for 1 in 100 of it.
 *
 * Invariants:
 *   - A snapshot never changes; a later one is another set of rows. Corrections show in the next.
 *   - Cut-offs only go forward, at most one an hour, and never in an hour that is not over.
 *   - One hierarchy below the city, the reporting units: nothing by statistical counties.
 *   - All of a snapshot is read in one REPEATABLE READ transaction; it is there whole or not.
 *   - It and fx-setup wait for each other (a minute; --freeze 5 s a try), so
 *     that no swap and no other definition comes between its tables.
 *   - Role fangxian_public has USAGE on this schema and SELECT on its tables, and nothing anywhere
 *     else; fangxian_analyst reads it, too.
 *
 * When definitions change, tables are kept: a new column is added at the end and is NULL in older
 * snapshots, one that is gone is NULL in newer ones. A swap exchanges what is counted, not this
 * schema; one that is counted anew publishes nothing. A table by other dimensions than now is
 * refused until it has another name.
 *
 * Limits: the rule protects counts, not single events: who knows all events of a place but one
 * learns that one within 5. It does not repair a code, name or round that says too much. What
 * the attacker of tests/seed/attacker.py can still tell is printed there. Nor can it hide what
 * PostgreSQL shows to every login of a database: pg_class and pg_stat_* have the rows of every
 * table, live. Logins in fangxian_public belong into another database with a copy of the published
 * schema (README); otherwise a superuser revokes these views, and the functions pg_stat_get_*.
 */
#ifndef FX_PUBLISH_H
#define FX_PUBLISH_H

#include "pg.h"

#include <stdbool.h>
#include <stdint.h>

#define PUBLISH_LAST_HOUR INT64_MIN

struct publish_options {
    const char *schema_name; /* of what was counted, an SQL identifier; first on search_path */
    int64_t cut_off_ms;      /* a full hour; PUBLISH_LAST_HOUR: the last one that is over */
};

struct publish_outcome {
    int64_t cut_off_ms;
    int64_t rows;     /* written */
    int64_t withheld; /* figures of them that are withheld */
    bool is_new;      /* false: this cut-off was published before, and nothing was done */
};

/*
 * Publishes one snapshot. The login has to be a member of fangxian_owner where that owns the
 * schema. Leaves conn without an open transaction.
 *
 * FX_ECONFIG  the cut-off is no full hour, not over, or before one that was published; the schema
 *             is not set up for it (fx-setup), or is counted anew beside the live one;
 *             or a table stands in the way that was published by other dimensions.
 * FX_ERETRY, FX_ECLAIM  PostgreSQL is away, or a lock did not come: try again, nothing changed.
 */
FX_MUST_CHECK enum fx_code publish_snapshot(PGconn *conn, const struct publish_options *options,
                                            struct publish_outcome *outcome, struct fx_err *err);

#endif
