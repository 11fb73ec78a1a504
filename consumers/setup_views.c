/* SPDX-License-Identifier: Apache-2.0 */
#include "setup_views.h"

#include "../common/day.h"
#include "setup_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE 80

const struct views_step views_day = {.name = "day",
                                     .plural = "days",
                                     .suffix = "daily",
                                     .doc = "day, Asia/Shanghai 日期",
                                     .gloss = "按日",
                                     .region_head = "q.day, q.region, q.name, q.name_latin",
                                     .levels_head =
                                         "q.day, q.level, q.region, q.name, q.name_latin",
                                     .source_head = "q.day, q.source, q.name, q.region"};
const struct views_step views_hour = {.name = "hour",
                                      .plural = "hours",
                                      .suffix = "hourly",
                                      .doc = "start of the hour 时段起点",
                                      .gloss = "按小时",
                                      .region_head = "q.hour, q.region, q.name, q.name_latin",
                                      .levels_head =
                                          "q.hour, q.level, q.region, q.name, q.name_latin",
                                      .source_head = "q.hour, q.source, q.name, q.region"};
static const struct views_step as_of = {
    .name = "day", .levels_head = "q.day, q.level, q.region, q.name, q.name_latin"};

static const struct level {
    const char *name;
    const char *doc;
} levels[] = {{"town", "by town 按镇街"}, {"county", "by county 按县区"}, {"city", "by city 按市"}};
static const struct level all_levels = {NULL, "all levels 各级"};
#define LEVEL_COUNT (sizeof levels / sizeof levels[0])

static const char silent_minutes[] = "five per five-minute slot without a sign of life, so far; "
                                     "NULL: not expected 静默分钟数(分钟)";

/* A view that is being written: name, whose comments come after it. A function's body is written
 * by the same code without one: NULL. */
struct view {
    char name[NAME_SIZE];
    struct buf comments;
};

static void open_view(struct view *view, struct buf *out, const char *name)
{
    snprintf(view->name, sizeof view->name, "%s", name);
    view->comments = (struct buf)BUF_INIT;
    buf_append_format(out, "CREATE OR REPLACE VIEW \"%s\" AS ", view->name);
}

static void describe(struct view *view, const char *column, const char *doc)
{
    if (view == NULL)
        return;
    sql_comment_column(&view->comments, view->name, column, doc);
}

static void close_view(struct view *view, struct buf *out, const char *doc, const char *gloss)
{
    sql_end(out);
    sql_comment(out, "VIEW", view->name, doc, gloss);
    buf_append(out, view->comments.data, view->comments.size);
    out->is_failed |= view->comments.is_failed;
    buf_release(&view->comments);
}

/* From the first bucket or sign of life to the last, or to where all was last counted: what lies
 * outside is neither counted nor judged. */
static void append_span(struct buf *out, const struct views_target *target)
{
    const struct rollup *rollup = target->rollup;
    buf_append_text(out, "(SELECT min(x.low) AS low, max(x.high) AS high FROM (");
    for (size_t i = 0; rollup->by_region && i < LEVEL_COUNT; i++)
        buf_append_format(out,
                          "SELECT min(bucket_start) AS low, max(bucket_start) AS high "
                          "FROM \"%s_%s\" UNION ALL ",
                          rollup->name, levels[i].name);
    if (!rollup->by_region)
        buf_append_format(out,
                          "SELECT min(bucket_start) AS low, max(bucket_start) AS high "
                          "FROM \"%s_source\" UNION ALL ",
                          rollup->name);
    buf_append_format(out,
                      "SELECT min(hour_start), max(hour_start) FROM source_hour WHERE topic = '%s' "
                      "UNION ALL SELECT NULL, max(caught_up_at) FROM partition_position "
                      "WHERE topic = '%s') x) s",
                      target->topic, target->topic);
}

