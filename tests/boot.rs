//! Unmodified guests: Debian's kernel, installer and U-Boot, from its packages. Where those cannot be had, the tests say
//! so loudly and pass.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use emu_firmware::initrd::{File, pack};
use flate2::read::MultiGzDecoder;
use rustix::process::Signal;

use crate::debian::from_package;
use crate::guest::{Emu, kept, skipped, socket};

/// For anything that boots, on a machine that has other things to do.
const BOOT: Duration = Duration::from_secs(120);
/// For the interpreter, which takes two minutes where nothing else runs.
const SLOW_BOOT: Duration = Duration::from_secs(2400);
const SOON: Duration = Duration::from_secs(20);

/// Debian for an architecture.
pub struct Debian {
    /// The architecture.
    pub arch: &'static str,
    /// Debian's name for it.
    pub port: &'static str,
    /// The board.
    board: &'static str,
    /// Its serial port.
    pub console: &'static str,
    /// What `uname -m` says.
    machine: &'static str,
    /// RAM in which its installer's files have room: half of it is for them.
    pub memory: &'static str,
    /// The cross compiler for it.
    pub compiler: &'static str,
    first: OnceLock<FirstBoot>,
}

const VIRT: [&str; 2] = ["virt", "ttyAMA0"];
const MICROVM: [&str; 2] = ["microvm", "ttyS0"];

const fn debian([board, console]: [&'static str; 2], names: [&'static str; 5]) -> Debian {
    let [arch, port, machine, memory, compiler] = names;
    Debian {
        arch,
        port,
        board,
        console,
        machine,
        memory,
        compiler,
        first: OnceLock::new(),
    }
}

/// For 32-bit ARM.
pub static ARM: Debian = debian(VIRT, ["arm", "armhf", "armv7l", "256M", "arm-linux-gnueabihf-gcc"]);
/// For AArch64.
pub static AARCH64: Debian = debian(VIRT, ["aarch64", "arm64", "aarch64", "512M", "aarch64-linux-gnu-gcc"]);
/// For x86-64.
pub static X86_64: Debian = debian(MICROVM, ["x86_64", "amd64", "x86_64", "512M", "x86_64-linux-gnu-gcc"]);
/// For 32-bit x86.
pub static I386: Debian = debian(MICROVM, ["i386", "i386", "i686", "512M", "i686-linux-gnu-gcc"]);
const ALL: [&Debian; 4] = [&ARM, &AARCH64, &X86_64, &I386];

/// What the first boot, which fetches Debian's kernel, said and how it ended.
struct FirstBoot {
    status: Option<i32>,
    output: String,
    errors: String,
}

impl Debian {
    /// Boots with nothing but the defaults, once for all tests; the kernel is then in the cache.
    fn first_boot(&self) -> &FirstBoot {
        self.first.get_or_init(|| {
            let mut emu = Emu::start(&["--arch", self.arch, "--board", self.board]);
            // The input is there before the guest reads any.
            emu.send("uname -m; mount | grep -c -E ' /(proc|sys|dev) '; poweroff\n");
            let (status, output, errors) = emu.end(BOOT * 3);
            FirstBoot {
                status: status.code(),
                output,
                errors,
            }
        })
    }

    /// A file from the first boot's cache.
    fn file(&self, name: &str) -> PathBuf {
        kept().join(format!("emu/debian-12-{}/{name}", self.port))
    }

