/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args - one static table per program is the sole source of argv, FX_* environment and --help.
 *
 * Precedence: argv, then environment, then what the target held before the call.
 * --help and --version are added to every program. A repeated option overrides, a list grows.
 * Ownership: strings point into argv or the environment and live as long as the process.
 */
#ifndef FX_ARGS_H
#define FX_ARGS_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGS_LIST_MAX 64

enum fx_opt_type {
    FX_OPT_FLAG,   /* bool */
    FX_OPT_TEXT,   /* const char * */
    FX_OPT_NUMBER, /* int64_t, min to max */
    FX_OPT_TIME,   /* int64_t, milliseconds since 1970, day_parse's forms */
    FX_OPT_LIST    /* struct fx_list; may be given several times */
};

struct fx_list {
    const char *items[ARGS_LIST_MAX];
    int count;
};

struct fx_opt {
    const char *name; /* long name without dashes; NULL ends the table */
    char letter;      /* short name, 0: none */
    enum fx_opt_type type;
    size_t offset;     /* of the target field in the program's options struct */
    const char *value; /* what --help calls the argument, NULL for a flag */
    const char *env;   /* environment variable, NULL: none */
    int64_t min;       /* FX_OPT_NUMBER */
    int64_t max;
    const char *help; /* one sentence; a newline starts a new help line */
};

struct fx_program {
    const char *name;     /* "fx-rollup" */
    const char *synopsis; /* "[options] KIND" */
    const char *summary;  /* what it does, one or more lines */
    const struct fx_opt *opts;
    const char *notes; /* after the options: exit codes, examples; may be NULL */
};

struct fx_argv {
    int count;    /* main's argc */
    char **words; /* main's argv; permuted, operands last */
    int operands; /* out: index of the first word that is no option */
    bool is_done; /* out: --help or --version was answered on stdout; exit 0 */
};

/*
 * Fills target from the environment and argv; sets argv->operands and argv->is_done.
 *
 * FX_ECONFIG  unknown option, missing or wrong value; err names it.
 */
FX_MUST_CHECK enum fx_code args_parse(const struct fx_program *program, struct fx_argv *argv,
                                      void *target, struct fx_err *err);

/*
 * args_parse for a program that takes no operands; then its log is open at the level that
 * *log_level, a field of target, names by then. FX_ECONFIG also for an operand, and for no such
 * level.
 */
FX_MUST_CHECK enum fx_code args_open(const struct fx_program *program, struct fx_argv *argv,
                                     void *target, const char *const *log_level,
                                     struct fx_err *err);

/* "key=value" -> key into name, pointer to value. FX_ECONFIG: no '=' or key too long. */
FX_MUST_CHECK enum fx_code args_split(const char *text, char *name, size_t size, const char **value,
                                      struct fx_err *err);

#endif
