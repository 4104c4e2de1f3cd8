//! LDM and STM in all their forms (Arm ARM DDI 0406C, A4.7 and A8.8), RFE and SRS (B9.3).

use crate::calls;
use crate::tx::Tx;
use emu_ir::{Hint, Ty, Val};

/// Where the registers of a list go: increment or decrement, before or after.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Da,
    Ia,
    Db,
    Ib,
}

/// The lowest address used and the base after write-back, for `count` words.
fn span(t: &mut Tx, base: Val, order: Order, count: u32) -> (Val, Val) {
    let bytes = 4 * count as i32;
    let (low, end) = match order {
        Order::Ia => (0, bytes),
        Order::Ib => (4, bytes),
        Order::Da => (4 - bytes, -bytes),
        Order::Db => (-bytes, -bytes),
    };
    (offset(t, base, low), offset(t, base, end))
}

fn offset(t: &mut Tx, base: Val, by: i32) -> Val {
    match by {
        0 => base,
        _ => {
            let by = t.b.i32(by as u32);
            t.b.add(base, by)
        }
    }
}

fn registers(list: u32) -> impl Iterator<Item = u32> {
    (0..16).filter(move |r| list >> r & 1 != 0)
}

/// Loads registers in ascending order. The base is written last, so that an abort leaves it as it was. Write-back of a
/// loaded base is UNPREDICTABLE, here Undefined, as are an empty list and, in T32, a list of one.
fn load(t: &mut Tx, order: Order, w: u32, n: u32, list: u32) {
    let base_twice = w != 0 && list >> n & 1 != 0;
    if list == 0 || n == 15 || base_twice || t.thumb() && t.size == 4 && list.count_ones() < 2 {
        return t.undefined();
    }
    let base = t.reg(n);
    let (low, end) = span(t, base, order, list.count_ones());
    let (mut at, mut loaded_base, mut pc) = (0, None, None);
    for r in registers(list) {
        let addr = offset(t, low, at);
        let v = t.load(Ty::I32, addr, t.mem_aligned(2));
        match r {
            15 => pc = Some(v),
            r if r == n => loaded_base = Some(v),
            _ => t.set(r, v),
        }
        at += 4;
    }
    if let Some(v) = loaded_base.or((w != 0).then_some(end)) {
        t.set(n, v);
    }
    if let Some(pc) = pc {
        t.bx_write_pc(pc, if n == 13 { Hint::Return } else { Hint::Jump });
    }
}

fn store(t: &mut Tx, order: Order, w: u32, n: u32, list: u32) {
    if list == 0 || n == 15 || t.thumb() && t.size == 4 && list.count_ones() < 2 {
        return t.undefined();
    }
    let base = t.reg(n);
    let (low, end) = span(t, base, order, list.count_ones());
    let mut at = 0;
    for r in registers(list) {
        let (addr, v) = (offset(t, low, at), t.reg(r));
        t.store(addr, v, t.mem_aligned(2));
        at += 4;
    }
    if w != 0 {
        t.set(n, end);
    }
}

macro_rules! multiples {
    ($( $ldm:ident $stm:ident $order:ident $doc:literal; )*) => { $(
        #[doc = concat!("LDM", $doc, ": the registers of the list `l`; write back if `w`.")]
        pub fn $ldm(t: &mut Tx, w: u32, n: u32, l: u32) {
            load(t, Order::$order, w, n, l);
        }
        #[doc = concat!("STM", $doc, ": the registers of the list `l`; write back if `w`.")]
        pub fn $stm(t: &mut Tx, w: u32, n: u32, l: u32) {
            store(t, Order::$order, w, n, l);
        }
    )* };
}
multiples! {
    ldmda stmda Da "DA";
    ldm stm Ia "IA";
    ldmdb stmdb Db "DB";
    ldmib stmib Ib "IB";
}

/// The order that A32's P:U bits name.
fn order(pu: u32) -> Order {
    match pu & 3 {
        0 => Order::Da,
        1 => Order::Ia,
        2 => Order::Db,
        _ => Order::Ib,
    }
}

