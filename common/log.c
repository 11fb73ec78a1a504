/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 1280

static const char *log_program = "fangxian";
static enum fx_log_level log_level = FX_LOG_INFO;
static const char *const level_names[] = {"error", "warn", "info", "debug"};

void fx_log_open(const char *program, enum fx_log_level level)
{
    log_program = program;
    log_level = level;
}

enum fx_code fx_log_parse_level(const char *text, enum fx_log_level *level, struct fx_err *err)
{
    for (int i = FX_LOG_ERROR; i <= FX_LOG_DEBUG; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum fx_log_level)i;
            return FX_OK;
        }
    }
    return fx_err_set(err, FX_ECONFIG, "log level '%s' is not error, warn, info or debug", text);
}

static size_t format_head(char *line, size_t size, enum fx_log_level level, const char *event)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    int length = snprintf(line, size, "ts=%s.%03ldZ lvl=%s prog=%s ev=%s ", stamp,
                          now.tv_nsec / 1000000, level_names[level], log_program, event);
    return (size_t)length < size ? (size_t)length : size - 1;
}

void fx_log(enum fx_log_level level, const char *event, const char *format, ...)
{
    if (level > log_level)
        return;
    char line[LOG_LINE_MAX];
    size_t length = format_head(line, sizeof line - 1, level, event);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + length, sizeof line - 1 - length, format, args);
    va_end(args);
    if (more > 0)
        length += (size_t)more < sizeof line - 1 - length ? (size_t)more : sizeof line - 2 - length;
    line[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written; /* nowhere is left to say that stderr is closed */
}

void fx_log_err(const char *event, const struct fx_err *err)
{
    char quoted[FX_ERR_TEXT_MAX + 64];
    fx_log(FX_LOG_ERROR, event, "code=%s msg=%s", fx_code_name(err->code),
           fx_log_quote(quoted, sizeof quoted, err->text));
}

char *fx_log_quote(char *out, size_t size, const char *text)
{
    fx_assert(size >= 16);
    size_t limit = size - 8 < FX_ERR_TEXT_MAX ? size - 8 : FX_ERR_TEXT_MAX;
    size_t used = 0;
    out[used++] = '"';
    for (; *text != '\0' && used < limit; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            out[used++] = '\\';
            out[used++] = (char)byte;
        } else if (byte < 0x20 || byte == 0x7f) {
            out[used++] = ' ';
        } else {
            out[used++] = (char)byte;
        }
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}
