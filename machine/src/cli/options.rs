//! The options: their names, what help says of them, and the [`Config`] that they ask for.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Parser};

use crate::board::Gic;
use crate::config::{Accel, Arch, BoardName, Boot, ByteSize, Config, ConsoleHost, EscapeKey, Handed};
use crate::error::Error;
use crate::gdb::address::Address;
use crate::semihosting::SemihostingConfig;
use crate::trace::Trace;

const EXAMPLES: &str = "\
Examples:
  emu --arch arm --board virt
      Boot Debian 12's ARM kernel to a root shell; `poweroff` ends it. The kernel is fetched once through apt.
  emu --arch aarch64 --memory 8G --kernel Image.gz --initrd rootfs.cpio.gz --append \"console=ttyAMA0\"
      Boot a 64-bit kernel of your own; without --kernel it is Debian 12's.
  emu --kernel zImage --initrd rootfs.cpio.gz --append \"console=ttyAMA0\" --memory 512M
      Boot a kernel and an initial file system of your own.
  emu --initrd rootfs.cpio.gz
      The same with Debian's kernel.
  emu --firmware u-boot.bin
      Run firmware from the reset vector; U-Boot's qemu_arm build fits the board (qemu_arm64 with --arch aarch64).
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
pub struct Cli {
    /// The guest's instruction set: arm, aarch64, i386, x86_64
    #[arg(long, value_name = "NAME", default_value = "arm", help_heading = "Machine")]
    pub arch: Arch,

    /// The board, with the addresses and interrupts of QEMU's board of that name: virt for ARM, microvm for x86
    #[arg(long, value_name = "NAME", help_heading = "Machine")]
    pub board: Option<BoardName>,

    /// Make the machine without a device of the board, or without several with commas between; `help` lists them
    ///
    /// A virtio device leaves its transport behind, empty. It may be given several times.
    #[arg(long, value_name = "NAME", value_delimiter = ',', action = ArgAction::Append, help_heading = "Machine")]
    pub no_device: Vec<String>,

    /// CPU model; `help` lists them, the default first
    #[arg(long, value_name = "MODEL", help_heading = "Machine")]
    pub cpu: Option<String>,

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

    /// Number of virtual CPUs
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        default_value = "1",
        value_parser = cpu_count,
        help_heading = "Machine"
    )]
    smp: u32,

    /// The interrupt controller: 2 for a GICv2 (up to 8 CPUs), 3 for a GICv3 (up to 123)
    ///
    /// If not given, it is a GICv2 for up to 8 CPUs and a GICv3 for more. Messages in the place of interrupt lines (MSI) go to
    /// a GICv2m frame with the one, to an Interrupt Translation Service with the other.
    #[arg(long, value_name = "VERSION", help_heading = "Machine")]
    gic: Option<Gic>,

    /// What executes guest code: jit translates it to host code, interp interprets it (slow, for comparison)
    #[arg(long, value_name = "HOW", default_value = "jit", help_heading = "Machine")]
    accel: Accel,

    /// Memory for translated code and all that is known about it: bytes, or with K, M, G or T
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

    /// What runs: a Linux kernel (zImage, Image or bzImage, vmlinux, uImage), another ELF file, a multiboot kernel, or raw code
    ///
    /// On ARM Linux starts by its boot protocol: r2 says where the device tree is, x0 on aarch64, whose Image may be packed by gzip
    /// or zstd, or in an EFI program (zboot). Another ELF file is loaded where it is linked (its physical addresses), into
    /// RAM or flash, and entered at its entry point; the device tree is at the start of RAM, or behind a program that lies
    /// there itself, and r2 or x0 says where. Raw code is loaded 64 KiB into RAM (0x40010000), on aarch64 512 KiB
    /// (0x40080000), and entered there with Linux's registers.
    ///
    /// On x86 it is a bzImage, which starts by its own protocol in 32 or 64 bits, an ELF file with a PVH note (vmlinux), or a
    /// kernel for multiboot 1 or 2.
    ///
    /// With neither a kernel nor firmware, emu boots Debian 12's own kernel, from the package
    /// debian-installer-12-netboot-armhf, -arm64, -i386 or -amd64: fetched once through the system's apt (without root), then kept.
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    kernel: Option<PathBuf>,

    /// Initial RAM file system: cpio archives, compressed or not
    ///
    /// For a multiboot kernel they are its modules: files with commas between them, each followed by its words, if it has some
    /// (`--initrd "first,second with words"`). A comma in a name is written twice.
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    initrd: Option<PathBuf>,

    /// The kernel's command line
    ///
    /// For Debian's kernel these words are added to `console=ttyAMA0`, on x86 `console=ttyS0`.
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true, help_heading = "What runs")]
    append: Option<String>,

    /// Firmware for the first flash bank; it runs at reset
    ///
    /// The device tree is at the start of RAM. With --kernel, firmware such as U-Boot (`qfw load`) or EDK2 gets kernel,
    /// initrd and command line through the board's fw_cfg device; the kernel is then any file that it takes.
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    firmware: Option<PathBuf>,

    /// Where firmware keeps its variables: the second flash bank's contents
    ///
    /// What the guest writes to the bank is in FILE at once. A FILE that is not there is made; firmware finds such a bank
    /// blank and lays it out. EDK2's packages have a file for it (AAVMF_VARS.fd): name a copy. Without this option what is
    /// written is gone when emu ends.
    #[arg(long, value_name = "FILE", help_heading = "What runs")]
    firmware_vars: Option<PathBuf>,

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

    /// Where the serial port (ttyAMA0, on x86 ttyS0) is: stdio, pty, unix:PATH, file:PATH or null
    ///
    /// pty makes a pseudo-terminal and says which; unix listens on a socket, for one program after the other (such as
    /// `socat -,raw,echo=0 unix:PATH`); file takes the output only; null is nowhere. It is stdio if not given, and null
    /// for a machine without the port.
    #[arg(long, value_name = "WHERE", help_heading = "Running")]
    serial: Option<ConsoleHost>,

    /// Where the virtio console (hvc0) is, likewise
    #[arg(long, value_name = "WHERE", default_value = "null", help_heading = "Running")]
    virtio_console: ConsoleHost,

    /// Serve semihosting calls: console, exit status, and files below FOLDER if one is named
    ///
    /// For programs without an operating system, built with newlib, picolibc or Zephyr for semihosting (Arm's
    /// specification, 2.0): SVC 0x123456 (ARM) and 0xAB (Thumb), HLT 0xF000 (aarch64 too) and 0x3C, BKPT 0xAB. The program's console is
    /// the serial port's; its exit ends emu with its status. Nothing outside FOLDER is reached, by links neither.
    #[arg(
        long,
        value_name = "FOLDER",
        num_args = 0..=1,
        help_heading = "Running"
    )]
    semihosting: Option<Option<PathBuf>>,

    /// The program's command line, for --semihosting
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true, help_heading = "Running")]
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
    pub completions: Option<clap_complete::Shell>,

    /// Print the manual page in roff, and exit: `emu --man | man -l -`
    #[arg(long, help_heading = "About")]
    pub man: bool,
}

impl Cli {
    /// The machine that is asked for.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] for what cannot be meant.
    pub fn config(self) -> Result<Config, Error> {
        let goes_with = |option: &str, other| Error::Input {
            option: option.to_owned(),
            reason: format!("goes with {other}, which is missing"),
        };
        if self.firmware_vars.is_some() && self.firmware.is_none() {
            return Err(goes_with("--firmware-vars", "--firmware"));
        }
        if self.semihosting_args.is_some() && self.semihosting.is_none() {
            return Err(goes_with("--semihosting-args", "--semihosting"));
        }
        let firmware = self.firmware.map(|image| (image, self.firmware_vars));
        let boot = boot(self.kernel, firmware, self.initrd, self.append)?;
        let gdb = match self.gdb {
            None if self.gdb_wait => Address::DEFAULT.parse().ok(),
            gdb => gdb,
        };
        let mut config = Config {
            arch: self.arch,
            board: self.board.unwrap_or_else(|| self.arch.default_board()),
            left_out: self.no_device,
            cpu: self.cpu.unwrap_or_else(|| self.arch.default_cpu().to_owned()),
            memory: self.memory.0,
            cpus: self.smp,
            gic: self.gic,
            accel: self.accel,
            code_cache: self.code_cache.0,
            boot,
            dtb: self.dtb,
            dump_dtb: self.dump_dtb,
            no_reboot: self.no_reboot,
            gdb,
            gdb_wait: self.gdb_wait,
            escape: self.escape,
            serial: ConsoleHost::Null,
            virtio_console: self.virtio_console,
            semihosting: self.semihosting.map(|folder| SemihostingConfig {
                folder,
                args: self.semihosting_args.unwrap_or_default(),
            }),
            trace: traces(&self.trace)?,
            verbose: self.verbose,
        };
        config.serial = self.serial.unwrap_or(match config.has_serial() {
            true => ConsoleHost::Stdio,
            false => ConsoleHost::Null,
        });
        config.check()?;
        Ok(config)
    }
}

/// What runs.
fn boot(
    kernel: Option<PathBuf>,
    firmware: Option<(PathBuf, Option<PathBuf>)>,
    initrd: Option<PathBuf>,
    append: Option<String>,
) -> Result<Boot, Error> {
    if let (None, Some((image, vars))) = (&kernel, &firmware) {
        let given = [("--initrd", initrd.is_some()), ("--append", append.is_some())];
        return match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => Err(Error::Input {
                option: option.into(),
                reason: "goes with a --kernel for the firmware to start".into(),
            }),
            None => Ok(Boot::Firmware {
                image: image.clone(),
                vars: vars.clone(),
                handed: None,
            }),
        };
    }
    let append = append.unwrap_or_default();
    Ok(match (kernel, firmware) {
        (Some(kernel), Some((image, vars))) => Boot::Firmware {
            image,
            vars,
            handed: Some(Handed { kernel, initrd, append }),
        },
        (Some(kernel), None) => Boot::Kernel { kernel, initrd, append },
        (None, _) => Boot::Debian { initrd, append },
    })
}

fn cpu_count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "not a number of CPUs".into())
}

/// `--trace`'s values, two each time.
fn traces(values: &[OsString]) -> Result<Vec<Trace>, Error> {
    let trace = |[kinds, file]: &[OsString; 2]| {
        let kinds = kinds.to_string_lossy();
        Ok(Trace {
            kinds: kinds
                .parse()
                .map_err(|reason| Error::input("--trace", &kinds, reason))?,
            file: PathBuf::from(file),
        })
    };
    values.as_chunks().0.iter().map(trace).collect()
}
