"""Prints the licence texts of everything that is compiled into the program, for the packages: every text once, with the
crates that come with it.

Reads the sources that cargo has unpacked.
"""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

NAMES = ("licen", "copying", "notice", "copyright", "unlicense")


def linked(platform: str) -> list[dict]:
    """The packages that end up in the program: no build scripts' dependencies, no macros, no tests."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", platform]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = metadata["resolve"]["root"]
    seen, todo = {root}, [root]
    while todo:
        for dep in nodes[todo.pop()]["deps"]:
            normal = any(kind["kind"] is None for kind in dep["dep_kinds"])
            macro = any("proc-macro" in target["kind"] for target in packages[dep["pkg"]]["targets"])
            if normal and not macro and dep["pkg"] not in seen:
                seen.add(dep["pkg"])
                todo.append(dep["pkg"])
    seen.remove(root)
    return sorted((packages[id] for id in seen), key=lambda package: (package["name"], package["version"]))


def texts(package: dict) -> list[str]:
    folder = Path(package["manifest_path"]).parent
    files = [path for path in folder.iterdir() if path.is_file() and path.name.lower().startswith(NAMES)]
    # Bundled C and C++ sources have licences of their own, one level down.
    files += [path for path in folder.glob("*/*") if path.is_file() and path.name.lower().startswith(NAMES)]
    return [path.read_text(errors="replace").strip() for path in sorted(files) if path.suffix in ("", ".md", ".txt")]


def main() -> int:
    platform = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    platform = next(line.split()[1] for line in platform.splitlines() if line.startswith("host:"))
    # Texts that differ in white space only are one.
    shown: dict[str, str] = {}
    crates_of: dict[str, list[str]] = defaultdict(list)
    without = []
    packages = linked(platform)
    for package in packages:
        name = f"{package['name']} {package['version']} ({package['license'] or 'see below'})"
        found = texts(package)
        if not found:
            without.append(name)
        for text in found:
            key = " ".join(text.split())
            shown.setdefault(key, text)
            crates_of[key].append(name)
    print("mailrun contains the following software.\n")
    for key, crates in sorted(crates_of.items(), key=lambda item: item[1]):
        print("=" * 80)
        print("\n".join(dict.fromkeys(crates)))
        print("-" * 80)
        print(shown[key] + "\n")
    if without:
        print("=" * 80)
        print("These come without a file of their own; the licences they name are among the texts above:\n")
        print("\n".join(without))
    print(f"{len(packages)} crates, {len(crates_of)} texts, {len(without)} crates without one", file=sys.stderr)
    return 0 if packages else 1


if __name__ == "__main__":
    sys.exit(main())
