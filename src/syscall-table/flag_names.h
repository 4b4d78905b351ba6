/*
 * Names of the constants that system calls take: one set per kind of argument.
 *
 * A set covers plain lists (clock ids), bits (protections) and the mixtures Linux has (open flags:
 * two bits of list, the rest bits).
 */
#ifndef SHADOW_FLAG_NAMES_H
#define SHADOW_FLAG_NAMES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct flag_name {
	uint64_t value;
	const char *name;
};

struct flag_set {
	const struct flag_name *names; /* several bits before the single ones they contain */
	size_t count;
	uint64_t list_mask; /* these bits are one value of a list, the others single bits */
};

/* One set for every FLAGS of arg_kinds.def, and those of structures' members. */
extern const struct flag_set flags_none;
extern const struct flag_set flags_whence;
extern const struct flag_set flags_clockid;
extern const struct flag_set flags_sig_how;
extern const struct flag_set flags_fcntl_cmd;
extern const struct flag_set flags_ioctl_cmd;
extern const struct flag_set flags_tcflsh_queue;
extern const struct flag_set flags_tcxonc_action;
extern const struct flag_set flags_scm_type;
extern const struct flag_set flags_tty_iflag;
extern const struct flag_set flags_tty_oflag;
extern const struct flag_set flags_tty_speed;
extern const struct flag_set flags_tty_cflag;
extern const struct flag_set flags_tty_lflag;
extern const struct flag_set flags_madvise_advice;
extern const struct flag_set flags_fadvise_advice;
extern const struct flag_set flags_itimer_which;
extern const struct flag_set flags_rlimit_resource;
extern const struct flag_set flags_rusage_who;
extern const struct flag_set flags_prio_which;
extern const struct flag_set flags_sched_policy;
extern const struct flag_set flags_prctl_option;
extern const struct flag_set flags_arch_prctl_code;
extern const struct flag_set flags_epoll_op;
extern const struct flag_set flags_wait_idtype;
extern const struct flag_set flags_seccomp_op;
extern const struct flag_set flags_membarrier_cmd;
extern const struct flag_set flags_socket_family;
extern const struct flag_set flags_shutdown_how;
extern const struct flag_set flags_sock_level;
extern const struct flag_set flags_sock_option, flags_ip_option, flags_ipv6_option;
extern const struct flag_set flags_tcp_option, flags_udp_option;
extern const struct flag_set flags_open_flags;
extern const struct flag_set flags_access_mode;
extern const struct flag_set flags_at_flags;
extern const struct flag_set flags_unlink_flags;
extern const struct flag_set flags_rename_flags;
extern const struct flag_set flags_statx_mask;
extern const struct flag_set flags_mmap_prot;
extern const struct flag_set flags_mmap_flags;
extern const struct flag_set flags_mremap_flags;
extern const struct flag_set flags_msync_flags;
extern const struct flag_set flags_memfd_flags;
extern const struct flag_set flags_fallocate_mode;
extern const struct flag_set flags_flock_op;
extern const struct flag_set flags_clone_flags;
extern const struct flag_set flags_wait_options;
extern const struct flag_set flags_close_range_flags;
extern const struct flag_set flags_eventfd_flags;
extern const struct flag_set flags_pidfd_flags;
extern const struct flag_set flags_pidfd_signal_flags;
extern const struct flag_set flags_kcmp_type;
extern const struct flag_set flags_grnd_flags;
extern const struct flag_set flags_rwf_flags;
extern const struct flag_set flags_splice_flags;
extern const struct flag_set flags_inotify_mask;
extern const struct flag_set flags_timer_flags;
extern const struct flag_set flags_timerfd_flags;
extern const struct flag_set flags_timerfd_set_flags;
extern const struct flag_set flags_signalfd_flags;
extern const struct flag_set flags_sigev_notify;
extern const struct flag_set flags_si_code;
extern const struct flag_set flags_cld_code;
extern const struct flag_set flags_segv_code;
extern const struct flag_set flags_bus_code;
extern const struct flag_set flags_fpe_code;
extern const struct flag_set flags_xattr_flags;
extern const struct flag_set flags_socket_type;
extern const struct flag_set flags_accept_flags;
extern const struct flag_set flags_futex_op;
extern const struct flag_set flags_ipc_key;
extern const struct flag_set flags_ipc_flags;
extern const struct flag_set flags_shmget_flags;
extern const struct flag_set flags_shmat_flags;
extern const struct flag_set flags_shmctl_cmd;
extern const struct flag_set flags_semctl_cmd;
extern const struct flag_set flags_sembuf_flags;
extern const struct flag_set flags_msgctl_cmd;
extern const struct flag_set flags_msgq_flags;
extern const struct flag_set flags_msg_flags;
extern const struct flag_set flags_file_type;
extern const struct flag_set flags_poll_events;
extern const struct flag_set flags_epoll_events;
extern const struct flag_set flags_lock_type;
extern const struct flag_set flags_fd_flags;
extern const struct flag_set flags_sa_flags;
extern const struct flag_set flags_ss_flags;
extern const struct flag_set flags_resolve;

/* Writes `value` as A|B|0x40: the names that apply, what is left over as a number. */
void flag_set_print(FILE *out, const struct flag_set *set, uint64_t value);

#endif
