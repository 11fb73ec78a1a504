/* SPDX-License-Identifier: Apache-2.0 */
#include "rolldef_column.h"

#include "../common/buf.h"
#include "../common/text.h"
#include "document.h"

#include <stdlib.h>
#include <string.h>

#define SUMMED_MAX INT64_C(1000000000) /* so that a sum of 10^9 events still fits a bigint */
#define MARK "{}"
#define MARK_DOC "{doc}"

static const char *const aggregate_names[] = {"count", "sum", "min", "max", "last"};

static const struct {
    const char *unit;
    const char *gloss;
} units[] = {
    {"person_times", "人次"},
    {"persons", "人"},
    {"person_minutes", "人分钟"},
    {"household_times", "户次"},
    {"households", "户"},
    {"visits", "次"},
    {"vehicles", "辆"},
    {"groups", "批"},
    {"tubes", "管"},
    {"posts", "个"},
    {"rooms", "间"},
    {"times", "次"},
    {"s", "秒"},
    {"min", "分钟"},
    {"decicelsius", "0.1℃"},
    {"percent", "%"},
};
#define UNIT_COUNT (sizeof units / sizeof units[0])

/* What an entry is repeated for: one item of "each", or one edge of "within". */
struct item {
    const char *text;
    const char *doc; /* NULL: none was given */
};

/* What parsing the columns carries along. */
struct parsing {
    const struct schema *schema;
    struct rollup *rollup;
};

/* An edge of "within": field <= edge; field -1: none. */
struct edge {
    int field;
    int64_t value;
};

const char *aggregate_name(enum aggregate aggregate)
{
    fx_assert(aggregate <= AGGREGATE_LAST);
    return aggregate_names[aggregate];
}

const char *rollup_unit_gloss(const char *unit)
{
    for (size_t i = 0; i < UNIT_COUNT; i++)
        if (strcmp(units[i].unit, unit) == 0)
            return units[i].gloss;
    return "";
}

void column_release(struct rollup_column *column)
{
    for (int i = 0; i < column->condition_count; i++)
        for (int j = 0; j < ROLLUP_VALUES_MAX; j++)
            free(column->conditions[i].texts[j]);
    free(column->doc);
}

/* The longest unit that the first size bytes of name end in (or are), NULL if none. */
static const char *find_suffix(const char *name, size_t size)
{
    const char *best = NULL;
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        size_t length = strlen(units[i].unit);
        if (length > size || memcmp(name + size - length, units[i].unit, length) != 0)
            continue;
        bool is_word = length == size || name[size - length - 1] == '_';
        if (is_word && (best == NULL || length > strlen(best)))
            best = units[i].unit;
    }
    return best;
}

const char *rolldef_find_unit(const char *name, const char **extreme)
{
    size_t size = strlen(name);
    const char *tail = size > 4 ? name + size - 4 : "";
    bool is_extreme = strcmp(tail, "_max") == 0 || strcmp(tail, "_min") == 0;
    const char *unit = is_extreme ? find_suffix(name, size - 4) : NULL;
    *extreme = unit == NULL ? "" : tail;
    return unit == NULL ? find_suffix(name, size) : unit;
}

/* Appends text with every mark replaced. */
static void append_replaced(struct buf *out, const char *text, const char *mark, const char *with)
{
    for (const char *at = strstr(text, mark); at != NULL; at = strstr(text, mark)) {
        buf_append(out, text, (size_t)(at - text));
        buf_append_text(out, with);
        text = at + strlen(mark);
    }
    buf_append_text(out, text);
}

/* text with "{}" and, where the item has one, "{doc}" replaced, as a new JSON string. */
static json_t *replace_marks(const char *text, const struct item *item)
{
    struct buf once = BUF_INIT;
    struct buf twice = BUF_INIT;
    append_replaced(&once, text, MARK, item->text);
    const char *half = buf_text(&once);
    append_replaced(&twice, half, MARK_DOC, item->doc == NULL ? MARK_DOC : item->doc);
    const char *whole = buf_text(&twice);
    json_t *made = once.is_failed || twice.is_failed ? NULL : json_string(whole);
    buf_release(&once);
    buf_release(&twice);
    return made;
}

static json_t *replace_in_array(const json_t *array, const struct item *item)
{
    json_t *made = json_array();
    for (size_t i = 0; made != NULL && i < json_array_size(array); i++) {
        json_t *value = json_array_get(array, i);
        json_t *fresh = json_is_string(value) ? replace_marks(json_string_value(value), item)
                                              : json_incref(value);
        if (json_array_append_new(made, fresh) != 0) {
            json_decref(made);
            return NULL;
        }
    }
    return made;
}

