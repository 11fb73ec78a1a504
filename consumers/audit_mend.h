/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_mend - the command that mends a finding.
 *
 * Pure. advice says where and when, command is what to type, with TEXT where a person has to give
 * a reason; it is empty where no command of ours helps.
 */
#ifndef FX_AUDIT_MEND_H
#define FX_AUDIT_MEND_H

#include "audit_report.h"

struct audit_mend {
    char advice[200];
    char command[400];
};

/* What to do about this row of the section. */
void audit_mend(enum audit_section section, const struct audit_rows *rows, int row,
                struct audit_mend *mend);

#endif
