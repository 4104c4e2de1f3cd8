//! What emu says about itself, on standard error.

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Target of messages about what guests get wrong about devices.
const GUEST: &str = "guest";

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
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}
