/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_store - reports that are kept in the record schema.
 *
 * A report is one (as_of, region, version). Its rows are written once and never changed; what was
 * printed of it stands beside them, so that it is the same bytes for ever, whatever program prints.
 * Reading needs fangxian_analyst, writing fangxian_writer or fangxian_owner.
 */
#ifndef FX_REPORT_STORE_H
#define FX_REPORT_STORE_H

#include "../common/buf.h"
#include "pg.h"
#include "report_data.h"

struct report_store {
    PGconn *conn;
    char record[80]; /* quoted name of the record schema */
    char schema[64]; /* that is counted */
    bool is_rebuild; /* it is counted anew beside the live one */
};

/* Which report: instants as text, with an offset. */
struct report_key {
    const char *as_of;
    const char *region;
    int version;
};

/* Reads the definition. FX_ECONFIG: not set up, or by a fx-setup that knew no reports. */
FX_MUST_CHECK enum fx_code report_store_open(PGconn *conn, struct report_store *store,
                                             struct fx_err *err);

/* The newest version that is kept of as_of and region, 0: none. */
FX_MUST_CHECK enum fx_code report_store_newest(const struct report_store *store, const char *as_of,
                                               const char *region, int *version,
                                               struct fx_err *err);

/* as_of and version of the newest report of the region as of an earlier time; no row: none. */
FX_MUST_CHECK enum fx_code report_store_earlier(const struct report_store *store, const char *as_of,
                                                const char *region, struct audit_rows *found,
                                                struct fx_err *err);

/* Fills a report that report_init made. FX_ECONFIG: it is not kept. */
FX_MUST_CHECK enum fx_code report_store_read(const struct report_store *store,
                                             const struct report_key *key, struct report *report,
                                             struct fx_err *err);

/* Inserts all rows of the report; made_at and made_by are the database's. */
FX_MUST_CHECK enum fx_code report_store_insert(const struct report_store *store,
                                               const struct report *report, struct fx_err *err);

/* A document of the report. */
struct report_form {
    const char *lang;   /* zh, en or both */
    const char *format; /* md, csv or html */
};
FX_MUST_CHECK enum fx_code report_store_put_text(const struct report_store *store,
                                                 const struct report_key *key,
                                                 const struct report_form *form, struct buf *text,
                                                 struct fx_err *err);
/* Appends it. FX_ESTATE: the report is kept without it. */
FX_MUST_CHECK enum fx_code report_store_text(const struct report_store *store,
                                             const struct report_key *key,
                                             const struct report_form *form, struct buf *out,
                                             struct fx_err *err);

/* Appends what is kept, newest first, as CSV. as_of, region: only those, NULL: all. */
FX_MUST_CHECK enum fx_code report_store_list(const struct report_store *store, const char *as_of,
                                             const char *region, struct buf *out,
                                             struct fx_err *err);

#endif