static void append_days(struct buf *out, const struct views_target *target)
{
    struct view view;
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s_days", target->rollup->name);
    open_view(&view, out, name);
    buf_append_text(out, "SELECT g.at::date AS day, g.at AT TIME ZONE " VIEWS_ZONE " AS starts, "
                         "(g.at + interval '1 day') AT TIME ZONE " VIEWS_ZONE " AS ends FROM ");
    append_span(out, target);
    buf_append_text(
        out, " CROSS JOIN LATERAL time_steps(date_trunc('day', s.low AT TIME ZONE " VIEWS_ZONE
             "), s.high AT TIME ZONE " VIEWS_ZONE ", interval '1 day') g");
    describe(&view, "day", views_day.doc);
    describe(&view, "starts", "its first instant 起");
    describe(&view, "ends", "the instant after it 止(不含)");
    close_view(&view, out, "days from the first counted or heard to the last", "统计日期");
}

/* A bucket is a part of an hour or a number of hours. */
static void append_hours(struct buf *out, const struct views_target *target)
{
    struct view view;
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s_hours", target->rollup->name);
    open_view(&view, out, name);
    int64_t step_ms =
        target->rollup->bucket_ms > DAY_HOUR_MS ? target->rollup->bucket_ms : DAY_HOUR_MS;
    buf_append_format(out,
                      "SELECT g.at AS hour, g.at AS starts, g.at + interval '%" PRId64
                      " hours' AS ends FROM ",
                      step_ms / DAY_HOUR_MS);
    append_span(out, target);
    buf_append_format(out,
                      " CROSS JOIN LATERAL time_steps(date_trunc('hour', s.low, " VIEWS_ZONE
                      "), s.high, interval '%" PRId64 " hours') g",
                      step_ms / DAY_HOUR_MS);
    describe(&view, "hour", views_hour.doc);
    describe(&view, "starts", "its first instant 起");
    describe(&view, "ends", "the instant after it 止(不含)");
    close_view(&view, out, "hours from the first counted or heard to the last", "统计时段");
}

static void append_region_head(struct buf *out, const struct views_step *step, struct view *view)
{
    buf_append_format(out, "SELECT d.%s, c.of_level AS level, c.region, c.name, c.name_latin",
                      step->name);
    describe(view, step->name, step->doc);
    if (view != NULL)
        views_place_comments(&view->comments, view->name, false);
}

static void append_status(struct buf *out, const struct views_target *target, struct view *view)
{
    views_status(out, target);
    if (view != NULL)
        views_status_comments(&view->comments, view->name);
}

/* Each dimension as alias."name", lead before the first. */
static void append_dimensions(struct buf *out, const struct views_target *target, const char *alias,
                              const char *lead)
{
    for (int i = 0; i < target->rollup->dimension_count; i++)
        buf_append_format(out, "%s%s.\"%s\"", i == 0 ? lead : ", ", alias,
                          target->schema->fields[target->rollup->dimensions[i]].name);
}

/* What readers see of q: its head, whose names these are, then columns in the views' order. Views
 * by source have last values and silent minutes too. */
static void append_outer(struct buf *out, const struct views_target *target, const char *head,
                         bool is_detail, bool is_source)
{
    buf_append_format(out, "SELECT %s", head);
    if (is_detail)
        append_dimensions(out, target, "q", ", ");
    views_status_names(out, "q");
    if (is_source)
        buf_append_text(out, ", q.silent_minutes");
    views_columns(out, target, is_source ? VIEWS_ALL : VIEWS_NO_LAST);
    buf_append_text(out, " FROM (");
}

static void append_table(struct buf *out, const struct views_target *target,
                         const struct level *level)
{
    if (level->name == NULL)
        views_all_levels(out, target, "c.of_level");
    else
        buf_append_format(out, "\"%s_%s\"", target->rollup->name, level->name);
}

/* The time step as d: rows of the view that lists them, or the day of $1 up to the last bucket that
 * ended by then. A day ends with its last instant: at midnight it is the one that is over. */
