mod cpus;
mod gic;
mod x86;

use super::*;
use crate::cli::{self, Request};
use crate::events::Control;
use crate::hold::Holder;
use crate::images::Payload;
use emu_devices::bus::Saved;
use emu_ir::testing::until;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Counts in the second MiB of RAM, for ever.
const COUNT: [u32; 5] = [
    0xe3a0_1101, // mov r1, #0x40000000
    0xe381_1601, // orr r1, r1, #0x100000
    0xe280_0001, // 1: add r0, r0, #1
    0xe581_0000, // str r0, [r1]
    0xeaff_fffc, // b 1b
];
/// The same for AArch64.
const COUNT_64: [u32; 5] = [
    0xd2a8_0001, // mov x1, #0x40000000
    0xb26c_0021, // orr x1, x1, #0x100000
    0x9100_0400, // 1: add x0, x0, #1
    0xf900_0020, // str x0, [x1]
    0x17ff_fffe, // b 1b
];
const COUNTER: u64 = 0x4010_0000;

fn config(more: &[&str]) -> Config {
    let memory: &[&str] = if more.contains(&"--memory") {
        &[]
    } else {
        &["--memory", "2M"]
    };
    let words = ["emu", "--firmware", "none", "--serial", "null"];
    match cli::parse(words.iter().chain(memory).chain(more).map(Into::into)) {
        Ok(Request::Run(config)) => *config,
        other => panic!("no run: {:?}", other.err()),
    }
}

fn firmware(words: &[u32]) -> Images {
    Images {
        payload: Payload::Firmware(words.iter().flat_map(|word| word.to_le_bytes()).collect(), None),
        dtb: None,
        vars: None,
    }
}

#[test]
fn no_machine_comes_of_a_configuration_that_is_refused() {
    let (mut config, images) = (config(&[]), firmware(&[]));
    config.cpus = 124;

    let refusal = Plan::new(&config, &images).err().map(|error| error.to_string());

    assert_eq!(refusal.as_deref(), Some("--smp 124: board virt has at most 123 CPUs"));
}

/// What an operator does with a machine that runs `words` as firmware; it is ended then.
fn operated<R: Send>(words: &[u32], more: &[&str], operator: impl FnOnce(&Handle) -> R + Send) -> R {
    operated_on((config(more), firmware(words)), operator)
}

