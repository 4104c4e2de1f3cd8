//! Programs for the board of x86, started by multiboot, with the machine around them.

use super::*;
use crate::arch::Kernel;
use crate::images::{self, Payload};
use emu_firmware::identify::Isa;
use emu_firmware::x86;

/// In 32 bits, on two CPUs: prints a letter for each thing that works (start, an interrupt by the 8259, one of the local APIC's
/// timer, one by the IOAPIC, a second CPU), has the machine reset by a triple fault and, the second time, switched off.
#[rustfmt::skip]
const TOUR: [u8; 402] = [
    // start
    0xbc, 0x00, 0x00, 0x07, 0x00, // mov esp,0x70000
    0xb0, 0x41, // mov al,0x41
    0xe8, 0x08, 0x01, 0x00, 0x00, // call 100134
    0xb8, 0x60, 0x01, 0x10, 0x00, // mov eax,0x100160
    0xbf, 0x00, 0x01, 0x07, 0x00, // mov edi,0x70100
    0xe8, 0x00, 0x01, 0x00, 0x00, // call 10013b
    0xb8, 0x70, 0x01, 0x10, 0x00, // mov eax,0x100170
    0xbf, 0x80, 0x01, 0x07, 0x00, // mov edi,0x70180
    0xe8, 0xf1, 0x00, 0x00, 0x00, // call 10013b
    0xb8, 0x82, 0x01, 0x10, 0x00, // mov eax,0x100182
    0xbf, 0x88, 0x01, 0x07, 0x00, // mov edi,0x70188
    0xe8, 0xe2, 0x00, 0x00, 0x00, // call 10013b
    0x0f, 0x01, 0x1d, 0x94, 0x01, 0x10, 0x00, // lidtd ds:0x100194
    0xb0, 0x11, // mov al,0x11
    0xe6, 0x20, // out 0x20,al
    0xb0, 0x20, // mov al,0x20
    0xe6, 0x21, // out 0x21,al
    0xb0, 0x04, // mov al,0x4
    0xe6, 0x21, // out 0x21,al
    0xb0, 0x01, // mov al,0x1
    0xe6, 0x21, // out 0x21,al
    0xb0, 0xfe, // mov al,0xfe
    0xe6, 0x21, // out 0x21,al
    0xe8, 0xda, 0x00, 0x00, 0x00, // call 100153
    0xfb, // sti
    0xf4, // hlt
    0xfa, // cli
    0xbb, 0x00, 0x00, 0xe0, 0xfe, // mov ebx,0xfee00000
    0xc7, 0x83, 0xf0, 0x00, 0x00, 0x00, 0xff, 0x01, 0x00, 0x00, // mov DWORD PTR [ebx+0xf0],0x1ff
    0xc7, 0x83, 0xe0, 0x03, 0x00, 0x00, 0x0b, 0x00, 0x00, 0x00, // mov DWORD PTR [ebx+0x3e0],0xb
    0xc7, 0x83, 0x20, 0x03, 0x00, 0x00, 0x30, 0x00, 0x00, 0x00, // mov DWORD PTR [ebx+0x320],0x30
    0xc7, 0x83, 0x80, 0x03, 0x00, 0x00, 0xe8, 0x03, 0x00, 0x00, // mov DWORD PTR [ebx+0x380],0x3e8
    0xfb, // sti
    0xf4, // hlt
    0xfa, // cli
    0xb9, 0x00, 0x00, 0xc0, 0xfe, // mov ecx,0xfec00000
    0xc7, 0x01, 0x14, 0x00, 0x00, 0x00, // mov DWORD PTR [ecx],0x14
    0xc7, 0x41, 0x10, 0x31, 0x00, 0x00, 0x00, // mov DWORD PTR [ecx+0x10],0x31
    0xe8, 0x90, 0x00, 0x00, 0x00, // call 100153
    0xfb, // sti
    0xf4, // hlt
    0xfa, // cli
    0xbe, 0xa0, 0x01, 0x10, 0x00, // mov esi,0x1001a0
    0xbf, 0x00, 0x00, 0x06, 0x00, // mov edi,0x60000
    0xb9, 0x12, 0x00, 0x00, 0x00, // mov ecx,0x12
    0xf3, 0xa4, // rep movs BYTE PTR es:[edi],BYTE PTR ds:[esi]
    0xc7, 0x83, 0x10, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, // mov DWORD PTR [ebx+0x310],0x1000000
    0xc7, 0x83, 0x00, 0x03, 0x00, 0x00, 0x00, 0x45, 0x00, 0x00, // mov DWORD PTR [ebx+0x300],0x4500
    0xc7, 0x83, 0x00, 0x03, 0x00, 0x00, 0x60, 0x46, 0x00, 0x00, // mov DWORD PTR [ebx+0x300],0x4660
    0x80, 0x3d, 0xff, 0x0f, 0x06, 0x00, 0x01, // cmp BYTE PTR ds:0x60fff,0x1
    0x75, 0xf7, // jne 1000f5
    0xc6, 0x05, 0xff, 0x0f, 0x06, 0x00, 0x00, // mov BYTE PTR ds:0x60fff,0x0
    0xfe, 0x05, 0x00, 0x10, 0x07, 0x00, // inc BYTE PTR ds:0x71000
    0x80, 0x3d, 0x00, 0x10, 0x07, 0x00, 0x02, // cmp BYTE PTR ds:0x71000,0x2
    0x74, 0x0f, // je 100123
    0xb0, 0x52, // mov al,0x52
    0xe8, 0x19, 0x00, 0x00, 0x00, // call 100134
    0x0f, 0x01, 0x1d, 0x9a, 0x01, 0x10, 0x00, // lidtd ds:0x10019a
    0xcc, // int3
    0xb0, 0x2e, // mov al,0x2e
    0xe8, 0x0a, 0x00, 0x00, 0x00, // call 100134
    0xc6, 0x05, 0x00, 0x02, 0xa0, 0xfe, 0x34, // mov BYTE PTR ds:0xfea00200,0x34
    0xf4, // hlt
    0xeb, 0xfd, // jmp 100131
    // print: the character in AL
    0xba, 0xf8, 0x03, 0x00, 0x00, // mov edx,0x3f8
    0xee, // out dx,al
    0xc3, // ret
    // gate: an interrupt gate at EDI for a handler at EAX
    0x66, 0x89, 0x07, // mov WORD PTR [edi],ax
    0xc1, 0xe8, 0x10, // shr eax,0x10
    0xc7, 0x47, 0x02, 0x10, 0x00, 0x00, 0x8e, // mov DWORD PTR [edi+0x2],0x8e000010
    0x66, 0x89, 0x47, 0x06, // mov WORD PTR [edi+0x6],ax
    0x66, 0xc7, 0x47, 0x04, 0x00, 0x8e, // mov WORD PTR [edi+0x4],0x8e00
    0xc3, // ret
    // oneshot: the interval timer interrupts once, soon
    0xb0, 0x30, // mov al,0x30
    0xe6, 0x43, // out 0x43,al
    0xb0, 0x10, // mov al,0x10
    0xe6, 0x40, // out 0x40,al
    0xb0, 0x00, // mov al,0x0
    0xe6, 0x40, // out 0x40,al
    0xc3, // ret
    // pit: by the 8259
    0xb0, 0x50, // mov al,0x50
    0xe8, 0xcd, 0xff, 0xff, 0xff, // call 100134
    0xb0, 0xff, // mov al,0xff
    0xe6, 0x21, // out 0x21,al
    0xb0, 0x20, // mov al,0x20
    0xe6, 0x20, // out 0x20,al
    0xcf, // iret
    // timer: of the local APIC
    0xb0, 0x54, // mov al,0x54
    0xe8, 0xbd, 0xff, 0xff, 0xff, // call 100134
    0xc7, 0x83, 0xb0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // mov DWORD PTR [ebx+0xb0],0x0
    0xcf, // iret
    // ioapic: the interval timer by the IOAPIC
    0xb0, 0x49, // mov al,0x49
    0xe8, 0xab, 0xff, 0xff, 0xff, // call 100134
    0xc7, 0x83, 0xb0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // mov DWORD PTR [ebx+0xb0],0x0
    0xcf, // iret
    // The interrupt table's place, and none
    0xff, 0x01, 0x00, 0x00, 0x07, 0x00, // lidt's operand
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // of no table
    // The other CPU, in real mode
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xb0, 0x53, // mov al, 'S'
    0xee, // out dx, al
    0x8c, 0xc8, // mov ax, cs
    0x8e, 0xd8, // mov ds, ax
    0xc6, 0x06, 0xff, 0x0f, 0x01, // mov byte ptr [0xfff], 1
    0xf4, // hlt
    0xeb, 0xfd, // jmp back to it
];

