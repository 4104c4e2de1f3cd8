//! QEMU's spellings of what emu has too: they are taken where they mean the same, else the complaint names emu's option.

use std::ffi::{OsStr, OsString};

use crate::error::Error;

/// What an option of QEMU's is here.
enum Means {
    /// The same as this option, with its value if it takes one.
    Same(&'static str),
    /// What emu does anyway; so many values are dropped.
    Already(usize),
    /// The same as this option, for some values: these, rewritten, or the complaint.
    Value(&'static str, fn(&str) -> Result<Vec<String>, String>),
    /// Nothing that emu has; what it has instead, if anything.
    Other(&'static str),
}

use Means::{Already, Other, Same, Value};

/// QEMU's options, without their dash.
const OPTIONS: &[(&str, Means)] = &[
    ("kernel", Same("--kernel")),
    ("initrd", Same("--initrd")),
    ("append", Same("--append")),
    ("dtb", Same("--dtb")),
    ("bios", Same("--firmware")),
    ("cpu", Same("--cpu")),
    ("no-reboot", Same("--no-reboot")),
    ("gdb", Same("--gdb")),
    ("s", Same("--gdb")),
    ("S", Same("--gdb-wait")),
    ("version", Same("--version")),
    ("help", Same("--help")),
    ("M", Value("--board", machine)),
    ("machine", Value("--board", machine)),
    ("smp", Value("--smp", cpus)),
    ("m", Value("--memory", memory)),
    ("serial", Value("--serial", serial)),
    ("accel", Value("--accel", accelerator)),
    ("semihosting", Same("--semihosting")),
    ("semihosting-config", Value("--semihosting", semihosting)),
    ("nographic", Already(0)),
    ("nodefaults", Already(0)),
    ("no-user-config", Already(0)),
    ("display", Value("", none)),
    ("monitor", Value("", no_monitor)),
    ("nic", Value("", none)),
    ("net", Value("", none)),
    ("vga", Value("", none)),
    ("d", Other("--trace KINDS FILE logs what the CPU does")),
    ("D", Other("--trace KINDS FILE logs what the CPU does")),
    ("trace", Other("--trace KINDS FILE logs what the CPU does")),
    (
        "chardev",
        Other("--serial and --virtio-console say where the consoles are"),
    ),
    (
        "pflash",
        Other("--firmware FILE is the first flash bank's contents, --firmware-vars FILE the second's"),
    ),
    (
        "device",
        Other("the board has its devices; --virtio-console says where its console is"),
    ),
    ("drive", Other("there are no disks yet; --initrd is a file system")),
    ("hda", Other("there are no disks yet; --initrd is a file system")),
    ("sd", Other("there are no disks yet; --initrd is a file system")),
    ("netdev", Other("there is no network yet")),
    ("no-shutdown", Other("a guest that powers off ends emu")),
    (
        "daemonize",
        Other("the shell's & does that, with --serial unix:PATH or file:PATH"),
    ),
    ("icount", Other("guest time is the host's")),
    ("rtc", Other("the guest's clock is the host's")),
];

/// Puts emu's options in the place of QEMU's. `values` says how many words follow an option of emu's at least, and
/// `None` of another word.
///
/// # Errors
/// [`Error::Input`] for an option or a value that emu has otherwise or not at all.
pub fn translated(args: Vec<OsString>, values: impl Fn(&str) -> Option<usize>) -> Result<Vec<OsString>, Error> {
    let mut args = args.into_iter();
    let mut ours: Vec<OsString> = args.next().into_iter().collect();
    while let Some(arg) = args.next() {
        let word = arg.to_str().unwrap_or_default();
        let name = name(word, &values);
        let known = name.and_then(|name| OPTIONS.iter().find(|(its, _)| *its == name));
        match known.map(|(_, means)| means) {
            None if is_unknown(word) => {
                return Err(Error::Input {
                    option: word.to_owned(),
                    reason: "unknown option (emu --help)".into(),
                });
            }
            None => {
                let count = values(word).unwrap_or(0);
                ours.push(arg);
                ours.extend(args.by_ref().take(count));
            }
            Some(Same(option)) => {
                ours.push(option.into());
                ours.extend(args.by_ref().take(values(option).unwrap_or(0)));
            }
            Some(Already(count)) => args.by_ref().take(*count).for_each(drop),
            Some(Value(option, rewrite)) => {
                let value = args.next();
                ours.extend(rewritten(word, option, value.as_deref(), *rewrite)?);
            }
            Some(Other(instead)) => {
                return Err(Error::Input {
                    option: word.to_owned(),
                    reason: format!("an option of QEMU's; {instead}"),
                });
            }
        }
    }
    Ok(ours)
}

/// The name of what may be an option of QEMU's: it has one dash, or two where emu has no such option.
fn name<'a>(word: &'a str, values: &impl Fn(&str) -> Option<usize>) -> Option<&'a str> {
    match word.strip_prefix("--") {
        Some(name) => Some(name).filter(|_| values(word).is_none()),
        None => word.strip_prefix('-'),
    }
}

/// Whether a word with one dash is neither an option of emu's with one letter nor several of them, nor one with its value.
fn is_unknown(word: &str) -> bool {
    match word.strip_prefix('-').and_then(|rest| rest.split_at_checked(1)) {
        None | Some(("-", _)) => false,
        Some(("m", value)) => value.starts_with(|c: char| !c.is_ascii_digit() && c != '='),
        Some((_, more)) => !more.chars().all(|c| "vhV".contains(c)),
    }
}

fn rewritten(
    word: &str,
    option: &str,
    value: Option<&OsStr>,
    rewrite: fn(&str) -> Result<Vec<String>, String>,
) -> Result<Vec<OsString>, Error> {
    let Some(value) = value else {
        return Err(Error::Input {
            option: word.to_owned(),
            reason: "a value is missing".into(),
        });
    };
    let Some(text) = value.to_str() else {
        return Ok(vec![option.into(), value.to_owned()]);
    };
    let words = rewrite(text).map_err(|reason| Error::input(word, text, reason))?;
    let option = Some(option).filter(|option| !option.is_empty());
    Ok(option
        .map(OsString::from)
        .into_iter()
        .chain(words.into_iter().map(OsString::from))
        .collect())
}

/// `virt`, and properties that say what emu does anyway.
fn machine(value: &str) -> Result<Vec<String>, String> {
    const ALREADY: &[&str] = &[
        "accel=tcg",
        "acpi=on",
        "graphics=off",
        "ioapic2=on",
        "isa-serial=on",
        "pcie=off",
        "pic=on",
        "pit=on",
        "rtc=on",
        "x-option-roms=off",
        "highmem=off",
        "its=on",
        "secure=off",
        "usb=off",
        "virtualization=off",
    ];
    let mut words: Vec<String> = Vec::new();
    for property in value.split(',') {
        match property.split_once('=') {
            None => words.insert(0, property.to_owned()),
            Some(("type", board)) => words.insert(0, board.to_owned()),
            Some(("dumpdtb", file)) => words.extend(["--dump-dtb".to_owned(), file.to_owned()]),
            Some(("gic-version", version @ ("2" | "3"))) => words.extend(["--gic".to_owned(), version.to_owned()]),
            Some(("gic-version", "max")) => words.extend(["--gic".to_owned(), "3".to_owned()]),
            Some(_) if ALREADY.contains(&property) => {}
            Some(_) => return Err(format!("{property}: a property of QEMU's that emu's boards have not")),
        }
    }
    if words.first().is_none_or(|first| first.starts_with("--")) {
        words.insert(0, "virt".into());
    }
    Ok(words)
}

/// `N` or `cpus=N`.
fn cpus(value: &str) -> Result<Vec<String>, String> {
    let count = value.strip_prefix("cpus=").unwrap_or(value);
    match count.split_once(',') {
        None => Ok(vec![count.to_owned()]),
        Some(_) => Err("emu's --smp is the number of CPUs alone".into()),
    }
}

/// With its unit a size means the same.
fn memory(value: &str) -> Result<Vec<String>, String> {
    let size = value.strip_prefix("size=").unwrap_or(value);
    match size.bytes().all(|b| b.is_ascii_digit()) && size.parse::<u32>().is_ok_and(|n| n < 1 << 20) {
        true => Err(format!("sizes are in bytes; write {size}M for that many MiB")),
        false => Ok(vec![size.to_owned()]),
    }
}

fn serial(value: &str) -> Result<Vec<String>, String> {
    let place = match value {
        "mon:stdio" => "stdio",
        "none" => "null",
        _ => match value
            .strip_suffix(",server=on,wait=off")
            .or(value.strip_suffix(",server,nowait"))
        {
            Some(socket) if socket.starts_with("unix:") => socket,
            _ => value,
        },
    };
    Ok(vec![place.to_owned()])
}

/// `enable=on`, `target=native`, and the words of the command line.
fn semihosting(value: &str) -> Result<Vec<String>, String> {
    let mut args: Vec<&str> = Vec::new();
    for property in value.split(',') {
        match property.split_once('=') {
            Some(("arg", arg)) => args.push(arg),
            None if property == "on" => {}
            Some(("enable", "on")) | Some(("target", "native" | "auto")) => {}
            _ => {
                return Err(format!(
                    "{property}: not a property that emu has; --semihosting [FOLDER]"
                ));
            }
        }
    }
    let line = (!args.is_empty()).then(|| format!("--semihosting-args={}", args.join(" ")));
    Ok(line.into_iter().collect())
}

fn accelerator(value: &str) -> Result<Vec<String>, String> {
    let name = value.split(',').next().unwrap_or_default();
    Ok(vec![if name == "tcg" { "jit" } else { name }.to_owned()])
}

fn none(value: &str) -> Result<Vec<String>, String> {
    match value {
        "none" => Ok(vec![]),
        _ => Err("emu has neither displays nor networks yet".into()),
    }
}

fn no_monitor(value: &str) -> Result<Vec<String>, String> {
    match value {
        "none" | "null" => Ok(vec![]),
        _ => Err("emu has no monitor; GDB's `monitor help` lists what there is instead (--gdb)".into()),
    }
}
