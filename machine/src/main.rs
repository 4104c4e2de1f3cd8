//! The program `emu`.

fn main() -> std::process::ExitCode {
    emu_machine::main()
}
