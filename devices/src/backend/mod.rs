//! The host side of devices.

mod made;
mod memory;
mod remote;
mod stream;
pub mod terminal;

pub use made::Made;
pub use memory::MemoryChar;
pub use remote::listen;
pub use stream::{OnLost, Stream};
pub use terminal::Terminal;

use std::io;

/// A source and sink of characters: a terminal, a file, a test's buffers.
///
/// The device calls `write` and `read` while it is locked: both are leaves, return at once and move what fits into, or
/// is there in, a bounded buffer. The backend's own threads move the bytes between the buffers and the host, and tell
/// the device through [`CharClient`] when there is something to do.
pub trait CharBackend: Send + Sync {
    /// Takes bytes of output; returns how many it took, from the start of `bytes`. 0 means full: the client hears when
    /// there is room again.
    fn write(&self, bytes: &[u8]) -> usize;
    /// Moves input into `bytes`; returns how many bytes there were. What is not read stays.
    fn read(&self, bytes: &mut [u8]) -> usize;
    /// Whether no more input comes than what is there.
    fn is_at_end(&self) -> bool {
        false
    }
    /// Sets who hears of input and of room. Replaces a client set before.
    fn connect(&self, client: Box<dyn CharClient>);
}

/// Where a device keeps what a guest writes for good: a file, a test's buffer.
///
/// The device calls it while it is locked: it is a leaf.
pub trait Store: Send + Sync {
    /// Keeps `bytes` at `offset`, so that they are there after a run that ends in any way.
    ///
    /// # Errors
    ///
    /// The host's; some of the bytes may have been kept.
    fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

/// The device end of a [`CharBackend`].
pub trait CharClient: Send + Sync {
    /// There is input to read, or there is room to write again. Called from a backend's thread with nothing locked.
    fn ready(&self);
}

impl<F: Fn() + Send + Sync> CharClient for F {
    fn ready(&self) {
        self()
    }
}

/// No host side: output vanishes, input never comes.
pub struct NullChar;

impl CharBackend for NullChar {
    fn write(&self, bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn read(&self, _bytes: &mut [u8]) -> usize {
        0
    }

    fn is_at_end(&self) -> bool {
        true
    }

    fn connect(&self, _client: Box<dyn CharClient>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_host_side_output_vanishes_and_input_has_ended() {
        let mut bytes = [7; 3];

        assert_eq!(NullChar.write(&bytes), 3);
        assert_eq!((NullChar.read(&mut bytes), bytes), (0, [7; 3]));
        assert!(NullChar.is_at_end());
        assert!(!MemoryChar::new().is_at_end(), "more may come");
    }
}
