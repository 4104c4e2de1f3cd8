//! Machines with a GICv3.

use super::*;

/// With SPI 10 pending and interrupts unmasked, lets it through by the priority mask; the handler says its number and, from bit
/// 16 on, where it came from, and in bit 31 whether an instruction behind was executed.
const UNMASK: [u32; 30] = [
    0xea00_0005, // 00: b 1c
    0,
    0,
    0,
    0,
    0,
    0xea00_0010, // 18: b 60
    0xe3a0_0302, // 1c: mov r0, #0x08000000
    0xe3a0_1002, // 20: mov r1, #2
    0xe580_1000, // 24: str r1, [r0]: GICD_CTLR
    0xe3a0_1b01, // 28: mov r1, #0x400
    0xe580_1084, // 2c: str r1, [r0, #0x84]: GICD_IGROUPR1
    0xe580_1104, // 30: str r1, [r0, #0x104]: GICD_ISENABLER1
    0xe580_1204, // 34: str r1, [r0, #0x204]: GICD_ISPENDR1
    0xe3a0_3101, // 38: mov r3, #0x40000000
    0xe383_3601, // 3c: orr r3, r3, #0x100000
    0xe3a0_6000, // 40: mov r6, #0
    0xe3a0_4001, // 44: mov r4, #1
    0xee0c_4ffc, // 48: mcr p15, 0, r4, c12, c12, 7: ICC_IGRPEN1
    0xf108_0080, // 4c: cpsie i
    0xe3a0_50f8, // 50: mov r5, #0xf8
    0xee04_5f16, // 54: mcr p15, 0, r5, c4, c6, 0: ICC_PMR
    0xe3a0_6001, // 58: mov r6, #1
    0xeaff_fffe, // 5c: b 5c
    0xee1c_7f1c, // 60: mrc p15, 0, r7, c12, c12, 0: ICC_IAR1
    0xe24e_e004, // 64: sub lr, lr, #4
    0xe087_780e, // 68: add r7, r7, lr, lsl #16
    0xe087_7f86, // 6c: add r7, r7, r6, lsl #31
    0xe583_7000, // 70: str r7, [r3]
    0xeaff_fffe, // 74: b 74
];
/// The same for AArch64.
const UNMASK_64: [u32; 18] = [
    0xd2a1_0000, // 00: mov x0, #0x08000000
    0x5280_0041, // 04: mov w1, #2
    0xb900_0001, // 08: str w1, [x0]: GICD_CTLR
    0x5280_8001, // 0c: mov w1, #0x400
    0xb900_8401, // 10: str w1, [x0, #0x84]: GICD_IGROUPR1
    0xb901_0401, // 14: str w1, [x0, #0x104]: GICD_ISENABLER1
    0xb902_0401, // 18: str w1, [x0, #0x204]: GICD_ISPENDR1
    0xd281_0002, // 1c: mov x2, #0x800
    0xd518_c002, // 20: msr vbar_el1, x2
    0xd2a8_0203, // 24: mov x3, #0x40100000
    0xd280_0006, // 28: mov x6, #0
    0xd280_0024, // 2c: mov x4, #1
    0xd518_cce4, // 30: msr icc_igrpen1_el1, x4
    0xd503_42ff, // 34: msr daifclr, #2
    0xd280_1f05, // 38: mov x5, #0xf8
    0xd518_4605, // 3c: msr icc_pmr_el1, x5
    0xd280_0026, // 40: mov x6, #1
    0x1400_0000, // 44: b 44
];
/// Its handler, at the vector of IRQs, 0xa80.
const HANDLER_64: [u32; 6] = [
    0xd538_cc07, // mrs x7, icc_iar1_el1
    0xd538_4028, // mrs x8, elr_el1
    0x0b08_40e7, // add w7, w7, w8, lsl #16
    0x0b06_7ce7, // add w7, w7, w6, lsl #31
    0xb900_0067, // str w7, [x3]
    0x1400_0000, // b .
];

#[test]
fn a_write_to_the_priority_mask_counts_at_the_next_instruction() {
    let mut wide = UNMASK_64.to_vec();
    wide.resize(0xa80 / 4, 0);
    wide.extend(HANDLER_64);
    for (arch, words, next) in [("arm", &UNMASK[..], 0x58), ("aarch64", &wide, 0x40)] {
        for accel in ["jit", "interp"] {
            let seen = operated(words, &["--arch", arch, "--gic", "3", "--accel", accel], |handle| {
                wait_for_more(handle, 0);
                handle.ask(|machine| count(&ram(machine))).unwrap()
            });

            assert_eq!(seen, next << 16 | 42, "{arch} {accel}");
        }
    }
}

/// Four CPUs, of which one runs, and their interrupt controller there and back.
#[test]
fn a_machine_with_a_gicv3_is_saved_and_loaded() {
    let options = ["--arch", "aarch64", "--gic", "3", "--smp", "4"];
    let (state, memory) = operated(&COUNT_64, &options, |handle| {
        wait_for_more(handle, 1_000);
        handle.ask(there_and_back).unwrap()
    });
    let load = |more: &[&str]| {
        let (state, memory) = (state.clone(), memory.clone());
        let refusal = move |machine: &mut dyn Control| machine.load(&state, &mut memory.as_slice()).err();
        operated(&COUNT_64, more, |handle| {
            handle.ask(refusal).unwrap().map(|error| error.to_string())
        })
    };

    assert!(text(&state).contains("\"model\":\"gicv3\""));
    assert_eq!(load(&options), None);
    let other = load(&["--arch", "aarch64", "--gic", "2", "--smp", "4"]).unwrap();
    assert!(other.ends_with("it is of a machine without gicv2m@8020000"), "{other}");
}
