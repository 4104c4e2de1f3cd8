//! The guest's consoles on the host: who reads what the guest writes there, and types.

use std::sync::Arc;
use std::time::{Duration, Instant};

use emu_devices::backend::{CharBackend, NullChar, Stream, Terminal};

use crate::config::{Config, ConsoleHost};
use crate::error::{Error, shown};

/// Both consoles of a run.
pub struct Consoles {
    /// The UART's.
    pub serial: Arc<dyn CharBackend>,
    /// The virtio console's.
    pub virtio: Arc<dyn CharBackend>,
    ends: Vec<End>,
}

/// What a console's bytes go through.
enum End {
    Terminal(Arc<Terminal>),
    Stream(Arc<Stream>),
}

impl Consoles {
    /// Opens what `config` names. `on_escape` is called when the escape key is typed at a terminal.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] naming the option whose file or socket cannot be had; [`Error::Host`] for a terminal.
    pub fn open(config: &Config, on_escape: impl Fn() + Send + Sync + 'static) -> Result<Consoles, Error> {
        let mut on_escape = Some(on_escape);
        let mut ends = Vec::new();
        let mut open = |option: &str, host: &ConsoleHost| -> Result<Arc<dyn CharBackend>, Error> {
            let refused = |e| Error::refused(option, host, &e);
            let stream = match host {
                ConsoleHost::Null => return Ok(Arc::new(NullChar)),
                ConsoleHost::Stdio => {
                    let cannot = |e| Error::host("cannot use the terminal", e);
                    let taken = || Error::input(option, host, "the other console has standard input and output");
                    let terminal = Terminal::stdio(config.escape.0, on_escape.take().ok_or_else(taken)?);
                    let terminal = Arc::new(terminal.map_err(cannot)?);
                    ends.push(End::Terminal(terminal.clone()));
                    return Ok(terminal);
                }
                ConsoleHost::File(path) => Stream::file(path).map_err(refused)?,
                ConsoleHost::Unix(path) => Stream::unix(path).map_err(refused)?,
                ConsoleHost::Pty => {
                    let (stream, path) = Stream::pty().map_err(refused)?;
                    eprintln!("emu: {} is {}", shown(option, host), path.display());
                    stream
                }
            };
            let stream = Arc::new(stream);
            ends.push(End::Stream(stream.clone()));
            Ok(stream)
        };
        Ok(Consoles {
            serial: open("--serial", &config.serial)?,
            virtio: open("--virtio-console", &config.virtio_console)?,
            ends,
        })
    }

    /// Whether one of them is a terminal that the user types at.
    pub fn is_terminal(&self) -> bool {
        self.ends
            .iter()
            .any(|end| matches!(end, End::Terminal(terminal) if terminal.is_terminal()))
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
    pub fn close(&self) {
        self.ends.iter().for_each(|console| match console {
            End::Terminal(terminal) => terminal.close(),
            End::Stream(stream) => stream.close(),
        });
    }
}
