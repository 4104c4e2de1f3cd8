//! Code in ELF files: where a function is, and which of its bytes are instructions.
//!
//! What differs between the instruction sets' architectures is an [`Isa`].

use std::marker::PhantomData;

use elf::ElfBytes;
use elf::abi::{SHT_DYNSYM, SHT_NOBITS, SHT_REL, SHT_RELA, SHT_SYMTAB, STB_LOCAL, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE};
use elf::endian::LittleEndian;
use elf::section::SectionHeader;
use elf::string_table::StringTable;
use elf::symbol::Symbol;
use emu_firmware::identify::FileKind;

use crate::arch::{Code, Kind};

/// What is an architecture's own.
pub trait Isa {
    /// Its number (`e_machine`).
    const MACHINE: u16;
    /// Its files' class: 1 for 32 bits, 2 for 64 (`EI_CLASS`).
    const CLASS: u8;
    /// What it is called.
    const NAME: &'static str;

    /// The address that a symbol stands for.
    fn address(symbol: &Symbol) -> u64;
    /// What is at a function's symbol.
    fn kind(symbol: &Symbol) -> Kind;
    /// What follows a mapping symbol of this letter.
    fn mapped(letter: u8) -> Option<Kind>;
    /// Links an instruction at `at` with what it names, at `target` (with the relocation's addend). `None`: this relocation is
    /// not for code alone.
    fn link(relocation: u32, insn: &mut [u8; 4], at: u64, target: u64) -> Option<()>;
}

/// The function of this name in an ELF file.
///
/// # Errors
/// Why there is none, for the user.
pub fn symbol<I: Isa>(file: &[u8], name: &str) -> Result<Code, String> {
    let file = File::<I>::parse(file)?;
    let symbol = file.symbol(name)?;
    let (section, bytes) = file.section(symbol.st_shndx)?;
    let address = I::address(symbol);
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
    Code {
        bytes: bytes.get(start..end).unwrap_or_default().to_vec(),
        address,
        parts: file.parts(symbol.st_shndx, section.sh_addr, (start, end), I::kind(symbol)),
    }
    .checked()
}

/// The code that an assembler made.
///
/// # Errors
/// Why there is none, for the user.
pub fn object<I: Isa>(file: &[u8], kind: Kind) -> Result<Code, String> {
    let file = File::<I>::parse(file)?;
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

/// An ELF file with its symbols (System V ABI; ELF for the Arm Architecture, Arm IHI 0044 and IHI 0056).
struct File<'a, I> {
    elf: ElfBytes<'a, LittleEndian>,
    symbols: Vec<Symbol>,
    names: StringTable<'a>,
    /// It has no symbols but those for dynamic linking.
    stripped: bool,
    isa: PhantomData<I>,
}

impl<'a, I: Isa> File<'a, I> {
    fn parse(bytes: &'a [u8]) -> Result<File<'a, I>, String> {
        let foreign = || format!("not an ELF file for {} but {}", I::NAME, FileKind::of(bytes));
        // The class and the byte order.
        let is_ours = matches!(FileKind::of(bytes), FileKind::Elf { machine } if machine == I::MACHINE);
        if !is_ours || bytes.get(4) != Some(&I::CLASS) {
            return Err(foreign());
        }
        let damaged = |e: elf::ParseError| format!("a damaged ELF file: {e}");
        if bytes.get(5) != Some(&1) {
            return Err(format!("an ELF file for big-endian {}", I::NAME));
        }
        let elf = ElfBytes::<LittleEndian>::minimal_parse(bytes).map_err(damaged)?;
        let tables = [SHT_SYMTAB, SHT_DYNSYM];
        let headers = elf.section_headers();
        let has = |kind| headers.is_some_and(|all| all.iter().any(|s| s.sh_type == kind));
        let kind = tables.into_iter().find(|kind| has(*kind));
        let table = match kind {
            Some(SHT_SYMTAB) => elf.symbol_table(),
            Some(_) => elf.dynamic_symbol_table(),
            None => Ok(None),
        };
        let (symbols, names) = match table.map_err(damaged)? {
            Some((symbols, names)) => (symbols.iter().collect(), names),
            None => (Vec::new(), StringTable::new(&[])),
        };
        Ok(File {
            symbols,
            names,
            stripped: kind != Some(SHT_SYMTAB),
            elf,
            isa: PhantomData,
        })
    }

    fn name(&self, symbol: &Symbol) -> &'a str {
        self.names.get(symbol.st_name as usize).unwrap_or_default()
    }

