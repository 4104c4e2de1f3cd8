//! Character devices.

pub mod pl011;
