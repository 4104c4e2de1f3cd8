//! A machine for tests: memory, and a platform and an engine that note what they are told.

use crate::a64::{self, A64};
use crate::model::MODELS;
use crate::platform::{Arm, Conduit, FirmwareResult, GicInterface, Icc, Platform, Timer, TimerOutput};
pub use emu_ir::testing::Memory as Ram;
use emu_ir::{Bus, Env, Flush, Stop, X87Insn, X87Unit};
use std::sync::{Arc, Mutex};

/// An engine that notes what it is asked for.
pub struct Engine {
    pub ram: Ram,
    pub flushes: Vec<(Flush, bool)>,
    pub contexts: u32,
    /// How often it was to complete broadcasts.
    pub completed: u32,
    pub stop: Option<Stop>,
}

impl Engine {
    pub fn new() -> Engine {
        Engine {
            ram: Ram::new(0x4000_0000, 0x1_0000),
            flushes: Vec::new(),
            contexts: 0,
            completed: 0,
            stop: None,
        }
    }
}

impl Env for Engine {
    fn bus(&mut self) -> &mut dyn Bus {
        &mut self.ram
    }
    fn flush(&mut self, what: Flush, broadcast: bool) {
        self.flushes.push((what, broadcast));
    }
    fn complete(&mut self) {
        self.completed += 1;
    }
    fn traps_changed(&mut self) {}
    fn context_changed(&mut self) {
        self.contexts += 1;
    }
    fn stop(&mut self, why: Stop) {
        self.stop = Some(why);
    }
    fn x87(&mut self, _: X87Insn, _: &mut X87Unit, _: &mut [u8; 10], status: u16) -> u16 {
        status
    }
}

/// What the platform is, and was told.
#[derive(Default)]
pub struct World {
    pub now_ns: u64,
    pub timers: Vec<(Timer, TimerOutput)>,
    pub calls: Vec<(Conduit, [u64; 4], bool)>,
    pub answer: Option<FirmwareResult>,
    pub pending: u32,
    pub uncounted: Vec<u32>,
    /// Where the board has a GICv3: what was written to its CPU interface. Reads are numbered by how many writes there were.
    pub gic: Option<Vec<(Icc, u64)>>,
    /// What random numbers there are, the last first.
    pub random: Vec<u64>,
}

struct Board(Arc<Mutex<World>>);

impl GicInterface for Board {
    fn read(&self, reg: Icc) -> u64 {
        let world = self.0.lock().unwrap();
        reg as u64 + 100 * world.gic.as_ref().unwrap().len() as u64
    }
    fn write(&self, reg: Icc, value: u64) {
        self.0.lock().unwrap().gic.as_mut().unwrap().push((reg, value));
    }
}

impl Platform for Board {
    fn now_ns(&self) -> u64 {
        self.0.lock().unwrap().now_ns
    }
    fn timer(&mut self, which: Timer, output: TimerOutput) {
        self.0.lock().unwrap().timers.push((which, output));
    }
    fn pending(&self) -> u32 {
        self.0.lock().unwrap().pending
    }
    fn firmware_call(&mut self, conduit: Conduit, args: [u64; 4], wide: bool) -> FirmwareResult {
        let mut world = self.0.lock().unwrap();
        world.calls.push((conduit, args, wide));
        world.answer.unwrap_or(FirmwareResult::Undefined)
    }
    fn gic(&self) -> Option<&dyn GicInterface> {
        self.0
            .lock()
            .unwrap()
            .gic
            .is_some()
            .then_some(self as &dyn GicInterface)
    }
    fn random(&mut self) -> Option<u64> {
        self.0.lock().unwrap().random.pop()
    }
    fn cpu_index(&self) -> u32 {
        1
    }
    fn uncounted(&mut self, event: u32) {
        self.0.lock().unwrap().uncounted.push(event);
    }
    fn cpu_count(&self) -> u32 {
        2
    }
}

/// A CPU in a world.
pub fn arm() -> (Arm, Arc<Mutex<World>>) {
    let (platform, world) = board();
    let arm = Arm {
        model: &MODELS[0],
        platform,
        semihosting: false,
    };
    (arm, world)
}

/// A 64-bit CPU of a model in a world.
pub fn a64(model: a64::Model) -> (A64, Arc<Mutex<World>>) {
    let (platform, world) = board();
    let semihosting = true;
    let a64 = A64 {
        model,
        platform,
        semihosting,
    };
    (a64, world)
}

fn board() -> (Box<dyn Platform>, Arc<Mutex<World>>) {
    let world = Arc::new(Mutex::new(World::default()));
    (Box::new(Board(world.clone())), world)
}
