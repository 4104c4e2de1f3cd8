//! The engine: one vCPU running a guest, by interpreter or by translated code, until somebody outside is needed.
//!
//! [`Vcpu::run`] looks at what other threads asked for ([`Kick`]), lets the guest take pending interrupts, finds the block
//! at the pc (translating it if need be) and runs it; translated blocks go on to one another without coming back.
//! [`mmu`] has memory as the guest sees it, [`blocks`] the blocks, [`pages`] what guest pages have of them, [`call`] the
//! ways from translated code into Rust, [`trace`] who is told of all that, [`debug`] what a debugger asks for.
#![expect(
    clippy::indexing_slicing,
    reason = "blocks and sites have numbers that were given out since all were last forgotten; address spaces are 0 and 1"
)]

mod blocks;
mod call;
pub mod debug;
mod mmu;
mod pages;
#[cfg(test)]
mod tests;
pub mod trace;
mod walk;
mod written;

use crate::interp::{self, Next, Prepared, Stopped, peek, poke};
use crate::opt::{self, CallEffect};
use crate::x64::{
    self,
    frame::{Frame, Own},
    thunks::Reason,
};
use blocks::{Blocks, Found};
use debug::{Breakpoints, Hit};
use emu_ir::{Access, BlockKey, Builder, Bus, FP_DENORMAL, Fault, Guest, Leave, Stop, Ty};
use mmu::Mmu;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use trace::{Cause, Tracing};
use written::Written;

/// How guest code is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// By interpreting IR: the specification.
    Interp,
    /// By translating IR to host code: the product.
    Jit,
}

/// Why a vCPU came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The guest waits for an interrupt and none is pending: sleep until [`Vcpu::wakes`].
    Wait,
    /// The guest gives way to other vCPUs.
    Yield,
    /// [`Kick::request_exit`] was called.
    Requested,
    /// The guest stopped itself.
    Stopped(Stop),
    /// A breakpoint is at the pc; its instruction has not run.
    Breakpoint,
    /// The instruction at the pc, which has not run, accesses watched bytes.
    Watchpoint(Hit),
    /// [`Vcpu::step`] has run one instruction.
    Stepped,
}

/// [`Kick`]'s bit in the attention word: leave [`Vcpu::run`]. Bit 0 means only: look.
const EXIT: u32 = 1 << 1;

/// Bytes of memory that a vCPU's translated code takes at most, with all that is known about it, unless told otherwise.
pub const CODE_CACHE: usize = 200 << 20;
/// The least that [`Vcpu::with_code_cache`] can do with, in bytes.
pub const LEAST_CODE_CACHE: usize = 8 << 20;
/// Guest instructions in a block at most: the limit that [`Guest::translate`] is given.
pub const PASS_LIMIT: u32 = 64;

/// What other threads tell a vCPU.
struct Mailbox<S> {
    frame: Arc<Frame<S>>,
    written: Written,
}

/// A vCPU's mailbox, whatever its state is.
trait Kickable: Send + Sync {
    fn set_line(&self, bits: u32, level: bool);
    fn request_exit(&self);
    fn invalidate(&self, phys: u64, len: u64);
    fn remapped(&self);
}

impl<S: Send> Kickable for Mailbox<S> {
    fn set_line(&self, bits: u32, level: bool) {
        let a = self.frame.attention();
        if level {
            a.lines.fetch_or(bits, AcqRel);
            a.look();
        } else {
            a.lines.fetch_and(!bits, AcqRel);
        }
    }
    fn request_exit(&self) {
        self.frame.attention().now.fetch_or(EXIT | 1, Release);
    }
    fn invalidate(&self, phys: u64, len: u64) {
        self.written.add(phys, len);
        self.frame.attention().look();
    }
    fn remapped(&self) {
        self.frame.attention().look();
    }
}

/// How other threads reach a running vCPU.
#[derive(Clone)]
pub struct Kick(Arc<dyn Kickable>);

