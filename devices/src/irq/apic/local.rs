//! A local APIC: its state, its registers, and what it drives. SDM volume 3, chapter "Advanced Programmable Interrupt
//! Controller (APIC)".

use super::message::{Delivery, Message, To};
use super::name::{Facts, Name};
use super::registers::{Reg, VERSION, base, esr, icr, svr};
use super::source::{self, Source};
use super::timer::{Mode, Timer};
use super::vectors::Vectors;
use super::{GeneralProtection, Model};
use crate::bus::{self, At, Bank, Clock, CpuInputs, CpuLine, Registers};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The first vector that an interrupt may have.
const FIRST_VECTOR: u8 = 16;
/// The bits of the logical destination and identification registers that are there in xAPIC mode.
const XAPIC_ID: u32 = 0xff00_0000;
/// Those of the destination format register that are not.
const DFR_ONES: u32 = 0x0fff_ffff;

/// Everything a snapshot holds of a local APIC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// IA32_APIC_BASE.
    pub base: u64,
    /// Identification in xAPIC mode, where software may change it.
    id: u8,
    tpr: u8,
    /// Logical destination in xAPIC mode, the upper byte.
    ldr: u8,
    dfr: u32,
    pub svr: u32,
    pub isr: Vectors,
    pub tmr: Vectors,
    pub irr: Vectors,
    /// The error status register as software reads it.
    esr: u32,
    /// Errors since it was written.
    pub errors: u32,
    /// The next error interrupts.
    pub error_armed: bool,
    icr: u32,
    icr_high: u32,
    /// By [`Source`].
    pub lvt: Bank<u32, 7>,
    /// The vector of the level-triggered interrupt of LINT0 that is in service.
    pub lint0_sent: u8,
    /// An 8259A's interrupt that a message has announced.
    pub ext_int: bool,
    pub timer: Timer,
    /// What the CPU's TSC is ahead of the machine's, modulo 2^64.
    pub tsc_ahead: u64,
}

impl State {
    /// As after power-up, of CPU number `cpu` with this x2APIC id.
    pub fn of(cpu: usize, id: u32) -> State {
        State {
            base: base::PAGE | base::EN | if cpu == 0 { base::BSP } else { 0 },
            id: id as u8,
            tpr: 0,
            ldr: 0,
            dfr: u32::MAX,
            svr: 0xff,
            isr: Vectors::default(),
            tmr: Vectors::default(),
            irr: Vectors::default(),
            esr: 0,
            errors: 0,
            error_armed: true,
            icr: 0,
            icr_high: 0,
            lvt: Bank([source::MASK; 7]),
            lint0_sent: 0,
            ext_int: false,
            timer: Timer::default(),
            tsc_ahead: 0,
        }
    }

    /// As after INIT: the APIC's place, mode and identification stay, and so does the CPU's TSC.
    fn after_init(&self, cpu: usize, id: u32) -> State {
        State {
            base: self.base,
            id: self.id,
            tsc_ahead: self.tsc_ahead,
            ..State::of(cpu, id)
        }
    }
}

impl Model {
    /// Whether IA32_APIC_BASE can have this value.
    pub(super) fn has_base(&self, value: u64) -> bool {
        let there = base::BSP | base::EN | if self.x2apic { base::EXTD } else { 0 };
        let page = !0xfff & !(u64::MAX << self.physical_bits.clamp(32, 52));
        value & !(there | page) == 0 && (value & base::EN != 0 || value & base::EXTD == 0)
    }
}

/// For [`Registers`] only: a local APIC is always made with its own.
impl Default for State {
    fn default() -> State {
        State::of(0, 0)
    }
}

/// Which CPU's it is, and what is around it.
pub(super) struct Around {
    /// The CPU's number.
    pub cpu: usize,
    /// Its x2APIC id.
    pub id: u32,
    pub model: Model,
    pub clock: Clock,
    /// Has the bus look at it.
    pub alarm: bus::Timer,
    pub outputs: Arc<dyn CpuInputs>,
    /// What others see of it without locking it.
    pub name: Arc<Name>,
}

