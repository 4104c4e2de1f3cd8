//! The command line: arguments to a [`Config`], and every complaint as one line.

mod complaint;
mod options;
mod qemu;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::IsTerminal;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use complaint::complaint;
use options::Cli;

use crate::config::Config;
use crate::error::Error;
use crate::explain::Explain;

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Run a machine.
    Run(Box<Config>),
    /// Print this on standard output and end with status 0.
    Print(Vec<u8>),
}

/// Reads the command line.
///
/// # Errors
///
/// [`Error::Input`] for anything that cannot be meant, before any file is looked at.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    if let [_, explain @ ..] = args.as_slice()
        && explain.first().is_some_and(|word| word == "explain")
    {
        return match Explain::try_parse_from(explain) {
            Ok(explain) => Ok(Request::Print(explain.text(is_coloured())?.into_bytes())),
            Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp) => Ok(Request::Print(rendered(&e))),
            Err(e) => Err(complaint(&e)),
        };
    }
    let command = Cli::command();
    let cli = match Cli::try_parse_from(qemu::translated(args, |word| values(&command, word))?) {
        Ok(cli) => cli,
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Request::Print(rendered(&e)));
        }
        Err(e) => return Err(complaint(&e)),
    };
    if let Some(shell) = cli.completions {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "emu", &mut script);
        return Ok(Request::Print(script));
    }
    if cli.man {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
        return rendered
            .map(|()| Request::Print(page))
            .map_err(|e| Error::host("cannot write the manual page", e));
    }
    if cli.cpu.as_deref() == Some("help") {
        return Ok(Request::Print(cli.arch.cpu_list().into_bytes()));
    }
    if cli.no_device.iter().any(|name| name == "help") {
        let board = cli.board.unwrap_or_else(|| cli.arch.default_board());
        return Ok(Request::Print(board.optional_list().into_bytes()));
    }
    cli.config().map(|config| Request::Run(Box::new(config)))
}

/// How many words an option of ours takes at least; none for what is no option of ours.
fn values(command: &clap::Command, word: &str) -> Option<usize> {
    let mut options = command.get_arguments();
    let is_it = |option: &clap::Arg| match word.strip_prefix("--") {
        Some(long) => option.get_long() == Some(long) || matches!(long, "help" | "version"),
        None => option
            .get_short()
            .is_some_and(|short| word.len() == 2 && word.ends_with(short)),
    };
    let option = options.find(|&option| is_it(option))?;
    let takes = option.get_action().takes_values();
    Some(if takes {
        option.get_num_args().map_or(1, |count| count.min_values())
    } else {
        0
    })
}

/// Help and version text, in colour when standard output is a terminal that wants it.
fn rendered(text: &clap::Error) -> Vec<u8> {
    let text = text.render();
    if is_coloured() {
        text.ansi().to_string().into_bytes()
    } else {
        text.to_string().into_bytes()
    }
}

/// Whether what is written to standard output is to have colours (https://no-color.org).
fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
