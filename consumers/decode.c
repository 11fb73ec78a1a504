/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"

#include "../common/text.h"
#include "../schemas/wire.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define WORD 8
#define HIGH_BITS UINT64_C(0x8080808080808080)
#define LOW_BITS UINT64_C(0x0101010101010101)

_Static_assert(sizeof((struct decoded *)0)->numbers >=
                   (SCHEMA_FIELDS_MAX + WORD - 1) * sizeof(int64_t),
               "eight numbers from the last field on");

/* One field of the writer's record. */
struct step {
    enum field_type type;
    bool is_nullable;
    bool is_number;       /* an int or a long that goes somewhere */
    bool is_name_checked; /* the envelope's source: more than UTF-8 */
    int null_branch;
    int to; /* index in the current schema, -1: it has no such field any more */
    int64_t min;
    int64_t max;
    int64_t symbol_count;
    int32_t *symbols; /* writer's index -> current index; NULL if they are the same */
};

/*
 * One step or several, by the way that almost every event goes: a table of these is walked without
 * a branch that depends on what the event says. Where its bytes are not as expected, an op takes
 * nothing, and its steps decide alone.
 */
enum op_kind {
    OP_STEPS,    /* no such way */
    OP_TEXT,     /* a string of less than 64 bytes */
    OP_NUMBER,   /* a varint of at most eight bytes */
    OP_OPTIONAL, /* null, or a varint of at most three bytes */
    OP_WORD      /* whole numbers of one byte, up to eight in a row */
};

struct op {
    enum op_kind kind;
    int first; /* of its steps */
    int count;
    int to;          /* where the first one goes, the others behind it */
    int64_t min;     /* OP_NUMBER, OP_OPTIONAL */
    int64_t max;     /* these, and OP_TEXT */
    uint64_t mask;   /* OP_WORD: its bytes */
    uint64_t limits; /* OP_WORD: the highest value of each, with the high bit set */
};

struct decoder {
    const struct schema *current;
    struct step steps[SCHEMA_FIELDS_MAX];
    int step_count;
    struct op ops[SCHEMA_FIELDS_MAX];
    int op_count;
    bool is_null[SCHEMA_FIELDS_MAX]; /* what is_null begins with: an op says what differs */
    int defaults[SCHEMA_FIELDS_MAX]; /* fields the writer does not have */
    int default_count;
    bool is_row[SCHEMA_SUMS_MAX]; /* the sum's parts are fields in a row */
};

