//! One description of a run, made by the command line, a file or the monitor alike.
//!
//! A [`Config`] says what the user asked for; whoever made it, no machine comes of it that [`Config::check`] refuses.
//! Whether the files it names exist and are what they should be is checked by [`crate::images::Images::read`], before
//! anything starts.

mod check;
mod files;

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use crate::arch::Architecture;
use crate::arm::{Aarch64, Arm32};
use crate::board::{Board, Gic, MICROVM, VIRT};
use crate::error::Error;
use crate::gdb::address::Address;
use crate::semihosting::SemihostingConfig;
use crate::trace::Trace;
use crate::x86::{I386, X86_64};
use emu_firmware::fdt::Region;
use serde::{Deserialize, Serialize};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// One run of the emulator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The guest's instruction set.
    pub arch: Arch,
    /// The board.
    pub board: BoardName,
    /// Names of the board's devices that the machine is made without, of [`BoardName::optional_list`].
    pub left_out: Vec<String>,
    /// The CPU model, one of [`Arch::cpu_models`], and features of it that are switched on or off.
    pub cpu: String,
    /// RAM in bytes: a multiple of 1 MiB within [`BoardName::memory_range`].
    pub memory: u64,
    /// Number of virtual CPUs.
    pub cpus: u32,
    /// The interrupt controller, if not the first one of the board that serves so many CPUs.
    pub gic: Option<Gic>,
    /// What executes guest code.
    pub accel: Accel,
    /// Bytes for translated code and all that is known about it: from 8 MiB to 4 GiB.
    pub code_cache: u64,
    /// What runs at reset.
    pub boot: Boot,
    /// A device tree blob in place of the board's own.
    pub dtb: Option<PathBuf>,
    /// Write the device tree that the guest would get here, and run nothing.
    pub dump_dtb: Option<PathBuf>,
    /// End when the guest asks for a reboot, instead of rebooting it.
    pub no_reboot: bool,
    /// Where a debugger finds the machine, if one may.
    pub gdb: Option<Address>,
    /// The guest is held at its first instruction until the debugger lets it go.
    pub gdb_wait: bool,
    /// The key that ends emu.
    pub escape: EscapeKey,
    /// What the guest's UART is on the host.
    pub serial: ConsoleHost,
    /// What the guest's virtio console is on the host.
    pub virtio_console: ConsoleHost,
    /// What programs get of the host by semihosting, if they get anything.
    pub semihosting: Option<SemihostingConfig>,
    /// Logs of what the CPU does.
    pub trace: Vec<Trace>,
    /// How much emu says about itself: 0 quiet, 1 progress, 2 devices, 3 everything.
    pub verbose: u8,
}

impl Config {
    /// The board's table with the interrupt controller that is asked for or needed.
    pub fn whole_board(&self) -> Board {
        let board = self.board.board();
        match self.gic.or_else(|| board.gic_for(self.cpus)) {
            Some(gic) => board.with_gic(gic),
            None => board.clone(),
        }
    }

    /// The same without what is left out.
    pub fn fitted(&self) -> Board {
        self.whole_board().without(&self.left_out)
    }

    /// Whether something speaks by the serial port's place on the host: the port, or programs by semihosting.
    pub fn has_serial(&self) -> bool {
        self.semihosting.is_some() || self.fitted().console().is_some()
    }
}

/// What the guest's CPU finds at reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Boot {
    /// Debian's installer kernel with a root shell, obtained through the system's apt.
    Debian {
        /// An initrd in place of Debian's.
        initrd: Option<PathBuf>,
        /// More words for the kernel's command line.
        append: String,
    },
    /// A Linux kernel, started by its boot protocol, or a program without an operating system.
    Kernel {
        /// zImage or Image, ELF, uImage or raw code; for x86 bzImage, ELF, multiboot.
        kernel: PathBuf,
        /// Initial RAM file system.
        initrd: Option<PathBuf>,
        /// The kernel's command line.
        append: String,
    },
    /// A firmware image in the first flash bank, entered at the reset vector.
    Firmware {
        /// The flash bank's contents.
        image: PathBuf,
        /// The second bank's contents, which change with it.
        vars: Option<PathBuf>,
        /// What it is handed through the board's fw_cfg device.
        handed: Option<Handed>,
    },
}

