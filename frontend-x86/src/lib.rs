//! x86 bytes to IR, and x86's architectural state.
//!
//! Manuals: Intel's Software Developer's Manual (SDM), whose Appendix A of volume 2 has the opcode maps and the letters of
//! operands; AMD's Architecture Programmer's Manual (APM) where AMD's processors differ.
//!
//! | to change | open |
//! |---|---|
//! | which bytes are which instruction | `maps/`, a file a map |
//! | how a row of a map reads | `decode/row.rs` |
//! | prefixes, ModRM, SIB, VEX, immediates | `decode/` |
//! | what an instruction does | `ops/`, a file a group; what it is written with: `tx.rs` |
//! | vectors of integers and bits; vector operands | `ops/simd/`; `tx/vectors.rs` |
//! | what is computed by functions rather than in line | `compute.rs` and `compute/`, called by `calls.rs` |
//! | the x87 unit | `x87/`, executed on the host's; `ops/x87/inline.rs`, where translated code does so itself |
//! | where a block ends | `translate.rs` |
//! | what a CPU may have or lack; models of CPUs; CPUID | `features.rs`; `model.rs`; `cpuid.rs` |
//! | what a CPU asks of the machine | `platform.rs` |
//! | what a CPU's state is, and its mode word | `state.rs` and `state/` |
//! | what instructions of the system do | `system/`, called by `calls.rs` |
//! | which exceptions there are, with which error codes | `fault.rs` |
//! | paging | `mmu/` |
//! | segment registers and descriptor tables | `segment/` |
//! | far transfers, interrupts' delivery, tasks, fast system calls | `gate/` |
//! | control and debug registers, and what these ask for; MSRs | `control.rs`, `debug.rs`; `msr.rs` |
//! | all of it as the engine sees it | `guest.rs` |
//! | what a debugger sees of a CPU; names for logs | `inspect.rs` |
//! | double faults, reset, INIT; system management mode | `exception.rs`; `smm.rs` |
//! | how these functions access memory, and what is told to the engine after | `memory.rs` |

pub mod calls;
pub mod compute;
pub mod control;
pub mod cpuid;
pub mod debug;
pub mod decode;
pub mod exception;
pub mod fault;
pub mod features;
pub mod gate;
pub mod guest;
pub mod inspect;
#[cfg(test)]
mod machine_for_tests;
pub mod maps;
pub mod memory;
pub mod mmu;
pub mod model;
pub mod msr;
pub mod ops;
pub mod platform;
pub mod segment;
pub mod smm;
pub mod state;
pub mod system;
pub mod translate;
pub mod tx;
pub mod x87;
