/* SPDX-License-Identifier: Apache-2.0 */
#include "sim_post.h"

#include "../../producers/outbox_sql.h"
#include "../../producers/shipper.h"

#include <sqlite3.h>

#define WORLDS_PERCENT 15
#define OPENINGS_MAX 16 /* each draws runs, and a world has room for so many */
#define HEARTBEAT_MS 20000
#define PARTITIONS_MS 10000
#define REST_ROUNDS_MAX 4000
#define REST_TICK_MS 300

struct posts posts;

static struct disk blank[TOPICS]; /* outboxes that were just made */
static struct disk images[POSTS]; /* taken of a post at some time */
static bool has_image[POSTS];

static const char *const topic_names[TOPICS] = {"bell", "gate"};

/* ---- time and chance, which the producers ask for through the linker ---- */

int64_t __wrap_day_now_ms(void);
int64_t __wrap_day_monotonic_ms(void);
void __wrap_randombytes_buf(void *out, size_t size);

int64_t __wrap_day_now_ms(void)
{
    return post_now_ms(posts.current);
}

int64_t __wrap_day_monotonic_ms(void)
{
    return sim.world.now_ms - WORLD_BEGIN_MS;
}

void __wrap_randombytes_buf(void *out, size_t size)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)dice_u64(&posts.dice);
}

/* ---- opening and the end ---- */

static enum fx_code open_outbox(struct post *post, struct fx_err *err)
{
    char path[DISK_PATH_MAX];
    struct outbox_options options = {.path = disk_path(post->disk, path),
                                     .kind = topic_names[post->topic],
                                     .keep_ms = post->keep_ms,
                                     .bytes_max = post->room_max};
    posts.current = post;
    if (outbox_open(&options, &post->outbox, err) != FX_OK) {
        post->outbox = NULL;
        return err->code;
    }
    post->outbox->options.path = "post"; /* path is ours alone */
    return FX_OK;
}

/* An outbox that was made once and closed, so that most worlds need not make theirs. */
static void make_blanks(void)
{
    static bool is_done;
    struct dice dice = posts.dice;
    if (is_done)
        return;
    is_done = true;
    for (int topic = 0; topic < TOPICS; topic++) {
        struct post *post = &posts.items[0];
        *post = (struct post){.topic = topic, .disk = &disks[0]};
        disk_reset(post->disk);
        assert_ok(open_outbox(post, &err));
        outbox_close(post->outbox);
        post->outbox = NULL;
        disk_copy(&blank[topic], post->disk, false);
    }
    posts.dice = dice;
}

/* In order, unless the process is dead: then what it was doing has come to nothing. */
static void close_post(struct post *post)
{
    bool is_power_cut = dice_chance(&posts.dice, 60);
    posts.current = post;
    shipper_close(post->shipper);
    outbox_close(post->outbox);
    post->shipper = NULL;
    post->outbox = NULL;
    sim_trace("closed=%d dead=%d power_cut=%d", (int)(post - posts.items), post->disk->is_dead,
              is_power_cut);
    if (!post->disk->is_dead)
        return;
    sim.events[is_power_cut ? SIM_power_cuts : SIM_post_crashes]++;
    disk_crash(post->disk, is_power_cut);
}

static void kill_post(struct post *post)
{
    post->disk->is_dead = true;
    close_post(post);
}

bool post_goes_on(struct post *post, enum fx_code code, const struct fx_err *err)
{
    bool is_dead = post->disk->is_dead;
    if (!is_dead && code == FX_OK)
        return true;
    if (!is_dead && code != FX_EDISK)
        fail_msg("post %d: %s: %s", (int)(post - posts.items), fx_code_name(code), err->text);
    sim.events[SIM_disk_errors] += !is_dead;
    if (!is_dead && !dice_chance(&posts.dice, 20)) /* as a daemon */
        return true;
    close_post(post);
    return false;
}

static enum fx_code open_shipper(struct post *post, struct fx_err *err)
{
    const struct shipper_options options = {.kafka = {.brokers = "simulated"},
                                            .topic = topic_names[post->topic],
                                            .heartbeat =
                                                kind_current(&sim.world.catalog->heartbeat),
                                            .outbox = post->outbox,
                                            .heartbeat_ms = HEARTBEAT_MS,
                                            .partitions_ms = PARTITIONS_MS};
    return shipper_open(&options, &post->shipper, err);
}

