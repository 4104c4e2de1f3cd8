//! PCMPxSTRx (SDM 2, 4.1 "Imm8 Control Byte Operation for PCMPESTRI / PCMPESTRM / PCMPISTRI / PCMPISTRM").

use emu_ir::{STATUS_CARRY, STATUS_FIXED, STATUS_OVERFLOW, STATUS_SIGN, STATUS_ZERO};

/// A string: elements of a vector, as many of them as count.
struct Text {
    elements: [i32; 16],
    length: usize,
}

impl Text {
    /// The elements that count.
    fn valid(&self) -> impl DoubleEndedIterator<Item = (usize, i32)> {
        self.elements.iter().copied().take(self.length).enumerate()
    }
    fn get(&self, n: usize) -> Option<i32> {
        self.elements.get(n).copied().filter(|_| n < self.length)
    }
}

/// The control byte.
#[derive(Clone, Copy)]
struct Control(u8);

impl Control {
    fn has_words(self) -> bool {
        self.0 & 1 != 0
    }
    fn is_signed(self) -> bool {
        self.0 & 2 != 0
    }
    /// How many elements there are.
    fn count(self) -> usize {
        if self.has_words() { 8 } else { 16 }
    }
    fn element(self, v: u128, n: usize) -> i32 {
        match (self.has_words(), self.is_signed()) {
            (false, false) => i32::from((v >> (8 * n)) as u8),
            (false, true) => i32::from((v >> (8 * n)) as i8),
            (true, false) => i32::from((v >> (16 * n)) as u16),
            (true, true) => i32::from((v >> (16 * n)) as i16),
        }
    }
    /// A string, whose length is given, or ends it at its first zero.
    fn text(self, v: u128, length: Option<i64>) -> Text {
        let count = self.count();
        let elements: [i32; 16] = std::array::from_fn(|n| if n < count { self.element(v, n) } else { 0 });
        let length = match length {
            Some(length) => length.unsigned_abs().min(count as u64) as usize,
            None => elements.iter().take(count).position(|e| *e == 0).unwrap_or(count),
        };
        Text { elements, length }
    }

    /// Which elements of `b` the comparison holds of: a bit each.
    fn compare(self, a: &Text, b: &Text) -> u32 {
        let holds = |n: usize| match self.0 >> 2 & 3 {
            // Equal any; ranges.
            0 => b.get(n).is_some_and(|y| a.valid().any(|(_, x)| x == y)),
            1 => b.get(n).is_some_and(|y| {
                let ranges = a.valid().filter(|(k, _)| k.is_multiple_of(2));
                ranges
                    .into_iter()
                    .any(|(k, low)| a.get(k + 1).is_some_and(|high| (low..=high).contains(&y)))
            }),
            // Equal each: those behind both ends are, too.
            2 => a.get(n) == b.get(n),
            // Equal ordered: all of `a` from here on, as far as there is room.
            _ => a
                .valid()
                .filter(|(k, _)| k + n < self.count())
                .all(|(k, x)| b.get(n + k) == Some(x)),
        };
        (0..self.count()).fold(0, |bits, n| bits | u32::from(holds(n)) << n)
    }
    /// The same by the polarity.
    fn result(self, a: &Text, b: &Text) -> u32 {
        let (bits, all) = (self.compare(a, b), (1 << self.count()) - 1);
        match self.0 >> 4 & 3 {
            1 => bits ^ all,
            3 => bits ^ ((1 << b.length) - 1),
            _ => bits,
        }
    }
    /// The number of the lowest bit, or of the highest; of none, how many there are.
    fn index(self, bits: u32) -> u32 {
        match bits {
            0 => self.count() as u32,
            _ if self.0 & 0x40 == 0 => bits.trailing_zeros(),
            _ => bits.ilog2(),
        }
    }
}

/// [`crate::calls::PCMPSTR`].
pub fn pcmpstr(a: &[u128; 4]) -> u128 {
    let (control, explicit) = (Control(a[2] as u8), a[2] >> 8 & 1 != 0);
    let length = |at: u32| explicit.then_some((a[3] >> at) as i64);
    let (first, second) = (control.text(a[0], length(0)), control.text(a[1], length(64)));
    let bits = control.result(&first, &second);
    let flags = [
        (STATUS_CARRY, bits != 0),
        (STATUS_ZERO, second.length < control.count()),
        (STATUS_SIGN, first.length < control.count()),
        (STATUS_OVERFLOW, bits & 1 != 0),
    ];
    let set = flags.into_iter().filter(|(_, set)| *set);
    let status = set.fold(STATUS_FIXED, |all, (flag, _)| all | flag);
    u128::from(bits) | u128::from(control.index(bits)) << 16 | u128::from(status) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> u128 {
        s.bytes().rev().fold(0, |v, byte| v << 8 | u128::from(byte))
    }
    /// Bits and index.
    fn implicit(a: &str, b: &str, control: u8) -> (u32, u32) {
        let found = pcmpstr(&[text(a), text(b), control.into(), 0]);
        (found as u32 & 0xffff, (found >> 16) as u32 & 0xffff)
    }

    #[test]
    fn each_comparison_is_the_manuals() {
        assert_eq!(implicit("aeiou", "hello", 0x00), (0b10010, 1));
        assert_eq!(implicit("azAZ", "x1-Yz", 0x04), (0b11001, 0));
        assert_eq!(implicit("hallo", "hello", 0x08), (0xfffd, 0));
        assert_eq!(implicit("ll", "hello, ll", 0x0c), (1 << 2 | 1 << 7, 2));
        // The end of the vector cuts what is looked for.
        assert_eq!(implicit("ab", "0123456789abcdea", 0x0c), (1 << 10 | 1 << 15, 10));
    }

    #[test]
    fn polarity_and_index_are_the_control_bytes() {
        assert_eq!(implicit("aeiou", "hello", 0x10), (0xffed, 0));
        assert_eq!(implicit("aeiou", "hello", 0x30), (0b01101, 0));
        assert_eq!(implicit("aeiou", "hello", 0x40), (0b10010, 4));
        assert_eq!(implicit("xyz", "hello", 0x00), (0, 16));
    }

    #[test]
    fn lengths_that_are_given_are_cut_and_have_no_sign() {
        let found = |a: i64, b: i64| {
            let lengths = u128::from(a as u64) | u128::from(b as u64) << 64;
            pcmpstr(&[text("abcdefgh"), text("abcdefgh"), 0x108, lengths])
        };

        assert_eq!(found(-3, 3), found(3, 3));
        assert_eq!(found(i64::MIN, 100), found(16, 16));
        let status = (found(3, 16) >> 32) as u16;
        assert_eq!(status & (STATUS_ZERO | STATUS_SIGN), STATUS_SIGN);
    }
}
