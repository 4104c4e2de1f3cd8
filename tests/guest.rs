//! A running emu, and the guests that tests give it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub use emu_ir::testing::skipped;
use rustix::process::{Pid, Signal, kill_process};

/// A path for emu's socket, in a folder that is not deep: such paths have at most 107 bytes (unix(7)).
pub fn socket(name: &str) -> PathBuf {
    let short = crc32fast::hash(name.as_bytes());
    std::env::temp_dir().join(format!("emu-{}-{short:08x}", std::process::id()))
}

/// A folder for what tests keep from run to run.
pub fn kept() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests")
}

/// Writes `words` as a firmware image: code for the reset vector.
pub fn firmware(name: &str, words: &[u32]) -> PathBuf {
    let folder = kept();
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}-{}.bin", std::process::id()));
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    fs::write(&path, bytes).unwrap();
    path
}

#[derive(Default)]
struct Seen {
    bytes: Mutex<Vec<u8>>,
    more: Condvar,
}

/// A running emu; killed when dropped.
pub struct Emu {
    child: Child,
    input: Option<ChildStdin>,
    output: Arc<Seen>,
    reader: Option<thread::JoinHandle<()>>,
    /// How much of the output [`Emu::expect`] has passed.
    at: usize,
}

impl Emu {
    /// Starts emu with a pipe for input, another for output.
    pub fn start(args: &[&str]) -> Emu {
        let mut command = Emu::command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        Emu::watch(child, Some(output))
    }

    /// Starts emu on these descriptors as its standard input and output, which are the caller's to read.
    pub fn start_on(args: &[&str], input: OwnedFd, output: OwnedFd) -> Emu {
        let mut command = Emu::command(args);
        let child = command.stdin(input).stdout(output).spawn().unwrap();
        Emu::watch(child, None::<File>)
    }

    fn command(args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
        command.args(args).env("XDG_CACHE_HOME", kept()).stderr(Stdio::piped());
        command
    }

    fn watch(mut child: Child, output: Option<impl Read + Send + 'static>) -> Emu {
        let input = child.stdin.take();
        let mut emu = Emu {
            child,
            input,
            output: Arc::default(),
            reader: None,
            at: 0,
        };
        if let Some(output) = output {
            emu.read(output);
        }
        emu
    }

    /// Takes in this output from now on.
    pub fn read(&mut self, mut output: impl Read + Send + 'static) {
        let seen = self.output.clone();
        self.reader = Some(thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut chunk) {
                seen.bytes.lock().unwrap().extend(&chunk[..count]);
                seen.more.notify_all();
            }
        }));
    }

    /// Waits for `text` after what was waited for before.
    #[track_caller]
    pub fn expect(&mut self, text: &str, limit: Duration) {
        let end = Instant::now() + limit;
        let mut bytes = self.output.bytes.lock().unwrap();
        loop {
            let new = &bytes[self.at..];
            if let Some(found) = new.windows(text.len()).position(|w| w == text.as_bytes()) {
                self.at += found + text.len();
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            let tail = String::from_utf8_lossy(&new[new.len().saturating_sub(2000)..]).into_owned();
            assert!(!left.is_zero(), "no {text:?} after {limit:?} in: {tail}");
            bytes = self.output.more.wait_timeout(bytes, left).unwrap().0;
        }
    }

    /// The first line on standard error, with which emu starts where it has something to say.
    pub fn first_error(&mut self) -> String {
        let errors = self.child.stderr.as_mut().unwrap();
        // Byte by byte: what follows the line is left for `end`.
        let bytes = std::iter::from_fn(|| {
            let mut byte = [0];
            errors.read_exact(&mut byte).unwrap();
            (byte[0] != b'\n').then_some(byte[0])
        });
        String::from_utf8(bytes.collect()).unwrap()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Passes what it has written so far.
    pub fn skip(&mut self) {
        self.at = self.output.bytes.lock().unwrap().len();
    }

    /// What it has written since what was waited for.
    pub fn unread(&self) -> String {
        String::from_utf8_lossy(&self.output.bytes.lock().unwrap()[self.at..]).into_owned()
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Types no more.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Time that it has used, in all its threads.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // User and system time: fields 14 and 15, of which the second, in parentheses, is the name.
        let after_name = stat.rsplit(')').next().unwrap();
        let ticks: u64 = after_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|n| n.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    /// Waits for its end; what it wrote to standard output and standard error.
    #[track_caller]
    pub fn end(self, limit: Duration) -> (ExitStatus, String, String) {
        let (status, output, errors) = self.end_bytes(limit);
        (status, String::from_utf8_lossy(&output).into_owned(), errors)
    }

    /// The same, with its output as it is.
    #[track_caller]
    pub fn end_bytes(mut self, limit: Duration) -> (ExitStatus, Vec<u8>, String) {
        let end = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "still running after {limit:?}");
            thread::sleep(Duration::from_millis(10));
        };
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        let mut errors = String::new();
        let _ = self.child.stderr.take().unwrap().read_to_string(&mut errors);
        let output = std::mem::take(&mut *self.output.bytes.lock().unwrap());
        (status, output, errors)
    }
}

impl Drop for Emu {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