/// What firmware is to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// A kernel that the firmware takes.
    pub kernel: PathBuf,
    /// Its initial RAM file system.
    pub initrd: Option<PathBuf>,
    /// Its command line.
    pub append: String,
}

/// The guest's instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arch {
    /// 32-bit ARM (ARMv7-A).
    Arm,
    /// 64-bit ARM (AArch64).
    Aarch64,
    /// 32-bit x86.
    I386,
    /// x86-64.
    #[serde(rename = "X86_64")]
    X86_64,
}

impl Arch {
    /// All that emu has.
    pub const ALL: &'static [Arch] = &[Arch::Arm, Arch::Aarch64, Arch::I386, Arch::X86_64];

    /// What the machine asks of it.
    pub fn architecture(self) -> &'static dyn Architecture {
        match self {
            Arch::Arm => &Arm32,
            Arch::Aarch64 => &Aarch64,
            Arch::I386 => &I386,
            Arch::X86_64 => &X86_64,
        }
    }

    /// CPU models of this architecture, the default first.
    pub fn cpu_models(self) -> Vec<&'static str> {
        self.architecture().models()
    }

    /// The CPU models, a line each, and what can be switched.
    pub fn cpu_list(self) -> String {
        let models = self.cpu_models().into_iter().enumerate();
        let models = models.map(|(i, name)| format!("{name}{}\n", if i == 0 { " (default)" } else { "" }));
        let features = self.architecture().features();
        let features = (!features.is_empty()).then(|| {
            let all = features.join(" ");
            format!("With features switched after commas, as in MODEL,NAME=off,NAME=on: {all}\n")
        });
        models.chain(features).collect()
    }

    /// The CPU model that a machine has if none is named.
    pub fn default_cpu(self) -> &'static str {
        self.cpu_models().first().copied().unwrap_or_default()
    }

    /// The board that a machine has if none is named.
    pub fn default_board(self) -> BoardName {
        let has = |board: &&BoardName| self.architecture().boards().first() == Some(&board.board().name);
        BoardName::ALL.iter().find(has).copied().unwrap_or(BoardName::Virt)
    }

    /// Whether there is a CPU model of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] for an unknown one.
    pub fn check_cpu(self, name: &str) -> Result<(), Error> {
        let models = self.cpu_models();
        if models.contains(&name.split(',').next().unwrap_or_default()) {
            let checked = self.architecture().check_features(name);
            return checked.map_err(|reason| Error::input("--cpu", name, reason));
        }
        let reason = format!("unknown CPU model; --arch {self} has: {}", models.join(", "));
        Err(Error::input("--cpu", name, reason))
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Arch::Arm => f.write_str("arm"),
            Arch::Aarch64 => f.write_str("aarch64"),
            Arch::I386 => f.write_str("i386"),
            Arch::X86_64 => f.write_str("x86_64"),
        }
    }
}

impl FromStr for Arch {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "arm" => Ok(Arch::Arm),
            "aarch64" | "arm64" => Ok(Arch::Aarch64),
            "i386" | "i486" | "i586" | "i686" => Ok(Arch::I386),
            "x86_64" | "amd64" => Ok(Arch::X86_64),
            _ => Err("unknown architecture; emu has: arm, aarch64, i386, x86_64".into()),
        }
    }
}

/// A board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BoardName {
    /// QEMU's `virt` board: the same addresses and interrupt lines.
    Virt,
    /// QEMU's `microvm` board, likewise.
    Microvm,
}

impl BoardName {
    /// All that emu has.
    pub const ALL: &'static [BoardName] = &[BoardName::Virt, BoardName::Microvm];

