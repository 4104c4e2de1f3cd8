//! What a debugger asks of a vCPU: breakpoints, watchpoints, single steps. None of it shows in guest memory.
//!
//! Breakpoints are virtual addresses, blocks lie at physical ones. So a block ends before an instruction at the page
//! offset of a breakpoint, whatever its page, and one that starts there first compares its virtual address. A vCPU with
//! breakpoints has translations of its own. Blocks that were translated under another set of breakpoints are forgotten when
//! the guest runs again, not when the set changes: a debugger removes and inserts all of them around every stop.
//!
//! Pages with a watchpoint have the slow bit in their TLB tags, as pages with code have. An access that meets a watchpoint
//! is not made: the state goes back to the start of the instruction, as for a fault that the guest is not told of.
//!
//! The guest's own debug registers ([`Traps`]) use the same means; what they find is the guest's exception.

use super::{Exit, Extent, Kind, Vcpu};
use crate::interp::{Prepared, peek};
use crate::tlb::PAGE;
pub use emu_ir::Watch;
use emu_ir::{Access, Block, Builder, Env, Flush, Guest, Label, Leave, Op, Slot, Traps};

/// The access that a watchpoint kept from being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Virtual address of the first watched byte that it meets.
    pub addr: u64,
    /// The watchpoint.
    pub watch: Watch,
}

/// The watchpoints, and whether one of the debugger's was met.
#[derive(Default)]
pub(super) struct Watching {
    set: Vec<Watch>,
    /// The guest's own.
    guest: Vec<Watch>,
    hit: Option<Hit>,
}

/// How the guest's addresses compare.
#[derive(Clone, Copy)]
pub(super) struct Compared<F> {
    /// They wrap at this.
    pub mask: u64,
    /// [`Guest::watched_as`].
    pub plain: F,
}

impl Watching {
    /// Whether loads from, and stores to, the page of `va` are to be looked at: `plain` as in [`Compared`]. What an atomic
    /// operation reads is found where it stores.
    pub fn page(&self, va: u64, plain: impl Fn(u64) -> u64) -> (bool, bool) {
        let by = Compared { mask: u64::MAX, plain };
        let inside = |w: &&Watch| meets(w, va & PAGE, 0x1000, &by).is_some();
        let all = self.set.iter().chain(&self.guest).filter(inside);
        all.fold((false, false), |(reads, _), watch| (reads | watch.reads, true))
    }
    /// The watchpoint of the debugger's that an access meets.
    pub fn find(&self, addr: u64, len: u32, access: Access, by: &Compared<impl Fn(u64) -> u64>) -> Option<Hit> {
        met(&self.set, addr, len, access, by)
    }
    /// Whether an access meets one of the guest's.
    pub fn is_guests(&self, addr: u64, len: u32, access: Access, by: &Compared<impl Fn(u64) -> u64>) -> bool {
        met(&self.guest, addr, len, access, by).is_some()
    }
    /// Note the access that is not made.
    pub fn note(&mut self, hit: Hit) {
        self.hit = Some(hit);
    }
    /// Whether an access was not made.
    pub fn is_hit(&self) -> bool {
        self.hit.is_some()
    }
    /// The access that was not made, once.
    pub fn take(&mut self) -> Option<Hit> {
        self.hit.take()
    }
}

/// The first of some watchpoints that an access meets.
fn met(set: &[Watch], addr: u64, len: u32, access: Access, by: &Compared<impl Fn(u64) -> u64>) -> Option<Hit> {
    let wanted = |w: &&Watch| if access == Access::Read { w.reads } else { w.writes };
    set.iter().filter(wanted).find_map(|w| {
        let addr = meets(w, addr, len.into(), by)?;
        Some(Hit { addr, watch: *w })
    })
}

/// The first byte of `w` among `len` bytes at `addr`, by the address that `w` has for it.
fn meets(w: &Watch, addr: u64, len: u64, by: &Compared<impl Fn(u64) -> u64>) -> Option<u64> {
    let (addr, start) = ((by.plain)(addr), (by.plain)(w.start));
    let into = addr.wrapping_sub(start) & by.mask;
    let ahead = start.wrapping_sub(addr) & by.mask;
    if into < w.len {
        Some(w.start.wrapping_add(into) & by.mask)
    } else {
        (ahead < len).then_some(w.start)
    }
}

