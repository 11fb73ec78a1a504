/* SPDX-License-Identifier: Apache-2.0 */
/* life - a post's process: the real station, outbox, record and follow, driven as station.c does:
 * answers go out as soon as they are settled, rows are sent when no batch is open. */
#include "device.h"
#include "powercut.h"

#include "../../common/day.h"
#include "../../producers/outbox_sql.h"

#include <fcntl.h>
#include <sodium.h>
#include <sqlite3.h>

#define STEPS_MAX 4000
#define BATCH_MAX 5

struct world world;
struct counts counts;

/* ---- time and chance, by the linker (--wrap) ---- */

int64_t __wrap_day_now_ms(void);
int64_t __wrap_day_monotonic_ms(void);
void __wrap_randombytes_buf(void *out, size_t size);

int64_t __wrap_day_now_ms(void)
{
    return disk_now_ms;
}

int64_t __wrap_day_monotonic_ms(void)
{
    return disk_now_ms;
}

void __wrap_randombytes_buf(void *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)out)[i] = (uint8_t)dice_u64(&world.dice);
}

/* ---- a world ---- */

void world_open(const char *folder)
{
    struct fx_err err = FX_ERR_INIT;
    static const struct fx_list none;
    device_open(folder);
    snprintf(world.outbox_path, sizeof world.outbox_path, "%s/outbox", folder);
    if (kind_load(FX_SCHEMAS_DIR, "checkpoint", &world.station.kind, &err) != FX_OK)
        fail_msg("%s", err.text);
    const struct record_options wanted = {
        .kind = &world.station.kind, .region = "441521115", .set = &none};
    if (record_open(&wanted, &world.station.record, &err) != FX_OK)
        fail_msg("%s", err.text);
}

void world_close(void)
{
    record_close(world.station.record);
    kind_release(&world.station.kind);
    buf_release(&world.answers.out);
    device_close();
}

void world_start(enum mode mode, uint64_t seed, int lines)
{
    static const int64_t keeps_ms[] = {0, 60, 250}; /* a step takes 10 */
    static struct disk_image empty;
    world.mode = mode;
    world.seed = seed;
    world.lines = lines;
    world.dice.state = seed * MODES + mode;
    disk_now_ms = AT_MS + 3600000;
    world.keep_ms = keeps_ms[dice_below(&world.dice, 3)];
    world.journal.answered.count = world.journal.sent.count = world.journal.acked.count = 0;
    world.journal.appended_count = 0;
    world.checkpoint_pages = dice_chance(&world.dice, 70) ? 2 + dice_below(&world.dice, 30) : 1000;
    world.cut = (struct disk_cut){.op_count = -1};
    empty.files[DISK_INPUT].is_there = true; /* its name is no matter of ours */
    world.disk->dice.state = world.dice.state + 1;
    disk_start(world.disk, &empty);
}

/* ---- lines ---- */

size_t life_line(int serial, char out[512])
{
    char id[48] = "";
    if (world.mode == MODE_IDS)
        snprintf(id, sizeof id, "\"id\":\"line-%d\",", serial);
    int size = snprintf(out, 512,
                        "{%s\"source\":\"CP-%d\",\"at\":%" PRId64 ",\"direction\":\"IN\","
                        "\"post_type\":\"VILLAGE\",\"vehicle\":\"CAR\",\"plate_scope\":"
                        "\"IN_PROVINCE\",\"persons\":%d,\"passed\":%d}\n",
                        id, serial % 2, AT_MS + serial, serial % 9 + 1, serial % 9 + 1);
    return (size_t)size;
}

static bool is_followed(void)
{
    return world.mode == MODE_FOLLOW || world.mode == MODE_LAZY;
}

static void hear_answer(const char *text)
{
    struct fact fact = {0};
    struct number *number = &fact.number;
    if (world.asked_count == 0)
        return; /* refused after it was answered: the oracle tells */
    int serial = fact.serial = world.asked[0];
    memmove(world.asked, world.asked + 1, (size_t)--world.asked_count * sizeof world.asked[0]);
    if (sscanf(text, "{\"ok\":true,\"run\":\"%" SCNx64 "\",\"seq\":%" SCNd64 "}",
               (uint64_t *)&number->run, &number->seq) != 2)
        return; /* refused */
    const struct fact *first = journal_answer(serial);
    if (first != NULL && world.mode == MODE_IDS) {
        counts.repeated_ids++;
        if (first->number.run != number->run || first->number.seq != number->seq)
            violate(VIOLATION_ids_renumbered, "line %d is answered another number", serial);
    }
    journal_note(&world.journal.answered, &fact);
    counts.answered++;
}