    /// A program, built by the cross compiler with these options; says so if there is none.
    pub fn program(&self, test: &str, source: &str, options: &[&str]) -> Option<PathBuf> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        fs::create_dir_all(kept()).unwrap();
        let path = kept().join(format!("{test}-{}-{}", self.port, std::process::id()));
        let mut compiler = Command::new(self.compiler);
        compiler.arg("-static").args(options).arg("-o").arg(&path).arg(source);
        match compiler.output() {
            Ok(output) if output.status.success() => return Some(path),
            Ok(output) => skipped(test, String::from_utf8_lossy(&output.stderr).trim()),
            Err(e) => skipped(test, &format!("{}: {e}", self.compiler)),
        }
        None
    }

    /// Debian's kernel.
    pub fn kernel(&self, test: &str) -> Option<PathBuf> {
        let boot = self.first_boot();
        if boot.status == Some(1) {
            skipped(test, boot.errors.trim());
            return None;
        }
        let path = self.file("vmlinuz");
        assert!(path.exists(), "no {}: {}", path.display(), boot.errors);
        Some(path)
    }

    /// Debian's initrd with `init` in place of the installer.
    pub fn initrd(&self, name: &str, init: &[u8]) -> PathBuf {
        let path = self.initrd_of(name, init);
        let own = fs::read(&path).unwrap();
        fs::write(&path, [fs::read(self.file("initrd.gz")).unwrap(), own].concat()).unwrap();
        path
    }

    /// An initrd of nothing but `init`.
    pub fn initrd_of(&self, name: &str, init: &[u8]) -> PathBuf {
        let init = File::Regular {
            bytes: init,
            mode: 0o755,
        };
        let path = kept().join(format!("{name}-{}-{}.cpio.gz", self.port, std::process::id()));
        fs::write(&path, pack(&[("init", init)]).unwrap()).unwrap();
        path
    }

    /// The same for guests that have time for little: without modules and what few programs need, and not compressed.
    fn small_initrd(&self, name: &str, init: &[u8]) -> PathBuf {
        let path = self.initrd(name, init);
        let mut archives = Vec::new();
        MultiGzDecoder::new(fs::File::open(&path).unwrap())
            .read_to_end(&mut archives)
            .unwrap();
        let small = path.with_extension("");
        fs::write(&small, without(&archives, &["lib/modules/", "usr/", "var/lib/"])).unwrap();
        fs::remove_file(path).unwrap();
        small
    }

    /// Boots Debian's kernel with an init of ours.
    pub fn boot(&self, test: &str, init: &str, more: &[&str]) -> Option<Emu> {
        let kernel = self.kernel(test)?;
        let initrd = self.initrd(test, init.as_bytes());
        let append = format!("console={} quiet", self.console);
        let mut args = vec!["--arch", self.arch, "--board", self.board];
        args.extend(["--kernel", kernel.to_str()?, "--initrd", initrd.to_str()?]);
        args.extend(["--append", &append]);
        args.extend(more);
        Some(Emu::start(&args))
    }
}

/// `newc` archives, one after the other, without what is in these folders.
fn without(archives: &[u8], folders: &[&str]) -> Vec<u8> {
    const HEADER: usize = 110;
    let mut out = Vec::new();
    let mut rest = archives;
    while let Some(start) = rest.windows(6).position(|magic| magic == b"070701") {
        rest = &rest[start..];
        let field = |n: usize| {
            let digits = std::str::from_utf8(&rest[6 + 8 * n..14 + 8 * n]).unwrap();
            usize::from_str_radix(digits, 16).unwrap()
        };
        let (size, name) = (field(6), field(11));
        let contents = (HEADER + name).next_multiple_of(4);
        let (file, after) = rest.split_at((contents + size).next_multiple_of(4));
        let name = String::from_utf8_lossy(&file[HEADER..HEADER + name]);
        if !folders.iter().any(|folder| name.starts_with(folder)) {
            out.extend(file);
        }
        rest = after;
    }
    out
}

/// Debian's kernel for 32-bit ARM.
pub fn kernel(test: &str) -> Option<PathBuf> {
    ARM.kernel(test)
}

/// Debian's initrd for 32-bit ARM with `init` in place of the installer.
pub fn initrd(name: &str, init: &[u8]) -> PathBuf {
    ARM.initrd(name, init)
}

/// Boots Debian's kernel for 32-bit ARM with an init of ours.
fn boot(test: &str, init: &str, more: &[&str]) -> Option<Emu> {
    ARM.boot(test, init, more)
}

#[test]
fn debian_boots_to_a_root_shell_and_powers_off() {
    for debian in ALL {
        if debian.kernel("debian_boots_to_a_root_shell_and_powers_off").is_none() {
            continue;
        }

        let boot = debian.first_boot();

        assert_eq!(boot.status, Some(0), "{}", boot.output);
        for line in [debian.machine, "3"] {
            assert!(
                boot.output.lines().any(|l| l.trim_end() == line),
                "no {line}: {}",
                boot.output
            );
        }
    }
}

