// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The lists of system calls, by role, with the reasons. What is not here, the thread cannot do:
 * no thread may start a program, look into another process, change its identity, mount anything, or
 * make memory executable; and but for those that look up names (nbd, user network) none may open a
 * file.
 *
 * Whoever gives a thread a new duty sees "called NAME, which its role does not need", and adds the
 * call here with the reason. An argument that decides what a call can do is compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/platform.h"
#include "vmm/confine_calls.h"

#define LOW_WORD    0xFFFFFFFFu
#define SOCKET_TYPE 0xFu /* the rest of the argument are flags */

#define CALL(name)                       \
	{                                \
		.number = SCMP_SYS(name) \
	}
/* Only with these bits of an argument. */
#define HAS_BITS(argument, mask, bits)                                 \
	{                                                              \
		argument, SCMP_CMP_MASKED_EQ, (mask), (uint64_t)(bits) \
	}
#define CALL_BITS(name, argument, mask, bits)                              \
	{                                                                  \
		.number = SCMP_SYS(name), .compare_count = 1, .compare = { \
			HAS_BITS(argument, mask, bits)                     \
		}                                                          \
	}
#define CALL_INT(name, argument, value) CALL_BITS(name, argument, LOW_WORD, (uint32_t)(value))
#define CALL_IOCTL(request)		CALL_INT(ioctl, 1, request)
#define FAIL_BITS(name, argument, mask, bits, error)                                          \
	{                                                                                     \
		.number = SCMP_SYS(name), .answer = (error), .compare_count = 1, .compare = { \
			HAS_BITS(argument, mask, bits)                                        \
		}                                                                             \
	}
/* A socket of that family and type; none is raw, but for the kernel's list of addresses. */
#define SOCKET(family, type)                                                 \
	{                                                                    \
		.number = SCMP_SYS(socket), .compare_count = 2, .compare = { \
			HAS_BITS(0, LOW_WORD, family),                       \
			HAS_BITS(1, SOCKET_TYPE, type)                       \
		}                                                            \
	}
#define SOCKET_OF_ROUTES                                                     \
	{                                                                    \
		.number = SCMP_SYS(socket), .compare_count = 3, .compare = { \
			HAS_BITS(0, LOW_WORD, AF_NETLINK),                   \
			HAS_BITS(1, SOCKET_TYPE, SOCK_RAW),                  \
			HAS_BITS(2, LOW_WORD, NETLINK_ROUTE)                 \
		}                                                            \
	}
#define FAIL(name, error)                                   \
	{                                                   \
		.number = SCMP_SYS(name), .answer = (error) \
	}
/* Lets work collect, or not (devices/worker.c). */
#define GATHERS \
	CALL_INT(sched_setscheduler, 1, SCHED_BATCH), CALL_INT(sched_setscheduler, 1, SCHED_OTHER)
#define LIST(calls)                           \
	{                                     \
		calls, VMB_ARRAY_COUNT(calls) \
	}

/* A new thread of this process, in its namespaces; never a process. */
#define THREAD_BITS (CLONE_VM | CLONE_THREAD | CLONE_SIGHAND)
#define OTHER_SPACES                                                                               \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | \
	 CLONE_NEWCGROUP)
#define CALL_THREAD   CALL_BITS(clone, 0, THREAD_BITS | OTHER_SPACES, THREAD_BITS)
/* Any of these makes more of an open than reading what is there. */
#define NOT_ONLY_READ (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND)

