//! Runs of x87 instructions: what the host's unit makes of them is what it makes of each alone, whatever is in between, and
//! however they are left.

use super::*;
use crate::cases::x87::{fill, instructions, op, operand, stores};
use crate::cases::{BUMP, X87, pinned};
use crate::x64::x87::{CLEAN, words};
use emu_ir::{X87Form, X87Insn};

/// Makes blocks.
struct Runs {
    all: Vec<(X87Insn, u8)>,
    random: Random,
}

/// A block in the making.
struct Making {
    b: Builder,
    /// Where what cannot go on goes.
    out: emu_ir::Label,
    /// How many registers should be full.
    depth: u8,
    insns: u16,
}

impl Runs {
    fn new(seed: u64) -> Runs {
        Runs {
            all: instructions().filter(|(insn, _)| insn.stack().is_some()).collect(),
            random: Random::new(seed),
        }
    }
    fn block(&mut self, len: usize) -> Block {
        let mut b = Builder::new();
        b.insn(0, 0);
        let out = b.label();
        let mut m = Making {
            b,
            out,
            depth: 4,
            insns: 0,
        };
        for _ in 0..len {
            if self.random.one_in(3) {
                self.between(&mut m);
            }
            self.instruction(&mut m);
        }
        m.b.exit(Leave::Sync);
        m.b.place(m.out);
        m.b.insn(0xffc, 1);
        let mark = m.b.i32(0xdead);
        m.b.set(pinned(7), mark);
        m.b.exit(Leave::Yield);
        m.b.block
    }
    /// What stands between instructions.
    fn between(&mut self, m: &mut Making) {
        let b = &mut m.b;
        match self.random.below(12) {
            0 => {
                let status = b.get(X87.status);
                b.set(any(10, Ty::I16), status);
            }
            1 => {
                let control = b.get(X87.control);
                b.set(any(11, Ty::I16), control);
            }
            2 => {
                let control = 0x7f | self.random.word() as u64 & 0xf00;
                let control = b.imm(Ty::I16, control);
                b.set(X87.control, control);
            }
            3 => {
                let x = b.get(pinned(1));
                b.call(Ty::I32, BUMP, &[x]);
            }
            4 => {
                let (at, way) = (b.get(pinned(2)), b.label());
                let zero = b.i32(0);
                let is = b.eq(at, zero);
                b.br_if(is, way);
                b.place(way);
                b.insn(0x300, 3);
            }
            5 => {
                let (x, zero) = (b.get(pinned(3)), b.i32(0));
                let is = b.slt(x, zero);
                b.br_if(is, m.out);
            }
            6 => {
                let (n, m) = (self.random.word_below(8), self.random.word_below(8));
                let low = b.get(any(n, Ty::I64));
                let at = X87.regs.nth(m).off;
                b.set(Slot { off: at, ty: Ty::I64 }, low);
            }
            7 => {
                let (x, y) = (b.get(any(4, Ty::V128)), b.get(any(5, Ty::V128)));
                let sum = b.vadd(Lane::I32, x, y);
                b.set(any(4, Ty::V128), sum);
            }
            8 => {
                let (x, y) = (b.get(any(4, Ty::F64)), b.get(any(5, Ty::F64)));
                let sum = b.fadd(x, y, Fenv::IEEE);
                b.set(any(4, Ty::F64), sum);
            }
            _ => {
                let (x, y) = (b.get(pinned(4)), b.get(pinned(5)));
                let sum = b.add(x, y);
                b.set(pinned(4), sum);
            }
        }
    }
    /// One that the stack should have room and operands for, mostly.
    fn pick(&mut self, depth: u8) -> (X87Insn, u8) {
        for _ in 0..20 {
            let (insn, modrm) = self.random.pick(&self.all);
            let Some((form, _)) = insn.stack() else { continue };
            let (full, empty) = form.needs();
            let there = ((1u16 << depth) - 1) as u8;
            if full & !there == 0 && empty & there == 0 && (depth > 2 || !self.random.one_in(2)) {
                return (insn, modrm);
            }
        }
        self.random.pick(&self.all)
    }
    fn instruction(&mut self, m: &mut Making) {
        let (insn, modrm) = self.pick(m.depth);
        let Some((form, pops)) = insn.stack() else { return };
        m.insns += 1;
        let at = (m.insns * 4) & 0xffc;
        m.b.insn(at, at.into());
        let (full, empty) = form.needs();
        // Without it an operation is slow.
        if !self.random.one_in(30) {
            m.b.x87_need(full, empty, m.out);
        }
        let (b, random) = (&mut m.b, &mut self.random);
        let address = |b: &mut Builder, random: &mut Random| {
            let near = if random.one_in(60) { 0xff9 } else { random.below(0xff0) };
            b.i32(near as u32)
        };
        let log2 = |ty: Ty| ty.bytes().trailing_zeros() as u8;
        match op(insn, modrm, at) {
            Op::X87Compare { .. } => {
                let flags = b.x87_compare(insn, modrm, at);
                if random.one_in(2) {
                    let below = b.cond(flags, 2);
                    b.set(any(12, Ty::I8), below);
                }
                b.set(any(13, Ty::I16), flags);
            }
            Op::X87Operand { .. } if insn.is_conditional() => {
                let (x, y) = (b.get(pinned(4)), b.get(pinned(5)));
                let flags = b.status(emu_ir::Arith::Sub, x, y, x);
                b.x87_operand(insn, modrm, at, flags);
            }
            Op::X87Operand { .. } => {
                let ty = operand(insn);
                let a = if random.one_in(2) {
                    b.get(any(random.word_below(8), ty))
                } else {
                    let at = address(b, random);
                    b.load(ty, at, Mem::new(log2(ty), 0))
                };
                b.x87_operand(insn, modrm, at, a);
            }
            _ if stores(insn) => {
                let ty = operand(insn);
                let out = b.x87_output(ty, insn);
                let to = address(b, random);
                b.store(to, out, Mem::new(log2(ty), 0));
                b.x87(insn, modrm, at);
            }
            _ => b.x87(insn, modrm, at),
        }
        let pushes = matches!(
            form,
            X87Form::Load | X87Form::Constant | X87Form::Copy(_) | X87Form::Extract
        );
        m.depth = (m.depth + u8::from(pushes)).saturating_sub(pops).min(8);
    }
}

