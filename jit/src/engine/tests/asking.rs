//! What vCPUs ask of one another is heard, followed and waited for: by those who run, who rest, who wait and who are gone.

use super::sharing::{GOTO, Machine, PAGES, SET, STORE, STORES, WAIT, Whole, Words, page, run, store};
use crate::cases::State;
use crate::engine::book::Asked;
use crate::engine::mailbox::Ask;
use crate::engine::*;
use crate::interp::Memory;
use bytemuck::Zeroable;
use emu_ir::testing::until;
use emu_ir::*;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::thread::{scope, sleep};
use std::time::Duration;

/// What may be asked.
const ASKS: [Ask; 2] = [Ask::Flush(Flush::ALL), Ask::Protect(page(5) as u64)];

fn machine() -> Option<Machine> {
    let machine = Machine::new(Accel::Interp)?;
    machine.put(STORES, &[STORE, WAIT]);
    machine.put(page(1), &[SET | 1, WAIT]);
    Some(machine)
}
/// Whether it stores to a page without being looked at.
fn may_store(v: &mut Vcpu<Words>, at: u32) -> bool {
    let space = v.mmu.tlb.select(Context::default());
    v.mmu.tlb.data(space, at.into()).write == u64::from(at)
}
/// A vCPU that stores to pages 5 and 6 without being looked at. It rests.
fn writer(machine: &Machine) -> Vcpu<Words> {
    let mut v = machine.vcpu();
    store(&mut v, page(5), 1);
    store(&mut v, page(6), 1);
    assert!(may_store(&mut v, page(5)) && may_store(&mut v, page(6)));
    v
}
/// That it has done what it was asked, and no more.
#[track_caller]
fn assert_followed(v: &mut Vcpu<Words>, ask: Ask) {
    assert!(!may_store(v, page(5)), "{ask:?}");
    let all = ask == Ask::Flush(Flush::ALL);
    assert_eq!(may_store(v, page(6)), !all, "{ask:?}");
}
fn flush(mailbox: &Arc<Mailbox>) -> Asked {
    Asked::of(mailbox, Ask::Flush(Flush::ALL))
}
/// Wait until it waits for others, or rests.
fn until_it_rests(mailbox: &Arc<Mailbox>) {
    // One request: many would become one to forget everything.
    let asked = Asked::of(mailbox, Ask::Protect(page(PAGES).into()));
    until("it waits", || asked.is_done());
}
/// Time enough for who does not wait.
const A_WHILE: Duration = Duration::from_millis(30);

/// Who does what it is asked at the end, even if there is a panic.
struct Looks(Arc<Mailbox>);
impl Drop for Looks {
    fn drop(&mut self) {
        let (_, count) = self.0.take();
        self.0.finish(count);
    }
}

/// What makes a vCPU look does so, and nothing before did.
#[track_caller]
fn assert_looks(v: &mut Vcpu<Words>, what: &str, f: impl FnOnce()) {
    v.own.attention().now.store(0, Release);
    f();
    assert_ne!(v.own.attention().now.load(Acquire), 0, "{what}");
}

#[test]
fn who_runs_is_made_to_look_and_has_done_what_it_is_asked_when_it_has_looked() {
    for ask in ASKS {
        let Some(machine) = machine() else { return };
        let mut v = writer(&machine);
        let mailbox = v.mmu.mailbox.clone();
        v.wake();

        let mut asked = None;
        assert_looks(&mut v, "a request", || asked = Some(Asked::of(&mailbox, ask)));

        let asked = asked.unwrap();
        assert!(!asked.is_done());
        assert_eq!(v.attend(), None);
        assert!(asked.is_done(), "{ask:?}");
        assert_followed(&mut v, ask);
    }
}

#[test]
fn what_is_asked_of_one_who_rests_is_done_before_it_runs() {
    for ask in ASKS {
        let Some(machine) = machine() else { return };
        let mut v = writer(&machine);

        assert!(Asked::of(&v.mmu.mailbox, ask).is_done());
        v.wake();

        assert_followed(&mut v, ask);
    }
}

