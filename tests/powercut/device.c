/* SPDX-License-Identifier: Apache-2.0 */
/* device - who writes the file that is followed: line by line, and once it puts a new file in its
 * place. The files are real ones, since follow.c reads them itself; two inodes for good. */
#include "device.h"
#include "powercut.h"

#include <fcntl.h>

static char paths[3][DISK_PATH_MAX]; /* of the file, of the one rotated away, of one to come */
static bool is_rotated;              /* on the real disk */
static int folder;

/* ---- what is synced, by the linker (--wrap) ---- */

int __wrap_fdatasync(int file);
int __real_fdatasync(int file);
int __wrap_fsync(int file);
int __real_fsync(int file);

static bool is_same_file(int a, int b)
{
    struct stat mine;
    struct stat theirs;
    assert_int_equal(fstat(a, &mine), 0);
    return fstat(b, &theirs) == 0 && mine.st_ino == theirs.st_ino && mine.st_dev == theirs.st_dev;
}

int __wrap_fdatasync(int file)
{
    for (int i = 0; i < 2; i++)
        if (is_same_file(world.input_files[i], file)) {
            disk_note_input(world.disk, DISK_INPUT + (enum disk_name)i, OP_SYNC, NULL, 0);
            return 0;
        }
    return __real_fdatasync(file);
}

int __wrap_fsync(int file)
{
    if (!is_same_file(folder, file))
        return __real_fsync(file);
    disk_note_input(world.disk, DISK_INPUT, OP_SYNC_FOLDER, NULL, 0);
    return 0;
}

/* ---- the files ---- */

static int make_file(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    return file;
}

void device_open(const char *root)
{
    char input_folder[DISK_PATH_MAX];
    snprintf(input_folder, sizeof input_folder, "%s/input", root);
    assert_int_equal(mkdir(input_folder, 0700), 0);
    folder = open(input_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder >= 0);
    snprintf(world.input_path, sizeof world.input_path, "%s/input/lines", root);
    snprintf(paths[0], sizeof paths[0], "%s/input/lines", root);
    snprintf(paths[1], sizeof paths[1], "%s/input/lines.1", root);
    snprintf(paths[2], sizeof paths[2], "%s/lines.to-come", root);
    world.input_files[0] = make_file(paths[0]);
    world.input_files[1] = make_file(paths[2]);
}

void device_close(void)
{
    close(world.input_files[0]);
    close(world.input_files[1]);
    close(folder);
}

static void move(const char *from, const char *to)
{
    assert_int_equal(rename(from, to), 0);
}

/* The real files get the names that the disk has now. */
static void name_files(void)
{
    bool is_wanted = world.disk->now.files[DISK_NEXT_INPUT].is_there;
    if (is_wanted && !is_rotated) {
        move(paths[0], paths[1]);
        move(paths[2], paths[0]);
    } else if (!is_wanted && is_rotated) {
        move(paths[0], paths[2]);
        move(paths[1], paths[0]);
    }
    is_rotated = is_wanted;
}

void device_restore(void)
{
    name_files();
    for (int i = 0; i < 2; i++) {
        const struct disk_bytes *now = &world.disk->now.files[DISK_INPUT + i].bytes;
        assert_int_equal(ftruncate(world.input_files[i], 0), 0);
        if (now->size > 0)
            assert_int_equal(pwrite(world.input_files[i], now->data, now->size, 0), now->size);
    }
}

/* Both names change at once, and nobody syncs the folder. */
static void rotate(void)
{
    disk_note_input(world.disk, DISK_NEXT_INPUT, OP_CREATE, NULL, 0);
    name_files();
    world.journal.first_of_next = world.journal.appended_count;
    counts.rotations++;
}

/* A line of its own, whatever a cut left in front of it. */
static void append_line(void)
{
    char text[513] = "\n";
    enum disk_name file = is_rotated ? DISK_NEXT_INPUT : DISK_INPUT;
    const struct disk_bytes *now = &world.disk->now.files[file].bytes;
    size_t at = now->size;
    int serial = world.journal.appended_count;
    bool is_torn = at > 0 && now->data[at - 1] != '\n';
    size_t size = life_line(serial, text + is_torn) + is_torn;
    world.journal.appended[world.journal.appended_count++] = world.disk->op_count;
    assert_int_equal(pwrite(world.input_files[file - DISK_INPUT], text, size, (off_t)at), size);
    disk_note_input(world.disk, file, OP_WRITE, text, size);
    if (world.mode == MODE_FOLLOW)
        disk_note_input(world.disk, file, OP_SYNC, NULL, 0);
}

void device_append(int count)
{
    if (!is_rotated && world.journal.appended_count > 0 && dice_chance(&world.dice, 12))
        rotate();
    for (int i = 0; i < count && world.journal.appended_count < world.lines; i++)
        append_line();
}