static const struct vmb_vmm_confine_call common[] = {
	/* events, pipes, sockets and files that are open already */
	CALL(read),
	CALL(write),
	CALL(readv),
	CALL(writev),
	CALL(close),
	CALL(poll),
	CALL(ppoll),
	/* locks, and the C library's thread */
	CALL(futex),
	CALL(sched_yield),
	CALL(set_robust_list),
	CALL(rseq),
	CALL(gettid),
	CALL(getpid),
	CALL(exit),
	CALL(exit_group),
	CALL(restart_syscall),
	/* memory, none of it executable: stacks, malloc, rings that a guest lends */
	CALL_BITS(mmap, 2, PROT_EXEC, 0),
	CALL_BITS(mprotect, 2, PROT_EXEC, 0),
	CALL(munmap),
	CALL(mremap),
	CALL(madvise),
	CALL(brk),
	/* malloc: how many arenas, and what makes its lists hard to forge */
	CALL(sched_getaffinity),
	CALL(getrandom),
	/*
	 * Libraries read a file now and then: malloc, when a thread frees much, asks how memory may
	 * be overcommitted (glibc, malloc-sysdep.h). They do without. It is still refused.
	 */
	FAIL_BITS(openat, 2, NOT_ONLY_READ, O_RDONLY, EACCES),
	/* clocks that cannot be read without the kernel; pauses */
	CALL(clock_gettime),
	CALL(gettimeofday),
	CALL(time),
	CALL(nanosleep),
	CALL(clock_nanosleep),
	/* signals to threads of this process (vmm/confine.c says which), and abort() */
	CALL(rt_sigprocmask),
	CALL(rt_sigaction),
	CALL(rt_sigreturn),
	CALL(sigaltstack),
	/* a thread that begins: its name, and what takes away more */
	CALL_INT(prctl, 0, PR_SET_NAME),
	CALL_INT(seccomp, 0, 1 /* SECCOMP_SET_MODE_FILTER */),
	CALL(landlock_restrict_self),
	/* what is said on standard error, which may be a socket (devices/report.c) */
	CALL(fstat),
	CALL(newfstatat),
	CALL_INT(sendto, 0, STDERR_FILENO),
	/* whoever ends the program puts the terminal back */
	CALL_IOCTL(TCGETS),
	CALL_IOCTL(TCSETS),
	CALL_IOCTL(TIOCGPGRP),
	CALL(getpgrp),
};

const struct vmb_vmm_confine_list vmb_vmm_confine_common = LIST(common);

static const struct vmb_vmm_confine_call processor[] = {
	CALL_IOCTL(KVM_RUN),
	CALL_IOCTL(KVM_IRQ_LINE), /* of the serial port */
	CALL_IOCTL(KVM_SIGNAL_MSI), /* an interrupt of a PCI function that it has just unmasked */
	/* what a message can ask of the bus: a channel's doorbell, and the thread of doorbells */
	CALL_IOCTL(KVM_HYPERV_EVENTFD),
	CALL_THREAD,
	FAIL(clone3, ENOSYS) /* its flags cannot be compared: the C library then uses clone */,
	CALL_INT(prctl, 0, PR_SET_TIMERSLACK),
	/* what is said of a crash, and of a guest that KVM cannot go on with */
	CALL_IOCTL(KVM_GET_MSRS),
	CALL_IOCTL(KVM_GET_REGS),
};

static const struct vmb_vmm_confine_call doorbell[] = {
	CALL_INT(prctl, 0, PR_SET_TIMERSLACK),
};

static const struct vmb_vmm_confine_call storage[] = {
	CALL(io_uring_enter),
	GATHERS,
	CALL_IOCTL(KVM_HYPERV_EVENTFD), /* of a channel that is closed */
	CALL(eventfd2), /* the bell of a further one */
	/* a disk may have grown */
	CALL_IOCTL(BLKGETSIZE64),
};

static const struct vmb_vmm_confine_call nvme[] = {
	CALL(io_uring_enter), CALL_IOCTL(KVM_HYPERV_EVENTFD), /* of a channel that is closed */
	CALL_IOCTL(KVM_SIGNAL_MSI), /* its interrupts */
};

static const struct vmb_vmm_confine_call disk[] = {
	CALL(preadv),
	CALL(pwritev),
	CALL(fdatasync),
	CALL(fallocate),
};

