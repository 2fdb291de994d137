"""docs/limits.md against the programs: each variable exists and has the default that the page names,
each counter is shown, each test that is named is there and runs."""

import re

from cluster import SOURCE, ClusterTest, main
from metrics_test import METRICS, address_of, metrics

NONE = re.compile(r"^none\b")


def rows(text, columns):
    """The cells of all tables of so many columns, without heads."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == columns and cells[0] not in ("Limit", "---"):
            yield cells


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def normal(value):
    """"1 GiB" and "1GiB" are the same."""
    return value.replace(" ", "")


class Limits(ClusterTest):
    def setUp(self):
        super().setUp()
        self.page = (SOURCE / "docs" / "limits.md").read_text(encoding="utf-8")

    def defaults(self, program):
        """{variable: default} as the program says it."""
        table = self.cluster.run(program, "--help-markdown")
        self.assertEqual(table.wait(), 0)
        found = re.findall(r"^\| `CONNECTION_SWAP_(\w+)` \| `[^`]*` \| `?([^`|]*)`? \|",
                           table.out.text(), re.MULTILINE)
        self.assertGreater(len(found), 5)
        return dict(found)

    def counters(self, program, address):
        prefix = f"rpcnet_{program}_"
        return {re.sub(r"{.*", "", name)[len(prefix):] for name in metrics(address)
                if name.startswith(prefix)}

    def section(self, program):
        return re.search(f"<!-- {program} -->(.*?)<!-- end -->", self.page, re.DOTALL).group(1)

    def assert_shown(self, cell, counters, row):
        if not NONE.match(cell):
            self.assertTrue(names(cell), row)
            for name in names(cell):
                self.assertIn(name, counters, row)

    def assert_tests(self, cell, row):
        self.assertTrue(names(cell), row)
        for name in names(cell):
            path, _, function = name.partition(":")
            path = SOURCE / "tests" / path
            self.assertTrue(path.is_file(), f"{name}: {row}")
            self.assertTrue(function or path.suffix == ".py", f"{name}: which test? {row}")
            if function:
                self.assert_runs(path, function)

    def assert_runs(self, path, function):
        """The file has the test, and a C file hands it to cmocka."""
        text = path.read_text(encoding="utf-8")
        defined = (rf"^static void {function}\(void \*\*state\)" if path.suffix == ".c" else
                   rf"^    def {function}\(self\)")
        self.assertRegex(text, re.compile(defined, re.MULTILINE), path)
        if path.suffix == ".c":
            self.assertRegex(text, rf"\b(?:TEST|cmocka_unit_test\w*)\({function}\b", path)

    def test_tables(self):
        director = self.cluster.start_director(*METRICS)
        worker = self.cluster.start_worker("worker-a", *METRICS)
        shown = {"director": self.counters("director", address_of(director)),
                 "worker": self.counters("worker", address_of(worker))}
        for program, counters in shown.items():
            defaults = self.defaults(program)
            table = list(rows(self.section(program), 6))
            self.assertGreaterEqual(len(table), 2)
            for row in table:
                _, default, variable, metric, _, test = row
                (name,) = names(variable)
                self.assertEqual(normal(default), normal(defaults[name]), row)
                self.assert_shown(metric, counters, row)
                self.assert_tests(test, row)
        constants = list(rows(self.page, 5))
        self.assertGreater(len(constants), 5)
        for row in constants:
            _, _, why, metric, test = row
            self.assertGreater(len(why), 10, row)
            self.assert_shown(metric, shown["director"] | shown["worker"], row)
            self.assert_tests(test, row)

    def test_no_limit_is_missing(self):
        """Every setting that ends like a limit stands in the tables; a record for finding faults is
        none of theirs."""
        for program in ("director", "worker"):
            text = self.section(program)
            for name in self.defaults(program):
                if not name.startswith("QLOG") and name.endswith(("_MAX", "_WINDOW", "_RING", "_PER_ADDRESS")):
                    self.assertIn(f"`{name}`", text)


if __name__ == "__main__":
    main()
