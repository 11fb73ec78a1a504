/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_report - a small daily report, written down, and what is printed of it.
 */
#ifndef FX_FAKE_REPORT_H
#define FX_FAKE_REPORT_H

#include "../../consumers/report_measures.h"
#include "../../consumers/report_page.h"
#include "fake_audit.h"

static struct report report;
static struct buf out = BUF_INIT;

static inline struct audit_rows *part(enum report_part which)
{
    return &report.parts[which];
}

static inline void add_figure(const char *place_part, const char *item, const char *measure,
                              const char *value)
{
    const char *place = strcmp(place_part, "unit") == 0 ? "U<1>" : "R1";
    const struct report_measure *known = report_measure_named("contacts", measure);
    assert_non_null(known);
    ADD(part(REPORT_FIGURES), "contacts", place_part, place, item, measure, known->unit, value, "t",
        "t");
}

/* A city with one unit; its three lists, 1,234 listed of which 4 by no unit. */
static inline int make_report(void **state)
{
    (void)state;
    report_init(&report);
    ADD(part(REPORT_HEAD), "2022-02-11T00:00:00+08:00", "R1", "1", "2022-02-10T00:00:00+08:00",
        "2022-02-11T00:00:30+08:00", "fangxian", "fx-report 0.1.0", NULL, NULL,
        "2022-02-11T00:05:00.123456+08:00");
    ADD(part(REPORT_PLACES), "total", "R1", "汕尾市", "Shanwei", "city");
    ADD(part(REPORT_PLACES), "unit", "U<1>", "海|丰*县", "Hai<feng> & \"Co\", 'x'", "county");
    ADD(part(REPORT_PLACES), "own", "R1", "汕尾市", "Shanwei", "city");
    add_figure("total", "", "listed_persons", "1234");
    add_figure("unit", "", "listed_persons", "1230");
    add_figure("own", "", "listed_persons", "4");
    add_figure("total", "CLOSE", "listed_persons", "1234");
    add_figure("unit", "CLOSE", "listed_persons", "1230");
    add_figure("total", "SECONDARY", "listed_persons", "0");
    add_figure("unit", "SECONDARY", "listed_persons", "0");
    ADD(part(REPORT_FIGURES), "contacts", "total", "R1", "", "confirmed_cases", "persons", NULL,
        "f", NULL);
    return 0;
}

static inline int drop_report(void **state)
{
    (void)state;
    report_release(&report);
    buf_release(&out);
    return 0;
}

static inline const char *render(enum report_lang lang, const char *format)
{
    buf_reset(&out);
    assert_ok(report_render(&report, lang, format, &out, &err));
    return buf_text(&out);
}

#define HOLDS(text, part) assert_non_null(strstr(text, part))
#define LACKS(text, part) assert_null(strstr(text, part))

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_report, drop_report)

#endif
