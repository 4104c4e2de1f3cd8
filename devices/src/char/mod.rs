//! Character devices.

pub mod pl011;
pub mod uart16550;
