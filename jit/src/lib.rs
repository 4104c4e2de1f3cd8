//! IR to execution: passes, interpreter, x86-64 emitter, code cache, TLB and engine.
//!
//! May import `emu-ir` only and names no guest architecture. `unsafe` is confined to [`cache`], [`tlb::host`], [`x64`] and the
//! engine's entry into translated code.
#![deny(unsafe_code)]

pub mod cache;
#[cfg(any(test, feature = "cases"))]
#[allow(clippy::restriction, reason = "it is for tests")]
pub mod cases;
mod classes;
pub mod engine;
pub mod fp;
pub mod interp;
pub mod listing;
pub mod opt;
mod pins;
pub mod tlb;
pub mod x64;