/* A post is heard of before its first line. */
static void open_own_run(struct post *post)
{
    struct fx_err err = FX_ERR_INIT;
    struct outbox_run *run = NULL;
    enum fx_code code = outbox_begin(post->outbox, &err);
    if (code == FX_OK)
        code = outbox_take_run(post->outbox, post->sources[0], "C1-T1", &run, &err);
    if (code == FX_OK)
        code = outbox_commit(post->outbox, &err);
    if (code != FX_OK)
        outbox_rollback(post->outbox);
    (void)post_goes_on(post, code, &err);
}

static void open_post(struct post *post)
{
    struct fx_err err = FX_ERR_INIT;
    if (!posts.is_calm && posts.openings >= OPENINGS_MAX)
        return;
    post->full_until_ms = 0;
    if (!posts.is_calm && dice_chance(&posts.dice, 30))
        post->disk->dies_in = 1 + dice_below(&posts.dice, dice_chance(&posts.dice, 50) ? 8 : 60);
    enum fx_code code = open_outbox(post, &err);
    if (code == FX_OK) {
        post->has_failed = false; /* what was found on the disk is settled there */
        posts.openings++;
        sqlite3_wal_autocheckpoint(post->outbox->db, 4 + dice_below(&posts.dice, 60));
        code = open_shipper(post, &err);
    }
    sim_trace("opened=%d code=%s", (int)(post - posts.items), fx_code_name(code));
    if (!post_goes_on(post, code, &err) || code != FX_OK)
        return;
    if (post_read_position(post, &err) != FX_OK) {
        if (post_goes_on(post, err.code, &err))
            close_post(post); /* a station does not start without it */
        return;
    }
    if (dice_chance(&posts.dice, 50))
        open_own_run(post);
}

/* ---- one turn ---- */

static void pump(struct post *post)
{
    struct fx_err err = FX_ERR_INIT;
    enum input_state input = sim.world.now_ms < post->full_until_ms ? INPUT_STALE : INPUT_OPEN;
    posts.current = post;
    (void)post_goes_on(post, shipper_pump(post->shipper, input, &err), &err);
}

static void flush(struct post *post)
{
    struct fx_err err = FX_ERR_INIT;
    posts.current = post;
    post_note_pruning(post);
    if (post_goes_on(post, outbox_flush(post->outbox, post_now_ms(post), &err), &err))
        check_kept(post);
}

static void look_for_room(struct post *post)
{
    struct fx_err err = FX_ERR_INIT;
    posts.current = post; /* the outbox asks for its time */
    post_note_pruning(post);
    if (!outbox_has_room(post->outbox)) {
        post->full_until_ms = sim.world.now_ms + 1000;
        sim.events[SIM_full_outboxes]++;
    }
    if (post_goes_on(post, FX_OK, &err))
        check_kept(post);
}

/* Up to last of the run of entry. */
static void request_resend(struct post *post, struct entry *entry, int64_t last)
{
    struct fx_err err = FX_ERR_INIT;
    struct outbox_resend resend = {
        .run = entry->saying.run, .first = entry->saying.seq, .last = last};
    enum fx_code code = outbox_request_resend(post->outbox, entry->saying.source, &resend, &err);
    if (code == FX_EINPUT) /* not kept, or not here */
        return;
    if (code == FX_OK) {
        entry->wanted_of = (int)(post - posts.items);
        sim_trace("resend=%d entry=%d", entry->wanted_of, (int)(entry - posts.entries));
        shipper_note_resend(post->shipper);
        sim.events[SIM_post_resends]++;
    }
    (void)post_goes_on(post, code, &err);
}

/* The next one that the broker lost, or any. */
static void resend_some(struct post *post)
{
    if (posts.entry_count == 0)
        return;
    int index = dice_below(&posts.dice, posts.entry_count);
    for (int i = index; i < posts.entry_count && dice_chance(&posts.dice, 99); i++)
        if (posts.entries[i].is_lost && posts.entries[i].records == 0)
            index = i;
    struct entry *entry = &posts.entries[index];
    if (entry->saying.topic == post->topic)
        request_resend(post, entry, entry->saying.seq + dice_below(&posts.dice, 4));
}

