//! VFP and Advanced SIMD held against qemu-arm, instruction by instruction: every row with random fields on random and
//! hard operands, in every rounding and flush mode. Skipped, loudly, where qemu-arm or the cross compiler is missing.

use bytemuck::{Pod, Zeroable};
use emu_frontend_arm::a32::{Insn, neon, vfp};
use emu_frontend_arm::guest::{Arm, Conduit, FirmwareResult, Platform, Timer, TimerOutput};
use emu_frontend_arm::state::{Cpu, mode, psr};
use emu_frontend_arm::{MODELS, a32};
use emu_ir::pattern::Row;
use emu_ir::{Access, Block, BlockKey, Builder, Bus, Env, Fault, Fetch, Flush, Guest, Mem, RamPage, Stop};
use emu_jit::interp::{self, Memory, Now, Prepared, Scratch, Stopped};
use emu_jit::opt::{self, CallEffect};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Where the instruction's memory and code are.
const MEMORY: u32 = 0x1000_0000;
const CODE: u32 = 0x2000_0000;

/// Bits of [`Record::set`].
const THUMB: u32 = 1;
const BIG_ENDIAN_DATA: u32 = 2;

/// As in arm_step.c.
#[derive(Clone, Copy, Pod, Zeroable, PartialEq)]
#[repr(C)]
struct Record {
    word: u32,
    fpscr: u32,
    r: [u32; 14],
    apsr: u32,
    set: u32,
    signal: u32,
    entry: u32,
    d: [u64; 32],
    memory: [[u8; 16]; 256],
}

struct NoMachine;

impl Platform for NoMachine {
    fn now_ns(&self) -> u64 {
        0
    }
    fn timer(&mut self, _: Timer, _: TimerOutput) {}
    fn pending(&self) -> u32 {
        0
    }
    fn firmware_call(&mut self, _: Conduit, _: [u32; 4]) -> FirmwareResult {
        FirmwareResult::Undefined
    }
    fn cpu_index(&self) -> u32 {
        0
    }
    fn cpu_count(&self) -> u32 {
        1
    }
}

/// The one page of memory.
struct Page([u8; 4096]);

impl Page {
    fn at(&self, addr: u64, mem: Mem, access: Access) -> Result<usize, Fault> {
        if addr & ((1 << mem.align) - 1) != 0 {
            return Err(Fault::Alignment { addr, access });
        }
        let start = addr.wrapping_sub(MEMORY.into());
        let fits = start < 4096 && start + u64::from(mem.bytes()) <= 4096;
        if fits {
            Ok(start as usize)
        } else {
            Err(Fault::Bus { addr, access })
        }
    }
}

/// Bytes reversed within elements.
fn swapped(mut bytes: Vec<u8>, mem: Mem) -> Vec<u8> {
    bytes.chunks_mut(1 << mem.swap).for_each(<[u8]>::reverse);
    bytes
}

impl Memory<Arm> for Page {
    fn load(&mut self, _: Now<Arm>, addr: u64, mem: Mem) -> Result<u128, Fault> {
        let at = self.at(addr, mem, Access::Read)?;
        let bytes = swapped(self.0[at..at + mem.bytes() as usize].to_vec(), mem);
        Ok(bytes.iter().rev().fold(0, |all, &b| all << 8 | u128::from(b)))
    }
    fn store(&mut self, _: Now<Arm>, addr: u64, mem: Mem, value: u128) -> Result<(), Fault> {
        let at = self.at(addr, mem, Access::Write)?;
        let bytes = swapped(value.to_le_bytes()[..mem.bytes() as usize].to_vec(), mem);
        self.0[at..at + bytes.len()].copy_from_slice(&bytes);
        Ok(())
    }
    fn cas(&mut self, _: Now<Arm>, _: u64, _: Mem, _: u128, _: u128) -> Result<u128, Fault> {
        unreachable!("no exclusives here")
    }
    fn swap(&mut self, _: Now<Arm>, _: u64, _: Mem, _: u128) -> Result<u128, Fault> {
        unreachable!("no exclusives here")
    }
}

impl Bus for Page {
    fn load(&mut self, _: u64, _: u8) -> Option<u64> {
        None
    }
    fn store(&mut self, _: u64, _: u8, _: u64) -> Option<()> {
        None
    }
    fn ram(&mut self, _: u64) -> Option<RamPage> {
        None
    }
}

