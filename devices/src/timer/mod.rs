//! Timers and real-time clocks.

pub mod i8254;
pub mod pl031;
