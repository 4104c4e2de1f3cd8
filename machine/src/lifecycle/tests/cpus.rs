//! Several CPUs: switched on and off again and again, asleep until a timer, and reset.

use super::*;

/// Has CPU 1 switched on for one number after the other, each time once it is off. That one looks at how it starts, counts, and
/// goes. The numbers are where [`COUNT_64`] counts, all bits set if anything is wrong.
const SWITCHES: [u32; 60] = [
    0xd538_00a1, // 00: mrs x1, mpidr_el1
    0x9240_1c21, // 04: and x1, x1, #0xff
    0xb500_06c1, // 08: cbnz x1, e0
    0xd2a8_0214, // 0c: mov x20, #0x40100000
    0xd280_0013, // 10: mov x19, #0x0
    0x9100_0673, // 14: again: add x19, x19, #0x1
    0xd2b8_8000, // 18: mov x0, #0xc4000000
    0xf280_0060, // 1c: movk x0, #0x3
    0xd280_0021, // 20: mov x1, #0x1
    0x1000_0202, // 24: adr x2, 64
    0xaa13_03e3, // 28: mov x3, x19
    0xd400_0002, // 2c: hvc #0x0
    0xb500_0580, // 30: cbnz x0, e0
    0xd2b8_8000, // 34: 1: mov x0, #0xc4000000
    0xf280_0080, // 38: movk x0, #0x4
    0xd280_0021, // 3c: mov x1, #0x1
    0xd280_0002, // 40: mov x2, #0x0
    0xd400_0002, // 44: hvc #0x0
    0xf100_041f, // 48: cmp x0, #0x1
    0x54ff_ff41, // 4c: b.ne 34
    0xf940_0684, // 50: ldr x4, [x20, #8]
    0xeb13_009f, // 54: cmp x4, x19
    0x5400_0441, // 58: b.ne e0
    0xf900_0293, // 5c: str x19, [x20]
    0x17ff_ffed, // 60: b 14
    0xd53b_e324, // 64: second: mrs x4, cntv_ctl_el0
    0xd538_c005, // 68: mrs x5, vbar_el1
    0xaa05_0084, // 6c: orr x4, x4, x5
    0xb500_0384, // 70: cbnz x4, e0
    0xd538_1004, // 74: mrs x4, sctlr_el1
    0xd282_00a6, // 78: mov x6, #0x1005
    0xea06_009f, // 7c: tst x4, x6
    0x5400_0301, // 80: b.ne e0
    0xd53b_4224, // 84: mrs x4, daif
    0xf10f_009f, // 88: cmp x4, #0x3c0
    0x5400_02a1, // 8c: b.ne e0
    0xd538_4244, // 90: mrs x4, currentel
    0xf100_109f, // 94: cmp x4, #0x4
    0x5400_0241, // 98: b.ne e0
    0xd538_4204, // 9c: mrs x4, spsel
    0xf100_049f, // a0: cmp x4, #0x1
    0x5400_01e1, // a4: b.ne e0
    0xd2a8_0214, // a8: mov x20, #0x40100000
    0xf940_0685, // ac: ldr x5, [x20, #8]
    0x9100_04a5, // b0: add x5, x5, #0x1
    0xeb00_00bf, // b4: cmp x5, x0
    0x5400_0141, // b8: b.ne e0
    0xf900_0685, // bc: str x5, [x20, #8]
    0xd29f_ffe4, // c0: mov x4, #0xffff
    0xd518_c004, // c4: msr vbar_el1, x4
    0xd503_4fff, // c8: msr daifclr, #0xf
    0xd280_0064, // cc: mov x4, #0x3
    0xd51b_e324, // d0: msr cntv_ctl_el0, x4
    0xd2b0_8000, // d4: mov x0, #0x84000000
    0xf280_0040, // d8: movk x0, #0x2
    0xd400_0002, // dc: hvc #0x0
    0xd2a8_0214, // e0: bad: mov x20, #0x40100000
    0x1280_0004, // e4: mov w4, #0xffffffff
    0xb900_0284, // e8: str w4, [x20]
    0x17ff_fffd, // ec: b e0
];

