//! Alignment and memory types, which a program under an operating system cannot ask an oracle about: every row that loads
//! or stores, at every alignment, in every kind of memory, with SCTLR.A clear and set, at PL1 and PL0. What is right is the
//! manual's rule: an Alignment fault where [`rule`] says so, else what happens in Normal memory.

mod machine;
mod rule;
mod trace;

use super::super::{Random, Row};
use super::machine::{state_of, user};
use super::record::{CODE, CODE_SIZE, DATA, DATA_SIZE, Record, T};
use super::unpredictable::unpredictable;
use super::words::{Code, Fields, is_of, set, t32, touches_memory, word_of, writes_pc};
use super::{decode_rows, states};
use bytemuck::Zeroable;
use emu_frontend_arm::a32::Set;
use emu_frontend_arm::state::{Cpu, psr};
use emu_ir::{Access, Fault};
use emu_jit::engine::Accel;
use machine::{Machine, Setting};
use rule::{Rule, rule};
use std::collections::BTreeMap;
use trace::Accessed;

/// How many cases each row has at least, and from how many words at most.
const ENOUGH: usize = 200;
const WORDS: u64 = 100;
/// Where each instruction is.
const PC: u32 = CODE + 0x1100;
/// CPSR.E.
const E: u32 = 1 << 9;

/// Supervisor mode; a return from it would be to User mode.
pub fn start() -> Cpu {
    let mut cpu = user();
    cpu.set_cpsr(psr::SVC);
    cpu.set_spsr(psr::USR);
    cpu
}

/// Words that are all different, and all addresses of code.
fn data() -> Vec<u8> {
    let words = (0..DATA_SIZE as u32 / 4).map(|i| CODE + i * 13 % (CODE_SIZE as u32 / 4) * 4);
    words.flat_map(u32::to_le_bytes).collect()
}

/// An instruction in a state.
struct Case<'a> {
    row: &'a Row,
    word: u32,
    code: Vec<u8>,
    cpu: Cpu,
    /// Its first access.
    first: Accessed,
    rule: Rule,
}

/// Whether instructions of the row are there at PL1 only.
fn is_privileged(row: &Row) -> bool {
    row.name == "rfe" || row.name == "srs" || row.name.contains("_user") || row.name.contains("_exception")
}

/// A word of the row that is executed whatever the flags.
fn word(row: &Row, random: &mut Random) -> Option<u32> {
    let mut word = word_of(row, random);
    if set(row) == Set::A32 && word >> 28 < 14 {
        word = word & 0x0fff_ffff | 0xe000_0000;
    }
    if row.name == "srs" {
        // To the stack of the mode that it is executed in.
        let mode = Fields::of(row).mask('m');
        word = word & !mode | psr::SVC << mode.trailing_zeros();
    }
    is_of(row, word).then_some(word)
}

/// The instruction and its state, as random numbers have them.
fn instruction(row: &Row, random: &mut Random) -> Option<(Record, Cpu)> {
    let mut r = Record {
        word: word(row, random)?,
        pc: PC,
        ..Record::zeroed()
    };
    let shared = row.file == "vfp" || row.file == "neon";
    let thumb = if shared { random.one_in(2) } else { set(row) != Set::A32 };
    let goes_away = writes_pc(row, r.word) || is_privileged(row);
    if thumb {
        r.cpsr |= T;
    }
    if random.one_in(3) && !goes_away {
        r.cpsr |= E;
    }
    let mut code = Code::new(thumb);
    match set(row) {
        Set::T16 => code.narrow(r.word),
        _ if shared && thumb => code.wide(t32(r.word)),
        _ => code.wide(r.word),
    }
    r.code = code.ended();
    states::state(row, &mut r, random);
    if unpredictable(row, &r).is_some() && !is_privileged(row) {
        return None;
    }
    let pl0 = random.one_in(3) && !is_privileged(row);
    let mut cpu = state_of(&if pl0 { user() } else { start() }, &r);
    cpu.set_cpsr(cpu.cpsr() & !E | r.cpsr & E);
    Some((r, cpu))
}