    /// The board's table.
    pub fn board(self) -> &'static Board {
        match self {
            BoardName::Virt => &VIRT,
            BoardName::Microvm => &MICROVM,
        }
    }

    /// The devices that it can be made without, a line each.
    pub fn optional_list(self) -> String {
        let all = self.board().optional();
        all.map(|(name, what)| format!("{name:<16}{what}\n")).collect()
    }

    /// RAM sizes in bytes that the board can have.
    pub fn memory_range(self) -> RangeInclusive<u64> {
        self.board().memory.clone()
    }

    /// Where `size` bytes of RAM are.
    pub fn ram(self, size: u64) -> Region {
        self.board().ram(size)
    }

    /// Size in bytes of the flash bank that the CPU's reset vector is in.
    pub fn flash_bank(self) -> u64 {
        self.board().flash().first().map_or(0, |bank| bank.size)
    }

    /// Most virtual CPUs that an interrupt controller of the board's serves.
    pub fn max_cpus(self) -> u32 {
        self.board().max_cpus()
    }
}

impl fmt::Display for BoardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.board().name)
    }
}

impl FromStr for BoardName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|board| board.board().name == name);
        known
            .copied()
            .ok_or_else(|| "unknown board; emu has: virt (ARM), microvm (x86)".into())
    }
}

/// What executes guest code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Accel {
    /// Binary translation to host code.
    Jit,
    /// The interpreter of the intermediate representation: slow, and what the translator is held against.
    Interp,
}

impl FromStr for Accel {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "jit" => Ok(Accel::Jit),
            "interp" => Ok(Accel::Interp),
            "kvm" => Err("not yet there; emu has: jit, interp".into()),
            _ => Err("unknown accelerator; emu has: jit, interp".into()),
        }
    }
}

/// What a console of the guest is on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsoleHost {
    /// Standard input and output: the user's terminal.
    Stdio,
    /// A new pseudo-terminal.
    Pty,
    /// A Unix socket that emu listens on.
    Unix(PathBuf),
    /// A file that gets the output.
    File(PathBuf),
    /// Nothing: output vanishes, input never comes.
    Null,
}

impl fmt::Display for ConsoleHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConsoleHost::Stdio => f.write_str("stdio"),
            ConsoleHost::Pty => f.write_str("pty"),
            ConsoleHost::Unix(path) => write!(f, "unix:{}", path.display()),
            ConsoleHost::File(path) => write!(f, "file:{}", path.display()),
            ConsoleHost::Null => f.write_str("null"),
        }
    }
}

impl FromStr for ConsoleHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(ConsoleHost::Unix(path.into())),
            Some(("file", path)) if !path.is_empty() => Ok(ConsoleHost::File(path.into())),
            Some(("unix" | "file", _)) => Err("a path is missing".into()),
            _ => match text {
                "stdio" => Ok(ConsoleHost::Stdio),
                "pty" => Ok(ConsoleHost::Pty),
                "null" => Ok(ConsoleHost::Null),
                _ => Err("not one of stdio, pty, unix:PATH, file:PATH, null".into()),
            },
        }
    }
}

/// The key on the user's terminal that ends emu: an ASCII control code, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscapeKey(pub Option<u8>);

impl EscapeKey {
    /// Ctrl-], as telnet has it.
    pub const DEFAULT: Self = Self(Some(0x1d));
}

impl fmt::Display for EscapeKey {
    /// The way one would say it: `Ctrl-]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(code) => write!(f, "Ctrl-{}", char::from(code ^ 0x40).to_ascii_uppercase()),
            None => f.write_str("none"),
        }
    }
}

impl FromStr for EscapeKey {
    type Err = String;

    /// Caret notation (`^]`, `^a`), `ctrl-` and a character, or `none`.
    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        if lower == "none" {
            return Ok(Self(None));
        }
        let key = lower
            .strip_prefix('^')
            .or_else(|| lower.strip_prefix("ctrl-"))
            .map(str::as_bytes);
        match key {
            Some(&[c @ (b'@' | b'a'..=b'z' | b'[' | b'\\' | b']' | b'^' | b'_' | b'?')]) => {
                Ok(Self(Some(c.to_ascii_uppercase() ^ 0x40)))
            }
            _ => Err("not a key; write ^ and a character (^] or ^a), or none".into()),
        }
    }
}

