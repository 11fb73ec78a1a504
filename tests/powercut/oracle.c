/* SPDX-License-Identifier: Apache-2.0 */
/* oracle - the journal of what the world outside knows, and what must hold of the outbox. */
#include "powercut.h"

#define KEPT_MAX 4096

struct kept {
    int64_t id;
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

static void cut_facts(struct fact *facts, int *count, int op_count)
{
    int left = 0;
    for (int i = 0; i < *count; i++)
        if (facts[i].op_count <= op_count) {
            facts[left] = facts[i];
            facts[left++].op_count = -1;
        }
    *count = left;
}

void journal_cut(struct journal *journal, int op_count)
{
    cut_facts(journal->answered, &journal->answered_count, op_count);
    cut_facts(journal->sent, &journal->sent_count, op_count);
    while (journal->appended_count > 0 &&
           journal->appended[journal->appended_count - 1] >= op_count)
        journal->appended_count--;
    for (int i = 0; i < journal->appended_count; i++)
        journal->appended[i] = -1;
}

void journal_note(struct fact *facts, int *count, int serial, const struct number *number)
{
    for (int i = 0; i < *count; i++)
        if (facts[i].serial == serial && is_same(&facts[i].number, number))
            return;
    assert_true(*count < FACTS_MAX);
    facts[(*count)++] = (struct fact){world.disk->op_count, serial, *number};
}

const struct fact *journal_answer(int serial)
{
    for (int i = 0; i < world.journal.answered_count; i++)
        if (world.journal.answered[i].serial == serial)
            return &world.journal.answered[i];
    return NULL;
}

/* ---- what is kept ---- */

/* An event says what it is: source, run, seq, and its line by its time. */
static bool read_row(void *context, const struct outbox_row *row)
{
    const uint8_t *at = row->bytes + WIRE_HEADER_SIZE;
    const uint8_t *end = row->bytes + row->size;
    int64_t size = 0;
    int64_t at_ms = 0;
    struct kept *one = &kept[kept_count++];
    (void)context;
    assert_true(kept_count < KEPT_MAX && wire_read_long(&at, end, &size));
    if (size < 0 || size > end - at || (size_t)size != strlen(row->run->source) ||
        memcmp(at, row->run->source, (size_t)size) != 0)
        violate(VIOLATION_numbers_reused, "row %" PRId64 " is of another source than its run",
                row->id);
    at += size;
    assert_true(wire_read_long(&at, end, &one->number.run) &&
                wire_read_long(&at, end, &one->number.seq) && wire_read_long(&at, end, &at_ms));
    one->id = row->id;
    one->serial = (int)(at_ms - AT_MS);
    if (one->number.run != row->run->run || one->number.seq != row->seq)
        violate(VIOLATION_numbers_reused, "row %" PRId64 " says another number than its event",
                row->id);
    return true;
}

static void read_kept(void)
{
    struct fx_err err = FX_ERR_INIT;
    const struct outbox_reader reader = {.after = 0, .limit = KEPT_MAX, .visit = read_row};
    kept_count = 0;
    if (outbox_read(world.station.outbox, &reader, &err) != FX_OK)
        violate(VIOLATION_not_opened, "%s", err.text);
}

static const struct fact *find_sent(const struct number *number)
{
    for (int i = 0; i < world.journal.sent_count; i++)
        if (is_same(&world.journal.sent[i].number, number))
            return &world.journal.sent[i];
    return NULL;
}

static const struct kept *find_kept(const struct number *number)
{
    for (int i = 0; i < kept_count; i++)
        if (is_same(&kept[i].number, number))
            return &kept[i];
    return NULL;
}

static void check_numbers(void)
{
    for (int i = 0; i < kept_count; i++) {
        const struct number *number = &kept[i].number;
        const struct number before = {number->run, number->seq - 1};
        const struct fact *sent = find_sent(number);
        if (find_kept(number) != &kept[i] || (sent != NULL && sent->serial != kept[i].serial))
            violate(VIOLATION_numbers_reused, "%012" PRIx64 ":%" PRId64 " is line %d and another",
                    number->run, number->seq, kept[i].serial);
        bool is_linked = number->seq == 1 || find_kept(&before) != NULL || find_sent(&before);
        if (!is_linked || (i > 0 && kept[i].id != kept[i - 1].id + 1))
            violate(VIOLATION_gaps, "nothing before %012" PRIx64 ":%" PRId64 ", row %" PRId64,
                    number->run, number->seq, kept[i].id);
    }
}

/* An answered line is kept, or at Kafka already and then given up. */
static void check_answered(void)
{
    for (int i = 0; i < world.journal.answered_count; i++) {
        const struct fact *fact = &world.journal.answered[i];
        const struct kept *there = find_kept(&fact->number);
        const struct fact *sent = find_sent(&fact->number);
        bool is_there = there != NULL && there->serial == fact->serial;
        if (!is_there && (sent == NULL || sent->serial != fact->serial))
            violate(VIOLATION_answered_lost,
                    "line %d was answered %012" PRIx64 ":%" PRId64 " and is gone", fact->serial,
                    fact->number.run, fact->number.seq);
    }
}

/* How many numbers line serial has, kept or sent. */
static int count_numbers(int serial)
{
    int count = 0;
    for (int i = 0; i < world.journal.sent_count; i++)
        count += world.journal.sent[i].serial == serial;
    for (int i = 0; i < kept_count; i++)
        count += kept[i].serial == serial && find_sent(&kept[i].number) == NULL;
    return count;
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

/* The lines in front of the position are those that were taken. */
static void check_position(void)
{
    struct fx_err err = FX_ERR_INIT;
    struct outbox_position position;
    const struct disk_bytes *input = &world.disk->now.files[DISK_INPUT].bytes;
    bool is_passed[SERIALS_MAX] = {false};
    if (world.mode != MODE_FOLLOW && world.mode != MODE_LAZY)
        return;
    if (outbox_position(world.station.outbox, world.input_path, &position, &err) != FX_OK)
        violate(VIOLATION_not_opened, "%s", err.text);
    if (position.offset > (int64_t)input->size)
        violate(VIOLATION_lines_repeated, "position %" PRId64 " of a file of %zu bytes",
                position.offset, input->size);
    for (size_t at = 0; at < (size_t)position.offset;) {
        const char *text = (const char *)input->data + at;
        const char *end = memchr(text, '\n', (size_t)position.offset - at);
        size_t size = end == NULL ? (size_t)position.offset - at : (size_t)(end - text) + 1;
        int serial = read_serial(text, size);
        if (serial >= 0)
            is_passed[serial] = true;
        at += size;
    }
    for (int serial = 0; serial < SERIALS_MAX; serial++) {
        bool is_taken = count_numbers(serial) > 0;
        if (is_taken != is_passed[serial])
            violate(is_taken ? VIOLATION_lines_repeated : VIOLATION_lines_skipped,
                    "line %d is %s, the position is at %" PRId64, serial,
                    is_taken ? "stored" : "not stored", position.offset);
    }
}

void check_kept(void)
{
    read_kept();
    check_numbers();
    check_answered();
    check_repeated();
    check_position();
}

/* Has line serial to be at Kafka at the end? */
static bool is_expected(int serial)
{
    char line[513] = "\n";
    const struct disk_bytes *input = &world.disk->now.files[DISK_INPUT].bytes;
    if (world.mode == MODE_IDS || world.mode == MODE_BARE)
        return serial < world.lines;
    /* What the cut left of the file, if it is a line of its own. */
    size_t size = life_line(serial, line + 1);
    return (input->size >= size && memcmp(input->data, line + 1, size) == 0) ||
           memmem(input->data, input->size, line, size + 1) != NULL;
}

void check_end(void)
{
    check_kept();
    for (int serial = 0; serial < SERIALS_MAX; serial++) {
        int sent = 0;
        for (int i = 0; i < world.journal.sent_count; i++)
            sent += world.journal.sent[i].serial == serial;
        if (sent == 0 && is_expected(serial))
            violate(VIOLATION_lines_skipped, "line %d never came to Kafka", serial);
    }
    for (int i = 0; i < world.journal.sent_count; i++) {
        const struct number before = {world.journal.sent[i].number.run,
                                      world.journal.sent[i].number.seq - 1};
        if (before.seq > 0 && find_sent(&before) == NULL)
            violate(VIOLATION_gaps, "%012" PRIx64 ":%" PRId64 " never came to Kafka", before.run,
                    before.seq);
    }
}
