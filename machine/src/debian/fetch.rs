//! A package through the system's apt, with state and cache of its own: no root is needed, and it does not matter
//! whether the system's package lists are there, or how old they are.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cache::{Cache, Scratch, unwritable};
use super::progress::Progress;
use super::{Error, Files, Port};

const APT: &str = "apt-get";
const DPKG: &str = "dpkg";
const INITRD: &str = "initrd.gz";

/// Where packages come from on a system of another release than the package's.
const BOOKWORM: &str = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
                        http://deb.debian.org/debian bookworm main\n";

/// Checks that the programs are there.
pub fn available() -> Result<(), Error> {
    for program in [APT, DPKG] {
        let version = Command::new(program).arg("--version").stdin(Stdio::null()).output();
        version.map_err(|e| cannot_run(program, e))?;
    }
    Ok(())
}

fn cannot_run(program: &'static str, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => Error::Missing { program },
        _ => Error::Program { program, source },
    }
}

/// What a system's apt does besides: hooks that refresh other programs' data, as root or failing without.
const NO_HOOKS: &str = "#clear APT::Update::Pre-Invoke;\n\
                        #clear APT::Update::Post-Invoke;\n\
                        #clear APT::Update::Post-Invoke-Success;\n";

/// Fetches the package and takes the files out of it, for whoever holds the cache's lock.
pub fn fetch(port: Port, cache: &Cache, progress: &Progress) -> Result<Files, Error> {
    let scratch = cache.scratch()?;
    let package = download(port, &scratch, progress)?;
    progress.step("unpacking");
    let tree = scratch.path.join("tree");
    let mut dpkg = Command::new(DPKG);
    let unpacked = run(dpkg.arg("-x").arg(package).arg(&tree), DPKG, &scratch, progress)?;
    if !unpacked.succeeded {
        return Err(Error::Failed {
            package: port.package(),
            program: DPKG,
            reason: unpacked.complaint(),
        });
    }
    let read = |name| {
        let file = port.file(name);
        let missing = |_| Error::Contents {
            package: port.package(),
            file: file.clone(),
        };
        fs::read(tree.join(&file)).map_err(missing)
    };
    Ok(Files {
        kernel: read(port.kernel)?,
        initrd: read(INITRD)?,
    })
}

/// The package's file, from the system's sources or else from Debian's own.
fn download(port: Port, scratch: &Scratch, progress: &Progress) -> Result<PathBuf, Error> {
    let apt = Apt::new(port, scratch)?;
    let system = apt.attempt(&[], progress)?;
    let failure = match system {
        Attempt::Got(package) => return Ok(package),
        Attempt::Failed(failure) => return Err(failure),
        Attempt::Unknown(failure) => failure,
    };
    let list = scratch.path.join("bookworm.list");
    fs::write(&list, BOOKWORM).map_err(unwritable(&list))?;
    let sources = [
        format!("Dir::Etc::sourcelist={}", list.display()),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
    ];
    match apt.attempt(&sources, progress)? {
        Attempt::Got(package) => Ok(package),
        Attempt::Failed(failure) => Err(failure),
        Attempt::Unknown(_) => Err(failure),
    }
}

/// How looking for the package in some sources ended.
enum Attempt {
    /// The package is in this file.
    Got(PathBuf),
    /// The sources were reached, and do not have the package.
    Unknown(Error),
    /// The sources, or the package in them, could not be had.
    Failed(Error),
}

/// apt with folders of its own.
struct Apt<'a> {
    port: Port,
    scratch: &'a Scratch,
    options: Vec<String>,
}

impl<'a> Apt<'a> {
    fn new(port: Port, scratch: &'a Scratch) -> Result<Self, Error> {
        let folder = |name: &str| scratch.path.join(name);
        for name in ["state/lists/partial", "cache/archives/partial", "package"] {
            fs::create_dir_all(folder(name)).map_err(unwritable(&folder(name)))?;
        }
        let (status, no_hooks) = (folder("status"), folder("apt.conf"));
        fs::write(&status, b"").map_err(unwritable(&status))?;
        fs::write(&no_hooks, NO_HOOKS).map_err(unwritable(&no_hooks))?;
        let options = vec![
            format!("Dir::State={}", folder("state").display()),
            format!("Dir::State::status={}", status.display()),
            format!("Dir::Cache={}", folder("cache").display()),
            // Downloads as the user who asked: apt's own user cannot enter that user's folders.
            "APT::Sandbox::User=root".to_owned(),
            // The package is for all architectures; the lists of one have it.
            "APT::Architectures=amd64".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=1".to_owned(),
            "Acquire::http::Timeout=20".to_owned(),
            "Acquire::https::Timeout=20".to_owned(),
            "APT::Status-Fd=1".to_owned(),
        ];
        Ok(Self { port, scratch, options })
    }