impl Env for Page {
    fn bus(&mut self) -> &mut dyn Bus {
        self
    }
    fn flush(&mut self, _: Flush, _: bool) {}
    fn context_changed(&mut self) {}
    fn stop(&mut self, _: Stop) {}
}

struct Code(Vec<u32>);

impl Fetch for Code {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let word = self.0.get(offset as usize / 4).copied().unwrap_or(0);
        Ok((word >> (8 * (offset & 2))) as u16)
    }
}

/// The block of some instructions, as the translator has it.
fn block(guest: &Arm, mode: u32, words: Vec<u32>) -> Block {
    let (key, mut b, limit) = (BlockKey { phys: 0, mode }, Builder::new(), words.len() as u32);
    let words = if mode & mode::T != 0 {
        words.iter().map(|w| w.rotate_left(16)).collect()
    } else {
        words
    };
    guest
        .translate(key, 0, limit, &mut Code(words), &mut b)
        .expect("code is there");
    emu_ir::verify::verify(&b.block).unwrap_or_else(|e| panic!("{e}: {:?}", b.block.insts));
    b.block
}

/// Run a block.
fn run(guest: &mut Arm, cpu: &mut Cpu, page: &mut Page, block: Block) -> Result<(), Stopped> {
    let code = Prepared::new(block);
    interp::run(guest, cpu, page, &code, CODE.into(), &mut Scratch::default()).map(|_| ())
}

/// A CPU of the default model.
fn arm() -> Arm {
    Arm {
        model: &MODELS[0],
        platform: Box::new(NoMachine),
    }
}

/// The record after its instruction, by translation and interpreter.
fn interpreted(r: &Record) -> Record {
    let (mut guest, mut cpu) = (arm(), state_of(r));
    let mut page = Page(bytemuck::cast(r.memory));
    let block = block(&guest, cpu.mode, vec![r.word]);
    if let Err(stopped) = run(&mut guest, &mut cpu, &mut page, block) {
        let signal = match stopped.fault {
            Fault::Guest { .. } => 4,
            Fault::Bus { .. } => 11,
            Fault::Alignment { .. } => 7,
        };
        return Record { signal, ..*r };
    }
    let mut after = *r;
    after.r[..13].copy_from_slice(&cpu.r[..13]);
    after.r[13] = cpu.r[14];
    after.apsr = cpu.cpsr() & APSR;
    after.fpscr = cpu.fpscr();
    after.d = cpu.d;
    after.memory = bytemuck::cast(page.0);
    after
}

/// N, Z, C, V, Q, GE.
const APSR: u32 = 0xf80f_0000;

fn state_of(r: &Record) -> Cpu {
    let mut cpu = Cpu::zeroed();
    cpu.psr = psr::USR;
    cpu.cp15.cpacr = 15 << 20;
    cpu.fpexc = 1 << 30;
    cpu.r[..13].copy_from_slice(&r.r[..13]);
    cpu.r[14] = r.r[13];
    cpu.n = (r.apsr >> 31) as u8;
    cpu.z = (r.apsr >> 30 & 1) as u8;
    cpu.c = (r.apsr >> 29 & 1) as u8;
    cpu.v = (r.apsr >> 28 & 1) as u8;
    cpu.q = (r.apsr >> 27 & 1) as u8;
    cpu.ge = (r.apsr >> 16 & 15) as u8;
    cpu.d = r.d;
    cpu.set_fpscr(r.fpscr);
    cpu.update_mode();
    cpu.mode |= if r.set & THUMB != 0 { mode::T } else { 0 };
    cpu.mode |= if r.set & BIG_ENDIAN_DATA != 0 { mode::E } else { 0 };
    cpu
}

