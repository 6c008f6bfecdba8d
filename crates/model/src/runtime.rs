//! Runtimes: AWS's names for them, what this machine has, and which of it runs a function.

use std::fmt;

/// A language that the platform brings a bootstrap for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// `python3.9` and later.
    Python,
    /// `nodejs18.x` and later.
    NodeJs,
    /// `java11` and later.
    Java,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Python => "Python",
            Language::NodeJs => "Node.js",
            Language::Java => "Java",
        })
    }
}

/// A language in one version, as it is installed on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Installed {
    /// The language.
    pub language: Language,
    /// Major, minor and micro version.
    pub version: (u32, u32, u32),
}

impl Installed {
    /// AWS's name of the runtime that this version serves, for instance `nodejs20.x`.
    pub fn runtime(&self) -> String {
        let (major, minor, _) = self.version;
        match self.language {
            Language::Python => format!("python{major}.{minor}"),
            Language::NodeJs => format!("nodejs{major}.x"),
            Language::Java => format!("java{major}"),
        }
    }
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, micro) = self.version;
        write!(f, "{} {major}.{minor}.{micro}", self.language)
    }
}

/// What a runtime's name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A language in a major version and, where the name has one, a minor version.
    Language(Language, u32, Option<u32>),
    /// The package brings its own program, `bootstrap`.
    Custom,
}

/// The names of runtimes without a language.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html>
pub const CUSTOM: [&str; 3] = ["provided.al2023", "provided.al2", "provided"];

impl Wanted {
    /// Reads AWS's name of a runtime; none if the platform has no bootstrap for it.
    pub fn parse(runtime: &str) -> Option<Wanted> {
        if CUSTOM.contains(&runtime) {
            return Some(Wanted::Custom);
        }
        let number = |text: &str| text.parse().ok().filter(|_| !text.starts_with('+'));
        if let Some(version) = runtime.strip_prefix("python") {
            let (major, minor) = version.split_once('.')?;
            return Some(Wanted::Language(Language::Python, number(major)?, Some(number(minor)?)));
        }
        if let Some(version) = runtime.strip_prefix("nodejs") {
            return Some(Wanted::Language(Language::NodeJs, number(version.strip_suffix(".x")?)?, None));
        }
        // `java8.al2` names the operating system too.
        let version = runtime.strip_prefix("java")?;
        Some(Wanted::Language(Language::Java, number(version.split('.').next()?)?, None))
    }
}

/// The languages on a machine, best first, and how strictly a runtime's name is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtimes {
    /// What is there.
    pub installed: Vec<Installed>,
    /// Refuse a runtime whose very version is not there, instead of running it on the nearest one.
    pub strict: bool,
}

/// What runs a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Which of [`Runtimes::installed`]; none for a custom runtime.
    pub index: Option<usize>,
    /// Says so if it is not of the version that was asked for.
    pub warning: Option<String>,
}

/// Nothing on this machine runs a function of that runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAvailable {
    /// The runtime asked for.
    pub runtime: String,
    /// The runtimes there are, for people.
    pub available: String,
}

impl fmt::Display for NotAvailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotAvailable { runtime, available } = self;
        write!(f, "The runtime {runtime} is not available here. Available: {available}.")
    }
}

impl Runtimes {
    /// AWS's names of what is there, by language and newest first, custom runtimes last.
    pub fn names(&self) -> Vec<String> {
        let mut installed = self.installed.clone();
        installed.sort_by_key(|one| (one.language, std::cmp::Reverse(one.version)));
        let mut names: Vec<String> = installed.iter().map(Installed::runtime).collect();
        names.dedup();
        names.extend(CUSTOM.map(str::to_owned));
        names
    }