    fn command(&self, sources: &[String], words: &[&str]) -> Command {
        let mut command = Command::new(APT);
        command
            .env("LC_ALL", "C")
            .current_dir(self.scratch.path.join("package"))
            .arg("-q")
            .arg("-c")
            .arg(self.scratch.path.join("apt.conf"));
        for option in self.options.iter().chain(sources) {
            command.arg("-o").arg(option);
        }
        command.args(words);
        command
    }

    fn attempt(&self, sources: &[String], progress: &Progress) -> Result<Attempt, Error> {
        let package = self.port.package();
        let failed = |reason| Error::Failed {
            package: package.clone(),
            program: APT,
            reason,
        };
        progress.step("reading package lists");
        let update = run(&mut self.command(sources, &["update"]), APT, self.scratch, progress)?;
        progress.step("fetching Debian's kernel");
        let download = run(
            &mut self.command(sources, &["download", &package]),
            APT,
            self.scratch,
            progress,
        )?;
        if download.succeeded
            && let Some(package) = self.downloaded()
        {
            return Ok(Attempt::Got(package));
        }
        // Where lists could not be had, that is why the package is not known.
        Ok(match update.complaints.first() {
            Some(complaint) => Attempt::Failed(failed(complaint.clone())),
            None if download
                .complaints
                .iter()
                .any(|line| line.contains("Unable to locate package")) =>
            {
                Attempt::Unknown(failed(download.complaint()))
            }
            None => Attempt::Failed(failed(download.complaint())),
        })
    }

    fn downloaded(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(self.scratch.path.join("package")).ok()?;
        entries
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|e| e == "deb"))
    }
}

/// How a program ended.
struct Ended {
    succeeded: bool,
    /// What it said on standard error, without the marks of a complaint.
    complaints: Vec<String>,
}

impl Ended {
    /// The first complaint.
    fn complaint(mut self) -> String {
        if self.complaints.is_empty() {
            "it failed and did not say why".into()
        } else {
            self.complaints.swap_remove(0)
        }
    }
}

/// Runs a program to its end. It gets no input: that is the guest's.
fn run(command: &mut Command, program: &'static str, scratch: &Scratch, progress: &Progress) -> Result<Ended, Error> {
    let errors = scratch.path.join("errors");
    let sink = File::create(&errors).map_err(unwritable(&errors))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(sink)
        .spawn()
        .map_err(|e| cannot_run(program, e))?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if let Some(percent) = percent(&String::from_utf8_lossy(&line)) {
                progress.percent(percent);
            }
        }
    }
    let status = child.wait().map_err(|e| cannot_run(program, e))?;
    Ok(Ended {
        succeeded: status.success(),
        complaints: complaints(&errors),
    })
}

/// A line of apt's status channel: `dlstatus:1:42.5:Retrieving file 1 of 1`.
fn percent(line: &str) -> Option<f64> {
    let mut fields = line.strip_prefix("dlstatus:")?.split(':');
    fields.nth(1)?.parse().ok()
}

fn complaints(path: &Path) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let unmarked = |line: &str| {
        ["E: ", "W: "]
            .iter()
            .find_map(|mark| line.strip_prefix(mark).map(str::to_owned))
    };
    let lines = text
        .lines()
        .map(|line| unmarked(line).unwrap_or_else(|| line.to_owned()));
    lines
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_channel() {
        assert_eq!(percent("dlstatus:1:42.5000:Retrieving file 1 of 1"), Some(42.5));
        assert_eq!(
            percent("Get:1 http://deb.debian.org/debian bookworm InRelease [151 kB]"),
            None
        );
        assert_eq!(percent("dlstatus:1"), None);
    }
}
