//! Several vCPUs that share what they translate: by a guest whose code lies in memory, and changes.

use crate::cases::{LAYOUT, Random, State, pinned};
use crate::engine::book::Kind;
use crate::engine::trace::{Entered, Tracer, Wants};
use crate::engine::*;
use bytemuck::Zeroable;
use emu_devices::bus::Ram;
use emu_ir::testing::until;
use emu_ir::*;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::thread::scope;
use std::time::{Duration, Instant};

/// Pages of memory.
pub(super) const PAGES: usize = 256;
/// Where a page starts.
pub(super) const fn page(n: usize) -> u32 {
    (n as u32) << 12
}

// The instructions: a word each, with a number in its low half.
/// r0 is the number.
pub(super) const SET: u32 = 1 << 16;
/// r2 goes where r1 says.
pub(super) const STORE: u32 = 2 << 16;
/// r0 goes to the address that is the number.
const OUT: u32 = 3 << 16;
/// r3 goes to the address that is the number.
const ECHO: u32 = 4 << 16;
/// r3 comes from there.
const GET: u32 = 5 << 16;
/// r7 has all bits that r3 has.
const OR: u32 = 6 << 16;
/// So many bytes from the start of the page, signed.
pub(super) const GOTO: u32 = 7 << 16;
/// To where r4 says.
const JUMP: u32 = 8 << 16;
/// Wait for an interrupt.
pub(super) const WAIT: u32 = 9 << 16;
/// All vCPUs forget translations of addresses.
const FLUSH: u32 = 10 << 16;

/// A guest that runs such instructions.
pub(super) struct Words {
    /// The physical page of each virtual one.
    map: Arc<Vec<AtomicU64>>,
    /// How many blocks were translated.
    translated: Arc<AtomicUsize>,
}

fn flush(_: &mut Words, _: &mut State, env: &mut dyn Env, _: &[u128; 4]) -> Result<u128, Fault> {
    env.flush(Flush::ALL, true);
    env.complete();
    Ok(0)
}

/// An instruction at an offset in its page; whether the block ends.
fn word(b: &mut Builder, mode: u64, word: u32) -> bool {
    let number = b.i32(word & 0xffff);
    let plain = Mem::new(2, 0);
    match word & !0xffff {
        SET => b.set(pinned(0), number),
        STORE => {
            let (at, v) = (b.get(pinned(1)), b.get(pinned(2)));
            b.store(at, v, plain);
        }
        OUT | ECHO => {
            let v = b.get(pinned(if word & !0xffff == OUT { 0 } else { 3 }));
            b.store(number, v, plain);
        }
        GET => {
            let v = b.load(Ty::I32, number, plain);
            b.set(pinned(3), v);
        }
        OR => {
            let (all, v) = (b.get(pinned(7)), b.get(pinned(3)));
            let all = b.or(all, v);
            b.set(pinned(7), all);
        }
        FLUSH => {
            b.call(Ty::I32, 0, &[]);
        }
        GOTO => b.goto((word as i16).into(), mode, Hint::Jump, false),
        JUMP => {
            let to = b.get(pinned(4));
            b.goto_val(to, Hint::Jump);
        }
        _ => b.exit(Leave::Wait),
    }
    matches!(word & !0xffff, GOTO | JUMP) || !(SET..=FLUSH).contains(&word) || word & !0xffff == WAIT
}

