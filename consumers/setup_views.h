/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup_views - the text of a rollup's views. Pure.
 *
 * Per level L of town, county, city (rollups by region):
 *   <rollup>_days, <rollup>_hours       from the first bucket or sign of life to the last, or to
 *                                       where the topic was last caught up
 *   <rollup>_L_daily, <rollup>_L_hourly day or hour, region, name, name_latin, sources_expected,
 *                                       sources_heard, missing_events, complete, columns, derived
 *   <rollup>_L_daily_detail             the same per value of the dimensions, only what was counted
 *   <rollup>_levels, _levels_detail     the three _daily, or _daily_detail, views in one, with a
 *                                       column level
 *   <rollup>_as_of(T), _as_of_detail(T) rows of these for the day that T ends or lies in, up to the
 *                                       last bucket that ended by T
 *   <rollup>_direct                     a node's own part: the node minus the sum of its children
 *   <rollup>_parts                      what adds up to a node: its own part and its children
 *   <rollup>_statistical                the same figures by the counties of the national statistics
 *   <rollup>_total_before(T)            where there is a "change": all that was counted before T,
 *                                       per region or source and dimensions
 *   <rollup>_last_before(T)             last values before T, per source and dimensions
 *   <rollup>_stock_at(T)                running totals of "change" and last values before T
 *   <rollup>_stock                      the same up to where all is counted
 * and for rollups by source: <rollup>_source_daily, <rollup>_source_hourly, with silent_minutes.
 *
 * Dense: a row per day and region that has a registered source or was ever counted. A sum is the
 * counted value; 0 if nothing was counted but a source was heard; NULL if none was heard.
 * missing_events, complete, silent_minutes: see source_status in schemas/views/functions.sql; a
 * number that was not counted has no hour, so an hour shows its day's missing_events.
 *
 * Extremes and last values cannot be subtracted: _direct, _parts and _statistical have sums and
 * derived columns only.
 *
 * Columns added later, derived ones too, come at the end, so that CREATE OR REPLACE can add them.
 * The comment of a column of numbers ends in its unit in brackets.
 *
 * Each cell is read by its primary key (region, time range), so that a day, a range of days or one
 * region's history cost what they show. Weighed: one GROUP BY over the table (reads everything
 * unless the day is a constant), materialized views (stale); chosen LATERAL because it is neither.
 */
#ifndef FX_SETUP_VIEWS_H
#define FX_SETUP_VIEWS_H

#include "../common/buf.h"
#include "../schemas/region.h"
#include "../schemas/rolldef.h"

#define VIEWS_COLUMNS_MAX (ROLLUP_COLUMNS_MAX + ROLLUP_DERIVED_MAX)
#define VIEWS_ZONE "'Asia/Shanghai'" /* the reporting zone, as an SQL literal */

struct views_target {
    const char *schema_name;
    const char *topic;
    const char *kind;
    const struct schema *schema; /* the kind's current one */
    const struct rollup *rollup;
    const bool *is_added; /* per column: added to a running system, so NULL in old rows */
    const int *order;     /* of all columns (index) and derived ones (column_count + index) */
    const char *since;    /* SQL literal: the rollup was added then; NULL: counted from the base */
};

/* Time steps that a view is over. */
struct views_step {
    const char *name;   /* "day" */
    const char *plural; /* of the view that lists them: "days"; NULL: the day of $1, up to it */
    const char *suffix; /* "daily" */
    const char *doc;    /* of the column */
    const char *gloss;  /* of the view's comment */
    const char *region_head; /* first columns of its views by region, */
    const char *levels_head; /* of _levels */
    const char *source_head; /* and by source */
};
extern const struct views_step views_day;
extern const struct views_step views_hour;

/* Appends every view and function of the rollup to the list of statements (setup_sql.h). */
void views_append(struct buf *out, const struct views_target *target);

/* Appends _direct, _parts and _statistical; and if the rollup has stocks _total_before,
 * _last_before, _stock_at and _stock. */
void views_append_parts(struct buf *out, const struct views_target *target);
void views_append_stock(struct buf *out, const struct views_target *target);

/* What the parts share. Each column is written with a comma in front. */

enum views_shown { VIEWS_SUMS, VIEWS_NO_LAST, VIEWS_ALL };
bool views_is_shown(const struct rollup_column *column, enum views_shown shown);
bool views_is_sum(const struct rollup_column *column);

/* Aggregates of the cells t, but not "last": , sum(t."a")::bigint AS "a", max(t."m") AS "m" … */
void views_aggregates(struct buf *out, const struct views_target *target, bool with_extremes);

/* The same columns for readers, from v, c and d: NULL, 0 or the value. */
void views_values(struct buf *out, const struct views_target *target, bool with_extremes);

/* Columns of q and derived ones, in the views' order: , q."a", (expression) AS "b" … */
void views_columns(struct buf *out, const struct views_target *target, enum views_shown shown);

/* Comments of columns and derived columns of the relation. */
void views_comments(struct buf *out, const struct views_target *target, const char *relation,
                    enum views_shown shown);

/* Who was expected and heard, and what is missing: from c and d; their names behind alias; their
 * comments. */
void views_status(struct buf *out, const struct views_target *target);
void views_status_names(struct buf *out, const char *alias);
void views_status_comments(struct buf *out, const char *relation);

/* Comments of region, name and name_latin, and of level. */
void views_place_comments(struct buf *out, const char *relation, bool has_level);

/* "false" if the rollup's region is the source's place, "true" if it is a role. */
const char *views_is_everywhere(const struct views_target *target);

/* (SELECT * of the three level tables), of which only that is read whose name level, an SQL
 * expression, is: a region has cells in the table of its level alone. */
void views_all_levels(struct buf *out, const struct views_target *target, const char *level);

#endif
