//! Order between a device's accesses to guest memory and the guest's own.

use rustix::thread::{MembarrierCommand, membarrier};
use std::sync::LazyLock;
use std::sync::atomic::{Ordering, fence};

/// Whether the host can make other threads' accesses take effect (membarrier(2), Linux 4.14).
static EXPEDITED: LazyLock<bool> =
    LazyLock::new(|| !cfg!(miri) && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok());

/// A full barrier for this thread. If a CPU may run `alone`, one for it too, at the instruction it is at: what a device has
/// stored before is seen by the guest's later loads, or what the guest has stored before is seen by the device's later
/// loads.
///
/// A CPU that runs alone executes the guest's barriers as nothing, as they are for other CPUs; a device that works on its
/// own thread asks for the order that it needs here, where it is needed rarely.
pub fn order_with_guest(alone: bool) {
    fence(Ordering::SeqCst);
    if alone && *EXPEDITED && membarrier(MembarrierCommand::PrivateExpedited).is_ok() {
        fence(Ordering::SeqCst);
    }
}
