/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_query - the queries of fx-audit but for the invariants (audit_recount.h).
 *
 * Pure. All but the two of definitions are ends of a statement: audit_query_head stands before it,
 * takes the scope as $1 to $4 (kind, region, day, source; NULL: all, now) and names what is in it:
 *   kinds   kind and topic
 *   now     completeness at level source        daily  completeness_daily of the day
 *   ranges  missing_range                       runs   source_run
 *   called  names of registered sources
 * Instants come as they are; the session's zone is the reporting zone.
 */
#ifndef FX_AUDIT_QUERY_H
#define FX_AUDIT_QUERY_H

#include "audit_report.h"

extern const char audit_query_head[];

/* One row: what report.head holds. */
extern const char audit_query_scope[];

/* report.kinds; now, or of the day. */
extern const char audit_query_kinds_now[];
extern const char audit_query_kinds_day[];

/* Sources, with a boolean column for each section that picks from them. */
extern const char audit_query_sources_now[];
extern const char audit_query_sources_day[];

/* rollup_definition and rollup_column as audit_recount.h wants them. */
extern const char audit_query_definitions[];
extern const char audit_query_columns[];

/* The section's own query, NULL if it picks from the sources. %s: the quoted record schema. */
const char *audit_query_section(enum audit_section section);

/* Whether the section can be told of a past day. */
bool audit_query_is_daily(enum audit_section section);

/* The rows it picks have this column true, NULL if it has its own query; and which columns. */
const char *audit_query_flag(enum audit_section section);
const char *audit_query_picks(enum audit_section section);

#endif
