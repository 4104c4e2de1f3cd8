/*
 * What the architecture promises of memory between several CPUs: litmus tests, each for some time, as the first process of
 * a Linux guest, whose command line says `milliseconds=N`. A line each on the console: `litmus NAME rounds N seen M`, M rounds having ended as the test asks about;
 * then the machine powers off. Built for ARMv7 and AArch64 with -static -O2 -pthread.
 *
 * The names, and which outcome is asked about, are those of the literature (L. Maranget, S. Sarkar, P. Sewell: "A Tutorial
 * Introduction to the ARM and POWER Relaxed Memory Models"); the rules are DDI 0487 B2.3 and DDI 0406C A3.8.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 1024 /* of a batch: each in a cache line of its own */
#define THREADS 4   /* at most */
#define SHOW 60000  /* milliseconds more for what is to be seen */

typedef volatile uint32_t word;

struct line {
    word value;
    char rest[60];
};

/* A batch: each round has locations x, y and results. */
static struct line x[ROUNDS], y[ROUNDS];
static uint32_t result[THREADS][ROUNDS][2];

/* ---- accesses and barriers */

#define DMB() __asm__ volatile("dmb ish" ::: "memory")
#define DMB_ST() __asm__ volatile("dmb ishst" ::: "memory")
#ifdef __aarch64__
#define DMB_LD() __asm__ volatile("dmb ishld" ::: "memory")
static inline uint32_t acquire(word *at)
{
    uint32_t v;
    __asm__ volatile("ldar %w0, %1" : "=r"(v) : "Q"(*at) : "memory");
    return v;
}
static inline uint32_t acquire_pc(word *at)
{
    uint32_t v;
    __asm__ volatile(".arch armv8.3-a\n\tldapr %w0, %1" : "=r"(v) : "Q"(*at) : "memory");
    return v;
}
static inline void release(word *at, uint32_t v) { __asm__ volatile("stlr %w1, %0" : "=Q"(*at) : "r"(v) : "memory"); }
static inline uint32_t load_exclusive(word *at)
{
    uint32_t v;
    __asm__ volatile("ldxr %w0, %1" : "=r"(v) : "Q"(*at) : "memory");
    return v;
}
static inline uint32_t store_exclusive(word *at, uint32_t v)
{
    uint32_t failed;
    __asm__ volatile("stxr %w0, %w2, %1" : "=&r"(failed), "=Q"(*at) : "r"(v) : "memory");
    return failed;
}
#else
#define DMB_LD() DMB()
static inline uint32_t load_exclusive(word *at)
{
    uint32_t v;
    __asm__ volatile("ldrex %0, %1" : "=r"(v) : "Q"(*at) : "memory");
    return v;
}
static inline uint32_t store_exclusive(word *at, uint32_t v)
{
    uint32_t failed;
    __asm__ volatile("strex %0, %2, %1" : "=&r"(failed), "=Q"(*at) : "r"(v) : "memory");
    return failed;
}
#endif
#define LOAD(at) (*(at))
#define STORE(at, v) (*(at) = (v))
/* An address that depends on a value, and is as before. */
#define AFTER(at, v) ((word *)((uintptr_t)(at) + depend(v)))
static inline uintptr_t depend(uintptr_t v)
{
    __asm__ volatile("eor %0, %0, %0" : "+r"(v));
    return v;
}

/* ---- beginning a round together: without barriers, which would hide what there is to see, and without waiting for long
 * for a CPU that has no processor of the host's now */

static struct line started[THREADS]; /* rounds that each thread has begun */
static int threads;                  /* that take part */

static inline void begin(int me)
{
    uint32_t mine = LOAD(&started[me].value) + 1;

    STORE(&started[me].value, mine);
    for (int other = 0; other < threads; other++)
        for (int spins = 0; spins < 100 && (int32_t)(LOAD(&started[other].value) - mine) < 0; spins++)
            ;
}

/* ---- threads of the tests: what a thread does in a round; X and Y are its locations, A and B its results */

#define THREAD(name, body)                                                                                             \
    static void name(int me)                                                                                           \
    {                                                                                                                  \
        for (int i = 0; i < ROUNDS; i++) {                                                                             \
            word *X = &x[i].value, *Y = &y[i].value;                                                                   \
            uint32_t A = 0, B = 0;                                                                                     \
            begin(me);                                                                                                 \
            body;                                                                                                      \
            (void)X, (void)Y;                                                                                          \
            result[me][i][0] = A;                                                                                      \
            result[me][i][1] = B;                                                                                      \
        }                                                                                                              \
    }

