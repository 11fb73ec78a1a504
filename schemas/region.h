/* SPDX-License-Identifier: Apache-2.0 */
/*
 * region - the tree of places: city, county, town.
 *
 * Codes are opaque; the tree comes from parent, never from digits. An event at a node counts at
 * that node and at each ancestor: city = direct + counties. Node 0 is always the reserved "-"
 * (外地, outside the tree), a root of level city, for codes in role fields that are not in the
 * tree; "-" is no valid envelope region.
 *
 * Pure but for region_tree_load. Nodes are only ever added or renamed, so indexes stay valid.
 * Limits: REGION_NODES_MAX nodes; ragged trees (a town right below a city) are allowed.
 */
#ifndef FX_REGION_H
#define FX_REGION_H

#include "../common/err.h"

#include <stddef.h>
#include <stdint.h>

#define REGION_CODE_MAX 33 /* with its terminator */
#define REGION_NAME_MAX 128
#define REGION_NODES_MAX 1000000
#define REGION_OUTSIDE 0
#define REGION_DEPTH_MAX 3

enum region_level { REGION_CITY, REGION_COUNTY, REGION_TOWN, REGION_LEVEL_COUNT };

struct region {
    char code[REGION_CODE_MAX];
    char name[REGION_NAME_MAX]; /* Chinese */
    char name_latin[REGION_NAME_MAX];
    char statistical_parent[REGION_CODE_MAX]; /* "" if none */
    enum region_level level;
    int parent; /* index of a node of a higher level, -1 for a root */
};

struct region_tree {
    struct region *nodes;
    int count;
    int room;
    int32_t *slots;      /* hash of codes -> index + 1 */
    uint32_t slot_count; /* a power of two */
};

/* A tree that holds only "-". FX_EMEMORY. */
FX_MUST_CHECK enum fx_code region_tree_init(struct region_tree *tree, struct fx_err *err);
void region_tree_release(struct region_tree *tree);

/*
 * Adds node, whose parent has to be in the tree already (parent_code "" for a root); a code that
 * is there already gets its names anew. FX_ECONFIG: no such parent, parent of the same or a lower
 * level, a wrong code, a moved node; FX_EMEMORY.
 */
FX_MUST_CHECK enum fx_code region_tree_add(struct region_tree *tree, const struct region *node,
                                           const char *parent_code, struct fx_err *err);

/*
 * Adds all rows of a CSV file with the header
 * code,name,name_latin,level,parent,statistical_parent (RFC 4180 quoting; parents first).
 * FX_ECONFIG names file and line, also of "-" and of a code that the tree has; the rows before it
 * stay added.
 */
FX_MUST_CHECK enum fx_code region_tree_load(struct region_tree *tree, const char *path,
                                            struct fx_err *err);

/* Index of code (size bytes), -1 if unknown. */
int region_tree_find(const struct region_tree *tree, const char *code, size_t size);

const char *region_level_name(enum region_level level); /* "city", "county", "town" */

#endif
