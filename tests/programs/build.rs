//! Programs for the guest, cross-compiled in parallel and kept: what was built by the same command is not built again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::boot::Debian;

/// A program to build.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name: suite, source file, instruction set.
    pub name: String,
    /// Whose compiler builds it.
    pub compiler: &'static str,
    /// Its C files.
    pub sources: Vec<PathBuf>,
    /// The compiler's options for it.
    pub options: Vec<String>,
    /// What it should write to standard output.
    pub output: Option<String>,
}

/// The folder of a cross compiler's shared libraries, which the guest needs too.
pub fn libraries(compiler: &str) -> Result<PathBuf, String> {
    let answer = Command::new(compiler).arg("-print-file-name=libc.so.6").output();
    let answer = answer.map_err(|e| format!("{compiler}: {e}"))?;
    let path = PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim());
    match path.canonicalize().ok().as_deref().and_then(Path::parent) {
        Some(folder) => Ok(folder.to_path_buf()),
        None => Err(format!("{compiler} has no C library")),
    }
}

/// Builds the programs into a folder. Those that this compiler refuses are left out: their suites hold programs for
/// other machines too.
pub fn build(programs: &[Program], folder: &Path) -> Result<Vec<(Program, PathBuf)>, String> {
    // Tests of one process build one after the other: they have programs in common.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut built = Vec::new();
        while let Some(program) = programs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(path) = build_one(program, folder)? {
                built.push((program.clone(), path));
            }
        }
        Ok::<_, String>(built)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut built = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let parts = workers.into_iter().map(|w| w.join().expect("no worker panics"));
        parts.collect::<Result<Vec<_>, _>>().map(|parts| parts.concat())
    })?;
    built.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    Ok(built)
}

/// The built program, or `None` when the compiler refuses it.
fn build_one(program: &Program, folder: &Path) -> Result<Option<PathBuf>, String> {
    let (path, note) = (
        folder.join(&program.name),
        folder.join(format!("{}.command", program.name)),
    );
    let compiler = program.compiler;
    let mut command = Command::new(compiler);
    command.args(&program.options).args(&program.sources).arg("-lm");
    let line = format!("{command:?}");
    if fs::read_to_string(&note).is_ok_and(|l| l == line) {
        return Ok(path.exists().then_some(path));
    }
    let _ = fs::remove_file(&path);
    // In the folder, for what an option has the compiler write beside the program.
    command.arg("-o").arg(&path).current_dir(folder).stdin(Stdio::null());
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.map_err(|e| format!("{compiler}: {e}"))?;
    fs::write(&note, line).map_err(|e| e.to_string())?;
    Ok(status.success().then_some(path))
}

/// A program of ours, beside this file. It is named also by what is in it, so that a changed one is built anew.
pub fn ours(name: &str, debian: &Debian, options: Vec<String>) -> Result<Program, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/programs/{name}.c"));
    let text = fs::read_to_string(&source).map_err(|e| e.to_string())?;
    let sum = text.bytes().fold(0u32, |sum, b| sum.rotate_left(5) ^ u32::from(b));
    Ok(Program {
        name: format!("{name}-{}-{sum:08x}", debian.port),
        compiler: debian.compiler,
        sources: vec![source],
        options,
        output: None,
    })
}

/// The guest's init: it runs the programs and reports.
pub fn init(debian: &Debian, folder: &Path) -> Result<PathBuf, String> {
    let program = ours("init", debian, ["-static", "-O2", "-s"].map(String::from).to_vec())?;
    let built = build(&[program], folder)?.pop();
    let (_, path) = built.ok_or_else(|| format!("{} cannot build the guest's init", debian.compiler))?;
    Ok(path)
}
