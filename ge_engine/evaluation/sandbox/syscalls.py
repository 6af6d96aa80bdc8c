"""The system calls that candidates may make, by name, with their numbers on x86_64 and aarch64.

What is not here is refused: calls that touch other processes, change who may use a file, mount, make
namespaces, keep things in the kernel beyond a process's life, tell who uses a file (inotify asks nobody
whether it may be read), or take more of the disk at once than can be watched (fallocate). The numbers are
those of Linux's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h; "-" is a call
that aarch64 lacks.
"""

from __future__ import annotations

FILES = """\
read 0 63, write 1 64, open 2 -, openat 257 56, creat 85 -, close 3 57, close_range 436 436, lseek 8 62,
pread64 17 67, pwrite64 18 68, readv 19 65, writev 20 66, preadv 295 69, pwritev 296 70, preadv2 327 286,
pwritev2 328 287, dup 32 23, dup2 33 -, dup3 292 24, fcntl 72 25, ioctl 16 29, flock 73 32, ftruncate 77 46,
fsync 74 82, fdatasync 75 83, sync_file_range 277 84, readahead 187 213, fadvise64 221
223, sendfile 40 71, splice 275 76, tee 276 77, copy_file_range 326 285, stat 4 -, fstat 5 80, lstat 6 -,
newfstatat 262 79, statx 332 291, statfs 137 43, fstatfs 138 44, access 21 -, faccessat 269 48, faccessat2
439 439, readlink 89 -, readlinkat 267 78, getdents 78 -, getdents64 217 61, getcwd 79 17, chdir 80 49,
fchdir 81 50, umask 95 166, mkdir 83 -, mkdirat 258 34, rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82
-, renameat 264 38, renameat2 316 276, link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36, mknod 133
-, mknodat 259 33, getxattr 191 8, lgetxattr 192 9, fgetxattr 193 10, listxattr 194 11, llistxattr 195 12,
flistxattr 196 13, landlock_create_ruleset 444 444, landlock_add_rule 445 445, landlock_restrict_self
446 446
"""
MEMORY = """\
brk 12 214, mmap 9 222, munmap 11 215, mremap 25 216, mprotect 10 226, madvise 28 233, msync 26 227, mincore
27 232, mlock 149 228, mlock2 325 284, munlock 150 229, mbind 237 235, get_mempolicy 239 236, set_mempolicy
238 237, set_mempolicy_home_node 450 450, pkey_alloc 330 289, pkey_free 331 290, pkey_mprotect 329 288,
mseal 462 462, map_shadow_stack 453 453, membarrier 324 283
"""
THREADS = """\
clone 56 220, fork 57 -, vfork 58 -, execve 59 221, execveat 322 281, exit 60 93, exit_group 231 94, wait4
61 260, waitid 247 95, futex 202 98, futex_waitv 449 449, futex_wake 454 454, futex_wait 455 455,
futex_requeue 456 456, set_robust_list 273 99, set_tid_address 218 96, rseq 334 293, arch_prctl 158 -, prctl
157 167, sched_yield 24 124, sched_getaffinity 204 123, sched_setaffinity 203 122, sched_getparam 143 121,
sched_setparam 142 118, sched_getscheduler 145 120, sched_setscheduler 144 119, sched_getattr 315 275,
sched_setattr 314 274, sched_get_priority_max 146 125, sched_get_priority_min 147 126, sched_rr_get_interval
148 127, getcpu 309 168, getpriority 140 141, setpriority 141 140, ioprio_get 252 31, ioprio_set 251 30,
getrlimit 97 163, setrlimit 160 164, prlimit64 302 261, getrusage 98 165, times 100 153, setsid 112 157,
getsid 124 156, setpgid 109 154, getpgid 121 155, getpgrp 111 -
"""
SIGNALS = """\
rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136, rt_sigsuspend 130
133, rt_sigtimedwait 128 137, sigaltstack 131 132, kill 62 129, tkill 200 130, tgkill 234 131,
restart_syscall 219 128, signalfd 282 -, signalfd4 289 74, pause 34 -, alarm 37 -, getitimer 36 102,
setitimer 38 103
"""
TIME = """\
time 201 -, gettimeofday 96 169, clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115,
nanosleep 35 101, timer_create 222 107, timer_settime 223 110, timer_gettime 224 108, timer_getoverrun 225
109, timer_delete 226 111, timerfd_create 283 85, timerfd_settime 286 86, timerfd_gettime 287 87
"""
WAITING = """\
poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72, epoll_create 213 -, epoll_create1 291 20, epoll_ctl
233 21, epoll_wait 232 -, epoll_pwait 281 22, epoll_pwait2 441 441, eventfd 284 -, eventfd2 290 19, pipe 22
-, pipe2 293 59
"""
SOCKETS = """\
socket 41 198, socketpair 53 199, connect 42 203, bind 49 200, listen 50 201, accept 43 202, accept4 288
242, sendto 44 206, sendmsg 46 211, sendmmsg 307 269, recvfrom 45 207, recvmsg 47 212, recvmmsg 299 243,
shutdown 48 210, getsockname 51 204, getpeername 52 205, getsockopt 55 209, setsockopt 54 208
"""
SYSTEM = """\
getpid 39 172, getppid 110 173, gettid 186 178, getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108
177, getresuid 118 148, getresgid 120 150, getgroups 115 158, capget 125 90, uname 63 160, sysinfo 99 179,
getrandom 318 278
"""
ALLOWED = (FILES, MEMORY, THREADS, SIGNALS, TIME, WAITING, SOCKETS, SYSTEM)

REFUSED = """\
add_key 248 217, clone3 435 435, fallocate 285 47, fchmodat2 452 452, get_robust_list 274 100,
inotify_add_watch 254 27, inotify_init 253 -, inotify_init1 294 26, io_uring_setup 425 425, kcmp 312 272,
keyctl 250 219, memfd_create 319 279, migrate_pages 256 238, mount 165 40, mount_setattr 442 442, move_mount
429 429, move_pages 279 239, open_tree 428 428, openat2 437 437, perf_event_open 298 241, pidfd_getfd 438
438, pidfd_open 434 434, pidfd_send_signal 424 424, pivot_root 155 41, process_madvise 440 440,
process_mrelease 448 448, process_vm_readv 310 270, process_vm_writev 311 271, ptrace 101 117, request_key
249 218, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240, seccomp 317 277, setns 308 268, umount2 166 39,
unshare 272 97
"""
"""Of those that are refused, the ones that a rule speaks of."""
NEWEST = 470
"""The last number that may stand for a call known here; what is newer does not exist for a candidate."""


def numbers(table: str, column: int) -> dict[str, int]:
    """Name to number of a table above, for x86_64 (`column` 0) or aarch64 (1)."""
    rows = (entry.split() for entry in table.replace("\n", " ").split(","))
    return {name: int(both[column]) for name, *both in rows if both[column] != "-"}
