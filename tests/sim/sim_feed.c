/* SPDX-License-Identifier: Apache-2.0 */
/* sim_feed - producers: outboxes whose messages come in order, late, twice, moved or never. */
#include "sim.h"

#define SOURCES 6
#define SAID_MAX 400

enum sent { SENT_NOT, SENT_LATE, SENT_DONE };

/* An outbox: what it numbered, run after run. */
struct source {
    char name[16];
    int topic;
    int32_t partition; /* of the current run */
    int64_t run;
    int64_t seq;
    int64_t beats;
    struct saying last_beat;
    int run_begin; /* index in said */
    int count;
    struct saying said[SAID_MAX];
    enum flaw flaws[SAID_MAX];
    int32_t partitions[SAID_MAX];
    enum sent sent[SAID_MAX];
};

static struct source sources[SOURCES];

static void open_run(struct source *source)
{
    struct dice *dice = &sim.world.dice;
    source->run = dice_between(dice, 0, (INT64_C(1) << 47) - 1);
    source->seq = source->beats = 0;
    source->run_begin = source->count;
    if (dice_chance(dice, 20)) /* partitions were added: the key lands elsewhere */
        source->partition = dice_below(dice, WORLD_PARTITIONS);
}

void feed_open(void)
{
    for (int i = 0; i < SOURCES; i++) {
        struct source *source = &sources[i];
        source->count = 0;
        snprintf(source->name, sizeof source->name, "%s-%d", i == SOURCES - 1 ? "SIM" : "CP", i);
        source->topic = i % TOPICS;
        source->partition = i / TOPICS % WORLD_PARTITIONS;
        open_run(source);
    }
}

/* A reversal is a copy of an event of any run of the source. */
static void reverse(struct source *source, struct saying *saying)
{
    struct dice *dice = &sim.world.dice;
    const struct saying *old = &source->said[dice_below(dice, source->count - 1)];
    struct saying own = *saying;
    if (old->sign < 0)
        return;
    *saying = *old;
    saying->run = own.run;
    saying->seq = own.seq;
    saying->sign = -1;
    saying->reverses_run = old->run;
    saying->reverses_seq = old->seq;
    saying->counted_ms = dice_chance(dice, 50) ? SAYING_NEVER : sim.world.now_ms;
    if (saying->persons == WORLD_POISON)
        saying->persons = 4; /* an extreme, which would be refused, ignores reversals */
    sim.events[SIM_reversed]++;
}

static struct saying draw_saying(struct source *source)
{
    struct dice *dice = &sim.world.dice;
    struct saying saying = saying_of(source->name, source->run, ++source->seq);
    saying.topic = source->topic;
    saying.region = kinds_regions[dice_below(dice, KINDS_REGIONS)][0];
    saying_draw(&saying, dice);
    saying.occurred_ms = sim.world.now_ms - dice_below(dice, 4000000);
    if (dice_chance(dice, 4)) /* a clock that is wrong */
        saying.occurred_ms += dice_chance(dice, 50)   ? INT64_C(7200000)
                              : dice_chance(dice, 50) ? INT64_C(86400000) * 3
                                                      : -INT64_C(99999999999);
    if (dice_chance(dice, 3))
        saying.region = "NOWHERE";
    if (dice_chance(dice, 2) && source->topic == TOPIC_GATE)
        saying.persons = WORLD_POISON;
    if (dice_chance(dice, 8) && source->count > 1)
        reverse(source, &saying);
    return saying;
}

static void send_one(struct source *source, int index, enum flaw flaw)
{
    world_append(&sim.world, source->partitions[index], &source->said[index], flaw);
    sim.events[SIM_records]++;
    sim.events[SIM_resent] += source->sent[index] == SENT_DONE;
    source->sent[index] = SENT_DONE;
}

