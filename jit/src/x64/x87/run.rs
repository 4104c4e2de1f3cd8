//! Runs: instructions of the guest's x87 one after the other, as the host's own.
//!
//! From the first [`Op::X87Need`](emu_ir::Op::X87Need) on, registers of the guest that are asked for are loaded onto the host's
//! stack, and stay there until something looks at the guest's unit, paths meet, or Rust is called. In between it is known at
//! each point which of them is where, counted from the guest's TOP at the run's start, which a word in the frame keeps. The
//! guest's status, tags and TOP in memory are of the run's start, its registers of when they were last stored.
//!
//! Code out of line that calls Rust or leaves stores what the run has first, with all of the host's unit put aside, which is
//! loaded again if it comes back.

mod insns;

use super::super::thunks::{X87_AT, X87_BYTES};
use super::super::{Cold, Emit, frame::PAGE_BASE};
use super::direct::C1;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Label, Slot, X87Insn, X87Slots, x87_status};

/// TOP at the run's start, times 16, in 32 bits.
const TOP: i32 = X87_AT;
/// Which registers were full then, by their distance from TOP: 8 bits, or more with the same again.
const FULL: i32 = X87_AT + 4;
/// A status word, and one of before the output that was made last.
const STATUS: i32 = X87_AT + 8;
const BEFORE: i32 = X87_AT + 12;
/// An operand in memory.
const OPERAND: i32 = X87_AT + 16;
/// Two registers that code out of line works in.
const SAVED: i32 = X87_AT + 32;
/// The host's unit, put aside: as FNSAVE stores it.
const UNIT: i32 = X87_AT + 48;
const UNIT_STATUS: i32 = UNIT + 4;
const UNIT_REGS: i32 = UNIT + 28;
const _: () = assert!(UNIT_REGS + 80 <= X87_AT + X87_BYTES);

const EXCEPTIONS: u16 = x87_status::EXCEPTIONS;
/// As FNINIT leaves the control word.
const INITIAL: i32 = 0x37f;

/// Where C1 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// In the guest's status word in memory.
    Stored,
    /// In the host's status word.
    Host,
    /// It is 0, wherever.
    Zero,
}

/// A run. Positions are registers of the guest by their distance from TOP at the run's start, 0 to 7.
#[derive(Clone, Copy, Debug)]
pub(in crate::x64) struct Run {
    /// The position that is TOP now.
    top: u8,
    /// It was another: memory may have that, by code out of line.
    moved: bool,
    /// Positions that are known to be full, and to be empty.
    full: u8,
    empty: u8,
    /// Positions that became full, and empty.
    filled: u8,
    emptied: u8,
    /// The positions that the host's stack has, from its bottom.
    order: [u8; 8],
    depth: usize,
    /// Those of them that memory has not.
    dirty: u8,
    /// The condition codes but for C1 that the host's status word has, and memory has not.
    sets: u16,
    c1: Condition,
    /// The guest's control word is known to mask all exceptions. The host's does.
    masked: bool,
    /// The host's status word has something of the guest's.
    executed: bool,
    /// What would be stored was made: flags raised since [`BEFORE`] are not the guest's yet.
    output: Option<X87Insn>,
    /// The last instruction: its offset in the page, and its opcode.
    last: Option<(u16, u16)>,
}

