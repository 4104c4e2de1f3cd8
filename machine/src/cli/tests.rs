//! Command lines, and what they come to.

use std::ffi::OsString;

use clap::CommandFactory;

use super::options::Cli;
use super::{Request, parse};
use crate::config::{Accel, Boot, Config, ConsoleHost, EscapeKey, Handed};
use crate::gdb::address::Address;

fn config(line: &str) -> Config {
    let args = std::iter::once("emu")
        .chain(line.split_whitespace())
        .map(OsString::from);
    match parse(args).unwrap() {
        Request::Run(config) => *config,
        Request::Print(_) => panic!("{line} prints"),
    }
}

fn error(line: &str) -> String {
    let args = std::iter::once("emu")
        .chain(line.split_whitespace())
        .map(OsString::from);
    let error = parse(args).unwrap_err();
    assert_eq!(error.exit_status(), 2);
    error.to_string()
}

#[test]
fn defaults_boot_debian() {
    let config = config("");

    assert_eq!(
        config.boot,
        Boot::Debian {
            initrd: None,
            append: String::new()
        }
    );
    assert_eq!((config.memory, config.cpus, config.accel), (1 << 30, 1, Accel::Jit));
    assert_eq!((config.cpu.as_str(), config.escape), ("cortex-a15", EscapeKey::DEFAULT));
    assert_eq!(config.code_cache, emu_jit::engine::CODE_CACHE as u64);
}

#[test]
fn own_kernel() {
    let config =
        config("--kernel k --initrd i --append -x --memory 64M --cpu cortex-a7 --accel interp --no-reboot -vv");

    let boot = Boot::Kernel {
        kernel: "k".into(),
        initrd: Some("i".into()),
        append: "-x".into(),
    };
    assert_eq!(config.boot, boot);
    assert_eq!(
        (config.memory, config.accel, config.no_reboot, config.verbose),
        (64 << 20, Accel::Interp, true, 2)
    );
}

#[test]
fn devices_are_left_out_one_by_one_or_several_at_once() {
    let config = config("--no-device pl031,virtio-rng --no-device pl061");

    assert_eq!(config.left_out, ["pl031", "virtio-rng", "pl061"]);
    assert_eq!(config.serial, ConsoleHost::Stdio);
}

#[test]
fn without_the_serial_port_only_programs_by_semihosting_have_its_place() {
    let serial = |line: &str| config(&format!("--no-device pl011 {line}")).serial;

    assert_eq!(serial(""), ConsoleHost::Null);
    assert_eq!(serial("--serial null"), ConsoleHost::Null);
    assert_eq!(serial("--kernel k --semihosting"), ConsoleHost::Stdio);
    let expected = "--no-device pl011: pl011 is missing, and --serial says where it is on the host; leave one of the two \
                    options out";
    assert_eq!(error("--no-device pl011 --serial stdio"), expected);
}

#[test]
fn a_debugger_has_an_address_by_default() {
    let gdb = |line| config(line).gdb.map(|a| a.to_string());

    assert_eq!(gdb(""), None);
    assert_eq!(gdb("--gdb").as_deref(), Some(Address::DEFAULT));
    assert_eq!(gdb("--gdb-wait").as_deref(), Some(Address::DEFAULT));
    assert_eq!(gdb("--gdb unix:s --no-reboot").as_deref(), Some("unix:s"));
    assert_eq!(gdb("--gdb --no-reboot").as_deref(), Some(Address::DEFAULT));
    assert_eq!(gdb("--gdb 99").as_deref(), Some("tcp::99"));
    assert_eq!(gdb("--gdb :99").as_deref(), Some("tcp::99"));
}

