#!/usr/bin/env python3
"""Checks the rules that keep the layers apart and the files readable.

  check.py source ROOT                    the files of the tree
  check.py symbols LAYER=ARCHIVE...       the static libraries that were built of it
  check.py self-test [--cc COMPILER]      that each rule can fail

Each finding is one line "file:line: rule: what is wrong"; the exit status is 1 if there are any.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

# What a layer may include: other layers, and libraries by the start of their header's name.
LAYERS = {
    "base": (set(), ()),
    "quic": ({"base"}, ("ngtcp2/", "gnutls/")),
    "h3": ({"base", "quic"}, ("nghttp3/",)),
    "grpc": ({"base", "quic", "h3"}, ()),
    "swap": ({"base"}, ()),
    "rpc": ({"base", "quic", "h3", "grpc"}, ("protobuf-c/",)),
    "loop": ({"base"}, ("uv.h",)),
}
LIBRARIES = ("ngtcp2/", "gnutls/", "nghttp3/", "protobuf-c/", "uv.h")
# Public headers: everyone speaks in the library's results, the rest is for what is public itself.
PUBLIC_FOR_ALL = {"rpcnet/error.h"}
PUBLIC_USERS = {"grpc", "rpc", "loop"}
GENERATED_USERS = {"rpc"}

# Functions that only the driver of rn_env and the programs may call.
FORBIDDEN = {
    "socket": """socket socketpair bind connect listen accept accept4 send sendto sendmsg sendmmsg
        recv recvfrom recvmsg recvmmsg shutdown getsockname getpeername getsockopt setsockopt
        getaddrinfo freeaddrinfo getnameinfo gethostbyname gethostbyname_r gethostbyaddr
        if_nametoindex if_indextoname getifaddrs poll ppoll select pselect epoll_create
        epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd signalfd read readv write writev
        close pipe pipe2 dup dup2 fcntl ioctl""",
    "clock": """time clock clock_gettime clock_settime clock_getres gettimeofday settimeofday
        timespec_get ftime times nanosleep clock_nanosleep usleep sleep alarm setitimer
        timer_create timer_settime timerfd_create timerfd_settime""",
    "random": """rand srand rand_r random srandom random_r drand48 erand48 lrand48 nrand48 mrand48
        jrand48 srand48 getrandom getentropy arc4random arc4random_buf arc4random_uniform
        gnutls_rnd""",
    "thread or process": """call_once sem_init sem_wait sem_post fork vfork clone execv execve
        execvp execl execlp posix_spawn posix_spawnp system popen wait waitpid kill raise signal
        sigaction sigprocmask""",
}
FORBIDDEN_KIND = {name: kind for kind, names in FORBIDDEN.items() for name in names.split()}
FORBIDDEN_PREFIX = {
    "pthread_": "thread or process",
    "thrd_": "thread or process",
    "mtx_": "thread or process",
    "cnd_": "thread or process",
    "tss_": "thread or process",
    "uv_": "event loop",
}
# The driver lives on these; its state still belongs into objects.
DRIVERS = {"loop"}

# The one place of the core that reads files (regular ones only, which never make it wait).
FILE_READERS = {("base", "file"): {"read", "close"}}

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 120
EXCEPTIONS = pathlib.Path("tests/layering/exceptions.txt")
SOURCE_DIRS = ("src", "include", "apps", "tests", "examples")
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")


class Findings:
    def __init__(self):
        self.lines = []

    def add(self, path, line, rule, text):
        self.lines.append(f"{path}:{line}: {rule}: {text}")


# --- the text of a C file --------------------------------------------------------------------

TOKEN = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL
)


def blank(text):
    """`text` with spaces in place of all but its line ends."""
    return re.sub(r"[^\n]", " ", text)


def code_only(text):
    """Comments, literals, preprocessor lines and C++ guards are blanked; lines keep their place."""
    text = TOKEN.sub(lambda match: blank(match.group()), text)
    text = re.sub(
        r"^[ \t]*#[ \t]*ifdef[ \t]+__cplusplus\b.*?^[ \t]*#[ \t]*endif\b[^\n]*",
        lambda match: blank(match.group()),
        text,
        flags=re.DOTALL | re.MULTILINE,
    )
    return re.sub(
        r"^[ \t]*#(?:\\\n|[^\n])*", lambda match: blank(match.group()), text, flags=re.MULTILINE
    )


def functions(text):
    """Yields (name, first line, number of lines) of each function defined in a C file."""
    code = code_only(text)
    depth = 0
    head_start = 0  # where the present statement outside of braces began
    function = None
    for match in re.finditer(r"[{};]", code):
        character = match.group()
        if character == "{":
            if depth == 0:
                head = code[head_start : match.start()]
                name = re.search(r"(\w+)\s*\(", head)
                if name and "=" not in head and re.search(r"\)[\s\w]*$", head):
                    start = head_start + len(head) - len(head.lstrip())
                    function = (name.group(1), code.count("\n", 0, start) + 1)
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                if function:
                    end = code.count("\n", 0, match.start()) + 1
                    yield function[0], function[1], end - function[1] + 1
                function = None
                head_start = match.end()
        elif depth == 0:
            head_start = match.end()


# --- rules for files -------------------------------------------------------------------------


def includes(text):
    """Yields (line, name, angled) of each #include."""
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r"\s*#\s*include\s*([<\"])([^>\"]+)[>\"]", line)
        if match:
            yield number, match.group(2), match.group(1) == "<"


