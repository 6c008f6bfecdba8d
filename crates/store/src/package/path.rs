//! Names of entries and targets of links: which of them stay inside the package.

use super::EntryProblem;
use model::limits;

/// The longest part of a path that Linux file systems take, in bytes.
const PART: usize = 255;

/// The parts of an entry's name, `.` and empty ones left out; none for the package's own directory.
pub(super) fn parse_name(raw: &[u8]) -> Result<Vec<&str>, EntryProblem> {
    let name = std::str::from_utf8(raw).map_err(|_| EntryProblem::NotUtf8)?;
    if name.is_empty() {
        return Err(EntryProblem::Unnamed);
    }
    if name.len() > limits::PACKAGE_PATH {
        return Err(EntryProblem::TooLong);
    }
    if name.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(EntryProblem::Character);
    }
    if name.starts_with('/') {
        return Err(EntryProblem::Absolute);
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(EntryProblem::Climbs);
    }
    if parts.iter().any(|part| part.len() > PART) {
        return Err(EntryProblem::TooLong);
    }
    if parts.len() > limits::PACKAGE_DEPTH {
        return Err(EntryProblem::TooDeep);
    }
    Ok(parts)
}

/// Checks the target of a link that lies `depth` directories below the package's own.
///
/// `..` is allowed at the beginning only: there it steps through real directories, since nothing lies below a
/// link. Behind a name it could step out of whatever another link points to.
pub(super) fn check_target(target: &[u8], depth: usize) -> Result<&str, EntryProblem> {
    let target = std::str::from_utf8(target).map_err(|_| EntryProblem::Link)?;
    let bad = target.is_empty()
        || target.len() > limits::PACKAGE_PATH
        || target.starts_with('/')
        || target.contains(|c: char| c.is_control());
    let mut parts = target.split('/').filter(|part| !part.is_empty() && *part != ".").peekable();
    let mut up = 0;
    while parts.next_if_eq(&"..").is_some() {
        up += 1;
    }
    if bad || up > depth || parts.any(|part| part == ".." || part.len() > PART) {
        return Err(EntryProblem::Link);
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_stay_inside_are_taken_apart() {
        for (name, parts) in [
            ("app.py", vec!["app.py"]),
            ("./a//b/", vec!["a", "b"]),
            ("a..b/...", vec!["a..b", "..."]),
            ("bücher/straße.py", vec!["bücher", "straße.py"]),
            ("./", vec![]),
        ] {
            assert_eq!(parse_name(name.as_bytes()).unwrap(), parts, "{name}");
        }
    }

    #[test]
    fn names_that_do_not_are_refused() {
        let long = "a/".repeat(600);
        let long_part = "a".repeat(256);
        let deep = "a/".repeat(65);
        for (name, problem) in [
            (&b""[..], EntryProblem::Unnamed),
            (b"\xff", EntryProblem::NotUtf8),
            (b"/etc/passwd", EntryProblem::Absolute),
            (b"//etc/passwd", EntryProblem::Absolute),
            (b"..", EntryProblem::Climbs),
            (b"../x", EntryProblem::Climbs),
            (b"a/../../x", EntryProblem::Climbs),
            (b"a/./../x", EntryProblem::Climbs),
            (b"a\\..\\x", EntryProblem::Character),
            (b"a\0.py", EntryProblem::Character),
            (b"a\n.py", EntryProblem::Character),
            (long.as_bytes(), EntryProblem::TooLong),
            (long_part.as_bytes(), EntryProblem::TooLong),
            (deep.as_bytes(), EntryProblem::TooDeep),
        ] {
            assert_eq!(parse_name(name).unwrap_err(), problem, "{}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn targets_stay_inside() {
        for (target, depth, fits) in [
            ("libz.so.1", 0, true),
            ("../lib/libz.so", 1, true),
            ("./a/b", 0, true),
            ("../../x", 2, true),
            ("../x", 0, false),
            ("../../x", 1, false),
            (".././../x", 1, false),
            ("/etc/passwd", 3, false),
            ("a/../b", 0, false),
            ("a/../../../x", 1, false),
            ("", 0, false),
            ("a\0b", 0, false),
        ] {
            assert_eq!(check_target(target.as_bytes(), depth).is_ok(), fits, "{target} at {depth}");
        }
    }
}