/// The same of a machine that is described so.
fn operated_on<R: Send>((config, images): (Config, Images), operator: impl FnOnce(&Handle) -> R + Send) -> R {
    let plan = Plan::new(&config, &images).unwrap();
    let logs = Logs::create(&[]).unwrap();
    let (sender, events) = unbounded();
    let threads = helpers(sender.clone());
    let consoles = Arc::new(Consoles::open(&config, &threads, || {}, || {}).unwrap());
    let (handle, end) = (Handle::new(sender.clone()), sender.clone());
    thread::scope(|scope| {
        let operating = scope.spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| operator(&handle)));
            // Else the run would never end.
            let _ = end.send(Event::Killed);
            result
        });
        let outcome = plan.run_on(&consoles, threads, &logs, None, sender, events);
        let result = operating.join().unwrap();
        assert_eq!(outcome.unwrap(), Outcome::Killed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What RAM holds, as it is saved.
fn ram(machine: &mut dyn Control) -> Vec<u8> {
    let mut bytes = Vec::new();
    machine.save_ram(&mut bytes).unwrap();
    bytes
}

/// How far [`COUNT`] has come.
fn count(ram: &[u8]) -> u32 {
    let mut rest = ram;
    while let Some((header, data)) = rest.split_at_checked(16) {
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
        let (address, length) = (number(0), number(8) as usize);
        if address == COUNTER {
            return u32::from_le_bytes(data[..4].try_into().unwrap());
        }
        rest = &data[length..];
        if length == 0 {
            break;
        }
    }
    0
}

/// Waits until [`COUNT`] has come farther.
fn wait_for_more(handle: &Handle, than: u32) {
    until("it counts on", || {
        handle.ask(|machine| count(&ram(machine))).unwrap() > than
    });
}

fn text(saved: &Saved) -> String {
    serde_json::to_string(saved).unwrap()
}

/// Complains of the first difference between two states.
#[track_caller]
fn assert_same(after: &Saved, before: &Saved) {
    let (after, before) = (text(after), text(before));
    let at = after.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| text[at.saturating_sub(100)..text.len().min(at + 40)].to_owned();
    assert!(after == before, "{} instead of {}", around(&after), around(&before));
}

/// What a machine of which no CPU runs panics with while it is watched. `disturb` makes that happen.
fn panic_after(disturb: impl FnOnce(&mut Machine<'_>, Sender<Event>)) -> Box<dyn std::any::Any + Send> {
    let (config, images) = (config(&[]), firmware(&[]));
    let plan = Plan::new(&config, &images).unwrap();
    let (sender, events) = unbounded();
    let helpers = helpers(sender.clone());
    let consoles = Arc::new(Consoles::open(&config, &helpers, || {}, || {}).unwrap());
    let mut machine = plan.machine(&consoles, helpers, (sender.clone(), events)).unwrap();
    disturb(&mut machine, sender);

    let ended = catch_unwind(AssertUnwindSafe(|| machine.watch()));

    // The machine's end does not wait for it.
    machine.end();
    ended.unwrap_err()
}

#[test]
fn a_panic_of_a_vcpu_thread_goes_on_in_the_main_thread() {
    let panic = panic_after(|machine, events| {
        machine.threads.push(Some(thread::spawn(move || {
            let events = &events;
            let _farewell = crate::vcpu::Farewell { cpu: 0, events };
            std::panic::resume_unwind(Box::new("lost"));
        })));
    });

    assert_eq!(panic.downcast_ref(), Some(&"lost"));
}

#[test]
fn a_panic_of_the_clocks_thread_goes_on_in_the_main_thread() {
    let mut timer = None;
    let panic = panic_after(|machine, _| {
        let lost = machine.clock.timer(|| std::panic::resume_unwind(Box::new("lost")));
        lost.arm(0);
        timer = Some(lost);
    });

    assert_eq!(panic.downcast_ref(), Some(&"lost"));
}

/// What comes while the machine is being stopped, which its only CPU is slow to do.
fn stopped(meanwhile: Vec<Event>) -> (bool, Vec<String>) {
    let (config, images) = (config(&[]), firmware(&[]));
    let plan = Plan::new(&config, &images).unwrap();
    let (sender, events) = unbounded();
    let helpers = helpers(sender.clone());
    let consoles = Arc::new(Consoles::open(&config, &helpers, || {}, || {}).unwrap());
    let mut machine = plan.machine(&consoles, helpers, (sender.clone(), events)).unwrap();
    let cpus = machine.cpus.clone();
    machine.threads.push(Some(thread::spawn(move || {
        let port = cpus.get(0).unwrap();
        until("it is to halt", || port.next_order() == Some(Order::Halt));
        meanwhile.into_iter().for_each(|event| sender.send(event).unwrap());
        sender.send(Event::Halted(0)).unwrap();
    })));

    let stopped = machine.halt();

    let left = machine.backlog.iter().map(|event| format!("{event:?}"));
    (stopped, left.collect())
}

#[test]
fn what_comes_while_the_machine_is_stopped_is_kept() {
    let meanwhile = vec![
        Event::PowerKey,
        Event::Reset,
        Event::OutputLost,
        Event::Do(Box::new(|_| {})),
        Event::PowerOff,
    ];

    let (done, left) = stopped(meanwhile);

    assert!(done);
    assert_eq!(left, ["PowerKey", "OutputLost", "Do"], "but for what the guest asked");
}

#[test]
fn the_user_ends_a_machine_that_is_being_stopped() {
    let (done, left) = stopped(vec![Event::PowerKey, Event::Signal(15)]);

    assert!(!done);
    assert_eq!(left, ["Signal(15)", "PowerKey"], "first of all");
}

#[test]
fn nobody_is_answered_when_the_run_is_over() {
    let (sender, events) = unbounded();
    let handle = Handle::new(sender);
    let waiting = thread::spawn({
        let handle = handle.clone();
        move || handle.ask(|_| ())
    });
    until("it is asked", || !events.is_empty());

    drop(events);

    assert_eq!(waiting.join().unwrap(), None);
    assert_eq!(handle.ask(|_| ()), None);
}

#[test]
fn a_machine_stands_still_until_nobody_holds_it() {
    operated(&COUNT, &[], |handle| {
        wait_for_more(handle, 0);
        let here = |handle: &Handle| {
            thread::sleep(Duration::from_millis(20));
            handle.ask(|machine| count(&ram(machine))).unwrap()
        };

        handle.ask(|machine| machine.hold(Holder::Monitor)).unwrap();
        let first = here(handle);
        handle.ask(|machine| machine.hold(Holder::Migration)).unwrap();
        handle.ask(|machine| machine.release(Holder::Monitor)).unwrap();
        assert_eq!(here(handle), first, "somebody holds it");
        handle.ask(|machine| machine.release(Holder::Migration)).unwrap();

        wait_for_more(handle, first);
    });
}

#[test]
fn a_held_machine_is_reset_and_stays_held() {
    operated(&COUNT, &[], |handle| {
        wait_for_more(handle, 1_000);

        handle.ask(|machine| machine.hold(Holder::Monitor)).unwrap();
        handle.ask(|machine| machine.reset().unwrap()).unwrap();
        let saved = handle.ask(|machine| text(&machine.save().unwrap())).unwrap();
        thread::sleep(Duration::from_millis(20));
        assert_eq!(handle.ask(|machine| text(&machine.save().unwrap())).unwrap(), saved);

        handle.ask(|machine| machine.release(Holder::Monitor)).unwrap();
        wait_for_more(handle, 1_000);
    });
}

/// Saves a machine, loads it into itself and saves it again.
fn there_and_back(machine: &mut dyn Control) -> (Saved, Vec<u8>) {
    machine.hold(Holder::Snapshot);
    let (state, memory) = (machine.save().unwrap(), ram(machine));
    machine.load(&state, &mut memory.as_slice()).unwrap();
    assert_same(&machine.save().unwrap(), &state);
    assert!(ram(machine) == memory);
    machine.release(Holder::Snapshot);
    (state, memory)
}

#[test]
fn a_machine_goes_on_in_another_under_another_accelerator() {
    goes_on(&COUNT, "arm");
    goes_on(&COUNT_64, "aarch64");
}

fn goes_on(words: &[u32], arch: &str) {
    let mut from = operated(words, &["--arch", arch], |handle| {
        wait_for_more(handle, 1_000);
        let saved = handle.ask(there_and_back).unwrap();
        wait_for_more(handle, count(&saved.1));
        saved
    });
    for accel in ["interp", "jit"] {
        let (state, memory) = from;
        from = operated(words, &["--arch", arch, "--accel", accel], |handle| {
            let before = count(&memory);
            let loaded = handle.ask(move |machine| {
                machine.hold(Holder::Snapshot);
                machine.load(&state, &mut memory.as_slice()).unwrap();
                let same = text(&machine.save().unwrap()) == text(&state) && ram(machine) == memory;
                machine.release(Holder::Snapshot);
                same
            });
            assert_eq!(loaded, Some(true), "{accel}");
            wait_for_more(handle, before);
            handle.ask(there_and_back).unwrap()
        });
    }
}

/// Reads `file` byte by byte, over and over, and counts in the second MiB of RAM while the bytes are 0, 1 ... 255, 0 ...
const READ_ON: [u32; 39] = [
    0xe3a0_4101, // mov r4, #0x40000000
    0xe384_8601, // orr r8, r4, #0x100000
    0xe28f_0088, // add r0, pc, #(name - . - 8)
    0xe584_0000, // str r0, [r4]
    0xe3a0_0000, // mov r0, #0: for reading
    0xe584_0004, // str r0, [r4, #4]
    0xe3a0_0004, // mov r0, #4
    0xe584_0008, // str r0, [r4, #8]
    0xe3a0_0001, // mov r0, #1: SYS_OPEN
    0xe1a0_1004, // mov r1, r4
    0xef12_3456, // svc 0x123456
    0xe584_0000, // str r0, [r4]
    0xe284_0c01, // add r0, r4, #0x100
    0xe584_0004, // str r0, [r4, #4]
    0xe3a0_0001, // mov r0, #1
    0xe584_0008, // str r0, [r4, #8]
    0xe3a0_5000, // again: mov r5, #0
    0xe3a0_0006, // next: mov r0, #6: SYS_READ
    0xe1a0_1004, // mov r1, r4
    0xef12_3456, // svc 0x123456
    0xe350_0000, // cmp r0, #0
    0x1a00_0007, // bne end
    0xe5d4_0100, // ldrb r0, [r4, #0x100]
    0xe150_0005, // cmp r0, r5
    0x1aff_fffe, // bne .
    0xe285_5001, // add r5, r5, #1
    0xe205_50ff, // and r5, r5, #255
    0xe286_6001, // add r6, r6, #1
    0xe588_6000, // str r6, [r8]
    0xeaff_fff2, // b next
    0xe594_0000, // end: ldr r0, [r4]
    0xe584_0200, // str r0, [r4, #0x200]
    0xe3a0_0000, // mov r0, #0
    0xe584_0204, // str r0, [r4, #0x204]
    0xe3a0_000a, // mov r0, #10: SYS_SEEK
    0xe284_1c02, // add r1, r4, #0x200
    0xef12_3456, // svc 0x123456
    0xeaff_ffe9, // b again
    0x656c_6966, // name: "file"
];

#[test]
fn a_program_reads_on_in_another_machine_where_it_was_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..0x1_0000u32).map(|n| n as u8).collect();
    std::fs::write(folder.path().join("file"), bytes).unwrap();
    let served = ["--semihosting", folder.path().to_str().unwrap()];
    let (state, memory) = operated(&READ_ON, &served, |handle| {
        wait_for_more(handle, 1_000);
        handle.ask(there_and_back).unwrap()
    });
    let load = |more: &[&str]| {
        operated(&READ_ON, more, |handle| {
            let (state, memory) = (state.clone(), memory.clone());
            let before = count(&memory);
            let loaded = handle.ask(move |machine| machine.load(&state, &mut memory.as_slice()));
            if let Err(error) = loaded.unwrap() {
                return Some(error.to_string());
            }
            wait_for_more(handle, before + 0x1_0000);
            None
        })
    };

    assert_eq!(load(&served), None);
    let unserved = load(&[]).unwrap();
    assert!(
        unserved.ends_with("its programs were served by --semihosting, here they are not"),
        "{unserved}"
    );
    std::fs::remove_file(folder.path().join("file")).unwrap();
    let lost = load(&served).unwrap();
    assert!(
        lost.contains("the program's open file file cannot be opened again: No such file"),
        "{lost}"
    );
}

