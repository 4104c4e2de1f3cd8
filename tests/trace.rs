//! `--trace` with guests of a few instructions as firmware.

mod a64;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::guest::{Emu, firmware, kept};

const SOON: Duration = Duration::from_secs(20);
const ACCELS: [&str; 2] = ["jit", "interp"];

/// Takes an exception of each kind but for interrupts, then runs Thumb code with an IT block and powers off.
#[rustfmt::skip]
const TOUR: [u32; 30] = [
    0xea00_000c, // 00: b start
    0xea00_0005, // 04: b und
    0xea00_0005, // 08: b svc
    0xea00_0005, // 0c: b pabt
    0xea00_0005, // 10: b dabt
    0, 0, 0,
    0xe1b0_f00e, // 20: und: movs pc, lr
    0xe1b0_f00e, // 24: svc: movs pc, lr
    0xe25e_f000, // 28: pabt: subs pc, lr, #0
    0xe25e_f004, // 2c: dabt: subs pc, lr, #4
    0, 0,
    0xe3a0_0003, // 38: start: mov r0, #3
    0xe250_0001, // 3c: 1: subs r0, r0, #1
    0x1aff_fffd, // 40: bne 1b
    0xef00_0001, // 44: svc #1
    0xe7f0_00f0, // 48: udf #0
    0xe3a0_1203, // 4c: mov r1, #0x30000000
    0xe591_2000, // 50: ldr r2, [r1]
    0xee0d_1f70, // 54: mcr p15, 0, r1, c13, c0, 3
    0xe28f_300d, // 58: adr r3, thumb + 1
    0xe12f_ff33, // 5c: blx r3
    0xe59f_0000, // 60: ldr r0, off
    0xe140_0070, // 64: hvc #0
    0x8400_0008, // 68: off: SYSTEM_OFF
    0xbf0c_2800, // 6c: thumb: cmp r0, #0; ite eq
    0x2402_2401, // 70: moveq r4, #1; movne r4, #2
    0xbf00_4770, // 74: bx lr; nop
];

/// Turns the MMU on with one section, in address space 7, and flushes.
#[rustfmt::skip]
const PAGES: [u32; 19] = [
    0xe3a0_0101, // 00: mov r0, #0x40000000
    0xe59f_103c, // 04: ldr r1, section
    0xe580_1000, // 08: str r1, [r0]
    0xe3a0_2001, // 0c: mov r2, #1
    0xee03_2f10, // 10: DACR
    0xee02_0f10, // 14: TTBR0
    0xe3a0_3007, // 18: mov r3, #7
    0xee0d_3f30, // 1c: CONTEXTIDR
    0xee11_4f10, // 20: SCTLR
    0xe384_4001, // 24: orr r4, r4, #1
    0xee01_4f10, // 28: SCTLR
    0xf57f_f06f, // 2c: isb
    0xe592_5003, // 30: ldr r5, [r2, #3]
    0xee08_3f57, // 34: TLBIASID
    0xee08_3f17, // 38: TLBIALL
    0xe59f_0000, // 3c: ldr r0, off
    0xe140_0070, // 40: hvc #0
    0x8400_0008, // 44: off: SYSTEM_OFF
    0x0000_0c02, // 48: section: 0, read and write, domain 0
];

/// Lets the physical timer interrupt, and powers off at the interrupt's vector.
#[rustfmt::skip]
const TICK: [u32; 23] = [
    0xea00_0008, // 00: b start
    0, 0, 0, 0, 0,
    0xeaff_ffff, // 18: b 1f
    0xe59f_0000, // 1c: 1: ldr r0, off
    0xe140_0070, // 20: hvc #0
    0x8400_0008, // 24: off: SYSTEM_OFF
    0xe3a0_0302, // 28: start: mov r0, #0x08000000
    0xe3a0_1001, // 2c: mov r1, #1
    0xe580_1000, // 30: GICD_CTLR
    0xe3a0_2101, // 34: mov r2, #0x40000000
    0xe580_2100, // 38: GICD_ISENABLER0: PPI 30
    0xe280_0801, // 3c: add r0, r0, #0x10000
    0xe580_1000, // 40: GICC_CTLR
    0xe3a0_30ff, // 44: mov r3, #0xff
    0xe580_3004, // 48: GICC_PMR
    0xee0e_1f12, // 4c: CNTP_TVAL
    0xee0e_1f32, // 50: CNTP_CTL
    0xf108_0080, // 54: cpsie i
    0xeaff_fffe, // 58: b .
];

