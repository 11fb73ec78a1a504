/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lines_fuzz - a stream of device lines, from its bytes to what a consumer reads.
 *
 * The head is "KIND FIELD=VALUE...": the kind (gate, if there is none of the name) and the post's
 * constants; what follows is the stream. The post is CP-1 in 441521115. Promised:
 *   - the stream is cut as a split at newlines cuts it, however it arrives;
 *   - a line that is read without building its JSON says what the JSON says;
 *   - a refusal has a field or none, a reason, and an answer that is JSON and says both; nothing of
 *     the line stands in a reason but between quotes;
 *   - what is taken comes back from its bytes with the same values, counts with every consumer
 *     (fuzz_accept.h), and as JSON is a line that says the same again.
 */
#include "fuzz_accept.h"
#include "fuzz_event.h"

#define main test_site_main
#include "../../producers/test_site.c"
#undef main
#include "../../common/text.h"
#include "../../producers/lines.h"
#include "../../producers/record.h"
#include "../../producers/station_core.h"
#include "../../producers/suggest.h"

#include <sys/mman.h>

#define KINDS_MAX 16
#define LINES_CHECKED_MAX 32
#define NOW_MS INT64_C(1644453000000) /* 2022-02-10T08:30+08:00 */
#define READABLE_MS                                                                                \
    INT64_C(253370736000000) /* 9999: times until then have a text that can be read */

static struct kind kinds[KINDS_MAX];
static int kind_count;
static int stream;

/* The readers of one post. */
struct post {
    const struct kind *kind;
    struct record *plain;   /* as its program reads */
    struct record *by_json; /* always by JSON */
    struct record *again;   /* the same kind without constants */
};

static void open_target(void)
{
    char names[KINDS_MAX][SCHEMA_NAME_MAX];
    assert_ok(kind_load(FX_TESTS_DIR "/fuzz/schemas", "gate", &kinds[0], &err));
    assert_ok(kind_list(FX_SCHEMAS_DIR, names, KINDS_MAX - 1, &kind_count, &err));
    for (int i = 0; i < kind_count; i++)
        assert_ok(kind_load(FX_SCHEMAS_DIR, names[i], &kinds[i + 1], &err));
    kind_count++;
    stream = memfd_create("lines", MFD_CLOEXEC);
    assert_true(stream >= 0);
    fuzz_accept_open();
}

/* ---- what is refused ------------------------------------------------------------------------- */

static json_t *read_object(struct buf *text)
{
    json_error_t error;
    json_t *json = json_loadb((char *)text->data, text->size, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(json))
        fail_msg("no JSON object, by column %d: %s", error.column, buf_text(text));
    return json;
}

static void check_answer(const char *field, const char *reason)
{
    struct answers answers = {.out = BUF_INIT};
    answer_refusal(&answers, field, reason);
    json_t *json = read_object(&answers.out);
    const char *said = json_string_value(json_object_get(json, "field"));
    assert_true(json_is_false(json_object_get(json, "ok")));
    assert_string_equal(said == NULL ? "" : said, field);
    assert_string_equal(json_string_value(json_object_get(json, "reason")), reason);
    json_decref(json);
    buf_release(&answers.out);
}

/* What is left when quotes are masked is ours, and our words are ASCII. */
static void check_masked(const char *reason)
{
    char masked[FX_ERR_TEXT_MAX];
    text_copy(masked, sizeof masked, reason);
    suggest_mask(masked);
    for (const char *at = masked; *at != '\0'; at++)
        if (*at < 0x20 || *at > 0x7e)
            fail_msg("a reason holds what only a line can have said: %s", reason);
}

static void check_refused(const struct record_line *line, const struct fx_err *err)
{
    const char *const names[] = {line->field, NULL};
    const char *reason = record_reason(line, err);
    fuzz_check_refusal(err, FX_EINPUT, names);
    assert_string_not_equal(reason, "");
    assert_true(text_is_utf8(line->field, strlen(line->field)));
    check_masked(reason);
    check_answer(line->field, reason);
}

/* ---- what is taken --------------------------------------------------------------------------- */

static void compare_values(const struct event *wanted, const struct event *found)
{
    assert_ptr_equal(wanted->schema, found->schema);
    for (int i = 0; i < wanted->schema->field_count; i++)
        fuzz_same_value(&wanted->schema->fields[i], &wanted->values[i], &found->values[i]);
}

/* A program gives these; a line may not. Times beyond what their text can say become numbers. */
static void make_line(const struct event *event, json_t *json)
{
    static const char *const given[] = {"run",          "seq",          "sign",
                                        "reverses_run", "reverses_seq", "counted_at"};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++)
        assert_int_equal(json_object_del(json, given[i]), 0);
    for (int i = 0; i < event->schema->field_count; i++) {
        const struct event_value *value = &event->values[i];
        const char *name = event->schema->fields[i].name;
        bool is_readable = value->number >= 0 && value->number < READABLE_MS;
        if (event->schema->fields[i].is_time && !value->is_null && !is_readable &&
            json_object_get(json, name) != NULL)
            json_object_set_new(json, name, json_integer(value->number));
    }
}

static void check_json(const struct post *post, const struct event *event)
{
    struct buf out = BUF_INIT;
    struct record_line line = {.now_ms = 1};
    event_append_json(event, &out);
    json_t *json = read_object(&out);
    make_line(event, json);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_non_null(text);
    assert_ok(record_read(post->again, text, strlen(text), &line, &err));
    compare_values(event, &line.event);
    free(text);
    json_decref(json);
    buf_release(&out);
}

