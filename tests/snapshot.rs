//! A running Linux whose machine is saved, and goes on in others.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use emu_machine::{Control, Handle, Holder, Outcome, configure, operate};

use crate::boot::{AARCH64, ARM, Debian};
use crate::guest::kept;

/// For a boot on a machine that has other things to do.
const BOOT: Duration = Duration::from_secs(240);
/// For a few ticks, interpreted, on such a machine.
const SOON: Duration = Duration::from_secs(120);
/// Counts, and works between: files, processes, time.
const INIT: &str = "#!/bin/sh\nmount -t proc proc /proc; n=0\n\
    while :; do n=$((n + 1)); echo $n > /tmp/n; echo tick $(cat /tmp/n) of $(uname -m); sleep 1; done\n";

/// What a machine leaves: its state, and its RAM.
type Saved = (Vec<u8>, Vec<u8>);

/// A machine's console, as a file.
struct Console(PathBuf);

impl Console {
    fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.0).unwrap_or_default()).into_owned()
    }

    /// The numbers of the ticks so far.
    fn ticks(&self) -> Vec<u32> {
        let text = self.text();
        let numbers = text
            .lines()
            .filter_map(|line| line.trim_end().strip_prefix("tick ")?.split_once(" of "));
        let numbers = numbers.map(|(number, _)| number);
        numbers.filter_map(|number| number.parse().ok()).collect()
    }

    fn wait_for_ticks(&self, count: usize, limit: Duration) -> Vec<u32> {
        let deadline = Instant::now() + limit;
        loop {
            let ticks = self.ticks();
            if ticks.len() >= count {
                return ticks;
            }
            assert!(Instant::now() < deadline, "{count} ticks in: {}", self.text());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Runs a machine with these words on its command line; `user` has it and its console until it returns.
fn with_machine<R: Send>(name: &str, words: &[&str], user: impl FnOnce(&Handle, &Console) -> R + Send) -> R {
    let console = Console(kept().join(format!("{name}-{}.console", std::process::id())));
    let serial = format!("file:{}", console.0.display());
    let all = ["emu", "--serial", &serial];
    let config = configure(all.iter().chain(words).map(Into::into)).unwrap().unwrap();
    let (way, ways) = mpsc::channel();
    thread::scope(|scope| {
        let running = scope.spawn(move || operate(config, move |handle| way.send(handle).unwrap()).unwrap());
        let handle = ways.recv().unwrap();
        let result = user(&handle, &console);
        handle.ask(|machine| machine.end()).unwrap();
        assert_eq!(running.join().unwrap(), Outcome::Killed);
        result
    })
}

fn save(machine: &mut dyn Control) -> Saved {
    let mut ram = Vec::new();
    let state = serde_json::to_vec(&machine.save().unwrap()).unwrap();
    machine.save_ram(&mut ram).unwrap();
    (state, ram)
}

/// Loads what was saved and saves it again: whether that is the same.
fn load_and_save(machine: &mut dyn Control, saved: &Saved) -> [bool; 2] {
    machine.hold(Holder::Snapshot);
    let state = serde_json::from_slice(&saved.0).unwrap();
    machine.load(&state, &mut saved.1.as_slice()).unwrap();
    let again = save(machine);
    machine.release(Holder::Snapshot);
    [again.0 == saved.0, again.1 == saved.1]
}

/// Saves a machine and loads that into itself.
fn there_and_back(machine: &mut dyn Control) -> Saved {
    machine.hold(Holder::Snapshot);
    let saved = save(machine);
    assert_eq!(load_and_save(machine, &saved), [true, true], "state and RAM");
    machine.release(Holder::Snapshot);
    saved
}

#[test]
fn linux_goes_on_in_another_machine_under_another_accelerator() {
    goes_on(&ARM, "linux_goes_on_in_another_machine_under_another_accelerator");
}

#[test]
fn a_64_bit_linux_goes_on_in_another_machine_under_another_accelerator() {
    goes_on(
        &AARCH64,
        "a_64_bit_linux_goes_on_in_another_machine_under_another_accelerator",
    );
}

fn goes_on(debian: &Debian, test: &str) {
    let Some(kernel) = debian.kernel(test) else { return };
    let initrd = debian.initrd(test, INIT.as_bytes());
    let files = [
        "--arch",
        debian.arch,
        "--memory",
        debian.memory,
        "--kernel",
        kernel.to_str().unwrap(),
        "--initrd",
        initrd.to_str().unwrap(),
    ];
    let words = [&files[..], &["--append", "console=ttyAMA0 quiet"]].concat();
    let (mut saved, mut last) = with_machine(&format!("snapshot-{}-from", debian.arch), &words, |handle, console| {
        console.wait_for_ticks(2, BOOT);
        let saved = handle.ask(there_and_back).unwrap();
        let ticks = console.ticks().len();
        let ticks = console.wait_for_ticks(ticks + 2, SOON);
        assert!(
            ticks.is_sorted_by(|a, b| a + 1 == *b),
            "it goes on in the same machine: {ticks:?}"
        );
        (saved, ticks[ticks.len() - 3])
    });
    for accel in ["interp", "jit"] {
        let other = [&words[..], &["--accel", accel]].concat();
        (saved, last) = with_machine(
            &format!("snapshot-{}-{accel}", debian.arch),
            &other,
            |handle, console| {
                let same = handle.ask(move |machine| load_and_save(machine, &saved)).unwrap();
                assert_eq!(same, [true, true], "{accel}: state and RAM");
                let ticks = console.wait_for_ticks(3, SOON);
                assert!(
                    ticks[0] == last || ticks[0] == last + 1,
                    "{accel}: {ticks:?} after {last}"
                );
                assert!(ticks.is_sorted_by(|a, b| a + 1 == *b), "{accel}: {ticks:?}");
                let saved = handle.ask(there_and_back).unwrap();
                (saved, *console.ticks().last().unwrap())
            },
        );
    }
}
