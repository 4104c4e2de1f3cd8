//! Debian's files in the user's cache folder (XDG Base Directory Specification).
//!
//! `emu/debian-12-PORT/` (armhf, arm64) holds the kernel, the initrd and a manifest with their sizes and checksums. It comes into
//! being by renaming a finished folder, so that it is whole whenever emu is killed; one emu at a time makes it, under a
//! lock on `emu/debian-12-PORT.lock`.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Error, Files, Port};

const KERNEL: &str = "vmlinuz";
const INITRD: &str = "initrd.gz";
const MANIFEST: &str = "manifest.json";
/// Version of the manifest's form.
const VERSION: u32 = 1;

/// emu's folder in the user's cache.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    port: Port,
}

/// Why what is in the cache cannot be used.
#[derive(Debug)]
pub struct Damage {
    path: PathBuf,
    reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    version: u32,
    kernel: Sum,
    initrd: Sum,
}

/// A file's size in bytes and its CRC-32: against accidents. Against forgery, apt has checked its signatures.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sum {
    size: u64,
    crc32: u32,
}

impl Sum {
    fn of(bytes: &[u8]) -> Self {
        Self {
            size: bytes.len() as u64,
            crc32: crc32fast::hash(bytes),
        }
    }
}

/// The right to make the cached files, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Cache {
    /// The cache by the environment: `$XDG_CACHE_HOME`, if it is an absolute path, or else `$HOME/.cache`.
    pub fn locate(port: Port) -> Result<Self, Error> {
        Self::by_environment(port, std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
    }

    fn by_environment(port: Port, cache: Option<OsString>, home: Option<OsString>) -> Result<Self, Error> {
        let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute(cache).or_else(|| absolute(home).map(|home| home.join(".cache")));
        let root = base.map(|base| base.join("emu")).ok_or(Error::NoCache)?;
        Ok(Self { root, port })
    }

    /// The name of the folder that holds the files.
    fn name(&self) -> String {
        format!("debian-12-{}", self.port.name)
    }

    /// What names of folders start with that are there while files are made.
    fn scratch_name(&self) -> String {
        format!("debian-fetch-{}-", self.port.name)
    }

    /// The folder that holds the files.
    pub fn path(&self) -> PathBuf {
        self.root.join(self.name())
    }

    /// The files, if they are there; they are checked against the manifest.
    pub fn load(&self) -> Result<Option<Files>, Damage> {
        let manifest = match fs::read(self.path().join(MANIFEST)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound && !self.path().exists() => return Ok(None),
            Err(e) => return Err(self.damage(MANIFEST, e)),
        };
        let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|e| self.damage(MANIFEST, e))?;
        if manifest.version != VERSION {
            return Err(self.damage(
                MANIFEST,
                format!("made by another version of emu ({})", manifest.version),
            ));
        }
        let kernel = self.checked(KERNEL, &manifest.kernel)?;
        let initrd = self.checked(INITRD, &manifest.initrd)?;
        Ok(Some(Files { kernel, initrd }))
    }

    fn checked(&self, name: &str, expected: &Sum) -> Result<Vec<u8>, Damage> {
        let bytes = fs::read(self.path().join(name)).map_err(|e| self.damage(name, e))?;
        let found = Sum::of(&bytes);
        if found.size != expected.size {
            return Err(self.damage(name, format!("damaged ({} bytes of {})", found.size, expected.size)));
        }
        if found.crc32 != expected.crc32 {
            return Err(self.damage(name, "damaged (its checksum is wrong)"));
        }
        Ok(bytes)
    }

    fn damage(&self, name: &str, reason: impl ToString) -> Damage {
        Damage {
            path: self.path().join(name),
            reason: reason.to_string(),
        }
    }

    /// Waits until no other emu makes the files; `waiting` is called once if one does. Makes the cache folder, and
    /// removes what a killed emu left behind.
    pub fn lock(&self, waiting: impl FnOnce()) -> Result<Lock, Error> {
        fs::create_dir_all(&self.root).map_err(unwritable(&self.root))?;
        let path = self.root.join(format!("{}.lock", self.name()));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(unwritable(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                waiting();
                file.lock().map_err(unwritable(&path))?;
            }
            Err(fs::TryLockError::Error(e)) => return Err(unwritable(&path)(e)),
        }
        let entries = fs::read_dir(&self.root).map_err(unwritable(&self.root))?;
        for entry in entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&self.scratch_name()))
        {
            // What is left may belong to an apt that outlived its emu; a name is never used twice.
            let _ = fs::remove_dir_all(entry.path());
        }
        Ok(Lock { _file: file })
    }

    /// A new folder beside the files, for whoever holds the lock.
    pub fn scratch(&self) -> Result<Scratch, Error> {
        let now = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default()
            .as_nanos();
        let path = self
            .root
            .join(format!("{}{}-{now}", self.scratch_name(), std::process::id()));
        fs::create_dir(&path).map_err(unwritable(&path))?;
        Ok(Scratch { path })
    }

    /// Puts the files in place of what is there, whole or not at all, for whoever holds the lock.
    pub fn store(&self, files: &Files) -> Result<(), Error> {
        let scratch = self.scratch()?;
        let made = scratch.path.join("new");
        fs::create_dir(&made).map_err(unwritable(&made))?;
        let manifest = Manifest {
            version: VERSION,
            kernel: Sum::of(&files.kernel),
            initrd: Sum::of(&files.initrd),
        };
        let manifest = serde_json::to_vec_pretty(&manifest).map_err(|e| unwritable(&made)(e.into()))?;
        for (name, bytes) in [(KERNEL, &files.kernel), (INITRD, &files.initrd), (MANIFEST, &manifest)] {
            let path = made.join(name);
            write_durably(&path, bytes).map_err(unwritable(&path))?;
        }
        let place = self.path();
        match fs::rename(&place, scratch.path.join("old")) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(unwritable(&place)(e)),
            _ => fs::rename(&made, &place).map_err(unwritable(&place)),
        }
    }
}