/* As station.c's write_answers: what is settled goes out, whether a batch is open or not. */
static void hand_out_answers(void)
{
    struct answers *answers = &world.answers;
    size_t at = 0;
    while (at < answers->settled) {
        char *end = memchr(answers->out.data + at, '\n', answers->settled - at);
        assert_non_null(end);
        *end = '\0';
        hear_answer((const char *)answers->out.data + at);
        at = (size_t)(end - (const char *)answers->out.data) + 1;
    }
    memmove(answers->out.data, answers->out.data + at, answers->out.size - at);
    answers->out.size -= at;
    answers->settled = 0;
}

/* The first line that is not answered and not asked, from a random one on; -1: none. */
static int pick_unanswered(void)
{
    int first = dice_below(&world.dice, world.lines);
    for (int i = 0; i < world.lines; i++) {
        int serial = (first + i) % world.lines;
        bool is_asked = journal_answer(serial) != NULL;
        for (int j = 0; j < world.asked_count; j++)
            is_asked |= world.asked[j] == serial;
        if (!is_asked)
            return serial;
    }
    return -1;
}

static enum fx_code ask(struct fx_err *err)
{
    char text[512];
    int serial = pick_unanswered();
    if (serial < 0 || (world.mode == MODE_IDS && dice_chance(&world.dice, 25)))
        serial = dice_below(&world.dice, world.lines);
    size_t size = life_line(serial, text);
    const struct origin origin = {1, &world.answers};
    world.asked[world.asked_count++] = serial;
    return station_take(&world.station, &origin, text, size - 1, err);
}

static bool has_lines(void)
{
    if (is_followed())
        return world.journal.appended_count < world.lines || input_has_more(world.station.input) ||
               world.station.batch_lines > 0;
    return pick_unanswered() >= 0 || world.asked_count > 0;
}

static void take_lines(void)
{
    struct fx_err err = FX_ERR_INIT;
    int count = 1 + dice_below(&world.dice, BATCH_MAX);
    enum fx_code code = FX_OK;
    if (is_followed() && dice_chance(&world.dice, 60))
        device_append(count);
    if (is_followed())
        code = input_take(world.station.input, count, &err);
    for (int i = 0; !is_followed() && code == FX_OK && i < count; i++)
        code = ask(&err);
    if (code != FX_OK)
        violate(VIOLATION_stuck, "%s", err.text);
    hand_out_answers();
}

static void commit(void)
{
    struct fx_err err = FX_ERR_INIT;
    if (station_commit(&world.station, &err) != FX_OK)
        violate(VIOLATION_stuck, "%s", err.text);
    hand_out_answers();
}

static void roll_back(void)
{
    struct fx_err err = FX_ERR_INIT;
    struct fx_err reason = FX_ERR_INIT;
    fx_err_set(&reason, FX_EDISK, "planned");
    counts.rollbacks += world.station.batch_lines > 0;
    station_rollback(&world.station, &reason);
    if (is_followed() && input_rewind(world.station.input, &err) != FX_OK)
        violate(VIOLATION_stuck, "%s", err.text);
    hand_out_answers();
}

/* ---- sending ---- */

static bool send_row(void *context, const struct outbox_row *row)
{
    const uint8_t *at = row->bytes + WIRE_HEADER_SIZE;
    const uint8_t *end = row->bytes + row->size;
    int64_t skipped = 0;
    int64_t at_ms = 0;
    (void)context;
    assert_true(wire_read_long(&at, end, &skipped));
    at += skipped;
    assert_true(wire_read_long(&at, end, &skipped) && wire_read_long(&at, end, &skipped) &&
                wire_read_long(&at, end, &at_ms));
    const struct fact fact = {
        .serial = (int)(at_ms - AT_MS), .number = {row->run->run, row->seq}, .id = row->id};
    if (row->id != world.cursor + 1)
        violate(VIOLATION_unacked_lost, "row %" PRId64 " is handed out behind row %" PRId64,
                row->id, world.cursor);
    assert_true(world.on_way_count < FACTS_MAX);
    world.on_way[world.on_way_count++] = fact;
    world.cursor = row->id;
    counts.sent++;
    const struct fact *before = journal_note(&world.journal.sent, &fact);
    counts.sent_again += before != NULL && before->op_count < 0;
    return true;
}

