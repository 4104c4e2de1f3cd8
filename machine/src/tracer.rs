//! What a CPU does, as lines. What its instruction sets and registers are called, a [`Traced`] guest says.

use std::collections::HashMap;
use std::fmt::Write;

use emu_ir::{Access, Context, Fault, Flush, Guest, Page, Which};
use emu_jit::engine::trace::{Cause, Entered, MmuEvent, Tracer, Wants};
use serde::Serialize;
use serde_json::Value;

use crate::trace::{Kind, Writer};

/// Disassembled instructions that are kept.
const KEPT: usize = 1 << 16;

/// What is said of a register that changed: its name, its value, and how many digits that has.
pub type Note<'a> = &'a mut dyn FnMut(std::fmt::Arguments<'_>, u64, usize);

/// A guest whose CPUs are traced.
pub trait Traced: Guest {
    /// The system registers, in a structure with their names.
    type System: Serialize + PartialEq;
    /// Hexadecimal digits of an address, and of a system register.
    const DIGITS: usize;

    /// The bits of a mode word on which the text of an instruction depends.
    fn meaning(word: u32) -> u32;
    /// An instruction of this mode at an address: its bytes as a number, and its text.
    fn text(code: &[u8], pc: u64, word: u32) -> (String, String);

    /// The address of the next instruction.
    fn pc(state: &Self::State) -> u64;
    /// The mode, and the instruction set if there are several.
    fn mode(state: &Self::State) -> String;
    /// The system registers.
    fn system(state: &Self::State) -> Self::System;
    /// The other registers that differ.
    fn changes(before: &Self::State, after: &Self::State, note: Note);

    /// The exception whose vector a CPU is at, by what led there.
    fn exception(at_vector: &Self::State, cause: Cause) -> &'static str;
    /// The registers that tell its handler more.
    fn syndrome(at_vector: &Self::State) -> Vec<(&'static str, u64)>;
    /// What is wrong, in words; nothing for an exception that says it all.
    fn fault(fault: Fault) -> String;
    /// Whether a fault is an exception, and not only for the CPU to go on otherwise.
    fn is_exception(_: Fault) -> bool {
        true
    }
    /// What an address space is made of.
    fn space(context: &Context) -> String;
}

/// An instruction where it lies: address, bytes, and the bits of the mode word that say what they mean.
type Fetched = (u64, [u8; LONGEST], u32);
/// Bytes of an instruction at most.
const LONGEST: usize = 15;

/// Writes what one CPU does.
pub struct CpuTracer<G: Traced> {
    writer: Writer,
    wants: Wants,
    texts: HashMap<Fetched, String>,
    /// The instruction that runs, and the state before it.
    running: Option<(String, Box<G::State>)>,
    /// Lines of what it leads to, which come after its own.
    held: Vec<(Kind, String)>,
}

impl<G: Traced> CpuTracer<G> {
    /// For a CPU whose events go to `writer`.
    pub fn new(writer: Writer) -> CpuTracer<G> {
        CpuTracer {
            wants: writer.wants(),
            writer,
            texts: HashMap::new(),
            running: None,
            held: Vec::new(),
        }
    }

    fn put(&mut self, kind: Kind, line: String) {
        if self.running.is_some() {
            self.held.push((kind, line));
        } else {
            self.writer.line(kind, &line);
        }
    }

    fn text(&mut self, pc: u64, code: &[u8], word: u32) -> &str {
        let mut bytes = [0; LONGEST];
        bytes.iter_mut().zip(code).for_each(|(to, from)| *to = *from);
        if self.texts.len() >= KEPT {
            self.texts.clear();
        }
        let fetched = (pc, bytes, G::meaning(word));
        self.texts.entry(fetched).or_insert_with(|| {
            let (number, text) = G::text(code, pc, word);
            format!("{:<8} {text}", number.trim_start_matches("0x"))
        })
    }
}

/// An address.
struct Va<G>(u64, std::marker::PhantomData<G>);

impl<G: Traced> std::fmt::Display for Va<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:0width$x}", self.0, width = G::DIGITS)
    }
}

fn va<G: Traced>(address: u64) -> Va<G> {
    Va(address, std::marker::PhantomData)
}

impl<G: Traced> Tracer<G> for CpuTracer<G> {
    fn wants(&self) -> Wants {
        self.wants
    }

    fn enter(&mut self, state: &G::State, block: &Entered) {
        let (pc, phys, mode) = (va::<G>(block.pc), block.phys, G::mode(state));
        if self.wants.blocks {
            let line = format!("block pc={pc} phys={phys:08x} mode={mode} insns={}\n", block.insns);
            self.writer.line(Kind::Blocks, &line);
        }
        if self.wants.insns {
            let text = self.text(block.pc, block.code, block.mode as u32);
            let line = format!("insn pc={pc} mode={mode} {text}");
            self.running = Some((line, Box::new(*state)));
        }
    }

