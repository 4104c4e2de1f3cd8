//! Each instruction of a run: what it needs is brought to the host's stack, and it is the host's own.

use super::super::super::{Emit, What};
use super::super::direct::{C1, sets_of};
use super::{BEFORE, Condition, FLD_80, FNSTSW, FSTP_80, OPERAND, STATUS};
use dynasmrt::{DynasmApi, dynasm};
use emu_ir::{Inst, Op, Ty, Val, X87Form, X87Insn};

/// What compares as an instruction of registers does, and does not pop.
fn without_pop(opcode: u8, row: u8) -> (u8, u8) {
    match (opcode, row) {
        // FCOMP, FCOMPP; FUCOMP, FUCOMPP; FUCOMIP and FCOMIP.
        (0xd8, 0xd8) | (0xde, 0xd8) => (0xd8, 0xd0),
        (0xdd | 0xda, 0xe8) => (0xdd, 0xe0),
        (0xdf, row) => (0xdb, row),
        other => other,
    }
}

impl Emit<'_> {
    /// Whether a run is at hand that has all that an instruction needs; its form, and how many it pops.
    fn x87_admits(&self, insn: X87Insn) -> Option<(X87Form, u8)> {
        let run = self.run?;
        let (form, pops) = insn.stack()?;
        let (full, empty) = form.needs();
        let there = run.positions(full) & !run.full | run.positions(empty) & !run.empty == 0;
        let output = run.output.is_none_or(|made| made == insn);
        (there && output && run.masked).then_some((form, pops))
    }
    /// An operation on the unit.
    pub(in crate::x64) fn x87(&mut self, v: Val, inst: Inst) {
        let (insn, modrm, at, a) = match inst.op {
            Op::X87 { insn, modrm, at } | Op::X87Compare { insn, modrm, at } => (insn, modrm, at, None),
            Op::X87Operand { insn, modrm, at, a } => (insn, modrm, at, Some(a)),
            Op::X87Output { insn } => return self.x87_output(v, inst, insn),
            _ => return,
        };
        let compares = matches!(inst.op, Op::X87Compare { .. });
        let Some((form, pops)) = self.x87_admits(insn).filter(|_| compares == insn.compares_to_flags()) else {
            return self.x87_slowly(v, inst, a);
        };
        self.clobber();
        if let Some(a) = a.filter(|_| insn.is_memory()) {
            self.x87_operand_in_frame(a);
        }
        let sets = sets_of(insn);
        let keep = sets & C1 == 0;
        self.x87_execute(insn, form, pops, keep, a);
        let Some(run) = &mut self.run else { return };
        run.output = None;
        run.last = Some((at, u16::from(insn.opcode() & 7) << 8 | u16::from(modrm)));
        if compares && self.live(v) {
            self.has_status_of(v);
        }
    }
    /// As a call.
    fn x87_slowly(&mut self, v: Val, inst: Inst, a: Option<Val>) {
        let ty = inst.result().unwrap_or(inst.ty);
        self.call(v, ty, What::X87(inst), a.as_slice(), true);
    }
    fn x87_operand_in_frame(&mut self, a: Val) {
        let ty = self.b.ty(a);
        if ty == Ty::V128 {
            let x = self.xreg(a);
            dynasm!(self.a ; .arch x64 ; vmovdqu [rsp + OPERAND], Rx(x));
            return;
        }
        let r = self.reg(a);
        dynasm!(self.a ; .arch x64 ; mov [rsp + OPERAND], Rq(r));
        self.unlock(r);
    }
    /// Before an instruction that is not the guest's, where the next of the guest's leaves C1: it is stored.
    fn x87_keep(&mut self, keep: bool) {
        let Some((run, slots)) = self.run.zip(self.x87_slots()) else {
            return;
        };
        if !keep || run.c1 != Condition::Host {
            return;
        }
        let (t, u) = (self.temp(), self.temp());
        self.x87_frame(FNSTSW, STATUS);
        self.x87_write_status(&run, slots, (t, u), STATUS);
        self.unlock(t);
        self.unlock(u);
        if let Some(run) = &mut self.run {
            (run.sets, run.c1) = (0, Condition::Stored);
        }
    }
    /// See that a position is on the host's stack; where: ST(k).
    fn x87_held(&mut self, p: u8, keep: bool) -> u8 {
        let (Some(run), Some(slots)) = (self.run, self.x87_slots()) else {
            return 0;
        };
        if let Some(k) = run.index(p) {
            return k;
        }
        self.x87_keep(keep);
        let t = self.temp();
        self.x87_place(t, p);
        self.x87_state(FLD_80, t, slots.regs);
        self.unlock(t);
        if let Some(run) = &mut self.run {
            run.hold(p);
        }
        0
    }
    /// See that it is on top of it.
    fn x87_on_top(&mut self, p: u8, keep: bool) {
        let k = self.x87_held(p, keep);
        self.x87_exchange(k, keep);
    }
    /// FXCH of the host's own.
    fn x87_exchange(&mut self, k: u8, keep: bool) {
        if k == 0 {
            return;
        }
        self.x87_keep(keep);
        self.x87_plain(0xd9, 0xc8 + k);
        if let Some(run) = &mut self.run {
            run.exchange(k);
        }
    }
    /// See that two positions are on the host's stack, the first on top; where the other is.
    fn x87_both(&mut self, p: u8, q: u8, keep: bool) -> u8 {
        self.x87_held(q, keep);
        self.x87_on_top(p, keep);
        self.run.and_then(|run| run.index(q)).unwrap_or(0)
    }
    /// The same with the other right below.
    fn x87_pair(&mut self, p: u8, q: u8, keep: bool) {
        let index = |e: &Self, p| e.run.and_then(|run| run.index(p));
        if (index(self, p), index(self, q)) == (Some(0), Some(1)) {
            return;
        }
        self.x87_held(p, keep);
        self.x87_on_top(q, keep);
        self.x87_exchange(1, keep);
        self.x87_on_top(p, keep);
    }

    /// The guest's instruction, which the run admits.
    fn x87_execute(&mut self, insn: X87Insn, form: X87Form, pops: u8, keep: bool, a: Option<Val>) {
        let Some(run) = self.run else { return };
        let (opcode, top) = (insn.opcode(), run.at(0));
        let row = insn.form().wrapping_sub(8) & 0x38 | 0xc0;
        let mut written = Some(top);
        match form {
            X87Form::Memory => {
                self.x87_on_top(top, keep);
                let plain = if pops == 0 { insn.form() } else { 2 };
                self.x87_frame((opcode, plain), OPERAND);
            }
            X87Form::Store => {
                self.x87_on_top(top, keep);
                self.x87_convert(insn, top);
                written = None;
            }
            X87Form::Load => {
                self.x87_vacate(run.at(7));
                self.x87_frame((opcode, insn.form()), OPERAND);
                written = None;
            }
            X87Form::Alone => {
                self.x87_on_top(top, keep);
                self.x87_plain(opcode, insn.form() - 8 + 0xc0);
            }
            X87Form::Extract => {
                self.x87_vacate(run.at(7));
                self.x87_on_top(top, keep);
                self.x87_plain(opcode, insn.form() - 8 + 0xc0);
            }
            X87Form::Constant => {
                self.x87_vacate(run.at(7));
                self.x87_plain(opcode, insn.form() - 8 + 0xc0);
                written = None;
            }
            X87Form::Top(i) => {
                let k = self.x87_both(top, run.at(i), keep);
                if let Some(a) = a.filter(|_| insn.is_conditional()) {
                    self.x87_flags(a);
                }
                let (opcode, row) = without_pop(opcode, row);
                self.x87_plain(opcode, row + k);
            }
            X87Form::Other(i) => {
                let k = self.x87_both(top, run.at(i), keep);
                self.x87_plain(0xdc, row + k);
                written = Some(run.at(i));
            }
            X87Form::Pair => {
                if pops != 0 {
                    self.x87_store(top);
                }
                self.x87_pair(top, run.at(1), keep);
                self.x87_plain(opcode, insn.form() - 8 + 0xc0);
                written = Some(run.at(pops));
            }
            X87Form::Copy(i) => {
                self.x87_vacate(run.at(7));
                let k = self.x87_held(run.at(i), keep);
                self.x87_plain(0xd9, 0xc0 + k);
                written = None;
            }
            X87Form::Exchange(i) => return self.x87_swap(top, run.at(i)),
            X87Form::Move(i) => return self.x87_move(top, run.at(i), pops),
        }
        let sets = sets_of(insn);
        let Some(run) = &mut self.run else { return };
        run.executed = true;
        run.sets |= sets & !C1;
        if sets & C1 != 0 {
            run.c1 = Condition::Host;
        }
        if let Some(p) = written.filter(|_| !insn.only_compares()) {
            run.dirty |= 1 << p;
        }
        match form {
            X87Form::Load | X87Form::Constant | X87Form::Copy(_) | X87Form::Extract => run.pushed(),
            _ => {
                if pops != 0 && form == X87Form::Pair {
                    run.dropped();
                }
                for _ in 0..pops {
                    run.popped();
                }
            }
        }
    }
    /// What is pushed finds no other on the host's stack.
    fn x87_vacate(&mut self, p: u8) {
        if self.run.is_some_and(|run| run.index(p).is_some()) {
            self.x87_on_top(p, false);
            self.x87_plain(0xdd, 0xd8);
            if let Some(run) = &mut self.run {
                run.dropped();
            }
        }
    }
    /// Memory has a position's register, too.
    fn x87_store(&mut self, p: u8) {
        let (Some(run), Some(slots)) = (self.run, self.x87_slots()) else {
            return;
        };
        if run.dirty >> p & 1 == 0 {
            return;
        }
        self.x87_on_top(p, false);
        self.x87_make_room(p);
        self.x87_plain(0xd9, 0xc0);
        let t = self.temp();
        self.x87_place(t, p);
        self.x87_state(FSTP_80, t, slots.regs);
        self.unlock(t);
        if let Some(run) = &mut self.run {
            run.dirty &= !(1 << p);
        }
    }
    /// The top, which is on top of the host's stack, as an instruction stores it: in the frame.
    fn x87_convert(&mut self, insn: X87Insn, top: u8) {
        if matches!(insn.form(), 2 | 3) {
            return self.x87_frame((insn.opcode(), 2), OPERAND);
        }
        self.x87_make_room(top);
        self.x87_plain(0xd9, 0xc0);
        self.x87_frame((insn.opcode(), insn.form()), OPERAND);
    }
    /// The host's flags become a word's, as far as FCMOVcc looks at them.
    fn x87_flags(&mut self, a: Val) {
        let r = self.reg(a);
        if r != 0 {
            self.claim(0);
            self.mov(Ty::I32, 0, r);
        }
        dynasm!(self.a ; .arch x64 ; sahf);
    }
    /// FXCH: what is where on the host's stack has other names.
    fn x87_swap(&mut self, p: u8, q: u8) {
        self.x87_held(p, false);
        self.x87_held(q, false);
        let Some(run) = &mut self.run else { return };
        if p != q {
            for held in run.order.iter_mut().take(run.depth) {
                *held = if *held == p {
                    q
                } else if *held == q {
                    p
                } else {
                    *held
                };
            }
            run.dirty |= 1 << p | 1 << q;
        }
        run.c1 = Condition::Zero;
    }
    /// FST and FSTP of a register: `q` becomes what `p`, the top, is.
    fn x87_move(&mut self, p: u8, q: u8, pops: u8) {
        if p != q {
            self.x87_on_top(p, false);
            let to = self.run.and_then(|run| run.index(q));
            if to.is_none() {
                self.x87_plain(0xd9, 0xc0);
            }
            let Some(run) = &mut self.run else { return };
            if to.is_none() {
                run.hold(q);
            }
            run.becomes_full(q);
            run.dirty |= 1 << q;
            if let Some(to) = to {
                self.x87_plain(0xdd, 0xd0 + to);
            }
        }
        let Some(run) = &mut self.run else { return };
        if pops != 0 {
            run.popped();
        }
        run.c1 = Condition::Zero;
    }
    /// What an instruction would store: made without popping, and with the status word of before put aside.
    fn x87_output(&mut self, v: Val, inst: Inst, insn: X87Insn) {
        let admitted = self.x87_admits(insn).filter(|(form, _)| *form == X87Form::Store);
        let Some(run) = self.run.filter(|run| admitted.is_some() && run.output.is_none()) else {
            return self.x87_slowly(v, inst, None);
        };
        self.clobber();
        if run.executed {
            self.x87_frame(FNSTSW, BEFORE);
        } else {
            dynasm!(self.a ; .arch x64 ; mov WORD [rsp + BEFORE], 0);
        }
        let top = run.at(0);
        self.x87_on_top(top, false);
        if inst.ty == Ty::V128 {
            dynasm!(self.a ; .arch x64 ; mov QWORD [rsp + OPERAND + 8], 0);
        }
        self.x87_convert(insn, top);
        if let Some(run) = &mut self.run {
            (run.executed, run.output) = (true, Some(insn));
        }
        if !self.live(v) {
            return;
        }
        match inst.ty {
            Ty::I8 => {
                let d = self.dst(v, None);
                dynasm!(self.a ; .arch x64 ; movzx Rd(d), BYTE [rsp + OPERAND]);
            }
            Ty::I16 => {
                let d = self.dst(v, None);
                dynasm!(self.a ; .arch x64 ; movzx Rd(d), WORD [rsp + OPERAND]);
            }
            Ty::I64 => {
                let d = self.dst(v, None);
                dynasm!(self.a ; .arch x64 ; mov Rq(d), [rsp + OPERAND]);
            }
            Ty::V128 => {
                let x = self.xdst(v);
                dynasm!(self.a ; .arch x64 ; vmovdqu Rx(x), [rsp + OPERAND]);
            }
            _ => {
                let d = self.dst(v, None);
                dynasm!(self.a ; .arch x64 ; mov Rd(d), [rsp + OPERAND]);
            }
        }
    }
    /// See that the host's stack has room for one more than the guest's: another than the top goes home.
    fn x87_make_room(&mut self, top: u8) {
        let (Some(run), Some(slots)) = (self.run, self.x87_slots()) else {
            return;
        };
        if run.depth < run.order.len() {
            return;
        }
        // The top is on top.
        let p = run.order[0];
        self.x87_exchange(7, false);
        let t = self.temp();
        self.x87_place(t, p);
        self.x87_state(FSTP_80, t, slots.regs);
        self.unlock(t);
        if let Some(run) = &mut self.run {
            run.dropped();
        }
        self.x87_on_top(top, false);
    }
}
