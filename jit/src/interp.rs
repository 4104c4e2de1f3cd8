//! The interpreter: what every operation means. The emitter is tested against it.
//!
//! Values are held as zero-extended `u128`, one for each operation of the block, in a [`Scratch`] that is used again for
//! the next block. Guest memory, and all that translating an address takes, is the [`Memory`]'s business.
#![expect(
    clippy::indexing_slicing,
    reason = "a verified block has the values, labels and constants that it names, a state the slots"
)]

mod aes;
#[cfg(test)]
mod expect;
mod float;
mod int;
mod pure;
mod status;
#[cfg(test)]
mod tests;
mod vec;
pub(crate) mod x87;

use crate::classes::{fp_ops, pure_ops, x87_ops};
use crate::fp;
use emu_ir::block::Inst;
use emu_ir::{
    Block, Effect, Env, Fault, Fence, Fenv, Guest, HelperFn, Hint, Label, Layout, Leave, Mem, Op, Rules, Slot, Ty, Val,
};
use int::mask;
pub(crate) use int::{modify, signed};
pub(crate) use pure::pure;
use pure::pure_or;
use std::sync::atomic::{Ordering, fence};

/// Who accesses memory: the guest and its state, which decide what an address means.
pub type Now<'a, G> = (&'a G, &'a <G as Guest>::State);

/// Guest memory by virtual address. Values are zero-extended from `mem.bytes()` bytes, after any byte swap `mem` asks for.
/// Checking alignment and permissions and crossing pages is done behind it; a fault leaves memory as it was.
pub trait Memory<G: Guest> {
    /// Load `mem.bytes()` bytes.
    ///
    /// # Errors
    /// The fault to raise.
    fn load(&mut self, at: Now<G>, addr: u64, mem: Mem) -> Result<u128, Fault>;
    /// Store the low `mem.bytes()` bytes of `value`.
    ///
    /// # Errors
    /// The fault to raise.
    fn store(&mut self, at: Now<G>, addr: u64, mem: Mem, value: u128) -> Result<(), Fault>;
    /// Atomically store `new` if memory holds `old`; what it held.
    ///
    /// # Errors
    /// The fault to raise (of a write, also where nothing is stored).
    fn cas(&mut self, at: Now<G>, addr: u64, mem: Mem, old: u128, new: u128) -> Result<u128, Fault>;
    /// Atomically store what `f` makes of what memory held; what it held. `f` may be asked several times.
    ///
    /// # Errors
    /// The fault to raise.
    fn update(&mut self, at: Now<G>, addr: u64, mem: Mem, f: &dyn Fn(u128) -> u128) -> Result<u128, Fault>;
}

/// A block made ready to be interpreted: its labels are resolved, its constants and positions set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    block: Block,
    steps: Vec<Step>,
    consts: Vec<(u16, u128)>,
    /// The step that each label stands before.
    targets: Vec<u16>,
}

/// An operation to carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    inst: Inst,
    /// Its value: its index in the block.
    dest: u16,
    effect: Effect,
}

impl Prepared {
    /// Take a verified block.
    pub fn new(block: Block) -> Prepared {
        let mut p = Prepared {
            targets: vec![0; block.labels as usize],
            block,
            ..Prepared::default()
        };
        for (i, &inst) in p.block.insts.iter().enumerate() {
            let dest = i as u16;
            match inst.op {
                Op::Const { imm } => p.consts.push((dest, imm.get().into())),
                Op::Const128 { pool } => p.consts.push((dest, p.block.pool[pool as usize])),
                Op::Place { label } => p.targets[label.0 as usize] = p.steps.len() as u16,
                Op::Insn { .. } => {}
                op => p.steps.push(Step {
                    inst,
                    dest,
                    effect: op.effect(),
                }),
            }
        }
        p
    }
    /// Bytes of memory that it takes.
    pub fn held(&self) -> usize {
        let lists = [
            self.block.insts.capacity() * size_of::<Inst>(),
            self.block.pool.capacity() * size_of::<u128>(),
            self.steps.capacity() * size_of::<Step>(),
            self.consts.capacity() * size_of::<(u16, u128)>(),
            self.targets.capacity() * size_of::<u16>(),
        ];
        size_of::<Prepared>() + lists.iter().sum::<usize>()
    }
    /// The block.
    pub fn block(&self) -> &Block {
        &self.block
    }
    fn target(&self, label: Label) -> usize {
        self.targets[label.0 as usize] as usize
    }
    /// A fault of the operation at `index`: it belongs to the guest instruction before it.
    #[cold]
    fn stopped(&self, index: u16, fault: Fault) -> Stopped {
        let before = self.block.insts[..index as usize].iter().rev();
        let position = |inst: &Inst| match inst.op {
            Op::Insn { offset, aux } => Some((offset, aux)),
            _ => None,
        };
        let (offset, aux) = before.filter_map(position).next().unwrap_or((0, 0));
        Stopped { fault, offset, aux }
    }
}

