//! What can end a run without the guest's doing: one clear line for the user, and an exit status.

use std::fmt::Display;
use std::io;
use std::path::Path;

use crate::debian;

/// An option with its value as a message has it: on one line, and without codes for the terminal.
pub fn shown(option: &str, value: impl Display) -> String {
    let escaped = |c: char| {
        if c.is_control() {
            c.escape_debug().to_string()
        } else {
            c.to_string()
        }
    };
    format!(
        "{option} {}",
        value.to_string().chars().map(escaped).collect::<String>()
    )
}

/// What went wrong, without the operating system's number for it.
fn plain(error: &io::Error) -> String {
    let reason = error.to_string();
    reason.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Why emu could not run, or stopped running. The text is one line and names the option at fault, if one is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option, or the file that it names, is unusable; nothing was started.
    #[error("{option}: {reason}")]
    Input {
        /// The option with its value, as the user would type it.
        option: String,
        /// What is wrong, and where it helps, what would be right.
        reason: String,
    },
    /// No kernel was named, and Debian's is not to be had.
    #[error(transparent)]
    Debian(#[from] debian::Error),
    /// The host refused something.
    #[error("{what}: {}", plain(.source))]
    Host {
        /// What emu was doing.
        what: String,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl Error {
    /// A complaint about `option`'s value.
    pub fn input(option: &str, value: impl Display, reason: impl Display) -> Self {
        Self::Input {
            option: shown(option, value),
            reason: reason.to_string(),
        }
    }

    /// A complaint about the file that `option` names.
    pub fn file(option: &str, path: &Path, reason: impl Display) -> Self {
        Self::input(option, path.display(), reason)
    }

    /// The host's refusal of what `option` names.
    pub fn refused(option: &str, value: impl Display, error: &io::Error) -> Self {
        Self::input(option, value, plain(error))
    }

    /// The host's refusal while emu was doing `what`.
    pub fn host(what: impl Into<String>, source: io::Error) -> Self {
        Self::Host {
            what: what.into(),
            source,
        }
    }

    /// The same where it has no memory to give for `what`.
    pub fn memory(what: &str, source: io::Error) -> Self {
        let limit = match source.kind() {
            // Memory that is mapped twice is a file to the host.
            io::ErrorKind::FileTooLarge => " (files may not be that large here: ulimit -f)",
            _ => "",
        };
        Self::host(format!("cannot get memory for {what}{limit}"), source)
    }

    /// Exit status: 2 for the user's input, 1 for the host.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Input { .. } => 2,
            Self::Debian(_) | Self::Host { .. } => 1,
        }
    }
}
