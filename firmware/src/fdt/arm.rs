//! Nodes of Arm systems, as Linux's device tree bindings and QEMU's board `virt` have them.
//!
//! Each function makes one node from the addresses and interrupt lines that a board's table gives it, so that no
//! address is written here. Nodes refer to each other by the phandles [`GIC`], [`MSI`], [`CLOCK`], [`GPIO`] and
//! [`CPU0`].

use super::{Chosen, Node, Region, Value};

/// Phandle of the fixed clock.
pub const CLOCK: u32 = 0x8000;
/// Phandle of the interrupt controller.
pub const GIC: u32 = 0x8002;
/// Phandle of what takes messages in the place of interrupt lines.
pub const MSI: u32 = 0x8006;
/// Phandle of the GPIO controller.
pub const GPIO: u32 = 0x8004;
/// Phandle of the first CPU; the others follow.
pub const CPU0: u32 = 0x8100;

/// Rate of the clock of UART, RTC and GPIO, in Hz.
const CLOCK_HZ: u32 = 24_000_000;
/// Linux's key code for the power key (`input-event-codes.h`).
const KEY_POWER: u32 = 116;
/// GPIO flag: the line is active high.
const ACTIVE_HIGH: u32 = 0;

/// How an interrupt line is sampled (GIC binding, third cell).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// On its rising edge.
    EdgeRising = 1,
    /// While it is high.
    LevelHigh = 4,
}

/// An interrupt line of the GIC (binding `arm,gic`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Shared peripheral interrupt `n`: interrupt id `32 + n`.
    Spi(u32, Trigger),
    /// Private peripheral interrupt `n` (id `16 + n`) of `cpus` CPUs.
    Ppi {
        /// Number of the line, 0 to 15.
        n: u32,
        /// How it is sampled.
        trigger: Trigger,
        /// How many CPUs of a GICv2 have it, 1 to 8; 0 with a GICv3, where every CPU has it.
        cpus: u32,
    },
}

impl Interrupt {
    pub(super) fn cells(self) -> [u32; 3] {
        match self {
            Interrupt::Spi(n, trigger) => [0, n, trigger as u32],
            Interrupt::Ppi { n, trigger, cpus } => {
                let mask = (1u32 << cpus.min(8)) - 1;
                [1, n, mask << 8 | trigger as u32]
            }
        }
    }
}

/// The instruction by which the guest calls PSCI (Arm DEN 0022).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// Hypervisor call.
    Hvc,
    /// Secure monitor call.
    Smc,
}

/// The parts that every Arm system has; the devices are nodes made by the functions of this module.
#[derive(Clone, Debug)]
pub struct Platform<'a> {
    /// `model` and `compatible` of the root.
    pub name: &'a str,
    /// RAM.
    pub memory: Region,
    /// `compatible` of the CPUs, such as `arm,cortex-a15`.
    pub cpu: &'a str,
    /// They have 64-bit registers.
    pub wide: bool,
    /// Affinity (MPIDR bits 23:0) of each CPU.
    pub affinities: &'a [u32],
    /// How PSCI is called.
    pub psci: Conduit,
    /// What the boot loader tells the kernel.
    pub chosen: Chosen,
    /// Path of the console's node, aliased `serial0`.
    pub serial0: Option<&'a str>,
    /// Everything else.
    pub devices: Vec<Node>,
}

impl Platform<'_> {
    /// The whole tree.
    pub fn tree(&self) -> Node {
        let mut root = Node::new("")
            .with("#address-cells", 2)
            .with("#size-cells", 2)
            .with("compatible", self.name)
            .with("model", self.name)
            .with("interrupt-parent", GIC)
            .child(self.chosen.node());
        if let Some(path) = self.serial0 {
            root = root.child(Node::new("aliases").with("serial0", path));
        }
        root = root
            .child(memory(self.memory))
            .child(self.cpus())
            .child(psci(self.psci, self.wide))
            .child(clock());
        root.children.extend(self.devices.iter().cloned());
        root
    }

    /// CPUs (binding `arm/cpus.yaml`) and their topology: one cluster.
    fn cpus(&self) -> Node {
        let mut cpus = Node::new("cpus").with("#address-cells", 1).with("#size-cells", 0);
        let mut cluster = Node::new("cluster0");
        for (i, (phandle, &affinity)) in (CPU0..).zip(self.affinities).enumerate() {
            let mut cpu = Node::new(format!("cpu@{affinity:x}"))
                .with("device_type", "cpu")
                .with("compatible", self.cpu)
                .with("reg", affinity)
                .with("phandle", phandle);
            if self.affinities.len() > 1 || self.wide {
                cpu = cpu.with("enable-method", "psci");
            }
            cpus = cpus.child(cpu);
            cluster = cluster.child(Node::new(format!("core{i}")).with("cpu", phandle));
        }
        cpus.child(Node::new("cpu-map").child(Node::new("socket0").child(cluster)))
    }
}

