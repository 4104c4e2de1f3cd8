//! Debian's own kernel and installer for a run that names no kernel: fetched once through the system's apt, kept in the
//! user's cache folder, and given a root shell in the installer's place.

mod cache;
mod fetch;
mod guest;
mod progress;

use std::io;
use std::path::PathBuf;

use cache::Cache;
use progress::Progress;

/// Debian's port to an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: &'static str,
    /// What the installer's package calls its kernel.
    pub kernel: &'static str,
    /// What Linux calls the console.
    pub console: &'static str,
}

impl Port {
    /// The package with kernel and initrd of Debian 12's installer; `Architecture: all`.
    fn package(self) -> String {
        format!("debian-installer-12-netboot-{}", self.name)
    }

    /// A file of the package's, by its path there.
    fn file(self, file: &str) -> String {
        let name = self.name;
        format!("usr/lib/debian-installer/images/12/{name}/text/debian-installer/{name}/{file}")
    }
}

/// Why Debian's kernel is not to be had. Each line says what to pass instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing says where the user's cache is.
    #[error("no place to keep Debian's kernel: neither XDG_CACHE_HOME nor HOME is set; set one, or pass --kernel")]
    NoCache,
    /// The cache cannot be written.
    #[error("cannot keep Debian's kernel: {path}: {source}; set XDG_CACHE_HOME to a folder of yours, or pass --kernel", path = .path.display())]
    Unwritable {
        /// What could not be written.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A program that this needs is not there.
    #[error("cannot fetch Debian's kernel: this system has no {program}; pass --kernel and --initrd instead")]
    Missing {
        /// The program.
        program: &'static str,
    },
    /// A program that this needs cannot be run.
    #[error("cannot fetch Debian's kernel: {program}: {source}; pass --kernel and --initrd instead")]
    Program {
        /// The program.
        program: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A program failed.
    #[error("cannot fetch Debian's kernel ({package}): {program}: {reason}; pass --kernel and --initrd instead")]
    Failed {
        /// The package.
        package: String,
        /// The program.
        program: &'static str,
        /// The first thing that it complained about.
        reason: String,
    },
    /// What was kept is damaged, and cannot be fetched again.
    #[error("{damage}, and {source}")]
    Damaged {
        /// Which file is damaged, and how.
        damage: String,
        /// Why it cannot be fetched.
        source: Box<Error>,
    },
    /// The package is not as it used to be.
    #[error("{package} holds no {file}; pass --kernel and --initrd instead")]
    Contents {
        /// The package.
        package: String,
        /// What is missing, by its path in the package.
        file: String,
    },
}

/// A kernel and the initrd for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// A zImage, or an Image.
    pub kernel: Vec<u8>,
    /// Debian's initrd; [`Files::initrd_with_shell`] adds emu's to it.
    pub initrd: Vec<u8>,
}

impl Files {
    /// Debian's initrd with the archive after it that puts a root shell in the installer's place.
    pub fn initrd_with_shell(mut self) -> Vec<u8> {
        self.initrd.resize(self.initrd.len().next_multiple_of(4), 0);
        self.initrd.extend(guest::archive());
        self.initrd
    }
}

pub use guest::command_line;

/// Debian's kernel and initrd: from the cache, or if they are not there or damaged, through apt.
///
/// # Errors
///
/// When neither the cache nor apt has them.
pub fn obtain(port: Port) -> Result<Files, Error> {
    let cache = Cache::locate(port)?;
    if let Ok(Some(files)) = cache.load() {
        return Ok(files);
    }
    let progress = Progress::new();
    let _lock = cache.lock(|| progress.say("another emu is fetching Debian's kernel; waiting for it"))?;
    match cache.load() {
        Ok(Some(files)) => return Ok(files),
        Ok(None) => {
            fetch::available()?;
            progress.say(&format!(
                "fetching Debian's kernel ({}) through apt; it is kept for later",
                port.package()
            ));
        }
        Err(damage) => {
            fetch::available().map_err(|e| Error::Damaged {
                damage: damage.to_string(),
                source: Box::new(e),
            })?;
            progress.say(&format!("{damage}; fetching Debian's kernel again"));
        }
    }
    let files = fetch::fetch(port, &cache, &progress)?;
    cache.store(&files)?;
    progress.finish(&format!("Debian's kernel is kept in {}", cache.path().display()));
    Ok(files)
}
