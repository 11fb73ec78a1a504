/* SPDX-License-Identifier: Apache-2.0 */
#include "simulate_model.h"

#include "../common/text.h"

#include <stdlib.h>
#include <string.h>

/*
 * Residents by the seventh national census (2020-11-01), communiqué of Haifeng county. The
 * largest is 86 times the smallest; towns we have no figure for are drawn between these two.
 */
static const struct {
    const char *code;
    int32_t residents;
} census[] = {
    {"441521101", 106660}, {"441521106", 8740},  {"441521107", 10190},  {"441521108", 26316},
    {"441521109", 3304},   {"441521110", 46330}, {"441521112", 16781},  {"441521113", 12139},
    {"441521115", 163989}, {"441521118", 57937}, {"441521119", 128953}, {"441521120", 153551},
    {"441521450", 1901},
};

#define RESIDENTS_MIN 1901
#define RESIDENTS_MAX 163989

/*
 * Towns we have no figure for, by how their names end; the first that fits. State farms and forest
 * farms are as small as Haifeng's; the rest make a prefecture of 2.7 million of Shanwei's towns.
 */
static const struct {
    const char *suffix;
    int32_t least;
    int32_t most;
} guesses[] = {
    {"场", 1950, 7000},
    {"区", 2500, 30000},
    {"街道", 9000, 125000},
    {"", 4000, 118000},
};

/*
 * A post of a county or the city itself is one of 50 (and one line of 50 comes from them), so
 * that each level has a direct part of its own to add to the sum of the levels below.
 */
#define DIRECT_SHARE 50
#define DIRECT_SOURCES_MIN 4

/* Keeps the shares of small posts exact enough; a million towns of 163,989 times 200,000 posts
 * still fit in 63 bits. */
#define WEIGHT_UNIT 64

struct towns {
    int32_t *nodes;     /* [0, count): the nodes of one level */
    int32_t *residents; /* of nodes[i]; 1 for counties and cities, which share alike */
    int32_t count;
    int64_t total; /* of residents */
};

static void towns_release(struct towns *towns)
{
    free(towns->nodes);
    free(towns->residents);
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t size = strlen(suffix);
    return strlen(text) >= size && strcmp(text + strlen(text) - size, suffix) == 0;
}

/*
 * A size that belongs to the code, whatever the seed: FNV-1a picks a place u in [0, 1000) and u^2
 * makes few towns large and most small, as Haifeng's are.
 */
static int32_t guess_residents(const struct region *node)
{
    uint64_t hash = sim_hash(node->code);
    int64_t u = (int64_t)((hash ^ (hash >> 32)) % 1000);
    size_t i = 0;
    while (!ends_with(node->name, guesses[i].suffix))
        i++;
    return (int32_t)(guesses[i].least + (guesses[i].most - guesses[i].least) * u * u / 1000000);
}

/* 0: not in the census above */
static int32_t census_residents(const struct region *node)
{
    for (size_t i = 0; i < sizeof(census) / sizeof(census[0]); i++) {
        if (strcmp(census[i].code, node->code) == 0)
            return census[i].residents;
    }
    return 0;
}

/* Where the tree lacks the largest or the smallest town of the census, a guess takes its place, so
 * that the ratio is always 86:1. */
static void stretch_guesses(struct towns *towns, const struct region_tree *tree)
{
    int32_t smallest = -1;
    int32_t largest = -1;
    bool has_smallest = false;
    bool has_largest = false;
    for (int32_t i = 0; i < towns->count; i++) {
        int32_t residents = towns->residents[i];
        has_smallest |= residents == RESIDENTS_MIN;
        has_largest |= residents == RESIDENTS_MAX;
        if (census_residents(&tree->nodes[towns->nodes[i]]) > 0)
            continue;
        if (smallest < 0 || residents < towns->residents[smallest])
            smallest = i;
        if (largest < 0 || residents >= towns->residents[largest])
            largest = i;
    }
    if (!has_largest && largest >= 0)
        towns->residents[largest] = RESIDENTS_MAX;
    if (!has_smallest && smallest >= 0 && smallest != largest)
        towns->residents[smallest] = RESIDENTS_MIN;
}

