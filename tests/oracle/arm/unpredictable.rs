//! Encodings that the manual calls UNPREDICTABLE (Arm ARM DDI 0406C, A8.8): a CPU may do anything there that software may
//! do in User mode. Here most are Undefined; the oracle executes most.

use super::super::Row;
use super::record::{Record, T};
use super::words::{Fields, touches_memory};

const R15: &str = "\"if d == 15 || n == 15 || m == 15 then UNPREDICTABLE\" and its like: A8.8, by instruction";
const SAME: &str = "\"if dHi == dLo then UNPREDICTABLE\", \"if t == t2 then UNPREDICTABLE\": A8.8, by instruction";
const BASE: &str = "\"if wback && (n == 15 || n == t) then UNPREDICTABLE\": A8.8, by instruction";
const LIST: &str = "\"if n == 15 || BitCount(registers) < 2 || (P == '1' && M == '1') then UNPREDICTABLE\", \"if wback && \
                    registers<n> == '1' then UNPREDICTABLE\", register_list is (0) for SP: A8.8.57 to 60, A8.8.199 to 202";
const USER: &str =
    "LDM, STM (User registers), LDM (exception return): \"UNPREDICTABLE in User or System modes\": B9.3.5 to 17";
const EVEN: &str = "\"if Rt<0> == '1' then UNPREDICTABLE\", \"if t2 == 15 then UNPREDICTABLE\": A8.8.72, 76, 211, 214";
const STATUS: &str = "\"if d == n || d == t then UNPREDICTABLE\": A8.8.212 to 215";
const FIELD: &str =
    "\"if msbit < lsbit then UNPREDICTABLE\", \"if msbit > 31 then UNPREDICTABLE\": A8.8.19, 20, 164, 246";
const RETURN: &str = "SUBS PC, LR and related: \"UNPREDICTABLE if executed in User or System mode\": B9.3.19, B9.3.20";
const CPS: &str = "\"if (imod == '00' && M == '0') || imod == '01' then UNPREDICTABLE\": B9.3.2";
const SHOULD: &str =
    "\"(0) or (1): if the bit is not the specified value, the instruction is UNPREDICTABLE\": A5.1.2, A6.1.1";
const REGISTERS: &str =
    "\"if n == 15 || d+regs > 32 then UNPREDICTABLE\" and its like: A8.8.320 to 332, A8.8.404 to 413";
const FRACTION: &str = "\"if frac_bits < 0 then UNPREDICTABLE\": A8.8.308";
const PERMUTED: &str = "\"if d == m then UNPREDICTABLE\": A8.8.420, 423, 424";

/// Why a record's instruction is UNPREDICTABLE.
pub fn unpredictable(row: &Row, r: &Record) -> Option<&'static str> {
    let insn = Insn {
        row,
        fields: Fields::of(row),
        word: r.word,
        thumb: r.cpsr & T != 0,
    };
    match row.file.as_str() {
        "vfp" => insn.vfp(),
        "neon" => insn.neon(),
        _ if touches_memory(&row.name) => insn.memory(),
        _ => insn.core(),
    }
}

struct Insn<'a> {
    row: &'a Row,
    fields: Fields<'a>,
    word: u32,
    thumb: bool,
}

