//! Interpreter = emitter: every operation, every type, hard operands, in every allocation situation.

mod again;
mod asking;
mod exceptions;
mod memory;
mod modes;
mod sharing;
mod x86;
mod x87;

use super::*;
use crate::cases::{self, Case, MEMORY, Operands, PAGE_BASE, Random, State, TestGuest, TestMemory, any};
use crate::interp::Prepared;
use emu_devices::bus::Ram;
use emu_ir::{Block, Fenv, Lane, Mem, Op, Pieces, RamPage, Rmw, Slot, Ty, Val};

/// One page of memory at physical 0.
struct OnePage(Arc<Ram>);

impl Bus for OnePage {
    fn load(&mut self, _: u64, _: u8) -> Option<u64> {
        None
    }
    fn store(&mut self, _: u64, _: u8, _: u64) -> Option<()> {
        None
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        (page == 0).then(|| RamPage::plain(self.0.mapping(), 0, page))
    }
}

/// A vCPU whose blocks tests put in themselves.
struct Bench {
    v: Vcpu<TestGuest>,
    ram: Arc<Ram>,
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
        Bench::of(TestGuest::default())
    }
    fn of(guest: TestGuest) -> Bench {
        Bench::on(guest, Arc::new(Ram::new(MEMORY).expect("memory")), true)
    }
    /// With this memory; `alone`: no other vCPU has it.
    fn on(guest: TestGuest, ram: Arc<Ram>, alone: bool) -> Bench {
        let translations = Translations::new(Accel::Jit, alone, CODE_CACHE).expect("translations");
        Bench::with(guest, ram, &translations)
    }
    /// The same, with these translations.
    fn with(guest: TestGuest, ram: Arc<Ram>, translations: &Translations<TestGuest>) -> Bench {
        let state: State = bytemuck::Zeroable::zeroed();
        let bus = Box::new(OnePage(ram.clone()));
        let mut v = Vcpu::sharing(translations, guest, state, bus);
        v.wake();
        Bench {
            v,
            ram,
            next: 0x10_0000,
            fresh: TestMemory {
                strict: guest.strict,
                ..TestMemory::default()
            },
        }
    }
    /// Memory is what it was, but only for those who do not ask what it is: Rust finds a device that does not answer.
    fn hide_memory(&mut self) {
        let space = self.v.mmu.tlb.select(emu_ir::Context::default());
        let mut entry = *self.v.mmu.tlb.data(space, 0);
        entry.phys |= crate::tlb::DEVICE;
        self.v.mmu.tlb.fill(space, 0, entry);
    }
    fn memory(&self) -> Vec<u8> {
        let mut bytes = vec![0; MEMORY as usize];
        self.ram.copy_out(0, &mut bytes).expect("all inside");
        bytes
    }
    /// Put a block in the cache; its entry.
    fn install(&mut self, block: &Block) -> Option<u64> {
        self.next += 0x1000;
        let key = BlockKey {
            phys: self.next,
            mode: 0,
            marked: false,
        };
        let effect = CallEffect::of::<TestGuest>;
        let lives = opt::lives(block, TestGuest::LAYOUT, effect, &mut self.v.passes);
        let from = Source {
            cpu: 0,
            key,
            next_page: None,
        };
        let book = self.v.mmu.book().clone();
        match book.install::<TestGuest>(from, (block, lives), &mut self.v.emitter) {
            Ok(found) => Some(entry(&found)),
            Err(Refused::Large) => None,
            Err(other) => panic!("{other:?}"),
        }
    }
    /// Run a block on memory as it is.
    fn enter(&mut self, entry: u64, state: &State) -> Reason {
        *self.v.state_mut() = *state;
        self.v.reselect();
        self.v
            .own
            .prepare(PAGE_BASE, floating::control(state, TestGuest::LAYOUT));
        let reason = call::enter(&mut self.v, entry);
        self.v.collect_flags();
        reason
    }
    fn run(&mut self, entry: u64, state: &State) -> (State, Vec<u8>, Left) {
        self.ram.copy_in(0, &self.fresh.bytes).expect("all inside");
        let reason = self.enter(entry, state);
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

/// Where a block's host code is.
fn entry(found: &Found) -> u64 {
    match found.how {
        How::Host(entry) => entry,
        How::Ir(_) => panic!("no host code"),
    }
}

fn interpreted(bench: &Bench, block: &Prepared, state: &State) -> (State, Vec<u8>, Left) {
    let (mut state, mut mem) = (*state, bench.fresh.clone());
    let mut scratch = interp::Scratch::default();
    let left = match interp::run(
        &mut TestGuest::default(),
        &mut state,
        &mut mem,
        block,
        PAGE_BASE,
        &mut scratch,
    ) {
        Ok(Next::Goto { .. } | Next::GotoVal { .. }) => Left::Branch,
        // Translated code is asked for attention all the time.
        Ok(Next::Exit(Leave::Resume)) => Left::Exit(Leave::Sync),
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

/// That a block leaves the same by translated code at `entry` as by the interpreter; how it is left.
fn compare(bench: &mut Bench, entry: u64, prepared: &Prepared, state: &State, what: std::fmt::Arguments) -> Left {
    let (want, got) = (interpreted(bench, prepared, state), bench.run(entry, state));
    let listing = emu_ir::print::Listing {
        block: prepared.block(),
        layout: TestGuest::LAYOUT,
    };
    assert_eq!(got.2, want.2, "{what}\n{listing}");
    assert_eq!(got.0, want.0, "{what}\nstart {state:x?}\n{listing}");
    assert!(got.1 == want.1, "{what}: memory differs\n{listing}");
    want.2
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn every_operation_emitted_equals_interpreted() {
    compare_cases(Bench::new(), cases::all());
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn what_several_vcpus_need_emitted_equals_interpreted() {
    let bench = Bench::on(TestGuest::default(), Arc::new(Ram::new(MEMORY).expect("memory")), false);
    let mut cases = cases::all();
    cases.retain(|c| ["Cas", "Swap", "Rmw", "Barrier"].contains(&c.name));
    compare_cases(bench, cases);
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn what_hosts_may_lack_is_interpreted() {
    let translations = Translations::making(true, true, Extensions::NONE, CODE_CACHE).expect("translations");
    let ram = Arc::new(Ram::new(MEMORY).expect("memory"));
    let bench = Bench::with(TestGuest::default(), ram, &translations);
    let mut cases = cases::all();
    cases.retain(|c| ["VAes", "VMulPoly"].contains(&c.name));
    assert!(!cases.is_empty());
    compare_cases(bench, cases);
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn updates_by_two_vcpus_are_all_there() {
    const COUNT: u32 = 20_000;
    let ram = Arc::new(Ram::new(MEMORY).expect("memory"));
    let mut b = Builder::new();
    let (one, bit, at) = (b.get(any(0, Ty::I64)), b.get(any(1, Ty::I32)), b.i32(0x100));
    b.rmw(Rmw::Add, at, one, Mem::new(3, 0));
    let old = b.rmw(Rmw::Add, at, one, Mem::new(3, 0));
    b.set(any(2, Ty::I64), old);
    let at = b.i32(0x110);
    let old = b.rmw(Rmw::Xor, at, bit, Mem::new(2, 0));
    b.set(any(3, Ty::I32), old);
    b.exit(Leave::Sync);

    std::thread::scope(|s| {
        for bit in [1, 2] {
            let (ram, block) = (ram.clone(), &b.block);
            s.spawn(move || {
                let mut bench = Bench::on(TestGuest::default(), ram, false);
                let entry = bench.install(block).expect("fits");
                let mut state: State = bytemuck::Zeroable::zeroed();
                (state.v[0][0], state.v[1][0]) = (1, bit);
                for n in 0..COUNT {
                    bench.enter(entry, &state);
                    let turned = bench.v.state().v[3][0] & bit != 0;
                    assert_eq!(turned, n % 2 != 0, "only this vCPU turns the bit");
                }
            });
        }
    });

    assert_eq!(ram.load::<u64>(0x100), Some(4 * u64::from(COUNT)));
}

fn compare_cases(mut bench: Bench, cases: Vec<Case>) {
    for case in cases {
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
                let (prepared, what) = (Prepared::new(block), format_args!("{} {how:?}", case.name));
                compare(&mut bench, entry, &prepared, &state, what);
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn a_slot_outside_of_the_state_is_refused() {
    let mut bench = Bench::new();
    let size = size_of::<State>();
    for ty in Ty::ALL {
        let last = size - ty.bytes() as usize;
        for (at, inside) in [(last, true), (last + 1, false), (size, false), (60_000, false)] {
            let slot = Slot::new(at, ty);
            let mut reads = Builder::new();
            let v = reads.get(slot);
            reads.set(cases::result(ty), v);
            let mut writes = Builder::new();
            let v = writes.get(cases::result(ty));
            writes.set(slot, v);
            for mut b in [reads, writes] {
                b.exit(Leave::Sync);
                assert_eq!(bench.install(&b.block).is_some(), inside, "{ty:?} at {at} of {size}");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
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
#[cfg_attr(miri, ignore = "Miri runs no host code")]
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
                bench.v.mmu.tlb.flush(emu_ir::Flush::ALL);
            }
            compare(&mut bench, entry, &prepared, &state, format_args!("block {n}"));
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn halves_of_like_size_are_rounded_once() {
    let (mut bench, mut random) = (Bench::new(), Random::new(7));
    let (c, a, b, e) = (Val(0), Val(1), Val(2), Lane::F16);
    for flush in [false, true] {
        let env = Fenv { flush, ..Fenv::IEEE };
        let ops = [
            Op::VFAdd { a, b, e, env },
            Op::VFMul { a, b, e, env },
            Op::VFDiv { a, b, e, env },
            Op::VFSqrt { a, e, env },
            Op::VFMulAdd { c, a, b, env, e },
        ];
        for op in ops {
            let mut made = Builder::new();
            for i in 0..3 {
                made.get(any(i, Ty::V128));
            }
            let v = made.push(Ty::V128, op);
            made.set(any(3, Ty::V128), v);
            made.exit(Leave::Sync);
            let entry = bench.install(&made.block).expect("fits");
            let prepared = Prepared::new(made.block);
            for round in 0..2000 {
                let mut state: State = bytemuck::Zeroable::zeroed();
                // Of eight lanes that may be anything, one is tiny: all would be done again.
                let mut half = || (8 + random.below(15)) << 10 | random.next() & 0x83ff;
                let mut lanes = || (0..4).fold(0, |v, _| v << 16 | half());
                state.v[..3].as_flattened_mut().fill_with(&mut lanes);
                state.fp_round = round & 3;
                compare(&mut bench, entry, &prepared, &state, format_args!("{op:?}"));
            }
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
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn an_access_keeps_the_values_around_it_by_either_path() {
    accesses_among_values(&mut Bench::new());
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn an_access_to_strict_memory_keeps_them_too() {
    accesses_among_values(&mut Bench::of(TestGuest { strict: true }));
}

fn accesses_among_values(bench: &mut Bench) {
    for (kind, live, size) in (0..4).flat_map(|k| (0..8).flat_map(move |l| (0..3).map(move |s| (k, l, s)))) {
        for pieces in [Pieces::little(size), Pieces::big(size)] {
            let mem = emu_ir::Mem {
                pieces,
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
                    bench.v.mmu.tlb.flush(emu_ir::Flush::ALL);
                }
                let what = format_args!("{kind} {mem:?} among {live}, {path}");
                compare(bench, entry, &prepared, &state, what);
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
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

/// Accesses close to one another, at constant distances from three addresses in slots, among operations that want
/// registers, call, branch and fault.
fn close_accesses(random: &mut Random, len: u32) -> Block {
    let mut b = Builder::new();
    b.insn(0, 0);
    let slots = [0, 1, 2].map(|i| cases::any(i, Ty::I32));
    let mut roots = slots.map(|s| b.get(s));
    let mut vals: Vec<Val> = vec![roots[0]];
    let one = b.imm(Ty::I64, 1);
    // Distances are multiples of this, and such an alignment may be demanded: most addresses in slots have it.
    let unit = [0, 2, 4][random.below(3) as usize];
    for n in 0..len {
        let pick = |random: &mut Random, vals: &[Val]| vals[random.below(vals.len() as u64) as usize];
        match random.below(24) {
            0..=13 => {
                let root = roots[random.below(3).min(random.below(3)) as usize];
                let by = b.i32((random.below(100) as u32 >> unit << unit).wrapping_sub(32));
                let mut addr = b.add(root, by);
                if random.below(4) == 0 {
                    let more = b.i32(random.below(32) as u32 >> unit << unit);
                    addr = b.add(addr, more);
                }
                let size = random.below(5) as u8;
                let ty = match (size, random.below(2)) {
                    (4, _) => Ty::V128,
                    (3, 0) => Ty::F64,
                    (2, 0) => Ty::F32,
                    (3, _) => Ty::I64,
                    _ => Ty::I32,
                };
                let mem = emu_ir::Mem {
                    signed: ty.is_int() && random.below(4) == 0,
                    align: if random.below(4) == 0 { size.min(unit) } else { 0 },
                    pieces: match random.below(8) {
                        0 if ty.is_int() => Pieces::big(size),
                        1..=3 if ty == Ty::V128 => Pieces::little(random.below(4) as u8),
                        _ => Pieces::little(size),
                    },
                    ..emu_ir::Mem::new(size, 0)
                };
                let stored: Vec<Val> = vals.iter().copied().filter(|v| b.ty(*v) == ty).collect();
                if random.below(2) == 0 && !stored.is_empty() {
                    b.store(addr, pick(random, &stored), emu_ir::Mem { signed: false, ..mem });
                } else {
                    vals.push(b.load(ty, addr, mem));
                }
            }
            14 | 15 => {
                let wide: Vec<Val> = vals.iter().copied().filter(|v| b.ty(*v) == Ty::I64).collect();
                let a = wide.last().copied().unwrap_or(one);
                let c = b.add(a, one);
                vals.push(if random.below(2) == 0 {
                    b.div_u(a, c)
                } else {
                    b.mul(a, c)
                });
            }
            16 | 17 => {
                let v = pick(random, &vals);
                b.set(cases::any(4 + random.below(8) as u32, b.ty(v)), v);
            }
            18 => {
                let ints: Vec<Val> = vals.iter().copied().filter(|v| b.ty(*v) == Ty::I32).collect();
                b.set(cases::pinned(random.below(8) as u32), pick(random, &ints));
            }
            19 => {
                let floats: Vec<Val> = vals.iter().copied().filter(|v| b.ty(*v) == Ty::F64).collect();
                if let Some(&a) = floats.last() {
                    vals.push(b.fmul(a, a, emu_ir::Fenv::IEEE));
                }
            }
            20 => {
                let helper = [cases::MIX, cases::BUMP][random.below(2) as usize];
                vals.push(b.call(Ty::I32, helper, &[roots[0]]));
            }
            21 => {
                // The address moves on, as write-back has it.
                let (k, by) = (random.below(3) as usize, b.i32(random.below(48) as u32 >> unit << unit));
                roots[k] = b.add(roots[k], by);
                b.set(slots[k], roots[k]);
            }
            22 => b.insn(4 * n as u16, n),
            _ => {
                let (c, skip) = (b.get(cases::any(3, Ty::I8)), b.label());
                let bit = b.imm(Ty::I8, 1);
                let c = b.and(c, bit);
                b.br_if(c, skip);
                b.store(roots[0], one, emu_ir::Mem::new(3, 0));
                b.place(skip);
                b.insn(4 * n as u16, n);
            }
        }
    }
    for (i, v) in (4..16).zip(vals.iter().rev().copied().collect::<Vec<_>>()) {
        b.set(cases::any(i, b.ty(v)), v);
    }
    b.exit(Leave::Sync);
    b.block
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn accesses_close_together_equal_interpreted() {
    let faults = accesses_close_together(&mut Bench::new());

    assert!((2000..10_000).contains(&faults), "{faults} of 16,000 fault");
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn accesses_close_together_in_strict_memory_equal_interpreted() {
    let faults = accesses_close_together(&mut Bench::of(TestGuest { strict: true }));

    assert!((6000..14_000).contains(&faults), "{faults} of 16,000 fault");
}

/// How many of 16,000 runs fault.
fn accesses_close_together(bench: &mut Bench) -> u32 {
    let (mut random, mut faults) = (Random::new(11), 0);
    for n in 0..4000 {
        let mut block = close_accesses(&mut random, 4 + n % 40);
        emu_ir::verify::verify(&block).expect("a valid block");
        if n % 2 == 1 {
            let mut scratch = opt::Scratch::default();
            opt::run(&mut block, TestGuest::LAYOUT, CallEffect::of::<TestGuest>, &mut scratch);
        }
        let entry = bench.install(&block).expect("fits");
        let prepared = Prepared::new(block);
        for seed in 0..4 {
            let mut state: State = bytemuck::Zeroable::zeroed();
            let mut fill = Random::new(u64::from(n) * 8 + seed);
            state.v.as_flattened_mut().fill_with(|| fill.next() >> fill.below(64));
            state.r.fill_with(|| fill.next() as u32);
            for root in 0..3 {
                // Within the page, or so that some of the bytes are past one of its ends.
                let at = match fill.below(24) {
                    0 => 0xff0 + fill.below(32),
                    1 => fill.below(32),
                    _ => 0x100 + fill.below(0xe00),
                };
                state.v[root][0] = if fill.below(8) == 0 { at } else { at & !15 };
            }
            if seed != 0 {
                bench.v.mmu.tlb.flush(emu_ir::Flush::ALL);
            }
            let left = compare(bench, entry, &prepared, &state, format_args!("block {n}"));
            faults += u32::from(left == Left::Fault);
        }
    }
    faults
}