/// Pseudo-random words (SplitMix64), the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Words that are hard as floats, as fixed point, or as vectors of bytes and halfwords.
#[rustfmt::skip]
const HARD32: &[u32] = &[
    0, 0x8000_0000, 0x3f80_0000, 0xbf80_0000, 0x4000_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffc1_2345, 0x7f80_0001,
    0xffa0_0000, 1, 0x8000_0001, 0x007f_ffff, 0x807f_ffff, 0x0080_0000, 0x8080_0000, 0x7f7f_ffff, 0xff7f_ffff, 0x3f7f_ffff,
    0x4f00_0000, 0xcf00_0000, 0x4f80_0000, 0x4eff_ffff, 0x4700_0000, 0xc700_0000, 0x477f_ff00, 0x46ff_fe00, 0x3f00_0000,
    0x4020_0000, 0xbf00_0000, 0x3fc0_0000, 0xc020_0000, 0x1f80_0000, 0x2000_0000, 0x6000_0000, 0x7e80_0000, 0x7f00_0000,
    0x3380_0000, 0x3880_0000, 0x387f_ffff, 0x477f_efff, 0x477f_f000, 0x3300_0000, 0x7fff_ffff, 0x8000_8000, 0x7fff_8000,
    0x8000_7fff, 0x8080_8080, 0x7f7f_7f7f, 0xffff_ffff, 0x0001_0001, 0x0080_ff7f, 0x7c00_fc00, 0x7e01_7c01, 0x03ff_8400,
    0x0000_0010, 0x0000_00f0, 0x2030_1f0f, 0xe0f8_08ff,
];
/// Doubles at the edges of their classes, of single precision, and of the integers.
#[rustfmt::skip]
const HARD64: &[u64] = &[
    0, 1 << 63, 0x3ff0_0000_0000_0000, 0xbff0_0000_0000_0000, 0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000, 0xfff8_dead_0000_beef, 0x7ff0_0000_0000_0001, 0xfff4_0000_0000_0000, 1, 0x800f_ffff_ffff_ffff,
    0x0010_0000_0000_0000, 0x8010_0000_0000_0000, 0x7fef_ffff_ffff_ffff, 0xffef_ffff_ffff_ffff, 0x41e0_0000_0000_0000,
    0xc1e0_0000_0000_0000, 0xc1e0_0000_0010_0000, 0x41df_ffff_ffc0_0000, 0x41ef_ffff_ffe0_0000, 0x41f0_0000_0000_0000,
    0x3fe0_0000_0000_0000, 0x4004_0000_0000_0000, 0xbfe0_0000_0000_0000, 0x3810_0000_0000_0000, 0x380f_ffff_ffff_ffff,
    0x3690_0000_0000_0000, 0x47ef_ffff_e000_0000, 0x47ef_ffff_f000_0000, 0x3ff0_0000_1000_0000, 0x40df_ffff_0000_0000,
    0x40e0_0000_0000_0000, 0x40ef_ffe0_0000_0000, 0xc0e0_0000_0000_0001, 0x7fff_ffff_ffff_ffff, u64::MAX,
];

/// A doubleword: words or doubles that are hard, near each other, or random.
fn operand(random: &mut Random) -> u64 {
    let hard = |random: &mut Random| u64::from(random.pick(HARD32));
    let near = |random: &mut Random, exponents: u64| {
        let bits = random.next();
        (bits & 0x807f_ffff) | (120 + random.below(exponents)) << 23
    };
    match random.below(8) {
        0 | 1 => random.pick(HARD64),
        2 | 3 => hard(random) << 32 | hard(random),
        4 => near(random, 16) << 32 | near(random, 16),
        5 => near(random, 40) << 32 | hard(random),
        6 => random.next() & !(0x7ff << 52) | (1010 + random.below(40)) << 52,
        _ => random.next(),
    }
}

/// The bits of a pattern's field, if it has it.
fn field(text: &str, name: char) -> u32 {
    text.chars()
        .filter(|c| *c != ' ')
        .fold(0, |mask, c| mask << 1 | u32::from(c == name))
}

/// A word of the row: condition AL, no stack pointer or pc where core registers are named.
fn word_of(row: &Row<Insn>, random: &mut Random, vfp: bool) -> u32 {
    let (text, memory) = (
        row.pattern.text,
        row.name.starts_with("vld") || row.name.starts_with("vst"),
    );
    let mut word = random.next() as u32 & !row.pattern.mask | row.pattern.bits;
    if vfp {
        word = word & 0x0fff_ffff | 0xe000_0000;
    }
    if memory {
        word = word & !(15 << 16) | (random.below(10) as u32) << 16;
        if !vfp {
            word &= !(8 << 12); // no registers past the last
        }
    }
    if matches!(row.name, "vtrn" | "vuzp" | "vzip") && (word ^ word >> 12) & 15 == 0 {
        word ^= 2; // not the same register twice
    }
    for mask in ['t', 'u']
        .map(|f| field(text, f))
        .into_iter()
        .filter(|m| vfp && !memory && m.count_ones() == 4)
    {
        while matches!((word & mask) >> mask.trailing_zeros(), 13 | 15) {
            word ^= 4 << mask.trailing_zeros();
        }
    }
    if row.name.starts_with("vmov_from") && (word >> 12 ^ word >> 16) & 15 == 0 {
        word ^= 2 << 12; // nor core register
    }
    if row.name.ends_with("two_singles") {
        word &= !8; // there is none after S31
    }
    if vfp && memory && row.name.len() > 4 && random.below(4) > 0 {
        word &= !0xf0; // short enough to fit the registers, more often than not
    }
    if row.name.ends_with("fixed") && word & 0x80 == 0 {
        word &= !8; // no negative number of fraction bits
    }
    if row.name == "vmsr" || row.name == "vmrs" {
        word = word & !(15 << 16) | 1 << 16;
    }
    word
}

