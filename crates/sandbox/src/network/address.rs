//! Which addresses a function may reach: pure, by table.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses, for instance `10.1.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: IpAddr,
    /// How many bits all its addresses share.
    length: u8,
}

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// It is not of the form `address/length`.
    #[error("{0} is not a range of addresses such as 10.1.0.0/16 or 10.1.2.3")]
    Form(String),
    /// Its address has bits that the length does not cover.
    #[error("{0} is not the beginning of a range of that length; the range is {1}")]
    NotFirst(String, Range),
}

impl Range {
    const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Range {
        Range { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), length }
    }

    const fn v6(high: [u16; 4], length: u8) -> Range {
        let [a, b, c, d] = high;
        Range { first: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), length }
    }

    /// Whether `address` lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differing = bits(address) ^ bits(self.first);
        address.is_ipv4() == self.first.is_ipv4() && differing.checked_shr(self.rest()).unwrap_or(0) == 0
    }

    /// Whether every address of `other` lies in the range.
    fn covers(&self, other: &Range) -> bool {
        self.length <= other.length && self.contains(other.first)
    }

    /// Whether it is one single address.
    fn is_one(&self) -> bool {
        self.rest() == 0
    }

    /// How many bits tell its addresses apart.
    fn rest(&self) -> u32 {
        width(self.first) - u32::from(self.length)
    }
}

/// How many bits an address has.
fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Range, RangeError> {
        let form = || RangeError::Form(text.to_owned());
        let (address, length) = text.split_once('/').unwrap_or((text, ""));
        let first: IpAddr = address.parse().map_err(|_| form())?;
        let most = width(first);
        let length = if text.contains('/') { length.parse().map_err(|_| form())? } else { most };
        if length > most {
            return Err(form());
        }
        let kept = u128::MAX.checked_shl(most - length).unwrap_or(0);
        let beginning = bits(first) & kept;
        let range = |first| Range { first, length: length as u8 };
        if beginning == bits(first) {
            return Ok(range(first));
        }
        let beginning = match first {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(beginning as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(beginning)),
        };
        Err(RangeError::NotFirst(text.to_owned(), range(beginning)))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

/// What is never opened, whatever is listed: these are no destinations of their own, or lead back to this machine.
const NEVER: [(Range, &str); 7] = [
    (Range::v4(0, 0, 0, 0, 8), "this network"),
    (Range::v4(127, 0, 0, 0, 8), "loopback"),
    (Range::v4(224, 0, 0, 0, 4), "multicast"),
    (Range::v4(255, 255, 255, 255, 32), "broadcast"),
    // The first 96 bits are zero: unspecified, loopback, and IPv4 in a form that nobody uses any more.
    (Range::v6([0; 4], 96), "this host"),
    (Range::v6([0xff00, 0, 0, 0], 8), "multicast"),
    (Range::v6([0xfec0, 0, 0, 0], 10), "site-local"),
];

/// What is closed unless it is listed. Sources: the IANA registries of special-purpose addresses,
/// <https://www.iana.org/assignments/iana-ipv4-special-registry> and
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>.
const CLOSED: [(Range, &str); 23] = [
    (Range::v4(10, 0, 0, 0, 8), "private"),
    (Range::v4(100, 64, 0, 0, 10), "shared by carriers"),
    // Holds the metadata service of clouds, 169.254.169.254, and those of containers beside it.
    (Range::v4(169, 254, 0, 0, 16), "link-local"),
    // Azure's service for virtual machines has a public address that is reachable from them only.
    (Range::v4(168, 63, 129, 16, 32), "metadata"),
    (Range::v4(172, 16, 0, 0, 12), "private"),
    (Range::v4(192, 0, 0, 0, 24), "protocol assignments"),
    (Range::v4(192, 0, 2, 0, 24), "documentation"),
    (Range::v4(192, 88, 99, 0, 24), "former 6to4 relays"),
    (Range::v4(192, 168, 0, 0, 16), "private"),
    (Range::v4(198, 18, 0, 0, 15), "benchmarks"),
    (Range::v4(198, 51, 100, 0, 24), "documentation"),
    (Range::v4(203, 0, 113, 0, 24), "documentation"),
    (Range::v4(240, 0, 0, 0, 4), "reserved"),
    (Range::v6([0x64, 0xff9b, 1, 0], 48), "local translation to IPv4"),
    (Range::v6([0x100, 0, 0, 0], 64), "discarded"),
    (Range::v6([0x2001, 0, 0, 0], 23), "protocol assignments"),
    (Range::v6([0x2001, 0xdb8, 0, 0], 32), "documentation"),
    (Range::v6([0x3fff, 0, 0, 0], 20), "documentation"),
    (Range::v6([0x5f00, 0, 0, 0], 16), "segment routing"),
    // Holds fd00:ec2::254, the metadata service of EC2.
    (Range::v6([0xfc00, 0, 0, 0], 7), "private"),
    (Range::v6([0xfe80, 0, 0, 0], 10), "link-local"),
    // What IANA has not given to anybody: all but 2000::/3.
    (Range::v6([0x4000, 0, 0, 0], 2), "reserved"),
    (Range::v6([0x8000, 0, 0, 0], 1), "reserved"),
];

/// The addresses that a node's functions may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    open: Vec<Range>,
}

