//! Atomic accesses beyond those of one instruction: read-modify-writes, and 16 bytes at once.

use super::mem::{At, LOCK, RegImm};
use super::window::Windows;
use super::{Emit, cond};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Inst, Mem, Rmw, Ty, Val};

/// `op [place], register` of so many bytes.
macro_rules! to_memory {
    ($e:expr, $op:ident, $at:expr, $s:expr, $size:expr) => {{
        let (t, r) = $at;
        match $size {
            0 => dynasm!($e.a ; .arch x64 ; $op [Rq(t) + Rq(r)], Rb($s)),
            1 => dynasm!($e.a ; .arch x64 ; $op [Rq(t) + Rq(r)], Rw($s)),
            2 => dynasm!($e.a ; .arch x64 ; $op [Rq(t) + Rq(r)], Rd($s)),
            _ => dynasm!($e.a ; .arch x64 ; $op [Rq(t) + Rq(r)], Rq($s)),
        }
    }};
}
/// `op d, s` of the type's width.
macro_rules! of_width {
    ($e:expr, $op:ident, $ty:expr, $d:expr, $s:expr) => {
        match $ty {
            Ty::I8 => dynasm!($e.a ; .arch x64 ; $op Rb($d), Rb($s)),
            Ty::I16 => dynasm!($e.a ; .arch x64 ; $op Rw($d), Rw($s)),
            Ty::I64 => dynasm!($e.a ; .arch x64 ; $op Rq($d), Rq($s)),
            _ => dynasm!($e.a ; .arch x64 ; $op Rd($d), Rd($s)),
        }
    };
}

const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;