#[test]
fn a_state_that_is_not_of_the_machine_changes_nothing() {
    let save = |handle: &Handle| handle.ask(|machine| machine.save().unwrap()).unwrap();
    let larger = operated(&COUNT, &["--memory", "4M"], save);
    let wider = operated(&COUNT_64, &["--arch", "aarch64"], save);
    let other = operated(&COUNT[1..], &[], save);
    operated(&COUNT, &[], |handle| {
        wait_for_more(handle, 0);
        handle.ask(|machine| machine.hold(Holder::Monitor)).unwrap();
        let before = handle.ask(|machine| machine.save().unwrap()).unwrap();
        let text_before = text(&before);
        let mut wrong = vec![larger, wider, other];
        // The last part that is loaded, so that all others are loaded before it is refused.
        for (part, other) in [
            ("\"model\":\"gicv2\"", "\"model\":\"gicv3\""),
            ("\"pl011@9000000\"", "\"pl011@9000001\""),
            ("\"model\":\"arm-cpu\"", "\"model\":\"other-cpu\""),
        ] {
            assert!(text_before.contains(part), "{part} in {text_before:.400}");
            wrong.push(serde_json::from_str(&text_before.replacen(part, other, 1)).unwrap());
        }
        for state in wrong {
            let refused = handle.ask(move |machine| machine.load(&state, &mut std::io::empty()).is_err());
            assert_eq!(refused, Some(true));
            let after = handle.ask(|machine| machine.save().unwrap()).unwrap();
            assert_same(&after, &before);
        }
        handle.ask(|machine| machine.release(Holder::Monitor)).unwrap();
        let here = handle.ask(|machine| count(&ram(machine))).unwrap();
        wait_for_more(handle, here);
    });
}

