//! Unmodified guests: Debian's kernel, installer and U-Boot, from its packages. Where those cannot be had, the tests say
//! so loudly and pass.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use emu_firmware::initrd::{File, pack};
use rustix::process::Signal;

use crate::debian::from_package;
use crate::guest::{Emu, kept, skipped};

/// For anything that boots, on a machine that has other things to do.
const BOOT: Duration = Duration::from_secs(120);
/// For the interpreter, which takes three minutes where nothing else runs.
const SLOW_BOOT: Duration = Duration::from_secs(2400);
const SOON: Duration = Duration::from_secs(20);

/// What the first boot, which fetches Debian's kernel, said and how it ended.
struct FirstBoot {
    status: Option<i32>,
    output: String,
    errors: String,
}

/// Boots with nothing but the defaults, once for all tests; the kernel is then in the cache.
fn first_boot() -> &'static FirstBoot {
    static FIRST: OnceLock<FirstBoot> = OnceLock::new();
    FIRST.get_or_init(|| {
        let mut emu = Emu::start(&["--arch", "arm", "--board", "virt"]);
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

/// Debian's kernel, from the first boot's cache.
pub fn kernel(test: &str) -> Option<PathBuf> {
    let boot = first_boot();
    if boot.status == Some(1) {
        skipped(test, boot.errors.trim());
        return None;
    }
    let path = kept().join("emu/debian-12-armhf/vmlinuz");
    assert!(path.exists(), "no {}: {}", path.display(), boot.errors);
    Some(path)
}

/// Debian's initrd with `init` in place of the installer.
pub fn initrd(name: &str, init: &[u8]) -> PathBuf {
    let debian = fs::read(kept().join("emu/debian-12-armhf/initrd.gz")).unwrap();
    let own = pack(&[(
        "init",
        File::Regular {
            bytes: init,
            mode: 0o755,
        },
    )])
    .unwrap();
    let path = kept().join(format!("{name}-{}.cpio.gz", std::process::id()));
    fs::write(&path, [debian, own].concat()).unwrap();
    path
}

#[test]
fn debian_boots_to_a_root_shell_and_powers_off() {
    let test = "debian_boots_to_a_root_shell_and_powers_off";
    if kernel(test).is_none() {
        return;
    }

    let boot = first_boot();

    assert_eq!(boot.status, Some(0), "{}", boot.output);
    for line in ["armv7l", "3"] {
        assert!(
            boot.output.lines().any(|l| l.trim_end() == line),
            "no {line}: {}",
            boot.output
        );
    }
}

/// Boots Debian's kernel with an init of ours.
fn boot(test: &str, init: &str, more: &[&str]) -> Option<Emu> {
    let kernel = kernel(test)?;
    let initrd = initrd(test, init.as_bytes());
    let mut args = vec!["--kernel", kernel.to_str()?, "--initrd", initrd.to_str()?];
    args.extend(["--append", "console=ttyAMA0 quiet"]);
    args.extend(more);
    Some(Emu::start(&args))
}

#[test]
fn an_own_init_runs_and_powers_off() {
    let init = "#!/bin/sh\necho BOOTED $(uname -m)\npoweroff -f\n";
    let Some(emu) = boot("an_own_init_runs_and_powers_off", init, &["--memory", "256M"]) else {
        return;
    };

    let (status, output, _) = emu.end(BOOT);

    assert_eq!(status.code(), Some(0), "{output}");
    assert!(output.contains("BOOTED armv7l"), "{output}");
}

/// Without a console it can say nothing: it is heard of by its power-off.
#[test]
fn linux_needs_no_device_that_can_be_left_out() {
    let all = "pflash,pl011,pl031,fw_cfg,pl061,virtio-mmio,virtio-rng,virtio-console";
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

/// Three minutes of a processor: the longest of the tests.
#[test]
fn the_interpreter_boots_as_well() {
    let init = "#!/bin/sh\necho BOOTED $(uname -m)\npoweroff -f\n";
    let Some(emu) = boot("the_interpreter_boots_as_well", init, &["--accel", "interp"]) else {
        return;
    };

    let (status, output, _) = emu.end(SLOW_BOOT);

    assert_eq!(status.code(), Some(0), "{output}");
    assert!(output.contains("BOOTED armv7l"), "{output}");
}

#[test]
fn the_virtio_console_talks_both_ways() {
    let test = "the_virtio_console_talks_both_ways";
    let init = "#!/bin/sh\nmount -t devtmpfs dev /dev; modprobe virtio_mmio; modprobe virtio_console\n\
                exec 3<>/dev/hvc0; echo ready >&3; read word <&3; echo you said $word >&3; poweroff -f\n";
    let socket = kept().join(format!("hvc-{}", std::process::id()));
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
    let Some(mut emu) = boot("a_reboot_boots_again", init, &[]) else {
        return;
    };

    emu.expect("BOOTED", BOOT);
    emu.expect("BOOTED", BOOT);
    emu.signal(Signal::TERM);

    assert_eq!(emu.end(SOON).0.code(), Some(143));
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
    let image = match from_package("u-boot-qemu", "usr/lib/u-boot/qemu_arm/u-boot.bin") {
        Ok(image) => image,
        Err(reason) => return skipped(test, &reason),
    };
    for accel in ["jit", "interp"] {
        let mut emu = Emu::start(&["--firmware", image.to_str().unwrap(), "--accel", accel]);

        emu.expect("Hit any key to stop autoboot", BOOT);
        emu.send("\r");
        emu.expect("=> ", SOON);
        emu.send("bdinfo\r");
        emu.expect("relocaddr", SOON);
        emu.expect("=> ", SOON);
        emu.send("poweroff\r");

        assert_eq!(emu.end(SOON).0.code(), Some(0), "{accel}");
    }
}

/// The firmware starts the kernel that it is handed, by itself.
#[track_caller]
fn firmware_starts_linux(test: &str, package: &str, image: &str) {
    let image = match from_package(package, image) {
        Ok(image) => image,
        Err(reason) => return skipped(test, &reason),
    };
    let init = "#!/bin/sh\nmount -t proc proc /proc; echo BOOTED $(uname -m) $(cat /proc/cmdline)\npoweroff -f\n";
    let Some(emu) = boot(test, init, &["--firmware", image.to_str().unwrap()]) else {
        return;
    };

    let (status, output, errors) = emu.end(BOOT);

    assert_eq!(status.code(), Some(0), "{output}{errors}");
    assert!(output.contains("BOOTED armv7l console=ttyAMA0 quiet"), "{output}");
}

#[test]
fn u_boot_starts_the_kernel_that_it_is_handed() {
    let test = "u_boot_starts_the_kernel_that_it_is_handed";
    firmware_starts_linux(test, "u-boot-qemu", "usr/lib/u-boot/qemu_arm/u-boot.bin");
}

#[test]
fn edk2_starts_the_kernel_that_it_is_handed() {
    let test = "edk2_starts_the_kernel_that_it_is_handed";
    firmware_starts_linux(test, "qemu-efi-arm", "usr/share/AAVMF/AAVMF32_CODE.fd");
}
