//! The x86-64 emitter: one pass over a block, allocating registers as it goes, then the cold code after the hot.
//!
//! Host registers: r15 points to the guest's state (with [`frame::Words`] just below it), nine registers hold the
//! guest's hottest slots, five are temporaries, rsp points to room for spilled values. The host must have BMI2, LZCNT,
//! AVX2, FMA, F16C and CMPXCHG16B ([`supported`]).
//!
//! Families: [`int`] (with [`compare`] and [`status`]), [`mem`] (with [`atomic`] and [`window`]), [`float`], [`vec`] (with
//! [`vec_int`], [`vec_move`], [`vec_float`]), [`flow`]; [`guard`] is what keeps the host's floating point exact.
//! [`x87`]: the host's own unit computes there for a guest's, in Rust and in runs of translated code.
#![expect(
    clippy::indexing_slicing,
    reason = "lists are as long as the block and its labels, registers are numbers below 16, operands as many as the operation has"
)]
#![allow(unsafe_code)]
// The assembler's macro converts register numbers to what they are already.
#![allow(clippy::useless_conversion)]

mod again;
mod alloc;
mod asm;
mod atomic;
mod compare;
mod cond;
mod float;
mod flow;
pub mod frame;
mod guard;
mod half;
mod int;
mod mem;
mod round;
mod status;
pub mod thunks;
mod vec;
mod vec_float;
mod vec_int;
mod vec_move;
mod window;
pub mod x87;

use crate::cache::Offset;
use crate::classes::{any_ops, const_ops, float_ops, int_ops, position_ops, vec_float_ops, vec_ops, x87_ops};
use crate::opt::{CallEffect, Lives, Recipe};
use crate::pins::{self, PINNED};
use alloc::{Flags, Home, Loc};
use asm::Asm;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Block, BlockKey, Effect, Inst, Layout, Op, Rule, Rules, Slot, Ty, Val};
use thunks::Thunks;
use window::Windows;

/// r15: the guest's state.
pub const STATE: u8 = 15;
/// Pinned guest slots live in rbx, rbp, r8 to r14.
pub const PINS: [u8; PINNED] = [3, 5, 8, 9, 10, 11, 12, 13, 14];
/// Temporaries: rax, rcx, rdx, rsi, rdi. In another order for guests of x86, whose flags go through rax.
pub const TEMPS: [u8; 5] = [0, 1, 2, 6, 7];
const TEMPS_OF_X86: [u8; 5] = [1, 2, 6, 7, 0];

/// Whether this host has the instructions that translated code uses.
pub fn supported() -> bool {
    is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("cmpxchg16b")
}

/// What a host may have besides: operations that want it are interpreted where it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions {
    /// AES's rounds.
    pub aes: bool,
    /// Products of polynomials.
    pub pclmulqdq: bool,
}

impl Extensions {
    /// All of them.
    pub const ALL: Extensions = Extensions {
        aes: true,
        pclmulqdq: true,
    };
    /// None of them.
    pub const NONE: Extensions = Extensions {
        aes: false,
        pclmulqdq: false,
    };
    /// Those of this host.
    pub fn here() -> Extensions {
        Extensions {
            aes: is_x86_feature_detected!("aes"),
            pclmulqdq: is_x86_feature_detected!("pclmulqdq"),
        }
    }
}

/// Enter translated code at `code` with the guest's state at `state`.
///
/// # Safety
/// `enter` is the address of [`Thunks::enter`], `code` that of a block in the same cache, and `state` points to a guest
/// state right after its [`frame::Words`], exclusively ours while this runs.
pub unsafe fn enter(enter: u64, state: *mut u8, code: u64) -> thunks::Reason {
    // SAFETY: the caller's promise; the thunk follows the System V convention.
    let f: extern "sysv64" fn(*mut u8, u64) -> u32 = unsafe { std::mem::transmute(enter as usize as *const ()) };
    thunks::Reason::from_u32(f(state, code))
}

/// A place in translated code that Rust hears of, with the guest instruction it belongs to.
#[derive(Clone, Debug)]
pub struct Site {
    /// The guest instruction's offset in its page.
    pub offset: u16,
    /// The guest instruction's `aux`.
    pub aux: u32,
    /// What happens there.
    pub what: What,
}