static void check_taken(const struct post *post, const struct record_line *line)
{
    static struct event event;
    static struct event decoded;
    static const char *const names[] = {"longer than 4096 bytes", NULL};
    uint8_t bytes[WIRE_EVENT_MAX];
    size_t size = 0;
    struct fx_err err = FX_ERR_INIT;
    event = line->event;
    check_json(post, &event);
    event.values[ENVELOPE_RUN].number = 0x0123456789ab;
    event.values[ENVELOPE_SEQ].number = 42;
    if (event_encode(&event, bytes, &size, &err) != FX_OK) {
        fuzz_check_refusal(&err, FX_EINPUT, names);
        return;
    }
    if (event_decode(post->kind, bytes, size, &decoded, &err) != FX_OK)
        fail_msg("%s", err.text);
    compare_values(&event, &decoded);
    fuzz_accept(bytes, size);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* The two ways to read a line say the same, unless a dialect wants JSON anyway. */
static void compare_ways(const struct post *post, const char *text, size_t size,
                         const struct record_line *line, const struct fx_err *err)
{
    struct record_line other = {.now_ms = NOW_MS};
    struct fx_err other_err = FX_ERR_INIT;
    enum fx_code code = record_read(post->by_json, text, size, &other, &other_err);
    assert_int_equal(code, err->code);
    assert_string_equal(other_err.text, err->text);
    assert_string_equal(other.field, line->field);
    if (code != FX_OK)
        return;
    assert_int_equal(other.is_clock, line->is_clock);
    assert_string_equal(other.id == NULL ? "" : other.id, line->id == NULL ? "" : line->id);
    compare_values(&line->event, &other.event);
}

static bool check_line(const struct post *post, const char *text, size_t size)
{
    struct record_line line = {.now_ms = NOW_MS};
    struct fx_err err = FX_ERR_INIT;
    enum fx_code code = record_read(post->plain, text, size, &line, &err);
    compare_ways(post, text, size, &line, &err);
    if (code == FX_OK)
        check_taken(post, &line);
    else
        check_refused(&line, &err);
    return code == FX_OK;
}

static int split_naively(const struct fuzz_text *text, const char *from, size_t *size)
{
    size_t left = (size_t)(text->body + text->size - from);
    const char *end = left == 0 ? NULL : memchr(from, '\n', left);
    *size = end == NULL ? left : (size_t)(end - from);
    return left > 0;
}

/* Cuts the stream in pieces of chunk bytes and checks each line. */
static bool check_stream(const struct post *post, const struct fuzz_text *text, size_t chunk)
{
    struct lines lines;
    const char *from = text->body;
    const char *found = NULL;
    size_t size = 0;
    size_t naive_size = 0;
    long count = 1;
    int checked = 0;
    bool is_taken = false;
    lines_init(&lines, chunk);
    while (split_naively(text, from, &naive_size)) {
        enum lines_found kind = lines_next(&lines, &found, &size);
        if (kind == LINES_NONE && count > 0) {
            assert_ok(lines_read(&lines, stream, &count, &err));
            continue;
        }
        if (kind == LINES_NONE)
            kind = lines_last(&lines, &found, &size);
        assert_int_equal(kind, naive_size > LINES_MAX ? LINES_TOO_LONG : LINES_LINE);
        if (kind == LINES_LINE) {
            assert_int_equal(size, naive_size);
            assert_memory_equal(found, from, size);
            if (checked++ < LINES_CHECKED_MAX)
                is_taken |= check_line(post, found, size);
        }
        bool is_last = from + naive_size == text->body + text->size;
        from += naive_size + !is_last;
        if (kind == LINES_LINE)
            assert_int_equal(lines.taken, from - text->body);
    }
    assert_int_equal(lines_last(&lines, &found, &size), LINES_NONE);
    lines_release(&lines);
    return is_taken;
}

/* ---- the post -------------------------------------------------------------------------------- */

static enum fx_code take_as_it_is(json_t *json, struct record_line *line, struct fx_err *err)
{
    (void)json;
    (void)line;
    return err->code;
}

static bool open_post(char *head, struct post *post)
{
    static const char *const names[] = {NULL};
    struct fx_list set = {{NULL}, 0};
    struct fx_err failed = FX_ERR_INIT;
    char *rest = strchr(head, ' ');
    while (rest != NULL && set.count < (int)(sizeof set.items / sizeof set.items[0])) {
        *rest++ = '\0';
        set.items[set.count++] = rest;
        rest = strchr(rest, ' ');
    }
    *post = (struct post){.kind = &kinds[0]};
    for (int i = 0; i < kind_count; i++)
        if (strcmp(kinds[i].name, head) == 0)
            post->kind = &kinds[i];
    struct record_options options = {
        .kind = post->kind, .source = "CP-1", .region = "441521115", .set = &set};
    bool is_test_site = strcmp(post->kind->name, "test_site") == 0;
    options.complete = is_test_site ? complete : NULL;
    if (record_open(&options, &post->plain, &failed) != FX_OK) {
        fuzz_check_refusal(&failed, FX_ECONFIG, names);
        return false;
    }
    options.complete = is_test_site ? complete : take_as_it_is;
    assert_ok(record_open(&options, &post->by_json, &err));
    options = (struct record_options){.kind = post->kind};
    assert_ok(record_open(&options, &post->again, &err));
    return true;
}

static bool check(const uint8_t *bytes, size_t size)
{
    struct fuzz_text text;
    struct post post;
    bool is_taken = false;
    fuzz_split(bytes, size, &text);
    assert_int_equal(ftruncate(stream, 0), 0);
    assert_int_equal(pwrite(stream, text.body, text.size, 0), text.size);
    assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
    if (open_post(text.head, &post))
        is_taken = check_stream(&post, &text, 1 + size % 61);
    record_close(post.plain);
    record_close(post.by_json);
    record_close(post.again);
    return is_taken;
}

const struct fuzz_target fuzz_target = {open_target, check};
