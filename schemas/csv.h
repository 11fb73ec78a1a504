/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csv - rows of a CSV file with a fixed header (RFC 4180; LF or CRLF, UTF-8, optional BOM).
 *
 * The whole file is held; cells are unquoted in place. Empty lines are skipped.
 */
#ifndef FX_CSV_H
#define FX_CSV_H

#include "../common/buf.h"
#include "../common/err.h"

#include <stdbool.h>
#include <stddef.h>

#define CSV_CELLS_MAX 16
#define CSV_SIZE_MAX (256U << 20)

struct csv {
    struct buf text;
    char *at;      /* start of the next row */
    int line;      /* of the row that was read last, counted from 1 */
    int next_line; /* of at */
    int cell_count;
};

/*
 * Opens path and reads its header, which has to be exactly header ("code,name,…"). Close csv with
 * csv_close on success only. FX_ECONFIG, FX_EMEMORY.
 */
FX_MUST_CHECK enum fx_code csv_open(struct csv *csv, const char *path, const char *header,
                                    struct fx_err *err);

/*
 * The next row's cells, as many as the header has, borrowed until csv_close. *is_end: there was
 * none. FX_ECONFIG: another number of cells, or broken quotes; csv->line says where.
 */
FX_MUST_CHECK enum fx_code csv_read(struct csv *csv, char *cells[CSV_CELLS_MAX], bool *is_end,
                                    struct fx_err *err);
void csv_close(struct csv *csv);

#endif
