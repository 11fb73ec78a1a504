/* SPDX-License-Identifier: Apache-2.0 */
#include "../../common/text.h"
#include "../../schemas/csv.h"
#include "../../schemas/region.h"
#include "scratch.h"

#define HEADER "code,name,name_latin,level,parent,statistical_parent\n"

static struct region make_node(const char *code, const char *name, enum region_level level)
{
    struct region node = {.level = level};
    text_copy(node.code, sizeof node.code, code);
    text_copy(node.name, sizeof node.name, name);
    return node;
}

static enum fx_code add(struct region_tree *tree, const char *code, enum region_level level,
                        const char *parent, struct fx_err *err)
{
    struct region node = make_node(code, code, level);
    *err = (struct fx_err)FX_ERR_INIT;
    return region_tree_add(tree, &node, parent, err);
}

static int find(const struct region_tree *tree, const char *code)
{
    return region_tree_find(tree, code, strlen(code));
}

static void tree_begins_with_the_outside(void **state)
{
    (void)state;
    struct region_tree tree;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(region_tree_init(&tree, &err), FX_OK);
    assert_int_equal(tree.count, 1);
    assert_int_equal(find(&tree, "-"), REGION_OUTSIDE);
    assert_int_equal(tree.nodes[REGION_OUTSIDE].level, REGION_CITY);
    assert_int_equal(tree.nodes[REGION_OUTSIDE].parent, -1);
    assert_int_equal(find(&tree, ""), -1);
    assert_int_equal(find(&tree, "441500"), -1);
    region_tree_release(&tree);
}

static void tree_finds_all_it_was_given(void **state)
{
    (void)state;
    struct region_tree tree;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(region_tree_init(&tree, &err), FX_OK);
    assert_int_equal(add(&tree, "city", REGION_CITY, "", &err), FX_OK);
    for (int i = 0; i < 5000; i++) {
        char code[16];
        snprintf(code, sizeof code, "t%d", i);
        assert_int_equal(add(&tree, code, REGION_TOWN, "city", &err), FX_OK);
    }
    assert_int_equal(tree.count, 5002);
    for (int i = 0; i < 5000; i++) {
        char code[16];
        snprintf(code, sizeof code, "t%dx", i);
        size_t size = strlen(code) - 1;
        assert_int_equal(region_tree_find(&tree, code, size), i + 2);
        assert_int_equal(region_tree_find(&tree, code, size + 1), -1);
    }
    region_tree_release(&tree);
}

static void tree_renames_but_does_not_move(void **state)
{
    (void)state;
    struct region_tree tree;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(region_tree_init(&tree, &err), FX_OK);
    assert_int_equal(add(&tree, "c1", REGION_CITY, "", &err), FX_OK);
    assert_int_equal(add(&tree, "c2", REGION_CITY, "", &err), FX_OK);
    assert_int_equal(add(&tree, "t", REGION_TOWN, "c1", &err), FX_OK);
    struct region renamed = make_node("t", "new name", REGION_TOWN);
    assert_int_equal(region_tree_add(&tree, &renamed, "c1", &err), FX_OK);
    assert_int_equal(tree.count, 4);
    assert_string_equal(tree.nodes[3].name, "new name");
    assert_int_equal(tree.nodes[3].parent, find(&tree, "c1"));
    assert_int_equal(add(&tree, "t", REGION_TOWN, "c2", &err), FX_ECONFIG);
    assert_holds(err.text, "region t moved");
    assert_int_equal(add(&tree, "t", REGION_COUNTY, "c1", &err), FX_ECONFIG);
    assert_holds(err.text, "region t moved");
    assert_string_equal(tree.nodes[3].name, "new name");
    region_tree_release(&tree);
}

