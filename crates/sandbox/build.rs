//! Puts the Java runtime into the program, if `scripts/java_runtime.sh` has built it.

use std::path::Path;
use std::{env, fs, io};

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script by the environment where to write")]
fn main() -> io::Result<()> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtimes/java");
    // The directory, because a file that is not there would count as changed at every build.
    println!("cargo::rerun-if-changed={}", project.display());
    let jar = fs::read(project.join("target/bootstrap.jar")).unwrap_or_default();
    if jar.is_empty() {
        println!(
            "cargo::warning=built without Java: scripts/java_runtime.sh was not run or could not build it"
        );
    }
    fs::write(Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("bootstrap.jar"), jar)
}
