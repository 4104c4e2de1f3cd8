//! ARM in the machine: 32-bit and 64-bit CPUs, the GIC, firmware calls, device trees, instructions as text.

mod aarch64;
mod dialect;
mod disassembly;
mod elf;
mod gic;
mod language;
mod platform;
mod private;
mod psci;
mod trace;
mod tree;

use std::io;
use std::sync::Arc;

use emu_devices::bus::{Clock, CpuLine, Format, LoadError, Saved, Wiring};
use emu_firmware::fdt::{Chosen, Node};
use emu_firmware::identify::{self, Isa};
use emu_firmware::kernel;
use emu_frontend_arm::platform::{FIQ, IRQ};
use emu_frontend_arm::state::mode;
use emu_frontend_arm::sys::timer::program_all;
use emu_frontend_arm::{Arm, Cpu, MODELS, model};
use emu_jit::engine::Vcpu;

use crate::arch::{Architecture, CpuWiring, Fitting, Kernel, Language};
use crate::board::{Board, Interrupts};
use crate::cpus::Cpus;
use crate::debian::Port;
use crate::processor::{Processor, Start};
use crate::soft::Core;
use crate::tracer::CpuTracer;
use disassembly::Disassembler;
use language::ArmLanguage;
use platform::ArmPlatform;
use tree::CpuKind;

pub use aarch64::Aarch64;

/// ARMv7-A.
pub struct Arm32;

fn line_bit(line: CpuLine) -> u32 {
    match line {
        CpuLine::Irq => IRQ,
        CpuLine::Fiq => FIQ,
        // x86's.
        CpuLine::Nmi | CpuLine::Smi | CpuLine::Init => 0,
    }
}

impl Architecture for Arm32 {
    fn isa(&self) -> Isa {
        Isa::Arm
    }

    fn kernel(&self, bytes: Vec<u8>) -> Result<Kernel, kernel::Error> {
        kernel::Kernel::parse(identify::Arm::A32, bytes).map(Kernel::Arm)
    }

    fn debian(&self) -> Port {
        Port {
            name: "armhf",
            kernel: "vmlinuz",
            console: "ttyAMA0",
        }
    }

    fn boards(&self) -> &'static [&'static str] {
        &["virt"]
    }

    fn models(&self) -> Vec<&'static str> {
        MODELS.iter().map(|model| model.name).collect()
    }

    fn features(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn check_features(&self, model: &str) -> Result<(), String> {
        match model.split_once(',') {
            Some((name, _)) => Err(format!("the features of {name} are fixed")),
            None => Ok(()),
        }
    }

    fn line_bit(&self, line: CpuLine) -> u32 {
        line_bit(line)
    }

    fn interrupts(
        &self,
        board: &Board,
        _: &str,
        (wiring, _): (&Arc<Wiring>, &Clock),
        cpus: &Arc<Cpus>,
    ) -> Box<dyn Interrupts> {
        gic::interrupts(board, wiring, cpus)
    }

    fn processor(&self, model: &str, around: CpuWiring) -> io::Result<Box<dyn Processor>> {
        let unknown = || io::Error::new(io::ErrorKind::InvalidInput, "unknown CPU model");
        let model = model::find(model).ok_or_else(unknown)?;
        let platform = Box::new(ArmPlatform::new(&around));
        let arm = Arm {
            model,
            platform,
            semihosting: around.semihosting.is_some(),
        };
        let mut vcpu = Vcpu::sharing(&around.code.of()?, arm, Cpu::reset(model), Box::new(around.bus));
        if let Some(log) = around.log {
            vcpu.set_tracer(Some(Box::new(CpuTracer::<Arm>::new(log))));
        }
        Ok(Box::new(vcpu))
    }

    fn console(&self, board: &Board) -> Option<String> {
        tree::console(board)
    }

    fn tree(&self, board: &Board, fitting: Fitting, chosen: Chosen) -> Node {
        let compatible = model::find(fitting.model).map_or("arm,armv7", |model| model.compatible);
        let pmu = format!("{compatible}-pmu");
        let kind = CpuKind {
            compatible,
            timer: &["arm,armv7-timer"],
            pmu: Some(&pmu),
            wide: false,
        };
        tree::tree(board, fitting, &kind, chosen)
    }

    fn language(&self, model: &str) -> Option<Box<dyn Language>> {
        Some(Box::new(ArmLanguage {
            guest: Arm::alone(model::find(model)?),
            disassembler: Disassembler::new(),
        }))
    }
}

/// What [`Saved`] calls the state of a CPU, and its version.
const SAVED: Format = Format::first("arm-cpu");

impl Core for Arm {
    /// Supervisor mode, interrupts masked, MMU and caches off.
    fn start(&mut self, _: &Cpu, how: Start) -> Cpu {
        let mut cpu = Cpu::reset(self.model);
        // The other ways are x86's.
        if let Start::At { pc, args } = how {
            cpu.r[15] = pc as u32 & !1;
            if pc & 1 != 0 {
                cpu.mode |= mode::T;
            }
            for (register, value) in cpu.r.iter_mut().zip(args) {
                *register = value as u32;
            }
        }
        program_all(&mut cpu, self);
        cpu
    }

    fn save(&self, cpu: &Cpu) -> Saved {
        Saved::new(&SAVED, cpu)
    }

    fn load(&mut self, saved: &Saved) -> Result<Cpu, LoadError> {
        let mut cpu = saved.state::<Cpu>(&SAVED)?.sound();
        program_all(&mut cpu, self);
        Ok(cpu)
    }
}
