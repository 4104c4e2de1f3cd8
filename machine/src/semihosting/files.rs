//! The files that a guest reaches by semihosting: regular ones below one folder, and the console.
//!
//! A saved machine knows which files are open, by name, and how far they have been read or written; what they hold is the
//! host's to keep.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, renameat, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// Files that may be open at once.
const MOST: usize = 256;
/// What `:semihosting-features` holds: its mark, then SYS_EXIT_EXTENDED and standard error apart from standard output.
const FEATURES: &[u8] = &[0x53, 0x48, 0x46, 0x42, 0b11];

/// An open file.
pub enum Open {
    /// What is typed at the console.
    Input,
    /// What the console shows.
    Output,
    /// What goes to emu's standard error.
    Errors,
    /// `:semihosting-features`, and how far it has been read.
    Features(usize),
    /// A file in the folder.
    File {
        /// The file.
        file: File,
        /// The name that it was opened by.
        name: Vec<u8>,
        /// How, by SYS_OPEN's modes.
        mode: u32,
    },
}

/// An open file of a saved machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SavedFile {
    /// [`Open::Input`].
    Input,
    /// [`Open::Output`].
    Output,
    /// [`Open::Errors`].
    Errors,
    /// [`Open::Features`].
    Features(usize),
    /// [`Open::File`], and the offset of the next byte.
    File {
        /// Its name.
        name: Vec<u8>,
        /// How it was opened.
        mode: u32,
        /// The offset.
        at: u64,
    },
}

/// The folder, and what is open.
pub struct Files {
    folder: Option<OwnedFd>,
    open: Vec<Option<Open>>,
}

/// How to open a file, by C's `fopen` (2.0, SYS_OPEN): r, w, a; each binary, with +, or both.
fn flags(mode: u32) -> Option<OFlags> {
    let update = mode & 2 != 0;
    let both = |one| if update { OFlags::RDWR } else { one };
    Some(match mode {
        0..=3 => both(OFlags::RDONLY),
        4..=7 => both(OFlags::WRONLY) | OFlags::CREATE | OFlags::TRUNC,
        8..=11 => both(OFlags::WRONLY) | OFlags::CREATE | OFlags::APPEND,
        _ => return None,
    })
}

