"""The policy file: read whole, looked at for changes, and remembered as it last loaded.

Its stamp is taken before it is read: a change while it is read is seen at the next look. A
ConfigMap's update is a swap of symbolic links, which no watch on the file itself would see.
"""

from collections.abc import Callable
from pathlib import Path

from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.document import bounded
from lockgate.policy.reading.load import load_policy

Check = Callable[[LoadedPolicy], None]


class PolicyFile:
    """`text` is what the policy in force was loaded from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = b""
        self._seen: tuple[int, int, int] | None = None

    def load(self, check: Check) -> LoadedPolicy:
        """Read and load it; OSError, or PolicyRefusedError, which `check` may raise too."""
        self._seen = self._stamp()
        with self.path.open("rb") as file:
            text = bounded(file)
        return self.take(text, check)

    def take(self, text: bytes, check: Check) -> LoadedPolicy:
        """Load `text` as if it stood in the file."""
        policy = load_policy(text, str(self.path))
        check(policy)
        self.text = text
        return policy

    def has_changed(self) -> bool:
        """Whether it is there and another one than was read."""
        stamp = self._stamp()
        return stamp is not None and stamp != self._seen

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino, stat.st_size


class HeldPolicy(PolicyFile):
    """A policy that stands in no file and never changes."""

    def __init__(self, text: bytes) -> None:
        super().__init__(Path("(no file)"))
        self.text = text

    def load(self, check: Check) -> LoadedPolicy:
        """Load it; PolicyRefusedError, which `check` may raise too."""
        return self.take(self.text, check)

    def has_changed(self) -> bool:
        """Never."""
        return False
