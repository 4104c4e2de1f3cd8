//! x86 in the machine: CPUs, APICs and 8259s, what kernels are told of the board, instructions as text.

mod controllers;
mod cpu;
mod dialect;
mod disassembly;
mod language;
mod platform;
mod tables;
mod trace;
mod view;

use std::io;
use std::sync::Arc;

use emu_devices::bus::{Clock, CpuLine, Wiring};
use emu_firmware::fdt::{Chosen, Node};
use emu_firmware::identify::Isa;
use emu_firmware::x86::board::TooLarge;
use emu_firmware::x86::entry::Mode;
use emu_firmware::{kernel, x86};
use emu_frontend_x86::features;
use emu_frontend_x86::model::{self, MODELS, Model};
use emu_frontend_x86::platform::{INIT, INTR, NMI, SMI, X86};
use emu_jit::engine::Vcpu;

use crate::arch::{Architecture, CpuWiring, Fitting, Kernel, Language, Tables};
use crate::board::{Board, Interrupts};
use crate::cpus::{Cpus, EdgeLines};
use crate::debian::Port;
use crate::processor::{Processor, Start};
use crate::tracer::CpuTracer;
use controllers::Controllers;
use disassembly::Disassembler;
use language::X86Language;
use platform::X86Platform;
use view::View;

/// 32-bit x86: its kernels, and no others.
pub struct I386;

/// x86-64, which runs kernels for 32-bit x86 too.
pub struct X86_64;

/// Ticks of the time-stamp counters and of the local APICs' timers a second: one is a nanosecond of the machine's clock.
const TSC_HZ: u64 = 1_000_000_000;

/// The names of the models, the default first.
fn models() -> Vec<&'static str> {
    MODELS.iter().map(|model| model.name).collect()
}

fn parsed(isa: Isa, bytes: Vec<u8>) -> Result<Kernel, kernel::Error> {
    x86::Kernel::parse(isa, bytes).map(Kernel::X86)
}

fn line_bit(line: CpuLine) -> u32 {
    match line {
        CpuLine::Irq => INTR,
        CpuLine::Nmi => NMI,
        CpuLine::Smi => SMI,
        CpuLine::Init => INIT,
        // Arm's.
        CpuLine::Fiq => 0,
    }
}

/// A model as a CPU without long mode, its 64-bit mode and what needs that.
fn find_narrow(text: &str) -> Result<Model, String> {
    if text
        .split(',')
        .skip(1)
        .any(|switch| ["lm", "+lm", "lm=on"].contains(&switch))
    {
        return Err("lm: --arch i386 has no long mode; --arch x86_64 has".into());
    }
    model::find(&format!("{text},lm=off"))
}

/// Whether so many CPUs of this model find each other: by their local APICs (SDM 3, 8.4).
fn check_cpus(name: &str, count: u32) -> Result<(), String> {
    match count > 1 && !model::find(name)?.has("apic") {
        true => Err(format!(
            "--cpu {name} has no local APIC to start and interrupt others by; it is alone"
        )),
        false => Ok(()),
    }
}

/// Whether a CPU of this model can start so.
fn check_start(model: &Model, start: &Start) -> Result<(), String> {
    let long = matches!(start, Start::Entry(entry) if matches!(entry.mode, Mode::Long { .. }));
    match long && !model.has("lm") {
        true => Err("a 64-bit kernel, and a CPU that has no long mode".into()),
        false => Ok(()),
    }
}

fn processor(model: Result<Model, String>, around: CpuWiring) -> io::Result<Box<dyn Processor>> {
    let model = model.map_err(|reason| io::Error::new(io::ErrorKind::InvalidInput, reason))?;
    let apic = Controllers::of(&around).map(|controllers| controllers.local_apic(around.cpu));
    let platform = X86Platform::new(&around, apic.clone());
    let mut guest = X86 {
        model,
        platform: Box::new(platform),
    };
    let cpu = cpu::at_reset(&mut guest);
    let view = View::new(around.bus, apic);
    let mut vcpu = Vcpu::sharing(&around.code.of()?, guest, cpu, Box::new(view));
    if let Some(log) = around.log {
        vcpu.set_tracer(Some(Box::new(CpuTracer::<X86>::new(log))));
    }
    Ok(Box::new(vcpu))
}

/// What both have the same.
macro_rules! common {
    ($isa:expr, $port:expr, $wide:expr, $find:expr) => {
        fn isa(&self) -> Isa {
            $isa
        }

        fn kernel(&self, bytes: Vec<u8>) -> Result<Kernel, kernel::Error> {
            parsed($isa, bytes)
        }

        fn debian(&self) -> Port {
            Port {
                name: $port,
                kernel: "linux",
                console: "ttyS0",
            }
        }

        fn language(&self, name: &str) -> Option<Box<dyn Language>> {
            Some(Box::new(X86Language {
                guest: X86 {
                    model: $find(name).ok()?,
                    platform: Box::new(platform::Nothing),
                },
                disassembler: Disassembler::new(),
                wide: $wide,
            }))
        }

        fn boards(&self) -> &'static [&'static str] {
            &["microvm"]
        }

        fn models(&self) -> Vec<&'static str> {
            models()
        }

        fn features(&self) -> Vec<&'static str> {
            features::NAMES.to_vec()
        }

        fn check_features(&self, name: &str) -> Result<(), String> {
            $find(name).map(drop)
        }

        fn check_cpus(&self, name: &str, count: u32) -> Result<(), String> {
            check_cpus(name, count)
        }

        fn line_bit(&self, line: CpuLine) -> u32 {
            line_bit(line)
        }

        fn edge_lines(&self) -> EdgeLines {
            EdgeLines {
                all: NMI | SMI | INIT,
                init: INIT,
            }
        }

        fn interrupts(
            &self,
            _: &Board,
            name: &str,
            around: (&Arc<Wiring>, &Clock),
            cpus: &Arc<Cpus>,
        ) -> Box<dyn Interrupts> {
            Box::new(Controllers::new(&$find(name).unwrap_or(Model::ALL), around, cpus))
        }

        fn processor(&self, name: &str, around: CpuWiring) -> io::Result<Box<dyn Processor>> {
            processor($find(name), around)
        }

        fn console(&self, _: &Board) -> Option<String> {
            None
        }

        fn tree(&self, _: &Board, _: Fitting, chosen: Chosen) -> Node {
            Node::new("").child(chosen.node())
        }

        fn tables(&self, board: &Board, fitting: Fitting) -> Result<Option<Tables>, TooLarge> {
            tables::tables(board, fitting).map(Some)
        }

        fn has_device_tree(&self) -> bool {
            false
        }

        fn has_semihosting(&self) -> bool {
            false
        }

        fn check_start(&self, name: &str, start: &Start) -> Result<(), String> {
            check_start(&$find(name)?, start)
        }
    };
}

impl Architecture for I386 {
    common!(Isa::I386, "i386", false, find_narrow);
}

impl Architecture for X86_64 {
    common!(Isa::X86_64, "amd64", true, model::find);
}
