/* SPDX-License-Identifier: Apache-2.0 */
/* oracle - the journal of what the world outside knows, and what must hold of the outbox. */
#include "powercut.h"

#include "../../producers/outbox_sql.h"

#include <sqlite3.h>

#define KEPT_MAX 4096

struct kept {
    int64_t id;
    int64_t stored_ms;
    int serial;
    struct number number;
};

static struct kept kept[KEPT_MAX];
static int kept_count;

/* ---- the journal ---- */

static bool is_same(const struct number *a, const struct number *b)
{
    return a->run == b->run && a->seq == b->seq;
}

static const struct fact *find_fact(const struct facts *facts, const struct number *number)
{
    for (int i = 0; i < facts->count; i++)
        if (is_same(&facts->items[i].number, number))
            return &facts->items[i];
    return NULL;
}

static const struct fact *find_acked(const struct number *number)
{
    return find_fact(&world.journal.acked, number);
}

static void cut_facts(struct facts *facts, int op_count)
{
    int left = 0;
    for (int i = 0; i < facts->count; i++)
        if (facts->items[i].op_count <= op_count) {
            facts->items[left] = facts->items[i];
            facts->items[left++].op_count = -1;
        }
    facts->count = left;
}

void journal_cut(struct journal *journal, int op_count)
{
    cut_facts(&journal->answered, op_count);
    cut_facts(&journal->sent, op_count);
    cut_facts(&journal->acked, op_count);
    while (journal->appended_count > 0 &&
           journal->appended[journal->appended_count - 1] >= op_count)
        journal->appended_count--;
    for (int i = 0; i < journal->appended_count; i++)
        journal->appended[i] = -1;
}

const struct fact *journal_note(struct facts *facts, const struct fact *fact)
{
    const struct facts *all[] = {&world.journal.answered, &world.journal.sent,
                                 &world.journal.acked};
    for (int i = 0; i < 3; i++) {
        const struct fact *other = find_fact(all[i], &fact->number);
        if (other != NULL && other->serial != fact->serial)
            violate(VIOLATION_numbers_reused, "%012" PRIx64 ":%" PRId64 " was line %d and is %d",
                    fact->number.run, fact->number.seq, other->serial, fact->serial);
    }
    const struct fact *known = find_fact(facts, &fact->number);
    if (known != NULL)
        return known;
    assert_true(facts->count < FACTS_MAX);
    facts->items[facts->count] = *fact;
    facts->items[facts->count++].op_count = world.disk->op_count;
    return NULL;
}

const struct fact *journal_answer(int serial)
{
    for (int i = 0; i < world.journal.answered.count; i++)
        if (world.journal.answered.items[i].serial == serial)
            return &world.journal.answered.items[i];
    return NULL;
}

/* ---- what is kept ---- */

/* An event says what it is: source, run, seq, and its line by its time. */
static void read_row(sqlite3_stmt *row)
{
    const uint8_t *at = (const uint8_t *)sqlite3_column_blob(row, 5) + WIRE_HEADER_SIZE;
    const uint8_t *end = at + sqlite3_column_bytes(row, 5) - WIRE_HEADER_SIZE;
    const char *source = (const char *)sqlite3_column_text(row, 2);
    int64_t size = 0;
    int64_t at_ms = 0;
    struct kept *one = &kept[kept_count++];
    one->id = sqlite3_column_int64(row, 0);
    one->stored_ms = sqlite3_column_int64(row, 1);
    assert_true(kept_count < KEPT_MAX && wire_read_long(&at, end, &size));
    if (size < 0 || size > end - at || (size_t)size != strlen(source) ||
        memcmp(at, source, (size_t)size) != 0)
        violate(VIOLATION_numbers_reused, "row %" PRId64 " is of another source than its run",
                one->id);
    at += size;
    assert_true(wire_read_long(&at, end, &one->number.run) &&
                wire_read_long(&at, end, &one->number.seq) && wire_read_long(&at, end, &at_ms));
    one->serial = (int)(at_ms - AT_MS);
    if (one->number.run != sqlite3_column_int64(row, 3) ||
        one->number.seq != sqlite3_column_int64(row, 4))
        violate(VIOLATION_numbers_reused, "row %" PRId64 " says another number than its event",
                one->id);
}