/// A size in bytes that prints with the largest binary unit that divides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Units, each 1024 of the one before: as an option's value has them, and as a message does.
    const UNITS: [(&str, &str); 6] = [
        ("", "bytes"),
        ("K", "KiB"),
        ("M", "MiB"),
        ("G", "GiB"),
        ("T", "TiB"),
        ("P", "PiB"),
    ];

    /// The size in the largest unit that divides it, and that unit.
    fn in_unit(self) -> (u64, (&'static str, &'static str)) {
        let [mut unit, larger @ ..] = Self::UNITS;
        let (mut n, mut larger) = (self.0, larger.into_iter());
        while n >= 1024
            && n.is_multiple_of(1024)
            && let Some(next) = larger.next()
        {
            (n, unit) = (n / 1024, next);
        }
        (n, unit)
    }

    /// The size as an option's value: `1024M` is `1G`.
    pub fn option(self) -> String {
        let (n, (letter, _)) = self.in_unit();
        format!("{n}{letter}")
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, (_, name)) = self.in_unit();
        write!(f, "{n} {name}")
    }
}

impl FromStr for ByteSize {
    type Err = String;

    /// A whole number of bytes, or of the unit that follows it: K, M, G or T (binary, either case).
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match text[digits.len()..].to_ascii_uppercase().as_str() {
            "" | "B" => 1,
            "K" => KIB,
            "M" => MIB,
            "G" => GIB,
            "T" => GIB * KIB,
            "P" => GIB * MIB,
            _ => return Err("not a size; write a whole number with K, M, G or T, such as 1024M".into()),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err("not a size; write a whole number with K, M, G or T, such as 1024M".into());
        }
        let bytes = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
        bytes.map(Self).ok_or_else(|| "larger than any address space".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_with_every_unit() {
        let sizes = ["7", "7B", "3k", "1024M", "2g", "1T", "1P"].map(|s| s.parse::<ByteSize>().unwrap().0);

        assert_eq!(sizes, [7, 7, 3072, 1 << 30, 2 << 30, 1 << 40, 1 << 50]);
    }

    #[test]
    fn sizes_that_are_none() {
        for text in [
            "",
            "M",
            "-1",
            "+1",
            "1.5G",
            "1 G",
            "1024Q",
            "1MM",
            "0x10",
            "99999999999T",
            "१",
            "1é",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn byte_sizes_print_in_the_largest_exact_unit() {
        let printed = [0, 1000, 3072, 1 << 30, 1 << 50].map(|n| ByteSize(n).to_string());

        assert_eq!(printed, ["0 bytes", "1000 bytes", "3 KiB", "1 GiB", "1 PiB"]);
    }

    #[test]
    fn byte_sizes_are_written_as_they_are_read() {
        for bytes in [0, 1000, 3072, 5 << 20, 1 << 30, 3 << 40, 1 << 50, u64::MAX] {
            assert_eq!(ByteSize(bytes).option().parse(), Ok(ByteSize(bytes)));
        }
    }

    #[test]
    fn console_hosts_print_as_they_are_written() {
        for text in ["stdio", "pty", "null", "unix:/run/a:b", "file:log"] {
            assert_eq!(text.parse::<ConsoleHost>().unwrap().to_string(), text);
        }
        for text in ["", "unix:", "file:", "tcp:1", "Stdio"] {
            assert!(text.parse::<ConsoleHost>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn escape_keys() {
        let key = |text: &str| text.parse::<EscapeKey>();

        assert_eq!(key("^]"), Ok(EscapeKey::DEFAULT));
        assert_eq!(key("^a"), Ok(EscapeKey(Some(1))));
        assert_eq!(key("Ctrl-A"), Ok(EscapeKey(Some(1))));
        assert_eq!(key("^?"), Ok(EscapeKey(Some(0x7f))));
        assert_eq!(key("none"), Ok(EscapeKey(None)));
        assert_eq!(key("^^"), Ok(EscapeKey(Some(0x1e))));
        for text in ["", "^", "a", "^ab", "^1", "^é", "ctrl-", "]"] {
            assert!(key(text).is_err(), "{text:?} was taken");
        }
        assert_eq!(EscapeKey::DEFAULT.to_string(), "Ctrl-]");
        assert_eq!(EscapeKey(Some(0x7f)).to_string(), "Ctrl-?");
    }
}
