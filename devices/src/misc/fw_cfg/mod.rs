//! fw_cfg, the firmware configuration device of QEMU's boards, by its published interface (docs/specs/fw_cfg).
//!
//! A list of items, each a string of bytes under a 16-bit key; from 0x20 on, files with names, listed in the directory
//! item. The guest selects an item and reads it on, byte by byte from the data register or by DMA. In memory, as on the
//! Arm boards, the data is at 0, the selector at 8, the DMA address at 16, the latter two big-endian; among the ports of a
//! PC, from 510h on, the selector is at 0, of 16 bits and little-endian, the data at 1, the DMA address at 4, big-endian.
//!
//! A guest that starts a DMA request waits for its control word to become 0, if it does as it should: the code that
//! compilers make of U-Boot's driver (2023.01) looks once and else loops for ever. An item is therefore moved before the
//! access returns that asks for it. Zeros past an item's end, which may be 4 GiB, a worker moves, piece by piece.

#[cfg(test)]
mod tests;

use crate::bus::misuse::{self, Misuse};
use crate::bus::{Access, Bell, Device, Format, GuestMemory, LoadError, Next, OutOfRange, Saved, Works};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys of the items every machine has.
pub mod key {
    /// "QEMU".
    pub const SIGNATURE: u16 = 0x00;
    /// Interface features.
    pub const ID: u16 = 0x01;
    /// Number of CPUs, 16 bits little-endian.
    pub const NB_CPUS: u16 = 0x05;
    /// Size of the kernel image, 32 bits little-endian.
    pub const KERNEL_SIZE: u16 = 0x08;
    /// Size of the initial RAM disk.
    pub const INITRD_SIZE: u16 = 0x0b;
    /// Most CPUs there can be.
    pub const MAX_CPUS: u16 = 0x0f;
    /// The kernel image.
    pub const KERNEL_DATA: u16 = 0x11;
    /// The initial RAM disk.
    pub const INITRD_DATA: u16 = 0x12;
    /// Size of the kernel command line, its terminating zero included.
    pub const CMDLINE_SIZE: u16 = 0x14;
    /// The kernel command line.
    pub const CMDLINE_DATA: u16 = 0x15;
    /// Directory of the files.
    pub const FILE_DIR: u16 = 0x19;
    /// The first file.
    pub const FILE_FIRST: u16 = 0x20;
}

const MODEL: &str = "fw_cfg";
const FORMAT: Format = Format {
    model: MODEL,
    version: 2,
    older: &[(1, before_pieces)],
};
/// Features: the data register, and DMA.
const FEATURES: u32 = 1 | 2;
/// What the DMA address register reads as.
const DMA_SIGNATURE: u64 = u64::from_be_bytes(*b"QEMU CFG");
/// Keys that mean the same item: bit 14 asked older devices for writing.
const WRITE_CHANNEL: u16 = 1 << 14;
/// Longest file name, without its terminating zero.
const NAME: usize = 55;
/// Bytes moved at once by DMA.
const CHUNK: usize = 64 << 10;
/// Bytes past an item's end that are moved before the access returns that asks for them.
const ZEROS_AT_ONCE: u64 = 1 << 20;

/// Where the registers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Memory,
    Ports,
}

/// What an access reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    /// The next bytes of the item.
    Data,
    Selector,
    /// The whole DMA address.
    Dma,
    DmaHigh,
    DmaLow,
}

impl Layout {
    fn find(self, access: Access) -> Option<Register> {
        let Access { offset, size, .. } = access;
        let dma = match self {
            Layout::Memory => 16,
            Layout::Ports => 4,
        };
        match (self, offset, size) {
            (Layout::Memory, 0..8, 1 | 2 | 4 | 8) if offset + u64::from(size) <= 8 => Some(Register::Data),
            (Layout::Ports, 1, 1) => Some(Register::Data),
            (Layout::Memory, 8, 2) | (Layout::Ports, 0, 2) => Some(Register::Selector),
            (_, _, 8) if offset == dma => Some(Register::Dma),
            (_, _, 4) if offset == dma => Some(Register::DmaHigh),
            (_, _, 4) if offset == dma + 4 => Some(Register::DmaLow),
            _ => None,
        }
    }

    /// The key in a value written to the selector.
    fn key(self, value: u16) -> u16 {
        match self {
            Layout::Memory => value.swap_bytes(),
            Layout::Ports => value,
        }
    }
}

