"""A file of handlers that is loaded, watched and loaded again."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import ModuleType

from outrider_receiver import Receiver
from outrider_receiver.serve import load_receiver

# Bounds how many files are checked several times in a second.
MAX_WATCHED_FILES = 500
_FOREIGN = {"site-packages", "dist-packages", ".venv", "venv", "node_modules", "__pycache__"}


class HandlersFileError(Exception):
    """The file cannot be used as it is. The text is for the developer: a traceback, mostly."""


class HandlersFile:
    """The file, and the modules next to it that it imports."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._loaded_at: dict[Path, int] = {}
        # Modules of the command itself are never loaded again.
        self._foreign = {*sys.modules, *sys.stdlib_module_names}

    def load(self) -> Receiver:
        """Run the file again, with all modules next to it that it imports.

        Raises:
            HandlersFileError: it does not run, or has no receiver.
        """
        before = self._modification_times()
        for name in self._own_modules():
            del sys.modules[name]
        directory = str(self.path.parent)
        while directory in sys.path:
            sys.path.remove(directory)
        # A file saved twice within a second would be taken from the cache of the first save.
        dont_write_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            return load_receiver(self.path)
        except ValueError as failure:
            raise HandlersFileError(
                str(failure) if _is_from_loader(failure) else _format_traceback()
            ) from None
        except (Exception, SystemExit):  # noqa: BLE001 - whatever their code does
            raise HandlersFileError(_format_traceback()) from None
        finally:
            sys.dont_write_bytecode = dont_write_bytecode
            # A file that was saved meanwhile is not the one that was loaded.
            self._loaded_at = {
                path: before.get(path, at) for path, at in self._modification_times().items()
            }

    def has_changed(self) -> bool:
        """Return whether a file was saved since the last load."""
        return self._modification_times() != self._loaded_at

    def _modification_times(self) -> dict[Path, int]:
        paths = {self.path, *map(_file_of, map(sys.modules.get, self._own_modules()))}
        return {
            path: _modified(path) for path in list(paths)[:MAX_WATCHED_FILES] if path is not None
        }

    def _own_modules(self) -> list[str]:
        """Return the modules that the file has imported from its directory."""
        return [
            name
            for name, module in list(sys.modules.items())
            if name not in self._foreign and self._is_beside(_file_of(module))
        ]

    def _is_beside(self, file: Path | None) -> bool:
        root = self.path.parent
        if file is None or not file.is_relative_to(root):
            return False
        return not _FOREIGN.intersection(file.relative_to(root).parts)


def _file_of(module: ModuleType | None) -> Path | None:
    file = getattr(module, "__file__", None)
    path = Path(file) if isinstance(file, str) else None
    return path if path is not None and path.is_absolute() else None


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # it is being replaced, or gone


def _is_from_loader(failure: ValueError) -> bool:
    frames = traceback.extract_tb(failure.__traceback__)
    return bool(frames) and frames[-1].name == load_receiver.__name__


def _format_traceback() -> str:
    """The traceback without the part that is ours."""
    kind, failure, frames = sys.exc_info()
    while frames is not None and _is_ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return "".join(traceback.format_exception(kind, failure, frames)).rstrip()


def _is_ours(file: str) -> bool:
    return file in {__file__, load_receiver.__code__.co_filename} or "importlib" in file
