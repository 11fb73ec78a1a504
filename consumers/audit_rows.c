/* SPDX-License-Identifier: Apache-2.0 */
#include "audit_rows.h"

#include <stdlib.h>
#include <string.h>

void audit_rows_release(struct audit_rows *rows)
{
    for (int i = 0; i < rows->count * rows->column_count; i++)
        free(rows->cells[i]);
    free(rows->cells);
    memset(rows, 0, sizeof *rows);
}

void audit_rows_column(struct audit_rows *rows, const char *name, enum audit_type type)
{
    fx_assert(rows->count == 0 && rows->column_count < AUDIT_COLUMNS_MAX);
    fx_assert(strlen(name) < AUDIT_NAME_SIZE);
    struct audit_column *column = &rows->columns[rows->column_count++];
    memcpy(column->name, name, strlen(name) + 1);
    column->type = type;
}

static enum fx_code make_room(struct audit_rows *rows, struct fx_err *err)
{
    if (rows->count < rows->room)
        return FX_OK;
    int room = rows->room == 0 ? 16 : rows->room * 2;
    size_t size = (size_t)room * (size_t)rows->column_count * sizeof *rows->cells;
    char **cells = realloc(rows->cells, size);
    if (cells == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for %d rows", room);
    rows->cells = cells;
    rows->room = room;
    return FX_OK;
}

enum fx_code audit_rows_add(struct audit_rows *rows, const char *const *cells, struct fx_err *err)
{
    fx_assert(rows->column_count > 0);
    if (make_room(rows, err) != FX_OK)
        return err->code;
    char **row = rows->cells + (size_t)rows->count * (size_t)rows->column_count;
    int copied = 0;
    for (; copied < rows->column_count; copied++) {
        row[copied] = cells[copied] == NULL ? NULL : strdup(cells[copied]);
        if (cells[copied] != NULL && row[copied] == NULL)
            break;
    }
    if (copied < rows->column_count) {
        while (copied-- > 0)
            free(row[copied]);
        return fx_err_set(err, FX_EMEMORY, "no memory for a row");
    }
    rows->count++;
    return FX_OK;
}

static int find_column(const struct audit_rows *rows, const char *name, size_t size)
{
    for (int i = 0; i < rows->column_count; i++)
        if (strlen(rows->columns[i].name) == size && memcmp(rows->columns[i].name, name, size) == 0)
            return i;
    return -1;
}

enum fx_code audit_rows_pick(const struct audit_rows *from, const char *flag, const char *columns,
                             struct audit_rows *to, struct fx_err *err)
{
    int picked[AUDIT_COLUMNS_MAX];
    fx_assert(to->column_count == 0);
    for (const char *at = columns; *at != '\0';) {
        size_t size = strcspn(at, " ");
        int column = find_column(from, at, size);
        if (column >= 0) {
            picked[to->column_count] = column;
            audit_rows_column(to, from->columns[column].name, from->columns[column].type);
        }
        at += size;
        at += strspn(at, " ");
    }
    for (int row = 0; row < from->count; row++) {
        const char *cells[AUDIT_COLUMNS_MAX];
        if (!audit_rows_is_true(from, row, flag))
            continue;
        for (int i = 0; i < to->column_count; i++)
            cells[i] = from->cells[row * from->column_count + picked[i]];
        if (audit_rows_add(to, cells, err) != FX_OK)
            return err->code;
    }
    return FX_OK;
}

bool audit_rows_has(const struct audit_rows *rows, const char *column)
{
    return find_column(rows, column, strlen(column)) >= 0;
}

const char *audit_rows_cell(const struct audit_rows *rows, int row, const char *column)
{
    int found = find_column(rows, column, strlen(column));
    fx_assert(row >= 0 && row < rows->count);
    return found < 0 ? NULL : rows->cells[row * rows->column_count + found];
}

int64_t audit_rows_number(const struct audit_rows *rows, int row, const char *column)
{
    const char *cell = audit_rows_cell(rows, row, column);
    return cell == NULL ? 0 : strtoll(cell, NULL, 10);
}

bool audit_rows_is_true(const struct audit_rows *rows, int row, const char *column)
{
    const char *cell = audit_rows_cell(rows, row, column);
    return cell != NULL && cell[0] == 't';
}

static bool is_of_kind(const struct audit_rows *rows, int row, const char *kind)
{
    const char *cell = audit_rows_cell(rows, row, "kind");
    return kind == NULL || (cell != NULL && strcmp(cell, kind) == 0);
}

int64_t audit_rows_sum(const struct audit_rows *rows, const char *column, const char *kind)
{
    int64_t sum = 0;
    for (int row = 0; row < rows->count; row++)
        if (is_of_kind(rows, row, kind))
            sum += audit_rows_number(rows, row, column);
    return sum;
}

int audit_rows_count_kind(const struct audit_rows *rows, const char *kind)
{
    int count = 0;
    for (int row = 0; row < rows->count; row++)
        count += is_of_kind(rows, row, kind);
    return count;
}
