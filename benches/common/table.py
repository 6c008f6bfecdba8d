"""Rows of figures, for people and as JSON."""

import json
import tempfile
from pathlib import Path

from . import quantiles


class Row:
    """One row of SPECIFICATION.md: what is measured, the target, and a line of figures for Mayfly and each peer."""

    def __init__(self, name, what, target):
        self.name, self.what, self.target = name, what, target
        self.lines, self.reached = [], None

    def samples(self, name, samples, **more):
        """A line made of milliseconds."""
        p50, p99 = quantiles(samples)
        return self.line(name, p50=p50, p99=p99, **more)

    def load(self, name, load, **more):
        """A line made of what the load generator says."""
        failures = {"failures": load["failures"]} if load["failures"] else {}
        return self.line(name, p50=load["p50"], p99=load["p99"], per_second=load["per_second"], **failures, **more)

    def line(self, name, **figures):
        """A line of figures."""
        figures = {key: round(value, 2) if isinstance(value, float) else value for key, value in figures.items()}
        self.lines.append({"name": name, **figures})
        return figures

    def judge(self, reached):
        """Says whether the target is reached."""
        self.reached = bool(reached)

    def show(self):
        """Prints it."""
        print(f"\n{self.name}  {self.what}")
        if self.target:
            print(f"    target {self.target}: {'reached' if self.reached else 'NOT reached'}")
        print(f"    {'':36}{'p50 ms':>9}{'p99 ms':>9}{'per s':>9}")
        for line in self.lines:
            cells = "".join(self.cell(line.get(key)) for key in ("p50", "p99", "per_second"))
            others = {key: value for key, value in line.items() if key not in ("name", "p50", "p99", "per_second")}
            told = ", ".join(f"{key.replace('_', ' ')} {self.words(value)}" for key, value in others.items())
            print(f"    {line['name']:36}{cells}  {told}".rstrip(), flush=True)

    @staticmethod
    def cell(value):
        return f"{'':9}" if value is None else f"{value:9,.0f}" if value >= 1000 else f"{value:9.2f}"

    @staticmethod
    def words(value):
        if isinstance(value, dict):
            return " + ".join(f"{count} {kind}" for kind, count in value.items()) or "none"
        return f"{value:,}" if isinstance(value, (int, float)) else str(value)


def write(rows, path):
    """Writes them as JSON."""
    document = [
        {"row": row.name, "what": row.what, "target": row.target, "reached": row.reached, "lines": row.lines}
        for row in rows
    ]
    path.write_text(json.dumps(document, indent=2) + "\n")


def measure(rows, make_bench, options):
    """Measures the rows that the options name, one after the other, each shown and written as soon as it is there."""
    measured = []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        # Sandboxes reach their packages in it under uids of their own.
        scratch.chmod(0o755)
        bench = make_bench(scratch)
        for name in options.rows.split(","):
            measured.append(rows[name](bench))
            measured[-1].show()
            if options.json:
                write(measured, options.json)
