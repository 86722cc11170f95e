//! Records for the kernel's audit log (auditd(8), ausearch(8)): who has logged in, or has not been let in, and from where.
//!
//! As libaudit writes them (its `audit_log_acct_message`), which is what the readers of that log read. Always true: what
//! a stranger has chosen cannot end its field; where there is no audit (another kernel, a container, an ordinary user)
//! nothing happens and nothing is wrong, as libaudit has it. Nothing is waited for here; but a kernel whose queue of
//! records is full makes everybody wait who writes one, PAM's modules likewise. Deliberately absent: reading the log.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv, send, socket,
};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A login, however it went.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub who: Who<'a>,
    /// Where it came from, if that has an address.
    pub address: Option<IpAddr>,
    /// What PAM calls our terminals: a word of our own.
    pub terminal: &'static str,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// What somebody says they are called, whether there is such an account or not.
    Named(&'a str),
    /// An account that was let in.
    Uid(u32),
}

#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    Success,
    Failed,
}

impl Login<'_> {
    /// Writes the record.
    pub fn record(&self) -> nix::Result<()> {
        let program = std::fs::read_link("/proc/self/exe").unwrap_or_else(|_| "?".into());
        match write(&message(USER_LOGIN, &self.text(&program))) {
            Err(errno) if NO_AUDIT.contains(&errno) => Ok(()),
            written => written,
        }
    }

    fn text(&self, program: &Path) -> String {
        let who = match self.who {
            Who::Named(name) => format!("acct={}", encoded(name.as_bytes())),
            Who::Uid(uid) => format!("id={uid}"),
        };
        let program = encoded(program.as_os_str().as_bytes());
        let address = self.address.map_or_else(|| "?".to_owned(), |address| address.to_string());
        let (terminal, outcome) = (self.terminal, self.outcome.word());
        format!("op=login {who} exe={program} hostname=? addr={address} terminal={terminal} res={outcome}")
    }
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }
}

/// What others have chosen, as the value of a field: in quotes, or in hex where something in it might be taken for more
/// than a part of it (`audit_encode_nv_string`).
fn encoded(value: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"';
    match std::str::from_utf8(value) {
        Ok(text) if value.iter().all(plain) => format!("\"{text}\""),
        _ => value.iter().map(|byte| format!("{byte:02X}")).collect(),
    }
}

/// A netlink message (netlink(7)) with `text` and the NUL that the kernel wants behind it.
fn message(kind: u16, text: &str) -> Vec<u8> {
    let length = HEADER + text.len() + 1;
    let mut message = Vec::with_capacity(length.next_multiple_of(4));
    message.extend((length as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST | ACK).to_ne_bytes());
    // Its number, and who sends it, which the kernel knows.
    message.extend([1_u32, 0].map(u32::to_ne_bytes).as_flattened());
    message.extend(text.as_bytes());
    message.push(0);
    message.resize(length.next_multiple_of(4), 0);
    message
}

