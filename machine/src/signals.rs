//! Signals of the host, as events.

use std::ffi::c_int;
use std::io;
use std::thread;

use crossbeam::channel::Sender;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::events::Event;

/// Power failure, by which init systems ask for a shutdown. Linux's number on x86 and Arm.
const SIGPWR: c_int = 30;

/// Sends SIGTERM, SIGINT and SIGHUP as [`Event::Signal`] and SIGPWR as [`Event::PowerKey`] from now on.
///
/// # Errors
///
/// The host refuses the handlers or a thread.
pub fn watch(events: Sender<Event>) -> io::Result<()> {
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
    thread::Builder::new().name("emu-signals".into()).spawn(body)?;
    Ok(())
}
