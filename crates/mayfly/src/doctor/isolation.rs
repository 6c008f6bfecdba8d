//! What the doctor says of the walls around functions.

use super::finding::Finding;
use crate::{config, machine};
use model::NetworkPolicy;
use sandbox::{Enforcement, Features};
use std::path::Path;

/// The policy that needs something of the machine.
const INTERNET: &str = "network policy internet";

/// What stands, as the launcher found it out.
pub(super) fn look(features: &Features, wanted: &config::Network) -> Vec<Finding> {
    let namespaces = Finding::used("namespaces", "user, mount, pid, ipc, uts, net: new ones for each event");
    let mut findings = vec![namespaces, seccomp(features), landlock(features), proc(features)];
    findings.push(limit("memory limit", features.memory, "each function's own, over its whole process tree"));
    findings.push(limit("process limit", features.processes, "1,024 processes and threads for each event"));
    findings.push(limit("processor share", features.cpu, "in proportion to the memory size"));
    findings.push(limit("metering", features.metering, "peak memory and processor time of the whole tree"));
    // A function that can use up the machine's memory takes everything else down with it.
    if features.memory == Enforcement::Nothing
        && let Some(finding) = findings.iter_mut().find(|finding| finding.feature == "memory limit")
    {
        *finding = finding.clone().and_unsafe();
    }
    findings.push(copies(features));
    findings.extend(network(features, wanted));
    findings
}

fn seccomp(features: &Features) -> Finding {
    if features.seccomp {
        return Finding::used("seccomp", "an allow-list of system calls");
    }
    let what_to_do = "use a kernel with CONFIG_SECCOMP_FILTER, as Debian's and Fedora's are";
    Finding::missing("seccomp", "this kernel cannot filter system calls", what_to_do).and_unsafe()
}

fn landlock(features: &Features) -> Finding {
    match features.landlock {
        Some(version) => Finding::used("landlock", format!("version {version}: guards files once more")),
        None => Finding::missing(
            "landlock",
            "mounts guard files alone",
            "use Linux 5.13 or later, with landlock in the list of the boot parameter lsm=",
        ),
    }
}

fn proc(features: &Features) -> Finding {
    if features.proc {
        return Finding::used("/proc", "shows an event's own processes only");
    }
    let what_to_do = "in a container: docker run --security-opt systempaths=unconfined, or podman run \
                      --security-opt unmask=ALL";
    Finding::missing("/proc", "absent inside: the machine does not let it be mounted", what_to_do)
}

fn limit(feature: &str, enforced: Enforcement, what: &str) -> Finding {
    let what_to_do = if machine::is_root() {
        "make /sys/fs/cgroup writable; in a container: docker run --privileged --cgroupns=host"
    } else {
        "run as root, or: systemd-run --user --scope -p Delegate=yes mayfly serve"
    };
    match enforced {
        Enforcement::CgroupV1 | Enforcement::CgroupV2 => {
            Finding::used(feature, format!("{what} ({enforced})"))
        }
        Enforcement::Rlimit => {
            Finding::present(feature, format!("for each process alone (rlimit), not: {what}"), what_to_do)
        }
        Enforcement::Nothing if feature == "metering" => {
            Finding::present(feature, format!("process by process and approximate, not: {what}"), what_to_do)
        }
        Enforcement::Nothing => Finding::missing(feature, format!("not enforced: {what}"), what_to_do),
    }
}

/// Whether initialised processes can be copied: the fastest way to a fresh one.
fn copies(features: &Features) -> Finding {
    const COPIES: &str = "copies of processes";
    match &features.templates {
        Ok(()) => Finding::used(COPIES, "a function is initialised once, and copied for each event"),
        Err(reason) => {
            let what_to_do =
                "nothing must be done: processes are started ahead of events instead, and each is used once";
            Finding::missing(COPIES, reason.clone(), what_to_do)
        }
    }
}

/// What functions may be allowed to reach, and what the settings allow.
fn network(features: &Features, wanted: &config::Network) -> Vec<Finding> {
    let config::Network { default, most, .. } = wanted;
    let detail = format!("{default} where a function does not say, {most} at the most");
    let internet = match &features.internet {
        Ok(()) if *most < NetworkPolicy::Internet => {
            Finding::present(INTERNET, format!("possible, but network.most is {most}"), "")
        }
        Ok(()) => Finding::used(INTERNET, "through /dev/net/tun, a device for each event that may use it"),
        Err(reason) => {
            let what_to_do = if Path::new("/dev/net/tun").exists() {
                "in a container: docker run --device /dev/net/tun; functions with other policies are not concerned"
            } else {
                "modprobe tun; in a container: docker run --device /dev/net/tun"
            };
            let missing = Finding::missing(INTERNET, reason.clone(), what_to_do);
            // Then no function runs that does not name another one.
            if *default == NetworkPolicy::Internet { missing.and_unsafe() } else { missing }
        }
    };
    vec![Finding::used("network policies", detail), internet]
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Diagnosis, State};
    use super::*;

    fn features(limits: Enforcement) -> Features {
        Features {
            own_uid: true,
            memory: limits,
            processes: limits,
            cpu: limits,
            metering: limits,
            proc: true,
            seccomp: true,
            landlock: Some(6),
            templates: Ok(()),
            internet: Ok(()),
        }
    }

    fn look_at(features: &Features) -> Vec<Finding> {
        look(features, &config::Network::default())
    }

    #[test]
    fn a_machine_without_a_way_out_is_safe_unless_every_function_wants_one() {
        let features = Features { internet: Err("no tun".into()), ..features(Enforcement::CgroupV2) };
        assert!(Diagnosis::of(look_at(&features)).is_safe());
        let wanted = config::Network { default: NetworkPolicy::Internet, ..config::Network::default() };
        assert!(!Diagnosis::of(look(&features, &wanted)).is_safe());
    }

    #[test]
    fn a_machine_with_everything_is_safe_and_one_without_limits_is_not() {
        let whole = look_at(&features(Enforcement::CgroupV2));
        assert!(whole.iter().all(|finding| finding.state == State::Used), "{whole:?}");
        assert!(Diagnosis::of(whole).is_safe());
        let poor = look_at(&features(Enforcement::Rlimit));
        assert!(poor.iter().any(|finding| finding.state == State::Present && !finding.what_to_do.is_empty()));
        assert!(Diagnosis::of(poor).is_safe());
        assert!(!Diagnosis::of(look_at(&features(Enforcement::Nothing))).is_safe());
    }

    #[test]
    fn whatever_is_missing_says_what_to_do() {
        let features = Features {
            proc: false,
            seccomp: false,
            landlock: None,
            internet: Err("no /dev/net/tun".into()),
            templates: Err("no ptrace".into()),
            ..features(Enforcement::Nothing)
        };
        let findings = look_at(&features);
        let missing: Vec<_> = findings.iter().filter(|finding| finding.state == State::Missing).collect();
        assert!(missing.len() >= 6);
        assert!(missing.iter().all(|finding| !finding.what_to_do.is_empty()), "{missing:?}");
    }
}
