//! The CPU interfaces: IHI 0048B, section 4.4; priorities and preemption: section 3.3.

use crate::bus::Bank;

use super::{GicV2, IDLE, Interface, MAX_CPUS, OTHER_GROUP, Row, SGIS, SPI_ROWS, SPURIOUS};
use crate::irq::fields::of_groups;

/// GICC_IIDR: a GICv2 of Arm's.
pub(super) const IIDR: u32 = 0x0002_043b;

/// GICC_CTLR.
pub(super) mod ctlr {
    /// Enable group 0 and group 1: as in GICD_CTLR.
    pub const GROUPS: u32 = 3;
    /// GICC_IAR acknowledges group 1 too.
    pub const ACK_CTL: u32 = 1 << 2;
    /// Group 0 is signalled as FIQ.
    pub const FIQ_EN: u32 = 1 << 3;
    /// GICC_BPR serves both groups.
    pub const CBPR: u32 = 1 << 4;
    /// End of interrupt only drops the priority; GICC_DIR deactivates.
    pub const EOI_MODE: u32 = 1 << 9;
    /// The bits there are (5 to 8, bypass disable, are stored: there is nothing to bypass to).
    pub const ALL: u32 = 0x3ff;
}

/// The pending interrupt of highest priority.
#[derive(Clone, Copy)]
struct Candidate {
    id: u32,
    priority: u32,
    group1: bool,
}

impl Interface {
    /// The priority that another interrupt must exceed: [`IDLE`] when none is active.
    pub(super) fn running_priority(&self) -> u32 {
        let words = self.apr.iter().zip(self.nsapr.iter()).map(|(a, b)| a | b);
        match words.enumerate().find(|(_, word)| *word != 0) {
            Some((n, word)) => (32 * n as u32 + word.trailing_zeros()) * 2,
            None => IDLE,
        }
    }

    /// The bits of a priority that count for preemption (3.3.3).
    fn group_mask(&self, group1: bool) -> u32 {
        let low_bits = if group1 && self.ctlr & ctlr::CBPR == 0 {
            self.abpr
        } else {
            self.bpr + 1
        };
        0xff & 0xff << low_bits
    }

    /// The active priorities of a group.
    fn active(&mut self, group1: bool) -> &mut Bank<u32, 4> {
        if group1 { &mut self.nsapr } else { &mut self.apr }
    }

    /// Whether the interrupt is signalled to the CPU: above the mask, and above what runs by the present binary point.
    fn admits(&self, candidate: &Candidate) -> bool {
        let mask = self.group_mask(candidate.group1) | IDLE;
        candidate.priority < self.pmr && candidate.priority & mask < self.running_priority() & mask
    }
}

impl GicV2 {
    /// The pending interrupt of highest priority for `cpu` in `groups` (bits as in GICD_CTLR), the lowest id winning
    /// among equals.
    fn candidate(&self, cpu: usize, groups: u32) -> Option<Candidate> {
        let mut best: Option<Candidate> = None;
        let groups = groups & self.state.ctlr;
        if groups == 0 {
            return None;
        }
        let mut consider = |row: &Row, input: u32, first_id: u32, target: u8| {
            let mut ready = (row.latched | input & !row.edge) & row.enabled & !row.active;
            if ready == 0 {
                return;
            }
            ready &= of_groups(row.group, groups);
            while ready != 0 {
                let n = ready.trailing_zeros();
                ready &= ready - 1;
                let priority = row.priority[n as usize].into();
                let goes_here = target == 0 || row.targets[n as usize] & target != 0;
                if goes_here && best.is_none_or(|best| priority < best.priority) {
                    best = Some(Candidate {
                        id: first_id + n,
                        priority,
                        group1: row.group >> n & 1 != 0,
                    });
                }
            }
        };
        consider(&self.state.private[cpu], self.inputs[cpu], 0, 0);
        let target = if self.cpus == 1 { 0 } else { 1 << cpu };
        for n in 0..SPI_ROWS {
            consider(
                &self.state.spi[n],
                self.inputs[MAX_CPUS + n],
                32 * (n as u32 + 1),
                target,
            );
        }
        best
    }

    /// Whether an interrupt may come to `cpu` (past the last: to none) as registers are: one is enabled, of a group that
    /// is let through.
    pub fn may_interrupt(&self, cpu: usize) -> bool {
        if cpu >= self.cpus {
            return false;
        }
        let interface = &self.state.interface[cpu];
        let groups = self.state.ctlr & interface.ctlr & ctlr::GROUPS;
        let passes = |row: &Row| row.enabled & of_groups(row.group, groups) != 0;
        interface.pmr != 0 && (passes(&self.state.private[cpu]) || self.state.spi.iter().any(passes))
    }

    /// The candidate that the CPU interface signals.
    fn signalled(&self, cpu: usize) -> Option<Candidate> {
        let interface = &self.state.interface[cpu];
        self.candidate(cpu, interface.ctlr & ctlr::GROUPS)
            .filter(|candidate| interface.admits(candidate))
    }

    /// Levels of the CPU's IRQ and FIQ inputs.
    pub(super) fn signal(&self, cpu: usize) -> (bool, bool) {
        match self.signalled(cpu) {
            None => (false, false),
            Some(candidate) => {
                let fiq = !candidate.group1 && self.state.interface[cpu].ctlr & ctlr::FIQ_EN != 0;
                (!fiq, fiq)
            }
        }
    }

    /// GICC_IAR.
    pub(super) fn acknowledge(&mut self, cpu: usize) -> u32 {
        match self.signalled(cpu) {
            None => SPURIOUS,
            Some(c) if c.group1 && self.state.interface[cpu].ctlr & ctlr::ACK_CTL == 0 => OTHER_GROUP,
            Some(c) => self.activate(cpu, c),
        }
    }

    /// GICC_AIAR.
    pub(super) fn acknowledge_group1(&mut self, cpu: usize) -> u32 {
        match self.signalled(cpu) {
            Some(c) if c.group1 => self.activate(cpu, c),
            _ => SPURIOUS,
        }
    }

    /// GICC_HPPIR: neither the mask nor what runs matters.
    pub(super) fn highest_pending(&self, cpu: usize) -> u32 {
        match self.candidate(cpu, ctlr::GROUPS) {
            None => SPURIOUS,
            Some(c) if c.group1 && self.state.interface[cpu].ctlr & ctlr::ACK_CTL == 0 => OTHER_GROUP,
            Some(c) => self.with_sender(cpu, c.id),
        }
    }

    /// GICC_AHPPIR.
    pub(super) fn highest_pending_group1(&self, cpu: usize) -> u32 {
        match self.candidate(cpu, ctlr::GROUPS) {
            Some(c) if c.group1 => self.with_sender(cpu, c.id),
            _ => SPURIOUS,
        }
    }

    /// The interrupt id, for an SGI with the CPU that sent it in bits 10 to 12 (the lowest of several).
    fn with_sender(&self, cpu: usize, id: u32) -> u32 {
        match id {
            0..16 => id | self.state.sgi[cpu][id as usize].trailing_zeros() << 10,
            _ => id,
        }
    }

    /// Pending becomes active; the running priority rises to the interrupt's.
    fn activate(&mut self, cpu: usize, candidate: Candidate) -> u32 {
        let Candidate { id, priority, group1 } = candidate;
        let answer = self.with_sender(cpu, id);
        let (n, bit) = GicV2::place(id);
        let mut still_sent = 0;
        if bit & SGIS != 0 && n == 0 {
            let sources = &mut self.state.sgi[cpu][id as usize];
            *sources &= sources.wrapping_sub(1);
            still_sent = if *sources != 0 { bit } else { 0 };
        }
        if let Some(row) = self.row(cpu, n) {
            row.latched = row.latched & !bit | still_sent;
            row.active |= bit;
        }
        let interface = &mut self.state.interface[cpu];
        let level = (priority & interface.group_mask(group1)) / 2;
        interface.active(group1)[level as usize / 32] |= 1 << (level % 32);
        answer
    }

    /// GICC_EOIR and GICC_AEOIR: drops the running priority and, in EOImode 0, deactivates.
    pub(super) fn end_of_interrupt(&mut self, cpu: usize, value: u32) {
        let (n, bit) = GicV2::place(value & 0x3ff);
        let Some(row) = self.row(cpu, n) else { return };
        let group1 = row.group & bit != 0;
        let interface = &mut self.state.interface[cpu];
        if let Some(word) = interface.active(group1).iter_mut().find(|word| **word != 0) {
            *word &= *word - 1;
        }
        if interface.ctlr & ctlr::EOI_MODE == 0
            && let Some(row) = self.row(cpu, n)
        {
            row.active &= !bit;
        }
    }

    /// GICC_DIR. In EOImode 0 a write is UNPREDICTABLE: ignored here.
    pub(super) fn deactivate(&mut self, cpu: usize, value: u32) {
        if self.state.interface[cpu].ctlr & ctlr::EOI_MODE == 0 {
            return;
        }
        let (n, bit) = GicV2::place(value & 0x3ff);
        if let Some(row) = self.row(cpu, n) {
            row.active &= !bit;
        }
    }
}
