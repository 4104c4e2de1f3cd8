//! Parallel NOR flash with the Intel command set, as the Arm boards carry it: banks of two 16-bit chips side by side.
//!
//! Commands: Intel StrataFlash J3 datasheet (order number 290667), table "Command Bus-Cycle Definitions"; query
//! table: JEDEC JESD68.01 (CFI) and JEP137. Each chip follows the commands on its own half of the bus, so 32-bit accesses
//! drive both and 16-bit ones a single chip. Operations finish at once; nothing is ever locked. One that a [`Store`] does not
//! take changes nothing, and the status says that it failed.
//!
//! In read-array mode a bank is memory: the machine maps [`Pflash::array`] for reading and execution for as long as
//! [`FlashWatch`] says so, and sends every write here. Untouched flash reads as zeros, not as erased ones: it
//! takes no memory that way.

mod chip;
#[cfg(test)]
mod tests;

use crate::backend::Store;
use crate::bus::misuse::{self, Misuse};
use crate::bus::{Access, Bank, Device, Format, LoadError, Ram, Saved};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chip::{Answer, Chip, Effect};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

const MODEL: &str = "pflash";
const FORMAT: Format = Format::first(MODEL);
/// Chips side by side.
const CHIPS: usize = 2;
/// Bytes of an erase block of the bank.
pub const BLOCK: u64 = CHIPS as u64 * chip::BLOCK;

/// Hears what the machine must know of a bank that it has mapped directly.
///
/// Called with the bank locked, before the access that causes it returns: it must be a leaf (note what has to be
/// unmapped or invalidated) and must not access a device.
pub trait FlashWatch: Send + Sync {
    /// The bank now reads as its array (`true`), or answers reads itself (`false`): every read must then come here.
    fn array_mode(&self, array: bool);
    /// `length` bytes of the array from `offset` have changed.
    fn written(&self, offset: u64, length: u64);
}

/// A watch for a bank that is not mapped directly.
impl FlashWatch for () {
    fn array_mode(&self, _array: bool) {}
    fn written(&self, _offset: u64, _length: u64) {}
}

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    chips: Bank<Chip, CHIPS>,
    /// Erase blocks that differ from the image the bank started with, base64, by number.
    blocks: BTreeMap<u64, String>,
}

/// A bank of flash.
pub struct Pflash {
    chips: Bank<Chip, CHIPS>,
    array: Arc<Ram>,
    /// The contents the bank started with; zeros past its end.
    image: Arc<[u8]>,
    /// Erase blocks that have been erased or programmed since.
    changed: Vec<bool>,
    watch: Arc<dyn FlashWatch>,
    /// Where changes are kept, if they are to outlive the run.
    store: Option<Arc<dyn Store>>,
}

impl Pflash {
    /// A bank of `size` bytes (a power of two, from 512 KiB to 4 GiB) that holds `image` from its start; `watch`
    /// hears of changes. What the guest writes stays in memory, unless it is [kept](Pflash::kept_in).
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a size that is not possible or an image larger than it;
    /// else what the host says to the memory.
    pub fn new(size: u64, image: impl Into<Arc<[u8]>>, watch: Arc<dyn FlashWatch>) -> io::Result<Pflash> {
        let image = image.into();
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        if !size.is_power_of_two() || !(2 * BLOCK..=1 << 32).contains(&size) {
            return Err(invalid(format!("a flash bank cannot have {size} bytes")));
        }
        if image.len() as u64 > size {
            return Err(invalid(format!(
                "an image of {} bytes does not fit a flash bank of {size}",
                image.len()
            )));
        }
        let array = Arc::new(Ram::new(size)?);
        let _ = array.copy_in(0, &image);
        let changed = vec![false; (size / BLOCK) as usize];
        Ok(Pflash {
            chips: Bank([const { Chip::new() }; _]),
            array,
            image,
            changed,
            watch,
            store: None,
        })
    }

    /// Changes are kept in `store`, which has the bank's contents from the start.
    #[must_use]
    pub fn kept_in(self, store: Arc<dyn Store>) -> Pflash {
        Pflash {
            store: Some(store),
            ..self
        }
    }

    /// The contents, to be mapped while the bank is in read-array mode.
    pub fn array(&self) -> &Arc<Ram> {
        &self.array
    }

