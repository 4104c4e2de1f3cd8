//! How runs end, with guests of a few instructions as firmware.

use std::io::Read;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::guest::{Emu, firmware};

const SOON: Duration = Duration::from_secs(20);

/// `b .`
const SPIN: &[u32] = &[0xeaff_fffe];
/// `1: wfi; b 1b`
const IDLE: &[u32] = &[0xe320_f003, 0xeaff_fffd];
/// Prints H, then calls PSCI's function (the last word) by the instruction before it.
const fn hello(call: u32, function: u32) -> [u32; 6] {
    [0xe3a0_1409, 0xe3a0_0048, 0xe5c1_0000, 0xe59f_0000, call, function]
}
const HVC: u32 = 0xe140_0070;
const SMC: u32 = 0xe160_0070;
const SYSTEM_OFF: u32 = 0x8400_0008;
const SYSTEM_RESET: u32 = 0x8400_0009;
/// Prints `count` times x as the UART takes them, then powers off.
const fn chatter(count: u32) -> [u32; 13] {
    [
        0xe3a0_1409, // mov r1, #0x09000000
        0xe3a0_0078, // mov r0, #'x'
        0xe59f_2020, // ldr r2, count
        0xe591_3018, // 1: ldr r3, [r1, #0x18]
        0xe313_0020, // tst r3, #0x20
        0x1aff_fffc, // bne 1b
        0xe5c1_0000, // strb r0, [r1]
        0xe252_2001, // subs r2, r2, #1
        0x1aff_fff9, // bne 1b
        0xe59f_0000, // ldr r0, function
        HVC,
        SYSTEM_OFF,
        count,
    ]
}

fn run(name: &str, words: &[u32], more: &[&str]) -> Emu {
    let path = firmware(name, words);
    let mut args = vec!["--firmware", path.to_str().unwrap()];
    args.extend(more);
    Emu::start(&args)
}

#[test]
fn power_off_by_either_conduit_ends_with_status_0() {
    for accel in ["jit", "interp"] {
        for (name, call) in [("hvc", HVC), ("smc", SMC)] {
            let emu = run(name, &hello(call, SYSTEM_OFF), &["--accel", accel]);

            let (status, output, _) = emu.end(SOON);

            assert_eq!((status.code(), output.as_str()), (Some(0), "H"), "{name} {accel}");
        }
    }
}

#[test]
fn a_reset_under_no_reboot_ends_with_status_0() {
    let emu = run("no-reboot", &hello(HVC, SYSTEM_RESET), &["--no-reboot"]);

    let (status, output, _) = emu.end(SOON);

    assert_eq!((status.code(), output.as_str()), (Some(0), "H"));
}

#[test]
fn a_reset_starts_the_guest_again() {
    let mut emu = run("reboot", &hello(HVC, SYSTEM_RESET), &[]);

    for _ in 0..5 {
        emu.expect("H", SOON);
    }
    emu.signal(Signal::TERM);

    assert_eq!(emu.end(SOON).0.code(), Some(143));
}

#[test]
fn signals_end_guests_that_spin_idle_or_fault_for_ever() {
    // A jump to where nothing is: the abort's vector leads through empty flash to another abort.
    let lost: &[u32] = &[0xe51f_f004, 0x3000_0000];
    for (name, words) in [("spin", SPIN), ("idle", IDLE), ("lost", lost)] {
        for (signal, expected) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
            for accel in ["jit", "interp"] {
                let emu = run(name, words, &["--accel", accel]);
                std::thread::sleep(Duration::from_millis(300));
                let asked = Instant::now();
                emu.signal(signal);

                let (status, _, _) = emu.end(SOON);

                assert_eq!(status.code(), Some(expected), "{name} {accel}");
                assert!(asked.elapsed() < Duration::from_secs(5), "{name} {accel}");
            }
        }
    }
}

