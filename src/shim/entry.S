/*
 * The ways into and out of the shim: patched or trapped system calls, emulated instructions and
 * faults, the start of a new task and of a freshly executed process; the call page; and the copies
 * whose faults the tracer turns into -EFAULT.
 *
 * General registers only.  Nothing here pushes on the app's stack.
 */
#define __ASSEMBLER__ 1
#include "shim_abi.h"

#define NR_CLOCK_GETTIME 228
#define FLAG_AC		 0x40000

	.macro save_general
	push	%rax
	push	%r9
	push	%r8
	push	%r10
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	.endm

	.text

/*
 * A system call: rax = number, rcx = address after the call, r11 = where to go on.  The frame's
 * r11 is the flags, as the kernel leaves it.
 */
	.globl	shim_entry
	.type	shim_entry, @function
	.balign	64
shim_entry:
	mov	%rsp, %gs:TASK_USER_RSP
	mov	%gs:TASK_STACK, %rsp
	mov	%eax, %eax		/* as the kernel, which looks at these bits alone */
	push	%rax			/* nr */
	push	%r11			/* resume */
	push	%gs:TASK_USER_RSP
	pushfq
	testl	$FLAG_AC, (%rsp)	/* the app's wish to fault on unaligned access is not ours */
	jnz	7f
8:	cmp	$NR_CLOCK_GETTIME, %eax
	je	fast_clock
slow_call:
	mov	(%rsp), %r11
	push	%rcx			/* rip */
	push	%r11
	push	%rcx
	save_general
	cld
	mov	%rsp, %rdi
	call	shim_dispatch
	.globl	shim_return
	.type	shim_return, @function
shim_return:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%r10
	pop	%r8
	pop	%r9
	/* rsp: rax rcx r11 rip rflags rsp resume nr */
	mov	48(%rsp), %rcx
	mov	%rcx, %gs:TASK_RESUME
	mov	32(%rsp), %ecx
	test	$0x254500, %ecx		/* TF DF NT RF AC ID: rarely set, so only then popfq */
	jnz	2f
	mov	%ecx, %eax
	shr	$11, %eax
	and	$1, %eax
	add	$0x7f, %al		/* OF */
	mov	%cl, %ah
	sahf				/* SF ZF AF PF CF */
1:	mov	16(%rsp), %r11
	mov	8(%rsp), %rcx
	mov	0(%rsp), %rax
	mov	40(%rsp), %rsp
	jmp	*%gs:TASK_RESUME
2:	testl	$0x100, 32(%rsp)
	jnz	6f
	push	32(%rsp)
	popfq
	jmp	1b
	/* TF: the next instruction must be the app's, so flags and place are set at once. The frame
	 * of iretq (rip cs rflags rsp ss) goes over rip to nr; these are Linux's selectors. */
6:	mov	48(%rsp), %rcx
	mov	%rcx, 24(%rsp)
	mov	40(%rsp), %rcx
	mov	%rcx, 48(%rsp)
	mov	32(%rsp), %rcx
	mov	%rcx, 40(%rsp)
	movq	$0x33, 32(%rsp)
	movq	$0x2b, 56(%rsp)
	pop	%rax
	pop	%rcx
	pop	%r11
	iretq

7:	push	$0
	popfq
	jmp	8b

/*
 * clock_gettime, the call programs make most: a short way that saves only what C may clobber.
 * event_clock_fast does the whole event, or says 1, having done nothing: then the long way.
 */
fast_clock:
	push	%rcx
	push	%rdi
	push	%rsi
	push	%rdx
	push	%r10
	push	%r8
	push	%r9
	sub	$8, %rsp
	cld
	call	event_clock_fast
	add	$8, %rsp
	pop	%r9
	pop	%r8
	pop	%r10
	pop	%rdx
	pop	%rsi
	pop	%rdi
	test	%eax, %eax
	jnz	4f
	mov	8(%rsp), %r11d		/* flags */
	test	$0x254500, %r11d
	jnz	5f
	mov	%r11d, %ecx
	mov	%r11d, %eax
	shr	$11, %eax
	and	$1, %eax
	add	$0x7f, %al
	mov	%cl, %ah
	sahf
3:	mov	24(%rsp), %rcx
	mov	%rcx, %gs:TASK_RESUME
	mov	0(%rsp), %rcx
	mov	$0, %eax
	mov	16(%rsp), %rsp
	jmp	*%gs:TASK_RESUME