#[test]
fn an_own_init_runs_and_powers_off() {
    let init = "#!/bin/sh\necho BOOTED $(uname -m)\npoweroff -f\n";
    for debian in ALL {
        let Some(emu) = debian.boot("an_own_init_runs_and_powers_off", init, &["--memory", debian.memory]) else {
            continue;
        };

        let (status, output, _) = emu.end(BOOT);

        assert_eq!(status.code(), Some(0), "{output}");
        let line = format!("BOOTED {}", debian.machine);
        assert!(output.contains(&line), "{output}");
    }
}

/// Debian for armhf with the kernel of arm64: shell and dynamic linker in AArch32 state.
#[test]
fn a_64_bit_kernel_runs_32_bit_programs() {
    let test = "a_64_bit_kernel_runs_32_bit_programs";
    let (Some(kernel), Some(_)) = (AARCH64.kernel(test), ARM.kernel(test)) else {
        return;
    };
    let init =
        "#!/bin/sh\nmount -t proc proc /proc\necho RUNS $(uname -m) $(grep -c armhf /proc/self/maps); poweroff -f\n";
    let initrd = ARM.initrd(test, init.as_bytes());
    let [kernel, initrd] = [kernel, initrd].map(|path| path.display().to_string());
    for model in ["max", "cortex-a53"] {
        let args = [
            "--arch", "aarch64", "--cpu", model, "--kernel", &kernel, "--initrd", &initrd,
        ];
        let more = ["--append", "console=ttyAMA0 quiet", "--smp", "2"];

        let (status, output, _) = Emu::start(&[&args[..], &more].concat()).end(BOOT);

        assert_eq!(status.code(), Some(0), "{output}");
        let line = output
            .lines()
            .find_map(|line| line.trim().strip_prefix("RUNS aarch64 "));
        let mapped: u32 = line.and_then(|count| count.parse().ok()).unwrap_or_default();
        assert!(mapped > 1, "armhf's libraries: {output}");
    }
}

/// RAM above 4 GiB, and CPU models with and without hardware's help for pages, PAN and atomic instructions.
#[test]
fn every_model_of_aarch64_boots() {
    let init = "#!/bin/sh\nmount -t proc proc /proc; grep MemTotal /proc/meminfo; poweroff -f\n";
    for model in ["cortex-a53", "cortex-a57", "cortex-a72", "neoverse-n1", "max,lse=off"] {
        let more = ["--cpu", model, "--memory", "6G"];
        let Some(emu) = AARCH64.boot("every_model_of_aarch64_boots", init, &more) else {
            return;
        };

        let (status, output, _) = emu.end(BOOT);

        assert_eq!(status.code(), Some(0), "{model}: {output}");
        let total = output.split_whitespace().find_map(|word| word.parse::<u64>().ok());
        assert!(total.is_some_and(|kib| kib > 5 << 20), "{model}: {output}");
    }
}

/// Without a console it can say nothing: it is heard of by its power-off.
#[test]
fn linux_needs_no_device_that_can_be_left_out() {
    let all = "gicv2m,pflash,pl011,pl031,fw_cfg,pl061,virtio-mmio,virtio-rng,virtio-console";
    let init = "#!/bin/sh\npoweroff -f\n";
    let test = "linux_needs_no_device_that_can_be_left_out";
    let Some(emu) = boot(test, init, &["--no-device", all]) else {
        return;
    };

    let (status, output, errors) = emu.end(BOOT);

    assert_eq!((status.code(), output.as_str()), (Some(0), ""), "{errors}");
}

#[test]
fn linux_finds_an_empty_transport_where_a_virtio_device_was_left_out() {
    let test = "linux_finds_an_empty_transport_where_a_virtio_device_was_left_out";
    let init = "#!/bin/sh\nmount -t sysfs sys /sys; modprobe virtio_mmio\n\
                for d in /sys/bus/virtio/devices/*; do echo VIRTIO $(cat $d/device); done\n\
                for d in /sys/class/rtc/*; do echo RTC $d; done; poweroff -f\n";
    let Some(emu) = boot(test, init, &["--no-device", "virtio-rng,pl031"]) else {
        return;
    };

    let (status, output, _) = emu.end(BOOT);

    assert_eq!(status.code(), Some(0), "{output}");
    let found: Vec<&str> = output.lines().map(str::trim_end).collect();
    let console = found
        .iter()
        .filter(|line| line.starts_with("VIRTIO"))
        .collect::<Vec<_>>();
    assert_eq!(console, [&"VIRTIO 0x0003"], "{output}");
    assert!(found.contains(&"RTC /sys/class/rtc/*"), "{output}");
}