impl Guest for Words {
    type State = State;
    const LAYOUT: &'static Layout = &LAYOUT;
    const HELPERS: &'static [Helper<Self>] = &[Helper {
        name: "flush",
        f: HelperFn::State(flush),
    }];

    fn translate(
        &self,
        key: BlockKey,
        offset: u32,
        limit: u32,
        fetch: &mut dyn Fetch,
        b: &mut Builder,
    ) -> Result<(), Fault> {
        self.translated.fetch_add(1, Relaxed);
        let mut at = offset;
        loop {
            let bits = fetch.u32(at)?;
            b.insn(at as u16, 0);
            if bits & !0xffff == WAIT {
                let next = b.pc_rel(Ty::I32, at as i32 + 4);
                b.set(LAYOUT.pc, next);
            }
            let ends = word(b, key.mode, bits);
            at += 4;
            (b.block.guest_bytes, b.block.guest_insns) = (at - offset, (at - offset) / 4);
            if ends {
                return Ok(());
            }
            if b.block.guest_insns == limit {
                b.goto(at as i32, key.mode, Hint::Jump, false);
                return Ok(());
            }
        }
    }
    fn walk(&self, _: &State, _: &mut dyn Bus, va: u64, access: Access, _: u8) -> Result<Page, Fault> {
        let phys = self.map.get(va as usize >> 12).ok_or(Fault::Bus { addr: va, access })?;
        Ok(emu_ir::testing::page(phys.load(Acquire) << 12))
    }
    fn context(&self, _: &State, _: u8) -> Context {
        Context::default()
    }
    fn restore(&self, _: &mut State, _: u64, _: u32) {}
    fn raise(&mut self, s: &mut State, _: &mut dyn Env, fault: Fault) {
        panic!("{fault:?} at {:#x}", s.pc);
    }
    fn interrupt(&mut self, _: &mut State, _: &mut dyn Env, _: u32) -> bool {
        false
    }
    fn wakes(&self, _: &State, _: u32) -> bool {
        false
    }
}

/// All of the memory.
pub(super) struct Whole(pub Arc<Ram>);

impl Bus for Whole {
    fn load(&mut self, _: u64, _: u8) -> Option<u64> {
        None
    }
    fn store(&mut self, _: u64, _: u8, _: u64) -> Option<()> {
        None
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        (page >> 12 < PAGES as u64).then(|| RamPage::plain(self.0.mapping(), page, page))
    }
}

/// Memory with vCPUs to come.
pub(super) struct Machine {
    pub ram: Arc<Ram>,
    pub map: Arc<Vec<AtomicU64>>,
    translated: Arc<AtomicUsize>,
    pub translations: Translations<Words>,
}

impl Machine {
    /// `None`: not on this host.
    pub fn new(accel: Accel) -> Option<Machine> {
        let translations = Translations::new(accel, false, LEAST_CODE_CACHE);
        if let Err(why) = &translations {
            emu_ir::testing::skipped("vCPUs that share what they translate", &why.to_string());
        }
        Some(Machine {
            ram: Arc::new(Ram::new(page(PAGES).into()).expect("memory")),
            map: Arc::new((0..PAGES as u64).map(AtomicU64::new).collect()),
            translated: Arc::default(),
            translations: translations.ok()?,
        })
    }
    /// The same memory, with nothing translated.
    fn anew(&mut self, accel: Accel) {
        self.translations = Translations::new(accel, false, LEAST_CODE_CACHE).expect("memory");
    }
    pub fn vcpu(&self) -> Vcpu<Words> {
        self.vcpu_on(Box::new(Whole(self.ram.clone())))
    }
    /// One with another way to memory.
    pub fn vcpu_on(&self, bus: Box<dyn Bus + Send>) -> Vcpu<Words> {
        let guest = Words {
            map: self.map.clone(),
            translated: self.translated.clone(),
        };
        Vcpu::sharing(&self.translations, guest, State::zeroed(), bus)
    }
    pub fn put(&self, at: u32, words: &[u32]) {
        for (n, &word) in words.iter().enumerate() {
            self.ram.store(u64::from(at) + 4 * n as u64, word).expect("inside");
        }
    }
    fn get(&self, at: u32) -> u32 {
        self.ram.load(at.into()).expect("inside")
    }
    /// Wait until that is there.
    fn wait_for(&self, at: u32, want: u32) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.get(at) != want {
            assert!(Instant::now() < end, "{want:#x} never comes, but {:#x}", self.get(at));
            std::thread::sleep(Duration::from_micros(20));
        }
    }
}