/// What the bus does after a local APIC is unlocked.
#[derive(Debug, Default, PartialEq)]
pub(super) struct After {
    /// Sends it.
    pub message: Option<Message>,
    /// Tells the IOAPICs of the end of the interrupt with this vector.
    pub ended: Option<u8>,
    /// Has them send again what nobody took.
    pub renamed: bool,
}

/// A local APIC: state plus wiring.
pub(super) struct Local {
    pub state: State,
    pub around: Around,
    /// Guest time at the last look, in nanoseconds: an access is of one moment.
    now: u64,
    /// Levels of LINT0 and LINT1.
    pub wires: Bank<bool, 2>,
    /// The CPU's interrupt input, as it was last driven.
    driven: bool,
    pub after: After,
}

/// What an interrupt acknowledge cycle comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acknowledged {
    Vector(u8),
    /// The 8259A has it.
    External,
}

impl Local {
    pub fn new(around: Around) -> Local {
        Local {
            state: State::of(around.cpu, around.id),
            around,
            now: 0,
            wires: Bank::default(),
            driven: false,
            after: After::default(),
        }
    }

    /// The state is another one. IOAPICs that were loaded before hear of it, whatever has changed.
    pub fn replace(&mut self, state: State) {
        self.state = state;
        self.after.renamed = true;
    }

    /// Whether there is one: IA32_APIC_BASE may say that there is not.
    pub fn is_there(&self) -> bool {
        self.state.base & base::EN != 0
    }

    pub fn is_x2apic(&self) -> bool {
        self.state.base & base::EXTD != 0
    }

    /// Whether it takes interrupts: software has enabled it.
    pub fn is_enabled(&self) -> bool {
        self.is_there() && self.state.svr & svr::ENABLE != 0
    }

    /// Where its page of registers is now.
    pub fn page(&self) -> Option<u64> {
        let reached = self.is_there() && !self.is_x2apic();
        reached.then_some(self.state.base & !0xfff)
    }

    /// Now, in ticks of the timer's input and of the CPU's TSC.
    fn ticks(&self) -> (u64, u64) {
        let Model { tsc, timer, .. } = &self.around.model;
        let tsc = tsc.ticks(self.now).wrapping_add(self.state.tsc_ahead);
        (timer.ticks(self.now), tsc)
    }

    fn timer_mode(&self) -> Mode {
        Mode::of(self.state.lvt[Source::Timer as usize])
    }

    /// Takes in what the time has brought: before anything else is done.
    pub fn keep_time(&mut self) {
        self.now = self.around.clock.now_ns();
        self.expire();
    }

    fn expire(&mut self) {
        let (tick, tsc) = self.ticks();
        let mode = self.timer_mode();
        if self.state.timer.expired(mode, tick, tsc) {
            self.fire(Source::Timer);
        }
    }

    /// Processor priority: the task's, or that of what is in service.
    pub fn ppr(&self) -> u8 {
        let in_service = self.state.isr.highest().unwrap_or(0) & 0xf0;
        let task = self.state.tpr;
        if task & 0xf0 >= in_service { task } else { in_service }
    }

    /// The vector that the CPU is to be interrupted with.
    fn deliverable(&self) -> Option<u8> {
        let ppr = self.ppr() & 0xf0;
        self.state.irr.highest().filter(|vector| vector & 0xf0 > ppr)
    }

    /// Whether an 8259A asks for the CPU.
    fn external(&self) -> bool {
        match self.is_there() {
            true => self.state.ext_int || self.lint0_is_external() && self.lint_is_active(0),
            // Then LINT0 is the CPU's INTR pin.
            false => self.wires[0],
        }
    }

