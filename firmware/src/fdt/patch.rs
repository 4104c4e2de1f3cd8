//! Completing a user's device tree: its memory and `/chosen` become those of this run, all else stays as it is.
//!
//! The blob is copied token by token: the `vm-fdt` writer refuses node names that `dtc -@` makes (`__symbols__`).

use std::collections::BTreeMap;

use super::read::Token;
use super::{Blob, Chosen, Node, Region, Value};

/// What a run has to say in a user's device tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// RAM, in place of whatever memory the tree describes.
    pub memory: Option<Region>,
    /// What to set in `/chosen`; what is `None` stays as the tree has it, but for the initrd, which is never stale.
    pub chosen: Chosen,
}

/// Properties of `/chosen` that describe a run and not a machine.
const OF_A_RUN: [&str; 2] = ["linux,initrd-start", "linux,initrd-end"];

const HEADER_SIZE: usize = 40;

impl Blob<'_> {
    /// A copy of the tree with `patch` applied.
    ///
    /// # Errors
    ///
    /// One line saying why the memory cannot be described in this tree's cells.
    pub fn patch(&self, patch: &Patch) -> Result<Vec<u8>, PatchError> {
        let memory = patch.memory.map(|place| self.memory(place)).transpose()?;
        let chosen = patch.chosen.node();
        let mut copy = Copy::default();
        let (mut at, mut depth, mut seen) = (0, 0, false);
        while let Some(&token) = self.tokens.get(at) {
            match token {
                Token::Begin(name) if depth == 1 && memory.is_some() && self.is_memory(name, at) => {
                    at = self.after(at);
                    continue;
                }
                Token::Begin("chosen") if depth == 1 && !seen => {
                    seen = true;
                    at = self.copy_chosen(&mut copy, &chosen, at);
                    depth += 1;
                    continue;
                }
                Token::Begin(_) => depth += 1,
                Token::End if depth == 1 => {
                    memory.iter().for_each(|node| copy.node(node));
                    if !seen {
                        copy.node(&chosen);
                    }
                    depth -= 1;
                }
                Token::End => depth -= 1,
                Token::Property { .. } => {}
            }
            copy.token(token);
            at += 1;
        }
        Ok(copy.finish(self))
    }

    /// Copies the head of `/chosen` at `at`, with `chosen`'s properties in place of the tree's; says where it went on.
    fn copy_chosen(&self, copy: &mut Copy, chosen: &Node, mut at: usize) -> usize {
        self.tokens.get(at).into_iter().for_each(|&token| copy.token(token));
        for (name, value) in &chosen.properties {
            copy.token(Token::Property {
                name,
                value: &value.to_bytes(),
            });
        }
        at += 1;
        while let Some(&Token::Property { name, value }) = self.tokens.get(at) {
            if !OF_A_RUN.contains(&name) && chosen.properties.iter().all(|(set, _)| set != name) {
                copy.token(Token::Property { name, value });
            }
            at += 1;
        }
        at
    }

    /// The memory node in the root's cells.
    fn memory(&self, place: Region) -> Result<Node, PatchError> {
        let cells = |name, default| self.root_cell(name).unwrap_or(default);
        let mut reg = Vec::new();
        let numbers = [
            (cells("#address-cells", 2), place.base),
            (cells("#size-cells", 1), place.size),
        ];
        for (cells, number) in numbers {
            match cells {
                1 if number > u64::from(u32::MAX) => return Err(PatchError::Cells { number }),
                1 => reg.push(number as u32),
                2 => reg.extend([(number >> 32) as u32, number as u32]),
                _ => return Err(PatchError::Root),
            }
        }
        let node = Node::new(format!("memory@{:x}", place.base));
        Ok(node.with("device_type", "memory").with("reg", Value::Cells(reg)))
    }

    /// Whether the node that begins at `at` describes memory.
    fn is_memory(&self, name: &str, at: usize) -> bool {
        let head = self
            .tokens
            .iter()
            .skip(at + 1)
            .take_while(|t| matches!(t, Token::Property { .. }));
        let typed = head.copied().any(|t| {
            t == Token::Property {
                name: "device_type",
                value: b"memory\0",
            }
        });
        typed || name == "memory" || name.starts_with("memory@")
    }

    /// The index after the end of the node that begins at `at`.
    fn after(&self, at: usize) -> usize {
        let mut depth = 0usize;
        for (i, token) in self.tokens.iter().enumerate().skip(at) {
            match token {
                Token::Begin(_) => depth += 1,
                Token::Property { .. } => {}
                Token::End => depth -= 1,
            }
            if depth == 0 {
                return i + 1;
            }
        }
        self.tokens.len()
    }
}

/// Why a device tree cannot be completed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The root's cell counts are neither 1 nor 2.
    #[error("the root's #address-cells or #size-cells are neither 1 nor 2")]
    Root,
    /// A number that the root's cells do not hold.
    #[error("memory at or of {number:#x} does not fit the root's one cell for it")]
    Cells {
        /// Address or size in bytes.
        number: u64,
    },
}

/// A blob being written.
#[derive(Default)]
struct Copy {
    structure: Vec<u8>,
    strings: Vec<u8>,
    /// Where each name is in `strings`.
    offsets: BTreeMap<String, u32>,
}

impl Copy {
    fn word(&mut self, word: u32) {
        self.structure.extend(word.to_be_bytes());
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.structure.extend(bytes);
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
    }

