//! A machine's state: saved, and loaded into the same machine or another of its kind, whatever runs its CPUs.
//!
//! Everything is by name, and every part has its own version; RAM is apart.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

use emu_devices::bus::{Clock, Format, LoadError, Saved};
use emu_devices::misc::gpio_key::GpioKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::board::build::Devices;
use crate::config::ByteSize;
use crate::cpus::{Cpus, Edges, Order, Power};
use crate::semihosting::Semihosting;
use crate::space::AddressSpace;

/// How a machine's state is written. Version 1 called virtio devices by their transport, 2 knew of no semihosting, 3 of no
/// frame for messages, 4 of no inputs that take edges.
const MACHINE: Format = Format {
    model: "machine",
    version: 5,
    older: &[
        (1, virtio_by_model),
        (2, no_semihosting),
        (3, message_frame),
        (4, no_edges),
    ],
};
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

impl Kind {
    /// What a state of this kind has that a machine of another has not.
    fn difference(&self, machine: &Kind) -> Option<String> {
        let words = [
            ("instruction set", &self.arch, &machine.arch),
            ("board", &self.board, &machine.board),
            ("CPU", &self.cpu, &machine.cpu),
        ];
        let differs = words.into_iter().find(|(_, saved, here)| saved != here);
        let word = differs.map(|(what, saved, here)| format!("its {what} is {saved}, not {here}"));
        let memory = (self.memory != machine.memory).then(|| {
            let (saved, here) = (ByteSize(self.memory), ByteSize(machine.memory));
            format!("it is of a machine with {saved} of RAM, not {here}")
        });
        let flash = (self.flash != machine.flash).then(|| "its machine had other contents of the flash".to_owned());
        word.or(memory).or(flash)
    }
}

/// One CPU.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct CpuState {
    power: Power,
    edges: Edges,
    state: Saved,
}

/// A machine but for its RAM.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    kind: Kind,
    clock: Saved,
    cpus: Vec<CpuState>,
    interrupts: Saved,
    #[serde(deserialize_with = "Option::deserialize")]
    power_key: Option<Saved>,
    #[serde(deserialize_with = "Option::deserialize")]
    semihosting: Option<Saved>,
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
    /// The host of the guest's programs, if they have one.
    pub semihosting: Option<&'a Semihosting>,
}

/// Version 1 to 2: a device's name starts with its model, behind a transport too.
fn virtio_by_model(mut state: Value) -> Result<Value, String> {
    let devices = state.get_mut("devices").and_then(Value::as_object_mut);
    let devices = devices.ok_or("it has no devices")?;
    let renamed = std::mem::take(devices).into_iter().map(|(name, saved)| {
        let model = saved.get("model").and_then(Value::as_str);
        let name = match (model, name.split_once('@')) {
            (Some(model), Some((_, address))) => format!("{model}@{address}"),
            _ => name,
        };
        (name, saved)
    });
    *devices = renamed.collect();
    Ok(state)
}

/// Version 2 to 3: no program is served.
fn no_semihosting(mut state: Value) -> Result<Value, String> {
    let fields = state.as_object_mut().ok_or("it is no object")?;
    fields.insert("semihosting".into(), Value::Null);
    Ok(state)
}

/// Version 3 to 4: the GICv2, the only interrupt controller there was, has a frame for messages, which has no state.
fn message_frame(mut state: Value) -> Result<Value, String> {
    let devices = state.get_mut("devices").and_then(Value::as_object_mut);
    let frame = Saved::new(&Format::first("gicv2m"), &Value::Object(Map::new()));
    let frame = serde_json::to_value(frame).map_err(|e| e.to_string())?;
    devices
        .ok_or("it has no devices")?
        .insert("gicv2m@8020000".into(), frame);
    Ok(state)
}

/// Version 4 to 5: no CPU had inputs that take edges.
fn no_edges(mut state: Value) -> Result<Value, String> {
    let none = serde_json::to_value(Edges::default()).map_err(|e| e.to_string())?;
    let cpus = state.get_mut("cpus").and_then(Value::as_array_mut);
    for cpu in cpus.ok_or("it has no CPUs")? {
        let cpu = cpu.as_object_mut().ok_or("a CPU is no object")?;
        cpu.insert("edges".into(), none.clone());
    }
    Ok(state)
}

fn impossible(reason: impl Into<String>) -> LoadError {
    MACHINE.impossible(reason.into())
}

impl Parts<'_> {
    /// The state.
    ///
    /// # Errors
    ///
    /// A CPU's thread has ended; a file that the guest's program has open could not be opened again.
    pub fn save(&self) -> io::Result<Saved> {
        let gone = || io::Error::other("a virtual CPU has ended");
        let states: Option<Vec<Saved>> = self.cpus.iter().map(|port| port.ask(|cpu| cpu.save())).collect();
        // Whoever has answered has followed its orders, and no CPU gives any more: its power state is settled.
        let cpus = self.cpus.iter().zip(states.ok_or_else(gone)?);
        let cpus = cpus.map(|(port, state)| CpuState {
            power: port.power(),
            edges: port.edges(),
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
            semihosting: self.semihosting.map(Semihosting::save).transpose()?,
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
        self.check_devices(&state)?;
        if let Some(difference) = state.kind.difference(&self.kind) {
            return Err(impossible(difference));
        }
        if state.cpus.len() != self.cpus.count() {
            return Err(impossible(format!(
                "{} CPUs of {}",
                state.cpus.len(),
                self.cpus.count()
            )));
        }
        let before = self.save().map_err(|e| impossible(e.to_string()))?;
        let loaded = self.take(&state);
        if loaded.is_err() {
            // What the machine has just saved it loads.
            let _ = before.state(&MACHINE).and_then(|state: State| self.take(&state));
        }
        loaded
    }

    /// Whether the state is of the devices that there are.
    fn check_devices(&self, state: &State) -> Result<(), LoadError> {
        let here: BTreeSet<&str> = self.devices.all().map(|(name, _)| name).collect();
        let saved: BTreeSet<&str> = state.devices.keys().map(String::as_str).collect();
        let place = |name: &str| name.split_once('@').map(|(_, address)| address.to_owned());
        let missing = here.difference(&saved).next();
        let reason = match saved.difference(&here).next() {
            Some(strange) => {
                let other = here.iter().find(|name| place(name) == place(strange));
                let other = other.map_or_else(|| "nothing".to_owned(), |other| (*other).to_owned());
                format!("it is of a machine with {strange} where this one has {other}")
            }
            None => match missing {
                Some(missing) => format!("it is of a machine without {missing}"),
                None => return Ok(()),
            },
        };
        Err(impossible(reason))
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
        match (self.semihosting, &state.semihosting) {
            (Some(host), Some(saved)) => host.load(saved)?,
            (None, None) => {}
            (None, Some(_)) => {
                return Err(impossible(
                    "its programs were served by --semihosting, here they are not",
                ));
            }
            (Some(_), None) => {
                return Err(impossible(
                    "its programs were not served by --semihosting, here they are",
                ));
            }
        }
        for (port, cpu) in self.cpus.iter().zip(&state.cpus) {
            let saved = cpu.state.clone();
            let loaded = port.ask(move |cpu| cpu.load(&saved));
            loaded.ok_or_else(|| impossible("a virtual CPU has ended"))??;
            port.set_edges(cpu.edges);
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
