//! What a [`Config`] may say, whoever made it: ranges, names, and what goes together.

use super::{BoardName, ByteSize, Config, ConsoleHost, GIB, MIB};
use crate::error::Error;

impl Config {
    /// Checks every value and what it has to do with others. Files are not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] naming the option of the first value that cannot be meant.
    pub fn check(&self) -> Result<(), Error> {
        let size = |option, bytes, checked: Result<(), String>| {
            checked.map_err(|reason| Error::input(option, ByteSize(bytes).option(), reason))
        };
        size("--memory", self.memory, check_memory(self.board, self.memory))?;
        self.arch.check_cpu(&self.cpu)?;
        check_cpus(self.board, self.cpus).map_err(|reason| Error::input("--smp", self.cpus, reason))?;
        size("--code-cache", self.code_cache, check_code_cache(self.code_cache))?;
        if (&self.serial, &self.virtio_console) == (&ConsoleHost::Stdio, &ConsoleHost::Stdio) {
            let reason = "the serial port has standard input and output; give it another place by --serial";
            return Err(Error::input("--virtio-console", "stdio", reason));
        }
        if let Some(code) = self.escape.0
            && !code.is_ascii_control()
        {
            return Err(Error::input("--escape", code, "not an ASCII control code"));
        }
        if self.gdb_wait && self.gdb.is_none() {
            return Err(Error::Input {
                option: "--gdb-wait".into(),
                reason: "goes with --gdb, for a debugger that lets the guest go".into(),
            });
        }
        Ok(())
    }
}

fn check_memory(board: BoardName, bytes: u64) -> Result<(), String> {
    let range = board.memory_range();
    let (least, most) = (ByteSize(*range.start()), ByteSize(*range.end()));
    if bytes == 0 {
        Err(format!("no memory at all; board {board} needs at least {least}"))
    } else if bytes < *range.start() {
        Err(format!(
            "only {}; board {board} needs at least {least} (sizes are in bytes, or with K M G T)",
            ByteSize(bytes)
        ))
    } else if bytes > *range.end() {
        Err(format!(
            "{} is more than board {board} can have ({most})",
            ByteSize(bytes)
        ))
    } else if !bytes.is_multiple_of(MIB) {
        Err("not a whole number of MiB".into())
    } else {
        Ok(())
    }
}

fn check_cpus(board: BoardName, count: u32) -> Result<(), String> {
    let most = board.max_cpus();
    match count {
        0 => Err("a machine needs a CPU".into()),
        1 => Ok(()),
        n if n <= most => Err("emu runs one virtual CPU at present".into()),
        _ => Err(format!("board {board} has at most {most} CPUs")),
    }
}

fn check_code_cache(bytes: u64) -> Result<(), String> {
    let range = emu_jit::engine::LEAST_CODE_CACHE as u64..=4 * GIB;
    let (least, most) = (ByteSize(*range.start()), ByteSize(*range.end()));
    let reason = || format!("at least {least} are needed, and at most {most} of use");
    range.contains(&bytes).then_some(()).ok_or_else(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EscapeKey, KIB};

    /// What is said about the default configuration after a change.
    fn refusal(change: impl FnOnce(&mut Config)) -> Option<String> {
        let mut config = crate::configure(["emu".into()]).unwrap().unwrap();
        change(&mut config);
        config.check().err().map(|error| error.to_string())
    }

    #[test]
    fn the_default_is_taken() {
        assert_eq!(refusal(|_| ()), None);
    }

    #[test]
    fn memory_that_the_board_cannot_have() {
        for bytes in [0, 3 * KIB, MIB + 1, 256 * GIB, 1 << 50, u64::MAX] {
            let refusal = refusal(|config| config.memory = bytes);
            let option = format!("--memory {}: ", ByteSize(bytes).option());
            assert!(refusal.is_some_and(|text| text.starts_with(&option)), "{bytes}");
        }
        assert_eq!(refusal(|config| config.memory = 64 * MIB), None);
    }

    #[test]
    fn cpus_that_there_are_not() {
        let expected = "--cpu z80: unknown CPU model; --arch arm has: cortex-a15, cortex-a7";
        assert_eq!(refusal(|config| config.cpu = "z80".into()).as_deref(), Some(expected));
        for count in [0, 2, 9, u32::MAX] {
            let refusal = refusal(|config| config.cpus = count);
            let option = format!("--smp {count}: ");
            assert!(refusal.is_some_and(|text| text.starts_with(&option)), "{count}");
        }
    }

    #[test]
    fn a_code_cache_of_no_use() {
        for bytes in [0, MIB, 5 * GIB, u64::MAX] {
            let refusal = refusal(|config| config.code_cache = bytes);
            let option = format!("--code-cache {}: ", ByteSize(bytes).option());
            assert!(refusal.is_some_and(|text| text.starts_with(&option)), "{bytes}");
        }
    }

    #[test]
    fn one_console_has_standard_input() {
        let expected = "--virtio-console stdio: the serial port has standard input and output; give it another place \
                        by --serial";
        let both = refusal(|config| config.virtio_console = ConsoleHost::Stdio);
        let swapped = refusal(|config| std::mem::swap(&mut config.serial, &mut config.virtio_console));

        assert_eq!((both.as_deref(), swapped), (Some(expected), None));
    }

    #[test]
    fn an_escape_key_is_a_control_code() {
        for code in [b'a', 0x80, 0xff] {
            let expected = format!("--escape {code}: not an ASCII control code");
            assert_eq!(refusal(|config| config.escape = EscapeKey(Some(code))), Some(expected));
        }
        assert_eq!(refusal(|config| config.escape = EscapeKey(None)), None);
    }

    #[test]
    fn nobody_waits_for_a_debugger_that_cannot_come() {
        let expected = "--gdb-wait: goes with --gdb, for a debugger that lets the guest go";
        assert_eq!(refusal(|config| config.gdb_wait = true).as_deref(), Some(expected));
    }
}
