//! Reading a flattened device tree that someone else wrote (Devicetree Specification, chapter 5).
//!
//! The crates that parse device trees at hand trust the blob's structure or skip what they do not know; a blob named on
//! a command line has to be checked whole and copied whole, so the format's five tokens are read here.

/// Deepest nesting that is read; Linux's limit.
const MAX_DEPTH: usize = 64;
/// Longest name that is read, in bytes; the specification has 31 for each part of a name.
const MAX_NAME: usize = 255;
const MAGIC: u32 = 0xd00d_feed;
const HEADER_SIZE: usize = 40;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

/// Why bytes are not a device tree blob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Another kind of file.
    #[error("not a device tree blob")]
    Magic,
    /// Fewer bytes than the header says.
    #[error("truncated device tree blob: {have} bytes of {size}")]
    Truncated {
        /// Size that the header says, in bytes.
        size: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// A version that version 17's reader does not understand.
    #[error("device tree blob of version {0}; versions 16 and 17 are understood")]
    Version(u32),
    /// A block lies outside the blob.
    #[error("damaged device tree blob: the {0} block lies outside the file")]
    Block(&'static str),
    /// The structure block makes no sense.
    #[error("damaged device tree blob: {what} at byte {offset:#x}")]
    Structure {
        /// Offset in the blob, in bytes.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
}

/// An element of the structure block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A node of this name begins; its properties follow, then the nodes below it.
    Begin(&'a str),
    /// A property of the node that began last.
    Property { name: &'a str, value: &'a [u8] },
    /// The node that began last ends.
    End,
}

/// A checked device tree blob.
#[derive(Clone, Debug)]
pub struct Blob<'a> {
    pub(super) boot_cpu: u32,
    /// The memory reservation block, with its terminator.
    pub(super) reservations: &'a [u8],
    pub(super) tokens: Vec<Token<'a>>,
}

impl<'a> Blob<'a> {
    /// Checks `bytes` from the header to the last token. What follows the blob's own size is ignored.
    ///
    /// # Errors
    ///
    /// When the bytes are not one whole device tree of version 16 or 17.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let field = |i: usize| word(bytes, i * 4);
        if field(0) != Some(MAGIC) {
            return Err(ReadError::Magic);
        }
        let size = field(1).unwrap_or(0) as usize;
        let (size, have) = (size.max(HEADER_SIZE), bytes.len());
        let bytes = bytes.get(..size).ok_or(ReadError::Truncated { size, have })?;
        let header = |i: usize| word(bytes, i * 4).unwrap_or(0) as usize;
        let (version, compatible) = (header(5) as u32, header(6) as u32);
        if version < 16 || compatible > 17 {
            return Err(ReadError::Version(version));
        }
        let strings = block(bytes, header(3), Some(header(8))).ok_or(ReadError::Block("strings"))?;
        let structure_size = (version >= 17).then(|| header(9));
        let structure = block(bytes, header(2), structure_size).ok_or(ReadError::Block("structure"))?;
        let reservations = reservations(bytes, header(4)).ok_or(ReadError::Block("memory reservation"))?;
        let tokens = Scanner {
            structure,
            base: header(2),
            at: 0,
            strings,
        }
        .tokens()?;
        Ok(Self {
            boot_cpu: header(7) as u32,
            reservations,
            tokens,
        })
    }

    /// The value of property `name` of the node at `path` (`/` is the root), if there is such a node and property.
    pub fn property(&self, path: &str, name: &str) -> Option<&'a [u8]> {
        let wanted: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let mut open: Vec<&str> = Vec::new();
        for token in &self.tokens {
            match *token {
                Token::Begin(node) => open.push(node),
                // The root's name does not matter.
                Token::Property { name: n, value } if n == name && open.get(1..) == Some(&wanted[..]) => {
                    return Some(value);
                }
                Token::Property { .. } => {}
                Token::End => {
                    open.pop();
                }
            }
        }
        None
    }

    /// A property of the root that is one cell.
    pub(super) fn root_cell(&self, name: &str) -> Option<u32> {
        self.property("/", name).and_then(|value| word(value, 0))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

fn block(bytes: &[u8], at: usize, size: Option<usize>) -> Option<&[u8]> {
    match size {
        Some(size) => bytes.get(at..at.checked_add(size)?),
        None => bytes.get(at..),
    }
}

/// Pairs of 64-bit numbers up to a pair of zeros.
fn reservations(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    let pairs = rest.chunks_exact(16).position(|pair| pair.iter().all(|&b| b == 0))?;
    rest.get(..(pairs + 1) * 16)
}

struct Scanner<'a> {
    structure: &'a [u8],
    /// Offset of the structure block in the blob, for messages.
    base: usize,
    at: usize,
    strings: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn error(&self, what: &'static str) -> ReadError {
        ReadError::Structure {
            offset: self.base.saturating_add(self.at),
            what,
        }
    }

    fn word(&mut self) -> Result<u32, ReadError> {
        let word = word(self.structure, self.at).ok_or_else(|| self.error("the structure block ends early"))?;
        self.at += 4;
        Ok(word)
    }

    fn tokens(mut self) -> Result<Vec<Token<'a>>, ReadError> {
        let mut tokens = Vec::new();
        let mut depth = 0;
        loop {
            let start = self.at;
            let token = match self.word()? {
                BEGIN_NODE if depth == 0 && !tokens.is_empty() => Err("a second root"),
                BEGIN_NODE if depth == MAX_DEPTH => Err("too many nodes inside one another"),
                BEGIN_NODE => {
                    depth += 1;
                    Ok(Token::Begin(self.name()?))
                }
                END_NODE if depth == 0 => Err("the end of a node that did not begin"),
                END_NODE => {
                    depth -= 1;
                    Ok(Token::End)
                }
                PROP if !matches!(tokens.last(), Some(Token::Begin(_) | Token::Property { .. })) => {
                    Err("a property outside of a node's head")
                }
                PROP => self.property(),
                NOP => continue,
                END if depth != 0 => Err("the end of the tree inside a node"),
                END if tokens.is_empty() => Err("a tree without a root"),
                END => return Ok(tokens),
                _ => Err("an unknown token"),
            };
            tokens.push(token.map_err(|what| {
                self.at = start;
                self.error(what)
            })?);
        }
    }

    /// A node's name: text up to a zero byte, padded to four bytes.
    fn name(&mut self) -> Result<&'a str, ReadError> {
        let name = text(self.structure, self.at).ok_or_else(|| self.error("a node name that is no text"))?;
        self.at = (self.at + name.len() + 1).next_multiple_of(4);
        Ok(name)
    }

    fn property(&mut self) -> Result<Token<'a>, &'static str> {
        let early = |_| "a property that ends early";
        let size = self.word().map_err(early)? as usize;
        let name = self.word().map_err(early)? as usize;
        let name = text(self.strings, name).ok_or("a property name outside of the strings block")?;
        let value =
            block(self.structure, self.at, Some(size)).ok_or("a property value outside of the structure block")?;
        self.at = (self.at + size).next_multiple_of(4);
        Ok(Token::Property { name, value })
    }
}