static json_t *replace_in_any(const json_t *value, const struct item *item);

static json_t *replace_in_object(const json_t *object, const struct item *item)
{
    json_t *members = (json_t *)(uintptr_t)object;
    json_t *made = json_object();
    for (void *at = json_object_iter(members); made != NULL && at != NULL;
         at = json_object_iter_next(members, at)) {
        json_t *key = replace_marks(json_object_iter_key(at), item);
        json_t *value = replace_in_any(json_object_iter_value(at), item);
        int failed = json_object_set_new(made, key == NULL ? "" : json_string_value(key), value);
        bool is_whole = failed == 0 && key != NULL;
        json_decref(key);
        if (!is_whole) {
            json_decref(made);
            return NULL;
        }
    }
    return made;
}

/* A copy of value for item; depth is bounded by document_parse. NULL: no memory. */
static json_t *replace_in_any(const json_t *value, const struct item *item)
{
    if (json_is_string(value))
        return replace_marks(json_string_value(value), item);
    if (json_is_array(value))
        return replace_in_array(value, item);
    if (json_is_object(value))
        return replace_in_object(value, item);
    return json_incref((json_t *)(uintptr_t)value);
}

/* entry for one item of its "each": names get the item in lower case. */
static enum fx_code make_entry(const json_t *entry, const struct item *item, json_t **made,
                               struct fx_err *err)
{
    char lower[ROLLUP_NAME_MAX];
    struct item lowered = {text_lower(lower, sizeof lower, item->text), NULL};
    json_t *fresh = replace_in_object(entry, item);
    const char *name = json_string_value(json_object_get(entry, "name"));
    json_t *fresh_name = name == NULL ? NULL : replace_marks(name, &lowered);
    bool is_made = fresh != NULL && json_object_del(fresh, "each") == 0 &&
                   (name == NULL || json_object_set(fresh, "name", fresh_name) == 0);
    json_decref(fresh_name);
    if (!is_made) {
        json_decref(fresh);
        return fx_err_set(err, FX_EMEMORY, "no memory");
    }
    *made = fresh;
    return FX_OK;
}

static enum fx_code parse_name(const struct rollup *rollup, const char *name,
                               struct rollup_column *column, struct fx_err *err)
{
    const char *extreme = "";
    if (!text_is_identifier(name))
        return fx_err_set(err, FX_ECONFIG, "the name \"%.64s\" is not [a-z_][a-z0-9_]*", name);
    column->unit = rolldef_find_unit(name, &extreme);
    if (column->unit == NULL)
        return fx_err_set(err, FX_ECONFIG,
                          "the name \"%s\" ends in no unit, such as _persons, _times or _s", name);
    const char *wanted = column->aggregate == AGGREGATE_MAX   ? "_max"
                         : column->aggregate == AGGREGATE_MIN ? "_min"
                                                              : "";
    if (strcmp(extreme, wanted) != 0)
        return fx_err_set(err, FX_ECONFIG, "the name of a %s ends in its unit%s%s",
                          aggregate_names[column->aggregate], wanted[0] == '\0' ? "" : " and ",
                          wanted);
    for (int i = 0; i < rollup->column_count; i++)
        if (strcmp(rollup->columns[i].name, name) == 0)
            return fx_err_set(err, FX_ECONFIG, "two columns are named \"%s\"", name);
    text_copy(column->name, sizeof column->name, name);
    return FX_OK;
}

/* The one aggregate that entry names, and its operand. */
static enum fx_code find_aggregate(const json_t *entry, enum aggregate *aggregate,
                                   const json_t **operand, struct fx_err *err)
{
    int found = 0;
    for (int i = AGGREGATE_COUNT; i <= AGGREGATE_LAST; i++) {
        const json_t *value = json_object_get(entry, aggregate_names[i]);
        if (value == NULL)
            continue;
        found++;
        *aggregate = (enum aggregate)i;
        *operand = value;
    }
    if (found != 1)
        return fx_err_set(err, FX_ECONFIG, "has %s of count, sum, min, max and last",
                          found == 0 ? "none" : "more than one");
    return FX_OK;
}

