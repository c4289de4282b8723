"""Reading and writing where it is not allowed. Each entry returns what it got hold of, by way of entry."""

import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def attempts(tries: dict[str, Callable[[], object]]) -> dict:
    """The outcome of every try: ``got: ...`` or the name of the error."""
    found = {}
    for name, attempt in tries.items():
        try:
            found[name] = f"got: {attempt()!r}"
        except OSError as error:
            found[name] = type(error).__name__
    return found


def _read_through_link(secret: str) -> str:
    Path("link").symlink_to(secret)
    return Path("link").read_text()


def _read_through_hard_link(secret: str) -> str:
    Path("hard").hardlink_to(secret)
    return Path("hard").read_text()


def _read_by_c_library(secret: str) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.open(secret.encode(), os.O_RDONLY)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "open")
    return os.read(descriptor, 100).decode()


def _read_other_environment(pid: int) -> str:
    text = Path(f"/proc/{pid}/environ").read_bytes()
    return text.decode(errors="replace") if b"SECRET" in text else _refuse()


def _refuse() -> str:
    raise PermissionError("nothing of interest")


def read_outside(request: dict, channel: object) -> dict:
    secret = request["secret"]
    return attempts(
        {
            "open": lambda: Path(secret).read_text(),
            "symbolic link": lambda: _read_through_link(secret),
            "hard link": lambda: _read_through_hard_link(secret),
            "proc root": lambda: Path(f"/proc/self/root{secret}").read_text(),
            "proc cwd": lambda: Path(f"/proc/self/cwd/{os.path.relpath(secret, Path.cwd())}").read_text(),
            "c library": lambda: _read_by_c_library(secret),
            "copy": lambda: shutil.copy(secret, "copy"),
            "list": lambda: list(Path(secret).parent.iterdir()),
            "rename": lambda: Path(secret).rename("mine"),
            "other call": lambda: Path(request["other"]).read_text(),
            "environment of the caller": lambda: _read_other_environment(request["caller"]),
            "environment of the server": lambda: _read_other_environment(os.getppid()),
            "environment of the first": lambda: _read_other_environment(1),
        }
    )


def write_outside(request: dict, channel: object) -> dict:
    secret = Path(request["secret"])
    return attempts(
        {
            "overwrite": lambda: secret.write_text("mine"),
            "append": lambda: secret.open("a").write("mine"),
            "beside": lambda: Path(secret.parent, "new").write_text("mine"),
            "truncate": lambda: os.truncate(secret, 0),
            "delete": lambda: secret.unlink(),
            "mode": lambda: secret.chmod(0o777),
            "owner": lambda: os.chown(secret, 12345, -1),
            "time": lambda: os.utime(secret, (0, 0)),
            "temporary": lambda: Path("/tmp/new").write_text("mine"),
            "shared memory": lambda: Path("/dev/shm/new").write_text("mine"),
            "package": lambda: Path(request["package"], "new.py").write_text("mine"),
            "site packages": lambda: Path(shutil.__file__).parent.joinpath("new.py").write_text("mine"),
            "writable root": lambda: Path(request["other"]).parent.joinpath("new").write_text("mine"),
            "other call": lambda: Path(request["other"]).write_text("mine"),
            "link out": lambda: Path("link").symlink_to(secret),
            "pipe": lambda: os.mkfifo("pipe"),
            "move out": lambda: _move_out(secret.parent),
        }
    )


def _move_out(folder: Path) -> object:
    Path("harmless").write_text("x")
    return Path("harmless").rename(folder / "moved")


def own_folder(request: dict, channel: object) -> dict:
    """What is allowed: files and folders of its own, temporary ones among them."""
    Path("deep/er").mkdir(parents=True)
    Path("deep/er/a.txt").write_text("one")
    Path("deep/er/a.txt").replace("b.txt")
    with tempfile.NamedTemporaryFile(mode="w") as file:
        file.write("x")
        inside = Path(file.name).is_relative_to(Path.cwd())
    shutil.rmtree("deep")
    return {"text": Path("b.txt").read_text(), "temporary inside": inside, "home": str(Path.home())}


def read(request: dict, channel: object) -> dict:
    return {"text": Path(request["path"]).read_text()}


def open_device(request: dict, channel: object) -> dict:
    os.close(os.open(request["path"], os.O_RDWR))
    return {}


def environment(request: dict, channel: object) -> dict:
    return {"names": sorted(os.environ), "own": Path("/proc/self/environ").read_bytes().decode()}
