/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device lines and what becomes of them. A new case is a new folder, named KIND-anything:
 *
 *   valid/KIND-case/input.ndjson, output.ndjson   each line's record as JSON
 *   invalid/KIND-case/input, error                one line and the whole message
 *   set                                           in either, optional: field=value per line
 *
 * The post is CP-1 in 441521115, the clock stands at 2022-02-10T08:30+08:00. With FX_DATA_WRITE=1
 * in the environment the expected files are written anew; look at the difference before use.
 */
#include "../../producers/record.h"
#include "../unit/scratch.h"

#include <dirent.h>

#define NOW_MS INT64_C(1644453000000)
#define FILE_MAX 65536

struct one_case {
    const char *folder; /* "valid" or "invalid" */
    char name[256];
    char path[512];
};

static bool read_file(const struct one_case *one, const char *name, char text[FILE_MAX])
{
    char path[768];
    snprintf(path, sizeof path, "%s/%s", one->path, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    size_t size = fread(text, 1, FILE_MAX - 1, file);
    text[size] = '\0';
    fclose(file);
    return true;
}

static void compare(const struct one_case *one, const char *name, const char *text)
{
    static char expected[FILE_MAX];
    char path[768];
    snprintf(path, sizeof path, "%s/%s", one->path, name);
    if (getenv("FX_DATA_WRITE") != NULL) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
        assert_int_equal(fclose(file), 0);
    }
    if (!read_file(one, name, expected))
        fail_msg("%s is missing", path);
    assert_string_equal(text, expected);
}

/* The kind is what stands in front of the first dash. */
static void open_case(const struct one_case *one, struct kind *kind, struct record **record)
{
    static char set_text[FILE_MAX];
    struct fx_list set = {{NULL}, 0};
    struct fx_err err = FX_ERR_INIT;
    char name[SCHEMA_NAME_MAX];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(one->name, "-"), one->name);
    if (read_file(one, "set", set_text))
        for (char *line = set_text; *line != '\0'; line += strlen(line) + 1) {
            line[strcspn(line, "\n")] = '\0';
            set.items[set.count++] = line;
        }
    struct record_options options = {
        .kind = kind, .source = "CP-1", .region = "441521115", .set = &set};
    if (kind_load(FX_SCHEMAS_DIR, name, kind, &err) != FX_OK ||
        record_open(&options, record, &err) != FX_OK)
        fail_msg("%s: %s", one->name, err.text);
}

static void check_case(void **state)
{
    static char input[FILE_MAX];
    const struct one_case *one = *state;
    struct kind kind;
    struct record *record = NULL;
    struct record_line line = {.now_ms = NOW_MS};
    struct buf out = BUF_INIT;
    bool is_valid = strcmp(one->folder, "valid") == 0;
    open_case(one, &kind, &record);
    assert_true(read_file(one, is_valid ? "input.ndjson" : "input", input));
    for (char *at = input; *at != '\0';) {
        struct fx_err err = FX_ERR_INIT;
        size_t size = strcspn(at, "\n");
        enum fx_code code = record_read(record, at, size, &line, &err);
        if (is_valid && code != FX_OK)
            fail_msg("%s: %s", one->name, err.text);
        assert_int_equal(code, is_valid ? FX_OK : FX_EINPUT);
        if (is_valid)
            event_append_json(&line.event, &out);
        else
            buf_append_text(&out, err.text);
        buf_append_byte(&out, '\n');
        at += size + (at[size] == '\n');
    }
    compare(one, is_valid ? "output.ndjson" : "error", buf_text(&out));
    buf_release(&out);
    record_close(record);
    kind_release(&kind);
}

static int add_cases(const char *folder, struct one_case *cases, int limit)
{
    char path[256];
    int count = 0;
    snprintf(path, sizeof path, "%s/data/%s", FX_TESTS_DIR, folder);
    DIR *entries = opendir(path);
    if (entries == NULL)
        return 0;
    const struct dirent *entry;
    while (count < limit && (entry = readdir(entries)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        struct one_case *one = &cases[count++];
        one->folder = folder;
        snprintf(one->name, sizeof one->name, "%s", entry->d_name);
        snprintf(one->path, sizeof one->path, "%s/%s", path, one->name);
    }
    closedir(entries);
    return count;
}

#define CASES_MAX 500

int main(void)
{
    static struct one_case cases[CASES_MAX];
    static struct CMUnitTest tests[CASES_MAX];
    int count = add_cases("valid", cases, CASES_MAX);
    count += add_cases("invalid", cases + count, CASES_MAX - count);
    if (count == 0) {
        print_error("no cases under %s/data\n", FX_TESTS_DIR);
        return 1;
    }
    for (int i = 0; i < count; i++)
        tests[i] = (struct CMUnitTest){cases[i].name, check_case, NULL, NULL, &cases[i]};
    return _cmocka_run_group_tests("data", tests, (size_t)count, NULL, NULL);
}
