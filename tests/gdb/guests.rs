//! Debian's kernel and a program of ours under the debugger.

use std::path::PathBuf;
use std::time::Duration;

use emu_ir::testing::Random;

use super::client::{self, Gdb};
use crate::boot;
use crate::guest::{Emu, socket};

/// For anything that boots, on a machine that has other things to do.
const BOOT: Duration = Duration::from_secs(120);
/// For a command that may run for ever.
const PATIENCE: Duration = Duration::from_secs(3);

/// Boots Debian's kernel with the program as its init, and waits until it runs.
fn running(test: &str) -> Option<(Emu, String, PathBuf)> {
    if !client::is_there(test) {
        return None;
    }
    let program = boot::ARM.program(test, "tests/gdb/program.c", &["-g", "-O0"])?;
    let kernel = boot::kernel(test)?;
    let initrd = boot::initrd(test, &std::fs::read(&program).unwrap());
    let path = socket(test).to_str()?.to_owned();
    let listen = format!("unix:{path}");
    let mut args = vec!["--kernel", kernel.to_str()?, "--initrd", initrd.to_str()?];
    args.extend([
        "--append",
        "console=ttyAMA0 quiet",
        "--memory",
        "256M",
        "--gdb",
        &listen,
    ]);
    let mut emu = Emu::start(&args);
    emu.expect("PROGRAM", BOOT);
    Some((emu, path, program))
}

#[test]
fn linux_counts_by_the_processors_own_breakpoints() {
    let test = "linux_counts_by_the_processors_own_breakpoints";
    let Some((program, kernel)) = boot::ARM
        .program(test, "tests/gdb/events.c", &["-g", "-O0"])
        .zip(boot::kernel(test))
    else {
        return;
    };
    let initrd = boot::initrd(test, &std::fs::read(&program).unwrap());
    let files = [kernel, initrd].map(|path| path.to_str().unwrap().to_owned());
    let args = [
        "--kernel",
        &files[0],
        "--initrd",
        &files[1],
        "--append",
        "console=ttyAMA0 quiet",
    ];

    let (status, output, _) = Emu::start(&args).end(BOOT);

    assert_eq!(status.code(), Some(0), "{output}");
    // Linux steps over each hit by a breakpoint on every other address.
    assert!(output.contains("SUM 100 950 CALLS 100 ACCESSES 40"), "{output}");
}

/// What the program prints after `n` rounds, of which some were missed.
fn sum(n: u32, missed: u32) -> u32 {
    (3 * (u64::from(n) * (u64::from(n) + 1) / 2) - u64::from(missed)) as u32
}

/// The program goes on and adds as it should.
fn expect_right(emu: &mut Emu, missed: u32) {
    for _ in 0..3 {
        emu.expect("ROUND ", BOOT);
        std::thread::sleep(Duration::from_millis(200));
        let rest = emu.unread();
        let line = rest.lines().next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let round = words.next().and_then(|w| w.parse().ok()).unwrap_or(0);
        assert_eq!(line.trim_end(), format!("{round} SUM {}", sum(round, missed)));
    }
}

