"""The parent process reads and writes frames without torch, and loads codecs only when it needs them."""

from __future__ import annotations

import subprocess
import sys


def test_importing_formats_loads_neither_torch_nor_codecs() -> None:
    code = (
        "import sys, semdaemon.formats\n"
        "print([name for name in ('torch', 'tifffile', 'imagecodecs', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
