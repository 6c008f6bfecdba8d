"""Commands that run the same program once in the sandboxes of others: `bwrap`, `crun` and `runc`."""

import json
import os
import shutil
import subprocess

# What a program needs to see of the host.
SYSTEM = ["/usr", "/lib", "/lib64", "/bin"]
NAMESPACES = ["pid", "network", "ipc", "uts", "mount", "cgroup", "user"]


def bwrap(command, directory, shown=()):
    """In `bwrap` (Debian's package bubblewrap) with the same namespaces; it sets no limits."""
    binds = [word for path in [*SYSTEM, *shown] if os.path.exists(path) for word in ("--ro-bind", path, path)]
    return [
        "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", *binds,
        "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
        "--ro-bind", str(directory), "/var/task", "--chdir", "/var/task", *command,
    ]


def oci(runtime, bundle, command, directory, shown=()):
    """In `crun` or `runc`, in a bundle of its own, with the same namespaces and without limits."""
    (bundle / "rootfs").mkdir(parents=True)
    subprocess.run([runtime, "spec"], cwd=bundle, check=True, capture_output=True)
    spec = json.loads((bundle / "config.json").read_text())
    spec["process"].update(terminal=False, args=command, cwd="/var/task")
    for kind in spec["process"]["capabilities"]:
        spec["process"]["capabilities"][kind] = []
    binds = [(path, path) for path in [*SYSTEM, *shown] if os.path.exists(path)] + [(str(directory), "/var/task")]
    spec["mounts"] += [
        {"destination": inside, "type": "bind", "source": os.path.realpath(path), "options": ["rbind", "ro"]}
        for path, inside in binds
    ]
    spec["linux"]["namespaces"] = [{"type": kind} for kind in NAMESPACES]
    one = [{"containerID": 0, "hostID": 0, "size": 65536}]
    spec["linux"].update(uidMappings=one, gidMappings=one)
    spec["linux"].pop("resources", None)
    (bundle / "config.json").write_text(json.dumps(spec))
    options = ["--cgroup-manager=disabled"] if runtime == "crun" else []
    return [runtime, *options, "run", "--bundle", str(bundle), f"bench-{os.getpid()}-{runtime}"]


def sandboxed(label, command, scratch, directory, event, expect, shown=(), runtimes=("bwrap", "crun", "runc")):
    """The command in each of the others' sandboxes that work on this machine, by name; says which do not."""
    found = {}
    for runtime in runtimes:
        name = f"{runtime} + {label}"
        if not shutil.which(runtime):
            print(f"{name}: not installed, left out")
            continue
        whole = (bwrap(command, directory, shown) if runtime == "bwrap"
                 else oci(runtime, scratch / f"{runtime}-{label.replace(' ', '')}", command, directory, shown))
        tried = subprocess.run(whole, input=event.encode(), capture_output=True)
        if tried.returncode == 0 and expect.encode() in tried.stdout:
            found[name] = whole
        else:
            print(f"{name}: does not work here, left out: {tried.stderr.decode().strip()[-200:]}")
    return found