#[test]
fn qemus_spellings_mean_the_same() {
    let pairs = [
        ("-kernel k -initrd i -append x", "--kernel k --initrd i --append x"),
        (
            "-M virt -m 256M -smp 1 -nographic",
            "--board virt --memory 256M --smp 1",
        ),
        (
            "--machine virt,highmem=off,gic-version=2 -m size=1G",
            "--gic 2 --memory 1G",
        ),
        ("-M virt,gic-version=max,its=on -smp 9", "--gic 3 --smp 9"),
        ("-machine dumpdtb=f,type=virt", "--dump-dtb f"),
        (
            "-cpu cortex-a7 -bios f -no-reboot -dtb d",
            "--cpu cortex-a7 --firmware f --no-reboot --dtb d",
        ),
        ("-s -S -smp cpus=1", "--gdb --gdb-wait"),
        ("-gdb tcp::99", "--gdb tcp::99"),
        (
            "-serial mon:stdio -display none -monitor none -nic none",
            "--serial stdio",
        ),
        ("-serial unix:s,server=on,wait=off", "--serial unix:s"),
        ("-serial none -accel tcg,thread=multi", "--serial null --accel jit"),
        ("-vv -m64M", "--verbose --verbose --memory 64M"),
        // A value is none.
        ("--append -nographic -append -s", "--append -nographic --append -s"),
    ];
    for (qemus, ours) in &pairs[..pairs.len() - 1] {
        assert_eq!(config(qemus), config(ours), "{qemus}");
    }
    assert_eq!(error(pairs[12].0), "--append: given more than once");
}

#[test]
fn firmware_is_handed_a_kernel() {
    let boot = config("--firmware f --firmware-vars v --kernel k --append x").boot;

    let handed = Handed {
        kernel: "k".into(),
        initrd: None,
        append: "x".into(),
    };
    let expected = Boot::Firmware {
        image: "f".into(),
        vars: Some("v".into()),
        handed: Some(handed),
    };
    assert_eq!(boot, expected);
}

