//! The same for AArch64.

use super::{ACCELS, traced_on};

/// The vectors' offset: those of exceptions from EL1 with its own stack pointer.
const VECTORS: usize = 0xa00;

/// Takes some exceptions, turns the MMU on with a block of 1 GiB in address space 7, flushes, and powers off. It goes on behind
/// what faults, and where SVC says.
#[rustfmt::skip]
const TOUR: [u32; 38] = [
    0xd538_5209, // a00: mrs x9, esr_el1
    0xd538_402a, // a04: mrs x10, elr_el1
    0xd35a_fd29, // a08: lsr x9, x9, #26
    0xf100_553f, // a0c: cmp x9, #0x15
    0x5400_0060, // a10: b.eq 1f
    0x9100_114a, // a14: add x10, x10, #4
    0xd518_402a, // a18: msr elr_el1, x10
    0xd69f_03e0, // a1c: 1: eret
    0x10ff_ef00, // a20: start: adr x0, vectors
    0xd518_c000, // a24: msr vbar_el1, x0
    0xd280_0041, // a28: mov x1, #2
    0xf100_0421, // a2c: 2: subs x1, x1, #1
    0x54ff_ffe1, // a30: b.ne 2b
    0xd400_0021, // a34: svc #1
    0x0000_0000, // a38: udf #0
    0xd2a6_0001, // a3c: mov x1, #0x30000000
    0xf940_0022, // a40: ldr x2, [x1]
    0xd2a8_0003, // a44: mov x3, #0x40000000
    0xd280_e024, // a48: mov x4, #0x701
    0xf900_0064, // a4c: str x4, [x3]
    0xd2e0_00e5, // a50: mov x5, #0x0007000000000000
    0xaa03_00a5, // a54: orr x5, x5, x3
    0xd518_2005, // a58: msr ttbr0_el1, x5
    0x5800_0166, // a5c: ldr x6, tcr
    0xd518_2046, // a60: msr tcr_el1, x6
    0xd538_1007, // a64: mrs x7, sctlr_el1
    0xb240_00e7, // a68: orr x7, x7, #1
    0xd518_1007, // a6c: msr sctlr_el1, x7
    0xd503_3fdf, // a70: isb
    0x5800_00e8, // a74: ldr x8, off
    0xd508_8745, // a78: tlbi aside1, x5
    0xd508_871f, // a7c: tlbi vmalle1
    0x5800_0080, // a80: ldr x0, off
    0xd400_0002, // a84: hvc #0
    0x0099_0019, // a88: tcr: 39-bit addresses below, none above, 40 physical ones
    0x0000_0002, // a8c: 
    0x8400_0008, // a90: off: SYSTEM_OFF
    0x0000_0000, // a94: 
];

/// The tour behind a branch to its start, as firmware.
fn tour() -> Vec<u32> {
    let mut words = vec![0; VECTORS / 4];
    words[0] = 0x1400_0288; // b start
    words.extend(TOUR);
    words
}

fn traced(name: &str, accel: &str, kinds: &str) -> String {
    traced_on(&["--arch", "aarch64"], &format!("a64-{name}"), &tour(), accel, kinds)
}

