//! The file that firmware keeps its variables in: the second flash bank's contents.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use emu_devices::backend::{Made, Store};

use crate::error::{Error, shown};
use crate::log;

const OPTION: &str = "--firmware-vars";

/// The bank's contents at power-on, and where changes go.
#[derive(Clone, Debug)]
pub struct Vars {
    /// What was in the file; what is not is erased, as far as a bank that nobody wrote to is (it reads as zeros).
    pub bytes: Vec<u8>,
    /// The file.
    pub file: Arc<VarsFile>,
}

impl Vars {
    /// Opens the file, which is made if it is not there, for a bank of so many bytes. Nobody else has it meanwhile.
    /// One that was made stays if [`VarsFile::keep`] is called.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when it cannot be written to, is larger than the bank, or another emu has it.
    pub fn open(path: &Path, bank: u64) -> Result<Vars, Error> {
        let bad = |reason: String| Error::file(OPTION, path, reason);
        if path.is_dir() {
            return Err(bad("a directory".into()));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let made = options.clone().create_new(true).open(path);
        let opened = match made {
            Ok(file) => Ok((file, Some(Made::at(path)))),
            Err(_) => options.create(true).truncate(false).open(path).map(|file| (file, None)),
        };
        let (mut file, made) = opened.map_err(|e| match e.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem if path.exists() => {
                bad("not to be written by this user, and variables are kept there; copy it, and name the copy".into())
            }
            _ => Error::refused(OPTION, path.display(), &e),
        })?;
        let refused = |e| Error::refused(OPTION, path.display(), &e);
        let metadata = file.metadata().map_err(refused)?;
        if !metadata.is_file() {
            return Err(bad("not a regular file".into()));
        }
        if metadata.len() > bank {
            return Err(bad(format!("larger than the flash bank ({} MiB)", bank >> 20)));
        }
        // Some file systems have no locks.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(bad("another emu has it".into()));
        }
        let mut bytes = Vec::new();
        (&mut file).take(bank).read_to_end(&mut bytes).map_err(refused)?;
        let file = Arc::new(VarsFile {
            path: path.to_owned(),
            file,
            has_failed: AtomicBool::new(false),
            made,
        });
        Ok(Vars { bytes, file })
    }
}

/// The file, which is locked as long as this is there.
#[derive(Debug)]
pub struct VarsFile {
    path: PathBuf,
    file: File,
    /// Somebody was told that it cannot be written.
    has_failed: AtomicBool,
    /// It was not there before.
    made: Option<Made>,
}

impl VarsFile {
    /// A machine has it: it stays.
    pub fn keep(&self) {
        self.made.iter().for_each(Made::keep);
    }

    /// The run is over: a file that was made for one that did not begin goes.
    pub fn finish(&self) {
        self.made.iter().for_each(Made::remove);
    }
}

impl Store for VarsFile {
    fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset).inspect_err(|e| {
            if !self.has_failed.swap(true, Ordering::Relaxed) {
                log::say(format_args!(
                    "cannot write {}: {e}; the guest hears that its flash fails",
                    shown(OPTION, self.path.display())
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const BANK: u64 = 1 << 20;

    fn refusal(path: &Path) -> String {
        Vars::open(path, BANK).expect_err("no such file").to_string()
    }

    #[test]
    fn a_file_is_made_and_keeps_what_is_put_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vars");

        let vars = Vars::open(&path, BANK).unwrap();
        assert_eq!(vars.bytes, b"");
        vars.file.put(3, b"abc").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"\0\0\0abc");
        vars.file.keep();
        drop(vars);
        assert_eq!(Vars::open(&path, BANK).unwrap().bytes, b"\0\0\0abc");
    }

    #[test]
    fn a_file_that_was_made_for_no_run_is_gone_and_one_that_was_there_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [new, old] = ["new", "old"].map(|name| folder.path().join(name));
        fs::write(&old, b"abc").unwrap();

        for path in [&new, &old] {
            Vars::open(path, BANK).unwrap();
        }

        assert!(!new.exists());
        assert_eq!(fs::read(&old).unwrap(), b"abc");
    }

    #[test]
    fn what_cannot_keep_variables_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vars");
        fs::write(&path, vec![7; BANK as usize + 1]).unwrap();
        let shown = path.display();

        assert_eq!(
            refusal(&path),
            format!("--firmware-vars {shown}: larger than the flash bank (1 MiB)")
        );
        assert_eq!(fs::read(&path).unwrap(), vec![7; BANK as usize + 1]);
        fs::write(&path, [1, 2, 3]).unwrap();
        let vars = Vars::open(&path, BANK).unwrap();
        assert_eq!(refusal(&path), format!("--firmware-vars {shown}: another emu has it"));
        assert_eq!(vars.bytes, [1, 2, 3]);
        assert!(refusal(folder.path()).ends_with(": a directory"));
        assert!(refusal(Path::new("/dev/null")).ends_with(": not a regular file"));
        assert!(refusal(Path::new("/nowhere/vars")).starts_with("--firmware-vars /nowhere/vars: "));
    }
}
