//! The device trait and the handle a device is shared by.

use super::saved::{LoadError, Saved};
use super::{Controller, Wiring};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// One access to a device's registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Bytes from the start of the device's registers.
    pub offset: u64,
    /// Bytes: 1, 2, 4 or 8. Devices answer other sizes as misuse.
    pub size: u8,
    /// Number of the vCPU that makes the access (0 for a debugger or the monitor); banked registers depend on it.
    pub cpu: usize,
}

impl Access {
    /// An access by vCPU 0.
    pub const fn new(offset: u64, size: u8) -> Access {
        Access { offset, size, cpu: 0 }
    }

    /// The same access by vCPU `cpu`.
    pub const fn by(self, cpu: usize) -> Access {
        Access { cpu, ..self }
    }
}

/// An emulated device on a bus. All calls take any argument: what the manual does not define is logged
/// ([`misuse`](super::misuse)), reads as zero and is ignored on writes.
pub trait Device: Send {
    /// Model name, as in the board table and in snapshots.
    fn model(&self) -> &'static str;
    /// Reads; the value is in the low `size` bytes, the rest is zero.
    fn read(&mut self, access: Access) -> u64;
    /// Writes the low `size` bytes of `value`.
    fn write(&mut self, access: Access, value: u64);
    /// Cold reset: state as at power-on, outputs recomputed.
    fn reset(&mut self);
    /// State for a snapshot.
    fn save(&mut self) -> Saved;
    /// Restores a saved state and recomputes the outputs. An interrupt controller is loaded after the devices that
    /// drive it.
    ///
    /// # Errors
    /// [`LoadError`]; the device is then unchanged.
    fn load(&mut self, saved: &Saved) -> Result<(), LoadError>;
}

/// A device that several threads use: vCPUs through the bus, host threads through closures.
///
/// After every use, once the device is unlocked again, the interrupt controllers take in what it did to its lines.
pub struct Shared<D: ?Sized> {
    device: Arc<Mutex<D>>,
    wiring: Arc<Wiring>,
}

/// A [`Shared`] that does not keep the device alive, for what the device itself owns: timers, backend callbacks.
pub struct WeakShared<D: ?Sized> {
    device: Weak<Mutex<D>>,
    wiring: Arc<Wiring>,
}

impl<D> Shared<D> {
    /// Shares `device`, whose lines belong to `wiring`.
    pub fn new(wiring: &Arc<Wiring>, device: D) -> Shared<D> {
        Shared {
            device: Arc::new(Mutex::new(device)),
            wiring: wiring.clone(),
        }
    }

    /// Shares a device that needs a handle of itself (for its timers or its backend). The handle given to `build` does
    /// not upgrade before this returns.
    pub fn new_cyclic(wiring: &Arc<Wiring>, build: impl FnOnce(WeakShared<D>) -> D) -> Shared<D> {
        let device = Arc::new_cyclic(|weak: &Weak<Mutex<D>>| {
            Mutex::new(build(WeakShared {
                device: weak.clone(),
                wiring: wiring.clone(),
            }))
        });
        Shared {
            device,
            wiring: wiring.clone(),
        }
    }
}

impl<D: Device + 'static> Shared<D> {
    /// The same device, its type forgotten.
    pub fn erase(&self) -> Shared<dyn Device> {
        Shared {
            device: self.device.clone(),
            wiring: self.wiring.clone(),
        }
    }
}

impl<D: Controller + 'static> Shared<D> {
    /// The same device as an interrupt controller, for [`Wiring::connect`].
    pub fn controller(&self) -> Weak<Mutex<dyn Controller>> {
        let controller: Arc<Mutex<dyn Controller>> = self.device.clone();
        Arc::downgrade(&controller)
    }
}

impl<D: ?Sized> Shared<D> {
    /// Runs `use_it` on the locked device, unlocks it, and lets interrupt controllers react. `use_it` must not use
    /// another shared device.
    pub fn with<R>(&self, use_it: impl FnOnce(&mut D) -> R) -> R {
        let result = use_it(&mut self.lock());
        self.wiring.settle();
        result
    }

    /// A handle that does not keep the device alive.
    pub fn downgrade(&self) -> WeakShared<D> {
        WeakShared {
            device: Arc::downgrade(&self.device),
            wiring: self.wiring.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, D> {
        // A panic elsewhere does not make plain state unusable: the machine still has to be stopped and restored.
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Device + ?Sized> Shared<D> {
    /// [`Device::model`].
    pub fn model(&self) -> &'static str {
        self.lock().model()
    }

    /// [`Device::read`].
    pub fn read(&self, access: Access) -> u64 {
        self.with(|device| device.read(access))
    }

    /// [`Device::write`].
    pub fn write(&self, access: Access, value: u64) {
        self.with(|device| device.write(access, value))
    }

    /// [`Device::reset`].
    pub fn reset(&self) {
        self.with(D::reset)
    }

    /// [`Device::save`].
    pub fn save(&self) -> Saved {
        self.lock().save()
    }

    /// [`Device::load`].
    ///
    /// # Errors
    /// [`LoadError`]; the device is then unchanged.
    pub fn load(&self, saved: &Saved) -> Result<(), LoadError> {
        self.with(|device| device.load(saved))
    }
}

impl<D: ?Sized> WeakShared<D> {
    /// The device, while it exists.
    pub fn upgrade(&self) -> Option<Shared<D>> {
        Some(Shared {
            device: self.device.upgrade()?,
            wiring: self.wiring.clone(),
        })
    }

    /// [`Shared::with`], while the device exists.
    pub fn with<R>(&self, use_it: impl FnOnce(&mut D) -> R) -> Option<R> {
        Some(self.upgrade()?.with(use_it))
    }
}

impl<D: ?Sized> Clone for Shared<D> {
    fn clone(&self) -> Self {
        Shared {
            device: self.device.clone(),
            wiring: self.wiring.clone(),
        }
    }
}

impl<D: ?Sized> Clone for WeakShared<D> {
    fn clone(&self) -> Self {
        WeakShared {
            device: self.device.clone(),
            wiring: self.wiring.clone(),
        }
    }
}