impl Kick {
    /// Raise or lower pending interrupt lines (the guest's bits).
    pub fn set_line(&self, bits: u32, level: bool) {
        self.0.set_line(bits, level);
    }
    /// Make [`Vcpu::run`] return [`Exit::Requested`] soon, or at once if it does not run yet.
    pub fn request_exit(&self) {
        self.0.request_exit();
    }
    /// Physical memory was written behind the vCPU's back: forget what was translated from it.
    pub fn invalidate(&self, phys: u64, len: u64) {
        self.0.invalidate(phys, len);
    }
    /// [`Bus::remapped`] has an answer: the vCPU is to ask soon.
    pub fn remapped(&self) {
        self.0.remapped();
    }
}

/// How translated code goes on.
enum Way {
    /// To host code at this address.
    To(u64),
    /// To the block at the pc, which is to be found.
    Unknown,
    /// Not before the engine has looked around.
    Back,
}

/// One vCPU.
pub struct Vcpu<G: Guest> {
    guest: G,
    mailbox: Arc<Mailbox<G::State>>,
    own: Own<G::State>,
    accel: Accel,
    mmu: Mmu,
    builder: Builder,
    passes: opt::Scratch,
    scratch: interp::Scratch,
    emitter: x64::Scratch,
    tracing: Tracing<G>,
    breakpoints: Breakpoints,
}

impl<G: Guest> Vcpu<G> {
    /// A vCPU in the given state; `alone` if no other shares its memory.
    ///
    /// # Errors
    /// No memory for the code cache; a host processor without the instructions that translated code needs
    /// ([`std::io::ErrorKind::Unsupported`]).
    pub fn new(
        guest: G,
        state: G::State,
        bus: Box<dyn Bus + Send>,
        accel: Accel,
        alone: bool,
    ) -> std::io::Result<Vcpu<G>> {
        Vcpu::with_code_cache(guest, state, bus, accel, alone, CODE_CACHE)
    }
    /// The same, with so many bytes for translated code and all that is known about it; when that is used up, everything
    /// is translated anew. Less than [`LEAST_CODE_CACHE`] is taken as that.
    ///
    /// # Errors
    /// As [`Vcpu::new`].
    pub fn with_code_cache(
        guest: G,
        state: G::State,
        bus: Box<dyn Bus + Send>,
        accel: Accel,
        alone: bool,
        code_cache: usize,
    ) -> std::io::Result<Vcpu<G>> {
        const {
            assert!(
                G::LAYOUT.fits(size_of::<G::State>()),
                "a slot of the layout lies outside of the state"
            )
        };
        if accel == Accel::Jit && !x64::supported() {
            let what =
                "the JIT needs a processor with AVX2, BMI2, FMA, F16C and CMPXCHG16B; the interpreter runs on any";
            return Err(std::io::Error::new(std::io::ErrorKind::Unsupported, what));
        }
        let own = Own::new(state);
        let mailbox = Arc::new(Mailbox {
            frame: own.frame().clone(),
            written: Written::default(),
        });
        let blocks = Blocks::new(G::LAYOUT, code_cache.max(LEAST_CODE_CACHE), accel == Accel::Jit, alone)?;
        let mmu = Mmu::new(bus, blocks);
        let (builder, scratch) = (Builder::new(), interp::Scratch::default());
        let (passes, emitter) = (opt::Scratch::default(), x64::Scratch::default());
        let v = Vcpu {
            guest,
            mailbox,
            own,
            accel,
            mmu,
            builder,
            passes,
            scratch,
            emitter,
            tracing: Tracing::default(),
            breakpoints: Breakpoints::default(),
        };
        let mut v = v;
        call::connect(&mut v);
        Ok(v)
    }
    /// How other threads reach it.
    pub fn kick(&self) -> Kick {
        Kick(self.mailbox.clone())
    }
    /// The architectural state.
    pub fn state(&self) -> &G::State {
        self.own.state()
    }
    /// The architectural state, to be changed: everything cached of it is looked at anew.
    pub fn state_mut(&mut self) -> &mut G::State {
        self.mmu.dirty = true;
        self.mmu.traps_changed = true;
        self.own.state_mut()
    }
    /// The guest's own part.
    pub fn guest(&self) -> &G {
        &self.guest
    }
    /// The guest's own part, to be changed.
    pub fn guest_mut(&mut self) -> &mut G {
        &mut self.guest
    }
    /// Whether a pending line ends a wait for interrupt, or an exit was requested.
    pub fn wakes(&self) -> bool {
        let a = self.own.attention();
        a.now.load(Acquire) & EXIT != 0 || self.guest.wakes(self.state(), a.lines.load(Acquire))
    }
    /// Forget every translation of addresses and code, as after loading other memory.
    pub fn reset_caches(&mut self) {
        self.mmu.forget_all();
    }

