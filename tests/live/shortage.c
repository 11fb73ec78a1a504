/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shortage - preloaded into a program: one of its own allocations fails, or all from it on.
 *
 * Only what the program's own code asks for is counted and fails, not what its libraries do: they
 * are tested by others, and some of them end a program that has no memory.
 *
 * FX_SHORTAGE names a file of struct control, shared with whoever commands.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACKS_MAX (1 << 17)
#define DEPTH_MAX 48

struct control {
    _Atomic uint64_t first;      /* the allocation that fails, counted from 1; 0: none */
    _Atomic uint64_t last;       /* the last one that fails */
    _Atomic uint64_t asked;      /* allocations so far */
    _Atomic uint64_t failed;     /* of them */
    uint64_t stacks[STACKS_MAX]; /* where each came from, if none was to fail: a digest */
};

static struct control *control;
static uintptr_t own_begin, own_end; /* the program's code */

/* The first object that is told of is the program. */
static int find_own(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        own_begin = info->dlpi_addr + part->p_vaddr;
        own_end = own_begin + part->p_memsz;
    }
    return 1;
}

__attribute__((constructor)) static void map_control(void)
{
    const char *path = getenv("FX_SHORTAGE");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    dl_iterate_phdr(find_own, NULL);
    void *frame[1];
    (void)backtrace(frame, 1); /* the first call allocates */
    if (at != MAP_FAILED)
        control = at;
}

static int is_own(const void *caller)
{
    return (uintptr_t)caller >= own_begin && (uintptr_t)caller < own_end;
}

/* Of the program's own frames: what a library was called from may differ from run to run. */
static uint64_t stack_digest(void)
{
    void *frames[DEPTH_MAX];
    int count = backtrace(frames, DEPTH_MAX);
    uint64_t digest = 1;
    for (int i = 0; i < count; i++)
        if (is_own(frames[i]))
            digest = digest * UINT64_C(0x9e3779b97f4a7c15) + ((uintptr_t)frames[i] - own_begin);
    return digest;
}

static int fails(const void *caller)
{
    if (control == NULL || !is_own(caller))
        return 0;
    uint64_t number = atomic_fetch_add(&control->asked, 1) + 1;
    uint64_t first = atomic_load(&control->first);
    if (first == 0 && number <= STACKS_MAX)
        control->stacks[number - 1] = stack_digest();
    if (first == 0 || number < first || number > atomic_load(&control->last))
        return 0;
    atomic_fetch_add(&control->failed, 1);
    errno = ENOMEM;
    return 1;
}

/* RTLD_NEXT: libc, or the allocator that the program was linked with. */
#define NEXT(function)                                                                             \
    static __typeof__(&function) next;                                                             \
    if (next == NULL)                                                                              \
        next = (__typeof__(&function))dlsym(RTLD_NEXT, #function);

void *malloc(size_t size)
{
    NEXT(malloc)
    return fails(__builtin_return_address(0)) ? NULL : next(size);
}

void *calloc(size_t count, size_t size)
{
    NEXT(calloc)
    return fails(__builtin_return_address(0)) ? NULL : next(count, size);
}

void *realloc(void *old, size_t size)
{
    NEXT(realloc)
    return fails(__builtin_return_address(0)) ? NULL : next(old, size);
}

char *strdup(const char *text)
{
    NEXT(strdup)
    return fails(__builtin_return_address(0)) ? NULL : next(text);
}
