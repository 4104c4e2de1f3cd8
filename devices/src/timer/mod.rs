//! Timers and real-time clocks.

pub mod i8254;
pub mod mc146818;
pub mod pl031;
