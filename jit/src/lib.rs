//! IR to execution: passes, interpreter, x86-64 emitter, code cache, TLB and engine.
#![deny(unsafe_code)]

#[cfg(any(test, feature = "cases"))]
pub mod cases;
mod classes;
pub mod fp;
pub mod interp;
pub mod opt;
