/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include "day.h"
#include "log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef FX_VERSION
#define FX_VERSION "0.0.0"
#endif

#define OPTS_MAX 64
#define CODE_BASE 256 /* getopt_long's value of the first option: above every letter */

static enum fx_code store_number(const struct fx_opt *opt, const char *text, void *at,
                                 struct fx_err *err)
{
    char *end;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || number < opt->min || number > opt->max)
        return fx_err_set(err, FX_ECONFIG, "--%s '%.40s' is not a whole number from %lld to %lld",
                          opt->name, text, (long long)opt->min, (long long)opt->max);
    *(int64_t *)at = number;
    return FX_OK;
}

static enum fx_code store_value(const struct fx_opt *opt, const char *text, void *target,
                                struct fx_err *err)
{
    void *at = (char *)target + opt->offset;
    switch (opt->type) {
    case FX_OPT_FLAG:
        *(bool *)at = text == NULL || (strcmp(text, "0") != 0 && strcmp(text, "") != 0);
        return FX_OK;
    case FX_OPT_TEXT:
        *(const char **)at = text;
        return FX_OK;
    case FX_OPT_NUMBER:
        return store_number(opt, text, at, err);
    case FX_OPT_TIME:
        if (day_parse(text, at, err) != FX_OK) {
            err->code = FX_ECONFIG;
            return fx_err_wrap(err, "--%s", opt->name);
        }
        return FX_OK;
    case FX_OPT_LIST: {
        struct fx_list *list = at;
        if (list->count == ARGS_LIST_MAX)
            return fx_err_set(err, FX_ECONFIG, "--%s is given more than %d times", opt->name,
                              ARGS_LIST_MAX);
        list->items[list->count++] = text;
        return FX_OK;
    }
    }
    return fx_err_set(err, FX_ECONFIG, "--%s has no such type", opt->name);
}

static void print_help(const struct fx_program *program)
{
    printf("usage: %s %s\n\n%s\n\noptions:\n", program->name, program->synopsis, program->summary);
    for (const struct fx_opt *opt = program->opts; opt->name != NULL; opt++) {
        char head[96];
        char letter[8] = "   ";
        if (opt->letter != 0)
            snprintf(letter, sizeof letter, "-%c,", opt->letter);
        snprintf(head, sizeof head, "  %s --%s%s%s", letter, opt->name, opt->value ? " " : "",
                 opt->value ? opt->value : "");
        printf("%-34s ", head);
        for (const char *c = opt->help; *c != '\0'; c++) {
            putchar(*c);
            if (*c == '\n')
                printf("%-34s ", "");
        }
        printf(opt->env != NULL ? " [%s]\n" : "\n", opt->env);
    }
    printf("      --help                       this text\n"
           "      --version                    the version\n");
    if (program->notes != NULL)
        printf("\n%s\n", program->notes);
}

static enum fx_code apply_environment(const struct fx_program *program, void *target,
                                      struct fx_err *err)
{
    for (const struct fx_opt *opt = program->opts; opt->name != NULL; opt++) {
        const char *text = opt->env == NULL ? NULL : getenv(opt->env);
        if (text == NULL || *text == '\0')
            continue;
        enum fx_code code = store_value(opt, text, target, err);
        if (code != FX_OK)
            return fx_err_wrap(err, "environment %s", opt->env);
    }
    return FX_OK;
}

/* getopt_long's two descriptions of the program's table. */
static void describe(const struct fx_program *program, struct option *longs, char *shorts)
{
    int count = 0;
    *shorts++ = ':';
    for (const struct fx_opt *opt = program->opts; opt->name != NULL; opt++, count++) {
        fx_assert(count < OPTS_MAX - 3);
        bool has_value = opt->type != FX_OPT_FLAG;
        longs[count] = (struct option){opt->name, has_value, NULL, CODE_BASE + count};
        if (opt->letter != 0) {
            *shorts++ = opt->letter;
            if (has_value)
                *shorts++ = ':';
        }
    }
    *shorts = '\0';
    longs[count++] = (struct option){"help", no_argument, NULL, CODE_BASE + OPTS_MAX};
    longs[count++] = (struct option){"version", no_argument, NULL, CODE_BASE + OPTS_MAX + 1};
    longs[count] = (struct option){NULL, 0, NULL, 0};
}

static const struct fx_opt *find_opt(const struct fx_program *program, int code)
{
    if (code >= CODE_BASE)
        return program->opts + (code - CODE_BASE);
    const struct fx_opt *opt = program->opts;
    while (opt->letter != code)
        opt++;
    return opt;
}

enum fx_code args_parse(const struct fx_program *program, struct fx_argv *argv, void *target,
                        struct fx_err *err)
{
    struct option longs[OPTS_MAX];
    char shorts[2 * OPTS_MAX + 2];
    describe(program, longs, shorts);
    argv->is_done = false;
    enum fx_code code = apply_environment(program, target, err);
    optind = 1;
    while (code == FX_OK) {
        int found = getopt_long(argv->count, argv->words, shorts, longs, NULL);
        if (found == -1)
            break;
        if (found == '?' || found == ':') {
            const char *word = argv->words[optind - 1];
            return fx_err_set(err, FX_ECONFIG, "%s: option '%s' %s; see %s --help", program->name,
                              word, found == '?' ? "is unknown" : "needs a value", program->name);
        }
        if (found >= CODE_BASE + OPTS_MAX) {
            if (found == CODE_BASE + OPTS_MAX)
                print_help(program);
            else
                printf("%s %s\n", program->name, FX_VERSION);
            argv->is_done = true;
            return FX_OK;
        }
        code = store_value(find_opt(program, found), optarg, target, err);
    }
    argv->operands = optind;
    return code;
}

enum fx_code args_open(const struct fx_program *program, struct fx_argv *argv, void *target,
                       const char *const *log_level, struct fx_err *err)
{
    enum fx_log_level level = FX_LOG_INFO;
    if (args_parse(program, argv, target, err) != FX_OK)
        return err->code;
    if (!argv->is_done && argv->operands < argv->count)
        return fx_err_set(err, FX_ECONFIG, "unexpected \"%s\"", argv->words[argv->operands]);
    if (fx_log_parse_level(*log_level, &level, err) == FX_OK)
        fx_log_open(program->name, level);
    return err->code;
}

enum fx_code args_split(const char *text, char *name, size_t size, const char **value,
                        struct fx_err *err)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || (size_t)(equals - text) >= size)
        return fx_err_set(err, FX_ECONFIG, "'%.60s' is not key=value", text);
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    *value = equals + 1;
    return FX_OK;
}