    /// Run guest code until something is needed from outside.
    pub fn run(&mut self) -> Exit {
        self.settle_breakpoints();
        loop {
            if let Some(exit) = self.attend() {
                return exit;
            }
            if self.mmu.traps_changed {
                self.settle_breakpoints();
            }
            if self.at_breakpoint() {
                return Exit::Breakpoint;
            }
            let left = if self.may_trap() {
                self.trap_or_step()
            } else if self.tracing.steps() {
                self.traced()
            } else {
                self.untraced()
            };
            self.tell_mmu();
            if let Some(stop) = self.mmu.stop.take() {
                return Exit::Stopped(stop);
            }
            if let Some(hit) = self.mmu.watching.take() {
                return Exit::Watchpoint(hit);
            }
            match left {
                Leave::Sync => {}
                Leave::Wait if self.wakes() => {}
                Leave::Wait => return Exit::Wait,
                Leave::Yield => return Exit::Yield,
            }
        }
    }

    fn untraced(&mut self) -> Leave {
        match self.accel {
            Accel::Interp => self.interpret(),
            Accel::Jit => self.translated(),
        }
    }

    /// Requests of other threads, and interrupts.
    fn attend(&mut self) -> Option<Exit> {
        let a = self.own.attention();
        if a.now.load(Acquire) != 0 {
            let asked = a.now.swap(0, AcqRel);
            self.forget_written();
            if asked & EXIT != 0 {
                return Some(Exit::Requested);
            }
        }
        self.take_interrupt();
        None
    }
    /// Forget the code that others have written over, and where memory was that has moved.
    fn forget_written(&mut self) {
        self.mmu.follow_bus();
        for (phys, len) in self.mailbox.written.take() {
            self.mmu.blocks.invalidate_range(phys, len);
        }
    }
    /// Let the guest take a pending interrupt; whether it took one.
    fn take_interrupt(&mut self) -> bool {
        let lines = self.own.attention().lines.load(Acquire);
        if lines == 0 {
            return false;
        }
        let (guest, state) = (&mut self.guest, self.own.state_mut());
        let before = self.tracing.keep(state);
        let taken = guest.interrupt(state, lines);
        if taken {
            self.mmu.dirty = true;
            self.tell_exception(before, Cause::Interrupt(lines));
        }
        taken
    }
    /// A fault of the instruction at `offset` in the page at `page`: into the guest's exception.
    fn raise(&mut self, page: u64, stopped: Stopped) {
        let pc = page.wrapping_add(stopped.offset as u64) & G::LAYOUT.pc.ty.mask() as u64;
        let state = self.own.state_mut();
        poke(state, G::LAYOUT.pc.off, G::LAYOUT.pc.ty, pc as u128);
        self.guest.restore(state, pc, stopped.aux);
        if self.mmu.watching.is_hit() {
            // The debugger's business: the guest is back at the instruction's start.
            return;
        }
        let before = self.tracing.keep(state);
        self.guest.raise(state, stopped.fault);
        self.mmu.dirty = true;
        self.tell_exception(before, Cause::Fault(stopped.fault));
    }
    /// A fault of fetching the instruction at the pc.
    fn raise_fetch(&mut self, fault: Fault) {
        let state = self.own.state_mut();
        let before = self.tracing.keep(state);
        self.guest.raise(state, fault);
        self.mmu.dirty = true;
        self.tell_exception(before, Cause::Fault(fault));
    }

