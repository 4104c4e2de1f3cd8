//! Assembly text to code, by an assembler of the host's.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

use crate::arch::MOST_CODE;

/// An assembler and how it is called: it reads its standard input and writes the object file that is its last argument.
pub struct Assembler {
    /// Its name on PATH.
    pub name: &'static str,
    /// Its arguments before the last.
    pub args: &'static [&'static str],
}

/// How an instruction set's assembly is written, and by what it is assembled.
pub struct Dialect {
    /// In the order of preference.
    pub known: &'static [Assembler],
    /// What comes before the text.
    pub preface: &'static str,
    /// What a comment to the end of its line starts with, besides `//`.
    pub comment: Option<char>,
    /// Whether an instruction of this name in lower case, with operands before the last one or without, branches to the last.
    pub branches: fn(&str, bool) -> bool,
}

/// The label at the code's start, which numbers in branches are relative to.
const START: &str = ".Lemu_start";

impl Dialect {
    /// The object file that an assembler makes of `text`, instructions between semicolons or on lines of their own.
    ///
    /// # Errors
    /// What is wrong with the text, or with the host's assembler, for the user.
    pub fn object(&self, text: &str) -> Result<Vec<u8>, String> {
        let statements = self.statements(text)?;
        let mut source = format!("{}{START}:\n", self.preface);
        let first = source.lines().count() + 1;
        for statement in &statements {
            source += &self.with_labels(statement);
            source.push('\n');
        }
        for assembler in self.known {
            match run(assembler, &source) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(format!("{} cannot be run: {e}", assembler.name)),
                Ok((object, _)) if !object.is_empty() => return Ok(object),
                Ok((_, complaints)) => return Err(complaint(assembler, &complaints, first, &statements)),
            }
        }
        let names: Vec<&str> = self.known.iter().map(|a| a.name).collect();
        let names = names.join(", ");
        Err(format!(
            "assembly needs one of {names} on PATH; hexadecimal bytes need none"
        ))
    }

    /// Each instruction or label, without comments.
    ///
    /// # Errors
    /// Something else is there.
    pub fn statements(&self, text: &str) -> Result<Vec<String>, String> {
        let lines = text
            .lines()
            .map(|line| line.split(|c| self.comment == Some(c)).next().unwrap_or_default());
        let lines = lines.map(|line| line.split("//").next().unwrap_or_default());
        let parts = lines.flat_map(|line| line.split(';'));
        let statements: Vec<String> = parts.map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect();
        let directive = |s: &&String| instruction(s).1.starts_with('.');
        match statements.iter().find(directive) {
            Some(directive) => Err(format!(
                "{directive:?} is a directive; only instructions and labels are taken"
            )),
            None => Ok(statements),
        }
    }

    /// The statement with a label in place of a number that it branches to: assemblers differ in what they take one for.
    pub fn with_labels(&self, statement: &str) -> String {
        let (labels, insn) = instruction(statement);
        let Some((name, operands)) = insn.split_once(char::is_whitespace) else {
            return statement.to_owned();
        };
        let (before, target) = match operands.rsplit_once(',') {
            Some((before, target)) => (format!("{before},"), target.trim()),
            None => (String::new(), operands.trim()),
        };
        let is_branch = (self.branches)(&name.to_ascii_lowercase(), !before.is_empty());
        let digits = target.trim_start_matches('#');
        let is_number = match digits.strip_prefix("0x") {
            Some(hex) => !hex.is_empty() && hex.bytes().all(|c| c.is_ascii_hexdigit()),
            None => !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()),
        };
        if is_branch && is_number {
            format!("{labels} {name} {before} {START}+{digits}")
        } else {
            statement.to_owned()
        }
    }
}

/// A statement's labels and its instruction.
fn instruction(statement: &str) -> (&str, &str) {
    let mut at = 0;
    while let Some((label, _)) = statement[at..].split_once(':') {
        let is_label = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
        if !label.trim().chars().all(is_label) {
            break;
        }
        at += label.len() + 1;
    }
    let (labels, rest) = statement.split_at(at);
    (labels, rest.trim_start())
}

/// The object file, empty if there were errors; and what the assembler said.
fn run(assembler: &Assembler, source: &str) -> io::Result<(Vec<u8>, String)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("code.o");
    let mut child = Command::new(assembler.name)
        .args(assembler.args)
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // One that ends before it has read all says why.
        let _ = input.write_all(source.as_bytes());
    }
    let output = child.wait_with_output()?;
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut object = Vec::new();
    if output.status.success() {
        let most = 4 * MOST_CODE as u64;
        std::fs::File::open(&path)?.take(most).read_to_end(&mut object)?;
    }
    Ok((object, complaints))
}

/// The first error, with the instruction it is about.
fn complaint(assembler: &Assembler, complaints: &str, first: usize, statements: &[String]) -> String {
    let error = complaints.lines().find_map(|line| {
        let at = line.to_ascii_lowercase().find("error: ")?;
        let number = line[..at].split(':').find_map(|part| part.trim().parse::<usize>().ok());
        Some((number, line[at + "error: ".len()..].to_owned()))
    });
    let Some((line, text)) = error else {
        let said = complaints.lines().next().unwrap_or("it does not say why");
        return format!("{} failed: {said}", assembler.name);
    };
    match line.and_then(|n| statements.get(n.checked_sub(first)?)) {
        Some(statement) => format!("{statement:?}: {text} ({})", assembler.name),
        None => format!("{text} ({})", assembler.name),
    }
}
