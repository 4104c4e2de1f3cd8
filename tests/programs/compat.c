/*
 * What a 64-bit kernel does for 32-bit programs: it says what the CPU has, emulates what Armv8 took away, delivers signals
 * in the middle of IT blocks, and lets programs read the time. Exits with 0 if all of it is so, else with the
 * number of the line that found out.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <ucontext.h>

static volatile sig_atomic_t caught;
static uint32_t caught_cpsr;

/* Ends with this line's number. */
#define FAIL() exit(__LINE__)

/* Goes on behind the instruction, which has two bytes or `skip` says how many, IT state as it would be there. */
static int skip = 2;

static void handler(int number, siginfo_t *info, void *context)
{
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;
    uint32_t it = (m->arm_cpsr >> 25 & 3) | (m->arm_cpsr >> 8 & 0xfc);

    (void)info;
    caught = number;
    caught_cpsr = m->arm_cpsr;
    /* Registers that the program has values in. */
    __asm__ volatile("vmov.i8 q0, #0x55\n vmov.i8 q15, #0x55" : : : "d0", "d1", "d30", "d31");
    it = it & 7 ? (it & 0xe0) | (it << 1 & 0x1f) : 0;
    m->arm_cpsr = (m->arm_cpsr & ~0x0600fc00) | (it & 3) << 25 | (it & 0xfc) << 8;
    m->arm_pc += skip;
}

static void sysctl(const char *name, const char *value)
{
    char path[64];
    FILE *f;

    snprintf(path, sizeof path, "/proc/sys/abi/%s", name);
    f = fopen(path, "w");
    if (!f || fputs(value, f) < 0 || fclose(f) != 0)
        FAIL();
}

/* How SETEND and barriers by CP15 do, which the kernel emulates or (`how` is 2) lets the CPU do where it can. */
static void deprecated(const char *how)
{
    static uint32_t word;
    uint32_t value;

    sysctl("setend", how);
    sysctl("cp15_barrier", how);
    word = 0x11223344;
    __asm__ volatile("setend be\n ldr %0, [%1]\n setend le" : "=&r"(value) : "r"(&word));
    if (value != 0x44332211)
        FAIL();
    __asm__ volatile("mcr p15, 0, %0, c7, c10, 5\n mcr p15, 0, %0, c7, c10, 4\n mcr p15, 0, %0, c7, c5, 4" : : "r"(0));
}

static void swaps(void)
{
    static uint32_t word;
    uint32_t old;

    sysctl("swp", "1");
    word = 7;
    __asm__ volatile("mov r1, #5\n mov r2, %1\n .word 0xe1020091\n mov %0, r0" /* swp r0, r1, [r2] */
                     : "=r"(old)
                     : "r"(&word)
                     : "r0", "r1", "r2", "memory");
    if (old != 7 || word != 5)
        FAIL();
}

static void signals(void)
{
    struct sigaction on = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    const int numbers[] = {SIGSEGV, SIGILL, SIGTRAP};
    uint32_t a = 1, b = 2, lane;

    for (unsigned i = 0; i < 3; i++)
        sigaction(numbers[i], &on, NULL);
    /* The load of an IT block faults; what follows it in the block is executed, and what was in registers is there. */
    __asm__ volatile(".syntax unified\n adr r3, 1f\n orr r3, r3, #1\n blx r3\n b 2f\n"
                     ".thumb\n .balign 4\n 1:\n"
                     "vmov.i8 q0, #3\n vmov.i8 q15, #4\n"
                     "movs r3, #0\n cmp r3, #0\n itte eq\n ldreq %0, [r3]\n moveq %1, #9\n movne %1, #8\n"
                     "vmov r3, s0\n vmov %2, r12, d31\n add %2, %2, r3\n bx lr\n"
                     ".arm\n .balign 4\n 2:"
                     : "+l"(a), "+l"(b), "=&l"(lane)
                     :
                     : "r3", "r12", "lr", "cc", "d0", "d1", "d30", "d31");
    if (caught != SIGSEGV || a != 1 || b != 9 || lane != 0x07070707)
        FAIL();
    if ((caught_cpsr & 0x0600fc20) != (0x20 | 2 << 25 | 1 << 10))
        FAIL();
    skip = 4;
    __asm__ volatile(".word 0xe7f000f0"); /* udf */
    if (caught != SIGILL)
        FAIL();
    __asm__ volatile("bkpt 0");
    if (caught != SIGTRAP)
        FAIL();
}

static void times(void)
{
    uint64_t first, second;
    struct timespec now;

    __asm__ volatile("mrrc p15, 1, %Q0, %R0, c14" : "=r"(first));
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        FAIL();
    __asm__ volatile("mrrc p15, 1, %Q0, %R0, c14" : "=r"(second));
    if (second < first)
        FAIL();
}

int main(void)
{
    unsigned long wanted = HWCAP_ARM_NEON | HWCAP_ARM_VFPv4 | HWCAP_ARM_IDIVA | HWCAP_ARM_IDIVT;

    if ((getauxval(AT_HWCAP) & wanted) != wanted)
        FAIL();
    if ((getauxval(AT_HWCAP2) & 0x1f) != 0x1f) /* AES, PMULL, SHA-1, SHA-2, CRC-32 */
        FAIL();
    signals();
    times();
    deprecated("1");
    deprecated("2");
    swaps();
    return 0;
}
