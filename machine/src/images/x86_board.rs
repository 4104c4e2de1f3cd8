//! What is placed in the memory of a board of x86.

use std::path::Path;

use emu_firmware::x86;

use super::{Images, Lying, MAX_INITRD, Payload, Placed, Start, read};
use crate::arch::{Kernel, Tables};
use crate::error::Error;
use crate::processor;

impl Images {
    /// Places everything in the memory of a board of x86. `seed` is for Linux.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] naming the option whose file does not fit.
    pub fn place_x86<'a>(&'a self, tables: Tables, seed: Option<&[u8]>) -> Result<Placed<'a>, Error> {
        let Payload::Kernel(start) = &self.payload else {
            return Err(Error::host(
                "cannot start",
                std::io::Error::other("no firmware runs here"),
            ));
        };
        let Some(Kernel::X86(kernel)) = &start.kernel else {
            return Err(Error::host("cannot start", std::io::Error::other("no kernel of x86")));
        };
        let command_line = start.words(kernel, &tables);
        let initrd = start.initrd.iter().map(|(bytes, _)| x86::Module {
            bytes,
            command_line: "",
        });
        let modules = start.modules.iter().map(|(bytes, words)| x86::Module {
            bytes,
            command_line: words,
        });
        let modules: Vec<x86::Module<'a>> = initrd.chain(modules).collect();
        let given = x86::Start {
            map: &tables.map,
            command_line: &command_line,
            modules: &modules,
            rsdp: tables.rsdp,
            seed,
            device_tree: None,
        };
        let placement = x86::place(kernel, &given).map_err(|error| Error::Input {
            option: match error.part() {
                x86::Part::Kernel => start.options[0].clone(),
                x86::Part::Initrd | x86::Part::Module(_) => start.options[1].clone(),
                x86::Part::CommandLine => "--append".to_owned(),
                x86::Part::Tables => "--memory".to_owned(),
            },
            reason: error.to_string(),
        })?;
        let owned = |(address, bytes): (u64, Vec<u8>)| Lying {
            address,
            size: bytes.len() as u64,
            bytes: bytes.into(),
        };
        let entry = placement.entry;
        let mut pieces: Vec<Lying<'_>> = tables.placed.into_iter().map(owned).collect();
        pieces.extend(
            placement
                .into_pieces()
                .map(|(address, bytes, size)| Lying { address, bytes, size }),
        );
        Ok(Placed {
            pieces,
            flash: Vec::new(),
            dtb_address: 0,
            dtb: Vec::new(),
            start: processor::Start::Entry(entry),
        })
    }
}

impl Start {
    /// The kernel's command line: the user's words, and before them for Linux what tells it of the board.
    fn words(&self, kernel: &x86::Kernel, tables: &Tables) -> String {
        let own = self.command_line.as_str();
        if !matches!(kernel, x86::Kernel::Linux(_) | x86::Kernel::Pvh(_)) {
            return own.to_owned();
        }
        let without_acpi = own.split_whitespace().any(|word| word == "acpi=off");
        let more = tables.words_without_acpi.iter().filter(|_| without_acpi);
        let words = tables.words.iter().chain(more).map(String::as_str);
        words
            .chain([own])
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Files for a multiboot kernel, as QEMU names them: commas between them, and words behind a file's name. A comma in a name or
/// word is written twice.
pub fn read_modules(list: &Path) -> Result<Vec<(Vec<u8>, String)>, Error> {
    const COMMA: &str = "\0";
    let list = list.to_string_lossy().replace(",,", COMMA);
    let module = |text: &str| {
        let text = text.replace(COMMA, ",");
        let (path, words) = text.split_once(' ').unwrap_or((&text, ""));
        Ok((read("--initrd", Path::new(path), MAX_INITRD)?, words.to_owned()))
    };
    list.split(',').map(module).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_firmware::identify::Isa;
    use emu_firmware::x86::Map;
    use std::fs;

    fn tables() -> Tables {
        Tables {
            map: Map::new(&[emu_firmware::fdt::Region::new(0, 4 << 20)], &[]),
            placed: vec![(0xe_0000, vec![1; 4])],
            rsdp: None,
            words: vec!["tsc".to_owned()],
            words_without_acpi: vec!["virtio".to_owned()],
        }
    }

    /// A multiboot kernel with its header alone, at 1 MiB.
    fn multiboot() -> x86::Kernel {
        const AT: u32 = 0x10_0000;
        let sum = 0_u32.wrapping_sub(0x1bad_b002 + 0x1_0000);
        let header = [0x1bad_b002, 0x1_0000, sum, AT, AT, 0, 0, AT];
        let bytes = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        x86::Kernel::parse(Isa::X86_64, bytes).unwrap()
    }

    #[test]
    fn a_multiboot_kernel_finds_its_modules() {
        let images = Images {
            payload: Payload::Kernel(Start {
                kernel: Some(Kernel::X86(multiboot())),
                modules: vec![(vec![7; 16], "first".to_owned()), (vec![8; 16], String::new())],
                command_line: "quiet".to_owned(),
                ..Start::default()
            }),
            dtb: None,
            vars: None,
        };

        let placed = images.place_x86(tables(), None).unwrap();

        let has = |bytes: &[u8]| placed.pieces.iter().any(|piece| *piece.bytes == *bytes);
        assert!(has(&[7; 16]) && has(&[8; 16]) && has(b"first\0") && has(&[1; 4]));
        assert!(has(b"quiet\0"), "words for Linux are not for it");
        assert!(matches!(placed.start, processor::Start::Entry(entry) if entry.ip == 0x10_0000));
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_option() {
        let images = Images {
            payload: Payload::Kernel(Start {
                kernel: Some(Kernel::X86(multiboot())),
                modules: vec![(vec![0; 5 << 20], String::new())],
                options: ["--kernel k".to_owned(), "--initrd i".to_owned()],
                ..Start::default()
            }),
            dtb: None,
            vars: None,
        };

        let error = images.place_x86(tables(), None).unwrap_err().to_string();

        assert!(error.starts_with("--initrd i: the initrd takes 5 MiB"), "{error}");
    }

    #[test]
    fn modules_are_files_with_commas_between_them_and_words_behind_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("a"), "1").unwrap();
        fs::write(path("b,c"), "2").unwrap();
        let list = format!("{} with words,{}", path("a"), path("b,,c"));

        let modules = read_modules(Path::new(&list)).unwrap();

        assert_eq!(
            modules,
            [(b"1".to_vec(), "with words".to_owned()), (b"2".to_vec(), String::new())]
        );
        assert!(read_modules(Path::new(&path("none"))).is_err());
    }
}
