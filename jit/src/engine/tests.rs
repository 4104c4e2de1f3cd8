//! Interpreter = emitter: every operation, every type, hard operands, in every allocation situation.

use super::*;
use crate::cases::{self, Case, MEMORY, Operands, PAGE_BASE, Random, State, TestGuest, TestMemory};
use crate::interp::Prepared;
use emu_ir::{Block, Op, RamPage, Val};

/// One page of memory at physical 0, page aligned.
#[repr(align(4096))]
struct Bytes([u8; MEMORY as usize]);

struct OnePage(Box<Bytes>);

impl Bus for OnePage {
    fn load(&mut self, _: u64, _: u8) -> Option<u64> {
        None
    }
    fn store(&mut self, _: u64, _: u8, _: u64) -> Option<()> {
        None
    }
    fn ram(&mut self, page: u64) -> Option<RamPage> {
        (page == 0).then_some(RamPage {
            host: self.0.0.as_mut_ptr() as u64,
            writable: true,
        })
    }
}

/// A vCPU whose blocks tests put in themselves.
struct Bench {
    v: Vcpu<TestGuest>,
    host: u64,
    next: u64,
    fresh: TestMemory,
}

/// How a block was left, as far as state does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Branch,
    Exit(Leave),
    Fault,
}

impl Bench {
    fn new() -> Bench {
        let mut ram = OnePage(Box::new(Bytes([0; MEMORY as usize])));
        let host = ram.ram(0).expect("page 0").host;
        let state: State = bytemuck::Zeroable::zeroed();
        let v = Vcpu::new(TestGuest, state, Box::new(ram), Accel::Jit, true).expect("a vCPU");
        Bench {
            v,
            host,
            next: 0x10_0000,
            fresh: TestMemory::default(),
        }
    }
    fn memory(&self) -> Vec<u8> {
        let words = (self.host..self.host + MEMORY).step_by(16);
        words
            .flat_map(|at| crate::tlb::host::load(at, 16).to_le_bytes())
            .collect()
    }
    /// Put a block in the cache; its entry.
    fn install(&mut self, block: &Block) -> Option<u64> {
        self.next += 0x1000;
        let key = BlockKey {
            phys: self.next,
            mode: 0,
        };
        let effect = CallEffect::of::<TestGuest>;
        let lives = opt::lives(block, TestGuest::LAYOUT, effect, &mut self.v.passes);
        let (code, tlb) = (&mut self.v.mmu.code, &mut self.v.mmu.tlb);
        let found = code.install::<TestGuest>(key, (block, lives), None, &mut self.v.emitter, tlb)?;
        code.entry(found)
    }
    fn run(&mut self, entry: u64, state: &State) -> (State, Vec<u8>, Left) {
        let (words, _) = self.fresh.bytes.as_chunks();
        for (at, word) in (self.host..).step_by(16).zip(words) {
            crate::tlb::host::store(at, 16, u128::from_le_bytes(*word));
        }
        *self.v.state_mut() = *state;
        self.v.reselect();
        self.v
            .shared
            .context
            .prepare(&mut self.v.own, PAGE_BASE, state.fp_round);
        let reason = call::enter(&mut self.v, entry);
        self.v.collect_flags();
        let left = match reason {
            Reason::Link | Reason::Goto => {
                self.v.set_goto();
                Left::Branch
            }
            Reason::Lookup => Left::Branch,
            Reason::Sync => Left::Exit(Leave::Sync),
            Reason::Wait => Left::Exit(Leave::Wait),
            Reason::Yield => Left::Exit(Leave::Yield),
            Reason::Fault => Left::Fault,
        };
        (*self.v.state(), self.memory(), left)
    }
}

fn interpreted(bench: &Bench, block: &Prepared, state: &State) -> (State, Vec<u8>, Left) {
    let (mut state, mut mem) = (*state, bench.fresh.clone());
    let mut scratch = interp::Scratch::default();
    let left = match interp::run(&mut TestGuest, &mut state, &mut mem, block, PAGE_BASE, &mut scratch) {
        Ok(Next::Goto { .. } | Next::GotoVal { .. }) => Left::Branch,
        Ok(Next::Exit(why)) => Left::Exit(why),
        Err(s) => {
            state.pc = PAGE_BASE as u32 + s.offset as u32;
            Left::Fault
        }
    };
    (state, mem.bytes, left)
}

