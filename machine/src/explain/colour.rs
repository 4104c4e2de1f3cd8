//! Listings for a terminal.

use std::fmt::Write;

use clap::builder::styling::{AnsiColor, Style};

const HEADING: Style = AnsiColor::Cyan.on_default().bold();
const OPERATION: Style = AnsiColor::Yellow.on_default();
const LABEL: Style = AnsiColor::Green.on_default();
const REMARK: Style = Style::new().dimmed();

/// The listing with colours: headings, labels, what is done, and remarks.
pub fn coloured(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let (line, remark) = match line.split_once(" ; ") {
            Some((line, remark)) => (line, Some(remark)),
            None => (line, None),
        };
        body(line, &mut out);
        if let Some(remark) = remark {
            let _ = write!(out, " {REMARK}; {remark}{REMARK:#}");
        }
        out.push('\n');
    }
    out
}

fn body(line: &str, out: &mut String) {
    let indented = line.starts_with("    ");
    let label = line.trim_end().ends_with(':') || line.starts_with('+');
    let _ = match line {
        "" => Ok(()),
        _ if indented => {
            let (before, operation, after) = operation(line);
            write!(out, "{before}{OPERATION}{operation}{OPERATION:#}{after}")
        }
        _ if label && line.starts_with([' ', '+', 'L']) => write!(out, "{LABEL}{line}{LABEL:#}"),
        _ => write!(out, "{HEADING}{line}{HEADING:#}"),
    };
}

/// The word that says what a line does: after the address of a guest instruction, after the value of an IR operation.
fn operation(line: &str) -> (&str, &str, &str) {
    let start = line.len() - line.trim_start().len();
    let rest = &line[start..];
    let value = rest
        .split_once(" = ")
        .filter(|(name, _)| name.starts_with('%') && !name.contains(' '));
    let guest = rest
        .split_once("  ")
        .filter(|(at, _)| at.bytes().all(|c| c.is_ascii_hexdigit()));
    let at = value.or(guest).map_or(start, |(_, after)| line.len() - after.len());
    let end = line[at..].find(' ').map_or(line.len(), |len| at + len);
    (&line[..at], &line[at..end], &line[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found() {
        let cases = [
            ("      10  add r0, r1", "add"),
            ("    %5 = Get.I32 r1", "Get.I32"),
            ("    Set.I32 r0 <- %2", "Set.I32"),
            ("    add eax, 1                    ", "add"),
            ("    nop", "nop"),
        ];
        for (line, wanted) in cases {
            assert_eq!(operation(line).1, wanted, "{line}");
        }
    }

    #[test]
    fn without_its_codes_the_text_is_the_same() {
        let text = "1 guest instruction\nguest:\n       0  bx lr\nir:\n+000:\nL1:\n    %1 = Get.I32 lr\n  cold:\n  .1:\n    jmp <lookup> ; x\n\n";

        let coloured = coloured(text);

        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, code)) = rest.split_once('\x1b') {
            plain += before;
            rest = code.split_once('m').unwrap().1;
        }
        assert_eq!(plain + rest, text);
        assert!(coloured.contains('\x1b'));
    }
}
