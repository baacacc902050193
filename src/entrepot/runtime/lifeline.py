"""A process that ends when the parent of all ends, however that one ended.

The supervisor holds the only write end of a pipe and never writes; each child has the read end as its standard
input. The kernel closes the write end when the supervisor dies, also by SIGKILL, and every reader sees end-of-file.
A process made by fork (granian's workers) inherits the descriptor, but not the thread that watches it: each one
calls `hold` itself.
"""

import os
import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lifeline:
    """The read end of the supervisor's pipe, by its descriptor: survives fork, is closed by exec."""

    descriptor: int

    @classmethod
    def take_stdin(cls) -> "Lifeline":
        """The pipe on standard input, moved out of the way: standard input is /dev/null afterwards.

        multiprocessing closes descriptor 0 in the processes it forks, so the pipe cannot stay there.
        """
        descriptor = os.dup(0)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        return cls(descriptor)

    def hold(self) -> None:
        """From now on this process exits at once, without cleaning up, when the supervisor is gone."""
        threading.Thread(target=self._exit_at_end, name="lifeline", daemon=True).start()

    def _exit_at_end(self) -> None:
        while os.read(self.descriptor, 1):
            pass
        os._exit(1)