/// The breakpoints: what the debugger wants, what the guest wants, and what translated code knows.
#[derive(Default)]
pub(super) struct Breakpoints {
    wanted: Vec<u64>,
    guest: Vec<u64>,
    /// The guest may mean any instruction.
    every: bool,
    known: Vec<u64>,
}

fn offset(addr: u64) -> u32 {
    (addr & 0xfff) as u32
}

impl Breakpoints {
    fn at(&self, pc: u64) -> bool {
        self.wanted.binary_search(&pc).is_ok()
    }
    /// Whether code is to know of any.
    pub fn are_known(&self) -> bool {
        !self.known.is_empty()
    }
    fn known_at(&self, offset_in_page: u32) -> impl Iterator<Item = u64> {
        self.known.iter().copied().filter(move |&a| offset(a) == offset_in_page)
    }
    /// Let a block that starts at a breakpoint's offset look whether it is there. [`Breakpoints::trap`] ends the block.
    pub fn check<G: Guest>(&self, b: &mut Builder, start: u32) -> Option<Label> {
        let mut label = None;
        for addr in self.known_at(start) {
            let ty = G::LAYOUT.pc.ty;
            let (pc, addr) = (b.pc_rel(ty, start as i32), b.imm(ty, addr));
            let here = b.eq(pc, addr);
            let trap = *label.get_or_insert_with(|| b.label());
            b.br_if(here, trap);
        }
        label
    }
    /// Where a block goes that found itself at a breakpoint.
    pub fn trap<G: Guest>(b: &mut Builder, start: u32, label: Label) {
        b.place(label);
        let pc = b.pc_rel(G::LAYOUT.pc.ty, start as i32);
        b.set(G::LAYOUT.pc, pc);
        b.exit(Leave::Sync);
    }
    /// How many instructions of a block come before one that a breakpoint may be at, if any does.
    pub fn limit(&self, block: &Block, start: u32) -> Option<u32> {
        if self.known.is_empty() {
            return None;
        }
        let (mut before, mut last) = (0, None);
        for inst in &block.insts {
            let Op::Insn { offset, .. } = inst.op else { continue };
            if u32::from(offset) != start && self.known_at(offset.into()).next().is_some() {
                return Some(before);
            }
            // Behind a label an instruction is named again.
            before += u32::from(last != Some(offset));
            last = Some(offset);
        }
        None
    }
}

impl<G: Guest> Vcpu<G> {
    /// Stop before the instructions at these virtual addresses, and no others, from now on.
    pub fn set_breakpoints(&mut self, at: impl IntoIterator<Item = u64>) {
        self.breakpoints.wanted = at.into_iter().collect();
        self.breakpoints.wanted.sort_unstable();
        self.breakpoints.wanted.dedup();
    }
    /// Stop before accesses to these bytes, and no others, from now on.
    pub fn set_watchpoints(&mut self, set: &[Watch]) {
        if self.mmu.watching.set != set {
            self.mmu.watching.set = set.to_vec();
            self.mmu.tlb.flush(Flush::ALL);
            self.mmu.dirty = true;
        }
    }
    /// Look into the guest, or change it, with what a helper has at hand.
    pub fn inspect<R>(&mut self, look: impl FnOnce(&mut G, &mut G::State, &mut dyn Env) -> R) -> R {
        let state = self.own.state_mut();
        let result = look(&mut self.guest, state, &mut self.mmu);
        self.mmu.dirty = true;
        self.mmu.traps_changed = true;
        result
    }