/// Goes to and fro between two pages `count` times, and powers off.
fn ping_pong(count: u32) -> Vec<u32> {
    let mut words = vec![0; 0x400];
    words[0] = 0xe59f_2010; // ldr r2, count
    words[1] = 0xea00_03fd; // 04: b 0x1000
    words[2] = 0xe59f_0000; // 08: ldr r0, off
    words[3] = 0xe140_0070; // 0c: hvc #0
    words[4] = 0x8400_0008; // 10: off: SYSTEM_OFF
    words[6] = count;
    words.push(0xe252_2001); // 1000: subs r2, r2, #1
    words.push(0x1aff_fbfe); // 1004: bne 4
    words.push(0xe3a0_3008); // 1008: mov r3, #8
    words.push(0xe12f_ff13); // 100c: bx r3
    words
}

fn log(name: &str) -> PathBuf {
    kept().join(format!("{name}-{}.log", std::process::id()))
}

/// Runs firmware that powers off, and what it logs.
#[track_caller]
fn traced(name: &str, words: &[u32], accel: &str, kinds: &str) -> String {
    traced_on(&[], name, words, accel, kinds)
}

/// The same on a machine of these options.
#[track_caller]
fn traced_on(machine: &[&str], name: &str, words: &[u32], accel: &str, kinds: &str) -> String {
    let name = format!("{name}-{accel}-{kinds}");
    let (image, log) = (firmware(&name, words), log(&name));
    let (image, path) = (image.to_str().unwrap(), log.to_str().unwrap());
    let args = ["--firmware", image, "--accel", accel, "--trace", kinds, path];
    let emu = Emu::start(&[machine, &args].concat());
    let (status, _, errors) = emu.end(SOON);
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""), "{name}");
    fs::read_to_string(log).unwrap()
}

