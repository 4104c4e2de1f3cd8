//! What emu adds to Debian's installer: an archive that replaces its first process, and words for its kernel.

use std::io::IsTerminal;

use emu_firmware::initrd::{File, pack};

const INIT: &[u8] = include_bytes!("guest/init");
const INITTAB: &[u8] = include_bytes!("guest/inittab");
const CONSOLE: &[u8] = include_bytes!("guest/console");
const SESSION: &[u8] = include_bytes!("guest/session");
const POWEROFF: &[u8] = include_bytes!("guest/poweroff");

/// The archive to append to the installer's initrd.
#[expect(
    clippy::expect_used,
    reason = "the files are always the same, and the tests boot with them"
)]
pub fn archive() -> Vec<u8> {
    let script = |bytes| File::Regular { bytes, mode: 0o755 };
    let files = [
        ("init", script(INIT)),
        (
            "etc/inittab",
            File::Regular {
                bytes: INITTAB,
                mode: 0o644,
            },
        ),
        ("lib/emu", File::Directory { mode: 0o755 }),
        ("lib/emu/console", script(CONSOLE)),
        ("lib/emu/session", script(SESSION)),
        ("usr/sbin/poweroff", script(POWEROFF)),
        ("usr/sbin/reboot", File::Link { to: "poweroff" }),
        ("usr/sbin/halt", File::Link { to: "poweroff" }),
    ];
    pack(&files).expect("a few short scripts are within the format's limits")
}

/// The kernel's command line: the console, the user's terminal (Linux hands `NAME=value` to its first process), and
/// the user's words.
pub fn command_line(console: &str, append: &str) -> String {
    let mut words = vec![format!("console={console}")];
    if std::io::stdin().is_terminal() {
        let term = std::env::var("TERM").unwrap_or_default();
        let size = rustix::termios::tcgetwinsize(std::io::stdin()).ok();
        words.extend(terminal(&term, size.map(|size| (size.ws_row, size.ws_col))));
    }
    if !append.is_empty() {
        words.push(append.to_owned());
    }
    words.join(" ")
}

/// Words that describe a terminal of a type and of a number of rows and columns. The installer knows few types.
fn terminal(term: &str, size: Option<(u16, u16)>) -> Vec<String> {
    const KNOWN: [&str; 6] = ["xterm", "screen", "linux", "vt102", "ansi", "dumb"];
    let known = KNOWN
        .iter()
        .find(|known| term.split(['-', '.']).next() == Some(**known));
    let mut words = vec![format!("TERM={}", known.unwrap_or(&"vt102"))];
    if let Some((rows @ 1.., columns @ 1..)) = size {
        words.extend([format!("LINES={rows}"), format!("COLUMNS={columns}")]);
    }
    words
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_archive_is_whole_and_always_the_same() {
        let archive = archive();

        assert!(emu_firmware::initrd::check(&archive).is_ok());
        assert_eq!(archive, super::archive());
    }

    #[test]
    fn the_scripts_are_scripts() {
        for script in [INIT, CONSOLE, SESSION, POWEROFF] {
            let mut shell = std::process::Command::new("sh");
            let mut shell = shell.arg("-n").stdin(std::process::Stdio::piped()).spawn().unwrap();

            shell.stdin.take().unwrap().write_all(script).unwrap();

            assert!(shell.wait().unwrap().success(), "{}", String::from_utf8_lossy(script));
        }
    }

    #[test]
    fn the_users_words_come_last() {
        let line = command_line("ttyAMA0", "quiet loglevel=3");

        assert!(line.starts_with("console=ttyAMA0"), "{line}");
        assert!(line.ends_with(" quiet loglevel=3"), "{line}");
    }

    #[test]
    fn terminals_of_which_the_installer_knows_nothing_are_plain() {
        assert_eq!(
            terminal("xterm-256color", Some((24, 80))),
            ["TERM=xterm", "LINES=24", "COLUMNS=80"]
        );
        assert_eq!(terminal("alacritty", None), ["TERM=vt102"]);
        assert_eq!(terminal("", Some((0, 80))), ["TERM=vt102"]);
    }
}
