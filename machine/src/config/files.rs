//! The files that a [`Config`] names: one that is written is no other option's.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Boot, Config, ConsoleHost};
use crate::error::Error;

/// A file by the option that names it.
#[derive(Clone, Copy)]
struct Named<'a> {
    option: &'static str,
    path: &'a Path,
    /// emu writes it, from its start.
    written: bool,
}

/// Which file of the host's it is.
#[derive(PartialEq, Eq)]
enum Identity {
    There {
        device: u64,
        inode: u64,
    },
    /// It is not there yet.
    Missing(PathBuf),
}

impl Config {
    /// Checks that no file is written over that another option names. Pipes, devices and what cannot be looked at are left
    /// to whoever opens them.
    ///
    /// # Errors
    /// [`Error::Input`] naming the option that would write.
    pub fn check_files(&self) -> Result<(), Error> {
        let mut seen: Vec<(Named, Identity)> = Vec::new();
        for file in self.named() {
            let Some(identity) = identity(file.path) else { continue };
            let same = seen.iter().find(|(_, other)| *other == identity);
            // Those that are written come last.
            if let Some((other, _)) = same.filter(|_| file.written) {
                let reason = format!("is the file of {} too, and would be lost; name another", other.option);
                return Err(Error::file(file.option, file.path, reason));
            }
            seen.push((file, identity));
        }
        Ok(())
    }

    /// What is read first. Logs of `--trace` may be one file.
    fn named<'a>(&'a self) -> Vec<Named<'a>> {
        let (mut read, mut written) = (vec![("--dtb", self.dtb.as_ref())], Vec::new());
        match &self.boot {
            Boot::Debian { initrd, .. } => read.push(("--initrd", initrd.as_ref())),
            Boot::Kernel { kernel, initrd, .. } => {
                read.extend([("--kernel", Some(kernel)), ("--initrd", initrd.as_ref())])
            }
            Boot::Firmware { image, vars, handed } => {
                let handed = handed.as_ref();
                read.extend([
                    ("--firmware", Some(image)),
                    ("--kernel", handed.map(|handed| &handed.kernel)),
                    ("--initrd", handed.and_then(|handed| handed.initrd.as_ref())),
                ]);
                written.push(("--firmware-vars", vars.as_ref()));
            }
        }
        written.push(("--dump-dtb", self.dump_dtb.as_ref()));
        for (option, host) in [("--serial", &self.serial), ("--virtio-console", &self.virtio_console)] {
            if let ConsoleHost::File(path) = host {
                written.push((option, Some(path)));
            }
        }
        let mut logs: Vec<&PathBuf> = self.trace.iter().map(|trace| &trace.file).collect();
        logs.sort_unstable();
        logs.dedup();
        written.extend(logs.into_iter().map(|path| ("--trace", Some(path))));
        let named = |files: Vec<(&'static str, Option<&'a PathBuf>)>, written| {
            let named = move |(option, path): (_, Option<&'a PathBuf>)| {
                let path = path?;
                Some(Named { option, path, written })
            };
            files.into_iter().filter_map(named).collect::<Vec<_>>()
        };
        [named(read, false), named(written, true)].concat()
    }
}

/// Which regular file is, or would be, at `path`.
fn identity(path: &Path) -> Option<Identity> {
    match fs::metadata(path) {
        Ok(file) if file.is_file() => Some(Identity::There {
            device: file.dev(),
            inode: file.ino(),
        }),
        Ok(_) => None,
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
            Some(Identity::Missing(folder.join(path.file_name()?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Request, parse};

    fn checked(args: &[&str]) -> Result<(), String> {
        let args = [&["emu"], args].concat().into_iter().map(Into::into);
        match parse(args) {
            Ok(Request::Run(config)) => config.check_files().map_err(|error| error.to_string()),
            _ => panic!("not a run"),
        }
    }

    #[test]
    fn no_file_of_another_option_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (kernel, link, new) = (place("kernel"), place("link"), place("new"));
        fs::write(&kernel, "code").unwrap();
        std::os::unix::fs::symlink(&kernel, &link).unwrap();
        let beside = folder.path().join(".").join("new").to_str().unwrap().to_owned();
        let [on_kernel, on_new, on_beside] = [&kernel, &new, &beside].map(|path| format!("file:{path}"));

        let lost = [
            (vec!["--kernel", &kernel, "--dump-dtb", &link], "--dump-dtb", "--kernel"),
            (
                vec!["--kernel", &kernel, "--serial", &on_kernel],
                "--serial",
                "--kernel",
            ),
            (
                vec!["--kernel", &kernel, "--trace", "insns", &kernel],
                "--trace",
                "--kernel",
            ),
            (
                vec!["--firmware", &kernel, "--firmware-vars", &link],
                "--firmware-vars",
                "--firmware",
            ),
            (
                vec!["--serial", &on_new, "--virtio-console", &on_beside],
                "--virtio-console",
                "--serial",
            ),
            (
                vec!["--trace", "insns", &kernel, "--trace", "mmu", &link],
                "--trace",
                "--trace",
            ),
        ];
        for (args, writer, other) in lost {
            let said = checked(&args).unwrap_err();
            assert!(
                said.starts_with(writer) && said.contains(&format!("the file of {other} too")),
                "{said}"
            );
        }
        for args in [
            vec!["--kernel", &kernel, "--initrd", &kernel],
            vec!["--serial", "file:/dev/null", "--virtio-console", "file:/dev/null"],
            vec!["--trace", "insns", &new, "--trace", "mmu", &new],
            vec!["--kernel", &place("none"), "--dump-dtb", &new],
        ] {
            assert_eq!(checked(&args), Ok(()), "{args:?}");
        }
    }
}