#[test]
fn nobody_waits_for_who_has_come_back() {
    let Some(machine) = machine() else { return };
    let mut v = machine.vcpu();
    let mailbox = v.mmu.mailbox.clone();
    assert!(flush(&mailbox).is_done(), "it has never run");

    run(&mut v, page(1));
    assert!(flush(&mailbox).is_done());
    v.state_mut().pc = page(1);
    assert_eq!(v.step(false), Exit::Stepped);
    assert!(flush(&mailbox).is_done());
    v.wake();
    let before = flush(&mailbox);
    assert!(!before.is_done(), "it runs");
    v.mmu.rest();

    assert!(before.is_done());
}

#[test]
fn nobody_waits_for_who_is_gone() {
    let Some(machine) = machine() else { return };
    let (mut gone, other, third) = (machine.vcpu(), machine.vcpu(), machine.vcpu());
    gone.wake();
    let asked = flush(&gone.mmu.mailbox);

    drop(gone);

    assert!(asked.is_done());
    let others = other.mmu.shared.ask_others(&other.mmu.mailbox, ASKS[0]);
    assert_eq!(others.len(), 1, "the third is still there");
    assert_ne!(third.mmu.cpu, other.mmu.cpu);
}

#[test]
fn all_others_are_asked() {
    let Some(machine) = machine() else { return };
    let mut vcpus = [machine.vcpu(), machine.vcpu(), machine.vcpu()];
    vcpus.iter_mut().for_each(Vcpu::wake);
    let shared = machine.translations.shared.clone();

    let asked = shared.ask_others(&vcpus[0].mmu.mailbox, ASKS[0]);

    assert_eq!(vcpus.each_ref().map(|v| v.mmu.mailbox.has_asks()), [false, true, true]);
    for (n, v) in vcpus.iter_mut().enumerate() {
        v.mmu.poll();
        assert_eq!(asked.iter().filter(|asked| asked.is_done()).count(), n);
    }
}

#[test]
fn who_is_alone_asks_nobody() {
    let translations = Translations::<Words>::new(Accel::Interp, true, LEAST_CODE_CACHE).expect("memory");
    let mailbox = || Arc::new(Mailbox::new(Own::new(State::zeroed()).frame()));
    let (me, other) = (mailbox(), mailbox());
    for cpu in [&me, &other] {
        translations.shared.enter(cpu);
    }

    assert_eq!(translations.shared.ask_others(&me, ASKS[0]).len(), 0);
}

#[test]
fn who_stores_to_a_page_is_waited_for_before_code_is_read_from_it() {
    let Some(machine) = machine() else { return };
    let (mut reader, mut other) = (writer(&machine), writer(&machine));
    reader.wake();
    other.wake();
    let (book, cpu, at) = (reader.mmu.book().clone(), reader.mmu.cpu, page(5).into());

    scope(|s| {
        let looks = Looks(other.mmu.mailbox.clone());
        let guards = s.spawn(|| reader.mmu.guard(at));
        until("it asks", || other.mmu.mailbox.has_asks());
        sleep(A_WHILE);
        assert!(!guards.is_finished() && !book.read(cpu, at), "the other may store");
        other.attend();
        assert!(!guards.join().unwrap(), "it has waited");
        drop(looks);
    });

    assert!(book.read(cpu, at), "all know");
    book.end(cpu);
    for v in [&mut reader, &mut other] {
        assert_followed(v, ASKS[1]);
    }
    assert!(
        reader.mmu.guard(at) && !other.mmu.mailbox.has_asks(),
        "nobody is asked twice"
    );
}

/// It had to wait, and meanwhile the code was mapped elsewhere.
#[test]
fn who_has_waited_looks_anew_where_the_code_is() {
    let Some(machine) = machine() else { return };
    machine.put(page(2), &[SET | 2, SET | 3, WAIT]);
    let (mut reader, mut other) = (machine.vcpu(), machine.vcpu());
    reader.wake();
    other.wake();
    reader.state_mut().pc = page(1);
    let mailbox = reader.mmu.mailbox.clone();

    let found = scope(|s| {
        let looks = Looks(other.mmu.mailbox.clone());
        let finds = s.spawn(|| reader.find().expect("a block").extent);
        until_it_rests(&mailbox);
        machine.map[1].store(2, Release);
        assert!(flush(&mailbox).is_done());
        until("it finds a block", || {
            other.attend();
            finds.is_finished()
        });
        drop(looks);
        finds.join().unwrap()
    });

    assert_eq!((found.phys, found.insns), (page(2).into(), 3));
}

