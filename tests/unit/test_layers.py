"""What the parent process is made of."""

from __future__ import annotations

import subprocess
import sys


def test_the_parent_process_never_imports_torch() -> None:
    code = "import semdaemon.daemon, semdaemon.cli.run, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import semdaemon, sys; sys.exit(bool({'numpy', 'zmq', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_the_parent_process_never_imports_pycromanager() -> None:
    code = (
        "import semdaemon.daemon, semdaemon.sources.micromanager.child, sys\n"
        "sys.exit(bool({'pycromanager', 'mmpycorex', 'pyjavaz', 'pymmcore'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
