//! The command line as a shell sees it: exit statuses, and one line for everything that cannot be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of files to name on the command line.
struct Files(PathBuf);

impl Files {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("emu-cli-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.join(name), bytes).unwrap();
    }

    /// Runs emu there, without input and without a cache.
    fn emu(&self, args: &[&str]) -> Output {
        emu(&self.0, args).output().unwrap()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn emu(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
    command
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("XDG_CACHE_HOME", folder.join("cache"));
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The one line that `output` complains with, without "emu: ".
#[track_caller]
fn complaint(output: &Output, status: i32) -> String {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert!(
        output.stdout.is_empty(),
        "something was started: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    let line = text.strip_suffix('\n').unwrap_or_default();
    assert!(!line.is_empty() && !line.contains('\n'), "not one line: {text:?}");
    line.strip_prefix("emu: ")
        .unwrap_or_else(|| panic!("no \"emu: \": {line}"))
        .to_owned()
}

fn put_words(bytes: &mut [u8], at: usize, words: &[u32]) {
    for (i, word) in words.iter().enumerate() {
        bytes[at + i * 4..at + i * 4 + 4].copy_from_slice(&word.to_le_bytes());
    }
}

/// A zImage of 4 KiB that says it unpacks to `size` bytes; it runs into undefined instructions.
fn zimage(size: u32) -> Vec<u8> {
    let mut bytes = vec![0xff; 0x1000];
    put_words(
        &mut bytes,
        0x24,
        &[0x016f_2818, 0, 0x1000, 0x0403_0201, 0x4545_4545, 0x40],
    );
    put_words(&mut bytes, 0x40, &[6, 0x5a53_4c4b, 0x60, 0, 0x8000, 0x1_0000, 0]);
    put_words(&mut bytes, 0x60, &[size]);
    bytes
}

/// An archive without files.
fn cpio() -> Vec<u8> {
    let fields = "00000000".repeat(11) + "0000000B" + "00000000";
    [b"070701", fields.as_bytes(), b"TRAILER!!!\0", &[0; 3]].concat()
}

fn marked(offset: usize, mark: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 0x1000];
    bytes[offset..offset + mark.len()].copy_from_slice(mark);
    bytes
}

/// Good and bad files of every kind.
fn zoo(test: &str) -> Files {
    let files = Files::new(test);
    files.put("zImage", &zimage(0x10_0000));
    files.put("zImage-large", &zimage(100 << 20));
    files.put("zImage-cut", &zimage(0)[..0x800]);
    files.put("bzImage", &marked(0x202, b"HdrS"));
    files.put("Image-arm64", &marked(56, b"ARM\x64"));
    files.put(
        "x86.elf",
        &marked(0, b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e"),
    );
    files.put("Image", &marked(0x800, b"Linux version 6.1"));
    files.put("text", b"just a text\n");
    files.put("empty", b"");
    files.put("noise", &[0x9f; 0x1000]);
    files.put("cpio", &cpio());
    files.put("cpio-cut", &cpio()[..100]);
    files.put("gzip-cut", b"\x1f\x8b\x08\0\0\0\0\0\0\x03");
    files.put("dtb-cut", &[0xd0, 0x0d, 0xfe, 0xed, 0, 0, 1, 0, 0, 0, 0, 0x38]);
    fs::create_dir(files.0.join("folder")).unwrap();
    files
}

#[test]
fn bad_files_are_named_with_the_reason() {
    let files = zoo("files");
    let kernel = "not a 32-bit ARM kernel (zImage, ELF, uImage or raw code) but";
    let initrd = "not an initrd (a cpio archive, plain or compressed) but";
    let cases = [
        ("--kernel missing", "No such file or directory".to_owned()),
        ("--kernel folder", "a directory".to_owned()),
        ("--kernel empty", format!("{kernel} an empty file")),
        ("--kernel text", format!("{kernel} a text file")),
        ("--kernel bzImage", format!("{kernel} an x86 Linux kernel (bzImage)")),
        (
            "--kernel Image-arm64",
            format!("{kernel} an AArch64 Linux kernel (Image)"),
        ),
        ("--kernel x86.elf", format!("{kernel} an ELF file for x86-64")),
        ("--kernel cpio", format!("{kernel} a cpio archive, as initrds are")),
        (
            "--kernel Image",
            "an uncompressed Linux kernel (Image), which does not say".to_owned(),
        ),
        ("--kernel zImage-cut", "truncated zImage: 2048 bytes of 4096".to_owned()),
        ("--initrd missing", "No such file or directory".to_owned()),
        ("--initrd folder", "a directory".to_owned()),
        ("--initrd empty", format!("{initrd} an empty file")),
        ("--initrd text", format!("{initrd} a text file")),
        ("--initrd bzImage", format!("{initrd} an x86 Linux kernel (bzImage)")),
        ("--initrd noise", format!("{initrd} a file of unknown format")),
        (
            "--initrd cpio-cut",
            "truncated cpio archive: it ends inside an entry, after 100 bytes".to_owned(),
        ),
        ("--initrd gzip-cut", "damaged or truncated gzip file".to_owned()),
        ("--dtb missing", "No such file or directory".to_owned()),
        ("--dtb folder", "a directory".to_owned()),
        (
            "--dtb empty",
            "not a device tree blob (dtc makes them) but an empty file".to_owned(),
        ),
        (
            "--dtb text",
            "not a device tree blob (dtc makes them) but a text file".to_owned(),
        ),
        (
            "--dtb bzImage",
            "not a device tree blob (dtc makes them) but an x86 Linux kernel (bzImage)".to_owned(),
        ),
        (
            "--dtb dtb-cut",
            "truncated device tree blob: 12 bytes of 256".to_owned(),
        ),
        ("--firmware missing", "No such file or directory".to_owned()),
        ("--firmware folder", "a directory".to_owned()),
        (
            "--firmware empty",
            "not firmware (raw code for the reset vector) but an empty file".to_owned(),
        ),
        (
            "--firmware text",
            "not firmware (raw code for the reset vector) but a text file".to_owned(),
        ),
        (
            "--firmware zImage",
            "not firmware (raw code for the reset vector) but an ARM Linux kernel (zImage)".to_owned(),
        ),
        (
            "--firmware bzImage",
            "not firmware (raw code for the reset vector) but an x86 Linux kernel (bzImage)".to_owned(),
        ),
        (
            "--firmware Image-arm64",
            "not firmware (raw code for the reset vector) but an AArch64 Linux kernel".to_owned(),
        ),
    ];
    for (arguments, reason) in cases {
        let words: Vec<&str> = arguments.split(' ').collect();
        // A good kernel stands before a bad file, so that nothing but the bad file ends the run.
        let before: &[&str] = if matches!(words[0], "--initrd" | "--dtb") {
            &["--kernel", "zImage"]
        } else {
            &[]
        };

        let line = complaint(&files.emu(&[before, &words].concat()), 2);

        assert!(
            line.starts_with(&format!("{arguments}: {reason}")),
            "{line}\nwanted: {arguments}: {reason}"
        );
    }
}

#[test]
fn files_that_do_not_fit_say_how_much_memory_would_do() {
    let files = zoo("fit");
    let mut large = cpio();
    large.resize(40 << 20, 0);
    files.put("cpio-large", &large);

    let kernel = complaint(&files.emu(&["--kernel", "zImage-large", "--memory", "64M"]), 2);
    let initrd = complaint(
        &files.emu(&["--kernel", "zImage", "--initrd", "cpio-large", "--memory", "32M"]),
        2,
    );

    assert_eq!(
        kernel,
        "--kernel zImage-large: the kernel ends 101 MiB into RAM, which has 64 MiB; 160 MiB would do"
    );
    assert_eq!(
        initrd,
        "--initrd cpio-large: the initrd ends 56 MiB into RAM, which has 32 MiB; 128 MiB would do"
    );
}

#[test]
fn firmware_larger_than_its_flash() {
    let files = Files::new("flash");
    fs::File::create(files.0.join("large"))
        .unwrap()
        .set_len((64 << 20) + 1)
        .unwrap();

    let line = complaint(&files.emu(&["--firmware", "large"]), 2);

    assert_eq!(line, "--firmware large: larger than 64 MiB");
}

#[test]
fn bad_values_are_named_with_the_reason() {
    let files = zoo("values");
    let cases = [
        ("--memory 0", "no memory at all"),
        ("--memory 3K", "only 3 KiB"),
        ("--memory 1P", "1 PiB is more than board virt can have (255 GiB)"),
        ("--memory 99999999T", "larger than any address space"),
        ("--memory lots", "not a size"),
        ("--memory -1", "not a size"),
        ("--board pc", "unknown board; emu has: virt"),
        ("--cpu z80", "unknown CPU model; --arch arm has: cortex-a15"),
        ("--arch mips", "unknown architecture; emu has: arm"),
        ("--arch vax", "unknown architecture"),
        ("--accel magic", "unknown accelerator"),
        ("--smp 0", "a machine needs a CPU"),
        ("--smp 124", "board virt has at most 123 CPUs"),
        ("--gic 4", "not a version of the interrupt controller"),
        ("--escape shift", "not a key"),
        ("--serial tcp:1", "not one of stdio, pty, unix:PATH, file:PATH, null"),
        ("--serial unix:", "a path is missing"),
        (
            "--virtio-console stdio",
            "the serial port has standard input and output",
        ),
        ("--virtio-console file:no/such/place", "No such file or directory"),
        ("--virtio-console unix:no/such/place", "No such file or directory"),
        ("--nonsense", "unknown option"),
    ];
    for (arguments, reason) in cases {
        let words: Vec<&str> = ["--kernel", "zImage"].into_iter().chain(arguments.split(' ')).collect();

        let line = complaint(&files.emu(&words), 2);

        assert!(
            line.starts_with(&format!("{arguments}: {reason}")),
            "{line}\nwanted: {arguments}: {reason}"
        );
    }
}

#[test]
fn arguments_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let files = Files::new("bytes");
    let bytes = std::ffi::OsStr::from_bytes(b"\xff");

    let value = complaint(&emu(&files.0, &["--cpu"]).arg(bytes).output().unwrap(), 2);
    let path = complaint(&emu(&files.0, &["--kernel"]).arg(bytes).output().unwrap(), 2);

    assert!(value.contains("not valid UTF-8"), "{value}");
    assert_eq!(path, "--kernel \u{fffd}: No such file or directory");
}

#[test]
fn a_name_of_two_lines_is_complained_about_in_one() {
    let files = Files::new("lines");

    let line = complaint(&files.emu(&["--kernel", "a\nb\x1b[31m"]), 2);

    assert_eq!(line, "--kernel a\\nb\\u{1b}[31m: No such file or directory");
}

#[test]
fn help_version_and_lists_are_output() {
    let files = Files::new("help");
    let cases: [(&[&str], &str); 6] = [
        (&["--help"], "Exit status:"),
        (&["-h"], "--kernel <FILE>"),
        (&["--version"], "emu "),
        (&["--cpu", "help"], "cortex-a15 (default)"),
        (&["--completions", "bash"], "complete -F"),
        (&["--man"], ".TH emu 1"),
    ];
    for (arguments, text) in cases {
        let output = files.emu(arguments);

        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains(text),
            "{arguments:?} without {text:?}"
        );
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}

#[test]
fn devices_that_can_be_left_out_are_listed_and_others_refused() {
    let files = Files::new("no-device");

    let help = files.emu(&["--no-device", "help"]);
    let unknown = files.emu(&["--no-device", "floppy"]);
    let needed = files.emu(&["--no-device", "pl031,fw_cfg", "--firmware", "f", "--kernel", "k"]);

    let help = String::from_utf8(help.stdout).unwrap();
    let names: Vec<&str> = help.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let all = [
        "gicv2m",
        "pflash",
        "pl011",
        "pl031",
        "fw_cfg",
        "pl061",
        "virtio-mmio",
        "virtio-rng",
        "virtio-console",
    ];
    assert_eq!(names, all, "{help}");
    let list = all.join(", ");
    assert_eq!(
        complaint(&unknown, 2),
        format!("--no-device floppy: unknown device; board virt can do without: {list}")
    );
    assert_eq!(
        complaint(&needed, 2),
        "--no-device pl031,fw_cfg: fw_cfg is missing, and the firmware gets its --kernel from it; leave one of the two \
         options out"
    );
}

#[test]
fn a_device_tree_has_nothing_of_what_is_left_out() {
    let files = Files::new("no-device-tree");
    let tree = |left_out: &[&str]| {
        let more = if left_out.is_empty() {
            vec![]
        } else {
            vec!["--no-device".to_owned(), left_out.join(",")]
        };
        let words: Vec<&str> = ["--dump-dtb", "tree.dtb"]
            .into_iter()
            .chain(more.iter().map(String::as_str))
            .collect();
        let dumped = files.emu(&words);
        assert_eq!(dumped.status.code(), Some(0), "{}", stderr(&dumped));
        String::from_utf8_lossy(&fs::read(files.0.join("tree.dtb")).unwrap()).into_owned()
    };
    let nodes = [
        ("pflash", "flash@0"),
        ("pl011", "pl011@9000000"),
        ("pl031", "pl031@9010000"),
        ("fw_cfg", "fw-cfg@9020000"),
        ("pl061", "pl061@9030000"),
        ("pl061", "gpio-keys"),
        ("virtio-mmio", "virtio_mmio@a003e00"),
    ];
    let whole = tree(&[]);
    for (name, node) in nodes {
        assert!(whole.contains(node), "{node}");
        let others = nodes.iter().filter(|(other, _)| *other != name);

        let tree = tree(&[name]);

        assert!(!tree.contains(node), "{node} without {name}");
        assert!(
            others.clone().all(|(_, node)| tree.contains(node)),
            "more than {name} is missing"
        );
    }
    let bare = tree(&nodes.map(|(name, _)| name));
    assert!(!nodes.iter().any(|(_, node)| bare.contains(node)));
    assert!(!bare.contains("stdout-path") && bare.contains("intc@8000000"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let files = Files::new("pipe");
    let mut child = emu(&files.0, &["--help"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();

    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn without_apt_or_a_place_to_keep_it_debians_kernel_has_one_line() {
    let files = Files::new("no-apt");
    files.put("file", b"");

    let no_apt = complaint(&emu(&files.0, &[]).env("PATH", "/nonexistent").output().unwrap(), 1);
    let no_home = complaint(
        &emu(&files.0, &[])
            .env_remove("XDG_CACHE_HOME")
            .env_remove("HOME")
            .output()
            .unwrap(),
        1,
    );
    let no_place = complaint(
        &emu(&files.0, &[])
            .env("XDG_CACHE_HOME", files.0.join("file"))
            .output()
            .unwrap(),
        1,
    );

    for line in [no_apt, no_home, no_place] {
        assert!(line.contains("pass --kernel"), "{line}");
    }
}

/// In 1 MiB of RAM Debian's kernel does not fit, which is known once it has been fetched and read.
#[test]
fn debians_kernel_is_fetched_once_and_mended() {
    let files = Files::new("debian");
    let run = |path: Option<&str>| {
        let mut command = emu(&files.0, &["--memory", "1M"]);
        path.map(|path| command.env("PATH", path));
        command.output().unwrap()
    };

    let first = run(None);
    if first.status.code() == Some(1) {
        return crate::guest::skipped("debians_kernel_is_fetched_once_and_mended", stderr(&first).trim());
    }
    let offline = complaint(&run(Some("/nonexistent")), 2);
    let kept = files.0.join("cache/emu/debian-12-armhf");
    fs::write(kept.join("initrd.gz"), b"damaged").unwrap();
    let damaged = run(Some("/nonexistent"));

    assert!(
        stderr(&first).starts_with("emu: fetching Debian's kernel"),
        "{}",
        stderr(&first)
    );
    assert!(offline.starts_with("--memory: the kernel ends"), "{offline}");
    let damage = complaint(&damaged, 1);
    assert!(
        damage.contains("initrd.gz: damaged") && damage.contains("pass --kernel"),
        "{damage}"
    );
    let mended = run(None);
    assert!(
        stderr(&mended).contains("initrd.gz: damaged (7 bytes of"),
        "{}",
        stderr(&mended)
    );
    assert_eq!(complaint(&run(Some("/nonexistent")), 2), offline);
}

/// A multiboot kernel of its header and this code, at 1 MiB.
fn multiboot(code: &[u8]) -> Vec<u8> {
    const MAGIC: u32 = 0x1bad_b002;
    const ADDRESSES: u32 = 1 << 16;
    const AT: u32 = 0x10_0000;
    let mut bytes = vec![0; 32];
    let sum = MAGIC.wrapping_add(ADDRESSES).wrapping_neg();
    put_words(&mut bytes, 0, &[MAGIC, ADDRESSES, sum, AT, AT, 0, 0, AT + 32]);
    bytes.extend(code);
    bytes.resize(0x1000, 0);
    bytes
}

#[test]
fn a_triple_fault_is_told_of_by_those_who_ask() {
    let files = Files::new("triple-fault");
    // LIDT [100800h], of which all is 0; INT3.
    files.put("kernel", &multiboot(&[0x0f, 0x01, 0x1d, 0x00, 0x08, 0x10, 0x00, 0xcc]));
    let args = ["--arch", "i386", "--kernel", "kernel", "--no-reboot", "--memory", "16M"];

    let (quiet, told) = (files.emu(&args), files.emu(&[&args[..], &["-v"]].concat()));

    assert_eq!((quiet.status.code(), stderr(&quiet)), (Some(0), String::new()));
    assert_eq!(told.status.code(), Some(0));
    let text = stderr(&told);
    assert!(
        text.contains("CPU 0 has shut down after a triple fault at 0x100027"),
        "{text}"
    );
}
