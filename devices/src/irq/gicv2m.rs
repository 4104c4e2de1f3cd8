//! GICv2m: a frame whose register turns messages into SPIs (Arm Server Base System Architecture, DEN 0029, appendix on the
//! GICv2m architecture).

use std::sync::Arc;

use crate::bus::{At, Irq, Registers, Shared, Wiring, misuse};
use serde::{Deserialize, Serialize};

/// MSI_IIDR: Arm.
const IIDR: u32 = 0x0000_043b;

crate::regs! {
    /// Which SPIs it has: the first one's number in bits 16 to 25, how many in 0 to 9
    0x008 MSI_TYPER     Ro
    /// Makes an SPI pending, by its number
    0x040 MSI_SETSPI_NS Wo
    /// Implementer
    0xfcc MSI_IIDR      Ro
}

/// Nothing: an interrupt's state is the interrupt controller's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct State {}

/// The frame.
pub struct GicV2m {
    state: State,
    /// INTID of the first SPI.
    first: u32,
    spis: Vec<Irq>,
}

impl GicV2m {
    /// For these SPIs, which have the interrupt numbers from `first` on.
    pub fn new(wiring: &Arc<Wiring>, first: u32, spis: Vec<Irq>) -> Shared<GicV2m> {
        let state = State {};
        Shared::new(wiring, GicV2m { state, first, spis })
    }
}

impl Registers for GicV2m {
    const MODEL: &'static str = "gicv2m";
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn get(&mut self, reg: Reg, _: At) -> u64 {
        let value = match reg {
            Reg::MSI_TYPER => (self.first & 0x3ff) << 16 | self.spis.len() as u32 & 0x3ff,
            Reg::MSI_IIDR => IIDR,
            Reg::MSI_SETSPI_NS => 0,
        };
        value.into()
    }

    /// A message is an edge.
    fn put(&mut self, reg: Reg, _: At, value: u64) {
        if reg != Reg::MSI_SETSPI_NS {
            return;
        }
        let id = value as u32 & 0x3ff;
        match id.checked_sub(self.first).and_then(|n| self.spis.get(n as usize)) {
            Some(spi) => {
                spi.set(true);
                spi.set(false);
            }
            None => {
                let what = misuse::Misuse::BadValue("an SPI that the frame has not (nothing is signalled)");
                misuse::report(Self::MODEL, what, 0x040, value);
            }
        }
    }

    fn update(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Access, Lines, fuzz};

    const FIRST: u32 = 80;

    fn frame(lines: &Arc<Lines>, wiring: &Arc<Wiring>) -> Shared<GicV2m> {
        GicV2m::new(wiring, FIRST, (0..64).map(|n| lines.irq(n)).collect())
    }

    #[test]
    fn a_message_is_an_edge_of_its_spi() {
        let wiring = Wiring::new();
        let lines = Lines::new(&wiring, 64);
        let frame = frame(&lines, &wiring);

        frame.write(Access::new(0x40, 4), u64::from(FIRST) + 35);
        frame.write(Access::new(0x40, 4), u64::from(FIRST) + 64);
        frame.write(Access::new(0x40, 4), u64::from(FIRST) - 1);

        assert_eq!(frame.read(Access::new(8, 4)), 80 << 16 | 64);
        assert_eq!((lines.take_risen_word(0), lines.take_risen_word(1)), (0, 1 << 3));
        assert_eq!(lines.level_word(1), 0);
    }

    #[test]
    fn any_access_is_survived() {
        let wiring = Wiring::new();
        let lines = Lines::new(&wiring, 64);
        for seed in 0..4 {
            let (one, other) = (frame(&lines, &wiring), frame(&lines, &wiring));
            one.with(|one| other.with(|other| fuzz::registers(seed, one, other, &[8, 0x40, 0xfcc], 0x1000, |_, _| {})));
        }
    }
}
