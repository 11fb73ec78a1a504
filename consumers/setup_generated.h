/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup_generated - views and functions that are there, and how they are exchanged.
 *
 * CREATE OR REPLACE VIEW locks everybody out of a view to the end of the transaction, also where it
 * changes nothing. Who reads a view holds it, and then wants those it is made of; fx-setup has made
 * those before it. So each would wait for the other: with a few readers at work none of 25 runs of
 * fx-setup got through, and readers were thrown out as well. Therefore
 *
 *   - nothing is made where the same text made what is there: a place or a post is added under load
 *     without a lock that a reader could notice;
 *   - where something is made or a table gets a column, all is locked first, in the order in which
 *     readers lock, within a time in which PostgreSQL does not yet look for deadlocks
 *     (deadlock_timeout, 1 s): fx-setup gives way, not the reader, and begins again
 *     (setup_database.c).
 *
 * What was made is known by a digest of the text and by one of the objects, as PostgreSQL stores
 * them: what somebody changed or dropped by hand is made again, all of it.
 *
 * Everything here is inside the caller's transaction, with the schema first on the search_path.
 * Errors are those of pg.h; FX_ECLAIM: a lock did not come, roll back and begin again.
 */
#ifndef FX_SETUP_GENERATED_H
#define FX_SETUP_GENERATED_H

#include "../common/buf.h"
#include "pg.h"

#include <stdbool.h>

#define GENERATED_DIGEST_SIZE 65 /* hex digits of SHA-256, and the end */

void generated_digest(const struct buf *text, char digest[GENERATED_DIGEST_SIZE]);

/* *is_made: what is there was made by the text of this digest, and nobody changed it since. */
FX_MUST_CHECK enum fx_code generated_find(PGconn *conn, const char *digest, bool *is_made,
                                          struct fx_err *err);

/* Before the first of them is made, or with_tables: before a table of a rollup is changed. */
FX_MUST_CHECK enum fx_code generated_lock(PGconn *conn, bool with_tables, struct fx_err *err);

/* What is new between these two is ours, and may be dropped another time. */
FX_MUST_CHECK enum fx_code generated_begin(PGconn *conn, struct fx_err *err);
FX_MUST_CHECK enum fx_code generated_end(PGconn *conn, struct fx_err *err);

/* CREATE OR REPLACE adds columns at the end of a view, no more (42P16), and nothing to what a
 * function returns (42P13). */
bool generated_is_other_shape(const struct fx_err *err);

/* Back to generated_begin, and drops all that is ours, to be made anew; then gives back what others
 * were granted on it. FX_ECONFIG: something of somebody else's needs it. */
FX_MUST_CHECK enum fx_code generated_drop(PGconn *conn, struct fx_err *err);
FX_MUST_CHECK enum fx_code generated_restore(PGconn *conn, struct fx_err *err);

/* For the next generated_find. */
FX_MUST_CHECK enum fx_code generated_keep(PGconn *conn, const char *digest, struct fx_err *err);

#endif