/// LDM (user registers): `p` is P:U; no write-back, no PC in the list `l`.
pub fn ldm_user(t: &mut Tx, p: u32, n: u32, l: u32) {
    if t.user() || l == 0 || n == 15 {
        return t.undefined();
    }
    let base = t.reg(n);
    let (low, _) = span(t, base, order(p), l.count_ones());
    let loaded: Vec<_> = (registers(l).zip((0..).step_by(4)))
        .map(|(r, at)| {
            let addr = offset(t, low, at);
            (r, t.load(Ty::I32, addr, t.mem_aligned(2)))
        })
        .collect();
    for (r, v) in loaded {
        if r < 8 {
            t.set(r, v);
        } else {
            let r = t.b.i32(r);
            t.b.call(Ty::I32, calls::USER_REG_WRITE, &[r, v]);
        }
    }
}

/// STM (user registers): `p` is P:U; no write-back.
pub fn stm_user(t: &mut Tx, p: u32, n: u32, l: u32) {
    if t.user() || l == 0 || n == 15 {
        return t.undefined();
    }
    let base = t.reg(n);
    let (low, _) = span(t, base, order(p), l.count_ones());
    for (r, at) in registers(l).zip((0..).step_by(4)) {
        let v = if r < 8 || r == 15 {
            t.reg(r)
        } else {
            let r = t.b.i32(r);
            t.b.call(Ty::I32, calls::USER_REG_READ, &[r])
        };
        let addr = offset(t, low, at);
        t.store(addr, v, t.mem_aligned(2));
    }
}

/// LDM (exception return): `p` is P:U, `l` the list but for the PC, which is always loaded; CPSR from SPSR.
pub fn ldm_exception(t: &mut Tx, p: u32, w: u32, n: u32, l: u32) {
    if t.user() || n == 15 {
        return t.undefined();
    }
    let base = t.reg(n);
    let (low, end) = span(t, base, order(p), l.count_ones() + 1);
    let (mut at, mut loaded_base) = (0, None);
    for r in registers(l) {
        let addr = offset(t, low, at);
        let v = t.load(Ty::I32, addr, t.mem_aligned(2));
        if r == n {
            loaded_base = Some(v);
        } else {
            t.set(r, v);
        }
        at += 4;
    }
    let addr = offset(t, low, at);
    let pc = t.load(Ty::I32, addr, t.mem_aligned(2));
    if let Some(v) = loaded_base.or((w != 0).then_some(end)) {
        t.set(n, v);
    }
    t.call_and_leave(calls::EXCEPTION_RETURN, &[pc]);
}

/// RFE: `p` is P:U; PC and CPSR from two words.
pub fn rfe(t: &mut Tx, p: u32, w: u32, n: u32) {
    if t.user() || n == 15 {
        return t.undefined();
    }
    let base = t.reg(n);
    let (low, end) = span(t, base, order(p), 2);
    let pc = t.load(Ty::I32, low, t.mem_aligned(2));
    let addr = offset(t, low, 4);
    let status = t.load(Ty::I32, addr, t.mem_aligned(2));
    if w != 0 {
        t.set(n, end);
    }
    t.call_and_leave(calls::RFE, &[pc, status]);
}

/// SRS: `p` is P:U; LR and SPSR to the stack of mode `m`.
pub fn srs(t: &mut Tx, p: u32, w: u32, m: u32) {
    if t.user() {
        return t.undefined();
    }
    let mode = t.b.i32(m);
    let base = t.b.call(Ty::I32, calls::SRS_BASE, &[mode]);
    let status = t.b.call(Ty::I32, calls::SPSR_READ, &[]);
    let (low, end) = span(t, base, order(p), 2);
    let lr = t.reg(14);
    t.store(low, lr, t.mem_aligned(2));
    let addr = offset(t, low, 4);
    t.store(addr, status, t.mem_aligned(2));
    if w != 0 {
        t.b.call(Ty::I32, calls::SRS_WRITEBACK, &[mode, end]);
    }
}
