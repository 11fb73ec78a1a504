/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fx_err_clear(struct fx_err *err)
{
    err->code = FX_OK;
    err->text[0] = '\0';
}

/* A text may have been cut within a character, at its end or where a format cuts ("%.40s"). */
static void mend_characters(char *text)
{
    size_t left = strlen(text);
    if (text_is_utf8(text, left))
        return;
    while (left > 0) {
        size_t size = 1;
        while (size < 4 && size < left && !text_is_utf8(text, size))
            size++;
        if (!text_is_utf8(text, size)) {
            *text = '?';
            size = 1;
        }
        text += size;
        left -= size;
    }
}

enum fx_code fx_err_set(struct fx_err *err, enum fx_code code, const char *format, ...)
{
    fx_assert(code != FX_OK && code < FX_CODE_COUNT);
    if (err->code != FX_OK)
        return err->code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    mend_characters(err->text);
    err->code = code;
    return code;
}

enum fx_code fx_err_wrap(struct fx_err *err, const char *format, ...)
{
    char cause[FX_ERR_TEXT_MAX];
    memcpy(cause, err->text, sizeof cause);
    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    size_t used = length < 0 ? 0 : (size_t)length;
    if (used + 2 < sizeof err->text) {
        size_t room = sizeof err->text - used - 3;
        size_t size = strnlen(cause, sizeof cause - 1);
        memcpy(err->text + used, ": ", 2);
        memcpy(err->text + used + 2, cause, size < room ? size : room);
        err->text[used + 2 + (size < room ? size : room)] = '\0';
    }
    mend_characters(err->text);
    return err->code;
}

const char *fx_code_name(enum fx_code code)
{
    static const char *const names[] = {
#define FX_CODE_NAME(code, status, action) #code,
        FX_CODES(FX_CODE_NAME)
#undef FX_CODE_NAME
    };
    fx_assert(code < FX_CODE_COUNT);
    return names[code];
}

int fx_code_exit_status(enum fx_code code)
{
    static const int statuses[] = {
#define FX_CODE_STATUS(code, status, action) status,
        FX_CODES(FX_CODE_STATUS)
#undef FX_CODE_STATUS
    };
    fx_assert(code < FX_CODE_COUNT);
    return statuses[code];
}

_Noreturn void fx_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "lvl=error ev=assert file=%s line=%d condition=\"%s\"\n", file, line,
            condition);
    abort();
}