/* From the table itself: the outbox is not asked what it holds, and not told that it was read. */
static void read_kept(void)
{
    static const char text[] = "SELECT event.id, stored_at, source, run.run, seq, bytes"
                               " FROM event JOIN run ON run.id = event.run ORDER BY event.id";
    sqlite3 *db = world.station.outbox->db;
    sqlite3_stmt *rows = NULL;
    kept_count = 0;
    int code = sqlite3_prepare_v2(db, text, -1, &rows, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        read_row(rows);
        code = SQLITE_OK;
    }
    if (code != SQLITE_DONE)
        violate(VIOLATION_not_opened, "%s", sqlite3_errmsg(db));
    sqlite3_finalize(rows);
}

static const struct kept *find_kept(const struct number *number)
{
    for (int i = 0; i < kept_count; i++)
        if (is_same(&kept[i].number, number))
            return &kept[i];
    return NULL;
}

void journal_ack(int count)
{
    read_kept();
    for (int i = 0; i < count; i++) {
        struct fact fact = world.on_way[i];
        const struct kept *there = find_kept(&fact.number);
        if (there == NULL || there->id != fact.id || there->serial != fact.serial)
            violate(VIOLATION_unacked_lost, "line %d is on its way as row %" PRId64 " and is gone",
                    fact.serial, fact.id);
        fact.stored_ms = there->stored_ms;
        counts.acked += journal_note(&world.journal.acked, &fact) == NULL;
    }
    world.on_way_count -= count;
    memmove(world.on_way, world.on_way + count,
            (size_t)world.on_way_count * sizeof world.on_way[0]);
}

/* Only what was acknowledged may be gone: what is kept begins behind it. */
static void check_numbers(void)
{
    for (int i = 0; i < kept_count; i++) {
        const struct number *number = &kept[i].number;
        const struct number before = {number->run, number->seq - 1};
        const struct fact *sent = find_fact(&world.journal.sent, number);
        const struct fact *answered = find_fact(&world.journal.answered, number);
        if (find_kept(number) != &kept[i] || (sent != NULL && sent->serial != kept[i].serial) ||
            (answered != NULL && answered->serial != kept[i].serial))
            violate(VIOLATION_numbers_reused, "%012" PRIx64 ":%" PRId64 " is line %d and another",
                    number->run, number->seq, kept[i].serial);
        bool is_linked = number->seq == 1 || find_kept(&before) != NULL || find_acked(&before);
        if (!is_linked || (i > 0 && kept[i].id != kept[i - 1].id + 1))
            violate(VIOLATION_gaps, "nothing before %012" PRIx64 ":%" PRId64 ", row %" PRId64,
                    number->run, number->seq, kept[i].id);
    }
}

/* What somebody outside knows is kept, and is to be handed out, until it is acknowledged. */
static void check_unacked(const struct facts *facts, enum violation violation, const char *what)
{
    int64_t mark = outbox_acked_id(world.station.outbox);
    for (int i = 0; i < facts->count; i++) {
        const struct fact *fact = &facts->items[i];
        const struct kept *there = find_kept(&fact->number);
        if (find_acked(&fact->number) != NULL)
            continue;
        if (there == NULL)
            violate(violation, "line %d was %s as %012" PRIx64 ":%" PRId64 " and is gone",
                    fact->serial, what, fact->number.run, fact->number.seq);
        if (there->id <= mark)
            violate(VIOLATION_mark_ahead,
                    "line %d, row %" PRId64 ", was %s only, the mark is %" PRId64, fact->serial,
                    there->id, what, mark);
    }
}

/* What was acknowledged is kept as long as the options say. */
static void check_acked(void)
{
    for (int i = 0; i < world.journal.acked.count; i++) {
        const struct fact *fact = &world.journal.acked.items[i];
        if (find_kept(&fact->number) == NULL && fact->stored_ms >= disk_now_ms - world.keep_ms)
            violate(VIOLATION_given_up_early,
                    "row %" PRId64 " was stored %" PRId64 " ms ago, is to be kept %" PRId64
                    " and is gone",
                    fact->id, disk_now_ms - fact->stored_ms, world.keep_ms);
    }
    for (int i = 0; i < kept_count; i++)
        if (kept[i].stored_ms < AT_MS || kept[i].stored_ms > disk_now_ms)
            violate(VIOLATION_given_up_early, "row %" PRId64 " says it was stored at %" PRId64,
                    kept[i].id, kept[i].stored_ms);
}