#[test]
fn a_broadcast_is_complete_when_all_others_have_followed_it() {
    let Some(machine) = machine() else { return };
    let (mut flusher, mut other) = (writer(&machine), writer(&machine));
    flusher.wake();
    other.wake();
    let (mailbox, others) = (flusher.mmu.mailbox.clone(), other.mmu.mailbox.clone());
    flusher.mmu.flush(Flush::ALL, false);
    assert!(!others.has_asks(), "that was its own affair");
    assert_followed(&mut flusher, ASKS[0]);
    flusher.mmu.complete();

    flusher.mmu.flush(Flush::ALL, true);
    scope(|s| {
        let looks = Looks(others);
        let waits = s.spawn(|| flusher.mmu.complete());
        until_it_rests(&mailbox);
        sleep(A_WHILE);
        assert!(!waits.is_finished(), "the other has not looked");
        other.attend();
        until("it is complete", || waits.is_finished());
        drop(looks);
    });

    assert_followed(&mut other, ASKS[0]);
}

#[test]
fn broadcasts_that_are_done_are_not_remembered() {
    let Some(machine) = machine() else { return };
    let (mut flusher, other) = (machine.vcpu(), machine.vcpu());
    let mailbox = other.mmu.mailbox.clone();
    let before = Arc::strong_count(&mailbox);

    (0..100).for_each(|_| flusher.mmu.flush(Flush::ALL, true));

    assert!(Arc::strong_count(&mailbox) <= before + 1, "the last, at most");
}

#[test]
fn whatever_comes_from_outside_makes_vcpus_look() {
    let Some(machine) = machine() else { return };
    let (mut v, mut other) = (machine.vcpu(), machine.vcpu());
    run(&mut other, page(1));
    v.wake();
    let (kick, page1, none) = (v.kick(), page(1).into(), page(9).into());

    assert_looks(&mut v, "an interrupt", || kick.set_line(4, true));
    assert_eq!(v.own.attention().lines.load(Acquire), 4);
    assert_looks(&mut v, "another", || kick.set_line(2, true));
    kick.set_line(4, false);
    assert_eq!(v.own.attention().lines.load(Acquire), 2);
    assert_looks(&mut v, "a stop", || kick.request_exit());
    assert_eq!(v.attend(), Some(Exit::Requested));
    assert_looks(&mut v, "memory that has moved", || kick.remapped());
    kick.invalidate(none, 4);
    assert_looks(&mut v, "code that was written", || other.kick().invalidate(page1, 4));
}

#[test]
fn a_new_book_is_everybody_s() {
    let Some(machine) = machine() else { return };
    let (mut resting, mut running) = (machine.vcpu(), machine.vcpu());
    run(&mut resting, page(1));
    running.wake();
    let shared = machine.translations.shared.clone();
    let (old, generation) = (shared.current(), shared.generation());

    assert_looks(&mut running, "a new book", || shared.renew(&old).expect("memory"));
    running.attend();

    assert!(!Arc::ptr_eq(&old, &shared.current()) && Arc::ptr_eq(running.mmu.book(), &shared.current()));
    assert_eq!(Arc::strong_count(&old), 1, "nobody else keeps it");
    assert_eq!(shared.generation(), generation + 1);
    shared.renew(&old).expect("nothing to do");
    assert_eq!(shared.generation(), generation + 1, "that was done already");
}

/// Memory, of which a vCPU is told once that it has moved.
struct Moving {
    memory: Whole,
    moved: Arc<AtomicBool>,
    /// Asked for an exit as the vCPU looks.
    kick: Arc<OnceLock<Kick>>,
}

impl Bus for Moving {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        self.memory.load(phys, size)
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        self.memory.store(phys, size, value)
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        self.memory.ram(page)
    }
    fn remapped(&mut self) -> bool {
        let moved = self.moved.swap(false, AcqRel);
        if let Some(kick) = self.kick.get().filter(|_| moved) {
            kick.request_exit();
        }
        moved
    }
}