    /// The guest's debug registers changed, or it stopped itself: see to it soon.
    pub(super) fn look_soon(&self) {
        if self.mmu.traps_changed || self.mmu.stop.is_some() {
            self.own.attention().look();
        }
    }
    /// Look for what the guest's debug registers now ask for, if they changed.
    fn settle_traps(&mut self) {
        if !std::mem::take(&mut self.mmu.traps_changed) {
            return;
        }
        let Traps { mut at, every, data } = self.guest.traps(self.state());
        at.sort_unstable();
        at.dedup();
        (self.breakpoints.guest, self.breakpoints.every) = (at, every);
        if self.mmu.watching.guest != data {
            self.mmu.watching.guest = data;
            self.mmu.tlb.flush(Flush::ALL);
            self.mmu.dirty = true;
        }
    }
    /// Whether the guest's debug registers may mean the instruction at the pc.
    pub(super) fn may_trap(&self) -> bool {
        let b = &self.breakpoints;
        b.every || !b.guest.is_empty() && b.guest.binary_search(&self.pc()).is_ok()
    }
    /// The guest's debug exception for the instruction at the pc, if it has one; whether it was raised.
    pub(super) fn trap(&mut self) -> bool {
        let fault = self.guest.trap(self.state());
        if let Some(fault) = fault {
            self.raise_fetch(fault);
        }
        fault.is_some()
    }
    /// The guest's debug exception, or else the instruction, alone.
    pub(super) fn trap_or_step(&mut self) -> Leave {
        if self.trap() {
            return Leave::Sync;
        }
        self.reselect();
        self.alone().unwrap_or(Leave::Sync)
    }
    /// The instruction at the pc, alone, after which something is to be looked at: [`Mmu::again`].
    pub(super) fn again(&mut self) -> Leave {
        self.mmu.again = false;
        self.reselect();
        self.alone().unwrap_or(Leave::Sync)
    }
    /// The instruction at the pc, alone. `None`: it just went on, or could not be fetched.
    fn alone(&mut self) -> Option<Leave> {
        let code = self.single()?;
        self.mmu.alone = true;
        let left = self.run_ir(&code);
        self.mmu.alone = false;
        for fault in self.mmu.trapped.drain(..) {
            self.guest.trapped(self.own.state_mut(), fault);
            self.mmu.traps_changed = true;
        }
        self.tell_left();
        left
    }

    /// Run the instruction that a watchpoint stopped before, wherever else the debugger stops: as [`Vcpu::step`] does.
    pub fn step_past_watchpoint(&mut self) -> Exit {
        let watchpoints = self.mmu.watching.set.clone();
        let breakpoints = std::mem::take(&mut self.breakpoints.wanted);
        self.set_watchpoints(&[]);
        let exit = self.step(false);
        self.set_watchpoints(&watchpoints);
        self.breakpoints.wanted = breakpoints;
        exit
    }
    /// Run one instruction: [`Exit::Stepped`], unless it stops the vCPU or the debugger stops before it. An instruction
    /// that faults is done with the exception entered; one that waits for something does not wait. Pending interrupts
    /// are left alone, or if `interrupts`, taking one is the step.
    pub fn step(&mut self, interrupts: bool) -> Exit {
        self.wake();
        let exit = self.step_awake(interrupts);
        self.mmu.rest();
        exit
    }
    fn step_awake(&mut self, interrupts: bool) -> Exit {
        self.follow();
        if interrupts && self.take_interrupt() {
            return self.stepped();
        }
        self.settle_traps();
        let waits = self.guest.waits(self.state());
        if !waits && self.at_breakpoint() {
            return Exit::Breakpoint;
        }
        if self.may_trap() && self.trap() || waits {
            return self.stepped();
        }
        self.reselect();
        // Whether it waits, gives way or just goes on: it is done.
        self.alone();
        self.tell_mmu();
        if let Some(hit) = self.mmu.watching.take() {
            return Exit::Watchpoint(hit);
        }
        self.stepped()
    }
    /// A step is done, which may have stopped the vCPU.
    fn stepped(&mut self) -> Exit {
        self.mmu.stop.take().map_or(Exit::Stepped, Exit::Stopped)
    }
    /// The instruction at the pc, which the tracer is told of. `None`: fetching it faulted, and the guest has been told.
    fn single(&mut self) -> Option<Prepared> {
        let (place, block) = self.decode_one()?;
        self.tell_single(place);
        Some(Prepared::new(block))
    }
    /// The instruction at the pc, and where it lies. `None`: fetching it faulted, and the guest has been told.
    pub(super) fn decode_one(&mut self) -> Option<(Extent, Block)> {
        let pc = self.pc();
        let key = self.place(pc)?;
        self.builder.block.clear();
        let state = self.own.state();
        let (guest, builder) = (&self.guest, &mut self.builder);
        let fetch = self.mmu.fetch::<G>((guest, state), pc, key.phys, (true, false));
        let done = fetch.and_then(|mut fetch| {
            guest.translate(key, offset(key.phys), 1, &mut fetch, builder)?;
            Ok(fetch.next_page)
        });
        match done {
            Ok(next_page) => {
                let block = self.builder.block.clone();
                let place = Extent {
                    phys: key.phys,
                    len: block.guest_bytes,
                    insns: 1,
                    next_page,
                };
                Some((place, block))
            }
            Err(fault) => {
                self.raise_fetch(fault);
                None
            }
        }
    }

