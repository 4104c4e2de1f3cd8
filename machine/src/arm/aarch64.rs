//! 64-bit CPUs.

use std::io;
use std::sync::Arc;

use emu_devices::bus::{CpuLine, Wiring};
use emu_firmware::fdt::{Chosen, Node};
use emu_firmware::identify::Isa;
use emu_frontend_arm::a64::{A64, Features};
use emu_jit::engine::Accel;

use super::disassembly::A64Disassembler;
use super::language::A64Language;
use super::tree::{self, CpuKind};
use crate::arch::{Architecture, CpuWiring, Fitting, Language};
use crate::board::{Board, Interrupts};
use crate::cpus::Cpus;
use crate::debian::Port;
use crate::processor::Processor;

/// AArch64.
pub struct Aarch64;

const MAX: &str = "max";

impl Architecture for Aarch64 {
    fn isa(&self) -> Isa {
        Isa::Aarch64
    }

    fn debian(&self) -> Port {
        Port {
            name: "arm64",
            kernel: "linux",
        }
    }

    fn models(&self) -> Vec<&'static str> {
        vec![MAX]
    }

    fn line_bit(&self, line: CpuLine) -> u32 {
        super::line_bit(line)
    }

    fn interrupts(&self, wiring: &Arc<Wiring>, cpus: &Arc<Cpus>) -> Box<dyn Interrupts> {
        super::interrupts(wiring, cpus)
    }

    fn processor(&self, _: &str, _: Accel, _: CpuWiring) -> io::Result<Box<dyn Processor>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn console(&self, board: &Board) -> Option<String> {
        tree::console(board)
    }

    fn tree(&self, board: &Board, fitting: Fitting, chosen: Chosen) -> Node {
        let kind = CpuKind {
            compatible: "arm,armv8",
            timer: &["arm,armv8-timer", "arm,armv7-timer"],
            pmu: None,
            wide: true,
        };
        tree::tree(board, fitting, &kind, chosen)
    }

    fn language(&self, model: &str) -> Option<Box<dyn Language>> {
        Some(Box::new(A64Language {
            guest: A64 {
                features: (model == MAX).then_some(Features::ALL)?,
            },
            disassembler: A64Disassembler::new(),
        }))
    }
}
