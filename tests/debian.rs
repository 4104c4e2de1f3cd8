//! Packages of Debian 12 and their sources, through apt: fetched once, and kept. No root is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::guest::kept;

const DEBIAN: &str =
    "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main";

/// A file of a package that is the same on every architecture.
pub fn from_package(package: &str, file: &str) -> Result<PathBuf, String> {
    let tree = once(package, |folder| {
        fetch_package(package, folder)?;
        run(Command::new("dpkg").arg("-x").arg(one(folder, ".deb")?).arg(folder))
    })?;
    let path = tree.join(file);
    path.exists()
        .then_some(path)
        .ok_or_else(|| format!("{package} has no {file}"))
}

/// Where a program's source archive is.
pub enum Archive {
    /// In a package of this name.
    Package(&'static str),
    /// In a source package of this name.
    Source(&'static str),
}

/// The folder with those members (patterns of `tar`) of the largest source archive that a package has.
pub fn sources(archive: &Archive, members: &[&str]) -> Result<PathBuf, String> {
    let (Archive::Package(name) | Archive::Source(name)) = archive;
    // By what is taken of it too, so that a folder of fewer is not taken for it.
    let taken = crc32fast::hash(members.concat().as_bytes());
    once(&format!("{name}-{taken:08x}"), |folder| {
        let scratch = folder.join("scratch");
        fs::create_dir(&scratch).map_err(|e| e.to_string())?;
        match archive {
            Archive::Package(name) => {
                fetch_package(name, &scratch)?;
                run(Command::new("dpkg").arg("-x").arg(one(&scratch, ".deb")?).arg(&scratch))?;
            }
            Archive::Source(name) => fetch_source(name, &scratch)?,
        }
        let mut tar = Command::new("tar");
        tar.args(["--wildcards", "--strip-components=1", "-C"]).arg(folder);
        run(tar.arg("-xf").arg(one(&scratch, ".tar.")?).args(members))?;
        fs::remove_dir_all(&scratch).map_err(|e| e.to_string())
    })
}

/// The kept folder `name`, which `fill` fills if it is not there yet.
pub fn once(name: &str, fill: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    // Tests of one process fetch one after the other.
    static FILLING: Mutex<()> = Mutex::new(());
    let _filling = FILLING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = kept().join(name);
    if folder.exists() {
        return Ok(folder);
    }
    // Under another name until it is whole.
    let unfinished = kept().join(format!("{name}.{}", std::process::id()));
    fs::create_dir_all(&unfinished).map_err(|e| e.to_string())?;
    let filled = fill(&unfinished).and_then(|()| fs::rename(&unfinished, &folder).map_err(|e| e.to_string()));
    if filled.is_err() {
        let _ = fs::remove_dir_all(&unfinished);
    }
    // Another process may have been faster.
    if folder.exists() {
        Ok(folder)
    } else {
        filled.map(|()| folder)
    }
}

/// The package's file into a folder: by the system's package lists, or if they lack it, by fresh ones of our own.
fn fetch_package(name: &str, folder: &Path) -> Result<(), String> {
    run(Command::new("apt-get").args(["download", name]).current_dir(folder)).or_else(|_| {
        let apt = Apt::new(folder, "deb")?;
        apt.run(&["update"])?;
        apt.run(&["download", name])
    })
}

/// The source package's files into a folder.
fn fetch_source(name: &str, folder: &Path) -> Result<(), String> {
    let apt = Apt::new(folder, "deb-src")?;
    apt.run(&["update"])?;
    apt.run(&["source", "--download-only", name])
}

/// apt with lists and a cache of its own.
struct Apt<'a> {
    folder: &'a Path,
    options: Vec<String>,
}

impl<'a> Apt<'a> {
    fn new(folder: &'a Path, kind: &str) -> Result<Self, String> {
        let list = folder.join("sources.list");
        fs::write(&list, format!("{kind} {DEBIAN}\n")).map_err(|e| e.to_string())?;
        for needed in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(needed)).map_err(|e| e.to_string())?;
        }
        let options = vec![
            format!("Dir::State={}", folder.join("state").display()),
            format!("Dir::Cache={}", folder.join("cache").display()),
            format!("Dir::Etc::sourcelist={}", list.display()),
            "Dir::Etc::sourceparts=/dev/null".into(),
            // apt's own user cannot enter the folders of the user who runs this.
            "APT::Sandbox::User=root".into(),
            "Acquire::Languages=none".into(),
            "Acquire::Retries=1".into(),
            "Acquire::http::Timeout=20".into(),
        ];
        Ok(Self { folder, options })
    }

    fn run(&self, words: &[&str]) -> Result<(), String> {
        let mut command = Command::new("apt-get");
        command.current_dir(self.folder).args(words);
        for option in &self.options {
            command.args(["-o", option]);
        }
        run(&mut command)
    }
}

/// The largest file below a folder, of those whose names have `part` in them.
fn one(folder: &Path, part: &str) -> Result<PathBuf, String> {
    fn walk(folder: &Path, found: &mut Vec<(u64, PathBuf)>) -> std::io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                walk(&entry.path(), found)?;
            } else if kind.is_file() {
                found.push((entry.metadata()?.len(), entry.path()));
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(folder, &mut found).map_err(|e| e.to_string())?;
    let named = |path: &Path| path.file_name().is_some_and(|n| n.to_string_lossy().contains(part));
    let largest = found.into_iter().filter(|(_, path)| named(path)).max();
    largest
        .map(|(_, path)| path)
        .ok_or_else(|| format!("the package holds no {part}"))
}

/// Runs a program to its end; what it complains about, on one line, if it fails.
pub fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.stdin(std::process::Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")
        )),
        Err(e) => Err(format!("{program}: {e}")),
    }
}