    /// An interrupt with this vector; whether it is taken.
    pub fn accept(&mut self, vector: u8, level: bool) -> bool {
        if !self.is_enabled() {
            return false;
        }
        if vector < FIRST_VECTOR {
            self.error(esr::RECEIVE_ILLEGAL_VECTOR);
            return false;
        }
        self.state.irr.put(vector, true);
        self.state.tmr.put(vector, level);
        true
    }

    /// A message that names this APIC; whether it is taken.
    pub fn receive(&mut self, delivery: Delivery, vector: u8, level: bool) -> bool {
        if !self.is_there() {
            return false;
        }
        match delivery {
            Delivery::Fixed | Delivery::Lowest => return self.accept(vector, level),
            Delivery::ExtInt if !self.is_enabled() => return false,
            Delivery::ExtInt => self.state.ext_int = true,
            Delivery::Smi => self.pulse(CpuLine::Smi),
            Delivery::Nmi => self.pulse(CpuLine::Nmi),
            Delivery::Init => self.pulse(CpuLine::Init),
            Delivery::StartUp => self.around.outputs.start_up(self.around.cpu, vector),
        }
        true
    }

    /// An edge of one of the CPU's inputs that take edges.
    pub fn pulse(&self, line: CpuLine) {
        for level in [true, false] {
            self.around.outputs.set(self.around.cpu, line, level);
        }
    }

    /// An interrupt acknowledge cycle. Where nothing asks for it any more it is answered with the spurious vector.
    pub fn acknowledge(&mut self) -> Acknowledged {
        if self.external() || !self.is_there() {
            self.state.ext_int = false;
            return Acknowledged::External;
        }
        let Some(vector) = self.deliverable() else {
            return Acknowledged::Vector(self.state.svr as u8);
        };
        self.state.irr.put(vector, false);
        self.state.isr.put(vector, true);
        Acknowledged::Vector(vector)
    }

    /// The interrupt in service ends.
    fn end_of_interrupt(&mut self) {
        let Some(vector) = self.state.isr.highest() else {
            return;
        };
        self.state.isr.put(vector, false);
        if self.state.tmr.has(vector) {
            self.lint0_ended(vector);
            let told = self.state.svr & svr::SUPPRESS_EOI_BROADCAST == 0;
            self.after.ended = told.then_some(vector);
        }
    }

    /// Notes an error; the first since software looked interrupts.
    pub fn error(&mut self, bit: u32) {
        self.state.errors |= bit;
        if self.state.error_armed && !self.is_masked(Source::Error) {
            self.state.error_armed = false;
            self.fire(Source::Error);
        }
    }

    pub fn cr8(&self) -> u64 {
        (self.state.tpr >> 4).into()
    }

    pub fn set_cr8(&mut self, value: u64) {
        self.state.tpr = (value as u8) << 4;
    }

    fn set_svr(&mut self, value: u32) {
        self.state.svr = value & svr::KEPT;
        if value & svr::ENABLE == 0 {
            self.mask_all();
        }
    }

    fn command(&mut self, command: u32) {
        self.state.icr = command & icr::KEPT;
        let (high, logical) = (self.state.icr_high, command >> 11 & 1 != 0);
        let to = match self.is_x2apic() {
            true => To::wide(high, logical),
            false => To::field((high >> 24) as u8, logical),
        };
        self.send(Message::commanded(self.around.cpu, command, to));
    }

    /// Hands a message to the bus.
    fn send(&mut self, message: Option<Message>) {
        if let Some(message) = message
            && message.delivery.has_vector()
            && message.vector < FIRST_VECTOR
        {
            self.error(esr::SEND_ILLEGAL_VECTOR);
        }
        self.after.message = message;
    }

    fn set_timer_lvt(&mut self, value: u32) {
        let before = self.timer_mode();
        self.set_lvt(Source::Timer, value);
        if self.timer_mode() != before {
            self.state.timer.disarm();
        }
    }

    /// Writes the initial count, which has no effect where nothing counts.
    fn set_initial(&mut self, count: u32) {
        if matches!(self.timer_mode(), Mode::OneShot | Mode::Periodic) {
            let tick = self.ticks().0;
            self.state.timer.start(count, tick);
        }
    }

