//! One test binary.

mod boot;
mod cli;
mod coverage;
mod debian;
mod explain;
mod gdb;
mod guest;
mod listings;
mod machine;
mod oracle;
mod programs;
mod trace;