/// What happens at a [`Site`].
#[derive(Clone, Debug)]
pub enum What {
    /// A memory operation that missed the TLB: the operation and its type.
    Mem(Inst),
    /// A call of a helper that uses the guest's state: its index, the result's type, and how many arguments are given.
    Helper(u16, Ty, u8),
    /// An operation on the x87 unit, with its type.
    X87(Inst),
    /// An operation left to the interpreter: a block of its operands' types and itself.
    Eval(Box<Block>),
    /// The end of a block: where it goes on. `patch` is the branch displacement to fill in, if it can be linked.
    Goto {
        /// Bytes from the start of the page.
        offset: i32,
        /// The mode there.
        mode: u64,
        /// The bits of it that are known to hold.
        kept: u64,
        /// The branch displacement's place in the cache.
        patch: Option<Offset>,
    },
}

impl What {
    /// Bytes of memory that it takes beside itself.
    pub fn held(&self) -> usize {
        match self {
            What::Eval(block) => size_of::<Block>() + block.insts.capacity() * size_of::<Inst>(),
            What::Mem(_) | What::Helper(..) | What::X87(_) | What::Goto { .. } => 0,
        }
    }
}

/// What the emitter must know besides the block.
pub struct EmitInfo<'a> {
    /// The guest's layout.
    pub layout: &'static Layout,
    /// Bytes of the guest's state: a block with a slot that is not inside is refused.
    pub state: usize,
    /// [`CallEffect::of`] its guest.
    pub effect: fn(u16) -> CallEffect,
    /// The thunks, in the same cache.
    pub thunks: &'a Thunks,
    /// Where in the cache the code will be put.
    pub at: Offset,
    /// The physical page after the block's own that it reaches into, if it does.
    pub next_page: Option<u64>,
    /// No other vCPU shares the guest's memory: barriers and locked operations need not be.
    pub alone: bool,
    /// What the host has.
    pub extensions: Extensions,
    /// The number of the first site.
    pub first_site: u32,
}

/// A block as host code.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// The bytes, for [`EmitInfo::at`]. They start with the entry that checks the mode.
    pub bytes: Vec<u8>,
    /// Offset of the entry for those who know the mode.
    pub fast: Offset,
    /// Offset where the cold code starts.
    pub cold: Offset,
    /// Offset of the displacement of the branch that is taken where the block is not what is wanted. It leads to the thunk by
    /// what follows it, and may lead to another block's start.
    pub other: Offset,
    /// Offset where the code ends; the constants follow, each at a multiple of 16 in the cache.
    pub end: Offset,
    /// Its sites.
    pub sites: Vec<Site>,
}

/// Code out of line.
enum Cold {
    /// A memory operation's slow path.
    Mem(mem::Slow),
    /// A floating-point operation done again exactly.
    Float(guard::Exact),
    /// A comparison's operands flushed.
    Flushed(float::Flushed),
    /// Leave with a site in ecx, through a thunk.
    Leave {
        from: DynamicLabel,
        site: u32,
        thunk: Offset,
    },
    /// Something is to be looked at first; the pc slot is set.
    Sync { from: DynamicLabel },
    /// A run of x87 instructions starts, ends or is left.
    X87(x87::run::Side),
}

/// The emitter's working memory, used again for the next block.
#[derive(Default)]
pub struct Scratch {
    a: Asm,
    work: Work,
    code: Code,
}

/// What is kept in lists while a block is emitted.
#[derive(Default)]
struct Work {
    /// For each operation, where its value is.
    homes: Vec<Home>,
    /// Values that are somewhere; dead ones go when the list is next walked.
    live: Vec<Val>,
    /// For each label, the assembler's.
    labels: Vec<DynamicLabel>,
    /// For each label, whether a branch to it was emitted.
    branched: Vec<bool>,
    /// For each pinned register, the values it holds.
    pinned: [Vec<Val>; PINS.len()],
    /// Values that may be in the host's flags.
    flags: Vec<Val>,
    cold: Vec<Cold>,
    pool: Vec<(u128, DynamicLabel)>,
}

pub(crate) struct Emit<'a> {
    a: &'a mut Asm,
    w: &'a mut Work,
    sites: &'a mut Vec<Site>,
    b: &'a Block,
    lives: &'a Lives,
    /// What is still to come of [`Lives::deaths`].
    deaths: &'a [(u16, Val)],
    layout: &'static Layout,
    /// In the order in which they are taken.
    temps: [u8; TEMPS.len()],
    info: &'a EmitInfo<'a>,
    key: BlockKey,
    i: usize,
    insn: (u16, u32),
    gpr: [Option<Val>; 16],
    xmm: [Option<Val>; 16],
    windows: Windows,
    locked: u16,
    xlocked: u16,
    spilled: u128,
    overflow: bool,
    flags: Flags,
    /// How status flags are made again that were not stored.
    put_off: Option<Recipe>,
    /// The run of x87 instructions at hand.
    run: Option<x87::run::Run>,
    /// Nothing reaches here: what follows, up to a label that is branched to, is left out.
    dead: bool,
    entry: DynamicLabel,
    /// Where to go if the state's mode or the next page is another.
    elsewhere: DynamicLabel,
}