/// Working memory of [`run`], used again and again.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    vals: Vec<u128>,
}

/// Where to go on after a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At an address the block names; the state's pc slot holds it.
    Goto {
        /// The virtual address, wrapped to the address width.
        addr: u64,
        /// What the branch is for.
        hint: Hint,
        /// Look at pending interrupts even if attention was not asked for.
        poll: bool,
    },
    /// At a computed address; the state's pc slot holds it.
    GotoVal {
        /// The virtual address, wrapped to the address width.
        addr: u64,
        /// What the branch is for.
        hint: Hint,
    },
    /// In the engine; the block set the pc slot.
    Exit(Leave),
}

/// A fault, and the guest instruction it belongs to. The state is as that instruction's operations left it:
/// [`Guest::restore`] with the instruction's pc and `aux`, then [`Guest::raise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// What to raise.
    pub fault: Fault,
    /// The instruction's offset from the start of the block's page.
    pub offset: u16,
    /// The instruction's `aux`.
    pub aux: u32,
}

/// Run one block, whose page starts at virtual address `page_base`.
///
/// # Errors
/// A fault of guest memory or of a helper, and where it happened.
pub fn run<G: Guest, M: Memory<G> + Env>(
    guest: &mut G,
    state: &mut G::State,
    mem: &mut M,
    code: &Prepared,
    page_base: u64,
    scratch: &mut Scratch,
) -> Result<Next, Stopped> {
    let count = code.block.insts.len();
    if scratch.vals.len() < count {
        scratch.vals.resize(count, 0);
    }
    let vals = &mut scratch.vals[..count];
    for &(dest, value) in &code.consts {
        vals[dest as usize] = value;
    }
    let mut i = 0;
    loop {
        i = compute(code, i, vals, bytemuck::bytes_of_mut(state), G::LAYOUT, page_base);
        let Step { inst, dest, .. } = &code.steps[i];
        match step(guest, state, mem, inst, vals, page_base) {
            Ok(Then::Value(value)) => vals[*dest as usize] = value,
            Ok(Then::Leave(next)) => return Ok(next),
            Err(fault) => return Err(code.stopped(*dest, fault)),
        }
        i += 1;
    }
}

/// Carry out operations from `i` on that only compute, access the state or branch inside the block; the first that does
/// more. Not for each guest anew: this is where the interpreter's time goes.
#[expect(clippy::unreachable, reason = "`pure_or` does what is pure")]
fn compute(
    code: &Prepared,
    mut i: usize,
    vals: &mut [u128],
    state: &mut [u8],
    layout: &Layout,
    page_base: u64,
) -> usize {
    loop {
        let Step { inst, dest, effect } = &code.steps[i];
        i += 1;
        let mut more = false;
        let value = pure_or(&code.block, inst, vals, page_base, || {
            more = true;
            0
        });
        if !more {
            vals[*dest as usize] = value;
            continue;
        }
        vals[*dest as usize] = match effect {
            Effect::Pure => unreachable!("{} is done above", inst.op.name()),
            Effect::Get => match inst.op {
                Op::Get { slot } => peek_bytes(state, slot, inst.ty),
                _ => 0,
            },
            Effect::Set => {
                if let Op::Set { slot, a } = inst.op {
                    poke_bytes(state, slot, inst.ty, vals[a.index()]);
                }
                continue;
            }
            Effect::Fp => {
                let (bits, flags) = float::eval(&code.block, inst, vals, |e| current(state, layout, e));
                raise_flags(state, layout, flags);
                bits
            }
            Effect::Branch => match inst.op {
                Op::Br { label } => {
                    i = code.target(label);
                    continue;
                }
                Op::BrIf { cond, label } => {
                    if vals[cond.index()] != 0 {
                        i = code.target(label);
                    }
                    continue;
                }
                Op::X87Need { full, empty, label } => {
                    if !x87::has(state, layout, full, empty) {
                        i = code.target(label);
                    }
                    continue;
                }
                _ => return i - 1,
            },
            Effect::Load
            | Effect::Store
            | Effect::Atomic
            | Effect::Fence
            | Effect::Call
            | Effect::X87
            | Effect::Position
            | Effect::Leave => return i - 1,
        }
    }
}

