//! The ways from translated code into Rust: memory accesses that missed the TLB, helpers, interpreted operations.
#![allow(unsafe_code)]

use super::{Vcpu, floating};
use crate::interp::{self, Memory, Stopped, extend, modify};
use crate::x64::frame::{Functions, Own};
use crate::x64::{self, Site, What, thunks::Reason};
use emu_ir::{Fault, Guest, HelperFn, Inst, Mem, Op, Ty};

/// Tell a vCPU's translated code where these functions are.
pub fn connect<G: Guest>(v: &mut Vcpu<G>) {
    let slow: extern "sysv64" fn(*mut u8, u64, u32) -> u32 = slow::<G>;
    let call: extern "sysv64" fn(*mut u8, u64, u32) -> u32 = call::<G>;
    let pure: extern "sysv64" fn(*const [u128; 4], *mut u8, u32) -> Halves = pure::<G>;
    let flags: extern "sysv64" fn(*const [u128; 4], *mut u8, u32) -> Halves = flags::<G>;
    let to = Functions {
        slow: slow as usize as u64,
        call: call as usize as u64,
        pure: pure as usize as u64,
        flags: flags as usize as u64,
    };
    let base = v.mmu.book().base();
    v.own.connect(to, base);
}

/// Run translated code from `entry` until it leaves.
pub fn enter<G: Guest>(v: &mut Vcpu<G>, entry: u64) -> Reason {
    let (thunk, state) = (v.mmu.book().enter(), v.own.pointer());
    v.mmu.inside = true;
    let v = std::ptr::from_mut(v);
    // SAFETY: `v` is borrowed mutably for as long as this runs, and used only by this pointer from here on: translated code
    // comes back with it in `slow` and `call`. Thunk and entry are of this vCPU's book, the state of its frame; its
    // tables point into memory that its `Mmu` keeps. While `inside`, the `Mmu` keeps the book, whose code and jump tables
    // stay where they are as long as anybody has it.
    unsafe {
        (*v).own.set_owner(v as u64);
        let reason = x64::enter(thunk, state, entry);
        (*v).mmu.inside = false;
        reason
    }
}

/// A memory access that missed the TLB. Non-zero: it faulted, and the guest has been told.
extern "sysv64" fn slow<G: Guest>(state: *mut u8, addr: u64, site: u32) -> u32 {
    // SAFETY: translated code passes the state pointer it was entered with, by a vCPU that waits in `enter`.
    let v = unsafe { &mut *(Own::<G::State>::owner(state) as usize as *mut Vcpu<G>) };
    v.guarded(|v| v.access(addr, site))
}

/// A result, as the host's convention has it in two registers.
#[repr(C)]
struct Halves {
    low: u64,
    high: u64,
}

impl From<u128> for Halves {
    fn from(v: u128) -> Halves {
        Halves {
            low: v as u64,
            high: (v >> 64) as u64,
        }
    }
}

/// A helper that is a function of its arguments. A panic ends the process: functions of this convention do not unwind.
#[expect(
    clippy::unreachable,
    clippy::indexing_slicing,
    reason = "the emitter calls this for such helpers"
)]
extern "sysv64" fn pure<G: Guest>(args: *const [u128; 4], _: *mut u8, helper: u32) -> Halves {
    let HelperFn::Pure(f) = &G::HELPERS[helper as usize].f else {
        unreachable!("a pure helper")
    };
    // SAFETY: translated code passes the words below the state, which are its vCPU's, waiting in `enter`.
    f(unsafe { &*args }).into()
}

/// The same for one that raises floating-point flags besides, or computes with floating point.
#[expect(
    clippy::unreachable,
    clippy::indexing_slicing,
    reason = "the emitter calls this for such helpers"
)]
extern "sysv64" fn flags<G: Guest>(args: *const [u128; 4], state: *mut u8, helper: u32) -> Halves {
    // SAFETY: as in `pure`.
    let args = unsafe { &*args };
    let (bits, raised) = match &G::HELPERS[helper as usize].f {
        HelperFn::Flags(f) => f(args),
        HelperFn::Float(f) => (f(args), 0),
        HelperFn::Pure(_) | HelperFn::State(_) | HelperFn::Raise(_) => unreachable!("a helper with flags"),
    };
    // SAFETY: as in `slow`.
    let v = unsafe { &mut *(Own::<G::State>::owner(state) as usize as *mut Vcpu<G>) };
    interp::raise_flags(bytemuck::bytes_of_mut(v.own.state_mut()), G::LAYOUT, raised);
    bits.into()
}

/// A helper that uses the state, or an operation to be interpreted. Non-zero: it faulted, and the guest has been told.
extern "sysv64" fn call<G: Guest>(state: *mut u8, _: u64, site: u32) -> u32 {
    // SAFETY: as in `slow`.
    let v = unsafe { &mut *(Own::<G::State>::owner(state) as usize as *mut Vcpu<G>) };
    v.guarded(|v| v.helper(site))
}

