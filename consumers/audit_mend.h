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
    char advice[600];
    char command[600];
};

/* What to do about this row of that section of report, whose head says for which schema and which
 * topics a command is; options that have their defaults are left out. */
void audit_mend(const struct audit_report *report, enum audit_section section, int row,
                struct audit_mend *mend);

#endif