    fn leave(&mut self, state: &G::State) {
        let Some((mut line, before)) = self.running.take() else {
            return;
        };
        let mut separator = " ; ";
        let mut note = |name: std::fmt::Arguments<'_>, value: u64, digits: usize| {
            let _ = write!(line, "{separator}{name}={value:0digits$x}");
            separator = " ";
        };
        G::changes(&before, state, &mut note);
        let (old, new) = (G::system(&before), G::system(state));
        if old != new {
            let json = |system| serde_json::to_value(system).unwrap_or_default();
            fields("", &json(old), &json(new), &mut |name, value| {
                note(format_args!("{name}"), value, G::DIGITS)
            });
        }
        line.push('\n');
        self.writer.line(Kind::Insns, &line);
        for (kind, line) in self.held.drain(..) {
            self.writer.line(kind, &line);
        }
    }

    fn exception(&mut self, before: &G::State, after: &G::State, cause: Cause) {
        if matches!(cause, Cause::Fault(fault) if !G::is_exception(fault)) {
            return;
        }
        let name = G::exception(after, cause);
        let mut line = format!(
            "exception {name} pc={} mode={}",
            va::<G>(G::pc(before)),
            G::mode(before)
        );
        for (register, value) in G::syndrome(after) {
            let _ = write!(line, " {register}={}", va::<G>(value));
        }
        if let Cause::Fault(fault) = cause {
            let text = G::fault(fault);
            if !text.is_empty() {
                let _ = write!(line, " ({text})");
            }
        }
        let _ = writeln!(line, " to={} mode={}", va::<G>(G::pc(after)), G::mode(after));
        self.put(Kind::Exceptions, line);
    }

    fn mmu(&mut self, event: &MmuEvent) {
        let line = match *event {
            MmuEvent::Fill {
                va: at,
                access,
                idx,
                page,
            } => {
                let (what, at) = (access_name(access, idx), va::<G>(at));
                format!("mmu fill {what} va={at} phys={:08x} {}\n", page.phys, rights(&page))
            }
            MmuEvent::Fault {
                va: at,
                access,
                idx,
                fault,
            } => format!(
                "mmu fault {} va={} ({})\n",
                access_name(access, idx),
                va::<G>(at),
                G::fault(fault)
            ),
            MmuEvent::Flush(flush) => format!("mmu flush {}\n", flushed::<G>(&flush)),
            MmuEvent::Context { idx, context } => {
                let space = if idx == 0 { "" } else { " unprivileged" };
                format!("mmu context{space} asid={} {}\n", context.asid, G::space(&context))
            }
        };
        self.put(Kind::Mmu, line);
    }
}

/// What is forgotten.
fn flushed<G: Traced>(flush: &Flush) -> String {
    match flush.which {
        Which::All => "all".into(),
        Which::Asid(asid) => format!("asid={asid}"),
        Which::Pages { first, last, asid } => {
            let mut text = format!("va={}", va::<G>(first));
            if first >> 12 != last >> 12 {
                let _ = write!(text, " to={}", va::<G>(last));
            }
            if let Some(asid) = asid {
                let _ = write!(text, " asid={asid}");
            }
            text
        }
    }
}

fn access_name(access: Access, idx: u8) -> &'static str {
    match (access, idx) {
        (Access::Execute, _) => "fetch",
        (Access::Read, 0) => "read",
        (Access::Write, 0) => "write",
        (Access::Read, _) => "unprivileged-read",
        (Access::Write, _) => "unprivileged-write",
    }
}

/// What a page allows, and what else its descriptor says.
fn rights(page: &Page) -> String {
    let bit = |set: bool, c: char| if set { c } else { '-' };
    let (read, write, exec) = (bit(page.read, 'r'), bit(page.write, 'w'), bit(page.exec, 'x'));
    let global = if page.global { " global" } else { "" };
    let strict = if page.strict { " device" } else { "" };
    format!("{read}{write}{exec} size={:#x}{global}{strict}", 1u64 << page.size)
}

/// The numbers that differ between two values of the same structure, with their names.
fn fields(name: &str, old: &Value, new: &Value, changed: &mut dyn FnMut(&str, u64)) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for ((field, old), new) in old.iter().zip(new.values()) {
                let dot = if name.is_empty() { "" } else { "." };
                fields(&format!("{name}{dot}{field}"), old, new, changed);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for (i, (old, new)) in old.iter().zip(new).enumerate() {
                fields(&format!("{name}[{i}]"), old, new, changed);
            }
        }
        (old, new) if old != new => changed(name, new.as_u64().unwrap_or_default()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_differ_are_named() {
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let mut seen = Vec::new();

        fields(
            "",
            &value(r#"{"a": 1, "b": [1, 2], "c": {"d": 3}}"#),
            &value(r#"{"a": 1, "b": [1, 5], "c": {"d": 4}}"#),
            &mut |name, value| seen.push((name.to_owned(), value)),
        );

        assert_eq!(seen, [("b[1]".to_owned(), 5), ("c.d".to_owned(), 4)]);
    }
}
