//! The ITS's commands: IHI 0069, section 5.3. One that cannot be done is told to the log and passed over, as section 5.3.2
//! allows: the queue goes on.

use super::tables::{Device, Event, ITT, Outcome};
use super::{CBASER_ADDRESS, GicV3, ID_BITS, Registers};
use crate::bus::{GuestMemory, misuse};
use crate::irq::gicv3::FIRST_LPI;

/// Bytes of a command.
const COMMAND: u64 = 32;
/// How much is done at once: a command counts one, of those that look at all LPIs of a CPU each so many.
const PIECE: u32 = 64;
const ALL_LPIS: u32 = 16;

/// A command's four doublewords.
struct Command([u64; 4]);

impl Command {
    fn of(bytes: [u8; COMMAND as usize]) -> Command {
        let (words, _) = bytes.as_chunks::<8>();
        let mut all = [0; 4];
        all.iter_mut()
            .zip(words)
            .for_each(|(to, word)| *to = u64::from_le_bytes(*word));
        Command(all)
    }
    fn number(&self) -> u8 {
        self.0[0] as u8
    }
    fn device(&self) -> u32 {
        (self.0[0] >> 32) as u32
    }
    fn event(&self) -> u32 {
        self.0[1] as u32
    }
    /// The physical LPI of MAPTI.
    fn id(&self) -> u32 {
        (self.0[1] >> 32) as u32
    }
    /// Of MAPD, bits of an EventID, less one.
    fn size(&self) -> u32 {
        (self.0[1] & 0x1f) as u32
    }
    fn itt(&self) -> u64 {
        self.0[2] & ITT
    }
    fn valid(&self) -> bool {
        self.0[2] >> 63 != 0
    }
    fn collection(&self) -> u16 {
        self.0[2] as u16
    }
    /// A CPU, in the third doubleword or the fourth.
    fn cpu(&self, word: u64) -> usize {
        (word >> 16 & 0xffff_ffff) as usize
    }
    fn target(&self) -> usize {
        self.cpu(self.0[2])
    }
    fn second_target(&self) -> usize {
        self.cpu(self.0[3])
    }
}

impl GicV3 {
    /// Does a piece of the commands that wait; whether there are more.
    pub(in crate::irq::gicv3) fn run_commands(&mut self) -> bool {
        let Some(memory) = self.memory.clone() else {
            return false;
        };
        let mut left = PIECE;
        while let Some(address) = self.state.its.next_command() {
            if left == 0 {
                return true;
            }
            let mut bytes = [0; COMMAND as usize];
            let cost = match memory.read(address, &mut bytes) {
                Ok(()) => self.run_command(&*memory, &Command::of(bytes)),
                Err(_) => 1,
            };
            left = left.saturating_sub(cost);
            let its = &mut self.state.its;
            its.creadr = (its.creadr + COMMAND) % its.queue_size();
        }
        false
    }

    /// What it cost.
    fn run_command(&mut self, memory: &dyn GuestMemory, command: &Command) -> u32 {
        let done = match command.number() {
            0x01 => self.movi(memory, command),
            0x03 => self.int(memory, command),
            0x04 => self.clear(memory, command),
            // SYNC: everything is done in turn.
            0x05 => Ok(()),
            0x08 => self.mapd(memory, command),
            0x09 => self.mapc(memory, command),
            0x0a => self.mapti(memory, command, command.id()),
            0x0b => self.mapti(memory, command, command.event()),
            0x0c => self.inv(memory, command),
            0x0d => self.invall(memory, command),
            0x0e => self.movall(command),
            0x0f => self.discard(memory, command),
            _ => Err("no such command"),
        };
        if let Err(what) = done {
            let at = self.state.its.cbaser & CBASER_ADDRESS;
            misuse::report(Self::MODEL, misuse::Misuse::BadValue(what), 0x1_0080, at);
        }
        match command.number() {
            0x0d | 0x0e => ALL_LPIS,
            _ => 1,
        }
    }

    /// The CPU and the LPI that an event of a device comes to.
    pub(super) fn translated(&self, memory: &dyn GuestMemory, device: u32, event: u32) -> Outcome<(usize, u32)> {
        let its = &self.state.its;
        let event = its.event(memory, device, event)?;
        Ok((its.collection(memory, event.collection)?, event.id))
    }

