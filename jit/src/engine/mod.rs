//! The engine: one vCPU running a guest, by interpreter or by translated code, until somebody outside is needed.
//!
//! [`Vcpu::run`] looks at what other threads asked for ([`Kick`]), lets the guest take pending interrupts, finds the block
//! at the pc (translating it if need be) and runs it; translated blocks go on to one another without coming back.
//! [`mmu`] has memory as the guest sees it, [`book`] the translated code that vCPUs share, [`blocks`] the blocks in it,
//! [`pages`] what guest pages have of them, [`mailbox`] what vCPUs ask of one another, [`call`] the ways from translated
//! code into Rust, [`course`] what comes next if nobody interferes, [`trace`] who is told of all that, [`debug`] what a debugger asks for.
#![expect(
    clippy::indexing_slicing,
    reason = "blocks and pages have numbers that were given out by the book that they are of; address spaces are 0 and 1"
)]

mod blocks;
mod book;
mod call;
pub mod course;
pub mod debug;
mod floating;
mod list;
mod mailbox;
mod mmu;
mod pages;
mod recent;
#[cfg(test)]
mod tests;
pub mod trace;

use crate::interp::{self, Next, Prepared, Stopped, poke};
use crate::opt::{self, CallEffect};
use crate::x64::{self, Extensions, What, frame::Own, thunks::Reason};
use blocks::{Extent, Found, How, Ir, Refused, Source};
pub use book::Translations;
use book::{Kind, Mailbox, Shared};
use debug::{Breakpoints, Hit};
use emu_ir::{Access, BlockKey, Builder, Bus, Fault, Guest, Leave, Stop};
use mmu::Mmu;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use trace::{Cause, Tracing};

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

/// Bytes of memory that translated code takes at most, with all that is known about it, unless told otherwise.
pub const CODE_CACHE: usize = 200 << 20;
/// The least that [`Translations::new`] can do with, in bytes.
pub const LEAST_CODE_CACHE: usize = 8 << 20;
/// Guest instructions in a block at most: the limit that [`Guest::translate`] is given.
pub const PASS_LIMIT: u32 = 64;

/// How other threads reach a running vCPU.
#[derive(Clone)]
pub struct Kick {
    mailbox: Arc<Mailbox>,
    shared: Arc<Shared>,
}

impl Kick {
    /// Raise or lower pending interrupt lines (the guest's bits).
    pub fn set_line(&self, bits: u32, level: bool) {
        let a = self.mailbox.attention();
        if level {
            a.lines.fetch_or(bits, AcqRel);
            a.look();
        } else {
            a.lines.fetch_and(!bits, AcqRel);
        }
    }
    /// Make [`Vcpu::run`] return [`Exit::Requested`] soon, or at once if it does not run yet.
    pub fn request_exit(&self) {
        self.mailbox.attention().now.fetch_or(EXIT | 1, Release);
    }
    /// Physical memory was written by somebody who is no vCPU, or has gone: all vCPUs that share their translations with
    /// this one forget what they have from there.
    pub fn invalidate(&self, phys: u64, len: u64) {
        self.shared.written(phys, len);
    }
    /// [`Bus::remapped`] has an answer: the vCPU is to ask soon.
    pub fn remapped(&self) {
        self.mailbox.attention().look();
    }
}