def check_layer_include(layer, name):
    """What is wrong with `name` in a file of src/<layer>, or None."""
    layers, libraries = LAYERS[layer]
    first = name.split("/")[0]
    if name.startswith(LIBRARIES):
        if not name.startswith(libraries or ("\0",)):
            return f"src/{layer} may not use <{name}>"
    elif name.endswith(".pb-c.h"):
        if layer not in GENERATED_USERS:
            return f"src/{layer} may not use generated messages ({name})"
    elif first == "rpcnet":
        if name not in PUBLIC_FOR_ALL and layer not in PUBLIC_USERS:
            return f"src/{layer} may not use the public header {name}"
    elif first in LAYERS:
        if first != layer and first not in layers:
            return f"src/{layer} may not use src/{first} ({name})"
    elif first in ("apps", "tests", "director", "worker", "client", "model", "sim", "support"):
        return f"src/{layer} may not use {name}"
    return None


def check_includes(path, text, findings):
    parts = path.parts
    for line, name, angled in includes(text):
        wrong = None
        if parts[0] == "src" and not angled and "/" not in name:
            wrong = f'"{name}" does not name its layer'
        elif parts[0] == "src" and parts[1] in LAYERS:
            wrong = check_layer_include(parts[1], name)
        elif parts[0] == "src":
            wrong = f"{parts[1]} is not in the table of layers"
        elif parts[0] == "include":
            if name.startswith(LIBRARIES) or (not angled and not name.startswith("rpcnet/")):
                wrong = f"a public header may not use {name}"
        elif parts[:2] == ("tests", "sim") and name.startswith(("loop/", "uv.h")):
            wrong = f"the simulator stands in for the loop and may not use {name}"
        if wrong:
            findings.add(path, line, "include", wrong)


def check_header(path, text, findings):
    guard = re.search(r"^#ifndef (\w+)\n#define \1\b", text, re.MULTILINE)
    if not guard:
        findings.add(path, 1, "guard", "the header has no include guard")
        return
    if path.parts[0] in ("src", "include"):
        prefix = "RN_" if path.parts[0] == "src" else ""
        wanted = prefix + re.sub(r"\W", "_", "_".join(path.parts[1:])).upper()
        if guard.group(1) != wanted:
            findings.add(path, 1, "guard", f"the include guard should be {wanted}")
    before = TOKEN.sub("", text[: guard.start()])
    if "#" in before:
        findings.add(path, 1, "guard", "the include guard does not enclose the whole header")


