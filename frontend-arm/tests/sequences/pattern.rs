//! Fields of patterns, and some words.

/// The bits of a pattern's field.
pub fn field(text: &str, name: char) -> u32 {
    let bits = text.chars().filter(|c| *c != ' ');
    bits.fold(0, |mask, c| mask << 1 | u32::from(c == name))
}

/// A word with a field of another value; without that field, the word.
pub fn put_field(word: u32, mask: u32, value: u32) -> u32 {
    if mask == 0 {
        word
    } else {
        word & !mask | value << mask.trailing_zeros() & mask
    }
}

/// Whether instructions wait for an interrupt.
pub fn waits(code: &[u8]) -> bool {
    matches!(
        code,
        [0x03, 0xf0, 0x20, 0xe3] | [0x30, 0xbf] | [0xaf, 0xf3, 0x03, 0x80] | [0x7f, 0x20, 0x03, 0xd5]
    )
}
