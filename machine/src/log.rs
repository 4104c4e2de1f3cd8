//! What emu says about itself, on standard error: there it does not cut the guest's lines where both are on one terminal.
//!
//! Standard error that takes nothing is no reason to stop, and there is nobody to tell.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use emu_devices::backend::Terminal;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Target of messages about what guests get wrong about devices.
const GUEST: &str = "guest";

/// The terminal that the guest writes to.
static BESIDE: Mutex<Weak<Terminal>> = Mutex::new(Weak::new());

/// Says a line about the run.
pub fn say(line: Arguments<'_>) {
    write(&format!("emu: {line}\n"));
}

/// From now on, until it is gone, the guest writes to `terminal`.
pub fn beside(terminal: &Arc<Terminal>) {
    *BESIDE.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(terminal);
}

fn write(lines: &str) {
    let terminal = BESIDE.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    if !terminal.is_some_and(|terminal| terminal.aside(lines)) {
        let _ = io::stderr().write_all(lines.as_bytes());
    }
}

/// Standard error, for whole lines.
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts logging: 0 warnings only, 1 progress, 2 the guest's mistakes about devices, 3 and more everything. Where a
/// program that uses this crate logs already, its logging stays.
pub fn start(verbose: u8) {
    let (own, guest) = match verbose {
        0 => (Level::WARN, LevelFilter::OFF),
        1 => (Level::INFO, LevelFilter::OFF),
        2 => (Level::INFO, LevelFilter::WARN),
        _ => (Level::TRACE, LevelFilter::TRACE),
    };
    let filter = Targets::new().with_default(own).with_target(GUEST, guest);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Lines)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}
