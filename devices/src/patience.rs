//! Waiting in tests: what never comes is a failure, not a hang.

use std::time::{Duration, Instant};

/// How long anything may take on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until it is so.
///
/// # Panics
/// It is not so in time: the test failed.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not yet");
        std::thread::yield_now();
    }
}
