//! An oracle: a program that reads records and writes them as their instructions left them.

use bytemuck::Pod;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long it may take for so many records, of which it does a thousand and more in a second.
fn patience(records: usize) -> Duration {
    Duration::from_secs(30) + Duration::from_millis(10).saturating_mul(u32::try_from(records).unwrap_or(u32::MAX))
}

/// The program.
pub struct Oracle {
    /// What it is, with its version.
    pub about: String,
    /// The command.
    pub command: Vec<OsString>,
    /// What it wants to read before the records.
    pub first: Vec<u8>,
}

impl Oracle {
    /// The records as the oracle leaves them. `None` for those that it dies of.
    pub fn run<R: Pod + Send + Sync>(&self, records: &[R]) -> Vec<Option<R>> {
        match (self.ask(records), records) {
            (Some(out), _) => out.into_iter().map(Some).collect(),
            (None, [] | [_]) => vec![None; records.len()],
            (None, _) => {
                let (a, b) = records.split_at(records.len() / 2);
                let mut out = self.run(a);
                out.extend(self.run(b));
                out
            }
        }
    }

    fn ask<R: Pod + Send + Sync>(&self, records: &[R]) -> Option<Vec<R>> {
        let mut child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{:?} does not start: {e}", self.command));
        let mut to = child.stdin.take().expect("piped");
        let mut from = child.stdout.take().expect("piped");
        let mut out = vec![R::zeroed(); records.len()];
        let (done, is_done) = mpsc::channel();
        let all = std::thread::scope(|s| {
            s.spawn(move || {
                to.write_all(&self.first)
                    .and_then(|()| to.write_all(bytemuck::cast_slice(records)))
            });
            let reader = s.spawn(|| {
                let all = from.read_exact(bytemuck::cast_slice_mut(&mut out));
                let _ = done.send(());
                all
            });
            let patience = patience(records.len());
            if is_done.recv_timeout(patience).is_err() {
                let line = format!(
                    "\n*** {} is not done with {} records in {patience:?}\n",
                    self.about,
                    records.len()
                );
                let _ = std::io::stderr().write_all(line.as_bytes());
                child.kill().expect("it is ours");
            }
            reader.join().expect("it does not panic")
        });
        child.wait().expect("it ends");
        all.is_ok().then_some(out)
    }
}
