//! One 16-bit chip of a bank: what it does with the commands written to it.

use serde::{Deserialize, Serialize};

/// Bytes of an erase block of one chip.
pub const BLOCK: u64 = 128 << 10;
/// The same in 16-bit words.
pub const BLOCK_WORDS: u64 = BLOCK / 2;
/// Words of the write buffer.
const BUFFER_WORDS: usize = 1 << (BUFFER_LOG2 - 1);
/// The CFI's number for it: log2 of its bytes.
const BUFFER_LOG2: u8 = 11;
/// Manufacturer and device: Intel's, as this board's drivers know it.
const MANUFACTURER: u16 = 0x89;
const DEVICE: u16 = 0x18;

/// Status register.
mod sr {
    pub const READY: u16 = 1 << 7;
    pub const ERASE_ERROR: u16 = 1 << 5;
    pub const PROGRAM_ERROR: u16 = 1 << 4;
}

/// What the chip expects or shows. Where it expects a write, reads show the status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
enum Mode {
    #[default]
    Array,
    Status,
    Identifier,
    Query,
    /// Program (40h, 10h): the data comes next.
    Program,
    /// Block erase (20h): the confirmation comes next.
    Erase,
    /// Block lock setup (60h): which, comes next.
    Lock,
    /// Protection register (C0h): the data comes next.
    Protection,
    /// Write to buffer (E8h): the count comes next. Reads show the extended status.
    BufferCount {
        block: u64,
    },
    /// The words of the buffer come.
    Buffer {
        block: u64,
        left: u16,
        words: Vec<(u64, u16)>,
    },
    /// The confirmation of the buffer comes next.
    BufferConfirm {
        words: Vec<(u64, u16)>,
    },
}

/// A chip's command state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chip {
    mode: Mode,
    status: u16,
}

/// What a read returns.
pub enum Answer {
    /// What is in the array.
    Array,
    /// This.
    Value(u16),
}

/// What a write does to the array.
pub enum Effect {
    None,
    /// The write makes no sense here; what is said of it in the log.
    Misuse(&'static str),
    /// Programs values at word addresses.
    Program(Vec<(u64, u16)>),
    /// Erases the block around a word address.
    Erase(u64),
}

impl Chip {
    /// As at power-on.
    pub const fn new() -> Chip {
        Chip {
            mode: Mode::Array,
            status: sr::READY,
        }
    }

    pub fn is_array(&self) -> bool {
        self.mode == Mode::Array
    }

    /// A read of the chip, which has `size` bytes, at a word address.
    pub fn read(&self, word: u64, size: u64) -> Answer {
        Answer::Value(match self.mode {
            Mode::Array => return Answer::Array,
            Mode::Identifier => match word % BLOCK_WORDS {
                0 => MANUFACTURER,
                1 => DEVICE,
                // Block lock configuration (word 2) and the rest: not locked.
                _ => 0,
            },
            Mode::Query => query(word, size).into(),
            _ => self.status,
        })
    }

    /// A write of `value` at a word address.
    pub fn write(&mut self, word: u64, value: u16) -> Effect {
        match std::mem::take(&mut self.mode) {
            Mode::Program => {
                self.mode = Mode::Status;
                Effect::Program(vec![(word, value)])
            }
            Mode::Erase => self.confirm_erase(word, value),
            Mode::Lock => self.lock(value),
            Mode::Protection => {
                self.mode = Mode::Status;
                Effect::Misuse("protection register written (ignored)")
            }
            Mode::BufferCount { block } => self.buffer_count(block, value),
            Mode::Buffer { block, left, words } => self.buffer_word(block, left, words, (word, value)),
            Mode::BufferConfirm { words } => self.buffer_confirm(words, value),
            mode @ (Mode::Array | Mode::Status | Mode::Identifier | Mode::Query) => self.command(mode, word, value),
        }
    }

    fn command(&mut self, before: Mode, word: u64, value: u16) -> Effect {
        self.mode = match value & 0xff {
            0xff => Mode::Array,
            0x90 => Mode::Identifier,
            0x98 => Mode::Query,
            // Suspend and resume: nothing is ever under way.
            0x70 | 0xb0 | 0xd0 => Mode::Status,
            0x50 => {
                self.status = sr::READY;
                before
            }
            0x10 | 0x40 => Mode::Program,
            0x20 => Mode::Erase,
            0x60 => Mode::Lock,
            0xc0 => Mode::Protection,
            0xe8 => Mode::BufferCount {
                block: word / BLOCK_WORDS,
            },
            _ => {
                self.mode = before;
                return Effect::Misuse("unknown flash command (ignored)");
            }
        };
        Effect::None
    }

