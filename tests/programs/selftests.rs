//! Linux's tests of what it makes of x86 for programs: signal frames, descriptor tables, entries and returns, single
//! steps, virtual-8086 mode. As Debian's sources have them.

use super::build::Program;
use super::machines::Machine;
use super::suites::{ALL, owned};
use crate::debian::{Archive, sources};

/// A test.
pub struct Selftest {
    name: &'static str,
    /// Its sources beside the one of its name, and its options beside those of all, as the Makefile says.
    more: &'static [&'static str],
    options: &'static [&'static str],
}

const fn test(name: &'static str) -> Selftest {
    Selftest {
        name,
        more: &[],
        options: &[],
    }
}

const fn with(name: &'static str, more: &'static [&'static str]) -> Selftest {
    Selftest { more, ..test(name) }
}

/// It looks at what the kernel starts it with: without a loader before it.
const INITIAL: Selftest = Selftest {
    options: &["-Wl,-ereal_start", "-static"],
    ..test("check_initial_reg_state")
};

/// For 32-bit x86.
pub const BITS32: &[Selftest] = &[
    test("single_step_syscall"),
    test("sysret_ss_attrs"),
    test("syscall_nt"),
    test("test_mremap_vdso"),
    INITIAL,
    test("sigreturn"),
    test("iopl"),
    test("ioperm"),
    test("test_vsyscall"),
    test("mov_ss_trap"),
    test("sigtrap_loop"),
    test("syscall_arg_fault"),
    test("fsgsbase_restore"),
    test("sigaltstack"),
    test("entry_from_vm86"),
    with("test_syscall_vdso", &["thunks_32.S"]),
    test("unwind_vdso"),
    test("test_FCMOV"),
    test("test_FCOMI"),
    test("test_FISTTP"),
    test("vdso_restorer"),
    test("ldt_gdt"),
    with("ptrace_syscall", &["raw_syscall_helper_32.S"]),
];

/// For x86-64.
pub const BITS64: &[Selftest] = &[
    test("single_step_syscall"),
    with("sysret_ss_attrs", &["thunks.S"]),
    test("syscall_nt"),
    test("test_mremap_vdso"),
    INITIAL,
    test("sigreturn"),
    test("iopl"),
    test("ioperm"),
    test("test_vsyscall"),
    test("mov_ss_trap"),
    test("sigtrap_loop"),
    test("syscall_arg_fault"),
    test("fsgsbase_restore"),
    test("sigaltstack"),
    test("fsgsbase"),
    test("sysret_rip"),
    test("syscall_numbering"),
    test("corrupt_xstate_header"),
    test("amx"),
    test("ldt_gdt"),
    test("ptrace_syscall"),
];

/// The end of the name of the one that takes the interpreter minutes: it tries all numbers of system calls, traced too.
pub const SLOW: &str = "syscall_numbering-amd64";

/// The Makefile's, but for the warnings.
const OPTIONS: &[&str] = &["-O2", "-std=gnu99", "-pthread", "-no-pie", "-DCAN_BUILD_32"];

/// Linux's programs for a machine.
pub fn programs(machine: &Machine) -> Result<Vec<Program>, String> {
    if machine.selftests.is_empty() {
        return Ok(Vec::new());
    }
    let root = sources(
        &Archive::Package("linux-source-6.1"),
        &[
            "*/tools/testing/selftests/x86/*",
            "*/tools/testing/selftests/kselftest.h",
            "*/arch/x86/include/asm/desc_defs.h",
        ],
    )?;
    let folder = root.join("tools/testing/selftests/x86");
    let source = |name: &str| folder.join(name);
    let program = |test: &Selftest| Program {
        name: format!("selftest-{}-{}", test.name, machine.programs.port),
        compiler: machine.programs.compiler,
        sources: [source(&format!("{}.c", test.name))]
            .into_iter()
            .chain(test.more.iter().map(|name| source(name)))
            .collect(),
        options: owned(&[ALL, OPTIONS, test.options].concat()),
        output: None,
    };
    Ok(machine.selftests.iter().map(program).collect())
}
