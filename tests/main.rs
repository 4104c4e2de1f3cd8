//! One test binary.

mod boot;
mod cli;
mod guest;
mod machine;
