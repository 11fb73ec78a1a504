/* SPDX-License-Identifier: Apache-2.0 */
/* A small city and its simulated day, for the tests of simulations. */
#ifndef FX_TEST_SIMULATED_H
#define FX_TEST_SIMULATED_H

#include "../../common/day.h"
#include "../../producers/record.h"
#include "../../producers/simulate.h"
#include "../../schemas/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FROM_MS INT64_C(1644422400000) /* 2022-02-10T00:00+08:00 */

static struct region_tree tree;

static const struct {
    const char *code;
    const char *name;
    enum region_level level;
    const char *parent;
} nodes[] = {
    {"441500", "汕尾市", REGION_CITY, ""},
    {"441521", "海丰县", REGION_COUNTY, "441500"},
    {"441500-huaqiao", "华侨管理区", REGION_COUNTY, "441500"},
    {"441521115", "海城镇", REGION_TOWN, "441521"},
    {"441521101", "梅陇镇", REGION_TOWN, "441521"},
    {"441521120", "城东镇", REGION_TOWN, "441521"},
    {"441521109", "大湖镇", REGION_TOWN, "441521"},
    {"441581400", "华侨\"管理区\", 场", REGION_TOWN, "441500-huaqiao"},
    {"441599001", "城区街道", REGION_TOWN, "441500"},
};

static int open_tree(void **state)
{
    (void)state;
    struct fx_err err = FX_ERR_INIT;
    enum fx_code code = region_tree_init(&tree, &err);
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]) && code == FX_OK; i++) {
        struct region node = {.level = nodes[i].level, .parent = -1};
        snprintf(node.code, sizeof(node.code), "%s", nodes[i].code);
        snprintf(node.name, sizeof(node.name), "%s", nodes[i].name);
        code = region_tree_add(&tree, &node, nodes[i].parent, &err);
    }
    return code == FX_OK ? 0 : 1;
}

static int close_tree(void **state)
{
    (void)state;
    region_tree_release(&tree);
    return 0;
}

static struct simulation_options a_day(const char *kind, int64_t events, int64_t sources)
{
    return (struct simulation_options){
        .kind = kind,
        .events = events,
        .sources = sources,
        .from_ms = FROM_MS,
        .to_ms = FROM_MS + DAY_MS,
        .seed = 7,
        .regions = &tree,
    };
}

static struct simulation *must_open(const struct simulation_options *options)
{
    struct fx_err err = FX_ERR_INIT;
    struct simulation *simulation = NULL;
    assert_int_equal(simulation_open(options, &simulation, &err), FX_OK);
    return simulation;
}

/* false: done */
static bool must_next(struct simulation *simulation, struct buf *line)
{
    struct fx_err err = FX_ERR_INIT;
    bool is_done = false;
    assert_int_equal(simulation_next(simulation, line, &is_done, &err), FX_OK);
    assert_int_equal(is_done, line->size == 0);
    return !is_done;
}

/* Whether two runs give the same lines. *count: how many. */
static bool is_same_run(const struct simulation_options *a, const struct simulation_options *b,
                        int64_t *count)
{
    struct simulation *one = must_open(a);
    struct simulation *other = must_open(b);
    struct buf line = BUF_INIT;
    struct buf other_line = BUF_INIT;
    bool is_same = true;
    for (*count = 0; must_next(one, &line); ++*count) {
        if (!must_next(other, &other_line)) {
            is_same = false;
            break;
        }
        is_same &=
            line.size == other_line.size && memcmp(line.data, other_line.data, line.size) == 0;
    }
    is_same &= !must_next(other, &other_line);
    buf_release(&line);
    buf_release(&other_line);
    simulation_close(one);
    simulation_close(other);
    return is_same;
}

static void must_accept_all(struct record *record, const struct simulation_options *options)
{
    struct simulation *simulation = must_open(options);
    struct buf line = BUF_INIT;
    struct record_line taken = {.now_ms = FROM_MS};
    struct fx_err err = FX_ERR_INIT;
    while (must_next(simulation, &line)) {
        enum fx_code code = record_read(record, buf_text(&line), line.size, &taken, &err);
        assert_string_equal(code == FX_OK ? "" : err.text, "");
    }
    buf_release(&line);
    simulation_close(simulation);
}

/* The producer takes every line as it stands. */
static void must_accept_kind(const char *name, int64_t events)
{
    struct fx_err err = FX_ERR_INIT;
    struct kind kind;
    struct record *record = NULL;
    assert_int_equal(kind_load(FX_SCHEMAS_DIR, name, &kind, &err), FX_OK);
    struct record_options record_options = {.kind = &kind};
    assert_int_equal(record_open(&record_options, &record, &err), FX_OK);
    struct simulation_options options = a_day(name, events, 60);
    must_accept_all(record, &options);
    record_close(record);
    kind_release(&kind);
}

#endif