/* As the shipper does: rows are handed out while others are on their way; of these Kafka
 * acknowledges the first ones, or a delivery fails and all go again from the mark on. */
static void ship(int limit)
{
    struct fx_err err = FX_ERR_INIT;
    struct outbox *outbox = world.station.outbox;
    const struct outbox_reader reader = {.after = world.cursor, .limit = limit, .visit = send_row};
    enum fx_code code = outbox_assign_partitions(outbox, 6, &err);
    if (code == FX_OK)
        code = outbox_read(outbox, &reader, &err);
    if (code == FX_OK && dice_chance(&world.dice, 10)) {
        world.on_way_count = 0;
        world.cursor = outbox_acked_id(outbox);
    }
    if (code == FX_OK && world.on_way_count > 0 && dice_chance(&world.dice, 80)) {
        int count = 1 + dice_below(&world.dice, world.on_way_count);
        int64_t last = world.on_way[count - 1].id;
        journal_ack(count);
        outbox_ack(outbox, last);
    }
    bool is_flushed = code == FX_OK && dice_chance(&world.dice, 40);
    if (is_flushed)
        code = outbox_flush(outbox, disk_now_ms, &err);
    if (code != FX_OK)
        violate(VIOLATION_stuck, "%s", err.text);
    if (is_flushed)
        check_kept();
}

/* ---- the process ---- */

static void open_post(void)
{
    struct fx_err err = FX_ERR_INIT;
    struct station *station = &world.station;
    static const struct dialect dialect = {.program = "powercut", .kind = "checkpoint"};
    const struct outbox_options options = {
        .path = world.outbox_path, .kind = "checkpoint", .keep_ms = world.keep_ms};
    world.options = (struct station_options){.follow = is_followed() ? world.input_path : NULL,
                                             .group_lines = 1000};
    struct record *record = station->record;
    struct kind kind = station->kind;
    *station = (struct station){.dialect = &dialect,
                                .options = &world.options,
                                .kind = kind,
                                .record = record,
                                .rejects = {.file = -1, .out = BUF_INIT},
                                .now_ms = disk_now_ms};
    buf_reset(&world.answers.out);
    world.answers = (struct answers){.out = world.answers.out};
    world.asked_count = 0;
    counts.openings++;
    if (outbox_open(&options, &station->outbox, &err) != FX_OK)
        violate(VIOLATION_not_opened, "%s", err.text);
    sqlite3_wal_autocheckpoint(station->outbox->db, world.checkpoint_pages);
    world.on_way_count = 0;
    world.cursor = outbox_acked_id(station->outbox);
    check_kept();
    if (is_followed() && input_open(station, NULL, &station->input, &err) != FX_OK)
        violate(VIOLATION_not_opened, "%s", err.text);
}

static void close_post(void)
{
    commit();
    input_close(world.station.input);
    outbox_close(world.station.outbox);
    world.station.input = NULL;
    world.station.outbox = NULL;
}

static void step(void)
{
    int kind = dice_below(&world.dice, 100);
    disk_now_ms += 10;
    world.station.now_ms = disk_now_ms;
    if (kind < 50)
        take_lines();
    else if (kind < 75)
        commit();
    else if (kind < 79)
        roll_back();
    else if (kind < 97 && world.station.batch_lines == 0)
        ship(1 + dice_below(&world.dice, 12));
    else if (kind >= 97) {
        close_post();
        open_post();
    }
}

void life_play(void)
{
    counts.lives++;
    device_restore();
    open_post();
    for (int steps = 0; has_lines(); steps++) {
        step();
        if (steps > STEPS_MAX)
            violate(VIOLATION_stuck, "lines are left after %d steps", steps);
    }
    while (is_followed()) { /* what rollbacks left, or a cut in the file */
        struct fx_err err = FX_ERR_INIT;
        if (input_take(world.station.input, 1000, &err) != FX_OK)
            violate(VIOLATION_stuck, "%s", err.text);
        if (world.station.batch_lines == 0)
            break;
        commit();
    }
    commit();
    counts.followed += is_followed() ? world.journal.appended_count : 0;
    for (int steps = 0;
         outbox_acked_id(world.station.outbox) < outbox_last_id(world.station.outbox); steps++) {
        ship(SERIALS_MAX);
        if (steps > STEPS_MAX)
            violate(VIOLATION_stuck, "rows are left after %d sendings", steps);
    }
    check_end();
    close_post();
}
