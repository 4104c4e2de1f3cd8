//! Counts what programs do, so that none becomes idle unseen.

use crate::harness::{Runner, SOON, Subject};
use emu_jit::engine::Accel;
use emu_jit::engine::trace::{Cause, Entered, MmuEvent, Tracer, Wants};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

struct Counter<S> {
    counts: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    of: PhantomData<fn(S)>,
}

impl<S> Counter<S> {
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
        S::kinds(state, insn)
            .into_iter()
            .flatten()
            .for_each(|kind| self.count(kind));
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
    let counts = Arc::default();
    let counter = Counter::<S> {
        counts: Arc::clone(&counts),
        of: PhantomData,
    };
    runner.vcpu.set_tracer(Some(Box::new(counter)));

    let ended = (1..=MANY)
        .filter(|seed| runner.ends(&maker.program(*seed), 10 * SOON))
        .count();

    let counts = counts.lock().unwrap();
    assert!(ended as u64 * 10 > MANY * 9, "{ended} of {MANY} end");
    for (what, least) in least {
        let count = counts.get(what).copied().unwrap_or(0);
        assert!(count >= *least, "{what}: {count} of {least}, {counts:?}");
    }
}
