//! 64-bit CPUs.

use std::io;
use std::sync::Arc;

use emu_devices::bus::{Clock, CpuLine, Format, LoadError, Saved, Wiring};
use emu_firmware::fdt::{Chosen, Node};
use emu_firmware::identify::{self, Isa};
use emu_firmware::kernel;
use emu_frontend_arm::a64::features::{Feature, NAMES};
use emu_frontend_arm::a64::model::{self, MODELS};
use emu_frontend_arm::a64::sys::program_all;
use emu_frontend_arm::a64::{A64, Cpu};
use emu_frontend_arm::platform::Platform;
use emu_jit::engine::Vcpu;

use super::disassembly::A64Disassembler;
use super::gic;
use super::language::A64Language;
use super::platform::ArmPlatform;
use super::tree::{self, CpuKind};
use crate::arch::{Architecture, CpuWiring, Fitting, Kernel, Language};
use crate::board::{Board, Interrupts};
use crate::cpus::Cpus;
use crate::debian::Port;
use crate::processor::{Processor, Start};
use crate::soft::Core;
use crate::tracer::CpuTracer;

/// AArch64.
pub struct Aarch64;

impl Architecture for Aarch64 {
    fn isa(&self) -> Isa {
        Isa::Aarch64
    }

    fn kernel(&self, bytes: Vec<u8>) -> Result<Kernel, kernel::Error> {
        kernel::Kernel::parse(identify::Arm::A64, bytes).map(Kernel::Arm)
    }

