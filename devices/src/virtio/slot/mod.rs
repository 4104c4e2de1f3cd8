//! A virtio device apart from its transport: status, features, queues and requests (VIRTIO 1.2, chapter 2).
//!
//! A request is a chain that the device has taken from a queue and not given back. Several are worked on at once where
//! the device says so, and are given back in the order in which they are done. All of it happens in
//! [`work`](Slot::work), on a worker's thread; what waits for the host happens with the device unlocked.

#[cfg(test)]
mod tests;

use super::queue::{Chain, Queue, QueueError, Ring};
use super::{Request, Step, Unlocked, VirtioDevice, feature, status};
use crate::bus::misuse::{self, Misuse};
use crate::bus::{Bell, GuestMemory};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::sync::Arc;

/// Why the device interrupts (4.2.2, 4.1.4.5): buffers have been used; the configuration has changed.
pub mod cause {
    /// Buffers have been used.
    pub const USED_BUFFERS: u32 = 1;
    /// The configuration has changed, or the device needs a reset.
    pub const CONFIG_CHANGED: u32 = 2;
}

/// Version of [`State`].
pub const VERSION: u32 = 2;
/// Steps of requests before others get at the device.
const PIECES: usize = 16;

/// A chain that the device has.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
struct InFlight<A> {
    queue: usize,
    /// The chain's first descriptor: from it the chain is read again after a load.
    head: u16,
    /// How far the device has got with it, as it counts.
    done: u64,
    #[serde(skip)]
    live: Option<Live<A>>,
}

/// What is not saved of a request: it starts over from `done`.
#[derive(Debug)]
struct Live<A> {
    chain: Chain,
    stage: Stage<A>,
}

#[derive(Debug)]
enum Stage<A> {
    /// The device can go on.
    Ready,
    /// For the host side to become ready.
    Waiting,
    /// With what runs unlocked under this number.
    Away(u64),
    /// That has come to this.
    Answered(A),
}

impl<A> InFlight<A> {
    fn can_go_on(&self) -> bool {
        let stage = self.live.as_ref().map(|live| &live.stage);
        matches!(stage, None | Some(Stage::Ready | Stage::Answered(_)))
    }
}

/// Everything a snapshot holds: the transport's registers, the queues, the requests, and the device's own state (`S`).
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "S: Serialize", deserialize = "S: DeserializeOwned"))]
pub struct State<S, A> {
    pub(super) status: u32,
    pub(super) device_features_sel: u32,
    pub(super) driver_features_sel: u32,
    pub(super) driver_features: u64,
    pub(super) queue_sel: u32,
    /// Bits of [`cause`].
    pub(super) interrupt_status: u32,
    pub(super) config_generation: u32,
    pub(super) queues: Vec<Queue>,
    in_flight: Vec<InFlight<A>>,
    pub(super) device: S,
}

impl<S: Default, A> Default for State<S, A> {
    fn default() -> Self {
        State {
            status: 0,
            device_features_sel: 0,
            driver_features_sel: 0,
            driver_features: 0,
            queue_sel: 0,
            interrupt_status: 0,
            config_generation: 0,
            queues: Vec::new(),
            in_flight: Vec::new(),
            device: S::default(),
        }
    }
}

/// Version 1 knew no requests in flight: it stopped between them.
pub fn before_requests(mut state: Value) -> Result<Value, String> {
    let object = state.as_object_mut().ok_or("not an object")?;
    object.insert("in_flight".into(), Vec::<Value>::new().into());
    object.insert("config_generation".into(), 0.into());
    let queues = object
        .get_mut("queues")
        .and_then(Value::as_array_mut)
        .ok_or("no queues")?;
    for queue in queues {
        let queue = queue.as_object_mut().ok_or("a queue that is none")?;
        queue.insert("asked".into(), Value::Null);
    }
    Ok(state)
}

