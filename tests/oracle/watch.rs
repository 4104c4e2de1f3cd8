//! An end to runs that have none.

use emu_jit::engine::Kick;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// Looks that see a run go on though it was told to end, before that is the end of the tests.
const LOOKS: u32 = 12;

/// How far a machine's runs of records have come.
pub struct Progress<R> {
    /// Twice the runs that are over, and one for the one that goes on.
    count: AtomicU64,
    running: Mutex<Option<R>>,
}

impl<R: Copy + Send + 'static> Progress<R> {
    /// Of a machine that is ended by `kick`: a run that goes on for very long is told to end, for a wrong branch may never
    /// leave. One that goes on all the same is said on the terminal, by `show`, and ends the process, which would hang.
    pub fn watched(kick: Kick, show: fn(&R) -> String) -> Arc<Progress<R>> {
        let progress = Arc::new(Progress {
            count: AtomicU64::new(0),
            running: Mutex::new(None),
        });
        let watched = Arc::downgrade(&progress);
        std::thread::spawn(move || watch(&watched, &kick, show));
        progress
    }
    /// A record begins: how many did before.
    pub fn begin(&self, record: &R) -> u64 {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(*record);
        self.count.fetch_add(1, Relaxed) / 2
    }
    /// It is over.
    pub fn end(&self) {
        self.count.fetch_add(1, Relaxed);
    }
}

fn watch<R: Copy>(progress: &Weak<Progress<R>>, kick: &Kick, show: fn(&R) -> String) {
    let (mut seen, mut looks) = (u64::MAX, 0);
    while let Some(progress) = progress.upgrade() {
        let now = progress.count.load(Relaxed);
        looks = if now == seen && now & 1 != 0 { looks + 1 } else { 0 };
        if looks > 0 {
            kick.request_exit();
        }
        if looks > LOOKS {
            let record = *progress.running.lock().unwrap_or_else(PoisonError::into_inner);
            let what = record.as_ref().map(show).unwrap_or_default();
            let _ = writeln!(
                std::io::stderr(),
                "\n*** a run goes on though it was told to end: {what}"
            );
            std::process::abort();
        }
        seen = now;
        drop(progress);
        std::thread::sleep(INTERVAL);
    }
}