/// Run a vCPU from there until it waits.
pub(super) fn run(v: &mut Vcpu<Words>, pc: u32) {
    v.state_mut().pc = pc;
    assert_eq!(v.run(), Exit::Wait);
}
/// Have it store.
pub(super) fn store(v: &mut Vcpu<Words>, at: u32, value: u32) {
    (v.state_mut().r[1], v.state_mut().r[2]) = (at, value);
    run(v, STORES);
}
/// Let it run on a thread of its own while something else is done; the vCPU.
fn beside(mut v: Vcpu<Words>, pc: u32, f: impl FnOnce()) -> Vcpu<Words> {
    let kick = v.kick();
    v.state_mut().pc = pc;
    scope(|s| {
        let runs = s.spawn(move || {
            assert_eq!(v.run(), Exit::Requested);
            v
        });
        /// Ends it, even if there is a panic.
        struct End(Kick);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.request_exit();
            }
        }
        let end = End(kick);
        f();
        drop(end);
        runs.join().expect("it ends")
    })
}

/// Where the program is that stores: the last page.
pub(super) const STORES: u32 = page(PAGES - 1);
/// Where the results go.
const RESULT: u32 = 0x100;
const FLAG: u32 = 0x104;
const ACK: u32 = 0x108;

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn what_one_has_translated_runs_on_all() {
    for accel in [Accel::Interp, Accel::Jit] {
        let Some(machine) = Machine::new(accel) else { continue };
        machine.put(page(1), &[SET | 7, GOTO | 12, WAIT, OUT | RESULT, GOTO | 0x1000]);
        machine.put(page(2), &[SET | 9, WAIT]);
        let mut counts = Vec::new();
        let mut vcpus: Vec<_> = (0..4).map(|_| machine.vcpu()).collect();

        for v in &mut vcpus {
            machine.put(RESULT, &[0]);
            run(v, page(1));
            assert_eq!((machine.get(RESULT), v.state().r[0]), (7, 9), "{accel:?}");
            counts.push(machine.translated.load(Relaxed));
        }

        assert_eq!(counts, [3; 4], "{accel:?}");
    }
}

