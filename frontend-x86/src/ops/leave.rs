//! How a block ends after an instruction that may have changed anything.

use crate::calls;
use crate::state::{self, mode};
use crate::tx::Tx;
use emu_ir::{Hint, Leave, Ty, Val};

impl Tx<'_> {
    /// Before what changes anything: what ends with an instruction has ended, the pc is the next one's.
    pub fn begin_leaving(&mut self) {
        self.leave_shadow();
        if self.mode & mode::RESUME != 0 {
            self.b.call(Ty::I32, calls::RESUMED, &[]);
        }
        let next = self.next_pc();
        self.b.set(state::PC, next);
    }
    /// After it: the block ends, and goes on at the state's pc in its mode.
    pub fn finish_leaving(&mut self) {
        self.finish_by(Leave::Resume);
    }
    fn finish_by(&mut self, why: Leave) {
        if self.mode & mode::STEP != 0 {
            self.b.call(Ty::I32, calls::STEPPED, &[]);
            self.b.exit(Leave::Sync);
        } else {
            self.b.exit(why);
        }
        self.ended = true;
    }
    /// Call a helper that may change anything, the pc too.
    pub fn leave_by(&mut self, helper: u16, args: &[Val]) {
        self.begin_leaving();
        self.b.call(Ty::I32, helper, args);
        self.finish_leaving();
    }
    /// The same, leaving translated code.
    pub fn leave_as(&mut self, why: Leave) {
        self.begin_leaving();
        self.finish_by(why);
    }
    /// Call a helper that waits.
    pub fn wait_by(&mut self, helper: u16) {
        self.begin_leaving();
        self.b.call(Ty::I32, helper, &[]);
        self.finish_by(Leave::Wait);
    }
    /// Call a helper that sees itself to what is done after each instruction.
    pub fn leave_stepped(&mut self, helper: u16, args: &[Val]) {
        self.begin_leaving();
        self.b.call(Ty::I32, helper, args);
        let why = if self.mode & mode::STEP != 0 {
            Leave::Sync
        } else {
            Leave::Resume
        };
        self.b.exit(why);
        self.ended = true;
    }
    /// Interrupts wait until the next instruction is done.
    pub fn begin_shadow(&mut self) {
        let mode = self.b.get(state::MODE);
        let shadow = self.imm(Ty::I64, mode::SHADOW);
        let mode = self.b.or(mode, shadow);
        self.b.set(state::MODE, mode);
    }
    /// The end of an instruction after which interrupts and single steps wait for another, unless they have waited for this one:
    /// of several that ask for it, the first is obeyed (SDM 2, MOV).
    pub fn finish_in_shadow(&mut self) {
        if self.mode & mode::SHADOW != 0 {
            return self.finish_leaving();
        }
        self.begin_shadow();
        self.b.exit(Leave::Resume);
        self.ended = true;
    }
    /// Go on at the next instruction, before which no interrupt is taken. A single step is (SDM 3, 6.8.1), after which they may
    /// come.
    pub fn goto_next_in_shadow(&mut self) {
        if self.mode & mode::STEP != 0 {
            return self.goto_next();
        }
        self.begin_leaving();
        if self.mode & mode::RESUME != 0 {
            self.begin_shadow();
            return self.finish_leaving();
        }
        let mode = self.mode | mode::SHADOW;
        let word = self.imm(Ty::I64, mode);
        self.b.set(state::MODE, word);
        if self.may_wrap(self.next().into()) {
            self.b.exit(Leave::Resume);
        } else {
            let next = self.next() as i32;
            self.b.goto(next, mode, Hint::Jump, false);
        }
        self.ended = true;
    }
}
