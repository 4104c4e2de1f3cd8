//! Device trees: what the guest is told about the machine it runs on.
//!
//! Source: Devicetree Specification v0.4. A tree is described by [`Node`]s, made by hand or by the functions of
//! [`arm`], and flattened by [`Node::to_blob`]. A user's own blob is checked by [`Blob::parse`] and completed by
//! [`Blob::patch`].

pub mod arm;
mod patch;
mod read;

pub use patch::{Patch, PatchError};
pub use read::{Blob, ReadError};

use vm_fdt::FdtWriter;

/// A range of physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First byte's physical address.
    pub base: u64,
    /// Length in bytes.
    pub size: u64,
}

impl Region {
    /// `size` bytes from physical address `base` on.
    pub const fn new(base: u64, size: u64) -> Self {
        Self { base, size }
    }

    /// The address after the last byte; saturates at the end of the address space.
    pub const fn end(self) -> u64 {
        self.base.saturating_add(self.size)
    }

    /// Four cells: address and size, as under a root with two cells for each.
    fn cells(self) -> [u32; 4] {
        [
            (self.base >> 32) as u32,
            self.base as u32,
            (self.size >> 32) as u32,
            self.size as u32,
        ]
    }
}

/// A property's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// No value: the property's presence says it all.
    Empty,
    /// 32-bit cells.
    Cells(Vec<u32>),
    /// A string.
    Text(String),
    /// A list of strings, as in `compatible`.
    Texts(Vec<String>),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Value {
    /// A number in two cells.
    pub fn wide(number: u64) -> Self {
        Value::Cells(vec![(number >> 32) as u32, number as u32])
    }

    fn to_bytes(&self) -> Vec<u8> {
        let terminated = |s: &String| s.bytes().chain([0]).collect::<Vec<u8>>();
        match self {
            Value::Empty => Vec::new(),
            Value::Cells(cells) => cells.iter().flat_map(|c| c.to_be_bytes()).collect(),
            Value::Text(text) => terminated(text),
            Value::Texts(texts) => texts.iter().flat_map(terminated).collect(),
            Value::Bytes(bytes) => bytes.clone(),
        }
    }
}

impl From<u32> for Value {
    fn from(cell: u32) -> Self {
        Value::Cells(vec![cell])
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl<const N: usize> From<[u32; N]> for Value {
    fn from(cells: [u32; N]) -> Self {
        Value::Cells(cells.to_vec())
    }
}

impl From<&[&str]> for Value {
    fn from(texts: &[&str]) -> Self {
        Value::Texts(texts.iter().map(|&t| t.to_owned()).collect())
    }
}

/// A node: a device, or a place that holds devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Name with its unit address; empty for the root.
    pub name: String,
    /// Properties, in the order in which they are written.
    pub properties: Vec<(String, Value)>,
    /// Nodes below this one.
    pub children: Vec<Node>,
}

impl Node {
    /// A node without properties.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            properties: Vec::new(),
            children: Vec::new(),
        }
    }

    /// A memory-mapped device: `kind@base` with `compatible` and `reg`. The root has two address and two size cells.
    pub fn device(kind: &str, compatible: &[&str], regions: &[Region]) -> Self {
        let base = regions.first().map_or(0, |r| r.base);
        let reg = regions.iter().flat_map(|r| r.cells()).collect();
        Node::new(format!("{kind}@{base:x}"))
            .with("compatible", compatible)
            .with("reg", Value::Cells(reg))
    }

    /// Adds a property.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a property without a value.
    pub fn flag(self, name: &str) -> Self {
        self.with(name, Value::Empty)
    }

    /// Adds the `interrupts` of a device under Arm's interrupt controller.
    pub fn interrupts(self, lines: &[arm::Interrupt]) -> Self {
        let cells = lines.iter().flat_map(|line| line.cells()).collect();
        self.with("interrupts", Value::Cells(cells))
    }

    /// Adds a node below this one.
    pub fn child(mut self, node: Node) -> Self {
        self.children.push(node);
        self
    }

    /// Flattens the tree whose root this is (Devicetree Specification, chapter 5).
    ///
    /// # Errors
    ///
    /// When a name is not a device tree name, a phandle is used twice, or the tree is too deep or too large.
    pub fn to_blob(&self) -> Result<Vec<u8>, vm_fdt::Error> {
        let mut writer = FdtWriter::new()?;
        self.write(&mut writer)?;
        writer.finish()
    }

    fn write(&self, writer: &mut FdtWriter) -> Result<(), vm_fdt::Error> {
        let open = writer.begin_node(&self.name)?;
        for (name, value) in &self.properties {
            let phandle = match value {
                Value::Cells(cells) if name == "phandle" => cells.as_slice(),
                _ => &[],
            };
            match phandle {
                [phandle] => writer.property_phandle(*phandle)?,
                _ => writer.property(name, &value.to_bytes())?,
            }
        }
        for child in &self.children {
            child.write(writer)?;
        }
        writer.end_node(open)
    }
}