static void append_time(struct buf *out, const struct views_target *target,
                        const struct views_step *step)
{
    if (step->plural != NULL) {
        buf_append_format(out, "\"%s_%s\" d", target->rollup->name, step->plural);
        return;
    }
    buf_append_format(
        out,
        "(SELECT ((e.edge - interval '1 microsecond') AT TIME ZONE " VIEWS_ZONE
        ")::date AS day, date_trunc('day', e.edge - interval '1 microsecond', " VIEWS_ZONE
        ") AS starts, e.edge AS ends FROM (SELECT date_bin(interval "
        "'%" PRId64 " milliseconds', $1, timestamptz '2000-01-01 00:00+00') "
        "AS edge) e) d",
        target->rollup->bucket_ms);
}

/* … FROM time d, regions of the level c */
static void append_region_from(struct buf *out, const struct views_target *target,
                               const struct views_step *step, const struct level *level)
{
    char word[16] = "NULL";
    if (level->name != NULL)
        snprintf(word, sizeof word, "'%s'", level->name);
    buf_append_text(out, " FROM ");
    append_time(out, target, step);
    buf_append_format(out,
                      " CROSS JOIN LATERAL region_status('%s', '%s', %s, %s, d.starts, d.ends) c",
                      target->kind, target->topic, word, views_is_everywhere(target));
}

static const char *region_head(const struct views_step *step, const struct level *level)
{
    return level->name == NULL ? step->levels_head : step->region_head;
}

/* The first bucket of the place c, NULL if it was never counted. Where most cells are of one place,
 * EXISTS would be planned as a scan of the table, which finds it at once, and takes long for all
 * that are not there. */
static void append_first(struct buf *out, const struct views_target *target, const char *suffix,
                         const char *key)
{
    buf_append_format(out, "(SELECT min(t.bucket_start) FROM \"%s_%s\" t WHERE t.%s = c.%s)",
                      target->rollup->name, suffix, key, key);
}

/* … WHERE it has a source, or was ever counted */
static void append_known(struct buf *out, const struct views_target *target,
                         const struct level *level)
{
    buf_append_text(out, " WHERE c.is_registered OR ");
    if (level->name != NULL) {
        append_first(out, target, level->name, "region");
    } else {
        buf_append_text(out, "CASE c.of_level");
        for (size_t i = 0; i < LEVEL_COUNT; i++) {
            buf_append_format(out, " WHEN '%s' THEN ", levels[i].name);
            append_first(out, target, levels[i].name, "region");
        }
        buf_append_text(out, " END");
    }
    buf_append_text(out, " IS NOT NULL");
}

static void append_region_select(struct buf *out, const struct views_target *target,
                                 const struct views_step *step, const struct level *level,
                                 struct view *view)
{
    append_outer(out, target, region_head(step, level), false, false);
    append_region_head(out, step, view);
    append_status(out, target, view);
    views_values(out, target, true);
    append_region_from(out, target, step, level);
    buf_append_text(out, " CROSS JOIN LATERAL (SELECT count(*) AS cells");
    views_aggregates(out, target, true);
    buf_append_text(out, " FROM ");
    append_table(out, target, level);
    buf_append_text(out, " t WHERE t.region = c.region AND t.bucket_start >= d.starts AND "
                         "t.bucket_start < d.ends) v");
    append_known(out, target, level);
    buf_append_text(out, ") q");
}

static void append_region_view(struct buf *out, const struct views_target *target,
                               const struct views_step *step, const struct level *level)
{
    struct view view;
    char name[NAME_SIZE];
    if (level->name == NULL)
        snprintf(name, sizeof name, "%s_levels", target->rollup->name);
    else
        snprintf(name, sizeof name, "%s_%s_%s", target->rollup->name, level->name, step->suffix);
    open_view(&view, out, name);
    append_region_select(out, target, step, level, &view);
    if (level->name == NULL)
        describe(&view, "level", "city, county or town 级别");
    views_comments(&view.comments, target, view.name, VIEWS_NO_LAST);
    char gloss[NAME_SIZE];
    snprintf(gloss, sizeof gloss, "- %s %s", level->doc, step->gloss);
    close_view(&view, out, target->rollup->doc, gloss);
}