static enum fx_code towns_init(struct towns *towns, const struct region_tree *tree,
                               enum region_level level, struct fx_err *err)
{
    size_t room = (size_t)tree->count;
    towns->nodes = calloc(room, sizeof(*towns->nodes));
    towns->residents = calloc(room, sizeof(*towns->residents));
    if (towns->nodes == NULL || towns->residents == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for the towns of a simulation");
    for (int32_t i = REGION_OUTSIDE + 1; i < tree->count; i++) {
        const struct region *node = &tree->nodes[i];
        if (node->level != level)
            continue;
        fx_assert(text_is_name(node->code, strlen(node->code), REGION_CODE_MAX - 1));
        int32_t residents = level == REGION_TOWN ? census_residents(node) : 1;
        towns->nodes[towns->count] = i;
        towns->residents[towns->count++] = residents > 0 ? residents : guess_residents(node);
    }
    if (level == REGION_TOWN)
        stretch_guesses(towns, tree);
    for (int32_t i = 0; i < towns->count; i++)
        towns->total += towns->residents[i];
    return FX_OK;
}

/* How many of posts belong to town i: one each, as far as they go, the rest in proportion. */
static uint32_t town_posts(const struct towns *towns, int64_t posts, int32_t i,
                           int64_t residents_before)
{
    if (posts < towns->count)
        return (uint32_t)((i + 1) * posts / towns->count - i * posts / towns->count);
    int64_t shared = posts - towns->count;
    int64_t after = residents_before + towns->residents[i];
    return (uint32_t)(1 + after * shared / towns->total - residents_before * shared / towns->total);
}

struct placement {
    struct simulation *simulation;
    int64_t *weights; /* of the posts: their shares of the lines */
    uint32_t next;    /* the first post that has no place yet */
};

/* The next count posts belong to node and together weigh weight. */
static void place_posts(struct placement *placement, int32_t node, uint32_t count, int64_t weight)
{
    struct simulation *simulation = placement->simulation;
    const struct sim_kind *kind = simulation->kind;
    enum region_level level = simulation->options.regions->nodes[node].level;
    uint32_t from = placement->next;
    uint8_t shares[SIM_ROLES_MAX];
    for (int i = 0; i < kind->role_count; i++)
        shares[i] = kind->roles[i].shares[level];
    int64_t sum = 0;
    for (uint32_t i = from; i < from + count; i++) {
        struct sim_post *post = &simulation->posts[i];
        post->node = node;
        post->number = (int32_t)(i - from + 1);
        post->role = (uint8_t)sim_choose(simulation, shares, kind->role_count);
        sum += kind->roles[post->role].weight;
    }
    for (uint32_t i = from; i < from + count; i++)
        placement->weights[i] = 1 + weight * kind->roles[simulation->posts[i].role].weight / sum;
    placement->next += count;
}

/* The next posts posts belong to one level and together weigh weight. */
static void place_level(struct placement *placement, const struct towns *towns, int64_t posts,
                        int64_t weight)
{
    int64_t before = 0;
    int64_t served = 0; /* residents of the towns that have a post */
    for (int32_t i = 0; i < towns->count; before += towns->residents[i++])
        served += town_posts(towns, posts, i, before) > 0 ? towns->residents[i] : 0;
    before = 0;
    for (int32_t i = 0; i < towns->count; before += towns->residents[i++]) {
        uint32_t count = town_posts(towns, posts, i, before);
        if (count > 0)
            place_posts(placement, towns->nodes[i], count, weight * towns->residents[i] / served);
    }
}

/*
 * Walker's alias method in M. Vose's form (1991), in whole numbers: post i keeps a draw that falls
 * below thresholds[i] of 2^32 and gives it to aliases[i] otherwise. Uses up weights; work holds
 * as many indexes as there are posts.
 */
static void make_aliases(struct simulation *simulation, int64_t *weights, uint32_t *work)
{
    __extension__ typedef __int128 wide;
    uint32_t count = simulation->post_count;
    uint32_t small = 0;     /* work[0 .. small): below the mean */
    uint32_t large = count; /* work[large .. count): the others */
    int64_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += weights[i];
    for (uint32_t i = 0; i < count; i++) {
        simulation->aliases[i] = i;
        weights[i] *= count;
        work[weights[i] < total ? small++ : --large] = i;
    }
    while (small > 0 && large < count) {
        uint32_t less = work[--small];
        uint32_t more = work[large];
        simulation->thresholds[less] = (uint32_t)(((wide)weights[less] << 32) / total);
        simulation->aliases[less] = more;
        weights[more] -= total - weights[less];
        if (weights[more] < total) {
            large++;
            work[small++] = more;
        }
    }
}

uint32_t sim_city_draw(struct simulation *simulation)
{
    uint64_t draw = sim_draw(simulation);
    uint32_t i = (uint32_t)(((draw >> 32) * simulation->post_count) >> 32);
    return (uint32_t)draw < simulation->thresholds[i] ? i : simulation->aliases[i];
}

static enum fx_code place_all(struct simulation *simulation, struct towns levels[],
                              struct fx_err *err)
{
    const int64_t sources = simulation->options.sources;
    const struct towns *towns = &levels[REGION_TOWN];
    if (towns->count == 0)
        return fx_err_set(err, FX_ECONFIG, "no towns in the region tree: nowhere to place posts");
    int64_t *weights = calloc((size_t)sources, sizeof(*weights));
    uint32_t *work = calloc((size_t)sources, sizeof(*work));
    enum fx_code code = FX_OK;
    if (weights == NULL || work == NULL) {
        code = fx_err_set(err, FX_EMEMORY, "no memory for the posts of a simulation");
        goto out;
    }
    int64_t direct =
        sources >= DIRECT_SOURCES_MIN ? (sources + DIRECT_SHARE - 1) / DIRECT_SHARE : 0;
    int64_t counties = levels[REGION_COUNTY].count > 0 ? direct : 0;
    int64_t cities = levels[REGION_CITY].count > 0 ? direct : 0;
    int64_t weight = towns->total * WEIGHT_UNIT;
    struct placement placement = {simulation, weights, 0};
    place_level(&placement, towns, sources - counties - cities, weight);
    weight /= DIRECT_SHARE - 2;
    if (counties > 0)
        place_level(&placement, &levels[REGION_COUNTY], counties, weight);
    if (cities > 0)
        place_level(&placement, &levels[REGION_CITY], cities, weight);
    fx_assert(placement.next == simulation->post_count);
    make_aliases(simulation, weights, work);
out:
    free(work);
    free(weights);
    return code;
}

enum fx_code sim_city_open(struct simulation *simulation, struct fx_err *err)
{
    struct towns levels[REGION_LEVEL_COUNT] = {{0}};
    enum fx_code code = FX_OK;
    for (int level = 0; level < REGION_LEVEL_COUNT && code == FX_OK; level++)
        code =
            towns_init(&levels[level], simulation->options.regions, (enum region_level)level, err);
    if (code == FX_OK)
        code = place_all(simulation, levels, err);
    for (int level = 0; level < REGION_LEVEL_COUNT; level++)
        towns_release(&levels[level]);
    return code;
}

enum fx_code sim_city_residents(const struct region_tree *tree, int32_t *residents,
                                struct fx_err *err)
{
    struct towns towns = {0};
    enum fx_code code = towns_init(&towns, tree, REGION_TOWN, err);
    for (int32_t i = 0; i < towns.count && code == FX_OK; i++)
        residents[towns.nodes[i]] = towns.residents[i];
    towns_release(&towns);
    return code;
}

/* Quoted as RFC 4180 has it, where it has to be. */
static void write_csv_field(FILE *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void write_source(const struct simulation *simulation, const struct sim_post *post,
                         FILE *out)
{
    const struct region *node = &simulation->options.regions->nodes[post->node];
    const struct sim_role *role = &simulation->kind->roles[post->role];
    char day[DAY_TEXT_SIZE];
    char name[REGION_NAME_MAX + 64];
    day_format(simulation->options.from_ms, day);
    snprintf(name, sizeof(name), "%s%s%03d", node->name, role->word, post->number);
    fprintf(out, "%s%s-%03d,%s,", role->prefix, node->code, post->number, simulation->kind->name);
    write_csv_field(out, name);
    fprintf(out, ",%s,%.10s,\n", node->code, day);
}

static void write_story_sources(const struct simulation *simulation, FILE *out)
{
    const struct region_tree *tree = simulation->options.regions;
    const struct sim_kind *kind = simulation->kind;
    const struct sim_post *post = simulation->story.posts;
    for (int32_t node = 0; node < tree->count; node++)
        for (int32_t role = 0; role < kind->role_count; role++, post++)
            if (node != REGION_OUTSIDE && story_has_post(kind, role, tree->nodes[node].level))
                write_source(simulation, post, out);
}

enum fx_code simulation_write_sources(const struct simulation *simulation, FILE *out,
                                      struct fx_err *err)
{
    for (uint32_t i = 0; i < simulation->post_count; i++)
        write_source(simulation, &simulation->posts[i], out);
    if (simulation->story.is_told)
        write_story_sources(simulation, out);
    if (fflush(out) != 0 || ferror(out))
        return fx_err_set(err, FX_EDISK, "cannot write the simulated sources");
    return FX_OK;
}