/// A row's cases.
fn cases<'a>(row: &'a Row, data: &[u8]) -> Vec<Case<'a>> {
    let mut all = Vec::new();
    for number in 0..WORDS {
        if all.len() < ENOUGH {
            all.extend(at_alignments(row, number, data));
        }
    }
    all
}

/// One word of a row, at each alignment that the base register can give.
fn at_alignments<'a>(row: &'a Row, number: u64, data: &[u8]) -> Vec<Case<'a>> {
    let mut random = Random::of(&format!("bare {}", row.id()), number);
    let mut all = Vec::new();
    let Some((r, cpu)) = instruction(row, &mut random) else {
        return all;
    };
    let code = bytemuck::bytes_of(&r.code).to_vec();
    let arm_monitor = |cpu: &mut Cpu| {
        if row.name.starts_with("strex") {
            trace::arm_monitor(cpu, row, r.word, data);
        }
    };
    let mut cpu = cpu;
    arm_monitor(&mut cpu);
    let Some(first) = trace::accesses(&cpu, &code, data).first().copied() else {
        return all;
    };
    let base = Fields::of(row).value('n', r.word).unwrap_or(13) as usize;
    for turn in 0..32u32 {
        let mut cpu = cpu;
        if base < 15 {
            cpu.r[base] = cpu.r[base].wrapping_add(turn.wrapping_sub(first.addr) & 31);
        }
        arm_monitor(&mut cpu);
        let accesses = trace::accesses(&cpu, &code, data);
        if random.one_in(4) {
            cpu.excl_armed = 0;
        }
        let (Some(&first), rule) = (accesses.first(), rule(row, r.word)) else {
            continue;
        };
        // Where an unaligned word would be loaded to the PC, it goes astray.
        let loads_pc = writes_pc(row, r.word) && row.name.starts_with("ld");
        let astray = loads_pc && !rule.always && first.addr % rule.bytes != 0;
        if first.addr & 31 == turn && accesses.iter().all(is_inside) && !astray {
            all.push(Case {
                row,
                word: r.word,
                code: code.clone(),
                cpu,
                first,
                rule,
            });
        }
    }
    all
}

/// Whether an access is all in the area of data, or of code.
fn is_inside(a: &Accessed) -> bool {
    let within = |at: u32, size: usize| a.addr.wrapping_sub(at) as usize + a.bytes as usize <= size;
    within(DATA, DATA_SIZE) || a.access == Access::Read && within(CODE, CODE_SIZE)
}

impl Case<'_> {
    /// Whether it takes an Alignment fault in a setting.
    fn faults(&self, setting: Setting) -> bool {
        let looks = self.rule.always || setting.checked || setting.is_strict(self.first.addr);
        // Where the monitor lets no store through, "it is IMPLEMENTATION DEFINED whether the exception is generated" (A8.8.212
        // to 215): here, as by the oracle, it is not.
        let passes = self.cpu.excl_armed != 0 || !self.row.name.starts_with("strex");
        passes && looks && !self.first.addr.is_multiple_of(self.rule.bytes)
    }
    /// What it leaves if it does: the state in the exception's vector, after the wait there.
    fn fault(&self, setting: Setting) -> Cpu {
        let mut cpu = setting.of(&self.cpu);
        let (addr, access) = (self.first.addr.into(), self.first.access);
        cpu.raise(Fault::Alignment { addr, access });
        cpu.r[15] += 4;
        cpu
    }
    fn show(&self) -> String {
        let Case {
            row, word, first, rule, ..
        } = self;
        let state = format!("CPSR {:#x}, first access at {:#x}", self.cpu.cpsr(), first.addr);
        format!("{}: {word:#010x}, {state}, {rule:?}", row.id())
    }
}

/// What each case leaves where nothing is looked at: the state and the data.
type Plain = Vec<(Cpu, Vec<u8>)>;

