/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cells - what the events since the last flush add to one rollup.
 *
 * A table of cells keyed by (source, region, bucket, dimensions), all small numbers, each cell a
 * row of int64_t slots. One event touches one cell; town, county, city and source tables are
 * derived from the cells when they are flushed (rollup_flush in flush.h).
 *
 * Slots per column: 1 for count and sum (a delta), 1 for min and max (CELL_NONE: no value yet),
 * 4 for last (value or CELL_NONE, counted ms, run, seq).
 *
 * Pure. Limit: bytes_max at cells_open, then FX_EFULL: flush and call again. cells_reset empties;
 * room that a backlog needed is given back after some resets that needed an eighth of it at most.
 * Pointers are good until the next cells_find or cells_reset.
 */
#ifndef FX_CELLS_H
#define FX_CELLS_H

#include "../common/err.h"
#include "../schemas/rolldef.h"

#include <stddef.h>
#include <stdint.h>

#define CELL_NONE INT64_MIN

struct cell_key {
    int64_t bucket_ms;
    uint32_t source; /* id in the ledger's names; 0 where no table is by source */
    uint32_t region; /* index in the region tree */
    uint32_t dimensions[ROLLUP_DIMENSIONS_MAX]; /* symbol index or id in names; 0 if unused */
};

struct cell {
    struct cell_key key;
    int64_t slots[];
};

struct cells;

FX_MUST_CHECK enum fx_code cells_open(const struct rollup *rollup, size_t bytes_max, uint64_t seed,
                                      struct cells **cells, struct fx_err *err);
void cells_close(struct cells *cells);
void cells_reset(struct cells *cells);

/* The cell of key, made empty if there is none. FX_EFULL, FX_EMEMORY: nothing changed. */
FX_MUST_CHECK enum fx_code cells_find(struct cells *cells, const struct cell_key *key,
                                      struct cell **cell, struct fx_err *err);

/* How many more cells surely fit, as far as bytes_max goes. */
int64_t cells_room(const struct cells *cells);

int cells_count(const struct cells *cells);
struct cell *cells_at(const struct cells *cells, int index);

/* First slot of column index. */
int cells_slot(const struct cells *cells, int column);

/* Adds from's slots to to's, column by column, as the database would. */
void cells_merge(const struct cells *cells, struct cell *to, const struct cell *from);

#endif