THREAD(only_x1, STORE(X, 1))
THREAD(only_y1, STORE(Y, 1))
THREAD(x1_y1, STORE(X, 1); STORE(Y, 1))
THREAD(x1_dmb_y1, STORE(X, 1); DMB(); STORE(Y, 1))
THREAD(x1_dmbst_y1, STORE(X, 1); DMB_ST(); STORE(Y, 1))
THREAD(x1_dmb_y2, STORE(X, 1); DMB(); STORE(Y, 2))
THREAD(x2_dmb_y1, STORE(X, 2); DMB(); STORE(Y, 1))
THREAD(y1_dmb_x2, STORE(Y, 1); DMB(); STORE(X, 2))
THREAD(ry_rx, A = LOAD(Y); B = LOAD(X))
THREAD(rx_ry, A = LOAD(X); B = LOAD(Y))
THREAD(ry_dmb_rx, A = LOAD(Y); DMB(); B = LOAD(X))
THREAD(rx_dmb_ry, A = LOAD(X); DMB(); B = LOAD(Y))
THREAD(ry_dmbld_rx, A = LOAD(Y); DMB_LD(); B = LOAD(X))
THREAD(ry_addr_rx, A = LOAD(Y); B = LOAD(AFTER(X, A)))
THREAD(rx_rx, A = LOAD(X); B = LOAD(X))
THREAD(x1_ry, STORE(X, 1); A = LOAD(Y))
THREAD(y1_rx, STORE(Y, 1); A = LOAD(X))
THREAD(x1_dmb_ry, STORE(X, 1); DMB(); A = LOAD(Y))
THREAD(y1_dmb_rx, STORE(Y, 1); DMB(); A = LOAD(X))
THREAD(y2_dmb_rx, STORE(Y, 2); DMB(); A = LOAD(X))
THREAD(rx_y1, A = LOAD(X); STORE(Y, 1))
THREAD(ry_x1, A = LOAD(Y); STORE(X, 1))
THREAD(rx_dmb_y1, A = LOAD(X); DMB(); STORE(Y, 1))
THREAD(ry_dmb_x1, A = LOAD(Y); DMB(); STORE(X, 1))
THREAD(rx_data_y1, A = LOAD(X); STORE(Y, 1 + depend(A)))
THREAD(ry_data_x1, A = LOAD(Y); STORE(X, 1 + depend(A)))
THREAD(swapx_dmb_ry, do A = load_exclusive(X); while (store_exclusive(X, 1)); DMB(); A = LOAD(Y))
THREAD(swapy_dmb_rx, do A = load_exclusive(Y); while (store_exclusive(Y, 1)); DMB(); A = LOAD(X))
#ifdef __aarch64__
THREAD(x1_rel_y1, STORE(X, 1); release(Y, 1))
THREAD(ry_acq_rx, A = acquire(Y); B = LOAD(X))
THREAD(ry_acqpc_rx, A = acquire_pc(Y); B = LOAD(X))
THREAD(relx1_acqy, release(X, 1); A = acquire(Y))
THREAD(rely1_acqx, release(Y, 1); A = acquire(X))
THREAD(acqx_rely1, A = acquire(X); release(Y, 1))
THREAD(acqy_relx1, A = acquire(Y); release(X, 1))
THREAD(acqx_acqy, A = acquire(X); B = acquire(Y))
THREAD(acqy_acqx, A = acquire(Y); B = acquire(X))
THREAD(relx1, release(X, 1))
THREAD(rely1, release(Y, 1))
#endif

/* ---- the outcomes that are asked about: R(t, n) is result n of thread t */

#define OUTCOME(name, what)                                                                                            \
    static int name(int i) { return what; }
#define R(t, n) result[t][i][n]

OUTCOME(mp, R(1, 0) == 1 && R(1, 1) == 0)
OUTCOME(sb, R(0, 0) == 0 && R(1, 0) == 0)
OUTCOME(lb, R(0, 0) == 1 && R(1, 0) == 1)
OUTCOME(iriw, R(2, 0) == 1 && R(2, 1) == 0 && R(3, 0) == 1 && R(3, 1) == 0)
OUTCOME(wrc, R(1, 0) == 1 && R(2, 0) == 1 && R(2, 1) == 0)
OUTCOME(corr, R(1, 0) == 1 && R(1, 1) == 0)
OUTCOME(w22, x[i].value == 1 && y[i].value == 1)
OUTCOME(r, y[i].value == 2 && R(1, 0) == 0)
OUTCOME(s, x[i].value == 2 && R(1, 0) == 1)

