"""docs/conformance.md and the tables of tests/abuse agree: each row names a case that exists and the
answer that its table expects, and each case that is about a rule has its row.

    conformance.py <docs/conformance.md> <tests/abuse>
"""

import pathlib
import re
import sys

STRING = r'"(?:[^"\\]|\\.)*"'
TABLE = re.compile(r"static const (?:forged|attack|parameters|extension) (\w+)\[\] = \{(.*?)\n *\};",
                   re.DOTALL)
CASE = re.compile(rf'^ *\{{({STRING}),(.*?)\}},?\s*(?=^ *\{{"|\Z)', re.DOTALL | re.MULTILINE)
FILES = ("transport_test", "handshake_test", "h3_server_test", "h3_client_test")
# Macros of scripts.
NO_ANSWERS = {"SETTINGS", "HEADERS", "REQUEST", "REQUEST_WITH", "ENCODER", "DECODER", "TOKEN",
              "NEW_ID", "OK_HEADERS", "OK_TRAILERS"}
# Controls, and what is gRPC's (docs/spec/protocol.md, section 2).
NO_RULES = {"nothing wrong"}
H3SPEC_CASES = 50  # as the document says
OUTCOMES = {"CONNECTION": "", "STREAM": "stream: ", "ANSWERED": "answered", "UNANSWERED": "lives",
            "STATUS": "lives"}


def answer_of(file, words):
    """As the document writes it."""
    if not file.startswith("h3"):
        return "ignored" if words[0] == "IGNORED" else words[0]
    text = OUTCOMES[words[0]]
    if len(words) > 1:
        qpack = words[1].startswith(("DECOMPRESSION", "ENCODER", "DECODER"))
        text += ("QPACK_" if qpack else "H3_") + words[1]
    return text


def cases_of(folder):
    """Name and answer of each case, by file; and the names of the test functions."""
    cases = {}
    functions = set()
    for file in FILES:
        text = (folder / f"{file}.c").read_text(encoding="utf-8")
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        functions.update(re.findall(r"^static void (\w+)\(void \*\*state\)", text, re.MULTILINE))
        for _, body in TABLE.findall(text):
            for name, rest in CASE.findall(body):
                words = re.findall(r"\b[A-Z][A-Z_]{4,}\b", re.sub(STRING, "", rest))
                words = [word for word in words if word not in NO_ANSWERS]
                cases[(file, name[1:-1])] = answer_of(file, words)
    return cases, functions


def rows_of(document):
    """The rows of each table, as lists of cells, by the heading that they stand under."""
    rows = {}
    heading = None
    for line in document.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("| ") and not re.match(r"\| (---|section |h3spec:)", line):
            rows.setdefault(heading, []).append([cell.strip() for cell in line.split("|")[1:-1]])
    return rows


def main():
    document, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    cases, functions = cases_of(folder)
    rows = rows_of(document)
    names = {name for _, name in cases}
    wrong = []
    seen = set()
    if f"\n{len(rows['All cases'])} rows. " not in document.read_text(encoding="utf-8"):
        wrong.append(f"the document does not say that it has {len(rows['All cases'])} rows")
    if len(rows["The cases of h3spec"]) != H3SPEC_CASES:
        wrong.append(f"{len(rows['The cases of h3spec'])} cases of h3spec, not {H3SPEC_CASES}")
    for section, name, answer, file in rows["All cases"]:
        expected = cases.get((file, name))
        seen.add((file, name))
        if expected is None:
            wrong.append(f"{file} has no case '{name}'")
        elif expected != answer:
            wrong.append(f"{file}, '{name}': {answer} in the document, {expected} in the test")
        if not re.fullmatch(r"RFC \d{4}, [\d.]+", section):
            wrong.append(f"'{name}': '{section}' is no section")
    for _, name in rows["The cases of h3spec"]:
        if name not in names and name not in functions:
            wrong.append(f"no case or test '{name}'")
    for (file, name), answer in cases.items():
        about_grpc = file == "h3_client_test" and answer == "lives"
        if (file, name) not in seen and name not in NO_RULES and not about_grpc:
            wrong.append(f"{file}, '{name}' has no row")
    if len(cases) < 250:
        wrong.append(f"only {len(cases)} cases were found: the tables are written differently now")
    for line in wrong:
        print(f"conformance: {line}")
    print(f"conformance: {len(seen)} rows, {len(cases)} cases, {len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