#[test]
fn a_program_is_watched_and_changed_and_the_kernel_is_entered() {
    let Some((mut emu, path, program)) = running("a_program_is_watched_and_changed_and_the_kernel_is_entered") else {
        return;
    };
    let mut gdb = Gdb::attach(&path, Some(&program));

    // A stack, and a variable of it.
    gdb.command("break triple");
    assert!(gdb.command("continue").contains("triple (n="));
    let stack = gdb.command("backtrace");
    assert!(stack.contains("in add (n=") && stack.contains("in main ()"), "{stack}");
    let n = gdb.value("n") as u32;
    gdb.command("watch result");
    assert!(gdb.command("continue").contains(&format!("New value = {}", 3 * n)));
    assert_eq!(gdb.value("twice") as u32, 2 * n);
    assert!(
        gdb.command("finish")
            .contains(&format!("Value returned is $1 = {}", 3 * n))
    );

    // Changed, and the guest acts on it.
    gdb.command("delete");
    gdb.command("next");
    let before = gdb.value("total");
    gdb.command("set var more = 0");
    gdb.command("next");
    assert_eq!(gdb.value("total"), before, "nothing was added");

    // Its code, which it cannot write itself: triple returns at once.
    gdb.command("tbreak add");
    assert!(gdb.command("continue").contains("add (n="));
    let k = gdb.value("n") as u32;
    let code = "*(unsigned short *) ((unsigned) triple & ~1)";
    let saved = gdb.value(code);
    gdb.command(&format!("set var {code} = 0x4770"));
    gdb.command("next");
    assert_eq!(gdb.value("more") as u32, k);
    gdb.command(&format!("set var {code} = {saved}"));

    // A function of the program's, called from outside.
    assert_eq!(gdb.value("triple(14)"), 42);

    // The kernel's vector of system calls, and on into the kernel.
    gdb.command("hbreak *0xffff0008");
    assert!(gdb.command("continue").contains("0xffff0008"));
    assert_eq!(gdb.value("$cpsr & 31"), 0x13);
    assert_eq!(gdb.value("$spsr & 31"), 0x10);
    gdb.command("stepi");
    assert!(gdb.value("$pc") >= 0xc000_0000);
    assert!(
        gdb.value("total") >= before,
        "the program's memory is seen from the kernel"
    );
    gdb.command("delete");

    // Back in the program: on to a line further down, and to the next round.
    gdb.command("tbreak add");
    assert!(gdb.command("continue").contains("add (n="));
    let now = gdb.value("n");
    let answer = gdb.command("until 21");
    assert!(answer.contains("return total;"), "{answer}");
    // It stops where the function at hand returns to, too.
    for there in ["in main ()", "triple (n="] {
        let answer = gdb.command("advance triple");
        assert!(answer.contains(there), "{answer}");
    }
    assert_eq!(gdb.value("n"), now + 1);
    gdb.command("detach");

    emu.skip();
    expect_right(&mut emu, 3 * n + 2 * k);
}

const COMMANDS: &[&str] = &[
    "stepi",
    "stepi 7",
    "nexti",
    "step",
    "next",
    "next 3",
    "finish",
    "until",
    "advance triple",
    "continue",
    "continue 3",
    "break triple",
    "break add",
    "hbreak main",
    "tbreak add",
    "tbreak *0xffff0008",
    "break triple if n % 5 == 0",
    "watch total",
    "rwatch scratch[3]",
    "awatch scratch",
    "watch half",
    "delete",
    "info breakpoints",
    "disable",
    "enable",
    "info registers",
    "info all-registers",
    "info threads",
    "backtrace",
    // Not in the kernel, which must not execute a program's pages; and without breakpoints: a call that stops at one has
    // its return lost when the next command leaves the guest.
    "if ($cpsr & 31) == 16\ndelete\nprint triple(4)\nend",
    "print $_siginfo",
    "set var scratch[5] = 5",
    "set $d20 = $d20",
    "print/x $sctlr",
    "x/16i $pc",
    "x/64xb $sp",
    "x/4wx 0",
    "x/4wx 0x09000000",
    "stepi 40",
    "monitor info registers",
    "monitor physical 0x40008000 64",
    "monitor step interrupts on",
    "monitor step interrupts off",
    "set scheduler-locking on",
    "set scheduler-locking off",
    "flushregs",
];

/// `EMU_GDB_SEED` chooses others than the test run's.
#[test]
fn two_hundred_commands_leave_the_guest_running_right() {
    let Some((mut emu, path, program)) = running("two_hundred_commands_leave_the_guest_running_right") else {
        return;
    };
    let seed = std::env::var("EMU_GDB_SEED").map_or(20, |seed| seed.parse().expect("a number"));
    let (mut gdb, mut random) = (Gdb::attach(&path, Some(&program)), Random::new(seed));

    // A call that is interrupted for its slowness is undone.
    gdb.command("set unwindonsignal on");
    for n in 0..200 {
        let line = match random.below(30) {
            0 => format!("detach\ntarget remote {path}"),
            1 => format!("disconnect\ntarget remote {path}"),
            _ => random.pick(COMMANDS).to_owned(),
        };
        gdb.begin(&line);
        // What runs for ever is interrupted; a command that goes on after that is again.
        let mut answer = gdb.answer_within(PATIENCE);
        for _ in 0..20 {
            if answer.is_some() {
                break;
            }
            gdb.interrupt();
            answer = gdb.answer_within(PATIENCE);
        }
        let answer = answer.unwrap_or_else(|| panic!("command {n}, {line}, has no end"));
        assert!(
            !answer.contains("Remote connection closed"),
            "command {n}, {line}: {answer}"
        );
    }
    gdb.command("delete");
    gdb.command("detach");

    assert!(emu.is_running());
    emu.skip();
    expect_right(&mut emu, 0);
}
