//! What loads and stores cost by the kind of memory: Normal, mapped as Device, and with the MMU off, where firmware runs.
#![allow(clippy::restriction, reason = "what cannot be measured ends it")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use emu_devices::bus::Ram;
use emu_frontend_arm::cp15::sctlr;
use emu_frontend_arm::state::psr;
use emu_frontend_arm::{Arm, Cpu, MODELS};
use emu_ir::{Bus, RamPage};
use emu_jit::engine::{Accel, Exit, Vcpu};

/// The data, in a section of its own.
const DATA: u32 = 0x10_0000;
/// The first-level table.
const TABLE: u32 = 0x8000;
/// Accesses in one run of a loop.
const ACCESSES: u32 = 16_000;

/// Loops of loads and stores at R0 while R1, less the accesses of a turn, is positive; then WFI. A32.
const LOOPS: [(&str, &[u32]); 5] = [
    ("words", &[0xe590_2000, 0xe580_2004, 0xe251_1002, 0xcaff_fffb, WFI]),
    ("bytes", &[0xe5d0_2001, 0xe5c0_2002, 0xe251_1002, 0xcaff_fffb, WFI]),
    (
        "LDM and STM",
        &[0xe890_07f8, 0xe880_07f8, 0xe251_1010, 0xcaff_fffb, WFI],
    ),
    (
        "VLD1 and VST1",
        &[0xf420_028f, 0xf400_028f, 0xe251_1004, 0xcaff_fffb, WFI],
    ),
    (
        "LDREX and STREX",
        &[0xe190_2f9f, 0xe180_3f92, 0xe251_1002, 0xcaff_fffb, WFI],
    ),
];
const WFI: u32 = 0xe320_f003;

/// TEX:C:B of the data's section, if the MMU is on.
const KINDS: [(&str, Option<u32>); 3] = [
    ("Normal", Some(1 << 12 | 3 << 2)),
    ("Device", Some(1 << 2)),
    ("MMU off", None),
];

struct Memory(Ram);

impl Bus for Memory {
    fn load(&mut self, phys: u64, _: u8) -> Option<u64> {
        self.0.load::<u32>(phys).map(u64::from)
    }
    fn store(&mut self, _: u64, _: u8, _: u64) -> Option<()> {
        None
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        let inside = self.0.contains(page, 0x1000);
        inside.then(|| RamPage::plain(self.0.mapping(), page, page))
    }
}

/// A vCPU at the start of a loop.
fn vcpu(code: &[u32], kind: Option<u32>) -> (Vcpu<Arm>, Cpu) {
    let ram = Ram::new(2 << 20).expect("memory");
    for (at, &word) in (0..).step_by(4).zip(code) {
        ram.store(at, word).expect("inside");
    }
    for (at, kind) in [(0, Some(1 << 12 | 3 << 2)), (DATA, kind)] {
        let section = at | 0xc02 | kind.unwrap_or(0);
        ram.store((TABLE + (at >> 20) * 4).into(), section).expect("inside");
    }
    let mut cpu = Cpu::reset(&MODELS[0]);
    cpu.cp15.sctlr |= kind.map_or(0, |_| sctlr::M);
    (cpu.cp15.ttbr0, cpu.cp15.dacr) = (TABLE.into(), 1);
    (cpu.cp15.cpacr, cpu.fpexc) = (15 << 20, 1 << 30);
    cpu.set_cpsr(psr::SVC);
    (cpu.r[0], cpu.r[1], cpu.r[15]) = (DATA, ACCESSES, 0);
    let guest = Arm::alone(&MODELS[0]);
    let vcpu = Vcpu::new(guest, cpu, Box::new(Memory(ram)), Accel::Jit, true).expect("a vCPU");
    (vcpu, cpu)
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("memory");
    group.throughput(Throughput::Elements(ACCESSES.into()));
    for (name, code) in LOOPS {
        for (kind, attributes) in KINDS {
            let (mut vcpu, start) = vcpu(code, attributes);
            group.bench_function(format!("{name}, {kind}"), |b| {
                b.iter(|| {
                    *vcpu.state_mut() = start;
                    assert_eq!(vcpu.run(), Exit::Wait);
                    assert_eq!(vcpu.state().r[15], 4 * code.len() as u32);
                });
            });
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