def check_text(path, text, findings):
    """Rules that need nothing but the lines of a C file."""
    if not text.startswith("/*"):
        findings.add(path, 1, "comment", "the file does not open with a comment on its role")
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line:
            findings.add(path, number, "tab", "a tab; indent with four spaces")
        if UNFINISHED.search(line):
            findings.add(path, number, "unfinished", "a mark of unfinished work")
        if re.match(r"\s*#\s*if\s+0\b", line):
            findings.add(path, number, "dead", "code that is switched off")


def check_lengths(path, text, allowed, used, findings):
    lines = text.count("\n")
    measured = [(str(path), 1, "file", lines, FILE_LINES_MAX)]
    for name, first, length in functions(text):
        measured.append((f"{path}:{name}", first, "function", length, FUNCTION_LINES_MAX))
    for key, line, what, length, limit in measured:
        if key in allowed:
            used.add(key)
            if length > allowed[key]:
                findings.add(path, line, "length", f"{key}: {length} lines, grown from {allowed[key]}")
            elif length < allowed[key] or length <= limit:
                findings.add(
                    path, line, "length", f"{key}: now {length} lines; lower {EXCEPTIONS} to that"
                )
        elif length > limit:
            findings.add(path, line, "length", f"the {what} {key} has {length} lines, over {limit}")


def read_exceptions(root, findings):
    """{ "path" or "path:function": lines } of what is longer than allowed; it may only shrink."""
    allowed = {}
    file = root / EXCEPTIONS
    if not file.exists():
        return allowed
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        match = re.fullmatch(r"(\S+) (\d+)", line)
        if match:
            allowed[match.group(1)] = int(match.group(2))
        else:
            findings.add(EXCEPTIONS, number, "length", "not of the form 'path[:function] lines'")
    return allowed


def check_source(root, findings):
    allowed, used = read_exceptions(root, findings), set()
    checked = 0
    for folder in SOURCE_DIRS:
        for file in sorted((root / folder).rglob("*.[ch]")):
            path = file.relative_to(root)
            checked += 1
            try:
                text = file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                findings.add(path, 1, "text", "not UTF-8")
                continue
            check_text(path, text, findings)
            check_includes(path, text, findings)
            check_lengths(path, text, allowed, used, findings)
            if file.suffix == ".h":
                check_header(path, text, findings)
    for key in sorted(set(allowed) - used):
        findings.add(EXCEPTIONS, 1, "length", f"{key} is gone; remove its line")
    return checked


# --- rules for libraries ---------------------------------------------------------------------


def forbidden_kind(symbol):
    """The kind of function that `symbol` is, if it may not be called, else None."""
    name = symbol.split("@")[0]
    fortified = re.fullmatch(r"__(\w+)_chk", name)  # what _FORTIFY_SOURCE makes of it
    if fortified:
        name = fortified.group(1)
    name = re.sub(r"^__isoc\d+_|64$", "", name)
    if name in FORBIDDEN_KIND:
        return FORBIDDEN_KIND[name]
    for prefix, kind in FORBIDDEN_PREFIX.items():
        if name.startswith(prefix):
            return kind
    return None


def is_writable(section):
    """Constants with addresses in them are in .data.rel.ro and count as constants."""
    if section.startswith(".data.rel.ro"):
        return False
    return section == "*COM*" or re.match(r"\.(data|bss|tdata|tbss|ldata|lbss|sdata|sbss)\b", section)


def symbols_of(archive):
    """Yields (member, section, name) of each symbol in a static library."""
    output = subprocess.run(
        ["objdump", "-t", archive], check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    ).stdout
    member = "?"
    for line in output.split("\n"):
        header = re.match(r"(\S+):\s+file format", line)
        if header:
            member = header.group(1)
            continue
        match = re.match(r"[0-9a-f]+ (.{7}) (\S+)\t[0-9a-f]+ (?:\.\w+ )?(\S+)", line)
        if match and match.group(1)[5:7].strip() not in ("d", "f", "df"):
            yield member, match.group(2), match.group(3)