/// Control word of a DMA request.
mod dma {
    pub const ERROR: u32 = 1;
    pub const READ: u32 = 2;
    pub const SKIP: u32 = 4;
    pub const SELECT: u32 = 8;
    pub const WRITE: u32 = 16;
}

/// Everything a snapshot holds. The items are the machine's configuration, but for what the guest has written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    selected: u16,
    /// Bytes of the selected item already read.
    offset: u64,
    /// Upper half of the DMA address, waiting for the lower.
    dma_high: u32,
    /// Contents of writable items that the guest has changed.
    written: BTreeMap<u16, Vec<u8>>,
    /// A DMA request that is under way.
    #[serde(deserialize_with = "Option::deserialize")]
    dma: Option<Transfer>,
}

/// What is left of a DMA request that reads an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Transfer {
    /// Guest-physical address of the request.
    request: u64,
    key: u16,
    /// The next byte of the item.
    offset: u64,
    /// Guest-physical address that it goes to.
    target: u64,
    /// Bytes that are left.
    left: u32,
}

/// Version 1 had all of a request done at once.
fn before_pieces(mut state: Value) -> Result<Value, String> {
    state
        .as_object_mut()
        .ok_or("not an object")?
        .insert("dma".into(), Value::Null);
    Ok(state)
}

struct Item {
    bytes: Arc<[u8]>,
    writable: bool,
}

/// The device: state, items and wiring.
pub struct FwCfg {
    layout: Layout,
    state: State,
    items: BTreeMap<u16, Item>,
    files: BTreeMap<String, u16>,
    memory: Arc<dyn GuestMemory>,
    bell: Bell,
}

/// Why a file was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The name is empty, longer than 55 bytes or holds a zero.
    #[error("`{0}` is no name for a fw_cfg file (1 to {NAME} bytes, no zeros)")]
    Name(String),
    /// There is a file with this name.
    #[error("there is a fw_cfg file `{0}` already")]
    Taken(String),
    /// The size does not fit the directory's 32 bits, or there are no more keys.
    #[error("fw_cfg file `{0}` does not fit")]
    Full(String),
}

impl FwCfg {
    /// A device in memory, with the signature, the feature word and an empty directory, whose DMA goes to `memory`.
    pub fn new(memory: Arc<dyn GuestMemory>) -> FwCfg {
        FwCfg::with_layout(Layout::Memory, memory)
    }

    /// The same device among a PC's ports: 510h to 51Bh.
    pub fn ports(memory: Arc<dyn GuestMemory>) -> FwCfg {
        FwCfg::with_layout(Layout::Ports, memory)
    }

    fn with_layout(layout: Layout, memory: Arc<dyn GuestMemory>) -> FwCfg {
        let mut device = FwCfg {
            layout,
            state: State::default(),
            items: BTreeMap::new(),
            files: BTreeMap::new(),
            memory,
            bell: Bell::default(),
        };
        device.add_item(key::SIGNATURE, *b"QEMU");
        device.add_item(key::ID, FEATURES.to_le_bytes());
        device.write_directory();
        device
    }

    /// Sets the item with this key. For the fixed keys; files get theirs from [`add_file`](FwCfg::add_file).
    pub fn add_item(&mut self, key: u16, bytes: impl Into<Arc<[u8]>>) {
        self.items.insert(
            key & !WRITE_CHANNEL,
            Item {
                bytes: bytes.into(),
                writable: false,
            },
        );
    }

