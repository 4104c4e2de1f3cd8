//! What a vCPU is about to do if nobody interferes, foreseen on a copy of its state: nothing of the guest changes.
//!
//! Only what depends on the state alone is followed. Memory is not read but for code and page tables: a device, or another
//! CPU, may have something else there the next time.

use super::Vcpu;
use super::mmu::{Mmu, loading};
use crate::interp::{self, Memory, Now, Prepared, poke};
use crate::tlb::PAGE;
use emu_ir::{
    Access, BlockKey, Builder, Bus, Effect, Env, Fault, Fetch, Flush, Guest, HelperFn, Mem, Op, Page, RamPage, Stop,
    Traps, X87Insn, X87Unit,
};

/// Where a vCPU is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course<S> {
    /// Round and round, for ever: it comes back to the very state that it was in.
    Round {
        /// The state of the round with the lowest pc.
        lowest: S,
        /// That pc.
        pc: u64,
    },
    /// On through instructions that change nothing but the pc.
    Through,
    /// Somewhere, as far as can be told.
    On,
}

/// The instruction does more than can be foreseen.
struct Unknown;

impl<G: Guest> Vcpu<G> {
    /// Foresees up to so many instructions. `stuck` says of a state whether no interrupt changes its course.
    pub fn foresee(&mut self, instructions: usize, stuck: impl Fn(&G, &G::State) -> bool) -> Course<G::State> {
        let start = *self.state();
        let (mut state, mut mark, mut until) = (start, start, 1);
        let mut through = true;
        for count in 0..instructions {
            if !stuck(&self.guest, &state) || self.next(&mut state).is_err() {
                return Course::On;
            }
            if same(&state, &mark) {
                return self.lowest(state);
            }
            // A round of any length is found from a mark that is as many instructions before (Brent).
            if count == until {
                (mark, until) = (state, 2 * until);
            }
            through &= same(&at::<G>(state, &start), &start);
        }
        if through { Course::Through } else { Course::On }
    }
    /// The state with the lowest pc of the round that it is in.
    fn lowest(&mut self, start: G::State) -> Course<G::State> {
        let (mut state, mut lowest) = (start, start);
        loop {
            if self.next(&mut state).is_err() {
                return Course::On;
            }
            if pc::<G>(&state) < pc::<G>(&lowest) {
                lowest = state;
            }
            if same(&state, &start) {
                let pc = pc::<G>(&lowest);
                return Course::Round { lowest, pc };
            }
        }
    }
    /// Carries out the instruction at the pc of `state`, or enters its exception.
    fn next(&mut self, state: &mut G::State) -> Result<(), Unknown> {
        if self.guest.traps(state) != Traps::default() || !self.guest.raises_plainly(state) {
            return Err(Unknown);
        }
        let code = decode(&self.guest, state, &mut self.mmu)?;
        let mut dry = Dry {
            mmu: &mut self.mmu,
            unknown: false,
        };
        let fault = match code {
            Ok(code) => {
                let page = pc::<G>(state) & PAGE;
                let left = interp::run(&mut self.guest, state, &mut dry, &code, page, &mut self.scratch);
                left.err().map(|stopped| {
                    let at = page.wrapping_add(stopped.offset.into()) & G::LAYOUT.pc.ty.mask() as u64;
                    poke(state, G::LAYOUT.pc.off, G::LAYOUT.pc.ty, at.into());
                    self.guest.restore(state, at, stopped.aux);
                    stopped.fault
                })
            }
            Err(fault) => Some(fault),
        };
        if let Some(fault) = fault.filter(|_| !dry.unknown) {
            self.guest.raise(state, &mut dry, fault);
        }
        if dry.unknown { Err(Unknown) } else { Ok(()) }
    }
}

fn pc<G: Guest>(state: &G::State) -> u64 {
    interp::peek(state, G::LAYOUT.pc.off, G::LAYOUT.pc.ty) as u64
}
/// `state` with the pc of `of`.
fn at<G: Guest>(mut state: G::State, of: &G::State) -> G::State {
    poke(&mut state, G::LAYOUT.pc.off, G::LAYOUT.pc.ty, pc::<G>(of).into());
    state
}
fn same<S: bytemuck::Pod>(a: &S, b: &S) -> bool {
    bytemuck::bytes_of(a) == bytemuck::bytes_of(b)
}

/// The instruction at the pc, or the fault of fetching it.
fn decode<G: Guest>(guest: &G, state: &G::State, mmu: &mut Mmu) -> Result<Result<Prepared, Fault>, Unknown> {
    let pc = pc::<G>(state);
    if pc & ((1 << G::LAYOUT.insn_shift) - 1) != 0 {
        let (addr, access) = (pc, Access::Execute);
        return Ok(Err(Fault::Alignment { addr, access }));
    }
    let mut builder = Builder::new();
    let mut code = Code::<G> {
        at: (guest, state),
        mmu,
        next: None,
        here: 0,
        unknown: false,
    };
    let page = match code.page(pc) {
        Ok(page) => page,
        Err(fault) => return known(&code, Err(fault)),
    };
    code.here = page.phys;
    let key = BlockKey {
        phys: page.phys | pc & !PAGE,
        mode: interp::peek(state, G::LAYOUT.mode.off, G::LAYOUT.mode.ty) as u64,
        marked: page.marked,
    };
    let done = guest.translate(key, (pc & !PAGE) as u32, 1, &mut code, &mut builder);
    if let Err(fault) = done {
        return known(&code, Err(fault));
    }
    let block = builder.block;
    let followed = block.insts.iter().all(|inst| match inst.op {
        Op::Call { helper, .. } => match G::HELPERS.get(usize::from(helper)).map(|helper| &helper.f) {
            Some(HelperFn::State(_)) => G::only_raises(helper),
            helper => helper.is_some(),
        },
        op => op.effect() != Effect::Atomic,
    });
    if !followed {
        return Err(Unknown);
    }
    known(&code, Ok(Prepared::new(block)))
}
fn known<G: Guest, T>(code: &Code<'_, G>, what: T) -> Result<T, Unknown> {
    if code.unknown { Err(Unknown) } else { Ok(what) }
}

/// The guest's code, where it is memory.
struct Code<'a, G: Guest> {
    at: Now<'a, G>,
    mmu: &'a mut Mmu,
    /// The physical pages of the instruction's start, and of its end.
    here: u64,
    next: Option<u64>,
    /// What is there is not memory.
    unknown: bool,
}

impl<G: Guest> Code<'_, G> {
    fn page(&mut self, va: u64) -> Result<Page, Fault> {
        let page = walk::<G>(self.at, self.mmu, va, Access::Execute, 0)?;
        self.unknown |= self.mmu.bus().ram(page.phys).is_none();
        Ok(page)
    }
    fn byte(&mut self, offset: u32) -> Result<u16, Fault> {
        let page = match (offset < 4096, self.next) {
            (true, _) => self.here,
            (false, Some(next)) => next,
            (false, None) => {
                let next = (pc::<G>(self.at.1) & PAGE).wrapping_add(4096) & G::LAYOUT.pc.ty.mask() as u64;
                let page = self.page(next)?;
                *self.next.insert(page.phys)
            }
        };
        let mut bytes = Vec::new();
        self.mmu
            .read_code(page | u64::from(offset & 0xfff), 1, None, &mut bytes);
        Ok(bytes.first().copied().unwrap_or(0).into())
    }
}

impl<G: Guest> Fetch for Code<'_, G> {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        Ok(self.byte(offset)? | self.byte(offset + 1)? << 8)
    }
}

fn walk<G: Guest>(at: Now<G>, mmu: &mut Mmu, va: u64, access: Access, idx: u8) -> Result<Page, Fault> {
    at.0.walk(at.1, &mut Tables(mmu.bus()), va, access, idx)
}

/// The bus for a walk that changes nothing.
struct Tables<'a>(&'a mut dyn Bus);

impl Bus for Tables<'_> {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        self.0.ram(phys & PAGE)?;
        self.0.load(phys, size)
    }
    fn store(&mut self, _: u64, _: u8, _: u64) -> Option<()> {
        Some(())
    }
    fn compare_exchange(&mut self, phys: u64, size: u8, _: u64, _: u64) -> Option<u64> {
        self.load(phys, size)
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        self.0.ram(page)
    }
}

/// Guest memory, of which nothing is known but where it faults.
struct Dry<'a> {
    mmu: &'a mut Mmu,
    /// Something was asked for that is not known.
    unknown: bool,
}

impl Dry<'_> {
    fn fault<G: Guest>(&mut self, at: Now<G>, addr: u64, mem: Mem, access: Access) -> Fault {
        if !mem.allows(addr) {
            return Fault::Alignment { addr, access };
        }
        self.unknown |= (addr & !PAGE) + u64::from(mem.bytes()) > 4096;
        let found = walk::<G>(at, self.mmu, addr, access, mem.idx);
        found.err().unwrap_or_else(|| {
            self.unknown = true;
            Fault::Bus { addr, access }
        })
    }
}

impl<G: Guest> Memory<G> for Dry<'_> {
    fn load(&mut self, at: Now<G>, addr: u64, mem: Mem) -> Result<u128, Fault> {
        Err(self.fault(at, addr, mem, loading(mem)))
    }
    fn store(&mut self, at: Now<G>, addr: u64, mem: Mem, _: u128) -> Result<(), Fault> {
        Err(self.fault(at, addr, mem, Access::Write))
    }
    fn cas(&mut self, at: Now<G>, addr: u64, mem: Mem, _: u128, _: u128) -> Result<u128, Fault> {
        Err(self.fault(at, addr, mem, Access::Write))
    }
    fn update(&mut self, at: Now<G>, addr: u64, mem: Mem, _: &dyn Fn(u128) -> u128) -> Result<u128, Fault> {
        Err(self.fault(at, addr, mem, Access::Write))
    }
}

/// Of a helper that only raises a fault, nothing is to be done.
impl Env for Dry<'_> {
    fn bus(&mut self) -> &mut dyn Bus {
        self.unknown = true;
        self.mmu.bus()
    }
    fn flush(&mut self, _: Flush, _: bool) {
        self.unknown = true;
    }
    fn context_changed(&mut self) {
        self.unknown = true;
    }
    fn traps_changed(&mut self) {
        self.unknown = true;
    }
    fn stop(&mut self, _: Stop) {
        self.unknown = true;
    }
    fn x87(&mut self, insn: X87Insn, unit: &mut X87Unit, operand: &mut [u8; 10], status: u16) -> u16 {
        self.mmu.x87(insn, unit, operand, status)
    }
}
