//! Guest memory: the inline TLB check, and the slow path out of line.

use super::alloc::{Loc, Src};
use super::context::{ARGS, DATA, RET};
use super::thunks::SAVE_AT;
use super::{Cold, Emit, What};
use crate::tlb::{DATA_BITS, ENTRY_SHIFT};
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Fence, Inst, Mem, Ty, Val};

/// A memory operation's slow path: what it needs to know of the registers at that point.
pub struct Slow {
    from: DynamicLabel,
    back: DynamicLabel,
    site: u32,
    addr: u8,
    wide: bool,
    /// Operands to pass: register or constant, and type.
    args: [Option<(Place, Ty)>; 2],
    /// Where the result goes.
    result: Option<(Place, Ty)>,
    saved: Saved,
}

/// A register of either file, or a constant.
#[derive(Clone, Copy)]
enum Place {
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
    SAVE_AT + 256 + 8 * (if r < 3 { r } else { r - 3 }) as i32
}

/// The prefix that makes an operation on memory atomic against other processors.
const LOCK: u8 = 0xf0;
const DATA_MASK: i32 = ((1 << DATA_BITS) - 1) << ENTRY_SHIFT;

impl Emit<'_> {
    /// The registers whose values are still needed after this operation, but for `result`.
    pub fn saved(&mut self, result: Option<Val>) -> Saved {
        let mut s = Saved::default();
        self.bury();
        for &v in &self.w.live {
            if Some(v) == result || !self.live(v) {
                continue;
            }
            match self.loc(v) {
                Loc::Gpr(r) => s.gpr |= 1 << r,
                Loc::Xmm(x) => s.xmm |= 1 << x,
                Loc::Nowhere | Loc::Pin(_) | Loc::Imm | Loc::Flag(_) | Loc::Spill => {}
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

    /// The inline check of a page: afterwards `[t + addr]` is the host memory, or control went to `slow`.
    fn check(&mut self, addr: u8, wide: bool, mem: Mem, write: bool, slow: DynamicLabel) -> u8 {
        let u = self.temp();
        self.check_with(u, addr, wide, mem, write, slow)
    }
    /// The same with a register to work in.
    fn check_with(&mut self, u: u8, addr: u8, wide: bool, mem: Mem, write: bool, slow: DynamicLabel) -> u8 {
        let t = self.temp();
        let tag = if write { 8 } else { 0 };
        let unit = 1i32 << mem.align.min(mem.size);
        let last = mem.bytes() as i32 - unit;
        let mask = -4096 | ((1i32 << mem.align) - 1);
        dynasm!(self.a ; .arch x64
            ; rorx Rq(t), Rq(addr), (12 - ENTRY_SHIFT) as i8
            ; and Rd(t), DATA_MASK
            ; add Rq(t), [r15 + DATA + 8 * mem.idx as i32]);
        if last != 0 {
            if wide {
                dynasm!(self.a ; .arch x64 ; lea Rq(u), [Rq(addr) + last]);
            } else {
                dynasm!(self.a ; .arch x64 ; lea Rd(u), [Rq(addr) + last]);
            }
        } else {
            self.mov(Ty::I64, u, addr);
        }
        dynasm!(self.a ; .arch x64
            ; and Rq(u), mask
            ; cmp [Rq(t) + tag], Rq(u)
            ; jne =>slow
            ; mov Rq(t), [Rq(t) + 16]);
        t
    }

    fn operand(&mut self, v: Val) -> Place {
        let ty = self.b.ty(v);
        if !ty.is_int() {
            return Place::Xmm(self.xreg(v));
        }
        match self.src(v) {
            Src::Imm(_) => Place::Imm(self.b.constant(v).unwrap_or(0)),
            Src::Reg(r) => Place::Gpr(r),
        }
    }

    pub fn load(&mut self, v: Val, inst: Inst, addr: Val, mem: Mem) {
        self.clobber();
        let ty = inst.ty;
        let wide = self.b.ty(addr) == Ty::I64;
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        let site = self.site(What::Mem(inst));
        let r = self.reg(addr);
        let always_slow = (mem.swap != 0 && (!ty.is_int() || mem.swap != mem.size)) || mem.size == 4 && ty.is_int();
        let result;
        if ty.is_int() {
            let d = self.dst(v, None);
            result = Place::Gpr(d);
            if always_slow {
                dynasm!(self.a ; .arch x64 ; jmp =>from);
            } else {
                let t = self.check(r, wide, mem, false, from);
                self.load_int(d, t, r, ty, mem);
            }
        } else {
            let x = self.xdst(v);
            result = Place::Xmm(x);
            if always_slow || mem.bytes() < 4 {
                dynasm!(self.a ; .arch x64 ; jmp =>from);
            } else {
                let t = self.check(r, wide, mem, false, from);
                match mem.size {
                    2 => dynasm!(self.a ; .arch x64 ; vmovd Rx(x), DWORD [Rq(t) + Rq(r)]),
                    3 => dynasm!(self.a ; .arch x64 ; vmovq Rx(x), QWORD [Rq(t) + Rq(r)]),
                    _ => dynasm!(self.a ; .arch x64 ; vmovdqu Rx(x), [Rq(t) + Rq(r)]),
                }
            }
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        let saved = self.saved(Some(v));
        let slow = Slow {
            from,
            back,
            site,
            addr: r,
            wide,
            args: [None; 2],
            result: Some((result, ty)),
            saved,
        };
        self.w.cold.push(Cold::Mem(slow));
    }
    fn load_int(&mut self, d: u8, t: u8, r: u8, ty: Ty, mem: Mem) {
        let long = ty == Ty::I64;
        match (mem.size, mem.signed, long) {
            _ if mem.swap != 0 => return self.load_swapped(d, t, r, ty, mem),
            (0, false, _) => dynasm!(self.a ; .arch x64 ; movzx Rd(d), BYTE [Rq(t) + Rq(r)]),
            (0, true, false) => dynasm!(self.a ; .arch x64 ; movsx Rd(d), BYTE [Rq(t) + Rq(r)]),
            (0, true, true) => dynasm!(self.a ; .arch x64 ; movsx Rq(d), BYTE [Rq(t) + Rq(r)]),
            (1, false, _) => dynasm!(self.a ; .arch x64 ; movzx Rd(d), WORD [Rq(t) + Rq(r)]),
            (1, true, false) => dynasm!(self.a ; .arch x64 ; movsx Rd(d), WORD [Rq(t) + Rq(r)]),
            (1, true, true) => dynasm!(self.a ; .arch x64 ; movsx Rq(d), WORD [Rq(t) + Rq(r)]),
            (2, true, true) => dynasm!(self.a ; .arch x64 ; movsxd Rq(d), DWORD [Rq(t) + Rq(r)]),
            (2, ..) => dynasm!(self.a ; .arch x64 ; mov Rd(d), [Rq(t) + Rq(r)]),
            _ => dynasm!(self.a ; .arch x64 ; mov Rq(d), [Rq(t) + Rq(r)]),
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
        let wide = self.b.ty(addr) == Ty::I64;
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        let site = self.site(What::Mem(inst));
        let r = self.reg(addr);
        let value = self.operand(a);
        if mem.swap != 0
            || (!ty.is_int() && mem.bytes() < 4)
            || (mem.size == 3 && matches!(value, Place::Imm(c) if i32::try_from(c as i64).is_err()))
        {
            self.store_hard(r, wide, value, ty, mem, from);
        } else {
            let t = self.check(r, wide, mem, true, from);
            match (value, mem.size) {
                (Place::Gpr(s), 0) => dynasm!(self.a ; .arch x64 ; mov [Rq(t) + Rq(r)], Rb(s)),
                (Place::Gpr(s), 1) => dynasm!(self.a ; .arch x64 ; mov [Rq(t) + Rq(r)], Rw(s)),
                (Place::Gpr(s), 2) => dynasm!(self.a ; .arch x64 ; mov [Rq(t) + Rq(r)], Rd(s)),
                (Place::Gpr(s), _) => dynasm!(self.a ; .arch x64 ; mov [Rq(t) + Rq(r)], Rq(s)),
                (Place::Imm(c), 0) => dynasm!(self.a ; .arch x64 ; mov BYTE [Rq(t) + Rq(r)], c as i8),
                (Place::Imm(c), 1) => dynasm!(self.a ; .arch x64 ; mov WORD [Rq(t) + Rq(r)], c as i16),
                (Place::Imm(c), 2) => dynasm!(self.a ; .arch x64 ; mov DWORD [Rq(t) + Rq(r)], c as i32),
                (Place::Imm(c), _) => dynasm!(self.a ; .arch x64 ; mov QWORD [Rq(t) + Rq(r)], c as i32),
                (Place::Xmm(x), 2) => dynasm!(self.a ; .arch x64 ; vmovd DWORD [Rq(t) + Rq(r)], Rx(x)),
                (Place::Xmm(x), 3) => dynasm!(self.a ; .arch x64 ; vmovq QWORD [Rq(t) + Rq(r)], Rx(x)),
                (Place::Xmm(x), _) => dynasm!(self.a ; .arch x64 ; vmovdqu [Rq(t) + Rq(r)], Rx(x)),
            }
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        let saved = self.saved(None);
        let slow = Slow {
            from,
            back,
            site,
            addr: r,
            wide,
            args: [Some((value, ty)), None],
            result: None,
            saved,
        };
        self.w.cold.push(Cold::Mem(slow));
    }
    /// Big-endian and other rare stores.
    fn store_hard(&mut self, r: u8, wide: bool, value: Place, ty: Ty, mem: Mem, from: DynamicLabel) {
        let Place::Gpr(s) = value else {
            dynasm!(self.a ; .arch x64 ; jmp =>from);
            return;
        };
        if mem.swap != mem.size || !ty.is_int() || mem.size > 3 {
            dynasm!(self.a ; .arch x64 ; jmp =>from);
            return;
        }
        // No register is claimed after the check: what that spills would not be there if control came by the slow path.
        let u = self.temp();
        let t = self.check_with(u, r, wide, mem, true, from);
        self.mov(Ty::I64, u, s);
        match mem.size {
            1 => dynasm!(self.a ; .arch x64 ; rol Rw(u), 8 ; mov [Rq(t) + Rq(r)], Rw(u)),
            2 => dynasm!(self.a ; .arch x64 ; bswap Rd(u) ; mov [Rq(t) + Rq(r)], Rd(u)),
            _ => dynasm!(self.a ; .arch x64 ; bswap Rq(u) ; mov [Rq(t) + Rq(r)], Rq(u)),
        }
    }

    pub fn cas(&mut self, v: Val, inst: Inst, addr: Val, old: Val, new: Val, mem: Mem) {
        self.clobber();
        self.claim(0);
        let ty = inst.ty;
        let wide = self.b.ty(addr) == Ty::I64;
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        let site = self.site(What::Mem(inst));
        let r = self.reg(addr);
        let (o, n) = (self.reg(old), self.reg(new));
        if mem.swap != 0 {
            dynasm!(self.a ; .arch x64 ; jmp =>from);
        } else {
            let t = self.check_with(0, r, wide, mem, true, from);
            self.mov(Ty::I64, 0, o);
            if !self.t.alone {
                self.a.push(LOCK);
            }
            match mem.size {
                0 => dynasm!(self.a ; .arch x64 ; cmpxchg [Rq(t) + Rq(r)], Rb(n) ; movzx eax, al),
                1 => dynasm!(self.a ; .arch x64 ; cmpxchg [Rq(t) + Rq(r)], Rw(n) ; movzx eax, ax),
                2 => dynasm!(self.a ; .arch x64 ; cmpxchg [Rq(t) + Rq(r)], Rd(n) ; mov eax, eax),
                _ => dynasm!(self.a ; .arch x64 ; cmpxchg [Rq(t) + Rq(r)], Rq(n)),
            }
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        let args = [o, n].map(|r| Some((Place::Gpr(r), ty)));
        let saved = self.saved(Some(v));
        let result = Some((Place::Gpr(0), ty));
        self.w.cold.push(Cold::Mem(Slow {
            from,
            back,
            site,
            addr: r,
            wide,
            args,
            result,
            saved,
        }));
        self.locked = 1;
        let d = self.dst(v, None);
        self.mov(ty, d, 0);
    }
    pub fn swap(&mut self, v: Val, inst: Inst, addr: Val, a: Val, mem: Mem) {
        self.clobber();
        let ty = inst.ty;
        let wide = self.b.ty(addr) == Ty::I64;
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        let site = self.site(What::Mem(inst));
        let r = self.reg(addr);
        let s = self.reg(a);
        let u = self.temp();
        if mem.swap != 0 {
            dynasm!(self.a ; .arch x64 ; jmp =>from);
        } else {
            let t = self.check_with(u, r, wide, mem, true, from);
            self.mov(Ty::I64, u, s);
            match mem.size {
                0 => dynasm!(self.a ; .arch x64 ; xchg [Rq(t) + Rq(r)], Rb(u) ; movzx Rd(u), Rb(u)),
                1 => dynasm!(self.a ; .arch x64 ; xchg [Rq(t) + Rq(r)], Rw(u) ; movzx Rd(u), Rw(u)),
                2 => dynasm!(self.a ; .arch x64 ; xchg [Rq(t) + Rq(r)], Rd(u)),
                _ => dynasm!(self.a ; .arch x64 ; xchg [Rq(t) + Rq(r)], Rq(u)),
            }
        }
        dynasm!(self.a ; .arch x64 ; =>back);
        let saved = self.saved(Some(v));
        let (args, result) = ([Some((Place::Gpr(s), ty)), None], Some((Place::Gpr(u), ty)));
        self.w.cold.push(Cold::Mem(Slow {
            from,
            back,
            site,
            addr: r,
            wide,
            args,
            result,
            saved,
        }));
        self.locked = 1 << u;
        let d = self.dst(v, None);
        self.mov(ty, d, u);
    }
    pub fn barrier(&mut self, kind: Fence) {
        self.clobber();
        match kind {
            // A locked operation orders as much as MFENCE and costs less.
            Fence::Full if !self.t.alone => dynasm!(self.a ; .arch x64 ; lock or DWORD [rsp], BYTE 0),
            Fence::Full | Fence::Light => {}
        }
    }

    pub fn slow_path(&mut self, s: Slow) {
        let from = s.from;
        dynasm!(self.a ; .arch x64 ; =>from);
        self.save(&s.saved);
        for (k, (place, ty)) in s.args.into_iter().flatten().enumerate() {
            let at = ARGS + 16 * k as i32;
            match place {
                Place::Xmm(x) => self.store_argument(ty, x, at),
                Place::Gpr(r) => dynasm!(self.a ; .arch x64 ; mov [r15 + at], Rq(r)),
                Place::Imm(c) => {
                    // The address may be in any register but for those the thunk takes: rdx is one it takes.
                    let t = if s.addr == 2 { 1 } else { 2 };
                    if s.addr == 2 {
                        dynasm!(self.a ; .arch x64 ; mov [rsp + SAVE_AT + 256 + 40], rcx);
                    }
                    self.imm(t, c);
                    dynasm!(self.a ; .arch x64 ; mov [r15 + at], Rq(t));
                    if s.addr == 2 {
                        dynasm!(self.a ; .arch x64 ; mov rcx, [rsp + SAVE_AT + 256 + 40]);
                    }
                }
            }
        }
        self.mov(if s.wide { Ty::I64 } else { Ty::I32 }, 6, s.addr);
        let thunk = self.thunk(self.t.thunks.slow);
        dynasm!(self.a ; .arch x64 ; mov edx, s.site as i32 ; call extern thunk);
        self.restore(&s.saved);
        match s.result {
            Some((Place::Gpr(d), _)) => dynasm!(self.a ; .arch x64 ; mov Rq(d), [r15 + RET]),
            Some((Place::Xmm(x), _)) => dynasm!(self.a ; .arch x64 ; vmovdqu Rx(x), [r15 + RET]),
            Some((Place::Imm(_), _)) | None => {}
        }
        let back = s.back;
        dynasm!(self.a ; .arch x64 ; jmp =>back);
    }
}
