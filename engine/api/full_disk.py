"""A disk without room: how the system says it, and how it is said to the person."""

from __future__ import annotations

import errno

from engine.api.errors import UserError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of the disk, of the person's share of it, for one file


def disk_full_midway(name: str) -> UserError:
    """The error of a job that can go on from where it was once there is room."""
    return UserError(
        "disk_full_midway",
        f"The disk became full while {name} was written.",
        "Free some space, then resume the job: what is written is kept.",
        name=name,
    )
