/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csv_fuzz - a file of regions or sources, as a person's spreadsheet writes it.
 *
 * Promised:
 *   - whatever the first line is, the rows behind it have as many cells, or the line that has not
 * is named; with every cell between quotes the file says the same;
 *   - a file of regions makes a tree: parents first and of a higher level, codes found by name; the
 *     tree written as a file makes the same tree; a refusal names the file and, but for what is no
 *     text, the line.
 */
#include "fuzz_target.h"

#include "../../common/text.h"
#include "../../schemas/csv.h"
#include "../../schemas/region.h"

#define HEADER "code,name,name_latin,level,parent,statistical_parent"

static void open_target(void)
{
    fuzz_folder();
}

static void append_cell(struct buf *out, const char *cell, bool is_first)
{
    buf_append_text(out, is_first ? "\"" : ",\"");
    for (; *cell != '\0'; cell++) {
        if (*cell == '"')
            buf_append_byte(out, '"');
        buf_append_byte(out, (uint8_t)*cell);
    }
    buf_append_byte(out, '"');
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* Reads all rows into out, every cell between quotes. false: some row is wrong. */
static bool read_rows(struct csv *csv, struct buf *out, int *count)
{
    static const char *const names[] = {NULL};
    char *cells[CSV_CELLS_MAX];
    bool is_end = false;
    int line = csv->line;
    for (*count = 0;; ++*count) {
        struct fx_err err = FX_ERR_INIT;
        if (csv_read(csv, cells, &is_end, &err) != FX_OK) {
            fuzz_check_refusal(&err, FX_ECONFIG, names);
            assert_true(csv->line > line);
            return false;
        }
        if (is_end)
            return true;
        assert_true(csv->line > line);
        line = csv->line;
        for (int i = 0; i < csv->cell_count; i++)
            append_cell(out, cells[i], i == 0);
        buf_append_text(out, "\r\n");
    }
}

static void check_rows_again(const char *header, const struct buf *rows, int count)
{
    struct buf text = BUF_INIT;
    struct buf again = BUF_INIT;
    struct csv csv;
    int again_count = 0;
    buf_append_format(&text, "%s\r\n", header);
    buf_append(&text, rows->data, rows->size);
    const char *path = fuzz_write(NULL, "again.csv", text.data, text.size);
    assert_ok(csv_open(&csv, path, header, &err));
    assert_true(read_rows(&csv, &again, &again_count));
    assert_int_equal(again_count, count);
    assert_int_equal(again.size, rows->size);
    if (rows->size > 0)
        assert_memory_equal(again.data, rows->data, rows->size);
    csv_close(&csv);
    buf_release(&text);
    buf_release(&again);
}

static int count_commas(const char *header)
{
    int count = 0;
    for (; *header != '\0'; header++)
        count += *header == ',';
    return count;
}

/* The file with its own first line as the header. */
static bool check_rows(const char *path, const struct fuzz_text *text)
{
    static const char *const names[] = {NULL};
    struct fx_err err = FX_ERR_INIT;
    struct buf rows = BUF_INIT;
    struct csv csv;
    char header[sizeof text->head];
    int count = 0;
    snprintf(header, sizeof header, "%s", text->head);
    size_t length = strlen(header);
    if (length > 0 && header[length - 1] == '\r')
        header[--length] = '\0';
    if (count_commas(header) >= CSV_CELLS_MAX)
        return false;
    if (csv_open(&csv, path, header, &err) != FX_OK) {
        fuzz_check_refusal(&err, FX_ECONFIG, names);
        return false;
    }
    assert_int_equal(csv.cell_count, count_commas(header) + 1);
    bool is_taken = read_rows(&csv, &rows, &count);
    if (is_taken)
        check_rows_again(header, &rows, count);
    csv_close(&csv);
    buf_release(&rows);
    return is_taken;
}

/* ---- the tree -------------------------------------------------------------------------------- */

static void check_node(const struct region_tree *tree, int index)
{
    const struct region *node = &tree->nodes[index];
    assert_true(text_is_name(node->code, strlen(node->code), REGION_CODE_MAX - 1));
    assert_int_equal(region_tree_find(tree, node->code, strlen(node->code)), index);
    assert_in_range(node->level, REGION_CITY, REGION_TOWN);
    assert_true(node->name[0] != '\0');
    assert_true(node->parent >= -1 && node->parent < index && node->parent != REGION_OUTSIDE);
    if (node->parent >= 0)
        assert_true(tree->nodes[node->parent].level < node->level);
}

static void write_tree(const struct region_tree *tree, struct buf *out)
{
    buf_append_text(out, HEADER "\n");
    for (int i = 1; i < tree->count; i++) {
        const struct region *node = &tree->nodes[i];
        append_cell(out, node->code, true);
        append_cell(out, node->name, false);
        append_cell(out, node->name_latin, false);
        append_cell(out, region_level_name(node->level), false);
        append_cell(out, node->parent < 0 ? "" : tree->nodes[node->parent].code, false);
        append_cell(out, node->statistical_parent, false);
        buf_append_byte(out, '\n');
    }
}

static void check_tree(const struct region_tree *tree)
{
    struct region_tree again;
    struct buf text = BUF_INIT;
    for (int i = 1; i < tree->count; i++)
        check_node(tree, i);
    write_tree(tree, &text);
    assert_ok(region_tree_init(&again, &err));
    const char *path = fuzz_write(NULL, "again.csv", text.data, text.size);
    assert_ok(region_tree_load(&again, path, &err));
    assert_int_equal(again.count, tree->count);
    for (int i = 0; i < tree->count; i++) {
        const struct region *a = &tree->nodes[i];
        const struct region *b = &again.nodes[i];
        assert_string_equal(a->code, b->code);
        assert_string_equal(a->name, b->name);
        assert_string_equal(a->name_latin, b->name_latin);
        assert_string_equal(a->statistical_parent, b->statistical_parent);
        assert_int_equal(a->level, b->level);
        assert_int_equal(a->parent, b->parent);
    }
    region_tree_release(&again);
    buf_release(&text);
}

static bool check(const uint8_t *bytes, size_t size)
{
    struct region_tree tree;
    struct fuzz_text text;
    struct fx_err failed = FX_ERR_INIT;
    fuzz_split(bytes, size, &text);
    assert_ok(region_tree_init(&tree, &err));
    const char *path = fuzz_write(NULL, "regions.csv", bytes, size);
    const char *const names[] = {path, text_is_utf8((const char *)bytes, size) ? "line" : "UTF-8",
                                 NULL};
    bool is_taken = region_tree_load(&tree, path, &failed) == FX_OK;
    if (is_taken) {
        check_tree(&tree);
        path = fuzz_write(NULL, "regions.csv", bytes, size);
    } else {
        fuzz_check_refusal(&failed, FX_ECONFIG, names);
    }
    region_tree_release(&tree);
    return check_rows(path, &text) || is_taken;
}

const struct fuzz_target fuzz_target = {open_target, check};