    /// The block at the pc, translated if need be. `None`: the fetch faulted, and the guest has been told.
    fn find(&mut self) -> Option<Found> {
        let pc = self.pc();
        let key = self.place(pc)?;
        let at = (&self.guest, self.own.state());
        match self.mmu.block::<G>(at, pc, key) {
            Ok(Some(found)) => Some(found),
            Ok(None) => self.translate(key, pc),
            Err(fault) => {
                self.raise_fetch(fault);
                None
            }
        }
    }
    /// Where the instruction at the pc lies. `None` as for [`Vcpu::find`].
    fn place(&mut self, pc: u64) -> Option<BlockKey> {
        let at = (&self.guest, self.own.state());
        match self.mmu.fetch_page::<G>(at, pc) {
            Ok(page) => Some(BlockKey {
                phys: page | pc & 0xfff,
                mode: self.mode(),
            }),
            Err(fault) => {
                self.raise_fetch(fault);
                None
            }
        }
    }
    fn translate(&mut self, key: BlockKey, pc: u64) -> Option<Found> {
        let mut limit = self.tracing.limit(PASS_LIMIT);
        loop {
            self.builder.block.clear();
            let start = (key.phys & 0xfff) as u32;
            let trap = self.breakpoints.check::<G>(&mut self.builder, start);
            let state = self.own.state();
            let (guest, builder) = (&self.guest, &mut self.builder);
            let mut refused = false;
            let fetch = self.mmu.fetch::<G>((guest, state), pc, key.phys, limit == 1);
            let done = fetch.and_then(|mut fetch| {
                let done = guest.translate(key, start, limit, &mut fetch, builder);
                refused = fetch.refused;
                done.map(|()| fetch.next_page)
            });
            let next_page = match done {
                Ok(next_page) => next_page,
                // The first instruction crosses into the next page: it is a block of its own.
                Err(_) if refused => {
                    limit = 1;
                    continue;
                }
                Err(fault) => {
                    self.raise_fetch(fault);
                    return None;
                }
            };
            if let Some(before) = self.breakpoints.limit(&self.builder.block, start) {
                limit = before;
                continue;
            }
            if let Some(trap) = trap {
                Breakpoints::trap::<G>(&mut self.builder, start, trap);
            }
            if cfg!(debug_assertions) {
                let checked = emu_ir::verify::verify(&self.builder.block);
                assert!(checked.is_ok(), "{checked:?} in {:#?}", self.builder.block.insts);
            }
            let block = &mut self.builder.block;
            let lives = opt::improve(block, G::LAYOUT, CallEffect::of::<G>, &mut self.passes);
            let blocks = &mut self.mmu.blocks;
            let emitted = match self.accel {
                Accel::Interp => None,
                Accel::Jit => blocks.install::<G>(key, (block, lives), next_page, &mut self.emitter, &mut self.mmu.tlb),
            };
            let found = match emitted {
                Some(found) => found,
                // Too many values alive at once: a shorter block, and a single such instruction is interpreted.
                None if self.accel == Accel::Jit && limit > 1 => {
                    limit /= 2;
                    continue;
                }
                None => {
                    opt::compact(block, &mut self.passes);
                    blocks.install_ir(key, block, next_page, &mut self.mmu.tlb)
                }
            };
            self.mmu.protect(key.phys);
            next_page.into_iter().for_each(|p| self.mmu.protect(p));
            return Some(found);
        }
    }

    /// Blocks one after the other, until something else is to be done.
    fn interpret(&mut self) -> Leave {
        loop {
            self.reselect();
            let Some(found) = self.find() else { return Leave::Sync };
            let Some(code) = self.mmu.blocks.ir(found) else {
                return Leave::Sync;
            };
            if let Some(leave) = self.run_ir(&code) {
                return leave;
            }
            if self.own.attention().both() != 0 || self.mmu.traps_changed {
                return Leave::Sync;
            }
        }
    }
    /// One block. `None`: it ended in a branch.
    fn run_ir(&mut self, code: &Prepared) -> Option<Leave> {
        let page = self.pc() & !0xfff;
        let state = self.own.state_mut();
        match interp::run(&mut self.guest, state, &mut self.mmu, code, page, &mut self.scratch) {
            Ok(Next::Goto { .. } | Next::GotoVal { .. }) => None,
            Ok(Next::Exit(why)) => Some(why),
            Err(stopped) => {
                self.raise(page, stopped);
                Some(Leave::Sync)
            }
        }
    }

