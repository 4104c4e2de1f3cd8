/*
 * Executes single x86 instructions on given states, as an oracle for the translator: this processor is the reference. On
 * standard input come the LDT, the contents of both areas of memory, then any number of records; each record goes to
 * standard output as its instruction left it. Built with gcc -static -O2 -fno-stack-protector.
 *
 * Around a record's code all is HLT, which programs may not execute, so that it always ends in a signal. The signal's
 * context is the state that the instruction left, whatever it was, with vector, error code and CR2; and the handler's
 * return from it enters the next record. That return loads CS and SS, so that one program runs code of 64, 32 and 16 bits.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define BATCH 256
#define CHANGED 64
#define CODE_SIZE 16
#define WINDOW 1024
#define LDT 16

/* Linux's own selectors. */
#define CODE64 0x33
#define DATA32 0x2b

struct record {
    uint8_t code[CODE_SIZE]; /* 0: what is executed */
    uint64_t rip;            /* 16: where it goes and starts, in CS; then where it stopped */
    uint16_t cs;             /* 24 */
    uint16_t length;         /* 26: of the instruction in question; not looked at here */
    uint32_t flags;          /* 28: EFLAGS but for IF and RF */
    uint64_t regs[16];       /* 32: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15 */
    uint16_t es, ss, ds, fs, gs; /* 160 */
    uint16_t tags;           /* 170: which x87 registers are not empty, by physical number */
    uint32_t mxcsr;          /* 172 */
    uint64_t base[2];        /* 176: of FS and GS; of CODE64's only */
    uint32_t vector;         /* 192: out: what stopped it; ENDLESS if nothing did */
    uint32_t error;          /* 196: out: the exception's error code */
    uint64_t cr2;            /* 200: out: of page faults */
    uint16_t control, status, opcode, zero; /* 208: of x87 */
    uint64_t pointers[2];    /* 216: of x87: of the last instruction and its operand */
    uint8_t st[8][16];       /* 232: ST0 to ST7; MMX's registers in their places */
    uint8_t ymm[16][32];     /* 360 */
    uint64_t changed_at;     /* 872: out: the first byte that changed outside of the window */
    uint32_t changed_by;     /* 880: out: from the first to the last */
    uint32_t zero2;
    uint8_t changed[CHANGED]; /* 888: out: what they are now */
    uint8_t window[WINDOW];   /* 952: what memory holds there */
};
#define ENDLESS 255

/* Where the segment of 16-bit code begins: entry 0 of the LDT. */
#define CODE 0x28000000
#define CODE16 0x07

/* Memory that instructions may access: on either side of an area nothing is mapped. */
struct area {
    uint64_t at, size;
    int prot;
    uint8_t initial[3 * 4096];
};
static struct area areas[2] = {
    {.at = 0x10000000, .size = 3 * 4096, .prot = PROT_READ | PROT_WRITE},
    {.at = CODE, .size = 3 * 4096, .prot = PROT_READ | PROT_WRITE | PROT_EXEC},
};
static struct area *const code_area = &areas[1];
/* The last page of data cannot be written. Bytes in the middle are the record's own. */
#define READ_ONLY (0x10000000 + 2 * 4096)
static uint8_t *const window = (uint8_t *)0x10000000 + 4096 - WINDOW / 2;

static struct record batch[BATCH];
static size_t count;
static int alarms;
static sigjmp_buf back;