    /// Chooses what runs `runtime`: the version asked for, and of several micro versions the first; else the nearest
    /// of the same major version, with a warning, unless names are taken strictly. Only Python's names have a minor
    /// version, so that a function for Node.js or Java always gets the major version that it names.
    ///
    /// # Errors
    /// [`NotAvailable`] if there is no such language in that major version, or no such version.
    pub fn choose(&self, runtime: &str) -> Result<Chosen, NotAvailable> {
        let (language, major, minor) = match Wanted::parse(runtime) {
            Some(Wanted::Custom) => return Ok(Chosen { index: None, warning: None }),
            Some(Wanted::Language(language, major, minor)) => (language, major, minor),
            None => return Err(self.without(runtime)),
        };
        let far = |one: &Installed| minor.map_or(0, |minor| one.version.1.abs_diff(minor));
        let candidates = self.installed.iter().enumerate();
        let nearest = candidates
            .filter(|(_, one)| one.language == language && one.version.0 == major)
            .filter(|(_, one)| !self.strict || far(one) == 0)
            .min_by_key(|(_, one)| far(one));
        let (index, nearest) = nearest.ok_or_else(|| self.without(runtime))?;
        let warning = (far(nearest) > 0)
            .then(|| format!("{runtime} is not on this machine; the function runs on {nearest}"));
        Ok(Chosen { index: Some(index), warning })
    }

    fn without(&self, runtime: &str) -> NotAvailable {
        NotAvailable { runtime: runtime.to_owned(), available: self.names().join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtimes(installed: &[(Language, u32, u32)]) -> Runtimes {
        let one = |(language, major, minor): &(Language, u32, u32)| Installed {
            language: *language,
            version: (*major, *minor, 1),
        };
        Runtimes { installed: installed.iter().map(one).collect(), strict: false }
    }

    #[test]
    fn names_are_read() {
        for (name, wanted) in [
            ("python3.12", Some(Wanted::Language(Language::Python, 3, Some(12)))),
            ("nodejs20.x", Some(Wanted::Language(Language::NodeJs, 20, None))),
            ("java21", Some(Wanted::Language(Language::Java, 21, None))),
            ("java8.al2", Some(Wanted::Language(Language::Java, 8, None))),
            ("provided.al2023", Some(Wanted::Custom)),
            ("python3", None),
            ("nodejs20", None),
            ("nodejs", None),
            ("java+17", None),
            ("ruby3.3", None),
            ("", None),
        ] {
            assert_eq!(Wanted::parse(name), wanted, "{name}");
        }
    }

    #[test]
    fn the_version_asked_for_is_chosen_silently() {
        let python = Language::Python;
        let chosen = runtimes(&[(python, 3, 11), (python, 3, 12)]).choose("python3.12").unwrap();
        assert_eq!(chosen, Chosen { index: Some(1), warning: None });
        assert_eq!(runtimes(&[]).choose("provided").unwrap(), Chosen { index: None, warning: None });
    }

    #[test]
    fn another_minor_version_comes_with_a_warning_or_not_at_all() {
        let python = Language::Python;
        let mut some = runtimes(&[(python, 3, 10), (python, 3, 13)]);
        let chosen = some.choose("python3.12").unwrap();
        assert_eq!(chosen.index, Some(1));
        assert_eq!(
            chosen.warning.as_deref(),
            Some("python3.12 is not on this machine; the function runs on Python 3.13.1")
        );
        some.strict = true;
        assert_eq!(
            some.choose("python3.12").unwrap_err().to_string(),
            "The runtime python3.12 is not available here. Available: python3.13, python3.10, provided.al2023, \
             provided.al2, provided."
        );
    }

    #[test]
    fn another_major_version_never_is_chosen() {
        let some = runtimes(&[(Language::NodeJs, 20, 11), (Language::Java, 17, 0)]);
        assert!(some.choose("nodejs22.x").is_err() && some.choose("java21").is_err());
        assert_eq!(some.choose("nodejs20.x").unwrap().index, Some(0));
        assert_eq!(some.choose("java17").unwrap().index, Some(1));
        assert_eq!(some.choose("ruby3.3").unwrap_err().runtime, "ruby3.3");
    }
}
