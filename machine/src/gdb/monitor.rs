//! The commands of GDB's `monitor`.

use std::fmt::Write;
use std::time::Duration;

use crossbeam::channel::bounded;
use emu_devices::bus::GuestMemory;
use emu_ir::Bus;

use super::debugged::{Debugged, Quiet, thread};
use crate::cpus::Power;
use crate::events::{Control, Event};
use crate::processor::Processor;

const HELP: &str = "\
help                           this list
info registers [CPU]           a CPU's registers, or all CPUs'
info devices                   what is at which physical address
info memory                    RAM, and what the page tables of CPU 0 map
physical ADDRESS [LENGTH]      bytes of RAM or flash at a physical address; no device is touched
physical ADDRESS set BYTE ...  write bytes to RAM at a physical address
device ADDRESS [SIZE]          read a device's register of 1, 2, 4 or 8 bytes, with all that follows from it
device ADDRESS set VALUE [SIZE]
                               write it
step interrupts on|off         whether single steps take interrupts (off: they wait until the guest runs)
reset                          reset the machine; it stays stopped. `flushregs` then tells GDB
quit                           end emu
Numbers are hexadecimal with 0x, else decimal; BYTE is hexadecimal.
";

/// Bytes that `physical` shows when it is not told how many, and at most.
const LENGTH: (u64, u64) = (64, 4096);
/// Pieces of the address space that `info memory` looks at, at most: all pages of 32 bits of addresses.
const STEPS: usize = 1 << 20;
/// Ranges that `info memory` shows at most.
const RANGES: usize = 200;
/// How long a reset may take.
const RESET: Duration = Duration::from_secs(10);

/// What a command prints.
pub fn answer(debugged: &mut Debugged, line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let done = match words[..] {
        [] | ["help"] => Ok(HELP.to_owned()),
        ["info", "registers"] => Ok(registers(debugged, None)),
        ["info", "registers", cpu] => number(cpu).map(|n| registers(debugged, Some(n as usize))),
        ["info", "devices"] => Ok(devices(debugged)),
        ["info", "memory"] => Ok(memory(debugged)),
        ["physical", address] => physical(debugged, address, None),
        ["physical", address, "set", ref bytes @ ..] => set_physical(debugged, address, bytes),
        ["physical", address, length] => physical(debugged, address, Some(length)),
        ["device", address] => device(debugged, address, "4"),
        ["device", address, "set", value] => set_device(debugged, address, value, "4"),
        ["device", address, "set", value, size] => set_device(debugged, address, value, size),
        ["device", address, size] => device(debugged, address, size),
        ["step", "interrupts", how @ ("on" | "off")] => {
            debugged.step_interrupts = how == "on";
            Ok(String::new())
        }
        ["reset"] => reset(debugged),
        ["quit"] => {
            // Without a listener emu ends already.
            let _ = debugged.machine.events.send(Event::Killed);
            Ok("emu ends\n".to_owned())
        }
        _ => Err(format!("no such command: {line}; `monitor help` lists them")),
    };
    done.unwrap_or_else(|complaint| complaint + "\n")
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("not a number: {text}"))
}

fn registers(debugged: &Debugged, only: Option<usize>) -> String {
    let mut text = String::new();
    for (cpu, port) in debugged.machine.cpus.iter().enumerate() {
        if only.is_some_and(|only| only != cpu) {
            continue;
        }
        let off = if port.power() == Power::On { "" } else { " (off)" };
        let shown = debugged.ask(thread(cpu), |cpu| cpu.show());
        // Writing to a string does not fail.
        let _ = writeln!(text, "CPU {cpu}{off}\n{}", shown.unwrap_or_default());
    }
    if text.is_empty() {
        text = format!("there are CPUs 0 to {}\n", debugged.machine.cpus.count() - 1);
    }
    text
}

fn devices(debugged: &Debugged) -> String {
    let machine = &debugged.machine;
    let map = machine.space.now();
    machine.board.listing(map.ram().map(|(region, ..)| region.size).sum())
}

/// A range of virtual addresses that is mapped to physical ones in order: first, last, physical first.
type Mapping = (u64, u64, u64);

fn memory(debugged: &Debugged) -> String {
    let mut text = String::new();
    for (ram, ..) in debugged.machine.space.now().ram() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "RAM {:#x} to {:#x}", ram.base, ram.end() - 1);
    }
    let mut bus = Quiet(debugged.machine.space.clone());
    let mapped = debugged.ask(thread(0), move |cpu| mappings(cpu, &mut bus));
    let (all, complete) = mapped.unwrap_or_default();
    let digits = if all.last().is_some_and(|last| last.1 > u32::MAX.into()) {
        18
    } else {
        10
    };
    let _ = writeln!(text, "{:<width$}physical", "virtual", width = 2 * digits + 5);
    for (first, last, phys) in all.iter().take(RANGES) {
        let _ = writeln!(text, "{first:#0digits$x}-{last:#0digits$x}    {phys:#x}");
    }
    if all.len() > RANGES || !complete {
        let more = all.len().saturating_sub(RANGES);
        let least = if complete { "" } else { "at least " };
        let _ = writeln!(text, "and {least}{more} more");
    }
    text
}