static enum fx_code check_aggregated(const struct rollup *rollup,
                                     const struct rollup_column *column, const struct field *field,
                                     struct fx_err *err)
{
    const char *name = aggregate_names[column->aggregate];
    if (column->field < ENVELOPE_COUNT)
        return fx_err_set(err, FX_ECONFIG, "field \"%s\" belongs to the envelope", field->name);
    if (!rolldef_is_number(field))
        return fx_err_set(err, FX_ECONFIG, "%s of \"%s\", which is no int or long", name,
                          field->name);
    bool is_small = field->min >= -SUMMED_MAX && field->max <= SUMMED_MAX;
    if (column->aggregate == AGGREGATE_SUM && !is_small)
        return fx_err_set(err, FX_ECONFIG, "sum of \"%s\", whose min or max is beyond %lld", name,
                          (long long)SUMMED_MAX);
    /* cells and tables in the making mark "no value yet" by the lowest long there is */
    bool is_kept = column->aggregate != AGGREGATE_SUM;
    if (is_kept && field->min == INT64_MIN)
        return fx_err_set(err, FX_ECONFIG,
                          "%s of \"%s\", a long without min: its lowest value would be no value",
                          name, field->name);
    if (column->aggregate == AGGREGATE_LAST && !rollup->by_source)
        return fx_err_set(err, FX_ECONFIG, "last needs \"by\" to name source");
    return FX_OK;
}

static enum fx_code parse_aggregate(const struct parsing *parsing, const json_t *entry,
                                    struct rollup_column *column, struct fx_err *err)
{
    const json_t *operand = NULL;
    if (find_aggregate(entry, &column->aggregate, &operand, err) != FX_OK)
        return err->code;
    if (column->aggregate == AGGREGATE_COUNT) {
        column->field = -1;
        return json_is_true(operand) ? FX_OK
                                     : fx_err_set(err, FX_ECONFIG, "\"count\" is always true");
    }
    if (!json_is_string(operand))
        return fx_err_set(err, FX_ECONFIG, "\"%s\" names no field",
                          aggregate_names[column->aggregate]);
    if (rolldef_find_field(parsing->schema, json_string_value(operand), &column->field, err) !=
        FX_OK)
        return err->code;
    return check_aggregated(parsing->rollup, column, &parsing->schema->fields[column->field], err);
}

static enum fx_code parse_doc(const json_t *entry, struct rollup_column *column, struct fx_err *err)
{
    const char *doc = NULL;
    if (document_string(entry, "doc", "", &doc, err) != FX_OK)
        return err->code;
    if (strstr(doc, MARK) != NULL || strstr(doc, MARK_DOC) != NULL)
        return fx_err_set(
            err, FX_ECONFIG,
            "\"doc\" holds {} without each or within, or {doc} while each gives none");
    if (document_check_doc(doc, err) != FX_OK)
        return err->code;
    return document_copy(doc, &column->doc, err);
}

static enum fx_code add_column(const struct parsing *parsing, const json_t *entry,
                               const struct edge *edge, struct fx_err *err)
{
    struct rollup *rollup = parsing->rollup;
    const char *name = NULL;
    if (rollup->column_count == ROLLUP_COLUMNS_MAX)
        return fx_err_set(err, FX_ECONFIG, "more than %d columns", ROLLUP_COLUMNS_MAX);
    struct rollup_column *column = &rollup->columns[rollup->column_count];
    if (document_string(entry, "name", NULL, &name, err) != FX_OK ||
        parse_aggregate(parsing, entry, column, err) != FX_OK ||
        parse_name(rollup, name, column, err) != FX_OK)
        return err->code;
    rollup->column_count++;
    if (parse_doc(entry, column, err) != FX_OK ||
        conditions_parse(json_object_get(entry, "where"), parsing->schema, column, err) != FX_OK)
        return err->code;
    return edge == NULL ? FX_OK : condition_add_edge(edge->field, edge->value, column, err);
}

/* One column of a "within" entry: "{}" is the edge's label. */
static enum fx_code add_within(const struct parsing *parsing, const json_t *entry,
                               const char *label, const struct edge *edge, struct fx_err *err)
{
    struct item item = {label, NULL};
    json_t *fresh = replace_in_object(entry, &item);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory");
    enum fx_code code = add_column(parsing, fresh, edge, err);
    json_decref(fresh);
    return code;
}

static enum fx_code find_measured(const struct parsing *parsing, const json_t *within, int *field,
                                  json_t **edges, struct fx_err *err)
{
    json_t *members = (json_t *)(uintptr_t)within;
    if (!json_is_object(within) || json_object_size(within) != 1)
        return fx_err_set(err, FX_ECONFIG, "\"within\" names no single field");
    void *only = json_object_iter(members);
    *edges = json_object_iter_value(only);
    if (rolldef_find_field(parsing->schema, json_object_iter_key(only), field, err) != FX_OK)
        return err->code;
    if (*field < ENVELOPE_COUNT || !rolldef_is_number(&parsing->schema->fields[*field]))
        return fx_err_set(err, FX_ECONFIG, "field \"%s\" is no int or long",
                          json_object_iter_key(only));
    if (!json_is_object(*edges) || json_object_size(*edges) == 0)
        return fx_err_set(err, FX_ECONFIG, "\"within\" has no edges such as {\"5min\": 300}");
    return FX_OK;
}

