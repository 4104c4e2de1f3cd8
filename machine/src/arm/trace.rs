//! What an ARM CPU does, as lines.

use std::collections::HashMap;
use std::fmt::Write;

use emu_frontend_arm::state::mode;
use emu_frontend_arm::{Arm, Cpu, names};
use emu_ir::{Access, Page, Which};
use emu_jit::engine::trace::{Cause, Entered, MmuEvent, Tracer, Wants};
use serde_json::Value;

use super::disassembly::{Disassembler, number};
use crate::trace::{Kind, Writer};

/// Disassembled instructions that are kept.
const KEPT: usize = 1 << 16;

/// An instruction where it lies: address, bytes, and the bits of the mode word that say what they mean.
type Fetched = (u32, [u8; 4], u32);

thread_local! {
    /// A disassembler stays on the thread that made it.
    static DISASSEMBLER: Disassembler = Disassembler::new();
}

/// Writes what one CPU does.
pub struct ArmTracer {
    writer: Writer,
    wants: Wants,
    texts: HashMap<Fetched, String>,
    /// The instruction that runs, and the state before it.
    running: Option<(String, Box<Cpu>)>,
    /// Lines of what it leads to, which come after its own.
    held: Vec<(Kind, String)>,
}

impl ArmTracer {
    /// For a CPU whose events go to `writer`.
    pub fn new(writer: Writer) -> ArmTracer {
        ArmTracer {
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

    fn text(&mut self, pc: u32, code: &[u8], word: u32) -> &str {
        let mut bytes = [0; 4];
        bytes.iter_mut().zip(code).for_each(|(to, from)| *to = *from);
        if self.texts.len() >= KEPT {
            self.texts.clear();
        }
        let fetched = (pc, bytes, word & (mode::T | mode::IT));
        self.texts.entry(fetched).or_insert_with(|| {
            let thumb = word & mode::T != 0;
            let text = DISASSEMBLER.with(|d| d.one(code, pc, word));
            format!("{:<8} {text}", number(code, thumb).trim_start_matches("0x"))
        })
    }
}

/// Mode and instruction set.
struct Mode<'a>(&'a Cpu);

impl std::fmt::Display for Mode<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (m, set) = (names::mode(self.0.current_mode()), names::instruction_set(self.0.mode));
        write!(f, "{m}/{set}")
    }
}

impl Tracer<Arm> for ArmTracer {
    fn wants(&self) -> Wants {
        self.wants
    }

    fn enter(&mut self, state: &Cpu, block: &Entered) {
        let (pc, phys, mode) = (block.pc, block.key.phys, Mode(state));
        if self.wants.blocks {
            let line = format!("block pc={pc:08x} phys={phys:08x} mode={mode} insns={}\n", block.insns);
            self.writer.line(Kind::Blocks, &line);
        }
        if self.wants.insns {
            let text = self.text(pc as u32, block.code, block.key.mode as u32);
            let line = format!("insn pc={pc:08x} mode={mode} {text}");
            self.running = Some((line, Box::new(*state)));
        }
    }

    fn leave(&mut self, state: &Cpu) {
        let Some((mut line, before)) = self.running.take() else {
            return;
        };
        let mut separator = " ; ";
        let mut note = |name: std::fmt::Arguments<'_>, value: u64, digits: usize| {
            let _ = write!(line, "{separator}{name}={value:0digits$x}");
            separator = " ";
        };
        names::changes(&before, state, &mut note);
        if before.cp15 != state.cp15 {
            let json = |cpu: &Cpu| serde_json::to_value(cpu.cp15).unwrap_or_default();
            fields("", &json(&before), &json(state), &mut |name, value| {
                note(format_args!("{name}"), value, 8)
            });
        }
        line.push('\n');
        self.writer.line(Kind::Insns, &line);
        for (kind, line) in self.held.drain(..) {
            self.writer.line(kind, &line);
        }
    }

    fn exception(&mut self, before: &Cpu, after: &Cpu, cause: Cause) {
        let name = names::exception(after);
        let mut line = format!("exception {name} pc={:08x} mode={}", before.r[15], Mode(before));
        for (register, value) in names::syndrome(after) {
            let _ = write!(line, " {register}={value:08x}");
        }
        if let Cause::Fault(fault) = cause {
            let text = names::fault(fault);
            if !text.is_empty() {
                let _ = write!(line, " ({text})");
            }
        }
        let _ = writeln!(line, " to={:08x} mode={}", after.r[15], Mode(after));
        self.put(Kind::Exceptions, line);
    }

    fn mmu(&mut self, event: &MmuEvent) {
        let line = match *event {
            MmuEvent::Fill { va, access, idx, page } => {
                let what = access_name(access, idx);
                format!("mmu fill {what} va={va:08x} phys={:08x} {}\n", page.phys, rights(&page))
            }
            MmuEvent::Fault { va, access, idx, fault } => {
                format!(
                    "mmu fault {} va={va:08x} ({})\n",
                    access_name(access, idx),
                    names::fault(fault)
                )
            }
            MmuEvent::Flush(flush) => match flush.which {
                Which::All => "mmu flush all\n".into(),
                Which::Asid(asid) => format!("mmu flush asid={asid}\n"),
                // Arm's 32-bit operations name one page.
                Which::Pages { first, asid: None, .. } => format!("mmu flush va={first:08x}\n"),
                Which::Pages {
                    first,
                    asid: Some(asid),
                    ..
                } => format!("mmu flush va={first:08x} asid={asid}\n"),
            },
            MmuEvent::Context { idx, context } => {
                let [ttbr0, ttbr1, ttbcr, control, remap, dacr] = context.rest;
                let space = if idx == 0 { "" } else { " unprivileged" };
                format!(
                    "mmu context{space} asid={} ttbr0={ttbr0:08x} ttbr1={ttbr1:08x} ttbcr={ttbcr:08x} \
                     control={control:08x} remap={remap:016x} dacr={dacr:08x}\n",
                    context.asid
                )
            }
        };
        self.put(Kind::Mmu, line);
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
