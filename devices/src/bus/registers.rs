//! Devices that are a bank of registers: the register table, and how accesses of other sizes reach it.
//!
//! A register map is a table, made by [`regs!`](crate::regs); an array of like registers is one row. Registers have 32 bits,
//! or 64 where the row says so. Accesses that are smaller go to the register they lie in: reads return its lanes, writes
//! carry the value in its lanes and [`At::mask`] says which those are (a register that cares about single bytes looks at
//! it; most take the value as it is, as an APB peripheral does, which has no byte strobes). An access of 64 bits to
//! registers of 32 is two, the lower first.
//!
//! The registers of an older chip have 8 bits, all of them (`u8` after their names), at any offset. A wider access is as
//! many as it has bytes, the lower first, which is what a bus makes of it for such a chip.
//!
//! A device that has the same registers several times over, at one distance from
//! each other, has them in its table once ([`Frames`]).

use super::device::{Access, Device};
use super::misuse::{self, Misuse};
use super::saved::{Convert, Format, LoadError, Saved};
use serde::{Serialize, de::DeserializeOwned};

/// Access rights of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Read-only: writes are misuse.
    Ro,
    /// Write-only: reads are misuse.
    Wo,
    /// Read and write.
    Rw,
}

/// One row of a register map.
#[derive(Debug)]
pub struct Entry<R: 'static> {
    /// Bytes from the start of the device.
    pub offset: u64,
    /// Number of registers, `size` bytes apart; more than 1 for an array.
    pub count: u64,
    /// Bytes of a register: 1 (then all registers have one), 4 or 8.
    pub size: u8,
    /// The register.
    pub reg: R,
    /// What may be done with it.
    pub rights: Rights,
    /// The datasheet's name.
    pub name: &'static str,
}

/// A register map: made by [`regs!`](crate::regs).
pub trait RegMap: Copy + 'static {
    /// The rows, in the order of the source.
    const TABLE: &'static [Entry<Self>];
    /// Bytes that an entry of `INDEX` stands for: 1 where registers have 8 bits, else 4.
    const UNIT: u64;
    /// Number of the row at each unit of the device; [`NO_ROW`] in the gaps.
    const INDEX: &'static [u8];

    /// The row that covers `offset`.
    #[inline]
    fn find(offset: u64) -> Option<&'static Entry<Self>> {
        let row = *Self::INDEX.get(usize::try_from(offset / Self::UNIT).ok()?)?;
        Self::TABLE.get(row as usize)
    }
}

/// Marks a unit without a register in [`RegMap::INDEX`].
pub const NO_ROW: u8 = 0xff;

/// What a row covers: offset, number of registers, bytes of each.
pub type Extent = (u64, u64, u8);

/// Bytes of the units that a map with these rows is indexed by.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, without iterators")]
pub const fn unit(rows: &[Extent]) -> u64 {
    let mut row = 0;
    while row < rows.len() {
        if rows[row].2 == 1 {
            return 1;
        }
        row += 1;
    }
    4
}

/// Number of units that rows span.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, without iterators")]
pub const fn span(rows: &[Extent]) -> usize {
    let (unit, mut end, mut row) = (unit(rows), 0, 0);
    while row < rows.len() {
        let (offset, count, size) = rows[row];
        let last = offset / unit + count * (size as u64 / unit);
        end = if last > end { last } else { end };
        row += 1;
    }
    end as usize
}

/// The row of each unit. Evaluated at compile time: rows that overlap or are not aligned do not build, and registers of 8
/// bits stand among their like.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, without iterators")]
pub const fn index<const N: usize>(rows: &[Extent]) -> [u8; N] {
    assert!(rows.len() < NO_ROW as usize, "too many rows");
    let (unit, mut index) = (unit(rows), [NO_ROW; N]);
    let mut row = 0;
    while row < rows.len() {
        let (offset, count, size) = rows[row];
        assert!(offset % size as u64 == 0, "register not aligned");
        assert!(unit == 4 || size == 1, "registers of 8 bits among wider ones");
        let mut word = (offset / unit) as usize;
        while word < (offset / unit + count * (size as u64 / unit)) as usize {
            assert!(index[word] == NO_ROW, "registers overlap");
            index[word] = row as u8;
            word += 1;
        }
        row += 1;
    }
    index
}