impl Files {
    /// Files below `folder` alone, or none.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn new(folder: Option<&Path>) -> io::Result<Files> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |path| rustix::fs::open(path, flags, Mode::empty());
        Ok(Files {
            folder: folder.map(open).transpose()?,
            open: Vec::new(),
        })
    }

    /// Opens a file and returns its handle, which is not zero.
    pub fn open(&mut self, name: &[u8], mode: u32) -> Result<u64, Errno> {
        let flags = flags(mode).ok_or(Errno::INVAL)?;
        let file = match name {
            b":tt" => match mode {
                0..=3 => Open::Input,
                4..=7 => Open::Output,
                _ => Open::Errors,
            },
            b":semihosting-features" if mode < 2 => Open::Features(0),
            b":semihosting-features" => return Err(Errno::ACCESS),
            _ => Open::File {
                file: self.below(name, flags)?,
                name: name.to_vec(),
                mode,
            },
        };
        let count = self.open.len();
        let mut places = self.open.iter_mut().zip(1..);
        match places.find(|(place, _)| place.is_none()) {
            Some((free, handle)) => {
                *free = Some(file);
                Ok(handle)
            }
            None if count >= MOST => Err(Errno::MFILE),
            None => {
                self.open.push(Some(file));
                Ok(count as u64 + 1)
            }
        }
    }

    /// What is open by a handle, or was.
    fn place(&mut self, handle: u64) -> Result<&mut Option<Open>, Errno> {
        let at = handle.checked_sub(1).ok_or(Errno::BADF)?;
        self.open.get_mut(at as usize).ok_or(Errno::BADF)
    }

    /// The open file of a handle.
    pub fn get(&mut self, handle: u64) -> Result<&mut Open, Errno> {
        self.place(handle)?.as_mut().ok_or(Errno::BADF)
    }

    /// Closes a file.
    pub fn close(&mut self, handle: u64) -> Result<(), Errno> {
        let file = self.place(handle)?.take();
        file.map(drop).ok_or(Errno::BADF)
    }

    /// What is open, by handle.
    ///
    /// # Errors
    /// A file could not be found again by its name.
    pub fn save(&self) -> io::Result<Vec<Option<SavedFile>>> {
        let open = self.open.iter();
        open.map(|open| open.as_ref().map(|open| self.saved(open)).transpose())
            .collect()
    }

    fn saved(&self, open: &Open) -> io::Result<SavedFile> {
        Ok(match open {
            Open::Input => SavedFile::Input,
            Open::Output => SavedFile::Output,
            Open::Errors => SavedFile::Errors,
            Open::Features(at) => SavedFile::Features(*at),
            Open::File { file, name, mode } => {
                let there = self.stat(name);
                let is_it = |there: &Stat, here: &Stat| (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino);
                if !there.is_ok_and(|there| fstat(file).is_ok_and(|here| is_it(&there, &here))) {
                    let name = String::from_utf8_lossy(name);
                    let lost = format!("the program's open file {name} has another name by now, or none");
                    return Err(io::Error::other(lost));
                }
                SavedFile::File {
                    name: name.clone(),
                    mode: *mode,
                    at: (&*file).stream_position()?,
                }
            }
        })
    }

    /// Has open what was, by the same handles, in place of what is.
    ///
    /// # Errors
    /// Why a file cannot be opened again. All is then as it was.
    pub fn load(&mut self, saved: &[Option<SavedFile>]) -> Result<(), String> {
        if saved.len() > MOST {
            return Err(format!("{} open files", saved.len()));
        }
        let open = saved.iter();
        let open: Result<_, String> = open
            .map(|saved| saved.as_ref().map(|saved| self.again(saved)).transpose())
            .collect();
        self.open = open?;
        Ok(())
    }

    fn again(&self, saved: &SavedFile) -> Result<Open, String> {
        Ok(match saved {
            SavedFile::Input => Open::Input,
            SavedFile::Output => Open::Output,
            SavedFile::Errors => Open::Errors,
            SavedFile::Features(at) => Open::Features(*at),
            SavedFile::File { name, mode, at } => {
                let lost = |error: Errno| {
                    let name = String::from_utf8_lossy(name);
                    format!("the program's open file {name} cannot be opened again: {error}")
                };
                // It is there, and is not to lose what it holds.
                let flags = flags(*mode).ok_or(Errno::INVAL).map_err(lost)?;
                let flags = flags.difference(OFlags::CREATE | OFlags::TRUNC);
                let mut file = self.below(name, flags).map_err(lost)?;
                file.seek(SeekFrom::Start(*at)).map_err(|e| lost(errno(&e)))?;
                Open::File {
                    file,
                    name: name.clone(),
                    mode: *mode,
                }
            }
        })
    }

    /// Closes all, as a reset does.
    pub fn close_all(&mut self) {
        self.open.clear();
    }

    /// Removes a file.
    pub fn remove(&self, name: &[u8]) -> Result<(), Errno> {
        let (folder, last) = self.parent(name)?;
        unlinkat(folder, last, AtFlags::empty())
    }

    /// Renames a file.
    pub fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), Errno> {
        let ((from_folder, from), (to_folder, to)) = (self.parent(from)?, self.parent(to)?);
        renameat(from_folder, from, to_folder, to)
    }

    /// What the name leads to below the folder.
    fn stat(&self, name: &[u8]) -> Result<Stat, Errno> {
        let folder = self.folder.as_ref().ok_or(Errno::ACCESS)?;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        fstat(openat2(folder, name, flags, Mode::empty(), BENEATH)?)
    }

    /// A regular file below the folder: no `..`, absolute path or link leads out of it.
    fn below(&self, name: &[u8], flags: OFlags) -> Result<File, Errno> {
        let folder = self.folder.as_ref().ok_or(Errno::ACCESS)?;
        // A pipe there must not hold the CPU up.
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let mode = match flags.contains(OFlags::CREATE) {
            true => Mode::from_raw_mode(0o666),
            false => Mode::empty(),
        };
        let file = openat2(folder, name, flags, mode, BENEATH)?;
        let stat = fstat(&file)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(file.into()),
            _ => Err(Errno::ACCESS),
        }
    }

    /// The folder that holds the file of this name, and the name's last part.
    fn parent<'a>(&self, name: &'a [u8]) -> Result<(OwnedFd, &'a [u8]), Errno> {
        let folder = self.folder.as_ref().ok_or(Errno::ACCESS)?;
        let mut parts = name.rsplitn(2, |&byte| byte == b'/');
        let last = parts.next().unwrap_or_default();
        let parent = match parts.next() {
            Some(b"") => return Err(Errno::XDEV),
            Some(parent) => parent,
            None => b".",
        };
        if matches!(last, b"" | b"." | b"..") {
            return Err(Errno::INVAL);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok((openat2(folder, parent, flags, Mode::empty(), BENEATH)?, last))
    }
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Bytes that standard error takes at once without a wait, where it takes any: of a pipe it is a page, of a terminal less.
const ROOM: usize = 256;

fn write_errors(bytes: &[u8]) -> Result<usize, Errno> {
    let errors = io::stderr();
    let mut looked = [PollFd::new(&errors, PollFlags::OUT)];
    let now = Timespec::default();
    if poll(&mut looked, Some(&now))? == 0 {
        return Ok(0);
    }
    let some = bytes.get(..ROOM).unwrap_or(bytes);
    errors.lock().write(some).map_err(|e| errno(&e))
}

impl Open {
    /// Whether it is the console.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Open::Input | Open::Output | Open::Errors)
    }

    /// Reads into `bytes` from a file; how many there were.
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Open::File { file, .. } => file.read(bytes).map_err(|e| errno(&e)),
            Open::Features(at) => {
                let mut rest = FEATURES.get(*at..).unwrap_or_default();
                let count = rest.read(bytes).map_err(|e| errno(&e))?;
                *at += count;
                Ok(count)
            }
            Open::Input | Open::Output | Open::Errors => Err(Errno::BADF),
        }
    }

    /// Writes to a file or to standard error; how many bytes it took. Standard error has no room where nobody reads it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        match self {
            Open::File { file, .. } => file.write(bytes).map_err(|e| errno(&e)),
            Open::Errors => write_errors(bytes),
            Open::Input | Open::Output | Open::Features(_) => Err(Errno::BADF),
        }
    }

    /// Goes to an offset from the start.
    pub fn seek(&mut self, to: u64) -> Result<(), Errno> {
        match self {
            Open::File { file, .. } => file.seek(SeekFrom::Start(to)).map(drop).map_err(|e| errno(&e)),
            Open::Features(at) => {
                *at = to as usize;
                Ok(())
            }
            Open::Input | Open::Output | Open::Errors => Err(Errno::SPIPE),
        }
    }

    /// Its length in bytes.
    pub fn len(&self) -> Result<u64, Errno> {
        match self {
            Open::File { file, .. } => file.metadata().map(|m| m.len()).map_err(|e| errno(&e)),
            Open::Features(_) => Ok(FEATURES.len() as u64),
            Open::Input | Open::Output | Open::Errors => Err(Errno::SPIPE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const READ: u32 = 0;
    const WRITE: u32 = 4;
    const APPEND: u32 = 8;

    /// A folder with a file, a subfolder, ways out of it, and a file outside.
    fn folder() -> (tempfile::TempDir, Files) {
        let place = tempfile::tempdir().unwrap();
        let inside = place.path().join("inside");
        fs::create_dir_all(inside.join("sub")).unwrap();
        fs::write(inside.join("file"), "text").unwrap();
        fs::write(place.path().join("secret"), "secret").unwrap();
        symlink("../secret", inside.join("out")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        symlink("file", inside.join("link")).unwrap();
        let files = Files::new(Some(&inside)).unwrap();
        (place, files)
    }

    fn contents(files: &mut Files, handle: u64) -> Vec<u8> {
        let mut bytes = [0; 64];
        let count = files.get(handle).unwrap().read(&mut bytes).unwrap();
        bytes[..count].to_vec()
    }

    #[test]
    fn files_are_read_written_and_appended_to() {
        let (_place, mut files) = folder();

        let new = files.open(b"sub/new", WRITE).unwrap();
        assert_eq!(files.get(new).unwrap().write(b"one"), Ok(3));
        files.close(new).unwrap();
        let more = files.open(b"sub/new", APPEND).unwrap();
        assert_eq!(files.get(more).unwrap().write(b"two"), Ok(3));
        let read = files.open(b"sub/new", READ).unwrap();

        assert_eq!(contents(&mut files, read), b"onetwo");
        files.get(read).unwrap().seek(4).unwrap();
        assert_eq!(contents(&mut files, read), b"wo");
        assert_eq!(files.get(read).unwrap().len(), Ok(6));
        assert_eq!(files.get(read).unwrap().write(b"x"), Err(Errno::BADF));
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let (place, mut files) = folder();
        let secret = place.path().join("secret");
        let names: [&[u8]; 7] = [
            b"../secret",
            b"sub/../../secret",
            b"out",
            b"up/secret",
            secret.as_os_str().as_encoded_bytes(),
            b"/etc/passwd",
            b"up/new",
        ];

        for name in names {
            for mode in [READ, WRITE, APPEND] {
                assert!(files.open(name, mode).is_err(), "{}", String::from_utf8_lossy(name));
            }
            if name != b"out" {
                assert!(files.remove(name).is_err(), "{}", String::from_utf8_lossy(name));
                assert!(files.rename(b"file", name).is_err());
                assert!(files.rename(name, b"mine").is_err());
            }
        }

        assert_eq!(fs::read(&secret).unwrap(), b"secret");
        assert!(!place.path().join("new").exists());
        let link = files.open(b"link", READ).unwrap();
        assert_eq!(contents(&mut files, link), b"text");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let (place, mut files) = folder();
        let pipe = place.path().join("inside/pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();

        assert_eq!(files.open(b"pipe", READ), Err(Errno::ACCESS));
        assert_eq!(files.open(b"sub", READ), Err(Errno::ACCESS));
    }

    #[test]
    fn files_are_renamed_and_removed() {
        let (place, files) = folder();

        files.rename(b"file", b"sub/other").unwrap();
        assert!(place.path().join("inside/sub/other").exists());
        files.remove(b"sub/other").unwrap();

        assert!(!place.path().join("inside/sub/other").exists());
        assert_eq!(files.remove(b"sub/other"), Err(Errno::NOENT));
    }

    #[test]
    fn without_a_folder_there_are_no_files() {
        let mut files = Files::new(None).unwrap();

        assert_eq!(files.open(b"file", READ), Err(Errno::ACCESS));
        assert_eq!(files.remove(b"file"), Err(Errno::ACCESS));
        let features = files.open(b":semihosting-features", READ).unwrap();
        assert_eq!(contents(&mut files, features), b"SHFB\x03");
    }

    #[test]
    fn open_files_are_opened_again_where_they_were() {
        let (place, mut files) = folder();
        let read = files.open(b"file", READ).unwrap();
        let closed = files.open(b"file", READ).unwrap();
        let written = files.open(b"sub/new", WRITE).unwrap();
        let features = files.open(b":semihosting-features", READ).unwrap();
        files.get(read).unwrap().seek(2).unwrap();
        files.get(features).unwrap().seek(3).unwrap();
        files.get(written).unwrap().write(b"one").unwrap();
        files.close(closed).unwrap();
        let saved = files.save().unwrap();
        let text = serde_json::to_string(&saved).unwrap();

        let mut files = Files::new(Some(&place.path().join("inside"))).unwrap();
        files.load(&serde_json::from_str::<Vec<_>>(&text).unwrap()).unwrap();

        assert_eq!(files.save().unwrap(), saved);
        assert_eq!(contents(&mut files, read), b"xt");
        assert_eq!(contents(&mut files, features), b"B\x03");
        assert_eq!(files.get(written).unwrap().write(b"two"), Ok(3));
        assert_eq!(fs::read(place.path().join("inside/sub/new")).unwrap(), b"onetwo");
        assert_eq!(files.close(closed), Err(Errno::BADF));
    }

    #[test]
    fn a_file_that_its_name_leads_to_no_more_is_not_saved_nor_opened_again() {
        let (place, mut files) = folder();
        let inside = place.path().join("inside");
        files.open(b"file", READ).unwrap();
        let saved = files.save().unwrap();

        fs::rename(inside.join("file"), inside.join("other")).unwrap();
        let gone = files.save().unwrap_err().to_string();
        let refused = files.load(&saved).unwrap_err();
        fs::write(inside.join("file"), "another").unwrap();
        let another = files.save().unwrap_err().to_string();

        let lost = "the program's open file file has another name by now, or none";
        assert_eq!([gone, another], [lost, lost]);
        let expected = "the program's open file file cannot be opened again: No such file or directory";
        assert!(refused.starts_with(expected), "{refused}");
        assert_eq!(contents(&mut files, 1), b"text", "all is as it was");
        let outside = SavedFile::File {
            name: b"../secret".to_vec(),
            mode: READ,
            at: 0,
        };
        assert!(files.load(&[Some(outside)]).is_err());
    }

    #[test]
    fn handles_are_bounded_and_used_again() {
        let mut files = Files::new(None).unwrap();
        let handles: Vec<u64> = (0..MOST).map(|_| files.open(b":tt", WRITE).unwrap()).collect();

        assert_eq!(files.open(b":tt", WRITE), Err(Errno::MFILE));
        files.close(handles[7]).unwrap();
        assert_eq!(files.open(b":tt", WRITE), Ok(handles[7]));
        assert_eq!(files.close(0), Err(Errno::BADF));
        assert_eq!(files.close(MOST as u64 + 1), Err(Errno::BADF));
    }
}
