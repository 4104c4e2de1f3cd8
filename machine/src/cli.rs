//! The command line: arguments to a [`Config`], and every complaint as one line.

mod complaint;
mod qemu;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser};
use complaint::complaint;

use crate::config::{Accel, Arch, BoardName, Boot, ByteSize, Config, ConsoleHost, EscapeKey, Handed};
use crate::error::Error;
use crate::explain::Explain;
use crate::gdb::address::Address;
use crate::semihosting::SemihostingConfig;
use crate::trace::Trace;

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Run a machine.
    Run(Box<Config>),
    /// Print this on standard output and end with status 0.
    Print(Vec<u8>),
}

const EXAMPLES: &str = "\
Examples:
  emu --arch arm --board virt
      Boot Debian 12's ARM kernel to a root shell; `poweroff` ends it. The kernel is fetched once through apt.
  emu --kernel zImage --initrd rootfs.cpio.gz --append \"console=ttyAMA0\" --memory 512M
      Boot a kernel and an initial file system of your own.
  emu --initrd rootfs.cpio.gz
      The same with Debian's kernel.
  emu --firmware u-boot.bin
      Run firmware from the reset vector; U-Boot's qemu_arm build fits the board.
  emu --trace exceptions,mmu log.txt --kernel zImage
      Log what the CPU does; `--trace insns /dev/stderr` shows every instruction.
  emu explain \"add r0, r1, r2; bne 8\"
      Show what becomes of guest instructions: IR, optimised IR, host code. See `emu explain --help`.
  emu --kernel test.elf --semihosting . --serial null
      Run a program of a bare-metal tool chain; emu ends with its exit status.
  emu --dump-dtb virt.dtb --memory 2G
      Write the board's device tree; `dtc virt.dtb` prints it.
  emu --kernel zImage --gdb --gdb-wait
      Hold the guest at its first instruction for GDB; the first line says what to type in another terminal.
  echo 'uname -a; poweroff' | emu > log
      Standard input may be a pipe, a file or closed.
  emu --virtio-console pty
      A second console, the guest's hvc0, at a pseudo-terminal: `screen /dev/pts/N`.

Signals:
  SIGTERM, SIGINT, SIGHUP  end emu and restore the terminal
  SIGPWR                   presses the guest's power key: a guest that listens to it shuts down in order

Exit status:
  0      the guest powered off, or rebooted under --no-reboot
  1      the host failed emu: output cannot be written, Debian's packages cannot be had, no memory, ...
  2      bad usage or input: one line on standard error names the option; nothing was started
  3      ended by the escape key, or by the debugger's kill
  128+N  ended by signal N (143 for SIGTERM); the terminal is restored
  any    with --semihosting: what the guest's program ended with

Files:
  $XDG_CACHE_HOME/emu (or ~/.cache/emu)  Debian's kernel and initrd; remove it to fetch them anew";

/// A full-system emulator with binary translation.
///
/// emu runs unmodified kernels and firmware for other machines. The guest's serial console is your terminal: every key
/// reaches the guest, except the escape key (Ctrl-] unless --escape says otherwise), which ends emu.
#[derive(Debug, Parser)]
#[command(name = "emu", version, max_term_width = 110, after_long_help = EXAMPLES)]
#[command(after_help = "See --help for examples and exit statuses.")]
#[command(
    override_usage = "emu [OPTIONS]\n       emu [--firmware FILE] [--kernel FILE [--initrd FILE] [--append WORDS]] [OPTIONS]"
)]
struct Cli {
    /// The guest's instruction set: arm (not yet: aarch64, i386, x86_64)
    #[arg(long, value_name = "NAME", default_value = "arm", help_heading = "Machine")]
    arch: Arch,

    /// The board: virt, with the addresses and interrupts of QEMU's board of that name
    #[arg(long, value_name = "NAME", default_value = "virt", help_heading = "Machine")]
    board: BoardName,

    /// CPU model; `help` lists them [default: cortex-a15]
    #[arg(long, value_name = "MODEL", help_heading = "Machine")]
    cpu: Option<String>,