static const struct vmb_vmm_confine_call nbd[] = {
	/* a server that went away is connected to again, by name */
	SOCKET(AF_UNIX, SOCK_STREAM),
	SOCKET(AF_INET, SOCK_STREAM),
	SOCKET(AF_INET6, SOCK_STREAM),
	CALL(connect),
	CALL(shutdown),
	CALL(getsockopt),
	CALL(setsockopt),
	CALL(fcntl),
	CALL(sendto),
	CALL(sendmsg),
	CALL(recvfrom),
	CALL(recvmsg),
	/* looking up a name: lists below /etc, sockets to name servers, the machine's addresses */
	SOCKET(AF_INET, SOCK_DGRAM),
	SOCKET(AF_INET6, SOCK_DGRAM),
	SOCKET_OF_ROUTES,
	CALL_BITS(openat, 2, NOT_ONLY_READ, O_RDONLY),
	CALL(lseek),
	CALL(bind),
	CALL(getsockname),
	CALL(getpeername),
	CALL(sendmmsg),
	CALL_IOCTL(FIONREAD),
	CALL(uname),
	/* a service for names that was not needed at the start is not loaded any more */
	FAIL_BITS(mmap, 2, PROT_EXEC, PROT_EXEC, EACCES),
};

static const struct vmb_vmm_confine_call services[] = {
	CALL_IOCTL(KVM_HYPERV_EVENTFD), /* of a channel that is closed */
	CALL_IOCTL(KVM_GET_CLOCK), /* what the guest's counter says, with the time */
	CALL(pread64), /* a file that is copied into the guest */
};

static const struct vmb_vmm_confine_call sockets[] = {
	GATHERS,
	CALL_IOCTL(KVM_HYPERV_EVENTFD), /* of a channel that is closed */
	CALL(eventfd2), /* the bell of a new one */
	/* clients, and the servers that the guest connects to */
	CALL_INT(socket, 0, AF_UNIX),
	CALL(connect),
	CALL(accept4),
	CALL(shutdown),
	CALL(recvfrom),
	CALL(sendto),
};

