//! The files of a run, read and checked whole before anything starts, and placed in the guest's memory.

mod x86_board;

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use emu_devices::misc::fw_cfg::key;
use emu_firmware::boot::{self, Initrd, Memory, Part, Piece, Placement};
use emu_firmware::fdt::{Blob, Chosen, Node, Patch, ReadError, Region};
use emu_firmware::identify::{FileKind, Isa};
use emu_firmware::{initrd, kernel, x86};

use crate::arch::Kernel;
use crate::config::{self, Arch, Boot, Config};
use crate::debian;
use crate::error::{Error, shown};
use crate::processor;
use crate::vars::Vars;

/// Largest kernel file in bytes: more than a 32-bit kernel's space.
const MAX_KERNEL: u64 = 1 << 30;
/// Largest initrd in bytes: more than 32-bit RAM.
const MAX_INITRD: u64 = 3 << 30;
/// Largest device tree in bytes; Linux maps 1 MiB to 2 MiB of it early.
const MAX_DEVICE_TREE: u64 = 1 << 20;

/// The contents of a run's files.
#[derive(Clone, Debug)]
pub struct Images {
    /// What runs.
    pub payload: Payload,
    /// The user's device tree blob, checked.
    pub dtb: Option<Vec<u8>>,
    /// The second flash bank's contents, for firmware.
    pub vars: Option<Vars>,
}

/// What runs.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A kernel, or a program without an operating system.
    Kernel(Start),
    /// The first flash bank's contents, and what it is handed.
    Firmware(Vec<u8>, Option<Handed>),
}

/// What firmware is to start.
#[derive(Clone, Debug)]
pub struct Handed {
    /// The kernel's file.
    pub kernel: Arc<[u8]>,
    /// The initrd's file.
    pub initrd: Option<Arc<[u8]>>,
    /// The kernel's command line; empty for none.
    pub command_line: String,
}

/// A kernel and what it is given.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The kernel; none where a device tree is written for Debian's and nothing runs.
    pub kernel: Option<Kernel>,
    /// The initial RAM file system, and what it unpacks to in bytes.
    pub initrd: Option<(Vec<u8>, u64)>,
    /// Files for a multiboot kernel, each with its words.
    pub modules: Vec<(Vec<u8>, String)>,
    /// The kernel's command line; empty for none.
    pub command_line: String,
    /// The options by which the user chose kernel and initrd, for messages.
    pub options: [String; 2],
}

impl Handed {
    fn read(config: &config::Handed) -> Result<Self, Error> {
        let initrd = config.initrd.as_deref();
        let initrd = initrd.map(|path| read("--initrd", path, MAX_INITRD)).transpose()?;
        Ok(Self {
            kernel: read("--kernel", &config.kernel, MAX_KERNEL)?.into(),
            initrd: initrd.map(Into::into),
            command_line: config.append.clone(),
        })
    }

    /// What firmware finds in fw_cfg, by the items' keys: as for QEMU's boards, sizes in 32 bits and a command line that
    /// ends with a zero.
    fn items(&self) -> Vec<(u16, Arc<[u8]>)> {
        let size = |bytes: &[u8]| Arc::from((bytes.len() as u32).to_le_bytes());
        let mut items = vec![
            (key::KERNEL_SIZE, size(&self.kernel)),
            (key::KERNEL_DATA, self.kernel.clone()),
        ];
        if let Some(initrd) = &self.initrd {
            items.extend([(key::INITRD_SIZE, size(initrd)), (key::INITRD_DATA, initrd.clone())]);
        }
        if !self.command_line.is_empty() {
            let words: Arc<[u8]> = [self.command_line.as_bytes(), b"\0"].concat().into();
            items.extend([(key::CMDLINE_SIZE, size(&words)), (key::CMDLINE_DATA, words)]);
        }
        items
    }
}

/// What lies at a place in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lying<'a> {
    /// Its first physical address.
    pub address: u64,
    /// Its bytes.
    pub bytes: Cow<'a, [u8]>,
    /// How long it is in bytes; the rest is zeros.
    pub size: u64,
}