/// How an access reaches a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// vCPU that accesses, for banked registers.
    pub cpu: usize,
    /// Which of an array of registers, from 0.
    pub n: usize,
    /// Which of the device's [`Frames`], from 0.
    pub frame: usize,
    /// The bits of the register that the access covers.
    pub mask: u64,
}

impl At {
    /// `old` with the covered bits taken from `value`.
    pub fn merge(self, old: u64, value: u64) -> u64 {
        old & !self.mask | value & self.mask
    }

    /// [`merge`](At::merge) of a register of 32 bits.
    pub fn merge_u32(self, old: u32, value: u32) -> u32 {
        self.merge(old.into(), value.into()) as u32
    }
}

/// Registers that a device has several times over: those from `first` on, `size` bytes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames {
    /// Where the first of them starts: behind all other registers.
    pub first: u64,
    /// Bytes from one to the next.
    pub size: u64,
}

impl Frames {
    /// Which of them an offset is in, and where it is in the first one.
    fn locate(self, offset: u64) -> (usize, u64) {
        match offset.checked_sub(self.first) {
            Some(from_first) => {
                let frame = from_first / self.size;
                (frame as usize, offset - frame * self.size)
            }
            None => (0, offset),
        }
    }
}

/// A device that is a bank of registers plus plain state. Implementing it makes a [`Device`].
pub trait Registers: Send {
    /// Model name.
    const MODEL: &'static str;
    /// Version of the layout of `State`; raised when the layout changes.
    const VERSION: u32 = 1;
    /// Older layouts: see [`Format::older`].
    const OLDER: &'static [(u32, Convert)] = &[];
    /// The register map.
    type Reg: RegMap;
    /// Which part of it is there more than once.
    const FRAMES: Option<Frames> = None;
    /// Everything a snapshot holds; its default is the state after cold reset.
    type State: Serialize + DeserializeOwned + Default;

    /// The state.
    fn state(&mut self) -> &mut Self::State;
    /// The state after cold reset, where it depends on more than the model.
    fn initial(&mut self) -> Self::State {
        Self::State::default()
    }
    /// Whether `state`, which comes from a file, is possible: what indexing and arithmetic rely on.
    ///
    /// # Errors
    /// Which value is not, and why.
    fn check(&self, _state: &Self::State) -> Result<(), String> {
        Ok(())
    }
    /// The state is another one: after a reset or a load, before [`update`](Registers::update).
    fn replaced(&mut self) {}
    /// What a read returns; the upper half of a 32-bit register is not looked at. Never called for write-only registers.
    fn get(&mut self, reg: Self::Reg, at: At) -> u64;
    /// What a write does; only the bits in `at.mask` are the guest's, the others are zero. Never called for read-only
    /// registers.
    fn put(&mut self, reg: Self::Reg, at: At, value: u64);
    /// Recomputes every output from the state: after each access, reset and load.
    fn update(&mut self);
}

/// How states of a kind of device are written.
fn format<T: Registers>() -> Format {
    Format {
        model: T::MODEL,
        version: T::VERSION,
        older: T::OLDER,
    }
}

/// Where an access goes.
struct Located<R: 'static> {
    entry: &'static Entry<R>,
    at: At,
    /// How far the access is from the register's lowest bits.
    shift: u32,
}

/// The register that an access lies in. `Err` is the misuse of a size; without one there is no register.
fn locate<T: Registers>(access: Access) -> Result<Located<T::Reg>, Option<Misuse>> {
    let Access { offset, size, cpu } = access;
    let bits = match size {
        1 | 2 | 4 | 8 if offset.is_multiple_of(size.into()) => u64::MAX >> (64 - 8 * u32::from(size)),
        _ => return Err(Some(Misuse::BadSize)),
    };
    let (frame, offset) = T::FRAMES.map_or((0, offset), |frames| frames.locate(offset));
    let entry = T::Reg::find(offset).ok_or(None)?;
    let (from_row, width) = (offset.saturating_sub(entry.offset), u64::from(entry.size));
    let shift = 8 * (from_row % width) as u32;
    let at = At {
        cpu,
        n: (from_row / width) as usize,
        frame,
        mask: bits << shift,
    };
    Ok(Located { entry, at, shift })
}

