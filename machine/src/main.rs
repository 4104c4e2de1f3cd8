//! The program `emu`.
fn main() {}