    /// The symbol of that name that is defined here, a global one before local ones.
    fn symbol(&self, name: &str) -> Result<&Symbol, String> {
        let all: Vec<&Symbol> = self.symbols.iter().filter(|s| self.name(s) == name).collect();
        if self.symbols.is_empty() {
            return Err("it has no symbols (it was stripped)".into());
        }
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

    /// What names labels of the same section, which some assemblers leave to a linker.
    fn resolve(&self, section: u16, bytes: &mut [u8]) -> Result<(), String> {
        for (offset, symbol, kind, addend) in self.relocations(section)? {
            let symbol = self.symbols.get(symbol as usize);
            let here = symbol.filter(|s| s.st_shndx == section);
            let name = symbol.map_or("?", |s| self.name(s));
            let undefined = || format!("{name:?} is not defined");
            let target = I::address(here.ok_or_else(undefined)?).wrapping_add_signed(addend);
            let insn = bytes.get_mut(offset as usize..).and_then(|rest| rest.first_chunk_mut());
            let linked = insn.and_then(|insn| I::link(kind, insn, offset, target));
            linked.ok_or_else(|| format!("{name:?} stands where only a linker knows its address"))?;
        }
        Ok(())
    }

    /// A section's relocations: where, the symbol's number, what kind, the addend.
    fn relocations(&self, section: u16) -> Result<Vec<(u64, u32, u32, i64)>, String> {
        let headers = self.elf.section_headers().ok_or("it has no sections")?;
        let damaged = |e: elf::ParseError| format!("a damaged ELF file: {e}");
        let mut all = Vec::new();
        for table in headers.iter().filter(|s| s.sh_info == u32::from(section)) {
            match table.sh_type {
                SHT_REL => {
                    let rels = self.elf.section_data_as_rels(&table).map_err(damaged)?;
                    all.extend(rels.map(|r| (r.r_offset, r.r_sym, r.r_type, 0)));
                }
                SHT_RELA => {
                    let rels = self.elf.section_data_as_relas(&table).map_err(damaged)?;
                    all.extend(rels.map(|r| (r.r_offset, r.r_sym, r.r_type, r.r_addend)));
                }
                _ => {}
            }
        }
        Ok(all)
    }

    /// Where the next function or label after this one is.
    fn next(&self, symbol: &Symbol) -> Option<u64> {
        let is_code = |s: &Symbol| is_function(s) || s.st_symtype() == STT_NOTYPE;
        let same = |s: &&Symbol| s.st_shndx == symbol.st_shndx && is_code(s);
        let named = |s: &&Symbol| mapped::<I>(self.name(s)).is_none();
        let values = self.symbols.iter().filter(same).filter(named).map(I::address);
        values.filter(|value| *value > I::address(symbol)).min()
    }

    /// The parts of the bytes from `start` to `end` of a section at `base`, by its mapping symbols; `kind` where there is
    /// none before.
    fn parts(&self, section: u16, base: u64, (start, end): (usize, usize), kind: Kind) -> Vec<(usize, Kind)> {
        let mapping = self.symbols.iter().filter(|s| s.st_shndx == section);
        let mapping =
            mapping.filter_map(|s| Some((s.st_value.checked_sub(base)? as usize, mapped::<I>(self.name(s))?)));
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

/// Whether it says that it is a function.
pub fn is_function(symbol: &Symbol) -> bool {
    matches!(symbol.st_symtype(), STT_FUNC | STT_GNU_IFUNC)
}

/// What follows a mapping symbol (Arm IHI 0044, 5.5.5; Arm IHI 0056, 5.5.4).
pub fn mapped<I: Isa>(name: &str) -> Option<Kind> {
    match name.as_bytes() {
        [b'$', letter] | [b'$', letter, b'.', ..] => match letter {
            b'd' => Some(Kind::Data),
            letter => I::mapped(*letter),
        },
        _ => None,
    }
}
