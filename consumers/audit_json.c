/* SPDX-License-Identifier: Apache-2.0 */
#include "audit_json.h"

#include "audit_mend.h"

#include <jansson.h>
#include <stdlib.h>

/* New reference; NULL without memory. */
static json_t *value_of(const struct audit_rows *rows, int row, int column)
{
    const char *cell = rows->cells[row * rows->column_count + column];
    if (cell == NULL)
        return json_null();
    if (rows->columns[column].type == AUDIT_NUMBER)
        return json_integer(strtoll(cell, NULL, 10));
    if (rows->columns[column].type == AUDIT_BOOLEAN)
        return json_boolean(cell[0] == 't');
    return json_string(cell);
}

/* json_object_set_new and its like take the value, and fail on NULL: one check at the end. */
static int set_row(json_t *object, const struct audit_rows *rows, int row)
{
    int failed = 0;
    for (int i = 0; i < rows->column_count; i++)
        failed |= json_object_set_new(object, rows->columns[i].name, value_of(rows, row, i));
    return failed;
}

static json_t *text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *section_of(const struct audit_report *report, enum audit_section section,
                          int *failed)
{
    const struct audit_rows *rows = &report->sections[section];
    json_t *array = json_array();
    for (int row = 0; row < rows->count; row++) {
        json_t *object = json_object();
        struct audit_mend mend;
        audit_mend(report, section, row, &mend);
        *failed |= set_row(object, rows, row);
        *failed |= json_object_set_new(object, "advice", text_or_null(mend.advice));
        *failed |= json_object_set_new(object, "command", text_or_null(mend.command));
        *failed |= json_array_append_new(array, object);
    }
    return array;
}

static json_t *kinds_of(const struct audit_report *report, int *failed)
{
    json_t *array = json_array();
    for (int row = 0; row < report->kinds.count; row++) {
        const char *verdict = audit_verdict_name(audit_judge_kind(report, row));
        json_t *object = json_object();
        *failed |= set_row(object, &report->kinds, row);
        *failed |= json_object_set_new(object, "verdict", json_string(verdict));
        *failed |= json_array_append_new(array, object);
    }
    return array;
}

/* jansson's own buffer would not do: json_dumps takes no notice if a key did not fit (2.14). */
static int append(const char *bytes, size_t size, void *out)
{
    buf_append(out, bytes, size);
    return 0;
}

enum fx_code audit_json(const struct audit_report *report, struct buf *out, struct fx_err *err)
{
    enum audit_verdict verdict = audit_judge(report);
    json_t *root = json_object();
    json_t *findings = json_object();
    int failed = 0;
    failed |= json_object_set_new(root, "verdict", json_string(audit_verdict_name(verdict)));
    failed |= json_object_set_new(root, "exit_status", json_integer(audit_exit_status(verdict)));
    failed |= set_row(root, &report->head, 0);
    json_t *kinds = kinds_of(report, &failed);
    failed |= json_object_set_new(root, "kinds", kinds);
    for (int i = 0; i < AUDIT_SECTION_COUNT; i++) {
        enum audit_section section = (enum audit_section)i;
        json_t *rows = section_of(report, section, &failed);
        failed |= json_object_set_new(findings, audit_section_info(section)->name, rows);
    }
    failed |= json_object_set_new(root, "findings", findings);
    if (failed == 0)
        failed = json_dump_callback(root, append, out, JSON_COMPACT);
    buf_append_byte(out, '\n');
    json_decref(root);
    return failed != 0 ? fx_err_set(err, FX_EMEMORY, "no memory for the report")
                       : buf_check(out, err);
}
