//! Debugging with the real GDB. Where it, the cross compiler or Debian's kernel cannot be had, the tests say so loudly and
//! pass.

mod aarch64;
pub mod client;
mod guests;
mod x86;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::guest::{Emu, firmware, socket};
use client::Gdb;

const SOON: Duration = Duration::from_secs(20);

/// Counts r0 from 1, stores it, loads it and sums it up.
const COUNTING: &[u32] = &[
    0xe3a0_1441, // 00: mov r1, #0x41000000
    0xe3a0_0000, // 04: mov r0, #0
    0xe280_0001, // 08: add r0, r0, #1
    0xe581_0010, // 0c: str r0, [r1, #16]
    0xe591_2010, // 10: ldr r2, [r1, #16]
    0xe083_3002, // 14: add r3, r3, r2
    0xeaff_fffa, // 18: b 8
];
/// Sleeps for ever.
const IDLE: &[u32] = &[0xe320_f003, 0xeaff_fffd];
/// PSCI's SYSTEM_OFF.
const OFF: &[u32] = &[0xe59f_0000, 0xe140_0070, 0x8400_0008];

/// Runs firmware under a debugger that is awaited at the returned path.
fn debugged(name: &str, words: &[u32], more: &[&str]) -> (Emu, String) {
    let (path, image) = (socket(name), firmware(&format!("gdb-{name}"), words));
    let path = path.to_str().unwrap().to_owned();
    let listen = format!("unix:{path}");
    let mut args = vec!["--firmware", image.to_str().unwrap(), "--gdb", &listen];
    args.extend(more);
    let mut emu = Emu::start(&args);
    let line = emu.first_error();
    assert!(
        line.starts_with(&format!(
            "emu: to debug, type: gdb-multiarch -ex \"target remote {path}\""
        )),
        "{line}"
    );
    (emu, path)
}

