use super::*;
use bytemuck::Zeroable;

/// With a last instruction at FEDC:BA98 whose operand is at 89AB:4567.
fn cpu() -> Cpu {
    let mut cpu = Cpu::zeroed();
    cpu.x87 = X87 {
        status: 0x4700,
        top: 5,
        full: 0b1110_0001,
        opcode: 0x7c1,
        code: 0xfedc,
        instruction: 0x1_2345_ba98,
        data: 0x89ab,
        operand: 0x4567,
        ..X87::default()
    };
    cpu.x87.regs = [
        [0, 0],
        [1 << 63, 0x3fff],
        [0, 0],
        [0, 0],
        [0, 0],
        [1, 0x8000],
        [1 << 63, 0xbfff],
        [0, 0x7fff],
    ];
    cpu
}
fn words(cpu: &Cpu, wide: bool, protected: bool) -> [u32; 7] {
    let format = Format {
        wide,
        protected,
        selectors: true,
    };
    std::array::from_fn(|n| {
        let word = environment(cpu, format.pack(n as u8).into()) as u32;
        if wide { word } else { word & 0xffff }
    })
}

/// SDM 1, figures 8-9 to 8-12.
#[test]
fn an_environment_is_laid_out_in_four_ways() {
    let cpu = cpu();
    // Of registers 0, 5, 6 and 7: zero, special, valid, special.
    let [control, status, tags] = [0x37f, 0x6f00, 0b10_00_10_11_11_11_11_01];
    let [c, s, t] = [control, status, tags].map(|word| word | 0xffff_0000);

    assert_eq!(
        words(&cpu, true, true),
        [c, s, t, 0x2345_ba98, 0x07c1_fedc, 0x4567, 0xffff_89ab]
    );
    // Linear addresses: 2355_a858 and 8_e017.
    assert_eq!(words(&cpu, true, false), [c, s, t, 0xa858, 0x0235_57c1, 0xe017, 0x8000]);
    assert_eq!(
        words(&cpu, false, true),
        [control, status, tags, 0xba98, 0xfedc, 0x4567, 0x89ab]
    );
    assert_eq!(
        words(&cpu, false, false),
        [control, status, tags, 0xa858, 0x57c1, 0xe017, 0x8000]
    );
}

#[test]
fn an_environment_that_is_loaded_is_the_one_that_was_stored() {
    for (wide, protected) in [(true, true), (true, false), (false, true), (false, false)] {
        let before = cpu();
        let mut after = Cpu::zeroed();
        after.x87.regs = before.x87.regs;

        for (n, &word) in words(&before, wide, protected).iter().enumerate() {
            let format = Format {
                wide,
                protected,
                selectors: true,
            };
            let which = format.pack(n as u8);
            load_environment(&mut after, which.into(), word.into());
        }

        assert_eq!(words(&after, wide, protected), words(&before, wide, protected));
        assert_eq!((after.x87.top, after.x87.full), (5, 0b1110_0001));
    }
}

/// Bit 6 of the control word is 1, those that are reserved are 0; ES and B follow from flags and masks.
#[test]
fn what_is_reserved_in_an_environment_is_not_loaded() {
    let mut cpu = Cpu::zeroed();
    let format = Format {
        wide: false,
        protected: true,
        selectors: true,
    };

    for (n, word) in [0xfffe, 0x8080].into_iter().enumerate() {
        load_environment(&mut cpu, format.pack(n as u8).into(), word);
    }
    let clear = cpu.x87;
    load_environment(&mut cpu, format.pack(1).into(), 1);

    assert_eq!((clear.control, clear.status), (0x1f7e, 0));
    assert_eq!(cpu.x87.status, 0x8081);
}
