//! The guest's consoles on the host: who reads what the guest writes there, and types.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use emu_devices::backend::{CharBackend, NullChar, OnLost, Stream, Terminal};
use emu_devices::bus::Threads;

use crate::config::{Config, ConsoleHost};
use crate::error::{Error, shown};
use crate::log;

/// Both consoles of a run.
pub struct Consoles {
    /// The UART's.
    pub serial: Arc<dyn CharBackend>,
    /// The virtio console's.
    pub virtio: Arc<dyn CharBackend>,
    ends: Vec<End>,
    lost: Lost,
}

/// Why output of a console could not be written, once that has happened.
type Lost = Arc<Mutex<Option<Error>>>;

/// What a console's bytes go through.
enum End {
    Terminal(Arc<Terminal>),
    Stream(Arc<Stream>),
}

impl Consoles {
    /// Opens what `config` names, served by `threads`. `on_escape` is called when the escape key is typed at a terminal,
    /// `on_lost` when output cannot be written any more; [`finish`](Consoles::finish) says why.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] naming the option whose file or socket cannot be had; [`Error::Host`] for a terminal.
    pub fn open(
        config: &Config,
        threads: &Threads,
        on_escape: impl Fn() + Send + Sync + 'static,
        on_lost: impl Fn() + Send + Sync + 'static,
    ) -> Result<Consoles, Error> {
        let mut opening = Opening {
            threads,
            escape: config.escape.0,
            on_escape: Some(on_escape),
            on_lost: Arc::new(on_lost),
            ends: Vec::new(),
            lost: Lost::default(),
        };
        Ok(Consoles {
            serial: opening.open("--serial", &config.serial)?,
            virtio: opening.open("--virtio-console", &config.virtio_console)?,
            ends: opening.ends,
            lost: opening.lost,
        })
    }

    /// Whether one of them is a terminal that the user types at.
    pub fn is_terminal(&self) -> bool {
        self.ends
            .iter()
            .any(|end| matches!(end, End::Terminal(terminal) if terminal.is_terminal()))
    }

    /// The run has begun: files that were made for output stay.
    pub fn keep_files(&self) {
        for end in &self.ends {
            if let End::Stream(stream) = end {
                stream.keep_file();
            }
        }
    }

    /// Waits until all output is written, at most for `limit`. Returns whether it was.
    pub fn flush(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        self.ends.iter().all(|console| {
            let left = end.saturating_duration_since(Instant::now());
            match console {
                End::Terminal(terminal) => terminal.flush(left),
                End::Stream(stream) => stream.flush(left),
            }
        })
    }

    /// Gives the terminal back as it was. Later output is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Host`] naming the console whose output has not all been written.
    pub fn finish(&self) -> Result<(), Error> {
        self.ends.iter().for_each(|console| match console {
            End::Terminal(terminal) => terminal.close(),
            End::Stream(stream) => stream.close(),
        });
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner).take();
        lost.map_or(Ok(()), Err)
    }
}

/// Consoles that are being opened.
struct Opening<'a, E, L> {
    threads: &'a Threads,
    escape: Option<u8>,
    /// One console at most has the terminal.
    on_escape: Option<E>,
    on_lost: Arc<L>,
    ends: Vec<End>,
    lost: Lost,
}

impl<E: Fn() + Send + Sync + 'static, L: Fn() + Send + Sync + 'static> Opening<'_, E, L> {
    fn open(&mut self, option: &str, host: &ConsoleHost) -> Result<Arc<dyn CharBackend>, Error> {
        let refused = |e| Error::refused(option, host, &e);
        let stream = match host {
            ConsoleHost::Null => return Ok(Arc::new(NullChar)),
            ConsoleHost::Stdio => return self.terminal(option, host),
            ConsoleHost::File(path) => {
                Stream::file(self.threads, path, self.lost(shown(option, host))).map_err(refused)?
            }
            ConsoleHost::Unix(path) => Stream::unix(self.threads, path).map_err(refused)?,
            ConsoleHost::Pty => {
                let (stream, path) = Stream::pty(self.threads).map_err(refused)?;
                log::say(format_args!("{} is {}", shown(option, host), path.display()));
                stream
            }
        };
        let stream = Arc::new(stream);
        self.ends.push(End::Stream(stream.clone()));
        Ok(stream)
    }

    fn terminal(&mut self, option: &str, host: &ConsoleHost) -> Result<Arc<dyn CharBackend>, Error> {
        let cannot = |e| Error::host("cannot use the terminal", e);
        let taken = || Error::input(option, host, "the other console has standard input and output");
        let on_escape = self.on_escape.take().ok_or_else(taken)?;
        let on_lost = self.lost(format!("standard output ({})", shown(option, host)));
        let terminal = Arc::new(Terminal::stdio(self.threads, self.escape, on_escape, on_lost).map_err(cannot)?);
        log::beside(&terminal);
        self.ends.push(End::Terminal(terminal.clone()));
        Ok(terminal)
    }

    /// Takes note of `place`'s first refusal.
    fn lost(&self, place: String) -> OnLost {
        let (lost, on_lost) = (self.lost.clone(), self.on_lost.clone());
        Box::new(move |error: io::Error| {
            let error = Error::host(format!("cannot write to {place}"), error);
            lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            on_lost();
        })
    }
}
