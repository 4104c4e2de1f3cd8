//! One test binary.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod boot;
mod cli;
mod coverage;
mod debian;
mod explain;
mod gdb;
mod guest;
mod imports;
mod listings;
mod machine;
mod oracle;
mod output;
mod perf;
mod programs;
mod semihosting;
mod smp;
mod snapshot;
mod start;
mod trace;
