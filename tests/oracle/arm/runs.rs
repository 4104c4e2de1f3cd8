//! Runs of several instructions that meet: what one leaves in registers, flags and memory, others take up. So the passes,
//! conditions, IT blocks, and what host registers hold between instructions are held against the oracle.

use super::super::{Random, Row};
use super::allowed::NOT_RUN;
use super::record::{Record, T};
use super::unpredictable::unpredictable;
use super::words::{Code, Fields, is_of, set, t32, touches_memory, word_of, writes_pc};
use bytemuck::Zeroable;
use emu_frontend_arm::a32::Set;
use std::sync::LazyLock;

/// The file of runs, and its two rows.
pub const FILE: &str = "runs";
pub const NAMES: [&str; 2] = ["a32", "thumb"];

/// Rows that leave the run, the state or User mode.
const NEVER: &[&str] = &[
    "svc",
    "bkpt",
    "udf",
    "hvc",
    "smc",
    "b",
    "b_narrow",
    "b_wide",
    "b_cond_narrow",
    "b_cond_wide",
    "bl",
    "bl_wide",
    "blx",
    "blx_imm",
    "blx_wide",
    "bx",
    "bxj",
    "cbz",
    "cbnz",
    "tbb",
    "tbh",
    "it",
    "cps",
    "setend",
    "srs",
    "rfe",
    "mrc",
    "mcr",
    "mrrc",
    "mcrr",
    "mrs_spsr",
    "msr_spsr_imm",
    "msr_spsr_reg",
    "mrs_banked",
    "msr_banked",
    "stm_user",
    "ldm_user",
    "ldm_exception",
    "subs_pc_lr",
    "eret",
    "vmsr",
];

/// The rows that may be in runs: of A32, and of Thumb.
static ROWS: LazyLock<[Vec<Row>; 2]> = LazyLock::new(|| {
    let all = super::decode_rows(|r| r.needs == 0);
    let of = |files: &[&str]| -> Vec<Row> {
        // Exclusive accesses of different sizes are UNPREDICTABLE (A3.4.5).
        let not_run = |name: &str| NOT_RUN.iter().any(|(n, _)| *n == name);
        let never = |name: &str| NEVER.contains(&name) || not_run(name) || name.contains("rex");
        let fit = |r: &&Row| files.contains(&r.file.as_str()) && !never(&r.name);
        all.iter().filter(fit).cloned().collect()
    };
    [of(&["a32", "vfp", "neon"]), of(&["t32", "t16", "vfp", "neon"])]
});

/// Bytes of a run at most, A32 and Thumb. What follows is Undefined, even after an IT block's rest.
const BYTES: [usize; 2] = [28, 24];

/// A random run.
pub fn code(row: &Row, random: &mut Random) -> Record {
    let thumb = row.name == NAMES[1];
    let mut code = Code::new(thumb);
    let rows = &ROWS[usize::from(thumb)];
    let (bytes, mut in_block) = (BYTES[usize::from(thumb)], 0u32);
    while code.len() < bytes {
        if thumb && in_block == 0 && random.one_in(3) && code.len() + 6 <= bytes {
            let (cond, mask) = (random.below(14) as u32, 1 + random.below(15) as u32);
            code.narrow(0xbf00 | cond << 4 | mask);
            in_block = 4 - mask.trailing_zeros();
        }
        let row = &rows[random.below(rows.len() as u64) as usize];
        let shared = matches!(row.file.as_str(), "vfp" | "neon");
        if shared && random.one_in(2) {
            continue; // mostly of the core
        }
        let Some(word) = fitting(row, thumb, random) else {
            continue;
        };
        match set(row) {
            Set::T16 => code.narrow(word),
            _ if code.len() + 4 > bytes => break,
            _ if thumb && shared => code.wide(t32(word)),
            _ => code.wide(word),
        }
        in_block = in_block.saturating_sub(1);
    }
    Record {
        code: code.ended(),
        pc: super::record::CODE + 0x1000 + random.below(0x3f8) as u32 * 4,
        cpsr: random.word() & 0xf80f_0000 | if thumb { T } else { 0 },
        ..Record::zeroed()
    }
}

/// A word of the row that is predictable, stays in the run, and accesses memory by SP if at all. Registers are few.
/// `None`: the row has none, or few.
fn fitting(row: &Row, thumb: bool, random: &mut Random) -> Option<u32> {
    let fields = Fields::of(row);
    let named = |f: char| fields.mask(f).count_ones() == 4;
    let memory = touches_memory(&row.name);
    (0..8).find_map(|_| {
        let mut word = word_of(row, random);
        for f in "dnmahlrset".chars().filter(|f| named(*f)) {
            word &= !(0b1010 << fields.mask(f).trailing_zeros()); // R0, R1, R4, R5
        }
        if memory && named('n') {
            word = word & !fields.mask('n') | 13 << fields.mask('n').trailing_zeros();
        }
        let probe = Record {
            word,
            cpsr: if thumb { T } else { 0 },
            ..Record::zeroed()
        };
        let index = fields.mask('m') != 0 || named('x') && fields.value('x', word) < Some(13);
        let other_base = fields.mask('n') != 0 && !named('n');
        let loads_sp = fields.mask('l').count_ones() >= 8 && fields.value('l', word) > Some(0x1fff);
        // The oracle checks alignment to 16 bytes at most.
        let aligned = row.file == "neon" && memory && word & 0x30 == 0x30;
        let fits = !aligned && is_of(row, word) && !writes_pc(row, word) && unpredictable(row, &probe).is_none();
        (fits && !(memory && (index || other_base || loads_sp))).then_some(word)
    })
}
