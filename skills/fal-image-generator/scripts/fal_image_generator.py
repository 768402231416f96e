"""Thin door of the skill: the same as the command `hoasi`. Everything it does lives in the package.

    python fal_image_generator.py generate --env-file .env --prompt "..." --reference-images a.jpg,b.jpg

A Python without hoasi hands over to the repository's `.venv`, or to an installed `hoasi`; else it says how to install.
This file must be readable by any Python 3, so that an old one can say so too.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve()
ROOT = SCRIPT.parents[3]


def other_ways():
    """Yield the command lines that may know hoasi when this Python does not."""
    venv = ROOT / ".venv"
    if Path(sys.prefix).resolve() != venv.resolve():
        for python in (venv / "bin" / "python", venv / "Scripts" / "python.exe"):
            if python.exists():
                yield [str(python), str(SCRIPT)]
    command = shutil.which("hoasi")
    if command:
        yield [command]


def hand_over(words):
    """Become another program with the same words; Windows has no such call, so there we wait for it."""
    if os.name == "nt":
        sys.exit(subprocess.call(words))  # noqa: S603 - 2026-11-21, our own script or command, no shell
    sys.stdout.flush()
    os.execv(words[0], words)  # noqa: S606 - 2026-11-21, as above


def explain(reason):
    """Say how to install, in the shape that was asked for."""
    text, fix = SCRIPT.with_name("not_installed.txt").read_text(encoding="utf-8").strip().split("\n", 1)
    if "--json" in sys.argv:
        error = {"kind": "WrongInput", "key": "not_installed", "message": text, "fix": fix, "paid": "no", "retry": "no"}
        answer = {"generations": [], "warnings": [], "message": text, "error": dict(error, detail=reason)}
        sys.stdout.buffer.write((json.dumps(answer, ensure_ascii=False) + "\n").encode("utf-8"))
    else:
        sys.stderr.buffer.write(f"{text}\n{fix}\n({reason})\n".encode())
    return 2


def main():
    """Run hoasi with the words of this command line."""
    try:
        from hoasi.cli import main as hoasi
    except (ImportError, SyntaxError) as error:
        for words in other_ways():
            hand_over(words + sys.argv[1:])
        return explain(f"{type(error).__name__}: {error}")
    return hoasi(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
