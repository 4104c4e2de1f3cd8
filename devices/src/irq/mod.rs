//! Interrupt controllers.

mod fields;
pub mod gicv2;
pub mod gicv2m;
pub mod gicv3;
