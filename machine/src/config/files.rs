//! The files that a [`Config`] names: one that is written is no other option's.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Boot, Config, ConsoleHost};
use crate::error::Error;

const TRACE: &str = "--trace";

/// A file by the option that names it.
type Named<'a> = (&'static str, &'a Path);

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
        let read = self.read().into_iter();
        let mut seen: Vec<_> = read
            .filter_map(|(option, path)| Some((option, identity(path)?)))
            .collect();
        for (option, path) in self.written() {
            let Some(identity) = identity(path) else { continue };
            // Logs may be one file.
            let alike = |other: &str| option == TRACE && other == TRACE;
            let of_others = |(other, there): &&(&'static str, Identity)| *there == identity && !alike(other);
            if let Some((other, _)) = seen.iter().find(of_others) {
                let reason = format!("is the file of {other} too, and would be lost; name another");
                return Err(Error::file(option, path, reason));
            }
            seen.push((option, identity));
        }
        Ok(())
    }

    fn read(&self) -> Vec<Named<'_>> {
        let mut named = match &self.boot {
            Boot::Debian { initrd, .. } => vec![("--initrd", initrd.as_deref())],
            Boot::Kernel { kernel, initrd, .. } => vec![("--kernel", Some(&**kernel)), ("--initrd", initrd.as_deref())],
            Boot::Firmware { image, handed, .. } => {
                let handed = handed.as_ref();
                vec![
                    ("--firmware", Some(&**image)),
                    ("--kernel", handed.map(|handed| &*handed.kernel)),
                    ("--initrd", handed.and_then(|handed| handed.initrd.as_deref())),
                ]
            }
        };
        named.push(("--dtb", self.dtb.as_deref()));
        given(named)
    }

    /// What is written from the start.
    fn written<'a>(&'a self) -> Vec<Named<'a>> {
        let vars = match &self.boot {
            Boot::Firmware { vars, .. } => vars.as_deref(),
            _ => None,
        };
        let console = |host: &'a ConsoleHost| match host {
            ConsoleHost::File(path) => Some(&**path),
            _ => None,
        };
        let mut named = vec![
            ("--firmware-vars", vars),
            ("--dump-dtb", self.dump_dtb.as_deref()),
            ("--serial", console(&self.serial)),
            ("--virtio-console", console(&self.virtio_console)),
        ];
        named.extend(self.trace.iter().map(|trace| (TRACE, Some(&*trace.file))));
        given(named)
    }
}

/// Those that there are.
fn given<'a>(named: Vec<(&'static str, Option<&'a Path>)>) -> Vec<Named<'a>> {
    let named = named.into_iter();
    named.filter_map(|(option, path)| Some((option, path?))).collect()
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
            vec!["--trace", "insns", &kernel, "--trace", "mmu", &link],
            vec!["--kernel", &place("none"), "--dump-dtb", &new],
        ] {
            assert_eq!(checked(&args), Ok(()), "{args:?}");
        }
    }
}
