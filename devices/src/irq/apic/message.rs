//! What comes over the APIC bus: interrupt messages of local APICs, IOAPICs and devices. SDM volume 3, sections "Issuing
//! Interprocessor Interrupts", "Determining IPI Destination" and "Message Signalled Interrupts".

use super::registers::base;

/// Delivery modes, as they are encoded in three bits wherever there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// To all that are named.
    Fixed,
    /// To the one of them with the lowest priority.
    Lowest,
    /// System management interrupt.
    Smi,
    /// Non-maskable interrupt.
    Nmi,
    /// Initialisation.
    Init,
    /// Start of a CPU that waits after its initialisation; of local APICs only.
    StartUp,
    /// An 8259A has the vector; not of local APICs.
    ExtInt,
}

impl Delivery {
    /// What bits 8 to 10 of a register or a message's data say; `None` where that is reserved.
    pub fn of(register: u32) -> Option<Delivery> {
        match register >> 8 & 7 {
            0 => Some(Delivery::Fixed),
            1 => Some(Delivery::Lowest),
            2 => Some(Delivery::Smi),
            4 => Some(Delivery::Nmi),
            5 => Some(Delivery::Init),
            6 => Some(Delivery::StartUp),
            7 => Some(Delivery::ExtInt),
            _ => None,
        }
    }

    /// Whether a vector of the local APIC's is delivered: only such interrupts can be level-triggered.
    pub fn has_vector(self) -> bool {
        matches!(self, Delivery::Fixed | Delivery::Lowest)
    }
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The CPU with this number.
    Cpu(usize),
    /// Every CPU.
    All,
    /// Every other CPU.
    AllBut(usize),
    /// The CPU with this APIC id.
    Physical(u32),
    /// CPUs by their logical ids.
    Logical(u32),
}

impl To {
    /// A destination field of eight bits; all ones means all CPUs, in both modes.
    pub fn field(destination: u8, logical: bool) -> To {
        match (destination, logical) {
            (0xff, _) => To::All,
            (_, false) => To::Physical(destination.into()),
            (_, true) => To::Logical(destination.into()),
        }
    }

    /// A destination field of 32 bits.
    pub fn wide(destination: u32, logical: bool) -> To {
        match (destination, logical) {
            (u32::MAX, _) => To::All,
            (_, false) => To::Physical(destination),
            (_, true) => To::Logical(destination),
        }
    }
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whom it is for.
    pub to: To,
    /// What it does.
    pub delivery: Delivery,
    /// The interrupt's vector, or the page at which a CPU starts.
    pub vector: u8,
    /// Level-triggered: its end is told to the IOAPICs.
    pub level: bool,
}

impl Message {
    /// What a device's write of `data` to `address` means; `None` if it is no interrupt message, or means nothing.
    pub fn signalled(address: u64, data: u32) -> Option<Message> {
        if address & !0xf_ffff != base::PAGE {
            return None;
        }
        let delivery = match Delivery::of(data)? {
            // The redirection hint: the one that is interrupted least.
            Delivery::Fixed if address >> 3 & 1 != 0 => Delivery::Lowest,
            Delivery::StartUp => return None,
            other => other,
        };
        let (asserted, triggered_by_level) = (data >> 14 & 1 != 0, data >> 15 & 1 != 0);
        let message = Message {
            to: To::field((address >> 12) as u8, address >> 2 & 1 != 0),
            delivery,
            vector: data as u8,
            level: triggered_by_level && delivery.has_vector(),
        };
        // That a level has gone has no effect.
        (asserted || !triggered_by_level).then_some(message)
    }

    /// What a write of the interrupt command register means, by the CPU with this number; `to` is its destination where no
    /// shorthand stands in its place. `None`: it has no effect.
    pub fn commanded(cpu: usize, icr: u32, to: To) -> Option<Message> {
        let delivery = Delivery::of(icr).filter(|delivery| *delivery != Delivery::ExtInt)?;
        let (asserted, triggered_by_level) = (icr >> 14 & 1 != 0, icr >> 15 & 1 != 0);
        if delivery == Delivery::Init && triggered_by_level && !asserted {
            // INIT level de-assert: of older buses.
            return None;
        }
        let to = match icr >> 18 & 3 {
            0 => to,
            1 => To::Cpu(cpu),
            2 => To::All,
            _ => To::AllBut(cpu),
        };
        // All of them are sent as edges since the Pentium 4.
        Some(Message {
            to,
            delivery,
            vector: icr as u8,
            level: false,
        })
    }
}
