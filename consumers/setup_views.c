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

static const struct level {
    const char *name;
    const char *doc;
} levels[] = {{"town", "by town 按镇街"}, {"county", "by county 按县区"}, {"city", "by city 按市"}};
static const struct level all_levels = {NULL, "all levels 各级"};
#define LEVEL_COUNT (sizeof levels / sizeof levels[0])

static const struct status_column {
    const char *name;
    const char *doc;
} status_columns[] = {
    {"sources_expected", "sources registered at or below it 应报来源数(个)"},
    {"sources_heard", "those that gave a sign of life 已报来源数(个)"},
    {"missing_events", "numbers of the day that are missing, rejected or lost; an hour shows its "
                       "day's 缺失事件数(条)"},
    {"complete", "all expected heard in every hour so far, nothing missing or still to come, no "
                 "run lost or cloned; NULL: none expected, or not known yet 是否完整"},
};
static const struct status_column silent_minutes = {
    "silent_minutes", "five per five-minute slot without a sign of life, so far; NULL: not "
                      "expected 静默分钟数(分钟)"};

/* A view that is being written: name, whose comments come after it. */
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
        out, " CROSS JOIN LATERAL generate_series(date_trunc('day', s.low AT TIME ZONE " VIEWS_ZONE
             "), s.high AT TIME ZONE " VIEWS_ZONE ", interval '1 day') g (at)");
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
                      " CROSS JOIN LATERAL generate_series(date_trunc('hour', s.low, " VIEWS_ZONE
                      "), s.high, interval '%" PRId64 " hours') g (at)",
                      step_ms / DAY_HOUR_MS);
    describe(&view, "hour", views_hour.doc);
    describe(&view, "starts", "its first instant 起");
    describe(&view, "ends", "the instant after it 止(不含)");
    close_view(&view, out, "hours from the first counted or heard to the last", "统计时段");
}

static void append_status(struct buf *out, const struct views_target *target, struct view *view)
{
    buf_append_format(out,
                      ", c.expected AS sources_expected, c.heard AS sources_heard, "
                      "c.missing AS missing_events, CASE WHEN c.complete IS NOT NULL THEN "
                      "c.complete%s%s END AS complete",
                      target->since == NULL ? "" : " AND d.starts >= ",
                      target->since == NULL ? "" : target->since);
    for (size_t i = 0; i < sizeof status_columns / sizeof status_columns[0]; i++)
        describe(view, status_columns[i].name, status_columns[i].doc);
}

static void append_region_head(struct buf *out, const struct views_step *step, struct view *view)
{
    buf_append_format(out, "SELECT d.%s, c.of_level AS level, c.region, c.name, c.name_latin",
                      step->name);
    describe(view, step->name, step->doc);
    describe(view, "region", "region code 地区代码");
    describe(view, "name", "name in Chinese 名称");
    describe(view, "name_latin", "name in Latin letters 拉丁字母名称");
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
    for (size_t i = 0; i < sizeof status_columns / sizeof status_columns[0]; i++)
        buf_append_format(out, ", q.%s", status_columns[i].name);
    if (is_source)
        buf_append_format(out, ", q.%s", silent_minutes.name);
    views_columns(out, target, is_source);
    buf_append_text(out, " FROM (");
}

static void append_table(struct buf *out, const struct views_target *target,
                         const struct level *level)
{
    if (level->name == NULL)
        views_all_levels(out, target);
    else
        buf_append_format(out, "\"%s_%s\"", target->rollup->name, level->name);
}

/* … FROM time d, regions of the level c */
static void append_region_from(struct buf *out, const struct views_target *target,
                               const struct views_step *step, const struct level *level)
{
    char word[16] = "NULL";
    if (level->name != NULL)
        snprintf(word, sizeof word, "'%s'", level->name);
    buf_append_format(out,
                      " FROM \"%s_%s\" d CROSS JOIN LATERAL region_status('%s', '%s', %s, %s, "
                      "d.starts, d.ends) c",
                      target->rollup->name, step->plural, target->kind, target->topic, word,
                      target->rollup->region_field == ENVELOPE_REGION ? "false" : "true");
}