/// What is mapped, neighbours that go on from one another together, and whether that is all.
fn mappings(cpu: &dyn Processor, bus: &mut Quiet) -> (Vec<Mapping>, bool) {
    let mut all: Vec<Mapping> = Vec::new();
    let mut steps = 0;
    for range in cpu.ranges() {
        let mut next = Some(*range.start());
        while let Some(va) = next.filter(|va| va <= range.end()) {
            let span = cpu.span(bus, va);
            let end = span.last(va).min(*range.end());
            if let Some(phys) = span.at(va) {
                note(&mut all, (va, end, phys));
            }
            next = end.checked_add(1);
            steps += 1;
            if steps > STEPS {
                return (all, false);
            }
        }
    }
    (all, true)
}

/// Adds a range after the others, to the last of them if it goes on from it.
fn note(all: &mut Vec<Mapping>, (first, last, phys): Mapping) {
    match all.last_mut() {
        Some(before) if before.1 + 1 == first && before.2.wrapping_add(first - before.0) == phys => before.1 = last,
        _ => all.push((first, last, phys)),
    }
}

fn physical(debugged: &Debugged, address: &str, length: Option<&str>) -> Result<String, String> {
    let address = number(address)?;
    let length = length.map_or(Ok(LENGTH.0), number)?.min(LENGTH.1);
    let mut text = String::new();
    for at in (0..length).step_by(16).map(|offset| address.wrapping_add(offset)) {
        let here = 16.min(length - at.wrapping_sub(address));
        let mut bytes = vec![0; here as usize];
        let read = debugged.machine.space.peek(at, &mut bytes);
        read.ok_or_else(|| format!("{text}neither RAM nor flash at {at:#x}"))?;
        let _ = write!(text, "{at:#012x} ");
        for byte in bytes {
            let _ = write!(text, " {byte:02x}");
        }
        text.push('\n');
    }
    Ok(text)
}

fn set_physical(debugged: &Debugged, address: &str, bytes: &[&str]) -> Result<String, String> {
    let address = number(address)?;
    let byte = |text: &&str| {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        u8::from_str_radix(digits, 16).map_err(|_| format!("not a byte: {text}"))
    };
    let bytes = bytes.iter().map(byte).collect::<Result<Vec<u8>, String>>()?;
    let done = debugged.machine.memory.write(address, &bytes);
    done.map(|()| String::new()).map_err(|e| e.to_string())
}

/// The address and size of an access to a device.
fn access(debugged: &Debugged, address: &str, size: &str) -> Result<(u64, u8), String> {
    let (address, size) = (number(address)?, number(size)?);
    if !matches!(size, 1 | 2 | 4 | 8) {
        return Err(format!("not the size of an access: {size}; it is 1, 2, 4 or 8"));
    }
    if debugged.machine.memory.contains(address, size) {
        return Err(format!("RAM at {address:#x}: see `monitor physical`"));
    }
    Ok((address, size as u8))
}

fn device(debugged: &Debugged, address: &str, size: &str) -> Result<String, String> {
    let (address, size) = access(debugged, address, size)?;
    let value = debugged.machine.space.view(0).load(address, size);
    let value = value.ok_or_else(|| format!("nothing answers at {address:#x}"))?;
    Ok(format!("{value:#0width$x}\n", width = usize::from(size) * 2 + 2))
}

fn set_device(debugged: &Debugged, address: &str, value: &str, size: &str) -> Result<String, String> {
    let (address, size) = access(debugged, address, size)?;
    let value = number(value)? & (u64::MAX >> (64 - 8 * u32::from(size)));
    let done = debugged.machine.space.view(0).store(address, size, value);
    done.map(|()| String::new())
        .ok_or_else(|| format!("nothing answers at {address:#x}"))
}

fn reset(debugged: &Debugged) -> Result<String, String> {
    let (reply, done) = bounded(1);
    let job = move |machine: &mut dyn Control| {
        // The debugger may have lost its patience.
        let _ = reply.send(machine.reset().is_ok());
    };
    let asked = debugged.machine.events.send(Event::Do(Box::new(job)));
    match asked.is_ok() && done.recv_timeout(RESET) == Ok(true) {
        true => Ok("the machine is reset\n".to_owned()),
        false => Err("the machine could not be reset".to_owned()),
    }
}