def check_symbols(layer, archive, findings):
    checked = 0
    for member, section, name in symbols_of(archive):
        checked += 1
        where = f"rn_{layer}({member})"
        if section == "*UND*":
            mine = FILE_READERS.get((layer, member.split(".")[0]), ())
            kind = None if layer in DRIVERS or name.split("@")[0] in mine else forbidden_kind(name)
            if kind:
                findings.add(where, 0, "symbol", f"calls the {kind} function {name}")
        elif is_writable(section) and name != section:
            findings.add(where, 0, "global", f"{name} is writable and outlives every object")
    return checked


# --- proof that each rule can fail -----------------------------------------------------------

HEADER = "/* x: a header. */\n#ifndef RN_BASE_X_H\n#define RN_BASE_X_H\n%s\n#endif\n"
C = "/* A file. */\n%s\n"
LONG_BODY = "".join(f"    i += {n};\n" for n in range(FUNCTION_LINES_MAX - 2))

# (path, text, the one finding's rule or None)
SOURCE_CASES = [
    ("src/base/x.h", HEADER % "", None),
    ("src/base/x.h", HEADER.replace("RN_BASE_X_H", "X_H") % "", "guard"),
    ("src/base/x.h", "/* x. */\nint rn_x(void);\n", "guard"),
    ("src/base/x.h", "/* x. */\n#include <a.h>\n#ifndef RN_BASE_X_H\n#define RN_BASE_X_H\n#endif\n", "guard"),
    ("src/base/x.h", (HEADER % "")[len("/* x: a header. */\n") :], "comment"),
    ("include/rpcnet/x.h", "/* x. */\n#ifndef RPCNET_X_H\n#define RPCNET_X_H\n#endif\n", None),
    ("include/rpcnet/x.h", "/* x. */\n#ifndef RPCNET_X_H\n#define RPCNET_X_H\n#include <uv.h>\n#endif\n", "include"),
    ("include/rpcnet/x.h", '/* x. */\n#ifndef RPCNET_X_H\n#define RPCNET_X_H\n#include "base/map.h"\n#endif\n', "include"),
    ("src/base/x.c", C % '#include "rpcnet/error.h"', None),
    ("src/base/x.c", C % '#include "quic/conn.h"', "include"),
    ("src/base/x.c", C % "#include <gnutls/gnutls.h>", "include"),
    ("src/base/x.c", C % "  #  include <uv.h>", "include"),
    ("src/base/x.c", C % '#include "map.h"', "include"),
    ("src/quic/x.c", C % "#include <ngtcp2/ngtcp2.h>", None),
    ("src/quic/x.c", C % '#include "h3/session.h"', "include"),
    ("src/quic/x.c", C % "#include <nghttp3/nghttp3.h>", "include"),
    ("src/quic/x.c", C % "#include <rpcnet/server.h>", "include"),
    ("src/h3/x.c", C % "#include <ngtcp2/ngtcp2.h>", "include"),
    ("src/h3/x.c", C % '#include "grpc/call.h"', "include"),
    ("src/grpc/x.c", C % '#include "h3/session.h"', None),
    ("src/grpc/x.c", C % '#include "rpc/server.h"', "include"),
    ("src/swap/x.c", C % '#include "grpc/call.h"', "include"),
    ("src/swap/x.c", C % '#include "rpcnet/v1/worker.pb-c.h"', "include"),
    ("src/rpc/x.c", C % '#include "grpc/call.h"', None),
    ("src/rpc/x.c", C % '#include "loop/udp.h"', "include"),
    ("src/rpc/x.c", C % '#include "swap/journal.h"', "include"),
    ("src/loop/x.c", C % "#include <uv.h>", None),
    ("src/loop/x.c", C % '#include "quic/conn.h"', "include"),
    ("src/rpc/x.c", C % '#include "director/main.h"', "include"),
    ("src/other/x.c", C % '#include "base/map.h"', "include"),
    ("apps/director/x.c", C % '#include "loop/udp.h"', None),
    ("tests/sim/x.c", C % '#include "loop/udp.h"', "include"),
    ("src/base/x.c", "int rn_x;\n", "comment"),
    ("src/base/x.c", C % "void rn_x(void) {\n\treturn;\n}", "tab"),
    ("src/base/x.c", C % ("/* TO" + "DO: more */"), "unfinished"),
    ("src/base/x.c", C % ("// FIX" + "ME"), "unfinished"),
    ("src/base/x.c", C % "#if 0\nint rn_x;\n#endif", "dead"),
    ("src/base/x.c", C % ("\n" * (FILE_LINES_MAX - 2)), None),
    ("src/base/x.c", C % ("\n" * (FILE_LINES_MAX - 1)), "length"),
    ("src/base/x.c", C % f"int rn_x(int i) {{\n{LONG_BODY}}}", None),
    ("src/base/x.c", C % f"int rn_x(int i) {{\n{LONG_BODY}\n}}", "length"),
    ("src/base/x.c", C % f"static int x(struct y *y,\n             int i) {{\n{LONG_BODY}}}", "length"),
    ("src/base/x.c", C % f"static const int table[] = {{\n{LONG_BODY}\n\n}};", None),
    ("src/base/x.c", C % f"void rn_a(void) {{ f('{{', \"}}\"); /* {{ */ }}\nint rn_x(void) {{\n{LONG_BODY}}}", None),
    ("include/rpcnet/x.h", "/* x. */\n#ifndef RPCNET_X_H\n#define RPCNET_X_H\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n"
     f"static inline int x(int i) {{\n{LONG_BODY}\n}}\n#ifdef __cplusplus\n}}\n#endif\n#endif\n", "length"),
]

