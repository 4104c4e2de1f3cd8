//! The real GDB, driven by its command line.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::guest::skipped;

/// For one command, on a machine that has other things to do.
const ANSWER: Duration = Duration::from_secs(60);

/// Whether the real client is to be had; says so if not.
pub fn is_there(test: &str) -> bool {
    let there = Command::new("gdb-multiarch").arg("--version").output().is_ok();
    if !there {
        skipped(test, "no gdb-multiarch");
    }
    there
}

#[derive(Default)]
struct Said {
    text: Mutex<String>,
    more: Condvar,
}

/// A running GDB; killed when dropped.
pub struct Gdb {
    child: Child,
    input: ChildStdin,
    said: Arc<Said>,
    commands: u32,
}

impl Gdb {
    /// Starts it, attached to `remote`, with the symbols of `file`.
    pub fn attach(remote: &str, file: Option<&Path>) -> Gdb {
        let mut gdb = Gdb::start(file);
        let answer = gdb.command(&format!("target remote {remote}"));
        assert!(answer.contains("0x") || answer.contains(" at "), "{answer}");
        gdb
    }

    /// Starts it.
    pub fn start(file: Option<&Path>) -> Gdb {
        let mut command = Command::new("gdb-multiarch");
        command.args(["-nx", "-quiet"]).args(file);
        // Complaints come where they belong among the answers.
        let (reader, writer) = std::io::pipe().unwrap();
        command
            .stdin(Stdio::piped())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        let mut child = command.spawn().unwrap();
        // The command holds the pipe's other end.
        drop(command);
        let said = Arc::new(Said::default());
        take(reader, &said);
        let input = child.stdin.take().unwrap();
        let mut gdb = Gdb {
            child,
            input,
            said,
            commands: 0,
        };
        gdb.command("set pagination off");
        gdb.command("set confirm off");
        gdb.command("set width 0");
        gdb
    }

    /// What it answers to a command, once it is done.
    #[track_caller]
    pub fn command(&mut self, line: &str) -> String {
        self.begin(line);
        self.answer(line)
    }

    /// Gives a command that ends only when something happens.
    pub fn begin(&mut self, line: &str) {
        self.commands += 1;
        self.said.text.lock().unwrap().clear();
        writeln!(self.input, "{line}\necho {}\\n", self.mark()).unwrap();
    }

    fn mark(&self) -> String {
        format!("[done {}]", self.commands)
    }

    /// Gives the command to run the guest, and waits until it is under way.
    #[track_caller]
    pub fn begin_running(&mut self) {
        self.begin("continue");
        let deadline = Instant::now() + ANSWER;
        let mut text = self.said.text.lock().unwrap();
        while !text.contains("Continuing.") {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it does not continue: {text}");
            text = self.said.more.wait_timeout(text, left).unwrap().0;
        }
        drop(text);
        thread::sleep(Duration::from_millis(300));
    }

    /// What a command that was begun has answered.
    #[track_caller]
    pub fn answer(&mut self, line: &str) -> String {
        self.answer_within(ANSWER).unwrap_or_else(|| {
            let text = self.said.text.lock().unwrap();
            panic!("no end of {line:?}: {text}")
        })
    }

    /// The same, if it comes in time.
    pub fn answer_within(&mut self, limit: Duration) -> Option<String> {
        let (mark, deadline) = (self.mark(), Instant::now() + limit);
        let mut text = self.said.text.lock().unwrap();
        loop {
            if let Some(end) = text.find(&mark) {
                return Some(text[..end].to_owned());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            text = self.said.more.wait_timeout(text, left).unwrap().0;
        }
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// A value as a number.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> u64 {
        let answer = self.command(&format!("output/u (unsigned long long)({expression})"));
        let digits = answer.replace("(gdb)", "");
        digits
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{expression} is {answer:?}"))
    }
}

fn take(mut from: impl Read + Send + 'static, said: &Arc<Said>) {
    let said = said.clone();
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            let text = String::from_utf8_lossy(&chunk[..count]);
            said.text.lock().unwrap().push_str(&text);
            said.more.notify_all();
        }
    });
}

impl Drop for Gdb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