/// What there is to do after [`Slot::work`].
pub enum Work<A> {
    /// Nothing.
    Idle,
    /// More of the same.
    More,
    /// This, unlocked; its answer goes to [`Slot::answer`] with the number.
    Unlocked(u64, Unlocked<A>),
}

/// A device with its queues and requests.
pub struct Slot<D: VirtioDevice> {
    pub(super) state: State<D::State, D::Answer>,
    pub(super) device: D,
    pub(super) bell: Bell,
    memory: Arc<dyn GuestMemory>,
    /// Most entries of each queue.
    sizes: Vec<u16>,
    /// Number of the last thing done unlocked: never the same again.
    next_id: u64,
    /// The queue that is looked at first: each gets its turn.
    first: usize,
}

impl<D: VirtioDevice> Slot<D> {
    /// `device`, whose queues lie in `memory`.
    pub fn new(memory: Arc<dyn GuestMemory>, device: D) -> Slot<D> {
        let mut slot = Slot {
            state: State::default(),
            sizes: device.queues(),
            device,
            bell: Bell::default(),
            memory,
            next_id: 0,
            first: 0,
        };
        slot.state = slot.initial();
        slot
    }

    /// The state after a reset.
    pub(super) fn initial(&self) -> State<D::State, D::Answer> {
        State {
            queues: self.sizes.iter().map(|&size| Queue::new(size)).collect(),
            ..State::default()
        }
    }

    /// Whether a state from a file is possible.
    pub(super) fn check(&self, state: &State<D::State, D::Answer>) -> Result<(), String> {
        if state.queues.len() != self.sizes.len() {
            return Err(format!("{} queues instead of {}", state.queues.len(), self.sizes.len()));
        }
        if let Some(stray) = state.in_flight.iter().find(|request| request.queue >= self.sizes.len()) {
            return Err(format!("request in queue {}", stray.queue));
        }
        // A queue that the driver broke is not served again before a reset.
        let broken = state.status & status::DEVICE_NEEDS_RESET != 0;
        for (index, (queue, &max)) in state.queues.iter().zip(&self.sizes).enumerate() {
            if queue.size > max || queue.ready && !queue.clone().start(&*self.memory) {
                return Err(format!("place or size of queue {index}"));
            }
            let requests = state.in_flight.iter().filter(|request| request.queue == index).count();
            if broken {
                continue;
            }
            if queue.ready && (requests != usize::from(queue.outstanding()) || queue.outstanding() > queue.size)
                || !queue.ready && requests != 0
            {
                return Err(format!("{requests} requests in flight in queue {index}"));
            }
        }
        Ok(())
    }

    /// All features of the device.
    pub(super) fn features(&self) -> u64 {
        self.device.features() | feature::ALL
    }

    /// Most entries of the selected queue; 0 where it is not there.
    pub(super) fn queue_size_max(&self) -> u16 {
        self.sizes.get(self.state.queue_sel as usize).copied().unwrap_or(0)
    }

    /// The selected queue.
    pub(super) fn queue(&mut self) -> Option<&mut Queue> {
        self.state.queues.get_mut(self.state.queue_sel as usize)
    }

    /// Changes the selected queue, which must not be ready (4.2.3.2).
    pub(super) fn set_up_queue(&mut self, change: impl FnOnce(&mut Queue)) {
        let what = match self.queue() {
            Some(queue) if !queue.ready => return change(queue),
            Some(_) => "queue changed while ready (ignored)",
            None => "queue that is not there (ignored)",
        };
        misuse::report(D::MODEL, Misuse::BadValue(what), self.state.queue_sel.into(), 0);
    }

    /// Makes the selected queue ready, or stops it: its requests are given up.
    pub(super) fn set_ready(&mut self, ready: bool) {
        let (memory, index) = (self.memory.clone(), self.state.queue_sel as usize);
        let Some(queue) = self.queue() else { return };
        if !ready {
            queue.ready = false;
            self.state.in_flight.retain(|request| request.queue != index);
        } else if !queue.ready && !queue.start(&*memory) {
            let what = Misuse::BadValue("queue in an impossible place (not ready)");
            misuse::report(D::MODEL, what, index as u64, 1);
        }
        // What the driver has notified of before is looked at now.
        self.bell.ring();
    }

