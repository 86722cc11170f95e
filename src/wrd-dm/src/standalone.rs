//! What a stand-alone server prints at its start: everything that somebody needs to log in, ready to be
//! pasted; and the one-time password.

use nix::unistd::{User, geteuid};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use zeroize::Zeroizing;

/// A password of four groups of four characters, none of which can be taken for another: 79 bits.
pub fn one_time_password() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut password = Zeroizing::new(String::with_capacity(GROUPS * (GROUP + 1)));
    let mut random = Zeroizing::new([0u8; 64]);
    let mut letters = 0;
    while letters < GROUPS * GROUP {
        getrandom::fill(&mut random[..])?;
        for byte in random.iter().map(|byte| usize::from(byte & 0x1f)) {
            // 31 of 32 values are used, so that each character is equally likely.
            let Some(letter) = ALPHABET.get(byte) else { continue };
            if letters == GROUPS * GROUP {
                break;
            }
            if letters > 0 && letters % GROUP == 0 {
                password.push('-');
            }
            password.push(char::from(*letter));
            letters += 1;
        }
    }
    Ok(password)
}

/// The name of the user who runs this, as they log in with.
pub fn own_name() -> Option<String> {
    User::from_uid(geteuid()).ok().flatten().map(|user| user.name)
}

/// What to print.
pub fn banner(addresses: &[SocketAddr], fingerprint: &str, user: Option<(&str, &str)>) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_banner(&mut out, addresses, fingerprint, user);
    out
}

fn write_banner(
    out: &mut String,
    addresses: &[SocketAddr],
    fingerprint: &str,
    user: Option<(&str, &str)>,
) -> std::fmt::Result {
    writeln!(out, "wrd-dm is ready.\n")?;
    for address in addresses {
        writeln!(out, "  address      {address}")?;
    }
    writeln!(out, "  fingerprint  {fingerprint} (SHA-256)")?;
    match user {
        Some((name, password)) => {
            writeln!(out, "  user         {name}")?;
            writeln!(out, "  password     {password} (until this server ends)")?;
        }
        None => writeln!(out, "  user         any account of this machine, with its password")?,
    }
    let Some(address) = addresses.first().map(|address| reachable(*address)) else { return Ok(()) };
    let (name, password) = user.unwrap_or(("USER", "PASSWORD"));
    writeln!(out, "\nConnect with FreeRDP:\n")?;
    writeln!(out, "  xfreerdp3 /v:{address} /u:{name} /p:{password} /cert:fingerprint:sha256:{fingerprint} /gfx")?;
    writeln!(out, "\nwith Remmina (it asks for the password):\n")?;
    writeln!(out, "  remmina -c rdp://{name}@{address}")?;
    writeln!(out, "\nfrom Windows, with mstsc (Remote Desktop Connection):\n")?;
    writeln!(out, "  Computer   {address}")?;
    writeln!(out, "  User name  {name}")?;
    writeln!(out, "  The password is asked for on the screen that follows.")?;
    writeln!(out, "\nCtrl-C ends it, and all of its sessions.")
}

/// An address that a client can use, where `address` is all addresses of this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Without i, l, o, 0 and 1.
const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
const GROUP: usize = 4;
const GROUPS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_readable_and_differ() {
        let (a, b) = (one_time_password().unwrap(), one_time_password().unwrap());
        assert_ne!(*a, *b);
        for password in [a, b] {
            let groups: Vec<&str> = password.split('-').collect();
            assert_eq!(groups.len(), 4);
            assert!(groups.iter().all(|g| g.len() == 4 && g.bytes().all(|b| ALPHABET.contains(&b))), "{groups:?}");
        }
    }

    #[test]
    fn the_banner_has_lines_to_paste() {
        let text = banner(&["0.0.0.0:3390".parse().unwrap()], "aa:bb", Some(("alice", "abcd-efgh")));
        assert!(text.contains("  address      0.0.0.0:3390\n"));
        assert!(
            text.contains("  xfreerdp3 /v:127.0.0.1:3390 /u:alice /p:abcd-efgh /cert:fingerprint:sha256:aa:bb /gfx\n")
        );
        assert!(text.contains("  remmina -c rdp://alice@127.0.0.1:3390\n"));
        let text = banner(&["[::1]:3389".parse().unwrap()], "aa:bb", None);
        assert!(text.contains("/v:[::1]:3389 /u:USER "));
    }
}