#[test]
fn a_dead_guest_is_told_of_once_at_the_end_or_while_it_runs() {
    // An undefined instruction, whose vector is a branch to itself.
    let lost: &[u32] = &[0xe7f0_00f0, 0xeaff_fffe];
    // `cpsid i; 1: wfi; b 1b`
    let waits: &[u32] = &[0xf10c_0080, 0xe320_f003, 0xeaff_fffd];
    // `cpsid i; wfi; 1: b 1b`: whoever looks wakes it.
    let parks: &[u32] = &[0xf10c_0080, 0xe320_f003, 0xeaff_fffe];
    // `cpsie i; 1: wfi; b 1b`
    let idles: &[u32] = &[0xf108_0080, 0xe320_f003, 0xeaff_fffd];
    let ended = |name: &str, words: &[u32], more: &[&str], after: Duration| {
        let emu = run(name, words, more);
        std::thread::sleep(after);
        emu.signal(Signal::TERM);
        let (status, _, errors) = emu.end(SOON);
        assert_eq!(status.code(), Some(143), "{name}: {errors}");
        errors
    };
    let half = Duration::from_millis(500);

    let lost_at_end = ended("dead-lost", lost, &[], half);
    // An undefined instruction where nobody has set up vectors: what is at 0 is executed, to the end of the flash.
    let astray: &[u32] = &[0xe7f0_00f0];
    let astray_at_end = ended("dead-astray", astray, &["--memory", "64M"], half);
    let waits_at_end = ended("dead-waits", waits, &[], half);
    // `ldr r0, =CPU_OFF; hvc #0`
    let off: &[u32] = &[0xe59f_0000, 0xe140_0070, 0x8400_0002];
    let off_at_end = ended("dead-off", off, &[], half);
    let off_early = ended("dead-off-early", off, &["-v"], Duration::from_secs(5));
    let parks_at_end = ended("dead-parks", parks, &[], half);
    let waits_early = ended("dead-early", waits, &["-v"], Duration::from_secs(8));
    // Kernels idle like `waits`, but have let interrupts through before (GICD_CTLR, GICD_ISENABLER0, GICC_CTLR, GICC_PMR).
    #[rustfmt::skip]
    let armed: &[u32] = &[
        0xe3a0_0302, 0xe3a0_1001, 0xe580_1000, 0xe3e0_2000, 0xe580_2100, 0xe280_0801, 0xe580_1000, 0xe3a0_30ff,
        0xe580_3004,
    ];
    let sleeps_at_end = ended("asleep", &[armed, waits].concat(), &[], half);
    let idles_at_end = ended("alive", &[&[0xe320_f000; 16], idles].concat(), &[], half);
    // With interrupts masked from the reset on: `1: tlbiall; dsb; isb; mov r1, #0x1000; 2: subs r1, r1, #1; bne 2b; b 1b`
    #[rustfmt::skip]
    let works: &[u32] = &[
        0xee08_0f17, 0xf57f_f04f, 0xf57f_f06f, 0xe3a0_1a01, 0xe251_1001, 0x1aff_fffd, 0xeaff_fff8,
    ];
    // `mov r4, #0x09000000; 1: ldr r1, [r4, #0x18]; b 1b`: the UART's flags.
    let polls: &[u32] = &[0xe3a0_4409, 0xe594_1018, 0xeaff_fffd];
    let works_early = ended("works", works, &["-v"], Duration::from_secs(8));
    let works_at_end = ended("works-at-end", works, &[], half);
    let polls_at_end = ended("polls", polls, &[], half);
    // `1: nop; nop; b 1b`: by its lowest place, wherever it is seen.
    let rounds: &[u32] = &[0xe320_f000, 0xe320_f000, 0xeaff_fffc];
    let rounds_early = ended("rounds", rounds, &["-v"], Duration::from_secs(11));

    assert!(
        lost_at_end.contains("it last took an undefined instruction"),
        "{lost_at_end}"
    );
    assert!(astray_at_end.contains("CPU 0 is lost at"), "{astray_at_end}");
    assert!(
        waits_at_end.starts_with("emu: CPU 0 waits at 0x0000000"),
        "{waits_at_end}"
    );
    assert_eq!(waits_early.matches("CPU 0 waits at").count(), 1, "{waits_early}");
    assert!(parks_at_end.contains("CPU 0 loops at"), "{parks_at_end}");
    assert_eq!(off_at_end, "emu: every CPU is off, and none is left to start one\n");
    assert_eq!(off_early.matches("every CPU is off").count(), 1, "{off_early}");
    assert_eq!(idles_at_end, "");
    assert_eq!(sleeps_at_end, "");
    assert!(!works_early.contains("CPU 0"), "{works_early}");
    assert_eq!((works_at_end, polls_at_end), (String::new(), String::new()));
    assert_eq!(
        rounds_early.matches("CPU 0 loops at 0x00000000").count(),
        1,
        "{rounds_early}"
    );
    assert_eq!(rounds_early.matches("CPU 0").count(), 1, "{rounds_early}");
}