/* SIGTERM: what there is may be sent yet, then the outbox is closed in order. */
static void stop(struct post *post)
{
    shipper_end(post->shipper);
    for (int i = dice_below(&posts.dice, 6); i > 0 && post->outbox != NULL; i--) {
        kafka_serve();
        pump(post);
    }
    if (post->outbox != NULL)
        flush(post);
    if (post->outbox != NULL)
        close_post(post);
}

static void turn(struct post *post)
{
    int kind = dice_below(&posts.dice, 100);
    if (kind < 38 && sim.world.now_ms >= post->full_until_ms)
        post_take_lines(post);
    else if (kind < 78)
        pump(post);
    else if (kind < 88)
        flush(post);
    else if (kind < 92)
        look_for_room(post);
    else if (kind < 94)
        resend_some(post);
    else if (kind < 98)
        post_reverse(post);
    else if (kind == 98)
        stop(post);
    else
        kill_post(post);
}

/* ---- a world ---- */

static void add_post(enum post_mode mode, int topic)
{
    static const char *const names[TOPICS][POST_SOURCES] = {{"POST-1", "POST-2"},
                                                            {"POST-3", "POST-4"}};
    struct dice *dice = &posts.dice;
    struct post *post = &posts.items[posts.count];
    post->mode = mode;
    post->topic = topic;
    for (int i = 0; i < POST_SOURCES; i++)
        post->sources[i] = names[topic][i];
    post->disk = &disks[posts.count];
    post->outbox = NULL;
    post->shipper = NULL;
    post->keep_ms = dice_chance(dice, 60) ? dice_below(dice, 90000) : 86400000;
    post->room_max = dice_chance(dice, 40) ? 60000 + dice_below(dice, 40000) : 0;
    post->clock_ms = post->pruned_ms = post->full_until_ms = post->position = 0;
    post->line_count = 0;
    post->unacked = posts.entry_count;
    has_image[posts.count++] = false;
}

void posts_open(uint64_t seed)
{
    posts.dice.state = hash_u64(seed, 0x706f7374);
    posts.count = posts.entry_count = posts.beat_count = posts.openings = 0;
    posts.is_calm = false;
    posts.away_until_ms = 0;
    if (!dice_chance(&posts.dice, WORLDS_PERCENT))
        return;
    make_blanks();
    sqlite3_randomness(0, NULL); /* it is drawn anew, from this seed */
    kafka_reset();
    memset(posts.slots, -1, sizeof posts.slots);
    posts.partitions = 1 + dice_below(&posts.dice, WORLD_PARTITIONS);
    posts.loss_permille = dice_chance(&posts.dice, 20) ? dice_below(&posts.dice, 40) : 0;
    posts.trouble_permille = dice_chance(&posts.dice, 60) ? dice_below(&posts.dice, 30) : 0;
    posts.queue_max = 3 + dice_below(&posts.dice, 60);
    sim.events[SIM_post_worlds]++;
    int count = 1 + dice_chance(&posts.dice, 40);
    int topic = dice_below(&posts.dice, TOPICS);
    int fault_permille = dice_chance(&posts.dice, 50) ? dice_below(&posts.dice, 15) : 0;
    for (int i = 0; i < count; i++) {
        add_post((enum post_mode)dice_below(&posts.dice, POST_MODES), (topic + i) % TOPICS);
        if (dice_chance(&posts.dice, 90))
            disk_copy(&disks[i], &blank[posts.items[i].topic], false);
        else
            disk_reset(&disks[i]);
        disks[i].fault_permille = fault_permille;
    }
}

/*
 * A copy may hold what a failed commit left, whose numbers the first post gives again; and runs
 * without a partition, for which both choose another if the topic gets more in between.
 */
static bool can_copy(const struct post *post)
{
    bool is_assigned = post->outbox != NULL && !outbox_has_unassigned(post->outbox);
    return !post->has_failed && (is_assigned || posts.partitions == WORLD_PARTITIONS);
}

/* A second post with the outbox of the first, as it is or as it was: both go on. */
static void copy_post(int index)
{
    const struct post *post = &posts.items[index];
    bool is_image = has_image[index] && dice_chance(&posts.dice, 50);
    if (posts.count == POSTS || (!is_image && !can_copy(post)))
        return;
    int fault_permille = post->disk->fault_permille;
    disk_copy(&disks[posts.count], is_image ? &images[index] : post->disk,
              dice_chance(&posts.dice, 50));
    disks[posts.count].fault_permille = fault_permille;
    add_post(POST_IDS, post->topic);
    sim.events[is_image ? SIM_restored_images : SIM_cloned_posts]++;
}

