//! ARM bytes to IR, and ARM's architectural state: registers, MMU walk, exceptions, system registers, CPU models.
//!
//! May import `emu-ir` only; knows nothing of hosts, boards or devices.
#![forbid(unsafe_code)]

pub mod model;
pub mod state;
pub mod sys;
pub mod tx;

pub use model::{MODELS, Model};
pub use state::Cpu;