/// The cases in a setting by an accelerator: how many faulted, and what went wrong.
fn check(cases: &[Case], plain: &Plain, data: &[u8], setting: Setting, accel: Accel) -> (usize, Vec<String>) {
    let (mut faults, mut wrong) = (0, Vec::new());
    let Some(mut machine) = Machine::new(accel, setting, data) else {
        return (0, wrong);
    };
    for (case, plain) in cases.iter().zip(plain) {
        let (got, left) = machine.run(&setting.of(&case.cpu), &case.code);
        let (want, memory) = if case.faults(setting) {
            faults += 1;
            (case.fault(setting), data)
        } else {
            let mut want = setting.of(&plain.0);
            // What an Undefined instruction, or a fetch from nowhere, left besides.
            (want.cp15.ifsr, want.cp15.ifar) = (got.cp15.ifsr, got.cp15.ifar);
            (want, &plain.1[..])
        };
        if got != want || left != memory {
            let what = if case.faults(setting) {
                "should fault"
            } else {
                "should not fault"
            };
            let seen = format!(
                "DFSR {:#x}, DFAR {:#x}, pc {:#x}",
                got.cp15.dfsr, got.cp15.dfar, got.r[15]
            );
            wrong.push(format!("{accel:?} {setting:?} {}: {what}; {seen}", case.show()));
        }
    }
    (faults, wrong)
}

/// Every row that loads or stores.
fn rows() -> Vec<Row> {
    let all = decode_rows(|r| r.needs == 0).into_iter();
    all.filter(|row| touches_memory(&row.name)).collect()
}

#[test]
fn memory_types_and_alignment_are_as_the_manual_has_them() {
    let (rows, data) = (rows(), data());
    let cases: Vec<Case> = rows.iter().flat_map(|row| cases(row, &data)).collect();
    let mut reference = Machine::new(Accel::Interp, Setting::PLAIN, &data).expect("it runs anywhere");
    let plain: Plain = cases
        .iter()
        .map(|c| reference.run(&Setting::PLAIN.of(&c.cpu), &c.code))
        .collect();
    let settings = || Setting::all().flat_map(|s| [Accel::Interp, Accel::Jit].map(|accel| (s, accel)));

    let (cases, plain, data) = (&cases, &plain, &data[..]);
    let found: Vec<_> = std::thread::scope(|scope| {
        let check = |(setting, accel)| scope.spawn(move || check(cases, plain, data, setting, accel));
        let threads: Vec<_> = settings().map(check).collect();
        threads.into_iter().map(|t| t.join().expect("a check ends")).collect()
    });

    let faults: usize = found.iter().map(|f| f.0).sum();
    let wrong: Vec<String> = found.into_iter().flat_map(|f| f.1).collect();
    println!(
        "{} rows, {} runs, {faults} faults",
        rows.len(),
        cases.len() * settings().count()
    );
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{shown}",
        wrong.len(),
        cases.len() * settings().count()
    );
    assert_complete(&rows, cases);
}

/// Every row has aligned accesses, and, but where its addresses are always aligned, others.
fn assert_complete(rows: &[Row], cases: &[Case]) {
    let mut seen: BTreeMap<String, [usize; 2]> = rows.iter().map(|r| (r.id(), [0; 2])).collect();
    for case in cases {
        let aligned = case.first.addr % case.rule.bytes == 0;
        seen.entry(case.row.id()).or_default()[usize::from(!aligned)] += 1;
    }
    let bytes = |row: &Row| row.file != "neon" && rule(row, 0).bytes == 1;
    let literal = |row: &Row| row.pattern.starts_with("01001 ");
    let lacks = |row: &&Row| {
        let [aligned, other] = seen[&row.id()];
        aligned == 0 || other == 0 && !bytes(row) && !literal(row)
    };
    let few: Vec<_> = rows.iter().filter(lacks).map(|r| (r.id(), seen[&r.id()])).collect();
    assert!(few.is_empty(), "rows without cases:\n{few:#?}");
}