static const struct vmb_vmm_confine_call balloon[] = {
	CALL_IOCTL(KVM_HYPERV_EVENTFD), /* of a channel that is closed */
	/* what the guest gave leaves the memory file */
	CALL_INT(fallocate, 1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
	CALL_IOCTL(KVM_SET_USER_MEMORY_REGION), /* memory that is added */
};

static const struct vmb_vmm_confine_call input[] = {
	CALL_IOCTL(KVM_HYPERV_EVENTFD), /* of a channel that is closed */
};

static const struct vmb_vmm_confine_call video[] = {
	CALL_IOCTL(KVM_HYPERV_EVENTFD), /* of a channel that is closed */
	CALL_IOCTL(KVM_SET_USER_MEMORY_REGION), /* video memory, where the guest wants it */
};

static const struct vmb_vmm_confine_call vnc[] = {
	/* clients, which come on a socket that listens already */
	CALL(accept4),
	CALL(shutdown),
	CALL(setsockopt),
	CALL(getpeername),
	CALL(fcntl),
	CALL(recvfrom), /* a look at what a client says first */
	CALL(sendto),
	/* libvncserver waits with it */
	CALL(select),
	CALL(pselect6),
};

static const struct vmb_vmm_confine_call trace[] = {
	CALL(pwritev),
	CALL(ftruncate),
};

static const struct vmb_vmm_confine_call network[] = {
	GATHERS,
	/* a channel that is closed, the bell of a further one */
	CALL_IOCTL(KVM_HYPERV_EVENTFD),
	CALL(eventfd2),
	/* a capture */
	CALL(pwritev),
	CALL(ftruncate),
	/* a switch that went away is connected to again */
	SOCKET(AF_UNIX, SOCK_SEQPACKET),
	CALL(connect),
	CALL(setsockopt),
	CALL(sendmsg),
	CALL(recvfrom),
};

static const struct vmb_vmm_confine_call user_network[] = {
	GATHERS,
	CALL_IOCTL(KVM_HYPERV_EVENTFD),
	CALL(eventfd2),
	CALL(pwritev),
	CALL(ftruncate),
	/* the guest's connections, and those of forwarded ports */
	SOCKET(AF_INET, SOCK_STREAM),
	SOCKET(AF_INET, SOCK_DGRAM),
	SOCKET(AF_INET6, SOCK_STREAM),
	SOCKET(AF_INET6, SOCK_DGRAM),
	CALL(bind),
	CALL(listen),
	CALL(connect),
	CALL(accept),
	CALL(accept4),
	CALL(shutdown),
	CALL(getsockname),
	CALL(getpeername),
	CALL(getsockopt),
	CALL(setsockopt),
	CALL(fcntl),
	CALL(sendto),
	CALL(sendmsg),
	CALL(recvfrom),
	CALL(recvmsg),
	CALL_IOCTL(FIONREAD),
	CALL_IOCTL(FIONBIO),
	/* the machine's list of name servers may change */
	CALL_BITS(openat, 2, NOT_ONLY_READ, O_RDONLY),
	CALL(lseek),
};

static const struct vmb_vmm_confine_call network_switch[] = {
	CALL(accept4),
	CALL(setsockopt),
	CALL(sendmsg),
	CALL(recvfrom),
	/* a capture */
	CALL(pwritev),
	CALL(ftruncate),
	/* its own socket is removed at the end, if it is still there */
	CALL(unlink),
};

static const struct vmb_vmm_confine_call control[] = {
	/* clients of the control socket */
	CALL(accept4),
	CALL(recvfrom),
	CALL(sendto),
	/* disks, discs and networks that it is told to add are opened and locked */
	CALL(openat),
	CALL(fcntl),
	CALL(flock),
	CALL(fstat),
	CALL(newfstatat),
	CALL(lseek),
	CALL(pread64),
	CALL(ftruncate),
	CALL(unlink), /* of a dump that failed */
	/* a screenshot is on the disk before it has its name */
	CALL(fsync),
	CALL(rename),
	/* the end of a disk's qemu-nbd, when that is removed */
	CALL(wait4),
	CALL(pidfd_send_signal),
	CALL(rmdir),
	CALL(getdents64),
	CALL(access),
	/* may a recording be created there? */
	CALL(faccessat),
	CALL(faccessat2),
	CALL(readlink),
	CALL(eventfd2),
	CALL_IOCTL(BLKGETSIZE64),
	CALL_IOCTL(BLKSSZGET),
	CALL_IOCTL(TUNSETIFF),
	CALL_IOCTL(TUNSETVNETHDRSZ),
	CALL_IOCTL(TUNSETVNETLE),
	CALL_IOCTL(TUNSETOFFLOAD),
	/* is there such an interface; may this process make one? */
	SOCKET(AF_UNIX, SOCK_DGRAM),
	CALL_IOCTL(SIOCGIFINDEX),
	CALL(capget),
	CALL_IOCTL(SIOCSIFMTU),
	CALL_IOCTL(SIOCGIFFLAGS),
	CALL_IOCTL(SIOCSIFFLAGS),
	/* how many connections may a user network have? (sets nothing) */
	CALL_BITS(prlimit64, 2, UINT64_MAX, 0),
	/* and get the threads that serve them */
	CALL_THREAD,
	FAIL(clone3, ENOSYS),
	CALL(io_uring_setup),
	CALL(io_uring_register),
};

static const struct vmb_vmm_confine_call variables[] = {
	/* a new file, on the disk before it takes the old one's name */
	CALL(openat),
	CALL(fsync),
	CALL(rename),
	CALL(unlink),
};

static const struct vmb_vmm_confine_call main_thread[] = {
	/* a machine is made anew at each reset */
	CALL(memfd_create),
	CALL(ftruncate),
	CALL(eventfd2),
	CALL(pread64),
	CALL(lseek),
	CALL_IOCTL(KVM_CREATE_VM),
	CALL_IOCTL(KVM_SET_TSS_ADDR),
	CALL_IOCTL(KVM_SET_IDENTITY_MAP_ADDR),
	CALL_IOCTL(KVM_CREATE_IRQCHIP),
	CALL_IOCTL(KVM_CREATE_PIT2),
	CALL_IOCTL(KVM_SET_USER_MEMORY_REGION),
	CALL_IOCTL(KVM_SET_GSI_ROUTING),
	CALL_IOCTL(KVM_IRQFD),
	CALL_IOCTL(KVM_IRQ_LINE),
	CALL_IOCTL(KVM_CREATE_VCPU),
	CALL_IOCTL(KVM_SET_CPUID2),
	CALL_IOCTL(KVM_ENABLE_CAP),
	CALL_IOCTL(KVM_X86_SET_MSR_FILTER),
	CALL_IOCTL(KVM_SET_MSRS),
	CALL_IOCTL(KVM_GET_SREGS),
	CALL_IOCTL(KVM_SET_SREGS),
	CALL_IOCTL(KVM_SET_REGS),
	/* the rings of its disks */
	CALL(io_uring_setup),
	CALL(io_uring_register),
	/* the end: qemu-nbd's keeper, and what is left when that had to be killed */
	CALL(wait4),
	CALL(pidfd_send_signal),
	CALL(unlink),
	CALL(rmdir),
};

static const struct vmb_vmm_confine_call server[] = {
	/* other processes; execve is how it begins, and gives it nothing */
	CALL_BITS(clone, 0, CLONE_THREAD, 0),
	FAIL(clone3, ENOSYS),
	CALL(fork),
	CALL(vfork),
	CALL(execveat),
	CALL(ptrace),
	CALL(process_vm_readv),
	CALL(process_vm_writev),
	CALL(process_madvise),
	CALL(pidfd_getfd),
	CALL(kcmp),
	/* the network: its socket is a file */
	CALL_INT(socket, 0, AF_INET),
	CALL_INT(socket, 0, AF_INET6),
	CALL_INT(socket, 0, AF_PACKET),
	CALL_INT(socket, 0, AF_NETLINK),
	CALL_INT(socket, 0, AF_VSOCK),
	/* what it may do, and where it is */
	CALL(setuid),
	CALL(setgid),
	CALL(setreuid),
	CALL(setregid),
	CALL(setresuid),
	CALL(setresgid),
	CALL(setgroups),
	CALL(setfsuid),
	CALL(setfsgid),
	CALL(capset),
	CALL(unshare),
	CALL(setns),
	CALL(chroot),
	CALL(pivot_root),
	CALL(mount),
	CALL(umount2),
	CALL(open_tree),
	CALL(move_mount),
	CALL(fsopen),
	CALL(fsmount),
	CALL(mount_setattr),
	CALL(open_by_handle_at),
	CALL(personality),
	/* the kernel */
	CALL(bpf),
	CALL(perf_event_open),
	CALL(userfaultfd),
	CALL(add_key),
	CALL(request_key),
	CALL(keyctl),
	CALL(init_module),
	CALL(finit_module),
	CALL(delete_module),
	CALL(kexec_load),
	CALL(kexec_file_load),
	CALL(reboot),
	CALL(swapon),
	CALL(swapoff),
	CALL(acct),
	CALL(iopl),
	CALL(ioperm),
	CALL(settimeofday),
	CALL(clock_settime),
	CALL(adjtimex),
	CALL(sethostname),
	CALL(quotactl),
	CALL(syslog),
	CALL(mknod),
	CALL(mknodat),
};

const struct vmb_vmm_confine_list vmb_vmm_confine_server = LIST(server);

const struct vmb_vmm_confine_list vmb_vmm_confine_lists[VMB_DEV_ROLE_COUNT] = {
	[VMB_DEV_ROLE_MAIN] = LIST(main_thread),
	[VMB_DEV_ROLE_CONTROL] = LIST(control),
	[VMB_DEV_ROLE_PROCESSOR] = LIST(processor),
	[VMB_DEV_ROLE_DOORBELL] = LIST(doorbell),
	[VMB_DEV_ROLE_STORAGE] = LIST(storage),
	[VMB_DEV_ROLE_NVME] = LIST(nvme),
	[VMB_DEV_ROLE_DISK] = LIST(disk),
	[VMB_DEV_ROLE_NBD] = LIST(nbd),
	[VMB_DEV_ROLE_SERVICES] = LIST(services),
	[VMB_DEV_ROLE_SOCKETS] = LIST(sockets),
	[VMB_DEV_ROLE_BALLOON] = LIST(balloon),
	[VMB_DEV_ROLE_INPUT] = LIST(input),
	[VMB_DEV_ROLE_VIDEO] = LIST(video),
	[VMB_DEV_ROLE_VNC] = LIST(vnc),
	[VMB_DEV_ROLE_TRACE] = LIST(trace),
	[VMB_DEV_ROLE_NETWORK] = LIST(network),
	[VMB_DEV_ROLE_USER_NETWORK] = LIST(user_network),
	[VMB_DEV_ROLE_SWITCH] = LIST(network_switch),
	[VMB_DEV_ROLE_VARIABLES] = LIST(variables),
};