/// RAM.
pub fn memory(place: Region) -> Node {
    let cells = Value::Cells(place.cells().to_vec());
    Node::new(format!("memory@{:x}", place.base))
        .with("device_type", "memory")
        .with("reg", cells)
}

/// PSCI with its function numbers (DEN 0022, section 5), which version 0.1 has no standard for: those that take 32-bit
/// arguments, or 64-bit ones where there are such.
pub fn psci(conduit: Conduit, wide: bool) -> Node {
    let address = if wide { 1 << 30 } else { 0 };
    let method = match conduit {
        Conduit::Hvc => "hvc",
        Conduit::Smc => "smc",
    };
    Node::new("psci")
        .with("compatible", ["arm,psci-1.0", "arm,psci-0.2", "arm,psci"].as_slice())
        .with("method", method)
        .with("cpu_suspend", 0x8400_0001 | address)
        .with("cpu_off", 0x8400_0002)
        .with("cpu_on", 0x8400_0003 | address)
        .with("migrate", 0x8400_0005)
}

/// The clock of UART, RTC and GPIO.
fn clock() -> Node {
    Node::new("apb-pclk")
        .with("compatible", "fixed-clock")
        .with("#clock-cells", 0)
        .with("clock-frequency", CLOCK_HZ)
        .with("clock-output-names", "clk24mhz")
        .with("phandle", CLOCK)
}

/// The generic timer: its secure, non-secure, virtual and hypervisor private interrupts, for `cpus` CPUs.
pub fn timer(compatible: &[&str], ppis: [u32; 4], cpus: u32) -> Node {
    let lines = ppis.map(|n| Interrupt::Ppi {
        n,
        trigger: Trigger::LevelHigh,
        cpus,
    });
    Node::new("timer")
        .with("compatible", compatible)
        .flag("always-on")
        .interrupts(&lines)
}

/// The performance monitors of a CPU, such as `arm,cortex-a15-pmu`.
pub fn pmu(compatible: &str, line: Interrupt) -> Node {
    Node::new("pmu").with("compatible", compatible).interrupts(&[line])
}

/// GICv2: distributor and CPU interface. Its children are what takes messages for it.
pub fn gic_v2(distributor: Region, cpu_interface: Region) -> Node {
    gic("arm,cortex-a15-gic", &[distributor, cpu_interface])
}

/// GICv3: distributor and redistributors (binding `arm,gic-v3`). Its children are what takes messages for it.
pub fn gic_v3(distributor: Region, redistributors: Region) -> Node {
    gic("arm,gic-v3", &[distributor, redistributors]).with("#redistributor-regions", 1)
}

fn gic(compatible: &str, places: &[Region]) -> Node {
    Node::device("intc", &[compatible], places)
        .with("#interrupt-cells", 3)
        .flag("interrupt-controller")
        .with("#address-cells", 2)
        .with("#size-cells", 2)
        .flag("ranges")
        .with("phandle", GIC)
}

/// The frame of a GICv2m, a child of the [`gic_v2`].
pub fn gic_v2m(place: Region) -> Node {
    Node::device("v2m", &["arm,gic-v2m-frame"], &[place])
        .flag("msi-controller")
        .with("phandle", MSI)
}

/// The ITS, a child of the [`gic_v3`].
pub fn gic_v3_its(place: Region) -> Node {
    Node::device("its", &["arm,gic-v3-its"], &[place])
        .flag("msi-controller")
        .with("#msi-cells", 1)
        .with("phandle", MSI)
}

/// UART.
pub fn pl011(place: Region, line: Interrupt) -> Node {
    Node::device("pl011", &["arm,pl011", "arm,primecell"], &[place])
        .interrupts(&[line])
        .with("clocks", [CLOCK, CLOCK])
        .with("clock-names", ["uartclk", "apb_pclk"].as_slice())
}

/// Real-time clock.
pub fn pl031(place: Region, line: Interrupt) -> Node {
    Node::device("pl031", &["arm,pl031", "arm,primecell"], &[place])
        .interrupts(&[line])
        .with("clocks", CLOCK)
        .with("clock-names", "apb_pclk")
}

/// GPIO.
pub fn pl061(place: Region, line: Interrupt) -> Node {
    Node::device("pl061", &["arm,pl061", "arm,primecell"], &[place])
        .interrupts(&[line])
        .with("#gpio-cells", 2)
        .flag("gpio-controller")
        .with("clocks", CLOCK)
        .with("clock-names", "apb_pclk")
        .with("phandle", GPIO)
}