fn write(message: &[u8]) -> nix::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkAudit)?;
    // To the kernel, and nobody else is heard.
    connect(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    send(socket.as_raw_fd(), message, MsgFlags::empty())?;
    let mut answer = [0; ANSWER];
    // It answers before it returns from the call above. Where it has not, it has not refused.
    match recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty()) {
        Ok(ANSWER) => verdict(answer),
        Ok(_) => Err(Errno::EBADMSG),
        Err(Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// What the kernel says of a message.
fn verdict(answer: [u8; ANSWER]) -> nix::Result<()> {
    // The header has its length and its kind first; the error stands behind it, a negative number.
    let [_, _, _, _, k0, k1, .., e0, e1, e2, e3] = answer;
    match (u16::from_ne_bytes([k0, k1]), i32::from_ne_bytes([e0, e1, e2, e3])) {
        (ERROR, 0) => Ok(()),
        (ERROR, error) => Err(Errno::from_raw(error.saturating_neg())),
        _ => Err(Errno::EBADMSG),
    }
}

/// AUDIT_USER_LOGIN of linux/audit.h.
const USER_LOGIN: u16 = 1112;
/// NLM_F_REQUEST, NLM_F_ACK and NLMSG_ERROR of linux/netlink.h.
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const ERROR: u16 = 2;
/// Of a message, in bytes.
const HEADER: usize = 16;
/// An answer up to its error; what follows is our own message again.
const ANSWER: usize = HEADER + 4;
/// How it is said that there is no audit here, or none for us.
const NO_AUDIT: [Errno; 5] =
    [Errno::ECONNREFUSED, Errno::EPERM, Errno::EPROTONOSUPPORT, Errno::EAFNOSUPPORT, Errno::EINVAL];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(who: Who<'_>, address: Option<&str>, outcome: Outcome) -> String {
        let address = address.map(|address| address.parse().unwrap());
        Login { who, address, terminal: "wrd", outcome }.text(Path::new("/usr/libexec/wrd-dm/wrd-leader"))
    }

    #[test]
    fn a_record_reads_as_those_of_others() {
        // As sshd of Debian 13 writes them, but for the program and the terminal (of a success also a host's name).
        assert_eq!(
            text(Who::Named("alice"), Some("192.0.2.7"), Outcome::Failed),
            "op=login acct=\"alice\" exe=\"/usr/libexec/wrd-dm/wrd-leader\" hostname=? addr=192.0.2.7 terminal=wrd res=failed"
        );
        assert_eq!(
            text(Who::Uid(1000), Some("2001:db8::7"), Outcome::Success),
            "op=login id=1000 exe=\"/usr/libexec/wrd-dm/wrd-leader\" hostname=? addr=2001:db8::7 terminal=wrd res=success"
        );
        assert!(text(Who::Uid(0), None, Outcome::Failed).contains(" addr=? "));
    }

    #[test]
    fn names_that_might_be_more_than_a_name_are_hex() {
        for (name, encoding) in [
            ("a b", "612062"),
            ("x\" res=success", "7822207265733D73756363657373"),
            ("x\nres", "780A726573"),
            ("\0", "00"),
            ("é", "C3A9"),
            ("\u{7f}", "7F"),
            ("DOM\\o'neill@example.org", "\"DOM\\o'neill@example.org\""),
            ("", "\"\""),
        ] {
            assert_eq!(encoded(name.as_bytes()), encoding, "{name:?}");
        }
    }

    #[test]
    fn a_message_is_as_long_as_it_says_and_ends_with_a_nul() {
        let login = message(USER_LOGIN, "op=x");
        assert_eq!(login[..4], 21_u32.to_ne_bytes());
        assert_eq!(login[4..6], 1112_u16.to_ne_bytes());
        assert_eq!(login[6..8], 5_u16.to_ne_bytes());
        assert_eq!(login[8..16], [1_u32.to_ne_bytes(), [0; 4]].concat());
        assert_eq!(login[16..], *b"op=x\0\0\0\0");
    }

    #[test]
    fn the_kernel_is_understood() {
        let answer = |kind: u16, error: i32| {
            let mut answer = [0xff; ANSWER];
            answer[4..6].copy_from_slice(&kind.to_ne_bytes());
            answer[16..].copy_from_slice(&error.to_ne_bytes());
            verdict(answer)
        };
        assert_eq!(answer(ERROR, 0), Ok(()));
        assert_eq!(answer(ERROR, -1), Err(Errno::EPERM));
        assert_eq!(answer(ERROR, i32::MIN), Err(Errno::UnknownErrno));
        assert_eq!(answer(3, 0), Err(Errno::EBADMSG));
    }

    /// Reads a value as ausearch does.
    fn decoded(value: &str) -> Vec<u8> {
        if let Some(quoted) = value.strip_prefix('"') {
            return quoted.strip_suffix('"').unwrap().into();
        }
        let digits = value.as_bytes().chunks_exact(2).map(|two| std::str::from_utf8(two).unwrap());
        digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect()
    }

    proptest! {
        #[test]
        fn no_name_makes_a_record_say_something_else(name in ".*|[ \"=\\\\\\x00-\\x7f]*") {
            let text = text(Who::Named(&name), Some("192.0.2.7"), Outcome::Failed);
            let fields: Vec<_> = text.split(' ').map(|field| field.split_once('=').unwrap()).collect();
            let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            prop_assert_eq!(names, ["op", "acct", "exe", "hostname", "addr", "terminal", "res"]);
            prop_assert_eq!(decoded(fields[1].1), name.as_bytes());
            prop_assert_eq!(fields[6].1, "failed");
        }
    }
}