/// The zero-terminated text at `at`, if it is one of at most [`MAX_NAME`] bytes.
fn text(bytes: &[u8], at: usize) -> Option<&str> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().take(MAX_NAME + 1).position(|&b| b == 0)?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fdt::Node;

    fn blob() -> Vec<u8> {
        let leaf = Node::new("leaf@1").with("reg", 1).with("label", "a leaf");
        Node::new("")
            .with("#address-cells", 1)
            .child(Node::new("bus").child(leaf))
            .to_blob()
            .unwrap()
    }

    #[test]
    fn properties_by_path() {
        let bytes = blob();
        let blob = Blob::parse(&bytes).unwrap();

        assert_eq!(blob.property("/bus/leaf@1", "label"), Some(b"a leaf\0".as_slice()));
        assert_eq!(blob.root_cell("#address-cells"), Some(1));
        assert_eq!(blob.property("/bus", "label"), None);
        assert_eq!(blob.property("/leaf@1", "label"), None);
    }

    #[test]
    fn a_blob_cut_anywhere_is_truncated() {
        let bytes = blob();

        for len in 4..bytes.len() {
            let error = Blob::parse(&bytes[..len]).unwrap_err();
            assert!(
                matches!(error, ReadError::Truncated { have, .. } if have == len),
                "{len}: {error}"
            );
        }
    }

    #[test]
    fn other_files_are_no_blob() {
        for bytes in [b"".as_slice(), b"\xd0\x0d", b"/dts-v1/;\n", &[0; 64]] {
            assert_eq!(Blob::parse(bytes).unwrap_err(), ReadError::Magic);
        }
    }

    /// Every byte set to a few values in turn: an answer, and never a panic.
    #[test]
    fn a_damaged_blob_has_an_answer() {
        let bytes = blob();

        for at in 4..bytes.len() {
            for value in [0, 1, 2, 3, 4, 9, 0x2f, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                if let Ok(blob) = Blob::parse(&damaged) {
                    assert!(matches!(blob.tokens.as_slice(), [Token::Begin(_), .., Token::End]));
                }
            }
        }
    }

    #[test]
    fn damage_is_named_with_its_place() {
        let mut bytes = blob();
        let structure = u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
        bytes[structure + 3] = 7;

        let error = Blob::parse(&bytes).unwrap_err();

        assert_eq!(
            error,
            ReadError::Structure {
                offset: structure,
                what: "an unknown token"
            }
        );
    }
}