impl Addresses {
    /// The public addresses, and those in `open`.
    ///
    /// # Errors
    /// The range of `open` that cannot be opened, and why.
    pub fn new(open: Vec<Range>) -> Result<Addresses, (Range, &'static str)> {
        for range in &open {
            if let Some((_, what)) = NEVER.iter().find(|(never, _)| never.covers(range)) {
                return Err((*range, what));
            }
        }
        Ok(Addresses { open })
    }

    /// Whether a function may reach `address`, or why not. `own` says that it is one of this machine's own: those
    /// are open only if they are listed one by one, for with a whole network one seldom means the machine itself.
    pub fn check(&self, address: IpAddr, own: bool) -> Result<(), &'static str> {
        if let Some(inner) = translated(address) {
            // The IPv6 form is written down by nobody: what is listed is the IPv4 address behind it.
            return self.check(IpAddr::V4(inner), own);
        }
        let within = |ranges: &[(Range, &'static str)]| {
            ranges.iter().find(|(range, _)| range.contains(address)).map(|(_, what)| *what)
        };
        let opened = |range: &Range| range.contains(address) && (range.is_one() || !own);
        match within(&NEVER) {
            Some(what) => Err(what),
            None if self.open.iter().any(opened) => Ok(()),
            None if own => Err("this machine"),
            None => within(&CLOSED).map_or(Ok(()), Err),
        }
    }
}

