//! Devices that are a bank of 32-bit registers: the register table, and how accesses of other sizes reach it.
//!
//! A register map is a table, made by [`regs!`](crate::regs); an array of like registers is one row. Accesses of 8 and
//! 16 bits go to the register they lie in: reads return its lanes, writes carry the value in its lanes and [`At::mask`]
//! says which those are (a register that cares about single bytes looks at it; most take the value as it is, as an APB
//! peripheral does, which has no byte strobes). Accesses of 64 bits are two of 32, the lower first.

use super::device::{Access, Device};
use super::misuse::{self, Misuse};
use super::saved::{LoadError, Saved};
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
    /// Number of registers, 4 bytes apart; more than 1 for an array.
    pub count: u64,
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
    /// Number of the row at each word of the device; [`NO_ROW`] in the gaps.
    const INDEX: &'static [u8];

    /// The row that covers `offset`.
    #[inline]
    fn find(offset: u64) -> Option<&'static Entry<Self>> {
        let row = *Self::INDEX.get(usize::try_from(offset / 4).ok()?)?;
        Self::TABLE.get(row as usize)
    }
}

/// Marks a word without a register in [`RegMap::INDEX`].
pub const NO_ROW: u8 = 0xff;

/// Number of words that `rows` of (offset, count) span.
pub const fn span(rows: &[(u64, u64)]) -> usize {
    let (mut end, mut row) = (0, 0);
    while row < rows.len() {
        let last = rows[row].0 / 4 + rows[row].1;
        end = if last > end { last } else { end };
        row += 1;
    }
    end as usize
}

/// The row of each word. Evaluated at compile time: rows that overlap or are not aligned do not build.
pub const fn index<const N: usize>(rows: &[(u64, u64)]) -> [u8; N] {
    assert!(rows.len() < NO_ROW as usize, "too many rows");
    let mut index = [NO_ROW; N];
    let mut row = 0;
    while row < rows.len() {
        let (offset, count) = rows[row];
        assert!(offset % 4 == 0, "register not aligned");
        let mut word = (offset / 4) as usize;
        while word < (offset / 4 + count) as usize {
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
    /// The bits of the register that the access covers.
    pub mask: u32,
}

impl At {
    /// `old` with the covered bits taken from `value`.
    pub fn merge(self, old: u32, value: u32) -> u32 {
        old & !self.mask | value & self.mask
    }
}

/// A device that is a bank of 32-bit registers plus plain state. Implementing it makes a [`Device`].
pub trait Registers: Send {
    /// Model name.
    const MODEL: &'static str;
    /// Version of the layout of `State`; raised when the layout changes.
    const VERSION: u32 = 1;
    /// The register map.
    type Reg: RegMap;
    /// Everything a snapshot holds.
    type State: Serialize + DeserializeOwned;

    /// The state.
    fn state(&self) -> &Self::State;
    /// The state, to be replaced.
    fn state_mut(&mut self) -> &mut Self::State;
    /// The state after cold reset.
    fn initial(&self) -> Self::State;
    /// Whether `state`, which comes from a file, is possible: what indexing and arithmetic rely on.
    ///
    /// # Errors
    /// Which value is not, and why.
    fn check(&self, _state: &Self::State) -> Result<(), String> {
        Ok(())
    }
    /// What a read returns. Never called for write-only registers.
    fn get(&mut self, reg: Self::Reg, at: At) -> u32;
    /// What a write does; only the bits in `at.mask` are the guest's. Never called for read-only registers.
    fn put(&mut self, reg: Self::Reg, at: At, value: u32);
    /// Recomputes every output from the state: after each access, reset and load.
    fn update(&mut self);
}

/// One access inside one register.
struct Lane {
    word: u64,
    shift: u32,
    mask: u32,
}

impl Lane {
    /// `None` where the access does not lie within one register.
    fn new(offset: u64, size: u8) -> Option<Lane> {
        let mask = match size {
            1 => 0xff,
            2 => 0xffff,
            4 => 0xffff_ffff,
            _ => return None,
        };
        let shift = (offset % 4) as u32 * 8;
        offset.is_multiple_of(u64::from(size)).then_some(Lane {
            word: offset & !3,
            shift,
            mask: mask << shift,
        })
    }
}

fn read_lane<T: Registers>(device: &mut T, access: Access) -> u32 {
    let Access { offset, size, cpu } = access;
    let Some(lane) = Lane::new(offset, size) else {
        misuse::report(T::MODEL, Misuse::BadSize, offset, 0);
        return 0;
    };
    match T::Reg::find(lane.word) {
        Some(entry) if entry.rights != Rights::Wo => {
            let n = (lane.word - entry.offset) as usize / 4;
            (device.get(
                entry.reg,
                At {
                    cpu,
                    n,
                    mask: lane.mask,
                },
            ) & lane.mask)
                >> lane.shift
        }
        Some(_) => {
            misuse::report(T::MODEL, Misuse::ReadWriteOnly, offset, 0);
            0
        }
        None => {
            misuse::report(T::MODEL, Misuse::ReadNothing, offset, 0);
            0
        }
    }
}

fn write_lane<T: Registers>(device: &mut T, access: Access, value: u32) {
    let Access { offset, size, cpu } = access;
    let Some(lane) = Lane::new(offset, size) else {
        return misuse::report(T::MODEL, Misuse::BadSize, offset, value.into());
    };
    match T::Reg::find(lane.word) {
        Some(entry) if entry.rights != Rights::Ro => {
            let n = (lane.word - entry.offset) as usize / 4;
            device.put(
                entry.reg,
                At {
                    cpu,
                    n,
                    mask: lane.mask,
                },
                (value << lane.shift) & lane.mask,
            );
        }
        Some(_) => misuse::report(T::MODEL, Misuse::WriteReadOnly, offset, value.into()),
        None => misuse::report(T::MODEL, Misuse::WriteNothing, offset, value.into()),
    }
}

impl<T: Registers> Device for T {
    fn model(&self) -> &'static str {
        T::MODEL
    }

    fn read(&mut self, access: Access) -> u64 {
        let value = if access.size == 8 {
            let high = Access {
                offset: access.offset.saturating_add(4),
                size: 4,
                ..access
            };
            let low = read_lane(self, Access { size: 4, ..access });
            u64::from(low) | u64::from(read_lane(self, high)) << 32
        } else {
            read_lane(self, access).into()
        };
        self.update();
        value
    }

    fn write(&mut self, access: Access, value: u64) {
        if access.size == 8 {
            let high = Access {
                offset: access.offset.saturating_add(4),
                size: 4,
                ..access
            };
            write_lane(self, Access { size: 4, ..access }, value as u32);
            write_lane(self, high, (value >> 32) as u32);
        } else {
            write_lane(self, access, value as u32);
        }
        self.update();
    }

    fn reset(&mut self) {
        *self.state_mut() = self.initial();
        self.update();
    }

    fn save(&self) -> Saved {
        Saved::new(T::MODEL, T::VERSION, self.state())
    }

    fn load(&mut self, saved: &Saved) -> Result<(), LoadError> {
        let state = saved.state(T::MODEL, T::VERSION)?;
        self.check(&state).map_err(|reason| LoadError::Impossible {
            model: T::MODEL,
            reason,
        })?;
        *self.state_mut() = state;
        self.update();
        Ok(())
    }
}

/// Declares a register map `Reg`: the table is the documentation.
///
/// A row is `offset NAME Rights`, or `offset NAME[count] Rights` for an array of registers 4 bytes apart. Rows that
/// overlap do not build.
///
/// ```
/// emu_devices::regs! {
///     /// Control
///     0x000 CTLR    Rw
///     /// Interrupt priorities
///     0x400 IPR[64] Rw
/// }
/// use emu_devices::bus::RegMap;
/// assert_eq!(Reg::find(0x404).map(|row| row.name), Some("IPR"));
/// assert!(Reg::find(0x004).is_none());
/// ```
#[macro_export]
macro_rules! regs {
    ($( $(#[$doc:meta])* $offset:literal $name:ident $([$count:literal])? $rights:ident )*) => {
        /// The registers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        pub enum Reg { $( $(#[$doc])* $name ),* }

        impl Reg {
            const ROWS: &'static [(u64, u64)] = &[ $( ($offset, $crate::regs!(@count $($count)?)) ),* ];
        }

        impl $crate::bus::RegMap for Reg {
            const TABLE: &'static [$crate::bus::Entry<Self>] = &[ $( $crate::bus::Entry {
                offset: $offset,
                count: $crate::regs!(@count $($count)?),
                reg: Reg::$name,
                rights: $crate::bus::Rights::$rights,
                name: stringify!($name),
            } ),* ];
            const INDEX: &'static [u8] = {
                static INDEX: [u8; $crate::bus::span(Reg::ROWS)] = $crate::bus::index(Reg::ROWS);
                &INDEX
            };
        }
    };
    (@count) => { 1 };
    (@count $count:literal) => { $count };
}