impl Insn<'_> {
    fn get(&self, field: char) -> Option<u32> {
        self.fields.value(field, self.word)
    }
    fn is(&self, field: char, value: u32) -> bool {
        self.get(field) == Some(value)
    }
    fn same(&self, a: char, b: char) -> bool {
        self.get(a).is_some_and(|v| self.is(b, v))
    }
    fn named(&self, names: &[&str]) -> bool {
        names.contains(&self.row.name.as_str())
    }
    /// Whether one of the fields is there, names a register, and names this one.
    fn names(&self, fields: &str, register: u32) -> bool {
        let mut all = fields.chars();
        all.any(|f| self.fields.mask(f).count_ones() == 4 && self.is(f, register))
    }

    fn core(&self) -> Option<&'static str> {
        let name = self.row.name.as_str();
        let narrow = self.row.file == "t16";
        // Bits of T32's bit reversals that repeat Rm, and of T16's branches.
        let repeated = ["rev", "rev16", "revsh", "rbit", "clz"].contains(&name) && self.thumb && !narrow;
        let narrow_saturation = self.thumb && self.named(&["ssat", "usat"]) && self.is('h', 1) && self.is('k', 0);
        let zeros = narrow && self.named(&["bx", "blx", "setend"]) && self.word & 7 != 0;
        if repeated && self.word >> 16 & 15 != self.word & 15 || narrow_saturation || zeros {
            return Some(SHOULD);
        }
        if self.is('s', 1) && self.is('d', 15) {
            return Some(RETURN);
        }
        if name == "cps" && (self.is('i', 1) || self.is('i', 0) && self.is('c', 0)) {
            return Some(CPS);
        }
        let inverted = self.named(&["bfi", "bfc"]) && self.get('e') < self.get('l');
        let long = self.named(&["sbfx", "ubfx"]) && self.get('l')? + self.get('w')? > 31;
        if inverted || long {
            return Some(FIELD);
        }
        if self.fields.mask('h').count_ones() == 4 && self.same('h', 'l') {
            return Some(SAME);
        }
        // Data processing and branches of A32 work on R15, as do additions of constants to it in T32.
        let constant = self.named(&["add_plain", "sub_plain"]) && !self.is('d', 15);
        let free =
            narrow || constant || !self.thumb && (name.ends_with("_imm") || name.ends_with("_reg")) || name == "bx";
        let pc = self.names("dnmahlrst", 15) || name == "mcr" && self.word >> 12 & 15 == 15;
        (!free && pc).then_some(R15)
    }

    fn memory(&self) -> Option<&'static str> {
        let name = self.row.name.as_str();
        if self.fields.mask('l').count_ones() >= 8 {
            return self.list();
        }
        let ordered = name.starts_with("lda") || name.starts_with("stl");
        let exclusive = name.contains("rex") || ordered;
        let dual = name.starts_with("ldrd") || name.starts_with("strd") || name.contains("exd");
        if dual && !self.thumb && self.get('s').or(self.get('d')).is_some_and(|d| d & 1 != 0 || d == 14) {
            return Some(EVEN);
        }
        if exclusive && name.starts_with("st") && "nse".chars().any(|f| self.same('d', f)) {
            return Some(STATUS);
        }
        let swap = name.starts_with("swp");
        let loaded_index = name.starts_with("ldrd") && self.get('m').is_some_and(|m| self.is('d', m & !1));
        let twice = dual && name.starts_with("ld") && self.same('d', 'e');
        if loaded_index || twice || swap && (self.same('n', 'm') || self.same('n', 'd')) {
            return Some(SAME);
        }
        let writes = self.get('x').is_some_and(|x| x & 4 == 0 || x & 1 != 0) || self.get('u').is_some();
        if writes && (self.is('n', 15) || self.same('n', 'd') || self.same('n', 'e')) {
            return Some(BASE);
        }
        // Words may be loaded to and, in A32, stored from R15; R15 may be a base.
        let word = self.named(&["ldr_imm", "ldr_reg"]) || !self.thumb && self.named(&["str_imm", "str_reg"]);
        let base = !exclusive && !swap && (name.starts_with("ld") || !self.thumb) || name.starts_with("tb");
        let pc = self.names("mset", 15) || self.is('d', 15) && !word || self.is('n', 15) && !base;
        let sp = self.thumb && (self.names("mset", 13) || self.is('d', 13) && (exclusive || dual));
        (pc || sp).then_some(R15)
    }

    fn list(&self) -> Option<&'static str> {
        let (list, wide) = (self.get('l')?, self.thumb && self.row.file == "t32");
        if self.row.name.contains("_user") || self.row.name.contains("_exception") {
            return Some(USER);
        }
        let few = list.count_ones() < if wide { 2 } else { 1 };
        let barred = if self.row.name.starts_with("st") {
            0xa000
        } else {
            0x2000
        };
        let special = wide && (list & barred != 0 || list >> 14 == 3);
        let base = self
            .get('n')
            .is_some_and(|n| n == 15 || self.is('w', 1) && list >> n & 1 != 0);
        (few || special || base).then_some(LIST)
    }

    fn vfp(&self) -> Option<&'static str> {
        let name = self.row.name.as_str();
        if name.ends_with("_fixed") {
            let size = if self.word & 0x80 != 0 { 32 } else { 16 };
            let bits = (self.word & 15) << 1 | self.word >> 5 & 1;
            return (bits > size).then_some(FRACTION);
        }
        if touches_memory(name) {
            return self.vfp_memory();
        }
        if name != "vmrs" && (self.names("tu", 15) || self.thumb && self.names("tu", 13)) {
            return Some(R15);
        }
        if name.starts_with("vmov_from") && self.same('t', 'u') {
            return Some(SAME);
        }
        (name.ends_with("two_singles") && self.word & 0x2f == 0x2f).then_some(REGISTERS)
    }

    fn vfp_memory(&self) -> Option<&'static str> {
        let (d, i, double) = (self.get('d')?, self.get('i')?, self.is('z', 1));
        let multiple = self.row.name.len() > 4;
        let (first, count) = if double {
            (d, i / 2)
        } else {
            ((d & 15) << 1 | d >> 4, i)
        };
        let beyond = count == 0 || first + count > 32 || double && count > 16;
        let writes = multiple && !self.is('w', 0);
        let base = self.is('n', 15) && (writes || self.thumb && (multiple || self.row.name == "vstr"));
        (multiple && beyond || base).then_some(REGISTERS)
    }

    fn neon(&self) -> Option<&'static str> {
        if touches_memory(&self.row.name) {
            return (self.is('n', 15) || last_register(self.word) > 31).then_some(REGISTERS);
        }
        (self.named(&["vtrn", "vuzp", "vzip"]) && self.same('d', 'm')).then_some(PERMUTED)
    }
}

/// The last register of a load or store of structures (A32: A7.7).
fn last_register(word: u32) -> u32 {
    let d = word >> 18 & 16 | word >> 12 & 15;
    let elements = word >> 8 & 3;
    let more = match (word >> 23 & 1, word >> 10 & 3, word >> 8 & 15) {
        (0, _, 0x7) => 0,
        (0, _, 0xa | 0x8) => 1,
        (0, _, 0x6 | 0x9 | 0x4) => 2,
        (0, _, 0x2 | 0x3 | 0x0) => 3,
        (0, _, 0x5) => 4,
        (0, _, _) => 6,
        (_, 3, _) if elements == 0 => word >> 5 & 1,
        (_, 3, _) => elements << (word >> 5 & 1),
        (_, 0, _) => elements,
        (_, size, _) => elements << (word >> (4 + size) & 1),
    };
    d + more
}
