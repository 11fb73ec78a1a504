/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_recount - the invariants of tables.sql as queries that return what breaks them.
 *
 * Pure. Each query returns rule, table, key, column, found, expected, explanation, all text; no row
 * means that it holds. A cell of NULL (a column added later) is compared with nothing. At most
 * AUDIT_BREACHES_MAX rows per query.
 *
 * What is recounted, per rollup, bucket and dimensions, for every count and sum:
 *   a node    >= the sum of its children (the rest is its direct part, never negative); an extreme
 *             at least as extreme as theirs
 *   the roots =  the sum of all sources, where the rollup is by both
 *   a source's events = counted numbers - 2 * reversals, where a column counts every event
 *   no cell is negative, unless its field may be: a reversal that counted before its original
 *             makes one, and explanation names the original
 *   a total   =  the sum of all its cells, where there are totals (levels.h)
 */
#ifndef FX_AUDIT_RECOUNT_H
#define FX_AUDIT_RECOUNT_H

#include "../common/buf.h"
#include "audit_rows.h"

#define AUDIT_BREACHES_MAX 1000

/* Ledger, gaps, days, positions, reversals. */
const char *audit_ledger_sql(void);

enum audit_recount {
    AUDIT_CHILDREN,
    AUDIT_ROOTS,
    AUDIT_EVENTS,
    AUDIT_NEGATIVE,
    AUDIT_TOTALS,
    AUDIT_RECOUNTS
};

/* Rows of rollup_definition: rollup, topic, by_source, by_region, counts_all, has_region_totals,
 * has_source_totals (booleans), dimensions; and of rollup_column: rollup, name, aggregate, rule,
 * may_be_negative. */
struct audit_rollup {
    const struct audit_rows *definitions;
    int row;
    const struct audit_rows *columns;
};

/* Appends the query; nothing if the rollup has nothing to compare. */
void audit_recount_sql(const struct audit_rollup *rollup, enum audit_recount recount,
                       struct buf *out);

#endif