    /// Adds a file that the guest reads. All files are added before the machine starts: a file's key is the next free
    /// one.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn add_file(&mut self, name: &str, bytes: impl Into<Arc<[u8]>>) -> Result<(), FileError> {
        self.insert_file(name, bytes.into(), false)
    }

    /// Adds a file that the guest may also overwrite, by DMA, in its length.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn add_writable_file(&mut self, name: &str, bytes: impl Into<Arc<[u8]>>) -> Result<(), FileError> {
        self.insert_file(name, bytes.into(), true)
    }

    /// The present contents of a file.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        Some(self.contents(*self.files.get(name)?))
    }

    fn insert_file(&mut self, name: &str, bytes: Arc<[u8]>, writable: bool) -> Result<(), FileError> {
        if name.is_empty() || name.len() > NAME || name.contains('\0') {
            return Err(FileError::Name(name.to_owned()));
        }
        if self.files.contains_key(name) {
            return Err(FileError::Taken(name.to_owned()));
        }
        let key = usize::from(key::FILE_FIRST) + self.files.len();
        if key >= usize::from(WRITE_CHANNEL) || u32::try_from(bytes.len()).is_err() {
            return Err(FileError::Full(name.to_owned()));
        }
        self.items.insert(key as u16, Item { bytes, writable });
        self.files.insert(name.to_owned(), key as u16);
        self.write_directory();
        Ok(())
    }

    /// The directory: a count, then for each file size, key, a reserved half-word and the name; big-endian, by name.
    fn write_directory(&mut self) {
        let mut directory = (self.files.len() as u32).to_be_bytes().to_vec();
        for (name, &key) in &self.files {
            directory.extend((self.contents(key).len() as u32).to_be_bytes());
            directory.extend(key.to_be_bytes());
            directory.extend([0; 2]);
            directory.extend(name.as_bytes());
            directory.resize(directory.len() + NAME + 1 - name.len(), 0);
        }
        self.add_item(key::FILE_DIR, directory);
    }

    fn contents(&self, key: u16) -> &[u8] {
        match (self.state.written.get(&key), self.items.get(&key)) {
            (Some(written), _) => written,
            (None, Some(item)) => &item.bytes,
            (None, None) => &[],
        }
    }

    fn select(&mut self, key: u16) {
        self.state.selected = key & !WRITE_CHANNEL;
        self.state.offset = 0;
    }

    /// Bytes of an item from `offset` on, zeros past its end.
    fn bytes(&self, key: u16, offset: u64, out: &mut [u8]) {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.contents(key).get(start..).unwrap_or_default();
        let (there, past) = out.split_at_mut(rest.len().min(out.len()));
        there.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        past.fill(0);
    }

    /// The next bytes of the selected item.
    fn next_bytes(&mut self, out: &mut [u8]) {
        self.bytes(self.state.selected, self.state.offset, out);
        self.state.offset = self.state.offset.saturating_add(out.len() as u64);
    }

    /// A request at guest-physical `address`: control, length, address. The answer goes into the control word.
    fn request(&mut self, address: u64) {
        let mut request = [0; 16];
        if self.memory.read(address, &mut request).is_err() {
            let what = Misuse::BadValue("DMA request outside RAM (ignored)");
            return misuse::report(MODEL, what, 16, address);
        }
        if self.state.dma.is_some() {
            let what = Misuse::BadValue("DMA request while another is under way (refused)");
            misuse::report(MODEL, what, 16, address);
            return self.answer(address, Err(OutOfRange { address, length: 16 }));
        }
        let [c0, c1, c2, c3, l0, l1, l2, l3, target @ ..] = request;
        let control = u32::from_be_bytes([c0, c1, c2, c3]);
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        match self.transfer(control, length, u64::from_be_bytes(target)) {
            Ok(Some(transfer)) => {
                self.state.dma = Some(Transfer {
                    request: address,
                    ..transfer
                });
                self.begin();
            }
            Ok(None) => self.answer(address, Ok(())),
            Err(error) => self.answer(address, Err(error)),
        }
    }

    /// Moves what of the request is moved at once, and leaves the rest to the worker.
    fn begin(&mut self) {
        let Some(Transfer { key, offset, .. }) = self.state.dma else {
            return;
        };
        let end = offset
            .max(self.contents(key).len() as u64)
            .saturating_add(ZEROS_AT_ONCE);
        while self.go_on() {
            if self.state.dma.as_ref().is_some_and(|transfer| transfer.offset >= end) {
                return self.bell.ring();
            }
        }
    }

    /// Tells the guest how its request has gone.
    fn answer(&self, request: u64, done: Result<(), OutOfRange>) {
        let answer = if done.is_ok() { 0 } else { dma::ERROR };
        // The request was read from there, so it can be written.
        let _ = self.memory.write(request, &answer.to_be_bytes());
    }

    /// Does what is asked for, all but what moves data to the guest.
    fn transfer(&mut self, control: u32, length: u32, target: u64) -> Result<Option<Transfer>, OutOfRange> {
        if control & dma::SELECT != 0 {
            self.select((control >> 16) as u16);
        }
        // No bytes have no place that could be wrong.
        if length == 0 {
            return Ok(None);
        }
        if control & dma::READ != 0 {
            return self.read_to(target, length).map(Some);
        }
        if control & dma::WRITE != 0 {
            self.write_from(target, length)?;
        } else if control & dma::SKIP != 0 {
            self.state.offset = self.state.offset.saturating_add(length.into());
        }
        Ok(None)
    }

    /// The transfer of the next `length` bytes of the selected item.
    fn read_to(&mut self, target: u64, length: u32) -> Result<Transfer, OutOfRange> {
        if !self.memory.contains(target, length.into()) {
            let length = length.into();
            return Err(OutOfRange {
                address: target,
                length,
            });
        }
        let offset = self.state.offset;
        self.state.offset = offset.saturating_add(length.into());
        Ok(Transfer {
            request: 0,
            key: self.state.selected,
            offset,
            target,
            left: length,
        })
    }

    /// Moves a piece of the request that is under way; whether there is more of it.
    fn go_on(&mut self) -> bool {
        let Some(mut transfer) = self.state.dma.take() else {
            return false;
        };
        let mut chunk = vec![0; CHUNK.min(transfer.left as usize)];
        self.bytes(transfer.key, transfer.offset, &mut chunk);
        let moved = self.memory.write(transfer.target, &chunk);
        transfer.left -= chunk.len() as u32;
        if moved.is_err() || transfer.left == 0 {
            self.answer(transfer.request, moved);
            return false;
        }
        transfer.offset = transfer.offset.saturating_add(chunk.len() as u64);
        transfer.target += chunk.len() as u64;
        self.state.dma = Some(transfer);
        true
    }

    fn write_from(&mut self, source: u64, length: u32) -> Result<(), OutOfRange> {
        let (key, refused) = (
            self.state.selected,
            OutOfRange {
                address: source,
                length: length.into(),
            },
        );
        let end = self.state.offset.saturating_add(length.into());
        if !self.items.get(&key).is_some_and(|item| item.writable) {
            return Err(refused);
        }
        let mut contents = self.contents(key).to_vec();
        let written = contents.get_mut(self.state.offset as usize..end as usize);
        self.memory.read(source, written.ok_or(refused)?)?;
        self.state.written.insert(key, contents);
        self.state.offset = end;
        Ok(())
    }
}

