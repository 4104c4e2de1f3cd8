//! Windows: host memory that one TLB check has found good for several accesses to come.
//!
//! Compiled code goes to one structure or stack frame again and again. The first such access has all their bytes checked at
//! once, and keeps their host address in a register; where that is 0, the check failed, and each looks for itself. A
//! window ends before whatever may change what the guest's addresses mean, and its register is the first to be given away:
//! then the address is on the stack.

use super::Emit;
use super::thunks::{WINDOWS, WINDOWS_AT};
use dynasmrt::{DynasmApi, dynasm};
use emu_ir::{Effect, Inst, Mem, Op, Ty, Val};

/// Bytes that a window has at most: displacements within it have one byte.
const REACH: i64 = 128;
/// How many operations ahead accesses are looked for.
const AHEAD: usize = 40;

/// What addresses are relative to: a value, or with none the start of the block's page; and whether in 32 bits.
type Root = (Val, bool);
/// An address as a distance from something.
type Displaced = (Root, i64);

/// A window.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Holds the host address of its first byte, or 0. `None`: it is in the window's place on the stack.
    reg: Option<u8>,
    /// It is there, too.
    kept: bool,
    /// What it is of.
    pub span: Span,
}

/// The windows there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Windows {
    all: [Option<Window>; WINDOWS],
    /// Their registers, a bit each.
    pub regs: u16,
}

/// Where windows are that a slow access closes: in registers, and on the stack, a bit each.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    pub regs: u16,
    pub places: u16,
}

impl Windows {
    /// One more, in a register, if there is room.
    pub fn open(&mut self, reg: u8, span: Span) {
        if let Some(free) = self.all.iter_mut().find(|w| w.is_none()) {
            *free = Some(Window {
                reg: Some(reg),
                kept: false,
                span,
            });
            self.regs |= 1 << reg;
        }
    }
    /// Whether there is room for one more.
    fn has_room(&self) -> bool {
        self.all.iter().any(Option::is_none)
    }
    /// A register has other use: the number of the window that was in it, if that must go to its place on the stack.
    #[inline]
    pub fn evict(&mut self, reg: u8) -> Option<usize> {
        if self.regs & 1 << reg == 0 {
            return None;
        }
        self.regs &= !(1 << reg);
        let mut there = self.all.iter_mut().enumerate();
        there.find_map(|(n, w)| {
            let w = w.as_mut().filter(|w| w.reg == Some(reg))?;
            w.reg = None;
            (!std::mem::replace(&mut w.kept, true)).then_some(n)
        })
    }
    /// Those whose last access was operation `i` end.
    #[inline]
    pub fn age(&mut self, i: usize) {
        for w in &mut self.all {
            if let Some(old) = w.filter(|w| w.span.end <= i) {
                self.regs &= old.reg.map_or(u16::MAX, |r| !(1 << r));
                *w = None;
            }
        }
    }
    /// Where they are.
    pub fn closed(&self) -> Closed {
        let kept = |(n, w): (usize, &Option<Window>)| u16::from(w.is_some_and(|w| w.kept)) << n;
        Closed {
            regs: self.regs,
            places: self.all.iter().enumerate().map(kept).sum(),
        }
    }
}

/// Where the pieces of accesses are aligned: so many bytes before multiples of `1 << align`.
#[derive(Clone, Copy, Debug)]
pub struct Natural {
    /// Less than that.
    pub before: u8,
    /// 0 to 5.
    pub align: u8,
}

impl Natural {
    /// For one access, counted from its own address.
    pub fn of(mem: Mem) -> Natural {
        Natural {
            before: 0,
            align: mem.strict(),
        }
    }
    /// Whether what is so far from where this counts from is aligned to `1 << align`.
    fn holds(self, distance: i64, align: u8) -> bool {
        align <= self.align && (distance - i64::from(self.before)) % (1 << align) == 0
    }
    /// For another access too, so far away. `None`: they are not aligned at once.
    fn and(self, distance: i64, align: u8) -> Option<Natural> {
        if align <= self.align {
            return self.holds(distance, align).then_some(self);
        }
        let finer = Natural {
            before: distance.rem_euclid(1 << align) as u8,
            align,
        };
        finer.holds(self.before.into(), self.align).then_some(finer)
    }
    /// The same counted from so far before.
    fn earlier(self, distance: i64) -> Natural {
        let before = i64::from(self.before) + distance;
        Natural {
            before: before.rem_euclid(1 << self.align) as u8,
            ..self
        }
    }
}

/// What accesses are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Of {
    pub loads: bool,
    pub stores: bool,
}

impl Of {
    /// Of one.
    pub fn one(stores: bool) -> Of {
        Of { loads: !stores, stores }
    }
}

/// The accesses of a window.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    root: Root,
    first: i64,
    /// Whether there are loads among them, and stores.
    pub of: Of,
    /// How many bytes.
    pub bytes: i64,
    /// log2 of the alignment that was checked.
    align: u8,
    idx: u8,
    /// The last operation that it is for.
    end: usize,
    /// How far before the first access's address it starts.
    pub before: i64,
    /// Where all of them are aligned, counted from its start. `None`: nowhere.
    pub natural: Option<Natural>,
}

impl Span {
    /// The distance from the window's start of an access that it is good for.
    fn distance(&self, (root, at): Displaced, mem: Mem, write: bool) -> Option<i8> {
        let from = at.wrapping_sub(self.first);
        let aligned = mem.align <= self.align && from % (1 << mem.align) == 0;
        let natural = self.natural.is_none_or(|n| n.holds(from, mem.strict()));
        let inside = from >= 0 && from + i64::from(mem.bytes()) <= self.bytes;
        let checked = if write { self.of.stores } else { self.of.loads };
        (root == self.root && mem.idx == self.idx && checked && aligned && natural && inside).then_some(from as i8)
    }
}

