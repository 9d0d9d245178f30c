"""The few things that segments ask of a file system, and the real one. A test may put one in its place that loses power.

A file's lock says that its writer lives: it is taken before the file gets its name, and the kernel drops it when the
process ends, however it ends. Locks belong to the open file, so a log must not be opened before a fork.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol


class SyncFailed(OSError):
    """A sync failed. What was written since the last one may be gone, and asking again proves nothing: never retry."""


class LogFile(Protocol):
    """A file open for appending, locked by this process."""

    name: str

    def write(self, data: bytes) -> int:
        """Append, and return how many bytes were taken: fewer than given when the disk fills up. Raises OSError."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes. Raises OSError."""
        ...

    def begin_sync(self, offset: int, size: int) -> None:
        """Ask that these bytes go to stable storage from now on, without waiting; a later `sync` tells whether they did. Never raises."""
        ...

    def sync(self) -> None:
        """Return when everything written is on stable storage. Raises SyncFailed."""
        ...

    def close(self) -> None:
        """Let go of the file and its lock. Idempotent."""
        ...


class Storage(Protocol):
    """One directory of log files. Names are plain file names."""

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        ...

    def create(self, name: str) -> LogFile:
        """Make a new, empty, locked file; its name is not durable before `sync_names`. Raises OSError."""
        ...

    def claim(self, name: str) -> LogFile | None:
        """Lock a file that another process left; None while its writer lives or when the name is gone. Raises OSError."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading. Raises OSError."""
        ...

    def rename(self, old: str, new: str) -> None:
        """Rename atomically, replacing; not durable before `sync_names`. Raises OSError."""
        ...

    def remove(self, name: str) -> None:
        """Remove a name; not durable before `sync_names`. Raises OSError."""
        ...

    def sync_names(self) -> None:
        """Return when all names are on stable storage. Raises SyncFailed."""
        ...


class DiskFile:
    """A `LogFile` on disk."""

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self._descriptor = descriptor
        self._closed = False

    def write(self, data: bytes) -> int:
        """See `LogFile`."""
        return os.write(self._descriptor, data)

    def truncate(self, size: int) -> None:
        """See `LogFile`."""
        os.ftruncate(self._descriptor, size)

    def begin_sync(self, offset: int, size: int) -> None:
        """See `LogFile`."""
        # Named for what it does to clean pages; for these, which are not, Linux begins to write.
        with suppress(OSError):
            os.posix_fadvise(self._descriptor, offset, size, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """See `LogFile`."""
        try:
            os.fdatasync(self._descriptor)
        except OSError as cause:
            raise SyncFailed(cause.errno, "the log cannot be synced") from cause

    def close(self) -> None:
        """See `LogFile`."""
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)


class DiskStorage:
    """A `Storage` over a real directory, made when it is missing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def names(self) -> list[str]:
        """See `Storage`."""
        return sorted(entry.name for entry in os.scandir(self.directory) if entry.is_file())

    def create(self, name: str) -> DiskFile:
        """See `Storage`. The file is locked under a passing name first, so that nobody ever sees it unlocked."""
        passing = self.directory / f"{name}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        for _ in range(10):
            descriptor = os.open(passing, flags, 0o640)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.rename(passing, self.directory / name)
            except (BlockingIOError, FileNotFoundError):  # a recovery took the passing name for a dead writer's
                os.close(descriptor)
                with suppress(FileNotFoundError):
                    os.unlink(passing)
            except BaseException:
                os.close(descriptor)
                raise
            else:
                return DiskFile(name, descriptor)
        raise OSError(errno.EAGAIN, "a new log file is taken away again and again", str(passing))

    def claim(self, name: str) -> DiskFile | None:
        """See `Storage`."""
        try:
            descriptor = os.open(self.directory / name, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            here, there = os.fstat(descriptor), os.stat(self.directory / name)
            # Another recovery may have finished and renamed the file between open and lock.
            if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                return DiskFile(name, descriptor)
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def open(self, name: str) -> BinaryIO:
        """See `Storage`."""
        return (self.directory / name).open("rb")

    def rename(self, old: str, new: str) -> None:
        """See `Storage`."""
        os.rename(self.directory / old, self.directory / new)

    def remove(self, name: str) -> None:
        """See `Storage`."""
        os.unlink(self.directory / name)

    def sync_names(self) -> None:
        """See `Storage`."""
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as cause:
            raise SyncFailed(cause.errno, "the log's directory cannot be synced") from cause
        finally:
            os.close(descriptor)