/* The outbox's mark, and each run's that its signs of life tell the city. */
static void check_mark(void)
{
    const struct facts *acked = &world.journal.acked;
    int64_t mark = outbox_acked_id(world.station.outbox);
    int64_t last = 0;
    for (int i = 0; i < acked->count; i++)
        last = acked->items[i].id > last ? acked->items[i].id : last;
    if (mark > last)
        violate(VIOLATION_mark_ahead, "the mark is %" PRId64 ", acknowledged was %" PRId64, mark,
                last);
    for (int i = 0; i < kept_count; i++)
        if (kept[i].id <= mark && find_acked(&kept[i].number) == NULL)
            violate(VIOLATION_mark_ahead, "row %" PRId64 " is behind the mark %" PRId64, kept[i].id,
                    mark);
    bool is_end = false;
    for (int i = 0; !is_end; i++) {
        const struct outbox_run *run = outbox_run_at(world.station.outbox, i, &is_end);
        for (int64_t seq = 1; run != NULL && seq <= run->acked_seq; seq++)
            if (find_acked(&(struct number){run->run, seq}) == NULL)
                violate(VIOLATION_mark_ahead, "%012" PRIx64 ":%" PRId64 " counts as acknowledged",
                        run->run, seq);
    }
}

/* The numbers of line serial that were handed out or are kept. */
static int count_numbers(int serial)
{
    const struct facts *sent = &world.journal.sent;
    int count = 0;
    for (int i = 0; i < sent->count; i++)
        count += sent->items[i].serial == serial;
    for (int i = 0; i < kept_count; i++)
        count += kept[i].serial == serial && find_fact(sent, &kept[i].number) == NULL;
    return count;
}

static bool is_acked(int serial)
{
    for (int i = 0; i < world.journal.acked.count; i++)
        if (world.journal.acked.items[i].serial == serial)
            return true;
    return false;
}

static bool is_kept(int serial)
{
    for (int i = 0; i < kept_count; i++)
        if (kept[i].serial == serial)
            return true;
    return false;
}

static void check_repeated(void)
{
    for (int serial = 0; serial < SERIALS_MAX && world.mode != MODE_BARE; serial++)
        if (count_numbers(serial) > 1)
            violate(VIOLATION_lines_repeated, "line %d was stored %d times", serial,
                    count_numbers(serial));
}

/* The line's serial if text begins with it, newline included; -1: something else, or torn. */
static int read_serial(const char *text, size_t size)
{
    char expected[512];
    for (int serial = 0; serial < world.journal.appended_count; serial++)
        if (life_line(serial, expected) == size && memcmp(text, expected, size) == 0)
            return serial;
    return -1;
}

/* Marks the lines of file in front of offset. */
static void mark_passed(enum disk_name file, int64_t offset, bool *is_passed)
{
    const struct disk_bytes *input = &world.disk->now.files[file].bytes;
    for (size_t at = 0; at < (size_t)offset;) {
        const char *text = (const char *)input->data + at;
        const char *end = memchr(text, '\n', (size_t)offset - at);
        size_t size = end == NULL ? (size_t)offset - at : (size_t)(end - text) + 1;
        int serial = read_serial(text, size);
        if (serial >= 0)
            is_passed[serial] = true;
        at += size;
    }
}

