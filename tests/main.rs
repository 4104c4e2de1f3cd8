//! One test binary.

mod boot;
mod cli;
mod explain;
mod guest;
mod listings;
mod machine;
mod trace;
