//! Control of the unit: SDM 1, 8.3.11.

use crate::calls;
use crate::fault::vector;
use crate::state::{self, X87, mode};
use crate::tx::Tx;
use crate::x87::Format;
use emu_ir::{Ty, Val, x87_status};

/// What FNCLEX clears of the status word: exceptions, SF, ES and B.
const CLEARED: u16 = x87_status::EXCEPTIONS | 1 << 6 | x87_status::SUMMARY;

/// FWAIT: CR0.MP and CR0.TS decide whether there is a unit.
pub fn fwait(t: &mut Tx) {
    const BOTH: u64 = mode::MP | mode::TS;
    if t.mode & BOTH == BOTH {
        return t.fault(vector::NM, 0);
    }
    t.wait_for_x87();
}
/// FNINIT.
pub fn fninit(t: &mut Tx) {
    if t.has_x87() {
        t.mask_by(calls::X87_INIT);
    }
}
/// FNCLEX.
pub fn fnclex(t: &mut Tx) {
    if !t.has_x87() {
        return;
    }
    if t.mode & mode::X87_TRAPS != 0 {
        return t.leave_by(calls::X87_CLEAR, &[]);
    }
    let status = t.b.get(state::X87_STATUS);
    let status = t.mask(status, (!CLEARED).into());
    t.b.set(state::X87_STATUS, status);
}
/// FENI of the 8087: nothing (SDM 3, 22.18.9 "Obsolete Instructions").
pub fn feni(t: &mut Tx) {
    t.has_x87();
}
/// FDISI of the 8087: nothing.
pub fn fdisi(t: &mut Tx) {
    t.has_x87();
}
/// FSETPM of the 80287: nothing.
pub fn fsetpm(t: &mut Tx) {
    t.has_x87();
}
/// FLDCW. Compiled code has it around conversions to integers: what masks all exceptions, as before, needs no call.
pub fn fldcw(t: &mut Tx) {
    if !t.has_x87() {
        return;
    }
    t.wait_for_x87();
    let word = t.read(0);
    if !t.inlines_x87() {
        t.begin_leaving();
        t.finish_x87(Some(word), true);
        return t.finish_leaving();
    }
    let all = u64::from(x87_status::EXCEPTIONS);
    let (masks, wanted, otherwise) = (t.mask(word, all), t.imm(Ty::I16, all), t.otherwise_by_call());
    let unmasks = t.b.ne(masks, wanted);
    t.b.br_if(unmasks, otherwise);
    let (word, fixed) = (
        t.mask(word, X87::CONTROL.into()),
        t.imm(Ty::I16, X87::CONTROL_FIXED.into()),
    );
    let word = t.b.or(word, fixed);
    t.b.set(state::X87_CONTROL, word);
}
/// FNSTCW.
pub fn fnstcw(t: &mut Tx) {
    if t.has_x87() {
        let control = t.b.get(state::X87_CONTROL);
        t.write(0, control);
    }
}
/// FNSTSW.
pub fn fnstsw(t: &mut Tx) {
    if t.has_x87() {
        let (status, top) = (t.b.get(state::X87_STATUS), t.b.get(state::X87_TOP));
        let top = t.b.zext(Ty::I16, top);
        let top = t.shl(top, x87_status::TOP_SHIFT);
        let status = t.b.or(status, top);
        if t.insn.memory.is_some() {
            return t.write(0, status);
        }
        t.set_low(0, status);
    }
}

/// How many words an environment has, and how many registers and bytes of each stand behind it in FNSAVE's.
const WORDS: u8 = 7;
const REGISTERS: u8 = 8;
const BYTES: u32 = 10;