static void append_detail_select(struct buf *out, const struct views_target *target,
                                 const struct views_step *step, const struct level *level,
                                 struct view *view)
{
    append_outer(out, target, region_head(step, level), true, false);
    append_region_head(out, step, view);
    append_dimensions(out, target, "v", ", ");
    append_status(out, target, view);
    views_values(out, target, true);
    append_region_from(out, target, step, level);
    buf_append_text(out, " CROSS JOIN LATERAL (SELECT count(*) AS cells");
    append_dimensions(out, target, "t", ", ");
    views_aggregates(out, target, true);
    buf_append_text(out, " FROM ");
    append_table(out, target, level);
    buf_append_text(out, " t WHERE t.region = c.region AND t.bucket_start >= d.starts AND "
                         "t.bucket_start < d.ends GROUP BY ");
    append_dimensions(out, target, "t", "");
    buf_append_text(out, ") v) q");
}

static void append_detail_view(struct buf *out, const struct views_target *target,
                               const struct level *level)
{
    struct view view;
    char name[NAME_SIZE];
    if (level->name == NULL)
        snprintf(name, sizeof name, "%s_levels_detail", target->rollup->name);
    else
        snprintf(name, sizeof name, "%s_%s_daily_detail", target->rollup->name, level->name);
    open_view(&view, out, name);
    append_detail_select(out, target, &views_day, level, &view);
    if (level->name == NULL)
        describe(&view, "level", "city, county or town 级别");
    for (int i = 0; i < target->rollup->dimension_count; i++) {
        const struct field *field = &target->schema->fields[target->rollup->dimensions[i]];
        describe(&view, field->name, field->doc);
    }
    views_comments(&view.comments, target, view.name, VIEWS_NO_LAST);
    char gloss[NAME_SIZE];
    snprintf(gloss, sizeof gloss, "- %s, detail 按日明细", level->doc);
    close_view(&view, out, target->rollup->doc, gloss);
}

/* The figures of a day up to an hour, also long after it: rows of _levels, or of _levels_detail. */
static void append_as_of(struct buf *out, const struct views_target *target, bool is_detail)
{
    const char *rollup = target->rollup->name;
    const char *detail = is_detail ? "_detail" : "";
    buf_append_format(out,
                      "CREATE OR REPLACE FUNCTION \"%s_as_of%s\"(at timestamptz) RETURNS SETOF "
                      "\"%s_levels%s\" LANGUAGE sql STABLE BEGIN ATOMIC ",
                      rollup, detail, rollup, detail);
    if (is_detail)
        append_detail_select(out, target, &as_of, &all_levels, NULL);
    else
        append_region_select(out, target, &as_of, &all_levels, NULL);
    buf_append_text(out, "; END");
    sql_end(out);
    buf_append_format(out, "COMMENT ON FUNCTION \"%s_as_of%s\"(timestamptz) IS ", rollup, detail);
    struct buf text = BUF_INIT;
    buf_append_format(&text,
                      "%s - rows of %s_levels%s for the day up to the last bucket that ended by "
                      "then; at midnight the day that is over 截至某时的当日数",
                      target->rollup->doc, rollup, detail);
    sql_literal(out, buf_text(&text));
    out->is_failed |= text.is_failed;
    buf_release(&text);
    sql_end(out);
}

