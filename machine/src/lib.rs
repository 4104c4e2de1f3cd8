//! The only crate that knows everything: boards, memory map, vCPU threads, accelerators, command line.
//!
//! `cli` makes a [`Config`] from the command line, [`run`] runs the machine that it describes.

mod arch;
mod arm;
mod assembler;
pub mod board;
mod cli;
pub mod config;
mod consoles;
mod cpus;
pub mod debian;
mod error;
mod events;
mod explain;
pub mod gdb;
mod hold;
pub mod images;
mod lifecycle;
mod log;
mod object;
mod plight;
mod processor;
mod semihosting;
mod signals;
mod snapshot;
mod soft;
mod space;
pub mod trace;
mod tracer;
mod vars;
mod vcpu;
mod x86;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

pub use config::Config;
pub use error::Error;
pub use events::{Control, Handle};
pub use hold::Holder;
pub use lifecycle::Outcome;
use lifecycle::Plan;

/// The run that a command line describes, its first word being the program's name; `None` if it asks for text.
///
/// # Errors
///
/// [`Error::Input`] for anything that cannot be meant.
pub fn configure(args: impl IntoIterator<Item = OsString>) -> Result<Option<Config>, Error> {
    match cli::parse(args)? {
        cli::Request::Run(config) => Ok(Some(*config)),
        cli::Request::Print(_) => Ok(None),
    }
}

/// Runs the machine that `config` describes, until the guest or the user ends it, also by signals of the host.
///
/// # Errors
///
/// [`Error::Input`] before anything has started, when [`Config::check`] refuses it or a file is not what it should be; [`Error::Host`] when the host
/// cannot do what the machine needs.
pub fn run(config: Config) -> Result<Outcome, Error> {
    start(config, None)
}

/// The same for a program that operates the machine itself: before it starts, `operator` gets the way to it, for a thread of
/// its own to use. The host's signals are left alone.
///
/// # Errors
///
/// As [`run`].
pub fn operate(config: Config, operator: impl FnOnce(Handle)) -> Result<Outcome, Error> {
    start(config, Some(Box::new(operator)))
}

fn start(config: Config, operator: Option<Box<dyn FnOnce(Handle) + '_>>) -> Result<Outcome, Error> {
    log::start(config.verbose);
    // Before files are looked for, and Debian's fetched.
    config.check()?;
    config.check_files()?;
    let images = images::Images::read(&config)?;
    let plan = Plan::new(&config, &images)?;
    if let Some(path) = &config.dump_dtb {
        // Without a seed: the same machine makes the same file.
        images::dump_device_tree(path, &plan.place(None)?.dtb)?;
        return Ok(Outcome::Written);
    }
    plan.place(None)?;
    plan.run(operator)
}

/// The program: the command line to an exit status, every complaint one line on standard error.
pub fn main() -> ExitCode {
    signals::ignore_full_files();
    let status = match cli::parse(std::env::args_os()) {
        Ok(cli::Request::Print(text)) => print(&text).map(|()| 0),
        Ok(cli::Request::Run(config)) => run(*config).map(Outcome::exit_status),
        Err(error) => Err(error),
    };
    ExitCode::from(status.unwrap_or_else(|error| {
        log::say(format_args!("{error}"));
        error.exit_status()
    }))
}

/// Writes to standard output; a reader that has seen enough (`emu --help | head`) is no error.
fn print(text: &[u8]) -> Result<(), Error> {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Error::host("cannot write to standard output", e)),
        _ => Ok(()),
    }
}
