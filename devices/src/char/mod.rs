//! Character devices.

pub mod pl011;
pub mod uart16550;

use crate::backend::CharBackend;

/// Depth of the FIFOs of both UARTs, in characters.
const FIFO: usize = 16;
/// How long a receiver that its driver may still be setting up sees an idle line, in nanoseconds.
const SETTLE: u64 = 1_000_000_000;
/// How many looks at a UART's flags in a row, which all say that there is nothing to send or received, are polling. Drivers
/// that drain the receiver or wait for the transmitter make fewer.
const POLLS: u8 = 16;

/// What a backend has of characters, no more than there is room for.
fn take(backend: &dyn CharBackend, room: usize) -> impl Iterator<Item = u8> + use<> {
    let mut bytes = [0; FIFO];
    let (free, _) = bytes.split_at_mut(room.min(FIFO));
    let count = match free {
        [] => 0,
        _ => backend.read(free).min(free.len()),
    };
    bytes.into_iter().take(count)
}
