"""What processes hold in memory, by `/proc`."""

import os
import statistics
from pathlib import Path


def rollup(pid):
    """A process's memory in KiB, by the kernel's names: `Pss`, `Private_Dirty` and so on."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(size.split()[0]) for name, size in (line.split(":") for line in lines)}


def descendants(pid):
    """A process and all that came from it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += descendants(int(child))
    return found


def whole_mib(pid):
    """Proportional set size of a process and all that came from it, in MiB."""
    return sum(rollup(each)["Pss"] for each in descendants(pid)) / 1024


def waits(pid, own):
    """Whether a process is one that waits for an event: it runs another program than `own`, and is neither a template,
    which is stopped for good, nor one of those that make copies in the template's memory."""
    name, _, state = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(") ")
    return name != "zygote" and not state.startswith("t") and os.path.realpath(f"/proc/{pid}/exe") != own


def of_runtimes(pid):
    """Those below `pid` that wait for an event: how many, and the median of what each holds in MiB."""
    own = os.path.realpath(f"/proc/{pid}/exe")
    held = []
    for each in descendants(pid):
        try:
            if waits(each, own):
                held.append(rollup(each))
        except FileNotFoundError:
            pass  # it has ended meanwhile
    if not held:
        return {"processes": 0}
    median = {name: statistics.median(each[name] for each in held) / 1024 for name in ("Rss", "Pss", "Private_Dirty")}
    return {"processes": len(held), "MiB_resident": median["Rss"], "proportional": median["Pss"],
            "private_and_written": median["Private_Dirty"]}
