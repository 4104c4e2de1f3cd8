//! Guest memory: the inline TLB check, and the slow path out of line.

use super::again::Again;
use super::alloc::{Loc, Src};
use super::frame::{ARGS, DATA, RET};
use super::thunks::{SAVE_AT, SAVE_TEMPS_AT, SCRATCH_AT, WINDOWS_AT};
use super::window::{Closed, Natural, Of, Windows, plain};
use super::x87::run::Run;
use super::{Cold, Emit, What};
use crate::tlb::{DATA_MASK, ENTRY_SHIFT, STRICT};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Fence, Inst, Mem, Op, Ty, Val};

/// The check of a memory operation: where its address is, and the ways to its slow path and back.
#[derive(Clone, Copy)]
pub(super) struct Check {
    mem: Mem,
    write: bool,
    pub addr: u8,
    wide: bool,
    from: DynamicLabel,
    back: DynamicLabel,
    site: u32,
}

/// Its slow path: what it needs to know of the registers at that point.
pub struct Slow {
    access: Check,
    /// Operands to pass: register or constant, and type. Who gets them takes no more than the access has bytes.
    args: [Option<(RegImm, Ty)>; 2],
    /// Where the result goes.
    result: Option<(RegImm, Ty)>,
    saved: Saved,
    ways: Ways,
    /// Windows, which end here.
    closed: Closed,
    /// The run of x87 instructions that it is in.
    run: Option<Run>,
    /// Status flags that a fault shows.
    status: Option<Again>,
}

/// How an access that comes to its slow path may do without Rust.
#[derive(Clone, Copy, Default)]
pub(super) struct Ways {
    /// What its inline check left, if it had one of its own.
    miss: Option<Miss>,
    /// The access alone is checked after all, since it was its window's check that failed: two registers to work in.
    again: Option<(u8, u8)>,
}

/// What is at hand where an inline check failed.
#[derive(Clone, Copy)]
struct Miss {
    /// The register with the address of the TLB's entry.
    entry: u8,
    /// The register with what the tag should have been.
    want: u8,
    /// The register with the first byte's address.
    first: u8,
    /// What it was checked for.
    of: Of,
    /// What memory with strict alignment demands of the first byte's address.
    natural: Natural,
    /// Where the check ends well.
    hit: DynamicLabel,
}

/// How a host instruction finds guest memory.
#[derive(Clone, Copy)]
pub(super) enum At {
    /// By base and index.
    Index(u8, u8),
    /// By base and displacement.
    Within(u8, i8),
}

/// An instruction that reads guest memory.
macro_rules! from {
    ($e:expr, $at:expr, $($insn:tt)*) => {
        match $at {
            At::Index(t, r) => dynasm!($e.a ; .arch x64 ; $($insn)* [Rq(t) + Rq(r)]),
            At::Within(t, k) => dynasm!($e.a ; .arch x64 ; $($insn)* [BYTE Rq(t) + k]),
        }
    };
}
/// An instruction that writes guest memory.
macro_rules! to {
    ($e:expr, $at:expr, ($($insn:tt)*), $($from:tt)*) => {
        match $at {
            At::Index(t, r) => dynasm!($e.a ; .arch x64 ; $($insn)* [Rq(t) + Rq(r)], $($from)*),
            At::Within(t, k) => dynasm!($e.a ; .arch x64 ; $($insn)* [BYTE Rq(t) + k], $($from)*),
        }
    };
}

/// A register of either file, or a constant.
#[derive(Clone, Copy)]
pub(super) enum RegImm {
    Gpr(u8),
    Xmm(u8),
    Imm(u64),
}

/// Registers that hold live values around out-of-line code, and are not the result.
#[derive(Clone, Default)]
pub struct Saved {
    gpr: u16,
    xmm: u16,
}

/// The numbers of the bits that are set.
fn bits(mut set: u16) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let lowest = (set != 0).then(|| set.trailing_zeros() as u8)?;
        set &= set - 1;
        Some(lowest)
    })
}