impl<G: Guest> Vcpu<G> {
    /// A panic must not unwind through translated code: report it and end the process as a crash.
    fn guarded(&mut self, f: impl FnOnce(&mut Self) -> u32) -> u32 {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(self)));
        let done = done.unwrap_or_else(|_| std::process::abort());
        self.tell_mmu();
        done
    }
    /// A fault at a site, given its offset and what it keeps for [`Guest::restore`].
    fn fault(&mut self, (offset, aux): (u16, u32), fault: Fault) -> u32 {
        let (_, page) = self.own.left_at();
        self.raise(page, Stopped { fault, offset, aux });
        1
    }
    #[expect(
        clippy::unreachable,
        reason = "the emitter makes the slow thunk's sites of memory operations"
    )]
    fn access(&mut self, addr: u64, site: u32) -> u32 {
        let Some(&Site {
            what: What::Mem(inst),
            offset,
            aux,
        }) = self.mmu.book().site(site)
        else {
            unreachable!("a memory site")
        };
        let args = self.own.args();
        let at = (&self.guest, self.own.state());
        let low = |v: u128, m: Mem| v & (u128::MAX >> (128 - 8 * m.bytes()));
        let done = match inst {
            Inst {
                op: Op::Load { mem, .. },
                ty,
            } => self.mmu.load(at, addr, mem).map(|raw| extend(ty, mem, raw)),
            Inst {
                op: Op::Store { mem, .. },
                ..
            } => self.mmu.store(at, addr, mem, low(args[0], mem)).map(|()| 0),
            Inst {
                op: Op::Cas { mem, .. },
                ..
            } => self.mmu.cas(at, addr, mem, low(args[0], mem), low(args[1], mem)),
            Inst {
                op: Op::Swap { mem, .. },
                ..
            } => self.mmu.update(at, addr, mem, &|_| low(args[0], mem)),
            Inst {
                op: Op::Rmw { how, mem, .. },
                ty,
            } => {
                let a = low(args[0], mem) as u64;
                let new = |held: u128| modify(how, ty, held as u64, a).into();
                self.mmu.update(at, addr, mem, &new)
            }
            other => unreachable!("{} is no memory access", other.op.name()),
        };
        match done {
            Ok(v) => {
                self.own.set_result(v);
                0
            }
            Err(fault) => self.fault((offset, aux), fault),
        }
    }
    #[expect(
        clippy::unreachable,
        reason = "the emitter makes the call thunk's sites of helpers and operations"
    )]
    fn helper(&mut self, number: u32) -> u32 {
        let mut args = self.own.args();
        let book = self.mmu.book();
        match book.site(number).map(|site| &site.what) {
            Some(What::Eval(block)) => {
                let state = self.own.state();
                let (bits, flags) = interp::eval(block, &args[..block.insts.len() - 1], state, G::LAYOUT);
                self.finish(bits, flags)
            }
            Some(&What::X87(inst)) => {
                let (_, page) = self.own.left_at();
                let state = bytemuck::bytes_of_mut(self.own.state_mut());
                let value = interp::x87::execute(state, G::LAYOUT, &mut self.mmu, &inst, args[0], page);
                self.finish(value, 0)
            }
            Some(&What::Helper(i, ty, given)) => {
                args[given as usize..].fill(0);
                match &G::HELPERS[i as usize].f {
                    HelperFn::State(f) => self.state_helper(number, *f, ty, &args),
                    HelperFn::Raise(f) => self.raise_helper(number, f(&args)),
                    HelperFn::Pure(_) | HelperFn::Float(_) | HelperFn::Flags(_) => {
                        unreachable!("a helper with a site")
                    }
                }
            }
            Some(What::Mem(_) | What::Goto { .. }) | None => unreachable!("a call site"),
        }
    }
    fn finish(&mut self, bits: u128, flags: u32) -> u32 {
        let state = self.own.state_mut();
        interp::raise_flags(bytemuck::bytes_of_mut(state), G::LAYOUT, flags);
        self.own.set_result(bits);
        0
    }
    fn state_helper(&mut self, number: u32, f: emu_ir::StateFn<G>, ty: Ty, args: &[u128; 4]) -> u32 {
        self.collect_flags();
        let state = self.own.state_mut();
        let done = f(&mut self.guest, state, &mut self.mmu, args);
        match done {
            Ok(bits) => self.go_on_after(bits & ty.mask()),
            Err(fault) => self.fault(self.place_of(number), fault),
        }
    }
    /// The exception of an instruction that is nothing else. Translated code goes on where the guest then is.
    fn raise_helper(&mut self, number: u32, fault: Fault) -> u32 {
        self.fault(self.place_of(number), fault);
        self.go_on_after(0)
    }
    /// The instruction at a site, and what it keeps for [`Guest::restore`].
    fn place_of(&self, number: u32) -> (u16, u32) {
        let site = self.mmu.book().site(number);
        site.map_or((0, 0), |site| (site.offset, site.aux))
    }
    /// Anything in the state may have changed, and the guest may have asked for something: translated code is told.
    fn go_on_after(&mut self, result: u128) -> u32 {
        self.reselect();
        self.look_soon();
        let control = floating::control(self.state(), G::LAYOUT);
        let (_, page) = self.own.left_at();
        self.own.prepare(page, control);
        self.finish(result, 0)
    }
}