4:	pop	%rcx
	mov	32 - 8(%rsp), %rax
	jmp	slow_call
5:	push	%r11
	popfq
	jmp	3b

/*
 * An emulated instruction, from its stub (which kept r11 in the slot), or a fault, from the tracer.
 * TASK_CODE tells which; TASK_RESUME is where to go on, or where the fault was.
 */
	.globl	shim_insn_entry
	.type	shim_insn_entry, @function
	.balign	64
shim_insn_entry:
	mov	%gs:TASK_R11, %r11
	.globl	shim_fault_entry
	.type	shim_fault_entry, @function
shim_fault_entry:
	mov	%rsp, %gs:TASK_USER_RSP
	mov	%gs:TASK_STACK, %rsp
	push	%gs:TASK_CODE
	push	%gs:TASK_RESUME
	push	%gs:TASK_USER_RSP
	pushfq
	testl	$FLAG_AC, (%rsp)
	jnz	9f
10:	push	%gs:TASK_RESUME
	push	%r11
	push	%rcx
	save_general
	cld
	mov	%rsp, %rdi
	call	shim_dispatch_insn
	jmp	shim_return
9:	push	$0
	popfq
	jmp	10b

/* long raw_syscall(long nr, a, b, c, d, e, f) */
	.globl	raw_syscall
	.type	raw_syscall, @function
	.balign	16
raw_syscall:
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%r8, %r10
	mov	%r9, %r8
	mov	8(%rsp), %r9
	jmp	call_page

/* long upcall(long op, a, b, c): outside the call page, so it stops at the tracer */
	.globl	upcall
	.type	upcall, @function
upcall:
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	syscall
	ret

/*
 * long shim_clone(u64 flags, void *child_stack, u64 tls).  The child comes out of the call page's
 * `ret` on its own shim stack, whose top word is shim_child.
 */
	.globl	shim_clone
	.type	shim_clone, @function
shim_clone:
	mov	%rdx, %r8
	xor	%edx, %edx
	xor	%r10d, %r10d
	mov	$56, %eax
	jmp	call_page

	.globl	shim_child
	.type	shim_child, @function
shim_child:
	mov	(%rsp), %rbx		/* its struct task: child_frame */
	mov	$158, %eax		/* arch_prctl(ARCH_SET_GS, task) */
	mov	$0x1001, %edi
	mov	%rbx, %rsi
	call	call_page
	mov	%rbx, %rdi
	mov	TASK_STACK(%rbx), %rsp
	sub	$FRAME_SIZE, %rsp
	mov	%rsp, %rsi
	call	shim_child_start
	jmp	shim_return

/*
 * The program entry: the kernel has just executed the shim.  argv[0] is task_offset of the slot in
 * decimal.  Maps the region, then moves to the task's shim stack.
 */
	.globl	_start
	.type	_start, @function
_start:
	mov	8(%rsp), %rsi		/* argv[0] */
	xor	%ebx, %ebx
3:	movzbl	(%rsi), %eax
	sub	$'0', %eax
	cmp	$9, %eax
	ja	4f
	imul	$10, %rbx, %rbx
	add	%rax, %rbx
	inc	%rsi
	jmp	3b
4:	mov	$9, %eax		/* mmap(REGION_BASE, REGION_SIZE, RW, SHARED|FIXED|NORESERVE) */
	movabs	$REGION_BASE, %rdi
	movabs	$REGION_SIZE, %rsi
	mov	$3, %edx
	mov	$0x4011, %r10d
	mov	$SHIM_FD_REGION, %r8d
	xor	%r9d, %r9d
	call	call_page
	test	%rax, %rax
	js	5f
	movabs	$(REGION_BASE + REGION_TASK_OFF), %rax
	add	%rax, %rbx
	mov	$158, %eax
	mov	$0x1001, %edi
	mov	%rbx, %rsi
	call	call_page
	mov	%rbx, %rdi
	mov	TASK_STACK(%rbx), %rsp
	sub	$FRAME_SIZE, %rsp
	mov	%rsp, %rsi
	xor	%ebp, %ebp
	call	shim_exec_start
	jmp	shim_return
5:	mov	$231, %eax		/* exit_group(125): the region could not be mapped */
	mov	$125, %edi
	call	call_page
	hlt