static void tree_refuses_what_is_no_tree(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        enum region_level level;
        const char *parent;
        const char *part;
    } cases[] = {
        {"t", REGION_TOWN, "none", "no parent \"none\""},
        {"a b", REGION_TOWN, "c", "code \"a b\""},
        {"", REGION_TOWN, "c", "code \"\""},
        {"c2", REGION_CITY, "c", "a city cannot lie in the city c"},
        {"k2", REGION_COUNTY, "k", "a county cannot lie in the county k"},
        {"t", REGION_TOWN, "t", "no parent \"t\""},
        {"t", REGION_TOWN, "-", "has no children"},
        {"t", REGION_LEVEL_COUNT, "c", "no such level"},
    };
    struct region_tree tree;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(region_tree_init(&tree, &err), FX_OK);
    assert_int_equal(add(&tree, "c", REGION_CITY, "", &err), FX_OK);
    assert_int_equal(add(&tree, "k", REGION_COUNTY, "c", &err), FX_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(add(&tree, cases[i].code, cases[i].level, cases[i].parent, &err),
                         FX_ECONFIG);
        assert_holds(err.text, cases[i].part);
        assert_int_equal(tree.count, 3);
    }
    struct region nameless = make_node("t", "", REGION_TOWN);
    fx_err_clear(&err);
    assert_int_equal(region_tree_add(&tree, &nameless, "c", &err), FX_ECONFIG);
    assert_int_equal(add(&tree, "t", REGION_TOWN, "c", &err), FX_OK);
    region_tree_release(&tree);
}

static void shipped_regions_are_shanwei(void **state)
{
    (void)state;
    int levels[REGION_LEVEL_COUNT] = {0};
    struct region_tree tree;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(region_tree_init(&tree, &err), FX_OK);
    if (region_tree_load(&tree, FX_SCHEMAS_DIR "/regions.csv", &err) != FX_OK)
        fail_msg("%s", err.text);
    for (int i = 1; i < tree.count; i++)
        levels[tree.nodes[i].level]++;
    assert_int_equal(levels[REGION_CITY], 1);
    assert_int_equal(levels[REGION_COUNTY], 6);
    assert_int_equal(levels[REGION_TOWN], 59);
    const struct region *haicheng = &tree.nodes[find(&tree, "441521115")];
    assert_string_equal(haicheng->name_latin, "Haicheng Town");
    assert_string_equal(tree.nodes[haicheng->parent].code, "441521");
    const struct region *tianqian = &tree.nodes[find(&tree, "441502004")];
    assert_string_equal(tree.nodes[tianqian->parent].code, "441500-honghaiwan");
    assert_string_equal(tianqian->statistical_parent, "441502");
    region_tree_release(&tree);
}

static void shipped_sources_lie_in_shipped_regions(void **state)
{
    (void)state;
    struct region_tree tree;
    struct csv csv;
    struct fx_err err = FX_ERR_INIT;
    char *cells[CSV_CELLS_MAX];
    bool is_end = false;
    int count = 0;
    assert_int_equal(region_tree_init(&tree, &err), FX_OK);
    assert_int_equal(region_tree_load(&tree, FX_SCHEMAS_DIR "/regions.csv", &err), FX_OK);
    assert_int_equal(csv_open(&csv, FX_SCHEMAS_DIR "/sources.csv",
                              "source,kind,name,region,valid_from,valid_to", &err),
                     FX_OK);
    for (;;) {
        assert_int_equal(csv_read(&csv, cells, &is_end, &err), FX_OK);
        if (is_end)
            break;
        assert_true(text_is_name(cells[0], strlen(cells[0]), 64));
        assert_true(find(&tree, cells[3]) > 0);
        count += strcmp(cells[0], "CP-441521115-003") == 0;
    }
    assert_int_equal(count, 1);
    csv_close(&csv);
    region_tree_release(&tree);
}

