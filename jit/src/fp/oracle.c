// Runs single VFP and Advanced SIMD instructions on operands from standard input: the oracle of the tests in oracle.rs.
// Built for ARM with VFPv4 and run by qemu-user. Record in: op, FPSCR, a, b, c. Record out: result, FPSCR afterwards.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct in { uint32_t op, fpscr; uint64_t a, b, c; };
struct out { uint64_t result; uint32_t fpscr, zero; };

static float s(uint64_t bits) { uint32_t n = bits; float f; memcpy(&f, &n, 4); return f; }
static double d(uint64_t bits) { double f; memcpy(&f, &bits, 8); return f; }
static uint64_t of_s(float f) { uint32_t n; memcpy(&n, &f, 4); return n; }
static uint64_t of_d(double f) { uint64_t n; memcpy(&n, &f, 8); return n; }

#define BEFORE "vmsr fpscr, %[before]\n"
#define AFTER "\nvmrs %[after], fpscr"
#define FLAGS [after] "=r"(after)
#define INPUT [before] "r"(r.fpscr)

#define S1(n, text) case n: { float x; \
    asm volatile(BEFORE text AFTER : [x] "=&t"(x), FLAGS : INPUT, [a] "t"(s(r.a))); result = of_s(x); break; }
#define S2(n, text) case n: { float x; \
    asm volatile(BEFORE text AFTER : [x] "=&t"(x), FLAGS : INPUT, [a] "t"(s(r.a)), [b] "t"(s(r.b))); result = of_s(x); break; }
#define S3(n, text) case n: { float x = s(r.c); \
    asm volatile(BEFORE text AFTER : [x] "+&t"(x), FLAGS : INPUT, [a] "t"(s(r.a)), [b] "t"(s(r.b))); result = of_s(x); break; }
#define SX(n, text) case n: { float x = s(r.a); \
    asm volatile(BEFORE text AFTER : [x] "+t"(x), FLAGS : INPUT); result = of_s(x); break; }
#define D1(n, text) case n: { double x; \
    asm volatile(BEFORE text AFTER : [x] "=&w"(x), FLAGS : INPUT, [a] "w"(d(r.a))); result = of_d(x); break; }
#define D2(n, text) case n: { double x; \
    asm volatile(BEFORE text AFTER : [x] "=&w"(x), FLAGS : INPUT, [a] "w"(d(r.a)), [b] "w"(d(r.b))); result = of_d(x); break; }
#define D3(n, text) case n: { double x = d(r.c); \
    asm volatile(BEFORE text AFTER : [x] "+&w"(x), FLAGS : INPUT, [a] "w"(d(r.a)), [b] "w"(d(r.b))); result = of_d(x); break; }
#define DX(n, text) case n: { double x = d(r.a); \
    asm volatile(BEFORE text AFTER : [x] "+w"(x), FLAGS : INPUT); result = of_d(x); break; }
#define SD(n, text) case n: { float x; \
    asm volatile(BEFORE text AFTER : [x] "=&t"(x), FLAGS : INPUT, [a] "w"(d(r.a))); result = of_s(x); break; }
#define DS(n, text) case n: { double x; \
    asm volatile(BEFORE text AFTER : [x] "=&w"(x), FLAGS : INPUT, [a] "t"(s(r.a))); result = of_d(x); break; }
#define SC(n, text) case n: { \
    asm volatile(BEFORE text AFTER : FLAGS : INPUT, [a] "t"(s(r.a)), [b] "t"(s(r.b))); break; }
#define DC(n, text) case n: { \
    asm volatile(BEFORE text AFTER : FLAGS : INPUT, [a] "w"(d(r.a)), [b] "w"(d(r.b))); break; }

static struct out run(struct in r) {
    uint64_t result = 0;
    uint32_t after = 0;
    switch (r.op) {
    S2(0, "vadd.f32 %[x], %[a], %[b]")
    S2(1, "vsub.f32 %[x], %[a], %[b]")
    S2(2, "vmul.f32 %[x], %[a], %[b]")
    S2(3, "vdiv.f32 %[x], %[a], %[b]")
    S1(4, "vsqrt.f32 %[x], %[a]")
    S3(5, "vfma.f32 %[x], %[a], %[b]")
    SC(6, "vcmp.f32 %[a], %[b]")
    SC(7, "vcmpe.f32 %[a], %[b]")
    DS(8, "vcvt.f64.f32 %P[x], %[a]")
    S1(9, "vcvtb.f32.f16 %[x], %[a]")
    S1(10, "vmov.f32 %[x], #1.0\nvcvtb.f16.f32 %[x], %[a]")
    S1(11, "vcvt.s32.f32 %[x], %[a]")
    S1(12, "vcvtr.s32.f32 %[x], %[a]")
    S1(13, "vcvt.u32.f32 %[x], %[a]")
    S1(14, "vcvtr.u32.f32 %[x], %[a]")
    S1(15, "vcvt.f32.s32 %[x], %[a]")
    S1(16, "vcvt.f32.u32 %[x], %[a]")
    SX(17, "vcvt.s32.f32 %[x], %[x], #9")
    SX(18, "vcvt.u32.f32 %[x], %[x], #32")
    D2(20, "vadd.f64 %P[x], %P[a], %P[b]")
    D2(21, "vsub.f64 %P[x], %P[a], %P[b]")
    D2(22, "vmul.f64 %P[x], %P[a], %P[b]")
    D2(23, "vdiv.f64 %P[x], %P[a], %P[b]")
    D1(24, "vsqrt.f64 %P[x], %P[a]")
    D3(25, "vfma.f64 %P[x], %P[a], %P[b]")
    DC(26, "vcmp.f64 %P[a], %P[b]")
    DC(27, "vcmpe.f64 %P[a], %P[b]")
    SD(28, "vcvt.f32.f64 %[x], %P[a]")
    SD(31, "vcvt.s32.f64 %[x], %P[a]")
    SD(32, "vcvtr.s32.f64 %[x], %P[a]")
    SD(33, "vcvt.u32.f64 %[x], %P[a]")
    SD(34, "vcvtr.u32.f64 %[x], %P[a]")
    DS(35, "vcvt.f64.s32 %P[x], %[a]")
    DS(36, "vcvt.f64.u32 %P[x], %[a]")
    DX(37, "vcvt.s32.f64 %P[x], %P[x], #9")
    DX(38, "vcvt.u32.f64 %P[x], %P[x], #32")
    D2(40, "vadd.f32 %P[x], %P[a], %P[b]")
    D2(41, "vmax.f32 %P[x], %P[a], %P[b]")
    D2(42, "vmin.f32 %P[x], %P[a], %P[b]")
    D2(43, "vceq.f32 %P[x], %P[a], %P[b]")
    D2(44, "vcgt.f32 %P[x], %P[a], %P[b]")
    D2(45, "vcge.f32 %P[x], %P[a], %P[b]")
    D1(46, "vcvt.s32.f32 %P[x], %P[a], #7")
    D1(47, "vcvt.f32.u32 %P[x], %P[a], #7")
    D3(48, "vfma.f32 %P[x], %P[a], %P[b]")
    D2(49, "vmul.f32 %P[x], %P[a], %P[b]")
    }
    return (struct out){result, after, 0};
}

int main(void) {
    struct in r;
    while (fread(&r, sizeof r, 1, stdin) == 1) {
        struct out o = run(r);
        fwrite(&o, sizeof o, 1, stdout);
    }
    return 0;
}
