"""Limits that a worker sets on itself, as a second line behind the parent's watch."""

from __future__ import annotations

import os
import sys

_MEGABYTE = 1 << 20


def limit_address_space(extra_mb: int) -> None:
    """Let this process allocate at most `extra_mb` more than now; then allocation fails inside the library.

    Does nothing where the system has no such limit (Windows) or does not honour it (macOS).
    """
    if sys.platform != "linux":
        return
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = now + extra_mb * _MEGABYTE
    resource.setrlimit(
        resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
    )


def limit_cpu(seconds: float) -> None:
    """Have the system end this process after about `seconds` more of CPU time.

    The parent watches more closely; this limit works even when the parent is gone or stopped.
    """
    if sys.platform == "win32":
        return
    import resource

    times = os.times()
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = int(times.user + times.system + seconds) + 1
    resource.setrlimit(
        resource.RLIMIT_CPU, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
    )