/* Numbers the next event; sends it now, or later. */
static void say(struct source *source)
{
    static const enum flaw flaws[] = {FLAW_BYTES, FLAW_KEY, FLAW_SUMS};
    struct dice *dice = &sim.world.dice;
    if (source->count == SAID_MAX)
        return;
    int index = source->count++;
    enum flaw flaw = dice_chance(dice, 4) ? flaws[dice_below(dice, 3)] : FLAW_NONE;
    source->said[index] = draw_saying(source);
    source->flaws[index] = flaw == FLAW_SUMS && source->topic != TOPIC_GATE ? FLAW_NONE : flaw;
    source->partitions[index] = source->partition;
    source->sent[index] = SENT_NOT;
    if (dice_chance(dice, 8)) {
        source->sent[index] = SENT_LATE;
        sim.events[SIM_held_back]++;
        return;
    }
    send_one(source, index, source->flaws[index]);
}

/* Some neighbours again: fills gaps, or gives duplicates. A damaged one may come whole now. */
static void resend(struct source *source)
{
    struct dice *dice = &sim.world.dice;
    if (source->count == 0)
        return;
    int first = dice_below(dice, source->count);
    for (int i = first; i < source->count && i <= first + dice_below(dice, 5); i++)
        send_one(source, i, dice_chance(dice, 30) ? FLAW_NONE : source->flaws[i]);
}

/* A copy where its run does not live. */
static void send_elsewhere(struct source *source)
{
    if (source->count == 0)
        return;
    const struct saying *old = &source->said[dice_below(&sim.world.dice, source->count)];
    world_append(&sim.world, dice_below(&sim.world.dice, WORLD_PARTITIONS), old, FLAW_NONE);
    sim.events[SIM_moved]++;
}

/* Says how far everything was acknowledged; what is held back was not, what follows it was not
 * either. Now and then a broker has lost what it acknowledged. */
static void beat(struct source *source)
{
    if (source->beats > 1 && dice_chance(&sim.world.dice, 15)) { /* an old one comes again */
        world_append(&sim.world, source->partition, &source->last_beat, FLAW_NONE);
        return;
    }
    if (dice_chance(&sim.world.dice, 3)) /* a full disk did not take the count, then a restart */
        source->beats = dice_below(&sim.world.dice, (int)source->beats + 1);
    struct saying beat = saying_of(source->name, source->run, ++source->beats);
    int acked = source->run_begin;
    while (acked < source->count && source->sent[acked] == SENT_DONE)
        acked++;
    beat.topic = source->topic;
    beat.is_heartbeat = true;
    beat.occurred_ms = sim.world.now_ms;
    beat.last_seq = source->seq;
    beat.acked_seq =
        dice_chance(&sim.world.dice, 10) ? source->seq : (int64_t)(acked - source->run_begin);
    world_append(&sim.world, source->partition, &beat, FLAW_NONE);
    if (source->beats % 3 == 1)
        source->last_beat = beat;
}

void feed_some(void)
{
    struct world *world = &sim.world;
    world->now_ms += sim.broker_shift_ms;
    for (int count = dice_below(&world->dice, 12); count > 0; count--) {
        struct source *source = &sources[dice_below(&world->dice, SOURCES)];
        int kind = dice_below(&world->dice, 100);
        if (kind < 6)
            beat(source);
        else if (kind < 16)
            resend(source);
        else if (kind < 18)
            send_elsewhere(source);
        else if (kind == 18)
            world_skip_offsets(world, part_index(source->topic, source->partition), 3);
        else
            say(source);
        if (kind == 99)
            open_run(source);
        world->now_ms += dice_below(&world->dice, 2000);
    }
    world->now_ms -= sim.broker_shift_ms;
}

void feed_rest(void)
{
    if (dice_chance(&sim.world.dice, 50))
        return;
    for (int s = 0; s < SOURCES; s++)
        for (int i = 0; i < sources[s].count; i++)
            if (sources[s].sent[i] != SENT_DONE || dice_chance(&sim.world.dice, 5))
                send_one(&sources[s], i, FLAW_NONE);
}
