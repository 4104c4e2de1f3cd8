//! Guest misuse of a device: logged once for each device model, kind and place, so that a guest cannot flood the log.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What the guest did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Misuse {
    /// Read where there is no register. Reads as zero.
    ReadNothing,
    /// Wrote where there is no register. Ignored.
    WriteNothing,
    /// Read a write-only register. Reads as zero.
    ReadWriteOnly,
    /// Wrote a read-only register. Ignored.
    WriteReadOnly,
    /// A size or alignment the device does not take. Reads as zero, writes are ignored.
    BadSize,
    /// A value, or an order of steps, that the manual forbids; the device says what it did instead.
    BadValue(&'static str),
}

/// Distinct places that are logged before the log falls silent.
const LIMIT: usize = 256;

type Report = (&'static str, Misuse, u64);

/// The places seen so far. Shared by all devices of the process: it only thins a log.
static SEEN: Mutex<Option<HashSet<Report>>> = Mutex::new(None);

/// Whether the log has fallen silent: then a guest that goes on costs its own CPU's time only.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Logs that the guest misused `model` at `offset`; `value` is what it wrote (0 for reads).
///
/// A place is logged once, whatever the value, and after 256 distinct places nothing more is.
#[cold]
pub fn report(model: &'static str, misuse: Misuse, offset: u64, value: u64) {
    if SILENT.load(Ordering::Relaxed) {
        return;
    }
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = seen.get_or_insert_default();
    if !admit(seen, (model, misuse, offset)) {
        return;
    }
    tracing::warn!(target: "guest", "{model}+{offset:#x}: {misuse:?} (value {value:#x}); further ones are not logged");
    if seen.len() == LIMIT {
        SILENT.store(true, Ordering::Relaxed);
        tracing::warn!(target: "guest", "{LIMIT} kinds of device misuse logged; no more will be");
    }
}

/// Whether `place` is to be logged; remembers it.
fn admit(seen: &mut HashSet<Report>, place: Report) -> bool {
    seen.len() < LIMIT && seen.insert(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_logged_once() {
        let mut seen = HashSet::new();

        let logged = [0, 0, 4, 0].map(|offset| admit(&mut seen, ("chip", Misuse::BadSize, offset)));

        assert_eq!(logged, [true, false, true, false]);
    }

    #[test]
    fn a_flood_of_places_ends() {
        let mut seen = HashSet::new();

        let logged = (0..4 * LIMIT as u64)
            .filter(|&offset| admit(&mut seen, ("chip", Misuse::ReadNothing, offset)))
            .count();

        assert_eq!(logged, LIMIT);
    }
}
