/* SPDX-License-Identifier: Apache-2.0 */
#include "day.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t day_now_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

int64_t day_monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t day_bucket_ms(int64_t instant_ms, int64_t width_ms)
{
    int64_t rest = instant_ms % width_ms;
    return instant_ms - rest - (rest < 0 ? width_ms : 0);
}

int64_t day_local_start_ms(int64_t instant_ms)
{
    return day_bucket_ms(instant_ms + DAY_ZONE_OFFSET_MS, DAY_MS) - DAY_ZONE_OFFSET_MS;
}

/* Exactly count digits at *text; moves *text behind them. -1: not so. */
static int take_digits(const char **text, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (!isdigit((unsigned char)(*text)[i]))
            return -1;
        value = value * 10 + ((*text)[i] - '0');
    }
    *text += count;
    return value;
}

/* Days since 1970-01-01 of a Gregorian date (H. Hinnant, "chrono-compatible date algorithms"). */
static int64_t days_from_civil(int year, int month, int day)
{
    year -= month <= 2;
    int era = (year >= 0 ? year : year - 399) / 400;
    int year_of_era = year - era * 400;
    int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - 719468;
}

static bool take_date(const char **text, int64_t *days)
{
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = take_digits(text, 4);
    if (year < 1970 || *(*text)++ != '-')
        return false;
    int month = take_digits(text, 2);
    if (month < 1 || month > 12 || *(*text)++ != '-')
        return false;
    int day = take_digits(text, 2);
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > month_days[month - 1] || (month == 2 && day == 29 && !is_leap))
        return false;
    *days = days_from_civil(year, month, day);
    return true;
}

/* "HH:MM[:SS[.fraction]]" */
static bool take_time(const char **text, int64_t *ms)
{
    int hour = take_digits(text, 2);
    if (hour < 0 || hour > 23 || *(*text)++ != ':')
        return false;
    int minute = take_digits(text, 2);
    if (minute < 0 || minute > 59)
        return false;
    int second = 0;
    int64_t fraction_ms = 0;
    if (**text == ':') {
        ++*text;
        second = take_digits(text, 2);
        if (second < 0 || second > 59)
            return false;
        if (**text == '.') {
            ++*text;
            if (!isdigit((unsigned char)**text))
                return false;
            for (int64_t unit = 100; isdigit((unsigned char)**text); unit /= 10)
                fraction_ms += unit * (*(*text)++ - '0');
        }
    }
    *ms = ((hour * 60 + minute) * INT64_C(60) + second) * 1000 + fraction_ms;
    return true;
}

/* "", "Z", "+08:00" or "+0800" */
static bool take_offset(const char **text, int64_t *offset_ms)
{
    *offset_ms = DAY_ZONE_OFFSET_MS;
    if (**text == '\0')
        return true;
    char sign = *(*text)++;
    if (sign == 'Z') {
        *offset_ms = 0;
        return true;
    }
    int hour = take_digits(text, 2);
    if ((sign != '+' && sign != '-') || hour < 0 || hour > 14)
        return false;
    if (**text == ':')
        ++*text;
    int minute = take_digits(text, 2);
    if (minute < 0 || minute > 59)
        return false;
    *offset_ms = (hour * 60 + minute) * INT64_C(60000) * (sign == '-' ? -1 : 1);
    return true;
}

enum fx_code day_parse(const char *text, int64_t *instant_ms, struct fx_err *err)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0) {
        *instant_ms = number;
        return FX_OK;
    }
    const char *at = text;
    int64_t days = 0;
    int64_t time_ms = 0;
    int64_t offset_ms = DAY_ZONE_OFFSET_MS;
    bool is_good = take_date(&at, &days);
    if (is_good && (*at == 'T' || *at == ' ')) {
        at++;
        is_good = take_time(&at, &time_ms) && take_offset(&at, &offset_ms);
    }
    if (!is_good || *at != '\0')
        return fx_err_set(err, FX_EINPUT, "'%.40s' is not a time such as 2022-02-10T08:30:00+08:00",
                          text);
    *instant_ms = days * DAY_MS + time_ms - offset_ms;
    return FX_OK;
}

char *day_format(int64_t instant_ms, char out[DAY_TEXT_SIZE])
{
    int64_t rest_ms = instant_ms % 1000 + (instant_ms % 1000 < 0 ? 1000 : 0);
    time_t seconds = instant_ms / 1000 - (instant_ms % 1000 < 0) + DAY_ZONE_OFFSET_MS / 1000;
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t length = strftime(out, DAY_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out + length, DAY_TEXT_SIZE - length, ".%03d+08:00", (int)rest_ms);
    return out;
}

enum fx_code day_parse_width(const char *text, int64_t *width_ms, struct fx_err *err)
{
    char *end;
    long number = strtol(text, &end, 10);
    int64_t unit_ms = strcmp(end, "min") == 0 ? 60000
                      : strcmp(end, "h") == 0 ? DAY_HOUR_MS
                      : strcmp(end, "d") == 0 ? DAY_MS
                                              : 0;
    if (number < 1 || number > 1440 || unit_ms == 0)
        return fx_err_set(err, FX_ECONFIG, "'%.20s' is not a width such as 15min, 1h or 1d", text);
    *width_ms = number * unit_ms;
    return FX_OK;
}
