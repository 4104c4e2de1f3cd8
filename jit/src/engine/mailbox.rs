//! What other threads ask of a vCPU, and how they know that it has been done.
//!
//! A request is put in the vCPU's mailbox and its attention raised. The vCPU follows it where it looks for requests: between
//! blocks, and when it has waited for others itself; what it knows of addresses does not change anywhere else. Of a vCPU that
//! rests nothing runs, nor of one that waits for others: a request to it is as good as done, for it follows those that came
//! before it runs again.

use crate::x64::frame::{Attention, Frame};
use emu_ir::Flush;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What another vCPU may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Have every store to a physical page looked at: code is to be read from it.
    Protect(u64),
    /// Forget translations of addresses.
    Flush(Flush),
}

/// Requests kept apart; beyond that, they become one that stands for all.
const MOST: usize = 64;

/// Where a vCPU's attention is, whatever its state is.
trait Attended: Send + Sync {
    fn attention(&self) -> &Attention;
}

impl<S: Send> Attended for Frame<S> {
    fn attention(&self) -> &Attention {
        Frame::attention(self)
    }
}

/// What a vCPU has come to rest with.
struct Post<K> {
    asks: Vec<Ask>,
    /// How many there have ever been.
    count: u64,
    rests: bool,
    /// What it goes on with, if that is still good then.
    kept: Option<Arc<K>>,
}

/// One vCPU as others reach it. What it goes on with after a rest, and which may not be good any more then, is a `K`.
pub struct Mailbox<K> {
    frame: Arc<dyn Attended>,
    post: Mutex<Post<K>>,
    /// [`Post::count`], for who does not have the lock.
    count: AtomicU64,
    /// How many are done.
    done: AtomicU64,
}

/// A request that was made, and of whom.
pub struct Asked<K> {
    whom: Arc<Mailbox<K>>,
    number: u64,
}

impl<K> Asked<K> {
    /// Of this vCPU.
    pub fn of(whom: &Arc<Mailbox<K>>, ask: Ask) -> Asked<K> {
        Asked {
            whom: whom.clone(),
            number: whom.ask(ask),
        }
    }
    /// Whether it has been followed, or will be before the vCPU runs again.
    pub fn is_done(&self) -> bool {
        self.whom.done.load(Acquire) >= self.number
    }
}

