/* SPDX-License-Identifier: Apache-2.0 */
#include "rolldef_derived.h"

#include "../common/text.h"
#include "document.h"
#include "rolldef_column.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
#define DIGITS "0123456789"
#define CHANGE "_change_"

static const struct rollup_column *find_column(const struct rollup *rollup, const char *name)
{
    for (int i = 0; i < rollup->column_count; i++)
        if (strcmp(rollup->columns[i].name, name) == 0)
            return &rollup->columns[i];
    return NULL;
}

static enum fx_code refuse_unknown(const struct rollup *rollup, const char *word,
                                   struct fx_err *err)
{
    char text[DOCUMENT_HINT_MAX];
    struct hint hint = hint_init(word);
    for (int i = 0; i < rollup->column_count; i++)
        hint_offer(&hint, rollup->columns[i].name);
    return fx_err_set(err, FX_ECONFIG, "no column \"%s\"%s", word, hint_format(&hint, text));
}

/* A word with a unit can only mean a column; others are SQL's (nullif, float8). */
static enum fx_code check_word(const struct rollup *rollup, const char *word, int *used,
                               struct fx_err *err)
{
    const char *extreme = "";
    const struct rollup_column *column = find_column(rollup, word);
    if (strcmp(word, "select") == 0)
        return fx_err_set(err, FX_ECONFIG, "\"sql\" is no expression over this rollup: select");
    if (column == NULL && rolldef_find_unit(word, &extreme) != NULL)
        return refuse_unknown(rollup, word, err);
    if (column == NULL)
        return FX_OK;
    if (column->aggregate != AGGREGATE_SUM && column->aggregate != AGGREGATE_COUNT)
        return fx_err_set(
            err, FX_ECONFIG,
            "column \"%s\" is a %s: only sums and counts add up over hours and places", word,
            aggregate_name(column->aggregate));
    ++*used;
    return FX_OK;
}

/* Takes the word at text into word, in lower case as SQL folds it. Returns its length. */
static size_t take_word(const char *text, char *word, size_t size)
{
    size_t length = strspn(text, LETTERS DIGITS);
    char whole[ROLLUP_NAME_MAX];
    size_t kept = length < sizeof whole ? length : sizeof whole - 1;
    memcpy(whole, text, kept);
    whole[kept] = '\0';
    text_lower(word, size, whole);
    return length;
}

/*
 * The expression goes into a view as it is; this is no parser of SQL, but what leaves the
 * expression (a second statement, a comment, an open quote) does not pass.
 */
static enum fx_code check_shape(const char *sql, struct fx_err *err)
{
    int depth = 0;
    bool is_quoted = false;
    for (const char *at = sql; *at != '\0' && depth >= 0; at++) {
        if (*at == '\'')
            is_quoted = !is_quoted;
        else if (!is_quoted)
            depth += (*at == '(') - (*at == ')');
    }
    bool is_foreign =
        strpbrk(sql, ";\"$\\") != NULL || strstr(sql, "--") != NULL || strstr(sql, "/*") != NULL;
    if (depth != 0 || is_quoted || is_foreign)
        return fx_err_set(err, FX_ECONFIG,
                          "\"sql\" is no single expression (quotes and parentheses in pairs, no "
                          "; \" $ \\ or comment)");
    return FX_OK;
}

static enum fx_code check_sql(const struct rollup *rollup, const char *sql, struct fx_err *err)
{
    int used = 0;
    if (check_shape(sql, err) != FX_OK)
        return err->code;
    for (const char *at = sql; *at != '\0';) {
        char word[ROLLUP_NAME_MAX];
        if (*at == '\'') {
            at += 1 + strcspn(at + 1, "'") + 1;
        } else if (strchr(DIGITS, *at) != NULL) {
            at += strspn(at, LETTERS DIGITS);
        } else if (strchr(LETTERS, *at) != NULL) {
            at += take_word(at, word, sizeof word);
            if (check_word(rollup, word, &used, err) != FX_OK)
                return err->code;
        } else {
            at++;
        }
    }
    if (used == 0)
        return fx_err_set(err, FX_ECONFIG, "\"sql\" uses no column of the rollup");
    return FX_OK;
}

