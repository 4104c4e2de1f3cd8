//! Code as hexadecimal digits.

use crate::arch::{Code, Kind};

/// Instructions in memory order, at address 0.
///
/// # Errors
/// What is wrong with the digits, for the user.
pub fn code(text: &str, kind: Kind) -> Result<Code, String> {
    let digits: Vec<u8> = text
        .split_whitespace()
        .flat_map(|word| without_prefix(word).bytes())
        .collect();
    let (pairs, rest) = digits.as_chunks();
    if !rest.is_empty() {
        return Err("an odd number of hexadecimal digits: a byte has two".into());
    }
    let value = |c: u8| char::from(c).to_digit(16).unwrap_or_default() as u8;
    let bytes = pairs.iter().map(|&[high, low]| value(high) << 4 | value(low)).collect();
    Code {
        bytes,
        address: 0,
        parts: vec![(0, kind)],
    }
    .checked()
}

/// Whether text is bytes: nothing but hexadecimal digits, spaces and 0x.
pub fn is_hex(text: &str) -> bool {
    let digits = |word: &str| without_prefix(word).bytes().all(|c| c.is_ascii_hexdigit());
    text.split_whitespace().all(digits)
}

fn without_prefix(word: &str) -> &str {
    word.strip_prefix("0x").or(word.strip_prefix("0X")).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSNS: Kind = Kind::Insns(0);

    #[test]
    fn hexadecimal_is_told_from_assembly() {
        for hex in ["00", "0x00 0X01", " ab cd\n", "adc", ""] {
            assert!(is_hex(hex), "{hex:?}");
        }
        for text in ["add r0, r1", "nop", "0x", "00;00", "x0"] {
            assert_eq!(is_hex(text), text == "0x", "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_none() {
        assert!(code("0", INSNS).is_err());
        assert!(code("0x 0x", INSNS).is_err());
        assert_eq!(code("0x1E ff", INSNS).map(|c| c.bytes), Ok(vec![0x1e, 0xff]));
    }
}
