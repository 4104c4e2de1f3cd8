//! An end to runs that have none.

use emu_jit::engine::Kick;
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Ends a run that goes on for very long, for a wrong branch may never leave. A machine's progress is odd during a run.
pub fn watch(progress: Weak<AtomicU64>, kick: Kick) {
    std::thread::spawn(move || {
        let mut seen = u64::MAX;
        while let Some(progress) = progress.upgrade() {
            let now = progress.load(Relaxed);
            if now == seen && now & 1 != 0 {
                kick.request_exit();
            }
            seen = now;
            drop(progress);
            std::thread::sleep(Duration::from_secs(5));
        }
    });
}
