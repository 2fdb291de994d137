#!/usr/bin/env python3
"""mutate.py MUTANT ROOT OUT: the edits of a .mutant file, made on copies below OUT.

The format is told in docs/testing.md. Each edit's old text has to occur exactly once in its file;
if not, nothing is written and the exit status is 1.
"""

import pathlib
import re
import sys


class Broken(Exception):
    """The mutant does not fit the sources, or is no mutant."""


class Mutant:
    def __init__(self, path):
        self.name = path.stem
        self.promise = []
        self.rules = []
        self.edits = []  # (file, old, new)
        lines = path.read_text().splitlines()
        self._read(lines)
        if not self.promise or not self.rules or not self.edits:
            raise Broken(f"{self.name}: needs a comment, a line 'rules' and an edit")

    def _read(self, lines):
        gap = False  # an empty line: the next text is another place in the same file
        for number, line in enumerate(lines, 1):
            if line.startswith("#"):
                self.promise.append(line[1:].strip())
            elif line.startswith("rules "):
                self.rules = line.split()[1:]
            elif line.startswith("edit "):
                self.edits.append([line.split()[1], "", ""])
            elif line[:1] in (" ", "-", "+") and self.edits:
                if gap and self.edits[-1][2] + self.edits[-1][1]:
                    self.edits.append([self.edits[-1][0], "", ""])
                edit = self.edits[-1]
                edit[1] += line[1:] + "\n" if line[0] != "+" else ""
                edit[2] += line[1:] + "\n" if line[0] != "-" else ""
            elif line:
                raise Broken(f"{self.name}: line {number} is not understood: {line}")
            gap = not line

    def files(self):
        return sorted({edit[0] for edit in self.edits})

    def apply(self, root):
        """The mutated texts, by file."""
        texts = {file: (root / file).read_text() for file in self.files()}
        for file, old, new in self.edits:
            # Lines as a whole; two that touch count as two.
            count = len(re.findall("(?m)^(?=" + re.escape(old) + ")", texts[file]))
            if not old or count != 1:
                raise Broken(f"{self.name}: the text occurs {count} times in {file}, not once:\n{old}")
            texts[file] = ("\n" + texts[file]).replace("\n" + old, "\n" + new, 1)[1:]
        return texts


def main():
    mutant_path, root, out = map(pathlib.Path, sys.argv[1:])
    try:
        texts = Mutant(mutant_path).apply(root)
    except Broken as broken:
        sys.exit(f"{mutant_path}: {broken}")
    for file, text in texts.items():
        target = out / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f'#line 1 "{root / file}"\n' + text)


if __name__ == "__main__":
    main()