/// A block whose branches go to itself would not come back.
fn comes_back(block: &Block) -> bool {
    !block.insts.iter().any(|i| matches!(i.op, Op::Goto { offset: 0, .. }))
}

fn compare(bench: &mut Bench, case: &Case, how: Operands, block: Block, state: &State, entry: u64) {
    let prepared = Prepared::new(block);
    let want = interpreted(bench, &prepared, state);
    let got = bench.run(entry, state);
    if got == want {
        return;
    }
    let listing = emu_ir::print::Listing {
        block: prepared.block(),
        layout: TestGuest::LAYOUT,
    };
    assert_eq!(got.2, want.2, "{} {how:?}\n{listing}", case.name);
    assert_eq!(got.0, want.0, "{} {how:?}\nstart {state:x?}\n{listing}", case.name);
    assert!(got.1 == want.1, "{} {how:?}: memory differs\n{listing}", case.name);
}

#[test]
fn every_operation_emitted_equals_interpreted() {
    let mut bench = Bench::new();
    for case in cases::all() {
        for &how in Operands::ALL {
            let rows = case.rows();
            let mut shared = None;
            let step = match how {
                Operands::Slots => 1,
                Operands::Constants | Operands::LastConstant => (rows.len() / 12).max(1),
                Operands::Pinned | Operands::Same | Operands::Spilled => 5,
            };
            for (n, row) in rows.iter().enumerate().step_by(step) {
                let block = case.block(how, row);
                if !comes_back(&block) {
                    continue;
                }
                let entry = match shared {
                    Some(e) if !how.embeds() => e,
                    _ => bench.install(&block).expect("fits"),
                };
                shared = Some(entry);
                let state = case.state(row, n as u32);
                compare(&mut bench, &case, how, block, &state, entry);
            }
        }
    }
}

#[test]
fn the_upper_half_of_short_vectors_is_zero() {
    let mut bench = Bench::new();
    let short = |case: &&Case| case.inst().is_some_and(|i| i.result() == Some(Ty::V64));
    for case in cases::all().iter().filter(short) {
        let mut b = Builder::new();
        let kinds = (0u32..).zip(&case.operands);
        let operands: Vec<Val> = kinds.map(|(i, k)| b.get(cases::any(i, k.ty()))).collect();
        let a = case.emit(&mut b, &operands).expect("a vector");
        // The value's whole register, which the IR's types do not allow to see.
        let slot = cases::result(Ty::V128).off;
        b.push(Ty::V128, Op::Set { slot, a });
        b.exit(Leave::Sync);
        let entry = bench.install(&b.block).expect("fits");
        for (n, row) in (0..).zip(case.rows().iter().take(40)) {
            let (end, _, left) = bench.run(entry, &case.state(row, n));
            assert!(left == Left::Fault || end.v[15][1] == 0, "{} {row:x?}", case.name);
        }
    }
}

#[test]
fn random_blocks_emitted_equal_interpreted() {
    let (mut bench, blocks, mut random) = (Bench::new(), cases::random::Blocks::new(), Random::new(5));
    for n in 0..1500 {
        let mut block = blocks.block(&mut random, 10 + n % 60);
        if !comes_back(&block) {
            continue;
        }
        if n % 2 == 1 {
            opt::run(
                &mut block,
                TestGuest::LAYOUT,
                CallEffect::of::<TestGuest>,
                &mut opt::Scratch::default(),
            );
        }
        let Some(entry) = bench.install(&block) else { continue };
        let prepared = Prepared::new(block);
        for seed in 0..3 {
            let mut state: State = bytemuck::Zeroable::zeroed();
            let mut fill = Random::new(n as u64 * 8 + seed);
            state
                .v
                .as_flattened_mut()
                .fill_with(|| fill.next() >> (fill.below(4) * 16));
            state.r.fill_with(|| fill.next() as u32 >> fill.below(24));
            state.fp_round = fill.next() as u32 & 3;
            if seed != 0 {
                // Every access takes the slow path once.
                bench.v.mmu.tlb.flush(emu_ir::Flush::All);
            }
            let (want, got) = (interpreted(&bench, &prepared, &state), bench.run(entry, &state));
            if got == want {
                continue;
            }
            let listing = emu_ir::print::Listing {
                block: prepared.block(),
                layout: TestGuest::LAYOUT,
            };
            assert_eq!(got.2, want.2, "block {n}\n{listing}");
            assert_eq!(got.0, want.0, "block {n}\nstart {state:x?}\n{listing}");
            assert!(got.1 == want.1, "block {n}: memory differs\n{listing}");
        }
    }
}