    /// Whether reads return the array: at power-on, and until the guest gives a command.
    pub fn is_array(&self) -> bool {
        self.chips.iter().all(Chip::is_array)
    }

    /// The 16 bits of a chip at a word address (in 16-bit words of that chip).
    fn read_chip(&self, chip: usize, word: u64) -> u16 {
        match self.chips[chip].read(word, self.array.len() / CHIPS as u64) {
            Answer::Value(value) => value,
            Answer::Array => self.array.load(offset_of(chip, word)).map_or(0, u16::from_le),
        }
    }

    fn write_chip(&mut self, chip: usize, word: u64, value: u16) {
        match self.chips[chip].write(word, value) {
            Effect::None => {}
            Effect::Misuse(what) => misuse::report(MODEL, Misuse::BadValue(what), offset_of(chip, word), value.into()),
            Effect::Program(words) => self.program(chip, &words),
            Effect::Erase(word) => self.erase(chip, word),
        }
    }

    /// Programming clears bits. The words are of one block.
    fn program(&mut self, chip: usize, words: &[(u64, u16)]) {
        let offsets = || words.iter().map(|(word, _)| offset_of(chip, *word));
        let (Some(first), Some(last)) = (offsets().min(), offsets().max()) else {
            return;
        };
        let done = self.change(first..last + 2, |bytes| {
            for (offset, (_, value)) in offsets().zip(words) {
                let old = bytes.iter_mut().skip((offset - first) as usize);
                old.zip(value.to_le_bytes()).for_each(|(old, new)| *old &= new);
            }
        });
        if !done {
            self.chips[chip].fail_to_program();
        }
    }

    fn erase(&mut self, chip: usize, word: u64) {
        let start = word / chip::BLOCK_WORDS * chip::BLOCK_WORDS;
        let block = offset_of(0, start);
        let done = self.change(block..block + BLOCK, |bytes| {
            let halves = bytes.chunks_exact_mut(2).skip(chip).step_by(CHIPS);
            halves.for_each(|half| half.fill(0xff));
        });
        if !done {
            self.chips[chip].fail_to_erase();
        }
    }

    /// Lets `change` change bytes of one block. False: they cannot be kept, and are as they were.
    fn change(&mut self, place: Range<u64>, change: impl FnOnce(&mut [u8])) -> bool {
        let length = place.end - place.start;
        let mut bytes = self.bytes(place.start, length);
        change(&mut bytes);
        if self.keep(place.start, &bytes).is_err() {
            return false;
        }
        let _ = self.array.copy_in(place.start, &bytes);
        if let Some(changed) = self.changed.get_mut((place.start / BLOCK) as usize) {
            *changed = true;
            self.watch.written(place.start, length);
        }
        true
    }

    /// Bytes of the array, as far as there are any.
    fn bytes(&self, offset: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        let _ = self.array.copy_out(offset, &mut bytes);
        bytes
    }

    fn keep(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.store.as_ref().map_or(Ok(()), |store| store.put(offset, bytes))
    }

    fn put(&mut self, access: Access, value: u64) {
        let Access { offset, size, .. } = access;
        let (word, lane) = (offset / 4, offset % 4);
        match size {
            4 => (0..CHIPS).for_each(|chip| self.write_chip(chip, word, (value >> (16 * chip)) as u16)),
            2 => self.write_chip(lane as usize / 2, word, value as u16),
            1 if lane % 2 == 0 => self.write_chip(lane as usize / 2, word, value as u16 & 0xff),
            _ => misuse::report(
                MODEL,
                Misuse::BadValue("write to the upper byte of a chip"),
                offset,
                value,
            ),
        }
    }

    /// Tells the watch when the way of reading has changed.
    fn follow_mode(&self, was_array: bool) {
        if self.is_array() != was_array {
            self.watch.array_mode(!was_array);
        }
    }

    /// The bytes of a block in the image.
    fn original(&self, block: u64) -> Vec<u8> {
        let start = (block * BLOCK) as usize;
        let mut bytes: Vec<u8> = self.image.iter().skip(start).take(BLOCK as usize).copied().collect();
        bytes.resize(BLOCK as usize, 0);
        bytes
    }

