//! Java: its own small bootstrap with AWS's serializers in one jar, and an archive of their classes that the very JVM
//! makes that runs them.

use super::Kind;
use crate::Interpreter;
use crate::control::BOOTSTRAP_DIR;
use model::{FunctionSpec, Installed, Language};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

pub(super) const KIND: Kind = Kind {
    oldest: (11, 0),
    is_named,
    places,
    ask: |program| {
        program.args(QUESTION);
    },
    read,
    prepare,
    command,
    environment,
};

/// The program that answers events inside a sandbox; empty if the platform was built without it.
const BOOTSTRAP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bootstrap.jar"));

/// What a JVM is asked: its version, and where its library lies.
const QUESTION: [&str; 2] = ["-Xlog:class+path=info", "--version"];

/// What a JVM runs. The jar's path is relative to the working directory: a JVM before 19 takes an archive only with the
/// very path that it was made with, and this one is true inside and outside.
const PROGRAM: [&str; 3] = ["-cp", "../runtime/bootstrap.jar", "mayfly.runtime.Bootstrap"];

/// The name of the archive in the runtime's directory.
const ARCHIVE: &str = "bootstrap.jsa";

/// The first version that archives what a program has loaded.
const ARCHIVES: u32 = 13;

/// How long a JVM may take to make an archive: ten times as long as on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What objects leave of a function's memory for the JVM's own needs: a share, in percent, and at least so many MB.
const OVERHEAD: (u32, u32) = (15, 40);

/// The memory for objects that a JVM begins with, in MB. A JVM's own choice goes by the machine, fills with what is not
/// needed any more, and all of that is copied with the process. Less than this starts no faster, and collects more often.
const FIRST_HEAP: u32 = 32;

fn is_named(name: &str) -> bool {
    name == "java" && is_built_in()
}

/// Whether there was a bootstrap when the platform was built.
pub(super) fn is_built_in() -> bool {
    !BOOTSTRAP.is_empty()
}

/// Where distributions and vendors install.
fn places() -> Vec<PathBuf> {
    let homes = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    let mut places: Vec<_> = homes.map(|home| home.path().join("bin")).collect();
    places.sort();
    places
}

fn read(answer: &str) -> Option<Interpreter> {
    let (_, library) = answer.lines().find_map(|line| line.split_once("bootstrap loader class path="))?;
    // `lib/modules`, and perhaps what the machine's owner puts after it.
    let home = Path::new(library.split(':').next()?).parent()?.parent()?;
    let version = answer.lines().find(|line| line.starts_with("openjdk ") || line.starts_with("java "))?;
    let version = super::version(version.split(' ').nth(1)?)?;
    let installed = Installed { language: Language::Java, version };
    let mut shown = vec![home.to_path_buf()];
    shown.extend(linked(home));
    Some(Interpreter { installed, executable: home.join("bin/java"), shown, hidden: Vec::new() })
}

/// What a JVM's own files link to outside of it: distributions keep its settings below `/etc`.
fn linked(home: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut directories = vec![home.join("conf"), home.join("lib/security")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let kind = entry.file_type();
            if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
                directories.push(entry.path());
            } else if kind.is_ok_and(|kind| kind.is_symlink()) {
                found.extend(fs::canonicalize(entry.path()).ok().and_then(|target| settings(&target)));
            }
        }
    }
    found
}

/// The directory just below `/etc` in which a file lies. Nothing else is shown for a link's sake, and certificates
/// are there anyway.
fn settings(target: &Path) -> Option<PathBuf> {
    let below = target.strip_prefix("/etc").ok()?;
    let name = below.parent()?.components().next()?;
    (name.as_os_str() != "ssl").then(|| Path::new("/etc").join(name))
}

