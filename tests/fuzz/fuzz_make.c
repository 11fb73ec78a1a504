/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_make.h"

#include "../../schemas/wire.h"

#define PARTS_MAX 256 /* pieces of one message; the rest stays as it is */

/* A varint, a text or a boolean of a message. */
struct piece {
    size_t at;
    size_t size;
    const struct field *field;
    bool is_text; /* the bytes behind a length */
};

/* A message on the way of being made or changed. */
struct draft {
    uint8_t *bytes;
    size_t size;
    size_t room;
};

/* ---- whole events ---------------------------------------------------------------------------- */

static const char *const texts[] = {
    "",       "A",        "AB",          "卡口",   "no plate", "x|y \"z\"",
    "-",      "CP-1.a_b", "B",           "\x7f",   "\xc2\x80", "\u07ff",
    "\u0800", "\ud7ff",   "\ue000",      "\uffff", "没有",     "\xf0\x90\x80\x80",
    "é",      "SIM-1",    "SIM-CP-1_00", "\x01\t", "0",        "\xf4\x8f\xbf\xbf",
};
#define TEXTS ((int)(sizeof texts / sizeof texts[0]))

static int64_t make_number(struct dice *dice, const struct field *field)
{
    int kind = dice_below(dice, 100);
    if (kind < 4)
        return kind % 2 ? field->min : field->max;
    if (kind >= 90)
        return dice_between(dice, field->min, field->max);
    int64_t low = field->min <= 0 && field->max >= 0 ? 0 : field->min;
    return low + dice_below(dice, field->max - low < 9 ? (int)(field->max - low) + 1 : 10);
}

static struct decoded_text make_text(struct dice *dice, const struct field *field)
{
    static char letters[1024];
    const struct region_tree *regions = fuzz_regions();
    const char *text = texts[dice_below(dice, TEXTS)];
    if (field->max_length == SCHEMA_REGION_MAX && dice_chance(dice, 90))
        text = regions->nodes[dice_below(dice, regions->count)].code;
    struct decoded_text made = {text, (uint32_t)strlen(text)};
    if (strcmp(field->name, "source") == 0 && dice_chance(dice, 97))
        made = (struct decoded_text){"CP-441521115-003", (uint32_t)(1 + dice_below(dice, 16))};
    if (dice_chance(dice, 3)) {
        memset(letters, 'a', sizeof letters);
        int length = field->max_length < 1000 ? field->max_length : 1000;
        made = (struct decoded_text){letters, (uint32_t)(length + dice_chance(dice, 30))};
    }
    return made;
}

static void make_envelope(struct dice *dice, struct decoded *fields)
{
    bool is_reversal = dice_chance(dice, 15);
    bool is_wrong = dice_chance(dice, 4);
    fields->numbers[ENVELOPE_SEQ] = 1 + dice_below(dice, 200);
    fields->numbers[ENVELOPE_OCCURRED_AT] = INT64_C(1644451200000) + dice_below(dice, 100000000);
    fields->numbers[ENVELOPE_SIGN] = is_reversal ? -1 : 1;
    fields->is_null[ENVELOPE_REVERSES_RUN] = is_reversal == (is_wrong && dice_chance(dice, 50));
    fields->is_null[ENVELOPE_REVERSES_SEQ] = is_reversal == (is_wrong && dice_chance(dice, 50));
    fields->is_null[ENVELOPE_COUNTED_AT] =
        is_reversal ? dice_chance(dice, 50) : !(is_wrong && dice_chance(dice, 50));
    if (!is_reversal && !is_wrong) {
        fields->is_null[ENVELOPE_REVERSES_RUN] = true;
        fields->is_null[ENVELOPE_REVERSES_SEQ] = true;
    }
}

/* Shares the total out among its parts, one by one. */
static void share_out(struct dice *dice, const struct sum *sum, struct decoded *fields)
{
    int64_t total = fields->numbers[sum->total];
    for (int i = 0; i < sum->part_count; i++)
        fields->numbers[sum->parts[i]] = 0;
    if (total > 40) {
        fields->numbers[sum->parts[0]] = total - 40;
        total = 40;
    }
    for (; total > 0; total--)
        fields->numbers[sum->parts[dice_below(dice, sum->part_count)]]++;
}

