/* SPDX-License-Identifier: Apache-2.0 */
#include "setup_sql.h"
#include "setup_views.h"

#include <stdio.h>

#define NAME_SIZE 80
#define OF_THE_TIME "t.bucket_start >= d.starts AND t.bucket_start < d.ends"

static void name_view(char name[NAME_SIZE], const struct views_target *target, const char *suffix)
{
    snprintf(name, NAME_SIZE, "%s_%s", target->rollup->name, suffix);
}

static void comment_columns(struct buf *out, const struct views_target *target, const char *view)
{
    sql_comment_column(out, view, "day", views_day.doc);
    views_status_comments(out, view);
    views_comments(out, target, view, VIEWS_SUMS);
}

static void append_direct(struct buf *out, const struct views_target *target)
{
    const struct rollup *rollup = target->rollup;
    char view[NAME_SIZE];
    name_view(view, target, "direct");
    buf_append_format(out, "CREATE OR REPLACE VIEW \"%s\" AS SELECT %s", view,
                      views_day.levels_head);
    views_status_names(out, "q");
    views_columns(out, target, VIEWS_SUMS);
    buf_append_text(out,
                    " FROM (SELECT d.day, c.of_level AS level, c.region, c.name, c.name_latin");
    views_status(out, target);
    for (int i = 0; i < rollup->column_count; i++) {
        const char *name = rollup->columns[i].name;
        if (views_is_sum(&rollup->columns[i]))
            buf_append_format(out, ", n.\"%s\" - coalesce(k.\"%s\", 0) AS \"%s\"", name, name,
                              name);
    }
    buf_append_format(out,
                      " FROM \"%s_days\" d CROSS JOIN LATERAL region_status('%s', '%s', NULL, %s, "
                      "d.starts, d.ends) c CROSS JOIN LATERAL (SELECT count(*) AS cells",
                      rollup->name, target->kind, target->topic, views_is_everywhere(target));
    views_aggregates(out, target, false);
    buf_append_text(out, " FROM ");
    views_all_levels(out, target, "c.of_level");
    buf_append_text(out, " t WHERE t.region = c.region AND " OF_THE_TIME
                         ") n CROSS JOIN LATERAL (SELECT count(*) AS cells");
    views_aggregates(out, target, false);
    buf_append_text(out, " FROM region y CROSS JOIN LATERAL ");
    views_all_levels(out, target, "y.level");
    buf_append_text(out, " t WHERE t.region = y.code AND y.parent = c.region AND " OF_THE_TIME
                         ") k WHERE n.cells > 0 AND EXISTS (SELECT FROM region y WHERE "
                         "y.parent = c.region)) q");
    sql_end(out);
    sql_comment(out, "VIEW", view, rollup->doc,
                "- a node's own part: itself minus its children, as far as counted; complete is "
                "said of the node 按日本级直属");
    views_place_comments(out, view, true);
    comment_columns(out, target, view);
}

/* Sums and derived columns by their names, in the views' order. */
static void append_names(struct buf *out, const struct views_target *target, const char *alias)
{
    const struct rollup *rollup = target->rollup;
    for (int i = 0; i < rollup->column_count + rollup->derived_count; i++) {
        int index = target->order[i];
        if (index >= rollup->column_count)
            buf_append_format(out, ", %s.\"%s\"", alias,
                              rollup->derived[index - rollup->column_count].name);
        else if (views_is_sum(&rollup->columns[index]))
            buf_append_format(out, ", %s.\"%s\"", alias, rollup->columns[index].name);
    }
}

static void append_all_parts(struct buf *out, const struct views_target *target)
{
    const char *rollup = target->rollup->name;
    char view[NAME_SIZE];
    name_view(view, target, "parts");
    buf_append_format(out,
                      "CREATE OR REPLACE VIEW \"%s\" AS SELECT l.day, r.parent AS whole, l.level, "
                      "l.region, l.name, l.name_latin, false AS is_direct",
                      view);
    views_status_names(out, "l");
    append_names(out, target, "l");
    buf_append_format(out,
                      " FROM \"%s_levels\" l JOIN region r ON r.code = l.region WHERE r.parent IS "
                      "NOT NULL UNION ALL SELECT d.day, d.region, d.level, d.region, d.name, "
                      "d.name_latin, true",
                      rollup);
    views_status_names(out, "d");
    append_names(out, target, "d");
    buf_append_format(out, " FROM \"%s_direct\" d", rollup);
    sql_end(out);
    sql_comment(out, "VIEW", view, target->rollup->doc,
                "- what adds up to a node: its own part, and each node below it 按日构成");
    sql_comment_column(out, view, "whole", "node that the part belongs to 上级地区代码");
    views_place_comments(out, view, true);
    sql_comment_column(out, view, "is_direct",
                       "the own part of the node, not of one below it 是否本级直属");
    comment_columns(out, target, view);
}

/* A cell that was there before a column was added has not counted all its events. */
static void append_weighted(struct buf *out, const struct views_target *target)
{
    for (int i = 0; i < target->rollup->column_count; i++) {
        const char *name = target->rollup->columns[i].name;
        if (!views_is_sum(&target->rollup->columns[i]))
            continue;
        if (target->is_added[i])
            buf_append_format(out, ", CASE WHEN count(t.\"%s\") = count(*) THEN ", name);
        else
            buf_append_text(out, ", ");
        buf_append_format(out, "sum(w.weight * t.\"%s\")::bigint%s AS \"%s\"", name,
                          target->is_added[i] ? " END" : "", name);
    }
}

static void append_statistical(struct buf *out, const struct views_target *target)
{
    const struct rollup *rollup = target->rollup;
    char view[NAME_SIZE];
    name_view(view, target, "statistical");
    buf_append_format(out,
                      "CREATE OR REPLACE VIEW \"%s\" AS SELECT q.day, q.region, q.name, "
                      "q.name_latin, q.units",
                      view);
    views_status_names(out, "q");
    views_columns(out, target, VIEWS_SUMS);
    buf_append_text(out, " FROM (SELECT d.day, c.region, c.name, c.name_latin, c.units");
    views_status(out, target);
    views_values(out, target, false);
    buf_append_format(out,
                      " FROM \"%s_days\" d CROSS JOIN LATERAL statistical_status('%s', '%s', %s, "
                      "d.starts, d.ends) c CROSS JOIN LATERAL (SELECT count(*) AS cells",
                      rollup->name, target->kind, target->topic, views_is_everywhere(target));
    append_weighted(out, target);
    buf_append_text(out, " FROM statistical_share w CROSS JOIN LATERAL ");
    views_all_levels(out, target, "w.level");
    buf_append_text(out,
                    " t WHERE t.region = w.region AND w.statistical = c.region AND " OF_THE_TIME
                    ") v WHERE c.is_county OR v.cells > 0) q");
    sql_end(out);
    sql_comment(out, "VIEW", view, rollup->doc,
                "- by county of the national statistics; what lies in none stands under its own "
                "code 按统计区划");
    views_place_comments(out, view, false);
    sql_comment_column(out, view, "units", "reporting units with places in it 所含上报单位");
    comment_columns(out, target, view);
}

void views_append_parts(struct buf *out, const struct views_target *target)
{
    append_direct(out, target);
    append_all_parts(out, target);
    append_statistical(out, target);
}
