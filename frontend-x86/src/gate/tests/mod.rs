//! Transfers of control against the manual's checks and frames.

mod fast;
mod interrupts;
mod random;
mod tasks;
mod transfers;
