/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up kind with a field of every type, and definitions over it. */
#ifndef ROLLDEF_FIXTURE_H
#define ROLLDEF_FIXTURE_H

#include "../../common/day.h"
#include "../../schemas/rolldef.h"
#include "scratch.h"

#include <jansson.h>

#define TIME "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}"
#define KIND                                                                                       \
    "{\"type\":\"record\",\"name\":\"k\",\"fields\":["                                             \
    "{\"name\":\"source\",\"type\":\"string\"},{\"name\":\"run\",\"type\":\"long\"},"              \
    "{\"name\":\"seq\",\"type\":\"long\"},{\"name\":\"occurred_at\",\"type\":" TIME "},"           \
    "{\"name\":\"region\",\"type\":\"string\"},"                                                   \
    "{\"name\":\"sign\",\"type\":\"int\",\"default\":1},"                                          \
    "{\"name\":\"reverses_run\",\"type\":[\"null\",\"long\"],\"default\":null},"                   \
    "{\"name\":\"reverses_seq\",\"type\":[\"null\",\"long\"],\"default\":null},"                   \
    "{\"name\":\"counted_at\",\"type\":[\"null\"," TIME "],\"default\":null},"                     \
    "{\"name\":\"lane\",\"type\":{\"type\":\"enum\",\"name\":\"lane\","                            \
    "\"symbols\":[\"NORMAL\",\"GREEN\",\"RED\"]}},"                                                \
    "{\"name\":\"persons\",\"type\":\"int\",\"min\":0,\"max\":1000},"                              \
    "{\"name\":\"wait_s\",\"type\":[\"null\",\"int\"],\"max\":86400,\"min\":0},"                   \
    "{\"name\":\"bytes\",\"type\":\"long\"},"                                                      \
    "{\"name\":\"first\",\"type\":\"boolean\"},"                                                   \
    "{\"name\":\"round\",\"type\":\"string\",\"max_length\":32},"                                  \
    "{\"name\":\"note\",\"type\":\"string\"},"                                                     \
    "{\"name\":\"at\",\"type\":" TIME "},"                                                         \
    "{\"name\":\"origin\",\"type\":[\"null\",\"string\"],\"max_length\":32}]}"

#define HEAD "{\"rollup\":\"r\",\"by\":[\"source\",\"region\"],\"bucket\":\"1h\""
#define COLUMNS(text) HEAD ",\"columns\":[" text "]}"
#define COLUMN(rest) COLUMNS("{\"name\":\"a_persons\"," rest "}")
#define WHERE(text) COLUMN("\"count\":true,\"where\":{" text "}")
#define WITH(rest) HEAD ",\"columns\":[{\"name\":\"a_persons\",\"count\":true}]," rest "}"
#define DERIVED(sql)                                                                               \
    HEAD ",\"columns\":[{\"name\":\"a_persons\",\"count\":true},"                                  \
         "{\"name\":\"b_s_max\",\"max\":\"wait_s\"}],"                                             \
         "\"derived\":[{\"name\":\"c_percent\",\"sql\":\"" sql "\"}]}"

struct fixture {
    struct scratch scratch;
    struct kind kind;
    struct rollup_set set;
    struct fx_err err;
};

static int open_fixture(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){0};
    scratch_open(&fixture.scratch);
    scratch_write(&fixture.scratch, "k/1.avsc", KIND);
    if (kind_load(fixture.scratch.root, "k", &fixture.kind, &fixture.err) != FX_OK)
        fail_msg("%s", fixture.err.text);
    *state = &fixture;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;
    rollup_set_release(&fixture->set);
    kind_release(&fixture->kind);
    scratch_close(&fixture->scratch);
    return 0;
}

/* Loads json as the kind's only rollup r. */
static inline enum fx_code load(struct fixture *fixture, const char *json)
{
    scratch_write(&fixture->scratch, "k/r.rollup.json", json);
    rollup_set_release(&fixture->set);
    fx_err_clear(&fixture->err);
    return rollup_set_load(fixture->scratch.root, &fixture->kind, &fixture->set, &fixture->err);
}

static inline const struct rollup *load_good(struct fixture *fixture, const char *json)
{
    if (load(fixture, json) != FX_OK)
        fail_msg("%s", fixture->err.text);
    assert_int_equal(fixture->set.count, 1);
    return &fixture->set.rollups[0];
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

#endif
