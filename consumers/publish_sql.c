/* SPDX-License-Identifier: Apache-2.0 */
#include "publish_sql.h"

#include "setup_sql.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum publish_rule publish_rule_of(const char *unit)
{
    static const struct {
        const char *unit;
        enum publish_rule rule;
    } rules[] = {
        {"person_times", PUBLISH_PERSONS},
        {"persons", PUBLISH_PERSONS},
        {"household_times", PUBLISH_PERSONS},
        {"households", PUBLISH_PERSONS},
        {"visits", PUBLISH_PERSONS}, /* each to a household */
        {"tubes", PUBLISH_PERSONS},  /* of a retest: of one person each */
        {"rooms", PUBLISH_PERSONS},  /* a person each in quarantine */
        {"vehicles", PUBLISH_THINGS},
        {"groups", PUBLISH_THINGS},
        {"posts", PUBLISH_THINGS},
        {"times", PUBLISH_THINGS},
        {"s", PUBLISH_THINGS},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (strcmp(rules[i].unit, unit) == 0)
            return rules[i].rule;
    return PUBLISH_NOT; /* minutes of persons, temperatures, percentages that are stored */
}

/* The next word of text, from *at on; false: there is none. */
static bool next_word(const char **at, const char **word, size_t *size)
{
    const char *c = *at;
    while (*c != '\0' && !isalpha((unsigned char)*c) && *c != '_')
        c += isdigit((unsigned char)*c) ? strspn(c, "0123456789abcdefghijklmnopqrstuvwxyz_") : 1;
    *word = c;
    while (isalnum((unsigned char)*c) || *c == '_')
        c++;
    *size = (size_t)(c - *word);
    *at = c;
    return *size > 0;
}

static bool is_word(const char *word, size_t size, const char *text)
{
    return strlen(text) == size && memcmp(word, text, size) == 0;
}

/* The rollup's own column that the word names: no derived one, no stock. NULL: none. */
static const struct publish_column *find_word(const struct publish_rollup *rollup, const char *word,
                                              size_t size)
{
    for (int i = 0; i < rollup->column_count; i++) {
        const struct publish_column *column = &rollup->columns[i];
        if (column->source <= PUBLISH_MAX && is_word(word, size, column->name))
            return column;
    }
    return NULL;
}

/* Whether the next column that is named after at divides: the word before says so. */
static bool leads_denominator(const char *word, size_t size)
{
    return is_word(word, size, "nullif") || is_word(word, size, "quantile");
}

/* A ratio is one that has a denominator and names only what is published. */
static bool is_ratio(const struct publish_rollup *rollup, const char *sql)
{
    bool has_denominator = false;
    bool is_led = false;
    const char *word;
    size_t size;
    for (const char *at = sql; next_word(&at, &word, &size);) {
        const struct publish_column *column = find_word(rollup, word, size);
        if (column != NULL && column->rule == PUBLISH_NOT)
            return false;
        has_denominator |= is_led && column != NULL;
        is_led = leads_denominator(word, size) || (is_led && column == NULL);
    }
    return has_denominator;
}

bool publish_add_column(struct publish_rollup *rollup, const struct publish_column *given,
                        const char *aggregate, const char *unit)
{
    static const struct {
        const char *aggregate;
        enum publish_source source;
    } sources[] = {
        {"count", PUBLISH_SUM}, {"sum", PUBLISH_SUM},    {"min", PUBLISH_MIN},
        {"max", PUBLISH_MAX},   {"last", PUBLISH_STOCK}, {"derived", PUBLISH_DERIVED},
    };
    struct publish_column column = *given;
    char stock[ROLLUP_NAME_MAX];
    column.source = PUBLISH_DERIVED;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (strcmp(sources[i].aggregate, aggregate) == 0)
            column.source = sources[i].source;
    column.rule = publish_rule_of(unit);
    column.gloss = rollup_unit_gloss(unit);
    if (column.source == PUBLISH_DERIVED) {
        column.rule = PUBLISH_NOT;
        if (rollup->is_by_region && rollup_stock_name(stock, column.name)) {
            snprintf(column.name, sizeof column.name, "%s", stock);
            column.source = PUBLISH_STOCK;
            column.rule = publish_rule_of(unit);
        } else if (is_ratio(rollup, column.sql)) {
            column.rule = PUBLISH_RATIO;
        }
    } else if (column.source != PUBLISH_STOCK && !rollup->is_by_region) {
        column.rule = PUBLISH_NOT;
    }
    if (rollup->column_count == VIEWS_COLUMNS_MAX)
        return false;
    rollup->columns[rollup->column_count++] = column;
    return true;
}

bool publish_is_shown(const struct publish_column *column, bool is_detail)
{
    return column->rule != PUBLISH_NOT && !(is_detail && column->source == PUBLISH_STOCK);
}

static bool has_column(const struct publish_rollup *rollup, bool is_detail)
{
    bool is_there = false;
    for (int i = 0; i < rollup->column_count; i++)
        is_there |= publish_is_shown(&rollup->columns[i], is_detail);
    return is_there;
}

bool publish_has_totals(const struct publish_rollup *rollup)
{
    return has_column(rollup, false);
}

bool publish_has_detail(const struct publish_rollup *rollup)
{
    return rollup->is_by_region && rollup->dimension_count > 0 && has_column(rollup, true);
}

void publish_table_name(char out[ROLLUP_NAME_MAX + 8], const struct publish_rollup *rollup,
                        bool is_detail)
{
    snprintf(out, ROLLUP_NAME_MAX + 8, "%s%s", rollup->name, is_detail ? "_detail" : "");
}

/* ---- tables ---- */

static const struct head {
    const char *name;
    const char *type;
    const char *doc;
    bool is_of_totals; /* not in the table by dimensions */
} heads[] = {
    {"cut_off", "timestamptz NOT NULL REFERENCES snapshot",
     "figures of the day up to this time, exclusive 截止时间", false},
    {"day", "date NOT NULL", "day, Asia/Shanghai 日期", false},
    {"level", "text COLLATE \"C\" NOT NULL", "city, county or town 级别", false},
    {"region", "text COLLATE \"C\" NOT NULL",
     "region code, - is outside of the city 地区代码, - 为外地", false},
    {"name", "text NOT NULL", "name in Chinese 名称", false},
    {"name_latin", "text NOT NULL", "name in Latin letters 拉丁字母名称", false},
    {"sources_expected", "bigint", "sources registered at or below it 应报来源数(个)", true},
    {"sources_heard", "bigint", "those that gave a sign of life 已报来源数(个)", true},
    {"complete", "boolean",
     "all expected heard in every hour of it, nothing missing or still to come, where there are "
     "stocks of no day before either, as known when it was published; NULL: none expected, or not "
     "known 是否完整",
     true},
};
#define HEAD_COUNT (sizeof heads / sizeof heads[0])

static const char withheld_doc[] = "figures of the row that are withheld: 1 to 7 in the city's "
                                   "totals, else 0 to 7. A NULL that is "
                                   "not named here is not known 不公布的数";

void publish_append_table(struct buf *out, const struct publish_rollup *rollup, bool is_detail)
{
    char table[ROLLUP_NAME_MAX + 8];
    publish_table_name(table, rollup, is_detail);
    buf_append_format(out, "CREATE TABLE \"%s\" (", table);
    for (size_t i = 0; i < HEAD_COUNT; i++)
        if (!is_detail || !heads[i].is_of_totals)
            buf_append_format(out, "%s %s, ", heads[i].name, heads[i].type);
    for (int i = 0; is_detail && i < rollup->dimension_count; i++)
        buf_append_format(out, "\"%s\" text COLLATE \"C\" NOT NULL, ", rollup->dimensions[i]);
    buf_append_text(out, "withheld text[] NOT NULL, PRIMARY KEY (cut_off, region");
    for (int i = 0; is_detail && i < rollup->dimension_count; i++)
        buf_append_format(out, ", \"%s\"", rollup->dimensions[i]);
    buf_append_text(out, "))");
    sql_end(out);
    sql_comment(out, "TABLE", table, rollup->doc,
                is_detail ? "- published, by dimensions 对外发布明细" : "- published 对外发布");
    for (size_t i = 0; i < HEAD_COUNT; i++)
        if (!is_detail || !heads[i].is_of_totals)
            sql_comment_column(out, table, heads[i].name, heads[i].doc);
    for (int i = 0; is_detail && i < rollup->dimension_count; i++)
        sql_comment_column(out, table, rollup->dimensions[i], rollup->dimension_docs[i]);
    sql_comment_column(out, table, "withheld", withheld_doc);
}

void publish_append_doc(struct buf *out, const struct publish_column *column)
{
    const char *rule = "; exact, but below the city withheld below 8 实数, 市以下不足8不公布";
    if (column->rule == PUBLISH_PERSONS)
        rule = "; rounded to 5, withheld below 8 取整到5, 不足8不公布";
    else if (column->rule == PUBLISH_RATIO)
        rule = "; from published figures, denominators from 8 on 由已公布的数算出";
    size_t unit_size = strlen(column->gloss) + 2; /* with its brackets, where the doc has it */
    size_t size = strlen(column->doc);
    const char *end = size < unit_size ? column->doc : column->doc + size - unit_size;
    if (*end == '(' && column->doc[size - 1] == ')' &&
        strncmp(end + 1, column->gloss, unit_size - 2) == 0)
        size -= unit_size;
    buf_append_format(out, "%.*s%s%s(%s)", (int)size, column->doc,
                      column->source == PUBLISH_STOCK ? ", at the cut-off 截止时存量" : "", rule,
                      column->gloss);
}

void publish_append_column(struct buf *out, const struct publish_rollup *rollup, bool is_detail,
                           const struct publish_column *column)
{
    char table[ROLLUP_NAME_MAX + 8];
    publish_table_name(table, rollup, is_detail);
    buf_append_format(out, "ALTER TABLE \"%s\" ADD COLUMN \"%s\" %s", table, column->name,
                      column->rule == PUBLISH_RATIO ? "numeric" : "bigint");
    sql_end(out);
}

/* ---- rows ---- */

/* Each dimension as alias."name", lead before each. */
static void append_dimensions(struct buf *out, const struct publish_rollup *rollup,
                              const char *lead, const char *alias)
{
    for (int i = 0; i < rollup->dimension_count; i++)
        buf_append_format(out, "%s%s.\"%s\"", lead, alias, rollup->dimensions[i]);
}

/* Sums and extremes of the cells t. One that was there before a column was added has not counted
 * all its events: then nobody knows the sum. */
static void append_aggregates(struct buf *out, const struct publish_rollup *rollup)
{
    static const char *const functions[] = {[PUBLISH_MIN] = "min", [PUBLISH_MAX] = "max"};
    for (int i = 0; i < rollup->column_count; i++) {
        const struct publish_column *column = &rollup->columns[i];
        const char *name = column->name;
        if (column->rule == PUBLISH_NOT || column->source > PUBLISH_MAX)
            continue;
        if (column->source == PUBLISH_SUM)
            buf_append_format(out,
                              ", CASE WHEN count(t.\"%s\") = count(*) THEN sum(t.\"%s\")::bigint "
                              "END AS \"%s\"",
                              name, name, name);
        else
            buf_append_format(out, ", %s(t.\"%s\") AS \"%s\"", functions[column->source], name,
                              name);
    }
}

/* Exact figures, from v (counted), c (heard) and k (stocks). */
static void append_exact(struct buf *out, const struct publish_rollup *rollup, bool is_detail)
{
    const char *zero = "";
    if (rollup->proves_zeros)
        zero = is_detail ? " ELSE 0" : " WHEN c.heard > 0 THEN 0";
    for (int i = 0; i < rollup->column_count; i++) {
        const struct publish_column *column = &rollup->columns[i];
        if (!publish_is_shown(column, is_detail) || column->source == PUBLISH_DERIVED)
            continue;
        if (column->source == PUBLISH_SUM)
            buf_append_format(out, ", CASE WHEN v.cells > 0 THEN v.\"%s\"%s END AS \"%s\"",
                              column->name, zero, column->name);
        else
            buf_append_format(out, ", %s.\"%s\"", column->source == PUBLISH_STOCK ? "k" : "v",
                              column->name);
    }
}

static bool has_stock(const struct publish_rollup *rollup)
{
    bool is_there = false;
    for (int i = 0; i < rollup->column_count; i++)
        is_there |= publish_is_shown(&rollup->columns[i], false) &&
                    rollup->columns[i].source == PUBLISH_STOCK;
    return is_there;
}

static void append_span(struct buf *out, const struct publish_place *place)
{
    buf_append_format(out,
                      " t WHERE t.bucket_start >= timestamptz '%s' AND t.bucket_start < "
                      "timestamptz '%s'",
                      place->starts, place->cut_off);
}

/* A stock needs all days before the day, too; where none is known the day decides alone. */
static const char stock_complete[] =
    "CASE WHEN k.region IS NULL THEN c.complete ELSE c.complete AND k.complete END AS complete";

static void append_totals(struct buf *out, const struct publish_rollup *rollup,
                          const struct publish_place *place)
{
    buf_append_format(out,
                      "SELECT timestamptz '%s' AS cut_off, date '%s' AS day, c.of_level AS level, "
                      "c.region, c.name, c.name_latin, c.expected AS sources_expected, c.heard AS "
                      "sources_heard, %s, c.of_level <> 'city' AS is_fine",
                      place->cut_off, place->day,
                      has_stock(rollup) ? stock_complete : "c.complete");
    append_exact(out, rollup, false);
    buf_append_format(out,
                      " FROM region_status('%s', '%s', NULL, %s, timestamptz '%s', timestamptz "
                      "'%s') c",
                      rollup->kind, rollup->topic, rollup->is_role ? "true" : "false",
                      place->starts, place->cut_off);
    if (rollup->is_by_region) {
        buf_append_text(out, " LEFT JOIN (SELECT t.region, count(*) AS cells");
        append_aggregates(out, rollup);
        buf_append_format(out,
                          " FROM (SELECT * FROM \"%s_town\" UNION ALL SELECT * FROM \"%s_county\" "
                          "UNION ALL SELECT * FROM \"%s_city\")",
                          rollup->name, rollup->name, rollup->name);
        append_span(out, place);
        buf_append_text(out, " GROUP BY t.region) v ON v.region = c.region");
    }
    if (has_stock(rollup))
        buf_append_format(out,
                          " LEFT JOIN \"%s_stock_at\"(timestamptz '%s') k ON k.region = c.region",
                          rollup->name, place->cut_off);
}

/* Every node beside all values there can be: a row that is not there would tell a zero, and one
 * that is new, that the first of them came in this hour. */
static void append_detail(struct buf *out, const struct publish_rollup *rollup,
                          const struct publish_place *place)
{
    buf_append_format(out,
                      "SELECT timestamptz '%s' AS cut_off, date '%s' AS day, r.level, r.code AS "
                      "region, r.name, r.name_latin",
                      place->cut_off, place->day);
    append_dimensions(out, rollup, ", ", "d");
    buf_append_text(out, ", true AS is_fine");
    append_exact(out, rollup, true);
    buf_append_text(out, " FROM region r CROSS JOIN (SELECT * FROM ");
    for (int i = 0; i < rollup->dimension_count; i++)
        buf_append_format(out, "%sunnest('{%s}'::text[]) s%d (\"%s\")", i == 0 ? "" : ", ",
                          rollup->dimension_symbols[i], i, rollup->dimensions[i]);
    buf_append_text(out, ") d LEFT JOIN (SELECT t.region");
    append_dimensions(out, rollup, ", ", "t");
    buf_append_text(out, ", count(*) AS cells");
    append_aggregates(out, rollup);
    buf_append_format(out,
                      " FROM (SELECT * FROM \"%s_county\" UNION ALL SELECT * FROM \"%s_city\")",
                      rollup->name, rollup->name);
    append_span(out, place);
    buf_append_text(out, " GROUP BY t.region");
    append_dimensions(out, rollup, ", ", "t");
    buf_append_text(out, ") v ON v.region = r.code");
    for (int i = 0; i < rollup->dimension_count; i++)
        buf_append_format(out, " AND v.\"%s\" = d.\"%s\"", rollup->dimensions[i],
                          rollup->dimensions[i]);
    buf_append_text(out, " WHERE r.level IN ('city', 'county')");
}

/* Columns that every row has, then figures, then ratios: names with lead before each. */
static void append_names(struct buf *out, const struct publish_rollup *rollup, bool is_detail,
                         const char *lead)
{
    for (size_t i = 0; i < HEAD_COUNT; i++)
        if (!is_detail || !heads[i].is_of_totals)
            buf_append_format(out, "%s%s%s", i == 0 ? "" : ", ", lead, heads[i].name);
    for (int i = 0; is_detail && i < rollup->dimension_count; i++)
        buf_append_format(out, ", %s\"%s\"", lead, rollup->dimensions[i]);
}

static void append_ratio(struct buf *out, const struct publish_rollup *rollup,
                         const struct publish_column *ratio, const char *schema_name)
{
    bool is_led = false;
    const char *word;
    size_t size;
    buf_append_text(out, ", CASE WHEN true");
    for (const char *at = ratio->sql; next_word(&at, &word, &size);) {
        const struct publish_column *column = find_word(rollup, word, size);
        if (column != NULL && is_led)
            buf_append_format(out, " AND p.\"%s\" >= %d", column->name, PUBLISH_DENOMINATOR_MIN);
        else if (column != NULL)
            buf_append_format(out, " AND p.\"%s\" IS NOT NULL", column->name);
        is_led = leads_denominator(word, size) || (is_led && column == NULL);
    }
    buf_append_text(out, " THEN round((");
    sql_expression(out, ratio->sql, schema_name);
    buf_append_format(out, ")::numeric, 1) END AS \"%s\"", ratio->name);
}

/* Figures by their rule from e, and which of them are withheld. */
static void append_ruled(struct buf *out, const struct publish_rollup *rollup, bool is_detail)
{
    struct buf withheld = BUF_INIT;
    for (int i = 0; i < rollup->column_count; i++) {
        const struct publish_column *column = &rollup->columns[i];
        const char *name = column->name;
        if (!publish_is_shown(column, is_detail) || column->rule == PUBLISH_RATIO)
            continue;
        const char *rule = column->rule == PUBLISH_PERSONS ? "persons" : "things";
        buf_append_format(out, ", publish_%s(e.\"%s\", e.is_fine) AS \"%s\"", rule, name, name);
        buf_append_format(&withheld,
                          "%sCASE WHEN publish_%s(e.\"%s\", e.is_fine) IS NULL AND (e.is_fine OR "
                          "e.\"%s\" IS NOT NULL) THEN '%s' END",
                          withheld.size == 0 ? "" : ", ", rule, name, name, name);
    }
    buf_append_format(out, ", array_remove(ARRAY[%s]::text[], NULL) AS withheld",
                      buf_text(&withheld));
    out->is_failed |= withheld.is_failed;
    buf_release(&withheld);
}

void publish_append_insert(struct buf *out, const struct publish_rollup *rollup, bool is_detail,
                           const struct publish_place *place)
{
    char table[ROLLUP_NAME_MAX + 8];
    publish_table_name(table, rollup, is_detail);
    struct buf figures = BUF_INIT;
    struct buf values = BUF_INIT;
    for (int i = 0; i < rollup->column_count; i++) {
        const struct publish_column *column = &rollup->columns[i];
        if (!publish_is_shown(column, is_detail))
            continue;
        buf_append_format(&figures, ", \"%s\"", column->name);
        if (column->rule == PUBLISH_RATIO)
            append_ratio(&values, rollup, column, place->schema_name);
        else
            buf_append_format(&values, ", p.\"%s\"", column->name);
    }
    buf_append_format(out, "WITH new AS (INSERT INTO \"%s\".\"%s\" (", place->published, table);
    append_names(out, rollup, is_detail, "");
    buf_append_format(out, ", withheld%s) SELECT ", buf_text(&figures));
    append_names(out, rollup, is_detail, "p.");
    buf_append_format(out, ", p.withheld%s FROM (SELECT ", buf_text(&values));
    append_names(out, rollup, is_detail, "e.");
    append_ruled(out, rollup, is_detail);
    buf_append_text(out, " FROM (");
    if (is_detail)
        append_detail(out, rollup, place);
    else
        append_totals(out, rollup, place);
    buf_append_text(out, ") e) p RETURNING cardinality(withheld) AS withheld) "
                         "SELECT count(*), coalesce(sum(withheld), 0) FROM new");
    out->is_failed |= figures.is_failed || values.is_failed;
    buf_release(&figures);
    buf_release(&values);
}
