//! Signals of the host, as events.

use std::ffi::c_int;
use std::io;
use std::sync::Arc;

use crossbeam::channel::Sender;
use emu_devices::bus::Threads;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::events::Event;

/// Power failure, by which init systems ask for a shutdown. Linux's number on x86 and Arm.
const SIGPWR: c_int = 30;

/// A file that has become as large as the host lets it is an error for who writes it, as a full disk is, and not the end.
pub fn ignore_full_files() {
    // Without it the host ends emu there, which is the worst that is to be had.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// Sends SIGTERM, SIGINT and SIGHUP as [`Event::Signal`] and SIGPWR as [`Event::PowerKey`] from now on, on
/// one of `threads`.
///
/// # Errors
///
/// The host refuses the handlers or a thread.
pub fn watch(threads: &Threads, events: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGPWR])?;
    let body = move || {
        for number in signals.forever() {
            let event = match u8::try_from(number) {
                _ if number == SIGPWR => Event::PowerKey,
                Ok(number) => Event::Signal(number),
                Err(_) => continue,
            };
            if events.send(event).is_err() {
                return;
            }
        }
    };
    threads.spawn("emu-signals", body)
}
