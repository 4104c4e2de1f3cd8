//! Test support: a guest, and for every operation blocks and hard operands that interpreter, passes and emitter run alike.

mod guest;

pub use guest::*;
