//! What a [`Config`] may say, whoever made it: ranges, names, and what goes together.

use super::{BoardName, Boot, ByteSize, Config, ConsoleHost, GIB, MIB};
use crate::board::{Board, Chip, Gic, Virtio};
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
        self.check_board()?;
        size("--memory", self.memory, check_memory(self.board, self.memory))?;
        self.check_left_out()?;
        self.arch.check_cpu(&self.cpu)?;
        check_cpus(self.board, self.cpus)
            .and_then(|()| self.arch.architecture().check_cpus(&self.cpu, self.cpus))
            .map_err(|reason| Error::input("--smp", self.cpus, reason))?;
        self.check_gic()?;
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

    /// The board is one of the architecture's, and what only other architectures have is not asked for.
    fn check_board(&self) -> Result<(), Error> {
        let (arch, boards) = (self.arch.architecture(), self.arch.architecture().boards());
        if !boards.contains(&self.board.board().name) {
            let reason = format!("--arch {} has no such board; it has: {}", self.arch, boards.join(", "));
            return Err(Error::input("--board", self.board, reason));
        }
        let tells = "kernels are told of the board by ACPI's tables, not by a device tree";
        let asked = [
            (self.dtb.is_some() && !arch.has_device_tree(), "--dtb", tells),
            (self.dump_dtb.is_some() && !arch.has_device_tree(), "--dump-dtb", tells),
            (
                self.semihosting.is_some() && !arch.has_semihosting(),
                "--semihosting",
                "no program for it knows semihosting; isa-debug-exit at port 0xf4 ends emu with a status",
            ),
            (
                self.gic.is_some() && self.board.board().gic.is_none(),
                "--gic",
                "its interrupt controllers are APICs",
            ),
            (
                matches!(self.boot, Boot::Firmware { .. }) && self.board.flash_bank() == 0,
                "--firmware",
                "it has no flash for firmware; --kernel takes kernels for it",
            ),
        ];
        match asked.into_iter().find(|(is_asked, ..)| *is_asked) {
            Some((_, option, why)) => Err(Error::Input {
                option: option.to_owned(),
                reason: format!("--arch {}, --board {}: {why}", self.arch, self.board),
            }),
            None => Ok(()),
        }
    }

    /// The interrupt controller that is asked for serves all CPUs.
    fn check_gic(&self) -> Result<(), Error> {
        let board = self.board.board();
        let too_few = |gic: &Gic| board.served(*gic) < self.cpus;
        match self.gic.filter(too_few) {
            None => Ok(()),
            Some(gic) => {
                let (most, other) = (board.served(gic), board.gic_for(self.cpus));
                let other = other.map_or_else(String::new, |other| format!("; --gic {other} does"));
                let reason = format!("serves at most {most} CPUs, not the {} of --smp{other}", self.cpus);
                Err(Error::input("--gic", gic, reason))
            }
        }
    }

    /// What is left out is there to be left out, and nothing else that is asked for needs it.
    fn check_left_out(&self) -> Result<(), Error> {
        for name in &self.left_out {
            check_optional(&self.whole_board(), name).map_err(|reason| Error::input("--no-device", name, reason))?;
        }
        let board = self.fitted();
        let missing = |chip: Chip| board.find(chip).is_none().then(|| chip.name());
        let firmware = match &self.boot {
            Boot::Firmware { handed, .. } => Some(handed),
            _ => None,
        };
        let console = self.board.board().console().map(|fitted| fitted.chip.name());
        let serial = console.filter(|_| !self.has_serial() && self.serial != ConsoleHost::Null);
        let virtio = !board.has_virtio(Virtio::Console) && self.virtio_console != ConsoleHost::Null;
        let needs = [
            (firmware.and_then(|_| missing(Chip::Flash)), "--firmware runs from it"),
            (
                firmware.and_then(Option::as_ref).and_then(|_| missing(Chip::FwCfg)),
                "the firmware gets its --kernel from it",
            ),
            (serial, "--serial says where it is on the host"),
            (
                virtio.then(|| Virtio::Console.name()),
                "--virtio-console says where it is on the host",
            ),
        ];
        match needs.into_iter().find_map(|(device, why)| Some((device?, why))) {
            Some((device, why)) => Err(Error::input(
                "--no-device",
                self.left_out.join(","),
                format!("{device} is missing, and {why}; leave one of the two options out"),
            )),
            None => Ok(()),
        }
    }
}