/* The file that the position is in, which is there as far as that. */
static enum disk_name find_file(const struct outbox_position *position)
{
    enum disk_name name = DISK_FILES;
    for (int i = 0; i < 2; i++) {
        struct stat status;
        assert_int_equal(fstat(world.input_files[i], &status), 0);
        if (position->inode == (int64_t)status.st_ino)
            name = DISK_INPUT + (enum disk_name)i;
    }
    if (position->inode == 0) /* none yet */
        name = DISK_INPUT;
    const struct disk_file *file = name == DISK_FILES ? NULL : &world.disk->now.files[name];
    if (file == NULL || !file->is_there)
        violate(VIOLATION_lines_repeated, "position %" PRId64 " of a file that is not there",
                position->offset);
    if (position->offset > (int64_t)file->bytes.size)
        violate(VIOLATION_lines_repeated, "position %" PRId64 " of a file of %zu bytes",
                position->offset, file->bytes.size);
    return name;
}

/* The lines in front of the position are those that were taken; a rotated file is finished first. A
 * cut may take what was taken from that one: nobody needs it any more. */
static void check_position(void)
{
    struct fx_err err = FX_ERR_INIT;
    struct outbox_position position;
    bool is_passed[SERIALS_MAX] = {false};
    if (world.mode != MODE_FOLLOW && world.mode != MODE_LAZY)
        return;
    if (outbox_position(world.station.outbox, world.input_path, &position, &err) != FX_OK)
        violate(VIOLATION_not_opened, "%s", err.text);
    enum disk_name file = find_file(&position);
    if (file == DISK_NEXT_INPUT)
        mark_passed(DISK_INPUT, (int64_t)world.disk->now.files[DISK_INPUT].bytes.size, is_passed);
    mark_passed(file, position.offset, is_passed);
    for (int serial = 0; serial < SERIALS_MAX; serial++) {
        bool may_be_gone = file == DISK_NEXT_INPUT && serial < world.journal.first_of_next;
        if (count_numbers(serial) > 0 && !is_passed[serial] && !may_be_gone)
            violate(VIOLATION_lines_repeated, "line %d is stored, the position is at %" PRId64,
                    serial, position.offset);
        if (is_passed[serial] && !is_kept(serial) && !is_acked(serial))
            violate(VIOLATION_lines_skipped, "line %d is not stored, the position is at %" PRId64,
                    serial, position.offset);
    }
}

void check_kept(void)
{
    read_kept();
    check_numbers();
    check_unacked(&world.journal.answered, VIOLATION_answered_lost, "answered");
    check_unacked(&world.journal.sent, VIOLATION_unacked_lost, "handed out");
    check_acked();
    check_mark();
    check_repeated();
    check_position();
}

/* Has line serial to be at Kafka at the end? Of a file: if the cut left it as a line of its own. */
static bool is_expected(int serial)
{
    char line[513] = "\n";
    size_t size = life_line(serial, line + 1);
    if (world.mode == MODE_IDS || world.mode == MODE_BARE)
        return serial < world.lines;
    for (int file = DISK_INPUT; file <= DISK_NEXT_INPUT; file++) {
        const struct disk_bytes *input = &world.disk->now.files[file].bytes;
        if (input->size >= size && (memcmp(input->data, line + 1, size) == 0 ||
                                    memmem(input->data, input->size, line, size + 1) != NULL))
            return true;
    }
    return false;
}

/* None is left that was not acknowledged, which needs that it was handed out. */
static void check_all_acked(const struct facts *facts)
{
    for (int i = 0; i < facts->count; i++)
        if (find_acked(&facts->items[i].number) == NULL)
            violate(VIOLATION_unacked_lost, "%012" PRIx64 ":%" PRId64 " was not handed out again",
                    facts->items[i].number.run, facts->items[i].number.seq);
}

void check_end(void)
{
    const struct facts *acked = &world.journal.acked;
    check_kept();
    for (int serial = 0; serial < SERIALS_MAX; serial++)
        if (is_expected(serial) && !is_acked(serial))
            violate(VIOLATION_lines_skipped, "line %d never came to Kafka", serial);
    check_all_acked(&world.journal.answered);
    check_all_acked(&world.journal.sent);
    for (int i = 0; i < acked->count; i++) {
        const struct number *number = &acked->items[i].number;
        if (number->seq > 1 && find_acked(&(struct number){number->run, number->seq - 1}) == NULL)
            violate(VIOLATION_gaps, "nothing before %012" PRIx64 ":%" PRId64 " came to Kafka",
                    number->run, number->seq);
        counts.given_up += find_kept(number) == NULL;
    }
}
