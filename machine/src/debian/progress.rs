//! What a long step shows: a bar on a terminal, a plain line or two elsewhere.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::log;

/// A bar of per mille on standard error, if that is a terminal.
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows nothing until something is said.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("emu: {msg:32} [{bar:30}] {percent:>3}%  {elapsed}");
            bar.with_style(
                style
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> "),
            )
        });
        Self { bar }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| log::say(format_args!("{line}"))),
            None => log::say(format_args!("{line}")),
        }
    }

    /// A step begins. Only a terminal shows it.
    pub fn step(&self, name: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(0);
            bar.set_message(name.to_owned());
        }
    }

    /// How far the step is, in percent.
    pub fn percent(&self, percent: f64) {
        if let Some(bar) = &self.bar {
            bar.set_position((percent.clamp(0.0, 100.0) * 10.0) as u64);
        }
    }

    /// The bar goes, and a line stays.
    pub fn finish(&self, line: &str) {
        self.clear();
        self.say(line);
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    /// An error must not be printed beside a bar.
    fn drop(&mut self) {
        self.clear();
    }
}
