//! What the assembler's macros write to: room for one block, and its labels.
//!
//! Emitting is a lot of code that runs once a block, so that it waits for instruction cache above all. Here writing a byte
//! is three instructions and cannot fail: the room never grows, what does not fit is noticed at the end.

use dynasmrt::components::LabelRegistry;
use dynasmrt::relocations::{Relocation, RelocationKind};
use dynasmrt::{AssemblyOffset, DynamicLabel, DynasmApi, DynasmLabelApi, x64::X64Relocation};

/// Bytes that a block may have.
const ROOM: usize = 1 << 18;
/// Bytes past a position that are written in one go.
const AHEAD: usize = 32;

/// One block's code in the making, at address 0: it refers to what is elsewhere by distance.
pub(crate) struct Asm {
    bytes: Box<[u8; ROOM + AHEAD]>,
    len: usize,
    labels: LabelRegistry,
    patches: Vec<Patch>,
}

/// A displacement to fill in.
struct Patch {
    at: usize,
    /// What it counts from.
    from: usize,
    to: DynamicLabel,
}

impl Default for Asm {
    #[expect(clippy::expect_used, reason = "the vector was made that long")]
    fn default() -> Asm {
        let bytes = vec![0; ROOM + AHEAD].into_boxed_slice();
        Asm {
            bytes: bytes.try_into().expect("just that long"),
            len: 0,
            labels: LabelRegistry::new(),
            patches: Vec::new(),
        }
    }
}

impl Asm {
    /// Start again.
    pub fn clear(&mut self) {
        self.len = 0;
        self.labels.clear();
        self.patches.clear();
    }
    /// A label to be placed once.
    #[inline(never)]
    pub fn new_dynamic_label(&mut self) -> DynamicLabel {
        self.labels.new_dynamic_label()
    }
    /// All that was written, branches filled in. `None`: it did not fit.
    #[expect(
        clippy::expect_used,
        reason = "the emitter places the labels that it makes, and the verifier those of blocks"
    )]
    pub fn finish(&mut self) -> Option<&[u8]> {
        if self.len > ROOM {
            return None;
        }
        for p in &self.patches {
            let to = self.labels.resolve_dynamic(p.to).expect("every label is placed");
            let distance = to.0.wrapping_sub(p.from) as i32;
            self.bytes[p.at..p.at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        Some(&self.bytes[..self.len])
    }
    #[inline]
    fn write<const N: usize>(&mut self, bytes: [u8; N]) {
        const { assert!(N <= AHEAD) };
        let at = self.len & (ROOM - 1);
        self.bytes[at..at + N].copy_from_slice(&bytes);
        self.len += N;
    }
}

impl Extend<u8> for Asm {
    fn extend<T: IntoIterator<Item = u8>>(&mut self, bytes: T) {
        bytes.into_iter().for_each(|b| self.push(b));
    }
}

impl<'a> Extend<&'a u8> for Asm {
    #[inline]
    fn extend<T: IntoIterator<Item = &'a u8>>(&mut self, bytes: T) {
        bytes.into_iter().for_each(|b| self.push(*b));
    }
}

impl DynasmApi for Asm {
    fn offset(&self) -> AssemblyOffset {
        AssemblyOffset(self.len)
    }
    #[inline]
    fn push(&mut self, byte: u8) {
        self.write([byte]);
    }
    #[inline]
    fn push_i16(&mut self, value: i16) {
        self.write(value.to_le_bytes());
    }
    #[inline]
    fn push_i32(&mut self, value: i32) {
        self.write(value.to_le_bytes());
    }
    #[inline]
    fn push_i64(&mut self, value: i64) {
        self.write(value.to_le_bytes());
    }
    fn align(&mut self, alignment: usize, with: u8) {
        while !self.len.is_multiple_of(alignment) {
            self.push(with);
        }
    }
}

/// Of labels there are only dynamic ones, of branches only those with a displacement of 32 bits.
impl DynasmLabelApi for Asm {
    type Relocation = X64Relocation;

    #[inline(never)]
    #[expect(
        clippy::expect_used,
        reason = "the emitter places its labels once, and the verifier wants the same of blocks"
    )]
    fn dynamic_label(&mut self, label: DynamicLabel) {
        self.labels.define_dynamic(label, self.offset()).expect("placed once");
    }
    #[inline(never)]
    fn dynamic_relocation(&mut self, to: DynamicLabel, addend: isize, field: u8, base: u8, kind: X64Relocation) {
        debug_assert!(addend == 0 && kind.size() == 4 && matches!(kind.kind(), RelocationKind::Relative));
        self.patches.push(Patch {
            at: self.len - field as usize,
            from: self.len - base as usize,
            to,
        });
    }
    fn value_relocation(&mut self, to: usize, field: u8, base: u8, kind: X64Relocation) {
        debug_assert!(kind.size() == 4 && matches!(kind.kind(), RelocationKind::RelToAbs));
        let distance = to.wrapping_sub(self.len - base as usize) as i32;
        let at = (self.len - field as usize) & (ROOM - 1);
        self.bytes[at..at + 4].copy_from_slice(&distance.to_le_bytes());
    }
    #[expect(clippy::unreachable, reason = "the emitter uses dynamic labels alone")]
    fn local_label(&mut self, name: &'static str) {
        unreachable!("local label {name}")
    }
    #[expect(clippy::unreachable, reason = "the emitter uses dynamic labels alone")]
    fn global_label(&mut self, name: &'static str) {
        unreachable!("global label {name}")
    }
    #[expect(clippy::unreachable, reason = "the emitter uses dynamic labels alone")]
    fn forward_relocation(&mut self, name: &'static str, _: isize, _: u8, _: u8, _: X64Relocation) {
        unreachable!("local label {name}")
    }
    #[expect(clippy::unreachable, reason = "the emitter uses dynamic labels alone")]
    fn backward_relocation(&mut self, name: &'static str, _: isize, _: u8, _: u8, _: X64Relocation) {
        unreachable!("local label {name}")
    }
    #[expect(clippy::unreachable, reason = "the emitter uses dynamic labels alone")]
    fn global_relocation(&mut self, name: &'static str, _: isize, _: u8, _: u8, _: X64Relocation) {
        unreachable!("global label {name}")
    }
}