static const struct test {
    const char *name;
    int (*seen)(int round);
    int shows; /* it is allowed and to be seen, or else these tests could not see anything */
    int threads;
    void (*thread[THREADS])(int me);
} tests[] = {
    {"SB", sb, 1, 2, {x1_ry, y1_rx}},
    {"SB+dmbs", sb, 0, 2, {x1_dmb_ry, y1_dmb_rx}},
    {"SB+exclusives+dmbs", sb, 0, 2, {swapx_dmb_ry, swapy_dmb_rx}},
    {"MP", mp, 0, 2, {x1_y1, ry_rx}},
    {"MP+dmbs", mp, 0, 2, {x1_dmb_y1, ry_dmb_rx}},
    {"MP+dmb.st+dmb.ld", mp, 0, 2, {x1_dmbst_y1, ry_dmbld_rx}},
    {"MP+dmb+addr", mp, 0, 2, {x1_dmb_y1, ry_addr_rx}},
    {"LB", lb, 0, 2, {rx_y1, ry_x1}},
    {"LB+dmbs", lb, 0, 2, {rx_dmb_y1, ry_dmb_x1}},
    {"LB+datas", lb, 0, 2, {rx_data_y1, ry_data_x1}},
    {"2+2W+dmbs", w22, 0, 2, {x1_dmb_y2, y1_dmb_x2}},
    {"R+dmbs", r, 0, 2, {x1_dmb_y1, y2_dmb_rx}},
    {"S+dmb+data", s, 0, 2, {x2_dmb_y1, ry_data_x1}},
    {"CoRR", corr, 0, 2, {only_x1, rx_rx}},
    {"WRC+dmbs", wrc, 0, 3, {only_x1, rx_dmb_y1, ry_dmb_rx}},
    {"IRIW", iriw, 0, 4, {only_x1, only_y1, rx_ry, ry_rx}},
    {"IRIW+dmbs", iriw, 0, 4, {only_x1, only_y1, rx_dmb_ry, ry_dmb_rx}},
#ifdef __aarch64__
    {"MP+rel+acq", mp, 0, 2, {x1_rel_y1, ry_acq_rx}},
    {"MP+rel+acqpc", mp, 0, 2, {x1_rel_y1, ry_acqpc_rx}},
    {"SB+rel-acqs", sb, 0, 2, {relx1_acqy, rely1_acqx}},
    {"LB+acq-rels", lb, 0, 2, {acqx_rely1, acqy_relx1}},
    {"IRIW+rels+acqs", iriw, 0, 4, {relx1, rely1, acqx_acqy, acqy_acqx}},
#endif
};

/* ---- running them */

static const struct test *now; /* NULL: the end */
static pthread_barrier_t batch[2]; /* its begin and its end, for all threads */

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void *other(void *number)
{
    int me = (int)(intptr_t)number;

    pin(me);
    for (;;) {
        pthread_barrier_wait(&batch[0]);
        if (!now)
            return NULL;
        if (me < threads)
            now->thread[me](me);
        pthread_barrier_wait(&batch[1]);
    }
}

static uint64_t milliseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static void run(const struct test *test, uint64_t limit)
{
    uint64_t rounds = 0, seen = 0, end = milliseconds() + limit;

    do {
        for (int i = 0; i < ROUNDS; i++)
            x[i].value = y[i].value = 0;
        now = test;
        threads = test->threads;
        memset(started, 0, sizeof started);
        pthread_barrier_wait(&batch[0]);
        test->thread[0](0);
        pthread_barrier_wait(&batch[1]);
        for (int i = 0; i < ROUNDS; i++)
            seen += test->seen(i);
        rounds += ROUNDS;
    } while (milliseconds() < end || (test->shows && !seen && milliseconds() < end + SHOW));
    printf("litmus %s rounds %llu seen %llu\n", test->name, (unsigned long long)rounds, (unsigned long long)seen);
}

int main(void)
{
    pthread_t others[THREADS];
    const char *limit = getenv("milliseconds");

    setbuf(stdout, NULL);
    for (int i = 0; i < 2; i++)
        pthread_barrier_init(&batch[i], NULL, THREADS);
    pin(0);
    for (int i = 1; i < THREADS; i++)
        pthread_create(&others[i], NULL, other, (void *)(intptr_t)i);
    for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++)
        run(&tests[i], limit ? strtoul(limit, NULL, 10) : 100);
    now = NULL;
    pthread_barrier_wait(&batch[0]);
    for (int i = 1; i < THREADS; i++)
        pthread_join(others[i], NULL);
    printf("litmus done\n");
    sync();
    reboot(RB_POWER_OFF);
    return 0;
}