#[cfg(test)]
mod tests {
    use super::*;
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
        }
    }
    use map::Reg;

    #[derive(Default, Serialize, Deserialize)]
    struct State {
        data: u32,
        words: [u32; 2],
    }

    #[derive(Default)]
    struct Chip(State);

    impl Registers for Chip {
        const MODEL: &'static str = "test-chip";
        type Reg = Reg;
        type State = State;
        fn state(&self) -> &State {
            &self.0
        }
        fn state_mut(&mut self) -> &mut State {
            &mut self.0
        }
        fn initial(&self) -> State {
            State::default()
        }
        fn check(&self, state: &State) -> Result<(), String> {
            if state.data == 13 {
                Err("data is 13".into())
            } else {
                Ok(())
            }
        }
        fn get(&mut self, reg: Reg, at: At) -> u32 {
            match reg {
                Reg::DATA => self.0.data,
                Reg::WORD => self.0.words[at.n],
                Reg::ID => 0x0403_0201,
                Reg::CLEAR => 0,
            }
        }
        fn put(&mut self, reg: Reg, at: At, value: u32) {
            match reg {
                Reg::DATA => self.0.data = value,
                Reg::WORD => self.0.words[at.n] = at.merge(self.0.words[at.n], value),
                Reg::CLEAR => self.0.data &= !value,
                Reg::ID => {}
            }
        }
        fn update(&mut self) {}
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
    fn misuse_reads_zero_and_writes_nothing() {
        let mut chip = Chip(State { data: 5, words: [0; 2] });

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
    fn an_impossible_state_leaves_the_device_alone() {
        let mut chip = Chip(State { data: 5, words: [0; 2] });
        let saved = Chip(State {
            data: 13,
            words: [0; 2],
        })
        .save();

        let refused = chip.load(&saved);

        assert!(matches!(refused, Err(LoadError::Impossible { .. })));
        assert_eq!(chip.0.data, 5);
    }
}