static enum fx_code translate_symbols(const struct field *from, const struct field *to,
                                      struct step *step, struct fx_err *err)
{
    step->symbol_count = from->symbol_count;
    bool is_same = true;
    for (int i = 0; i < from->symbol_count; i++)
        is_same &= i < to->symbol_count && strcmp(from->symbols[i], to->symbols[i]) == 0;
    if (is_same)
        return FX_OK;
    step->symbols = calloc((size_t)from->symbol_count, sizeof *step->symbols);
    if (step->symbols == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a decoder");
    for (int i = 0; i < from->symbol_count; i++)
        step->symbols[i] = field_symbol(to, from->symbols[i], strlen(from->symbols[i]));
    return FX_OK;
}

static enum fx_code compile_step(const struct field *from, const struct schema *current,
                                 struct step *step, struct fx_err *err)
{
    step->type = from->type;
    step->is_nullable = from->is_nullable;
    step->null_branch = from->null_branch;
    step->to = schema_field(current, from->name);
    /* bounds may only widen, so the current schema's hold for every writer */
    const struct field *bounds = step->to < 0 ? from : &current->fields[step->to];
    step->is_number = (from->type == FIELD_INT || from->type == FIELD_LONG) && step->to >= 0;
    step->min = bounds->min;
    step->max = from->type == FIELD_STRING ? bounds->max_length : bounds->max;
    if (from->type == FIELD_ENUM)
        return translate_symbols(from, bounds, step, err);
    return FX_OK;
}

/*
 * The highest byte that is a good value of step by itself, if those from 0 up to it are; or -1.
 * The envelope's null is one, as all but reversals have it; another field is null now and then.
 */
static int highest_byte(const struct step *step)
{
    bool is_symbol = step->type == FIELD_ENUM && step->symbols == NULL && step->to >= 0;
    if (!step->is_number && !is_symbol)
        return -1;
    if (step->is_nullable)
        return step->to < ENVELOPE_COUNT && step->null_branch == 0 && step->is_number ? 0 : -1;
    int64_t max = is_symbol ? step->symbol_count - 1 : step->max;
    if (max < 0 || (step->is_number && step->min > 0))
        return -1;
    return max > 63 ? 126 : (int)max * 2; /* zigzag */
}

/* Whether a step before at goes to one of count fields from to on. */
static bool is_taken_before(const struct decoder *decoder, int at, int to, int count)
{
    for (int i = 0; i < at; i++)
        if (decoder->steps[i].to >= to && decoder->steps[i].to < to + count)
            return true;
    return false;
}

/* As many steps of op, from its first one on, as one word does: they go to fields in a row. */
static bool compile_word(const struct decoder *decoder, struct op *op)
{
    const struct step *first = &decoder->steps[op->first];
    int count = 0;
    op->limits = HIGH_BITS;
    while (count < WORD && op->first + count < decoder->step_count) {
        const struct step *step = &first[count];
        int highest = highest_byte(step);
        if (highest < 0 || step->to != first->to + count)
            break;
        op->limits |= (uint64_t)highest << 8 * count;
        op->mask |= UINT64_C(0xff) << 8 * count++;
    }
    /* all eight numbers are written, so those that are none of its own come later */
    if (count < 2 || is_taken_before(decoder, op->first, op->to + count, WORD - count))
        return false;
    op->kind = OP_WORD;
    op->count = count;
    return true;
}

static void compile_ops(struct decoder *decoder)
{
    for (int at = 0; at < decoder->step_count; at += decoder->ops[decoder->op_count++].count) {
        const struct step *step = &decoder->steps[at];
        struct op *op = &decoder->ops[decoder->op_count];
        *op = (struct op){.first = at, .count = 1, .to = step->to, .min = step->min};
        op->max = step->max;
        if (compile_word(decoder, op))
            continue;
        if (step->type == FIELD_STRING && !step->is_nullable && step->to >= 0)
            op->kind = OP_TEXT;
        else if (step->is_number && !step->is_nullable)
            op->kind = OP_NUMBER;
        else if (step->is_number && step->null_branch == 0)
            op->kind = OP_OPTIONAL;
    }
}

static bool is_in_a_row(const struct sum *sum)
{
    for (int i = 1; i < sum->part_count; i++)
        if (sum->parts[i] != sum->parts[0] + i)
            return false;
    return true;
}

enum fx_code decoder_open(const struct schema *writer, const struct schema *current,
                          struct decoder **decoder, struct fx_err *err)
{
    fx_assert(writer->field_count <= SCHEMA_FIELDS_MAX);
    struct decoder *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return fx_err_set(err, FX_EMEMORY, "no memory for a decoder");
    fresh->current = current;
    for (int i = 0; i < writer->field_count && err->code == FX_OK; i++) {
        struct step *step = &fresh->steps[fresh->step_count++];
        if (compile_step(&writer->fields[i], current, step, err) == FX_OK)
            step->is_name_checked = i == ENVELOPE_SOURCE && step->type == FIELD_STRING;
    }
    compile_ops(fresh);
    for (int i = 0; i < fresh->step_count; i++)
        if (fresh->steps[i].to >= 0)
            fresh->is_null[fresh->steps[i].to] = fresh->steps[i].is_nullable;
    for (int i = 0; i < current->sum_count; i++)
        fresh->is_row[i] = is_in_a_row(&current->sums[i]);
    for (int i = 0; i < current->field_count; i++)
        if (schema_field(writer, current->fields[i].name) < 0)
            fresh->defaults[fresh->default_count++] = i;
    if (err->code != FX_OK) {
        decoder_close(fresh);
        return err->code;
    }
    *decoder = fresh;
    return FX_OK;
}

void decoder_close(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    for (int i = 0; i < decoder->step_count; i++)
        free(decoder->steps[i].symbols);
    free(decoder);
}

static void fill_defaults(const struct decoder *decoder, struct decoded *out)
{
    for (int i = 0; i < decoder->default_count; i++) {
        int at = decoder->defaults[i];
        const struct field *field = &decoder->current->fields[at];
        out->is_null[at] = field->is_default_null;
        out->numbers[at] = field->is_default_null ? 0 : field->default_number;
        if (field->type == FIELD_STRING && field->default_text != NULL) {
            out->texts[at].bytes = field->default_text;
            out->texts[at].size = (uint32_t)strlen(field->default_text);
        }
    }
}

/* A string: size, then bytes. *is_valid: it keeps to length, UTF-8 and the rule for names. */
static inline bool take_string(const struct step *step, const uint8_t **at, const uint8_t *end,
                               struct decoded_text *text, bool *is_valid)
{
    int64_t size;
    if (!wire_read_long(at, end, &size) || size < 0 || size > end - *at)
        return false;
    text->bytes = (const char *)*at;
    text->size = (uint32_t)size;
    *at += size;
    *is_valid =
        size <= step->max && (step->is_name_checked ? text_is_name(text->bytes, (size_t)size, 64)
                                                    : text_is_utf8(text->bytes, (size_t)size));
    return true;
}

/* A value of the step's type at *at. false: the bytes are no such value. */
static inline bool take_value(const struct step *step, const uint8_t **at, const uint8_t *end,
                              int64_t *number, bool *is_valid)
{
    if (step->type == FIELD_BOOLEAN) {
        if (*at == end || **at > 1)
            return false;
        *number = *(*at)++;
        return true;
    }
    if (!wire_read_long(at, end, number))
        return false;
    if (step->type == FIELD_ENUM) {
        if (*number < 0 || *number >= step->symbol_count)
            return false;
        if (step->symbols != NULL)
            *number = step->symbols[*number];
        return true;
    }
    if (step->type == FIELD_INT && (*number < INT32_MIN || *number > INT32_MAX))
        return false;
    *is_valid = *number >= step->min && *number <= step->max;
    return true;
}

/* One step, whatever it finds. false: the bytes are no value of it. */
static bool run_step(const struct step *step, const uint8_t **at, const uint8_t *end,
                     struct decoded *out)
{
    bool is_null = false;
    bool is_valid = true;
    if (step->is_nullable) {
        int64_t branch;
        if (!wire_read_long(at, end, &branch) || branch < 0 || branch > 1)
            return false;
        is_null = branch == step->null_branch;
    }
    int64_t number = 0;
    struct decoded_text text = {"", 0};
    if (!is_null) {
        bool is_taken = step->type == FIELD_STRING ? take_string(step, at, end, &text, &is_valid)
                                                   : take_value(step, at, end, &number, &is_valid);
        if (!is_taken)
            return false;
    }
    if (step->to < 0)
        return true;
    out->is_null[step->to] = is_null;
    out->numbers[step->to] = number;
    if (step->type == FIELD_STRING)
        out->texts[step->to] = text;
    if (!is_valid && out->invalid_field < 0)
        out->invalid_field = step->to;
    return true;
}

/* What is being read, from where it has got to. */
struct reading {
    const uint8_t *at;
    const uint8_t *end;
};

/* The next eight bytes, zeros behind the end. The whole has at least eight. */
static inline uint64_t next_word(const struct reading *reading)
{
    uint64_t word;
    size_t left = (size_t)(reading->end - reading->at);
    if (left >= WORD) {
        memcpy(&word, reading->at, WORD);
        return le64toh(word);
    }
    memcpy(&word, reading->end - WORD, WORD);
    return left == 0 ? 0 : le64toh(word) >> 8 * (WORD - left);
}

static inline bool take_text(const struct op *op, bool is_name, struct reading *reading,
                             struct decoded *out)
{
    const uint8_t *from = reading->at;
    if (from == reading->end || *from >= 0x80 || (*from & 1) != 0)
        return false;
    size_t size = *from++ / 2;
    if (size > (size_t)(reading->end - from) || (int64_t)size > op->max)
        return false;
    const char *bytes = (const char *)from;
    if (is_name ? !text_is_name(bytes, size, 64) : !text_is_utf8(bytes, size))
        return false;
    out->texts[op->to] = (struct decoded_text){bytes, (uint32_t)size};
    out->numbers[op->to] = 0;
    reading->at = from + size;
    return true;
}

static inline bool take_number(const struct op *op, struct reading *reading, int64_t *numbers)
{
    int64_t number;
    size_t size = wire_read_word(next_word(reading), &number);
    bool is_good = size > 0 && size <= (size_t)(reading->end - reading->at);
    if (!is_good || number < op->min || number > op->max)
        return false;
    numbers[op->to] = number;
    reading->at += size;
    return true;
}

/*
 * Its first byte says 0: null, or 2: a number follows. Both at once: of null the number is made of
 * nothing and the size is that of the branch.
 */
static inline bool take_optional(const struct op *op, struct reading *reading, struct decoded *out)
{
    uint64_t word = next_word(reading);
    uint64_t is_there = word >> 1 & 1;
    uint64_t there = 0 - is_there;
    uint64_t ends = (~(word >> 8) & UINT64_C(0x808080)) | UINT64_C(0x80000000);
    int last = __builtin_ctzll(ends); /* the high bit of the last byte */
    uint64_t bits = word >> 8 & (UINT64_C(0xffffffff) >> (31 - last)) & there;
    bool is_short = last == 7 || bits >> (last - 7) != 0 || is_there == 0; /* the shortest form */
    bits = (bits & 0x7f) | (bits >> 1 & 0x3f80) | (bits >> 2 & 0x1fc000);
    int64_t number = wire_unzigzag(bits);
    size_t size = 1 + ((size_t)(last + 1) / 8 & there);
    bool is_within = (number >= op->min && number <= op->max) || is_there == 0;
    bool is_good = (word & 0xfd) == 0 && (last < 31 || is_there == 0) && is_short && is_within &&
                   size <= (size_t)(reading->end - reading->at);
    if (!is_good)
        return false;
    out->is_null[op->to] = is_there == 0;
    out->numbers[op->to] = number;
    reading->at += size;
    return true;
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint16_t halves8 __attribute__((vector_size(16)));
typedef uint32_t words4 __attribute__((vector_size(16)));
typedef uint64_t pair __attribute__((vector_size(16)));

#define INTERLEAVE4(low, high, a, b) __builtin_shufflevector(low, high, a, 4 + (a), b, 4 + (b))

/* The eight bytes of word as eight numbers: each step puts zeros between twice as many. */
static inline void spread(uint64_t word, int64_t *numbers)
{
    const bytes16 none = {0};
    const bytes16 bytes = (bytes16)(pair){htole64(word), 0};
    const halves8 halves = (halves8)__builtin_shufflevector(bytes, none, 0, 16, 1, 17, 2, 18, 3, 19,
                                                            4, 20, 5, 21, 6, 22, 7, 23);
    const words4 low =
        (words4)__builtin_shufflevector(halves, (halves8)none, 0, 8, 1, 9, 2, 10, 3, 11);
    const words4 high =
        (words4)__builtin_shufflevector(halves, (halves8)none, 4, 12, 5, 13, 6, 14, 7, 15);
    const words4 all[4] = {
        INTERLEAVE4(low, (words4)none, 0, 1), INTERLEAVE4(low, (words4)none, 2, 3),
        INTERLEAVE4(high, (words4)none, 0, 1), INTERLEAVE4(high, (words4)none, 2, 3)};
    memcpy(numbers, all, sizeof all);
    for (int i = 0; i < WORD; i++) /* nothing to do where the lowest byte comes first */
        numbers[i] = (int64_t)le64toh((uint64_t)numbers[i]);
}

/*
 * Several steps in one word. Every byte is a whole varint (no high bit), not negative (zigzag's low
 * bit is clear), and not above its limit: limit, with the high bit set, minus the byte then leaves
 * the high bit standing, and never borrows from its neighbour.
 */
static inline bool take_word(const struct op *op, struct reading *reading, int64_t *numbers)
{
    uint64_t word = next_word(reading) & op->mask;
    uint64_t is_bad = (word & (HIGH_BITS | LOW_BITS)) | (~(op->limits - word) & HIGH_BITS);
    if (is_bad != 0 || reading->end - reading->at < op->count)
        return false;
    spread(word >> 1, &numbers[op->to]);
    reading->at += op->count;
    return true;
}

/* false: not as expected; nothing was taken. */
static inline bool run_op(const struct decoder *decoder, const struct op *op,
                          struct reading *reading, struct decoded *out)
{
    switch (op->kind) {
    case OP_WORD:
        return take_word(op, reading, out->numbers);
    case OP_OPTIONAL:
        return take_optional(op, reading, out);
    case OP_NUMBER:
        return take_number(op, reading, out->numbers);
    case OP_TEXT:
        return take_text(op, decoder->steps[op->first].is_name_checked, reading, out);
    case OP_STEPS:
        break;
    }
    return false;
}

static bool run_steps(const struct decoder *decoder, const struct op *op, struct reading *reading,
                      struct decoded *out)
{
    for (int i = 0; i < op->count; i++)
        if (!run_step(&decoder->steps[op->first + i], &reading->at, reading->end, out))
            return false;
    return true;
}

static int64_t add_row(const int64_t *first, int count)
{
    int64_t parts = 0;
    int i = 0;
    for (; i + 4 < count; i += 4)
        parts += first[i] + first[i + 1] + first[i + 2] + first[i + 3];
    for (; i < count; i++)
        parts += first[i];
    return parts;
}

static int64_t add_parts(const struct sum *sum, const int64_t *numbers)
{
    int64_t parts = 0;
    for (int i = 0; i < sum->part_count; i++)
        parts += numbers[sum->parts[i]];
    return parts;
}

/* Only within their bounds are parts small enough to be added without overflow. */
static void check_sums(const struct decoder *decoder, struct decoded *out)
{
    const struct schema *schema = decoder->current;
    if (out->invalid_field >= 0)
        return;
    for (int i = schema->sum_count - 1; i >= 0; i--) {
        const struct sum *sum = &schema->sums[i];
        int64_t parts = decoder->is_row[i] ? add_row(&out->numbers[sum->parts[0]], sum->part_count)
                                           : add_parts(sum, out->numbers);
        if (parts != out->numbers[sum->total])
            out->mismatched_sum = i;
    }
}

bool decoder_run(const struct decoder *decoder, const uint8_t *bytes, size_t size,
                 struct decoded *out)
{
    struct reading reading = {bytes, bytes + size};
    const struct op *end = &decoder->ops[decoder->op_count];
    bool is_long = size >= WORD;
    out->invalid_field = -1;
    out->mismatched_sum = -1;
    memcpy(out->is_null, decoder->is_null, sizeof out->is_null);
    for (const struct op *op = decoder->ops; op < end; op++)
        if (!(is_long && run_op(decoder, op, &reading, out)) &&
            !run_steps(decoder, op, &reading, out))
            return false;
    if (reading.at != reading.end)
        return false;
    fill_defaults(decoder, out);
    check_sums(decoder, out);
    return true;
}
