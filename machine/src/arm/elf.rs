//! Code in ELF files for 32-bit ARM: where a function is, and which of its bytes are instructions.

use elf::ElfBytes;
use elf::abi::{
    EM_ARM, R_ARM_CALL, R_ARM_THM_CALL, SHT_DYNSYM, SHT_NOBITS, SHT_REL, SHT_SYMTAB, STB_LOCAL, STT_FUNC,
    STT_GNU_IFUNC, STT_NOTYPE,
};
use elf::endian::LittleEndian;
use elf::section::SectionHeader;
use elf::string_table::StringTable;
use elf::symbol::Symbol;
use emu_firmware::identify::FileKind;
use emu_frontend_arm::state::mode;

use crate::arch::{Code, Kind};

/// A32 instructions.
pub const A32: Kind = Kind::Insns(MODE as u64);
/// T32 instructions.
pub const T32: Kind = Kind::Insns((MODE | mode::T) as u64);
/// User mode, with VFP and Advanced SIMD enabled.
pub const MODE: u32 = mode::VFP | mode::NEON | mode::USER;

/// The function of this name in an ELF file.
///
/// # Errors
/// Why there is none, for the user.
pub fn symbol(file: &[u8], name: &str) -> Result<Code, String> {
    let file = File::parse(file)?;
    let symbol = file.symbol(name)?;
    let (section, bytes) = file.section(symbol.st_shndx)?;
    let address = symbol.st_value & 0xffff_ffff & !u64::from(is_function(symbol));
    let start = address.checked_sub(section.sh_addr);
    let start = start
        .filter(|&at| at < bytes.len() as u64)
        .ok_or("its symbol table is damaged")? as usize;
    // A damaged file's symbols say more than its section has.
    let end = match symbol.st_size {
        0 => file
            .next(symbol)
            .map_or(usize::MAX, |next| (next - section.sh_addr) as usize),
        size => start.saturating_add(size as usize),
    };
    let end = end.min(bytes.len());
    let kind = match is_function(symbol) && symbol.st_value & 1 != 0 {
        true => T32,
        false => A32,
    };
    Code {
        bytes: bytes.get(start..end).unwrap_or_default().to_vec(),
        address,
        parts: file.parts(symbol.st_shndx, section.sh_addr, (start, end), kind),
    }
    .checked()
}

/// The code that an assembler made.
///
/// # Errors
/// Why there is none, for the user.
pub fn object(file: &[u8], kind: Kind) -> Result<Code, String> {
    let file = File::parse(file)?;
    let (index, bytes) = file.text().ok_or("the assembler made no code")?;
    let mut bytes = bytes.to_vec();
    let parts = file.parts(index, 0, (0, bytes.len()), kind);
    file.resolve(index, &mut bytes)?;
    Code {
        bytes,
        address: 0,
        parts,
    }
    .checked()
}

/// An ELF file for 32-bit ARM with its symbols (System V ABI; ELF for the Arm Architecture, Arm IHI 0044).
struct File<'a> {
    elf: ElfBytes<'a, LittleEndian>,
    symbols: Vec<Symbol>,
    names: StringTable<'a>,
    /// It has no symbols but those for dynamic linking.
    stripped: bool,
}

impl<'a> File<'a> {
    fn parse(bytes: &'a [u8]) -> Result<File<'a>, String> {
        let foreign = || format!("not an ELF file for 32-bit ARM but {}", FileKind::of(bytes));
        // The class and the byte order.
        let is_arm = matches!(FileKind::of(bytes), FileKind::Elf { machine: EM_ARM });
        if !is_arm || bytes.get(4) != Some(&1) {
            return Err(foreign());
        }
        let damaged = |e: elf::ParseError| format!("a damaged ELF file: {e}");
        if bytes.get(5) != Some(&1) {
            return Err("an ELF file for big-endian ARM".into());
        }
        let elf = ElfBytes::<LittleEndian>::minimal_parse(bytes).map_err(damaged)?;
        let tables = [SHT_SYMTAB, SHT_DYNSYM];
        let headers = elf.section_headers();
        let has = |kind| headers.is_some_and(|all| all.iter().any(|s| s.sh_type == kind));
        let kind = tables.into_iter().find(|kind| has(*kind));
        let table = match kind {
            Some(SHT_SYMTAB) => elf.symbol_table(),
            Some(_) => elf.dynamic_symbol_table(),
            None => return Err("it has no symbols (it was stripped)".into()),
        };
        let (symbols, names) = table.map_err(damaged)?.ok_or("it has no symbols (it was stripped)")?;
        Ok(File {
            symbols: symbols.iter().collect(),
            names,
            stripped: kind != Some(SHT_SYMTAB),
            elf,
        })
    }

    fn name(&self, symbol: &Symbol) -> &'a str {
        self.names.get(symbol.st_name as usize).unwrap_or_default()
    }