# (ratchet file, lines in the function, the one finding's rule or None)
RATCHET_CASES = [
    ("src/base/x.c:rn_x 130\n", 130, None),
    ("src/base/x.c:rn_x 130 # why\n", 131, "length"),
    ("src/base/x.c:rn_x 130\n", 129, "length"),
    ("src/base/x.c:rn_x 100\n", 100, "length"),
    ("src/base/x.c:rn_y 130\n", 100, "length"),
    ("src/base/x.c rn_x 130\n", 100, "length"),
]

# ("layer" or "layer/member", C source, the one finding's rule or None)
SYMBOL_CASES = [
    ("base/file", "long read(int, void *, long); long f(void *p) { return read(1, p, 3); }", None),
    ("base/text", "long read(int, void *, long); long f(void *p) { return read(1, p, 3); }", "symbol"),
    ("quic/file", "long read(int, void *, long); long f(void *p) { return read(1, p, 3); }", "symbol"),
    ("base/file", "long write(int, void *, long); long f(void *p) { return write(1, p, 3); }", "symbol"),
    ("base", "static const char *const a[] = {\"b\"}; const char *f(int i) { return a[i]; }", None),
    ("base", "const char *f(void) { return __func__; }", None),
    ("base", "int g = 1; int f(void) { return g; }", "global"),
    ("base", "int g; int f(void) { return g; }", "global"),
    ("base", "static int n; int f(void) { return n++; }", "global"),
    ("base", "int f(void) { static int n = 5; return n++; }", "global"),
    ("base", "_Thread_local int n; int f(void) { return n; }", "global"),
    ("loop", "int g; int f(void) { return g; }", "global"),
    ("base", "void *memcpy(void *, const void *, unsigned long); void f(char *a) { memcpy(a, a, 9); }", None),
    ("quic", "int socket(int, int, int); int f(void) { return socket(1, 2, 3); }", "symbol"),
    ("quic", "long sendmsg(int, void *, int); long f(void) { return sendmsg(1, 0, 3); }", "symbol"),
    ("h3", "int clock_gettime(int, void *); int f(void *p) { return clock_gettime(1, p); }", "symbol"),
    ("grpc", "long time(long *); long f(void) { return time(0); }", "symbol"),
    ("swap", "long getrandom(void *, long, int); long f(void *p) { return getrandom(p, 1, 0); }", "symbol"),
    ("quic", "int gnutls_rnd(int, void *, long); int f(void *p) { return gnutls_rnd(0, p, 1); }", "symbol"),
    ("rpc", "int pthread_mutex_lock(void *); int f(void *p) { return pthread_mutex_lock(p); }", "symbol"),
    ("rpc", "int uv_run(void *, int); int f(void *p) { return uv_run(p, 0); }", "symbol"),
    ("rpc", "long __recv_chk(int, void *, long, long, int); long f(void *p) { return __recv_chk(1, p, 1, 1, 0); }", "symbol"),
    ("loop", "int socket(int, int, int); int f(void) { return socket(1, 2, 3); }", None),
]