impl<'a> From<Piece<'a>> for Lying<'a> {
    fn from(piece: Piece<'a>) -> Lying<'a> {
        Lying {
            address: piece.address,
            bytes: piece.bytes.into(),
            size: piece.size,
        }
    }
}

/// Everything at its place in guest memory, and how the CPU starts.
#[derive(Clone, Debug)]
pub struct Placed<'a> {
    /// What is in RAM, but for the device tree; to be written again at each reset.
    pub pieces: Vec<Lying<'a>>,
    /// What is in flash when the machine is switched on.
    pub flash: Vec<Piece<'a>>,
    /// The device tree's physical address.
    pub dtb_address: u64,
    /// The device tree blob; empty where there is none.
    pub dtb: Vec<u8>,
    /// How the first CPU starts.
    pub start: processor::Start,
}

impl Images {
    /// Reads and checks the files that `config` names, and has Debian's fetched if it names none.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] naming the option and the reason when a file is missing or not what it should be;
    /// [`Error::Debian`] when Debian's kernel is wanted and is not to be had.
    pub fn read(config: &Config) -> Result<Self, Error> {
        let dtb = config.dtb.as_deref().map(device_tree).transpose()?;
        let payload = match &config.boot {
            Boot::Debian { initrd, append } => Payload::Kernel(debian(config, initrd.as_deref(), append)?),
            Boot::Kernel { kernel, initrd, append } => Payload::Kernel({
                let options = [
                    option("--kernel", kernel),
                    initrd.as_deref().map_or_else(String::new, |i| option("--initrd", i)),
                ];
                let kernel = read_kernel(config.arch, kernel)?;
                let is_multiboot = matches!(
                    &kernel,
                    Kernel::X86(x86::Kernel::Multiboot(_) | x86::Kernel::Multiboot2(_))
                );
                let (initrd, modules) = match initrd.as_deref() {
                    None => (None, Vec::new()),
                    Some(list) if is_multiboot => (None, x86_board::read_modules(list)?),
                    Some(path) => (Some(read_initrd(path)?), Vec::new()),
                };
                Start {
                    kernel: Some(kernel),
                    initrd,
                    modules,
                    command_line: append.clone(),
                    options,
                }
            }),
            Boot::Firmware { image, handed, .. } => {
                let image = firmware(config.arch, image, config.board.flash_bank())?;
                Payload::Firmware(image, handed.as_ref().map(Handed::read).transpose()?)
            }
        };
        // Last: everything else is there, and may be used.
        let vars = match &config.boot {
            Boot::Firmware { vars: Some(path), .. } if config.dump_dtb.is_none() => {
                Some(Vars::open(path, config.board.flash_bank())?)
            }
            _ => None,
        };
        Ok(Self { payload, dtb, vars })
    }

    /// What firmware finds in fw_cfg of the run's files, by the items' keys.
    pub fn handed(&self) -> Vec<(u16, Arc<[u8]>)> {
        match &self.payload {
            Payload::Firmware(_, Some(handed)) => handed.items(),
            _ => Vec::new(),
        }
    }

