//! Network devices of the present network namespace.

use super::check;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::fs::{File, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// The file whose opening makes a device.
const TUN: &str = "/dev/net/tun";

/// An empty request for the device `name`, which has at most 15 bytes.
fn request(name: &str) -> libc::ifreq {
    // SAFETY: an all-zero `ifreq` is a valid value of that plain C structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name[..libc::IFNAMSIZ - 1].iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request
}

/// An address as the kernel's requests carry it.
fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from(address).to_be() },
        sin_zero: [0; 8],
    };
    // SAFETY: both are plain C structures of the same size, of which `sockaddr` is the general form.
    unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(address) }
}

fn control() -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?)
}

/// Switches the device `name` on.
pub(crate) fn raise(name: &str) -> io::Result<()> {
    let mut request = request(name);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: `request` is an `ifreq` that outlives the call, as SIOCSIFFLAGS demands.
    check(unsafe { libc::ioctl(control()?.as_raw_fd(), libc::SIOCSIFFLAGS, &request) }.into())?;
    Ok(())
}

/// Makes a device `name` whose packets are written to and read from the descriptor that comes back, one at a time
/// and bare. It goes when the descriptor or the network namespace does.
pub(crate) fn tunnel(name: &str) -> io::Result<OwnedFd> {
    let mut open = OpenOptions::new();
    let file: File = open.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(TUN)?;
    let mut request = request(name);
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: `request` is an `ifreq` that outlives the call, as TUNSETIFF demands.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &mut request) }.into())?;
    Ok(file.into())
}

/// Gives the device `name` its only address, the longest packet in bytes, and all traffic to elsewhere.
pub(crate) fn equip(name: &str, address: Ipv4Addr, longest: u16) -> io::Result<()> {
    let control = control()?;
    let mut with_length = request(name);
    with_length.ifr_ifru.ifru_mtu = longest.into();
    // SAFETY: `with_length` is an `ifreq` that outlives the call, as SIOCSIFMTU demands.
    check(unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCSIFMTU, &with_length) }.into())?;
    let mut with_address = request(name);
    with_address.ifr_ifru.ifru_addr = socket_address(address);
    // SAFETY: `with_address` is an `ifreq` that outlives the call, as SIOCSIFADDR demands.
    check(unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCSIFADDR, &with_address) }.into())?;
    raise(name)?;
    let mut device = request(name).ifr_name;
    // SAFETY: an all-zero `rtentry` is a valid value of that plain C structure.
    let mut route: libc::rtentry = unsafe { std::mem::zeroed() };
    (route.rt_dst, route.rt_genmask) =
        (socket_address(Ipv4Addr::UNSPECIFIED), socket_address(Ipv4Addr::UNSPECIFIED));
    (route.rt_flags, route.rt_dev) = (libc::RTF_UP, device.as_mut_ptr());
    // SAFETY: `route` is an `rtentry` whose name of a device ends with a zero; both outlive the call.
    check(unsafe { libc::ioctl(control.as_raw_fd(), libc::SIOCADDRT, &route) }.into())?;
    Ok(())
}