    /// The symbol of that name that is defined here, a global one before local ones.
    fn symbol(&self, name: &str) -> Result<&Symbol, String> {
        let all: Vec<&Symbol> = self.symbols.iter().filter(|s| self.name(s) == name).collect();
        if all.is_empty() {
            let rest = if self.stripped { " (it was stripped)" } else { "" };
            return Err(format!("it has no symbol of that name{}{rest}", self.near(name)));
        }
        let defined = || all.iter().copied().filter(|s| !s.is_undefined());
        let found = defined()
            .find(|s| s.st_bind() != STB_LOCAL)
            .or_else(|| defined().next());
        let found = found.ok_or("it is defined in another file")?;
        match found.st_symtype() {
            STT_NOTYPE => Ok(found),
            _ if is_function(found) => Ok(found),
            _ => Err("it is data".into()),
        }
    }

    /// A hint at symbols whose names have this one in them.
    fn near(&self, name: &str) -> String {
        let wanted = name.to_lowercase();
        let functions = self.symbols.iter().filter(|s| is_function(s) && !s.is_undefined());
        let mut names: Vec<&str> = functions
            .map(|s| self.name(s))
            .filter(|n| n.to_lowercase().contains(&wanted))
            .collect();
        names.sort_unstable_by_key(|n| (n.len(), *n));
        names.dedup();
        names.truncate(3);
        match names.is_empty() {
            true => String::new(),
            false => format!("; similar: {}", names.join(", ")),
        }
    }

    /// A section that holds code, with its bytes.
    fn section(&self, index: u16) -> Result<(SectionHeader, &'a [u8]), String> {
        let headers = self.elf.section_headers().ok_or("it has no sections")?;
        let section = headers.get(index.into()).map_err(|_| "it is no code")?;
        if section.sh_type == SHT_NOBITS {
            return Err("it is no code".into());
        }
        let (bytes, _) = self
            .elf
            .section_data(&section)
            .map_err(|e| format!("a damaged ELF file: {e}"))?;
        Ok((section, bytes))
    }

    /// The section `.text`: its number and its bytes.
    fn text(&self) -> Option<(u16, &'a [u8])> {
        let (headers, names) = self.elf.section_headers_with_strtab().ok()?;
        let names = names?;
        let is_text = |s: &SectionHeader| names.get(s.sh_name as usize).is_ok_and(|n| n == ".text");
        let index = headers?.iter().position(|s| is_text(&s))? as u16;
        Some((index, self.section(index).ok()?.1))
    }

    /// Calls to labels of the same section, which some assemblers leave to a linker.
    fn resolve(&self, section: u16, bytes: &mut [u8]) -> Result<(), String> {
        let headers = self.elf.section_headers().ok_or("it has no sections")?;
        let of_section = |s: &SectionHeader| s.sh_type == SHT_REL && s.sh_info == u32::from(section);
        let Some(table) = headers.iter().find(of_section) else {
            return Ok(());
        };
        let damaged = |e: elf::ParseError| format!("a damaged ELF file: {e}");
        for relocation in self.elf.section_data_as_rels(&table).map_err(damaged)? {
            let symbol = self.symbols.get(relocation.r_sym as usize);
            let here = symbol.filter(|s| s.st_shndx == section);
            let name = symbol.map_or("?", |s| self.name(s));
            let undefined = || format!("{name:?} is not defined");
            let (symbol, at) = (here.ok_or_else(undefined)?, relocation.r_offset as usize);
            let call = bytes
                .get_mut(at..)
                .and_then(|rest| rest.first_chunk_mut::<4>())
                .ok_or_else(undefined)?;
            let target = symbol.st_value as u32 & !u32::from(is_function(symbol));
            match relocation.r_type {
                R_ARM_CALL => call_arm(call, at as u32, target),
                R_ARM_THM_CALL => call_thumb(call, at as u32, target),
                _ => return Err(undefined()),
            }
        }
        Ok(())
    }

    /// Where the next function or label after this one is.
    fn next(&self, symbol: &Symbol) -> Option<u64> {
        let is_code = |s: &Symbol| is_function(s) || s.st_symtype() == STT_NOTYPE;
        let same = |s: &&Symbol| s.st_shndx == symbol.st_shndx && is_code(s);
        let named = |s: &&Symbol| mapped(self.name(s)).is_none();
        let values = self.symbols.iter().filter(same).filter(named).map(|s| s.st_value & !1);
        values.filter(|value| *value > symbol.st_value).min()
    }