#[test]
fn instructions_with_what_they_change_are_the_same_under_both_accelerators() {
    let [jit, interp] = ACCELS.map(|accel| traced("tour", &TOUR, accel, "insns"));

    let expected = "\
insn pc=00000000 mode=svc/arm ea00000c b #0x38
insn pc=00000038 mode=svc/arm e3a00003 mov r0, #3 ; r0=00000003
insn pc=0000003c mode=svc/arm e2500001 subs r0, r0, #1 ; r0=00000002 cpsr=200001d3
insn pc=00000040 mode=svc/arm 1afffffd bne #0x3c
insn pc=0000003c mode=svc/arm e2500001 subs r0, r0, #1 ; r0=00000001
insn pc=00000040 mode=svc/arm 1afffffd bne #0x3c
insn pc=0000003c mode=svc/arm e2500001 subs r0, r0, #1 ; r0=00000000 cpsr=600001d3
insn pc=00000040 mode=svc/arm 1afffffd bne #0x3c
insn pc=00000044 mode=svc/arm ef000001 svc #1 ; lr=00000048 spsr=600001d3
insn pc=00000008 mode=svc/arm ea000005 b #0x24
insn pc=00000024 mode=svc/arm e1b0f00e movs pc, lr
insn pc=00000048 mode=svc/arm e7f000f0 udf #0 ; lr=0000004c cpsr=600001db spsr=600001d3
insn pc=00000004 mode=und/arm ea000005 b #0x20
insn pc=00000020 mode=und/arm e1b0f00e movs pc, lr ; lr=00000048 cpsr=600001d3 spsr=600001d3
insn pc=0000004c mode=svc/arm e3a01203 mov r1, #0x30000000 ; r1=30000000
insn pc=00000050 mode=svc/arm e5912000 ldr r2, [r1] ; lr=00000058 cpsr=600001d7 spsr=600001d3 dfar=30000000 dfsr=00000008
insn pc=00000010 mode=abt/arm ea000005 b #0x2c
insn pc=0000002c mode=abt/arm e25ef004 subs pc, lr, #4 ; lr=00000048 cpsr=600001d3 spsr=600001d3
insn pc=00000054 mode=svc/arm ee0d1f70 mcr p15, #0, r1, c13, c0, #3 ; tpidruro=30000000
insn pc=00000058 mode=svc/arm e28f300d add r3, pc, #0xd ; r3=0000006d
insn pc=0000005c mode=svc/arm e12fff33 blx r3 ; lr=00000060 cpsr=600001f3
insn pc=0000006c mode=svc/thumb 2800     cmp r0, #0
insn pc=0000006e mode=svc/thumb bf0c     ite eq ; cpsr=60000df3
insn pc=00000070 mode=svc/thumb 2401     moveq r4, #1 ; r4=00000001 cpsr=600019f3
insn pc=00000072 mode=svc/thumb 2402     movne r4, #2 ; cpsr=600001f3
insn pc=00000074 mode=svc/thumb 4770     bx lr ; cpsr=600001d3
insn pc=00000060 mode=svc/arm e59f0000 ldr r0, [pc] ; r0=84000008
insn pc=00000064 mode=svc/arm e1400070 hvc #0
";
    assert_eq!(jit, expected);
    assert_eq!(interp, expected);
}

#[test]
fn every_entry_of_a_block_is_logged() {
    for accel in ACCELS {
        let tour = traced("tour", &TOUR, accel, "blocks");
        let pages = traced("ping-pong", &ping_pong(50), accel, "blocks");

        // The loop's block starts at the loop's second round: the first is part of what comes before.
        let rounds = tour
            .matches("block pc=0000003c phys=0000003c mode=svc/arm insns=2\n")
            .count();
        assert_eq!(rounds, 2, "{accel}: {tour}");
        assert!(
            tour.contains("block pc=0000006c phys=0000006c mode=svc/thumb insns=5\n"),
            "{accel}: {tour}"
        );
        let there = pages
            .matches("block pc=00001000 phys=00001000 mode=svc/arm insns=2\n")
            .count();
        let back = pages
            .matches("block pc=00000004 phys=00000004 mode=svc/arm insns=1\n")
            .count();
        assert_eq!((there, back), (50, 49), "{accel}: {pages}");
    }
}

#[test]
fn exceptions_say_from_where_to_where_and_why() {
    let expected = "\
exception supervisor-call pc=00000044 mode=svc/arm to=00000008 mode=svc/arm
exception undefined pc=00000048 mode=svc/arm to=00000004 mode=und/arm
exception data-abort pc=00000050 mode=svc/arm dfsr=00000008 dfar=30000000 (external abort) to=00000010 mode=abt/arm
";
    for accel in ACCELS {
        assert_eq!(traced("tour", &TOUR, accel, "exceptions"), expected, "{accel}");
        assert_eq!(
            traced("tick", &TICK, accel, "exceptions"),
            "exception irq pc=00000058 mode=svc/arm to=00000018 mode=irq/arm\n",
            "{accel}"
        );
    }
}

#[test]
fn translation_of_addresses_is_logged() {
    for accel in ACCELS {
        let log = traced("pages", &PAGES, accel, "mmu");

        let lines: Vec<&str> = log.lines().collect();
        let expected = [
            "mmu context asid=7 ttbr0=40000000 ttbr1=00000000 ttbcr=00000000 control=00000001 remap=0000000000000000 dacr=00000001",
            "mmu context unprivileged asid=7 ttbr0=40000000 ttbr1=00000000 ttbcr=00000000 control=100000001 remap=0000000000000000 dacr=00000001",
            "mmu fill fetch va=0000002c phys=00000000 rwx size=0x100000 global device",
            "mmu fill read va=00000004 phys=00000000 rwx size=0x100000 global device",
            "mmu flush asid=7",
            "mmu flush all",
        ];
        let mut rest = lines.iter();
        for line in expected {
            assert!(rest.any(|l| *l == line), "{accel}: no {line:?} in its place in {log}");
        }
    }
}

