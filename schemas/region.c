/* SPDX-License-Identifier: Apache-2.0 */
#include "region.h"

#include "../common/hash.h"
#include "../common/text.h"
#include "csv.h"

#include <stdlib.h>
#include <string.h>

#define HEADER "code,name,name_latin,level,parent,statistical_parent"
#define ROOM_FIRST 128
#define HASH_SEED UINT64_C(0x9e3779b97f4a7c15) /* codes are an operator's, not an attacker's */

static const char *const level_names[] = {"city", "county", "town"};
_Static_assert(sizeof level_names / sizeof level_names[0] == REGION_LEVEL_COUNT, "a name each");

const char *region_level_name(enum region_level level)
{
    fx_assert(level < REGION_LEVEL_COUNT);
    return level_names[level];
}

/* The slot that holds code, or the free one where it belongs. */
static uint32_t find_slot(const struct region_tree *tree, const char *code, size_t size)
{
    uint32_t mask = tree->slot_count - 1;
    uint32_t slot = (uint32_t)hash_bytes(code, size, HASH_SEED) & mask;
    while (tree->slots[slot] != 0) {
        const char *other = tree->nodes[tree->slots[slot] - 1].code;
        if (memcmp(other, code, size) == 0 && other[size] == '\0')
            break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

int region_tree_find(const struct region_tree *tree, const char *code, size_t size)
{
    if (size == 0 || size >= REGION_CODE_MAX)
        return -1;
    return tree->slots[find_slot(tree, code, size)] - 1;
}

/* Twice the room, with at least two slots to a node. */
static enum fx_code grow(struct region_tree *tree, struct fx_err *err)
{
    int room = tree->room == 0 ? ROOM_FIRST : tree->room * 2;
    uint32_t slot_count = (uint32_t)room * 2;
    int32_t *slots = calloc(slot_count, sizeof *slots);
    struct region *nodes = realloc(tree->nodes, (size_t)room * sizeof *nodes);
    if (nodes != NULL)
        tree->nodes = nodes;
    if (slots == NULL || nodes == NULL) {
        free(slots);
        return fx_err_set(err, FX_EMEMORY, "no memory for %d regions", room);
    }
    free(tree->slots);
    tree->slots = slots;
    tree->slot_count = slot_count;
    tree->room = room;
    for (int i = 0; i < tree->count; i++) {
        const char *code = nodes[i].code;
        slots[find_slot(tree, code, strlen(code))] = i + 1;
    }
    return FX_OK;
}

static enum fx_code append(struct region_tree *tree, const struct region *node, int parent,
                           struct fx_err *err)
{
    if (tree->count >= REGION_NODES_MAX)
        return fx_err_set(err, FX_ECONFIG, "more than %d regions", REGION_NODES_MAX);
    if (tree->count == tree->room && grow(tree, err) != FX_OK)
        return err->code;
    struct region *fresh = &tree->nodes[tree->count];
    *fresh = *node;
    fresh->parent = parent;
    uint32_t slot = find_slot(tree, fresh->code, strlen(fresh->code));
    tree->slots[slot] = ++tree->count;
    return FX_OK;
}

enum fx_code region_tree_init(struct region_tree *tree, struct fx_err *err)
{
    static const struct region outside = {
        .code = "-", .name = "外地", .name_latin = "Outside", .level = REGION_CITY, .parent = -1};
    struct region_tree fresh = {0};
    if (append(&fresh, &outside, -1, err) != FX_OK) {
        region_tree_release(&fresh);
        return err->code;
    }
    *tree = fresh;
    return FX_OK;
}

void region_tree_release(struct region_tree *tree)
{
    free(tree->nodes);
    free(tree->slots);
    *tree = (struct region_tree){0};
}

static enum fx_code check_node(const struct region *node, struct fx_err *err)
{
    size_t size = strnlen(node->code, sizeof node->code);
    if (!text_is_name(node->code, size, REGION_CODE_MAX - 1))
        return fx_err_set(err, FX_ECONFIG, "code \"%.40s\" is not 1 to %d of [A-Za-z0-9._-]",
                          node->code, REGION_CODE_MAX - 1);
    if (node->level >= REGION_LEVEL_COUNT)
        return fx_err_set(err, FX_ECONFIG, "region %s: no such level", node->code);
    if (node->name[0] == '\0')
        return fx_err_set(err, FX_ECONFIG, "region %s: no name", node->code);
    return FX_OK;
}

static enum fx_code find_parent(const struct region_tree *tree, const struct region *node,
                                const char *parent_code, int *parent, struct fx_err *err)
{
    if (parent_code[0] == '\0') {
        *parent = -1;
        return FX_OK;
    }
    int found = region_tree_find(tree, parent_code, strlen(parent_code));
    if (found < 0)
        return fx_err_set(err, FX_ECONFIG,
                          "region %s: no parent \"%.40s\" (parents come before children)",
                          node->code, parent_code);
    if (found == REGION_OUTSIDE)
        return fx_err_set(err, FX_ECONFIG, "region %s: \"-\" has no children", node->code);
    enum region_level level = tree->nodes[found].level;
    if (level >= node->level)
        return fx_err_set(err, FX_ECONFIG, "region %s: a %s cannot lie in the %s %s", node->code,
                          level_names[node->level], level_names[level], parent_code);
    *parent = found;
    return FX_OK;
}

enum fx_code region_tree_add(struct region_tree *tree, const struct region *node,
                             const char *parent_code, struct fx_err *err)
{
    int parent = -1;
    if (check_node(node, err) != FX_OK ||
        find_parent(tree, node, parent_code, &parent, err) != FX_OK)
        return err->code;
    int known = region_tree_find(tree, node->code, strlen(node->code));
    if (known < 0)
        return append(tree, node, parent, err);
    struct region *old = &tree->nodes[known];
    if (old->parent != parent || old->level != node->level)
        return fx_err_set(err, FX_ECONFIG,
                          "region %s moved: its parent and level cannot change (retire the code, "
                          "or rebuild)",
                          node->code);
    *old = *node;
    old->parent = parent;
    return FX_OK;
}

static enum fx_code copy_cell(char *out, size_t size, const char *cell, struct fx_err *err)
{
    if (!text_copy(out, size, cell))
        return fx_err_set(err, FX_ECONFIG, "\"%.40s…\" is longer than %zu bytes", cell, size - 1);
    return FX_OK;
}

static enum fx_code parse_row(char *const cells[], struct region *node, struct fx_err *err)
{
    *node = (struct region){.level = REGION_LEVEL_COUNT, .parent = -1};
    if (copy_cell(node->code, sizeof node->code, cells[0], err) != FX_OK ||
        copy_cell(node->name, sizeof node->name, cells[1], err) != FX_OK ||
        copy_cell(node->name_latin, sizeof node->name_latin, cells[2], err) != FX_OK ||
        copy_cell(node->statistical_parent, sizeof node->statistical_parent, cells[5], err) !=
            FX_OK)
        return err->code;
    for (int i = 0; i < REGION_LEVEL_COUNT; i++)
        if (strcmp(cells[3], level_names[i]) == 0)
            node->level = (enum region_level)i;
    if (node->level == REGION_LEVEL_COUNT)
        return fx_err_set(err, FX_ECONFIG, "level \"%.40s\" is not city, county or town", cells[3]);
    return FX_OK;
}

static enum fx_code check_new(const struct region_tree *tree, const char *code, struct fx_err *err)
{
    int known = region_tree_find(tree, code, strlen(code));
    if (known == REGION_OUTSIDE)
        return fx_err_set(err, FX_ECONFIG, "\"-\" is reserved for what lies outside of the tree");
    if (known >= 0)
        return fx_err_set(err, FX_ECONFIG, "region %s is in the file twice", code);
    return FX_OK;
}

static enum fx_code load_rows(struct region_tree *tree, struct csv *csv, struct fx_err *err)
{
    char *cells[CSV_CELLS_MAX];
    bool is_end = false;
    for (;;) {
        struct region node;
        if (csv_read(csv, cells, &is_end, err) != FX_OK)
            return err->code;
        if (is_end)
            return FX_OK;
        if (parse_row(cells, &node, err) != FX_OK || check_new(tree, node.code, err) != FX_OK ||
            region_tree_add(tree, &node, cells[4], err) != FX_OK)
            return err->code;
    }
}

enum fx_code region_tree_load(struct region_tree *tree, const char *path, struct fx_err *err)
{
    struct csv csv;
    if (csv_open(&csv, path, HEADER, err) != FX_OK)
        return fx_err_wrap(err, "%s", path);
    if (load_rows(tree, &csv, err) != FX_OK) {
        fx_err_wrap(err, "line %d", csv.line);
        fx_err_wrap(err, "%s", path);
    }
    csv_close(&csv);
    return err->code;
}