    /// Writes the status (2.1). 0 resets: what is still away for a request finds that nobody waits for it.
    pub(super) fn set_status(&mut self, value: u32) {
        if value == 0 {
            self.state = self.initial();
            return;
        }
        let offered = self.features();
        let s = &mut self.state;
        // A driver only ever adds bits (2.1.1).
        let mut added = value & 0xff & !s.status;
        if added & status::FEATURES_OK != 0 {
            let accepted = s.driver_features & !offered == 0 && s.driver_features & feature::VERSION_1 != 0;
            added &= if accepted { !0 } else { !status::FEATURES_OK };
        }
        s.status |= added & !status::DEVICE_NEEDS_RESET;
        // What the driver has notified of before is looked at now.
        self.bell.ring();
    }

    /// Writes the selected word of the driver's features.
    pub(super) fn set_driver_features(&mut self, value: u32) {
        let s = &mut self.state;
        if s.status & status::FEATURES_OK != 0 || s.driver_features_sel > 1 {
            let what = Misuse::BadValue("features of no word, or after FEATURES_OK (ignored)");
            return misuse::report(D::MODEL, what, s.driver_features_sel.into(), value.into());
        }
        let shift = 32 * s.driver_features_sel;
        s.driver_features = s.driver_features & !(0xffff_ffff << shift) | u64::from(value) << shift;
    }

    /// A configuration word.
    pub(super) fn config(&self, offset: u64) -> u32 {
        self.device.config(&self.state.device, offset)
    }

    /// Writes the bits in `mask` of a configuration word.
    pub(super) fn set_config(&mut self, offset: u64, mask: u32, value: u32) {
        self.device.set_config(&mut self.state.device, offset, mask, value);
    }

    /// Changes the configuration from the host's side, of which the driver is told (2.5.1).
    pub fn change_config(&mut self, change: impl FnOnce(&mut D, &mut D::State)) {
        change(&mut self.device, &mut self.state.device);
        let s = &mut self.state;
        s.config_generation = s.config_generation.wrapping_add(1);
        if s.status & status::DRIVER_OK != 0 {
            s.interrupt_status |= cause::CONFIG_CHANGED;
        }
    }

    /// The host side may be ready for what waits for it.
    pub fn host_ready(&mut self) {
        for live in self
            .state
            .in_flight
            .iter_mut()
            .filter_map(|request| request.live.as_mut())
        {
            if matches!(live.stage, Stage::Waiting) {
                live.stage = Stage::Ready;
                self.bell.ring();
            }
        }
    }

    /// What request number `id` waited for. The next [`work`](Slot::work) goes on with it; one that is not there any more
    /// needs no answer.
    pub fn answer(&mut self, id: u64, answer: D::Answer) {
        let mut live = self
            .state
            .in_flight
            .iter_mut()
            .filter_map(|request| request.live.as_mut());
        if let Some(live) = live.find(|live| matches!(live.stage, Stage::Away(away) if away == id)) {
            live.stage = Stage::Answered(answer);
        }
    }

    /// Does a bounded part of what can be done at present.
    pub fn work(&mut self) -> Work<D::Answer> {
        let (count, first) = (self.state.queues.len(), self.first);
        let mut all = Work::Idle;
        for index in (0..count).map(|n| (first + n) % count) {
            match self.round(index) {
                Ok(Work::Idle) => {}
                Ok(Work::More) => all = Work::More,
                Ok(unlocked) => {
                    self.first = index + 1;
                    return unlocked;
                }
                Err(error) => self.need_reset(index, error),
            }
        }
        all
    }