#[test]
fn a64_instructions_with_what_they_change_are_the_same_under_both_accelerators() {
    let [jit, interp] = ACCELS.map(|accel| traced("tour", accel, "insns"));

    let expected = "\
insn pc=0000000000000000 mode=el1h 14000288 b #0xa20
insn pc=0000000000000a20 mode=el1h 10ffef00 adr x0, #0x800 ; x0=0000000000000800
insn pc=0000000000000a24 mode=el1h d518c000 msr vbar_el1, x0 ; vbar=0000000000000800
insn pc=0000000000000a28 mode=el1h d2800041 mov x1, #2 ; x1=0000000000000002
insn pc=0000000000000a2c mode=el1h f1000421 subs x1, x1, #1 ; x1=0000000000000001 pstate=200003c5
insn pc=0000000000000a30 mode=el1h 54ffffe1 b.ne #0xa2c
insn pc=0000000000000a2c mode=el1h f1000421 subs x1, x1, #1 ; x1=0000000000000000 pstate=600003c5
insn pc=0000000000000a30 mode=el1h 54ffffe1 b.ne #0xa2c
insn pc=0000000000000a34 mode=el1h d4000021 svc #1 ; elr=0000000000000a38 esr=0000000056000001 spsr=00000000600003c5
insn pc=0000000000000a00 mode=el1h d5385209 mrs x9, esr_el1 ; x9=0000000056000001
insn pc=0000000000000a04 mode=el1h d538402a mrs x10, elr_el1 ; x10=0000000000000a38
insn pc=0000000000000a08 mode=el1h d35afd29 lsr x9, x9, #0x1a ; x9=0000000000000015
insn pc=0000000000000a0c mode=el1h f100553f cmp x9, #0x15
insn pc=0000000000000a10 mode=el1h 54000060 b.eq #0xa1c
insn pc=0000000000000a1c mode=el1h d69f03e0 eret
insn pc=0000000000000a38 mode=el1h 00000000 udf #0 ; esr=0000000002000000
insn pc=0000000000000a00 mode=el1h d5385209 mrs x9, esr_el1 ; x9=0000000002000000
insn pc=0000000000000a04 mode=el1h d538402a mrs x10, elr_el1
insn pc=0000000000000a08 mode=el1h d35afd29 lsr x9, x9, #0x1a ; x9=0000000000000000
insn pc=0000000000000a0c mode=el1h f100553f cmp x9, #0x15 ; pstate=800003c5
insn pc=0000000000000a10 mode=el1h 54000060 b.eq #0xa1c
insn pc=0000000000000a14 mode=el1h 9100114a add x10, x10, #4 ; x10=0000000000000a3c
insn pc=0000000000000a18 mode=el1h d518402a msr elr_el1, x10 ; elr=0000000000000a3c
insn pc=0000000000000a1c mode=el1h d69f03e0 eret ; pstate=600003c5
insn pc=0000000000000a3c mode=el1h d2a60001 mov x1, #0x30000000 ; x1=0000000030000000
insn pc=0000000000000a40 mode=el1h f9400022 ldr x2, [x1] ; elr=0000000000000a40 esr=0000000096000010 far=0000000030000000
insn pc=0000000000000a00 mode=el1h d5385209 mrs x9, esr_el1 ; x9=0000000096000010
insn pc=0000000000000a04 mode=el1h d538402a mrs x10, elr_el1 ; x10=0000000000000a40
insn pc=0000000000000a08 mode=el1h d35afd29 lsr x9, x9, #0x1a ; x9=0000000000000025
insn pc=0000000000000a0c mode=el1h f100553f cmp x9, #0x15 ; pstate=200003c5
insn pc=0000000000000a10 mode=el1h 54000060 b.eq #0xa1c
insn pc=0000000000000a14 mode=el1h 9100114a add x10, x10, #4 ; x10=0000000000000a44
insn pc=0000000000000a18 mode=el1h d518402a msr elr_el1, x10 ; elr=0000000000000a44
insn pc=0000000000000a1c mode=el1h d69f03e0 eret ; pstate=600003c5
insn pc=0000000000000a44 mode=el1h d2a80003 mov x3, #0x40000000 ; x3=0000000040000000
insn pc=0000000000000a48 mode=el1h d280e024 mov x4, #0x701 ; x4=0000000000000701
insn pc=0000000000000a4c mode=el1h f9000064 str x4, [x3]
insn pc=0000000000000a50 mode=el1h d2e000e5 mov x5, #0x7000000000000 ; x5=0007000000000000
insn pc=0000000000000a54 mode=el1h aa0300a5 orr x5, x5, x3 ; x5=0007000040000000
insn pc=0000000000000a58 mode=el1h d5182005 msr ttbr0_el1, x5 ; ttbr0=0007000040000000
insn pc=0000000000000a5c mode=el1h 58000166 ldr x6, #0xa88 ; x6=0000000200990019
insn pc=0000000000000a60 mode=el1h d5182046 msr tcr_el1, x6 ; tcr=0000000200990019
insn pc=0000000000000a64 mode=el1h d5381007 mrs x7, sctlr_el1 ; x7=0000000030d00820
insn pc=0000000000000a68 mode=el1h b24000e7 orr x7, x7, #1 ; x7=0000000030d00821
insn pc=0000000000000a6c mode=el1h d5181007 msr sctlr_el1, x7 ; sctlr=0000000030d00821
insn pc=0000000000000a70 mode=el1h d5033fdf isb
insn pc=0000000000000a74 mode=el1h 580000e8 ldr x8, #0xa90 ; x8=0000000084000008
insn pc=0000000000000a78 mode=el1h d5088745 tlbi aside1, x5
insn pc=0000000000000a7c mode=el1h d508871f tlbi vmalle1
insn pc=0000000000000a80 mode=el1h 58000080 ldr x0, #0xa90 ; x0=0000000084000008
insn pc=0000000000000a84 mode=el1h d4000002 hvc #0
";
    assert_eq!(jit, expected);
    assert_eq!(interp, expected);
}

#[test]
fn a64_blocks_are_logged() {
    for accel in ACCELS {
        let log = traced("blocks", accel, "blocks");

        // The loop's block starts at the loop's second round: the first is part of what comes before.
        let rounds = log.matches("block pc=0000000000000a2c phys=00000a2c mode=el1h insns=2\n");
        assert_eq!(rounds.count(), 1, "{accel}: {log}");
        let handled = log.matches("block pc=0000000000000a00 phys=00000a00 mode=el1h insns=5\n");
        assert_eq!(handled.count(), 3, "{accel}: {log}");
    }
}

#[test]
fn a64_exceptions_say_from_where_to_where_and_why() {
    let expected = "\
exception supervisor-call pc=0000000000000a34 mode=el1h esr=0000000056000001 to=0000000000000a00 mode=el1h
exception undefined pc=0000000000000a38 mode=el1h esr=0000000002000000 to=0000000000000a00 mode=el1h
exception data-abort pc=0000000000000a40 mode=el1h esr=0000000096000010 far=0000000030000000 (external abort) to=0000000000000a00 mode=el1h
";
    for accel in ACCELS {
        assert_eq!(traced("exceptions", accel, "exceptions"), expected, "{accel}");
    }
}

#[test]
fn a64_translation_of_addresses_is_logged() {
    for accel in ACCELS {
        let log = traced("mmu", accel, "mmu");

        let expected = [
            "mmu context asid=7 ttbr0=0000000040000000 ttbr1=0000000000000000 tcr=0000000200990019 control=0000000001 mair=0000000000000000",
            "mmu context unprivileged asid=7 ttbr0=0000000040000000 ttbr1=0000000000000000 tcr=0000000200990019 control=0100000001 mair=0000000000000000",
            "mmu fill fetch va=0000000000000a70 phys=00000000 rwx size=0x40000000 global device",
            "mmu fill read va=0000000000000a90 phys=00000000 rwx size=0x40000000 global device",
            "mmu flush asid=7",
            "mmu flush all",
        ];
        let mut rest = log.lines();
        for line in expected {
            assert!(rest.any(|l| l == line), "{accel}: no {line:?} in its place in {log}");
        }
    }
}