/// The T32 form of an A32 word of these instruction sets.
fn t32(word: u32) -> u32 {
    match word >> 24 {
        0xf2 => word & 0x00ff_ffff | 0xef00_0000,
        0xf3 => word & 0x00ff_ffff | 0xff00_0000,
        0xf4 => word & 0x00ff_ffff | 0xf900_0000,
        _ => word,
    }
}

/// An A32 or T32 instruction, data little or big-endian, on a state.
fn record(word: u32, random: &mut Random) -> Record {
    let mut r = Record::zeroed();
    r.set = random.below(4) as u32;
    r.word = if r.set & THUMB != 0 { t32(word) } else { word };
    let modes = random.next() as u32;
    r.fpscr = modes & (7 << 24 | 3 << 22);
    if random.below(4) == 0 {
        r.fpscr |= random.next() as u32 & 0xf800_009f;
    }
    r.apsr = random.next() as u32 & APSR;
    for (i, v) in r.r.iter_mut().enumerate() {
        let align = random.pick(&[0, 0, 0, 32, 16, 8, 4, 2, 1, 12]);
        *v = match i {
            // QEMU checks alignment to 16 bytes at most.
            0..10 if word >> 24 == 0xf4 && word & 0x30 == 0x30 => MEMORY + 2048 + (align & !16),
            0..10 => MEMORY + 2048 + align,
            10 => random.next() as u32,
            _ => random.pick(HARD32),
        };
    }
    r.d.iter_mut().for_each(|d| *d = operand(random));
    // Some pairs of operands are equal or opposite.
    for _ in 0..4 {
        let (to, from) = (random.below(32) as usize, random.below(32) as usize);
        r.d[to] = r.d[from] ^ random.pick(&[0, 1 << 63, 1 << 31, 1, 1 << 32]);
    }
    let memory: [u64; 512] = std::array::from_fn(|_| random.next());
    r.memory = bytemuck::cast(memory);
    r
}

/// The oracle's program, if it can be built and run.
fn oracle() -> Option<PathBuf> {
    static BUILT: LazyLock<Option<PathBuf>> = LazyLock::new(build);
    BUILT.clone()
}

fn build() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/oracle/arm_step.c");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("arm_step");
    let built = Command::new("arm-linux-gnueabihf-gcc")
        .args(["-static", "-O1", "-marm", "-mfpu=neon-vfpv4", "-o"])
        .args([&out, &source])
        .status();
    let runs = Command::new("qemu-arm-static")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    (built.is_ok_and(|s| s.success()) && runs.is_ok_and(|s| s.success())).then_some(out)
}

/// The records as the oracle leaves them.
fn expected(program: &Path, records: &[Record]) -> Vec<Record> {
    let mut child = Command::new("qemu-arm-static")
        .args(["-cpu", "cortex-a15"])
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("qemu-arm runs");
    let mut to = child.stdin.take().expect("piped");
    let mut from = child.stdout.take().expect("piped");
    let mut out = vec![Record::zeroed(); records.len()];
    std::thread::scope(|s| {
        s.spawn(move || to.write_all(bytemuck::cast_slice(records)));
        from.read_exact(bytemuck::cast_slice_mut(&mut out))
            .expect("all records come back");
    });
    child.wait().expect("it ends");
    out
}

