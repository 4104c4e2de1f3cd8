//! One test binary.

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
mod snapshot;
mod start;
mod trace;