/// What follows an operation.
enum Then {
    /// Its value, and the next one.
    Value(u128),
    /// Another block.
    Leave(Next),
}

/// An operation that takes the guest, its memory, or another block.
#[inline(always)]
#[expect(clippy::unreachable, reason = "`compute` stops before these")]
fn step<G: Guest, M: Memory<G> + Env>(
    guest: &mut G,
    state: &mut G::State,
    mem: &mut M,
    inst: &Inst,
    vals: &[u128],
    page_base: u64,
) -> Result<Then, Fault> {
    let v = |a: Val| vals[a.index()];
    let value = match inst.op {
        Op::Load { addr, mem: m } => extend(inst.ty, m, mem.load((guest, state), v(addr) as u64, m)?),
        Op::Store { addr, a, mem: m } => {
            mem.store((guest, state), v(addr) as u64, m, v(a) & bytes_mask(m))?;
            0
        }
        Op::Cas { addr, old, new, mem: m } => mem.cas((guest, state), v(addr) as u64, m, v(old), v(new))?,
        Op::Swap { addr, a, mem: m } => mem.update((guest, state), v(addr) as u64, m, &|_| v(a))?,
        Op::Rmw { addr, a, how, mem: m } => {
            let new = |held: u128| modify(how, inst.ty, held as u64, v(a) as u64).into();
            mem.update((guest, state), v(addr) as u64, m, &new)?
        }
        Op::Barrier { kind } => {
            barrier(kind);
            0
        }
        Op::Call { helper, args } => {
            let args = args.map(|a| if a.is_some() { v(a) } else { 0 });
            call(guest, state, mem, helper, &args)? & inst.ty.mask()
        }
        x87_ops!() => {
            let operand = if let Op::X87Operand { a, .. } = inst.op {
                v(a)
            } else {
                0
            };
            x87::execute(bytemuck::bytes_of_mut(state), G::LAYOUT, mem, inst, operand, page_base)
        }
        Op::Goto {
            offset,
            hint,
            poll,
            mode: _,
        } => {
            let addr = set_pc::<G>(state, page_base.wrapping_add_signed(offset as i64));
            return Ok(Then::Leave(Next::Goto { addr, hint, poll }));
        }
        Op::GotoVal { addr, hint } => {
            let addr = set_pc::<G>(state, v(addr) as u64);
            return Ok(Then::Leave(Next::GotoVal { addr, hint }));
        }
        Op::Exit { why } => return Ok(Then::Leave(Next::Exit(why))),
        Op::Get { .. }
        | Op::Set { .. }
        | Op::Br { .. }
        | Op::BrIf { .. }
        | Op::X87Need { .. }
        | Op::Insn { .. }
        | Op::Place { .. } => {
            unreachable!("{} is done by compute, or set aside", inst.op.name())
        }
        fp_ops!() | pure_ops!() => unreachable!("{} only computes", inst.op.name()),
    };
    Ok(Then::Value(value))
}

/// Interpret one operation of class pure or floating point: the block's last, whose operands `vals` holds. The result and
/// the cumulative flags it raises.
#[expect(clippy::expect_used, reason = "a block of one operation ends with it")]
pub(crate) fn eval<S: bytemuck::Pod>(block: &Block, vals: &[u128], state: &S, layout: &Layout) -> (u128, u32) {
    let inst = block.insts.last().expect("the operation itself");
    match inst.op.effect() {
        Effect::Fp => float::eval(block, inst, vals, |e| current(bytemuck::bytes_of(state), layout, e)),
        _ => (pure(block, inst, vals, 0), 0),
    }
}

