//! Running programs in a guest that boots Debian's kernel.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use emu_firmware::initrd::{File, pack};

use super::build::{Program, init, libraries};
use crate::guest::Emu;

/// How each program ended.
pub type Outcomes = BTreeMap<String, String>;

/// An initrd with the programs, and an init that runs them.
pub fn initrd(programs: &[(Program, PathBuf)], folder: &Path) -> Result<PathBuf, String> {
    let read = |path: &Path| fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let libraries = libraries()?;
    let mut files = vec![("init".to_owned(), read(&init(folder)?)?)];
    for library in ["ld-linux-armhf.so.3", "libc.so.6", "libm.so.6", "libgcc_s.so.1"] {
        files.push((format!("lib/{library}"), read(&libraries.join(library))?));
    }
    let mut list = String::new();
    for (program, path) in programs {
        files.push((format!("programs/{}", program.name), read(path)?));
        if let Some(output) = &program.output {
            files.push((format!("programs/{}.expected", program.name), read(output)?));
        }
        list += &format!("{}\n", program.name);
    }
    files.push(("programs/list".to_owned(), list.into_bytes()));
    let mut entries: Vec<_> = ["lib", "programs", "dev"]
        .map(|folder| (folder, File::Directory { mode: 0o755 }))
        .to_vec();
    entries.extend(
        files
            .iter()
            .map(|(path, bytes)| (path.as_str(), File::Regular { bytes, mode: 0o755 })),
    );
    let path = folder.join(format!("{}-{}.cpio.gz", programs.len(), std::process::id()));
    let packed = pack(&entries).map_err(|e| e.to_string())?;
    fs::write(&path, packed).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path)
}

/// A guest's kernel, initrd, and how long it may run.
pub struct Guest<'a> {
    /// The architecture of its kernel.
    pub arch: &'a str,
    /// The kernel.
    pub kernel: &'a Path,
    /// What [`initrd`] made.
    pub initrd: &'a Path,
    /// How long it may run.
    pub limit: Duration,
}

const COMMAND_LINE: &str = "console=ttyAMA0 quiet";

impl Guest<'_> {
    /// Runs it under emu.
    pub fn under_emu(&self, accel: &str) -> Outcomes {
        let (kernel, initrd) = (self.kernel.to_string_lossy(), self.initrd.to_string_lossy());
        let mut args = vec!["--arch", self.arch, "--accel", accel, "--append", COMMAND_LINE];
        args.extend(["--kernel", &*kernel, "--initrd", &*initrd]);
        let (status, output, errors) = Emu::start(&args).end(self.limit);
        assert_eq!(status.code(), Some(0), "{accel}: {errors}{output}");
        outcomes(&output)
    }

    /// Runs it under QEMU, on the same machine; `None` if QEMU is not installed.
    pub fn under_qemu(&self) -> Option<Outcomes> {
        let output = Command::new("timeout")
            .arg(self.limit.as_secs().to_string())
            .args(["qemu-system-arm", "-M", "virt", "-cpu", "cortex-a15", "-m", "1024M"])
            .args(["-nographic", "-nic", "none", "-no-reboot", "-append", COMMAND_LINE])
            .arg("-kernel")
            .arg(self.kernel)
            .arg("-initrd")
            .arg(self.initrd)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        // timeout's own status when there is no such program.
        (output.status.code() != Some(127)).then(|| outcomes(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// What the guest's init says: `@ NAME OUTCOME`.
fn outcomes(console: &str) -> Outcomes {
    let report = |line: &str| {
        let (name, outcome) = line.trim_end().strip_prefix("@ ")?.split_once(' ')?;
        Some((name.to_owned(), outcome.to_owned()))
    };
    console.lines().filter_map(report).collect()
}