static enum fx_code check_name(const struct rollup *rollup, const char *name, struct fx_err *err)
{
    const char *extreme = "";
    if (!text_is_identifier(name))
        return fx_err_set(err, FX_ECONFIG, "the name is not [a-z_][a-z0-9_]*");
    if (rolldef_find_unit(name, &extreme) == NULL)
        return fx_err_set(err, FX_ECONFIG,
                          "the name ends in no unit, such as _percent, _persons or _s");
    bool is_taken = find_column(rollup, name) != NULL;
    for (int i = 0; i < rollup->derived_count; i++)
        is_taken = is_taken || strcmp(rollup->derived[i].name, name) == 0;
    if (is_taken)
        return fx_err_set(err, FX_ECONFIG, "two columns are named \"%s\"", name);
    return FX_OK;
}

static enum fx_code parse_entry(const json_t *entry, struct rollup *rollup, struct fx_err *err)
{
    static const char *const keys[] = {"name", "sql", "doc", NULL};
    const char *name = NULL;
    const char *sql = NULL;
    const char *doc = NULL;
    if (document_check_keys(entry, keys, err) != FX_OK ||
        document_string(entry, "name", NULL, &name, err) != FX_OK ||
        document_string(entry, "sql", NULL, &sql, err) != FX_OK ||
        document_string(entry, "doc", "", &doc, err) != FX_OK ||
        document_check_doc(doc, err) != FX_OK || check_name(rollup, name, err) != FX_OK ||
        check_sql(rollup, sql, err) != FX_OK)
        return err->code;
    struct rollup_derived *derived = &rollup->derived[rollup->derived_count++];
    text_copy(derived->name, sizeof derived->name, name);
    if (document_copy(sql, &derived->sql, err) != FX_OK)
        return err->code;
    return document_copy(doc, &derived->doc, err);
}

enum fx_code derived_parse(const json_t *entries, struct rollup *rollup, struct fx_err *err)
{
    size_t count = json_array_size(entries);
    if (entries == NULL)
        return FX_OK;
    if (!json_is_array(entries) || count > ROLLUP_DERIVED_MAX)
        return fx_err_set(err, FX_ECONFIG, "\"derived\" is no list of at most %d",
                          ROLLUP_DERIVED_MAX);
    rollup->derived = calloc(count + 1, sizeof *rollup->derived);
    if (rollup->derived == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory");
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(entries, i);
        if (parse_entry(entry, rollup, err) == FX_OK)
            continue;
        const char *name = json_string_value(json_object_get(entry, "name"));
        return fx_err_wrap(err, "derived[%zu] \"%.64s\"", i, name == NULL ? "" : name);
    }
    return FX_OK;
}

bool rollup_stock_name(char out[ROLLUP_NAME_MAX], const char *derived)
{
    const char *change = strstr(derived, CHANGE);
    if (change == NULL || change == derived || change[strlen(CHANGE)] == '\0')
        return false;
    int stem = (int)(change - derived);
    bool is_net = stem == 3 && strncmp(derived, "net", 3) == 0;
    int size = snprintf(out, ROLLUP_NAME_MAX, "%.*s_%s", is_net ? 6 : stem,
                        is_net ? "census" : derived, change + strlen(CHANGE));
    return size > 0 && size < ROLLUP_NAME_MAX;
}

bool rollup_has_change(const struct rollup *rollup)
{
    char name[ROLLUP_NAME_MAX];
    for (int i = 0; rollup->by_region && i < rollup->derived_count; i++)
        if (rollup_stock_name(name, rollup->derived[i].name))
            return true;
    return false;
}

bool rollup_has_last(const struct rollup *rollup)
{
    for (int i = 0; rollup->by_source && i < rollup->column_count; i++)
        if (rollup->columns[i].aggregate == AGGREGATE_LAST)
            return true;
    return false;
}