    /// The parts of the bytes from `start` to `end` of a section at `base`, by its mapping symbols; `kind` where there is
    /// none before.
    fn parts(&self, section: u16, base: u64, (start, end): (usize, usize), kind: Kind) -> Vec<(usize, Kind)> {
        let mapping = self.symbols.iter().filter(|s| s.st_shndx == section);
        let mapping = mapping.filter_map(|s| Some((s.st_value.checked_sub(base)? as usize, mapped(self.name(s))?)));
        let mut marks: Vec<(usize, Kind)> = mapping.filter(|m| m.0 < end).collect();
        marks.sort_unstable();
        let first = marks.iter().rev().find(|m| m.0 <= start).map_or(kind, |m| m.1);
        let mut parts = vec![(0, first)];
        for (at, kind) in marks.into_iter().filter(|m| m.0 > start) {
            if parts.last().is_some_and(|last| last.1 != kind) {
                parts.push((at - start, kind));
            }
        }
        parts
    }
}

/// Whether the low bit of its value says that it is Thumb code.
fn is_function(symbol: &Symbol) -> bool {
    matches!(symbol.st_symtype(), STT_FUNC | STT_GNU_IFUNC)
}

/// What follows a mapping symbol (Arm IHI 0044, 5.5.5).
fn mapped(name: &str) -> Option<Kind> {
    let kind = match name.get(..2)? {
        "$a" => A32,
        "$t" => T32,
        "$d" => Kind::Data,
        _ => return None,
    };
    matches!(name.as_bytes().get(2), None | Some(b'.')).then_some(kind)
}

/// Makes BL or BLX at `at`, which holds an offset to be added, go to `target` (Arm IHI 0044, R_ARM_CALL).
fn call_arm(insn: &mut [u8; 4], at: u32, target: u32) {
    let word = u32::from_le_bytes(*insn);
    let exchanges = word >> 28 == 15;
    let half = if exchanges { word >> 24 & 1 } else { 0 };
    let addend = (word << 8) as i32 >> 6 | (half << 1) as i32;
    let offset = target.wrapping_add_signed(addend).wrapping_sub(at);
    let half = if exchanges {
        (offset >> 1 & 1) << 24 | word & 0xfe00_0000
    } else {
        word & 0xff00_0000
    };
    *insn = (half | offset >> 2 & 0xff_ffff).to_le_bytes();
}

