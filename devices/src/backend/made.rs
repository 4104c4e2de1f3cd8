//! Files that are made for a run: they do not outlive one that does not come about.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A file that was made, and is removed with this unless it is to be kept.
#[derive(Debug)]
pub struct Made {
    path: PathBuf,
    /// It is kept, or has been removed.
    is_settled: AtomicBool,
}

impl Made {
    /// The file at `path`, which was just made.
    pub fn at(path: &Path) -> Made {
        Made {
            path: path.to_owned(),
            is_settled: AtomicBool::new(false),
        }
    }

    /// Makes a file to be written to, or empties the one that is there, which is not removed.
    ///
    /// # Errors
    /// As of [`File::create`].
    pub fn create(path: &Path) -> io::Result<(File, Option<Made>)> {
        match File::create_new(path) {
            Ok(file) => Ok((file, Some(Made::at(path)))),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok((File::create(path)?, None)),
            Err(e) => Err(e),
        }
    }

    /// It stays.
    pub fn keep(&self) {
        self.is_settled.store(true, Ordering::Relaxed);
    }

    /// Removes it now, unless it is kept or was removed before.
    pub fn remove(&self) {
        if !self.is_settled.swap(true, Ordering::Relaxed) {
            // Somebody else may have removed it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.remove();
    }
}
