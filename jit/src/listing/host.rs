//! Host code as text: what an address, a displacement or a number stands for is said by name.

use super::{AT, BASE, Host, THUNKS};
use crate::x64::thunks::{self, Reason, SAVE_AT};
use crate::x64::{Code, PINS, What, frame};
use capstone::prelude::*;
use emu_ir::{Layout, Slot, Ty};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Where block code starts.
const START: u64 = BASE + AT as u64;
/// The column that remarks start at, if the instruction leaves room.
const REMARKS: usize = 52;

/// An instruction as capstone has it.
struct Insn {
    at: u64,
    end: u64,
    name: String,
    operands: String,
}

/// The names of host registers by their numbers.
const REGISTERS: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
];

pub fn registers(layout: &Layout) -> String {
    let mut text = String::new();
    for (register, slot) in PINS.iter().zip(layout.pins) {
        let _ = write!(text, "{} {}, ", REGISTERS[*register as usize], layout.name(*slot));
    }
    text + "r15 the state"
}

/// The code of a block, which goes on in `next_page` if there is one.
pub fn text(code: &Code, layout: &Layout, next_page: Option<u64>) -> Host {
    let all = disassembled(&code.bytes[..code.end as usize]);
    let labels = labels(&all);
    let mut namer = Namer {
        code,
        layout,
        labels: &labels,
        next_page,
        held: [None; 3],
    };
    let (mut text, mut insns) = (String::new(), 0);
    for i in &all {
        let at = i.at - START;
        if at == u64::from(code.cold) {
            text.push_str("  cold:\n");
        }
        if let Some(number) = labels.get(&i.at) {
            let _ = writeln!(text, "  .{number}:");
        }
        insns += usize::from(at < u64::from(code.cold));
        namer.line(&mut text, i);
    }
    Host { text, insns }
}

fn disassembled(bytes: &[u8]) -> Vec<Insn> {
    let Ok(cs) = Capstone::new().x86().mode(arch::x86::ArchMode::Mode64).build() else {
        return Vec::new();
    };
    let Ok(all) = cs.disasm_all(bytes, START) else {
        return Vec::new();
    };
    let insn = |i: &capstone::Insn| Insn {
        at: i.address(),
        end: i.address() + i.len() as u64,
        name: i.mnemonic().unwrap_or("?").into(),
        // What an index of no register is called.
        operands: i.op_str().unwrap_or("").replace(" + riz", ""),
    };
    all.iter().map(insn).collect()
}

/// Where a jump or call goes.
fn destination(i: &Insn) -> Option<u64> {
    let branch = i.name.starts_with('j') || i.name == "call";
    let digits = i.operands.strip_prefix("0x").filter(|_| branch)?;
    u64::from_str_radix(digits, 16).ok()
}

/// A number for each place in the block that is jumped to.
fn labels(all: &[Insn]) -> BTreeMap<u64, usize> {
    let mut labels: BTreeMap<u64, usize> = BTreeMap::new();
    for to in all.iter().filter_map(destination).filter(|to| *to >= START) {
        labels.insert(to, 0);
    }
    labels.values_mut().zip(1..).for_each(|(number, n)| *number = n);
    labels
}

struct Namer<'a> {
    code: &'a Code,
    layout: &'a Layout,
    labels: &'a BTreeMap<u64, usize>,
    next_page: Option<u64>,
    /// Numbers last moved to eax, ecx and edx: arguments of thunks.
    held: [Option<u32>; 3],
}