    fn check(&self, state: &State) -> Result<BTreeMap<u64, Vec<u8>>, String> {
        for chip in state.chips.iter() {
            chip.check(self.array.len() / CHIPS as u64)?;
        }
        let decode = |(&block, text): (&u64, &String)| {
            if block >= self.array.len() / BLOCK {
                return Err(format!("block {block} of {}", self.array.len() / BLOCK));
            }
            match BASE64.decode(text) {
                Ok(bytes) if bytes.len() as u64 == BLOCK => Ok((block, bytes)),
                _ => Err(format!("contents of block {block}")),
            }
        };
        state.blocks.iter().map(decode).collect()
    }
}

/// Where a chip's word lies in the bank.
fn offset_of(chip: usize, word: u64) -> u64 {
    2 * (CHIPS as u64 * word + chip as u64)
}

/// Whether the bank takes an access of this size here.
fn is_possible(access: Access, length: u64) -> bool {
    let size = u64::from(access.size);
    matches!(size, 1 | 2 | 4 | 8) && access.offset.is_multiple_of(size) && access.offset < length
}

impl Device for Pflash {
    fn model(&self) -> &'static str {
        MODEL
    }

    fn read(&mut self, access: Access) -> u64 {
        if !is_possible(access, self.array.len()) {
            misuse::report(MODEL, Misuse::BadSize, access.offset, 0);
            return 0;
        }
        let first = access.offset / 2;
        let halves = u64::from(access.size).div_ceil(2);
        let value = (first..first + halves).rev().fold(0, |value, half| {
            value << 16 | u64::from(self.read_chip(half as usize % CHIPS, half / CHIPS as u64))
        });
        match access.size {
            1 => value >> (8 * (access.offset % 2)) & 0xff,
            _ => value,
        }
    }

    fn write(&mut self, access: Access, value: u64) {
        if !is_possible(access, self.array.len()) {
            return misuse::report(MODEL, Misuse::BadSize, access.offset, value);
        }
        let was_array = self.is_array();
        if access.size == 8 {
            self.put(Access { size: 4, ..access }, value);
            self.put(
                Access {
                    size: 4,
                    offset: access.offset + 4,
                    ..access
                },
                value >> 32,
            );
        } else {
            self.put(access, value);
        }
        self.follow_mode(was_array);
    }

    /// The contents stay, as flash keeps them.
    fn reset(&mut self) {
        let was_array = self.is_array();
        self.chips = Bank([const { Chip::new() }; _]);
        self.follow_mode(was_array);
    }

    fn save(&mut self) -> Saved {
        let mut blocks = BTreeMap::new();
        for block in (0..)
            .zip(&self.changed)
            .filter(|(_, changed)| **changed)
            .map(|(block, _)| block)
        {
            let bytes = self.bytes(block * BLOCK, BLOCK);
            if bytes != self.original(block) {
                blocks.insert(block, BASE64.encode(bytes));
            }
        }
        Saved::new(
            &FORMAT,
            &State {
                chips: self.chips.clone(),
                blocks,
            },
        )
    }

    fn load(&mut self, saved: &Saved) -> Result<(), LoadError> {
        let state: State = saved.state(&FORMAT)?;
        let blocks = self.check(&state).map_err(|reason| FORMAT.impossible(reason))?;
        let differs = |(block, changed): (u64, &bool)| match blocks.get(&block) {
            Some(saved) => Some((block, saved.clone())),
            None => changed.then(|| (block, self.original(block))),
        };
        let new: Vec<(u64, Vec<u8>)> = (0..).zip(&self.changed).filter_map(differs).collect();
        for (block, bytes) in &new {
            let kept = self.keep(block * BLOCK, bytes);
            kept.map_err(|e| FORMAT.impossible(format!("block {block} cannot be kept: {e}")))?;
        }
        let was_array = self.is_array();
        self.chips = state.chips;
        for (block, bytes) in &new {
            let _ = self.array.copy_in(block * BLOCK, bytes);
            self.watch.written(block * BLOCK, BLOCK);
        }
        for (block, changed) in (0..).zip(&mut self.changed) {
            *changed = blocks.contains_key(&block);
        }
        self.follow_mode(was_array);
        Ok(())
    }
}