/// The same for Thumb (R_ARM_THM_CALL).
fn call_thumb(insn: &mut [u8; 4], at: u32, target: u32) {
    let [first, second] = [[insn[0], insn[1]], [insn[2], insn[3]]].map(|b| u32::from(u16::from_le_bytes(b)));
    let sign = first >> 10 & 1;
    // J1 and J2 are the bits below the sign, inverted if it is clear.
    let bit = |j: u32| (second >> j & 1) ^ sign ^ 1;
    let raw = sign << 24 | bit(13) << 23 | bit(11) << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
    let addend = (raw << 7) as i32 >> 7;
    let at = if second >> 12 & 1 == 0 { at & !3 } else { at };
    let offset = target.wrapping_add_signed(addend).wrapping_sub(at);
    let sign = offset >> 24 & 1;
    let j = |bit: u32| (offset >> bit & 1) ^ sign ^ 1;
    let first = first & 0xf800 | sign << 10 | offset >> 12 & 0x3ff;
    let second = second & 0xd000 | j(23) << 13 | j(22) << 11 | offset >> 1 & 0x7ff;
    insn[..2].copy_from_slice(&(first as u16).to_le_bytes());
    insn[2..].copy_from_slice(&(second as u16).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_ir::testing::Random;

    /// What `bl` and `blx` to 0x20 are in GNU's assembler, which leaves nothing to a linker, from LLVM's, which does.
    #[test]
    fn calls_are_resolved() {
        let mut bl = 0xeb00_0006_u32.to_le_bytes();
        call_arm(&mut bl, 8, 0);
        assert_eq!(u32::from_le_bytes(bl), 0xeb00_0004);
        let mut blx = 0xfa00_0006_u32.to_le_bytes();
        call_arm(&mut blx, 12, 0);
        assert_eq!(u32::from_le_bytes(blx), 0xfa00_0003);
        let mut thumb = [0x00, 0xf0, 0x0e, 0xf8];
        call_thumb(&mut thumb, 6, 0);
        assert_eq!(thumb, [0x00, 0xf0, 0x0b, 0xf8]);
    }

    #[test]
    fn mapping_symbols() {
        assert_eq!(mapped("$a"), Some(A32));
        assert_eq!(mapped("$t.12"), Some(T32));
        assert_eq!(mapped("$d"), Some(Kind::Data));
        for name in ["", "$", "$x", "$about", "main"] {
            assert_eq!(mapped(name), None, "{name}");
        }
    }

    #[test]
    fn no_cut_elf_file_panics() {
        let file = file(&CODE);
        for len in 0..file.len() {
            assert!(symbol(&file[..len], "main").is_err());
        }
    }

    /// Two T32 instructions and a literal: a function that its symbols say is `size` bytes long, its mapping symbols at
    /// these places.
    struct Symbols {
        size: u32,
        mapping: [(u32, &'static str); 2],
    }

    const CODE: Symbols = Symbols {
        size: 8,
        mapping: [(0, "$t"), (4, "$d")],
    };

    /// An object file: the header, `.text`, its symbols, their names, and the headers of the sections.
    fn file(symbols: &Symbols) -> Vec<u8> {
        const TEXT: [u8; 8] = [0x01, 0x20, 0x70, 0x47, 1, 2, 3, 4];
        const NAMES: &[u8] = b"\0main\0$t\0$d\0.text\0.symtab\0.strtab\0";
        let name = |text: &str| NAMES.windows(text.len()).position(|at| at == text.as_bytes()).unwrap() as u32;
        let symbol = |name: u32, value: u32, size: u32, info: u8| {
            let words: Vec<u8> = [name, value, size].iter().flat_map(|word| word.to_le_bytes()).collect();
            [&words[..], &[info, 0, 1, 0]].concat()
        };
        let mut table = vec![0; 16];
        for (at, text) in symbols.mapping {
            table.extend(symbol(name(text), at, 0, 0));
        }
        table.extend(symbol(name("main"), 1, symbols.size, 0x12));
        let (text_at, table_at) = (0x34, 0x34 + TEXT.len() as u32);
        let names_at = table_at + table.len() as u32;
        let headers_at = (names_at + NAMES.len() as u32).next_multiple_of(4);
        let sections = [
            [0; 10],
            [name(".text"), 1, 6, 0, text_at, TEXT.len() as u32, 0, 0, 4, 0],
            [name(".symtab"), 2, 0, 0, table_at, table.len() as u32, 3, 3, 4, 16],
            [name(".strtab"), 3, 0, 0, names_at, NAMES.len() as u32, 0, 0, 1, 0],
        ];
        let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\x28\0\x01\0\0\0".to_vec();
        file.extend([0; 8]);
        file.extend(headers_at.to_le_bytes());
        file.extend([0, 0, 0, 5, 0x34, 0, 0, 0, 0, 0, 0x28, 0, sections.len() as u8, 0, 3, 0]);
        file.extend(TEXT);
        file.extend(table);
        file.extend(NAMES);
        file.resize(headers_at as usize, 0);
        file.extend(sections.iter().flatten().flat_map(|word| word.to_le_bytes()));
        file
    }

    /// What a function's parts are, and how long each is.
    fn parts(file: &[u8]) -> Result<Vec<(Kind, usize)>, String> {
        let code = symbol(file, "main")?;
        Ok(code.parts().map(|(_, kind, bytes)| (kind, bytes.len())).collect())
    }

    #[test]
    fn mapping_symbols_tell_instructions_from_data() {
        assert_eq!(parts(&file(&CODE)), Ok(vec![(T32, 4), (Kind::Data, 4)]));
    }

    #[test]
    fn symbols_behind_the_end_of_the_code_say_nothing() {
        let symbols = Symbols {
            size: 0x1000,
            mapping: [(0, "$t"), (0x100, "$d")],
        };

        assert_eq!(parts(&file(&symbols)), Ok(vec![(T32, 8)]));
    }

    #[test]
    fn no_damaged_elf_file_panics() {
        let mut found = 0;
        for seed in 0..20_000 {
            let mut random = Random::scattered(seed);
            let mut file = file(&CODE);
            for _ in 0..1 + random.below(4) {
                let at = random.below(file.len() as u64) as usize;
                file[at] = random.pick(&[0, 1, 3, 7, 0x40, 0x80, 0xff]);
            }
            found += usize::from(parts(&file).is_ok());
            let _ = object(&file, T32);
        }
        assert!(found > 5_000, "{found} were not damaged enough");
    }
}