    /// The translation tables fit the state again.
    fn reselect(&mut self) {
        if self.mmu.dirty {
            let state = self.own.state();
            self.mmu.select((&self.guest, state));
            let (data, code) = self.mmu.tables();
            self.own.set_tables(data, code);
        }
    }
    fn translated(&mut self) -> Leave {
        self.reselect();
        // Where code was known that turned out to be of another mode, or of another next page.
        let mut lost = None;
        let mut next = self.known();
        loop {
            let entry = match next {
                Way::To(entry) => entry,
                Way::Unknown => {
                    let Some(found) = self.find() else { return Leave::Sync };
                    if let Some(code) = self.mmu.blocks.ir(found) {
                        return self.run_ir(&code).unwrap_or(Leave::Sync);
                    }
                    let Some(entry) = self.mmu.blocks.entry(found) else {
                        return Leave::Sync;
                    };
                    entry
                }
                Way::Back => return Leave::Sync,
            };
            let page = self.pc() & !0xfff;
            let round = peek(self.state(), G::LAYOUT.fp_round.off, Ty::I32) as u32;
            self.own.prepare(page, round);
            let reason = call::enter(self, entry);
            self.collect_flags();
            next = match reason {
                Reason::Link => self.link(),
                Reason::Goto => {
                    self.set_goto();
                    // It may have polled for interrupts, which attention is not asked for while they are masked.
                    let wanted = self.mmu.dirty || self.own.attention().both() != 0;
                    if wanted { Way::Back } else { self.known() }
                }
                Reason::Lookup => {
                    let here = Some(self.pc());
                    let again = std::mem::replace(&mut lost, here) == here;
                    if self.is_wanted() {
                        // What is found now is what is known from then on.
                        self.reselect();
                        self.find();
                        Way::Back
                    } else if again {
                        Way::Unknown
                    } else {
                        self.known()
                    }
                }
                Reason::Sync | Reason::Fault => Way::Back,
                Reason::Wait => return Leave::Wait,
                Reason::Yield => return Leave::Yield,
            };
        }
    }
    /// The way on from the pc by the jump table of its page.
    fn known(&mut self) -> Way {
        let at = (&self.guest, self.own.state());
        match self.mmu.known::<G>(at, self.pc()) {
            Ok(Some(entry)) => Way::To(entry),
            Ok(None) => Way::Unknown,
            Err(fault) => {
                self.raise_fetch(fault);
                Way::Back
            }
        }
    }
    /// Something is to be looked at before more code runs.
    fn is_wanted(&self) -> bool {
        self.mmu.dirty || self.own.attention().now.load(Acquire) != 0
    }
    /// The pc of the `Goto` that left translated code.
    fn set_goto(&mut self) -> u32 {
        let (site, page) = self.own.left_at();
        let offset = self.mmu.blocks.goto_offset(site);
        let pc = page.wrapping_add_signed(offset as i64) & G::LAYOUT.pc.ty.mask() as u64;
        let state = self.own.state_mut();
        poke(state, G::LAYOUT.pc.off, G::LAYOUT.pc.ty, pc as u128);
        site
    }
    /// Link the `Goto` that left translated code to its target; the way on.
    fn link(&mut self) -> Way {
        let site = self.set_goto();
        if self.is_wanted() {
            return Way::Back;
        }
        let era = self.mmu.blocks.era();
        let Some(found) = self.find() else { return Way::Back };
        if self.mmu.blocks.era() == era {
            self.mmu.blocks.link(site, found);
        }
        self.mmu.blocks.entry(found).map_or(Way::Back, Way::To)
    }
    /// Cumulative flags from the host's control word into the state.
    fn collect_flags(&mut self) {
        let flags = self.own.take_flags() & !FP_DENORMAL;
        let state = self.own.state_mut();
        interp::raise_flags(bytemuck::bytes_of_mut(state), G::LAYOUT, flags);
    }
}

/// What a fetch that finds nothing there is.
fn nothing_there(addr: u64) -> Fault {
    Fault::Bus {
        addr,
        access: Access::Execute,
    }
}
