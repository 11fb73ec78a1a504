/* SPDX-License-Identifier: Apache-2.0 */
#include "csv.h"

#include "document.h"

#include <string.h>

static int count_cells(const char *header)
{
    int count = 1;
    for (; *header != '\0'; header++)
        count += *header == ',';
    return count;
}

/* Cuts line at its end and returns the start of the next one. */
static char *cut_line(char *line)
{
    size_t length = strcspn(line, "\n");
    char *next = line + length + (line[length] == '\n');
    line[length] = '\0';
    if (length > 0 && line[length - 1] == '\r')
        line[length - 1] = '\0';
    return next;
}

enum fx_code csv_open(struct csv *csv, const char *path, const char *header, struct fx_err *err)
{
    struct csv fresh = {.text = BUF_INIT, .line = 1, .next_line = 2};
    fresh.cell_count = count_cells(header);
    fx_assert(fresh.cell_count <= CSV_CELLS_MAX);
    enum fx_code code = document_read(path, CSV_SIZE_MAX, &fresh.text, err);
    if (code == FX_OK) {
        buf_append_byte(&fresh.text, '\0');
        code = buf_check(&fresh.text, err);
    }
    if (code == FX_OK) {
        char *first = (char *)fresh.text.data;
        fresh.at = cut_line(first);
        if (strcmp(first, header) != 0)
            code = fx_err_set(err, FX_ECONFIG, "line 1: the header is not %s", header);
    }
    if (code != FX_OK) {
        buf_release(&fresh.text);
        return code;
    }
    *csv = fresh;
    return FX_OK;
}

/*
 * Takes one quoted cell, whose opening quote is at from; its text is moved down to where it
 * began. Returns what follows the closing quote, NULL if there is none.
 */
static char *take_quoted(struct csv *csv, char *from)
{
    char *to = from;
    for (char *at = from + 1; *at != '\0'; at++) {
        if (*at == '"' && at[1] != '"') {
            *to = '\0';
            return at + 1;
        }
        at += *at == '"';
        csv->next_line += *at == '\n';
        *to++ = *at;
    }
    return NULL;
}

/* Takes one cell and its separator; *is_last: it ended the row. NULL: broken quotes. */
static char *take_cell(struct csv *csv, char *from, bool *is_last)
{
    char *end = *from == '"' ? take_quoted(csv, from) : from + strcspn(from, ",\r\n");
    if (end == NULL)
        return NULL;
    char separator = *end;
    char *next = end + (separator != '\0');
    if (separator == '\r' && *next == '\n')
        separator = *next++;
    if (separator != ',' && separator != '\n' && separator != '\0')
        return NULL;
    *end = '\0';
    *is_last = separator != ',';
    csv->next_line += separator == '\n';
    return next;
}

enum fx_code csv_read(struct csv *csv, char *cells[CSV_CELLS_MAX], bool *is_end, struct fx_err *err)
{
    char *at = csv->at;
    for (; *at == '\n' || *at == '\r'; at++)
        csv->next_line += *at == '\n';
    csv->line = csv->next_line;
    *is_end = *at == '\0';
    bool is_last = *is_end;
    int count = 0;
    while (!is_last) {
        char *cell = at;
        at = take_cell(csv, at, &is_last);
        if (at == NULL)
            return fx_err_set(err, FX_ECONFIG, "broken quotes");
        if (count < csv->cell_count)
            cells[count] = cell;
        count++;
    }
    if (!*is_end && count != csv->cell_count)
        return fx_err_set(err, FX_ECONFIG, "%d cells instead of %d", count, csv->cell_count);
    csv->at = at;
    return FX_OK;
}

void csv_close(struct csv *csv)
{
    buf_release(&csv->text);
}
