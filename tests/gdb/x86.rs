//! x86 under the debugger: a program under Linux in both widths, and real mode.

use std::path::PathBuf;
use std::time::Duration;

use super::client::{self, Gdb};
use crate::boot::{self, Debian};
use crate::guest::{Emu, socket};

/// For anything that boots, on a machine that has other things to do.
const BOOT: Duration = Duration::from_secs(120);

/// Boots Debian's kernel with the program as its init, and waits until it runs.
fn running(debian: &Debian, test: &str) -> Option<(Emu, Gdb)> {
    if !client::is_there(test) {
        return None;
    }
    let program = debian.program(test, "tests/gdb/program.c", &["-g", "-O0"])?;
    let initrd = debian.initrd(test, &std::fs::read(&program).unwrap());
    let path = socket(&format!("{test}-{}", debian.port)).to_str()?.to_owned();
    let (kernel, listen) = (debian.kernel(test)?, format!("unix:{path}"));
    let args = [
        "--arch",
        debian.arch,
        "--kernel",
        kernel.to_str()?,
        "--initrd",
        initrd.to_str()?,
    ];
    let more = [
        "--append",
        "console=ttyS0 quiet",
        "--memory",
        debian.memory,
        "--gdb",
        &listen,
    ];
    let mut emu = Emu::start(&[&args[..], &more].concat());
    emu.expect("PROGRAM", BOOT);
    Some((emu, Gdb::attach(&path, Some(&program))))
}

#[test]
fn x86_programs_are_watched_and_changed() {
    for debian in [&boot::X86_64, &boot::I386] {
        let Some((mut emu, mut gdb)) = running(debian, "x86_programs_are_watched_and_changed") else {
            continue;
        };
        let [pc, sp, a] = match debian.arch {
            "x86_64" => ["$rip", "$rsp", "$rax"],
            _ => ["$eip", "$esp", "$eax"],
        };

        gdb.command("break triple");
        assert!(gdb.command("continue").contains("triple (n="));
        let stack = gdb.command("backtrace");
        assert!(stack.contains("in add (n=") && stack.contains("in main ()"), "{stack}");
        let n = gdb.value("n") as u32;
        gdb.command("watch result");
        assert!(gdb.command("continue").contains(&format!("New value = {}", 3 * n)));
        let answer = gdb.command("finish");
        assert!(
            answer.contains(&format!("Value returned is $1 = {}", 3 * n)),
            "{answer}"
        );
        assert_eq!(gdb.value(a) as u32, 3 * n);

        // Its code, which it cannot write itself: triple returns at once what is in EAX.
        gdb.command("delete");
        gdb.command("tbreak add");
        assert!(gdb.command("continue").contains("add (n="));
        let saved = gdb.value("*(unsigned char *) triple");
        gdb.command("set var *(unsigned char *) triple = 0xc3");
        gdb.command("tbreak triple");
        gdb.command("continue");
        gdb.command(&format!("set {a} = 1234"));
        gdb.command("finish");
        gdb.command("next");
        assert_eq!(gdb.value("more"), 1234, "{}", debian.arch);
        gdb.command(&format!("set var *(unsigned char *) triple = {saved}"));
        assert_eq!(gdb.value("triple(14)"), 42);

        // Registers of every kind.
        for (register, value) in [
            ("$st0", 3),
            ("$fctrl", 0x27f),
            ("$xmm7.v2_int64[1]", 0x1234_5678_9abc_def0),
            ("$ymm3.v4_int64[3]", 0x0fed_cba9_8765_4321),
            ("$mxcsr", 0x1f80),
            ("$ecx", 0x09ab_cdef),
        ] {
            let register = if pc == "$rip" && register == "$ecx" {
                "$rcx"
            } else {
                register
            };
            let before = gdb.command(&format!("print {register}"));
            gdb.command(&format!("set {register} = {value}"));
            assert_eq!(
                gdb.value(&format!("(unsigned long long) {register}")),
                value,
                "{before}"
            );
        }
        let flags = gdb.command("print $eflags");
        assert!(flags.contains("IF"), "{flags}");
        assert_eq!(gdb.value("$cs & 3"), 3);

        // The kernel, where it takes the program's next system call, and back.
        gdb.command("tbreak write");
        gdb.command("continue");
        let in_kernel = (0..200).any(|_| {
            gdb.command("stepi");
            gdb.value("$cs & 3") == 0
        });
        assert!(in_kernel, "{}", gdb.command(&format!("x/4i {pc}")));
        assert_ne!(gdb.value(sp), 0);
        let said = gdb.command("monitor info registers");
        assert!(said.contains("cr3"), "{said}");
        gdb.command("delete");
        gdb.command("tbreak add");
        assert!(gdb.command("continue").contains("add (n="));
        gdb.command("detach");
        emu.skip();
        emu.expect("ROUND ", BOOT);
    }
}

#[test]
fn real_mode_is_seen_by_linear_addresses() {
    let test = "real_mode_is_seen_by_linear_addresses";
    if !client::is_there(test) {
        return;
    }
    let options = [
        "-nostdlib",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,-Ttext=0x100000",
        "-Wl,-N",
    ];
    let Some(program): Option<PathBuf> = boot::I386.program(test, "tests/gdb/real.S", &options) else {
        return;
    };
    for accel in ["jit", "interp"] {
        let path = socket(&format!("{test}-{accel}")).to_str().unwrap().to_owned();
        let listen = format!("unix:{path}");
        let args = [
            "--arch",
            "i386",
            "--kernel",
            program.to_str().unwrap(),
            "--accel",
            accel,
        ];
        let mut emu = Emu::start(&[&args[..], &["--gdb", &listen, "--gdb-wait"]].concat());
        emu.first_error();
        let mut gdb = Gdb::attach(&path, Some(&program));

        gdb.command("tbreak *(0x10000 + (long) &counting - (long) &real)");
        let answer = gdb.command("continue");
        let here = gdb.value("$pc");
        assert_eq!(here, gdb.value("0x10000 + (long) &counting - (long) &real"), "{answer}");
        assert_eq!(
            (gdb.value("$cs"), gdb.value("$ds"), gdb.value("$eax")),
            (0x1000, 0x1000, 0)
        );
        assert_eq!(gdb.value("$cr0 & 1"), 0);
        let code = gdb.command("x/3xb $pc");
        assert!(code.contains("0x40\t0x01\t0xc3"), "{code}");

        gdb.command("stepi 4");
        assert_eq!((gdb.value("$pc"), gdb.value("$eax"), gdb.value("$ebx")), (here, 1, 1));
        gdb.command("set $eax = 41");
        gdb.command("watch *(short *) 0x10200");
        let answer = gdb.command("continue");
        assert!(answer.contains("New value = 43"), "{answer}");
        gdb.command("delete");
        gdb.command(&format!("set $pc = {here}"));
        gdb.command("stepi");
        assert_eq!(gdb.value("$eax"), 43, "{accel}");
    }
}