/// Whether an access can be made inline, and at any address.
pub fn plain(ty: Ty, mem: Mem) -> bool {
    mem.pieces.swap() == 0 && if ty.is_int() { mem.size < 4 } else { mem.size >= 2 }
}

impl Emit<'_> {
    /// What an address is relative to. Of 32 bits in 64 it is what the 32 are relative to: a window across the end of the
    /// 4 GiB, where the two differ, is across a page's end, too, and fails its check.
    fn place_of(&self, addr: Val) -> Displaced {
        let (mut v, mut distance) = (addr, 0i64);
        let mut narrow = self.b.ty(addr) == Ty::I32;
        for _ in 0..6 {
            match self.b.insts[v.index()].op {
                Op::Add { a, b } => {
                    let Some(c) = self.b.constant(b) else { break };
                    (v, distance) = (a, distance.wrapping_add(c as i64));
                }
                Op::Sub { a, b } => {
                    let Some(c) = self.b.constant(b) else { break };
                    (v, distance) = (a, distance.wrapping_sub(c as i64));
                }
                Op::Zext { a } if self.b.ty(a) == Ty::I32 => (v, narrow) = (a, true),
                Op::Trunc { a } if narrow && self.b.ty(a) == Ty::I64 => v = a,
                Op::PcRel { offset } => {
                    (v, distance) = (Val::NONE, distance.wrapping_add(offset.into()));
                    break;
                }
                _ => break,
            }
        }
        ((v, narrow), if narrow { distance as i32 as i64 } else { distance })
    }
    /// The window that has this access: its register, which then stays, and the access's place in it.
    pub fn in_window(&mut self, addr: Val, mem: Mem, write: bool) -> Option<(u8, i8)> {
        if self.windows.all.iter().all(Option::is_none) {
            return None;
        }
        let place = self.place_of(addr);
        let windows = self.windows.all.iter().enumerate();
        let mut found = windows.filter_map(|(n, w)| {
            let w = w.as_ref()?;
            Some((n, w.reg, w.span.distance(place, mem, write)?))
        });
        let (n, reg, at) = found.next()?;
        let reg = match reg {
            Some(reg) => reg,
            None => {
                let t = self.temp();
                dynasm!(self.a ; .arch x64 ; mov Rq(t), [rsp + WINDOWS_AT + 8 * n as i32]);
                if let Some(w) = &mut self.windows.all[n] {
                    w.reg = Some(t);
                }
                self.windows.regs |= 1 << t;
                t
            }
        };
        self.locked |= 1 << reg;
        Some((reg, at))
    }
    /// A register has other use: a window in it goes to its place on the stack. No flags change.
    #[inline]
    pub fn evict(&mut self, reg: u8) {
        if let Some(n) = self.windows.evict(reg) {
            dynasm!(self.a ; .arch x64 ; mov [rsp + WINDOWS_AT + 8 * n as i32], Rq(reg));
        }
    }
    /// What accesses close to this one, which is not in a window, are to come.
    pub fn span(&self, addr: Val, mem: Mem, write: bool) -> Option<Span> {
        if !self.windows.has_room() {
            return None;
        }
        let (insts, next) = (&self.b.insts, self.i + 1);
        let ahead = (next..insts.len()).take(AHEAD);
        let ahead = ahead.take_while(|&k| !ends(&insts[k].op));
        let accesses = ahead.filter_map(|k| access(&insts[k]).map(|of| (k, of)));
        let mut accesses = accesses.filter(|&(k, ..)| self.lives.vals[k].needed()).peekable();
        accesses.peek()?;
        let (root, here) = self.place_of(addr);
        let (mut first, mut past, mut end) = (here, here + i64::from(mem.bytes()), self.i);
        let (mut natural, mut of) = (Some(Natural::of(mem)), Of::one(write));
        for (k, (other, m, stores)) in accesses {
            let (from, at) = self.place_of(other);
            let (low, high) = (first.min(at), past.max(at + i64::from(m.bytes())));
            let alike = from == root && m.idx == mem.idx && m.align <= mem.align;
            if alike && high - low <= REACH && (at - here) % (1 << mem.align) == 0 {
                (first, past, end) = (low, high, k);
                natural = natural.and_then(|n| n.and(at - here, m.strict()));
                (of.loads, of.stores) = (of.loads || !stores, of.stores || stores);
            }
        }
        (end != self.i).then_some(Span {
            root,
            first,
            of,
            bytes: past - first,
            align: mem.align,
            idx: mem.idx,
            end,
            before: here - first,
            natural: natural.map(|n| n.earlier(here - first)),
        })
    }
}

/// The address and manner of a load or a store that may be in a window, and whether it stores.
fn access(inst: &Inst) -> Option<(Val, Mem, bool)> {
    let (addr, mem, stores) = match inst.op {
        Op::Load { addr, mem } => (addr, mem, mem.pieces.is_written()),
        Op::Store { addr, mem, .. } => (addr, mem, true),
        _ => return None,
    };
    plain(inst.ty, mem).then_some((addr, mem, stores))
}

/// Whether an operation ends windows: it may change what addresses mean, or is where paths meet or part.
fn ends(op: &Op) -> bool {
    match op.effect() {
        // Its branch leaves the straight line for good.
        _ if matches!(op, Op::X87Need { .. }) => false,
        Effect::Pure
        | Effect::Fp
        | Effect::Get
        | Effect::Set
        | Effect::Load
        | Effect::Store
        | Effect::X87
        | Effect::Position => false,
        Effect::Atomic | Effect::Fence | Effect::Call | Effect::Branch | Effect::Leave => true,
    }
}
