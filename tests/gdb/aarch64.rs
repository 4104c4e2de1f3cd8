//! AArch64 under the debugger: CPUs as threads, tags, registers.

use std::path::PathBuf;

use super::client::{self, Gdb};
use crate::boot;
use crate::guest::{Emu, socket};

/// Two CPUs with the program, of which the first waits before its first instruction.
fn waiting(test: &str, accel: &str) -> Option<(Emu, Gdb)> {
    if !client::is_there(test) {
        return None;
    }
    let options = "-g -O1 -fno-pie -ffreestanding -nostdlib -no-pie -fno-stack-protector -mgeneral-regs-only -Wl,--build-id=none -Wl,-Ttext=0x40200000";
    let options: Vec<&str> = options.split(' ').collect();
    let program: PathBuf = boot::AARCH64.program(test, "tests/gdb/bare.c", &options)?;
    let path = socket(&format!("{test}-{accel}")).to_str()?.to_owned();
    let (listen, kernel) = (format!("unix:{path}"), program.to_str()?);
    let args = ["--arch", "aarch64", "--smp", "2", "--kernel", kernel, "--accel", accel];
    let mut emu = Emu::start(&[&args[..], &["--gdb", &listen, "--gdb-wait"]].concat());
    emu.first_error();
    Some((emu, Gdb::attach(&path, Some(&program))))
}

#[test]
fn cpus_are_threads_that_stop_and_step_alone() {
    for accel in ["jit", "interp"] {
        let Some((_emu, mut gdb)) = waiting("cpus_are_threads_that_stop_and_step_alone", accel) else {
            return;
        };
        assert!(gdb.command("info threads").contains("CPU 1: off"));

        gdb.command("break work_beside");
        let answer = gdb.command("continue");
        assert!(answer.contains("Thread 2 hit Breakpoint 1, work_beside"), "{answer}");
        let threads = gdb.command("info threads");
        assert!(threads.contains("* 2") && threads.contains("(CPU 1: el1"), "{threads}");
        assert!(threads.contains("(CPU 0: el1"), "{threads}");
        let stack = gdb.command("thread apply all backtrace 2");
        assert!(stack.contains("in other ()") && stack.contains("main ()"), "{stack}");

        // One alone: the other stands where it is.
        gdb.command("delete");
        gdb.command("set scheduler-locking on");
        let (first, second) = (gdb.value("rounds[0]"), gdb.value("rounds[1]"));
        gdb.command("thread 1");
        let stands = gdb.value("$pc");
        gdb.command("thread 2");
        gdb.command("tbreak work_beside");
        gdb.command("continue");
        gdb.command("stepi");
        assert_eq!((gdb.value("rounds[0]"), gdb.value("rounds[1]")), (first, second + 1));
        gdb.command("thread 1");
        assert_eq!(gdb.value("$pc"), stands);
        let at = gdb.value("$pc");
        gdb.command("stepi");
        assert_ne!(gdb.value("$pc"), at);
        assert_eq!(gdb.value("rounds[1]"), second + 1);

        // Both: some time the host lets the other run, too.
        gdb.command("set scheduler-locking off");
        let goes_on = (0..1000).any(|_| {
            gdb.command("tbreak store");
            let answer = gdb.command("continue");
            assert!(
                answer.contains("Thread 1 hit") && answer.contains("store (n="),
                "{accel}: {answer}"
            );
            gdb.value("rounds[1]") > second + 1
        });
        assert!(goes_on, "{accel}");
    }
}

/// Tags are no part of what is watched, whether the debugger names them or not; and it reads and writes by them.
#[test]
fn tagged_addresses_are_the_memory_that_they_are() {
    for accel in ["jit", "interp"] {
        let Some((_emu, mut gdb)) = waiting("tagged_addresses_are_the_memory_that_they_are", accel) else {
            return;
        };
        gdb.command("tbreak store if n == 9");
        gdb.command("continue");
        assert_eq!(gdb.value("n"), 9);
        let tagged =
            |tag: u64, n: u64| format!("*(unsigned long *) ((unsigned long) &targets[{n}] | {tag:#x}ul << 56)");

        assert_eq!(gdb.value(&tagged(0x5a, 0)), 8);
        gdb.command(&format!("set var {} = 77", tagged(0x3c, 2)));
        assert_eq!(gdb.value("targets[2]"), 77);
        for (watched, n) in [
            ("targets[3]".to_owned(), 11),
            (tagged(0xa5, 4), 12),
            (tagged(0x11, 5), 13),
        ] {
            let told = gdb.command(&format!("watch {watched}"));
            assert!(told.contains("Hardware watchpoint"), "{told}");
            let answer = gdb.command("continue");
            assert!(answer.contains(&format!("New value = {n}")), "{watched}: {answer}");
            assert_eq!(gdb.value(&format!("targets[{}]", n % 8)), n);
            gdb.command("delete");
        }
        gdb.command("rwatch targets[6]");
        gdb.command("tbreak store if n == 20");
        assert!(
            gdb.command("continue").contains("Temporary breakpoint"),
            "{accel}: it is not read"
        );
        assert_eq!(gdb.value("n"), 20);
    }
}

#[test]
fn registers_of_aarch64_are_read_and_written() {
    let Some((_emu, mut gdb)) = waiting("registers_of_aarch64_are_read_and_written", "interp") else {
        return;
    };
    gdb.command("tbreak work_beside");
    gdb.command("continue");
    for thread in [2, 1] {
        gdb.command(&format!("thread {thread}"));
        for (register, value) in [
            ("$x7", 0x1234_5678_9abc_def0 + thread),
            ("$x30", 0x4020_0000),
            ("$sp", 0x4030_0000 + 16 * thread),
            ("$v3.u[1]", 0xfeed_0000_0000_beef),
            ("$v31.b[15]", 0x7f),
            ("$fpcr", 0x0100_0000),
            ("$fpsr", 0x0800_0001),
            ("$vbar_el1", 0x4020_0800),
            ("$tpidr_el0", u64::MAX - thread),
            ("$cpsr", 0x6000_03c4),
        ] {
            gdb.command(&format!("set {register} = {value}"));
            assert_eq!(gdb.value(register), value, "{register} of {thread}");
        }
        gdb.command("set $v1.d[0] = 2.5");
        assert!(gdb.command("print $v1.d[0]").contains("2.5"));
    }
    gdb.command("thread 2");
    assert_eq!(gdb.value("$tpidr_el0"), u64::MAX - 2, "each has its own");
    // The program maps 39 bits with tags, and nothing above.
    assert_eq!(gdb.value("$pauth_cmask"), 0x007f_ff80_0000_0000);
    let mapped = gdb.command("monitor info memory");
    assert!(mapped.contains("\n0x40000000-0x7fffffff    0x40000000\n"), "{mapped}");
}
