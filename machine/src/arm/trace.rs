//! What an ARM CPU does, as lines.

mod a32;
mod a64;