    fn confirm_erase(&mut self, word: u64, value: u16) -> Effect {
        match value & 0xff {
            0xd0 => {
                self.mode = Mode::Status;
                Effect::Erase(word)
            }
            _ => self.sequence_error(),
        }
    }

    /// Lock, lock down and unlock are taken and change nothing.
    fn lock(&mut self, value: u16) -> Effect {
        match value & 0xff {
            0x01 | 0x2f | 0xd0 => {
                self.mode = Mode::Status;
                Effect::None
            }
            _ => self.sequence_error(),
        }
    }

    /// The count is the number of words less one.
    fn buffer_count(&mut self, block: u64, value: u16) -> Effect {
        if usize::from(value) >= BUFFER_WORDS {
            return self.sequence_error();
        }
        self.mode = Mode::Buffer {
            block,
            left: value,
            words: Vec::with_capacity(usize::from(value) + 1),
        };
        Effect::None
    }

    fn buffer_word(&mut self, block: u64, left: u16, mut words: Vec<(u64, u16)>, word: (u64, u16)) -> Effect {
        if word.0 / BLOCK_WORDS != block {
            return self.sequence_error();
        }
        words.push(word);
        self.mode = match left {
            0 => Mode::BufferConfirm { words },
            _ => Mode::Buffer {
                block,
                left: left - 1,
                words,
            },
        };
        Effect::None
    }

    fn buffer_confirm(&mut self, words: Vec<(u64, u16)>, value: u16) -> Effect {
        if value & 0xff != 0xd0 {
            return self.sequence_error();
        }
        self.mode = Mode::Status;
        Effect::Program(words)
    }

    /// "Improper command sequence": both error bits.
    fn sequence_error(&mut self) -> Effect {
        self.status |= sr::ERASE_ERROR | sr::PROGRAM_ERROR;
        self.mode = Mode::Status;
        Effect::Misuse("improper flash command sequence (refused)")
    }

    /// What was to be programmed is not.
    pub fn fail_to_program(&mut self) {
        self.status |= sr::PROGRAM_ERROR;
    }

    /// What was to be erased is not.
    pub fn fail_to_erase(&mut self) {
        self.status |= sr::ERASE_ERROR;
    }

    /// Whether a state from a file is possible for a chip of `size` bytes.
    pub fn check(&self, size: u64) -> Result<(), String> {
        let (left, words) = match &self.mode {
            Mode::Buffer { left, words, .. } => (usize::from(*left), words),
            Mode::BufferConfirm { words } => (0, words),
            _ => return Ok(()),
        };
        if left + words.len() > BUFFER_WORDS {
            return Err(format!("write buffer of {} words", left + words.len()));
        }
        match words.iter().find(|(word, _)| *word >= size / 2) {
            Some((word, _)) => Err(format!("write buffer for word {word} of {}", size / 2)),
            None => Ok(()),
        }
    }
}

/// The query table (JESD68.01 and, from 31h, Intel's extension): a byte for each word address. `size`: bytes of the
/// chip.
fn query(word: u64, size: u64) -> u8 {
    let blocks = size / BLOCK - 1;
    match word {
        0x10 => b'Q',
        0x11 => b'R',
        0x12 => b'Y',
        // Primary command set: Intel's extended one; its table is at 31h.
        0x13 => 0x01,
        0x15 => 0x31,
        // Vcc from 4.5 to 5.5 V; no Vpp.
        0x1b => 0x45,
        0x1c => 0x55,
        // Typical times, as powers of two: word and buffer program (us), block erase (ms).
        0x1f | 0x20 => 0x07,
        0x21 => 0x0a,
        // How many times (as powers of two) longer they take at most.
        0x23..=0x25 => 0x04,
        0x27 => size.ilog2() as u8,
        // x8 and x16.
        0x28 => 0x02,
        0x2a => BUFFER_LOG2,
        // One erase region: blocks less one, and their size in 256 bytes.
        0x2c => 0x01,
        0x2d => blocks as u8,
        0x2e => (blocks >> 8) as u8,
        0x2f => (BLOCK / 256) as u8,
        0x30 => ((BLOCK / 256) >> 8) as u8,
        // Extended table 1.0, without optional features, with one (absent) protection field.
        0x31 => b'P',
        0x32 => b'R',
        0x33 => b'I',
        0x34 => b'1',
        0x35 => b'0',
        0x3f => 0x01,
        _ => 0,
    }
}