impl Namer<'_> {
    fn line(&mut self, text: &mut String, i: &Insn) {
        let (operands, remark) = match destination(i) {
            Some(to) => self.branch(to),
            None => self.memory(i).unwrap_or_else(|| (i.operands.clone(), self.page(i))),
        };
        self.hold(i);
        let line = format!("    {} {operands}", i.name);
        let line = line.trim_end();
        let _ = match remark {
            Some(remark) => writeln!(text, "{line:REMARKS$} ; {remark}"),
            None => writeln!(text, "{line}"),
        };
    }

    /// The operand of a jump or call, and what it is for.
    fn branch(&self, to: u64) -> (String, Option<String>) {
        if let Some(number) = self.labels.get(&to) {
            return (format!(".{number}"), None);
        }
        let [eax, ecx, edx] = self.held;
        let t = THUNKS;
        let (name, remark) = match to.wrapping_sub(BASE) as u32 {
            at if at == t.leave => ("leave", eax.map(|why| format!("{:?}", Reason::from_u32(why)))),
            at if at == t.link => ("link", self.site(ecx)),
            at if at == t.goto => ("goto", self.site(ecx)),
            at if at == t.lookup => ("lookup", None),
            at if at == t.elsewhere => ("elsewhere", None),
            at if at == t.slow => ("slow", self.site(edx)),
            at if at == t.call => ("call", self.site(edx)),
            at if t.pure.contains(&at) => ("pure", self.helper(edx)),
            at if t.flags.contains(&at) => ("flags", self.helper(edx)),
            _ => return (format!("{to:#x}"), None),
        };
        (format!("<{name}>"), remark)
    }

    /// The helper of a number.
    fn helper(&self, number: Option<u32>) -> Option<String> {
        Some(format!("helper {}", (self.layout.helper)(number? as u16)))
    }

    /// What happens at a site.
    fn site(&self, number: Option<u32>) -> Option<String> {
        let site = self.code.sites.get(number? as usize)?;
        let what = match &site.what {
            What::Mem(inst) | What::X87(inst) => format!("{}.{:?}", inst.op.name(), inst.ty),
            What::Helper(helper, ..) => format!("helper {}", (self.layout.helper)(*helper)),
            What::Eval(block) => {
                let inst = block.insts.last()?;
                format!("interpret {}.{:?}", inst.op.name(), inst.ty)
            }
            What::Goto { offset, .. } => return Some(format!("to page{offset:+#x}")),
        };
        Some(format!("{what} of +{:03x}", site.offset))
    }

    /// The operands, and what a memory operand at a fixed place is.
    fn memory(&self, i: &Insn) -> Option<(String, Option<String>)> {
        let (before, rest) = i.operands.split_once('[')?;
        let (inside, after) = rest.split_once(']')?;
        let mut words = inside.split(' ');
        let base = words.next()?;
        let disp = match (words.next(), words.next(), words.next()) {
            (None, ..) => 0,
            (Some("+"), Some(n), None) => number(n)?,
            (Some("-"), Some(n), None) => -number(n)?,
            _ => return None,
        };
        let remark = match base {
            "r15" if disp < 0 => frame::name(disp as i32),
            "r15" => self.slot(disp as u16, types(before)),
            "rsp" => stack(disp as i32),
            "rip" => {
                let value = self.constant(i.end.wrapping_add_signed(disp), types(before))?;
                return Some((format!("{before}[rip + constant]{after}"), Some(value)));
            }
            _ => None,
        };
        Some((i.operands.clone(), remark))
    }

    /// Of the next page's address, what it is.
    fn page(&self, i: &Insn) -> Option<String> {
        let (_, value) = i.operands.split_once(", ").filter(|_| i.name == "movabs")?;
        let is_it = number(value).is_some_and(|value| self.next_page == Some(value as u64));
        is_it.then(|| "the next page".to_owned())
    }

    fn slot(&self, off: u16, types: &[Ty]) -> Option<String> {
        let slots = types.iter().map(|&ty| Slot { off, ty });
        let known = |s: &Slot| self.layout.names.iter().any(|(k, _)| k == s);
        let best = slots.clone().find(known).or_else(|| slots.clone().next())?;
        Some(self.layout.name(best))
    }

    /// The constant at an address, as long as it is used.
    fn constant(&self, address: u64, types: &[Ty]) -> Option<String> {
        let len = types.first()?.bytes() as usize;
        let first = address.checked_sub(START)? as usize;
        let bytes = self.code.bytes.get(first..first + len)?;
        let digits: String = bytes.iter().rev().map(|b| format!("{b:02x}")).collect();
        Some(format!("0x{digits}"))
    }

    /// Remember a number moved to a register that thunks take one in.
    fn hold(&mut self, i: &Insn) {
        let Some((register, value)) = i.operands.split_once(", ").filter(|_| i.name == "mov") else {
            return;
        };
        let names = ["eax", "ecx", "edx"];
        if let Some(at) = names.iter().position(|n| *n == register) {
            self.held[at] = number(value).map(|n| n as u32);
        }
    }
}

fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Types of a memory operand by the words before it.
fn types(before: &str) -> &'static [Ty] {
    match before.split_whitespace().rev().nth(1) {
        Some("byte") => &[Ty::I8],
        Some("word") => &[Ty::I16],
        Some("dword") => &[Ty::I32, Ty::F32],
        Some("qword") => &[Ty::I64, Ty::F64, Ty::V64],
        _ => &[Ty::V128],
    }
}

/// What is at a place in the frame.
fn stack(disp: i32) -> Option<String> {
    let spills = thunks::SPILLS as i32 * 16;
    Some(match disp {
        0.. if disp < spills => format!("spilled {}", disp / 16),
        _ if (SAVE_AT..SAVE_AT + 256).contains(&disp) => format!("saved xmm{}", (disp - SAVE_AT) / 16),
        _ if disp >= SAVE_AT + 256 => "saved".into(),
        _ => return None,
    })
}
