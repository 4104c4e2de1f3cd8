//! A machine's state: saved, and loaded into the same machine or another of its kind, whatever runs its CPUs.
//!
//! Everything is by name, and every part has its own version; RAM is apart.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use emu_devices::bus::{Clock, Format, LoadError, Saved};
use emu_devices::misc::gpio_key::GpioKey;
use serde::{Deserialize, Serialize};

use crate::board::build::Devices;
use crate::cpus::{Cpus, Order, Power};
use crate::space::AddressSpace;

/// How a machine's state is written.
const MACHINE: Format = Format::first("machine");
/// Bytes of RAM that are saved or left out together.
const PAGE: usize = 0x1000;

/// What a machine must be to load a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// The guest's instruction set.
    pub arch: String,
    /// The board.
    pub board: String,
    /// The CPUs' model.
    pub cpu: String,
    /// RAM in bytes.
    pub memory: u64,
    /// Checksums of what the flash banks hold at power-on: their states say what has changed.
    pub flash: Vec<u32>,
}

/// One CPU.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct CpuState {
    power: Power,
    state: Saved,
}

/// A machine but for its RAM.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    kind: Kind,
    clock: Saved,
    cpus: Vec<CpuState>,
    interrupts: Saved,
    power_key: Option<Saved>,
    devices: BTreeMap<String, Saved>,
}

/// The parts of a machine that have a state. It is held: CPUs rest, the clock stands still.
pub struct Parts<'a> {
    /// What machine it is.
    pub kind: Kind,
    /// Its devices.
    pub devices: &'a Devices,
    /// Its CPUs.
    pub cpus: &'a Cpus,
    /// Its clock.
    pub clock: &'a Clock,
}

fn impossible(reason: impl Into<String>) -> LoadError {
    MACHINE.impossible(reason.into())
}

impl Parts<'_> {
    /// The state.
    ///
    /// # Errors
    ///
    /// A CPU's thread has ended.
    pub fn save(&self) -> io::Result<Saved> {
        let gone = || io::Error::other("a virtual CPU has ended");
        let states: Option<Vec<Saved>> = self.cpus.iter().map(|port| port.ask(|cpu| cpu.save())).collect();
        // Whoever has answered has followed its orders, and no CPU gives any more: its power state is settled.
        let cpus = self.cpus.iter().zip(states.ok_or_else(gone)?);
        let cpus = cpus.map(|(port, state)| CpuState {
            power: port.power(),
            state,
        });
        let devices = self
            .devices
            .all()
            .map(|(name, device)| (name.to_owned(), device.save()));
        let state = State {
            kind: self.kind.clone(),
            clock: self.clock.save(),
            cpus: cpus.collect(),
            interrupts: self.devices.interrupts().save(),
            power_key: self.devices.power_key().map(GpioKey::save),
            devices: devices.collect(),
        };
        Ok(Saved::new(&MACHINE, &state))
    }

    /// Takes over a state.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; the machine is then as it was.
    pub fn load(&self, saved: &Saved) -> Result<(), LoadError> {
        let state: State = saved.state(&MACHINE)?;
        if state.kind != self.kind {
            return Err(impossible(format!("it is of {:?}, not of {:?}", state.kind, self.kind)));
        }
        if state.cpus.len() != self.cpus.count() {
            return Err(impossible(format!(
                "{} CPUs of {}",
                state.cpus.len(),
                self.cpus.count()
            )));
        }
        let names: BTreeSet<&str> = self.devices.all().map(|(name, _)| name).collect();
        if let Some(missing) = names.iter().find(|name| !state.devices.contains_key(**name)) {
            return Err(impossible(format!("it has no {missing}")));
        }
        if let Some(strange) = state.devices.keys().find(|name| !names.contains(name.as_str())) {
            return Err(impossible(format!("there is no {strange}")));
        }
        let before = self.save().map_err(|e| impossible(e.to_string()))?;
        let loaded = self.take(&state);
        if loaded.is_err() {
            // What the machine has just saved it loads.
            let _ = before.state(&MACHINE).and_then(|state: State| self.take(&state));
        }
        loaded
    }

    /// The clock first: devices and CPUs arm their timers by it. The interrupt controller last: all drive its lines.
    fn take(&self, state: &State) -> Result<(), LoadError> {
        self.clock.load(&state.clock)?;
        for (name, device) in self.devices.all() {
            state.devices.get(name).map_or(Ok(()), |saved| device.load(saved))?;
        }
        match (self.devices.power_key(), &state.power_key) {
            (Some(key), Some(saved)) => key.load(saved)?,
            (None, None) => {}
            _ => return Err(impossible("one of the two has no power key")),
        }
        for (port, cpu) in self.cpus.iter().zip(&state.cpus) {
            let saved = cpu.state.clone();
            let loaded = port.ask(move |cpu| cpu.load(&saved));
            loaded.ok_or_else(|| impossible("a virtual CPU has ended"))??;
            port.order(Order::Resume(cpu.power));
        }
        self.devices.interrupts().load(&state.interrupts)
    }
}

/// Writes what RAM holds, without pages of zeros: address, length and bytes of each page, and zeros for the end.
///
/// # Errors
///
/// The host's.
pub fn save_ram(space: &AddressSpace, out: &mut dyn Write) -> io::Result<()> {
    let map = space.now();
    for (region, memory, start) in map.ram() {
        let (mut from, end) = (start, start + region.size);
        while let Some(used) = memory.used(from).filter(|used| used.start < end) {
            for offset in (used.start.max(start)..used.end.min(end)).step_by(PAGE) {
                let mut page = [0; PAGE];
                let (here, _) = page.split_at_mut((end - offset).min(PAGE as u64) as usize);
                let held = memory.copy_out(offset, here);
                if held.is_some() && here.iter().any(|byte| *byte != 0) {
                    out.write_all(&(region.base + (offset - start)).to_le_bytes())?;
                    out.write_all(&(here.len() as u64).to_le_bytes())?;
                    out.write_all(here)?;
                }
            }
            from = used.end;
        }
    }
    out.write_all(&[0; 16])
}

/// Reads what [`save_ram`] has written; all else is zeros. Nobody is told: whoever has translated code from RAM is to
/// forget it.
///
/// # Errors
///
/// The host's; [`InvalidData`](io::ErrorKind::InvalidData) where it is not what a machine with this RAM has written.
pub fn load_ram(space: &AddressSpace, from: &mut dyn Read) -> io::Result<()> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "not the contents of this machine's RAM");
    let map = space.now();
    for (region, memory, start) in map.ram() {
        memory.discard(start, region.size)?;
    }
    loop {
        let (mut address, mut length) = ([0; 8], [0; 8]);
        from.read_exact(&mut address)?;
        from.read_exact(&mut length)?;
        let (address, length) = (u64::from_le_bytes(address), u64::from_le_bytes(length));
        if length == 0 {
            return Ok(());
        }
        let mut page = [0; PAGE];
        let here = usize::try_from(length).ok().and_then(|length| page.get_mut(..length));
        let here = here.ok_or_else(invalid)?;
        from.read_exact(here)?;
        map.write_ram(address, here).ok_or_else(invalid)?;
    }
}