/// Each two minutes of a processor: the longest of the tests.
#[test]
fn the_interpreter_boots_as_well() {
    boots_interpreted("the_interpreter_boots_as_well", &ARM);
}

#[test]
fn the_interpreter_boots_aarch64_as_well() {
    boots_interpreted("the_interpreter_boots_aarch64_as_well", &AARCH64);
}

fn boots_interpreted(test: &str, debian: &Debian) {
    let Some(kernel) = debian.kernel(test) else { return };
    let init = "#!/bin/sh\necho BOOTED $(uname -m)\npoweroff -f\n";
    let initrd = debian.small_initrd(test, init.as_bytes());
    let [kernel, initrd] = [kernel, initrd].map(|path| path.display().to_string());
    let mut args = vec![
        "--arch",
        debian.arch,
        "--accel",
        "interp",
        "--append",
        "console=ttyAMA0 quiet",
    ];
    args.extend(["--kernel", &kernel, "--initrd", &initrd]);

    let (status, output, _) = Emu::start(&args).end(SLOW_BOOT);

    assert_eq!(status.code(), Some(0), "{output}");
    let line = format!("BOOTED {}", debian.machine);
    assert!(output.contains(&line), "{output}");
}

/// The kernel's words about its interrupt controller, and whether it takes its interrupts from it, on every CPU.
#[test]
fn linux_takes_its_interrupts_from_a_gicv3() {
    let init = "#!/bin/sh\nmount -t proc proc /proc; dmesg | grep -E 'GICv3|ITS'\n\
                echo CPUS $(grep -c ^processor /proc/cpuinfo); cat /proc/interrupts; poweroff -f\n";
    let cases: [(&Debian, &[&str], u32); 5] = [
        (&AARCH64, &["--gic", "3"], 1),
        (&AARCH64, &["--gic", "3", "--smp", "4"], 4),
        (&AARCH64, &["--smp", "9"], 9),
        (&ARM, &["--gic", "3"], 1),
        (&ARM, &["--gic", "3", "--smp", "4"], 4),
    ];
    for (debian, options, cpus) in cases {
        let more = [options, &["--memory", "512M"]].concat();
        let Some(emu) = debian.boot("linux_takes_its_interrupts_from_a_gicv3", init, &more) else {
            continue;
        };

        let (status, output, _) = emu.end(BOOT);

        assert_eq!(status.code(), Some(0), "{options:?}: {output}");
        assert!(output.contains("GICv3: 256 SPIs implemented"), "{options:?}: {output}");
        let its = "ITS@0x0000000008080000: allocated 8192 Devices";
        assert!(debian.arch == "arm" || output.contains(its), "{options:?}: {output}");
        assert!(output.contains(&format!("CPUS {cpus}")), "{options:?}: {output}");
        let timer = output.lines().find(|line| line.contains("arch_timer"));
        let timer = timer.unwrap_or_else(|| panic!("{options:?}: no timer: {output}"));
        assert!(timer.contains("GICv3"), "{options:?}: {timer}");
        let counts: Vec<u32> = timer
            .split_whitespace()
            .skip(1)
            .map_while(|word| word.parse().ok())
            .collect();
        assert_eq!(counts.len(), cpus as usize, "{options:?}: {timer}");
        assert!(counts.iter().all(|count| *count > 0), "{options:?}: {timer}");
    }
}

