//! ARM bytes to IR, and ARM's architectural state: registers, MMU walk, exceptions, system registers, CPU models.
//!
//! May import `emu-ir` only; knows nothing of hosts, boards or devices.
#![forbid(unsafe_code)]

pub mod a32;
pub mod a64;
pub mod calls;
pub mod checksum;
pub mod cp15;
pub mod debug;
mod events;
pub mod exception;
pub mod fault;
pub mod features;
pub mod flags;
pub mod fpstatus;
pub mod guest;
#[cfg(test)]
mod machine_for_tests;
pub mod mmu;
pub mod model;
pub mod names;
pub mod platform;
pub mod pmu;
pub mod psr;
pub mod reset;
pub mod state;
pub mod sys;
pub mod timer;
pub mod translate;
pub mod tx;
pub mod vector;

pub use model::{MODELS, Model};
pub use platform::Arm;
pub use state::Cpu;
