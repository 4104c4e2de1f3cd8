/*
 * A 32-bit Thumb instruction across a page's end, whose second page changes as a running system changes pages: written
 * to after fork, protected, moved, mapped elsewhere, shared. Exits with 0 if each time what is mapped is what runs.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define ALL (PROT_READ | PROT_WRITE | PROT_EXEC)
#define FAULTED -1

static sigjmp_buf back;

static void faulted(int signal)
{
    (void)signal;
    siglongjmp(back, 1);
}

/* What the instruction at the end of this page gives. */
static int call(uint8_t *page)
{
    int (*code)(void) = (int (*)(void))((uintptr_t)page + PAGE - 2 + 1);

    return sigsetjmp(back, 1) ? FAULTED : code();
}

/* The rest of the instruction, and a return. */
static void finish(uint8_t *second, int number)
{
    uint16_t *at = (uint16_t *)second;

    at[0] = number;
    at[1] = 0x4770;
    __builtin___clear_cache((char *)second, (char *)second + 4);
}

static void begin(uint8_t *page)
{
    uint16_t *at = (uint16_t *)(page + PAGE - 2);

    *at = 0xf240; /* movw r0, # */
    __builtin___clear_cache((char *)at, (char *)(at + 1));
}

static uint8_t *map(void *at, int pages, int fd, off_t offset)
{
    int how = (at ? MAP_FIXED : 0) | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
    uint8_t *map = mmap(at, pages * PAGE, ALL, how, fd, offset);

    if (map == MAP_FAILED)
        exit(100);
    return map;
}

#define EXPECT(page, number)                                                                                           \
    do {                                                                                                               \
        for (int round = 0; round < 3; round++)                                                                        \
            if (call(page) != (number))                                                                                \
                return __LINE__ % 90 + 1;                                                                              \
    } while (0)

/* After fork: the second page is copied when one of them writes to it. */
static int forked(uint8_t *page)
{
    for (int writer = 0; writer < 2; writer++) {
        int status, ready[2], go[2];
        char byte = 0;

        finish(page + PAGE, 1);
        EXPECT(page, 1);
        if (pipe(ready) != 0 || pipe(go) != 0)
            return 101;
        pid_t child = fork();
        if (child == 0) {
            if (call(page) != 1)
                _exit(1);
            if (writer == 0)
                finish(page + PAGE, 2);
            if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1)
                _exit(2);
            _exit(call(page) == (writer == 0 ? 2 : 1) ? 0 : 3);
        }
        if (read(ready[0], &byte, 1) != 1)
            return 102;
        if (writer == 1)
            finish(page + PAGE, 3);
        EXPECT(page, writer == 0 ? 1 : 3);
        if (write(go[1], &byte, 1) != 1 || waitpid(child, &status, 0) != child || status != 0)
            return 103 + WEXITSTATUS(status);
        EXPECT(page, writer == 0 ? 1 : 3);
    }
    return 0;
}

static int protected(uint8_t *page)
{
    finish(page + PAGE, 4);
    EXPECT(page, 4);
    mprotect(page + PAGE, PAGE, PROT_READ | PROT_WRITE);
    EXPECT(page, FAULTED);
    mprotect(page + PAGE, PAGE, PROT_NONE);
    EXPECT(page, FAULTED);
    mprotect(page + PAGE, PAGE, ALL);
    EXPECT(page, 4);
    return 0;
}

static int moved(uint8_t *page)
{
    uint8_t *other = map(NULL, 1, -1, 0), *aside = map(NULL, 1, -1, 0);

    finish(page + PAGE, 5);
    finish(other, 6);
    EXPECT(page, 5);
    mremap(page + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, aside);
    EXPECT(page, FAULTED);
    mremap(other, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page + PAGE);
    EXPECT(page, 6);
    munmap(page + PAGE, PAGE);
    EXPECT(page, FAULTED);
    mremap(aside, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page + PAGE);
    EXPECT(page, 5);
    return 0;
}

/* One first page at two addresses, with a second page each, which trade places. */
static int shared(void)
{
    int fd = memfd_create("pages", 0);
    uint8_t *here = map(NULL, 2, -1, 0), *there = map(NULL, 2, -1, 0);

    if (fd < 0 || ftruncate(fd, 3 * PAGE) != 0)
        return 104;
    map(here, 1, fd, 0);
    map(there, 1, fd, 0);
    begin(here);
    for (int turn = 0; turn < 4; turn++) {
        map(here + PAGE, 1, fd, (1 + turn % 2) * PAGE);
        map(there + PAGE, 1, fd, (2 - turn % 2) * PAGE);
        finish(here + PAGE, 10 + turn);
        finish(there + PAGE, 20 + turn);
        EXPECT(here, 10 + turn);
        EXPECT(there, 20 + turn);
        EXPECT(here, 10 + turn);
    }
    return 0;
}

int main(void)
{
    uint8_t *page = map(NULL, 2, -1, 0);
    int failed;

    signal(SIGSEGV, faulted);
    begin(page);
    failed = forked(page);
    if (!failed)
        failed = protected(page);
    if (!failed)
        failed = moved(page);
    if (!failed)
        failed = shared();
    return failed;
}