    /// IA32_TSC_DEADLINE: zero in the other modes.
    pub fn tsc_deadline(&self) -> u64 {
        self.state.timer.deadline
    }

    pub fn set_tsc_deadline(&mut self, deadline: u64) {
        if self.timer_mode() == Mode::Deadline {
            self.state.timer.deadline = deadline;
            self.expire();
        }
    }

    pub fn set_tsc_ahead(&mut self, ahead: u64) {
        self.state.tsc_ahead = ahead;
        self.expire();
    }

    /// INIT has reached the CPU.
    pub fn init(&mut self) {
        self.state = self.state.after_init(self.around.cpu, self.around.id);
    }

    /// Writes IA32_APIC_BASE; the faults are those of figure "Local x2APIC State Transitions".
    pub fn set_base(&mut self, value: u64) -> Result<(), GeneralProtection> {
        let mode = |base: u64| (base & base::EN != 0, base & base::EXTD != 0);
        let follows = !matches!(
            (mode(self.state.base), mode(value)),
            ((false, _), (_, true)) | ((_, true), (true, false))
        );
        if !follows || !self.around.model.has_base(value) {
            return Err(GeneralProtection);
        }
        let before = self.is_x2apic();
        self.state.base = value;
        if !self.is_there() {
            // What it was set to is lost.
            self.init();
            self.state.id = self.around.id as u8;
        } else if self.is_x2apic() && !before {
            (self.state.ldr, self.state.icr_high) = (0, 0);
            self.state.id = self.around.id as u8;
        }
        Ok(())
    }

    /// Drives all that follows from the state: the level-triggered interrupt of LINT0, the CPU's input, the alarm, the name.
    pub fn drive(&mut self) {
        self.take_lint0();
        let signal = self.external() || self.is_there() && self.deliverable().is_some();
        if signal != self.driven {
            self.driven = signal;
            self.around.outputs.set(self.around.cpu, CpuLine::Irq, signal);
        }
        self.around.alarm.set(self.next_alarm());
        self.after.renamed |= self.around.name.publish(&self.facts());
    }

    fn facts(&self) -> Facts {
        let x2apic = self.is_x2apic();
        let of_xapic = |bits: u32| if x2apic { 0 } else { bits };
        Facts {
            physical: self.physical(),
            logical: of_xapic(self.logical()),
            format: of_xapic(self.format()),
            ppr: self.ppr(),
            enabled: self.is_enabled(),
            x2apic,
            there: self.is_there(),
            page: self.page(),
        }
    }

    /// When the timer's interrupt comes next, if it would be noticed: what expires before the last one was taken adds
    /// nothing. A guest that does not keep up with its timer has it run no faster than that.
    fn next_alarm(&self) -> Option<u64> {
        let vector = self.state.lvt[Source::Timer as usize] as u8;
        let known = match vector < FIRST_VECTOR {
            true => self.state.errors & esr::RECEIVE_ILLEGAL_VECTOR != 0,
            false => self.state.irr.has(vector),
        };
        if known || self.is_masked(Source::Timer) || !self.is_there() {
            return None;
        }
        let model = &self.around.model;
        let (timer, ahead) = (&self.state.timer, self.state.tsc_ahead);
        timer.next(self.timer_mode(), (model.timer, model.tsc), ahead, self.now)
    }

    /// The logical id.
    pub fn logical(&self) -> u32 {
        match self.is_x2apic() {
            true => self.around.id >> 4 << 16 | 1 << (self.around.id & 0xf),
            false => self.state.ldr.into(),
        }
    }

    /// The physical id.
    pub fn physical(&self) -> u32 {
        match self.is_x2apic() {
            true => self.around.id,
            false => self.state.id.into(),
        }
    }

    /// The model of logical ids in xAPIC mode: 15 is flat, 0 is cluster.
    pub fn format(&self) -> u32 {
        self.state.dfr >> 28
    }
}