impl Emit<'_> {
    pub fn rmw(&mut self, v: Val, inst: Inst, addr: Val, a: Val, how: Rmw, mem: Mem) {
        self.clobber();
        self.windows = Windows::default();
        let wanted = self.live(v);
        // What memory held comes from LOCK XADD, or from the loop around LOCK CMPXCHG.
        let one = how == Rmw::Add || !wanted && matches!(how, Rmw::And | Rmw::Or | Rmw::Xor);
        if !one {
            self.claim(RAX);
        }
        let access = self.access(inst, addr, mem);
        let s = self.reg(a);
        let u = self.temp();
        let held = if one { u } else { RAX };
        let ways;
        if mem.pieces.swap() != 0 {
            ways = self.only_slow(&access);
        } else {
            let t;
            (t, ways) = self.check_with(u, &access);
            match one {
                true => self.rmw_at_once((t, access.addr), (u, s), how, (inst.ty, mem), wanted),
                false => self.rmw_loop((t, access.addr), (u, s), how, (inst.ty, mem)),
            }
        }
        let args = [Some((RegImm::Gpr(s), inst.ty)), None];
        let result = wanted.then_some((v, RegImm::Gpr(held), inst.ty));
        self.end_access(access, args, result, ways);
        if wanted {
            self.locked = 1 << held;
            let d = self.dst(v, None);
            self.mov(inst.ty, d, held);
        }
    }
    fn lock(&mut self) {
        if !self.info.alone {
            self.a.push(LOCK);
        }
    }
    /// By one instruction; with `wanted`, `u` is what memory held.
    #[expect(clippy::unreachable, reason = "`rmw` sends minima and maxima to the loop")]
    fn rmw_at_once(&mut self, at: (u8, u8), (u, s): (u8, u8), how: Rmw, (ty, mem): (Ty, Mem), wanted: bool) {
        if wanted {
            self.mov(Ty::I64, u, s);
            self.lock();
            to_memory!(self, xadd, at, u, mem.size);
            match ty {
                Ty::I8 => dynasm!(self.a ; .arch x64 ; movzx Rd(u), Rb(u)),
                Ty::I16 => dynasm!(self.a ; .arch x64 ; movzx Rd(u), Rw(u)),
                _ => {}
            }
            return;
        }
        self.lock();
        match how {
            Rmw::Add => to_memory!(self, add, at, s, mem.size),
            Rmw::And => to_memory!(self, and, at, s, mem.size),
            Rmw::Or => to_memory!(self, or, at, s, mem.size),
            Rmw::Xor => to_memory!(self, xor, at, s, mem.size),
            Rmw::MinS | Rmw::MaxS | Rmw::MinU | Rmw::MaxU => unreachable!("{how:?} takes the loop"),
        }
    }
    /// Until nobody came in between; rax is what memory held. Without others it is done once.
    fn rmw_loop(&mut self, at: (u8, u8), (u, s): (u8, u8), how: Rmw, (ty, mem): (Ty, Mem)) {
        self.load_int(At::Index(at.0, at.1), RAX, ty, mem);
        let again = self.a.new_dynamic_label();
        dynasm!(self.a ; .arch x64 ; =>again);
        match how {
            Rmw::Add => {
                self.mov(Ty::I64, u, RAX);
                of_width!(self, add, ty, u, s);
            }
            Rmw::And => {
                self.mov(Ty::I64, u, RAX);
                dynasm!(self.a ; .arch x64 ; and Rq(u), Rq(s));
            }
            Rmw::Or => {
                self.mov(Ty::I64, u, RAX);
                dynasm!(self.a ; .arch x64 ; or Rq(u), Rq(s));
            }
            Rmw::Xor => {
                self.mov(Ty::I64, u, RAX);
                dynasm!(self.a ; .arch x64 ; xor Rq(u), Rq(s));
            }
            Rmw::MinS => self.extreme_of(ty, u, s, cond::G),
            Rmw::MaxS => self.extreme_of(ty, u, s, cond::L),
            Rmw::MinU => self.extreme_of(ty, u, s, cond::A),
            Rmw::MaxU => self.extreme_of(ty, u, s, cond::B),
        }
        if self.info.alone {
            return to_memory!(self, mov, at, u, mem.size);
        }
        self.a.push(LOCK);
        to_memory!(self, cmpxchg, at, u, mem.size);
        dynasm!(self.a ; .arch x64 ; jne =>again);
    }
    /// `u` = rax, or `s` where rax compares so with it.
    fn extreme_of(&mut self, ty: Ty, u: u8, s: u8, cc: u8) {
        self.mov(Ty::I64, u, RAX);
        of_width!(self, cmp, ty, RAX, s);
        cond::cmov(self.a, cc, true, u, s);
    }

    /// Compare and swap of 16 bytes: LOCK CMPXCHG16B takes the old value in rdx:rax and the new one in rcx:rbx, which is a
    /// pin's.
    pub fn cas_pair(&mut self, v: Val, inst: Inst, (addr, old, new): (Val, Val, Val), mem: Mem) {
        self.clobber();
        self.windows = Windows::default();
        for r in [RAX, RCX, RDX] {
            self.claim(r);
        }
        let access = self.access(inst, addr, mem);
        let (o, n, kept) = (self.xreg(old), self.xreg(new), self.xtemp());
        let d = self.xdst(v);
        // An unaligned one would be a fault of ours.
        let ways;
        if mem.pieces.swap() != 0 || mem.align < 4 {
            ways = self.only_slow(&access);
        } else {
            let (t, r);
            ((t, ways), r) = (self.check_with(RAX, &access), access.addr);
            dynasm!(self.a ; .arch x64
                ; add Rq(t), Rq(r)
                ; vmovq Rx(kept), rbx
                ; vmovq rax, Rx(o)
                ; vpextrq rdx, Rx(o), 1
                ; vmovq rbx, Rx(n)
                ; vpextrq rcx, Rx(n), 1
                ; lock cmpxchg16b [Rq(t)]
                ; vmovq rbx, Rx(kept)
                ; vmovq Rx(d), rax
                ; vpinsrq Rx(d), Rx(d), rdx, 1);
        }
        let args = [o, n].map(|x| Some((RegImm::Xmm(x), inst.ty)));
        self.end_access(access, args, Some((v, RegImm::Xmm(d), inst.ty)), ways);
    }
}