impl Works for FwCfg {
    fn bell(&self) -> &Bell {
        &self.bell
    }

    fn next(&mut self) -> Next<FwCfg> {
        if self.go_on() { Next::More } else { Next::Idle }
    }
}

impl Device for FwCfg {
    fn model(&self) -> &'static str {
        MODEL
    }

    fn read(&mut self, access: Access) -> u64 {
        match self.layout.find(access) {
            Some(Register::Data) => {
                // In memory the bytes keep their order, whatever the width.
                let mut bytes = [0; 8];
                let (wanted, _) = bytes.split_at_mut(usize::from(access.size).min(8));
                self.next_bytes(wanted);
                u64::from_le_bytes(bytes)
            }
            Some(Register::Dma) => DMA_SIGNATURE.swap_bytes(),
            Some(Register::DmaHigh) => ((DMA_SIGNATURE >> 32) as u32).swap_bytes().into(),
            Some(Register::DmaLow) => (DMA_SIGNATURE as u32).swap_bytes().into(),
            Some(Register::Selector) | None => {
                misuse::report(MODEL, Misuse::ReadNothing, access.offset, 0);
                0
            }
        }
    }

    fn write(&mut self, access: Access, value: u64) {
        match self.layout.find(access) {
            Some(Register::Selector) => self.select(self.layout.key(value as u16)),
            Some(Register::Dma) => self.request(value.swap_bytes()),
            Some(Register::DmaHigh) => self.state.dma_high = (value as u32).swap_bytes(),
            Some(Register::DmaLow) => {
                let high = std::mem::take(&mut self.state.dma_high);
                self.request(u64::from(high) << 32 | u64::from((value as u32).swap_bytes()));
            }
            Some(Register::Data) | None => misuse::report(MODEL, Misuse::WriteNothing, access.offset, value),
        }
    }

    fn reset(&mut self) {
        // What the guest has written is as volatile as its RAM.
        self.state = State::default();
    }

    fn save(&mut self) -> Saved {
        Saved::new(&FORMAT, &self.state)
    }

    fn load(&mut self, saved: &Saved) -> Result<(), LoadError> {
        let state: State = saved.state(&FORMAT)?;
        for (key, bytes) in &state.written {
            let fits = self
                .items
                .get(key)
                .is_some_and(|item| item.writable && item.bytes.len() == bytes.len());
            if !fits {
                let reason = format!("item {key:#x} is not writable or has another size");
                return Err(FORMAT.impossible(reason));
            }
        }
        self.state = state;
        self.bell.ring();
        Ok(())
    }
}