/// It stores to the page without asking before there is code of it.
#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn code_that_a_vcpu_itself_replaces_does_not_run_again() {
    for accel in [Accel::Interp, Accel::Jit] {
        let Some(machine) = Machine::new(accel) else { continue };
        machine.put(STORES, &[STORE, WAIT]);
        let mut v = machine.vcpu();
        for n in 1..=20 {
            machine.put(page(n), &[SET | 1, WAIT]);
            store(&mut v, page(n) + 0x800, 1);
            for value in [1, 2, 3] {
                store(&mut v, page(n), SET | value);
                run(&mut v, page(n));
                assert_eq!(v.state().r[0], value, "{accel:?} page {n}");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn code_that_another_vcpu_replaces_does_not_run_again() {
    const ROUNDS: u32 = 5_000;
    for accel in [Accel::Jit, Accel::Interp] {
        let Some(machine) = Machine::new(accel) else { continue };
        machine.put(STORES, &[STORE, WAIT]);
        machine.put(page(1), &[GET | FLAG, JUMP]);
        machine.put(
            page(2),
            &[
                GOTO | 8,
                WAIT,
                SET,
                OUT | RESULT,
                ECHO | ACK,
                GOTO | (-0x1000i16 as u16 as u32),
            ],
        );
        let (mut writer, mut runner) = (machine.vcpu(), machine.vcpu());
        runner.state_mut().r[4] = page(2);

        beside(runner, page(1), || {
            for n in 1..=ROUNDS {
                store(&mut writer, page(2) + 8, SET | n);
                store(&mut writer, FLAG, n);
                machine.wait_for(ACK, n);
                assert!(
                    machine.get(RESULT) == n,
                    "{accel:?}: round {n} runs {}",
                    machine.get(RESULT)
                );
            }
        });
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn a_vcpu_leaves_its_own_loop_when_another_replaces_it() {
    for accel in [Accel::Jit, Accel::Interp] {
        let Some(machine) = Machine::new(accel) else { continue };
        machine.put(STORES, &[STORE, WAIT]);
        machine.put(page(1), &[GET | FLAG, ECHO | ACK, GOTO]);
        let (mut writer, runner) = (machine.vcpu(), machine.vcpu());

        beside(runner, page(1), || {
            for n in 1..=100 {
                let (here, there) = if n % 2 == 0 { (ACK, RESULT) } else { (RESULT, ACK) };
                store(&mut writer, FLAG, n);
                machine.wait_for(there, n);
                store(&mut writer, page(1) + 4, ECHO | here);
                machine.wait_for(here, n);
            }
        });
    }
}

/// A place where two threads meet, again and again.
#[derive(Default)]
struct Meeting(AtomicUsize);

impl Meeting {
    fn meet(&self, round: usize) {
        self.0.fetch_add(1, SeqCst);
        let mut turns = 0u32;
        while self.0.load(SeqCst) < 2 * (round + 1) {
            turns += 1;
            if turns < 1000 {
                std::hint::spin_loop();
            } else {
                std::thread::sleep(Duration::from_micros(20));
            }
        }
    }
}

/// Two vCPUs, and a device: what is stored while a block is translated is not lost. A page each round.
#[test]
#[cfg_attr(miri, ignore = "far too many rounds for Miri")]
fn what_is_stored_to_code_while_it_is_translated_is_not_lost() {
    let end = Instant::now() + Duration::from_secs(5);
    let Some(mut machine) = Machine::new(Accel::Interp) else {
        return;
    };
    machine.put(STORES, &[STORE, WAIT]);
    let (mut lost, mut met) = (0, 0);
    const EACH: usize = PAGES - 1;
    let mut rounds = 0;
    for set in 0.. {
        if Instant::now() > end && met != 0 {
            break;
        }
        rounds += EACH;
        machine.anew(Accel::Interp);
        (0..EACH).for_each(|n| machine.put(page(n), &[SET | 1, WAIT]));
        let (mut writer, mut reader) = (machine.vcpu(), machine.vcpu());
        let (meeting, kick, ram) = (Meeting::default(), reader.kick(), machine.ram.clone());
        let old = scope(|s| {
            s.spawn(|| {
                let mut random = Random::new(set as u64);
                for n in 0..EACH {
                    // It may store there without asking.
                    store(&mut writer, page(n) + 0x800, 1);
                    meeting.meet(2 * n);
                    (0..random.below(200)).for_each(|_| std::hint::spin_loop());
                    if n % 4 == 0 {
                        ram.store(page(n).into(), SET | 2).expect("inside");
                        kick.invalidate(page(n).into(), 4);
                    } else {
                        store(&mut writer, page(n), SET | 2);
                    }
                    meeting.meet(2 * n + 1);
                }
            });
            let mut old = 0;
            for n in 0..EACH {
                meeting.meet(2 * n);
                run(&mut reader, page(n));
                old += u32::from(reader.state().r[0] == 1);
                meeting.meet(2 * n + 1);
                run(&mut reader, page(n));
                lost += u32::from(reader.state().r[0] != 2);
            }
            old
        });
        // Some were translated before the store, and some after.
        met += u32::from((1..EACH as u32).contains(&old));
    }
    assert_eq!(lost, 0, "of {rounds}");
}

#[test]
#[cfg_attr(miri, ignore = "far too many rounds for Miri")]
fn vcpus_that_wait_for_each_other_go_on() {
    let Some(mut machine) = Machine::new(Accel::Interp) else {
        return;
    };
    for _ in 0..40 {
        machine.anew(Accel::Interp);
        let vcpus = [machine.vcpu(), machine.vcpu()];
        scope(|s| {
            for (first, mut v) in vcpus.into_iter().enumerate() {
                s.spawn(move || {
                    v.wake();
                    for n in (first..PAGES).step_by(2) {
                        v.state_mut().pc = page(n);
                        v.find().expect("a block");
                    }
                    v.mmu.rest();
                });
            }
        });
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn what_is_broadcast_is_done_when_it_is_complete() {
    const ROUNDS: u32 = 3_000;
    const WRONG: u32 = 1 << 31;
    let uses = [GET | page(5), OR, ECHO | RESULT, JUMP];
    // It waits for the other as well, again and again.
    let waits = [GET | page(5), OR, ECHO | RESULT, FLUSH, JUMP];
    for (accel, code) in [Accel::Jit, Accel::Interp]
        .into_iter()
        .flat_map(|accel| [(accel, &uses[..]), (accel, &waits[..])])
    {
        let Some(machine) = Machine::new(accel) else { continue };
        machine.put(page(1), code);
        machine.put(page(3), &[FLUSH, WAIT]);
        let (mut flusher, mut runner) = (machine.vcpu(), machine.vcpu());
        runner.state_mut().r[4] = page(1);

        let runner = beside(runner, page(1), || {
            for n in 1..=ROUNDS {
                let (old, new) = (6 + n as usize % 2, 7 - n as usize % 2);
                machine.put(page(new), &[n]);
                machine.map[5].store(new as u64, Release);
                run(&mut flusher, page(3));
                machine.put(page(old), &[WRONG]);
                machine.wait_for(RESULT, n);
            }
        });

        assert_eq!(runner.state().r[7] & WRONG, 0, "{accel:?} {code:x?}");
    }
}

/// Blocks for one mode after the other, until everything has been forgotten so often.
fn fill(v: &mut Vcpu<Words>, mut mode: u32, times: u64, end: &AtomicUsize) {
    let shared = v.mmu.shared.clone();
    let first = shared.generation();
    while shared.generation() < first + times && end.load(Relaxed) == 0 {
        v.state_mut().mode = mode;
        run(v, page(2));
        assert_eq!(v.state().r[0], 5);
        assert!(shared.current().held() <= LEAST_CODE_CACHE);
        mode += 2;
    }
    end.store(1, Relaxed);
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn everything_is_forgotten_while_others_run_and_rest() {
    let Some(machine) = Machine::new(Accel::Jit) else {
        return;
    };
    machine.put(page(1), &[GET | FLAG, ECHO | ACK, JUMP]);
    machine.put(page(2), &[SET | 5, OUT | RESULT, WAIT]);
    let (mut resting, mut runner) = (machine.vcpu(), machine.vcpu());
    run(&mut resting, page(2));
    let first = Arc::downgrade(&machine.translations.shared.current());
    runner.state_mut().r[4] = page(1);
    let (mut one, mut two) = (machine.vcpu(), machine.vcpu());

    beside(runner, page(1), || {
        let end = AtomicUsize::new(0);
        scope(|s| {
            s.spawn(|| fill(&mut one, 1, 3, &end));
            fill(&mut two, 2, 3, &end);
        });
        machine.put(FLAG, &[77]);
        machine.wait_for(ACK, 77);
        until("nobody keeps it", || first.strong_count() == 0);
    });

    run(&mut resting, page(2));
    assert_eq!(resting.state().r[0], 5);
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn who_rests_keeps_no_code_that_was_replaced_while_it_ran() {
    for accel in [Accel::Interp, Accel::Jit] {
        let Some(machine) = Machine::new(accel) else { continue };
        machine.put(page(1), &[SET | 5, WAIT]);
        let mut v = machine.vcpu();
        run(&mut v, page(1));
        let shared = machine.translations.shared.clone();
        let old = Arc::downgrade(&shared.current());
        v.wake();
        shared.renew(&shared.current()).expect("memory");
        assert_ne!(old.strong_count(), 0, "it runs with it");

        v.mmu.rest();

        assert_eq!(old.strong_count(), 0, "{accel:?}");
        run(&mut v, page(1));
        assert_eq!(v.state().r[0], 5);
    }
}

/// How many instructions the block has that a vCPU finds there.
fn insns(v: &mut Vcpu<Words>, at: u32) -> u32 {
    v.wake();
    v.state_mut().pc = at;
    let found = v.find().expect("a block");
    v.mmu.rest();
    found.extent.insns
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn a_breakpoint_is_in_the_code_of_its_vcpu_alone() {
    for accel in [Accel::Jit, Accel::Interp] {
        let Some(machine) = Machine::new(accel) else { continue };
        machine.put(page(1), &[SET | 1, SET | 2, SET | 3, WAIT]);
        let (mut debugged, mut other) = (machine.vcpu(), machine.vcpu());
        debugged.set_breakpoints([u64::from(page(1) + 8)]);
        debugged.state_mut().pc = page(1);

        assert_eq!(debugged.run(), Exit::Breakpoint, "{accel:?}");
        assert_eq!(debugged.mmu.shared.all().0.len(), 2, "{accel:?}");
        let cut = insns(&mut debugged, page(1));
        run(&mut other, page(1));

        assert_eq!((debugged.state().r[0], other.state().r[0]), (2, 3), "{accel:?}");
        assert_eq!((cut, insns(&mut other, page(1))), (2, 4), "{accel:?}");
        debugged.set_breakpoints([]);
        run(&mut debugged, page(1));
        assert_eq!(insns(&mut debugged, page(1)), 4, "{accel:?}: as the others");
        assert_eq!(debugged.mmu.shared.all().0.len(), 1, "{accel:?}");
    }
}

/// Hears of every instruction.
struct Counting(Arc<AtomicUsize>);

impl Tracer<Words> for Counting {
    fn wants(&self) -> Wants {
        Wants {
            insns: true,
            ..Wants::default()
        }
    }
    fn enter(&mut self, _: &State, block: &Entered) {
        assert_eq!(block.insns, 1);
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn code_is_cut_to_instructions_for_the_vcpu_that_is_traced_alone() {
    for accel in [Accel::Jit, Accel::Interp] {
        let Some(machine) = Machine::new(accel) else { continue };
        machine.put(page(1), &[SET | 1, SET | 2, GOTO | 12, SET | 3, WAIT]);
        let (mut traced, mut other) = (machine.vcpu(), machine.vcpu());
        let heard = Arc::new(AtomicUsize::new(0));
        traced.set_tracer(Some(Box::new(Counting(heard.clone()))));

        for round in 1..4 {
            run(&mut other, page(1));
            run(&mut traced, page(1));
            assert_eq!(heard.load(Relaxed), 5 * round, "{accel:?}");
        }

        assert_eq!(insns(&mut other, page(1)), 3, "{accel:?}");
        machine.put(page(1) + 12, &[SET | 9]);
        traced.kick().invalidate(page(1).into(), 0x1000);
        run(&mut traced, page(1));
        assert_eq!(traced.state().r[0], 9, "{accel:?}: its own code is forgotten as well");
        traced.set_tracer(None);
        run(&mut traced, page(1));
        assert_eq!((heard.load(Relaxed), traced.state().r[0]), (20, 9), "{accel:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn a_store_is_seen_by_code_that_is_another_vcpu_s_own() {
    for (accel, anew) in [(Accel::Jit, false), (Accel::Jit, true), (Accel::Interp, true)] {
        let Some(machine) = Machine::new(accel) else { continue };
        machine.put(STORES, &[STORE, WAIT]);
        machine.put(page(1), &[SET | 1, WAIT]);
        let (mut debugged, mut writer) = (machine.vcpu(), machine.vcpu());
        store(&mut writer, page(1) + 0x800, 1);
        debugged.set_breakpoints([u64::from(page(9))]);
        run(&mut debugged, page(1));
        assert_eq!(debugged.state().r[0], 1);
        if anew {
            writer.reset_addresses();
        }

        store(&mut writer, page(1), SET | 2);
        run(&mut debugged, page(1));

        assert_eq!(debugged.state().r[0], 2, "{accel:?}, its address known {anew}");
    }
}

#[test]
fn a_vcpu_without_memory_for_code_interprets() {
    let Some(machine) = Machine::new(Accel::Interp) else {
        return;
    };
    machine.put(page(1), &[SET | 1, GOTO | 8, SET | 3, WAIT]);
    let mut v = machine.vcpu();
    v.wake();
    v.mmu.take_up(v.mmu.shared.nothing());
    assert_eq!(v.mmu.book().kind(), Kind::Nothing);
    v.state_mut().pc = page(1);

    let found = v.stray().expect("an instruction");

    assert_eq!((found.extent.insns, found.extent.phys), (1, page(1).into()));
    v.mmu.rest();
    run(&mut v, page(1));
    assert_eq!(v.state().r[0], 3);
}
