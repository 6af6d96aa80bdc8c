"""Networks that turn to the kernel: to reach other processes, to get out by what the fence lets through, or
to leave something behind.

They hold in every mode, but for those that only concern files, which is said.
"""

from __future__ import annotations

from tests.hostile.candidates import ONCE, Hostile

EVERYWHERE = ("bwrap", "landlock", "landlock alone", "filter alone", "none")
CLOSED = EVERYWHERE[:-1]
FENCED = EVERYWHERE[:-2]
DENIED = "error:PermissionError|ProcessLookupError"
LIBC = """\
import ctypes, fcntl, os, platform, resource, signal, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
FIRST = platform.machine() == "x86_64"
READS = os.open(ctypes.__file__, os.O_RDONLY)

def call(name, *arguments):
    answer = getattr(libc, name)(*arguments)
    if answer < 0:
        raise OSError(ctypes.get_errno(), name)
    return answer

def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(1, done.stderr)
"""


def attack(
    name: str, code: str, expect: str = DENIED, modes: tuple[str, ...] = EVERYWHERE, landlock: int = 0
) -> Hostile:
    """A network that runs `code` in the first step of its training."""
    return Hostile(name, expect, LIBC, "pass", ONCE + code, landlock, modes)


HOSTILE = [
    attack("limits the engine", "resource.prlimit(ENGINE_PID, resource.RLIMIT_CORE, (0, 0))"),
    attack(
        "limits the process that started it",
        "resource.prlimit(os.getppid() or ENGINE_PID, resource.RLIMIT_CORE, (0, 0))",
    ),
    attack("reads the limits of the engine", "resource.prlimit(ENGINE_PID, resource.RLIMIT_NOFILE)"),
    attack("pins the engine to one core", "os.sched_setaffinity(ENGINE_PID, {0})"),
    attack("slows the engine down", "os.setpriority(os.PRIO_PROCESS, ENGINE_PID, 19)"),
    attack("slows all of the user's processes down", "os.setpriority(os.PRIO_USER, 0, 19)"),
    attack(
        "makes the engine run when nobody else does",
        "os.sched_setscheduler(ENGINE_PID, os.SCHED_IDLE, os.sched_param(0))",
    ),
    attack("takes the disk from the engine", "call('syscall', 251 if FIRST else 30, 1, ENGINE_PID, 3 << 13)"),
    attack("asks whether the engine runs", "os.kill(ENGINE_PID, 0)"),
    attack(
        "signals whoever it finds",
        "own = {int(one) for one in os.listdir('/proc/self/task')}\n    for pid in range(1, 70_000):\n"
        "        try:\n            os.kill(pid, 0)\n        except OSError:\n            continue\n"
        "        if pid not in own and pid > 1:\n            break\n    else:\n        raise PermissionError",
    ),
    attack(
        "has signals sent to the engine",
        "pair = socket.socketpair()\n    fcntl.fcntl(pair[0], 8, ENGINE_PID)",
    ),
    attack("holds the engine by a descriptor", "signal.pidfd_send_signal(os.pidfd_open(ENGINE_PID), 0)"),
    attack("traces the engine", "call('ptrace', 16, ENGINE_PID, 0, 0)"),
    attack("traces its own child", "pid = os.fork() or time.sleep(60)\n    call('ptrace', 16, pid, 0, 0)"),
    attack(
        "reads the engine's memory by a call", "call('process_vm_readv', ENGINE_PID, None, 0, None, 0, 0)"
    ),
    attack(
        "watches the engine's counters",
        "call('syscall', 298 if FIRST else 241, bytes(128), ENGINE_PID, -1, -1, 0)",
    ),
    attack("takes a descriptor of the engine", "call('syscall', 438, 0, 0, 0)"),
    attack("outlives the one that started it", "call('prctl', 1, 0, 0, 0, 0)"),
    attack("makes a user namespace", "call('unshare', 0x1000_0000)"),
    attack("begins a process in a user namespace", "run('unshare', '--user', 'true')"),
    attack("clones into a namespace", "call('syscall', 56 if FIRST else 220, 0x1000_0011, 0, 0, 0, 0)"),
    attack("enters a namespace", "call('setns', os.open('/proc/self/ns/net', os.O_RDONLY), 0)"),
    attack("mounts", "call('mount', b'none', b'.', b'tmpfs', 0, None)"),
    attack("keeps shared memory", "call('shmget', 0x6765, 4096, 0o1666)"),
    attack("keeps a message queue", "call('msgget', 0x6765, 0o1666)"),
    attack("keeps a semaphore", "call('semget', 0x6765, 1, 0o1666)"),
    attack("keeps a named message queue", "call('mq_open', b'/ge-hostile', 0o102, 0o666, None)"),
    attack(
        "keeps a key",
        "call('syscall', 248 if FIRST else 217, b'user', b'ge-hostile', b'x', 1, -4)",
    ),
    attack("keeps memory without a name", "os.memfd_create('ge-hostile')"),
    attack("goes around the filter by a ring", "call('syscall', 425, 4, bytes(120))"),
    attack("catches its own page faults", "call('syscall', 323 if FIRST else 282, 1)"),
    attack("sets a flag of a library's file", "fcntl.ioctl(READS, 0x4008_6602, bytes([0x40] + [0] * 7))"),
    attack("sets the version of a library's file", "fcntl.ioctl(READS, 0x4008_7602, bytes(8))"),
    attack("leaves a hint at a library's file", "fcntl.fcntl(READS, 1036, bytes([3] + [0] * 7))"),
    attack("makes a library's file unchangeable", "fcntl.ioctl(READS, 0x4080_6685, bytes(128))"),
    attack("hears who uses the user's files", "call('inotify_init1', 0)"),
    attack("hears what its neighbours do", "call('inotify_add_watch', 0, b'..', 0xfff)"),
    attack(
        "keeps descriptors in a thread of its own",
        "libc.clone.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]\n"
        "    room = ctypes.create_string_buffer(2**16)\n"
        "    call('clone', ctypes.cast(libc.pause, ctypes.c_void_p), ctypes.addressof(room) + 2**15, "
        "0x1_0900, None)",
    ),
    attack(
        "is three thousand threads",
        "libc.pthread_create.argtypes = [ctypes.c_void_p] * 4\n"
        "    room = ctypes.create_string_buffer(64)\n    libc.pthread_attr_init(room)\n"
        "    libc.pthread_attr_setstacksize(room, ctypes.c_size_t(2**17))\n"
        "    for _ in range(3000):\n"
        "        libc.pthread_create(bytes(8), room, ctypes.cast(libc.pause, ctypes.c_void_p), None)\n"
        "    time.sleep(60)",
        "crash:more than 1024 threads",
    ),
    attack("types into a terminal", "fcntl.ioctl(0, 0x5412, b'x')"),
    attack("connects to an agent's socket", "socket.socket(socket.AF_UNIX).connect('SOCKET')"),
    attack(
        "sends to an agent's socket from a pair",
        "socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b'labels', 'SOCKET.mail')",
    ),
    attack("connects to a socket without a path", "socket.socket(socket.AF_UNIX).connect('\\0ge-SOCKET')"),
    attack(
        "connects in another program",
        "run(sys.executable, '-c', 'import socket; socket.socket(socket.AF_UNIX).connect(\"SOCKET\")')",
    ),
    attack(
        "asks the kernel who listens",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)",
        modes=CLOSED,
    ),
    attack(
        "opens a file of the user to all", "os.chmod('SECRET_FILE', 0o666)", f"{DENIED}|FileNotFoundError"
    ),
    attack(
        "gives a file of the user away", "os.chown('SECRET_FILE', -1, 65534)", f"{DENIED}|FileNotFoundError"
    ),
    attack("changes the time of a file", "os.utime('SECRET_FILE', (0, 0))", f"{DENIED}|FileNotFoundError"),
    attack(
        "empties a file that it only reads",
        "os.open('SECRET_FILE', os.O_RDONLY | os.O_TRUNC)",
        f"{DENIED}|FileNotFoundError",
    ),
    attack(
        "reads the command line of the engine",
        "open('/proc/ENGINE_PID/cmdline').read()",
        "error:PermissionError|FileNotFoundError",
        FENCED,
    ),
    attack(
        "reads the command line of whoever started it",
        "others = [one for one in os.listdir('/proc') if one.isdigit() and int(one) != os.getpid()]\n"
        "    lines = [open(f'/proc/{one}/cmdline').read() for one in others]\n"
        "    if not any('fork_server' in line for line in lines):\n        raise PermissionError(len(lines))",
        "error:PermissionError",
        FENCED,
    ),
    attack(
        "reads the mounts of the engine",
        "open('/proc/ENGINE_PID/mountinfo').read()",
        "error:PermissionError|FileNotFoundError",
        FENCED,
    ),
    attack(
        "is a thousand processes",
        "for _ in range(1000):\n        os.posix_spawnp('sleep', ['sleep', 'NAP'], {})\n    time.sleep(60)",
        "crash:more than 128 processes",
    ),
    attack(
        "is a crowd in sessions of their own",
        "run('sh', '-c', 'for one in $(seq 300); do setsid sleep NAP & done; wait')",
        "crash:more than 128 processes",
    ),
    attack(
        "is a tree of processes",
        "run('sh', '-c', 'f() { [ $1 = 0 ] && exec sleep NAP; f $(($1 - 1)) & f $(($1 - 1)) & wait; }; f 8')",
        "crash:more than 128 processes",
    ),
    attack(
        "does what a library may do",
        "run('true')\n    left, right = socket.socketpair()\n    left.send(b'x')\n    os.nice(1)\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        "    os.sched_setaffinity(0, os.sched_getaffinity(0))\n"
        "    pid = os.fork()\n    if pid == 0:\n        os._exit(3)\n    os.waitpid(pid, 0)\n"
        "    for file in ('self/status', 'cpuinfo', 'meminfo'):\n        open(f'/proc/{file}').read()",
        "scored",
    ),
]
"""Every attack here is one call; what the candidate could do next does not matter."""