static void note_changes(struct record *r) {
    memcpy(r->window, window, WINDOW);
    memcpy(window, areas[0].initial + (window - (uint8_t *)areas[0].at), WINDOW);
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

/* Put code (or what was there before) into memory, as far as there is any; that is not a change. */
static void place(uint64_t at, const void *bytes) {
    uint64_t offset = at - code_area->at, room = code_area->size - offset;
    uint64_t size = room < CODE_SIZE ? room : CODE_SIZE;
    memcpy(code_area->initial + offset, bytes, size);
    memcpy((void *)at, bytes, size);
}

/* The frame's floating-point state (XSAVE's standard form): x87 and SSE from its start on, then a header, then the upper
 * halves of YMM. */
struct extended {
    uint16_t control, status, tags, opcode;
    uint64_t pointers[2];
    uint32_t mxcsr, mask;
    uint8_t st[8][16], xmm[16][16], unused[96];
    uint64_t present, compact, reserved[6];
    uint8_t high[16][16];
};
enum { X87 = 1, SSE = 2, AVX = 4 };
/* x87's status word: an exception that is not masked waits. */
enum { ES = 1 << 7 };

static void load_extended(const struct record *r, struct extended *x) {
    x->control = r->control;
    x->status = r->status;
    x->tags = r->tags;
    x->opcode = r->opcode;
    memcpy(x->pointers, r->pointers, sizeof x->pointers);
    x->mxcsr = r->mxcsr;
    memcpy(x->st, r->st, sizeof x->st);
    for (int i = 0; i < 16; i++) {
        memcpy(x->xmm[i], r->ymm[i], 16);
        memcpy(x->high[i], r->ymm[i] + 16, 16);
    }
    x->present |= X87 | SSE | AVX;
}

static void save_extended(struct record *r, struct extended *x) {
    /* What is in its initial state may not have been written. */
    if (!(x->present & X87)) {
        x->control = 0x37f;
        x->status = x->tags = x->opcode = 0;
        memset(x->pointers, 0, sizeof x->pointers);
        memset(x->st, 0, sizeof x->st);
    }
    if (!(x->present & SSE))
        memset(x->xmm, 0, sizeof x->xmm);
    if (!(x->present & AVX))
        memset(x->high, 0, sizeof x->high);
    r->control = x->control;
    r->status = x->status;
    r->tags = x->tags;
    /* Not all processors store or load these unless an exception waits. */
    int waits = x->status & ES;
    r->opcode = waits ? x->opcode : 0;
    for (int i = 0; i < 2; i++)
        r->pointers[i] = waits ? x->pointers[i] : 0;
    r->mxcsr = x->mxcsr;
    for (int i = 0; i < 8; i++)
        memcpy(r->st[i], x->st[i], 10);
    for (int i = 0; i < 16; i++) {
        memcpy(r->ymm[i], x->xmm[i], 16);
        memcpy(r->ymm[i] + 16, x->high[i], 16);
    }
}

/* The context's registers by their numbers in instructions. */
static const int places[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};
/* Flags that a return from a signal does not load, and those that a record does not hold. */
enum { NT = 1 << 14, IF = 1 << 9, RF = 1 << 16, AC = 1 << 18, ID = 1 << 21 };

/* Bases of FS and GS: this program's own, for what the C library has there. */
static uint64_t own_base;

/* Without the C library, which has errno in a thread's own storage. */
static long system_call(long number, unsigned long a, unsigned long b, unsigned long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static void load(const struct record *r, ucontext_t *u) {
    greg_t *regs = u->uc_mcontext.gregs;
    for (int i = 0; i < 16; i++)
        regs[places[i]] = r->regs[i];
    regs[REG_RIP] = r->rip;
    regs[REG_EFL] = r->flags;
    regs[REG_CSGSFS] = r->cs | (uint64_t)r->ss << 48;
    load_extended(r, (struct extended *)u->uc_mcontext.fpregs);
    /* UC_SIGCONTEXT_SS and UC_STRICT_RESTORE_SS: SS as it is said. */
    u->uc_flags |= 6;
    __asm__ volatile("mov %0, %%es; mov %1, %%ds; mov %2, %%fs; mov %3, %%gs"
                     : : "rm"(r->es), "rm"(r->ds), "rm"(r->fs), "rm"(r->gs));
    if (r->cs == CODE64) {
        system_call(SYS_arch_prctl, ARCH_SET_FS, r->base[0], 0);
        system_call(SYS_arch_prctl, ARCH_SET_GS, r->base[1], 0);
    }
    uint64_t flags;
    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    flags = (flags & ~(uint64_t)(NT | ID)) | (r->flags & (NT | ID));
    __asm__ volatile("push %0; popfq" : : "r"(flags) : "cc");
}

static void save(struct record *r, ucontext_t *u) {
    greg_t *regs = u->uc_mcontext.gregs;
    for (int i = 0; i < 16; i++)
        r->regs[i] = regs[places[i]];
    r->rip = regs[REG_RIP];
    r->flags = regs[REG_EFL] & ~(IF | RF | 2);
    r->cs = regs[REG_CSGSFS];
    r->ss = (uint64_t)regs[REG_CSGSFS] >> 48;
    r->vector = regs[REG_TRAPNO];
    r->error = regs[REG_ERR];
    r->cr2 = r->vector == 14 ? regs[REG_CR2] : 0;
    if ((int64_t)r->cr2 < 0)
        /* Of its own addresses the kernel says that all are there. */
        r->error &= ~1u;
    save_extended(r, (struct extended *)u->uc_mcontext.fpregs);
    if (r->cs != CODE64)
        /* The kernel has the upper half of ESP for its own use when SS is of the LDT. */
        r->regs[4] = (uint32_t)r->regs[4];
}

/* The record at hand, and where its code is. NULL at the start of a batch. */
static struct record *running;
static uint64_t placed;
static uint8_t replaced[CODE_SIZE];

static void begin(struct record *r, ucontext_t *u) {
    running = r;
    alarms = 0;
    placed = r->rip + (r->cs == CODE16 ? CODE : 0);
    memcpy(replaced, code_area->initial + (placed - CODE), CODE_SIZE);
    place(placed, r->code);
    memcpy(window, r->window, WINDOW);
    load(r, u);
}

static void next(int number, ucontext_t *u) {
    if (number == SIGVTALRM && !running)
        return;
    if (number == SIGVTALRM && ++alarms < 2) {
        /* Again from the start: not all of its state survives a signal in between. */
        struct record dropped = *running;
        note_changes(&dropped);
        memcpy(window, running->window, WINDOW);
        load(running, u);
        return;
    }
    if (running) {
        save(running, u);
        if (number == SIGVTALRM) {
            running->vector = ENDLESS;
            running->error = 0;
        }
        note_changes(running);
        place(placed, replaced);
    }
    struct record *following = running ? running + 1 : batch;
    running = NULL;
    if (following == batch + count)
        siglongjmp(back, 1);
    begin(following, u);
}

static void stopped(int number, siginfo_t *info, void *context) {
    (void)info;
    uint64_t flags;
    uint64_t bases[2];
    uint16_t es, ds, fs, gs;
    /* First of all back to what compiled code expects. */
    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    __asm__ volatile("push %0; popfq" : : "r"(flags & ~(uint64_t)(NT | AC | ID)) : "cc");
    __asm__ volatile("mov %%es, %0; mov %%ds, %1; mov %%fs, %2; mov %%gs, %3" : "=r"(es), "=r"(ds), "=r"(fs), "=r"(gs));
    system_call(SYS_arch_prctl, ARCH_GET_FS, (unsigned long)&bases[0], 0);
    system_call(SYS_arch_prctl, ARCH_GET_GS, (unsigned long)&bases[1], 0);
    __asm__ volatile("mov %0, %%es; mov %0, %%ds; mov %0, %%fs; mov %0, %%gs" : : "r"(0));
    system_call(SYS_arch_prctl, ARCH_SET_FS, own_base, 0);
    if (running && (number != SIGVTALRM || alarms)) {
        running->es = es;
        running->ds = ds;
        running->fs = fs;
        running->gs = gs;
        /* Of other code, they follow from the selectors. */
        if ((((ucontext_t *)context)->uc_mcontext.gregs[REG_CSGSFS] & 0xffff) == CODE64)
            memcpy(running->base, bases, sizeof bases);
    }
    next(number, context);
}

/* The LDT's segments, which come as modify_ldt(2) wants them. */
static int load_ldt(void) {
    struct user_desc entries[LDT];
    if (fread(entries, sizeof *entries, LDT, stdin) != LDT)
        return 1;
    for (int i = 0; i < LDT; i++)
        if (entries[i].useable && system_call(SYS_modify_ldt, 0x11, (unsigned long)&entries[i], sizeof entries[i]))
            return 2;
    return 0;
}

int main(void) {
    static char stack[65536];
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alt, NULL);
    system_call(SYS_arch_prctl, ARCH_GET_FS, (unsigned long)&own_base, 0);
    struct sigaction on = {.sa_sigaction = stopped, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    const int numbers[] = {SIGILL, SIGSEGV, SIGBUS, SIGTRAP, SIGFPE, SIGVTALRM};
    sigemptyset(&on.sa_mask);
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&on.sa_mask, numbers[i]);
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &on, NULL);
    if (load_ldt())
        return 1;
    for (struct area *a = areas; a < areas + 2; a++) {
        mmap((void *)a->at, a->size, a->prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (fread(a->initial, 1, a->size, stdin) != a->size)
            return 1;
        memcpy((void *)a->at, a->initial, a->size);
    }
    // A page that the kernel has taken away would be one that is absent.
    for (struct area *a = areas; a < areas + 2; a++)
        mlock((void *)a->at, a->size);
    mprotect((void *)READ_ONLY, 4096, PROT_READ);
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