/// Emit what is needed of a block. `None`: it needs more spill slots or more room than there is, and should be translated
/// shorter; or it names a slot outside of the state. The code is the caller's to take from, until the next block.
pub fn emit<'s>(
    key: BlockKey,
    b: &Block,
    lives: &Lives,
    info: &EmitInfo,
    scratch: &'s mut Scratch,
) -> Option<&'s mut Code> {
    let Scratch { a, work, code } = scratch;
    a.clear();
    code.sites.clear();
    let (entry, elsewhere) = (a.new_dynamic_label(), a.new_dynamic_label());
    let mut e = Emit {
        a,
        w: work,
        sites: &mut code.sites,
        b,
        lives,
        deaths: &lives.deaths,
        layout: info.layout,
        temps: match info.layout.rules {
            Rules::Arm => TEMPS,
            Rules::X86 { .. } => TEMPS_OF_X86,
        },
        info,
        key,
        i: 0,
        insn: (0, 0),
        gpr: [None; 16],
        xmm: [None; 16],
        windows: Windows::default(),
        locked: 0,
        xlocked: 0,
        spilled: 0,
        overflow: false,
        flags: Flags::default(),
        put_off: None,
        run: None,
        dead: false,
        entry,
        elsewhere,
    };
    e.start();
    e.prologue();
    code.fast = e.a.offset().0 as Offset;
    e.check_next_page();
    for (i, (inst, life)) in b.insts.iter().zip(&lives.vals).enumerate() {
        if life.needed() {
            e.i = i;
            e.inst(inst);
        }
    }
    code.cold = e.a.offset().0 as Offset;
    e.cold_code();
    code.other = e.elsewhere();
    code.end = e.a.offset().0 as Offset;
    e.constants();
    let fits = !e.overflow;
    code.bytes.clear();
    code.bytes.extend_from_slice(a.finish()?);
    fits.then_some(code)
}

/// Whether a run of x87 instructions ends before an operation: paths meet or end there, or it may call Rust out of line.
fn ends_run(op: &Op) -> bool {
    match op.effect() {
        Effect::Pure | Effect::Get | Effect::Set | Effect::X87 | Effect::Position => false,
        Effect::Load | Effect::Store => false,
        Effect::Branch => !matches!(op, Op::BrIf { .. } | Op::X87Need { .. }),
        Effect::Fp | Effect::Atomic | Effect::Fence | Effect::Call | Effect::Leave => true,
    }
}