impl<K> Mailbox<K> {
    /// Of the vCPU with this frame, which rests.
    pub fn new<S: Send + 'static>(frame: &Arc<Frame<S>>) -> Mailbox<K> {
        Mailbox {
            frame: frame.clone(),
            post: Mutex::new(Post {
                asks: Vec::new(),
                count: 0,
                rests: true,
                kept: None,
            }),
            count: AtomicU64::new(0),
            done: AtomicU64::new(0),
        }
    }
    /// What makes it look.
    pub fn attention(&self) -> &Attention {
        self.frame.attention()
    }
    fn post(&self) -> MutexGuard<'_, Post<K>> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Put in a request: its number.
    fn ask(&self, ask: Ask) -> u64 {
        let mut post = self.post();
        if post.asks.len() < MOST {
            post.asks.push(ask);
        } else {
            // Who knows nothing of addresses stores nothing without asking, either.
            post.asks.clear();
            post.asks.push(Ask::Flush(Flush::ALL));
        }
        post.count += 1;
        let (number, rests) = (post.count, post.rests);
        self.count.store(number, Release);
        if rests {
            self.done.store(number, Release);
        }
        drop(post);
        if !rests {
            self.attention().look();
        }
        number
    }

    /// Whether there may be requests that are not done.
    pub fn has_asks(&self) -> bool {
        self.count.load(Acquire) != self.done.load(Relaxed)
    }
    /// For the vCPU: the requests, and how many there have been; [`Mailbox::finish`] says that they are done.
    pub fn take(&self) -> (Vec<Ask>, u64) {
        let mut post = self.post();
        (std::mem::take(&mut post.asks), post.count)
    }
    /// For the vCPU: so many are done.
    pub fn finish(&self, count: u64) {
        self.done.store(count, Release);
    }
    /// For the vCPU: it rests, and leaves what it goes on with here. `kept` is asked for that where nobody can say
    /// [`Mailbox::discard`] in between.
    pub fn rest(&self, kept: impl FnOnce() -> Option<Arc<K>>) {
        let mut post = self.post();
        (post.rests, post.kept) = (true, kept());
        self.done.store(post.count, Release);
    }
    /// For the vCPU: it goes on, with what it left if that is still good, and is to follow requests first.
    pub fn wake(&self) -> (Option<Arc<K>>, Vec<Ask>) {
        let mut post = self.post();
        post.rests = false;
        (post.kept.take(), std::mem::take(&mut post.asks))
    }
    /// What is left here by a vCPU that rests is not good any more if it is this.
    pub fn discard(&self, kept: &Arc<K>) {
        let gone = {
            let mut post = self.post();
            let is_it = post.kept.as_ref().is_some_and(|left| Arc::ptr_eq(left, kept));
            if is_it { post.kept.take() } else { None }
        };
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x64::frame::Own;
    use emu_ir::Which;

    fn mailbox() -> Arc<Mailbox<u8>> {
        Arc::new(Mailbox::new(Own::new(0u32).frame()))
    }
    fn running() -> Arc<Mailbox<u8>> {
        let mailbox = mailbox();
        mailbox.wake();
        mailbox
    }

    #[test]
    fn a_request_is_done_when_the_vcpu_says_so() {
        let cpu = running();

        let (first, second) = (
            Asked::of(&cpu, Ask::Protect(0x1000)),
            Asked::of(&cpu, Ask::Protect(0x2000)),
        );

        assert!(cpu.has_asks() && cpu.attention().both() != 0);
        let (asks, count) = cpu.take();
        let third = Asked::of(&cpu, Ask::Protect(0x3000));
        assert_eq!(asks, [Ask::Protect(0x1000), Ask::Protect(0x2000)]);
        assert!(!first.is_done() && !second.is_done());
        cpu.finish(count);
        assert!(first.is_done() && second.is_done() && !third.is_done());
        assert!(cpu.has_asks());
        assert_eq!(cpu.take(), (vec![Ask::Protect(0x3000)], 3), "each once");
    }

    #[test]
    fn a_request_to_one_who_rests_is_done_at_once_and_followed_later() {
        let cpu = running();
        let before = Asked::of(&cpu, Ask::Protect(0x1000));

        cpu.rest(|| None);
        assert!(before.is_done());
        let during = Asked::of(&cpu, Ask::Protect(0x2000));

        assert!(during.is_done());
        let (_, asks) = cpu.wake();
        assert_eq!(asks, [Ask::Protect(0x1000), Ask::Protect(0x2000)]);
        assert!(!Asked::of(&cpu, Ask::Protect(0x3000)).is_done(), "it runs again");
    }

    #[test]
    fn any_number_of_requests_takes_little_memory_and_none_is_lost() {
        for cpu in [mailbox(), running()] {
            for n in 0..10_000 {
                Asked::of(&cpu, Ask::Protect(n << 12));
                let (asks, _) = {
                    let post = cpu.post();
                    (post.asks.len(), post.asks.capacity())
                };
                assert!(asks <= MOST);
            }
            let asks = cpu.take().0;
            let all = asks
                .iter()
                .any(|ask| matches!(ask, Ask::Flush(what) if what.which == Which::All));
            assert!(all, "{asks:?}");
        }
    }

    #[test]
    fn what_one_rests_with_is_there_unless_it_is_not_good_any_more() {
        let (cpu, ours, other) = (running(), Arc::new(1), Arc::new(1));

        cpu.rest(|| Some(ours.clone()));
        cpu.discard(&other);
        let first = cpu.wake().0;
        cpu.rest(|| Some(ours.clone()));
        cpu.discard(&ours);
        let second = cpu.wake().0;

        assert!(first.is_some_and(|kept| Arc::ptr_eq(&kept, &ours)));
        assert!(second.is_none());
        assert_eq!(Arc::strong_count(&ours), 1);
    }
}