/// Like [`fill`], with numbers where blocks look for them.
fn state(random: &mut Random) -> State {
    let mut s: State = bytemuck::Zeroable::zeroed();
    for v in &mut s.v {
        *v = match random.below(3) {
            0 => [f64::from(random.word() as f32 / 7.0).to_bits(), random.next()],
            1 => crate::cases::x87::number(random),
            _ => [random.next(), random.next()],
        };
    }
    s.r.fill_with(|| random.word() >> random.below(24));
    s.pc = PAGE_BASE as u32;
    fill(&mut s, random);
    if !random.one_in(4) {
        s.x87_words[0] |= 0x3f;
        let top = s.x87_stack[0];
        s.x87_stack[1] = 0x0f_u8.rotate_left(top.into());
    }
    s
}

fn runs_are_alike(seed: u64, blocks: usize, hidden: bool) {
    let (mut bench, mut runs) = (Bench::new(), Runs::new(seed));
    let (mut whole, mut faulted) = (0, 0);
    for n in 0..blocks {
        let mut block = runs.block(1 + n % 24);
        assert_eq!(emu_ir::verify::verify(&block), Ok(()));
        if n % 2 == 1 {
            let effect = CallEffect::of::<TestGuest>;
            opt::run(&mut block, TestGuest::LAYOUT, effect, &mut opt::Scratch::default());
        }
        let Some(entry) = bench.install(&block) else { continue };
        let prepared = Prepared::new(block);
        for round in 0..6 {
            let state = state(&mut runs.random);
            if round % 3 == 1 {
                // Each access takes the slow path once.
                bench.v.mmu.tlb.flush(emu_ir::Flush::ALL);
            }
            if hidden && round % 3 == 2 {
                bench.hide_memory();
                bench.run(entry, &state);
                assert_eq!(words(), CLEAN, "block {n}, whatever faults");
                bench.v.mmu.tlb.flush(emu_ir::Flush::ALL);
                continue;
            }
            let left = compare(&mut bench, entry, &prepared, &state, format_args!("block {n}"));
            assert_eq!(words(), CLEAN, "block {n}");
            whole += usize::from(left == Left::Exit(Leave::Sync));
            faulted += usize::from(left == Left::Fault);
        }
    }
    assert!(
        whole > blocks / 2 && faulted > blocks / 100,
        "{whole} whole, {faulted} faulted"
    );
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn runs_emitted_equal_interpreted() {
    runs_are_alike(87, 1500, false);
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn runs_leave_the_hosts_unit_as_it_was() {
    runs_are_alike(287, 200, true);
}