/// An access of each kind, its operands and as many other values as `live` still needed afterwards.
fn access_among(kind: u8, mem: emu_ir::Mem, live: u32) -> Block {
    let mut b = Builder::new();
    let (ty, one) = (Ty::I32, b.i32(1));
    let values: Vec<Val> = (0..live + 3)
        .map(|i| {
            let value = b.get(cases::any(i, ty));
            if i == 0 { value } else { b.add(value, one) }
        })
        .collect();
    let (addr, x, y) = (values[0], values[1], values[2]);
    let result = match kind {
        0 => b.load(ty, addr, mem),
        1 => {
            b.store(addr, x, mem);
            y
        }
        2 => b.cas(addr, x, y, mem),
        _ => b.swap(addr, x, mem),
    };
    for (i, value) in (0..).zip([result].into_iter().chain(values)) {
        b.set(cases::any(15 - i, ty), value);
    }
    b.exit(Leave::Sync);
    b.block
}

#[test]
fn an_access_keeps_the_values_around_it_by_either_path() {
    let mut bench = Bench::new();
    for (kind, live, size) in (0..4).flat_map(|k| (0..8).flat_map(move |l| (0..3).map(move |s| (k, l, s)))) {
        for swap in [0, size] {
            let mem = emu_ir::Mem {
                swap,
                align: if kind > 1 { size } else { 0 },
                ..emu_ir::Mem::new(size, 0)
            };
            let block = access_among(kind, mem, live);
            let entry = bench.install(&block).expect("fits");
            let prepared = Prepared::new(block);
            let mut state: State = bytemuck::Zeroable::zeroed();
            for (i, v) in (0x1_0203..).zip(&mut state.v) {
                v[0] = 0x77 * i;
            }
            state.v[0][0] = 0x40;
            for path in ["slow", "fast"] {
                if path == "slow" {
                    bench.v.mmu.tlb.flush(emu_ir::Flush::All);
                }

                let (want, got) = (interpreted(&bench, &prepared, &state), bench.run(entry, &state));

                assert_eq!(got.0, want.0, "{kind} {mem:?} among {live}, {path}");
                assert!(got.1 == want.1, "{kind} {mem:?} among {live}, {path}: memory");
            }
        }
    }
}

#[test]
fn a_block_too_large_for_the_emitter_is_refused_and_the_next_is_not() {
    let mut bench = Bench::new();
    let loads = |n: u32| {
        let mut b = Builder::new();
        b.insn(0, 0);
        for i in 0..n {
            let addr = b.i32(i % 0x400 * 4);
            let v = b.load(Ty::I32, addr, emu_ir::Mem::new(2, 0));
            b.set(cases::pinned(0), v);
        }
        b.exit(Leave::Sync);
        b.block
    };
    assert!(bench.install(&loads(10_000)).is_none());
    let entry = bench.install(&loads(1_000)).expect("fits");
    let state: State = bytemuck::Zeroable::zeroed();
    let (end, memory, left) = bench.run(entry, &state);
    assert_eq!(left, Left::Exit(Leave::Sync));
    let last = 999 * 4;
    assert_ne!(end.r[0], 0);
    assert_eq!(end.r[0].to_le_bytes(), memory[last..last + 4]);
}