static void take_image(int index)
{
    if (!can_copy(&posts.items[index]))
        return;
    disk_copy(&images[index], posts.items[index].disk, dice_chance(&posts.dice, 50));
    has_image[index] = true;
}

static void fill_disk(struct disk *disk)
{
    size_t size = disk->files[DISK_DATABASE].now.size + disk->files[DISK_WAL].now.size;
    disk->bytes_max = disk->bytes_max > 0 ? 0 : size + (size_t)dice_below(&posts.dice, 40000);
}

static void disturb(void)
{
    static const int64_t jumps_ms[] = {0, 0, 600000, 3600000, -7200000};
    int kind = dice_below(&posts.dice, 100);
    int index = dice_below(&posts.dice, posts.count);
    struct post *post = &posts.items[index];
    if (kind < 4)
        take_image(index);
    else if (kind < 6)
        copy_post(index);
    else if (kind < 10)
        posts.away_until_ms = sim.world.now_ms + dice_below(&posts.dice, 60000);
    else if (kind < 12)
        post->clock_ms = jumps_ms[dice_below(&posts.dice, 5)];
    else if (kind < 15)
        fill_disk(post->disk);
    else if (kind < 20)
        post->disk->dies_in = 1 + dice_below(&posts.dice, 40);
    else if (kind < 23 && posts.partitions < WORLD_PARTITIONS) {
        posts.partitions++;
        sim.events[SIM_added_partitions]++;
    }
    sim.events[SIM_broker_away] += kind >= 6 && kind < 10;
}

void posts_play(void)
{
    for (int i = 0; i < posts.count; i++) {
        struct post *post = &posts.items[i];
        for (int turns = dice_below(&posts.dice, 6); turns > 0; turns--) {
            if (post->outbox != NULL)
                turn(post);
            else if (dice_chance(&posts.dice, 40))
                open_post(post);
        }
    }
    if (posts.count == 0)
        return;
    kafka_serve();
    disturb();
}

/* ---- calm ---- */

static bool is_quiet(const struct post *post)
{
    return post->outbox != NULL && !post_has_lines(post) && shipper_is_done(post->shipper);
}

/* Until every line is answered, and everything acknowledged. */
static void drain(void)
{
    bool is_over = posts.count == 0;
    for (int round = 0; !is_over; round++) {
        if (round == REST_ROUNDS_MAX)
            fail_msg("posts are not drained after %d calm rounds", round);
        is_over = true;
        for (int i = 0; i < posts.count; i++) {
            struct post *post = &posts.items[i];
            if (post->outbox == NULL)
                open_post(post);
            if (post->outbox != NULL && post_has_lines(post))
                post_take_lines(post);
            if (post->outbox != NULL)
                pump(post);
            is_over &= is_quiet(post);
        }
        kafka_serve();
        sim.world.now_ms += REST_TICK_MS;
    }
}

/* What the broker lost is asked for again, where it is still kept. */
static void resend_lost(void)
{
    for (int i = 0; i < posts.entry_count; i++) {
        struct entry *entry = &posts.entries[i];
        for (int p = 0; p < posts.count && entry->is_lost && entry->records == 0; p++)
            if (posts.items[p].topic == entry->saying.topic && entry->wanted_of < 0)
                request_resend(&posts.items[p], entry, entry->saying.seq);
    }
}

void posts_rest(void)
{
    posts.is_calm = true;
    posts.away_until_ms = 0;
    for (int i = 0; i < posts.count; i++) {
        disks[i].fault_permille = disks[i].dies_in = 0;
        disks[i].bytes_max = 0;
        posts.items[i].full_until_ms = 0;
    }
    drain();
    check_resent();
    if (dice_chance(&posts.dice, 50))
        resend_lost();
    drain();
    check_resent();
    if (dice_chance(&posts.dice, 70))
        for (int i = 0; i < posts.count; i++)
            shipper_end(posts.items[i].shipper);
    else
        sim.world.now_ms += HEARTBEAT_MS * 2;
    drain();
    for (int i = 0; i < posts.count; i++) {
        flush(&posts.items[i]);
        close_post(&posts.items[i]);
    }
}

void posts_close(void)
{
    for (int i = 0; i < posts.count; i++)
        if (posts.items[i].outbox != NULL)
            close_post(&posts.items[i]);
}