fn check_optional(table: &Board, name: &str) -> Result<(), String> {
    let board = table.name;
    if table.optional().any(|(optional, _)| optional == name) {
        return Ok(());
    }
    if table.devices.iter().any(|fitted| fitted.chip.name() == name) {
        return Err(format!("board {board} does not work without it"));
    }
    let all: Vec<&str> = table.optional().map(|(name, _)| name).collect();
    Err(format!(
        "unknown device; board {board} can do without: {}",
        all.join(", ")
    ))
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
        n if n <= most => Ok(()),
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
        for count in [0, 124, u32::MAX] {
            let refusal = refusal(|config| config.cpus = count);
            let option = format!("--smp {count}: ");
            assert!(refusal.is_some_and(|text| text.starts_with(&option)), "{count}");
        }
    }

    #[test]
    fn several_cpus_without_anything_to_find_each_other_by() {
        let refusal = |cpu: &str, cpus: u32| {
            let (smp, words) = (cpus.to_string(), ["emu", "--arch", "i386", "--cpu", cpu, "--smp"]);
            let all = words.into_iter().chain([smp.as_str()]).map(Into::into);
            crate::configure(all.collect::<Vec<_>>())
                .err()
                .map(|error| error.to_string())
        };

        for cpu in ["486", "max,apic=off"] {
            let expected =
                format!("--smp 2: --cpu {cpu} has no local APIC to start and interrupt others by; it is alone");
            assert_eq!(refusal(cpu, 2), Some(expected));
            assert_eq!(refusal(cpu, 1), None);
        }
        assert_eq!(refusal("pentium", 2), None);
    }

    #[test]
    fn an_interrupt_controller_that_does_not_serve_all_cpus() {
        let refusal = |gic, cpus| {
            refusal(|config| {
                (config.gic, config.cpus) = (gic, cpus);
            })
        };
        let expected = "--gic 2: serves at most 8 CPUs, not the 9 of --smp; --gic 3 does";

        assert_eq!(refusal(Some(Gic::V2), 9).as_deref(), Some(expected));
        for (gic, cpus) in [
            (None, 9),
            (None, 123),
            (Some(Gic::V2), 8),
            (Some(Gic::V3), 1),
            (Some(Gic::V3), 123),
        ] {
            assert_eq!(refusal(gic, cpus), None, "{gic:?} {cpus}");
        }
        assert!(refusal(Some(Gic::V3), 124).is_some_and(|text| text.starts_with("--smp 124: ")));
    }

    #[test]
    fn a_code_cache_of_no_use() {
        for bytes in [0, MIB, 5 * GIB, u64::MAX] {
            let refusal = refusal(|config| config.code_cache = bytes);
            let option = format!("--code-cache {}: ", ByteSize(bytes).option());
            assert!(refusal.is_some_and(|text| text.starts_with(&option)), "{bytes}");
        }
    }

    fn without(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn devices_that_no_machine_can_be_without() {
        let all = "gicv2m, pflash, pl011, pl031, fw_cfg, pl061, virtio-mmio, virtio-rng, virtio-console";
        for (name, expected) in [
            ("gicv2-distributor", "board virt does not work without it".to_owned()),
            ("floppy", format!("unknown device; board virt can do without: {all}")),
        ] {
            let refusal = refusal(|config| config.left_out = without(&["pl031", name]));
            assert_eq!(refusal, Some(format!("--no-device {name}: {expected}")));
        }
    }

    #[test]
    fn every_optional_device_may_be_left_out() {
        let board = BoardName::Virt.board();
        for (name, _) in board.optional() {
            let refusal = refusal(|config| {
                config.serial = ConsoleHost::Null;
                config.left_out = without(&[name, name]);
            });
            assert_eq!(refusal, None, "{name}");
        }
    }

    #[test]
    fn nothing_that_is_asked_for_needs_what_is_left_out() {
        let firmware = |handed| Boot::Firmware {
            image: "f".into(),
            vars: None,
            handed,
        };
        let handed = || crate::config::Handed {
            kernel: "k".into(),
            initrd: None,
            append: String::new(),
        };
        let pty = || ConsoleHost::Pty;
        /// What is left out, what is asked for, and what is said.
        type Case<'a> = (&'a [&'a str], &'a dyn Fn(&mut Config), &'a str);
        let cases: [Case; 5] = [
            (
                &["pflash"],
                &|c| c.boot = firmware(None),
                "pflash is missing, and --firmware runs from it",
            ),
            (
                &["fw_cfg"],
                &|c| c.boot = firmware(Some(handed())),
                "fw_cfg is missing, and the firmware gets its --kernel from it",
            ),
            (
                &["pl011"],
                &|c| c.serial = pty(),
                "pl011 is missing, and --serial says where it is on the host",
            ),
            (
                &["pl031", "virtio-console"],
                &|c| c.virtio_console = pty(),
                "virtio-console is missing, and --virtio-console says where it is on the host",
            ),
            (
                &["virtio-mmio"],
                &|c| c.virtio_console = pty(),
                "virtio-console is missing, and --virtio-console says where it is on the host",
            ),
        ];
        for (names, ask, expected) in cases {
            let refusal = refusal(|config| {
                config.left_out = without(names);
                ask(config);
            });
            let option = names.join(",");
            let expected = format!("--no-device {option}: {expected}; leave one of the two options out");
            assert_eq!(refusal, Some(expected));
        }
        // Firmware alone needs no fw_cfg; programs by semihosting speak where the serial port would.
        let firmware_alone = refusal(|config| {
            config.left_out = without(&["fw_cfg"]);
            config.boot = firmware(None);
        });
        let semihosting = refusal(|config| {
            config.left_out = without(&["pl011"]);
            config.semihosting = Some(crate::semihosting::SemihostingConfig {
                folder: None,
                args: String::new(),
            });
        });
        assert_eq!((firmware_alone, semihosting), (None, None));
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