/*
 * Copies to and from the app.  A fault at an address in [usercopy_begin, usercopy_end) makes the
 * tracer continue at usercopy_fault; so these are leaves that leave the stack alone.
 */
	.globl	usercopy_begin
usercopy_begin:
	.globl	user_copy_in
	.type	user_copy_in, @function
	.balign	16
user_copy_in:
	mov	%rsi, %rax
	jmp	copy_checked
	.globl	user_copy_out_raw
	.type	user_copy_out_raw, @function
	.balign	16
user_copy_out_raw:
	mov	%rdi, %rax
copy_checked:				/* rax: the app's side */
	movabs	$SHIM_BASE, %rcx
	cmp	%rcx, %rax
	jae	6f
5:	mov	%rdx, %rcx
	cmp	$64, %rdx
	ja	8f
	shr	$3, %ecx
	jz	4f
3:	mov	(%rsi), %rax
	mov	%rax, (%rdi)
	add	$8, %rsi
	add	$8, %rdi
	dec	%ecx
	jnz	3b
4:	and	$7, %edx
	jz	7f
2:	movzbl	(%rsi), %eax
	mov	%al, (%rdi)
	inc	%rsi
	inc	%rdi
	dec	%edx
	jnz	2b
7:	xor	%eax, %eax
	ret
8:	rep movsb
	xor	%eax, %eax
	ret
6:	movabs	$SHIM_LIMIT, %rcx
	cmp	%rcx, %rax
	jae	5b
	mov	$-14, %rax
	ret

/* long user_put_pair_raw(u64 to, u64 a, u64 b): two words */
	.globl	user_put_pair_raw
	.type	user_put_pair_raw, @function
	.balign	16
user_put_pair_raw:
	movabs	$SHIM_BASE, %rcx
	cmp	%rcx, %rdi
	jae	12f
13:	mov	%rsi, (%rdi)
	mov	%rdx, 8(%rdi)
	xor	%eax, %eax
	ret
12:	movabs	$SHIM_LIMIT, %rcx
	cmp	%rcx, %rdi
	jae	13b
	mov	$-14, %rax
	ret

	.globl	user_zero_raw
	.type	user_zero_raw, @function
	.balign	16
user_zero_raw:
	mov	%rsi, %rcx
	xor	%eax, %eax
	rep stosb
	xor	%eax, %eax
	ret

/* long user_string_in(char *to, u64 from, u64 size) */
	.globl	user_string_in
	.type	user_string_in, @function
	.balign	16
user_string_in:
	xor	%eax, %eax
9:	cmp	%rdx, %rax
	jae	10f
	movzbl	(%rsi,%rax), %ecx
	mov	%cl, (%rdi,%rax)
	test	%ecx, %ecx
	jz	11f
	inc	%rax
	jmp	9b
10:	mov	$-36, %rax		/* ENAMETOOLONG */
11:	ret
	.globl	usercopy_end
usercopy_end:
	.globl	usercopy_fault
usercopy_fault:
	mov	$-14, %rax
	ret

/* The call page: the only `syscall` the filter lets through. */
	.section .callpage, "ax", @progbits
	.balign	4096
	.globl	call_page
	.type	call_page, @function
call_page:
	syscall
	.globl	call_page_return
call_page_return:
	ret

/*
 * Where the kernel starts what execve executes: a file of this page alone, so that the shim need
 * not be copied when a container is made.  Maps all of it, this page included, out of the tracer's
 * own file; the tracer has filled in where it is there (shim_image.c).
 */
	.globl	shim_boot
	.type	shim_boot, @function
shim_boot:
	mov	$9, %eax		/* mmap(SHIM_BASE, size, RX, PRIVATE|FIXED, fd, offset) */
	movabs	$SHIM_BASE, %rdi
	mov	shim_boot_size(%rip), %rsi
	mov	$5, %edx
	mov	$0x12, %r10d
	mov	$SHIM_FD_TEXT, %r8d
	mov	shim_boot_offset(%rip), %r9
	call	call_page
	test	%rax, %rax
	jns	_start
	mov	$231, %eax		/* exit_group(125) */
	mov	$125, %edi
	call	call_page
	hlt
	.balign	8
	.globl	shim_boot_size, shim_boot_offset
shim_boot_size:
	.quad	0
shim_boot_offset:
	.quad	0
	.balign	4096, 0xcc

	.section .note.GNU-stack, "", @progbits
