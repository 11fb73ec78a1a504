/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_report - what fx-audit found, and what that means.
 *
 * Pure. Findings stand in sections. A fault makes its kind incomplete; a notice is only shown;
 * pending numbers are a fault unless the kind is unknown, because then they may have come since.
 *
 *   complete    everybody expected was heard and nothing is missing, rejected or wrong
 *   incomplete  a fault is known, whatever else is not
 *   unknown     no fault is known, but the consumer is behind, or nobody is expected
 *   idle        nobody is expected and nobody reports
 */
#ifndef FX_AUDIT_REPORT_H
#define FX_AUDIT_REPORT_H

#include "audit_rows.h"

enum audit_section {
    AUDIT_MISSING,      /* ranges of numbers that are not counted */
    AUDIT_REJECTED,     /* rejected messages that nothing settled, by reason */
    AUDIT_SILENT,       /* expected, and not heard */
    AUDIT_STALE,        /* inputs that bring nothing they should: no zero is proven */
    AUDIT_RUNS,         /* lost, cloned and quarantined runs */
    AUDIT_REFUSED,      /* lines that posts refused */
    AUDIT_PENDING,      /* numbers still in an outbox */
    AUDIT_HOLES,        /* offsets that Kafka does not have */
    AUDIT_BREACHES,     /* invariants that do not hold */
    AUDIT_CLOSED,       /* runs that go on without input; one that ended is no finding */
    AUDIT_CLOCKS,       /* clocks that are wrong by more than 10 minutes */
    AUDIT_UNREGISTERED, /* reporting, but not expected at all */
    AUDIT_BEHIND,       /* partitions of which nothing is known since a minute ago */
    AUDIT_SECTION_COUNT
};

enum audit_weight { AUDIT_FAULT, AUDIT_FAULT_IF_KNOWN, AUDIT_NOTICE };

#define AUDIT_CELLS_MAX 8

struct audit_section_info {
    const char *name;  /* in JSON */
    const char *title; /* for people */
    enum audit_weight weight;
    const char *cells[AUDIT_CELLS_MAX]; /* a line: "{column}" stands for its value; NULL ends */
};

enum audit_verdict { AUDIT_COMPLETE, AUDIT_INCOMPLETE, AUDIT_UNKNOWN, AUDIT_IDLE };

struct audit_report {
    struct audit_rows head;  /* one row: schema, audited_at, kind, region, day, source */
    struct audit_rows kinds; /* a row per kind: sums of the completeness views */
    struct audit_rows sections[AUDIT_SECTION_COUNT];
};

void audit_report_release(struct audit_report *report);

const struct audit_section_info *audit_section_info(enum audit_section section);

/* The verdict on the kind in this row of kinds. */
enum audit_verdict audit_judge_kind(const struct audit_report *report, int row);
enum audit_verdict audit_judge(const struct audit_report *report);

/* "complete", … */
const char *audit_verdict_name(enum audit_verdict verdict);

/* The program's exit status: 0 complete, 1 incomplete, 2 unknown. */
int audit_exit_status(enum audit_verdict verdict);

/* Numbers in AUDIT_MISSING that were rejected, or all others. */
int64_t audit_count_numbers(const struct audit_report *report, bool is_rejected);

#endif