/// Where a temporary is saved.
fn saved_at(r: u8) -> i32 {
    // Temporaries are registers 0 to 2, 6 and 7.
    SAVE_TEMPS_AT + 8 * (if r < 3 { r } else { r - 3 }) as i32
}

/// The prefix that makes an operation on memory atomic against other processors.
pub(super) const LOCK: u8 = 0xf0;

impl Emit<'_> {
    /// The registers whose values are still needed after this operation, but for `result`.
    pub fn saved(&mut self, result: Option<Val>) -> Saved {
        let mut s = Saved {
            gpr: self.windows.regs,
            xmm: 0,
        };
        self.bury();
        for &v in &self.w.live {
            if Some(v) == result || !self.live(v) {
                continue;
            }
            match self.loc(v) {
                Loc::Gpr(r) => s.gpr |= 1 << r,
                Loc::Xmm(x) => s.xmm |= 1 << x,
                Loc::Nowhere | Loc::Pin(_) | Loc::Low(_) | Loc::Imm | Loc::Flag(_) | Loc::Status | Loc::Spill => {}
            }
        }
        s
    }
    pub fn save(&mut self, s: &Saved) {
        for r in bits(s.gpr) {
            dynasm!(self.a ; .arch x64 ; mov [rsp + saved_at(r)], Rq(r));
        }
        for x in bits(s.xmm) {
            dynasm!(self.a ; .arch x64 ; vmovdqu [rsp + SAVE_AT + 16 * x as i32], Rx(x));
        }
    }
    pub fn restore(&mut self, s: &Saved) {
        for r in bits(s.gpr) {
            dynasm!(self.a ; .arch x64 ; mov Rq(r), [rsp + saved_at(r)]);
        }
        for x in bits(s.xmm) {
            dynasm!(self.a ; .arch x64 ; vmovdqu Rx(x), [rsp + SAVE_AT + 16 * x as i32]);
        }
    }

    /// Start a memory operation.
    pub(super) fn access(&mut self, inst: Inst, addr: Val, mem: Mem) -> Check {
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        let site = self.site(What::Mem(inst));
        Check {
            mem,
            write: !matches!(inst.op, Op::Load { mem, .. } if !mem.pieces.is_written()),
            addr: self.reg(addr),
            wide: self.b.ty(addr) == Ty::I64,
            from,
            back,
            site,
        }
    }
    /// Its inline part ends here: note its slow path, and what that passes and makes.
    pub(super) fn end_access(
        &mut self,
        access: Check,
        args: [Option<(RegImm, Ty)>; 2],
        result: Option<(Val, RegImm, Ty)>,
        ways: Ways,
    ) {
        let back = access.back;
        dynasm!(self.a ; .arch x64 ; =>back);
        let mut saved = self.saved(result.map(|(v, ..)| v));
        // A slow access may change what the guest's memory is.
        let closed = self.windows.closed();
        saved.gpr &= !closed.regs;
        let status = self.put_off.map(|recipe| self.again(recipe));
        self.w.cold.push(Cold::Mem(Slow {
            access,
            args,
            result: result.map(|(_, place, ty)| (place, ty)),
            saved,
            ways,
            closed,
            run: self.run,
            status,
        }));
    }

    /// The inline check of a page: afterwards `[t + addr]` is the host memory, or control went to the slow path.
    fn check(&mut self, access: &Check) -> (u8, Ways) {
        let u = self.temp();
        self.check_with(u, access)
    }
    /// The same with a register to work in.
    pub(super) fn check_with(&mut self, u: u8, access: &Check) -> (u8, Ways) {
        let t = self.temp();
        let of = Of::one(access.write);
        let hit = self.check_bytes((t, u), access.addr, access.mem.bytes().into(), access, of, access.from);
        let miss = Miss {
            entry: t,
            want: u,
            first: access.addr,
            of,
            natural: Natural::of(access.mem),
            hit,
        };
        let miss = Some(miss);
        (t, Ways { miss, again: None })
    }
    /// The same of so many bytes from `first` on, with both registers given; where it ends well.
    fn check_bytes(
        &mut self,
        (t, u): (u8, u8),
        first: u8,
        bytes: i64,
        access: &Check,
        of: Of,
        slow: DynamicLabel,
    ) -> DynamicLabel {
        let hit = self.a.new_dynamic_label();
        // The last unit that must be aligned as the first: if it is, and in the same page, all is.
        let unit = 1i32 << access.mem.align;
        let last = (bytes as i32 - 1) & -unit;
        let mask = -4096 | (unit - 1);
        dynasm!(self.a ; .arch x64
            ; rorx Rq(t), Rq(first), (12 - ENTRY_SHIFT) as i8
            ; and Rd(t), DATA_MASK
            ; add Rq(t), [r15 + DATA + 8 * access.mem.idx as i32]);
        if last != 0 {
            self.add_to(u, first, access.wide, last);
        } else {
            self.mov(Ty::I64, u, first);
        }
        dynasm!(self.a ; .arch x64 ; and Rq(u), mask);
        self.compare_tags(of, t, u, slow);
        dynasm!(self.a ; .arch x64 ; =>hit ; mov Rq(t), [Rq(t) + 16]);
        hit
    }
    /// The tags of a TLB entry that count must be this.
    fn compare_tags(&mut self, of: Of, entry: u8, want: u8, slow: DynamicLabel) {
        if of.loads {
            dynasm!(self.a ; .arch x64 ; cmp [Rq(entry)], Rq(want) ; jne =>slow);
        }
        if of.stores {
            dynasm!(self.a ; .arch x64 ; cmp [Rq(entry) + 8], Rq(want) ; jne =>slow);
        }
    }
    /// Where a check failed: go back if it was only for the memory's strict alignment, and that is kept.
    fn retry(&mut self, access: &Check, miss: Miss) {
        let Miss {
            entry,
            want,
            first,
            of,
            natural,
            hit,
        } = miss;
        let slow = self.a.new_dynamic_label();
        dynasm!(self.a ; .arch x64 ; bts Rq(want), BYTE STRICT.trailing_zeros() as i8);
        self.compare_tags(of, entry, want, slow);
        if natural.align > access.mem.align {
            let mut at = first;
            if natural.before != 0 {
                at = want;
                self.add_to(at, first, access.wide, natural.before.into());
            }
            dynasm!(self.a ; .arch x64
                ; test Rb(at), BYTE (1 << natural.align) - 1
                ; je =>hit
                ; =>slow);
        } else {
            dynasm!(self.a ; .arch x64 ; jmp =>hit ; =>slow);
        }
    }
    /// `d = addr + by`, an address again.
    fn add_to(&mut self, d: u8, addr: u8, wide: bool, by: i32) {
        if wide {
            dynasm!(self.a ; .arch x64 ; lea Rq(d), [Rq(addr) + by]);
        } else {
            dynasm!(self.a ; .arch x64 ; lea Rd(d), [Rq(addr) + by]);
        }
    }
    /// The inline check of a [`plain`] access at the address `v`: where it goes then, and what its slow path may do.
    fn reach(&mut self, v: Val, access: &Check) -> (At, Ways) {
        let &Check { mem, write, addr, .. } = access;
        if let Some((w, at)) = self.in_window(v, mem, write) {
            let slow = access.from;
            dynasm!(self.a ; .arch x64 ; test Rq(w), Rq(w) ; jz =>slow);
            let again = self.spare().map(|u| (w, u));
            return (At::Within(w, at), Ways { miss: None, again });
        }
        let Some(span) = self.span(v, mem, write) else {
            let (t, ways) = self.check(access);
            return (At::Index(t, addr), ways);
        };
        let (t, u) = (self.temp(), self.temp());
        let mut first = addr;
        if span.before != 0 {
            first = self.temp();
            self.add_to(first, addr, access.wide, -span.before as i32);
        }
        let hit = self.check_bytes((t, u), first, span.bytes, access, span.of, access.from);
        dynasm!(self.a ; .arch x64 ; add Rq(t), Rq(first));
        self.windows.open(t, span);
        let miss = span.natural.map(|natural| Miss {
            entry: t,
            want: u,
            first,
            of: span.of,
            natural,
            hit,
        });
        let again = Some((t, u));
        (At::Within(t, span.before as i8), Ways { miss, again })
    }

    /// What is stored. Above its bits the register may hold anything.
    fn operand(&mut self, v: Val) -> RegImm {
        let ty = self.b.ty(v);
        if !ty.is_int() {
            return RegImm::Xmm(self.xreg(v));
        }
        match self.low_src(v) {
            Src::Imm(_) => RegImm::Imm(self.b.constant(v).unwrap_or(0)),
            Src::Reg(r) => RegImm::Gpr(r),
        }
    }

    pub fn load(&mut self, v: Val, inst: Inst, addr: Val, mem: Mem) {
        self.clobber();
        let ty = inst.ty;
        let access = self.access(inst, addr, mem);
        let result = if ty.is_int() {
            RegImm::Gpr(self.dst(v, None))
        } else {
            RegImm::Xmm(self.xdst(v))
        };
        let ways;
        if plain(ty, mem) {
            let at;
            (at, ways) = self.reach(addr, &access);
            self.load_from(at, result, ty, mem);
        } else if let RegImm::Gpr(d) = result
            && mem.pieces.swap() == mem.size
            && mem.size < 4
        {
            let t;
            (t, ways) = self.check(&access);
            self.load_swapped(d, t, access.addr, ty, mem);
        } else {
            ways = self.only_slow(&access);
        }
        self.end_access(access, [None; 2], Some((v, result, ty)), ways);
    }
    /// Nothing of an access is made inline.
    pub(super) fn only_slow(&mut self, access: &Check) -> Ways {
        let from = access.from;
        dynasm!(self.a ; .arch x64 ; jmp =>from);
        Ways::default()
    }
    fn load_from(&mut self, at: At, to: RegImm, ty: Ty, mem: Mem) {
        match (to, mem.size) {
            (RegImm::Xmm(x), 2) => from!(self, at, vmovd Rx(x), DWORD),
            (RegImm::Xmm(x), 3) => from!(self, at, vmovq Rx(x), QWORD),
            (RegImm::Xmm(x), _) => from!(self, at, vmovdqu Rx(x),),
            (RegImm::Gpr(d), _) => self.load_int(at, d, ty, mem),
            (RegImm::Imm(_), _) => {}
        }
    }
    pub(super) fn load_int(&mut self, at: At, d: u8, ty: Ty, mem: Mem) {
        match (mem.size, mem.signed, ty == Ty::I64) {
            (0, false, _) => from!(self, at, movzx Rd(d), BYTE),
            (0, true, false) => from!(self, at, movsx Rd(d), BYTE),
            (0, true, true) => from!(self, at, movsx Rq(d), BYTE),
            (1, false, _) => from!(self, at, movzx Rd(d), WORD),
            (1, true, false) => from!(self, at, movsx Rd(d), WORD),
            (1, true, true) => from!(self, at, movsx Rq(d), WORD),
            (2, true, true) => from!(self, at, movsxd Rq(d), DWORD),
            (2, ..) => from!(self, at, mov Rd(d),),
            _ => from!(self, at, mov Rq(d),),
        }
        if mem.signed && ty == Ty::I16 {
            dynasm!(self.a ; .arch x64 ; movzx Rd(d), Rw(d));
        }
    }
    fn load_swapped(&mut self, d: u8, t: u8, r: u8, ty: Ty, mem: Mem) {
        match mem.size {
            1 => {
                dynasm!(self.a ; .arch x64 ; movzx Rd(d), WORD [Rq(t) + Rq(r)] ; rol Rw(d), 8);
                match (mem.signed, ty) {
                    (true, Ty::I64) => dynasm!(self.a ; .arch x64 ; movsx Rq(d), Rw(d)),
                    (true, Ty::I32) => dynasm!(self.a ; .arch x64 ; movsx Rd(d), Rw(d)),
                    _ => {}
                }
            }
            2 => {
                dynasm!(self.a ; .arch x64 ; mov Rd(d), [Rq(t) + Rq(r)] ; bswap Rd(d));
                if mem.signed && ty == Ty::I64 {
                    dynasm!(self.a ; .arch x64 ; movsxd Rq(d), Rd(d));
                }
            }
            _ => dynasm!(self.a ; .arch x64 ; mov Rq(d), [Rq(t) + Rq(r)] ; bswap Rq(d)),
        }
    }

    pub fn store(&mut self, inst: Inst, addr: Val, a: Val, mem: Mem) {
        self.clobber();
        let ty = self.b.ty(a);
        let access = self.access(inst, addr, mem);
        let value = self.operand(a);
        let ways;
        if plain(ty, mem) && !matches!(value, RegImm::Imm(c) if mem.size == 3 && i32::try_from(c as i64).is_err()) {
            let at;
            (at, ways) = self.reach(addr, &access);
            self.store_to(at, value, mem);
        } else {
            ways = self.store_hard(value, ty, &access);
        }
        self.end_access(access, [Some((value, ty)), None], None, ways);
    }
    fn store_to(&mut self, at: At, value: RegImm, mem: Mem) {
        match (value, mem.size) {
            (RegImm::Gpr(s), 0) => to!(self, at, (mov), Rb(s)),
            (RegImm::Gpr(s), 1) => to!(self, at, (mov), Rw(s)),
            (RegImm::Gpr(s), 2) => to!(self, at, (mov), Rd(s)),
            (RegImm::Gpr(s), _) => to!(self, at, (mov), Rq(s)),
            (RegImm::Imm(c), 0) => to!(self, at, (mov BYTE), c as i8),
            (RegImm::Imm(c), 1) => to!(self, at, (mov WORD), c as i16),
            (RegImm::Imm(c), 2) => to!(self, at, (mov DWORD), c as i32),
            (RegImm::Imm(c), _) => to!(self, at, (mov QWORD), c as i32),
            (RegImm::Xmm(x), 2) => to!(self, at, (vmovd DWORD), Rx(x)),
            (RegImm::Xmm(x), 3) => to!(self, at, (vmovq QWORD), Rx(x)),
            (RegImm::Xmm(x), _) => to!(self, at, (vmovdqu), Rx(x)),
        }
    }
    /// Big-endian and other rare stores.
    fn store_hard(&mut self, value: RegImm, ty: Ty, access: &Check) -> Ways {
        let &Check { mem, addr: r, .. } = access;
        let RegImm::Gpr(s) = value else {
            return self.only_slow(access);
        };
        if mem.pieces.swap() != mem.size || !ty.is_int() || mem.size > 3 {
            return self.only_slow(access);
        }
        // No register is claimed after the check: what that spills would not be there if control came by the slow path.
        let u = self.temp();
        let (t, ways) = self.check_with(u, access);
        self.mov(Ty::I64, u, s);
        match mem.size {
            1 => dynasm!(self.a ; .arch x64 ; rol Rw(u), 8 ; mov [Rq(t) + Rq(r)], Rw(u)),
            2 => dynasm!(self.a ; .arch x64 ; bswap Rd(u) ; mov [Rq(t) + Rq(r)], Rd(u)),
            _ => dynasm!(self.a ; .arch x64 ; bswap Rq(u) ; mov [Rq(t) + Rq(r)], Rq(u)),
        }
        ways
    }

    pub fn cas(&mut self, v: Val, inst: Inst, addr: Val, old: Val, new: Val, mem: Mem) {
        self.clobber();
        self.windows = Windows::default();
        self.claim(0);
        let ty = inst.ty;
        let access = self.access(inst, addr, mem);
        let r = access.addr;
        let (o, n) = (self.reg(old), self.reg(new));
        let mut ways = Ways::default();
        if mem.pieces.swap() != 0 {
            self.only_slow(&access);
        } else {
            let t;
            (t, ways) = self.check_with(0, &access);
            if self.info.alone {
                self.cas_alone((t, r), o, n, mem);
            } else {
                self.cas_locked((t, r), o, n, mem);
            }
        }
        let args = [o, n].map(|r| Some((RegImm::Gpr(r), ty)));
        self.end_access(access, args, Some((v, RegImm::Gpr(0), ty)), ways);
        self.locked = 1;
        let d = self.dst(v, None);
        self.mov(ty, d, 0);
    }
    /// Compare and swap at base and index: rax is what memory held.
    fn cas_locked(&mut self, (t, r): (u8, u8), old: u8, new: u8, mem: Mem) {
        self.mov(Ty::I64, 0, old);
        match mem.size {
            0 => dynasm!(self.a ; .arch x64 ; lock cmpxchg [Rq(t) + Rq(r)], Rb(new) ; movzx eax, al),
            1 => dynasm!(self.a ; .arch x64 ; lock cmpxchg [Rq(t) + Rq(r)], Rw(new) ; movzx eax, ax),
            2 => dynasm!(self.a ; .arch x64 ; lock cmpxchg [Rq(t) + Rq(r)], Rd(new) ; mov eax, eax),
            _ => dynasm!(self.a ; .arch x64 ; lock cmpxchg [Rq(t) + Rq(r)], Rq(new)),
        }
    }
    /// The same where no other vCPU is. An unlocked CMPXCHG would not do: where it fails it stores what it read, over what
    /// a device has stored since.
    fn cas_alone(&mut self, (t, r): (u8, u8), old: u8, new: u8, mem: Mem) {
        let differs = self.a.new_dynamic_label();
        match mem.size {
            0 => dynasm!(self.a ; .arch x64 ; movzx eax, BYTE [Rq(t) + Rq(r)] ; cmp al, Rb(old)),
            1 => dynasm!(self.a ; .arch x64 ; movzx eax, WORD [Rq(t) + Rq(r)] ; cmp ax, Rw(old)),
            2 => dynasm!(self.a ; .arch x64 ; mov eax, [Rq(t) + Rq(r)] ; cmp eax, Rd(old)),
            _ => dynasm!(self.a ; .arch x64 ; mov rax, [Rq(t) + Rq(r)] ; cmp rax, Rq(old)),
        }
        dynasm!(self.a ; .arch x64 ; jne =>differs);
        self.store_to(At::Index(t, r), RegImm::Gpr(new), mem);
        dynasm!(self.a ; .arch x64 ; =>differs);
    }
    pub fn swap(&mut self, v: Val, inst: Inst, addr: Val, a: Val, mem: Mem) {
        self.clobber();
        self.windows = Windows::default();
        let ty = inst.ty;
        let access = self.access(inst, addr, mem);
        let r = access.addr;
        let s = self.reg(a);
        let u = self.temp();
        let mut ways = Ways::default();
        if mem.pieces.swap() != 0 {
            self.only_slow(&access);
        } else {
            let t;
            (t, ways) = self.check_with(u, &access);
            self.mov(Ty::I64, u, s);
            match mem.size {
                0 => dynasm!(self.a ; .arch x64 ; xchg [Rq(t) + Rq(r)], Rb(u) ; movzx Rd(u), Rb(u)),
                1 => dynasm!(self.a ; .arch x64 ; xchg [Rq(t) + Rq(r)], Rw(u) ; movzx Rd(u), Rw(u)),
                2 => dynasm!(self.a ; .arch x64 ; xchg [Rq(t) + Rq(r)], Rd(u)),
                _ => dynasm!(self.a ; .arch x64 ; xchg [Rq(t) + Rq(r)], Rq(u)),
            }
        }
        let args = [Some((RegImm::Gpr(s), ty)), None];
        self.end_access(access, args, Some((v, RegImm::Gpr(u), ty)), ways);
        self.locked = 1 << u;
        let d = self.dst(v, None);
        self.mov(ty, d, u);
    }
    pub fn barrier(&mut self, kind: Fence) {
        self.clobber();
        match kind {
            // A locked operation orders as much as MFENCE and costs less.
            Fence::Full if !self.info.alone => dynasm!(self.a ; .arch x64 ; lock or DWORD [rsp], BYTE 0),
            Fence::Full | Fence::Light => {}
        }
    }

    pub fn slow_path(&mut self, s: Slow) {
        let Check {
            mem, addr, from, back, ..
        } = s.access;
        dynasm!(self.a ; .arch x64 ; =>from);
        if let Some(miss) = s.ways.miss {
            self.retry(&s.access, miss);
        }
        if let Some((t, u)) = s.ways.again {
            let miss = self.a.new_dynamic_label();
            let of = Of::one(s.access.write);
            self.check_bytes((t, u), addr, mem.bytes().into(), &s.access, of, miss);
            match (s.result, s.args[0]) {
                (Some((to, ty)), _) => self.load_from(At::Index(t, addr), to, ty, mem),
                (None, Some((value, _))) => self.store_to(At::Index(t, addr), value, mem),
                (None, None) => {}
            }
            dynasm!(self.a ; .arch x64 ; xor Rd(t), Rd(t) ; jmp =>back ; =>miss);
        }
        if let Some(again) = &s.status {
            self.status_again(again);
        }
        if let Some(run) = &s.run {
            self.x87_put_aside(run);
        }
        self.save(&s.saved);
        for (k, (place, ty)) in s.args.into_iter().flatten().enumerate() {
            let at = ARGS + 16 * k as i32;
            match place {
                RegImm::Xmm(x) => self.store_argument(ty, x, at),
                RegImm::Gpr(r) => dynasm!(self.a ; .arch x64 ; mov [r15 + at], Rq(r)),
                RegImm::Imm(c) => {
                    // The address may be in any register but for those the thunk takes: rdx is one it takes.
                    let t = if addr == 2 { 1 } else { 2 };
                    if addr == 2 {
                        dynasm!(self.a ; .arch x64 ; mov [rsp + SCRATCH_AT], rcx);
                    }
                    self.imm(t, c);
                    dynasm!(self.a ; .arch x64 ; mov [r15 + at], Rq(t));
                    if addr == 2 {
                        dynasm!(self.a ; .arch x64 ; mov rcx, [rsp + SCRATCH_AT]);
                    }
                }
            }
        }
        self.mov(if s.access.wide { Ty::I64 } else { Ty::I32 }, 6, addr);
        let thunk = self.thunk(self.info.thunks.slow);
        dynasm!(self.a ; .arch x64 ; mov edx, s.access.site as i32 ; call extern thunk);
        if s.run.is_some() {
            self.x87_take_back();
        }
        self.restore(&s.saved);
        match s.result {
            Some((RegImm::Gpr(d), _)) => dynasm!(self.a ; .arch x64 ; mov Rq(d), [r15 + RET]),
            Some((RegImm::Xmm(x), _)) => dynasm!(self.a ; .arch x64 ; vmovdqu Rx(x), [r15 + RET]),
            Some((RegImm::Imm(_), _)) | None => {}
        }
        for w in bits(s.closed.regs) {
            dynasm!(self.a ; .arch x64 ; xor Rd(w), Rd(w));
        }
        for n in bits(s.closed.places) {
            dynasm!(self.a ; .arch x64 ; mov QWORD [rsp + WINDOWS_AT + 8 * n as i32], 0);
        }
        dynasm!(self.a ; .arch x64 ; jmp =>back);
    }
}
