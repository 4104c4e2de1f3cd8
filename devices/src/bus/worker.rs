//! Work that devices do on threads of their own: what a guest asks for may take its time, and its CPU goes on meanwhile.

use super::device::Shared;
use super::threads::Threads;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What is to be done with the device unlocked, such as waiting for the host; what it returns is then done to the device.
pub type Job<D> = Box<dyn FnOnce() -> Finish<D> + Send>;
/// What a job leaves to be done to the device. It finds out itself whether the device still waits for it.
pub type Finish<D> = Box<dyn FnOnce(&mut D) + Send>;

/// What a device has to do after a piece of its work.
pub enum Next<D: ?Sized> {
    /// Nothing, until its bell rings.
    Idle,
    /// More of the same; others get at the device before.
    More,
    /// This, with the device unlocked.
    Unlocked(Job<D>),
}

/// A device that works on threads of its own, which [`employ`](Shared::employ) starts.
pub trait Works: Send + 'static {
    /// Rings when there may be work. Nobody works before.
    fn bell(&self) -> &Bell;
    /// Does a piece of the work, in time that nobody notices who waits for the device: a millisecond at most.
    fn next(&mut self) -> Next<Self>;
}

/// Wakes the threads that work for a device. They end with it.
#[derive(Default)]
pub struct Bell {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    rung: bool,
    closed: bool,
}

impl Bell {
    /// Wakes a worker, or has one look again that is at work.
    pub fn ring(&self) {
        self.inner.ring();
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.inner.state().closed = true;
        self.inner.changed.notify_all();
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        if !std::mem::replace(&mut self.state().rung, true) {
            self.changed.notify_one();
        }
    }

    /// Waits for the bell; false when the device is gone.
    fn wait(&self) -> bool {
        let mut state = self.state();
        while !state.rung && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.rung = false;
        !state.closed
    }
}

impl<D: Works> Shared<D> {
    /// Has `count` of `threads` work for the device, each called `name`. Without any, its work waits for
    /// [`work`](Shared::work).
    ///
    /// # Errors
    /// The host refuses a thread.
    pub fn employ(&self, threads: &Threads, name: &str, count: usize) -> io::Result<()> {
        for _ in 0..count {
            let (device, gate) = (self.downgrade(), threads.clone());
            let bell = self.with(|device| device.bell().inner.clone());
            threads.spawn(name, move || {
                while bell.wait() {
                    let Some(device) = device.upgrade() else { return };
                    while device.step(&gate) {}
                }
            })?;
        }
        Ok(())
    }

    /// Does all the work there is, on this thread: for tests, and where time must stand still meanwhile.
    pub fn work(&self) {
        let threads = Threads::default();
        while self.step(&threads) {}
    }

    /// Does a piece of work; whether there may be another.
    fn step(&self, threads: &Threads) -> bool {
        let next = {
            let _going = threads.going();
            self.with(D::next)
        };
        match next {
            Next::Idle => false,
            Next::More => true,
            Next::Unlocked(job) => {
                // There may be more for another worker.
                self.with(|device| device.bell().ring());
                let finish = job();
                let _going = threads.going();
                self.with(finish);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Wiring;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Duration;

    const SOON: Duration = Duration::from_secs(10);

    /// Has jobs that wait to be told to end, and says what it does.
    struct Clerk {
        bell: Bell,
        jobs: Vec<Receiver<u32>>,
        says: Sender<u32>,
    }

    impl Works for Clerk {
        fn bell(&self) -> &Bell {
            &self.bell
        }

        fn next(&mut self) -> Next<Clerk> {
            let Some(job) = self.jobs.pop() else { return Next::Idle };
            self.says.send(0).unwrap();
            Next::Unlocked(Box::new(move || {
                let Ok(number) = job.recv() else {
                    std::panic::resume_unwind(Box::new("lost"));
                };
                Box::new(move |clerk| clerk.says.send(number).unwrap())
            }))
        }
    }

    fn clerk(jobs: usize) -> (Shared<Clerk>, Vec<Sender<u32>>, Receiver<u32>) {
        let (says, heard) = mpsc::channel();
        let (ends, jobs) = (0..jobs).map(|_| mpsc::channel()).unzip();
        let bell = Bell::default();
        (Shared::new(&Wiring::new(), Clerk { bell, jobs, says }), ends, heard)
    }

    #[test]
    fn jobs_run_side_by_side_with_the_device_unlocked() {
        let (clerk, ends, heard) = clerk(2);
        clerk.employ(&Threads::default(), "test", 2).unwrap();

        clerk.with(|clerk| clerk.bell.ring());
        let begun = [heard.recv_timeout(SOON), heard.recv_timeout(SOON)];
        ends[0].send(1).unwrap();
        let first = heard.recv_timeout(SOON);
        ends[1].send(2).unwrap();

        assert_eq!(begun, [Ok(0); 2]);
        assert_eq!([first, heard.recv_timeout(SOON)], [Ok(1), Ok(2)]);
    }

    #[test]
    fn workers_stand_still_while_held_and_end_with_the_device() {
        let (clerk, ends, heard) = clerk(1);
        let threads = Threads::default();
        clerk.employ(&threads, "test", 1).unwrap();

        let held = threads.hold();
        clerk.with(|clerk| clerk.bell.ring());
        assert!(heard.recv_timeout(Duration::from_millis(20)).is_err());
        drop(held);
        assert_eq!(heard.recv_timeout(SOON), Ok(0));
        ends[0].send(1).unwrap();
        assert_eq!(heard.recv_timeout(SOON), Ok(1));
        drop(clerk);

        // The worker's handle of it may be the last.
        assert_eq!(heard.recv_timeout(SOON), Err(mpsc::RecvTimeoutError::Disconnected));
    }

    #[test]
    fn work_that_panics_is_told() {
        let (tx, rx) = mpsc::channel();
        let threads = Threads::new(move || tx.send(()).unwrap());
        let (clerk, ends, _heard) = clerk(1);
        clerk.employ(&threads, "test", 1).unwrap();

        drop(ends);
        clerk.with(|clerk| clerk.bell.ring());

        rx.recv_timeout(SOON).unwrap();
        assert!(threads.take_panic().is_some());
    }
}