/// The power key, on a pin of the [`pl061`].
pub fn power_key(pin: u32) -> Node {
    let key = Node::new("poweroff")
        .with("label", "GPIO Key Poweroff")
        .with("linux,code", KEY_POWER)
        .with("gpios", [GPIO, pin, ACTIVE_HIGH]);
    Node::new("gpio-keys").with("compatible", "gpio-keys").child(key)
}

/// QEMU's firmware configuration device.
pub fn fw_cfg(place: Region) -> Node {
    Node::device("fw-cfg", &["qemu,fw-cfg-mmio"], &[place]).flag("dma-coherent")
}

/// Parallel flash banks, two 16-bit chips side by side.
pub fn flash(banks: &[Region]) -> Node {
    Node::device("flash", &["cfi-flash"], banks).with("bank-width", 4)
}

/// A virtio device's window; whether a device is behind it, the guest finds out.
pub fn virtio_mmio(place: Region, line: Interrupt) -> Node {
    Node::device("virtio_mmio", &["virtio,mmio"], &[place])
        .interrupts(&[line])
        .flag("dma-coherent")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fdt::Blob;

    /// The board `virt` with one Cortex-A15 and 1 GiB.
    fn virt() -> Platform<'static> {
        let spi = |n| Interrupt::Spi(n, Trigger::LevelHigh);
        let mut devices = vec![
            timer(&["arm,armv7-timer"], [13, 14, 11, 10], 1),
            gic_v2(Region::new(0x0800_0000, 0x1_0000), Region::new(0x0801_0000, 0x1_0000)),
            pl011(Region::new(0x0900_0000, 0x1000), spi(1)),
            pl031(Region::new(0x0901_0000, 0x1000), spi(2)),
            fw_cfg(Region::new(0x0902_0000, 0x18)),
            pl061(Region::new(0x0903_0000, 0x1000), spi(7)),
            power_key(3),
            flash(&[Region::new(0, 0x400_0000), Region::new(0x400_0000, 0x400_0000)]),
        ];
        let slot = |n: u32| {
            let place = Region::new(0x0a00_0000 + u64::from(n) * 0x200, 0x200);
            virtio_mmio(place, Interrupt::Spi(16 + n, Trigger::EdgeRising))
        };
        devices.extend((0..32).map(slot));
        Platform {
            name: "linux,dummy-virt",
            memory: Region::new(0x4000_0000, 0x4000_0000),
            cpu: "arm,cortex-a15",
            wide: false,
            affinities: &[0],
            psci: Conduit::Hvc,
            chosen: Chosen {
                stdout_path: Some("/pl011@9000000".into()),
                ..Chosen::default()
            },
            serial0: Some("/pl011@9000000"),
            devices,
        }
    }

    /// What QEMU's `virt` says, by path and property (`-M virt,dumpdtb=`, version 7.2).
    const QEMU: &[(&str, &str, &[u32])] = &[
        ("/", "interrupt-parent", &[GIC]),
        ("/memory@40000000", "reg", &[0, 0x4000_0000, 0, 0x4000_0000]),
        ("/psci", "cpu_on", &[0x8400_0003]),
        (
            "/timer",
            "interrupts",
            &[1, 13, 0x104, 1, 14, 0x104, 1, 11, 0x104, 1, 10, 0x104],
        ),
        (
            "/intc@8000000",
            "reg",
            &[0, 0x800_0000, 0, 0x1_0000, 0, 0x801_0000, 0, 0x1_0000],
        ),
        ("/pl011@9000000", "interrupts", &[0, 1, 4]),
        ("/pl031@9010000", "interrupts", &[0, 2, 4]),
        ("/pl061@9030000", "interrupts", &[0, 7, 4]),
        ("/gpio-keys/poweroff", "gpios", &[GPIO, 3, 0]),
        ("/fw-cfg@9020000", "reg", &[0, 0x902_0000, 0, 0x18]),
        ("/flash@0", "reg", &[0, 0, 0, 0x400_0000, 0, 0x400_0000, 0, 0x400_0000]),
        ("/virtio_mmio@a000000", "interrupts", &[0, 16, 1]),
        ("/virtio_mmio@a003e00", "interrupts", &[0, 47, 1]),
        ("/cpus/cpu@0", "reg", &[0]),
        ("/apb-pclk", "clock-frequency", &[24_000_000]),
    ];

    #[test]
    fn the_tree_says_what_qemu_says() {
        let blob = virt().tree().to_blob().unwrap();
        let blob = Blob::parse(&blob).unwrap();

        for &(path, name, cells) in QEMU {
            let expected: Vec<u8> = cells.iter().flat_map(|c| c.to_be_bytes()).collect();
            assert_eq!(blob.property(path, name), Some(expected.as_slice()), "{path} {name}");
        }
        assert_eq!(
            blob.property("/psci", "compatible"),
            Some(b"arm,psci-1.0\0arm,psci-0.2\0arm,psci\0".as_slice())
        );
        assert_eq!(blob.property("/timer", "always-on"), Some(b"".as_slice()));
        assert_eq!(
            blob.property("/chosen", "stdout-path"),
            Some(b"/pl011@9000000\0".as_slice())
        );
    }

    #[test]
    fn a_gic_has_what_takes_messages_for_it() {
        let its = gic_v3_its(Region::new(0x0808_0000, 0x2_0000));
        let v3 = gic_v3(Region::new(0x0800_0000, 0x1_0000), Region::new(0x080a_0000, 0xf6_0000)).child(its);
        let v2m = gic_v2m(Region::new(0x0802_0000, 0x1000));
        let v2 = gic_v2(Region::new(0x0800_0000, 0x1_0000), Region::new(0x0801_0000, 0x1_0000)).child(v2m);
        let blob = |node: Node| Node::new("").child(node).to_blob().unwrap();
        let (v3, v2) = (blob(v3), blob(v2));
        let (v3, v2) = (Blob::parse(&v3).unwrap(), Blob::parse(&v2).unwrap());
        let cells = |cells: &[u32]| cells.iter().flat_map(|cell| cell.to_be_bytes()).collect::<Vec<u8>>();

        let (intc, its, v2m) = (
            "/intc@8000000",
            "/intc@8000000/its@8080000",
            "/intc@8000000/v2m@8020000",
        );
        assert_eq!(v3.property(intc, "compatible"), Some(b"arm,gic-v3\0".as_slice()));
        let places = cells(&[0, 0x0800_0000, 0, 0x1_0000, 0, 0x080a_0000, 0, 0xf6_0000]);
        assert_eq!(v3.property(intc, "reg"), Some(places.as_slice()));
        assert_eq!(
            v3.property(intc, "#redistributor-regions"),
            Some([0, 0, 0, 1].as_slice())
        );
        assert_eq!(v3.property(its, "compatible"), Some(b"arm,gic-v3-its\0".as_slice()));
        assert_eq!(v3.property(its, "#msi-cells"), Some([0, 0, 0, 1].as_slice()));
        assert_eq!(
            v3.property(its, "reg"),
            Some(cells(&[0, 0x0808_0000, 0, 0x2_0000]).as_slice())
        );
        assert_eq!(v2.property(v2m, "compatible"), Some(b"arm,gic-v2m-frame\0".as_slice()));
        assert_eq!(
            v2.property(v2m, "reg"),
            Some(cells(&[0, 0x0802_0000, 0, 0x1000]).as_slice())
        );
        for (tree, node) in [(&v3, its), (&v2, v2m)] {
            assert_eq!(tree.property(node, "msi-controller"), Some(b"".as_slice()));
            assert_eq!(tree.property(node, "phandle"), Some(cells(&[MSI]).as_slice()));
        }
    }

    #[test]
    fn secondary_cpus_start_through_psci() {
        let platform = Platform {
            affinities: &[0, 1, 0x100],
            ..virt()
        };

        let blob = platform.tree().to_blob().unwrap();
        let blob = Blob::parse(&blob).unwrap();

        assert_eq!(
            blob.property("/cpus/cpu@100", "enable-method"),
            Some(b"psci\0".as_slice())
        );
        assert_eq!(
            blob.property("/cpus/cpu-map/socket0/cluster0/core2", "cpu"),
            Some([0, 0, 0x81, 2].as_slice())
        );
    }

    #[test]
    fn a_cpu_of_64_bits_starts_through_psci_with_64_bit_arguments() {
        let platform = Platform {
            cpu: "arm,cortex-a57",
            wide: true,
            ..virt()
        };

        let blob = platform.tree().to_blob().unwrap();
        let blob = Blob::parse(&blob).unwrap();

        assert_eq!(
            blob.property("/cpus/cpu@0", "enable-method"),
            Some(b"psci\0".as_slice())
        );
        assert_eq!(blob.property("/psci", "cpu_on"), Some([0xc4, 0, 0, 3].as_slice()));
        assert_eq!(blob.property("/psci", "cpu_off"), Some([0x84, 0, 0, 2].as_slice()));
    }

    #[test]
    fn private_interrupts_name_their_cpus() {
        let line = Interrupt::Ppi {
            n: 13,
            trigger: Trigger::LevelHigh,
            cpus: 4,
        };

        assert_eq!(line.cells(), [1, 13, 0xf04]);
    }
}
