//! isa-debug-exit, the port of QEMU's PC boards by which a guest ends the run.

use crate::bus::misuse::{self, Misuse};
use crate::bus::{Access, Device, Format, LoadError, Saved, Shared, Wiring};

const MODEL: &str = "isa-debug-exit";
const FORMAT: Format = Format::first(MODEL);

/// Ends the run with a status. Called with the device locked: it is a leaf, which tells somebody and returns.
pub type Exit = Box<dyn Fn(u8) + Send + Sync>;

/// The port; it has no state.
pub struct IsaDebugExit {
    size: u64,
    exit: Exit,
}

impl IsaDebugExit {
    /// A port of `size` bytes (`iosize`: 4 where QEMU is not told otherwise). What a guest writes there, `v`, ends the run
    /// with the low byte of `v << 1 | 1` as its status.
    pub fn new(wiring: &std::sync::Arc<Wiring>, size: u64, exit: Exit) -> Shared<IsaDebugExit> {
        Shared::new(wiring, IsaDebugExit { size, exit })
    }

    fn covers(&self, access: Access) -> bool {
        let fits = |end| end <= self.size;
        matches!(access.size, 1 | 2 | 4) && access.offset.checked_add(access.size.into()).is_some_and(fits)
    }
}

impl Device for IsaDebugExit {
    fn model(&self) -> &'static str {
        MODEL
    }

    fn read(&mut self, access: Access) -> u64 {
        if !self.covers(access) {
            misuse::report(MODEL, Misuse::ReadNothing, access.offset, 0);
        }
        0
    }

    fn write(&mut self, access: Access, value: u64) {
        match self.covers(access) {
            // What is above the access's width falls out of the status, too, but for the width of one byte.
            true => (self.exit)((value as u8) << 1 | 1),
            false => misuse::report(MODEL, Misuse::WriteNothing, access.offset, value),
        }
    }

    fn reset(&mut self) {}

    fn save(&mut self) -> Saved {
        Saved::new(&FORMAT, &())
    }

    fn load(&mut self, saved: &Saved) -> Result<(), LoadError> {
        saved.state::<()>(&FORMAT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::fuzz;
    use std::sync::{Arc, Mutex};

    fn bench(size: u64) -> (Shared<IsaDebugExit>, Arc<Mutex<Vec<u8>>>) {
        let ends = Arc::new(Mutex::new(Vec::new()));
        let told = ends.clone();
        let exit = Box::new(move |status| told.lock().unwrap().push(status));
        (IsaDebugExit::new(&Wiring::new(), size, exit), ends)
    }

    #[test]
    fn what_is_written_is_the_status_doubled_and_one() {
        let (port, ends) = bench(4);

        for (size, value) in [(1, 0), (1, 0x10), (2, 0x7f), (4, 0x1ff), (1, 0xff)] {
            port.write(Access::new(0, size), value);
        }
        port.write(Access::new(3, 1), 1);

        assert_eq!(*ends.lock().unwrap(), [1, 0x21, 0xff, 0xff, 0xff, 3]);
    }

    #[test]
    fn it_is_as_wide_as_it_is_told() {
        let (port, ends) = bench(2);

        for (offset, size) in [(2, 1), (1, 2), (0, 4), (0, 3), (0, 0), (u64::MAX, 1)] {
            port.write(Access::new(offset, size), 1);
        }
        assert!(ends.lock().unwrap().is_empty());
        port.write(Access::new(0, 2), 1);

        assert_eq!(*ends.lock().unwrap(), [3]);
    }

    #[test]
    fn it_reads_as_zero_and_ends_nothing() {
        let (port, ends) = bench(4);

        assert_eq!(port.read(Access::new(0, 4)), 0);
        port.reset();

        assert!(ends.lock().unwrap().is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
    fn any_access_is_survived() {
        for seed in 0..2 {
            let ((port, _), (other, _)) = (bench(4), bench(4));
            port.with(|port| other.with(|other| fuzz::registers(seed, port, other, &[0, 1, 3], 8, |_, _| {})));
        }
    }
}
