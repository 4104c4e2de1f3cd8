//! Guest memory as bus-mastering devices see it: by guest-physical address.

use super::order::order_with_guest;
use super::ram::{Ram, Word};
use std::sync::Arc;

/// An access outside guest RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guest-physical {address:#x}, {length} bytes: not RAM")]
pub struct OutOfRange {
    /// First byte of the access.
    pub address: u64,
    /// Bytes.
    pub length: u64,
}

/// Hears of every write to guest RAM that a device makes, so that translated code can be invalidated.
///
/// Called on the writing thread, after the bytes are in RAM, possibly with a device locked: it must be a leaf (mark
/// pages in a bitmap, queue the range under a lock of its own) and must not access a device.
pub trait RamWatch: Send + Sync {
    /// `length` bytes (at least 1) from guest-physical `address` have been written.
    fn written(&self, address: u64, length: u64);
}

/// Guest RAM by guest-physical address, for devices that read and write it themselves.
///
/// All of an access is done, or nothing is. Bytes are copied without locks: a guest that changes them meanwhile gets a
/// mixture, never a torn aligned word.
pub trait GuestMemory: Send + Sync {
    /// Fills `out` from `address` on.
    ///
    /// # Errors
    /// [`OutOfRange`] where any byte is not RAM; `out` is then unchanged.
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), OutOfRange>;

    /// Writes `data` to `address` on.
    ///
    /// # Errors
    /// [`OutOfRange`] where any byte is not RAM; nothing is then written.
    fn write(&self, address: u64, data: &[u8]) -> Result<(), OutOfRange>;

    /// Whether all `length` bytes from `address` are RAM.
    fn contains(&self, address: u64, length: u64) -> bool;

    /// Little-endian 16 bits, in one access where aligned.
    ///
    /// # Errors
    /// [`OutOfRange`].
    fn load_u16(&self, address: u64) -> Result<u16, OutOfRange>;

    /// Stores little-endian 16 bits, in one access where aligned.
    ///
    /// # Errors
    /// [`OutOfRange`].
    fn store_u16(&self, address: u64, value: u16) -> Result<(), OutOfRange>;

    /// Orders this thread's accesses, those before and those after, for every CPU of the guest that has a barrier of its
    /// own where it does the same: of two that write and then look, one sees the other's write.
    fn order(&self);
}

/// A RAM block mapped at a guest-physical base.
#[derive(Clone)]
pub struct RamWindow {
    base: u64,
    ram: Arc<Ram>,
    watch: Option<Arc<dyn RamWatch>>,
    /// Whether a CPU may run alone, without barriers.
    alone: bool,
}

impl RamWindow {
    /// `ram` at guest-physical `base`; `watch` hears of the writes.
    pub fn new(base: u64, ram: Arc<Ram>, watch: Option<Arc<dyn RamWatch>>) -> RamWindow {
        RamWindow {
            base,
            ram,
            watch,
            alone: true,
        }
    }

    /// The same for a guest with so many CPUs. The barriers of one that runs alone do nothing, which [`order`] makes up
    /// for at some cost.
    ///
    /// [`order`]: GuestMemory::order
    pub fn among(self, cpus: usize) -> RamWindow {
        RamWindow {
            alone: cpus <= 1,
            ..self
        }
    }

    /// Offset into the block.
    fn offset(&self, address: u64, length: u64) -> Result<u64, OutOfRange> {
        let offset = address.checked_sub(self.base);
        offset
            .filter(|&o| self.ram.contains(o, length))
            .ok_or(OutOfRange { address, length })
    }

    fn written(&self, address: u64, length: u64) {
        if let Some(watch) = &self.watch
            && length != 0
        {
            watch.written(address, length);
        }
    }

    fn load<W: Word>(&self, address: u64) -> Result<W, OutOfRange> {
        let length = size_of::<W>() as u64;
        let offset = self.offset(address, length)?;
        self.ram.load(offset).ok_or(OutOfRange { address, length })
    }

    fn store<W: Word>(&self, address: u64, value: W) -> Result<(), OutOfRange> {
        let length = size_of::<W>() as u64;
        let offset = self.offset(address, length)?;
        self.ram.store(offset, value).ok_or(OutOfRange { address, length })?;
        self.written(address, length);
        Ok(())
    }
}

impl GuestMemory for RamWindow {
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), OutOfRange> {
        let length = out.len() as u64;
        let offset = self.offset(address, length)?;
        self.ram.copy_out(offset, out).ok_or(OutOfRange { address, length })
    }

    fn write(&self, address: u64, data: &[u8]) -> Result<(), OutOfRange> {
        let length = data.len() as u64;
        let offset = self.offset(address, length)?;
        self.ram.copy_in(offset, data).ok_or(OutOfRange { address, length })?;
        self.written(address, length);
        Ok(())
    }

    fn contains(&self, address: u64, length: u64) -> bool {
        self.offset(address, length).is_ok()
    }

    fn load_u16(&self, address: u64) -> Result<u16, OutOfRange> {
        self.load(address).map(u16::from_le)
    }

    fn store_u16(&self, address: u64, value: u16) -> Result<(), OutOfRange> {
        self.store(address, value.to_le())
    }

    fn order(&self) {
        order_with_guest(self.alone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Log(Mutex<Vec<(u64, u64)>>);

    impl RamWatch for Log {
        fn written(&self, address: u64, length: u64) {
            self.0.lock().unwrap().push((address, length));
        }
    }

    #[test]
    fn writes_are_seen_by_the_watch_and_refused_ones_are_not() {
        let log = Arc::new(Log::default());
        let window = RamWindow::new(0x4000_0000, Arc::new(Ram::new(0x1000).unwrap()), Some(log.clone()));

        window.write(0x4000_0ffd, &[1, 2, 3]).unwrap();
        window.store_u16(0x4000_0010, 0x1234).unwrap();
        window.write(0x4000_0020, &[]).unwrap();
        assert!(window.write(0x4000_0ffd, &[0; 4]).is_err());
        assert!(window.store_u16(0x3fff_ffff, 0).is_err());

        assert_eq!(*log.0.lock().unwrap(), [(0x4000_0ffd, 3), (0x4000_0010, 2)]);
        let mut back = [0; 3];
        window.read(0x4000_0ffd, &mut back).unwrap();
        assert_eq!(back, [1, 2, 3]);
        assert_eq!(window.load_u16(0x4000_0010), Ok(0x1234));
    }

    #[test]
    fn ranges_that_wrap_are_refused() {
        let window = RamWindow::new(0x1000, Arc::new(Ram::new(0x1000).unwrap()), None);

        assert!(!window.contains(u64::MAX, 2));
        assert!(!window.contains(0x1fff, u64::MAX));
        assert!(!window.contains(0, 1));
        assert!(window.contains(0x1000, 0x1000));
    }
}