    fn debian(&self) -> Port {
        Port {
            name: "arm64",
            kernel: "linux",
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
        let names = NAMES.iter().map(|(_, name)| *name);
        // Not all that is known is there.
        names
            .filter(|name| model::find(&format!("max,{name}=on")).is_ok())
            .collect()
    }

    fn check_features(&self, model: &str) -> Result<(), String> {
        model::find(model).map(drop)
    }

    fn line_bit(&self, line: CpuLine) -> u32 {
        super::line_bit(line)
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
        let unknown = |reason| io::Error::new(io::ErrorKind::InvalidInput, reason);
        let platform = ArmPlatform::new(&around);
        let mut model = model::find(model).map_err(unknown)?;
        if platform.gic().is_some() {
            model.features = model.features.with(&[Feature::Gic]);
        }
        let guest = A64 {
            model,
            platform: Box::new(platform),
            semihosting: around.semihosting.is_some(),
        };
        let mut vcpu = Vcpu::sharing(&around.code.of()?, guest, Cpu::reset(), Box::new(around.bus));
        if let Some(log) = around.log {
            vcpu.set_tracer(Some(Box::new(CpuTracer::<A64>::new(log))));
        }
        Ok(Box::new(vcpu))
    }

    fn console(&self, board: &Board) -> Option<String> {
        tree::console(board)
    }

    fn tree(&self, board: &Board, fitting: Fitting, chosen: Chosen) -> Node {
        let model = model::find(fitting.model).ok();
        let counts = model.is_some_and(|model| model.features.has(Feature::Pmu));
        let kind = CpuKind {
            compatible: model.map_or("arm,armv8", |model| model.compatible),
            timer: &["arm,armv8-timer", "arm,armv7-timer"],
            pmu: counts.then_some("arm,armv8-pmuv3"),
            wide: true,
        };
        tree::tree(board, fitting, &kind, chosen)
    }

    fn language(&self, model: &str) -> Option<Box<dyn Language>> {
        Some(Box::new(A64Language {
            guest: A64::alone(model::find(model).ok()?),
            disassembler: A64Disassembler::new(),
        }))
    }
}

/// What [`Saved`] calls the state of a CPU, and its version.
const SAVED: Format = Format::first("aarch64-cpu");

impl Core for A64 {
    /// EL1 with its own stack pointer, interrupts masked, MMU and caches off.
    fn start(&mut self, _: &Cpu, how: Start) -> Cpu {
        let mut cpu = Cpu::reset();
        // The other ways are x86's.
        if let Start::At { pc, args } = how {
            cpu.pc = pc;
            for (register, value) in cpu.x.iter_mut().zip(args) {
                *register = value;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Gic, VIRT};
    use emu_firmware::fdt::{Blob, Seeds};

    fn blob(model: &str) -> Vec<u8> {
        let fitting = Fitting {
            memory: 8 << 30,
            cpus: 1,
            model,
        };
        Aarch64.tree(&VIRT, fitting, Chosen::default()).to_blob().unwrap()
    }

    #[test]
    fn the_tree_says_what_the_model_is_and_has() {
        let tree = |model: &str, node: &str, property: &str| {
            let blob = blob(model);
            let blob = Blob::parse(&blob).unwrap();
            blob.property(node, property).map(<[u8]>::to_vec)
        };

        let name = tree("cortex-a72", "/cpus/cpu@0", "compatible");
        assert_eq!(name.as_deref(), Some(b"arm,cortex-a72\0".as_slice()));
        let counter = tree("cortex-a72", "/pmu", "compatible");
        assert_eq!(counter.as_deref(), Some(b"arm,armv8-pmuv3\0".as_slice()));
        assert_eq!(tree("max,pmu=off", "/pmu", "compatible"), None);
        let timer = tree("max", "/timer", "compatible").unwrap();
        assert!(timer.starts_with(b"arm,armv8-timer\0"));
        let memory = tree("max", "/memory@40000000", "reg").unwrap();
        assert_eq!(memory[8..], [0, 0, 0, 2, 0, 0, 0, 0], "8 GiB");
    }

    /// Of `/chosen`: the seed of the generator for all, of the place for kernels that move.
    #[test]
    fn kernels_are_given_seeds() {
        let seeds = Seeds {
            rng: [7; 32],
            kaslr: Some([1, 2, 3, 4, 5, 6, 7, 8]),
        };
        let fitting = Fitting {
            memory: 1 << 30,
            cpus: 1,
            model: "",
        };
        let given = |arch: &dyn Architecture, seeds| {
            let chosen = Chosen {
                seeds,
                ..Chosen::default()
            };
            let blob = arch.tree(&VIRT, fitting, chosen).to_blob().unwrap();
            let blob = Blob::parse(&blob).unwrap();
            ["rng-seed", "kaslr-seed"].map(|name| blob.property("/chosen", name).map(<[u8]>::len))
        };

        assert_eq!(given(&Aarch64, Some(seeds)), [Some(32), Some(8)]);
        assert_eq!(given(&super::super::Arm32, Some(seeds)), [Some(32), None]);
        assert_eq!(given(&Aarch64, None), [None, None]);
    }

    #[test]
    fn the_tree_of_a_gicv3_names_no_cpus_in_interrupts_and_all_by_their_affinities() {
        let fitting = Fitting {
            memory: 1 << 30,
            cpus: 20,
            model: "max",
        };
        let blob = |gic| {
            Aarch64
                .tree(&VIRT.with_gic(gic), fitting, Chosen::default())
                .to_blob()
                .unwrap()
        };
        let (v2, v3) = (blob(Gic::V2), blob(Gic::V3));
        let (v2, v3) = (Blob::parse(&v2).unwrap(), Blob::parse(&v3).unwrap());
        let flags = |blob: &Blob| blob.property("/timer", "interrupts").unwrap()[8..12].to_vec();

        assert_eq!((flags(&v2), flags(&v3)), (vec![0, 0, 0xff, 4], vec![0, 0, 0, 4]));
        let places = v3.property("/intc@8000000", "reg").unwrap();
        assert_eq!(places[16..], [0, 0, 0, 0, 8, 0xa, 0, 0, 0, 0, 0, 0, 0, 0xf6, 0, 0]);
        let (its, frame) = ("/intc@8000000/its@8080000", "/intc@8000000/v2m@8020000");
        assert!(v3.property(its, "msi-controller").is_some() && v3.property(frame, "reg").is_none());
        assert!(v2.property(frame, "msi-controller").is_some() && v2.property(its, "reg").is_none());
        assert_eq!(v3.property("/cpus/cpu@103", "reg"), Some([0, 0, 1, 3].as_slice()));
        assert_eq!(v3.property("/cpus/cpu@10", "reg"), None);
    }

    #[test]
    fn every_feature_that_is_listed_can_be_switched() {
        for feature in Aarch64.features() {
            for state in ["on", "off"] {
                assert_eq!(Aarch64.check_features(&format!("max,{feature}={state}")), Ok(()));
            }
        }
        assert!(Aarch64.features().contains(&"lse"));
    }
}
