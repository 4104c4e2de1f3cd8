/* A multiboot kernel that goes to real mode and counts there, in a segment that does not start at 0. */
    .set SEGMENT, 0x1000
    .set SUM, 0x200

    .text
    .p2align 2
    .long 0x1badb002, 0, -0x1badb002

    .code32
    .globl _start
_start:
    mov $real, %esi
    mov $SEGMENT << 4, %edi
    mov $end - real, %ecx
    rep movsb
    lgdt table
    ljmp $8, $narrow - real

    .p2align 3
gdt:
    .quad 0
    .quad 0x00009b010000ffff /* code of 16 bits, at 10000h */
table:
    .word . - gdt - 1
    .long gdt

    .code16
real:
narrow:
    mov %cr0, %eax
    and $0xfe, %al
    mov %eax, %cr0
    ljmp $SEGMENT, $wide - real
wide:
    mov %cs, %ax
    mov %ax, %ds
    xor %eax, %eax
    xor %ebx, %ebx
counting:
    inc %ax
    add %ax, %bx
    mov %bx, SUM
    jmp counting
end:
