//! What the machine asks of a guest's architecture. Everything else in this crate names none.

use std::any::Any;
use std::io;
use std::sync::{Arc, OnceLock};

use emu_devices::bus::{Clock, CpuLine, Irq, Wiring};
use emu_firmware::fdt::{Chosen, Node};
use emu_firmware::identify::Isa;
use emu_firmware::x86::board::TooLarge;
use emu_firmware::{kernel, x86};
use emu_ir::{Block, BlockKey, Guest};
use emu_jit::engine::{Accel, Translations};
use emu_jit::listing::{Host, Stages};

use crate::board::{Board, Interrupts};
use crate::cpus::{Cpus, EdgeLines};
use crate::debian::Port;
use crate::processor::{Processor, Start};
use crate::semihosting::Semihosting;
use crate::space::CpuBus;
use crate::trace::Writer;

/// A kernel's file, checked.
#[derive(Clone, Debug)]
pub enum Kernel {
    /// For ARM.
    Arm(kernel::Kernel),
    /// For x86.
    X86(x86::Kernel),
}

/// What kernels of x86 are told of a board.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Its memory.
    pub map: x86::Map,
    /// Tables in memory: each with its physical address.
    pub placed: Vec<(u64, Vec<u8>)>,
    /// ACPI's root pointer: where it is, and its bytes; none for CPUs that have no APIC, as ACPI's tables say they do.
    pub rsdp: Option<(u64, [u8; 36])>,
    /// Words for Linux, of what the tables do not say.
    pub words: Vec<String>,
    /// Words for a Linux that is told not to look at ACPI.
    pub words_without_acpi: Vec<String>,
}

/// What a run adds to a board's description.
#[derive(Clone, Copy, Debug)]
pub struct Fitting<'a> {
    /// RAM in bytes.
    pub memory: u64,
    /// Number of CPUs.
    pub cpus: u32,
    /// The CPUs' model.
    pub model: &'a str,
}

/// What the CPUs of a machine translate: each block once for all of them.
pub struct MachineCode {
    accel: Accel,
    cpus: usize,
    bytes: usize,
    /// [`Translations`] of the guest that they turn out to run.
    made: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl MachineCode {
    /// For so many CPUs; `bytes` for it and all that is known about it.
    pub fn new(accel: Accel, cpus: usize, bytes: usize) -> MachineCode {
        MachineCode {
            accel,
            cpus,
            bytes,
            made: OnceLock::new(),
        }
    }

    /// The same whenever it is asked for.
    ///
    /// # Errors
    /// The host's; [`InvalidInput`](io::ErrorKind::InvalidInput) if it was asked for another guest before.
    pub fn of<G: Guest>(&self) -> io::Result<Translations<G>> {
        if self.made.get().is_none() {
            let made = Translations::<G>::new(self.accel, self.cpus == 1, self.bytes)?;
            let _ = self.made.set(Box::new(made));
        }
        let made = self.made.get().and_then(|made| made.downcast_ref::<Translations<G>>());
        let other = || io::Error::new(io::ErrorKind::InvalidInput, "CPUs of two kinds");
        made.cloned().ok_or_else(other)
    }
}

/// The machine around one CPU.
pub struct CpuWiring<'a> {
    /// Its number.
    pub cpu: usize,
    /// All CPUs.
    pub cpus: &'a Arc<Cpus>,
    /// The machine's clock.
    pub clock: &'a Clock,
    /// The interrupt controller's line for a private interrupt of this CPU, by number.
    pub private: &'a dyn Fn(u32) -> Irq,
    /// The interrupt controller, where the CPU is to have registers of it.
    pub controller: Option<&'a dyn Interrupts>,
    /// Physical memory.
    pub bus: CpuBus,
    /// What it translates.
    pub code: &'a MachineCode,
    /// Who is told what the CPU does.
    pub log: Option<Writer>,
    /// The host of the guest's programs, if they have one.
    pub semihosting: Option<Arc<Semihosting>>,
}

/// A guest's architecture.
pub trait Architecture: Sync {
    /// What its kernels are for.
    fn isa(&self) -> Isa;
    /// Checks a kernel's file.
    ///
    /// # Errors
    /// One line saying what the file is instead, or what is wrong with it.
    fn kernel(&self, bytes: Vec<u8>) -> Result<Kernel, kernel::Error>;
    /// Debian's port to it.
    fn debian(&self) -> Port;
    /// Names of the boards that it has, the default first.
    fn boards(&self) -> &'static [&'static str];
    /// Names of the CPU models, the default first.
    fn models(&self) -> Vec<&'static str>;
    /// What CPU models have, or not, as their names say: `NAME=on` or `NAME=off` after a comma.
    fn features(&self) -> Vec<&'static str>;
    /// Whether a CPU model, one of [`Architecture::models`], may have such features.
    ///
    /// # Errors
    /// What is wrong with it, for the user.
    fn check_features(&self, model: &str) -> Result<(), String>;
    /// Whether a machine may have so many CPUs of a model.
    ///
    /// # Errors
    /// Why not, for the user.
    fn check_cpus(&self, _model: &str, _count: u32) -> Result<(), String> {
        Ok(())
    }
    /// The bit that an interrupt input has in a CPU's word of pending lines; 0 for one that its CPUs have not.
    fn line_bit(&self, line: CpuLine) -> u32;
    /// Which of these bits are of inputs that take edges.
    fn edge_lines(&self) -> EdgeLines {
        EdgeLines::default()
    }
    /// The interrupt controller of a board whose CPUs are of this model, with its outputs connected to them.
    fn interrupts(
        &self,
        board: &Board,
        model: &str,
        around: (&Arc<Wiring>, &Clock),
        cpus: &Arc<Cpus>,
    ) -> Box<dyn Interrupts>;
    /// A CPU that the engine runs.
    ///
    /// # Errors
    /// The host's; [`InvalidInput`](io::ErrorKind::InvalidInput) for an unknown model.
    fn processor(&self, model: &str, around: CpuWiring) -> io::Result<Box<dyn Processor>>;
    /// Path of the console in the device tree.
    fn console(&self, board: &Board) -> Option<String>;
    /// A board's device tree, with what the boot loader says. Of x86's boards it has the latter alone: their kernels are told by
    /// [`Architecture::tables`].
    fn tree(&self, board: &Board, fitting: Fitting, chosen: Chosen) -> Node;
    /// What kernels of x86 are told of a board in place of a device tree.
    ///
    /// # Errors
    /// The tables take more room than there is for them.
    fn tables(&self, _board: &Board, _fitting: Fitting) -> Result<Option<Tables>, TooLarge> {
        Ok(None)
    }
    /// Whether kernels are told of the board by a device tree.
    fn has_device_tree(&self) -> bool {
        true
    }
    /// Whether programs reach the host by semihosting.
    fn has_semihosting(&self) -> bool {
        true
    }
    /// Whether a CPU of this model can start as a kernel is to be started.
    ///
    /// # Errors
    /// What it cannot, for the user.
    fn check_start(&self, _model: &str, _start: &Start) -> Result<(), String> {
        Ok(())
    }
    /// Its instructions, for `emu explain`, as a CPU of this model has them. `None`: an unknown model.
    fn language(&self, model: &str) -> Option<Box<dyn Language>>;
}

/// Most bytes of code that are explained at once.
pub const MOST_CODE: usize = 1 << 20;

/// What bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Instructions, in this mode.
    Insns(u64),
    /// Data between them: literals, tables.
    Data,
}

/// Code to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The bytes, 1 to [`MOST_CODE`].
    pub bytes: Vec<u8>,
    /// The address of the first.
    pub address: u64,
    /// Where in `bytes` each part starts, ascending; the first at 0.
    pub parts: Vec<(usize, Kind)>,
}

impl Code {
    /// The same, if it is not too much, nor nothing.
    ///
    /// # Errors
    /// What is wrong, for the user.
    pub fn checked(self) -> Result<Code, String> {
        match self.bytes.len() {
            0 => Err("no code at all".into()),
            len if len > MOST_CODE => Err(format!(
                "{} KiB of code; at most {} KiB are explained",
                len >> 10,
                MOST_CODE >> 10
            )),
            _ => Ok(self),
        }
    }

    /// Each part: where it starts, what it is, its bytes.
    pub fn parts(&self) -> impl Iterator<Item = (usize, Kind, &[u8])> {
        let ends = self.parts.iter().skip(1).map(|p| p.0).chain([self.bytes.len()]);
        let parts = self.parts.iter().zip(ends);
        parts.filter_map(|(&(start, kind), end)| Some((start, kind, self.bytes.get(start..end)?)))
    }
}

/// An instruction as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Bytes from the start of the code.
    pub at: usize,
    /// How many bytes it has.
    pub len: usize,
    /// The instruction; its bytes as a number where it has no name.
    pub text: String,
}

/// An architecture's instructions, as `emu explain` takes and shows them.
pub trait Language {
    /// The mode of code of the main instruction set, or of the compact one, if there is one.
    fn mode(&self, compact: bool) -> Option<u64>;
    /// Assembly to code, by an assembler of the host's.
    ///
    /// # Errors
    /// What is wrong with the text, or with the host's assembler, for the user.
    fn assemble(&self, text: &str, mode: u64) -> Result<Code, String>;
    /// The function of this name in an ELF file.
    ///
    /// # Errors
    /// Why there is none, for the user.
    fn symbol(&self, file: &[u8], name: &str) -> Result<Code, String>;

    /// The first block of `code`, stage by stage. `None`: no whole instruction is there.
    fn stages(&self, key: BlockKey, code: &[u8]) -> Option<Stages>;
    /// The page offset of the first instruction that is translated as an undefined one.
    fn undefined(&self, ir: &Block) -> Option<u32>;
    /// The complaint about the undefined instruction at the start of `code`, unless it is meant to be one.
    fn complaint(&self, code: &[u8], address: u64, mode: u64) -> Option<String>;

    /// The instructions of `code` as text. Bytes at the end that make no whole instruction are left out.
    fn lines(&self, code: &[u8], address: u64, mode: u64) -> Vec<Line>;
    /// A block of IR as text.
    fn ir(&self, block: &Block) -> String;
    /// The host code of a block.
    fn host(&self, stages: &Stages) -> Host;
    /// Which guest registers live where in host code.
    fn registers(&self) -> String;
}