#[test]
fn where_memory_was_is_forgotten_when_it_has_moved() {
    let Some(machine) = machine() else { return };
    let moved = Arc::new(AtomicBool::new(false));
    let mut v = machine.vcpu_on(Box::new(Moving {
        memory: Whole(machine.ram.clone()),
        moved: moved.clone(),
        kick: Arc::default(),
    }));
    for (moves, steps) in [(false, false), (true, false), (false, true), (true, true)] {
        store(&mut v, page(5), 1);
        moved.store(moves, Release);
        v.kick().remapped();

        if steps {
            v.state_mut().pc = page(1);
            assert_eq!(v.step(false), Exit::Stepped);
        } else {
            v.wake();
            v.attend();
            v.mmu.rest();
        }

        assert_eq!(may_store(&mut v, page(5)), !moves, "it steps: {steps}");
    }
}

#[test]
fn what_is_asked_while_it_looks_is_looked_at_too() {
    let Some(machine) = machine() else { return };
    machine.put(page(2), &[GOTO]);
    let (moved, kick) = (Arc::new(AtomicBool::new(true)), Arc::<OnceLock<Kick>>::default());
    let mut v = machine.vcpu_on(Box::new(Moving {
        memory: Whole(machine.ram.clone()),
        moved: moved.clone(),
        kick: kick.clone(),
    }));
    assert!(kick.set(v.kick()).is_ok());
    v.state_mut().pc = page(2);
    v.kick().remapped();

    let exit = scope(|s| {
        let runs = s.spawn(|| v.run());
        /// Ends it, even if there is a panic.
        struct End(Kick);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.request_exit();
            }
        }
        let end = kick.get().cloned().map(End);
        until("it comes back", || runs.is_finished());
        drop(end);
        runs.join().unwrap()
    });

    assert_eq!((exit, moved.load(Acquire)), (Exit::Requested, false));
}

/// Let a running vCPU wait for one that does not look before something has been done.
fn while_it_waits(v: &mut Vcpu<Words>, f: impl FnOnce()) {
    let late: Arc<Mailbox> = Arc::new(Mailbox::new(Own::new(State::zeroed()).frame()));
    late.wake();
    let asked = [flush(&late)];
    let mailbox = v.mmu.mailbox.clone();
    scope(|s| {
        let looks = Looks(late);
        let waits = s.spawn(|| v.mmu.wait(&asked));
        until_it_rests(&mailbox);
        f();
        assert!(!waits.is_finished(), "it waits for who has not looked");
        drop(looks);
    });
}

#[test]
fn who_waits_for_others_is_not_waited_for() {
    let Some(machine) = machine() else { return };
    let mut v = machine.vcpu();
    let mailbox = v.mmu.mailbox.clone();
    v.wake();

    while_it_waits(&mut v, || {
        for n in 0..2_000 {
            assert!(flush(&mailbox).is_done(), "request {n} needs the host to let it run");
        }
    });

    assert!(!flush(&mailbox).is_done(), "it runs again");
    v.mmu.poll();
}

#[test]
fn what_is_asked_of_one_who_waits_is_done_before_it_goes_on() {
    for ask in ASKS {
        for early in [false, true] {
            let Some(machine) = machine() else { return };
            let mut v = writer(&machine);
            let mailbox = v.mmu.mailbox.clone();
            v.wake();

            // It does not look any more before it waits.
            let before = early.then(|| Asked::of(&mailbox, ask));
            while_it_waits(&mut v, || {
                if let Some(before) = &before {
                    assert!(before.is_done());
                } else {
                    Asked::of(&mailbox, ask);
                }
            });

            assert_followed(&mut v, ask);
        }
    }
}

/// Who asks has a book that is new.
#[test]
fn who_has_waited_knows_the_books_of_those_who_asked() {
    let Some(machine) = machine() else { return };
    let (mut debugged, mut writer) = (machine.vcpu(), machine.vcpu());
    store(&mut writer, page(1) + 0x800, 1);
    debugged.set_breakpoints([u64::from(page(9))]);
    writer.wake();

    while_it_waits(&mut writer, || run(&mut debugged, page(1)));
    let at = (&writer.guest, writer.own.state());
    let (mem, code) = (Mem::new(2, 0), (SET | 2).into());
    let stored = Memory::<Words>::store(&mut writer.mmu, at, page(1).into(), mem, code);

    assert_eq!((stored, debugged.state().r[0]), (Ok(()), 1));
    run(&mut debugged, page(1));
    assert_eq!(debugged.state().r[0], 2);
}
