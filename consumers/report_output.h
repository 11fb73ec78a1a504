/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_output - documents to stdout, or to files of their own.
 *
 * A file is DIR/report-REGION-YYYYMMDDTHH-vN.LANG.FORMAT, or …-draft.…; it is written beside its
 * name first and renamed, so that there is never half of one.
 */
#ifndef FX_REPORT_OUTPUT_H
#define FX_REPORT_OUTPUT_H

#include "../common/buf.h"

struct report_name {
    const char *folder; /* NULL: stdout */
    const char *region;
    const char *as_of; /* "2022-02-11T00:00:00+08:00" */
    int version;       /* 0: a draft */
    const char *lang;
    const char *format;
};

/* Writes text, and says the file's name on stdout. FX_EDISK. */
FX_MUST_CHECK enum fx_code report_output(const struct report_name *name, const struct buf *text,
                                         struct fx_err *err);

#endif
