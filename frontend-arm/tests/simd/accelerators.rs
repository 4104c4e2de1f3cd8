//! Runs of VFP and Advanced SIMD instructions mean the same plainly, after the passes, and as host code.

use crate::machine::{CODE, MEMORY, Page, Record, arm, block, run, state_of};
use crate::words::{Random, record, word_of};
use emu_frontend_arm::a32::{self, Insn, neon, vfp};
use emu_frontend_arm::guest::Arm;
use emu_frontend_arm::state::{Cpu, psr};
use emu_ir::pattern::Row;
use emu_ir::{Bus, Guest, RamPage};
use emu_jit::engine::{Accel, Exit, Vcpu};
use emu_jit::opt::{self, CallEffect};
use std::sync::{Arc, Mutex};

/// Random instructions of both sets of rows.
struct Words {
    vfp: Vec<&'static Row<Insn>>,
    simd: Vec<&'static Row<Insn>>,
}

impl Words {
    fn new() -> Words {
        let rows = |tables: &[a32::Table]| tables.iter().flat_map(|t| t.iter()).collect();
        Words {
            vfp: rows(vfp::TABLES),
            simd: rows(neon::TABLES),
        }
    }
    fn some(&self, count: usize, random: &mut Random) -> Vec<u32> {
        (0..count)
            .map(|_| {
                let is_vfp = random.below(2) == 0;
                let row = random.pick(if is_vfp { &self.vfp } else { &self.simd });
                word_of(row, random, is_vfp)
            })
            .collect()
    }
}

#[test]
fn passes_change_nothing() {
    let (mut random, mut guest, mut scratch) = (Random(13), arm(), opt::Scratch::default());
    let words = Words::new();
    for _ in 0..3000 {
        // Few registers, so that instructions meet.
        let words: Vec<_> = words.some(12, &mut random).iter().map(|w| w & !(8 << 12 | 8)).collect();
        let r = record(words[0], &mut random);
        let state = state_of(&Record { set: 0, ..r });
        let plain = block(&guest, state.mode, words.clone());
        let mut better = plain.clone();
        opt::run(&mut better, Arm::LAYOUT, CallEffect::of::<Arm>, &mut scratch);

        let [want, got] = [plain, better].map(|block| {
            let (mut cpu, mut page) = (state, Page(bytemuck::cast(r.memory)));
            let stopped = run(&mut guest, &mut cpu, &mut page, block);
            (stopped, cpu, page.0)
        });

        assert_eq!((&want.0, &want.1), (&got.0, &got.1), "{words:#010x?}");
        assert!(want.2 == got.2, "{words:#010x?}");
    }
}

/// Three pages: vectors, data, code.
const PAGES: [u32; 3] = [0, MEMORY, CODE];
/// WFI, where a run ends.
const WFI: u32 = 0xe320_f003;

type Pages = [[u128; 256]; 3];

/// Memory that outlives its vCPU.
#[derive(Clone)]
struct Ram(Arc<Mutex<Box<Pages>>>);

impl Ram {
    fn new() -> Ram {
        Ram(Arc::new(Mutex::new(Box::new([[0; 256]; 3]))))
    }
    fn fill(&self, r: &Record, words: &[u32]) {
        let mut pages = self.0.lock().unwrap();
        pages[1] = bytemuck::cast(r.memory);
        for page in [0, 2] {
            bytemuck::cast_slice_mut::<_, u32>(&mut pages[page]).fill(WFI);
        }
        bytemuck::cast_slice_mut(&mut pages[2])[..words.len()].copy_from_slice(words);
    }
    fn data(&self) -> [u128; 256] {
        self.0.lock().unwrap()[1]
    }
    fn page(phys: u64) -> Option<usize> {
        PAGES.iter().position(|p| u64::from(*p) == phys & !0xfff)
    }
}

impl Bus for Ram {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        let pages = self.0.lock().unwrap();
        let (bytes, at) = (bytemuck::cast_slice(&pages[Ram::page(phys)?]), (phys & 0xfff) as usize);
        let bytes: &[u8] = &bytes[at..at + usize::from(size)];
        Some(bytes.iter().rev().fold(0, |all, b| all << 8 | u64::from(*b)))
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        let mut pages = self.0.lock().unwrap();
        // The vectors are ROM: a run that overwrote them might not end.
        let (page, at) = (Ram::page(phys).filter(|p| *p != 0)?, (phys & 0xfff) as usize);
        let bytes = &mut bytemuck::cast_slice_mut(&mut pages[page])[at..at + usize::from(size)];
        bytes.copy_from_slice(&value.to_le_bytes()[..usize::from(size)]);
        Some(())
    }
    fn ram(&mut self, page: u64) -> Option<RamPage> {
        let host = self.0.lock().unwrap()[Ram::page(page)?].as_ptr() as u64;
        Some(RamPage {
            host,
            writable: page != 0,
        })
    }
}

/// Privileged, at the start of the code: faults lead to a WFI at a vector.
fn start(r: &Record) -> Cpu {
    let mut cpu = state_of(&Record { set: 0, ..*r });
    cpu.r[15] = CODE;
    cpu.psr = psr::SVC | psr::I | psr::F | psr::A;
    cpu.update_mode();
    cpu
}

/// A vCPU and its memory.
fn vcpu(accel: Accel) -> Option<(Vcpu<Arm>, Ram)> {
    let ram = Ram::new();
    let cpu = start(&record(0, &mut Random(0)));
    Some((Vcpu::new(arm(), cpu, Box::new(ram.clone()), accel, true).ok()?, ram))
}

#[test]
fn host_code_does_what_the_interpreter_does() {
    let (Some(interp), Some(jit)) = (vcpu(Accel::Interp), vcpu(Accel::Jit)) else {
        eprintln!("SKIPPED: this host cannot run translated code");
        return;
    };
    let (words, mut random, mut both) = (Words::new(), Random(21), [interp, jit]);
    for round in 0..20_000 {
        let words = words.some(if round % 2 == 0 { 1 } else { 8 }, &mut random);
        let r = record(words[0], &mut random);

        let [want, got] = both.each_mut().map(|(vcpu, ram)| {
            ram.fill(&r, &words);
            *vcpu.state_mut() = start(&r);
            vcpu.reset_caches();
            assert!(matches!(vcpu.run(), Exit::Wait), "{words:#010x?}");
            (*vcpu.state(), ram.data())
        });

        assert_eq!(want.0, got.0, "{words:#010x?} on {:x?}, FPSCR {:#x}", r.d, r.fpscr);
        assert!(want.1 == got.1, "{words:#010x?}");
    }
}
