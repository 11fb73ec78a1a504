/* SPDX-License-Identifier: Apache-2.0 */
#include "audit_report.h"

#include <string.h>

static const struct audit_section_info infos[] = {
    [AUDIT_MISSING] = {"missing",
                       "numbers not counted",
                       AUDIT_FAULT,
                       {"{kind}", "{source}", "{name}", "run {run}", "seq {first_seq}-{last_seq}",
                        "{events}", "{day}", "{cause}"}},
    [AUDIT_REJECTED] = {"rejected",
                        "messages rejected",
                        AUDIT_FAULT,
                        {"{kind}", "{reason}", "{events} messages", "{sources} sources",
                         "offsets {offsets}", "last {last_at}", NULL}},
    [AUDIT_SILENT] = {"silent",
                      "expected and not heard",
                      AUDIT_FAULT,
                      {"{kind}", "{source}", "{name}", "in {region}", "{state}",
                       "{silent_hours} hours", "last sign {last_sign_at}", NULL}},
    [AUDIT_STALE] = {"stale",
                     "stale inputs",
                     AUDIT_FAULT,
                     {"{kind}", "{source}", "{name}", "{input_state}", "last line {last_line_at}",
                      NULL}},
    [AUDIT_RUNS] = {"runs",
                    "lost, cloned and quarantined runs",
                    AUDIT_FAULT,
                    {"{kind}", "{source}", "run {run}", "{state}", "opened {opened_at}", NULL}},
    [AUDIT_REFUSED] = {"refused",
                       "lines refused at posts",
                       AUDIT_FAULT,
                       {"{kind}", "{source}", "{name}", "{refused} lines", NULL}},
    [AUDIT_PENDING] = {"pending",
                       "numbers still at posts",
                       AUDIT_FAULT_IF_KNOWN,
                       {"{kind}", "{source}", "{name}", "{pending} numbers", NULL}},
    [AUDIT_HOLES] = {"holes",
                     "offsets that Kafka does not have",
                     AUDIT_FAULT,
                     {"{kind}", "{topic} [{partition}]", "{first_offset}-{last_offset}",
                      "found {found_at}", NULL}},
    [AUDIT_BREACHES] = {"breaches",
                        "invariants that do not hold",
                        AUDIT_FAULT,
                        {"{rule}", "{table}", "{key}", "{column}", "{found}", "not {expected}",
                         "{explanation}", NULL}},
    [AUDIT_CLOSED] = {"closed",
                      "closed inputs of posts that go on",
                      AUDIT_NOTICE,
                      {"{kind}", "{source}", "{name}", "{input_state}", "last line {last_line_at}",
                       NULL}},
    [AUDIT_CLOCKS] = {"clocks",
                      "clocks wrong by more than 10 minutes",
                      AUDIT_NOTICE,
                      {"{kind}", "{source}", "{name}", "{clock_offset_ms} ms behind", NULL}},
    [AUDIT_UNREGISTERED] = {"unregistered",
                            "sources that are not registered",
                            AUDIT_NOTICE,
                            {"{kind}", "{source}", "in {region}", "{counted} events", NULL}},
    [AUDIT_BEHIND] = {"behind",
                      "partitions that are not up to date",
                      AUDIT_NOTICE,
                      {"{kind}", "{topic} [{partition}]", "offset {next_offset}",
                       "since {unknown_since}", NULL}},
};
_Static_assert(sizeof infos / sizeof infos[0] == AUDIT_SECTION_COUNT, "an info each");

void audit_report_release(struct audit_report *report)
{
    audit_rows_release(&report->head);
    audit_rows_release(&report->kinds);
    for (int i = 0; i < AUDIT_SECTION_COUNT; i++)
        audit_rows_release(&report->sections[i]);
}

const struct audit_section_info *audit_section_info(enum audit_section section)
{
    fx_assert(section < AUDIT_SECTION_COUNT);
    return &infos[section];
}

static bool has_fault(const struct audit_report *report, const char *kind, bool is_unknown)
{
    for (int i = 0; i < AUDIT_SECTION_COUNT; i++) {
        enum audit_weight weight = infos[i].weight;
        if (weight == AUDIT_NOTICE || (weight == AUDIT_FAULT_IF_KNOWN && is_unknown))
            continue;
        if (audit_rows_count_kind(&report->sections[i], kind) > 0)
            return true;
    }
    return false;
}

enum audit_verdict audit_judge_kind(const struct audit_report *report, int row)
{
    const struct audit_rows *kinds = &report->kinds;
    const char *kind = audit_rows_cell(kinds, row, "kind");
    bool is_behind = audit_rows_cell(kinds, row, "unknown_since") != NULL ||
                     audit_rows_count_kind(&report->sections[AUDIT_BEHIND], kind) > 0;
    bool is_nobody = audit_rows_number(kinds, row, "sources_expected") == 0;
    if (has_fault(report, kind, is_behind))
        return AUDIT_INCOMPLETE;
    if (is_behind)
        return AUDIT_UNKNOWN;
    if (!is_nobody)
        return AUDIT_COMPLETE;
    return audit_rows_number(kinds, row, "sources") == 0 ? AUDIT_IDLE : AUDIT_UNKNOWN;
}

enum audit_verdict audit_judge(const struct audit_report *report)
{
    bool is_met[AUDIT_IDLE + 1] = {false};
    for (int row = 0; row < report->kinds.count; row++)
        is_met[audit_judge_kind(report, row)] = true;
    if (is_met[AUDIT_INCOMPLETE] || report->sections[AUDIT_BREACHES].count > 0)
        return AUDIT_INCOMPLETE;
    return is_met[AUDIT_UNKNOWN] || !is_met[AUDIT_COMPLETE] ? AUDIT_UNKNOWN : AUDIT_COMPLETE;
}

const char *audit_verdict_name(enum audit_verdict verdict)
{
    static const char *const names[] = {"complete", "incomplete", "unknown", "idle"};
    return names[verdict];
}

int audit_exit_status(enum audit_verdict verdict)
{
    if (verdict == AUDIT_COMPLETE)
        return 0;
    return verdict == AUDIT_INCOMPLETE ? 1 : 2;
}

int64_t audit_count_numbers(const struct audit_report *report, bool is_rejected)
{
    const struct audit_rows *rows = &report->sections[AUDIT_MISSING];
    int64_t sum = 0;
    for (int row = 0; row < rows->count; row++) {
        const char *cause = audit_rows_cell(rows, row, "cause");
        if ((cause != NULL && strcmp(cause, "rejected") == 0) == is_rejected)
            sum += audit_rows_number(rows, row, "events");
    }
    return sum;
}
