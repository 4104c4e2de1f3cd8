//! A CPU as a part of a machine.

use super::features::Features;

/// An AArch64 CPU on its own. The architectural state is a [`Cpu`](super::state::Cpu).
pub struct A64 {
    /// What it has.
    pub features: Features,
}