    /// Where everything goes in `memory`, given a device tree of `tree` bytes; none for firmware.
    fn layout(&self, memory: Memory<'_>, tree: u64) -> Result<Option<Placement<'_>>, Error> {
        let Payload::Kernel(Start {
            kernel: Some(Kernel::Arm(kernel)),
            initrd,
            options,
            ..
        }) = &self.payload
        else {
            return Ok(None);
        };
        let initrd = initrd.as_ref().map(|(bytes, unpacked)| Initrd {
            size: bytes.len() as u64,
            unpacked: *unpacked,
        });
        let layout = boot::place(memory, kernel, initrd, tree);
        layout.map(Some).map_err(|error| {
            let option = match error.part() {
                Part::Kernel => options[0].clone(),
                Part::Initrd => options[1].clone(),
                Part::DeviceTree => "--memory".to_owned(),
            };
            Error::Input {
                option,
                reason: error.to_string(),
            }
        })
    }

    /// Places everything in memory. `board` makes the board's own tree around `/chosen`; `chosen` is what the board has
    /// to say there (the console, a seed).
    ///
    /// # Errors
    ///
    /// [`Error::Input`] naming the option whose file does not fit.
    pub fn place(
        &self,
        memory: Memory<'_>,
        chosen: Chosen,
        board: impl Fn(Chosen) -> Node,
    ) -> Result<Placed<'_>, Error> {
        let ram = memory.ram;
        let (command_line, initrd) = match &self.payload {
            Payload::Kernel(start) => (start.command_line.as_str(), start.initrd.as_ref()),
            Payload::Firmware(_, Some(handed)) => (handed.command_line.as_str(), None),
            Payload::Firmware(_, None) => ("", None),
        };
        let mut chosen = Chosen {
            bootargs: Some(command_line.to_owned()).filter(|words| !words.is_empty()),
            initrd: initrd.map(|(bytes, _)| Region::new(ram.base, bytes.len() as u64)),
            ..chosen
        };
        // What the tree says of the initrd's place does not change its length.
        let tree = self.blob(ram, chosen.clone(), &board)?.len() as u64;
        let layout = self.layout(memory, tree)?;
        chosen.initrd = layout.as_ref().and_then(|layout| layout.initrd);
        let dtb = self.blob(ram, chosen, board)?;
        let Some(mut layout) = layout else {
            // Firmware finds the tree where QEMU's does: at the start of RAM.
            return Ok(Placed {
                pieces: Vec::new(),
                flash: self.firmware(memory),
                dtb_address: ram.base,
                dtb,
                start: processor::Start::Vector,
            });
        };
        if let (Some(place), Some((bytes, _))) = (layout.initrd, initrd) {
            layout.kernel.push(Piece {
                address: place.base,
                bytes,
                size: place.size,
            });
        }
        Ok(Placed {
            pieces: layout.kernel.into_iter().map(Lying::from).collect(),
            flash: layout.flash,
            dtb_address: layout.dtb.base,
            dtb,
            start: processor::Start::At {
                pc: layout.entry,
                args: layout.registers,
            },
        })
    }

    /// Firmware and its variables, each in its bank.
    fn firmware(&self, memory: Memory<'_>) -> Vec<Piece<'_>> {
        let Payload::Firmware(code, _) = &self.payload else {
            return Vec::new();
        };
        let vars = self.vars.as_ref().map(|vars| &vars.bytes);
        let banks = memory.flash.iter().zip([code].into_iter().chain(vars));
        let pieces = banks.map(|(bank, bytes)| Piece {
            address: bank.base,
            bytes,
            size: bytes.len() as u64,
        });
        pieces.collect()
    }

    /// The user's device tree completed, or the board's own.
    fn blob(&self, ram: Region, chosen: Chosen, board: impl Fn(Chosen) -> Node) -> Result<Vec<u8>, Error> {
        let bad = |reason: String| Error::Input {
            option: "--dtb".into(),
            reason,
        };
        match &self.dtb {
            Some(blob) => {
                let patch = Patch {
                    memory: Some(ram),
                    chosen: Chosen {
                        stdout_path: None,
                        ..chosen
                    },
                };
                let blob = Blob::parse(blob).map_err(|e| bad(e.to_string()))?;
                blob.patch(&patch).map_err(|e| bad(e.to_string()))
            }
            None => board(chosen)
                .to_blob()
                .map_err(|e| bad(format!("the board's own device tree: {e}"))),
        }
    }
}

impl Placed<'_> {
    /// RAM behind what is placed there, within the first 4 GiB: its first address, and the one after its last.
    pub fn free(&self, ram: Region) -> (u64, u64) {
        const PAGE: u64 = 0x1_0000;
        let tree = self.dtb_address + self.dtb.len() as u64;
        let ends = self.pieces.iter().map(|piece| piece.address + piece.size);
        let end = ram.end().min((1 << 32) - PAGE);
        let start = ends.chain([tree]).max().unwrap_or(ram.base).next_multiple_of(PAGE);
        (start.min(end), end)
    }
}

