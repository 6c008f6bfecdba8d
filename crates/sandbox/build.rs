//! Puts the Java runtime into the program, if `scripts/java_runtime.sh` has built it, and the code that makes copies of
//! templates, which is a flat image of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    java(&out.join("bootstrap.jar"))?;
    zygote(&out.join("zygote.bin"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script by the environment what to build for"
)]
fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}

fn java(target: &Path) -> io::Result<()> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtimes/java");
    // The directory, because a file that is not there would count as changed at every build.
    println!("cargo::rerun-if-changed={}", project.display());
    let jar = fs::read(project.join("target/bootstrap.jar")).unwrap_or_default();
    if jar.is_empty() {
        println!(
            "cargo::warning=built without Java: scripts/java_runtime.sh was not run or could not build it"
        );
    }
    fs::write(target, jar)
}

/// Compiles `zygote/zygote.c` to an image without relocations; empty for processors that it is not written for.
fn zygote(target: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-changed=zygote");
    if variable("CARGO_CFG_TARGET_ARCH")? != "x86_64" {
        return fs::write(target, []);
    }
    let mut compiler: Command = cc::Build::new().opt_level(2).get_compiler().to_command();
    let status = compiler
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-builtin", "-fPIC"])
        .args(["-fno-stack-protector", "-fcf-protection=none", "-fno-asynchronous-unwind-tables"])
        .args(["-fno-jump-tables", "-mgeneral-regs-only", "-fvisibility=hidden"])
        .args(["-nostdlib", "-static", "-no-pie", "-Wl,-T,zygote/zygote.ld", "-Wl,--build-id=none"])
        .args(["-Wl,--oformat=binary", "zygote/zygote.c", "-o"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the C compiler refused zygote/zygote.c")) }
}
