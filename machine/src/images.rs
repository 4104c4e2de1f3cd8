//! The files of a run, read and checked whole before anything starts, and placed in the guest's memory.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use emu_firmware::boot::{self, DEVICE_TREE_ROOM, Layout, Part, Piece};
use emu_firmware::fdt::{Blob, Chosen, Node, Patch, ReadError, Region};
use emu_firmware::identify::FileKind;
use emu_firmware::initrd;
use emu_firmware::kernel::Kernel;

use crate::config::{Boot, Config};
use crate::debian;
use crate::error::{Error, shown};

/// Largest kernel file in bytes: more than a 32-bit kernel's space.
const MAX_KERNEL: u64 = 1 << 30;
/// Largest initrd in bytes: more than 32-bit RAM.
const MAX_INITRD: u64 = 3 << 30;
/// Largest device tree in bytes; Linux maps 1 MiB to 2 MiB of it early.
const MAX_DEVICE_TREE: u64 = 1 << 20;
/// What completing a user's device tree adds to it at most, in bytes, besides the command line.
const COMPLETION: u64 = 0x1000;

/// The contents of a run's files.
#[derive(Clone, Debug)]
pub struct Images {
    /// What runs.
    pub payload: Payload,
    /// The user's device tree blob, checked.
    pub dtb: Option<Vec<u8>>,
}

/// What runs.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A Linux kernel.
    Linux(Linux),
    /// The first flash bank's contents.
    Firmware(Vec<u8>),
}

/// A kernel and what it is given.
#[derive(Clone, Debug)]
pub struct Linux {
    /// The kernel; none where a device tree is written for Debian's and nothing runs.
    pub kernel: Option<Kernel>,
    /// The initial RAM file system.
    pub initrd: Option<Vec<u8>>,
    /// The kernel's command line; empty for none.
    pub command_line: String,
    /// The options by which the user chose kernel and initrd, for messages.
    options: [String; 2],
}

