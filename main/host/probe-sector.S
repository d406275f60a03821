# A boot sector that does in small what a kernel does first: long mode, paging, a few dozen MiB of memory written and
# read, five timer interrupts; then it says "homeward" on the serial port and leaves through QEMU's isa-debug-exit.
# A KVM that emulates instructions one by one needs minutes for it; a real one, and TCG, well under a second.
#
#   as probe-sector.S -o probe-sector.o
#   ld -Ttext 0x7c00 --oformat binary -m elf_x86_64 probe-sector.o -o probe-sector.bin
#
# probe-sector.ts carries the result without its zeroes.
.code16
.globl _start
_start:
  cli
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movw $0x7c00, %sp
  inb $0x92, %al
  orb $2, %al
  outb %al, $0x92
  # page tables: PML4 0x1000, PDPT 0x2000, PD 0x3000: first GiB in 2 MiB pages
  movw $0x1000, %di
  movw $0x1800, %cx
  xorw %ax, %ax
  cld
  rep stosw
  movw $0x2003, 0x1000
  movw $0x3003, 0x2000
  movw $0x3000, %di
  movl $0x83, %eax
1: movl %eax, (%di)
  addl $0x200000, %eax
  addw $8, %di
  cmpw $0x4000, %di
  jne 1b
  lgdt gdtr
  movl $0x20, %eax
  movl %eax, %cr4
  movl $0x1000, %eax
  movl %eax, %cr3
  movl $0xc0000080, %ecx
  rdmsr
  orw $0x100, %ax
  wrmsr
  movl $0x80000001, %eax
  movl %eax, %cr0
  ljmp $8, $long
.code64
long:
  movw $16, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movl $0x7c00, %esp
  # write to, then add up, 8 MiB from 16 MiB on, sixteen times
  movl $16, %ebx
2: movl $0x1000000, %edi
  movl $0x200000, %ecx
  movl %ebx, %eax
  rep stosl
  movl $0x1000000, %esi
  movl $0x200000, %ecx
  xorl %edx, %edx
3: addl (%rsi), %edx
  addq $4, %rsi
  decl %ecx
  jnz 3b
  decl %ebx
  jnz 2b
  # IDT at 0x5000: vector 8 (timer, PIC as the BIOS left it) to tick
  movl $0x5080, %edi
  movl $tick, %eax
  movw %ax, (%rdi)
  movw $8, 2(%rdi)
  movw $0x8e00, 4(%rdi)
  shrl $16, %eax
  movw %ax, 6(%rdi)
  movq $0, 8(%rdi)
  lidt idtr
  movb $0xfe, %al
  outb %al, $0x21
  xorl %ebx, %ebx
  sti
4: hlt
  cmpl $5, %ebx
  jb 4b
  cli
  movl $text, %esi
  movw $0x3f8, %dx
5: lodsb
  outb %al, %dx
  testb %al, %al
  jnz 5b
  movw $0x501, %dx
  movb $0, %al
  outb %al, %dx
6: hlt
  jmp 6b
tick:
  incl %ebx
  pushq %rax
  movb $0x20, %al
  outb %al, $0x20
  popq %rax
  iretq
text: .asciz "homeward"
.balign 4
gdt: .quad 0, 0x00209a0000000000, 0x0000920000000000
gdtr: .word 23
  .long gdt
idtr: .word 0xfff
  .quad 0x5000
.org 510
.word 0xaa55