#[test]
fn a_cpu_is_switched_on_and_off_again_and_again() {
    for accel in ["jit", "interp"] {
        let options = ["--arch", "aarch64", "--smp", "2", "--accel", accel];
        let switched = operated(&SWITCHES, &options, |handle| {
            wait_for_more(handle, 2_000);
            handle.ask(|machine| count(&ram(machine))).unwrap()
        });

        assert_ne!(switched, u32::MAX, "{accel}");
    }
}

/// Four CPUs, each with interrupts masked: a timer of 48 us, a wait for interrupts until it is due, and a wait for the others.
const NAPS: [u32; 47] = [
    0xd538_00a1, // 00: mrs x1, mpidr_el1
    0x9240_1c21, // 04: and x1, x1, #0xff
    0xb500_0161, // 08: cbnz x1, 34
    0xd280_0036, // 0c: mov x22, #0x1
    0xd2b8_8000, // 10: 1: mov x0, #0xc4000000
    0xf280_0060, // 14: movk x0, #0x3
    0xaa16_03e1, // 18: mov x1, x22
    0x1000_00c2, // 1c: adr x2, 34
    0xd400_0002, // 20: hvc #0x0
    0xb500_0000, // 24: cbnz x0, 24
    0x9100_06d6, // 28: add x22, x22, #0x1
    0xf100_12df, // 2c: cmp x22, #0x4
    0x54ff_ff01, // 30: b.ne 10
    0xd538_00b3, // 34: each: mrs x19, mpidr_el1
    0x9240_1e73, // 38: and x19, x19, #0xff
    0xd2a8_0214, // 3c: mov x20, #0x40100000
    0x8b13_0e97, // 40: add x23, x20, x19, lsl #3
    0xd2a1_0003, // 44: mov x3, #0x8000000
    0x5280_0024, // 48: mov w4, #0x1
    0xb900_0064, // 4c: str w4, [x3]
    0x52a1_0005, // 50: mov w5, #0x8000000
    0xb901_0065, // 54: str w5, [x3, #256]
    0x9140_4063, // 58: add x3, x3, #0x10, lsl #12
    0x5280_1fe5, // 5c: mov w5, #0xff
    0xb900_0465, // 60: str w5, [x3, #4]
    0xb900_0064, // 64: str w4, [x3]
    0xd280_0015, // 68: mov x21, #0x0
    0x9100_06b5, // 6c: 2: add x21, x21, #0x1
    0xd281_7702, // 70: mov x2, #0xbb8
    0xd51b_e302, // 74: msr cntv_tval_el0, x2
    0xd51b_e324, // 78: msr cntv_ctl_el0, x4
    0xd503_207f, // 7c: 3: wfi
    0xd53b_e322, // 80: mrs x2, cntv_ctl_el0
    0x3617_ffc2, // 84: tbz w2, #2, 7c
    0xd51b_e33f, // 88: msr cntv_ctl_el0, xzr
    0xf900_22f5, // 8c: str x21, [x23, #64]
    0xd503_203f, // 90: 4: yield
    0x9101_0285, // 94: add x5, x20, #0x40
    0xd280_0086, // 98: mov x6, #0x4
    0xf840_84a7, // 9c: 5: ldr x7, [x5], #8
    0xeb15_00ff, // a0: cmp x7, x21
    0x54ff_ff63, // a4: b.cc 90
    0xf100_04c6, // a8: subs x6, x6, #0x1
    0x54ff_ff81, // ac: b.ne 9c
    0xb5ff_fdf3, // b0: cbnz x19, 6c
    0xf900_0295, // b4: str x21, [x20]
    0x17ff_ffed, // b8: b 6c
];

/// A masked interrupt ends a wait, is not taken, and is never missed.
#[test]
fn cpus_that_wait_for_masked_timers_and_each_other_go_on() {
    for accel in ["jit", "interp"] {
        let options = ["--arch", "aarch64", "--smp", "4", "--accel", accel];
        operated(&NAPS, &options, |handle| wait_for_more(handle, 500));
    }
}

