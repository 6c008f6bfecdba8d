//! The root directory of sandboxes: built once per interpreter, copied for each event.
//!
//! It is a small read-only tmpfs with the skeleton of a system. Programs, shared libraries, certificates and what the
//! interpreter needs are the host's, read-only and without set-uid; `/etc` is written here and says nothing about the
//! host. Nothing else of the host is there: not `/usr/local`, `/usr/share`, `/usr/src` nor the libraries of other
//! interpreters.

use super::namespace::INSIDE;
use crate::RESOLVER_ADDRESS;
use crate::control::{BOOTSTRAP_DIR, Root};
use crate::sys::mounts::{self, NO_DEV, NO_EXEC, NO_SUID, READ_ONLY};
use nix::fcntl::AT_FDCWD;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What programs of the host need, as far as it is there: programs, the linker's directories of every word size, time
/// zones, locales, certificates. Links are made as links.
const SYSTEM: [&str; 18] = [
    "/usr/bin",
    "/usr/sbin", // if it is a link to the former
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libx32",
    "/usr/lib/locale",
    "/usr/lib/ssl",
    "/usr/share/zoneinfo",
    "/usr/share/ca-certificates",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/ssl/certs",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
];

/// Directories of programs for administrators, and of libraries with much beside them: they appear only as links.
const TOO_MUCH: [&str; 3] = ["/usr/sbin", "/sbin", "/lib"];

/// Directories that hold libraries.
const LIBRARIES: [&str; 2] = ["/usr/lib", "/lib"];

/// The devices that a program may expect anywhere.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Empty directories; the event's own mounts go on some of them.
const EMPTY: [&str; 9] = ["etc", "dev/shm", "home", "opt", "proc", "run", "tmp", "var/task", "var/tmp"];

/// Where the root number `index` is mounted.
fn path(run_dir: &Path, index: usize) -> PathBuf {
    run_dir.join(format!("root-{index}"))
}

/// A path as the kernel wants it.
fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// A copy of the root number `index`, as a mount.
pub(super) fn copy(run_dir: &Path, index: usize) -> io::Result<OwnedFd> {
    mounts::copy(&c_path(&path(run_dir, index))?, true)
}

/// A package, as a mount, read-only.
pub(super) fn package(dir: &Path) -> io::Result<OwnedFd> {
    let mount = mounts::copy(&c_path(dir)?, false)?;
    mounts::restrict(&mount, READ_ONLY | NO_SUID | NO_DEV, false)?;
    Ok(mount)
}

/// Builds the root number `index` in the launcher's mount namespace.
pub(super) fn build(run_dir: &Path, index: usize, root: &Root) -> io::Result<()> {
    let at = path(run_dir, index);
    fs::create_dir_all(&at)?;
    let options = [(c"mode", c"0755"), (c"size", c"64m")];
    let base = mounts::filesystem(c"tmpfs", &options, NO_SUID | NO_DEV)?;
    mounts::attach(&base, AT_FDCWD, &c_path(&at)?)?;

    for directory in EMPTY {
        fs::create_dir_all(at.join(directory))?;
    }
    let mut bound: Vec<PathBuf> = Vec::new();
    for shown in libraries().into_iter().chain(SYSTEM.map(PathBuf::from)).chain(root.shown.iter().cloned()) {
        let Ok(metadata) = fs::symlink_metadata(&shown) else { continue };
        if bound.iter().any(|all| shown.starts_with(all)) {
            continue; // it is there with a directory around it
        }
        if metadata.is_symlink() {
            let link = inside(&at, &shown);
            fs::create_dir_all(link.parent().unwrap_or(&at))?;
            symlink(fs::read_link(&shown)?, link)?;
        } else if !TOO_MUCH.iter().any(|much| shown == Path::new(much)) {
            bind(&at, &shown)?;
            bound.push(shown);
        }
    }
    for hidden in &root.hidden {
        hide(&at, hidden)?;
    }
    devices(&at)?;
    etc(&at)?;

    let runtime = inside(&at, BOOTSTRAP_DIR);
    fs::create_dir_all(&runtime)?;
    for file in fs::read_dir(&root.runtime)? {
        let file = file?;
        let target = runtime.join(file.file_name());
        fs::copy(file.path(), &target)?;
        // A runtime may have noted the times of its files.
        File::open(&target)?.set_modified(file.metadata()?.modified()?)?;
    }
    mounts::restrict(&base, READ_ONLY, false)
}

