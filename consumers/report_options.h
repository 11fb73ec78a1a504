/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_options - what fx-report is asked for, as its command line says it.
 *
 * Strings live as long as the process.
 */
#ifndef FX_REPORT_OPTIONS_H
#define FX_REPORT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define REPORT_NO_TIME INT64_MIN

struct report_options {
    const char *conninfo;
    const char *schema_name;
    const char *log_level;
    const char *region; /* NULL: the root of the tree */
    const char *lang;   /* zh, en or both; NULL: both */
    const char *format; /* md, csv, html or all; NULL: md */
    const char *output; /* a directory; NULL: stdout */
    int64_t as_of_ms;   /* REPORT_NO_TIME: not given */
    int64_t version;    /* 0: the newest */
    bool is_freeze;
    bool is_draft;
    bool is_list;
    bool is_publish;
};

#endif
