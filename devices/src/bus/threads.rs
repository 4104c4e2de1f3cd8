//! The host threads of a machine's devices.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What a thread panicked with.
type Panic = Box<dyn Any + Send>;

/// Starts host threads for devices, and tells the machine when one of them panics: its work would never be done, and the
/// guest would wait for ever. Clones start threads of the same machine.
#[derive(Clone, Default)]
pub struct Threads {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    tell: Option<Box<dyn Fn() + Send + Sync>>,
    panic: Mutex<Option<Panic>>,
    /// Shared by workers and the clock for each piece of work, taken alone by who holds them.
    gate: RwLock<()>,
}

/// While it lives, no worker changes its device or guest memory.
pub struct Held<'a> {
    _gate: RwLockWriteGuard<'a, ()>,
}

impl Threads {
    /// Threads whose panics `tell` hears of, on the thread that panicked; [`take_panic`](Threads::take_panic) has the
    /// first of them. With [`default`](Threads::default) nobody hears.
    pub fn new(tell: impl Fn() + Send + Sync + 'static) -> Threads {
        Threads {
            inner: Arc::new(Inner {
                tell: Some(Box::new(tell)),
                ..Inner::default()
            }),
        }
    }

    /// Runs `body` on a new thread called `name`.
    ///
    /// # Errors
    /// The host refuses the thread.
    pub fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let inner = self.inner.clone();
        let thread = std::thread::Builder::new().name(name.to_owned());
        let watched = move || {
            // What the body leaves half done is only looked at to save what can be saved of the run.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
                inner.panicked(panic);
            }
        };
        thread.spawn(watched).map(drop)
    }

    /// Lets the workers of devices ([`Shared::employ`](super::Shared::employ)) end the piece they are at, and the clock the
    /// timer that runs, and holds them: for a snapshot, whose parts must be of one moment. Call with no device locked.
    pub fn hold(&self) -> Held<'_> {
        let gate = self.inner.gate.write();
        Held {
            _gate: gate.unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// For a worker, and the clock: that it is at a piece of work.
    pub(super) fn going(&self) -> RwLockReadGuard<'_, ()> {
        self.inner.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first panic of these threads, for the machine to go on with. Once.
    pub fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.inner.panic.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Inner {
    fn panicked(&self, panic: Panic) {
        self.panic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(panic);
        if let Some(tell) = &self.tell {
            tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn the_first_panic_is_told_and_kept() {
        let (tx, rx) = mpsc::channel();
        let threads = Threads::new(move || tx.send(()).unwrap());

        for word in ["first", "second"] {
            threads
                .spawn("test", move || std::panic::resume_unwind(Box::new(word.to_owned())))
                .unwrap();
            rx.recv_timeout(Duration::from_secs(10)).unwrap();
        }

        let panic = threads.take_panic().unwrap();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), "first");
        assert!(threads.take_panic().is_none());
    }
}