static void csv_follows_rfc_4180(void **state)
{
    (void)state;
    struct scratch scratch;
    struct csv csv;
    struct fx_err err = FX_ERR_INIT;
    char *cells[CSV_CELLS_MAX];
    bool is_end = false;
    scratch_open(&scratch);
    const char *path = scratch_write(&scratch, "a.csv",
                                     "\xef\xbb\xbf"
                                     "a,b\r\n\"x, \"\"y\"\"\",\r\n\r\n\"two\nlines\",\"\"\nlast,1");
    assert_int_equal(csv_open(&csv, path, "a,b", &err), FX_OK);
    assert_int_equal(csv_read(&csv, cells, &is_end, &err), FX_OK);
    assert_string_equal(cells[0], "x, \"y\"");
    assert_string_equal(cells[1], "");
    assert_int_equal(csv.line, 2);
    assert_int_equal(csv_read(&csv, cells, &is_end, &err), FX_OK);
    assert_string_equal(cells[0], "two\nlines");
    assert_int_equal(csv.line, 4);
    assert_int_equal(csv_read(&csv, cells, &is_end, &err), FX_OK);
    assert_string_equal(cells[0], "last");
    assert_string_equal(cells[1], "1");
    assert_int_equal(csv.line, 6);
    assert_false(is_end);
    assert_int_equal(csv_read(&csv, cells, &is_end, &err), FX_OK);
    assert_true(is_end);
    csv_close(&csv);
    scratch_close(&scratch);
}

static void load_names_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"", "r.csv: line 1: the header"},
        {"code,name\n", "r.csv: line 1: the header"},
        {HEADER "c,C,,city,,\nt,T,,village,c,\n", "r.csv: line 3: level \"village\""},
        {HEADER "c,C,,city,,\nt,T,,town,d,\n", "r.csv: line 3: region t: no parent \"d\""},
        {HEADER "c,C,,city,,\n-,本地,,city,,\n", "r.csv: line 3: \"-\" is reserved"},
        {HEADER "c,C,,city,,\nc,D,,city,,\n", "r.csv: line 3: region c is in the file twice"},
        {HEADER "c,C,,city,\n", "r.csv: line 2: 5 cells instead of 6"},
        {HEADER "c,C,,city,,,\n", "r.csv: line 2: 7 cells instead of 6"},
        {HEADER "c,\"C,,city,,\n", "r.csv: line 2: broken quotes"},
        {HEADER "c,\"C\"x,,city,,\n", "r.csv: line 2: broken quotes"},
        {HEADER "c,,,city,,\n", "r.csv: line 2: region c: no name"},
        {HEADER "c,\xff,,city,,\n", "r.csv: is not UTF-8"},
        {HEADER "c23456789012345678901234567890123,C,,city,,\n", "is longer than 32 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scratch scratch;
        struct region_tree tree;
        struct fx_err err = FX_ERR_INIT;
        scratch_open(&scratch);
        assert_int_equal(region_tree_init(&tree, &err), FX_OK);
        const char *path = scratch_write(&scratch, "r.csv", cases[i].text);
        assert_int_equal(region_tree_load(&tree, path, &err), FX_ECONFIG);
        assert_holds(err.text, cases[i].part);
        region_tree_release(&tree);
        scratch_close(&scratch);
    }
}

static void load_reports_a_missing_file(void **state)
{
    (void)state;
    struct region_tree tree;
    struct fx_err err = FX_ERR_INIT;
    assert_int_equal(region_tree_init(&tree, &err), FX_OK);
    assert_int_equal(region_tree_load(&tree, "/nowhere/regions.csv", &err), FX_ECONFIG);
    assert_holds(err.text, "/nowhere/regions.csv: cannot be opened");
    assert_int_equal(tree.count, 1);
    region_tree_release(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_begins_with_the_outside),
        cmocka_unit_test(tree_finds_all_it_was_given),
        cmocka_unit_test(tree_renames_but_does_not_move),
        cmocka_unit_test(tree_refuses_what_is_no_tree),
        cmocka_unit_test(shipped_regions_are_shanwei),
        cmocka_unit_test(shipped_sources_lie_in_shipped_regions),
        cmocka_unit_test(csv_follows_rfc_4180),
        cmocka_unit_test(load_names_file_and_line),
        cmocka_unit_test(load_reports_a_missing_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
