"""The interop checks in order. `main.py NAME …` runs only those of that name."""

import signal
import sys
import tempfile
from pathlib import Path

import check
import circle
import init
import letters
import metrics
import names
import pages
import peers
import receivers
import results
import shapes
import welcome
from common import Failed

CHECKS = {
    "welcome": welcome.check,
    "results": results.check,
    "shapes": shapes.check,
    "aiosmtpd": peers.check_plain,
    "starttls": peers.check_starttls_and_auth,
    "init": init.check,
    "smtp-sink": peers.check_smtp_sink,
    "receivers": receivers.check,
    "circle": circle.check,
    "zones": check.check_zones,
    "content": check.check_content,
    "scanners": check.check_scanners,
    "letters": letters.check,
    "names": names.check,
    "pages": pages.check,
    "metrics": metrics.check,
}


def main():
    names = sys.argv[1:] or list(CHECKS)
    if unknown := [name for name in names if name not in CHECKS]:
        sys.exit(f"no check is called {', '.join(unknown)}; there are {', '.join(CHECKS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as after Ctrl-C: servers are ended, folders removed
    with tempfile.TemporaryDirectory(prefix="mailrun-interop-") as folder:
        for name in names:
            try:
                CHECKS[name](Path(folder))
            except Failed as failed:
                print(f"FAILED {name}: {failed}", file=sys.stderr)
                sys.exit(1)
    print(f"all {len(names)} passed")


main()