impl Tx<'_> {
    fn format(&self) -> Format {
        Format {
            wide: self.insn.operand_size != 2,
            protected: self.mode & mode::PROTECTED != 0 && self.mode & mode::VIRTUAL == 0,
            selectors: self.has_selectors(),
        }
    }
    fn word(&self) -> Ty {
        if self.format().wide { Ty::I32 } else { Ty::I16 }
    }
    /// Where the environment is, and the registers, if it has them.
    fn environment(&mut self, registers: bool, write: bool) -> (Val, Val) {
        let words = u32::from(WORDS) * self.word().bytes();
        let all = words + if registers { u32::from(REGISTERS) * BYTES } else { 0 };
        let at = self.locate(all, write);
        if write {
            self.probe_area(at, all);
        }
        (at, self.plus(at, words.into()))
    }
    fn store_environment(&mut self, at: Val) {
        let (format, ty) = (self.format(), self.word());
        for n in 0..WORDS {
            let which = self.imm(Ty::I32, format.pack(n));
            let word = self.b.call(ty, calls::X87_ENVIRONMENT, &[which]);
            let to = self.plus(at, (u32::from(n) * ty.bytes()).into());
            self.store(to, word);
        }
    }
    fn words_of_environment(&mut self, at: Val) -> [Val; WORDS as usize] {
        let ty = self.word();
        std::array::from_fn(|n| {
            let from = self.plus(at, n as i64 * i64::from(ty.bytes()));
            self.load(ty, from)
        })
    }
    /// Call a helper that masks all exceptions: where one was not, code goes on in another block.
    fn mask_by(&mut self, helper: u16) {
        if self.mode & mode::X87_TRAPS != 0 {
            self.leave_by(helper, &[]);
        } else {
            self.b.call(Ty::I32, helper, &[]);
        }
    }
    fn load_environment(&mut self, words: &[Val]) {
        let format = self.format();
        for (n, &word) in words.iter().enumerate() {
            let which = self.imm(Ty::I32, format.pack(n as u8));
            self.b.call(Ty::I32, calls::X87_LOAD_ENVIRONMENT, &[which, word]);
        }
    }
}

/// FNSTENV: then exceptions are masked.
pub fn fnstenv(t: &mut Tx) {
    if t.has_x87() {
        let (at, _) = t.environment(false, true);
        t.store_environment(at);
        t.mask_by(calls::X87_MASK);
    }
}
/// FLDENV.
pub fn fldenv(t: &mut Tx) {
    if t.has_x87() {
        t.wait_for_x87();
        let (at, _) = t.environment(false, false);
        let words = t.words_of_environment(at);
        t.begin_leaving();
        t.load_environment(&words);
        t.finish_leaving();
    }
}
/// FNSAVE: then the unit is as FNINIT leaves it.
pub fn fnsave(t: &mut Tx) {
    if t.has_x87() {
        let (at, registers) = t.environment(true, true);
        t.store_environment(at);
        for i in 0..REGISTERS {
            let number = t.imm(Ty::I32, i.into());
            let st = t.b.call(Ty::V128, calls::X87_REGISTER, &[number]);
            let [low, high] = [0, 1].map(|lane| t.b.vget_lane(Ty::I64, st, lane));
            let to = t.plus(registers, (u32::from(i) * BYTES).into());
            t.store_80(to, low, high, 0);
        }
        t.mask_by(calls::X87_INIT);
    }
}
/// FRSTOR.
pub fn frstor(t: &mut Tx) {
    if t.has_x87() {
        t.wait_for_x87();
        let (at, registers) = t.environment(true, false);
        let words = t.words_of_environment(at);
        let sts: [Val; REGISTERS as usize] = std::array::from_fn(|i| {
            let from = t.plus(registers, i as i64 * i64::from(BYTES));
            t.load_80(from, 0)
        });
        t.begin_leaving();
        t.load_environment(&words);
        for (i, &st) in sts.iter().enumerate() {
            let number = t.imm(Ty::I32, i as u64);
            t.b.call(Ty::I32, calls::X87_SET_REGISTER, &[number, st]);
        }
        t.finish_leaving();
    }
}