#[test]
fn the_power_signal_presses_the_power_key() {
    let waits: [u32; 11] = [
        0xe3a0_1409, // mov r1, #0x09000000
        0xe3a0_0048, // mov r0, #'H'
        0xe5c1_0000, // strb r0, [r1]
        0xe381_1803, // orr r1, r1, #0x00030000, the GPIO
        0xe591_0020, // 1: ldr r0, [r1, #0x20], the power key's pin alone
        0xe310_0008, // tst r0, #8
        0x0aff_fffc, // beq 1b
        0xe59f_0000, // ldr r0, function
        HVC,
        SYSTEM_OFF,
        0,
    ];
    let mut emu = run("power-key", &waits, &[]);
    emu.expect("H", SOON);

    emu.signal(Signal::POWER);

    assert_eq!(emu.end(SOON).0.code(), Some(0));
}

#[test]
fn the_serial_port_may_be_elsewhere() {
    let log = crate::guest::kept().join(format!("serial-{}", std::process::id()));
    let place = format!("file:{}", log.display());

    let emu = run("elsewhere", &hello(HVC, SYSTEM_OFF), &["--serial", &place]);
    let (status, output, _) = emu.end(SOON);

    assert_eq!((status.code(), output.as_str()), (Some(0), ""));
    assert_eq!(std::fs::read(log).unwrap(), b"H");
}

#[test]
fn an_idle_guest_takes_next_to_no_time() {
    let emu = run("rest", IDLE, &[]);
    std::thread::sleep(Duration::from_secs(1));
    let before = emu.cpu_time();

    std::thread::sleep(Duration::from_secs(2));
    let used = emu.cpu_time() - before;

    emu.signal(Signal::TERM);
    assert!(used < Duration::from_millis(60), "{used:?} of 2 s");
}

#[test]
fn output_is_complete_however_slow_its_reader() {
    const COUNT: u32 = 300_000;
    let path = firmware("chatter", &chatter(COUNT));
    let (ours, theirs) = rustix::pipe::pipe().unwrap();
    let input = std::fs::File::open("/dev/null").unwrap().into();
    let mut emu = Emu::start_on(&["--firmware", path.to_str().unwrap()], input, theirs);

    std::thread::sleep(Duration::from_secs(3));
    emu.read(std::fs::File::from(ours));
    let (status, output, _) = emu.end(SOON);

    assert_eq!((status.code(), output.len()), (Some(0), COUNT as usize));
}

#[test]
fn a_signal_ends_a_guest_whose_output_nobody_reads() {
    let path = firmware("unread", &chatter(u32::MAX));
    let (_ours, theirs) = rustix::pipe::pipe().unwrap();
    let input = std::fs::File::open("/dev/null").unwrap().into();
    let emu = Emu::start_on(&["--firmware", path.to_str().unwrap()], input, theirs);

    std::thread::sleep(Duration::from_secs(1));
    emu.signal(Signal::TERM);

    assert_eq!(emu.end(Duration::from_secs(5)).0.code(), Some(143));
}