/// What differs, in words.
fn difference(before: &Record, want: &Record, got: &Record) -> Option<String> {
    let mut text = String::new();
    let mut note = |name: String, before: u64, want: u64, got: u64| {
        if want != got {
            text += &format!("\n    {name}: was {before:#x}, is {got:#x}, should be {want:#x}");
        }
    };
    note("signal".into(), 0, want.signal.into(), got.signal.into());
    if want.signal == 0 && got.signal == 0 {
        for i in 0..14 {
            note(format!("r{i}"), before.r[i].into(), want.r[i].into(), got.r[i].into());
        }
        for i in 0..32 {
            note(format!("d{i}"), before.d[i], want.d[i], got.d[i]);
        }
        let flags = |f: u32| u64::from(f & 0xffc0_009f);
        note("fpscr".into(), flags(before.fpscr), flags(want.fpscr), flags(got.fpscr));
        let apsr = |a: u32| u64::from(a & APSR);
        note("apsr".into(), apsr(before.apsr), apsr(want.apsr), apsr(got.apsr));
        for (i, (w, g)) in want.memory.iter().zip(&got.memory).enumerate() {
            let part = |b: [u8; 16]| u128::from_le_bytes(b) as u64 ^ (u128::from_le_bytes(b) >> 64) as u64;
            note(
                format!("memory {:#x}", i * 16),
                part(before.memory[i]),
                part(*w),
                part(*g),
            );
        }
    }
    (!text.is_empty()).then_some(text)
}

fn compare(vfp: bool, tables: &[a32::Table]) {
    let Some(program) = oracle() else {
        eprintln!("SKIPPED: qemu-arm-static or arm-linux-gnueabihf-gcc is missing");
        return;
    };
    let rounds = std::env::var("EMU_ORACLE_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(24);
    let only = std::env::var("EMU_ORACLE_ROW").ok();
    let mut random = Random(if vfp { 11 } else { 12 });
    let mut wrong = Vec::new();
    for row in tables.iter().flat_map(|t| t.iter()) {
        if only.as_ref().is_some_and(|o| !row.name.starts_with(o.as_str())) {
            continue;
        }
        let records: Vec<_> = (0..rounds)
            .map(|_| {
                let word = word_of(row, &mut random, vfp);
                record(word, &mut random)
            })
            .collect();
        let wants = expected(&program, &records);
        let bad: Vec<_> = records
            .iter()
            .zip(&wants)
            .filter_map(|(r, want)| {
                difference(r, want, &interpreted(r)).map(|d| format!("{:#010x} {}{d}", r.word, r.set))
            })
            .collect();
        if !bad.is_empty() {
            wrong.push(format!(
                "{} \"{}\": {} of {rounds}; {}",
                row.name,
                row.pattern.text,
                bad.len(),
                bad[0]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn vfp_is_as_qemu_has_it() {
    compare(true, vfp::TABLES);
}

#[test]
fn advanced_simd_is_as_qemu_has_it() {
    compare(false, neon::TABLES);
}

#[test]
fn passes_change_nothing_in_runs_of_instructions() {
    let (mut random, mut guest, mut scratch) = (Random(13), arm(), opt::Scratch::default());
    let rows = |tables: &[a32::Table]| tables.iter().flat_map(|t| t.iter()).collect::<Vec<_>>();
    let (vfp, simd) = (rows(vfp::TABLES), rows(neon::TABLES));
    for _ in 0..3000 {
        let words: Vec<_> = (0..12)
            .map(|_| {
                let is_vfp = random.below(2) == 0;
                let row = random.pick(if is_vfp { &vfp } else { &simd });
                // Few registers, so that instructions meet.
                word_of(row, &mut random, is_vfp) & !(8 << 12 | 8)
            })
            .collect();
        let r = record(words[0], &mut random);
        let state = state_of(&Record { set: 0, ..r });
        let plain = block(&guest, state.mode, words.clone());
        let mut better = plain.clone();
        opt::run(&mut better, Arm::LAYOUT, CallEffect::of::<Arm>, &mut scratch);

        let mut results = [plain, better].map(|block| {
            let (mut cpu, mut page) = (state, Page(bytemuck::cast(r.memory)));
            let stopped = run(&mut guest, &mut cpu, &mut page, block);
            (stopped, cpu, page.0)
        });

        let [(want_stop, want, want_memory), (got_stop, got, got_memory)] = &mut results;
        assert_eq!(want_stop, got_stop, "{words:#010x?}");
        assert_eq!(want, got, "{words:#010x?}");
        assert!(want_memory == got_memory, "{words:#010x?}");
    }
}
