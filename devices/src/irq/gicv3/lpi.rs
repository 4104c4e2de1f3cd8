//! LPIs, which each CPU's redistributor has: IHI 0069, chapter 5.1 (tables), sections 12.11.30 and 12.11.31.

use std::collections::{BTreeMap, BTreeSet};

use super::{FIRST_LPI, GicV3, ID_BITS, PRIORITY};
use crate::bus::{At, GuestMemory};
use serde::{Deserialize, Serialize};

/// GICR_PROPBASER and GICR_PENDBASER: what can be written, cacheability, shareability and address; and of the first, how
/// many bits numbers have.
const PROPBASER: u64 = 7 << 56 | 0x000f_ffff_ffff_f000 | 0x0f80 | PROPBASER_ID_BITS;
const PROPBASER_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PROPBASER_ID_BITS: u64 = 0x1f;
const PENDBASER: u64 = PENDBASER_PTZ | 7 << 56 | PENDBASER_ADDRESS | 0x0f80;
const PENDBASER_ADDRESS: u64 = 0x000f_ffff_ffff_0000;
/// The pending table is zero. Reads as zero.
const PENDBASER_PTZ: u64 = 1 << 62;
/// Configuration: the interrupt is enabled.
const ENABLED: u8 = 1;

/// What a redistributor knows about LPIs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Lpis {
    /// GICR_CTLR.EnableLPIs, which stays once it is set.
    pub(super) enabled: bool,
    pub(super) propbaser: u64,
    pendbaser: u64,
    /// Those that are pending, with their bytes of the configuration table as last read.
    pending: BTreeMap<u32, u8>,
}

impl Lpis {
    /// Whether it can be.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let range = FIRST_LPI..1 << ID_BITS;
        match self.pending.keys().all(|id| range.contains(id)) {
            true => Ok(()),
            false => Err("a pending LPI that is none"),
        }
    }

    /// Priority and number of those that are pending and enabled.
    pub(super) fn ready(&self) -> BTreeSet<(u8, u32)> {
        let pending = self.pending.iter();
        pending.filter_map(|(&id, &config)| place(id, config)).collect()
    }

    pub(super) fn pendbaser(&self) -> u64 {
        self.pendbaser & !PENDBASER_PTZ
    }

    /// The tables stay where they are while they are in use.
    pub(super) fn set_propbaser(&mut self, at: At, value: u64) {
        if !self.enabled {
            self.propbaser = at.merge(self.propbaser, value) & PROPBASER;
        }
    }

    pub(super) fn set_pendbaser(&mut self, at: At, value: u64) {
        if !self.enabled {
            self.pendbaser = at.merge(self.pendbaser, value) & PENDBASER;
        }
    }

    /// The first number that has no configuration.
    fn end(&self) -> u32 {
        let bits = (self.propbaser & PROPBASER_ID_BITS) as u32 + 1;
        1 << bits.min(ID_BITS)
    }

    /// Whether an LPI of this number is taken.
    fn takes(&self, id: u32) -> bool {
        self.enabled && (FIRST_LPI..self.end()).contains(&id)
    }

    /// An LPI's byte of the configuration table; one that cannot be read says that it is disabled.
    fn config(&self, memory: &dyn GuestMemory, id: u32) -> u8 {
        let mut byte = [0];
        let address = (self.propbaser & PROPBASER_ADDRESS) + u64::from(id - FIRST_LPI);
        let read = memory.read(address, &mut byte);
        read.map_or(0, |()| byte[0])
    }

    /// The same of many: those of all pending ones, in one read.
    fn configs(&self, memory: &dyn GuestMemory) -> Vec<u8> {
        let mut all = vec![0; self.end().saturating_sub(FIRST_LPI) as usize];
        // A table that is not all there is read byte by byte.
        if memory.read(self.propbaser & PROPBASER_ADDRESS, &mut all).is_err() {
            let ids = FIRST_LPI..;
            all.iter_mut()
                .zip(ids)
                .for_each(|(byte, id)| *byte = self.config(memory, id));
        }
        all
    }
}

/// Where a pending LPI is among those that can be signalled.
fn place(id: u32, config: u8) -> Option<(u8, u32)> {
    (config & ENABLED != 0).then_some((config & PRIORITY, id))
}

impl GicV3 {
    /// GICR_CTLR.EnableLPIs is set: what the pending table says is pending, unless the table is said to be zero.
    pub(super) fn enable_lpis(&mut self, cpu: usize) {
        let lpis = &mut self.state.cpus[cpu].lpis;
        if std::mem::replace(&mut lpis.enabled, true) || lpis.pendbaser & PENDBASER_PTZ != 0 {
            return;
        }
        let Some(memory) = &self.memory else { return };
        let mut table = vec![0; (lpis.end() / 8) as usize];
        if memory.read(lpis.pendbaser & PENDBASER_ADDRESS, &mut table).is_err() {
            return;
        }
        let bits = table.iter().zip((0..).step_by(8));
        let set = bits.flat_map(|(byte, first)| (0..8).filter(move |n| byte >> n & 1 != 0).map(move |n| first + n));
        lpis.pending.extend(set.filter(|id| *id >= FIRST_LPI).map(|id| (id, 0)));
        self.invalidate_lpis(cpu);
    }

    /// An LPI becomes pending.
    pub(super) fn set_lpi(&mut self, cpu: usize, id: u32) {
        let Some(memory) = self.memory.as_deref().filter(|_| cpu < self.affinities.len()) else {
            return;
        };
        let lpis = &mut self.state.cpus[cpu].lpis;
        if !lpis.takes(id) || lpis.pending.contains_key(&id) {
            return;
        }
        let config = lpis.config(memory, id);
        lpis.pending.insert(id, config);
        self.ready[cpu].extend(place(id, config));
        self.mark(cpu);
    }

    /// An LPI is no longer pending.
    pub(super) fn clear_lpi(&mut self, cpu: usize, id: u32) {
        if cpu >= self.cpus() {
            return;
        }
        if let Some(config) = self.state.cpus[cpu].lpis.pending.remove(&id) {
            self.ready[cpu].remove(&(config & PRIORITY, id));
            self.mark(cpu);
        }
    }

    /// An LPI's configuration has changed.
    pub(super) fn invalidate_lpi(&mut self, cpu: usize, id: u32) {
        if cpu < self.cpus() && self.state.cpus[cpu].lpis.pending.contains_key(&id) {
            self.clear_lpi(cpu, id);
            self.set_lpi(cpu, id);
        }
    }

    /// That of any may have changed.
    pub(super) fn invalidate_lpis(&mut self, cpu: usize) {
        let Some(memory) = self.memory.as_deref().filter(|_| cpu < self.affinities.len()) else {
            return;
        };
        let lpis = &mut self.state.cpus[cpu].lpis;
        if lpis.pending.is_empty() {
            return;
        }
        let configs = lpis.configs(memory);
        for (id, config) in &mut lpis.pending {
            *config = configs.get((id - FIRST_LPI) as usize).copied().unwrap_or(0);
        }
        self.ready[cpu] = lpis.ready();
        self.mark(cpu);
    }

    /// Whether an LPI is pending.
    pub(super) fn is_pending(&self, cpu: usize, id: u32) -> bool {
        cpu < self.cpus() && self.state.cpus[cpu].lpis.pending.contains_key(&id)
    }

    /// Every LPI that is pending at one CPU becomes pending at another instead.
    pub(super) fn move_lpis(&mut self, from: usize, to: usize) {
        if from == to || from >= self.cpus() || to >= self.cpus() || !self.state.cpus[to].lpis.enabled {
            return;
        }
        let moved = std::mem::take(&mut self.state.cpus[from].lpis.pending);
        let lpis = &mut self.state.cpus[to].lpis;
        lpis.pending.extend(moved);
        self.ready[to] = lpis.ready();
        self.ready[from].clear();
        self.mark(from);
        self.mark(to);
    }
}
