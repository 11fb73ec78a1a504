/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reason - why an event did not count: a closed list, rejected_event.reason.
 *
 * X(symbol, name, whether the envelope is trusted). With a trusted envelope the ledger moves and
 * the number lies in a gap of cause "rejected" until a good copy counts; otherwise the ledger is
 * left alone.
 */
#ifndef FX_REASON_H
#define FX_REASON_H

#include <stdbool.h>
#include <string.h>

#define FX_REASONS(X)                                                                              \
    X(REASON_UNDECODABLE, "undecodable", false)                                                    \
    X(REASON_UNKNOWN_SCHEMA, "unknown_schema", false)                                              \
    X(REASON_WRONG_KIND, "wrong_kind", false)                                                      \
    X(REASON_KEY_MISMATCH, "key_mismatch", false)                                                  \
    X(REASON_INVALID_FIELD, "invalid_field", true)                                                 \
    X(REASON_SUMS_MISMATCH, "sums_mismatch", true)                                                 \
    X(REASON_UNKNOWN_REGION, "unknown_region", true)                                               \
    X(REASON_SIMULATED, "simulated", false)                                                        \
    X(REASON_MOVED_PARTITION, "moved_partition", false)                                            \
    X(REASON_SEQ_JUMP, "seq_jump", false)                                                          \
    X(REASON_SOURCE_QUARANTINED, "source_quarantined", false)                                      \
    X(REASON_ALREADY_REVERSED, "already_reversed", true)                                           \
    X(REASON_STORE_REFUSED, "store_refused", true)

enum reason {
#define REASON_ENUM(symbol, name, is_trusted) symbol,
    FX_REASONS(REASON_ENUM)
#undef REASON_ENUM
        REASON_COUNT
};

static inline const char *reason_name(enum reason reason)
{
    static const char *const names[] = {
#define REASON_NAME(symbol, name, is_trusted) name,
        FX_REASONS(REASON_NAME)
#undef REASON_NAME
    };
    return reason < REASON_COUNT ? names[reason] : "?";
}

/* REASON_COUNT: none is called so. */
static inline enum reason reason_parse(const char *name)
{
    int reason = 0;
    while (reason < REASON_COUNT && strcmp(reason_name((enum reason)reason), name) != 0)
        reason++;
    return (enum reason)reason;
}

static inline bool reason_is_trusted(enum reason reason)
{
    static const bool is_trusted[] = {
#define REASON_TRUSTED(symbol, name, is_trusted) is_trusted,
        FX_REASONS(REASON_TRUSTED)
#undef REASON_TRUSTED
    };
    return reason < REASON_COUNT && is_trusted[reason];
}

#endif
