//! A character backend in memory: for tests, and for a console that a program reads.

use super::{CharBackend, CharClient};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Input and output as byte queues. Clones are the same backend.
#[derive(Clone, Default)]
pub struct MemoryChar {
    queues: Arc<Mutex<Queues>>,
    client: Arc<Mutex<Option<Arc<dyn CharClient>>>>,
}

#[derive(Default)]
struct Queues {
    input: VecDeque<u8>,
    output: Vec<u8>,
    /// Bytes of output held before the backend is full; `None`: never full.
    limit: Option<usize>,
}

impl MemoryChar {
    /// Empty, and never full.
    pub fn new() -> MemoryChar {
        MemoryChar::default()
    }

    /// Gives the guest input.
    pub fn feed(&self, bytes: &[u8]) {
        self.queues().input.extend(bytes);
        self.notify();
    }

    /// Takes the output there is.
    pub fn take_output(&self) -> Vec<u8> {
        let output = std::mem::take(&mut self.queues().output);
        self.notify();
        output
    }

    /// Makes the backend full at `limit` bytes of output not taken.
    pub fn set_limit(&self, limit: Option<usize>) {
        self.queues().limit = limit;
        self.notify();
    }

    /// Input bytes the guest has not read.
    pub fn pending_input(&self) -> usize {
        self.queues().input.len()
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(client) = client {
            client.ready();
        }
    }
}

impl CharBackend for MemoryChar {
    fn write(&self, bytes: &[u8]) -> usize {
        let mut queues = self.queues();
        let room = queues
            .limit
            .map_or(usize::MAX, |limit| limit.saturating_sub(queues.output.len()));
        let taken = bytes.len().min(room);
        queues.output.extend(bytes.iter().take(taken));
        taken
    }

    fn read(&self, bytes: &mut [u8]) -> usize {
        let mut queues = self.queues();
        let count = bytes.len().min(queues.input.len());
        for (slot, byte) in bytes.iter_mut().zip(queues.input.drain(..count)) {
            *slot = byte;
        }
        count
    }

    fn connect(&self, client: Box<dyn CharClient>) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.into());
    }
}