impl<G: Guest> Translations<G> {
    /// None yet, in at most so many bytes of memory (with all that is known about them; less than [`LEAST_CODE_CACHE`] is
    /// taken as that): when they are used up, everything is translated anew. `alone`: they are for one vCPU, and no other
    /// shares its memory.
    ///
    /// # Errors
    /// No memory for the code cache; a host processor without the instructions that translated code needs
    /// ([`std::io::ErrorKind::Unsupported`]).
    pub fn new(accel: Accel, alone: bool, code_cache: usize) -> std::io::Result<Translations<G>> {
        if accel == Accel::Jit && !x64::supported() {
            let what =
                "the JIT needs a processor with AVX2, BMI2, FMA, F16C and CMPXCHG16B; the interpreter runs on any";
            return Err(std::io::Error::new(std::io::ErrorKind::Unsupported, what));
        }
        let (host, limit) = (accel == Accel::Jit, code_cache.max(LEAST_CODE_CACHE));
        Translations::making(host, alone, Extensions::here(), limit)
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

/// What came of translating a block.
enum Made {
    Block(Found),
    /// It cannot be fetched.
    Fault(Fault),
    /// There is no room for it.
    Full,
    /// It reaches into this physical page, whose stores are not looked at yet.
    Unguarded(u64),
    /// Something has changed meanwhile: try again.
    Again,
}

/// How often a block is translated that others change meanwhile.
const TRIES: usize = 32;

/// One vCPU.
pub struct Vcpu<G: Guest> {
    guest: G,
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
    /// A vCPU in the given state, with translations of its own; `alone` if no other shares its memory.
    ///
    /// # Errors
    /// As [`Translations::new`].
    pub fn new(
        guest: G,
        state: G::State,
        bus: Box<dyn Bus + Send>,
        accel: Accel,
        alone: bool,
    ) -> std::io::Result<Vcpu<G>> {
        let translations = Translations::new(accel, alone, CODE_CACHE)?;
        Ok(Vcpu::sharing(&translations, guest, state, bus))
    }
    /// A vCPU in the given state that shares these translations, and memory, with others.
    pub fn sharing(translations: &Translations<G>, guest: G, state: G::State, bus: Box<dyn Bus + Send>) -> Vcpu<G> {
        const {
            assert!(
                G::LAYOUT.fits(size_of::<G::State>()),
                "a slot of the layout lies outside of the state"
            )
        };
        let own = Own::new(state);
        let mailbox = Arc::new(Mailbox::new(own.frame()));
        let shared = translations.shared.clone();
        let accel = if shared.making().host {
            Accel::Jit
        } else {
            Accel::Interp
        };
        let mmu = Mmu::new(bus, shared, mailbox);
        let (builder, scratch) = (Builder::new(), interp::Scratch::default());
        let (passes, emitter) = (opt::Scratch::default(), x64::Scratch::default());
        Vcpu {
            guest,
            own,
            accel,
            mmu,
            builder,
            passes,
            scratch,
            emitter,
            tracing: Tracing::default(),
            breakpoints: Breakpoints::default(),
        }
    }
    /// How other threads reach it.
    pub fn kick(&self) -> Kick {
        Kick {
            mailbox: self.mmu.mailbox.clone(),
            shared: self.mmu.shared.clone(),
        }
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
    /// Forget every translation of addresses, as at a reset.
    pub fn reset_addresses(&mut self) {
        self.mmu.forget_addresses();
    }
    /// Forget every translation of addresses, and of code for all who share it, as after loading other memory.
    pub fn reset_caches(&mut self) {
        self.mmu.forget_addresses();
        self.mmu.shared.written(0, u64::MAX);
    }

    /// Run guest code until something is needed from outside.
    pub fn run(&mut self) -> Exit {
        self.wake();
        let exit = self.go_on();
        self.mmu.rest();
        exit
    }
    /// Have translated code, and know what others have asked for.
    fn wake(&mut self) {
        if self.mmu.wake() {
            call::connect(self);
        }
        self.settle_book();
    }
    /// The kind of book that it is to have: its own if its code is special to it.
    fn wanted_book(&self) -> Kind {
        if self.tracing.steps() {
            Kind::Own { chained: false }
        } else if self.breakpoints.are_known() {
            Kind::Own { chained: true }
        } else {
            Kind::Shared
        }
    }
    /// Have the kind of book that is wanted.
    fn settle_book(&mut self) {
        if self.mmu.book().kind() != self.wanted_book() {
            self.take_book();
        }
    }
    /// Have another book of the kind that is wanted; whether there is memory for one.
    fn take_book(&mut self) -> bool {
        let (shared, kind) = (self.mmu.shared.clone(), self.wanted_book());
        let book = match kind {
            Kind::Shared | Kind::Nothing => Ok(shared.current()),
            Kind::Own { .. } => shared.own(kind),
        };
        let done = book.is_ok();
        self.mmu.take_up(book.unwrap_or_else(|_| shared.nothing()));
        call::connect(self);
        done
    }
    fn go_on(&mut self) -> Exit {
        self.settle_breakpoints();
        loop {
            if let Some(exit) = self.attend() {
                return exit;
            }
            if self.take_interrupt() && self.mmu.stop.is_none() {
                // Another may be taken before the handler's first instruction, where the guest leaves them on.
                continue;
            }
            if let Some(stop) = self.mmu.stop.take() {
                // An interrupt could not be entered.
                return Exit::Stopped(stop);
            }
            if self.mmu.traps_changed {
                self.settle_breakpoints();
            }
            if self.guest.waits(self.state()) {
                if self.may_trap() && self.trap() || self.wakes() {
                    continue;
                }
                return Exit::Wait;
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
            let left = if self.mmu.again { self.again() } else { left };
            self.tell_mmu();
            if let Some(stop) = self.mmu.stop.take() {
                return Exit::Stopped(stop);
            }
            if let Some(hit) = self.mmu.watching.take() {
                return Exit::Watchpoint(hit);
            }
            match left {
                Leave::Sync | Leave::Resume => {}
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

    /// Requests of other threads.
    fn attend(&mut self) -> Option<Exit> {
        let a = self.own.attention();
        if a.now.load(Acquire) != 0 {
            let asked = a.now.swap(0, AcqRel);
            self.follow();
            if asked & EXIT != 0 {
                return Some(Exit::Requested);
            }
        }
        None
    }
    /// Follow what others have asked for.
    fn follow(&mut self) {
        self.mmu.follow_bus();
        if self.mmu.poll() {
            call::connect(self);
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
        let taken = guest.interrupt(state, &mut self.mmu, lines);
        if taken {
            self.mmu.dirty = true;
            self.tell_exception(before, Cause::Interrupt(lines));
        }
        taken
    }
    /// A fault of the instruction at `offset` in the page at `page`: into the guest's exception.
    fn raise(&mut self, page: u64, stopped: Stopped) {
        // Translated code has left, or called: what it has in the host's control word is the state's.
        self.collect_flags();
        self.mmu.trapped.clear();
        let pc = page.wrapping_add(stopped.offset as u64) & G::LAYOUT.pc.ty.mask() as u64;
        let state = self.own.state_mut();
        poke(state, G::LAYOUT.pc.off, G::LAYOUT.pc.ty, pc as u128);
        self.guest.restore(state, pc, stopped.aux);
        if self.mmu.watching.is_hit() || self.mmu.again {
            // The debugger's business, or the engine's: the guest is back at the instruction's start.
            return;
        }
        let before = self.tracing.keep(state);
        self.guest.raise(state, &mut self.mmu, stopped.fault);
        self.mmu.dirty = true;
        self.tell_exception(before, Cause::Fault(stopped.fault));
    }
    /// A fault of fetching the instruction at the pc, unless the debugger stops before it: where it lets called functions
    /// return to, nothing need be executable.
    fn raise_fetch(&mut self, fault: Fault) {
        if self.at_breakpoint() {
            return;
        }
        let state = self.own.state_mut();
        let before = self.tracing.keep(state);
        self.guest.raise(state, &mut self.mmu, fault);
        self.mmu.dirty = true;
        self.tell_exception(before, Cause::Fault(fault));
    }

    /// The block at the pc, translated if need be. `None`: the fetch faulted, and the guest has been told; or its debug
    /// registers may mean the instruction, which is looked at before anything is fetched.
    fn find(&mut self) -> Option<Found> {
        for _ in 0..TRIES {
            if self.may_trap() {
                return None;
            }
            let pc = self.pc();
            let key = self.place(pc)?;
            let at = (&self.guest, self.own.state());
            let found = match self.mmu.block::<G>(at, pc, key) {
                Ok(Some(found)) => return Some(found),
                Ok(None) => self.translate(key, pc),
                Err(fault) => Made::Fault(fault),
            };
            match found {
                Made::Block(found) => return Some(found),
                Made::Fault(fault) => {
                    self.raise_fetch(fault);
                    return None;
                }
                Made::Full if self.renew() => {}
                // Without memory for other code.
                Made::Full => return self.stray(),
                Made::Again | Made::Unguarded(_) => {}
            }
        }
        // Others store to these very bytes all the time.
        self.stray()
    }
    /// The instruction at the pc, to be run once. `None` as for [`Vcpu::find`].
    fn stray(&mut self) -> Option<Found> {
        let (place, block) = self.decode_one()?;
        Some(Found::stray(place, block))
    }
    /// Have a new book in place of one that is full; whether there is one.
    fn renew(&mut self) -> bool {
        let old = self.mmu.book().clone();
        let renewed = old.kind() != Kind::Shared || self.mmu.shared.renew(&old).is_ok();
        renewed && self.take_book()
    }
    /// Where the instruction at the pc lies. `None` as for [`Vcpu::find`].
    fn place(&mut self, pc: u64) -> Option<BlockKey> {
        let at = (&self.guest, self.own.state());
        match self.mmu.fetch_page::<G>(at, pc) {
            Ok(page) => Some(BlockKey {
                phys: page.phys | pc & 0xfff,
                mode: self.mode(),
                marked: page.marked,
            }),
            Err(fault) => {
                self.raise_fetch(fault);
                None
            }
        }
    }
    /// Translate the block at the pc, which lies at `key`.
    fn translate(&mut self, key: BlockKey, pc: u64) -> Made {
        if !self.mmu.guard(key.phys) {
            return Made::Again;
        }
        let (book, cpu) = (self.mmu.book().clone(), self.mmu.cpu);
        if !book.read(cpu, key.phys) {
            return Made::Again;
        }
        let made = self.translate_read(key, pc);
        book.end(cpu);
        if let Made::Unguarded(page) = made {
            self.mmu.guard(page);
            return Made::Again;
        }
        made
    }
    /// The same, having said that its page is read.
    fn translate_read(&mut self, key: BlockKey, pc: u64) -> Made {
        let mut limit = self.tracing.limit(PASS_LIMIT);
        loop {
            self.builder.block.clear();
            let start = (key.phys & 0xfff) as u32;
            let trap = self.breakpoints.check::<G>(&mut self.builder, start);
            let state = self.own.state();
            let (guest, builder) = (&self.guest, &mut self.builder);
            let (mut refused, mut unguarded) = (false, None);
            let fetch = self.mmu.fetch::<G>((guest, state), pc, key.phys, (limit == 1, true));
            let done = fetch.and_then(|mut fetch| {
                let done = guest.translate(key, start, limit, &mut fetch, builder);
                (refused, unguarded) = (fetch.refused, fetch.unguarded);
                done.map(|()| fetch.next_page)
            });
            let next_page = match done {
                Ok(next_page) => next_page,
                // The first instruction crosses into the next page: it is a block of its own.
                Err(_) if refused => {
                    limit = 1;
                    continue;
                }
                Err(fault) => return unguarded.map_or(Made::Fault(fault), Made::Unguarded),
            };
            if let Some(before) = self.breakpoints.limit(&self.builder.block, start) {
                limit = before;
                continue;
            }
            if let Some(trap) = trap {
                Breakpoints::trap::<G>(&mut self.builder, start, trap);
            }
            match self.install(key, next_page, limit == 1) {
                Ok(found) => return Made::Block(found),
                Err(Refused::Full) => return Made::Full,
                Err(Refused::Changed) => return Made::Again,
                Err(Refused::Large) => limit /= 2,
            }
        }
    }
    /// Keep the block that has been translated: as it is, if it is too large but `single`.
    fn install(&mut self, key: BlockKey, next_page: Option<u64>, single: bool) -> Result<Found, Refused> {
        let (book, cpu) = (self.mmu.book(), self.mmu.cpu);
        let from = Source { cpu, key, next_page };
        let block = &mut self.builder.block;
        let lives = opt::improve(block, G::LAYOUT, CallEffect::of::<G>, &mut self.passes);
        if self.accel == Accel::Jit {
            let emitted = book.install::<G>(from, (block, lives), &mut self.emitter);
            // Too many values alive at once: a single such instruction is interpreted.
            if !single || !matches!(emitted, Err(Refused::Large)) {
                return emitted;
            }
        }
        opt::compact(block, &mut self.passes);
        book.install_ir(from, block)
    }

    /// Blocks one after the other, until something else is to be done.
    fn interpret(&mut self) -> Leave {
        loop {
            self.reselect();
            let Some(ir) = self.find_ir() else { return Leave::Sync };
            if let Some(leave) = self.run_ir(&ir.code) {
                return leave;
            }
            if self.own.attention().both() != 0 || self.mmu.traps_changed || self.mmu.stop.is_some() {
                return Leave::Sync;
            }
        }
    }
    /// The block at the pc, to be interpreted. `None` as for [`Vcpu::find`].
    fn find_ir(&mut self) -> Option<Arc<Ir>> {
        if self.may_trap() {
            return None;
        }
        let key = self.place(self.pc())?;
        if let Some(ir) = self.mmu.recent.get(key) {
            return Some(ir);
        }
        let found = self.find()?;
        self.mmu.recent.keep(key, &found);
        match found.how {
            How::Ir(ir) => Some(ir),
            How::Host(_) => None,
        }
    }
    /// One block. `None`: it ended in a branch.
    fn run_ir(&mut self, code: &Prepared) -> Option<Leave> {
        let page = self.pc() & !0xfff;
        let state = self.own.state_mut();
        match interp::run(&mut self.guest, state, &mut self.mmu, code, page, &mut self.scratch) {
            Ok(Next::Goto { .. } | Next::GotoVal { .. } | Next::Exit(Leave::Resume)) => None,
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
                    match found.how {
                        How::Host(entry) => entry,
                        How::Ir(ir) => return self.run_ir(&ir.code).unwrap_or(Leave::Sync),
                    }
                }
                Way::Back => return Leave::Sync,
            };
            let page = self.pc() & !0xfff;
            let control = floating::control(self.state(), G::LAYOUT);
            self.own.prepare(page, control);
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
        if self.may_trap() {
            return Way::Back;
        }
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
    #[expect(
        clippy::unreachable,
        reason = "the emitter leaves by the goto thunks with sites of `Goto`"
    )]
    fn set_goto(&mut self) -> u32 {
        let (site, page) = self.own.left_at();
        let offset = match self.mmu.book().site(site).map(|site| &site.what) {
            Some(&What::Goto { offset, .. }) => offset,
            _ => unreachable!("a goto site"),
        };
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
        let book = self.mmu.book().clone();
        let Some(found) = self.find() else { return Way::Back };
        if Arc::ptr_eq(self.mmu.book(), &book) {
            book.link(site, &found);
        }
        match found.how {
            How::Host(entry) => Way::To(entry),
            How::Ir(_) => Way::Back,
        }
    }
}

/// What a fetch that finds nothing there is.
fn nothing_there(addr: u64) -> Fault {
    Fault::Bus {
        addr,
        access: Access::Execute,
    }
}