static void append_region_view(struct buf *out, const struct views_target *target,
                               const struct views_step *step, const struct level *level)
{
    struct view view;
    char name[NAME_SIZE];
    bool is_all = level->name == NULL;
    if (is_all)
        snprintf(name, sizeof name, "%s_levels", target->rollup->name);
    else
        snprintf(name, sizeof name, "%s_%s_%s", target->rollup->name, level->name, step->suffix);
    open_view(&view, out, name);
    append_outer(out, target, is_all ? step->levels_head : step->region_head, false, false);
    append_region_head(out, step, &view);
    if (is_all)
        describe(&view, "level", "city, county or town 级别");
    append_status(out, target, &view);
    views_values(out, target);
    append_region_from(out, target, step, level);
    buf_append_text(out, " CROSS JOIN LATERAL (SELECT count(*) AS cells");
    views_aggregates(out, target, true);
    buf_append_text(out, " FROM ");
    append_table(out, target, level);
    buf_append_text(out,
                    " t WHERE t.region = c.region AND t.bucket_start >= d.starts AND "
                    "t.bucket_start < d.ends) v WHERE c.is_registered OR EXISTS (SELECT FROM ");
    append_table(out, target, level);
    buf_append_text(out, " t WHERE t.region = c.region)) q");
    views_comments(&view.comments, target, view.name);
    char gloss[NAME_SIZE];
    snprintf(gloss, sizeof gloss, "- %s %s", level->doc, step->gloss);
    close_view(&view, out, target->rollup->doc, gloss);
}

static void append_detail_view(struct buf *out, const struct views_target *target,
                               const struct level *level)
{
    struct view view;
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s_%s_daily_detail", target->rollup->name, level->name);
    open_view(&view, out, name);
    append_outer(out, target, views_day.region_head, true, false);
    append_region_head(out, &views_day, &view);
    append_dimensions(out, target, "v", ", ");
    append_status(out, target, &view);
    views_values(out, target);
    append_region_from(out, target, &views_day, level);
    buf_append_text(out, " CROSS JOIN LATERAL (SELECT count(*) AS cells");
    append_dimensions(out, target, "t", ", ");
    views_aggregates(out, target, true);
    buf_append_format(out,
                      " FROM \"%s_%s\" t WHERE t.region = c.region AND t.bucket_start >= d.starts "
                      "AND t.bucket_start < d.ends GROUP BY ",
                      target->rollup->name, level->name);
    append_dimensions(out, target, "t", "");
    buf_append_text(out, ") v) q");
    for (int i = 0; i < target->rollup->dimension_count; i++) {
        const struct field *field = &target->schema->fields[target->rollup->dimensions[i]];
        describe(&view, field->name, field->doc);
    }
    views_comments(&view.comments, target, view.name);
    char gloss[NAME_SIZE];
    snprintf(gloss, sizeof gloss, "- %s, detail 按日明细", level->doc);
    close_view(&view, out, target->rollup->doc, gloss);
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
    views_comments(&view->comments, target, view->name);
    for (int i = 0; i < target->rollup->column_count; i++)
        if (target->rollup->columns[i].aggregate == AGGREGATE_LAST)
            describe(view, target->rollup->columns[i].name, target->rollup->columns[i].doc);
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
    buf_append_format(out, ", c.%s", silent_minutes.name);
    describe(&view, silent_minutes.name, silent_minutes.doc);
    views_values(out, target);
    append_last_values(out, target);
    buf_append_format(out,
                      " FROM \"%s_%s\" d CROSS JOIN LATERAL source_status('%s', '%s', d.starts, "
                      "d.ends) c CROSS JOIN LATERAL (SELECT count(*) AS cells",
                      rollup, step->plural, target->kind, target->topic);
    views_aggregates(out, target, true);
    buf_append_format(out,
                      " FROM \"%s_source\" t WHERE t.source = c.source AND t.bucket_start >= "
                      "d.starts AND t.bucket_start < d.ends) v WHERE c.is_registered OR EXISTS "
                      "(SELECT FROM \"%s_source\" t WHERE t.source = c.source)) q",
                      rollup, rollup);
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
        views_append_direct(out, target);
    }
    views_append_stock(out, target);
}
