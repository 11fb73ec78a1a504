/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_regions - a small tree of places.
 */
#ifndef FX_FAKE_REGIONS_H
#define FX_FAKE_REGIONS_H

#include "fake_base.h"

#include "../../schemas/region.h"

/* A city of two counties; one town lies right below the city. */
static const char *const kinds_regions[][3] = {
    {"C", "city", ""},       {"C1", "county", "C"},   {"C2", "county", "C"},
    {"C1-T1", "town", "C1"}, {"C1-T2", "town", "C1"}, {"C2-T1", "town", "C2"},
    {"C-T0", "town", "C"},
};
#define KINDS_REGIONS ((int)(sizeof kinds_regions / sizeof kinds_regions[0]))

static inline void kinds_add_region(struct region_tree *tree, const char *const region[3])
{
    struct region node = {.level = region[1][0] == 't'   ? REGION_TOWN
                                   : region[1][1] == 'o' ? REGION_COUNTY
                                                         : REGION_CITY};
    snprintf(node.code, sizeof node.code, "%s", region[0]);
    snprintf(node.name, sizeof node.name, "%s", region[0]);
    assert_ok(region_tree_add(tree, &node, region[2], &err));
}

#endif
