//! What a vCPU does, told to a [`Tracer`] as it happens.
//!
//! A tracer that wants to hear of blocks or instructions makes every block come back to the engine: the attention word is
//! kept set, which makes loops and indirect branches leave and keeps branches from being linked, and the jump tables that
//! branches to other pages go through stay empty: the vCPU has translations of its own. The code of a block is the same
//! with and without a tracer.

use super::{Extent, Vcpu};
use emu_ir::{Access, Context, Fault, Flush, Guest, Leave, Page};
use std::sync::atomic::Ordering::Release;

/// What a [`Tracer`] wants to hear of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// [`Tracer::enter`] and [`Tracer::leave`] around each block.
    pub blocks: bool,
    /// The same, and a block is one instruction.
    pub insns: bool,
    /// [`Tracer::exception`].
    pub exceptions: bool,
    /// [`Tracer::mmu`].
    pub mmu: bool,
}

impl Wants {
    fn steps(self) -> bool {
        self.blocks || self.insns
    }
}

/// A block that is about to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entered<'a> {
    /// Virtual address of its first instruction.
    pub pc: u64,
    /// Physical address of the same.
    pub phys: u64,
    /// The mode it runs in (see [`emu_ir::BlockKey::mode`]).
    pub mode: u64,
    /// How many guest instructions it has.
    pub insns: u32,
    /// Their bytes.
    pub code: &'a [u8],
}

/// Why an exception was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A fault of the instruction at the pc.
    Fault(Fault),
    /// One of these pending interrupt lines, a bit each.
    Interrupt(u32),
}

/// What happens to the translation of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MmuEvent {
    /// A page was walked to and is now in the TLB.
    Fill {
        /// The virtual address.
        va: u64,
        /// What was tried.
        access: Access,
        /// Address space 0 or 1 (see [`Guest::walk`]).
        idx: u8,
        /// What the walk found.
        page: Page,
    },
    /// A walk ended in a fault.
    Fault {
        /// The virtual address.
        va: u64,
        /// What was tried.
        access: Access,
        /// Address space 0 or 1.
        idx: u8,
        /// The fault.
        fault: Fault,
    },
    /// The guest had translations forgotten.
    Flush(Flush),
    /// Accesses go through another context from now on.
    Context {
        /// Address space 0 or 1.
        idx: u8,
        /// The context.
        context: Context,
    },
}

/// Who hears of what a vCPU does. It is called on the vCPU's thread. What it does not
/// want to hear of it need not have.
pub trait Tracer<G: Guest>: Send {
    /// What it wants to hear of; asked once.
    fn wants(&self) -> Wants;
    /// A block is about to run in this state.
    fn enter(&mut self, state: &G::State, block: &Entered) {
        let _ = (state, block);
    }
    /// The block has run, to its end or into an exception, and left this state.
    fn leave(&mut self, state: &G::State) {
        let _ = state;
    }
    /// An exception was taken: the state at the instruction it belongs to (for an interrupt the one that has not run), and
    /// the state at the vector.
    fn exception(&mut self, before: &G::State, after: &G::State, cause: Cause) {
        let _ = (before, after, cause);
    }
    /// The translation of addresses, before the exception that it may lead to.
    fn mmu(&mut self, event: &MmuEvent) {
        let _ = event;
    }
}

/// [`MmuEvent`]s on their way to the tracer.
#[derive(Default)]
pub(super) struct MmuLog {
    wanted: bool,
    events: Vec<MmuEvent>,
}

impl MmuLog {
    /// Whether anybody wants to hear of them.
    pub fn wanted(&self) -> bool {
        self.wanted
    }
    /// Note an event, if anybody wants to hear of it.
    pub fn note(&mut self, event: impl FnOnce() -> MmuEvent) {
        if self.wanted {
            self.events.push(event());
        }
    }
}

/// A vCPU's tracer, if it has one.
pub(super) struct Tracing<G: Guest> {
    tracer: Option<Box<dyn Tracer<G>>>,
    wants: Wants,
    code: Vec<u8>,
}

impl<G: Guest> Default for Tracing<G> {
    fn default() -> Tracing<G> {
        Tracing {
            tracer: None,
            wants: Wants::default(),
            code: Vec::new(),
        }
    }
}

impl<G: Guest> Tracing<G> {
    /// Whether every block comes back to the engine.
    pub fn steps(&self) -> bool {
        self.wants.steps()
    }
    /// How many guest instructions a block may have, out of `most`.
    pub fn limit(&self, most: u32) -> u32 {
        if self.wants.insns { 1 } else { most }
    }
    /// The state before an exception, if anybody wants to hear of it.
    pub fn keep(&self, state: &G::State) -> Option<G::State> {
        self.wants.exceptions.then_some(*state)
    }
}

/// The attention word's bit that makes every block come back.
const TRACE: u32 = 1 << 2;

impl<G: Guest> Vcpu<G> {
    /// Tell this tracer, and no other, of everything from now on.
    pub fn set_tracer(&mut self, tracer: Option<Box<dyn Tracer<G>>>) {
        let wants = tracer.as_ref().map(|t| t.wants()).unwrap_or_default();
        self.tracing.tracer = tracer;
        self.tracing.wants = wants;
        self.mmu.log.wanted = wants.mmu;
        self.mmu.forget_addresses();
    }

    /// Run one block, or instruction, between two calls of the tracer.
    pub(super) fn traced(&mut self) -> Leave {
        self.reselect();
        let Some(found) = self.find() else { return Leave::Sync };
        self.tell_entry(found.extent);
        self.own.attention().now.fetch_or(TRACE, Release);
        let left = self.untraced();
        self.tell_left();
        left
    }
    /// Tell the tracer, if it wants to hear of blocks, that one has run.
    pub(super) fn tell_left(&mut self) {
        self.tell_mmu();
        if let Some(tracer) = self.tracing.tracer.as_mut().filter(|_| self.tracing.wants.steps()) {
            tracer.leave(self.own.state());
        }
    }
    fn tell_entry(&mut self, place: Extent) {
        let mut code = std::mem::take(&mut self.tracing.code);
        self.mmu.read_code(place.phys, place.len, place.next_page, &mut code);
        self.tell_code(place.phys, place.insns, code);
    }
    /// Tell the tracer, if it wants to hear of blocks, of an instruction that is run by itself.
    pub(super) fn tell_single(&mut self, place: Extent) {
        if self.tracing.steps() {
            self.tell_entry(place);
        }
    }
    fn tell_code(&mut self, phys: u64, insns: u32, code: Vec<u8>) {
        self.tell_mmu();
        let (pc, mode) = (self.pc(), self.mode());
        if let Some(tracer) = &mut self.tracing.tracer {
            let block = Entered {
                pc,
                phys,
                mode,
                insns,
                code: &code,
            };
            tracer.enter(self.own.state(), &block);
        }
        self.tracing.code = code;
    }
    /// Tell the tracer of an exception, given the state that [`Tracing::keep`] kept.
    pub(super) fn tell_exception(&mut self, before: Option<G::State>, cause: Cause) {
        self.tell_mmu();
        if let (Some(before), Some(tracer)) = (before, &mut self.tracing.tracer) {
            tracer.exception(&before, self.own.state(), cause);
        }
    }
    /// Tell the tracer of what happened to the translation of addresses.
    pub(super) fn tell_mmu(&mut self) {
        if self.mmu.log.events.is_empty() {
            return;
        }
        for event in self.mmu.log.events.drain(..) {
            if let Some(tracer) = &mut self.tracing.tracer {
                tracer.mmu(&event);
            }
        }
    }
}
