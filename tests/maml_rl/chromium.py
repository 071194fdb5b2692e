"""A real browser without a window: what a page makes of itself there, and what it complains about."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
QUIET = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
QUIET += ["--disable-quic", "--disable-extensions", "--disable-default-apps", "--enable-logging=stderr"]


@dataclass(frozen=True)
class Visit:
    """A page after it was loaded."""

    document: str  # as its script has left it
    console: list[str]  # lines of errors, warnings and messages


def visit(page: Path, folder: Path, width: int = 1200, dark: bool = False) -> Visit:
    """Load a file in a browser of that width. folder: for the browser's own files, new ones.

    Nothing else can be reached: names have no addresses, and the page's policy makes any attempt a line of the console.
    """
    assert CHROMIUM
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", *QUIET, f"--user-data-dir={folder}"]
    command += [f"--window-size={width},900", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=2000"]
    command += ["--force-dark-mode"] if dark else []
    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return Visit(done.stdout, re.findall(r".*CONSOLE.*", done.stderr))
