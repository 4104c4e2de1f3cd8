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
    let end = match symbol.st_size {
        0 => file
            .next(symbol)
            .map_or(bytes.len(), |next| (next - section.sh_addr) as usize),
        size => start.saturating_add(size as usize),
    };
    let kind = match is_function(symbol) && symbol.st_value & 1 != 0 {
        true => T32,
        false => A32,
    };
    Code {
        bytes: bytes[start..end.min(bytes.len())].to_vec(),
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
    fn no_elf_file_panics() {
        let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\x28\0\x01".to_vec();
        file.resize(0x400, 0xff);
        for len in 0..file.len() {
            assert!(symbol(&file[..len], "main").is_err());
        }
    }
}