    fn is_cpu(&self, cpu: usize) -> Outcome<u16> {
        match cpu < self.cpus() {
            true => Ok(cpu as u16),
            false => Err("a CPU that is not there"),
        }
    }

    /// MAPD: a device has an interrupt translation table, or none any more.
    fn mapd(&mut self, memory: &dyn GuestMemory, c: &Command) -> Outcome<()> {
        let device = Device {
            itt: c.itt(),
            size: c.size(),
        };
        match c.valid() {
            true if device.size >= ID_BITS => Err("EventIDs of too many bits"),
            valid => self.state.its.set_device(memory, c.device(), valid.then_some(device)),
        }
    }

    /// MAPC: a collection is at a CPU, or nowhere.
    fn mapc(&mut self, memory: &dyn GuestMemory, c: &Command) -> Outcome<()> {
        let cpu = if c.valid() {
            Some(self.is_cpu(c.target())?)
        } else {
            None
        };
        self.state.its.set_collection(memory, c.collection(), cpu)
    }

    /// MAPTI, and MAPI, whose LPI has the event's number.
    fn mapti(&mut self, memory: &dyn GuestMemory, c: &Command, id: u32) -> Outcome<()> {
        if !(FIRST_LPI..1 << ID_BITS).contains(&id) {
            return Err("a number that is no LPI's");
        }
        let event = Event {
            id,
            collection: c.collection(),
        };
        self.state.its.set_event(memory, c.device(), c.event(), Some(event))
    }

    /// MOVI: an event goes to another collection, and its LPI with it if it is pending.
    fn movi(&mut self, memory: &dyn GuestMemory, c: &Command) -> Outcome<()> {
        let its = &self.state.its;
        let event = its.event(memory, c.device(), c.event())?;
        let from = its.collection(memory, event.collection)?;
        let to = its.collection(memory, c.collection())?;
        let moved = Event {
            collection: c.collection(),
            ..event
        };
        its.set_event(memory, c.device(), c.event(), Some(moved))?;
        if from != to && self.is_pending(from, event.id) {
            self.clear_lpi(from, event.id);
            self.set_lpi(to, event.id);
        }
        Ok(())
    }

    /// DISCARD: an event is no longer mapped, its LPI not pending.
    fn discard(&mut self, memory: &dyn GuestMemory, c: &Command) -> Outcome<()> {
        let (cpu, id) = self.translated(memory, c.device(), c.event())?;
        self.clear_lpi(cpu, id);
        self.state.its.set_event(memory, c.device(), c.event(), None)
    }

    /// INT: as if the device had written.
    fn int(&mut self, memory: &dyn GuestMemory, c: &Command) -> Outcome<()> {
        let (cpu, id) = self.translated(memory, c.device(), c.event())?;
        self.set_lpi(cpu, id);
        Ok(())
    }

    /// CLEAR: no longer pending.
    fn clear(&mut self, memory: &dyn GuestMemory, c: &Command) -> Outcome<()> {
        let (cpu, id) = self.translated(memory, c.device(), c.event())?;
        self.clear_lpi(cpu, id);
        Ok(())
    }

    /// INV: an LPI's configuration has changed.
    fn inv(&mut self, memory: &dyn GuestMemory, c: &Command) -> Outcome<()> {
        let (cpu, id) = self.translated(memory, c.device(), c.event())?;
        self.invalidate_lpi(cpu, id);
        Ok(())
    }

    /// INVALL: that of a collection's LPIs has.
    fn invall(&mut self, memory: &dyn GuestMemory, c: &Command) -> Outcome<()> {
        let cpu = self.state.its.collection(memory, c.collection())?;
        self.invalidate_lpis(cpu);
        Ok(())
    }

    /// MOVALL: what is pending at one CPU is at another.
    fn movall(&mut self, c: &Command) -> Outcome<()> {
        let (from, to) = (self.is_cpu(c.target())?, self.is_cpu(c.second_target())?);
        self.move_lpis(from.into(), to.into());
        Ok(())
    }
}