/* The last values of the time step, one per group of the dimensions, summed over the groups. */
static void append_last_values(struct buf *out, const struct views_target *target)
{
    for (int i = 0; i < target->rollup->column_count; i++) {
        const struct rollup_column *column = &target->rollup->columns[i];
        if (column->aggregate != AGGREGATE_LAST)
            continue;
        buf_append_text(out, ", (SELECT sum(x.value)::bigint FROM (SELECT ");
        if (target->rollup->dimension_count > 0) {
            buf_append_text(out, "DISTINCT ON (");
            append_dimensions(out, target, "t", "");
            buf_append_text(out, ") ");
        }
        buf_append_format(out,
                          "t.\"%s\" AS value FROM \"%s_source\" t WHERE t.source = c.source AND "
                          "t.bucket_start >= d.starts AND t.bucket_start < d.ends AND "
                          "t.\"%s\" IS NOT NULL ORDER BY ",
                          column->name, target->rollup->name, column->name);
        append_dimensions(out, target, "t", "");
        buf_append_format(out, "%st.\"%s_last\" DESC%s) x) AS \"%s\"",
                          target->rollup->dimension_count > 0 ? ", " : "", column->name,
                          target->rollup->dimension_count > 0 ? "" : " LIMIT 1", column->name);
    }
}

static void describe_source(struct view *view, const struct views_target *target,
                            const struct views_step *step)
{
    describe(view, step->name, step->doc);
    describe(view, "source", "device or post 来源");
    describe(view, "name", "name of the post, NULL if it is not registered 名称");
    describe(view, "region", "region code of the post 所在地区代码");
    describe(view, "silent_minutes", silent_minutes);
    views_comments(&view->comments, target, view->name, VIEWS_ALL);
}

static void append_source_view(struct buf *out, const struct views_target *target,
                               const struct views_step *step)
{
    struct view view;
    char name[NAME_SIZE];
    const char *rollup = target->rollup->name;
    snprintf(name, sizeof name, "%s_source_%s", rollup, step->suffix);
    open_view(&view, out, name);
    append_outer(out, target, step->source_head, false, true);
    buf_append_format(out, "SELECT d.%s, c.source, c.name, c.region", step->name);
    append_status(out, target, &view);
    buf_append_text(out, ", c.silent_minutes");
    views_values(out, target, true);
    append_last_values(out, target);
    buf_append_format(out,
                      " FROM \"%s_%s\" d CROSS JOIN LATERAL source_status('%s', '%s', d.starts, "
                      "d.ends) c CROSS JOIN LATERAL (SELECT count(*) AS cells",
                      rollup, step->plural, target->kind, target->topic);
    views_aggregates(out, target, true);
    buf_append_format(out,
                      " FROM \"%s_source\" t WHERE t.source = c.source AND t.bucket_start >= "
                      "d.starts AND t.bucket_start < d.ends) v WHERE c.is_registered OR ",
                      rollup);
    append_first(out, target, "source", "source");
    buf_append_text(out, " IS NOT NULL) q");
    describe_source(&view, target, step);
    char gloss[NAME_SIZE];
    snprintf(gloss, sizeof gloss, "- by source 按来源 %s", step->gloss);
    close_view(&view, out, target->rollup->doc, gloss);
}

void views_append(struct buf *out, const struct views_target *target)
{
    const struct rollup *rollup = target->rollup;
    append_days(out, target);
    append_hours(out, target);
    for (size_t i = 0; rollup->by_region && i < LEVEL_COUNT; i++) {
        append_region_view(out, target, &views_day, &levels[i]);
        append_region_view(out, target, &views_hour, &levels[i]);
        if (rollup->dimension_count > 0)
            append_detail_view(out, target, &levels[i]);
    }
    if (rollup->by_source) {
        append_source_view(out, target, &views_day);
        append_source_view(out, target, &views_hour);
    }
    if (rollup->by_region) {
        append_region_view(out, target, &views_day, &all_levels);
        append_as_of(out, target, false);
        views_append_parts(out, target);
    }
    if (rollup->by_region && rollup->dimension_count > 0) {
        append_detail_view(out, target, &all_levels);
        append_as_of(out, target, true);
    }
    views_append_stock(out, target);
}