impl Run {
    fn start(full: u8, empty: u8) -> Run {
        Run {
            top: 0,
            moved: false,
            full,
            empty,
            filled: 0,
            emptied: 0,
            order: [0; 8],
            depth: 0,
            dirty: 0,
            sets: 0,
            c1: Condition::Stored,
            masked: true,
            executed: false,
            output: None,
            last: None,
        }
    }
    /// The position of ST(i).
    fn at(&self, i: u8) -> u8 {
        (self.top + i) & 7
    }
    /// Bits by number of ST(i) as bits by position.
    fn positions(&self, bits: u8) -> u8 {
        bits.rotate_left(self.top.into())
    }
    /// Where a position is on the host's stack: ST(k).
    fn index(&self, p: u8) -> Option<u8> {
        let held = self.order.iter().take(self.depth).rev();
        held.enumerate().find(|(_, q)| **q == p).map(|(k, _)| k as u8)
    }
    fn exchange(&mut self, k: u8) {
        let top = self.depth - 1;
        self.order.swap(top, top - usize::from(k));
    }
    fn hold(&mut self, p: u8) {
        self.order[self.depth] = p;
        self.depth += 1;
    }
    fn becomes_full(&mut self, p: u8) {
        let bit = 1 << p;
        (self.full, self.filled) = (self.full | bit, self.filled | bit);
        (self.empty, self.emptied) = (self.empty & !bit, self.emptied & !bit);
    }
    /// The guest's stack has one more, which is on top of the host's too.
    fn pushed(&mut self) {
        (self.top, self.moved) = (self.at(7), true);
        self.becomes_full(self.top);
        self.dirty |= 1 << self.top;
        self.hold(self.top);
    }
    /// The guest's stack has one less. The register keeps what it holds, and so does the host's.
    fn popped(&mut self) {
        let bit = 1 << self.top;
        (self.full, self.filled) = (self.full & !bit, self.filled & !bit);
        (self.empty, self.emptied) = (self.empty | bit, self.emptied | bit);
        (self.top, self.moved) = (self.at(1), true);
    }
    /// The host's top is gone.
    fn dropped(&mut self) {
        self.depth -= 1;
        self.dirty &= !(1 << self.order[self.depth]);
    }
    /// The condition codes that come from the host's status word.
    fn taken(&self) -> u16 {
        self.sets | if self.c1 == Condition::Host { C1 } else { 0 }
    }
    /// Those that memory has not.
    fn changed(&self) -> u16 {
        self.sets | if self.c1 == Condition::Stored { 0 } else { C1 }
    }
}

/// A way out of line.
#[derive(Clone, Copy)]
pub(in crate::x64) enum Side {
    /// The run's instructions cannot go on: what it has is stored.
    Leave {
        from: DynamicLabel,
        to: DynamicLabel,
        run: Run,
    },
    /// The guest's control word is not as FNINIT leaves it: it is loaded, if it masks all exceptions.
    Begin {
        from: DynamicLabel,
        back: DynamicLabel,
        to: DynamicLabel,
    },
    /// At the run's end the host's becomes what it was.
    End { from: DynamicLabel, back: DynamicLabel },
}

/// ModRM.reg and opcode of FNSTSW, FNSAVE and FRSTOR.
const FNSTSW: (u8, u8) = (0xdd, 7);
const FNSAVE: (u8, u8) = (0xdd, 6);
const FRSTOR: (u8, u8) = (0xdd, 4);
/// The same for numbers of 80 bits.
const FLD_80: (u8, u8) = (0xdb, 5);
const FSTP_80: (u8, u8) = (0xdb, 7);
const FLDCW: (u8, u8) = (0xd9, 5);

// What the assembler's macro has no need to know.
impl Emit<'_> {
    /// An instruction with its operand in the frame.
    fn x87_frame(&mut self, (opcode, reg): (u8, u8), at: i32) {
        self.a.extend([opcode, 0x84 | reg << 3, 0x24]);
        self.a.extend(at.to_le_bytes());
    }
    /// The same in the guest's state, `t` bytes after a slot.
    fn x87_state(&mut self, (opcode, reg): (u8, u8), t: u8, slot: Slot) {
        self.a.extend([0x41, opcode, 0x84 | reg << 3, t << 3 | 7]);
        self.a.extend(i32::from(slot.off).to_le_bytes());
    }
    /// An instruction of registers.
    fn x87_plain(&mut self, opcode: u8, modrm: u8) {
        self.a.extend([opcode, modrm]);
    }
    /// FLDCW from a slot.
    fn x87_load_control(&mut self, slot: Slot) {
        self.a.extend([0x41, FLDCW.0, 0x87 | FLDCW.1 << 3]);
        self.a.extend(i32::from(slot.off).to_le_bytes());
    }
}

