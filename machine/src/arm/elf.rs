//! Code in ELF files for ARM.

pub mod a32;
pub mod a64;

#[cfg(test)]
mod tests {
    use super::a32::{A32, Arm, T32};
    use super::a64::{A64, Aarch64};
    use crate::arch::Kind;
    use crate::object::{mapped, object, symbol};
    use emu_ir::testing::Random;

    #[test]
    fn mapping_symbols() {
        assert_eq!(mapped::<Arm>("$a"), Some(A32));
        assert_eq!(mapped::<Arm>("$t.12"), Some(T32));
        assert_eq!(mapped::<Arm>("$d"), Some(Kind::Data));
        for name in ["", "$", "$x", "$about", "main"] {
            assert_eq!(mapped::<Arm>(name), None, "{name}");
        }
        assert_eq!(mapped::<Aarch64>("$x.1"), Some(A64));
        assert_eq!(mapped::<Aarch64>("$a"), None);
    }

    #[test]
    fn no_cut_elf_file_panics() {
        let file = file(&CODE);
        for len in 0..file.len() {
            assert!(symbol::<Arm>(&file[..len], "main").is_err());
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
        let code = symbol::<Arm>(file, "main")?;
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
            let _ = object::<Arm>(&file, T32);
        }
        assert!(found > 5_000, "{found} were not damaged enough");
    }
}