/// The IPv4 address that an IPv6 address leads to: IPv4-mapped, through a translator (NAT64), or a tunnel (6to4).
fn translated(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let of = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(open: &[&str]) -> Addresses {
        Addresses::new(open.iter().map(|range| range.parse().unwrap()).collect()).unwrap()
    }

    fn check(open: &[&str], address: &str, own: bool) -> Result<(), &'static str> {
        addresses(open).check(address.parse().unwrap(), own)
    }

    #[test]
    fn public_addresses_are_open_and_all_others_closed() {
        let open = [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "2a00::1",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
            "2002:808:808::1",
        ];
        for address in open {
            assert_eq!(check(&[], address, false), Ok(()), "{address}");
            assert_eq!(check(&[], address, true), Err("this machine"), "{address}");
        }
        let closed = [
            ("0.0.0.0", "this network"),
            ("0.1.2.3", "this network"),
            ("10.0.0.0", "private"),
            ("10.255.255.255", "private"),
            ("100.64.0.0", "shared by carriers"),
            ("100.100.100.200", "shared by carriers"),
            ("100.127.255.255", "shared by carriers"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.255", "loopback"),
            ("168.63.129.16", "metadata"),
            ("169.254.0.0", "link-local"),
            ("169.254.169.254", "link-local"),
            ("169.254.170.2", "link-local"),
            ("172.16.0.0", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "protocol assignments"),
            ("192.0.2.1", "documentation"),
            ("192.88.99.1", "former 6to4 relays"),
            ("192.168.0.1", "private"),
            ("198.18.0.1", "benchmarks"),
            ("198.19.255.255", "benchmarks"),
            ("198.51.100.1", "documentation"),
            ("203.0.113.1", "documentation"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "broadcast"),
            ("::", "this host"),
            ("::1", "this host"),
            ("::7f00:1", "this host"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:10.1.2.3", "private"),
            ("::ffff:169.254.169.254", "link-local"),
            ("64:ff9b::192.168.0.1", "private"),
            ("64:ff9b:1::8.8.8.8", "local translation to IPv4"),
            ("2002:a00:1::1", "private"),
            ("2002:7f00:1::", "loopback"),
            ("100::1", "discarded"),
            ("2001::1", "protocol assignments"),
            ("2001:db8::1", "documentation"),
            ("3fff::1", "documentation"),
            ("5f00::1", "segment routing"),
            ("fc00::1", "private"),
            ("fd00:ec2::254", "private"),
            ("fe80::1", "link-local"),
            ("fec0::1", "site-local"),
            ("ff02::1", "multicast"),
            ("4000::1", "reserved"),
            ("7fff::1", "reserved"),
            ("8000::1", "reserved"),
            ("e000::1", "reserved"),
        ];
        for (address, what) in closed {
            assert_eq!(check(&[], address, false), Err(what), "{address}");
        }
    }

    #[test]
    fn what_is_listed_is_open_and_no_more() {
        let open = ["10.1.0.0/16", "169.254.169.254", "fd12::/16"];
        for address in ["10.1.0.0", "10.1.255.255", "169.254.169.254", "::ffff:10.1.2.3", "fd12::1"] {
            assert_eq!(check(&open, address, false), Ok(()), "{address}");
        }
        for address in ["10.0.255.255", "10.2.0.0", "169.254.169.253", "fd13::1", "192.168.0.1"] {
            assert!(check(&open, address, false).is_err(), "{address}");
        }
        let all = ["0.0.0.0/0", "::/0"];
        for address in ["127.0.0.1", "0.0.0.0", "::1", "224.0.0.1", "255.255.255.255", "::ffff:127.0.0.1"] {
            assert!(check(&all, address, false).is_err(), "{address}");
        }
    }

    #[test]
    fn the_machine_s_own_addresses_are_opened_one_by_one() {
        assert_eq!(check(&["10.0.0.0/8"], "10.1.2.3", true), Err("this machine"));
        assert_eq!(check(&["0.0.0.0/0"], "8.8.8.8", true), Err("this machine"));
        assert_eq!(check(&["10.1.2.3"], "10.1.2.3", true), Ok(()));
        assert_eq!(check(&["10.1.2.3/32"], "10.1.2.4", true), Err("this machine"));
    }

    #[test]
    fn ranges_are_read_strictly() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "::/129",
            "example.com",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(text.parse::<Range>(), Err(RangeError::Form(text.to_owned())));
        }
        let error = "10.1.2.3/16".parse::<Range>().unwrap_err().to_string();
        assert!(error.ends_with("the range is 10.1.0.0/16"), "{error}");
        for (text, shown) in
            [("1.2.3.4", "1.2.3.4/32"), ("0.0.0.0/0", "0.0.0.0/0"), ("::1", "::1/128"), ("::/0", "::/0")]
        {
            assert_eq!(text.parse::<Range>().unwrap().to_string(), shown);
        }
        for never in ["127.0.0.0/8", "127.0.0.1", "224.0.0.0/4", "::1", "ff02::/16"] {
            let range: Range = never.parse().unwrap();
            assert_eq!(Addresses::new(vec![range]).unwrap_err().0, range);
        }
    }

    #[test]
    fn an_address_and_its_ipv6_forms_have_the_same_answer() {
        let addresses = addresses(&["10.1.0.0/16"]);
        // A stride that is prime to the number of addresses visits them all over the place.
        for step in 0..200_000u32 {
            let inner = Ipv4Addr::from_bits(step.wrapping_mul(2_654_435_761));
            let [a, b, c, d] = inner.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let answer = addresses.check(inner.into(), false);
            for form in [
                inner.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ] {
                assert_eq!(addresses.check(form.into(), false), answer, "{form}");
            }
            if answer.is_ok() && !inner.octets().starts_with(&[10, 1]) {
                let special = inner.is_private() || inner.is_loopback() || inner.is_link_local();
                assert!(!special && !inner.is_multicast() && !inner.is_documentation(), "{inner}");
            }
        }
    }
}