#[test]
fn a_state_needs_the_devices_that_it_has_a_state_of() {
    let save = |handle: &Handle| handle.ask(|machine| machine.save().unwrap()).unwrap();
    let load = |more: &[&str], state: &Saved| {
        let state = state.clone();
        let refusal = move |machine: &mut dyn Control| machine.load(&state, &mut std::io::empty()).err();
        operated(&COUNT, more, |handle| {
            handle.ask(refusal).unwrap().map(|error| error.to_string())
        })
    };
    for (name, place, instead) in [
        ("pl031", "pl031@9010000", None),
        ("pl061", "pl061@9030000", None),
        ("virtio-rng", "virtio-rng@a003e00", Some("virtio-mmio@a003e00")),
        ("virtio-mmio", "virtio-console@a003c00", None),
    ] {
        let (with, without) = (
            operated(&COUNT, &[], save),
            operated(&COUNT, &["--no-device", name], save),
        );

        let lacking = load(&["--no-device", name], &with).unwrap();
        let having = load(&[], &without).unwrap();

        let here = instead.unwrap_or("nothing");
        let expected = format!("it is of a machine with {place} where this one has {here}");
        assert!(lacking.ends_with(&expected), "{lacking}");
        let expected = match instead {
            Some(instead) => format!("it is of a machine with {instead} where this one has {place}"),
            None => format!("it is of a machine without {place}"),
        };
        assert!(having.ends_with(&expected), "{having}");
    }
}