/// Everything at its place in guest memory, and how the CPU starts.
#[derive(Clone, Debug)]
pub struct Placed<'a> {
    /// Kernel and initrd; to be written again at each reset.
    pub pieces: Vec<Piece<'a>>,
    /// The device tree's physical address.
    pub dtb_address: u64,
    /// The device tree blob.
    pub dtb: Vec<u8>,
    /// Program counter (on ARM, bit 0 set means Thumb) and the first argument registers; none when the CPU starts at its
    /// reset vector.
    pub entry: Option<(u64, [u64; 3])>,
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
            Boot::Debian { initrd, append } => Payload::Linux(debian(config, initrd.as_deref(), append)?),
            Boot::Kernel { kernel, initrd, append } => Payload::Linux(Linux {
                kernel: Some(read_kernel(kernel)?),
                initrd: initrd.as_deref().map(read_initrd).transpose()?,
                command_line: append.clone(),
                options: [
                    option("--kernel", kernel),
                    initrd.as_deref().map_or_else(String::new, |i| option("--initrd", i)),
                ],
            }),
            Boot::Firmware { image } => Payload::Firmware(firmware(image, config.board.flash_bank())?),
        };
        Ok(Self { payload, dtb })
    }

    /// Contents of the first flash bank; empty where a kernel is started.
    pub fn firmware(&self) -> &[u8] {
        match &self.payload {
            Payload::Linux(_) => &[],
            Payload::Firmware(bytes) => bytes,
        }
    }

    /// Where the kernel and what it is given go in RAM; none for firmware.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] naming the option whose file does not fit.
    pub fn layout(&self, ram: Region) -> Result<Option<Layout<'_>>, Error> {
        let Payload::Linux(Linux {
            kernel: Some(kernel),
            initrd,
            command_line,
            options,
        }) = &self.payload
        else {
            return Ok(None);
        };
        let tree = self
            .dtb
            .as_ref()
            .map_or(DEVICE_TREE_ROOM, |blob| blob.len() as u64 + COMPLETION);
        let layout = boot::place(
            ram,
            kernel,
            initrd.as_ref().map(|i| i.len() as u64),
            tree + command_line.len() as u64,
        );
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

    /// Places everything in RAM. `board` makes the board's own tree around `/chosen`; `chosen` is what the board has to
    /// say there (the console, a seed).
    ///
    /// # Errors
    ///
    /// [`Error::Input`] naming the option whose file does not fit.
    pub fn place(&self, ram: Region, chosen: Chosen, board: impl FnOnce(Chosen) -> Node) -> Result<Placed<'_>, Error> {
        let layout = self.layout(ram)?;
        let (command_line, initrd) = match &self.payload {
            Payload::Linux(linux) => (linux.command_line.as_str(), linux.initrd.as_deref()),
            Payload::Firmware(_) => ("", None),
        };
        let chosen = Chosen {
            bootargs: Some(command_line.to_owned()).filter(|words| !words.is_empty()),
            initrd: layout.as_ref().and_then(|layout| layout.initrd),
            ..chosen
        };
        let dtb = self.blob(ram, chosen, board)?;
        let Some(mut layout) = layout else {
            // Firmware finds the tree where QEMU's does: at the start of RAM.
            return Ok(Placed {
                pieces: Vec::new(),
                dtb_address: ram.base,
                dtb,
                entry: None,
            });
        };
        if let (Some(place), Some(bytes)) = (layout.initrd, initrd) {
            layout.kernel.push(Piece {
                address: place.base,
                bytes,
                size: place.size,
            });
        }
        let entry = Some((layout.entry.into(), layout.registers.map(u64::from)));
        Ok(Placed {
            pieces: layout.kernel,
            dtb_address: layout.dtb.base,
            dtb,
            entry,
        })
    }

    /// The user's device tree completed, or the board's own.
    fn blob(&self, ram: Region, chosen: Chosen, board: impl FnOnce(Chosen) -> Node) -> Result<Vec<u8>, Error> {
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
fn debian(config: &Config, initrd: Option<&Path>, append: &str) -> Result<Linux, Error> {
    let own = initrd.map(read_initrd).transpose()?;
    let options = [
        "--memory".to_owned(),
        initrd.map_or_else(|| "--memory".into(), |path| option("--initrd", path)),
    ];
    let command_line = debian::command_line(append);
    if config.dump_dtb.is_some() {
        return Ok(Linux {
            kernel: None,
            initrd: None,
            command_line,
            options,
        });
    }
    let mut files = debian::obtain()?;
    let kernel = Kernel::parse(std::mem::take(&mut files.kernel));
    let kernel = kernel.map_err(|e| Error::Input {
        option: "Debian's kernel".into(),
        reason: e.to_string(),
    })?;
    let initrd = Some(own.unwrap_or_else(|| files.initrd_with_shell()));
    Ok(Linux {
        kernel: Some(kernel),
        initrd,
        command_line,
        options,
    })
}

fn read_kernel(path: &Path) -> Result<Kernel, Error> {
    let bytes = read("--kernel", path, MAX_KERNEL)?;
    Kernel::parse(bytes).map_err(|e| Error::file("--kernel", path, e))
}

fn read_initrd(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = read("--initrd", path, MAX_INITRD)?;
    initrd::check(&bytes).map_err(|e| Error::file("--initrd", path, e))?;
    Ok(bytes)
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
fn firmware(path: &Path, bank: u64) -> Result<Vec<u8>, Error> {
    let bytes = read("--firmware", path, bank)?;
    match FileKind::of(&bytes) {
        FileKind::Unknown => Ok(bytes),
        kind => Err(Error::file(
            "--firmware",
            path,
            format!("not firmware (raw code for the reset vector) but {kind}"),
        )),
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
    use emu_firmware::kernel::{Program, Segment};

    const RAM: Region = Region::new(0x4000_0000, 64 << 20);

    fn images(dtb: Option<Vec<u8>>) -> Images {
        let segments = vec![Segment {
            address: 0x4000_8000,
            bytes: vec![1; 4],
            size: 8,
        }];
        let linux = Linux {
            kernel: Some(Kernel::Program(Program {
                segments,
                entry: 0x4000_8000,
            })),
            initrd: Some(vec![7; 16]),
            command_line: "quiet".into(),
            options: ["--kernel k".into(), "--initrd i".into()],
        };
        Images {
            payload: Payload::Linux(linux),
            dtb,
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

        let placed = images.place(RAM, console(), board).unwrap();

        let blob = Blob::parse(&placed.dtb).unwrap();
        let initrd = placed.pieces[1];
        assert_eq!((initrd.address, initrd.bytes), (0x4200_0000, [7; 16].as_slice()));
        let start: [u8; 8] = blob
            .property("/chosen", "linux,initrd-start")
            .unwrap()
            .try_into()
            .unwrap();
        assert_eq!(u64::from_be_bytes(start), initrd.address);
        assert_eq!(blob.property("/chosen", "bootargs"), Some(b"quiet\0".as_slice()));
        assert_eq!(blob.property("/chosen", "stdout-path"), Some(b"/uart\0".as_slice()));
        assert_eq!(
            placed.entry,
            Some((0x4000_8000, [0, u32::MAX.into(), placed.dtb_address]))
        );
    }

    #[test]
    fn the_users_tree_is_completed_and_keeps_its_console() {
        let users = Node::new("")
            .with("model", "mine")
            .child(Node::new("chosen").with("stdout-path", "/mine"));
        let images = images(Some(users.to_blob().unwrap()));

        let placed = images.place(RAM, console(), board).unwrap();

        let blob = Blob::parse(&placed.dtb).unwrap();
        assert_eq!(blob.property("/", "model"), Some(b"mine\0".as_slice()));
        assert_eq!(blob.property("/chosen", "stdout-path"), Some(b"/mine\0".as_slice()));
        assert_eq!(blob.property("/chosen", "bootargs"), Some(b"quiet\0".as_slice()));
        assert!(blob.property("/memory@40000000", "reg").is_some());
    }

    #[test]
    fn a_completed_tree_is_within_its_room() {
        let users = Node::new("").to_blob().unwrap();
        let mut images = images(Some(users));
        let Payload::Linux(linux) = &mut images.payload else {
            panic!("no kernel")
        };
        linux.command_line = "x".repeat(0x1_0000);

        let room = images.layout(RAM).unwrap().unwrap().dtb.size;

        let placed = images
            .place(
                RAM,
                Chosen {
                    rng_seed: Some([1; 32]),
                    ..console()
                },
                board,
            )
            .unwrap();
        assert!(placed.dtb.len() as u64 <= room, "{} of {room}", placed.dtb.len());
    }

    #[test]
    fn firmware_finds_the_tree_at_the_start_of_ram() {
        let images = Images {
            payload: Payload::Firmware(vec![0; 4]),
            dtb: None,
        };

        let placed = images.place(RAM, console(), board).unwrap();

        assert_eq!(
            (placed.pieces.len(), placed.dtb_address, placed.entry),
            (0, RAM.base, None)
        );
        assert_eq!(Blob::parse(&placed.dtb).unwrap().property("/chosen", "bootargs"), None);
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_option() {
        let images = images(None);

        let error = images.layout(Region::new(RAM.base, 1 << 20)).unwrap_err();
        let large = Images {
            payload: Payload::Linux(Linux {
                initrd: Some(vec![0; 2 << 20]),
                ..linux(&images)
            }),
            dtb: None,
        };
        let initrd = large.layout(Region::new(RAM.base, 2 << 20)).unwrap_err();

        assert!(
            error.to_string().starts_with("--memory: the device tree ends"),
            "{error}"
        );
        assert!(
            initrd.to_string().starts_with("--initrd i: the initrd ends"),
            "{initrd}"
        );
    }

    fn linux(images: &Images) -> Linux {
        match &images.payload {
            Payload::Linux(linux) => linux.clone(),
            Payload::Firmware(_) => panic!("firmware"),
        }
    }
}
