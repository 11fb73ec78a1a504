/* SPDX-License-Identifier: Apache-2.0 */
/*
 * day - instants, buckets and reporting days.
 *
 * An instant is int64_t milliseconds since 1970-01-01T00:00Z. The reporting zone is
 * Asia/Shanghai, UTC+8 without daylight saving since 1992 (tz database), so local days and hours
 * are plain arithmetic for every instant this system accepts (2020 on).
 */
#ifndef FX_DAY_H
#define FX_DAY_H

#include "err.h"

#include <stdint.h>

#define DAY_HOUR_MS INT64_C(3600000)
#define DAY_MS INT64_C(86400000)
#define DAY_ZONE_OFFSET_MS (8 * DAY_HOUR_MS)
#define DAY_2020_MS INT64_C(1577836800000) /* 2020-01-01T00:00Z */
#define DAY_TEXT_SIZE 40                   /* of any instant, however far away */

int64_t day_now_ms(void);       /* wall clock */
int64_t day_monotonic_ms(void); /* for intervals */

/* Start of the bucket of width_ms that holds instant_ms, towards minus infinity. */
int64_t day_bucket_ms(int64_t instant_ms, int64_t width_ms);

/* Start of the local (UTC+8) day that holds instant_ms. */
int64_t day_local_start_ms(int64_t instant_ms);

/*
 * Parses "2022-02-10T08:30:00Z", with optional fraction and offset ("+08:00"), "2022-02-10" or
 * "2022-02-10 08:30[:00]" (both in the reporting zone when no offset is given), or an integer of
 * milliseconds since 1970 that fits. FX_EINPUT: none of these; *instant_ms untouched.
 */
FX_MUST_CHECK enum fx_code day_parse(const char *text, int64_t *instant_ms, struct fx_err *err);

/* "2022-02-10T08:30:00.000+08:00" in the reporting zone. Returns out. */
char *day_format(int64_t instant_ms, char out[DAY_TEXT_SIZE]);

/* "1h", "15min", "1d" -> milliseconds. FX_ECONFIG: not such a width. */
FX_MUST_CHECK enum fx_code day_parse_width(const char *text, int64_t *width_ms, struct fx_err *err);

#endif