fn prepare(interpreter: &Interpreter, directory: &Path) -> io::Result<()> {
    let jar = directory.join("bootstrap.jar");
    fs::write(&jar, BOOTSTRAP)?;
    // An archive is taken only with a jar of the very same time.
    File::open(&jar)?.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000))?;
    if interpreter.installed.version.0 < ARCHIVES {
        return Ok(());
    }
    let stage = directory.join("stage");
    let task = stage.join("task");
    fs::create_dir_all(&task)?;
    symlink("..", stage.join("runtime"))?;
    let done = rehearse(interpreter, &task);
    fs::remove_dir_all(&stage)?;
    // Without an archive, functions start too, only slower.
    if done.is_ok_and(|done| done) { Ok(()) } else { remove(&directory.join(ARCHIVE)) }
}

/// Has a JVM live through events and archive what it loaded; whether it did.
fn rehearse(interpreter: &Interpreter, task: &Path) -> io::Result<bool> {
    let mut jvm = Command::new(&interpreter.executable)
        .arg(format!("-XX:ArchiveClassesAtExit=../runtime/{ARCHIVE}"))
        .args(options("", interpreter.installed.version.0))
        .args(PROGRAM)
        .arg("rehearse")
        .current_dir(task)
        .env_clear()
        .env("LAMBDA_TASK_ROOT", task)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = jvm.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            jvm.kill()?;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn command(interpreter: &Interpreter, directory: &Path, spec: &FunctionSpec) -> Vec<String> {
    let own = spec.environment.get("JAVA_TOOL_OPTIONS").map(String::as_str).unwrap_or_default();
    let mut command = vec![interpreter.executable.display().to_string()];
    if directory.join(ARCHIVE).exists() {
        command.push(format!("-XX:SharedArchiveFile={BOOTSTRAP_DIR}/{ARCHIVE}"));
    }
    command.extend(options(own, interpreter.installed.version.0).map(str::to_owned));
    command.extend(sizes(own, spec.memory_mb));
    command.extend(PROGRAM.map(str::to_owned));
    command
}

/// The options about the heap of a function with `memory` MB. A JVM does not start with a first heap that is larger than
/// the largest one: a function that chooses one of them is not told the first.
fn sizes(own: &str, memory: u32) -> Vec<String> {
    let heap = heap(memory);
    let mut sizes = Vec::new();
    if !["-Xm", "HeapSize", "MaxRAM", "RAMPercentage"].iter().any(|name| own.contains(name)) {
        sizes.push(format!("-Xms{}m", FIRST_HEAP.min(heap)));
    }
    if !["-Xmx", "MaxHeap", "MaxRAM", "RAMPercentage"].iter().any(|name| own.contains(name)) {
        sizes.push(format!("-Xmx{heap}m"));
    }
    sizes
}

/// The memory for objects in a function with `memory` MB, in MB: so much that a function which wants more is told so by
/// the JVM, and not ended by the kernel.
fn heap(memory: u32) -> u32 {
    let (percent, least) = OVERHEAD;
    memory - (memory * percent / 100).max(least)
}

/// The options with which every function starts on Java `version`, unless it chooses for itself: what stands in
/// `JAVA_TOOL_OPTIONS` is weaker than the command line.
fn options(own: &str, version: u32) -> impl Iterator<Item = &'static str> {
    const ALL: RangeInclusive<u32> = 0..=u32::MAX;
    // A JVM does not start with an option that it does not know: these name the versions that are known to have them.
    const OPTIONS: [(&str, RangeInclusive<u32>, &str); 15] = [
        // As in Lambda's own runtime: the compiler that is fast at the start, the collector that needs least.
        ("Tiered", ALL, "-XX:TieredStopAtLevel=1"),
        ("GC", ALL, "-XX:+UseSerialGC"),
        // One thread compiles: each copy of a process would have to start the others again.
        ("Tiered", ALL, "-XX:CICompilerCount=1"),
        // Nobody can attach to a sandbox, and nothing about its control group can be read in it.
        ("UsePerfData", ALL, "-XX:-UsePerfData"),
        ("DisableAttachMechanism", ALL, "-XX:+DisableAttachMechanism"),
        ("UseContainerSupport", ALL, "-XX:-UseContainerSupport"),
        // A process that waits for its event does not wake up to look after locks that nobody has taken, four times
        // a second, or to bring its threads to a halt for nothing, once a second.
        ("UnlockDiagnosticVMOptions", ALL, "-XX:+UnlockDiagnosticVMOptions"),
        ("GuaranteedSafepointInterval", 0..=21, "-XX:GuaranteedSafepointInterval=0"),
        ("AsyncDeflationInterval", 17..=25, "-XX:AsyncDeflationInterval=60000"),
        // A copy makes the JDK's random numbers anew through `sun.misc.Unsafe`; the log is not the place to say so.
        ("sun-misc-unsafe", 23..=u32::MAX, "--sun-misc-unsafe-memory-access=allow"),
        // Reflection without method handles, as before Java 18: making one for each field that the first answer has
        // takes longer than a process of one event can win by it.
        ("useNativeAccessorOnly", 22..=u32::MAX, "-Djdk.reflect.useNativeAccessorOnly=true"),
        // An archive that does not fit any more is no matter for a function's log.
        ("-Xlog", ALL, "-Xlog:cds*=off"),
        ("file.encoding", ALL, "-Dfile.encoding=UTF-8"),
        ("stdout.encoding", ALL, "-Dstdout.encoding=UTF-8"),
        ("stderr.encoding", ALL, "-Dstderr.encoding=UTF-8"),
    ];
    let own = own.to_owned();
    OPTIONS
        .into_iter()
        .filter(move |(name, versions, _)| versions.contains(&version) && !own.contains(name))
        .map(|(_, _, option)| option)
}

