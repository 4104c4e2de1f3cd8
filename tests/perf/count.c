// Counts itself by perf_event_open, and says what it found, a line an event.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOOPS = 100000, CALLS = 500 };
enum { BOTH, USER, KERNEL };

static int open_event(uint64_t config, int where, uint64_t period) {
    struct perf_event_attr attr = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof attr,
        .config = config,
        .sample_period = period,
        .wakeup_events = 1,
        .disabled = 1,
        .pinned = 1,
        .exclude_kernel = where == USER,
        .exclude_user = where == KERNEL,
        .exclude_hv = 1,
    };
    int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
    if (fd < 0) perror("perf_event_open");
    return fd;
}

// Four instructions a turn: a load, a store, a subtraction, a branch.
static void loop(uint32_t n) {
    uint32_t word = 0, value;
    __asm__ volatile("1: ldr %1, [%2]\n str %1, [%2]\n subs %0, #1\n bne 1b"
                     : "+r"(n), "=&r"(value) : "r"(&word) : "cc", "memory");
}

static void calls(uint32_t n) {
    for (uint32_t i = 0; i < n; i++) syscall(SYS_getppid);
}

static uint64_t count(int fd, void (*work)(uint32_t), uint32_t n) {
    uint64_t result = 0;
    ioctl(fd, PERF_EVENT_IOC_RESET, 0);
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    work(n);
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    if (read(fd, &result, sizeof result) != sizeof result) return ~0ull;
    return result;
}

// What twice the work is more than the work: what entering and leaving costs falls away.
static void show(const char *name, uint64_t config, int where, void (*work)(uint32_t), uint32_t n) {
    int fd = open_event(config, where, 0);
    if (fd < 0) return;
    count(fd, work, n);
    uint64_t once = count(fd, work, n), twice = count(fd, work, 2 * n);
    printf("%s %lld\n", name, (long long)(twice - once));
    close(fd);
}

static volatile int overflows;

static void overflow(int signal) {
    overflows++;
}

static void sample(uint64_t period) {
    int fd = open_event(PERF_COUNT_HW_INSTRUCTIONS, USER, period);
    if (fd < 0) return;
    signal(SIGIO, overflow);
    fcntl(fd, F_SETFL, O_ASYNC);
    fcntl(fd, F_SETOWN, getpid());
    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    loop(LOOPS);
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    printf("overflows %d\n", overflows);
    close(fd);
}

int main(void) {
    show("instructions-user", PERF_COUNT_HW_INSTRUCTIONS, USER, loop, LOOPS);
    show("branches-user", PERF_COUNT_HW_BRANCH_INSTRUCTIONS, USER, loop, LOOPS);
    show("branch-misses-user", PERF_COUNT_HW_BRANCH_MISSES, USER, loop, LOOPS);
    show("cache-references-user", PERF_COUNT_HW_CACHE_REFERENCES, USER, loop, LOOPS);
    show("cache-misses-user", PERF_COUNT_HW_CACHE_MISSES, USER, loop, LOOPS);
    show("cycles-user", PERF_COUNT_HW_CPU_CYCLES, USER, loop, LOOPS);
    show("cycles-kernel", PERF_COUNT_HW_CPU_CYCLES, KERNEL, calls, CALLS);
    show("bus-cycles-user", PERF_COUNT_HW_BUS_CYCLES, USER, loop, LOOPS);
    show("calls-user", PERF_COUNT_HW_INSTRUCTIONS, USER, calls, CALLS);
    show("calls-kernel", PERF_COUNT_HW_INSTRUCTIONS, KERNEL, calls, CALLS);
    show("calls-both", PERF_COUNT_HW_INSTRUCTIONS, BOTH, calls, CALLS);
    // Three times in the loop, which takes four instructions a turn.
    sample(130000);
    puts("done");
    fflush(stdout);
    reboot(RB_POWER_OFF);
}
