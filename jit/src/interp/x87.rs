//! The guest's x87 unit: the state has it, the machine's [`Env`] executes its instructions.

use super::{peek_bytes, poke_bytes};
use emu_ir::{Env, Inst, Layout, Op, STATUS_FIXED, Slot, X87Insn, X87Slots, X87Unit, x87_status};

fn word(state: &[u8], slot: Slot) -> u16 {
    peek_bytes(state, slot.off, slot.ty) as u16
}
fn set(state: &mut [u8], slot: Slot, value: u64) {
    poke_bytes(state, slot.off, slot.ty, value.into());
}

fn unit(state: &[u8], at: &X87Slots) -> X87Unit {
    let regs = std::array::from_fn(|n| {
        let all = peek_bytes(state, at.regs.nth(n as u32).off, at.regs.ty);
        [all as u64, (all >> 64) as u64]
    });
    X87Unit {
        regs,
        control: word(state, at.control),
        status: word(state, at.status) & !x87_status::TOP | (word(state, at.top) & 7) << x87_status::TOP_SHIFT,
        full: word(state, at.full) as u8,
    }
}
fn put(state: &mut [u8], at: &X87Slots, unit: &X87Unit) {
    for (n, &[low, high]) in unit.regs.iter().enumerate() {
        let all = u128::from(low) | u128::from(high) << 64;
        poke_bytes(state, at.regs.nth(n as u32).off, at.regs.ty, all);
    }
    set(state, at.status, (unit.status & !x87_status::TOP).into());
    set(state, at.top, unit.top() as u64);
    set(state, at.full, unit.full.into());
}

/// Whether exceptions are masked, and registers full and empty: see [`Op::X87Need`].
pub fn has(state: &[u8], layout: &Layout, full: u8, empty: u8) -> bool {
    let Some(at) = &layout.x87 else {
        return false;
    };
    let masks = word(state, at.control) & x87_status::EXCEPTIONS;
    let there = (word(state, at.full) as u8).rotate_right((word(state, at.top) & 7).into());
    masks == x87_status::EXCEPTIONS && there & full == full && there & empty == 0
}

/// Carry out an operation on the unit; its value. `a`: its operand.
pub fn execute(state: &mut [u8], layout: &Layout, env: &mut dyn Env, inst: &Inst, a: u128, page_base: u64) -> u128 {
    let Some(slots) = &layout.x87 else {
        return 0;
    };
    let mut unit = unit(state, slots);
    let [mut operand @ .., _, _, _, _, _, _] = a.to_le_bytes();
    let mut done = |insn: X87Insn, modrm: u8, at: u16, status: u16| {
        let status = env.x87(insn, &mut unit, &mut operand, status);
        put(state, slots, &unit);
        set(
            state,
            slots.opcode,
            u64::from(insn.opcode() & 7) << 8 | u64::from(modrm),
        );
        set(state, slots.instruction, page_base.wrapping_add(at.into()));
        status
    };
    match inst.op {
        Op::X87 { insn, modrm, at } => {
            done(insn, modrm, at, STATUS_FIXED);
        }
        Op::X87Operand { insn, modrm, at, .. } => {
            let status = if insn.is_conditional() { a as u16 } else { STATUS_FIXED };
            done(insn, modrm, at, status);
        }
        Op::X87Compare { insn, modrm, at } => return done(insn, modrm, at, STATUS_FIXED).into(),
        Op::X87Output { insn } => {
            // What an exception keeps from being stored is 0.
            operand = [0; 10];
            env.x87(insn, &mut unit, &mut operand, STATUS_FIXED);
            let bytes = operand.iter().rev().fold(0, |all: u128, &b| all << 8 | u128::from(b));
            return bytes & inst.ty.mask();
        }
        _ => {}
    }
    0
}