/// Looks whether CPU 1 is off, and the interrupt controller, the timer and a register are as at a reset; turns all of them on, and
/// counts that where [`COUNT_64`] counts, all bits set if anything is wrong.
const ANEW: [u32; 53] = [
    0xd2a8_0214, // 00: mov x20, #0x40100000
    0xd2b8_8000, // 04: mov x0, #0xc4000000
    0xf280_0080, // 08: movk x0, #0x4
    0xd280_0021, // 0c: mov x1, #0x1
    0xd280_0002, // 10: mov x2, #0x0
    0xd400_0002, // 14: hvc #0x0
    0xf100_041f, // 18: cmp x0, #0x1
    0x5400_0561, // 1c: b.ne c8
    0xd2a1_0003, // 20: mov x3, #0x8000000
    0x9140_4066, // 24: add x6, x3, #0x10, lsl #12
    0xb940_0064, // 28: ldr w4, [x3]
    0xb942_0465, // 2c: ldr w5, [x3, #516]
    0x2a05_0084, // 30: orr w4, w4, w5
    0xb940_04c5, // 34: ldr w5, [x6, #4]
    0x2a05_0084, // 38: orr w4, w4, w5
    0xd53b_e325, // 3c: mrs x5, cntv_ctl_el0
    0xaa05_0084, // 40: orr x4, x4, x5
    0xd538_c005, // 44: mrs x5, vbar_el1
    0xaa05_0084, // 48: orr x4, x4, x5
    0xb500_03e4, // 4c: cbnz x4, c8
    0x5280_0024, // 50: mov w4, #0x1
    0xb900_0064, // 54: str w4, [x3]
    0xb900_00c4, // 58: str w4, [x6]
    0x5280_1fe5, // 5c: mov w5, #0xff
    0xb900_04c5, // 60: str w5, [x6, #4]
    0x5280_8005, // 64: mov w5, #0x400
    0xb901_0465, // 68: str w5, [x3, #260]
    0xb902_0465, // 6c: str w5, [x3, #516]
    0x52a1_0005, // 70: mov w5, #0x8000000
    0xb901_0065, // 74: str w5, [x3, #256]
    0xd51b_e324, // 78: msr cntv_ctl_el0, x4
    0xd518_c014, // 7c: msr vbar_el1, x20
    0xd2b8_8000, // 80: mov x0, #0xc4000000
    0xf280_0060, // 84: movk x0, #0x3
    0x1000_0182, // 88: adr x2, b8
    0xd400_0002, // 8c: hvc #0x0
    0xb500_01c0, // 90: cbnz x0, c8
    0xf940_0687, // 94: ldr x7, [x20, #8]
    0xf940_0688, // 98: 1: ldr x8, [x20, #8]
    0xeb07_011f, // 9c: cmp x8, x7
    0x54ff_ffc0, // a0: b.eq 98
    0xf940_0a87, // a4: ldr x7, [x20, #16]
    0x9100_04e7, // a8: add x7, x7, #0x1
    0xf900_0a87, // ac: str x7, [x20, #16]
    0xf900_0287, // b0: str x7, [x20]
    0x1400_0000, // b4: b b4
    0xd2a8_0214, // b8: second: mov x20, #0x40100000
    0x9100_0421, // bc: 2: add x1, x1, #0x1
    0xf900_0681, // c0: str x1, [x20, #8]
    0x17ff_fffe, // c4: b bc
    0x1280_0004, // c8: bad: mov w4, #0xffffffff
    0xb900_0284, // cc: str w4, [x20]
    0x17ff_fffe, // d0: b c8
];

#[test]
fn a_reset_finds_nothing_of_the_time_before() {
    for accel in ["jit", "interp"] {
        let options = ["--arch", "aarch64", "--smp", "2", "--accel", accel];
        operated(&ANEW, &options, |handle| {
            for start in 1..=20 {
                until("it starts anew", || {
                    let now = handle.ask(|machine| count(&ram(machine))).unwrap();
                    assert_ne!(now, u32::MAX, "{accel}, {start}");
                    now == start
                });
                handle.ask(|machine| machine.reset().unwrap()).unwrap();
            }
        });
    }
}
