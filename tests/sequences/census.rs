//! Counts what programs do, so that none becomes idle unseen.

use super::harness::{Core, Runner, SOON, Subject};
use super::pair::{Duo, PAIR_SOON, Paired};
use emu_jit::engine::Accel;
use emu_jit::engine::trace::{Cause, Entered, MmuEvent, Tracer, Wants};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

type Counts = Arc<Mutex<BTreeMap<&'static str, usize>>>;
/// What an instruction in a state is of, to be counted.
type Kinds<S> = fn(&<S as Subject>::State, &Entered) -> [Option<&'static str>; 3];

struct Counter<S: Subject> {
    counts: Counts,
    kinds: Kinds<S>,
    /// Whether an instruction is of those that come by turns.
    is_own: fn(&Entered) -> bool,
    /// The vCPU's number, and where that is of the one that has run such an instruction last.
    number: usize,
    last: Arc<AtomicUsize>,
}

impl<S: Subject> Counter<S> {
    fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }
}

impl<S: Subject> Tracer<S::Guest> for Counter<S> {
    fn wants(&self) -> Wants {
        Wants {
            insns: true,
            exceptions: true,
            mmu: true,
            ..Wants::default()
        }
    }
    fn enter(&mut self, state: &S::State, insn: &Entered) {
        if insn.phys % 0x1000 + insn.code.len() as u64 > 0x1000 {
            self.count("across");
        }
        if (self.is_own)(insn) && self.last.swap(self.number, Relaxed) != self.number {
            self.count("turn");
        }
        let kinds = (self.kinds)(state, insn).into_iter();
        kinds.flatten().for_each(|kind| self.count(kind));
    }
    fn exception(&mut self, _: &S::State, after: &S::State, cause: Cause) {
        if !matches!(cause, Cause::Fault(fault) if !S::is_exception(fault)) {
            self.count(S::exception(after));
        }
    }
    fn mmu(&mut self, event: &MmuEvent) {
        self.count(match event {
            MmuEvent::Fill { .. } => "fill",
            MmuEvent::Fault { .. } => "fault",
            MmuEvent::Flush(_) => "flush",
            MmuEvent::Context { .. } => "context",
        });
    }
}

/// How many programs.
const MANY: u64 = 150;

/// Fails where that many programs do not do each of these at least so many times.
pub fn expect<S: Subject>(least: &[(&str, usize)]) {
    let (maker, mut runner) = (S::new(), Runner::<S>::new(Accel::Interp).expect("an interpreter"));
    let counts = watch([&mut runner.core], S::kinds, |_| true);

    let ended = (1..=MANY)
        .filter(|seed| runner.ends(&maker.program(*seed), 10 * SOON))
        .count();

    check(ended, &counts, least);
}

/// The same for pairs.
pub fn expect_of_pairs<S: Paired>(least: &[(&str, usize)])
where
    S::Guest: Send,
{
    let (maker, mut duo) = (S::new(), Duo::<S>::new(Accel::Interp).expect("interpreters"));
    let counts = watch(&mut duo.cores, S::services, S::is_own);

    let ended = (1..=MANY)
        .filter(|seed| duo.ends(&maker.pair(*seed), 10 * PAIR_SOON))
        .count();

    check(ended, &counts, least);
}

/// Has what these do counted.
fn watch<'a, S: Subject>(
    cores: impl IntoIterator<Item = &'a mut Core<S>>,
    kinds: Kinds<S>,
    is_own: fn(&Entered) -> bool,
) -> Counts {
    let (counts, last) = (Counts::default(), Arc::<AtomicUsize>::default());
    for (number, core) in cores.into_iter().enumerate() {
        core.vcpu.set_tracer(Some(Box::new(Counter::<S> {
            counts: Arc::clone(&counts),
            kinds,
            is_own,
            number,
            last: Arc::clone(&last),
        })));
    }
    counts
}

fn check(ended: usize, counts: &Counts, least: &[(&str, usize)]) {
    let counts = counts.lock().unwrap();
    assert!(ended as u64 * 10 > MANY * 9, "{ended} of {MANY} end");
    for (what, least) in least {
        let count = counts.get(what).copied().unwrap_or(0);
        assert!(count >= *least, "{what}: {count} of {least}, {counts:?}");
    }
}
