/*
 * Executes single ARM or Thumb instructions on given states, as an oracle for the translator: run it under a reference
 * (qemu-arm) or on hardware. Records of struct record come on standard input; each goes to standard output as the
 * instruction left it. Built with arm-linux-gnueabihf-gcc -static -O1 -marm -mfpu=neon-vfpv4.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define MEMORY 0x10000000 /* one page that instructions may access; its neighbours are not mapped */
#define CODE 0x20000000
#define BATCH 1024
#define SLOT 32
#define THUMB 1
#define BIG_ENDIAN_DATA 2

struct record {
    uint32_t word;   /* 0: a Thumb instruction's first halfword is on top */
    uint32_t fpscr;  /* 4 */
    uint32_t r[14];  /* 8: r0 to r12, lr */
    uint32_t apsr;   /* 64: N, Z, C, V, Q, GE */
    uint32_t set;    /* 68: THUMB, BIG_ENDIAN_DATA */
    uint32_t signal; /* 72: out: what it raised; the rest of the record is then as it was */
    uint32_t entry;  /* 76: out */
    uint64_t d[32];  /* 80 */
    uint8_t memory[4096];
};

static struct record batch[BATCH];
uint32_t host_sp;
static sigjmp_buf back;

/* While the instruction runs, sp points to the record. */
void step(struct record *r);
void step_return(void);
__asm__(
    ".arm\n.global step\nstep:\n"
    "push {r4-r11, lr}\nvpush {d8-d15}\n"
    "ldr r1, =host_sp\nstr sp, [r1]\nmov sp, r0\n"
    "ldr r1, [sp, #4]\nvmsr fpscr, r1\n"
    "add r1, sp, #80\nvldmia r1!, {d0-d15}\nvldmia r1, {d16-d31}\n"
    "ldr r1, [sp, #64]\nmsr apsr_nzcvqg, r1\n"
    "ldr lr, [sp, #60]\nadd r12, sp, #8\nldmia r12, {r0-r12}\n"
    "ldr pc, [sp, #76]\n"
    ".global step_return\nstep_return:\n"
    "str r0, [sp, #8]\nadd r0, sp, #12\nstmia r0, {r1-r12}\nstr lr, [sp, #60]\n"
    "mrs r1, apsr\nstr r1, [sp, #64]\nvmrs r1, fpscr\nstr r1, [sp, #4]\nmov r1, #0\nvmsr fpscr, r1\n"
    "add r1, sp, #80\nvstmia r1!, {d0-d15}\nvstmia r1, {d16-d31}\n"
    "ldr r1, =host_sp\nldr sp, [r1]\nvpop {d8-d15}\npop {r4-r11, pc}\n"
    ".ltorg\n");

static void caught(int number) {
    siglongjmp(back, number);
}

static void place(struct record *r, uint8_t *slot) {
    uint32_t thumb = r->set & THUMB, code[5], n = 0;
    uint32_t word = thumb ? r->word >> 16 | r->word << 16 : r->word;
    if (r->set & BIG_ENDIAN_DATA)
        code[n++] = thumb ? 0xbf00b658 : 0xf1010200; /* setend be (; nop) */
    code[n++] = word;
    if (r->set & BIG_ENDIAN_DATA)
        code[n++] = thumb ? 0xbf00b650 : 0xf1010000; /* setend le (; nop) */
    code[n++] = thumb ? 0xf000f8df : 0xe51ff004; /* ldr pc, the next word */
    code[n++] = (uint32_t)step_return;
    memcpy(slot, code, n * sizeof *code);
    r->entry = (uint32_t)slot | thumb;
}

static void run(struct record *r) {
    int number = sigsetjmp(back, 1);
    if (number) {
        r->signal = number;
        return;
    }
    memcpy((void *)MEMORY, r->memory, sizeof r->memory);
    r->signal = 0;
    step(r);
    memcpy(r->memory, (void *)MEMORY, sizeof r->memory);
}

static void *map(uintptr_t at, size_t size, int prot) {
    return mmap((void *)at, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

int main(void) {
    static char stack[65536];
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alt, NULL);
    struct sigaction on = {.sa_handler = caught, .sa_flags = SA_ONSTACK | SA_NODEFER};
    const int numbers[] = {SIGILL, SIGSEGV, SIGBUS, SIGTRAP, SIGFPE};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &on, NULL);
    map(MEMORY, 4096, PROT_READ | PROT_WRITE);
    uint8_t *code = map(CODE, BATCH * SLOT, PROT_READ | PROT_WRITE | PROT_EXEC);
    size_t count;
    while ((count = fread(batch, sizeof *batch, BATCH, stdin)) > 0) {
        for (size_t i = 0; i < count; i++)
            place(&batch[i], code + i * SLOT);
        __builtin___clear_cache((char *)code, (char *)code + BATCH * SLOT);
        for (size_t i = 0; i < count; i++)
            run(&batch[i]);
        fwrite(batch, sizeof *batch, count, stdout);
    }
    return 0;
}