/// A program behind a multiboot header, at 1 MiB.
fn kernel(code: &[u8]) -> Images {
    const AT: u32 = 0x10_0000;
    const MAGIC: u32 = 0x1bad_b002;
    const HAS_ADDRESSES: u32 = 1 << 16;
    let sum = 0_u32.wrapping_sub(MAGIC + HAS_ADDRESSES);
    let header = [MAGIC, HAS_ADDRESSES, sum, AT, AT, 0, 0, AT + 0x20];
    let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(code);
    Images {
        payload: Payload::Kernel(images::Start {
            kernel: Some(Kernel::X86(x86::Kernel::parse(Isa::I386, bytes).unwrap())),
            ..images::Start::default()
        }),
        dtb: None,
        vars: None,
    }
}

/// How a run on this architecture ends, and what it prints.
fn run(code: &[u8], more: &[&str]) -> (Outcome, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("serial");
    let serial = format!("file:{}", path.display());
    let words = ["emu", "--kernel", "none", "--serial", &serial, "--memory", "2M"];
    let config = match cli::parse(words.iter().chain(more).map(Into::into)) {
        Ok(Request::Run(config)) => *config,
        other => panic!("no run: {:?}", other.err()),
    };
    let images = kernel(code);
    let plan = Plan::new(&config, &images).unwrap();
    let outcome = plan.run(Some(Box::new(|_| ()))).unwrap();
    (outcome, std::fs::read_to_string(path).unwrap())
}

