//! Stops vCPUs that have run for too long. Time is this process's CPU time: a host with other work to do makes no
//! program look endless.

use emu_jit::engine::Kick;
use rustix::time::{ClockId, clock_gettime};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// How often it looks.
const STEP: Duration = Duration::from_millis(10);

/// The CPU time that this process has had.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("a process has run for some time")
}

#[derive(Default)]
struct State {
    until: Option<Duration>,
    fired: bool,
}

pub struct Watchdog(Arc<Mutex<State>>);

impl Watchdog {
    pub fn new(kicks: Vec<Kick>) -> Watchdog {
        let state = Arc::new(Mutex::new(State::default()));
        let watched = Arc::downgrade(&state);
        thread::spawn(move || {
            while let Some(state) = watched.upgrade() {
                let mut state = state.lock().unwrap();
                if state.until.is_some_and(|until| used() > until) && !state.fired {
                    state.fired = true;
                    kicks.iter().for_each(Kick::request_exit);
                }
                drop(state);
                thread::sleep(STEP);
            }
        });
        Watchdog(state)
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
    /// `limit` is CPU time.
    pub fn start(&self, limit: Duration) {
        *self.state() = State {
            until: Some(used() + limit),
            fired: false,
        };
    }
    /// Whether it has stopped the vCPUs by now.
    pub fn has_fired(&self) -> bool {
        self.state().fired
    }
    /// Whether it has stopped the vCPUs, or is about to be obeyed.
    pub fn stop(&self) -> bool {
        let mut state = self.state();
        state.until = None;
        state.fired
    }
}
