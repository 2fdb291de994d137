#!/usr/bin/env python3
"""mutate_test.py: each mutant fits the sources, and one that does not is refused."""

import pathlib
import sys
import tempfile

here = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(here))
from mutate import Broken, Mutant  # noqa: E402

SOURCE = "int one;\nint two;\nint two;\n"
HEAD = "# a promise\nrules order\nedit a.c\n"
BAD = {
    "text that is not there": HEAD + "-int three;\n",
    "text that is there twice": HEAD + "-int two;\n",
    "a line that is not whole": HEAD + "-int on\n",
    "no comment": "rules order\nedit a.c\n-int one;\n",
    "no rule": "# a promise\nedit a.c\n-int one;\n",
    "no edit": "# a promise\nrules order\n",
    "a line of no kind": HEAD + "int one;\n",
}


def attempt(folder, text):
    path = folder / "m.mutant"
    path.write_text(text)
    return Mutant(path).apply(folder)


def main():
    failures = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "a.c").write_text(SOURCE)
        made = attempt(folder, HEAD + " int one;\n-int two;\n+int too;\n")
        if made != {"a.c": "int one;\nint too;\nint two;\n"}:
            failures.append(f"an edit made {made}")
        for what, text in BAD.items():
            try:
                attempt(folder, text)
                failures.append(f"{what}: accepted")
            except Broken:
                pass
    mutants = sorted(here.glob("*.mutant"))
    for path in mutants:
        try:
            Mutant(path).apply(here.parents[2])
        except (Broken, OSError) as broken:
            failures.append(str(broken))
    print(f"{len(mutants)} mutants fit" if not failures else "\n".join(failures))
    return 1 if failures or not mutants else 0


if __name__ == "__main__":
    sys.exit(main())
