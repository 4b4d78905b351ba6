/* See storm_probe.h. The stack pointer is nowhere kept: a wrong one does not find the way back. */
#include "storm_probe.h"

#define REGISTERS(DO)                                                                \
	DO(rax, 0) DO(rbx, 1) DO(rcx, 2) DO(rdx, 3) DO(rsi, 4) DO(rdi, 5) DO(rbp, 6) \
	DO(r8, 7) DO(r9, 8) DO(r10, 9) DO(r11, 10) DO(r12, 11) DO(r13, 12)           \
	DO(r14, 13) DO(r15, 14)
#define LOAD(name, i)  mov storm_in + 8 * i(%rip), %name;
#define STORE(name, i) mov %name, storm_out + 8 * i(%rip);

/* Both ends of the red zone and some of its inside; through rax. */
#define RED_ZONE(DO) DO(-8, 0) DO(-64, 1) DO(-120, 2) DO(-128, 3)
#define LOAD_ZONE(at, i) \
	mov storm_in + PROBE_RED_ZONE + 8 * i(%rip), %rax; mov %rax, at(%rsp);
#define STORE_ZONE(at, i) \
	mov at(%rsp), %rax; mov %rax, storm_out + PROBE_RED_ZONE + 8 * i(%rip);

/* What pushes must not touch. */
#define SKIP_ZONE lea -RED_ZONE_BYTES(%rsp), %rsp
#define BACK_ZONE lea RED_ZONE_BYTES(%rsp), %rsp

#define FLAGS_PLAIN 0x202

	.macro	load_vectors move, kind
	.irp	i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	\move	storm_in + PROBE_VECTORS + 32 * \i(%rip), %\kind\i
	.endr
	.endm

	.macro	store_vectors move, kind
	.irp	i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	\move	%\kind\i, storm_out + PROBE_VECTORS + 32 * \i(%rip)
	.endr
	.endm

	.text
	.globl	storm_probe, storm_ip
	.type	storm_probe, @function
storm_probe:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, storm_sp(%rip)
	cmpl	$0, storm_has_avx(%rip)
	je	1f
	load_vectors vmovdqu, ymm
	jmp	2f
1:	load_vectors movdqu, xmm
2:	ldmxcsr	storm_in + PROBE_MXCSR(%rip)
	fldcw	storm_in + PROBE_CONTROL(%rip)
	RED_ZONE(LOAD_ZONE)
	SKIP_ZONE
	push	storm_in + PROBE_FLAGS(%rip)
	popf
	BACK_ZONE
	REGISTERS(LOAD)
	syscall
storm_ip:
	REGISTERS(STORE)
	SKIP_ZONE
	pushf
	pop	storm_out + PROBE_FLAGS(%rip)
	push	$FLAGS_PLAIN
	popf
	BACK_ZONE
	RED_ZONE(STORE_ZONE)
	stmxcsr	storm_out + PROBE_MXCSR(%rip)
	fnstcw	storm_out + PROBE_CONTROL(%rip)
	ldmxcsr	mxcsr_plain(%rip)
	fninit
	cmpl	$0, storm_has_avx(%rip)
	je	3f
	store_vectors vmovdqu, ymm
	vzeroupper
	jmp	4f
3:	store_vectors movdqu, xmm
4:	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.section .rodata
	.align	4
mxcsr_plain:
	.long	0x1f80

	.section .note.GNU-stack, "", @progbits