static size_t put_field(const struct field *field, const struct decoded *fields, int index,
                        uint8_t *out)
{
    const struct decoded_text *text = &fields->texts[index];
    size_t size = 0;
    if (field->is_nullable) {
        int branch = fields->is_null[index] ? field->null_branch : 1 - field->null_branch;
        size = wire_write_long(out, branch);
        if (fields->is_null[index])
            return size;
    }
    if (field->type == FIELD_BOOLEAN) {
        out[size] = (uint8_t)fields->numbers[index];
        return size + 1;
    }
    if (field->type != FIELD_STRING)
        return size + wire_write_long(out + size, fields->numbers[index]);
    size += wire_write_long(out + size, text->size);
    memcpy(out + size, text->bytes, text->size);
    return size + text->size;
}

size_t fuzz_make(struct dice *dice, uint8_t bytes[static FUZZ_ROOM])
{
    const struct fuzz_writer *writer = fuzz_writer(dice_below(dice, fuzz_writer_count()));
    const struct schema *schema = writer->schema;
    bool is_heartbeat = strcmp(writer->kind->name, "heartbeat") == 0;
    struct decoded fields;
    memset(&fields, 0, sizeof fields);
    for (int i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        fields.is_null[i] = field->is_nullable && dice_chance(dice, 40);
        if (field->type == FIELD_STRING)
            fields.texts[i] = make_text(dice, field);
        else
            fields.numbers[i] = make_number(dice, field);
    }
    if (!is_heartbeat && dice_chance(dice, 97))
        make_envelope(dice, &fields);
    for (int i = 0; i < schema->sum_count && dice_chance(dice, 98); i++)
        share_out(dice, &schema->sums[i], &fields);
    size_t size = WIRE_HEADER_SIZE;
    wire_write_header(bytes, schema->fingerprint);
    for (int i = 0; i < schema->field_count && size < FUZZ_ROOM - 1100; i++)
        size += put_field(&schema->fields[i], &fields, i, bytes + size);
    return size;
}

/* ---- where the fields of a message lie ------------------------------------------------------- */

/* Behind the varint at at, in whatever form; size if it does not end. */
static size_t skip_varint(const struct draft *draft, size_t at)
{
    while (at < draft->size && draft->bytes[at] >= 0x80)
        at++;
    return at < draft->size ? at + 1 : draft->size;
}

/* The value of a varint in whatever form, cut to 64 bits. */
static int64_t peek_varint(const struct draft *draft, const struct piece *piece)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < piece->size && i < 10; i++)
        bits |= (uint64_t)(draft->bytes[piece->at + i] & 0x7f) << (7 * i);
    return (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
}

static struct piece *add_piece(struct piece *pieces, int *count, size_t at, size_t end)
{
    struct piece *piece = &pieces[(*count)++];
    *piece = (struct piece){.at = at, .size = end - at};
    return piece;
}

/* The pieces of the body, as far as it can be followed. */
static int split(const struct draft *draft, const struct schema *schema,
                 struct piece pieces[static PARTS_MAX])
{
    int count = 0;
    size_t at = WIRE_HEADER_SIZE;
    for (int i = 0; i < schema->field_count && at < draft->size && count < PARTS_MAX - 3; i++) {
        const struct field *field = &schema->fields[i];
        struct piece *piece;
        if (field->is_nullable) {
            piece = add_piece(pieces, &count, at, skip_varint(draft, at));
            at += piece->size;
            if (peek_varint(draft, piece) == field->null_branch)
                continue;
        }
        size_t end = field->type == FIELD_BOOLEAN ? at + 1 : skip_varint(draft, at);
        if (end > draft->size || at == draft->size)
            break;
        piece = add_piece(pieces, &count, at, end);
        piece->field = field;
        at = end;
        if (field->type != FIELD_STRING)
            continue;
        int64_t length = peek_varint(draft, piece);
        if (length < 0 || (uint64_t)length > draft->size - at)
            break;
        add_piece(pieces, &count, at, at + (size_t)length)->is_text = true;
        at += (size_t)length;
    }
    return count;
}

/* ---- changes --------------------------------------------------------------------------------- */

/* Puts size bytes in the place of a piece, if there is room. */
static void replace(struct draft *draft, const struct piece *piece, const uint8_t *bytes,
                    size_t size)
{
    size_t behind = piece->at + piece->size;
    if (draft->size - piece->size + size > draft->room)
        return;
    memmove(draft->bytes + piece->at + size, draft->bytes + behind, draft->size - behind);
    if (size > 0)
        memcpy(draft->bytes + piece->at, bytes, size);
    draft->size = draft->size - piece->size + size;
}

static void replace_number(struct draft *draft, const struct piece *piece, int64_t number)
{
    uint8_t bytes[10];
    replace(draft, piece, bytes, wire_write_long(bytes, number));
}

/* A number at or beyond some edge. */
static int64_t edge_number(struct dice *dice, const struct piece *piece)
{
    static const int64_t edges[] = {
        0,
        1,
        -1,
        2,
        63,
        64,
        -64,
        -65,
        127,
        128,
        INT32_MAX,
        INT32_MIN,
        INT64_MAX,
        INT64_MIN,
        INT64_MAX - 1,
        INT32_MAX + INT64_C(1),
        INT32_MIN - INT64_C(1),
        INT64_C(1) << 32,
        -(INT64_C(1) << 32),
        (INT64_C(1) << 32) + 1,
        SCHEMA_RUN_LIMIT,
        SCHEMA_RUN_LIMIT - 1,
        1000000000,
        4096,
        4097,
        65535,
        3,
        4,
        69,
        70,
    };
    const struct field *field = piece->field;
    if (field == NULL || dice_chance(dice, 60))
        return edges[dice_below(dice, (int)(sizeof edges / sizeof edges[0]))];
    int64_t edge = dice_chance(dice, 50) ? field->max : field->min;
    if (field->type == FIELD_STRING)
        edge = field->max_length;
    return (int64_t)((uint64_t)edge + (uint64_t)dice_between(dice, -1, 1));
}

/* The same number in more bytes than it needs. */
static void stretch(struct dice *dice, struct draft *draft, const struct piece *piece)
{
    uint8_t bytes[24];
    size_t size = piece->size < 11 ? piece->size : 11;
    memcpy(bytes, draft->bytes + piece->at, size);
    for (int more = 1 + dice_below(dice, 11); more > 0; more--) {
        bytes[size - 1] |= 0x80;
        bytes[size++] = 0;
    }
    replace(draft, piece, bytes, size);
}

/* A varint of any bytes: nine or ten of them, or eleven, are where decoders differ. */
static void put_varint(struct dice *dice, struct draft *draft, const struct piece *piece)
{
    uint8_t bytes[11];
    int size = dice_chance(dice, 50) ? 9 + dice_below(dice, 3) : 1 + dice_below(dice, 11);
    for (int i = 0; i < size; i++)
        bytes[i] = (uint8_t)((dice_chance(dice, 50) ? 0xff : dice_u64(dice)) | 0x80);
    bytes[size - 1] =
        (uint8_t)(dice_chance(dice, 70) ? dice_below(dice, 3) : dice_below(dice, 128));
    replace(draft, piece, bytes, (size_t)size);
}

/* Another text of the same field; the length follows it most of the time. */
static void put_text(struct dice *dice, struct draft *draft, const struct piece *pieces, int at)
{
    static const char *const wrong[] = {
        "\xc0\x80",
        "\xc1\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf8\x88\x80\x80",
        "\xe0\x9f\xbf",
        "\xff",
        "\xf0\x8f\xbf\xbf",
        "\x80",
        "a\xe5\x8d",
        "\xc3",
        "CP 1",
        "CP/1",
        "a\xcc\x81",
    };
    char text[8] = "";
    int kind = dice_below(dice, 10);
    const char *chosen = kind < 4 ? texts[dice_below(dice, TEXTS)] : wrong[dice_below(dice, 15)];
    size_t size = strlen(chosen);
    if (kind == 9) { /* with a NUL, at some place */
        size = (size_t)(1 + dice_below(dice, 7));
        memset(text, 'n', size);
        text[dice_below(dice, (int)size)] = '\0';
        chosen = text;
    }
    replace(draft, &pieces[at], (const uint8_t *)chosen, size);
    if (dice_chance(dice, 90))
        replace_number(draft, &pieces[at - 1], (int64_t)size);
}

