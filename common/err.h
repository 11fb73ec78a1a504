/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err - what went wrong, and what the caller must do about it.
 *
 * Every function that can fail returns enum fx_code and takes a struct fx_err as its last
 * parameter. The code says what the caller must do; the text says what happened, outside-in:
 * "commit rollups: insert cells: deadlock detected". The first cause is never overwritten:
 * fx_err_set on an error already set keeps the old text.
 *
 * Ownership: the struct is the caller's, usually on the stack; it holds no pointers.
 * Guarantee: unless a header says otherwise, a function that fails changed nothing.
 */
#ifndef FX_ERR_H
#define FX_ERR_H

#define FX_MUST_CHECK __attribute__((warn_unused_result))
#define FX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* X(code, process exit status, what the caller does) */
#define FX_CODES(X)                                                                                \
    X(FX_OK, 0, "go on")                                                                           \
    X(FX_EINPUT, 1, "reject this input, count it, go on with the rest")                            \
    X(FX_ERETRY, 4, "a service is away or busy: back off, try again")                              \
    X(FX_EFULL, 5, "no room: flush or push back, then call again")                                 \
    X(FX_ECONFIG, 2, "an operator's mistake in options or definitions: stop")                      \
    X(FX_ESTATE, 3, "durable state contradicts itself: stop, never guess; a person must decide")   \
    X(FX_EDISK, 5, "the local disk failed or is full: stop or refuse input")                       \
    X(FX_EMEMORY, 4, "an allocation failed: drop what can be rebuilt, try again")                  \
    X(FX_ECLAIM, 4, "fenced or in doubt: drop all uncommitted memory, claim again")                \
    X(FX_EREFUSED, 4, "the store refuses a value: replay with fewer events per flush")

enum fx_code {
#define FX_CODE_ENUM(code, status, action) code,
    FX_CODES(FX_CODE_ENUM)
#undef FX_CODE_ENUM
        FX_CODE_COUNT
};

#define FX_ERR_TEXT_MAX 768 /* a message may end in the command that mends it */

struct fx_err {
    enum fx_code code;          /* FX_OK until something failed */
    char text[FX_ERR_TEXT_MAX]; /* UTF-8, always terminated, cut when longer; '?' for a byte that is
                                 * none */
};

/* An error that is not set yet. */
#define FX_ERR_INIT                                                                                \
    {                                                                                              \
        FX_OK,                                                                                     \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

void fx_err_clear(struct fx_err *err);

/* Records code and text unless an earlier cause is recorded. Returns the recorded code. */
enum fx_code fx_err_set(struct fx_err *err, enum fx_code code, const char *format, ...)
    FX_PRINTF(3, 4);

/* Puts "context: " in front of the text. Returns the recorded code. */
enum fx_code fx_err_wrap(struct fx_err *err, const char *format, ...) FX_PRINTF(2, 3);

/* "FX_EINPUT" */
const char *fx_code_name(enum fx_code code);

/* The exit status of a program that ends with this code: see README, "Exit codes". */
int fx_code_exit_status(enum fx_code code);

/* A broken promise of the programmer, checked in release builds too: one log line, then abort. */
#define fx_assert(condition)                                                                       \
    ((condition) ? (void)0 : fx_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void fx_assert_failed(const char *condition, const char *file, int line);

#endif
