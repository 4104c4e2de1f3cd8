//! Running programs in a guest that boots Debian's kernel.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use emu_firmware::initrd::{File, pack};

use super::build::{Program, init, libraries};
use super::machines::Machine;
use crate::boot::Debian;
use crate::guest::Emu;

/// How each program ended.
pub type Outcomes = BTreeMap<String, String>;

/// An initrd with the programs, and an init that runs them.
pub fn initrd(programs: &[(Program, PathBuf)], debian: &Debian, folder: &Path) -> Result<PathBuf, String> {
    let read = |path: &Path| fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let mut files = vec![("init".to_owned(), read(&init(debian, folder)?)?)];
    for library in fs::read_dir(libraries(debian.compiler)?)
        .map_err(|e| e.to_string())?
        .flatten()
    {
        let name = library.file_name().to_string_lossy().into_owned();
        if name.starts_with("ld-linux") || ["libc.so.6", "libm.so.6", "libgcc_s.so.1"].contains(&&*name) {
            files.push((format!("lib/{name}"), read(&library.path())?));
        }
    }
    let mut list = String::new();
    for (program, path) in programs {
        files.push((format!("programs/{}", program.name), read(path)?));
        if let Some(output) = &program.output {
            files.push((
                format!("programs/{}.expected", program.name),
                output.clone().into_bytes(),
            ));
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
    // Where programs for x86-64 have their loader.
    entries.push(("lib64", File::Link { to: "lib" }));
    // Of one process, the tests for several machines have as many programs.
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("{}-{}-{made}.cpio.gz", programs.len(), std::process::id()));
    let packed = pack(&entries).map_err(|e| e.to_string())?;
    fs::write(&path, packed).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path)
}

/// A guest's machine, kernel, initrd, and how long it may run.
pub struct Guest<'a> {
    /// The machine.
    pub machine: &'static Machine,
    /// The kernel.
    pub kernel: &'a Path,
    /// What [`initrd`] made.
    pub initrd: &'a Path,
    /// How long it may run.
    pub limit: Duration,
}

impl Guest<'_> {
    fn command_line(&self) -> String {
        format!("console={} quiet", self.machine.kernel.console)
    }

    /// Runs it under emu.
    pub fn under_emu(&self, accel: &str) -> Outcomes {
        let (kernel, initrd) = (self.kernel.to_string_lossy(), self.initrd.to_string_lossy());
        let command_line = self.command_line();
        let mut args = vec![
            "--arch",
            self.machine.kernel.arch,
            "--accel",
            accel,
            "--append",
            &command_line,
        ];
        args.extend(["--kernel", &*kernel, "--initrd", &*initrd]);
        let (status, output, errors) = Emu::start(&args).end(self.limit);
        assert_eq!(status.code(), Some(0), "{accel}: {errors}{output}");
        outcomes(&output)
    }

    /// Runs it under QEMU, on the same machine; `None` if QEMU is not installed.
    pub fn under_qemu(&self) -> Option<Outcomes> {
        let [program, board, cpu] = self.machine.qemu;
        let output = Command::new("timeout")
            .arg(self.limit.as_secs().to_string())
            .args([program, "-M", board, "-cpu", cpu, "-m", "1024M"])
            .args(["-nographic", "-nic", "none", "-no-reboot", "-append"])
            .arg(self.command_line())
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
