/*
 * Executes single A64 instructions on given states, as an oracle for the translator: run it under a reference (qemu-aarch64)
 * or on hardware. On standard input come the contents of both areas of memory, then any number of records; each record goes
 * to standard output as its instructions left it. Built with aarch64-linux-gnu-gcc -static -O2.
 *
 * A record's code ends in instructions that are Undefined, so that it always ends in a signal. The signal's context is
 * the state that the instructions left, whatever they were; and the handler's return from it enters the next record.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <asm/sigcontext.h>

#define BATCH 512
#define CHANGED 256
#define CODE_SIZE sizeof(((struct record *)0)->code)

struct record {
    uint32_t code[4];    /* 0: what is executed */
    uint64_t pc;         /* 16: where it goes and starts; then where it stopped */
    uint32_t nzcv;       /* 24: PSTATE's N, Z, C, V */
    uint32_t word;       /* 28: the instruction in question; not looked at here */
    uint64_t x[31];      /* 32 */
    uint64_t sp;         /* 280 */
    uint32_t fpcr, fpsr; /* 288 */
    uint32_t signal;     /* 296: out: what stopped it; SIGVTALRM if nothing did */
    uint32_t changed_by; /* 300: out: bytes from the first to the last byte of memory that changed */
    uint64_t address;    /* 304: out: what address SIGSEGV and SIGBUS are about */
    uint64_t changed_at; /* 312: out: the first byte that changed */
    uint64_t v[32][2];   /* 320 */
    uint8_t changed[CHANGED]; /* 832: out: what they are now */
};

/* Memory that instructions may access: on either side of an area nothing is mapped. */
struct area {
    uint64_t at, size;
    int prot;
    uint8_t initial[4 * 4096];
};
static struct area areas[2] = {
    {.at = 0x10000000, .size = 4 * 4096, .prot = PROT_READ | PROT_WRITE},
    {.at = 0x28000000, .size = 3 * 4096, .prot = PROT_READ | PROT_WRITE | PROT_EXEC},
};
static struct area *const code_area = &areas[1];

static struct record batch[BATCH];
static size_t count;
static int alarms;
static sigjmp_buf back;

static void note_changes(struct record *r) {
    for (struct area *a = areas; a < areas + 2; a++) {
        const uint8_t *now = (const uint8_t *)a->at;
        if (memcmp(now, a->initial, a->size) == 0)
            continue;
        uint64_t first = 0, end = a->size;
        while (now[first] == a->initial[first])
            first++;
        while (now[end - 1] == a->initial[end - 1])
            end--;
        r->changed_at = a->at + first;
        r->changed_by = end - first;
        memcpy(r->changed, now + first, end - first < CHANGED ? end - first : CHANGED);
        memcpy((void *)(a->at + first), a->initial + first, end - first);
    }
}

/* Put code (or what was there before) into memory; that is not a change. */
static void place(uint64_t at, const void *bytes) {
    memcpy(code_area->initial + (at - code_area->at), bytes, CODE_SIZE);
    memcpy((void *)at, bytes, CODE_SIZE);
    __builtin___clear_cache((char *)at, (char *)at + CODE_SIZE);
}

static struct fpsimd_context *simd_of(ucontext_t *u) {
    char *at = (char *)u->uc_mcontext.__reserved;
    while (((struct _aarch64_ctx *)at)->magic != FPSIMD_MAGIC)
        at += ((struct _aarch64_ctx *)at)->size;
    return (struct fpsimd_context *)at;
}

static void load(const struct record *r, ucontext_t *u) {
    struct fpsimd_context *simd = simd_of(u);
    memcpy(u->uc_mcontext.regs, r->x, sizeof r->x);
    u->uc_mcontext.sp = r->sp;
    u->uc_mcontext.pc = r->pc;
    u->uc_mcontext.pstate = r->nzcv;
    memcpy(simd->vregs, r->v, sizeof r->v);
    simd->fpcr = r->fpcr;
    simd->fpsr = r->fpsr;
}

static void save(struct record *r, ucontext_t *u, int number, const siginfo_t *info) {
    struct fpsimd_context *simd = simd_of(u);
    memcpy(r->x, u->uc_mcontext.regs, sizeof r->x);
    r->sp = u->uc_mcontext.sp;
    r->pc = u->uc_mcontext.pc;
    r->nzcv = u->uc_mcontext.pstate & 0xf0000000;
    memcpy(r->v, simd->vregs, sizeof r->v);
    r->fpcr = simd->fpcr;
    r->fpsr = simd->fpsr & 0x0800009f;
    r->signal = number;
    r->address = number == SIGSEGV || number == SIGBUS ? (uint64_t)info->si_addr : 0;
}

/* The record at hand, and where its code is. NULL at the start of a batch. */
static struct record *running;
static uint64_t placed;
static uint8_t replaced[CODE_SIZE];

static void finish(ucontext_t *u, int number, const siginfo_t *info) {
    save(running, u, number, info);
    note_changes(running);
    place(placed, replaced);
}

static void begin(struct record *r, ucontext_t *u) {
    running = r;
    alarms = 0;
    placed = r->pc;
    memcpy(replaced, (void *)placed, CODE_SIZE);
    place(placed, r->code);
    load(r, u);
    __asm__ volatile("clrex");
}

static void stopped(int number, siginfo_t *info, void *context) {
    if (running && number == SIGVTALRM && ++alarms < 2) {
        /* Again from the start: not all of its state survives a signal in between. */
        struct record dropped = *running;
        note_changes(&dropped);
        load(running, context);
        return;
    }
    if (running)
        finish(context, number, info);
    struct record *next = running ? running + 1 : batch;
    if (next == batch + count)
        siglongjmp(back, 1);
    begin(next, context);
}

int main(void) {
    static char stack[65536];
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alt, NULL);
    struct sigaction on = {.sa_sigaction = stopped, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    const int numbers[] = {SIGILL, SIGSEGV, SIGBUS, SIGTRAP, SIGFPE, SIGVTALRM};
    sigemptyset(&on.sa_mask);
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&on.sa_mask, numbers[i]);
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &on, NULL);
    for (struct area *a = areas; a < areas + 2; a++) {
        mmap((void *)a->at, a->size, a->prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (fread(a->initial, 1, a->size, stdin) != a->size)
            return 1;
        memcpy((void *)a->at, a->initial, a->size);
    }
    const struct itimerval often = {{0, 30000}, {0, 30000}}, never = {{0, 0}, {0, 0}};
    while ((count = fread(batch, sizeof *batch, BATCH, stdin)) > 0) {
        running = NULL;
        setitimer(ITIMER_VIRTUAL, &often, NULL);
        if (sigsetjmp(back, 1) == 0)
            raise(SIGILL);
        setitimer(ITIMER_VIRTUAL, &never, NULL);
        fwrite(batch, sizeof *batch, count, stdout);
        fflush(stdout);
    }
    return 0;
}
