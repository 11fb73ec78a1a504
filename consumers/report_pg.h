/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_pg - text[] literals for PostgreSQL.
 */
#ifndef FX_REPORT_PG_H
#define FX_REPORT_PG_H

#include "../common/buf.h"

/* A text[] literal, {"a",NULL}: elements one by one, then its end. */
void report_pg_element(struct buf *array, const char *text);
const char *report_pg_array(struct buf *array);

#endif