#[test]
fn a_state_of_the_first_version_is_taken_over() {
    let (new, again) = operated(&COUNT, &[], |handle| {
        let job = |machine: &mut dyn Control| {
            machine.hold(Holder::Snapshot);
            let (new, memory) = (machine.save().unwrap(), ram(machine));
            let mut old = text(&new).replacen(
                "\"model\":\"machine\",\"version\":5",
                "\"model\":\"machine\",\"version\":1",
                1,
            );
            for name in ["virtio-rng@a003e00", "virtio-console@a003c00"] {
                assert!(old.contains(name));
                old = old.replace(name, &name.replace("rng", "mmio").replace("console", "mmio"));
            }
            let old = old.replace("\"semihosting\":null,", "");
            let mut old: serde_json::Value = serde_json::from_str(&old).unwrap();
            let frame = old["state"]["devices"]
                .as_object_mut()
                .unwrap()
                .remove("gicv2m@8020000");
            assert!(frame.is_some());
            let edges = old["state"]["cpus"][0].as_object_mut().unwrap().remove("edges");
            assert!(edges.is_some());
            let old = serde_json::from_value(old).unwrap();
            machine.load(&old, &mut memory.as_slice()).unwrap();
            (new, machine.save().unwrap())
        };
        handle.ask(job).unwrap()
    });

    assert_same(&again, &new);
}

#[test]
fn ram_that_is_none_is_refused() {
    operated(&COUNT, &[], |handle| {
        let state = handle.ask(|machine| machine.save().unwrap()).unwrap();
        let record = |address: u64, length: u64| [address.to_le_bytes(), length.to_le_bytes()].concat();
        let cut = [record(COUNTER, 0x1000), vec![0; 0xfff]].concat();
        let outside = [record(0x1000, 4), vec![0; 20]].concat();
        for ram in [Vec::new(), cut, outside, record(COUNTER, u64::MAX)] {
            let state = state.clone();
            let refused = handle.ask(move |machine| machine.load(&state, &mut ram.as_slice()).is_err());
            assert_eq!(refused, Some(true));
        }
    });
}
