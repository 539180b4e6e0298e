"""`mailrun init` writes a folder that runs as it stands."""

import os
import subprocess

import common
from common import ok, same


def check(folder):
    home = folder / "init"
    subprocess.run([os.environ["MAILRUN"], "init", str(home)], stdin=subprocess.DEVNULL, check=True, capture_output=True)
    result = common.send(home / "campaign.toml", home / "runs", home / "state")
    same("init: dispositions", common.count(result.rows), {"accepted": 5})
    ok("`mailrun init` writes a folder that runs as it stands, to exit code 0")
