//! `--trace`: logs of what the CPU does, a line an event.

use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;
use emu_devices::backend::Made;
use emu_jit::engine::trace::Wants;
use serde::{Deserialize, Serialize};

use crate::error::{Error, shown};
use crate::events::Event;

/// How long the end of a run waits for a CPU that is in the middle of writing a line.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bytes that are written at once.
const BUFFER: usize = 1 << 18;

/// What a log has lines about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Each block that is entered.
    Blocks,
    /// Each instruction, with the registers it changes.
    Insns,
    /// Each exception and interrupt that is taken.
    Exceptions,
    /// What happens to the translation of addresses.
    Mmu,
}

impl Kind {
    const ALL: [(Kind, &'static str); 4] = [
        (Kind::Blocks, "blocks"),
        (Kind::Insns, "insns"),
        (Kind::Exceptions, "exceptions"),
        (Kind::Mmu, "mmu"),
    ];
}

/// Kinds of events, as `--trace` names them: separated by commas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kinds(pub Vec<Kind>);

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Kinds, String> {
        let kind = |name: &str| {
            let known = Kind::ALL.iter().find(|(_, n)| *n == name);
            let names = Kind::ALL.map(|(_, n)| n).join(", ");
            known
                .map(|(kind, _)| *kind)
                .ok_or(format!("unknown kind of event; emu traces: {names}"))
        };
        text.split(',').map(kind).collect::<Result<_, _>>().map(Kinds)
    }
}

/// One log: what is in it, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// What it has lines about.
    pub kinds: Kinds,
    /// The file, which is made anew.
    pub file: PathBuf,
}

/// The file of a log.
struct Log {
    path: PathBuf,
    /// Device and inode, of a regular file: it may go by other paths.
    inode: Option<(u64, u64)>,
    kinds: Mutex<Vec<Kind>>,
    out: Mutex<Out>,
    /// It was not there before.
    made: Option<Made>,
}

struct Out {
    file: BufWriter<File>,
    /// Why nothing is written any more.
    failed: Option<io::Error>,
}

/// All logs of a run. Dropping it writes what is still to be written.
pub struct Logs(Vec<Arc<Log>>);

impl Logs {
    /// Makes the files. Those that were not there before stay if [`Logs::keep`] is called before [`Logs::finish`].
    ///
    /// # Errors
    /// [`Error::Input`] naming the file that cannot be made.
    pub fn create(traces: &[Trace]) -> Result<Logs, Error> {
        let mut logs: Vec<Arc<Log>> = Vec::new();
        for trace in traces {
            let created = Made::create(&trace.file);
            let (file, made) = created.map_err(|e| Error::refused("--trace", trace.file.display(), &e))?;
            let metadata = file.metadata().ok().filter(Metadata::is_file);
            let inode = metadata.map(|metadata| (metadata.dev(), metadata.ino()));
            let is_known = |log: &&Arc<Log>| log.path == trace.file || inode.is_some() && log.inode == inode;
            if let Some(log) = logs.iter().find(is_known) {
                lock(&log.kinds).extend(&trace.kinds.0);
                continue;
            }
            logs.push(Arc::new(Log {
                path: trace.file.clone(),
                inode,
                kinds: Mutex::new(trace.kinds.0.clone()),
                out: Mutex::new(Out {
                    file: BufWriter::with_capacity(BUFFER, file),
                    failed: None,
                }),
                made,
            }));
        }
        Ok(Logs(logs))
    }

    /// The run has begun: the files stay.
    pub fn keep(&self) {
        self.0.iter().filter_map(|log| log.made.as_ref()).for_each(Made::keep);
    }

    /// Where a CPU writes to, if there is a log. A failure is an event.
    pub fn writer(&self, events: &Sender<Event>) -> Option<Writer> {
        let sinks = self
            .0
            .iter()
            .map(|log| (lock(&log.kinds).clone(), log.clone()))
            .collect();
        let writer = Writer {
            sinks,
            events: events.clone(),
        };
        (!self.0.is_empty()).then_some(writer)
    }

    /// Writes what is still to be written.
    ///
    /// # Errors
    /// [`Error::Host`] naming the file that has not taken it all.
    pub fn finish(&self) -> Result<(), Error> {
        let mut result = Ok(());
        for log in &self.0 {
            log.made.iter().for_each(Made::remove);
            if let Err(error) = log.finish() {
                let what = format!("cannot write {}", shown("--trace", log.path.display()));
                result = result.and(Err(Error::host(what, error)));
            }
        }
        result
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        // Where a failure matters, `finish` was called and has said so.
        let _ = self.finish();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    fn finish(&self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut out = loop {
            match self.out.try_lock() {
                Ok(out) => break out,
                Err(TryLockError::Poisoned(out)) => break out.into_inner(),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(io::Error::other("nobody takes what is written"));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
            }
        };
        match out.failed.take() {
            Some(error) => Err(error),
            None => out.file.flush(),
        }
    }
}

/// A CPU's way to the logs.
pub struct Writer {
    sinks: Vec<(Vec<Kind>, Arc<Log>)>,
    events: Sender<Event>,
}

impl Writer {
    /// What anybody wants to hear of.
    pub fn wants(&self) -> Wants {
        let any = |kind| self.sinks.iter().any(|(kinds, _)| kinds.contains(&kind));
        Wants {
            blocks: any(Kind::Blocks),
            insns: any(Kind::Insns),
            exceptions: any(Kind::Exceptions),
            mmu: any(Kind::Mmu),
        }
    }

    /// Writes a line, which ends with a line feed, where lines of that kind go.
    pub fn line(&self, kind: Kind, line: &str) {
        for (_, log) in self.sinks.iter().filter(|(kinds, _)| kinds.contains(&kind)) {
            let mut out = lock(&log.out);
            if out.failed.is_some() {
                continue;
            }
            if let Err(error) = out.file.write_all(line.as_bytes()) {
                out.failed = Some(error);
                // Nobody listens any more when the machine has already ended, which says the same.
                let _ = self.events.send(Event::OutputLost);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_one_log_however_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let traces = [&path, &folder.path().join(".").join("log"), &link].map(|file| Trace {
            kinds: Kinds(vec![Kind::Mmu]),
            file: file.clone(),
        });

        let logs = Logs::create(&traces).unwrap();

        assert_eq!(logs.0.len(), 1);
        assert_eq!(lock(&logs.0[0].kinds).len(), 3);
    }

    #[test]
    fn kinds_are_separated_by_commas() {
        assert_eq!("mmu".parse(), Ok(Kinds(vec![Kind::Mmu])));
        assert_eq!(
            "insns,exceptions".parse(),
            Ok(Kinds(vec![Kind::Insns, Kind::Exceptions]))
        );
        for text in ["", "insn", "blocks,", "blocks mmu", "BLOCKS"] {
            assert!(text.parse::<Kinds>().is_err(), "{text:?} was taken");
        }
    }
}