/// The bytes of a slot, zero-extended.
#[inline(always)]
pub(crate) fn peek<S: bytemuck::Pod>(state: &S, slot: u16, ty: Ty) -> u128 {
    peek_bytes(bytemuck::bytes_of(state), slot, ty)
}

#[inline(always)]
fn peek_bytes(state: &[u8], slot: u16, ty: Ty) -> u128 {
    let at = &state[slot as usize..];
    match ty {
        Ty::I8 => at[0] as u128,
        Ty::I16 => u16::from_ne_bytes(first(at)) as u128,
        Ty::I32 | Ty::F32 => u32::from_ne_bytes(first(at)) as u128,
        Ty::I64 | Ty::F64 | Ty::V64 => u64::from_ne_bytes(first(at)) as u128,
        Ty::V128 => u128::from_ne_bytes(first(at)),
    }
}

#[inline]
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[..N]);
    out
}

#[inline(always)]
pub(crate) fn poke<S: bytemuck::Pod>(state: &mut S, slot: u16, ty: Ty, value: u128) {
    poke_bytes(bytemuck::bytes_of_mut(state), slot, ty, value);
}

#[inline(always)]
fn poke_bytes(state: &mut [u8], slot: u16, ty: Ty, value: u128) {
    let at = &mut state[slot as usize..];
    match ty {
        Ty::I8 => at[0] = value as u8,
        Ty::I16 => at[..2].copy_from_slice(&(value as u16).to_ne_bytes()),
        Ty::I32 | Ty::F32 => at[..4].copy_from_slice(&(value as u32).to_ne_bytes()),
        Ty::I64 | Ty::F64 | Ty::V64 => at[..8].copy_from_slice(&(value as u64).to_ne_bytes()),
        Ty::V128 => at[..16].copy_from_slice(&value.to_ne_bytes()),
    }
}

/// Wrap an address to the guest's address width and write it to the pc slot.
fn set_pc<G: Guest>(state: &mut G::State, addr: u64) -> u64 {
    let pc = G::LAYOUT.pc;
    let addr = addr & mask(pc.ty);
    poke(state, pc.off, pc.ty, addr as u128);
    addr
}

fn bytes_mask(m: Mem) -> u128 {
    u128::MAX >> (128 - 8 * m.bytes())
}

/// What a load of raw bytes is as a `ty`.
pub(crate) fn extend(ty: Ty, m: Mem, raw: u128) -> u128 {
    if !m.signed || m.bytes() >= ty.bytes() {
        return raw;
    }
    let unused = 128 - 8 * m.bytes();
    ((raw << unused) as i128 >> unused) as u128 & ty.mask()
}

fn barrier(kind: Fence) {
    fence(match kind {
        Fence::Full => Ordering::SeqCst,
        Fence::Light => Ordering::AcqRel,
    });
}

fn current(state: &[u8], layout: &Layout, env: Fenv) -> fp::Env {
    let word = |slot: Slot| peek_bytes(state, slot.off, Ty::I32) as u32;
    let mxcsr = match layout.rules {
        Rules::Arm => None,
        Rules::X86 { mxcsr } => Some(word(mxcsr)),
    };
    fp::resolve(env, word(layout.fp_round), mxcsr)
}

/// Cumulative floating-point flags are raised.
pub(crate) fn raise_flags(state: &mut [u8], layout: &Layout, flags: u32) {
    if flags != 0 {
        let old = peek_bytes(state, layout.fp_flags.off, Ty::I32);
        poke_bytes(state, layout.fp_flags.off, Ty::I32, old | flags as u128);
    }
}

fn call<G: Guest, M: Env>(
    guest: &mut G,
    state: &mut G::State,
    env: &mut M,
    helper: u16,
    args: &[u128; 4],
) -> Result<u128, Fault> {
    match G::HELPERS[helper as usize].f {
        HelperFn::Pure(f) | HelperFn::Float(f) => Ok(f(args)),
        HelperFn::Flags(f) => {
            let (value, flags) = f(args);
            raise_flags(bytemuck::bytes_of_mut(state), G::LAYOUT, flags);
            Ok(value)
        }
        HelperFn::State(f) => f(guest, state, env, args),
        HelperFn::Raise(f) => Err(f(args)),
    }
}
