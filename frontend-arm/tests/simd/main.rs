//! VFP and Advanced SIMD, instruction by instruction: against an oracle, under the passes, and on both accelerators.

mod accelerators;
mod machine;
mod qemu;
mod words;