static void cut_or_extend(struct dice *dice, struct draft *draft)
{
    uint8_t tail[16];
    struct piece end = {.at = draft->size};
    if (dice_chance(dice, 50)) {
        draft->size = (size_t)dice_below(dice, (int)draft->size + 1);
        return;
    }
    size_t more = (size_t)(1 + dice_below(dice, 15));
    for (size_t i = 0; i < more; i++)
        tail[i] = (uint8_t)(dice_chance(dice, 50) ? 0 : dice_u64(dice));
    replace(draft, &end, tail, more);
    while (dice_chance(dice, 3) && draft->size + 512 <= draft->room) {
        memset(draft->bytes + draft->size, 'x', 512);
        draft->size += 512;
    }
}

static void change_bytes(struct dice *dice, struct draft *draft)
{
    if (draft->size == 0)
        return;
    struct piece one = {.at = (size_t)dice_below(dice, (int)draft->size), .size = 1};
    uint8_t fresh[2] = {(uint8_t)dice_u64(dice), draft->bytes[one.at]};
    switch (dice_below(dice, 5)) {
    case 0:
        replace(draft, &one, fresh, 0);
        break;
    case 1:
        replace(draft, &one, fresh, 2);
        break;
    case 2:
        replace(draft, &one, fresh, 1);
        break;
    default:
        draft->bytes[one.at] ^= (uint8_t)(1u << dice_below(dice, 8));
    }
}

/* The head of one message with the tail of another. */
static void splice(struct dice *dice, struct draft *draft)
{
    static uint8_t other[FUZZ_ROOM];
    size_t size = fuzz_make(dice, other);
    size_t from = (size_t)dice_below(dice, (int)size + 1);
    size_t at = (size_t)dice_below(dice, (int)draft->size + 1);
    struct piece tail = {.at = at, .size = draft->size - at};
    replace(draft, &tail, other + from, size - from);
}

static void change_header(struct dice *dice, struct draft *draft)
{
    int writer = dice_below(dice, fuzz_writer_count());
    if (draft->size < WIRE_HEADER_SIZE)
        return;
    if (dice_chance(dice, 60))
        wire_write_header(draft->bytes, fuzz_writer(writer)->schema->fingerprint);
    else
        draft->bytes[dice_below(dice, WIRE_HEADER_SIZE)] ^= (uint8_t)(1u << dice_below(dice, 8));
}

static void change_piece(struct dice *dice, struct draft *draft, const struct piece *pieces, int at)
{
    const struct piece *piece = &pieces[at];
    int kind = dice_below(dice, 8);
    if (piece->is_text) {
        put_text(dice, draft, pieces, at);
    } else if (piece->field != NULL && piece->field->type == FIELD_BOOLEAN) {
        draft->bytes[piece->at] = (uint8_t)dice_below(dice, dice_chance(dice, 50) ? 3 : 256);
    } else if (kind < 4) {
        replace_number(draft, piece, edge_number(dice, piece));
    } else if (kind == 4) {
        stretch(dice, draft, piece);
    } else if (kind == 5) {
        put_varint(dice, draft, piece);
    } else if (kind == 6) {
        replace(draft, piece, NULL, 0);
    } else {
        replace_number(
            draft, piece,
            (int64_t)((uint64_t)peek_varint(draft, piece) + (uint64_t)dice_between(dice, -2, 2)));
    }
}

size_t fuzz_change(struct dice *dice, uint8_t *bytes, size_t size, size_t room)
{
    struct piece pieces[PARTS_MAX];
    struct draft draft = {bytes, size, room};
    int writer = fuzz_find_writer(bytes, size);
    int count = writer < 0 ? 0 : split(&draft, fuzz_writer(writer)->schema, pieces);
    int kind = dice_below(dice, 100);
    if (count > 0 && kind < 75)
        change_piece(dice, &draft, pieces, dice_below(dice, count));
    else if (kind < 85)
        change_bytes(dice, &draft);
    else if (kind < 91)
        cut_or_extend(dice, &draft);
    else if (kind < 95)
        splice(dice, &draft);
    else
        change_header(dice, &draft);
    return draft.size;
}
