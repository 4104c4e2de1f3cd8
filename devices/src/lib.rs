//! Hardware models, one file a chip.
//!
//! `bus/` is what a device may see of the rest of the machine: the [`Device`](bus::Device) trait, register maps,
//! interrupt lines, the clock and guest memory. The other folders hold devices by class, `backend/` the host side of
//! them. The crate imports nothing else of the workspace: it knows no board, no address and no CPU architecture beyond
//! what a chip's manual names.
//!
//! Rules every device keeps:
//! - It is plain serialisable state, wiring, and an `update` that recomputes every output from the state.
//! - Nothing a guest does panics or hangs: misuse is logged once ([`bus::misuse`]) and reads as the manual says.
//! - While a device is locked it calls *leaves* only: [`Irq::set`](bus::Irq::set) (stores into atomics), the clock's
//!   timers, a character backend's buffers, guest memory. None of them ever locks a device. Interrupt controllers
//!   follow after the device is unlocked (see [`bus::Shared`]).
//! - What takes its time is done by workers (see [`bus::Works`]), in pieces, or with the device unlocked: no CPU of the
//!   guest waits for it.
//! - Whoever starts a host thread does so by [`bus::Threads`], so that its panic ends the run.
//!
//! Guest memory and virtqueues are own code where vm-memory and virtio-queue exist. virtio-queue ends a malformed
//! descriptor chain (a loop, an index or address out of range, an indirect table in an indirect table) as quietly as a
//! well-formed one, while the specification wants DEVICE_NEEDS_RESET there; vm-memory wants to own the mappings or to
//! be told of them region by region through generic parameters, where translated code needs one raw base and the
//! memfd. Between them they would replace some 200 lines and leave those two points to be worked around.
#![deny(unsafe_code)]

pub mod backend;
pub mod bus;
pub mod char;
pub mod irq;
pub mod misc;
pub mod storage;
pub mod timer;
pub mod virtio;

#[cfg(test)]
mod snapshots;
