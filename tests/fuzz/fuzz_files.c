/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#define PATH_SIZE 1024

static char root[64];
static char written[PATH_SIZE];

static void visit_file(const char *path, fuzz_visit visit)
{
    static uint8_t bytes[FUZZ_FILE_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s cannot be read", path);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    const char *slash = strrchr(path, '/');
    visit(slash == NULL ? path : slash + 1, bytes, size);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

void fuzz_visit_files(const char *path, fuzz_visit visit)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_visible, alphasort);
    if (count < 0) {
        visit_file(path, visit);
        return;
    }
    for (int i = 0; i < count; i++) {
        char name[PATH_SIZE];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        visit_file(name, visit);
        free(entries[i]);
    }
    free(entries);
}

static void remove_root(void)
{
    nftw(root, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_folder(void)
{
    if (root[0] != '\0')
        return root;
    bool is_memory = access("/dev/shm", W_OK | X_OK) == 0;
    snprintf(root, sizeof root, "%s/fx-fuzz-XXXXXX", is_memory ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(root));
    atexit(remove_root);
    return root;
}

static const char *path_of(const char *folder, const char *file)
{
    snprintf(written, sizeof written, "%s/%s%s%s", fuzz_folder(), folder == NULL ? "" : folder,
             folder == NULL ? "" : "/", file);
    return written;
}

const char *fuzz_write(const char *folder, const char *file, const void *bytes, size_t size)
{
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    int opened = open(path_of(folder, file), flags, 0600);
    if (opened < 0 && errno == ENOENT && folder != NULL) {
        char made[PATH_SIZE];
        snprintf(made, sizeof made, "%s/%s", root, folder);
        mkdir(made, 0700);
        opened = open(written, flags, 0600);
    }
    if (opened < 0)
        fail_msg("%s cannot be written: %s", written, strerror(errno));
    assert_int_equal(write(opened, bytes, size), size);
    close(opened);
    return written;
}

void fuzz_remove(const char *folder, const char *file)
{
    const char *path = path_of(folder, file == NULL ? "" : file);
    (void)!(file == NULL ? rmdir(path) : unlink(path));
}
