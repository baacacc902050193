"""What the analyser child may still do once hostile bytes come near: compute, read what it has, put a member aside in
a file without a name, write its answer.

Sources: setrlimit(2), prctl(2), seccomp(2); linux/filter.h, linux/audit.h, asm/unistd_64.h and
asm-generic/unistd.h for numbers. Design: scanning.md, section 3.1; security.md.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
from typing import Final

ADDRESS_SPACE_BYTES: Final = 512 << 20
OPEN_FILES: Final = 16
FILE_BYTES: Final = 512 << 20
"""How far a file may be written. The one that can be is without a name, opened before: members are put aside in it."""

PR_SET_PDEATHSIG: Final = 1
PR_SET_SECCOMP: Final = 22
PR_SET_NO_NEW_PRIVS: Final = 38
SECCOMP_MODE_FILTER: Final = 2

LOAD_WORD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
JUMP_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
RETURN: Final = 0x06  # BPF_RET | BPF_K
SECCOMP_ALLOW: Final = 0x7FFF0000
SECCOMP_EPERM: Final = 0x00050000 | 1
NUMBER_OFFSET: Final = 0
ARCHITECTURE_OFFSET: Final = 4

# All that Python needs to read, compute, allocate, and end. Whatever else it asks for is refused (EPERM): sockets,
# programs, processes, threads, tracing, and any file by its name.
ALLOWED: Final[dict[str, tuple[int, ...]]] = {
    "x86_64": (
        *(0, 1, 3, 5, 8),  # read write close fstat lseek
        *(9, 10, 11, 12, 25, 28),  # mmap mprotect munmap brk mremap madvise
        *(13, 14, 15, 131, 219),  # rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall
        *(24, 202, 35, 230),  # sched_yield futex nanosleep clock_nanosleep
        *(39, 186, 234),  # getpid gettid tgkill
        *(96, 228, 98, 318),  # gettimeofday clock_gettime getrusage getrandom
        *(60, 231),  # exit exit_group
    ),
    "aarch64": (
        *(63, 64, 57, 80, 62),
        *(222, 226, 215, 214, 216, 233),
        *(134, 135, 139, 132, 128),
        *(124, 98, 101, 115),
        *(172, 178, 131),
        *(169, 113, 165, 278),
        *(93, 94),
    ),
}
AUDIT_ARCHITECTURE: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def end_with(parent: int) -> None:
    """Ends this process when the thread that started it does. *parent*: the id of its process."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the call above
        os._exit(1)


def confine() -> bool:
    """Takes away all that the analysis does not need; for good. Whether the kernel filters system calls as well.

    Everything must be imported by now: no file can be opened afterwards.
    """
    for limit, most in (
        (resource.RLIMIT_AS, ADDRESS_SPACE_BYTES),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    is_bound = _prctl(PR_SET_NO_NEW_PRIVS, 1)
    machine = platform.machine()
    if not is_bound or machine not in ALLOWED:
        return False
    program = system_call_filter(machine)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = _Program(len(program) // 8, ctypes.addressof(buffer))
    return _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(header))


def system_call_filter(machine: str) -> bytes:
    """The BPF program for *machine* (a key of ALLOWED): 8 bytes per instruction, EPERM for all but ALLOWED."""
    numbers = ALLOWED[machine]
    rules = [
        (LOAD_WORD, 0, 0, ARCHITECTURE_OFFSET),
        (JUMP_EQUAL, 0, len(numbers) + 1, AUDIT_ARCHITECTURE[machine]),
        (LOAD_WORD, 0, 0, NUMBER_OFFSET),
        *((JUMP_EQUAL, len(numbers) - index, 0, number) for index, number in enumerate(numbers)),
        (RETURN, 0, 0, SECCOMP_EPERM),
        (RETURN, 0, 0, SECCOMP_ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *rule) for rule in rules)


def _prctl(option: int, argument: int, pointer: int = 0) -> bool:
    """Whether the kernel took *option*."""
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_ulong(value) for value in (argument, pointer, 0, 0))
    return bool(libc.prctl(ctypes.c_int(option), *arguments) == 0)