    /// A round of work on one queue.
    fn round(&mut self, index: usize) -> Result<Work<D::Answer>, QueueError> {
        let State {
            status,
            driver_features,
            queues,
            in_flight,
            interrupt_status,
            device: state,
            ..
        } = &mut self.state;
        let running = *status & (status::DRIVER_OK | status::DEVICE_NEEDS_RESET) == status::DRIVER_OK;
        let Some(queue) = queues.get_mut(index).filter(|queue| running && queue.ready) else {
            return Ok(Work::Idle);
        };
        let event_idx = *driver_features & feature::EVENT_IDX != 0;
        let mut ring = Ring::new(queue, &*self.memory, event_idx);
        let at_once = self.device.requests_at_once(index);
        let (mut left, mut work) = (PIECES, Work::Idle);
        while matches!(work, Work::Idle) {
            if left == 0 {
                work = Work::More;
                break;
            }
            let Some((at, mut request)) = take(in_flight, &mut ring, index, at_once)? else {
                break;
            };
            left -= 1;
            let mut live = match request.live.take() {
                Some(live) => live,
                None => Live::new(ring.chain(request.head)?),
            };
            let step = live.go_on(&mut self.device, state, (index, &mut request.done), &*self.memory)?;
            match step {
                Step::Done(written) => {
                    ring.push(&live.chain, written)?;
                    continue;
                }
                Step::More => {}
                Step::Wait => live.stage = Stage::Waiting,
                Step::Unlocked(job) => {
                    self.next_id += 1;
                    live.stage = Stage::Away(self.next_id);
                    work = Work::Unlocked(self.next_id, job);
                }
            }
            request.live = Some(live);
            in_flight.insert(at, request);
        }
        let room = ring.outstanding() < at_once;
        let settled = ring.settle()?;
        if settled.interrupt {
            *interrupt_status |= cause::USED_BUFFERS;
        }
        Ok(match work {
            Work::Idle if settled.more && room => Work::More,
            work => work,
        })
    }

    /// The driver broke the rules (2.1.2).
    fn need_reset(&mut self, index: usize, error: QueueError) {
        let what = Misuse::BadValue("broken queue (device needs reset)");
        misuse::report(D::MODEL, what, index as u64, 0);
        tracing::debug!("{}: queue {index}: {error}", D::MODEL);
        self.state.status |= status::DEVICE_NEEDS_RESET;
        self.state.interrupt_status |= cause::CONFIG_CHANGED;
    }
}

/// The next request of queue `index` that the device can go on with, and its place: one that it has, or the next of the
/// driver's if it takes another one.
fn take<A>(
    in_flight: &mut Vec<InFlight<A>>,
    ring: &mut Ring<'_>,
    index: usize,
    at_once: u16,
) -> Result<Option<(usize, InFlight<A>)>, QueueError> {
    let mine = |request: &InFlight<A>| request.queue == index && request.can_go_on();
    if let Some(at) = in_flight.iter().position(mine) {
        return Ok(Some((at, in_flight.remove(at))));
    }
    if ring.outstanding() >= at_once {
        return Ok(None);
    }
    let new = ring.pop()?.map(|chain| InFlight {
        queue: index,
        head: chain.head(),
        done: 0,
        live: Some(Live::new(chain)),
    });
    Ok(new.map(|request| (in_flight.len(), request)))
}

impl<A> Live<A> {
    fn new(chain: Chain) -> Live<A> {
        Live {
            chain,
            stage: Stage::Ready,
        }
    }

    /// Has the device go on with this request of a queue, from how far it has got.
    fn go_on<D: VirtioDevice<Answer = A>>(
        &mut self,
        device: &mut D,
        state: &mut D::State,
        (queue, done): (usize, &mut u64),
        memory: &dyn GuestMemory,
    ) -> Result<Step<A>, QueueError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Ready);
        let request = Request {
            queue,
            chain: &self.chain,
            done,
            memory,
        };
        match stage {
            Stage::Answered(answer) => device.finish(state, request, answer),
            _ => device.serve(state, request),
        }
    }
}