/// The directories of shared libraries. Where they are kept apart by architecture, only those: beside them are the
/// libraries of interpreters, compilers and services.
fn libraries() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in LIBRARIES.iter().filter(|directory| !Path::new(directory).is_symlink()) {
        let is_architecture = |path: &PathBuf| {
            path.is_dir() && path.file_name().is_some_and(|name| name.to_string_lossy().contains("-linux-"))
        };
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let apart: Vec<_> = entries.map(|entry| entry.path()).filter(is_architecture).collect();
        if apart.is_empty() { found.push(directory.into()) } else { found.extend(apart) }
    }
    found
}

/// Where the absolute `path` lies below the new root `at`.
fn inside(at: &Path, path: impl AsRef<Path>) -> PathBuf {
    at.join(path.as_ref().strip_prefix("/").unwrap_or(path.as_ref()))
}

/// Shows a file or directory of the host at the same place below `at`, read-only.
fn bind(at: &Path, source: &Path) -> io::Result<()> {
    let target = inside(at, source);
    if fs::metadata(source)?.is_dir() {
        fs::create_dir_all(&target)?;
    } else {
        fs::create_dir_all(target.parent().unwrap_or(at))?;
        File::create(&target)?;
    }
    let mount = mounts::copy(&c_path(source)?, true)?;
    mounts::restrict(&mount, READ_ONLY | NO_SUID | NO_DEV, true)?;
    mounts::attach(&mount, AT_FDCWD, &c_path(&target)?)
}

/// Puts an empty directory over one that is shown.
fn hide(at: &Path, directory: &Path) -> io::Result<()> {
    let nothing = mounts::filesystem(c"tmpfs", &[(c"size", c"4k")], READ_ONLY | NO_SUID | NO_DEV | NO_EXEC)?;
    mounts::attach(nothing, AT_FDCWD, &c_path(&inside(at, directory))?)
}

/// Fills `/dev`: the host's own device nodes, since a user namespace may not make any.
fn devices(at: &Path) -> io::Result<()> {
    let dev = at.join("dev");
    for name in DEVICES {
        fs::write(dev.join(name), "")?;
        let mount = mounts::copy(&c_path(&Path::new("/dev").join(name))?, false)?;
        mounts::restrict(&mount, NO_SUID | NO_EXEC, false)?;
        mounts::attach(&mount, AT_FDCWD, &c_path(&dev.join(name))?)?;
    }
    symlink("/proc/self/fd", dev.join("fd"))?;
    for (number, name) in ["stdin", "stdout", "stderr"].iter().enumerate() {
        symlink(format!("/proc/self/fd/{number}"), dev.join(name))?;
    }
    Ok(())
}

/// Writes `/etc`: one user, one host name, one name server.
fn etc(at: &Path) -> io::Result<()> {
    let etc = at.join("etc");
    let user = format!("sbx_user1051:x:{INSIDE}:{INSIDE}::/home/sbx_user1051:/sbin/nologin\n");
    let files = [
        (
            "passwd",
            format!("root:x:0:0:root:/root:/sbin/nologin\n{user}nobody:x:65534:65534::/:/sbin/nologin\n"),
        ),
        ("group", format!("root:x:0:\nsbx_user1051:x:{INSIDE}:\nnogroup:x:65534:\n")),
        ("hosts", "127.0.0.1 localhost sandbox.localdomain sandbox\n::1 localhost\n".to_owned()),
        // Nobody is there but where functions may reach the internet; elsewhere, questions fail at once.
        ("resolv.conf", format!("nameserver {RESOLVER_ADDRESS}\n")),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".to_owned()),
    ];
    for (name, text) in files {
        fs::write(etc.join(name), text)?;
    }
    symlink("/usr/share/zoneinfo/UTC", etc.join("localtime"))?;
    // The linker's index of libraries: without it, libraries outside its default directories are not found.
    if let Ok(index) = fs::read("/etc/ld.so.cache") {
        fs::write(etc.join("ld.so.cache"), index)?;
    }
    // Some programs have their name by way of a link there: awk, for instance.
    fs::create_dir(etc.join("alternatives"))?;
    for link in fs::read_dir("/etc/alternatives").into_iter().flatten().flatten() {
        match fs::read_link(link.path()) {
            Ok(program) if program.starts_with("/usr/bin") => {
                symlink(program, etc.join("alternatives").join(link.file_name()))?;
            }
            _ => {}
        }
    }
    Ok(())
}
