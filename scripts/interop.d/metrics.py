"""promtool reads the metrics file of `send` and what `mailrun serve` answers at /metrics, and finds nothing to object to."""

import os
import re
import subprocess
import urllib.request
from pathlib import Path

import common
from common import holds, ok, same

SETTINGS = """[api]
listen = ["127.0.0.1:0"]
[[account]]
name = "monitor"
allow = ["127.0.0.1"]
campaigns = ["*"]
"""


def lint(what, text):
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    same(f"promtool about {what}", (done.returncode, (done.stdout + done.stderr).strip()), (0, ""))


def check_alerts(folder):
    """The rules that docs/monitoring.md shows."""
    page = (Path(common.ROOT) / "docs" / "monitoring.md").read_text()
    rules = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.S) if block.startswith("groups:")]
    same("blocks with rules in docs/monitoring.md", len(rules), 1)
    (folder / "rules.yml").write_text(rules[0])
    done = subprocess.run(["promtool", "check", "rules", folder / "rules.yml"], capture_output=True, text=True, timeout=60)
    holds(done.returncode == 0, f"promtool refuses the rules: {done.stdout}{done.stderr}")


def check(folder):
    home = folder / "metrics"
    home.mkdir()
    port = common.free_port()
    sandbox = subprocess.Popen([os.environ["MAILRUN"], "sandbox", "--listen", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        common.wait_for_port(port, sandbox)
        campaign = common.relay_campaign(home / "campaign", f'host = "127.0.0.1"\nport = {port}\ntls = "none"')
        common.send(campaign, home / "runs", home / "state", "--metrics-file", home / "run.prom", exits=(1,))
    finally:
        sandbox.terminate()
        sandbox.wait()
    lint("the file of `send`", (home / "run.prom").read_text())
    (home / "serve.toml").write_text(SETTINGS)
    serve = subprocess.Popen([os.environ["MAILRUN"], "serve", "--config", home / "serve.toml", "--runs", home / "runs", "--state", home / "state"],
                             stdout=subprocess.PIPE, text=True)
    try:
        address = serve.stdout.readline().split(" answered at ")[1].strip()
        text = urllib.request.urlopen(f"{address}/metrics", timeout=60).read().decode()
    finally:
        serve.terminate()
        serve.wait()
    holds("mailrun_run_rows{" in text, f"/metrics has no rows: {text}")
    lint("/metrics", text)
    check_alerts(home)
    ok("promtool accepts the metrics of `send` and of `serve`, and the alerts that the documents show")