// Starting and ending.
impl Emit<'_> {
    fn x87_slots(&self) -> Option<&'static X87Slots> {
        self.layout.x87.as_ref()
    }
    /// [`Op::X87Need`].
    pub(in crate::x64) fn x87_need(&mut self, full: u8, empty: u8, label: Label) {
        let Some(slots) = self.x87_slots() else {
            return self.br(label);
        };
        let Some(run) = self.run else {
            return self.x87_begin(slots, full, empty, label);
        };
        let (full, empty) = (run.positions(full) & !run.full, run.positions(empty) & !run.empty);
        if full | empty == 0 && run.masked {
            return;
        }
        self.clobber();
        let t = self.temp();
        self.settle(label);
        let (from, to) = (self.a.new_dynamic_label(), self.w.labels[label.0 as usize]);
        if !run.masked {
            let control = i32::from(slots.control.off);
            dynasm!(self.a ; .arch x64
                ; movzx Rd(t), WORD [r15 + control]
                ; not Rd(t)
                ; test Rb(t), EXCEPTIONS as i8
                ; jnz =>from);
        }
        let never = full & (run.empty | empty) | empty & run.full != 0;
        if never {
            dynasm!(self.a ; .arch x64 ; jmp =>from);
        } else if empty == 0 && full.is_power_of_two() {
            dynasm!(self.a ; .arch x64 ; test BYTE [rsp + FULL], full as i8 ; jz =>from);
        } else if full == 0 {
            if empty != 0 {
                dynasm!(self.a ; .arch x64 ; test BYTE [rsp + FULL], empty as i8 ; jnz =>from);
            }
        } else {
            dynasm!(self.a ; .arch x64
                ; movzx Rd(t), BYTE [rsp + FULL]
                ; and Rd(t), (full | empty) as i32
                ; cmp Rd(t), full as i32
                ; jne =>from);
        }
        self.w.cold.push(Cold::X87(Side::Leave { from, to, run }));
        self.w.branched[label.0 as usize] = true;
        if let Some(run) = &mut self.run {
            (run.full, run.empty) = (run.full | full, run.empty | empty);
            run.masked = true;
        }
    }
    /// Where a branch to a label goes first, which stores what the run has.
    pub(in crate::x64) fn way_out_of_run(&mut self, label: Label) -> DynamicLabel {
        let to = self.w.labels[label.0 as usize];
        let Some(run) = self.run else { return to };
        let from = self.a.new_dynamic_label();
        self.w.cold.push(Cold::X87(Side::Leave { from, to, run }));
        from
    }
    fn x87_begin(&mut self, slots: &X87Slots, full: u8, empty: u8, label: Label) {
        if full & empty != 0 {
            return self.br(label);
        }
        self.clobber();
        let (t, u) = (self.temp(), self.temp());
        self.settle(label);
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        let to = self.w.labels[label.0 as usize];
        let [top, tags, control] = [slots.top, slots.full, slots.control].map(|slot| i32::from(slot.off));
        dynasm!(self.a ; .arch x64
            ; movzx Rd(t), BYTE [r15 + top]
            ; movzx Rd(u), BYTE [r15 + tags]
            ; and Rd(t), BYTE 7
            ; imul Rd(u), Rd(u), 0x101
            ; shrx Rd(u), Rd(u), Rd(t)
            ; shl Rd(t), BYTE 4
            ; mov [rsp + TOP], Rd(t)
            ; mov [rsp + FULL], Rd(u));
        if full | empty != 0 {
            dynasm!(self.a ; .arch x64
                ; and Rd(u), (full | empty) as i32
                ; cmp Rd(u), full as i32
                ; jne =>to);
        }
        dynasm!(self.a ; .arch x64
            ; movzx Rd(t), WORD [r15 + control]
            ; cmp Rd(t), INITIAL
            ; jne =>from
            ; =>back);
        self.w.cold.push(Cold::X87(Side::Begin { from, back, to }));
        self.w.branched[label.0 as usize] = true;
        self.run = Some(Run::start(full, empty));
    }
    /// A run ends here: the guest's unit is in its state, the host's as it is else.
    pub(in crate::x64) fn end_run(&mut self) {
        let Some((run, slots)) = self.run.zip(self.x87_slots()) else {
            return;
        };
        self.clobber();
        let locked = self.locked;
        let (t, u) = (self.temp(), self.temp());
        if run.executed {
            self.x87_frame(FNSTSW, STATUS);
        }
        for &p in run.order.iter().take(run.depth).rev() {
            if run.dirty >> p & 1 != 0 {
                self.x87_place(t, p);
                self.x87_state(FSTP_80, t, slots.regs);
            } else {
                self.x87_plain(0xdd, 0xd8);
            }
        }
        self.x87_write_back(&run, slots, (t, u), STATUS);
        if run.executed {
            let clean = self.a.new_dynamic_label();
            dynasm!(self.a ; .arch x64 ; test BYTE [rsp + STATUS], EXCEPTIONS as i8 ; jz =>clean);
            // FNCLEX.
            self.x87_plain(0xdb, 0xe2);
            dynasm!(self.a ; .arch x64 ; =>clean);
        }
        let (from, back) = (self.a.new_dynamic_label(), self.a.new_dynamic_label());
        let control = i32::from(slots.control.off);
        dynasm!(self.a ; .arch x64
            ; movzx Rd(t), WORD [r15 + control]
            ; cmp Rd(t), INITIAL
            ; jne =>from
            ; =>back);
        self.w.cold.push(Cold::X87(Side::End { from, back }));
        self.run = None;
        self.locked = locked;
    }
    /// `t` becomes the distance of a position's register from R0.
    fn x87_place(&mut self, t: u8, p: u8) {
        dynasm!(self.a ; .arch x64 ; mov Rd(t), [rsp + TOP]);
        if p != 0 {
            dynasm!(self.a ; .arch x64 ; add Rd(t), BYTE (p * 16) as i8 ; and Rd(t), BYTE 0x70);
        }
    }
    /// Status word, TOP, tags, and what is said of the last instruction, with two registers to work in.
    fn x87_write_back(&mut self, run: &Run, slots: &X87Slots, (t, u): (u8, u8), status: i32) {
        let [top, tags] = [slots.top, slots.full].map(|slot| i32::from(slot.off));
        self.x87_write_status(run, slots, (t, u), status);
        if run.moved {
            dynasm!(self.a ; .arch x64
                ; mov Rd(t), [rsp + TOP]
                ; shr Rd(t), BYTE 4
                ; add Rd(t), BYTE run.top as i8
                ; and Rd(t), BYTE 7
                ; mov [r15 + top], Rb(t));
        }
        if run.filled | run.emptied != 0 {
            dynasm!(self.a ; .arch x64
                ; movzx Rd(u), BYTE [rsp + FULL]
                ; mov Rd(t), [rsp + TOP]
                ; and Rd(u), !i32::from(run.emptied)
                ; or Rd(u), run.filled.into()
                ; shr Rd(t), BYTE 4
                ; imul Rd(u), Rd(u), 0x101
                ; shlx Rd(u), Rd(u), Rd(t)
                ; shr Rd(u), BYTE 8
                ; mov [r15 + tags], Rb(u));
        }
        if let Some((at, opcode)) = run.last {
            let [word, instruction] = [slots.opcode, slots.instruction].map(|slot| i32::from(slot.off));
            dynasm!(self.a ; .arch x64 ; mov Rq(t), [r15 + PAGE_BASE]);
            if at != 0 {
                dynasm!(self.a ; .arch x64 ; add Rq(t), at.into());
            }
            dynasm!(self.a ; .arch x64 ; mov [r15 + instruction], Rq(t) ; mov WORD [r15 + word], opcode as i16);
        }
    }
    /// Exceptions and condition codes.
    fn x87_write_status(&mut self, run: &Run, slots: &X87Slots, (t, u): (u8, u8), status: i32) {
        let guest = i32::from(slots.status.off);
        let (taken, changed) = (run.taken(), run.changed());
        if !run.executed && changed == 0 {
            return;
        }
        dynasm!(self.a ; .arch x64 ; movzx Rd(u), WORD [r15 + guest]);
        if changed != 0 {
            dynasm!(self.a ; .arch x64 ; and Rd(u), !i32::from(changed));
        }
        if run.executed {
            let from = if run.output.is_some() { BEFORE } else { status };
            dynasm!(self.a ; .arch x64
                ; movzx Rd(t), WORD [rsp + from]
                ; and Rd(t), (taken | EXCEPTIONS).into()
                ; or Rd(u), Rd(t));
        }
        dynasm!(self.a ; .arch x64 ; mov [r15 + guest], Rw(u));
    }

    /// Out of line: the host's unit is put aside, and all that a run has is stored. Registers stay.
    pub(in crate::x64) fn x87_put_aside(&mut self, run: &Run) {
        const RAX: u8 = 0;
        const RCX: u8 = 1;
        let Some(slots) = self.x87_slots() else { return };
        let regs = i32::from(slots.regs.off);
        dynasm!(self.a ; .arch x64 ; mov [rsp + SAVED], rax ; mov [rsp + SAVED + 8], rcx);
        self.x87_frame(FNSAVE, UNIT);
        for (k, &p) in run.order.iter().take(run.depth).rev().enumerate() {
            if run.dirty >> p & 1 != 0 {
                let from = UNIT_REGS + 10 * k as i32;
                self.x87_place(RCX, p);
                dynasm!(self.a ; .arch x64
                    ; mov rax, [rsp + from]
                    ; mov [r15 + rcx + regs], rax
                    ; movzx eax, WORD [rsp + from + 8]
                    ; mov [r15 + rcx + regs + 8], rax);
            }
        }
        self.x87_write_back(run, slots, (RAX, RCX), UNIT_STATUS);
        dynasm!(self.a ; .arch x64 ; mov rax, [rsp + SAVED] ; mov rcx, [rsp + SAVED + 8]);
    }
    /// And the unit is there again.
    pub(in crate::x64) fn x87_take_back(&mut self) {
        self.x87_frame(FRSTOR, UNIT);
    }
    pub(in crate::x64) fn x87_side(&mut self, side: Side) {
        let Some(slots) = self.x87_slots() else { return };
        match side {
            Side::Leave { from, to, run } => {
                dynasm!(self.a ; .arch x64 ; =>from);
                self.x87_put_aside(&run);
                dynasm!(self.a ; .arch x64 ; jmp =>to);
            }
            Side::Begin { from, back, to } => {
                let control = i32::from(slots.control.off);
                dynasm!(self.a ; .arch x64
                    ; =>from
                    ; mov [rsp + SAVED], rax
                    ; movzx eax, WORD [r15 + control]
                    ; not eax
                    ; test al, EXCEPTIONS as i8
                    ; mov rax, [rsp + SAVED]
                    ; jnz =>to);
                self.x87_load_control(slots.control);
                dynasm!(self.a ; .arch x64 ; jmp =>back);
            }
            Side::End { from, back } => {
                dynasm!(self.a ; .arch x64 ; =>from ; mov WORD [rsp + STATUS], INITIAL as i16);
                self.x87_frame(FLDCW, STATUS);
                dynasm!(self.a ; .arch x64 ; jmp =>back);
            }
        }
    }
    /// A slot is read, or written: a run ends if it has something of it.
    pub(in crate::x64) fn x87_sees(&mut self, slot: Slot, write: bool) {
        let Some((_, slots)) = self.run.zip(self.x87_slots()) else {
            return;
        };
        if write && slot == slots.control {
            return self.clobber();
        }
        let touches = |other: Slot| usize::from(slot.off) < other.end() && usize::from(other.off) < slot.end();
        if slots
            .all()
            .any(|other| touches(other) && (write || other != slots.control))
        {
            self.end_run();
        }
    }
    /// A slot was written: the host's control word follows the guest's, and masks all exceptions whatever that says.
    pub(in crate::x64) fn x87_wrote(&mut self, slot: Slot) {
        if self.run.is_none() || self.x87_slots().is_none_or(|slots| slot != slots.control) {
            return;
        }
        let (t, control) = (self.temp(), i32::from(slot.off));
        dynasm!(self.a ; .arch x64
            ; movzx Rd(t), WORD [r15 + control]
            ; or Rd(t), EXCEPTIONS.into()
            ; mov [rsp + STATUS], Rd(t));
        self.x87_frame(FLDCW, STATUS);
        if let Some(run) = &mut self.run {
            run.masked = false;
        }
    }
}