#[test]
fn the_escape_key_ends_emu_and_the_terminal_is_as_it_was() {
    let path = firmware("terminal", SPIN);
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let terminal = rustix::fs::open(name.as_c_str(), rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty()).unwrap();
    let before = tcgetattr(&terminal).unwrap().local_modes;
    for (key, args) in [(b"\x1d", [].as_slice()), (b"\x01", &["--escape", "^a"])] {
        let mut all = vec!["--firmware", path.to_str().unwrap()];
        all.extend(args);
        let twin = || terminal.as_fd().try_clone_to_owned().unwrap();
        let emu = Emu::start_on(&all, twin(), twin());
        let deadline = Instant::now() + SOON;
        while tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ICANON) {
            assert!(Instant::now() < deadline, "no raw mode");
            std::thread::sleep(Duration::from_millis(10));
        }

        rustix::io::write(&ours, key).unwrap();
        let (status, _, errors) = emu.end(SOON);

        assert_eq!(status.code(), Some(3));
        assert_eq!(tcgetattr(&terminal).unwrap().local_modes, before);
        let lines: Vec<&str> = errors.lines().collect();
        assert!(lines.len() == 2 && lines[0].ends_with("ends emu"), "{errors}");
        assert_eq!(lines[1], "emu: CPU 0 loops at 0x00000000, svc, interrupts masked");
    }
}

#[test]
fn the_device_tree_is_dumped_and_nothing_runs() {
    let path = crate::guest::kept().join(format!("dump-{}.dtb", std::process::id()));
    let firmware = firmware("dump", SPIN);

    let emu = Emu::start(&[
        "--firmware",
        firmware.to_str().unwrap(),
        "--dump-dtb",
        path.to_str().unwrap(),
    ]);
    let (status, output, errors) = emu.end(SOON);

    let mut blob = Vec::new();
    std::fs::File::open(&path).unwrap().read_to_end(&mut blob).unwrap();
    assert_eq!((status.code(), output.as_str(), errors.as_str()), (Some(0), "", ""));
    assert_eq!(blob[..4], [0xd0, 0x0d, 0xfe, 0xed]);
}

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    let kernel = firmware("fails", SPIN);
    let folder = crate::guest::kept().join(format!("fails-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let socket = crate::guest::socket("fails");
    let at = |kind: &str, name: &str| format!("{kind}{}", folder.join(name).display());
    let listens = format!("unix:{}", socket.display());
    let (trace, file, vars) = (at("", "trace"), at("file:", "out"), at("", "vars"));
    let old = folder.join("old");
    std::fs::write(&old, "mine").unwrap();
    let old_vars = at("", "old");
    let nowhere = ["--virtio-console", "unix:/nonexistent/place"];
    for more in [
        &[&["--serial", "null", "--gdb", &listens][..], &nowhere].concat(),
        &vec!["--serial", listens.as_str(), "--gdb", &listens],
        &[&["--serial", &listens][..], &nowhere].concat(),
        &[
            &[
                "--serial",
                &file,
                "--trace",
                "exceptions",
                &trace,
                "--firmware-vars",
                &vars,
            ][..],
            &nowhere,
        ]
        .concat(),
        &[&["--serial", "null", "--firmware-vars", &old_vars][..], &nowhere].concat(),
    ] {
        let emu = Emu::start(&[&["--firmware", kernel.to_str().unwrap()], more.as_slice()].concat());

        let (status, _, errors) = emu.end(SOON);

        assert_eq!(status.code(), Some(2), "{more:?}: {errors}");
        assert!(!socket.exists(), "{more:?}");
        let left: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        assert_eq!(left, std::slice::from_ref(&old), "{more:?}");
    }
    assert_eq!(std::fs::read(&old).unwrap(), b"mine");
}
