//! The CPU interfaces: IHI 0069, chapter 4 (handling, prioritization) and section 12.2 (ICC registers).

use super::{FIRST_LPI, GROUPS, GicV3, PRIORITY, Registers, Row, SPI_ROWS, SPURIOUS, Target};
use crate::irq::fields::of_groups;
use serde::{Deserialize, Serialize};

/// A register of the CPU interface. AArch64 and AArch32 have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the manual's names")]
pub enum Icc {
    Pmr,
    Iar0,
    Iar1,
    Eoir0,
    Eoir1,
    Hppir0,
    Hppir1,
    Bpr0,
    Bpr1,
    Ap0r,
    Ap1r,
    Dir,
    Rpr,
    Sgi0r,
    Sgi1r,
    Asgi1r,
    Ctlr,
    Sre,
    Igrpen0,
    Igrpen1,
}

/// ICC_CTLR_EL1.
mod ctlr {
    /// ICC_BPR0_EL1 serves both groups.
    pub const CBPR: u32 = 1;
    /// End of interrupt only drops the priority; ICC_DIR_EL1 deactivates.
    pub const EOI_MODE: u32 = 1 << 1;
    /// Fixed: five bits of priority, numbers of 16 bits, affinity level 3, the range selector of SGIs.
    pub const FIXED: u32 = 4 << 8 | 1 << 15 | 1 << 18;
}

/// ICC_SRE_EL1: the system registers are all there is, nothing bypasses them.
const SRE: u64 = 7;
/// Running priority when idle; no interrupt has it.
const IDLE: u32 = 0x100;
/// The least binary point of group 0, which all five bits of priority are above of; of group 1 it is one more.
const MIN_BPR0: u32 = 2;
/// The bits of a number written to end an interrupt.
const INTID: u64 = 0xff_ffff;

/// A CPU interface's registers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Interface {
    pmr: u8,
    bpr0: u32,
    bpr1: u32,
    /// Active priorities of group 0, bit `priority / 8`.
    ap0r: u32,
    /// The same of group 1.
    ap1r: u32,
    /// CBPR and EOImode.
    ctlr: u32,
    /// ICC_IGRPEN0_EL1 and ICC_IGRPEN1_EL1: bits as in GICD_CTLR.
    pub(super) groups: u32,
}

impl Default for Interface {
    fn default() -> Interface {
        Interface {
            pmr: 0,
            bpr0: MIN_BPR0,
            bpr1: MIN_BPR0 + 1,
            ap0r: 0,
            ap1r: 0,
            ctlr: 0,
            groups: 0,
        }
    }
}

/// The pending interrupt of highest priority.
#[derive(Clone, Copy)]
struct Candidate {
    id: u32,
    priority: u32,
    group1: bool,
}

impl Candidate {
    /// Whether it comes before another: of equals, the lower number.
    fn beats(&self, other: Option<&Candidate>) -> bool {
        other.is_none_or(|other| (self.priority, self.id) < (other.priority, other.id))
    }
}

impl Interface {
    /// Whether it can be: what arithmetic relies on.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let points = (MIN_BPR0..8).contains(&self.bpr0) && (MIN_BPR0 + 1..8).contains(&self.bpr1);
        match points {
            true => Ok(()),
            false => Err("binary point"),
        }
    }

    /// The priority that another interrupt must exceed: [`IDLE`] when none is active.
    fn running_priority(&self) -> u32 {
        match self.ap0r | self.ap1r {
            0 => IDLE,
            active => active.trailing_zeros() * 8,
        }
    }

    /// The group whose interrupt runs.
    fn runs_group1(&self) -> bool {
        self.ap1r.trailing_zeros() < self.ap0r.trailing_zeros()
    }

    fn cbpr(&self) -> bool {
        self.ctlr & ctlr::CBPR != 0
    }

    /// The bits of a priority that count for preemption (4.8.5).
    fn group_mask(&self, group1: bool) -> u32 {
        let low_bits = if group1 && !self.cbpr() {
            self.bpr1
        } else {
            self.bpr0 + 1
        };
        0xff & 0xff << low_bits
    }

    /// Whether the interrupt is signalled to the CPU: above the mask, and above what runs by the present binary point.
    fn admits(&self, candidate: &Candidate) -> bool {
        let mask = self.group_mask(candidate.group1) | IDLE;
        candidate.priority < self.pmr.into() && candidate.priority & mask < self.running_priority() & mask
    }

    fn set_group(&mut self, bit: u32, value: u64) {
        self.groups = self.groups & !bit | if value & 1 != 0 { bit } else { 0 };
    }
}

/// Of interrupts `first_id ..` of a row, those in `ready`: the one to take.
fn best_of(row: &Row, mut ready: u32, first_id: u32) -> Option<Candidate> {
    let mut best: Option<Candidate> = None;
    while ready != 0 {
        let n = ready.trailing_zeros();
        ready &= ready - 1;
        let candidate = Candidate {
            id: first_id + n,
            priority: row.priority[n as usize].into(),
            group1: row.group >> n & 1 != 0,
        };
        if candidate.beats(best.as_ref()) {
            best = Some(candidate);
        }
    }
    best
}

impl GicV3 {
    /// Reads a CPU interface's register, with all that follows from it. Those that can only be written read as zero.
    pub fn icc_read(&mut self, cpu: usize, reg: Icc) -> u64 {
        if cpu >= self.cpus() {
            return 0;
        }
        let interface = &self.state.cpus[cpu].interface;
        match reg {
            Icc::Iar0 => self.acknowledge(cpu, false),
            Icc::Iar1 => self.acknowledge(cpu, true),
            Icc::Hppir0 => self.highest_pending(cpu, false),
            Icc::Hppir1 => self.highest_pending(cpu, true),
            Icc::Rpr => interface.running_priority().min(0xff).into(),
            Icc::Pmr => interface.pmr.into(),
            Icc::Bpr0 => interface.bpr0.into(),
            Icc::Bpr1 if interface.cbpr() => (interface.bpr0 + 1).min(7).into(),
            Icc::Bpr1 => interface.bpr1.into(),
            Icc::Ap0r => interface.ap0r.into(),
            Icc::Ap1r => interface.ap1r.into(),
            Icc::Ctlr => (interface.ctlr | ctlr::FIXED).into(),
            Icc::Sre => SRE,
            Icc::Igrpen0 => (interface.groups & 1).into(),
            Icc::Igrpen1 => (interface.groups >> 1).into(),
            Icc::Eoir0 | Icc::Eoir1 | Icc::Dir | Icc::Sgi0r | Icc::Sgi1r | Icc::Asgi1r => 0,
        }
    }

    /// Writes a CPU interface's register. Those that can only be read ignore it.
    pub fn icc_write(&mut self, cpu: usize, reg: Icc, value: u64) {
        if cpu >= self.cpus() {
            return;
        }
        let interface = &mut self.state.cpus[cpu].interface;
        match reg {
            Icc::Eoir0 => self.end_of_interrupt(cpu, value, false),
            Icc::Eoir1 => self.end_of_interrupt(cpu, value, true),
            Icc::Dir => self.deactivate_by_dir(cpu, value),
            Icc::Pmr => interface.pmr = value as u8 & PRIORITY,
            Icc::Bpr0 => interface.bpr0 = (value as u32 & 7).max(MIN_BPR0),
            Icc::Bpr1 if interface.cbpr() => {}
            Icc::Bpr1 => interface.bpr1 = (value as u32 & 7).max(MIN_BPR0 + 1),
            Icc::Ap0r => interface.ap0r = value as u32,
            Icc::Ap1r => interface.ap1r = value as u32,
            Icc::Ctlr => interface.ctlr = value as u32 & (ctlr::CBPR | ctlr::EOI_MODE),
            Icc::Igrpen0 => self.enable_group(cpu, 1, value),
            Icc::Igrpen1 => self.enable_group(cpu, 2, value),
            Icc::Sgi1r => self.send_sgi(cpu, value, true),
            // With one Security state, the other one's group 1 is what this one calls group 0.
            Icc::Sgi0r | Icc::Asgi1r => self.send_sgi(cpu, value, false),
            Icc::Iar0 | Icc::Iar1 | Icc::Hppir0 | Icc::Hppir1 | Icc::Rpr | Icc::Sre => {}
        }
        self.mark(cpu);
        self.update();
    }

    /// Whether a CPU takes part in what any CPU may take is others' business too.
    fn enable_group(&mut self, cpu: usize, bit: u32, value: u64) {
        self.state.cpus[cpu].interface.set_group(bit, value);
        self.mark_all();
    }

    /// The CPUs that take part in SPIs of a group (a bit as in GICD_CTLR) that any CPU may take (4.6.1).
    fn participants(&self, group: u32) -> u128 {
        let takes = |cpu: &super::Cpu| !cpu.asleep && cpu.interface.groups & group != 0 && cpu.declines & group == 0;
        let all = self.state.cpus.iter().enumerate();
        all.fold(0, |set, (n, cpu)| set | u128::from(takes(cpu)) << n)
    }

    /// Whether `cpu` is the one of the participants that takes an SPI. By their number they go to different ones.
    fn is_chosen(&self, cpu: usize, id: u32, group1: bool) -> bool {
        let participants = self.participants(if group1 { 2 } else { 1 });
        let before = participants & ((1 << cpu) - 1);
        let is_one = participants >> cpu & 1 != 0;
        is_one && before.count_ones() == id % participants.count_ones().max(1)
    }

    /// Which of SPIs `32 * (n + 1) ..`, of those in `ready`, are this CPU's to take.
    fn routed(&self, cpu: usize, n: usize, ready: u32) -> u32 {
        let (mut left, mut routed) = (ready, 0);
        while left != 0 {
            let bit = left & left.wrapping_neg();
            let k = left.trailing_zeros();
            left &= left - 1;
            let here = match self.targets[n][k as usize] {
                Target::Cpu(target) => cpu == usize::from(target),
                Target::Any => self.is_chosen(cpu, 32 * (n as u32 + 1) + k, self.state.spi[n].group & bit != 0),
                Target::Nobody => false,
            };
            routed |= if here { bit } else { 0 };
        }
        routed
    }

    /// The pending interrupt of highest priority for `cpu`, in the groups that distributor and CPU interface let through.
    fn candidate(&self, cpu: usize) -> Option<Candidate> {
        let this = &self.state.cpus[cpu];
        let groups = self.state.ctlr & this.interface.groups & GROUPS;
        if groups == 0 || this.asleep {
            return None;
        }
        let ready = this.private.ready(self.inputs[cpu], groups);
        let mut best = best_of(&this.private, ready, 0);
        for (n, row) in (0..SPI_ROWS).zip(self.state.spi.iter()) {
            let ready = row.ready(self.spi_input(n), groups);
            if ready == 0 {
                continue;
            }
            let candidate = best_of(row, self.routed(cpu, n, ready), 32 * (n as u32 + 1));
            best = candidate.filter(|one| one.beats(best.as_ref())).or(best);
        }
        let lpi = self.ready[cpu].first().filter(|_| groups & 2 != 0);
        let lpi = lpi.map(|&(priority, id)| Candidate {
            id,
            priority: priority.into(),
            group1: true,
        });
        lpi.filter(|one| one.beats(best.as_ref())).or(best)
    }

    /// Whether an interrupt may come to `cpu` (past the last: to none) as registers are: one is enabled, of a group that
    /// is let through, or LPIs are.
    pub fn may_interrupt(&self, cpu: usize) -> bool {
        if cpu >= self.cpus() {
            return false;
        }
        let this = &self.state.cpus[cpu];
        let groups = self.state.ctlr & this.interface.groups & GROUPS;
        let passes = |row: &Row| row.enabled & of_groups(row.group, groups) != 0;
        let any = passes(&this.private) || self.state.spi.iter().any(passes) || this.lpis.enabled && groups & 2 != 0;
        any && this.interface.pmr != 0 && !this.asleep
    }

    /// The candidate that the CPU interface signals.
    fn signalled(&self, cpu: usize) -> Option<Candidate> {
        let interface = &self.state.cpus[cpu].interface;
        self.candidate(cpu).filter(|candidate| interface.admits(candidate))
    }

    /// Levels of the CPU's IRQ and FIQ inputs.
    pub(super) fn signal(&self, cpu: usize) -> (bool, bool) {
        match self.signalled(cpu) {
            None => (false, false),
            Some(candidate) => (candidate.group1, !candidate.group1),
        }
    }

    /// ICC_IAR0_EL1 and ICC_IAR1_EL1: pending becomes active, the running priority rises to the interrupt's.
    fn acknowledge(&mut self, cpu: usize, group1: bool) -> u64 {
        let Some(candidate) = self.signalled(cpu).filter(|one| one.group1 == group1) else {
            return SPURIOUS.into();
        };
        let Candidate { id, priority, .. } = candidate;
        match self.row_of(cpu, id) {
            Some((row, bit)) => {
                row.latched &= !bit;
                row.active |= bit;
            }
            None => self.clear_lpi(cpu, id),
        }
        let interface = &mut self.state.cpus[cpu].interface;
        let level = 1 << ((priority & interface.group_mask(group1)) / 8);
        *(if group1 {
            &mut interface.ap1r
        } else {
            &mut interface.ap0r
        }) |= level;
        self.mark(cpu);
        self.update();
        id.into()
    }

    /// ICC_HPPIR0_EL1 and ICC_HPPIR1_EL1: neither the mask nor what runs matters.
    fn highest_pending(&self, cpu: usize, group1: bool) -> u64 {
        let candidate = self.candidate(cpu).filter(|one| one.group1 == group1);
        candidate.map_or(SPURIOUS, |one| one.id).into()
    }

    /// ICC_EOIR0_EL1 and ICC_EOIR1_EL1: drops the running priority and, in EOImode 0, deactivates. The priority that drops is
    /// the highest active one, whatever the number; where that is of the other group, or there is none, nothing happens.
    fn end_of_interrupt(&mut self, cpu: usize, value: u64, group1: bool) {
        let id = (value & INTID) as u32;
        let is_there = self.row_of(cpu, id).is_some() || (FIRST_LPI..1 << super::ID_BITS).contains(&id);
        let interface = &mut self.state.cpus[cpu].interface;
        if !is_there || interface.running_priority() == IDLE || interface.runs_group1() != group1 {
            return;
        }
        let active = if group1 {
            &mut interface.ap1r
        } else {
            &mut interface.ap0r
        };
        *active &= active.wrapping_sub(1);
        if interface.ctlr & ctlr::EOI_MODE == 0 {
            self.deactivate(cpu, id);
        }
    }

    /// ICC_DIR_EL1. In EOImode 0 a write is UNPREDICTABLE: ignored here.
    fn deactivate_by_dir(&mut self, cpu: usize, value: u64) {
        if self.state.cpus[cpu].interface.ctlr & ctlr::EOI_MODE != 0 {
            self.deactivate(cpu, (value & INTID) as u32);
        }
    }

    /// An LPI is never active.
    fn deactivate(&mut self, cpu: usize, id: u32) {
        if let Some((row, bit)) = self.row_of(cpu, id) {
            row.active &= !bit;
            if id >= 32 {
                self.mark_target(id as usize / 32 - 1, id as usize % 32);
            }
        }
    }

    /// ICC_SGI1R_EL1 and its like: Aff3 in bits 48 to 55, RS in 44 to 47, IRM in 40, Aff2 in 32 to 39, INTID in 24 to 27, Aff1 in
    /// 16 to 23, TargetList in 0 to 15. A CPU that has the interrupt in another group does not get it.
    fn send_sgi(&mut self, cpu: usize, value: u64, group1: bool) {
        let field = |at: u32, mask: u64| (value >> at & mask) as u32;
        let id = field(24, 0xf);
        let bit = 1 << id;
        let cluster = field(48, 0xff) << 16 | field(32, 0xff) << 8 | field(16, 0xff);
        let (range, list) = (field(44, 0xf), field(0, 0xffff));
        let to_others = field(40, 1) != 0;
        for (target, &affinity) in self.affinities.iter().enumerate() {
            let listed = affinity >> 8 == cluster && affinity >> 4 & 0xf == range && list >> (affinity & 0xf) & 1 != 0;
            let named = if to_others { target != cpu } else { listed };
            let row = &mut self.state.cpus[target].private;
            if named && (row.group & bit != 0) == group1 {
                row.latched |= bit;
                self.stale |= 1 << target;
            }
        }
    }
}
