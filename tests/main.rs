//! One test binary.

mod boot;
mod cli;
mod guest;
mod listings;
mod machine;