def rules_of(findings):
    return [line.split(": ")[1] for line in findings.lines]


def self_test(compiler):
    wrong = []

    def expect(case, rule, findings):
        if rules_of(findings) != ([rule] if rule else []):
            wrong.append(f"{case!r}: expected {rule or 'no finding'}, got {findings.lines}")

    for path, text, rule in SOURCE_CASES:
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory, path)
            file.parent.mkdir(parents=True)
            file.write_text(text, encoding="utf-8")
            findings = Findings()
            check_source(pathlib.Path(directory), findings)
            expect((path, text[:200]), rule, findings)
    for ratchet, lines, rule in RATCHET_CASES:
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            (root / "src/base").mkdir(parents=True)
            (root / EXCEPTIONS).parent.mkdir(parents=True)
            (root / EXCEPTIONS).write_text(ratchet, encoding="utf-8")
            body = "    i++;\n" * (lines - 2)
            (root / "src/base/x.c").write_text(C % f"int rn_x(int i) {{\n{body}}}", encoding="utf-8")
            findings = Findings()
            check_source(root, findings)
            expect((ratchet, lines), rule, findings)
    for place, text, rule in SYMBOL_CASES:
        layer, _, name = place.partition("/")
        with tempfile.TemporaryDirectory() as directory:
            source, member, archive = (f"{directory}/{name or 'x'}{end}" for end in (".c", ".o", ".a"))
            pathlib.Path(source).write_text(text, encoding="utf-8")
            subprocess.run([compiler, "-w", "-fPIC", "-fno-builtin", "-c", "-o", member, source], check=True)
            subprocess.run(["ar", "rc", archive, member], check=True)
            findings = Findings()
            check_symbols(layer, archive, findings)
            expect((place, text), rule, findings)
    for line in wrong:
        print(line)
    cases = len(SOURCE_CASES) + len(RATCHET_CASES) + len(SYMBOL_CASES)
    print(f"{cases} cases, {len(wrong)} wrong")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("source").add_argument("root", type=pathlib.Path)
    commands.add_parser("symbols").add_argument("libraries", nargs="+", metavar="LAYER=ARCHIVE")
    commands.add_parser("self-test").add_argument("--cc", default="cc")
    arguments = parser.parse_args()

    if arguments.command == "self-test":
        return self_test(arguments.cc)
    findings = Findings()
    if arguments.command == "source":
        checked = check_source(arguments.root, findings)
        what = "files"
    else:
        checked = 0
        for library in arguments.libraries:
            layer, archive = library.split("=", 1)
            checked += check_symbols(layer, archive, findings)
        what = "symbols"
    for line in findings.lines:
        print(line)
    print(f"{checked} {what} checked, {len(findings.lines)} findings")
    return 1 if findings.lines or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
