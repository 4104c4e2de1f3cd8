//! The opcode maps (SDM 2, Appendix A; APM 3, Appendix A): rows by opcode, read as [`crate::decode::row`] says.

mod one_byte;
mod three_byte;
mod two_byte;
mod x87;

pub use one_byte::ONE_BYTE;
pub use three_byte::{MAP_0F3A, MAP_0F38};
pub use two_byte::TWO_BYTE;
pub use x87::X87;