impl Emit<'_> {
    /// Nothing is anywhere yet.
    fn start(&mut self) {
        let w = &mut *self.w;
        w.homes.clear();
        w.homes.resize(self.b.insts.len(), Home::default());
        w.live.clear();
        w.labels.clear();
        w.labels.extend((0..self.b.labels).map(|_| self.a.new_dynamic_label()));
        w.branched.clear();
        w.branched.resize(self.b.labels as usize, false);
        w.pinned.iter_mut().for_each(Vec::clear);
        w.flags.clear();
    }

    fn inst(&mut self, inst: &Inst) {
        let v = Val(self.i as u16);
        if let Op::Place { label } = inst.op {
            self.dead &= !self.w.branched[label.0 as usize];
        }
        if self.dead {
            return self.finish();
        }
        if self.lives.vals[self.i].hint == pins::LATER {
            if let Op::Set { slot, a } = inst.op {
                let slot = self.inside(Slot { off: slot, ty: inst.ty });
                self.put_off = Recipe::of(self.b, &self.lives.pins, slot, a, self.i);
            }
            return self.finish();
        }
        match inst.op {
            Op::Insn { offset, aux } => return self.insn = (offset, aux),
            Op::Const { .. } | Op::Const128 { .. } => return self.set_loc(v, Loc::Imm),
            _ => {}
        }
        self.op(v, *inst);
        self.dead = inst.op.ends();
        if inst.op.rule() != Rule::None {
            self.w.live.push(v);
        }
        self.finish();
    }

    fn op(&mut self, v: Val, inst: Inst) {
        let ty = inst.ty;
        if ends_run(&inst.op) {
            self.end_run();
        }
        match inst.op {
            Op::Get { slot } => {
                let slot = self.inside(Slot { off: slot, ty });
                self.get(v, slot);
            }
            Op::Set { slot, a } => {
                let slot = self.inside(Slot { off: slot, ty });
                self.set(slot, a);
            }
            Op::Load { addr, mem } => self.load(v, inst, addr, mem),
            Op::Store { addr, a, mem } => self.store(inst, addr, a, mem),
            Op::Cas { addr, old, new, mem } if ty == Ty::V128 => self.cas_pair(v, inst, (addr, old, new), mem),
            Op::Cas { addr, old, new, mem } => self.cas(v, inst, addr, old, new, mem),
            Op::Swap { addr, a, mem } => self.swap(v, inst, addr, a, mem),
            Op::Rmw { addr, a, how, mem } => self.rmw(v, inst, addr, a, how, mem),
            Op::Barrier { kind } => self.barrier(kind),
            Op::Call { helper, args } => self.helper(v, ty, helper, args),
            Op::X87Need { full, empty, label } => self.x87_need(full, empty, label),
            x87_ops!() => self.x87(v, inst),
            Op::Place { label } => self.place(label),
            Op::Br { label } => self.br(label),
            Op::BrIf { cond, label } => self.br_if(cond, label),
            Op::Goto {
                offset,
                mode,
                hint: _,
                poll,
            } => self.goto(offset, self.b.mode(mode), poll),
            Op::GotoVal { addr, hint: _ } => self.goto_val(addr),
            Op::Exit { why } => self.exit(why),
            float_ops!() => self.float(v, inst),
            vec_float_ops!() => self.vec_float(v, inst),
            int_ops!() => self.int(v, inst),
            any_ops!() if ty.is_int() => self.int(v, inst),
            any_ops!() | vec_ops!() => self.vec(v, inst),
            // Seen to by `inst`.
            const_ops!() | position_ops!() => {}
        }
    }

    /// A slot; the block is refused if it is not in the state.
    fn inside(&mut self, slot: Slot) -> Slot {
        self.overflow |= slot.end() > self.info.state;
        slot
    }

    // ---- sites and calls

    /// Note a site at the current guest instruction; its number.
    #[inline(never)]
    fn site(&mut self, what: What) -> u32 {
        self.sites.push(Site {
            offset: self.insn.0,
            aux: self.insn.1,
            what,
        });
        self.info.first_site + self.sites.len() as u32 - 1
    }
    /// The label of a 16-byte constant, placed after the code.
    fn pool_label(&mut self, v: u128) -> DynamicLabel {
        if let Some((_, l)) = self.w.pool.iter().find(|(p, _)| *p == v) {
            return *l;
        }
        let l = self.a.new_dynamic_label();
        self.w.pool.push((v, l));
        l
    }
    /// Where a thunk is, seen from the block's start, for `extern` jumps.
    fn thunk(&self, at: Offset) -> usize {
        (at as usize).wrapping_sub(self.info.at as usize)
    }
    /// The operation alone, its operands stood in for by `Get`s of their types: what [`What::Eval`] interprets.
    fn alone(&self, inst: Inst) -> (Box<Block>, Vec<Val>) {
        let (mut b, mut args) = (Block::default(), Vec::new());
        let mut inst = inst;
        inst.op.vals_mut(&mut |v| {
            b.insts.push(Inst {
                op: Op::Get { slot: 0 },
                ty: self.b.ty(*v),
            });
            args.push(*v);
            *v = Val(args.len() as u16 - 1);
        });
        if let Op::Const128 { pool } | Op::VPerm { pool, .. } = &mut inst.op {
            b.pool.push(self.b.pool[*pool as usize]);
            *pool = 0;
        }
        b.insts.push(inst);
        (Box::new(b), args)
    }
    /// Write call arguments to memory, zero-extended.
    fn arguments(&mut self, args: &[Val]) {
        for (k, &arg) in args.iter().enumerate() {
            let at = frame::ARGS + 16 * k as i32;
            let ty = self.b.ty(arg);
            if ty.is_int() {
                let r = self.reg(arg);
                dynasm!(self.a ; .arch x64 ; mov [r15 + at], Rq(r) ; mov QWORD [r15 + at + 8], 0);
            } else {
                let x = self.xreg(arg);
                self.store_argument(ty, x, at);
            }
            self.locked = 0;
            self.xlocked = 0;
        }
    }
    fn store_argument(&mut self, ty: Ty, x: u8, at: i32) {
        match ty {
            Ty::V128 => dynasm!(self.a ; .arch x64 ; vmovdqu [r15 + at], Rx(x)),
            Ty::F32 => dynasm!(self.a ; .arch x64
                ; vmovd DWORD [r15 + at], Rx(x)
                ; mov DWORD [r15 + at + 4], 0 ; mov QWORD [r15 + at + 8], 0),
            _ => dynasm!(self.a ; .arch x64 ; vmovq QWORD [r15 + at], Rx(x) ; mov QWORD [r15 + at + 8], 0),
        }
    }
    /// The call's result, if it is used.
    fn result(&mut self, v: Val, ty: Ty) {
        if !self.live(v) {
            return;
        }
        if ty.is_int() {
            let d = self.dst(v, None);
            dynasm!(self.a ; .arch x64 ; mov Rq(d), [r15 + frame::RET]);
        } else {
            let x = self.xdst(v);
            dynasm!(self.a ; .arch x64 ; vmovdqu Rx(x), [r15 + frame::RET]);
        }
    }
    /// Call Rust from the hot path.
    fn call(&mut self, v: Val, ty: Ty, what: What, args: &[Val], changes_state: bool) {
        self.end_run();
        self.clobber();
        self.arguments(args);
        self.spill_live(changes_state);
        let site = self.site(what);
        let thunk = self.thunk(self.info.thunks.call);
        dynasm!(self.a ; .arch x64 ; mov edx, site as i32 ; call extern thunk);
        if changes_state {
            self.w.pinned.iter_mut().for_each(Vec::clear);
        }
        self.result(v, ty);
    }
    fn helper(&mut self, v: Val, ty: Ty, helper: u16, args: [Val; 4]) {
        let n = args.iter().take_while(|a| a.is_some()).count();
        let args = &args[..n];
        match (self.info.effect)(helper) {
            CallEffect::Pure => self.function(v, ty, helper, args, self.info.thunks.pure[n]),
            CallEffect::Flags => self.function(v, ty, helper, args, self.info.thunks.flags[n]),
            CallEffect::State => self.call(v, ty, What::Helper(helper, ty, n as u8), args, true),
        }
    }
    /// Call a helper that is a function of its arguments: no site, its result comes in registers.
    fn function(&mut self, v: Val, ty: Ty, helper: u16, args: &[Val], thunk: Offset) {
        self.end_run();
        self.clobber();
        self.arguments(args);
        self.spill_live(false);
        let thunk = self.thunk(thunk);
        dynasm!(self.a ; .arch x64 ; mov edx, helper as i32 ; call extern thunk);
        if !self.live(v) {
            return;
        }
        if !ty.is_int() {
            let x = self.xdst(v);
            dynasm!(self.a ; .arch x64 ; vmovq Rx(x), rax);
            if ty == Ty::V128 {
                dynasm!(self.a ; .arch x64 ; vpinsrq Rx(x), Rx(x), rdx, 1);
            }
            return;
        }
        self.locked |= 1;
        let d = self.dst(v, None);
        match ty {
            Ty::I8 => dynasm!(self.a ; .arch x64 ; movzx Rd(d), al),
            Ty::I16 => dynasm!(self.a ; .arch x64 ; movzx Rd(d), ax),
            Ty::I32 => dynasm!(self.a ; .arch x64 ; mov Rd(d), eax),
            _ => dynasm!(self.a ; .arch x64 ; mov Rq(d), rax),
        }
    }
    /// Leave an operation to the interpreter.
    fn interpret(&mut self, v: Val, inst: Inst) {
        let (block, args) = self.alone(inst);
        let ty = inst.result().unwrap_or(inst.ty);
        self.call(v, ty, What::Eval(block), &args, false);
    }

    fn cold_code(&mut self) {
        let mut cold = std::mem::take(&mut self.w.cold);
        for c in cold.drain(..) {
            match c {
                Cold::Mem(s) => self.slow_path(s),
                Cold::Float(x) => self.exact(x),
                Cold::Flushed(f) => self.flush(f),
                Cold::Leave { from, site, thunk } => {
                    let thunk = self.thunk(thunk);
                    dynasm!(self.a ; .arch x64 ; =>from ; mov ecx, site as i32 ; jmp extern thunk);
                }
                Cold::X87(side) => self.x87_side(side),
                Cold::Sync { from } => {
                    dynasm!(self.a ; .arch x64 ; =>from);
                    self.exit(emu_ir::Leave::Sync);
                }
            }
        }
        self.w.cold = cold;
    }
    /// The constant pool.
    fn constants(&mut self) {
        if self.w.pool.is_empty() {
            return;
        }
        while !(self.info.at as usize + self.a.offset().0).is_multiple_of(16) {
            self.a.push(0xcc);
        }
        for (v, l) in self.w.pool.drain(..) {
            dynasm!(self.a ; .arch x64 ; =>l);
            self.a.extend(v.to_le_bytes());
        }
    }
}