/// The names of files are UTF-8, whichever locales the host has.
fn environment(_: &Interpreter) -> Vec<(&'static str, String)> {
    vec![("LC_ALL", "C.UTF-8".to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jvm_says_what_it_is() {
        let answer = "[0.001s][info][class,path] bootstrap loader class path=/opt/jdk/lib/modules\n\
            [0.015s][info][class,path] ok\n\
            openjdk 17.0.15 2025-04-15\n\
            OpenJDK Runtime Environment (build 17.0.15+6-Debian-1deb12u1)\n";
        let found = read(answer).unwrap();
        assert_eq!(found.installed, Installed { language: Language::Java, version: (17, 0, 15) });
        assert_eq!(found.executable, Path::new("/opt/jdk/bin/java"));
        assert_eq!(found.shown, [Path::new("/opt/jdk")]);
        assert_eq!(read("java version \"1.8.0_402\"\n"), None);
    }

    #[test]
    fn only_settings_below_etc_are_shown_for_a_link() {
        let of = |path: &str| settings(Path::new(path));
        assert_eq!(of("/etc/java-17-openjdk/security/nss.cfg"), Some("/etc/java-17-openjdk".into()));
        assert_eq!(of("/etc/passwd"), None);
        assert_eq!(of("/etc/ssl/certs/java/cacerts"), None);
        assert_eq!(of("/home/somebody/cacerts"), None);
    }

    #[test]
    fn objects_get_most_of_the_memory() {
        assert_eq!([128, 512, 10_240].map(heap), [88, 436, 8_704]);
        assert_eq!(sizes("", 512), ["-Xms32m", "-Xmx436m"]);
        assert_eq!(sizes("-Xms100m", 512), ["-Xmx436m"]);
        assert!(sizes("-Xmx20m", 512).is_empty());
    }

    #[test]
    fn a_function_may_choose_options_itself() {
        let all: Vec<_> = options("", 17).collect();
        let own: Vec<_> = options("-XX:+UseParallelGC -XX:TieredStopAtLevel=4", 17).collect();
        assert_eq!(own, all[3..]);
    }

    #[test]
    fn a_version_gets_the_options_that_it_knows() {
        let has = |version, name: &str| options("", version).any(|option| option.contains(name));
        assert_eq!([11, 17, 25].map(|version| has(version, "Safepoint")), [true, true, false]);
        assert_eq!([11, 17, 25].map(|version| has(version, "Deflation")), [false, true, true]);
        assert_eq!([11, 17, 25].map(|version| has(version, "unsafe")), [false, false, true]);
    }
}