impl Registers for Local {
    const MODEL: &'static str = "local-apic";
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn initial(&mut self) -> State {
        State::of(self.around.cpu, self.around.id)
    }

    fn get(&mut self, reg: Reg, at: At) -> u64 {
        let s = &self.state;
        let value = match reg {
            Reg::ID if self.is_x2apic() => self.around.id,
            Reg::ID => u32::from(s.id) << 24,
            Reg::VERSION => VERSION,
            Reg::TPR => s.tpr.into(),
            Reg::PPR => self.ppr().into(),
            Reg::LDR if self.is_x2apic() => self.logical(),
            Reg::LDR => u32::from(s.ldr) << 24,
            Reg::DFR => s.dfr,
            Reg::SVR => s.svr,
            Reg::ISR => s.isr.word(at.n),
            Reg::TMR => s.tmr.word(at.n),
            Reg::IRR => s.irr.word(at.n),
            Reg::ESR => s.esr,
            Reg::LVT_CMCI => s.lvt[Source::Cmci as usize],
            Reg::ICR => s.icr,
            Reg::ICR_HIGH => s.icr_high,
            Reg::LVT => s.lvt[at.n],
            Reg::INITIAL => s.timer.initial,
            Reg::CURRENT => s.timer.current(self.ticks().0),
            Reg::DIVIDE => s.timer.divide,
            Reg::APR | Reg::RRD | Reg::EOI | Reg::SELF_IPI => 0,
        };
        value.into()
    }

    fn put(&mut self, reg: Reg, at: At, value: u64) {
        let value = value as u32;
        let tick = self.ticks().0;
        let s = &mut self.state;
        match reg {
            Reg::ID => s.id = (at.merge_u32(u32::from(s.id) << 24, value & XAPIC_ID) >> 24) as u8,
            Reg::TPR => s.tpr = at.merge_u32(s.tpr.into(), value) as u8,
            Reg::EOI => self.end_of_interrupt(),
            Reg::LDR => s.ldr = (at.merge_u32(u32::from(s.ldr) << 24, value & XAPIC_ID) >> 24) as u8,
            Reg::DFR => s.dfr = at.merge_u32(s.dfr, value) | DFR_ONES,
            Reg::SVR => {
                let svr = at.merge_u32(s.svr, value);
                self.set_svr(svr);
            }
            Reg::ESR => (s.esr, s.errors, s.error_armed) = (s.errors, 0, true),
            Reg::LVT_CMCI => self.set_lvt(Source::Cmci, at.merge_u32(self.state.lvt[Source::Cmci as usize], value)),
            Reg::ICR => self.command(at.merge_u32(self.state.icr, value)),
            Reg::ICR_HIGH => {
                let there = if self.is_x2apic() { u32::MAX } else { XAPIC_ID };
                self.state.icr_high = at.merge_u32(self.state.icr_high, value) & there;
            }
            Reg::LVT if at.n == 0 => self.set_timer_lvt(at.merge_u32(self.state.lvt[0], value)),
            Reg::LVT => self.set_lvt(Source::of(at.n), at.merge_u32(self.state.lvt[at.n], value)),
            Reg::INITIAL => {
                let count = at.merge_u32(s.timer.initial, value);
                self.set_initial(count);
            }
            Reg::DIVIDE => s.timer.set_divide(at.merge_u32(s.timer.divide, value) & 0xb, tick),
            Reg::SELF_IPI => self.send(Some(Message {
                to: To::Cpu(self.around.cpu),
                delivery: Delivery::Fixed,
                vector: value as u8,
                level: false,
            })),
            Reg::VERSION | Reg::APR | Reg::PPR | Reg::RRD | Reg::ISR | Reg::TMR | Reg::IRR | Reg::CURRENT => {}
        }
    }

    /// The bus does, after all that belongs together: [`drive`](Local::drive).
    fn update(&mut self) {}
}
