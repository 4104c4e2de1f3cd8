/* Two CPUs of AArch64 without a kernel, to be debugged: each counts its rounds, CPU 0 stores by tagged addresses. */
typedef unsigned long u64;

volatile u64 rounds[2];
volatile u64 targets[8];
static u64 table[512] __attribute__((aligned(4096)));
static char stacks[2][4096] __attribute__((aligned(16)));

/* Each CPU's first instructions: its stack is the argument. */
asm(".globl _start, second\n"
    "_start: adrp x0, stacks\n"
    "add x0, x0, :lo12:stacks\n"
    "add x0, x0, #4096\n"
    "mov sp, x0\n"
    "bl main\n"
    "second: mov sp, x0\n"
    "bl other\n");
extern char second[];

#define SET(name, value) asm volatile("msr " #name ", %0" ::"r"((u64)(value)) : "memory")

/* RAM where it is; the top byte of addresses is ignored. */
static void map(void)
{
    table[1] = 0x40000000 | 1 << 10 | 3 << 8 | 1;
    SET(mair_el1, 0xff);
    SET(tcr_el1, 25ul | 1ul << 23 | 2ul << 32 | 1ul << 37);
    SET(ttbr0_el1, table);
    SET(sctlr_el1, 0x30d00981);
    asm volatile("isb" ::: "memory");
}

__attribute__((noinline)) void work(u64 cpu)
{
    rounds[cpu]++;
}

__attribute__((noinline)) void work_beside(void)
{
    work(1);
}

__attribute__((noinline)) void store(u64 n)
{
    volatile u64 *tagged = (volatile u64 *)((u64)&targets[n % 8] | 0xa5ul << 56);
    *tagged = n;
}

void other(void)
{
    map();
    for (;;)
        work_beside();
}

void main(void)
{
    map();
    register u64 x0 asm("x0") = 0xc4000003, x1 asm("x1") = 1, x2 asm("x2") = (u64)second;
    register u64 x3 asm("x3") = (u64)stacks[1] + sizeof stacks[1];
    asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
    for (u64 n = 0;; n++) {
        work(0);
        store(n);
    }
}