/// Bytes of the accesses that an access is made of, where it is not one.
fn width_of_parts<T: Registers>(access: Access) -> Option<u8> {
    let Access { offset, size, .. } = access;
    if T::Reg::UNIT == 1 {
        return matches!(size, 2 | 4 | 8).then_some(1);
    }
    let (_, in_first) = T::FRAMES.map_or((0, offset), |frames| frames.locate(offset));
    if size != 8 || offset.is_multiple_of(8) && T::Reg::find(in_first).is_some_and(|entry| entry.size == 8) {
        return None;
    }
    Some(4)
}

/// The accesses of `width` bytes that an access is made of, each with the bit of the value that it starts at.
fn parts(access: Access, width: u8) -> impl Iterator<Item = (Access, u32)> {
    (0..access.size / width).map(move |n| {
        let offset = access.offset.saturating_add((n * width).into());
        let part = Access {
            offset,
            size: width,
            ..access
        };
        (part, 8 * u32::from(n * width))
    })
}

fn read_one<T: Registers>(device: &mut T, access: Access) -> u64 {
    let misused = match locate::<T>(access) {
        Ok(Located { entry, at, shift }) if entry.rights != Rights::Wo => {
            return (device.get(entry.reg, at) & at.mask) >> shift;
        }
        Ok(_) => Misuse::ReadWriteOnly,
        Err(misused) => misused.unwrap_or(Misuse::ReadNothing),
    };
    misuse::report(T::MODEL, misused, access.offset, 0);
    0
}

fn write_one<T: Registers>(device: &mut T, access: Access, value: u64) {
    let misused = match locate::<T>(access) {
        Ok(Located { entry, at, shift }) if entry.rights != Rights::Ro => {
            return device.put(entry.reg, at, value << shift & at.mask);
        }
        Ok(_) => Misuse::WriteReadOnly,
        Err(misused) => misused.unwrap_or(Misuse::WriteNothing),
    };
    misuse::report(T::MODEL, misused, access.offset, value);
}

impl<T: Registers> Device for T {
    fn model(&self) -> &'static str {
        T::MODEL
    }

    fn read(&mut self, access: Access) -> u64 {
        let mut value = 0;
        match width_of_parts::<T>(access) {
            None => {
                value = read_one(self, access);
                self.update();
            }
            Some(width) => parts(access, width).for_each(|(part, shift)| {
                value |= read_one(self, part) << shift;
                self.update();
            }),
        }
        value
    }

    fn write(&mut self, access: Access, value: u64) {
        match width_of_parts::<T>(access) {
            None => {
                write_one(self, access, value);
                self.update();
            }
            Some(width) => parts(access, width).for_each(|(part, shift)| {
                write_one(self, part, value >> shift & (u64::MAX >> (64 - 8 * u32::from(width))));
                self.update();
            }),
        }
    }

    fn reset(&mut self) {
        *self.state() = self.initial();
        self.replaced();
        self.update();
    }

    fn save(&mut self) -> Saved {
        Saved::new(&format::<T>(), self.state())
    }

    fn load(&mut self, saved: &Saved) -> Result<(), LoadError> {
        let format = format::<T>();
        let state = saved.state(&format)?;
        self.check(&state).map_err(|reason| format.impossible(reason))?;
        *self.state() = state;
        self.replaced();
        self.update();
        Ok(())
    }
}