/// A folder that goes when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    /// The folder.
    pub path: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next holder of the lock removes what cannot be removed now.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The complaint that `path` cannot be written.
pub fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Unwritable { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARMHF: Port = Port {
        name: "armhf",
        kernel: "vmlinuz",
        console: "ttyAMA0",
    };

    /// A cache in a folder of its own.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("emu-cache-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        fn cache(&self) -> Cache {
            Cache {
                root: self.0.clone(),
                port: ARMHF,
            }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn files() -> Files {
        Files {
            kernel: b"kernel".to_vec(),
            initrd: b"initrd".to_vec(),
        }
    }

    #[test]
    fn the_environment_says_where() {
        let at = |cache: Option<&str>, home: Option<&str>| {
            Cache::by_environment(ARMHF, cache.map(Into::into), home.map(Into::into))
                .map(|cache| cache.path())
                .ok()
        };

        assert_eq!(at(Some("/c"), Some("/h")), Some("/c/emu/debian-12-armhf".into()));
        assert_eq!(
            at(Some("relative"), Some("/h")),
            Some("/h/.cache/emu/debian-12-armhf".into())
        );
        assert_eq!(at(None, Some("")), None);
        assert_eq!(at(None, None), None);
    }

    #[test]
    fn what_is_stored_is_loaded() {
        let folder = Folder::new("stored");
        let cache = folder.cache();

        let _lock = cache.lock(|| ()).unwrap();
        cache.store(&files()).unwrap();
        cache.store(&files()).unwrap();

        assert_eq!(cache.load().unwrap(), Some(files()));
        let mut left: Vec<_> = fs::read_dir(&folder.0)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["debian-12-armhf", "debian-12-armhf.lock"]);
    }

    #[test]
    fn one_port_leaves_anothers_files_and_work_alone() {
        let folder = Folder::new("ports");
        let (armhf, arm64) = (
            folder.cache(),
            Cache {
                port: Port { name: "arm64", ..ARMHF },
                ..folder.cache()
            },
        );
        let _held = armhf.lock(|| ()).unwrap();
        armhf.store(&files()).unwrap();
        let work = armhf.scratch().unwrap();

        let _other = arm64.lock(|| panic!("it waits")).unwrap();

        assert!(work.path.exists() && matches!(arm64.load(), Ok(None)));
        assert_eq!(armhf.load().unwrap(), Some(files()));
    }

    #[test]
    fn an_empty_cache_has_nothing_and_no_damage() {
        assert!(matches!(Folder::new("empty").cache().load(), Ok(None)));
    }

    type Harm = fn(&Path) -> io::Result<()>;

    #[test]
    fn every_damage_is_seen_and_mended() {
        let folder = Folder::new("damage");
        let cache = folder.cache();
        let _lock = cache.lock(|| ()).unwrap();
        let harms: [(&str, Harm); 6] = [
            (KERNEL, |path| fs::remove_file(path)),
            (KERNEL, |path| fs::write(path, b"kerne")),
            (INITRD, |path| fs::write(path, b"initrx")),
            (MANIFEST, |path| fs::remove_file(path)),
            (MANIFEST, |path| fs::write(path, b"{\"version\":")),
            (MANIFEST, |path| {
                fs::write(
                    path,
                    br#"{"version":9,"kernel":{"size":0,"crc32":0},"initrd":{"size":0,"crc32":0}}"#,
                )
            }),
        ];
        for (name, harm) in harms {
            cache.store(&files()).unwrap();

            harm(&cache.path().join(name)).unwrap();

            let damage = cache.load().unwrap_err().to_string();
            assert!(damage.contains(name), "{damage}");
        }
        cache.store(&files()).unwrap();
        assert_eq!(cache.load().unwrap(), Some(files()));
    }

    #[test]
    fn the_lock_is_held_by_one_and_clears_what_a_killed_emu_left() {
        let folder = Folder::new("lock");
        let cache = folder.cache();
        let held = cache.lock(|| ()).unwrap();
        let left = cache.scratch().unwrap();
        std::mem::forget(left);

        let (waiting, waited) = std::sync::mpsc::channel();
        let other = cache.clone();
        let second = std::thread::spawn(move || other.lock(|| waiting.send(()).unwrap()).map(drop));
        waited.recv().unwrap();
        drop(held);

        second.join().unwrap().unwrap();
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }

    #[test]
    fn a_cache_below_a_file_cannot_be_written() {
        let folder = Folder::new("below");
        fs::write(&folder.0, b"").unwrap();

        let error = Cache {
            root: folder.0.join("emu"),
            port: ARMHF,
        }
        .lock(|| ())
        .unwrap_err()
        .to_string();

        fs::remove_file(&folder.0).unwrap();
        assert!(error.contains("--kernel") && !error.contains('\n'), "{error}");
    }
}