/* jansson keeps the members of an object in the order of the file. */
static enum fx_code parse_within(const struct parsing *parsing, const json_t *entry,
                                 struct fx_err *err)
{
    struct edge edge = {-1, INT64_MIN};
    json_t *edges = NULL;
    if (find_measured(parsing, json_object_get(entry, "within"), &edge.field, &edges, err) != FX_OK)
        return err->code;
    for (void *at = json_object_iter(edges); at != NULL; at = json_object_iter_next(edges, at)) {
        const char *label = json_object_iter_key(at);
        const json_t *value = json_object_iter_value(at);
        if (!json_is_integer(value) || json_integer_value(value) <= edge.value)
            return fx_err_set(err, FX_ECONFIG,
                              "edge \"%.64s\" is no whole number above the edge before", label);
        edge.value = json_integer_value(value);
        if (add_within(parsing, entry, label, &edge, err) != FX_OK)
            return fx_err_wrap(err, "edge \"%.64s\"", label);
    }
    return FX_OK;
}

static enum fx_code parse_plain(const struct parsing *parsing, const json_t *entry,
                                struct fx_err *err)
{
    return json_object_get(entry, "within") == NULL ? add_column(parsing, entry, NULL, err)
                                                    : parse_within(parsing, entry, err);
}

static enum fx_code parse_item(const struct parsing *parsing, const json_t *entry,
                               const struct item *item, struct fx_err *err)
{
    json_t *fresh = NULL;
    if (strlen(item->text) >= ROLLUP_NAME_MAX)
        return fx_err_set(err, FX_ECONFIG, "each \"%.64s…\": more than %d bytes", item->text,
                          ROLLUP_NAME_MAX - 1);
    if (make_entry(entry, item, &fresh, err) != FX_OK)
        return err->code;
    enum fx_code code = parse_plain(parsing, fresh, err);
    json_decref(fresh);
    return code == FX_OK ? FX_OK : fx_err_wrap(err, "each \"%.64s\"", item->text);
}

static enum fx_code parse_each_list(const struct parsing *parsing, const json_t *entry,
                                    const json_t *each, struct fx_err *err)
{
    for (size_t i = 0; i < json_array_size(each); i++) {
        struct item item = {json_string_value(json_array_get(each, i)), NULL};
        if (item.text == NULL)
            return fx_err_set(err, FX_ECONFIG, "\"each\" lists strings only");
        if (parse_item(parsing, entry, &item, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

static enum fx_code parse_each(const struct parsing *parsing, const json_t *entry, json_t *each,
                               struct fx_err *err)
{
    if (json_object_get(entry, "within") != NULL)
        return fx_err_set(err, FX_ECONFIG, "\"each\" and \"within\" in one entry");
    if (json_array_size(each) + json_object_size(each) == 0)
        return fx_err_set(err, FX_ECONFIG, "\"each\" is no list, and no object, of items");
    for (void *at = json_object_iter(each); at != NULL; at = json_object_iter_next(each, at)) {
        struct item item = {json_object_iter_key(at), NULL};
        item.doc = json_string_value(json_object_iter_value(at));
        if (item.doc == NULL)
            return fx_err_set(err, FX_ECONFIG, "each \"%.64s\" has no doc", item.text);
        if (parse_item(parsing, entry, &item, err) != FX_OK)
            return err->code;
    }
    return parse_each_list(parsing, entry, each, err);
}

static enum fx_code parse_entry(const struct parsing *parsing, const json_t *entry,
                                struct fx_err *err)
{
    static const char *const keys[] = {"name", "doc",  "count", "sum",    "min", "max",
                                       "last", "each", "where", "within", NULL};
    if (document_check_keys(entry, keys, err) != FX_OK)
        return err->code;
    json_t *each = json_object_get(entry, "each");
    return each == NULL ? parse_plain(parsing, entry, err) : parse_each(parsing, entry, each, err);
}

enum fx_code columns_parse(const json_t *entries, const struct schema *schema,
                           struct rollup *rollup, struct fx_err *err)
{
    struct parsing parsing = {schema, rollup};
    if (json_array_size(entries) == 0)
        return fx_err_set(err, FX_ECONFIG, "\"columns\" is no list of columns");
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        if (parse_entry(&parsing, entry, err) == FX_OK)
            continue;
        const char *name = json_string_value(json_object_get(entry, "name"));
        return fx_err_wrap(err, "columns[%zu] \"%.64s\"", i, name == NULL ? "" : name);
    }
    return FX_OK;
}
