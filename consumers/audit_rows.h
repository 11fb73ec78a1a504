/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_rows - what a query answered: rows of text under named columns.
 *
 * Pure. The writers of fx-audit (audit_text.h, audit_json.h) see these and no database.
 *
 * Ownership: all text is copied in and lives until audit_rows_release.
 * Invariant: every row has a cell for every column; a cell is text or NULL.
 */
#ifndef FX_AUDIT_ROWS_H
#define FX_AUDIT_ROWS_H

#include "../common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define AUDIT_COLUMNS_MAX 64
#define AUDIT_NAME_SIZE 64

enum audit_type {
    AUDIT_TEXT,
    AUDIT_NUMBER, /* a 64-bit integer in decimal */
    AUDIT_BOOLEAN /* "t" or "f" */
};

struct audit_column {
    char name[AUDIT_NAME_SIZE];
    enum audit_type type;
};

struct audit_rows {
    struct audit_column columns[AUDIT_COLUMNS_MAX];
    int column_count;
    char **cells; /* row after row */
    int count;    /* rows */
    int room;
};

#define AUDIT_ROWS_INIT                                                                            \
    {                                                                                              \
        .column_count = 0                                                                          \
    }

void audit_rows_release(struct audit_rows *rows);

/* Before the first row: one more column. */
void audit_rows_column(struct audit_rows *rows, const char *name, enum audit_type type);

/* Appends a copy of column_count cells. FX_EMEMORY: nothing changed. */
FX_MUST_CHECK enum fx_code audit_rows_add(struct audit_rows *rows, const char *const *cells,
                                          struct fx_err *err);

/* Appends the named columns (separated by blanks) of those rows whose boolean column flag is true,
 * to rows without columns. FX_EMEMORY. */
FX_MUST_CHECK enum fx_code audit_rows_pick(const struct audit_rows *from, const char *flag,
                                           const char *columns, struct audit_rows *to,
                                           struct fx_err *err);

bool audit_rows_has(const struct audit_rows *rows, const char *column);

/* The cell, NULL if it is NULL or there is no such column. Borrowed until the release. */
const char *audit_rows_cell(const struct audit_rows *rows, int row, const char *column);

/* The cell as a number, 0 if there is none. */
int64_t audit_rows_number(const struct audit_rows *rows, int row, const char *column);
bool audit_rows_is_true(const struct audit_rows *rows, int row, const char *column);

/* All numbers of a column added up; of the rows of this kind unless kind is NULL. */
int64_t audit_rows_sum(const struct audit_rows *rows, const char *column, const char *kind);

/* How many rows are of this kind. */
int audit_rows_count_kind(const struct audit_rows *rows, const char *kind);

#endif