#[test]
fn complaints_name_the_option_and_the_reason_in_one_line() {
    let cases = [
        (
            "--arch mips",
            "--arch mips: unknown architecture; emu has: arm, aarch64, i386, x86_64",
        ),
        (
            "--arch i386 --board virt",
            "--board virt: --arch i386 has no such board; it has: microvm",
        ),
        (
            "--arch x86_64 --dump-dtb d",
            "--dump-dtb: --arch x86_64, --board microvm: kernels are told of the board by ACPI's tables, not by a device tree",
        ),
        (
            "--arch x86_64 --firmware f",
            "--firmware: --arch x86_64, --board microvm: it has no flash for firmware; --kernel takes kernels for it",
        ),
        (
            "--arch i386 --cpu max,+lm",
            "--cpu max,+lm: lm: --arch i386 has no long mode; --arch x86_64 has",
        ),
        (
            "--arch i386 --gic 2",
            "--gic: --arch i386, --board microvm: its interrupt controllers are APICs",
        ),
        (
            "--arch i386 --semihosting",
            "--semihosting: --arch i386, --board microvm: no program for it knows semihosting; isa-debug-exit at port 0xf4 ends emu with a status",
        ),
        ("--arch i386 --smp 256", "--smp 256: board microvm has at most 255 CPUs"),
        (
            "--board pc",
            "--board pc: unknown board; emu has: virt (ARM), microvm (x86)",
        ),
        (
            "--cpu z80",
            "--cpu z80: unknown CPU model; --arch arm has: cortex-a15, cortex-a7",
        ),
        (
            "--cpu cortex-a7,lse=off",
            "--cpu cortex-a7,lse=off: the features of cortex-a7 are fixed",
        ),
        (
            "--arch arm64 --cpu max,lse=maybe",
            "--cpu max,lse=maybe: lse is on or off, not maybe",
        ),
        (
            "--arch aarch64 --cpu cortex-a15",
            "--cpu cortex-a15: unknown CPU model; --arch aarch64 has: max, cortex-a53, cortex-a57, cortex-a72, neoverse-n1",
        ),
        ("--accel kvm", "--accel kvm: not yet there; emu has: jit, interp"),
        (
            "--memory 0",
            "--memory 0: no memory at all; board virt needs at least 1 MiB",
        ),
        (
            "--memory 1P",
            "--memory 1P: 1 PiB is more than board virt can have (255 GiB)",
        ),
        (
            "--memory lots",
            "--memory lots: not a size; write a whole number with K, M, G or T, such as 1024M",
        ),
        (
            "--code-cache 64K",
            "--code-cache 64K: at least 8 MiB are needed, and at most 4 GiB of use",
        ),
        (
            "--code-cache 5G",
            "--code-cache 5G: at least 8 MiB are needed, and at most 4 GiB of use",
        ),
        (
            "--code-cache -1",
            "--code-cache -1: not a size; write a whole number with K, M, G or T, such as 1024M",
        ),
        ("--smp 0", "--smp 0: a machine needs a CPU"),
        ("--smp 124", "--smp 124: board virt has at most 123 CPUs"),
        (
            "--gic 4",
            "--gic 4: not a version of the interrupt controller; emu has: 2, 3",
        ),
        (
            "--gic 2 --smp 9",
            "--gic 2: serves at most 8 CPUs, not the 9 of --smp; --gic 3 does",
        ),
        ("--smp -1", "--smp -1: not a number of CPUs"),
        (
            "--escape x",
            "--escape x: not a key; write ^ and a character (^] or ^a), or none",
        ),
        (
            "--kernal k",
            "--kernal: unknown option; did you mean --kernel? (emu --help)",
        ),
        (
            "--gdb host",
            "--gdb host: not an address; write PORT, tcp:HOST:PORT or unix:PATH",
        ),
        (
            "--gdb tcp::65536",
            "--gdb tcp::65536: not a port: \"65536\"; ports are numbers up to 65535",
        ),
        ("--kernel", "--kernel: a value is missing"),
        ("-boot d", "-boot: unknown option (emu --help)"),
        ("-no-acpi", "-no-acpi: unknown option (emu --help)"),
        ("-mem-path x", "-mem-path: unknown option (emu --help)"),
        ("-vx", "-vx: unknown option (emu --help)"),
        (
            "--firmware-vars v",
            "--firmware-vars: goes with --firmware, which is missing",
        ),
        (
            "--kernel k --semihosting-args x",
            "--semihosting-args: goes with --semihosting, which is missing",
        ),
        ("--kernel a --kernel b", "--kernel: given more than once"),
        (
            "--initrd a --firmware b",
            "--initrd: goes with a --kernel for the firmware to start",
        ),
        ("-m 256", "-m 256: sizes are in bytes; write 256M for that many MiB"),
        (
            "-d int",
            "-d: an option of QEMU's; --trace KINDS FILE logs what the CPU does",
        ),
        (
            "-drive file=x",
            "-drive: an option of QEMU's; there are no disks yet; --initrd is a file system",
        ),
        (
            "-M virt,secure=on",
            "-M virt,secure=on: secure=on: a property of QEMU's that emu's boards have not",
        ),
        (
            "-machine pc",
            "--board pc: unknown board; emu has: virt (ARM), microvm (x86)",
        ),
        (
            "-smp 2,cores=2",
            "-smp 2,cores=2: emu's --smp is the number of CPUs alone",
        ),
        (
            "-serial tcp:1",
            "--serial tcp:1: not one of stdio, pty, unix:PATH, file:PATH, null",
        ),
        ("-accel kvm", "--accel kvm: not yet there; emu has: jit, interp"),
        ("-M", "-M: a value is missing"),
        ("--no-reboot=yes", "--no-reboot: takes no value"),
        (
            "zImage",
            "zImage: emu takes options only; a kernel is named by --kernel (emu --help)",
        ),
        (
            "--completions tcsh",
            "--completions tcsh: not one of bash, elvish, fish, powershell, zsh",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(error(line), expected, "for {line}");
    }
}

#[test]
fn help_documents_every_exit_status() {
    let Request::Print(help) = parse(["emu", "--help"].map(OsString::from)).unwrap() else {
        panic!("no help")
    };
    let help = String::from_utf8(help).unwrap();

    for line in ["  0  ", "  1  ", "  2  ", "  3  ", "  128+N  "] {
        assert!(help.contains(&format!("\n{line}")), "{line:?} is missing");
    }
}

#[test]
fn the_command_is_consistent() {
    Cli::command().debug_assert();
}
