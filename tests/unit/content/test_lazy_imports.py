"""The client of clouds costs memory and time: a registry on files never loads it."""

import subprocess
import sys


def test_a_registry_on_files_loads_no_client_of_clouds() -> None:
    code = "import sys, entrepot.wiring, entrepot.content.reader; print('obstore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "False"
