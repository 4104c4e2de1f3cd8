//! Interrupt controllers.

pub mod gicv2;