/// What of `pieces` is in a flash bank, from its start on: erased bytes between them.
pub fn bank(bank: Region, pieces: &[Piece<'_>]) -> Vec<u8> {
    const ERASED: u8 = 0xff;
    let mut image = Vec::new();
    for piece in pieces {
        let Some(start) = piece.address.checked_sub(bank.base).filter(|&at| at < bank.size) else {
            continue;
        };
        let (start, end) = (start as usize, (start + piece.size) as usize);
        image.resize(image.len().max(end), ERASED);
        let bytes = piece.bytes.iter().copied().chain(std::iter::repeat(0));
        let place = image.iter_mut().take(end).skip(start);
        place.zip(bytes).for_each(|(to, from)| *to = from);
    }
    image
}

/// Writes a device tree where `--dump-dtb` says.
///
/// # Errors
///
/// [`Error::Input`] when the file cannot be made, [`Error::Host`] when it does not take the tree.
pub fn dump_device_tree(path: &Path, blob: &[u8]) -> Result<(), Error> {
    let mut file = File::create(path).map_err(|e| Error::refused("--dump-dtb", path.display(), &e))?;
    let cannot = |e| Error::host(format!("cannot write {}", option("--dump-dtb", path)), e);
    file.write_all(blob).map_err(cannot)
}

fn option(name: &str, path: &Path) -> String {
    shown(name, path.display())
}

/// Debian's kernel with the user's initrd or the shell's. For a dump of the device tree they are not fetched.
fn debian(config: &Config, initrd: Option<&Path>, append: &str) -> Result<Start, Error> {
    let own = initrd.map(read_initrd).transpose()?;
    let options = [
        "--memory".to_owned(),
        initrd.map_or_else(|| "--memory".into(), |path| option("--initrd", path)),
    ];
    let port = config.arch.architecture().debian();
    let command_line = debian::command_line(port.console, append);
    if config.dump_dtb.is_some() {
        return Ok(Start {
            kernel: None,
            initrd: None,
            modules: Vec::new(),
            command_line,
            options,
        });
    }
    let mut files = debian::obtain(port)?;
    let kernel = config.arch.architecture().kernel(std::mem::take(&mut files.kernel));
    let kernel = kernel.map_err(|e| Error::Input {
        option: "Debian's kernel".into(),
        reason: e.to_string(),
    })?;
    let initrd = own.unwrap_or_else(|| {
        // Checked when it was fetched: unpacking it takes a while.
        let bytes = files.initrd_with_shell();
        let unpacked = initrd::guess(&bytes);
        (bytes, unpacked)
    });
    Ok(Start {
        kernel: Some(kernel),
        initrd: Some(initrd),
        modules: Vec::new(),
        command_line,
        options,
    })
}

fn read_kernel(arch: Arch, path: &Path) -> Result<Kernel, Error> {
    let bytes = read("--kernel", path, MAX_KERNEL)?;
    let complaint = |e: kernel::Error| match e.fits().and_then(runs) {
        Some(other) => format!("{e}; --arch {other} runs it"),
        None => e.to_string(),
    };
    (arch.architecture().kernel(bytes)).map_err(|e| Error::file("--kernel", path, complaint(e)))
}

/// The architecture that runs such kernels.
fn runs(isa: Isa) -> Option<Arch> {
    Arch::ALL.iter().copied().find(|arch| arch.architecture().isa() == isa)
}

fn read_initrd(path: &Path) -> Result<(Vec<u8>, u64), Error> {
    let bytes = read("--initrd", path, MAX_INITRD)?;
    checked(bytes, |e| Error::file("--initrd", path, e))
}

/// An initrd with what it unpacks to.
fn checked(bytes: Vec<u8>, bad: impl Fn(initrd::Error) -> Error) -> Result<(Vec<u8>, u64), Error> {
    let unpacked = initrd::check(&bytes).map_err(bad)?;
    Ok((bytes, unpacked))
}

fn device_tree(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = read("--dtb", path, MAX_DEVICE_TREE)?;
    match Blob::parse(&bytes) {
        Ok(_) => Ok(bytes),
        Err(ReadError::Magic) => {
            let kind = FileKind::of(&bytes);
            Err(Error::file(
                "--dtb",
                path,
                format!("not a device tree blob (dtc makes them) but {kind}"),
            ))
        }
        Err(e) => Err(Error::file("--dtb", path, e)),
    }
}

/// Firmware is machine code without a mark: whatever bears another format's mark is none.
fn firmware(arch: Arch, path: &Path, bank: u64) -> Result<Vec<u8>, Error> {
    let bytes = read("--firmware", path, bank)?;
    match FileKind::of(&bytes) {
        FileKind::Unknown => Ok(bytes),
        kind => {
            let is_ours = kind.isa() == Some(arch.architecture().isa());
            let way = match kind {
                FileKind::Elf { .. } => "; --kernel takes ELF files, into flash too",
                FileKind::UImage => "; --kernel takes it",
                _ if is_ours => "; --kernel takes it",
                _ => "",
            };
            let reason = format!("not firmware (raw code for the reset vector) but {kind}{way}");
            Err(Error::file("--firmware", path, reason))
        }
    }
}

/// A file's contents: a regular file's or a pipe's, up to `most` bytes.
fn read(option: &str, path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let refused = |e| Error::refused(option, path.display(), &e);
    let kind = fs::metadata(path).map_err(refused)?.file_type();
    if kind.is_dir() {
        return Err(Error::file(option, path, "a directory"));
    }
    let file = File::open(path).map_err(refused)?;
    let mut bytes = Vec::new();
    let expected = file.metadata().map_or(0, |metadata| metadata.len());
    // A device such as /dev/zero has no end, and no length.
    let limit = if kind.is_file() { most } else { most.min(PIPE_LIMIT) };
    if expected <= limit {
        bytes.reserve_exact(expected as usize + 1);
        file.take(limit + 1).read_to_end(&mut bytes).map_err(refused)?;
    }
    if expected > limit || bytes.len() as u64 > limit {
        return Err(Error::file(option, path, format!("larger than {} MiB", limit >> 20)));
    }
    Ok(bytes)
}

/// Most that is read from what is not a regular file, in bytes.
const PIPE_LIMIT: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use emu_firmware::identify::Arm;
    use emu_firmware::kernel::{LinuxKernel, Program, Segment};

    const RAM: Region = Region::new(0x4000_0000, 64 << 20);
    const MEMORY: Memory<'_> = Memory {
        ram: RAM,
        flash: &[Region::new(0, 1 << 20)],
    };

    fn images(dtb: Option<Vec<u8>>) -> Images {
        let segments = vec![Segment {
            address: 0x4000_8000,
            bytes: vec![1; 4],
            size: 8,
        }];
        let linux = Start {
            kernel: Some(Kernel::Arm(kernel::Kernel::Program(Program {
                isa: Arm::A32,
                segments,
                entry: 0x4000_8000,
                linux: Some(LinuxKernel {
                    page_offset: 0xc000_0000,
                }),
            }))),
            initrd: Some((vec![7; 16], 16)),
            modules: Vec::new(),
            command_line: "quiet".into(),
            options: ["--kernel k".into(), "--initrd i".into()],
        };
        Images {
            payload: Payload::Kernel(linux),
            dtb,
            vars: None,
        }
    }

    fn board(chosen: Chosen) -> Node {
        Node::new("").with("model", "board").child(chosen.node())
    }

    fn console() -> Chosen {
        Chosen {
            stdout_path: Some("/uart".into()),
            ..Chosen::default()
        }
    }

    #[test]
    fn a_kernel_finds_its_initrd_and_words_in_the_boards_tree() {
        let images = images(None);

        let placed = images.place(MEMORY, console(), board).unwrap();

        let blob = Blob::parse(&placed.dtb).unwrap();
        let initrd = &placed.pieces[1];
        assert_eq!((initrd.address, &*initrd.bytes), (0x4200_0000, [7; 16].as_slice()));
        let start: [u8; 8] = blob
            .property("/chosen", "linux,initrd-start")
            .unwrap()
            .try_into()
            .unwrap();
        assert_eq!(u64::from_be_bytes(start), initrd.address);
        assert_eq!(blob.property("/chosen", "bootargs"), Some(b"quiet\0".as_slice()));
        assert_eq!(blob.property("/chosen", "stdout-path"), Some(b"/uart\0".as_slice()));
        assert_eq!(
            placed.start,
            processor::Start::At {
                pc: 0x4000_8000,
                args: [0, u32::MAX.into(), placed.dtb_address]
            }
        );
    }

    #[test]
    fn the_users_tree_is_completed_and_keeps_its_console() {
        let users = Node::new("")
            .with("model", "mine")
            .child(Node::new("chosen").with("stdout-path", "/mine"));
        let images = images(Some(users.to_blob().unwrap()));

        let placed = images.place(MEMORY, console(), board).unwrap();

        let blob = Blob::parse(&placed.dtb).unwrap();
        assert_eq!(blob.property("/", "model"), Some(b"mine\0".as_slice()));
        assert_eq!(blob.property("/chosen", "stdout-path"), Some(b"/mine\0".as_slice()));
        assert_eq!(blob.property("/chosen", "bootargs"), Some(b"quiet\0".as_slice()));
        assert!(blob.property("/memory@40000000", "reg").is_some());
    }

    #[test]
    fn a_program_that_is_not_linux_finds_the_tree_before_it_if_there_is_room() {
        let users = Node::new("").to_blob().unwrap();
        let mut images = images(Some(users));
        let Payload::Kernel(start) = &mut images.payload else {
            panic!("no kernel")
        };
        if let Some(Kernel::Arm(kernel::Kernel::Program(program))) = &mut start.kernel {
            program.linux = None;
        }

        let placed = images.place(MEMORY, console(), board).unwrap();
        let (base, room) = (placed.dtb_address, placed.dtb.len() as u64);
        let Payload::Kernel(start) = &mut images.payload else {
            panic!("no kernel")
        };
        start.command_line = "x".repeat(0x8000);
        let behind = images.place(MEMORY, console(), board).unwrap().dtb_address;

        assert_eq!((base, behind), (RAM.base, RAM.base + (32 << 20) + 0x1000));
        assert!(room < 0x8000);
    }

    #[test]
    fn firmware_finds_the_tree_at_the_start_of_ram() {
        let images = Images {
            payload: Payload::Firmware(vec![0; 4], None),
            dtb: None,
            vars: None,
        };

        let placed = images.place(MEMORY, console(), board).unwrap();

        assert_eq!(
            (placed.pieces.len(), placed.dtb_address, placed.start),
            (0, RAM.base, processor::Start::Vector)
        );
        assert_eq!((placed.flash[0].address, placed.flash[0].bytes), (0, &[0; 4][..]));
        assert_eq!(Blob::parse(&placed.dtb).unwrap().property("/chosen", "bootargs"), None);
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_option() {
        let images = images(None);
        let within = |mib: u64| Memory {
            ram: Region::new(RAM.base, mib << 20),
            ..MEMORY
        };

        let error = images.layout(within(1), 1 << 20).unwrap_err();
        let large = Images {
            payload: Payload::Kernel(Start {
                initrd: Some((vec![0; 2 << 20], 0)),
                ..start(&images)
            }),
            dtb: None,
            vars: None,
        };
        let initrd = large.layout(within(2), 1).unwrap_err();

        assert!(
            error.to_string().starts_with("--memory: the device tree ends"),
            "{error}"
        );
        assert!(
            initrd.to_string().starts_with("--initrd i: the initrd ends"),
            "{initrd}"
        );
    }

    fn start(images: &Images) -> Start {
        match &images.payload {
            Payload::Kernel(start) => start.clone(),
            Payload::Firmware(..) => panic!("firmware"),
        }
    }
}