    /// RAM: bytes, or with K, M, G or T
    #[arg(
        long,
        short = 'm',
        value_name = "SIZE",
        allow_negative_numbers = true,
        default_value = "1024M",
        help_heading = "Machine"
    )]
    memory: ByteSize,

    /// Number of virtual CPUs; one at present
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        default_value = "1",
        value_parser = cpu_count,
        help_heading = "Machine"
    )]
    smp: u32,

    /// What executes guest code: jit translates it to host code, interp interprets it (slow, for comparison)
    #[arg(long, value_name = "HOW", default_value = "jit", help_heading = "Machine")]
    accel: Accel,

    /// Memory for translated code and all that is known about it, per virtual CPU: bytes, or with K, M, G or T
    ///
    /// When it is used up, everything is forgotten and translated anew. emu takes it only as the guest's code asks for it.
    #[arg(
        long,
        value_name = "SIZE",
        allow_negative_numbers = true,
        default_value = "200M",
        help_heading = "Machine"
    )]
    code_cache: ByteSize,

    /// What runs: a Linux kernel (zImage, vmlinux, uImage), another ELF file, or raw code
    ///
    /// Linux starts by its boot protocol: r2 says where the device tree is. Another ELF file is loaded where it is linked
    /// (its physical addresses), into RAM or flash, and entered at its entry point; the device tree is at the start of
    /// RAM, or behind a program that lies there itself, and r2 says where. Raw code is loaded 64 KiB into RAM
    /// (0x40010000) and entered there with Linux's registers.
    ///
    /// With neither a kernel nor firmware, emu boots Debian 12's own kernel, from the package
    /// debian-installer-12-netboot-armhf: fetched once through the system's apt (without root), then kept.
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    kernel: Option<PathBuf>,

    /// Initial RAM file system: cpio archives, compressed or not
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    initrd: Option<PathBuf>,

    /// The kernel's command line
    ///
    /// For Debian's kernel these words are added to `console=ttyAMA0`.
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true, help_heading = "What runs")]
    append: Option<String>,

    /// Firmware for the first flash bank; it runs at reset
    ///
    /// The device tree is at the start of RAM. With --kernel, firmware such as U-Boot (`qfw load`) or EDK2 gets kernel,
    /// initrd and command line through the board's fw_cfg device; the kernel is then any file that it takes.
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    firmware: Option<PathBuf>,

    /// Device tree blob in place of the board's own; memory and command line are filled in
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    dtb: Option<PathBuf>,

    /// Write the device tree that the guest would get to FILE, and exit
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    dump_dtb: Option<PathBuf>,

    /// End with status 0 when the guest reboots, instead of rebooting it
    #[arg(long, help_heading = "Running")]
    no_reboot: bool,

    /// Let GDB debug the guest: PORT, tcp:HOST:PORT or unix:PATH [default: tcp:127.0.0.1:1234]
    ///
    /// GDB attaches and leaves at any time (`gdb-multiarch -ex "target remote :1234" vmlinux`), sees each CPU as a thread,
    /// and has more commands under `monitor help`. Who reaches the address controls emu: name another interface with care.
    #[arg(
        long,
        value_name = "WHERE",
        num_args = 0..=1,
        default_missing_value = Address::DEFAULT,
        help_heading = "Debugging"
    )]
    gdb: Option<Address>,

    /// Hold the guest at its first instruction until GDB lets it go (with --gdb's default, unless that is given)
    #[arg(long, help_heading = "Debugging")]
    gdb_wait: bool,

    /// The key that ends emu, ^] if not given: ^ and a character, such as ^a, or none
    #[arg(
        long,
        value_name = "KEY",
        default_value = "^]",
        hide_default_value = true,
        help_heading = "Running"
    )]
    escape: EscapeKey,

    /// Where the serial port (ttyAMA0) is: stdio, pty, unix:PATH, file:PATH or null
    ///
    /// pty makes a pseudo-terminal and says which; unix listens on a socket, for one program after the other (such as
    /// `socat -,raw,echo=0 unix:PATH`); file takes the output only; null is nowhere.
    #[arg(long, value_name = "WHERE", default_value = "stdio", help_heading = "Running")]
    serial: ConsoleHost,

    /// Where the virtio console (hvc0) is, likewise
    #[arg(long, value_name = "WHERE", default_value = "null", help_heading = "Running")]
    virtio_console: ConsoleHost,

    /// Serve semihosting calls: console, exit status, and files below FOLDER if one is named
    ///
    /// For programs without an operating system, built with newlib, picolibc or Zephyr for semihosting (Arm's
    /// specification, 2.0): SVC 0x123456 (ARM) and 0xAB (Thumb), HLT 0xF000 and 0x3C, BKPT 0xAB. The program's console is
    /// the serial port's; its exit ends emu with its status. Nothing outside FOLDER is reached, by links neither.
    #[arg(
        long,
        value_name = "FOLDER",
        num_args = 0..=1,
        help_heading = "Running"
    )]
    semihosting: Option<Option<PathBuf>>,

    /// The program's command line, for --semihosting
    #[arg(
        long,
        value_name = "WORDS",
        allow_hyphen_values = true,
        requires = "semihosting",
        help_heading = "Running"
    )]
    semihosting_args: Option<String>,

    /// Log what the CPU does to FILE: blocks, insns, exceptions, mmu, or several of them with commas between
    ///
    /// A line an event. blocks: each block that is entered, with its instruction set and mode, its virtual and physical
    /// address, and its number of instructions. insns: each instruction, with the registers it changes. exceptions: each
    /// exception and interrupt that is taken, with its syndrome. mmu: TLB fills, faults of walks, flushes, changes of the
    /// address space. With insns, a block is one instruction. It may be given several times; the same FILE is one log. If
    /// FILE cannot be written any more, the run ends with status 1.
    #[arg(long, value_names = ["KINDS", "FILE"], num_args = 2, action = ArgAction::Append, help_heading = "Running")]
    trace: Vec<OsString>,

    /// Say more: progress (-v), what guests get wrong about devices (-vv), everything (-vvv)
    #[arg(long, short, action = ArgAction::Count, help_heading = "Running")]
    verbose: u8,

    /// Print a completion script for a shell (bash, zsh, fish, ...), and exit
    #[arg(long, value_name = "SHELL", help_heading = "About")]
    completions: Option<clap_complete::Shell>,

    /// Print the manual page in roff, and exit: `emu --man | man -l -`
    #[arg(long, help_heading = "About")]
    man: bool,
}

impl Cli {
    fn config(self) -> Result<Config, Error> {
        let boot = match (self.kernel, self.firmware) {
            (None, Some(image)) => {
                let given = [("--initrd", self.initrd.is_some()), ("--append", self.append.is_some())];
                if let Some((option, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
                    return Err(Error::Input {
                        option: option.into(),
                        reason: "goes with a --kernel for the firmware to start".into(),
                    });
                }
                Boot::Firmware { image, handed: None }
            }
            (Some(kernel), Some(image)) => Boot::Firmware {
                image,
                handed: Some(Handed {
                    kernel,
                    initrd: self.initrd,
                    append: self.append.unwrap_or_default(),
                }),
            },
            (Some(kernel), None) => Boot::Kernel {
                kernel,
                initrd: self.initrd,
                append: self.append.unwrap_or_default(),
            },
            (None, None) => Boot::Debian {
                initrd: self.initrd,
                append: self.append.unwrap_or_default(),
            },
        };
        let gdb = match self.gdb {
            None if self.gdb_wait => Address::DEFAULT.parse().ok(),
            gdb => gdb,
        };
        let config = Config {
            arch: self.arch,
            board: self.board,
            cpu: self.cpu.unwrap_or_else(|| self.arch.default_cpu().to_owned()),
            memory: self.memory.0,
            cpus: self.smp,
            accel: self.accel,
            code_cache: self.code_cache.0,
            boot,
            dtb: self.dtb,
            dump_dtb: self.dump_dtb,
            no_reboot: self.no_reboot,
            gdb,
            gdb_wait: self.gdb_wait,
            escape: self.escape,
            serial: self.serial,
            virtio_console: self.virtio_console,
            semihosting: self.semihosting.map(|folder| SemihostingConfig {
                folder,
                args: self.semihosting_args.unwrap_or_default(),
            }),
            trace: traces(&self.trace)?,
            verbose: self.verbose,
        };
        config.check()?;
        Ok(config)
    }
}

/// Reads the command line.
///
/// # Errors
///
/// [`Error::Input`] for anything that cannot be meant, before any file is looked at.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    if args.get(1).is_some_and(|a| a == "explain") {
        return match Explain::try_parse_from(&args[1..]) {
            Ok(explain) => Ok(Request::Print(explain.text(is_coloured())?.into_bytes())),
            Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp) => Ok(Request::Print(rendered(&e))),
            Err(e) => Err(complaint(&e)),
        };
    }
    let command = Cli::command();
    let cli = match Cli::try_parse_from(qemu::translated(args, |word| values(&command, word))?) {
        Ok(cli) => cli,
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Request::Print(rendered(&e)));
        }
        Err(e) => return Err(complaint(&e)),
    };
    if let Some(shell) = cli.completions {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "emu", &mut script);
        return Ok(Request::Print(script));
    }
    if cli.man {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
        return rendered
            .map(|()| Request::Print(page))
            .map_err(|e| Error::host("cannot write the manual page", e));
    }
    if cli.cpu.as_deref() == Some("help") {
        return Ok(Request::Print(cli.arch.cpu_list().into_bytes()));
    }
    cli.config().map(|config| Request::Run(Box::new(config)))
}

/// How many words an option of ours takes at least; none for what is no option of ours.
fn values(command: &clap::Command, word: &str) -> Option<usize> {
    let mut options = command.get_arguments();
    let is_it = |option: &clap::Arg| match word.strip_prefix("--") {
        Some(long) => option.get_long() == Some(long) || matches!(long, "help" | "version"),
        None => option
            .get_short()
            .is_some_and(|short| word.len() == 2 && word.ends_with(short)),
    };
    let option = options.find(|&option| is_it(option))?;
    let takes = option.get_action().takes_values();
    Some(if takes {
        option.get_num_args().map_or(1, |count| count.min_values())
    } else {
        0
    })
}

/// Help and version text, in colour when standard output is a terminal that wants it.
fn rendered(text: &clap::Error) -> Vec<u8> {
    let text = text.render();
    if is_coloured() {
        text.ansi().to_string().into_bytes()
    } else {
        text.to_string().into_bytes()
    }
}

/// Whether what is written to standard output is to have colours (https://no-color.org).
fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

fn cpu_count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "not a number of CPUs".into())
}

/// `--trace`'s values, two each time.
fn traces(values: &[OsString]) -> Result<Vec<Trace>, Error> {
    let trace = |pair: &[OsString]| {
        let kinds = pair[0].to_string_lossy();
        Ok(Trace {
            kinds: kinds
                .parse()
                .map_err(|reason| Error::input("--trace", &kinds, reason))?,
            file: PathBuf::from(&pair[1]),
        })
    };
    values.chunks_exact(2).map(trace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("--machine virt,highmem=off,gic-version=2 -m size=1G", "--memory 1G"),
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
        assert_eq!(error(pairs[11].0), "--append: given more than once");
    }

    #[test]
    fn firmware_is_handed_a_kernel() {
        let boot = config("--firmware f --kernel k --append x").boot;

        let handed = Handed {
            kernel: "k".into(),
            initrd: None,
            append: "x".into(),
        };
        let expected = Boot::Firmware {
            image: "f".into(),
            handed: Some(handed),
        };
        assert_eq!(boot, expected);
    }

    #[test]
    fn complaints_name_the_option_and_the_reason_in_one_line() {
        let cases = [
            (
                "--arch mips",
                "--arch mips: unknown architecture; emu has: arm (not yet: aarch64, i386, x86_64)",
            ),
            ("--arch aarch64", "--arch aarch64: not yet there; emu has: arm"),
            ("--board pc", "--board pc: unknown board; emu has: virt"),
            (
                "--cpu z80",
                "--cpu z80: unknown CPU model; --arch arm has: cortex-a15, cortex-a7",
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
            ("--smp 2", "--smp 2: emu runs one virtual CPU at present"),
            ("--smp 0", "--smp 0: a machine needs a CPU"),
            ("--smp 9", "--smp 9: board virt has at most 8 CPUs"),
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
            ("-machine pc", "--board pc: unknown board; emu has: virt"),
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
}
