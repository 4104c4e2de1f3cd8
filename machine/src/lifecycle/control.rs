//! What others have the main thread do.

use std::io::{self, Read, Write};

use emu_devices::bus::Saved;

use super::Machine;
use crate::error::Error;
use crate::events::{Control, Event};
use crate::hold::Holder;
use crate::snapshot::{self, Kind, Parts};

impl Machine<'_> {
    fn parts(&self) -> Result<Parts<'_>, Error> {
        let config = self.plan.config;
        let flash = self.plan.flash()?;
        Ok(Parts {
            kind: Kind {
                arch: config.arch.to_string(),
                board: config.board.to_string(),
                cpu: config.cpu.clone(),
                memory: config.memory,
                flash: flash.iter().map(|bank| crc32fast::hash(bank)).collect(),
            },
            devices: &self.devices,
            cpus: &self.cpus,
            clock: &self.clock,
            semihosting: self.semihosting.as_deref(),
        })
    }

    /// Stops every CPU and the clock; whether `who` did not hold them before.
    fn stop(&mut self, who: Holder) -> bool {
        let new = self.holds.add(who);
        self.cpus.iter().for_each(|port| port.hold(who));
        self.cpus.iter().for_each(|port| port.wait_held());
        new
    }

    /// Does something to the machine while it is held for it.
    fn held<R>(&mut self, job: impl FnOnce(&mut Self) -> R) -> R {
        let new = self.stop(Holder::Snapshot);
        let helpers = self.helpers.clone();
        // Devices' own threads are between two pieces of work.
        let working = helpers.hold();
        let result = job(self);
        drop(working);
        if new {
            self.release(Holder::Snapshot);
        }
        result
    }

    /// Whether the guest has asked for its machine's end or reset. What has come is left for later.
    fn is_ending(&mut self) -> bool {
        self.backlog.extend(self.events.try_iter());
        self.backlog.iter().any(|event| event.is_guests())
    }
}

impl Control for Machine<'_> {
    fn hold(&mut self, who: Holder) {
        self.stop(who);
    }

    fn release(&mut self, who: Holder) {
        self.holds.remove(who);
        self.cpus.iter().for_each(|port| port.release(who, None));
    }

    fn end(&mut self) {
        self.backlog.push_front(Event::Killed);
    }

    fn reset(&mut self) -> Result<(), Error> {
        let cannot = |why: String| Error::host("cannot reset the machine", io::Error::other(why));
        if !self.halt() {
            return Err(cannot("the run ends".to_owned()));
        }
        let done = self.power_on();
        done.map_err(|error| {
            let why = error.to_string();
            self.failed = Some(error);
            cannot(why)
        })
    }

    fn save(&mut self) -> Result<Saved, Error> {
        let cannot = |e| Error::host("cannot save the machine", e);
        self.held(|machine| match machine.is_ending() {
            true => Err(cannot(io::Error::other("the guest ends or resets it"))),
            false => machine.parts()?.save().map_err(cannot),
        })
    }

    fn save_ram(&mut self, out: &mut dyn Write) -> Result<(), Error> {
        let saved = self.held(|machine| snapshot::save_ram(&machine.devices.space, out));
        saved.map_err(|e| Error::host("cannot save the guest's memory", e))
    }

    fn load(&mut self, state: &Saved, ram: &mut dyn Read) -> Result<(), Error> {
        self.held(|machine| {
            let loaded = machine.parts()?.load(state);
            loaded.map_err(|e| Error::host("cannot load the machine", io::Error::other(e)))?;
            // What the guest asked for before is of another life.
            machine.is_ending();
            machine.backlog.retain(|event| !event.is_guests());
            let loaded = snapshot::load_ram(&machine.devices.space, ram);
            loaded.map_err(|e| Error::host("cannot load the guest's memory", e))
        })
    }
}