#[test]
fn several_kinds_are_one_log_in_order() {
    let log = traced("tour", &TOUR, "jit", "exceptions,insns");

    let at = log.find("e5912000 ldr r2, [r1] ;").unwrap();
    let next = log[at..].lines().nth(1).unwrap();
    assert!(next.starts_with("exception data-abort pc=00000050"), "{next}");
}

#[test]
fn each_file_gets_its_kinds() {
    let image = firmware("two-logs", &TOUR);
    let (first, second) = (log("first"), log("second"));
    let (first_path, second_path) = (first.to_str().unwrap(), second.to_str().unwrap());

    let emu = Emu::start(&[
        "--firmware",
        image.to_str().unwrap(),
        "--trace",
        "insns",
        first_path,
        "--trace",
        "exceptions",
        second_path,
        "--trace",
        "blocks",
        second_path,
    ]);

    assert_eq!(emu.end(SOON).0.code(), Some(0));
    let kinds = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        ["insn ", "exception ", "block "].map(|kind| text.lines().any(|l| l.starts_with(kind)))
    };
    assert_eq!(kinds(&first), [true, false, false]);
    assert_eq!(kinds(&second), [false, true, true]);
}

#[test]
fn a_signal_ends_the_run_with_whole_lines() {
    let image = firmware("cut", &[0xe290_0001, 0xeaff_fffd]);
    for accel in ACCELS {
        let path = log(accel);
        let args = [
            "--firmware",
            image.to_str().unwrap(),
            "--accel",
            accel,
            "--trace",
            "insns",
            path.to_str().unwrap(),
        ];
        let emu = Emu::start(&args);
        std::thread::sleep(Duration::from_millis(300));
        emu.signal(Signal::TERM);

        let (status, _, _) = emu.end(SOON);

        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(status.code(), Some(143));
        assert!(
            text.ends_with('\n') && text.lines().count() > 100,
            "{accel}: {} bytes",
            text.len()
        );
        let _ = fs::remove_file(path);
    }
}

#[test]
fn a_full_disk_ends_the_run() {
    let spin = firmware("full-spin", &[0xeaff_fffe]);
    let short = firmware("full-short", &TOUR);
    for image in [spin, short] {
        let emu = Emu::start(&["--firmware", image.to_str().unwrap(), "--trace", "insns", "/dev/full"]);

        let (status, _, errors) = emu.end(SOON);

        assert_eq!(status.code(), Some(1));
        assert!(
            errors.starts_with("emu: cannot write --trace /dev/full: No space left on device"),
            "{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn a_file_that_cannot_be_made_or_a_kind_that_is_none_starts_nothing() {
    let image = firmware("no-log", &TOUR);
    let cases: [(&[&str], &str); 4] = [
        (
            &["insns", "/nonexistent/log"],
            "--trace /nonexistent/log: No such file or directory",
        ),
        (&["insns", "/"], "--trace /: Is a directory"),
        (
            &["insn", "log"],
            "--trace insn: unknown kind of event; emu traces: blocks, insns, exceptions, mmu",
        ),
        (&["insns"], "--trace: takes two values: KINDS FILE"),
    ];
    for (values, reason) in cases {
        let mut args = vec!["--firmware", image.to_str().unwrap(), "--trace"];
        args.extend(values);

        let (status, output, errors) = Emu::start(&args).end(SOON);

        assert_eq!(
            (status.code(), output.as_str(), errors),
            (Some(2), "", format!("emu: {reason}\n"))
        );
    }
}