#[test]
fn the_virtio_console_talks_both_ways() {
    let test = "the_virtio_console_talks_both_ways";
    let init = "#!/bin/sh\nmount -t devtmpfs dev /dev; modprobe virtio_mmio; modprobe virtio_console\n\
                exec 3<>/dev/hvc0; echo ready >&3; read word <&3; echo you said $word >&3; poweroff -f\n";
    let socket = socket(test);
    let place = format!("unix:{}", socket.display());
    let Some(emu) = boot(test, init, &["--virtio-console", &place]) else {
        return;
    };

    let deadline = Instant::now() + BOOT;
    let mut host = loop {
        match UnixStream::connect(&socket) {
            Ok(host) => break host,
            Err(e) => assert!(Instant::now() < deadline, "{e}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    host.set_read_timeout(Some(BOOT)).unwrap();
    // Linux drops what comes before its driver is ready.
    let mut ready = [0; 5];
    host.read_exact(&mut ready).unwrap();
    host.write_all(b"hello\n").unwrap();
    let (status, output, _) = emu.end(BOOT);
    let mut said = String::new();
    host.read_to_string(&mut said).unwrap();

    assert_eq!((status.code(), &ready), (Some(0), b"ready"), "{output}");
    assert!(said.contains("you said hello"), "{said}");
    assert!(!socket.exists());
}

#[test]
fn a_reboot_boots_again() {
    let init = "#!/bin/sh\necho BOOTED\nreboot -f\n";
    for debian in ALL {
        let more = ["--memory", debian.memory];
        let Some(mut emu) = debian.boot("a_reboot_boots_again", init, &more) else {
            continue;
        };

        emu.expect("BOOTED", BOOT);
        emu.expect("BOOTED", BOOT);
        emu.signal(Signal::TERM);

        assert_eq!(emu.end(SOON).0.code(), Some(143));
    }
}

/// Several x86 CPUs are started, by INIT and the start-up message, and take interrupts of their own timers.
#[test]
fn linux_starts_every_x86_cpu() {
    let init = "#!/bin/sh\nmount -t proc none /proc\necho CPUS $(grep -c ^processor /proc/cpuinfo)\n\
        grep LOC: /proc/interrupts | while read name a b c d rest; do\n\
        [ $a -gt 0 -a $b -gt 0 -a $c -gt 0 -a $d -gt 0 ] && echo TIMERS RUN; done\npoweroff -f\n";
    for debian in [&X86_64, &I386] {
        let more = ["--memory", debian.memory, "--smp", "4"];
        let Some(emu) = debian.boot("linux_starts_every_x86_cpu", init, &more) else {
            continue;
        };

        let (status, output, _) = emu.end(BOOT);

        assert_eq!(status.code(), Some(0), "{output}");
        assert!(output.contains("CPUS 4") && output.contains("TIMERS RUN"), "{output}");
    }
}

#[test]
fn the_installer_shows_its_first_menu_and_rests() {
    let Some(kernel) = kernel("the_installer_shows_its_first_menu_and_rests") else {
        return;
    };
    let initrd = kept().join("emu/debian-12-armhf/initrd.gz");
    let files = [
        "--kernel",
        kernel.to_str().unwrap(),
        "--initrd",
        initrd.to_str().unwrap(),
    ];

    let mut emu = Emu::start(&[&files[..], &["--append", "console=ttyAMA0 quiet"]].concat());
    emu.expect("Select a language", BOOT);
    std::thread::sleep(Duration::from_secs(5));
    let before = emu.cpu_time();
    std::thread::sleep(Duration::from_secs(3));
    let used = emu.cpu_time() - before;

    emu.signal(Signal::TERM);
    assert_eq!(emu.end(SOON).0.code(), Some(143));
    assert!(used < Duration::from_millis(90), "{used:?} of 3 s");
}

#[test]
fn u_boot_reaches_its_prompt_and_answers() {
    let test = "u_boot_reaches_its_prompt_and_answers";
    for (arch, image) in [("arm", U_BOOT), ("aarch64", U_BOOT_64)] {
        let image = match from_package("u-boot-qemu", image) {
            Ok(image) => image,
            Err(reason) => return skipped(test, &reason),
        };
        for accel in ["jit", "interp"] {
            let args = ["--arch", arch, "--firmware", image.to_str().unwrap(), "--accel", accel];
            let mut emu = Emu::start(&args);

            emu.expect("Hit any key to stop autoboot", BOOT);
            emu.send("\r");
            emu.expect("=> ", SOON);
            emu.send("bdinfo\r");
            emu.expect("relocaddr", SOON);
            emu.expect("=> ", SOON);
            emu.send("poweroff\r");

            assert_eq!(emu.end(SOON).0.code(), Some(0), "{arch} {accel}");
        }
    }
}

const U_BOOT: &str = "usr/lib/u-boot/qemu_arm/u-boot.bin";
const U_BOOT_64: &str = "usr/lib/u-boot/qemu_arm64/u-boot.bin";

/// What is written to the second flash bank is there in the next run, also when emu is killed: the file is made by the
/// first. Debian's U-Boot takes the bank for a single chip, so that saveenv fails (under QEMU too), and leaves the other
/// chip with a query: the commands are given by hand.
#[test]
fn firmware_keeps_what_it_writes_to_the_second_bank() {
    let test = "firmware_keeps_what_it_writes_to_the_second_bank";
    let erase = ["mw.l 4000000 00200020", "mw.l 4000000 00d000d0"];
    let program = [
        "mw.l 4000000 00400040",
        "mw.l 4000000 12345678",
        "mw.l 4000000 00ff00ff",
    ];
    for (arch, image) in [("arm", U_BOOT), ("aarch64", U_BOOT_64)] {
        let image = match from_package("u-boot-qemu", image) {
            Ok(image) => image,
            Err(reason) => return skipped(test, &reason),
        };
        let folder = tempfile::tempdir().unwrap();
        let vars = folder.path().join("vars");
        let [image, vars] = [&image, &vars].map(|path| path.to_str().unwrap());
        for commands in [&[&erase[..], &program].concat()[..], &[]] {
            let mut emu = Emu::start(&["--arch", arch, "--firmware", image, "--firmware-vars", vars]);
            emu.expect("Hit any key to stop autoboot", BOOT);
            emu.send("\r");
            for command in commands {
                emu.expect("=> ", SOON);
                emu.send(&format!("{command}\r"));
            }
            emu.expect("=> ", SOON);
            emu.send("mw.l 4000000 00ff00ff; md.l 4000000 2\r");
            emu.expect("12345678 ffffffff", SOON);
            emu.signal(Signal::KILL);
            assert_eq!(emu.end(SOON).0.code(), None, "{arch}");
        }
    }
}

/// The firmware starts the kernel that it is handed, by itself.
#[track_caller]
fn firmware_starts_linux(debian: &Debian, test: &str, package: &str, image: &str) {
    let image = match from_package(package, image) {
        Ok(image) => image,
        Err(reason) => return skipped(test, &reason),
    };
    let init = "#!/bin/sh\nmount -t proc proc /proc; echo BOOTED $(uname -m) $(cat /proc/cmdline)\npoweroff -f\n";
    let Some(emu) = debian.boot(test, init, &["--firmware", image.to_str().unwrap()]) else {
        return;
    };

    let (status, output, errors) = emu.end(BOOT);

    assert_eq!(status.code(), Some(0), "{output}{errors}");
    let line = format!("BOOTED {} ", debian.machine);
    let words = output.split(&line).nth(1).and_then(|rest| rest.lines().next());
    assert!(
        words.is_some_and(|words| words.contains("console=ttyAMA0 quiet")),
        "{output}"
    );
}

#[test]
fn u_boot_starts_the_kernel_that_it_is_handed() {
    let test = "u_boot_starts_the_kernel_that_it_is_handed";
    firmware_starts_linux(&ARM, test, "u-boot-qemu", U_BOOT);
    firmware_starts_linux(&AARCH64, test, "u-boot-qemu", U_BOOT_64);
}

#[test]
fn edk2_starts_the_kernel_that_it_is_handed() {
    let test = "edk2_starts_the_kernel_that_it_is_handed";
    firmware_starts_linux(&ARM, test, "qemu-efi-arm", "usr/share/AAVMF/AAVMF32_CODE.fd");
    firmware_starts_linux(&AARCH64, test, "qemu-efi-aarch64", "usr/share/AAVMF/AAVMF_CODE.fd");
}

/// Its shell counts seconds, by a timer whose interrupts it takes from an interrupt controller as it finds it.
#[test]
fn edk2_reaches_its_shell_with_a_gicv3() {
    let test = "edk2_reaches_its_shell_with_a_gicv3";
    let image = match from_package("qemu-efi-aarch64", "usr/share/AAVMF/AAVMF_CODE.fd") {
        Ok(image) => image,
        Err(reason) => return skipped(test, &reason),
    };
    let mut emu = Emu::start(&["--arch", "aarch64", "--gic", "3", "--firmware", image.to_str().unwrap()]);

    emu.expect("Shell> ", BOOT);

    emu.signal(Signal::TERM);
    assert_eq!(emu.end(SOON).0.code(), Some(143));
}