    /// Whether there is a breakpoint at the pc.
    pub(super) fn at_breakpoint(&self) -> bool {
        !self.breakpoints.wanted.is_empty() && self.breakpoints.at(self.pc())
    }
    /// Forget the blocks that do not know the breakpoints as they now are.
    pub(super) fn settle_breakpoints(&mut self) {
        self.settle_traps();
        let b = &mut self.breakpoints;
        if b.guest.is_empty() && b.known == b.wanted {
            return;
        }
        let mut wanted: Vec<u64> = b.wanted.iter().chain(&b.guest).copied().collect();
        wanted.sort_unstable();
        wanted.dedup();
        if b.known == wanted {
            return;
        }
        let known = std::mem::replace(&mut b.known, wanted);
        self.settle_book();
        let wanted = &self.breakpoints.known;
        let gone = known.iter().filter(|a| wanted.binary_search(a).is_err());
        let new = wanted.iter().filter(|a| known.binary_search(a).is_err());
        if self.mmu.book().kind() != Kind::Shared {
            gone.chain(new)
                .for_each(|&addr| self.mmu.book().forget_offset(offset(addr)));
        }
    }
    /// The virtual pc.
    pub fn pc(&self) -> u64 {
        peek(self.state(), G::LAYOUT.pc.off, G::LAYOUT.pc.ty) as u64
    }
    pub(super) fn mode(&self) -> u64 {
        let Slot { off, ty } = G::LAYOUT.mode;
        peek(self.state(), off, ty) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: Watch = Watch {
        start: 0x1ffe,
        len: 5,
        reads: false,
        writes: true,
    };

    #[test]
    fn accesses_meet_a_watchpoint_where_they_overlap() {
        let by = Compared {
            mask: u64::from(u32::MAX),
            plain: |va| va,
        };
        let rows = [
            (0x1ffa, 4, None),
            (0x1ffb, 4, Some(0x1ffe)),
            (0x1ffe, 1, Some(0x1ffe)),
            (0x2002, 16, Some(0x2002)),
            (0x2003, 16, None),
            (0xffff_fff0, 16, None),
        ];
        for (addr, len, want) in rows {
            assert_eq!(meets(&W, addr, len, &by), want, "{addr:#x}");
        }
        let first = Watch { start: 2, ..W };
        assert_eq!(meets(&first, 0xffff_fffe, 8, &by), Some(2), "around the end");
    }

    #[test]
    fn the_pages_of_a_watchpoint_are_looked_at() {
        let watching = Watching {
            set: vec![W],
            ..Watching::default()
        };
        let pages = [0x0fff, 0x1000, 0x2fff, 0x3000].map(|va| watching.page(va, |va| va));
        assert_eq!(pages, [(false, false), (false, true), (false, true), (false, false)]);
        let reads = Watching {
            set: vec![Watch {
                reads: true,
                writes: false,
                ..W
            }],
            ..Watching::default()
        };
        let pages = [0x0fff, 0x1000].map(|va| reads.page(va, |va| va));
        assert_eq!(pages, [(false, false), (true, true)], "atomic operations read too");
        let by = Compared {
            mask: u64::MAX,
            plain: |va| va,
        };
        assert_eq!(watching.find(0x2000, 4, Access::Read, &by), None);
    }

    #[test]
    fn a_hit_is_told_by_the_address_that_is_watched() {
        let by = Compared {
            mask: u64::MAX,
            plain: |va| va & u64::MAX >> 8,
        };
        for (watched, accessed) in [(0, 0x5a), (0x5a, 0), (0x5a, 0x3c)] {
            let start = 0x1ffe | watched << 56;
            let watching = Watching {
                set: vec![Watch { start, ..W }],
                ..Watching::default()
            };
            let tag = accessed << 56;
            assert_eq!(watching.page(0x2fff | tag, by.plain), (false, true));
            assert_eq!(watching.page(0x3000 | tag, by.plain), (false, false));
            let hit = |at: u64| watching.find(at | tag, 4, Access::Write, &by).map(|hit| hit.addr);
            assert_eq!(hit(0x1ffb), Some(start));
            assert_eq!(hit(0x2002), Some(start + 4));
            assert_eq!(hit(0x2003), None);
        }
    }
}