/// Declares a register map `Reg`: the table is the documentation.
///
/// A row is `offset NAME Rights`, or `offset NAME[count] Rights` for an array of registers next to each other. A register
/// has 32 bits, with `: u64` after its name 64, with `: u8`, which all rows then have, 8. Rows that overlap do not build.
///
/// ```
/// emu_devices::regs! {
///     /// Control
///     0x000 CTLR    Rw
///     /// Interrupt priorities
///     0x400 IPR[64] Rw
///     /// Interrupt routing
///     0x600 IROUTER[32]: u64 Rw
/// }
/// use emu_devices::bus::RegMap;
/// assert_eq!(Reg::find(0x404).map(|row| row.name), Some("IPR"));
/// assert_eq!(Reg::find(0x6fc).map(|row| row.name), Some("IROUTER"));
/// assert!(Reg::find(0x004).is_none());
/// ```
#[macro_export]
macro_rules! regs {
    ($( $(#[$doc:meta])* $offset:literal $name:ident $([$count:literal])? $(: $width:ident)? $rights:ident )*) => {
        /// The registers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        pub enum Reg { $( $(#[$doc])* $name ),* }

        impl Reg {
            const ROWS: &'static [$crate::bus::Extent] =
                &[ $( ($offset, $crate::regs!(@count $($count)?), $crate::regs!(@size $($width)?)) ),* ];
        }

        impl $crate::bus::RegMap for Reg {
            const TABLE: &'static [$crate::bus::Entry<Self>] = &[ $( $crate::bus::Entry {
                offset: $offset,
                count: $crate::regs!(@count $($count)?),
                size: $crate::regs!(@size $($width)?),
                reg: Reg::$name,
                rights: $crate::bus::Rights::$rights,
                name: stringify!($name),
            } ),* ];
            const UNIT: u64 = $crate::bus::unit(Reg::ROWS);
            const INDEX: &'static [u8] = {
                static INDEX: [u8; $crate::bus::span(Reg::ROWS)] = $crate::bus::index(Reg::ROWS);
                &INDEX
            };
        }
    };
    (@count) => { 1 };
    (@count $count:literal) => { $count };
    (@size) => { 4 };
    (@size u64) => { 8 };
    (@size u8) => { 1 };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Shared, Wiring};
    use serde::Deserialize;

    mod map {
        crate::regs! {
            /// Plain
            0x00 DATA    Rw
            /// Array
            0x10 WORD[2] Rw
            /// Read-only
            0x20 ID      Ro
            /// Write-only
            0x24 CLEAR   Wo
            /// Of 64 bits
            0x28 LONG[2]: u64 Rw
            /// In every frame
            0x40 EACH Rw
            /// In every frame, of 64 bits
            0x48 WIDE: u64 Ro
        }
    }
    use map::Reg;

    #[derive(Default, Serialize, Deserialize)]
    struct State {
        data: u32,
        words: [u32; 2],
        long: [u64; 2],
        each: [u32; 3],
    }

    #[derive(Default)]
    struct Chip(State);

    impl Registers for Chip {
        const MODEL: &'static str = "test-chip";
        type Reg = Reg;
        const FRAMES: Option<Frames> = Some(Frames {
            first: 0x40,
            size: 0x20,
        });
        type State = State;
        fn state(&mut self) -> &mut State {
            &mut self.0
        }
        fn check(&self, state: &State) -> Result<(), String> {
            if state.data == 13 {
                Err("data is 13".into())
            } else {
                Ok(())
            }
        }
        fn get(&mut self, reg: Reg, at: At) -> u64 {
            match reg {
                Reg::DATA => self.0.data.into(),
                Reg::WORD => self.0.words[at.n].into(),
                Reg::ID => 0x0403_0201,
                Reg::LONG => self.0.long[at.n],
                Reg::EACH => self.0.each.get(at.frame).copied().unwrap_or(0).into(),
                Reg::WIDE => (at.frame as u64) << 32 | 1,
                Reg::CLEAR => panic!("write-only"),
            }
        }
        fn put(&mut self, reg: Reg, at: At, value: u64) {
            match reg {
                Reg::DATA => self.0.data = value as u32,
                Reg::WORD => self.0.words[at.n] = at.merge_u32(self.0.words[at.n], value as u32),
                Reg::CLEAR => self.0.data &= !value as u32,
                Reg::LONG => self.0.long[at.n] = at.merge(self.0.long[at.n], value),
                Reg::EACH => self.0.each[at.frame] = value as u32,
                Reg::ID | Reg::WIDE => panic!("read-only"),
            }
        }
        fn update(&mut self) {}
    }

    mod bytes {
        crate::regs! {
            /// Plain
            0 DATA: u8    Rw
            /// Array
            1 WORD[4]: u8 Rw
            /// Far away
            9 ID: u8      Ro
        }
    }

    /// An 8-bit chip: what it does, in order.
    #[derive(Default)]
    struct Narrow(Vec<(u8, u64)>, [u8; 4]);

    impl Registers for Narrow {
        const MODEL: &'static str = "narrow";
        type Reg = bytes::Reg;
        type State = [u8; 4];
        fn state(&mut self) -> &mut [u8; 4] {
            &mut self.1
        }
        fn get(&mut self, reg: bytes::Reg, at: At) -> u64 {
            self.0.push((reg as u8 + at.n as u8, at.mask));
            0xa0 + at.n as u64
        }
        fn put(&mut self, reg: bytes::Reg, at: At, value: u64) {
            self.0.push((reg as u8 + at.n as u8, value));
        }
        fn update(&mut self) {
            self.0.push((0xff, 0));
        }
    }

    #[test]
    fn registers_of_8_bits_are_accessed_one_by_one() {
        let mut chip = Narrow::default();

        assert_eq!(chip.read(Access::new(0, 4)), 0xa2a1_a0a0);
        assert_eq!(chip.read(Access::new(3, 2)), 0xa3a2, "at any offset");
        chip.0.clear();
        chip.write(Access::new(4, 8), 0x8877_6655_4433_2211);
        chip.write(Access::new(0, 1), 0x1234);

        assert_eq!(
            chip.0,
            [
                (4, 0x11),
                (0xff, 0),
                (0xff, 0),
                (0xff, 0),
                (0xff, 0),
                (0xff, 0),
                (0xff, 0),
                (0xff, 0),
                (0xff, 0)
            ]
            .into_iter()
            .chain([(0, 0x34), (0xff, 0)])
            .collect::<Vec<_>>(),
        );
        assert_eq!(chip.read(Access::new(u64::MAX, 8)), 0);
    }

    #[test]
    fn every_word_of_a_row_leads_to_it() {
        const ROWS: &[Extent] = &[(0x10, 2, 4), (0, 1, 4), (0x20, 3, 8), (0x18, 1, 4)];
        const G: u8 = NO_ROW;

        const BYTES: &[Extent] = &[(3, 2, 1), (0, 1, 1)];

        assert_eq!((unit(ROWS), unit(BYTES)), (4, 1));
        assert_eq!((span(BYTES), index::<5>(BYTES)), (5, [1, G, G, 0, 0]));
        assert_eq!((span(&[]), span(ROWS)), (0, 14));
        assert_eq!(index::<14>(ROWS), [1, G, G, G, 0, 0, 3, G, 2, 2, 2, 2, 2, 2]);
    }

    #[test]
    fn maps_with_rows_that_overlap_or_are_not_aligned_do_not_build() {
        let builds = |rows: &[Extent]| {
            let rows = rows.to_vec();
            std::panic::catch_unwind(move || index::<{ NO_ROW as usize }>(&rows)).is_ok()
        };
        let many = |count: u64| (0..count).map(|n| (4 * n, 1, 4)).collect::<Vec<_>>();

        assert!(builds(&[(0, 2, 4), (8, 1, 8)]));
        assert!(!builds(&[(0, 2, 4), (4, 1, 4)]));
        assert!(!builds(&[(8, 1, 8), (12, 1, 4)]));
        assert!(!builds(&[(2, 1, 4)]));
        assert!(!builds(&[(4, 1, 8)]));
        assert!(builds(&[(3, 1, 1), (4, 1, 1)]) && !builds(&[(3, 1, 1), (4, 1, 4)]));
        assert!(builds(&many(NO_ROW as u64 - 1)));
        assert!(!builds(&many(NO_ROW as u64)));
    }

    #[test]
    fn narrow_reads_return_lanes() {
        let mut chip = Chip::default();

        assert_eq!(chip.read(Access::new(0x22, 1)), 3);
        assert_eq!(chip.read(Access::new(0x22, 2)), 0x0403);
        assert_eq!(chip.read(Access::new(0x20, 4)), 0x0403_0201);
    }

    #[test]
    fn narrow_writes_carry_their_lanes() {
        let mut chip = Chip::default();

        chip.write(Access::new(0x15, 1), 0x11ab);
        chip.write(Access::new(0x16, 2), 0xcdef);

        assert_eq!(chip.0.words, [0, 0xcdef_ab00]);
    }

    #[test]
    fn doublewords_are_two_registers() {
        let mut chip = Chip::default();

        chip.write(Access::new(0x10, 8), 0x1111_2222_3333_4444);

        assert_eq!(chip.0.words, [0x3333_4444, 0x1111_2222]);
        assert_eq!(chip.read(Access::new(0x10, 8)), 0x1111_2222_3333_4444);
    }

    #[test]
    fn a_register_of_64_bits_is_one_and_has_lanes() {
        let mut chip = Chip::default();

        chip.write(Access::new(0x30, 8), 0x1111_2222_3333_4444);
        chip.write(Access::new(0x34, 4), 0x5555_6666);
        chip.write(Access::new(0x31, 1), 0x77);

        assert_eq!(chip.0.long, [0, 0x5555_6666_3333_7744]);
        assert_eq!(chip.read(Access::new(0x30, 8)), 0x5555_6666_3333_7744);
        assert_eq!(chip.read(Access::new(0x36, 2)), 0x5555);
        assert_eq!(chip.read(Access::new(0x2c, 8)), 0x3333_7744_0000_0000);
    }

    #[test]
    fn frames_are_the_same_registers_again() {
        let mut chip = Chip::default();

        chip.write(Access::new(0x40, 4), 5);
        chip.write(Access::new(0x80, 4), 7);

        assert_eq!(chip.0.each, [5, 0, 7]);
        assert_eq!(chip.read(Access::new(0x80, 4)), 7);
        assert_eq!(chip.read(Access::new(0x68, 8)), 1 << 32 | 1);
        assert_eq!(chip.read(Access::new(0x8c, 4)), 2);
        assert_eq!(chip.read(Access::new(0x60 + 0x10, 4)), 0);
        assert_eq!(
            chip.read(Access::new(0x20, 4)),
            0x0403_0201,
            "before them all is as it was"
        );
    }

    #[test]
    fn misuse_reads_zero_and_writes_nothing() {
        let mut chip = Chip(State {
            data: 5,
            ..State::default()
        });

        for (offset, size) in [
            (0x24, 4),
            (0x1c, 4),
            (0x21, 2),
            (0x00, 3),
            (u64::MAX - 3, 8),
            (u64::MAX, 1),
        ] {
            assert_eq!(chip.read(Access::new(offset, size)), 0, "{offset:#x}/{size}");
        }
        for (offset, size) in [(0x20, 4), (0x1c, 4), (0x01, 2), (0x00, 3), (u64::MAX - 3, 8)] {
            chip.write(Access::new(offset, size), !0);
        }
        assert_eq!(chip.0.data, 5);
    }

    #[test]
    fn a_reset_makes_it_as_it_was() {
        let mut chip = Chip::default();
        chip.write(Access::new(0, 4), 5);
        assert_eq!((chip.read(Access::new(0, 4)), chip.model()), (5, "test-chip"));

        chip.reset();

        assert_eq!(chip.read(Access::new(0, 4)), 0);
        let shared = Shared::new(&Wiring::new(), chip);
        assert_eq!(shared.model(), "test-chip");
    }

    #[test]
    fn an_impossible_state_leaves_the_device_alone() {
        let mut chip = Chip(State {
            data: 5,
            ..State::default()
        });
        let saved = Chip(State {
            data: 13,
            ..State::default()
        })
        .save();

        let refused = chip.load(&saved);

        assert!(matches!(refused, Err(LoadError::Impossible { .. })));
        assert_eq!(chip.0.data, 5);
    }
}