/// Waits until a guest that does not rest has got some of the host's time.
#[track_caller]
fn spin(emu: &Emu) {
    let (before, deadline) = (emu.cpu_time(), Instant::now() + SOON);
    while emu.cpu_time() < before + Duration::from_millis(50) {
        assert!(Instant::now() < deadline, "the guest stands still");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_waiting_guest_is_stepped_from_its_first_instruction_and_killed() {
    if !client::is_there("a_waiting_guest_is_stepped_from_its_first_instruction_and_killed") {
        return;
    }
    for accel in ["jit", "interp"] {
        let (emu, path) = debugged("wait", COUNTING, &["--gdb-wait", "--accel", accel]);
        let mut gdb = Gdb::attach(&path, None);

        assert_eq!(gdb.value("$pc"), 0);
        for pc in [4, 8, 0xc, 0x10, 0x14, 0x18, 8] {
            gdb.command("stepi");
            assert_eq!(gdb.value("$pc"), pc);
        }
        gdb.command("break *0x14");
        gdb.command("hbreak *0x18");
        for round in 2..5 {
            assert!(gdb.command("continue").contains("Breakpoint 1, "));
            assert_eq!((gdb.value("$r0"), gdb.value("$pc")), (round, 0x14));
            assert!(gdb.command("continue").contains("Breakpoint 2, "));
        }
        let shown = gdb.command("x/wx 0x14");
        assert!(shown.contains("0xe0833002"), "{shown}");
        gdb.command("kill");

        assert_eq!(emu.end(SOON).0.code(), Some(3), "{accel}");
    }
}

#[test]
fn watchpoints_stop_after_the_instruction_that_accessed() {
    if !client::is_there("watchpoints_stop_after_the_instruction_that_accessed") {
        return;
    }
    for accel in ["jit", "interp"] {
        let (_emu, path) = debugged("watch", COUNTING, &["--gdb-wait", "--accel", accel]);
        let mut gdb = Gdb::attach(&path, None);

        gdb.command("watch *(int *) 0x41000010");
        for round in 1..4 {
            let answer = gdb.command("continue");
            let values = format!("Old value = {}\nNew value = {round}", round - 1);
            assert!(answer.contains(&values), "{answer}");
            assert_eq!(gdb.value("$pc"), 0x10);
        }
        gdb.command("delete");
        gdb.command("rwatch *(char *) 0x41000012");
        assert!(gdb.command("continue").contains("Value = 0"));
        assert_eq!((gdb.value("$pc"), gdb.value("$r2")), (0x14, 3));
        gdb.command("delete");
        gdb.command("awatch *(char (*)[32]) 0x41000000");
        for pc in [0x10, 0x14, 0x10] {
            gdb.command("continue");
            assert_eq!(gdb.value("$pc"), pc);
        }
        gdb.command("delete");
        gdb.command("watch *(int *) 0x41000014");
        gdb.command("tbreak *8");
        assert!(gdb.command("continue").contains("Temporary breakpoint"), "{accel}");
    }
}

#[test]
fn clients_come_and_go_and_the_guest_runs_on() {
    if !client::is_there("clients_come_and_go_and_the_guest_runs_on") {
        return;
    }
    let (mut emu, path) = debugged("comings", COUNTING, &[]);
    let mut last = 0;
    for leave in ["detach", "disconnect", ""] {
        spin(&emu);
        let mut gdb = Gdb::attach(&path, None);
        let now = gdb.value("$r0");
        assert_ne!(now, last, "it ran since {leave}");

        gdb.begin_running();
        gdb.interrupt();
        assert!(gdb.answer("continue").contains("SIGINT"));
        last = gdb.value("$r0");
        gdb.command("break *8");
        gdb.command("watch *(int *) 0x41000010");
        gdb.command(leave);
        // Without a command to leave, it dies.
        drop(gdb);
    }

    spin(&emu);
    assert!(emu.is_running());
    emu.signal(Signal::TERM);
    assert_eq!(emu.end(SOON).0.code(), Some(143));
}

#[test]
fn a_power_off_is_the_end_of_the_program_and_of_emu() {
    if !client::is_there("a_power_off_is_the_end_of_the_program_and_of_emu") {
        return;
    }
    for last in ["continue", "stepi"] {
        let (emu, path) = debugged("off", OFF, &["--gdb-wait"]);
        let mut gdb = Gdb::attach(&path, None);
        gdb.command("stepi");

        let answer = gdb.command(last);

        assert!(answer.contains("exited normally"), "{last}: {answer}");
        assert_eq!(emu.end(SOON).0.code(), Some(0));
    }
}

#[test]
fn a_sleeping_guest_is_stopped_stepped_and_reset() {
    if !client::is_there("a_sleeping_guest_is_stopped_stepped_and_reset") {
        return;
    }
    let (emu, path) = debugged("idle", IDLE, &[]);
    let mut gdb = Gdb::attach(&path, None);

    gdb.begin_running();
    gdb.interrupt();
    assert!(gdb.answer("continue").contains("SIGINT"));
    assert_eq!(gdb.value("$pc"), 4);
    for pc in [0, 4, 0] {
        gdb.command("stepi");
        assert_eq!(gdb.value("$pc"), pc, "WFI does not wait");
    }
    gdb.command("set $r5 = 77");
    assert!(gdb.command("info threads").contains("CPU 0: svc"));
    assert!(gdb.command("monitor reset").contains("reset"));
    gdb.command("flushregs");
    assert_eq!((gdb.value("$pc"), gdb.value("$r5")), (0, 0));
    gdb.command("monitor quit");

    assert_eq!(emu.end(SOON).0.code(), Some(3));
}

#[test]
fn registers_and_memory_are_read_and_written() {
    if !client::is_there("registers_and_memory_are_read_and_written") {
        return;
    }
    let (_emu, path) = debugged("state", IDLE, &["--gdb-wait"]);
    let mut gdb = Gdb::attach(&path, None);
    for (register, value) in [
        ("$r7", 0x1234_5678u64),
        ("$sp", 0x4000_8000),
        ("$vbar", 0xffff_0000),
        ("$ttbr0", 0x40_1234_0000),
        ("$sp_irq", 0x4000_9000),
        ("$spsr_abt", 0x1d3),
        ("$fpscr", 0x0300_0000),
        ("$q3.u64[1]", 0xfeed_0000_0000_beef),
        ("$cpsr", 0x6000_01d2),
    ] {
        gdb.command(&format!("set {register} = {value}"));
        assert_eq!(gdb.value(register), value, "{register}");
    }
    assert_eq!(gdb.value("$sp"), 0x4000_9000, "of IRQ mode now");
    gdb.command("set $d1 = 2.5");
    assert!(gdb.command("print $d1").contains("2.5"));

    gdb.command("set *(long long *) 0x40000ffe = 0x1122334455667788");
    assert_eq!(gdb.value("*(unsigned long long *) 0x40000ffe"), 0x1122_3344_5566_7788);
    assert!(
        gdb.command("monitor physical 0x40000ffe 8")
            .contains("88 77 66 55 44 33 22 11")
    );
    gdb.command("monitor physical 0x40002000 set 01 ff");
    assert_eq!(gdb.value("*(unsigned short *) 0x40002000"), 0xff01);
    assert!(gdb.command("x/wx 0x09000018").contains("Cannot access memory"));
    assert!(gdb.command("monitor device 0x09000018").contains("0x000000"));
    assert!(gdb.command("x/wx 0x20000000").contains("Cannot access memory"));
    for (command, answer) in [
        ("monitor help", "physical ADDRESS"),
        ("monitor info registers", "cpsr 600001d2"),
        ("monitor info devices", "pl011"),
        ("monitor info memory", "0x40000000"),
        ("monitor nonsense", "no such command"),
        ("monitor device 0x40000000", "RAM at"),
        ("monitor device 0x3fffffff 1", "nothing answers"),
        ("monitor physical 12x", "not a number"),
        ("monitor physical 0x09000000", "neither RAM nor flash"),
    ] {
        let said = gdb.command(command);
        assert!(said.contains(answer), "{command}: {said}");
    }
}

/// A packet.
fn packet(body: &str) -> Vec<u8> {
    let sum = body.bytes().fold(0u8, |sum, b| sum.wrapping_add(b));
    format!("${body}#{sum:02x}").into_bytes()
}

#[test]
fn a_second_client_is_refused_and_nonsense_is_told_and_survived() {
    let (emu, path) = debugged("nonsense", IDLE, &["--memory", "64M"]);
    let mut first = UnixStream::connect(&path).unwrap();
    first.set_read_timeout(Some(SOON)).unwrap();
    first.write_all(&packet("?")).unwrap();
    let mut answer = [0; 4];
    first.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+$T0");

    let mut second = UnixStream::connect(&path).unwrap();
    second.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(second.read_to_end(&mut Vec::new()).unwrap(), 0, "refused");

    // Half a packet, and gone.
    first.write_all(b"$m4000").unwrap();
    drop(first);
    let garbage = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    for nonsense in [garbage, vec![b'$'; 1 << 20], packet("vCont;x")] {
        let mut client = UnixStream::connect(&path).unwrap();
        client.set_read_timeout(Some(SOON)).unwrap();
        // It may be shown the door in the middle.
        let _ = client.write_all(&nonsense);
        let _ = client.read_to_end(&mut Vec::new());
    }
    emu.signal(Signal::TERM);

    let (status, _, errors) = emu.end(SOON);
    assert_eq!(status.code(), Some(143));
    for told in [
        "a second debugger was refused",
        "went without a word",
        "is disconnected: a packet longer",
    ] {
        assert!(errors.contains(told), "no {told:?} in {errors}");
    }
    assert_eq!(errors.lines().count(), 5, "{errors}");
    assert!(!std::path::Path::new(&path).exists(), "the socket is removed");
}

#[test]
fn a_port_in_use_is_told_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("tcp:127.0.0.1:{}", taken.local_addr().unwrap().port());
    let image = firmware("gdb-taken", IDLE);

    let (status, output, errors) = Emu::start(&["--firmware", image.to_str().unwrap(), "--gdb", &place]).end(SOON);

    assert_eq!((status.code(), output.as_str()), (Some(2), ""));
    assert_eq!(
        errors,
        format!("emu: --gdb {place}: in use by another program; name another address\n")
    );
}

#[test]
fn what_is_at_a_sockets_place_stays_there() {
    let image = firmware("gdb-file", IDLE);
    let place = socket("gdb-file");
    std::fs::write(&place, "mine").unwrap();
    let listen = format!("unix:{}", place.to_str().unwrap());

    let (status, _, errors) = Emu::start(&["--firmware", image.to_str().unwrap(), "--gdb", &listen]).end(SOON);

    assert_eq!(status.code(), Some(2), "{errors}");
    assert_eq!(std::fs::read(&place).unwrap(), b"mine");
    std::fs::remove_file(&place).unwrap();
}

#[test]
fn the_first_line_says_what_to_type_and_the_port_is_the_hosts_own_alone() {
    let image = firmware("gdb-tcp", IDLE);
    let mut emu = Emu::start(&["--firmware", image.to_str().unwrap(), "--gdb", "tcp::0", "--gdb-wait"]);

    let line = emu.first_error();

    let port = line.split(':').nth(3).and_then(|rest| rest.split('"').next());
    let port: u16 = port.unwrap_or_default().parse().unwrap_or_else(|_| panic!("{line}"));
    assert_eq!(
        line,
        format!("emu: to debug, type: gdb-multiarch -ex \"target remote :{port}\"; the guest waits")
    );
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(
        TcpStream::connect(("127.0.0.2", port)).is_err(),
        "on one interface only"
    );
    emu.signal(Signal::TERM);
    assert_eq!(emu.end(SOON).0.code(), Some(143), "a guest that waits is ended");
}
