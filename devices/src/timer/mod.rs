//! Timers and real-time clocks.

pub mod pl031;
