//! Who may know whom: between crates, and between the modules of a crate, which import each other in one direction only.

mod modules;

use modules::Crate;
use std::fs;
use std::path::Path;

/// The workspace's crates with what each may import of the others.
const CRATES: &[(&str, &[&str])] = &[
    ("jit/ir", &[]),
    ("jit", &["emu-ir"]),
    ("frontend-arm", &["emu-ir"]),
    ("frontend-x86", &["emu-ir"]),
    ("devices", &[]),
    ("firmware", &[]),
    (
        "machine",
        &[
            "emu-devices",
            "emu-firmware",
            "emu-frontend-arm",
            "emu-frontend-x86",
            "emu-ir",
            "emu-jit",
        ],
    ),
];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn every_crate_of_the_workspace_is_in_the_table() {
    let manifest = read("Cargo.toml");
    let members = manifest.split("members = [").nth(1).and_then(|m| m.split(']').next());

    let members: Vec<&str> = members.unwrap().split('"').skip(1).step_by(2).collect();

    let table: Vec<&str> = CRATES.iter().map(|c| c.0).collect();
    assert_eq!(members, table);
}

#[test]
fn crates_import_what_they_may() {
    for (folder, allowed) in CRATES {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        let dependencies = manifest.split("\n[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        let ours = dependencies.lines().filter(|line| line.starts_with("emu-"));
        for line in ours {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            assert!(allowed.contains(&name), "{folder} imports {name}");
        }
    }
}

#[test]
fn modules_import_in_one_direction() {
    for (folder, _) in CRATES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("src");
        let circles = Crate::read(&root.join("lib.rs")).circles();

        assert!(
            circles.is_empty(),
            "modules of {folder} import each other in a circle; what imports what, and for which name:\n{}",
            circles.join("\n")
        );
    }
}

/// A crate given as text: files by name.
fn of(files: &[(&str, &str)]) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("emu-imports-{}-{}", std::process::id(), files[0].1.len()));
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let circles = Crate::read(&folder.join("lib.rs")).circles();
    fs::remove_dir_all(folder).unwrap();
    circles
}

#[test]
fn a_circle_is_found_however_the_import_is_written() {
    let ways = [
        "use crate::a::{self, A};",
        "use super::a::A;",
        "pub fn f() { super::a::A; }",
        "use crate::A;",
        "use crate::{b, a::*};",
        "pub mod inner { use super::super::a::A; }",
        "m! { row => crate::a::A }",
    ];
    for way in ways {
        let circles = of(&[
            ("lib.rs", "mod a; mod b; pub use a::A;"),
            ("a.rs", "pub struct A; use crate::b::f;"),
            ("b.rs", way),
        ]);
        assert_eq!(circles.len(), 1, "{way}");
        assert!(circles[0].contains("b.rs -> a.rs: "), "{way}: {circles:?}");
    }
}

#[test]
fn what_is_no_circle_is_not_found() {
    let ways = [
        "",
        "#[cfg(test)] mod tests { use crate::a::A; }",
        "#[cfg(test)] use crate::a::A;",
        "// crate::a::A",
        "use other::a::A;",
    ];
    for way in ways {
        let circles = of(&[
            ("lib.rs", "mod a; mod b; pub use a::A; pub use b::f;"),
            ("a.rs", "pub struct A; use super::b; use crate::f;"),
            ("b.rs", &format!("{way} pub fn f() {{}}")),
        ]);
        assert_eq!(circles, [""; 0], "{way}");
    }
}

#[test]
fn a_child_may_use_what_its_parent_has() {
    let circles = of(&[
        ("lib.rs", "mod a;"),
        (
            "a/mod.rs",
            "mod child; mod other; fn helper() {} pub fn g() { child::f() }",
        ),
        ("a/child.rs", "use super::helper; pub fn f() { helper() }"),
        ("a/other.rs", "use super::child;"),
    ]);
    assert_eq!(circles, [""; 0]);
}

#[test]
fn siblings_may_not_use_each_other() {
    let circles = of(&[
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod one; mod two;"),
        ("a/one.rs", "use super::two::g; pub fn f() {}"),
        ("a/two.rs", "pub fn g() { super::one::f() }"),
    ]);
    assert_eq!(circles, ["a/one.rs -> a/two.rs: g\na/two.rs -> a/one.rs: f\n"]);
}