#[test]
fn a_program_sees_the_whole_board() {
    for arch in ["i386", "x86_64"] {
        for accel in ["interp", "jit"] {
            let more = ["--arch", arch, "--smp", "2", "--accel", accel];
            let (outcome, printed) = run(&TOUR, &more);

            assert_eq!(
                (outcome, printed.as_str()),
                (Outcome::PoweredOff, "APTISRAPTIS."),
                "{arch} {accel}"
            );
        }
    }
}

#[test]
fn a_triple_fault_ends_the_run_without_reboots() {
    let more = ["--arch", "i386", "--smp", "2", "--no-reboot"];

    assert_eq!(run(&TOUR, &more), (Outcome::Rebooted, "APTISR".to_owned()));
}

/// By port 92h, and by the local APIC's message to itself: on a board without firmware the bootstrap processor's INIT is where
/// the machine begins anew.
#[test]
fn init_of_the_bootstrap_processor_is_a_reset() {
    let fast = [0xb0, 1, 0xe6, 0x92, 0xeb, 0xfe]; // MOV AL, 1; OUT 92h, AL; JMP $
    #[rustfmt::skip]
    let message = [
        0xbb, 0x00, 0x00, 0xe0, 0xfe, // mov ebx,0xfee00000
        0xc7, 0x83, 0xf0, 0x00, 0x00, 0x00, 0xff, 0x01, 0x00, 0x00, // mov DWORD PTR [ebx+0xf0],0x1ff
        0xc7, 0x83, 0x10, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // mov DWORD PTR [ebx+0x310],0x0
        0xc7, 0x83, 0x00, 0x03, 0x00, 0x00, 0x00, 0x45, 0x00, 0x00, // mov DWORD PTR [ebx+0x300],0x4500
        0xeb, 0xfe, // jmp back to it
    ];
    for code in [&fast[..], &message] {
        for accel in ["interp", "jit"] {
            let more = ["--arch", "i386", "--smp", "2", "--no-reboot", "--accel", accel];

            assert_eq!(run(code, &more).0, Outcome::Rebooted, "{code:02x?} {accel}");
        }
    }
}

/// MOV AL, 5; OUT 0xf4, AL; JMP $.
const EXIT: [u8; 6] = [0xb0, 5, 0xe6, 0xf4, 0xeb, 0xfe];

#[test]
fn a_program_ends_the_run_with_a_status() {
    assert_eq!(run(&EXIT, &["--arch", "x86_64"]).0, Outcome::Exited(11));
}

/// INC EAX; MOV [0x110000], EAX; JMP to the first.
const COUNT: [u8; 8] = [0x40, 0xa3, 0, 0, 0x11, 0, 0xeb, 0xf8];

/// How far it has come.
fn counted(handle: &Handle) -> u32 {
    let ram = handle.ask(|machine| ram(machine)).unwrap();
    let mut rest = ram.as_slice();
    while let Some((header, data)) = rest.split_at_checked(16) {
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
        if number(0) == 0x11_0000 {
            return u32::from_le_bytes(data[..4].try_into().unwrap());
        }
        match number(8) {
            0 => break,
            length => rest = &data[length as usize..],
        }
    }
    0
}

/// [`there_and_back`] of a machine that has loaded a state: counters that nobody looks at are as of the last look, and loading
/// them is one.
fn there_and_back_settled(machine: &mut dyn Control) -> (Saved, Vec<u8>) {
    machine.hold(Holder::Monitor);
    let (state, memory) = (machine.save().unwrap(), ram(machine));
    machine.load(&state, &mut memory.as_slice()).unwrap();
    let saved = there_and_back(machine);
    machine.release(Holder::Monitor);
    saved
}

#[test]
fn a_machine_goes_on_in_another_under_another_accelerator() {
    let words = |accel| {
        [
            "emu", "--arch", "x86_64", "--kernel", "none", "--serial", "null", "--memory", "2M", "--smp", "2",
            "--accel", accel,
        ]
    };
    let config = |accel| match cli::parse(words(accel).map(Into::into)) {
        Ok(Request::Run(config)) => *config,
        other => panic!("no run: {:?}", other.err()),
    };
    let mut from: Option<(Saved, Vec<u8>)> = None;
    for accel in ["jit", "interp", "jit"] {
        let (config, images) = (config(accel), kernel(&COUNT));
        from = Some(operated_on((config, images), |handle| {
            let before = match from.clone() {
                None => 0,
                Some((state, memory)) => handle
                    .ask(move |machine| {
                        machine.hold(Holder::Snapshot);
                        machine.load(&state, &mut memory.as_slice()).unwrap();
                        assert_same(&machine.save().unwrap(), &state);
                        machine.release(Holder::Snapshot);
                    })
                    .map_or(0, |()| counted(handle)),
            };
            until("it counts on", || counted(handle) > before);
            handle.ask(there_and_back_settled).unwrap()
        }));
    }
}