    /// Offset of `name` in the strings block, which has it once.
    fn string(&mut self, name: &str) -> u32 {
        if let Some(&offset) = self.offsets.get(name) {
            return offset;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend(name.bytes().chain([0]));
        self.offsets.insert(name.to_owned(), offset);
        offset
    }

    fn token(&mut self, token: Token<'_>) {
        match token {
            Token::Begin(name) => {
                self.word(1);
                let terminated: Vec<u8> = name.bytes().chain([0]).collect();
                self.padded(&terminated);
            }
            Token::Property { name, value } => {
                self.word(3);
                self.word(value.len() as u32);
                let name = self.string(name);
                self.word(name);
                self.padded(value);
            }
            Token::End => self.word(2),
        }
    }

    fn node(&mut self, node: &Node) {
        self.token(Token::Begin(&node.name));
        for (name, value) in &node.properties {
            self.token(Token::Property {
                name,
                value: &value.to_bytes(),
            });
        }
        for child in &node.children {
            self.node(child);
        }
        self.token(Token::End);
    }

    /// Header (version 17), memory reservations, structure, strings.
    fn finish(mut self, from: &Blob<'_>) -> Vec<u8> {
        self.word(9);
        let structure = HEADER_SIZE + from.reservations.len();
        let strings = structure + self.structure.len();
        let size = strings + self.strings.len();
        let header = [
            0xd00d_feed,
            size as u32,
            structure as u32,
            strings as u32,
            HEADER_SIZE as u32,
            17,
            16,
            from.boot_cpu,
            self.strings.len() as u32,
            self.structure.len() as u32,
        ];
        let mut blob: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
        blob.extend(from.reservations);
        blob.append(&mut self.structure);
        blob.append(&mut self.strings);
        blob
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(tree: &Node, patch: &Patch) -> Vec<u8> {
        let blob = tree.to_blob().unwrap();
        Blob::parse(&blob).unwrap().patch(patch).unwrap()
    }

    fn run() -> Patch {
        Patch {
            memory: Some(Region::new(0x4000_0000, 0x1000_0000)),
            chosen: Chosen {
                bootargs: Some("quiet".into()),
                initrd: Some(Region::new(0x4800_0000, 0x100)),
                ..Chosen::default()
            },
        }
    }

    #[test]
    fn a_tree_without_memory_and_chosen_gets_both() {
        let bytes = patched(&Node::new("").with("#address-cells", 2).with("#size-cells", 2), &run());
        let blob = Blob::parse(&bytes).unwrap();

        let reg = [0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0];
        assert_eq!(blob.property("/memory@40000000", "reg"), Some(reg.as_slice()));
        assert_eq!(blob.property("/chosen", "bootargs"), Some(b"quiet\0".as_slice()));
        assert_eq!(
            blob.property("/chosen", "linux,initrd-end"),
            Some([0, 0, 0, 0, 0x48, 0, 1, 0].as_slice())
        );
    }

    #[test]
    fn what_the_tree_says_of_this_run_is_replaced_and_all_else_kept() {
        let stale = Node::new("chosen")
            .with("bootargs", "old")
            .with("linux,initrd-start", 1)
            .with("stdout-path", "/uart")
            .child(Node::new("below").with("kept", 1));
        let ram = Node::new("ram").with("device_type", "memory").child(Node::new("bank"));
        let tree = Node::new("")
            .child(stale)
            .child(ram)
            .child(Node::new("uart").with("reg", 7));
        let patch = Patch {
            chosen: Chosen {
                initrd: None,
                ..run().chosen
            },
            ..run()
        };

        let bytes = patched(&tree, &patch);
        let blob = Blob::parse(&bytes).unwrap();

        assert_eq!(blob.property("/chosen", "bootargs"), Some(b"quiet\0".as_slice()));
        assert_eq!(blob.property("/chosen", "linux,initrd-start"), None);
        assert_eq!(blob.property("/chosen", "stdout-path"), Some(b"/uart\0".as_slice()));
        assert_eq!(blob.property("/chosen/below", "kept"), Some([0, 0, 0, 1].as_slice()));
        assert_eq!(blob.property("/ram", "device_type"), None);
        assert_eq!(blob.property("/uart", "reg"), Some([0, 0, 0, 7].as_slice()));
        assert_eq!(blob.property("/memory@40000000", "reg").map(<[u8]>::len), Some(12));
    }

    #[test]
    fn nothing_to_say_leaves_the_tree_alone() {
        let tree = Node::new("")
            .child(Node::new("memory@0").with("reg", 1))
            .child(Node::new("chosen"));
        let before = tree.to_blob().unwrap();
        let before = Blob::parse(&before).unwrap();

        let after = before.patch(&Patch::default()).unwrap();

        assert_eq!(Blob::parse(&after).unwrap().tokens, before.tokens);
    }

    #[test]
    fn memory_too_large_for_the_trees_cells() {
        let tree = Node::new("")
            .with("#address-cells", 1)
            .with("#size-cells", 1)
            .to_blob()
            .unwrap();
        let memory = Some(Region::new(0x4000_0000, 1 << 32));

        let error = Blob::parse(&tree)
            .unwrap()
            .patch(&Patch {
                memory,
                ..Patch::default()
            })
            .unwrap_err();

        assert_eq!(error, PatchError::Cells { number: 1 << 32 });
    }
}
