//! Complaints of the command line's parser.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::Error;

/// clap's error as one line that names the option.
pub fn complaint(error: &clap::Error) -> Error {
    use std::error::Error as _;
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(s)) => Some(s.clone()),
        Some(ContextValue::Strings(v)) => Some(v.join(", ")),
        Some(ContextValue::StyledStr(s)) => Some(s.to_string()),
        _ => None,
    };
    let first_word = |s: String| s.split_whitespace().next().unwrap_or_default().to_owned();
    let option = text(ContextKind::InvalidArg)
        .map(first_word)
        .unwrap_or_else(|| "command line".into());
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let reason = match error.kind() {
        ErrorKind::ValueValidation => {
            let reason = error
                .source()
                .map_or_else(|| "not a value for this option".to_owned(), ToString::to_string);
            return Error::input(&option, value, reason);
        }
        ErrorKind::InvalidValue if value.is_empty() => "a value is missing".to_owned(),
        ErrorKind::InvalidValue => {
            let values = text(ContextKind::ValidValue).unwrap_or_default();
            return Error::input(&option, value, format!("not one of {values}"));
        }
        ErrorKind::UnknownArgument => match text(ContextKind::SuggestedArg).map(first_word) {
            Some(near) => format!("unknown option; did you mean {near}? (emu --help)"),
            None if option.starts_with('-') => "unknown option (emu --help)".to_owned(),
            None => "emu takes options only; a kernel is named by --kernel (emu --help)".to_owned(),
        },
        ErrorKind::ArgumentConflict => match text(ContextKind::PriorArg).map(first_word) {
            Some(prior) if prior != option => format!("cannot be used together with {prior}"),
            _ => "given more than once".to_owned(),
        },
        ErrorKind::MissingRequiredArgument => {
            return Error::Input {
                option: "command line".into(),
                reason: format!("{} is missing", text(ContextKind::InvalidArg).unwrap_or_default()),
            };
        }
        ErrorKind::WrongNumberOfValues => "takes two values: KINDS FILE".to_owned(),
        ErrorKind::TooManyValues => "takes no value".to_owned(),
        ErrorKind::InvalidUtf8 => "not valid UTF-8".to_owned(),
        _ => error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
    };
    Error::Input { option, reason }
}
