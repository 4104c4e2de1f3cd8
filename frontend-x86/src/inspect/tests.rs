use super::*;
use crate::machine_for_tests::{Around, Engine};
use crate::model::Model;
use crate::state::mode;

struct Bench(X86, Cpu, Engine);

impl Bench {
    /// After a reset.
    fn new() -> Bench {
        let x86 = X86 {
            model: Model::ALL,
            platform: Box::new(Around::default()),
        };
        let engine = crate::machine_for_tests::Bench::real().engine;
        Bench(x86, crate::exception::reset(&Model::ALL), engine)
    }
    fn number(&self, name: &str) -> usize {
        let at = registers(&self.0).all.iter().position(|r| r.name == name);
        at.unwrap_or_else(|| panic!("no register {name}"))
    }
    fn get(&mut self, name: &str) -> u128 {
        let number = self.number(name);
        let bytes = self.0.register(&mut self.1, &mut self.2, number).unwrap();
        bytes.iter().rev().fold(0, |v, b| v << 8 | u128::from(*b))
    }
    fn set(&mut self, name: &str, value: u128) -> Option<()> {
        let n = self.number(name);
        let size = registers(&self.0).all[n].bits as usize / 8;
        let bytes = &value.to_le_bytes()[..size];
        self.0.set_register(&mut self.1, &mut self.2, n, bytes)
    }
}

#[test]
fn registers_are_where_gdb_has_them() {
    let bench = Bench::new();
    let at = [
        "rax", "rbx", "rcx", "rsi", "rbp", "rsp", "rip", "eflags", "gs", "st0", "fctrl", "xmm0", "mxcsr",
    ];

    let places = at.map(|name| bench.number(name));

    assert_eq!(places, [0, 1, 2, 4, 6, 7, 16, 17, 23, 24, 32, 40, 56]);
    assert_eq!(bench.0.general_registers(), 24);
    let narrow: Vec<&str> = NARROW.all.iter().map(|r| r.name.as_str()).take(10).collect();
    assert_eq!(
        narrow,
        ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags"]
    );
}

#[test]
fn what_is_written_is_read() {
    let mut bench = Bench::new();
    let rows = [
        ("rax", 1),
        ("r15", u64::MAX.into()),
        ("rip", 0x7c00),
        ("eflags", 0x246),
        ("st3", 0x4000_8000_0000_0000_0000),
        ("fctrl", 0x37f),
        ("fstat", 0x3800),
        ("xmm15", 0x1122_3344_5566_7788_99aa_bbcc_ddee_ff00),
        ("ymm0h", 5 << 64 | 6),
        ("mxcsr", 0x7f80),
        ("gs_base", 0x1234_5678_9abc),
        ("ds", 0x1230),
        ("cr0", 0x11),
        ("cr3", 0x5000),
    ];

    for (name, value) in rows {
        assert_eq!(bench.set(name, value), Some(()), "{name}");
    }

    for (name, value) in rows.into_iter().filter(|row| row.0 != "st3") {
        assert_eq!(bench.get(name), value, "{name}");
    }
    assert_eq!(bench.1.segment(number::DS).base, 0x1_2300, "as real mode loads it");
    assert!(bench.1.mode & mode::PROTECTED != 0);
}

#[test]
fn the_stack_of_x87_is_seen_from_its_top() {
    let mut bench = Bench::new();
    bench.1.x87.top = 6;
    bench.1.x87.full = 1 << 7;
    bench.1.x87.regs[7] = [1 << 63, 0x3fff];

    assert_eq!(bench.get("st1"), 0x3fff_8000_0000_0000_0000);
    assert_eq!((bench.get("fstat"), bench.get("ftag")), (6 << 11, 0x3fff));
    assert_eq!(bench.set("ftag", 0xfffc), Some(()));
    assert_eq!(bench.1.x87.full, 1);
}

#[test]
fn writes_of_what_cannot_be_written_are_refused() {
    let mut bench = Bench::new();
    let (before, count) = (bench.1, registers(&bench.0).all.len());

    assert_eq!(bench.set("cs", 8), None);
    assert_eq!(bench.set("efer", 1), None);
    assert_eq!(bench.set("cr0", 1 << 31), None, "paging without protection");
    assert_eq!(bench.0.set_register(&mut bench.1, &mut bench.2, 0, &[1, 2]), None);
    assert_eq!(bench.0.set_register(&mut bench.1, &mut bench.2, count, &[0; 8]), None);
    assert_eq!(bench.0.register(&mut bench.1, &mut bench.2, count), None);
    assert_eq!(bench.set("efer", 0), Some(()), "what it is");
    assert_eq!(bench.1, before);
}

#[test]
fn the_description_has_every_register() {
    let xml = Bench::new().0.description();

    assert_eq!(xml.matches("<reg ").count(), WIDE.all.len());
    assert_eq!(xml.matches("<feature ").count(), xml.matches("</feature>").count());
    assert!(xml.contains("<architecture>i386:x86-64</architecture>"));
}
