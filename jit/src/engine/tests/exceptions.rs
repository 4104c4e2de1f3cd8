//! What a guest does as it enters an exception: it stores to memory, where code may lie, and asks for a stop.

use crate::cases::MEMORY;
use crate::engine::{Accel, Exit, Vcpu};
use bytemuck::{Pod, Zeroable};
use emu_devices::bus::Ram;
use emu_ir::*;
use std::mem::offset_of;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct State {
    pc: u64,
    mode: u64,
    fp_flags: u32,
    fp_round: u32,
    /// What the last block was made of.
    seen: u64,
    /// How many exceptions there were.
    raised: u64,
}

const fn long(offset: usize) -> Slot {
    Slot::new(offset, Ty::I64)
}

static LAYOUT: Layout = Layout {
    pc: long(offset_of!(State, pc)),
    mode: long(offset_of!(State, mode)),
    fp_flags: Slot::new(offset_of!(State, fp_flags), Ty::I32),
    fp_round: Slot::new(offset_of!(State, fp_round), Ty::I32),
    rules: Rules::Arm,
    x87: None,
    insn_shift: 2,
    coherent: false,
    pins: &[],
    names: &[],
    helper: |_| "raise",
};

/// Each instruction notes its word and raises an exception, whose entry puts the next word in its place and goes there; the
/// third asks for a reset, as an interrupt does.
struct Raising;

const CODE: u64 = 0x40;
const FAULT: Fault = Fault::Guest {
    class: 0,
    addr: 0,
    info: 0,
};

impl Guest for Raising {
    type State = State;
    const LAYOUT: &'static Layout = &LAYOUT;
    const HELPERS: &'static [Helper<Self>] = &[Helper {
        name: "raise",
        f: HelperFn::Raise(|_| FAULT),
    }];

    fn translate(&self, _: BlockKey, at: u32, _: u32, fetch: &mut dyn Fetch, b: &mut Builder) -> Result<(), Fault> {
        let word = fetch.u32(at)?;
        b.insn(at as u16, 0);
        let seen = b.imm(Ty::I64, word.into());
        b.set(long(offset_of!(State, seen)), seen);
        b.call(Ty::I32, 0, &[]);
        b.exit(Leave::Resume);
        (b.block.guest_bytes, b.block.guest_insns) = (4, 1);
        Ok(())
    }
    fn walk(&self, _: &State, _: &mut dyn Bus, va: u64, _: Access, _: u8) -> Result<Page, Fault> {
        Ok(emu_ir::testing::page(va))
    }
    fn context(&self, _: &State, _: u8) -> Context {
        Context::default()
    }
    fn restore(&self, _: &mut State, _: u64, _: u32) {}
    fn raise(&mut self, s: &mut State, env: &mut dyn Env, fault: Fault) {
        assert_eq!((fault, s.pc), (FAULT, CODE));
        s.raised += 1;
        if s.raised == 3 {
            return env.stop(Stop::Reset);
        }
        env.bus().store(CODE, 4, s.seen + 1).expect("memory");
    }
    fn interrupt(&mut self, _: &mut State, env: &mut dyn Env, _: u32) -> bool {
        env.stop(Stop::Reset);
        true
    }
    fn wakes(&self, _: &State, _: u32) -> bool {
        true
    }
}

/// Memory that the guest's functions store to.
struct Stored(Arc<Ram>);

impl Bus for Stored {
    fn load(&mut self, _: u64, _: u8) -> Option<u64> {
        None
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        let bytes = value.to_le_bytes();
        self.0.copy_in(phys, &bytes[..size.into()])
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        (page == 0).then(|| RamPage::plain(self.0.mapping(), 0, page))
    }
}

fn vcpu(accel: Accel) -> Vcpu<Raising> {
    let ram = Arc::new(Ram::new(MEMORY).expect("memory"));
    let start = State {
        pc: CODE,
        ..State::zeroed()
    };
    Vcpu::new(Raising, start, Box::new(Stored(ram)), accel, true).expect("a vCPU")
}

/// The words that follow are seen: their code was made anew.
#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn what_an_exceptions_entry_stores_to_code_is_executed() {
    for accel in [Accel::Interp, Accel::Jit] {
        let mut v = vcpu(accel);

        assert_eq!(v.run(), Exit::Stopped(Stop::Reset), "{accel:?}");
        assert_eq!((v.state().seen, v.state().raised), (2, 3), "{accel:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn an_interrupt_that_cannot_be_entered_stops_before_the_next_block() {
    for accel in [Accel::Interp, Accel::Jit] {
        let mut v = vcpu(accel);
        v.kick().set_line(1, true);

        assert_eq!(v.run(), Exit::Stopped(Stop::Reset), "{accel:?}");
        assert_eq!(v.state().raised, 0, "{accel:?}");
    }
}
