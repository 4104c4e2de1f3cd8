//! Paging as a debugger asks about it: without rights, and without a trace in the tables.

use super::tables::Walk;
use super::{Paging, is_valid, physical};
use crate::model::Model;
use crate::state::Cpu;
use emu_ir::{Bus, Span};
use std::ops::RangeInclusive;

/// Where a linear address is, whatever the access rights. `bus` is only read from.
pub fn probe(cpu: &Cpu, model: &Model, bus: &mut dyn Bus, va: u64) -> Span {
    let nothing = Span { size: 12, phys: None };
    let paging = Paging::of(cpu);
    let va = if paging.bits() == 32 { va & 0xffff_ffff } else { va };
    if paging == Paging::None {
        return Span {
            size: 12,
            phys: Some(physical(cpu, va & !0xfff)),
        };
    }
    if !is_valid(cpu, va) {
        return nothing;
    }
    match Walk::new(cpu, model, paging).run(bus, va) {
        Ok(walked) => Span {
            size: walked.size as u8,
            phys: Some(physical(cpu, walked.base)),
        },
        Err(_) => nothing,
    }
}

/// The ranges of linear addresses that there are.
pub fn ranges(cpu: &Cpu) -> Vec<RangeInclusive<u64>> {
    let bits = Paging::of(cpu).bits();
    if bits == 32 {
        return vec![0..=u32::MAX.into()];
    }
    let half = 1_u64 << (bits - 1);
    vec![0..=half - 1, half.wrapping_neg()..=u64::MAX]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exception::reset;

    struct Tables;

    impl Bus for Tables {
        /// One large page at 4 MiB, neither accessed nor for programs.
        fn load(&mut self, phys: u64, _: u8) -> Option<u64> {
            Some(match phys {
                0x1000 => 0x40_0081,
                _ => 0,
            })
        }
        fn store(&mut self, _: u64, _: u8, _: u64) -> Option<()> {
            panic!("nothing is written")
        }
        fn ram(&mut self, _: u64) -> Option<emu_ir::RamPage<'_>> {
            None
        }
    }

    #[test]
    fn pages_are_found_without_a_trace() {
        let mut cpu = reset(&Model::ALL);
        assert_eq!(probe(&cpu, &Model::ALL, &mut Tables, 0x1234).at(0x1234), Some(0x1234));
        (cpu.sys.cr0, cpu.sys.cr3, cpu.sys.cr4) = (1 << 31 | 1, 0x1000, 1 << 4);
        cpu.settle_at(3);

        let (page, none) = (
            probe(&cpu, &Model::ALL, &mut Tables, 0x12_3456),
            probe(&cpu, &Model::ALL, &mut Tables, 0x40_0000),
        );

        assert_eq!((page.size, page.at(0x12_3456)), (22, Some(0x52_3456)));
        assert_eq!(none.phys, None);
        assert_eq!(ranges(&cpu), [0..=0xffff_ffff]);
    }
}