/// What the boot loader tells the kernel, in the node `/chosen`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The kernel's command line.
    pub bootargs: Option<String>,
    /// The initial RAM file system's place.
    pub initrd: Option<Region>,
    /// Path of the node of the console.
    pub stdout_path: Option<String>,
    /// What is random in it; nothing for runs that shall repeat exactly.
    pub seeds: Option<Seeds>,
}

/// Random bytes for a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    /// For its generator.
    pub rng: [u8; 32],
    /// For the place that it moves itself to, where it does.
    pub kaslr: Option<[u8; 8]>,
}

impl Chosen {
    /// The properties; addresses take two cells.
    fn properties(&self) -> Vec<(String, Value)> {
        let mut node = Node::new("chosen");
        if let Some(words) = &self.bootargs {
            node = node.with("bootargs", words.as_str());
        }
        if let Some(path) = &self.stdout_path {
            node = node.with("stdout-path", path.as_str());
        }
        if let Some(place) = self.initrd {
            node = node
                .with("linux,initrd-start", Value::wide(place.base))
                .with("linux,initrd-end", Value::wide(place.end()));
        }
        if let Some(seeds) = self.seeds {
            if let Some(place) = seeds.kaslr {
                node = node.with("kaslr-seed", Value::Bytes(place.to_vec()));
            }
            node = node.with("rng-seed", Value::Bytes(seeds.rng.to_vec()));
        }
        node.properties
    }

    /// The node `/chosen`.
    pub fn node(&self) -> Node {
        Node {
            properties: self.properties(),
            ..Node::new("chosen")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_its_address_in_name_and_reg() {
        let node = Node::device(
            "pl011",
            &["arm,pl011", "arm,primecell"],
            &[Region::new(0x40_0900_0000, 0x1000)],
        );

        assert_eq!(node.name, "pl011@4009000000");
        assert_eq!(
            node.properties[1],
            ("reg".into(), Value::Cells(vec![0x40, 0x0900_0000, 0, 0x1000]))
        );
    }

    #[test]
    fn values_flatten_big_endian_and_terminated() {
        assert_eq!(Value::wide(0x1234).to_bytes(), [0, 0, 0, 0, 0, 0, 0x12, 0x34]);
        assert_eq!(Value::from(["a", "bc"].as_slice()).to_bytes(), b"a\0bc\0");
        assert_eq!(Value::from("hvc").to_bytes(), b"hvc\0");
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let tree = Node::new("").child(Node::new("a/b"));

        assert_eq!(tree.to_blob(), Err(vm_fdt::Error::InvalidNodeName));
    }

    #[test]
    fn a_phandle_is_given_once() {
        let tree = Node::new("")
            .child(Node::new("a").with("phandle", 1))
            .child(Node::new("b").with("phandle", 1));

        assert_eq!(tree.to_blob(), Err(vm_fdt::Error::DuplicatePhandle));
    }
}
