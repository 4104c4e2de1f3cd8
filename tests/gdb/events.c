/* Counts its own calls and accesses by the processor's breakpoint and watchpoint registers, as init of a Linux guest. */
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile int watched[2];

__attribute__((noinline)) int called(int x)
{
    __asm__ volatile("" ::: "memory");
    return x + 1;
}

static int counter(int type, uintptr_t addr)
{
    struct perf_event_attr a = {
        .type = PERF_TYPE_BREAKPOINT, .size = sizeof a, .bp_type = type, .bp_addr = addr, .bp_len = 4, .exclude_kernel = 1,
    };
    return syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

static long long count(int fd)
{
    long long n = -1;
    read(fd, &n, sizeof n);
    return n;
}

int main(void)
{
    int calls = counter(HW_BREAKPOINT_X, (uintptr_t)called & ~1ul);
    int accesses = counter(HW_BREAKPOINT_RW, (uintptr_t)&watched[1]);
    int sum = 0;
    for (int i = 0; i < 100; i++) {
        sum = called(sum);
        watched[0] = i;
        if (i % 5 == 0)
            watched[1] += i;
    }
    long long called_times = count(calls), accessed_times = count(accesses);
    printf("SUM %d %d CALLS %lld ACCESSES %lld\n", sum, watched[1], called_times, accessed_times);
    fflush(stdout);
    sync();
    return reboot(RB_POWER_OFF);
}
