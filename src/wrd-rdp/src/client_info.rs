//! What lets a client in, in a Client Info PDU (MS-RDPBCGR 2.2.1.11): taking the credentials and the cookie out, and
//! blanking password and cookie.
//!
//! Decoded here and not by `ironrdp-pdu`, so that no copy of the secrets is left behind in a plain
//! `String`. Blank a PDU before anything else sees it.

use crate::framing::{Kind, measure};
use ironrdp_core::decode;
use ironrdp_pdu::mcs::SendDataRequest;
use ironrdp_pdu::x224::X224;
use std::ops::Range;
use wrd_proto::reconnect::Claim;
use wrd_proto::{Key, Secret, UserName};
use zeroize::{Zeroize, Zeroizing};

/// Who the client says is there.
#[derive(Clone, Debug, Default)]
pub struct ClientInfo {
    /// Empty where the client sent none.
    pub user: UserName,
    pub domain: UserName,
    /// `None` where the client sent none, or what cannot be one: it is never tried in another form than it was sent in.
    pub password: Option<Secret>,
    /// The client asks to log in with these without further question.
    pub autologon: bool,
    /// The client had a session before its line was cut, and says which.
    pub returning: Option<Claim>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientInfoError {
    #[error("client info is no send data request")]
    Envelope,
    #[error("client info ends too early")]
    TooShort,
    #[error("the user name or domain in client info is too long")]
    TooLong,
}

/// INFO_AUTOLOGON and INFO_UNICODE (MS-RDPBCGR 2.2.1.11.1.1).
const AUTOLOGON: u32 = 0x8;
const UNICODE: u32 = 0x10;
/// Security header (4), CodePage (4), flags (4), five lengths (2 each).
const FIXED: usize = 22;
const FLAGS_AT: usize = 8;
const LENGTHS_AT: usize = 12;
/// ARC_CS_PRIVATE_PACKET (MS-RDPBCGR 2.2.4.3): cbLen, Version, LogonId (4 each), SecurityVerifier (16).
const COOKIE: usize = 28;
const COOKIE_VERSION: u32 = 1;
/// TS_TIME_ZONE_INFORMATION, clientSessionId and performanceFlags, which stand before it (2.2.1.11.1.1.1).
const BEFORE_COOKIE: usize = 172 + 4 + 4;

/// The credentials in a whole Client Info PDU.
pub fn decode_client_info(pdu: &[u8]) -> Result<ClientInfo, ClientInfoError> {
    let fields = Fields::find(pdu)?;
    let text = |range: Range<usize>| {
        let text = fields.text(pdu.get(range).unwrap_or_default());
        UserName::try_from(text.as_str()).map_err(|_| ClientInfoError::TooLong)
    };
    let sent = pdu.get(fields.password.clone()).unwrap_or_default();
    let password = fields.is_whole(sent).then(|| fields.text(sent)).filter(|text| !text.is_empty());
    // One that is too long leads to the login screen as well.
    let password = password.and_then(|text| Secret::new(text.as_bytes().to_vec()).ok());
    Ok(ClientInfo {
        user: text(fields.user.clone())?,
        domain: text(fields.domain.clone())?,
        password,
        autologon: fields.flags & AUTOLOGON != 0,
        returning: fields.cookie.clone().and_then(|range| claim(pdu.get(range)?)),
    })
}

/// A well-formed cookie of the only version there is; another one is none.
fn claim(packet: &[u8]) -> Option<Claim> {
    let (words, verifier) = packet.split_at_checked(12)?;
    let word = |at: usize| Some(u32::from_le_bytes(*words.get(at..)?.first_chunk()?));
    let verifier = Key::new(verifier.try_into().ok()?);
    let known = word(0)? == COOKIE as u32 && word(4)? == COOKIE_VERSION;
    known.then_some(Claim { logon_id: word(8)?, verifier })
}

/// Overwrites the password in a whole Client Info PDU with asterisks, and what proves the cookie with zeros; everything
/// else, all lengths too, stays as it is. Where the PDU cannot be understood it is an error and nothing is changed.
pub fn scrub(pdu: &mut [u8]) -> Result<(), ClientInfoError> {
    let fields = Fields::find(pdu)?;
    if let Some(cookie) = &fields.cookie {
        let verifier = cookie.start + 12..cookie.end;
        pdu.get_mut(verifier).ok_or(ClientInfoError::TooShort)?.zeroize();
    }
    let password = pdu.get_mut(fields.password.clone()).ok_or(ClientInfoError::TooShort)?;
    password.zeroize();
    let step = fields.unit();
    for unit in password.chunks_exact_mut(step) {
        unit[0] = b'*';
    }
    Ok(())
}

/// Where the strings stand in the whole PDU, terminators not counted.
struct Fields {
    flags: u32,
    domain: Range<usize>,
    user: Range<usize>,
    password: Range<usize>,
    /// Of the length that it must have, where there is one.
    cookie: Option<Range<usize>>,
}

impl Fields {
    fn find(pdu: &[u8]) -> Result<Self, ClientInfoError> {
        // One whole PDU and nothing behind it, or the tail below is not the user data.
        if !matches!(measure(pdu), Ok(Some((Kind::Tpkt, length))) if length == pdu.len()) {
            return Err(ClientInfoError::Envelope);
        }
        let request = decode::<X224<SendDataRequest<'_>>>(pdu).map_err(|_| ClientInfoError::Envelope)?.0;
        let body: &[u8] = &request.user_data;
        // The user data is the tail of the PDU.
        let at = pdu.len().checked_sub(body.len()).ok_or(ClientInfoError::Envelope)?;
        if pdu.get(at..) != Some(body) {
            return Err(ClientInfoError::Envelope);
        }
        let fixed = body.get(..FIXED).ok_or(ClientInfoError::TooShort)?;
        let flags = fixed.get(FLAGS_AT..).and_then(|f| f.first_chunk()).map_or(0, |f| u32::from_le_bytes(*f));
        let length = |index: usize| {
            let field = fixed.get(LENGTHS_AT + 2 * index..).and_then(|f| f.first_chunk());
            field.map_or(0, |f| usize::from(u16::from_le_bytes(*f)))
        };
        let terminator = if flags & UNICODE != 0 { 2 } else { 1 };
        let domain = at + FIXED..at + FIXED + length(0);
        let user = domain.end + terminator..domain.end + terminator + length(1);
        let password = user.end + terminator..user.end + terminator + length(2);
        if password.end + terminator > pdu.len() {
            return Err(ClientInfoError::TooShort);
        }
        // AlternateShell and WorkingDir, then TS_EXTENDED_INFO_PACKET: clientAddressFamily (2), clientAddress and
        // clientDir behind their lengths, and what stands before the cookie's.
        let length_at = |at: usize| {
            let field: &[u8; 2] = pdu.get(at..)?.first_chunk()?;
            Some(usize::from(u16::from_le_bytes(*field)))
        };
        let cookie = || {
            let strings_end = password.end + terminator + length(3) + terminator + length(4) + terminator;
            let address = strings_end + 2;
            let dir = address + 2 + length_at(address)?;
            let cookie = dir + 2 + length_at(dir)? + BEFORE_COOKIE;
            let range = cookie + 2..cookie + 2 + COOKIE;
            (length_at(cookie)? == COOKIE && range.end <= pdu.len()).then_some(range)
        };
        let cookie = cookie();
        Ok(Self { flags, domain, user, password, cookie })
    }

    fn unit(&self) -> usize {
        if self.flags & UNICODE != 0 { 2 } else { 1 }
    }

    /// Whether [`Fields::text`] leaves nothing out and replaces nothing: behind a NUL there are only more of them, and
    /// UTF-16 is well-formed.
    fn is_whole(&self, bytes: &[u8]) -> bool {
        if self.flags & UNICODE == 0 {
            return bytes.iter().skip_while(|byte| **byte != 0).all(|byte| *byte == 0);
        }
        let units = || bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        bytes.len().is_multiple_of(2)
            && units().skip_while(|unit| *unit != 0).all(|unit| unit == 0)
            && char::decode_utf16(units()).all(|c| c.is_ok())
    }

    /// As UTF-8, up to the first NUL. ANSI without a known code page is UTF-8 where it is valid, else Latin-1.
    fn text(&self, bytes: &[u8]) -> Zeroizing<String> {
        // Reserved in full, so that growing leaves no copy behind.
        let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
        if self.flags & UNICODE != 0 {
            let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
            for c in char::decode_utf16(units.take_while(|unit| *unit != 0)) {
                text.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            return text;
        }
        let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(utf8) => text.push_str(utf8),
            Err(_) => bytes.iter().for_each(|byte| text.push(char::from(*byte))),
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironrdp_core::encode_vec;
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn pdu(flags: u32, domain: &str, user: &str, password: &str) -> Vec<u8> {
        with_tail(flags, domain, user, password, &[2, 0, 0, 0, 0, 0])
    }

    fn with_tail(flags: u32, domain: &str, user: &str, password: &str, tail: &[u8]) -> Vec<u8> {
        let encode = |text: &str| -> Vec<u8> {
            match flags & UNICODE {
                0 => text.as_bytes().to_vec(),
                _ => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            }
        };
        let fields = [encode(domain), encode(user), encode(password), encode("shell"), encode("")];
        let mut body = vec![0x40, 0, 0, 0, 0, 0, 0, 0];
        body.extend(flags.to_le_bytes());
        for field in &fields {
            body.extend((field.len() as u16).to_le_bytes());
        }
        for field in &fields {
            body.extend_from_slice(field);
            body.extend_from_slice(if flags & UNICODE != 0 { &[0, 0] } else { &[0] });
        }
        body.extend_from_slice(tail);
        encode_vec(&X224(SendDataRequest { initiator_id: 1002, channel_id: 1003, user_data: Cow::Owned(body) }))
            .unwrap()
    }

    #[test]
    fn credentials_come_out_in_unicode_and_ansi() {
        for flags in [UNICODE, UNICODE | AUTOLOGON, 0, AUTOLOGON] {
            let info = decode_client_info(&pdu(flags, "DOM", "jürgen", "päss wörd€")).unwrap();
            assert_eq!((info.domain.as_str(), info.user.as_str()), ("DOM", "jürgen"));
            assert_eq!(info.password.unwrap().expose(), "päss wörd€".as_bytes());
            assert_eq!(info.autologon, flags & AUTOLOGON != 0);
        }
        let info = decode_client_info(&pdu(UNICODE, "", "", "")).unwrap();
        assert!(info.user.is_empty() && info.password.is_none());
    }

    #[test]
    fn a_scrubbed_pdu_is_the_same_but_for_the_password() {
        for flags in [UNICODE, 0] {
            let mut scrubbed = pdu(flags, "d", "alice", "canary");
            scrub(&mut scrubbed).unwrap();
            assert_eq!(scrubbed, pdu(flags, "d", "alice", "******"));
        }
    }

    /// TS_EXTENDED_INFO_PACKET with a cookie.
    fn extended(length: u16, cookie: &[u8]) -> Vec<u8> {
        let mut tail = vec![2, 0, 4, 0, b'1', 0, 0, 0, 6, 0, b'c', 0, b':', 0, 0, 0];
        tail.extend([0; BEFORE_COOKIE]);
        tail.extend(length.to_le_bytes());
        tail.extend_from_slice(cookie);
        tail
    }

    fn cookie(cb_len: u32, version: u32) -> Vec<u8> {
        let words = [cb_len, version, 0x0102_0304].map(u32::to_le_bytes).concat();
        [words, vec![0xa5; 16]].concat()
    }

    #[test]
    fn a_cookie_comes_out_and_is_blanked() {
        for flags in [UNICODE, 0] {
            let mut with = with_tail(flags, "d", "alice", "", &extended(28, &cookie(28, 1)));
            let claim = decode_client_info(&with).unwrap().returning.unwrap();
            assert_eq!(claim, Claim { logon_id: 0x0102_0304, verifier: Key::new([0xa5; 16]) });
            scrub(&mut with).unwrap();
            let blank = [&cookie(28, 1)[..12], &[0; 16]].concat();
            assert_eq!(with, with_tail(flags, "d", "alice", "", &extended(28, &blank)));
            // The acceptor sees the cookie where we see it.
            let request = decode::<X224<SendDataRequest<'_>>>(&with).unwrap().0;
            let info = decode::<ironrdp_pdu::rdp::ClientInfoPdu>(&request.user_data).unwrap().client_info;
            let theirs = info.extra_info.optional_data.reconnect_cookie().unwrap();
            assert_eq!(theirs[..], *blank);
        }
    }

    #[test]
    fn a_malformed_cookie_is_none_and_one_of_the_right_length_is_blanked_all_the_same() {
        let none = |length, cookie: &[u8]| {
            let pdu = with_tail(UNICODE, "d", "alice", "x", &extended(length, cookie));
            let info = decode_client_info(&pdu).unwrap();
            assert!(info.returning.is_none() && info.password.is_some());
            pdu
        };
        none(0, &[]);
        none(27, &cookie(28, 1));
        none(29, &[cookie(28, 1), vec![0]].concat());
        none(0xffff, &cookie(28, 1));
        none(28, &cookie(28, 1)[..27]);
        for bad in [cookie(27, 1), cookie(28, 2), cookie(0xffff_ffff, 1)] {
            let mut pdu = none(28, &bad);
            scrub(&mut pdu).unwrap();
            assert!(!pdu.windows(2).any(|pair| pair == [0xa5; 2]));
        }
    }

    #[test]
    fn lengths_beyond_the_pdu_are_an_error_and_change_nothing() {
        let mut bad = pdu(UNICODE, "d", "alice", "canary");
        // TPKT (4), X.224 (3), MCS (7), then the info packet with the password's length.
        let at = 14 + LENGTHS_AT + 4;
        assert_eq!(bad[at..at + 2], [12, 0]);
        bad[at..at + 2].fill(0xff);
        let before = bad.clone();
        assert!(scrub(&mut bad).is_err());
        assert_eq!(bad, before);
        assert!(decode_client_info(&bad).is_err());
    }

    #[test]
    fn a_password_is_taken_as_it_was_sent_or_not_at_all() {
        let password = |flags, text: &str| decode_client_info(&pdu(flags, "d", "alice", text)).unwrap().password;
        let is = |flags, sent: &str, taken: &str| {
            assert_eq!(password(flags, sent).map(|secret| secret.expose().to_vec()), Some(taken.as_bytes().to_vec()));
        };
        for flags in [UNICODE, 0] {
            is(flags, "grün\u{1f511} x", "grün\u{1f511} x");
            is(flags, "right\0", "right");
            is(flags, "right\0\0", "right");
            for odd in ["right\0more", "\0right", "", "\0"] {
                assert!(password(flags, odd).is_none(), "{odd:?}");
            }
            is(flags, &"x".repeat(Secret::MAX), &"x".repeat(Secret::MAX));
            for count in [Secret::MAX + 1, 10_000] {
                assert!(password(flags, &"x".repeat(count)).is_none(), "{count}");
            }
        }
        // Latin-1, and half of a surrogate pair, which is no text.
        let with_bytes = |flags, from: &str, to: &[u8]| {
            let mut pdu = pdu(flags, "d", "alice", from);
            let wanted: Vec<u8> = match flags {
                0 => from.bytes().collect(),
                _ => from.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            };
            let at = pdu.windows(wanted.len()).position(|window| window == wanted).unwrap();
            pdu[at..at + wanted.len()].copy_from_slice(to);
            decode_client_info(&pdu).unwrap().password.map(|secret| secret.expose().to_vec())
        };
        assert_eq!(with_bytes(0, "abc", b"a\xfcc"), Some("aüc".into()));
        assert_eq!(with_bytes(UNICODE, "abc", &[b'a', 0, 0x3d, 0xd8, b'c', 0]), None);
    }

    #[test]
    fn a_user_name_beyond_its_limit_is_refused() {
        assert_eq!(decode_client_info(&pdu(UNICODE, "", &"x".repeat(257), "")).unwrap_err(), ClientInfoError::TooLong);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..400) {
            let _ = decode_client_info(&bytes);
            let _ = scrub(&mut bytes);
            let _ = decode_client_info(&with_tail(UNICODE, "", "", "", &bytes));
            let mut real = with_tail(UNICODE, "dom", "user", "password", &extended(28, &cookie(28, 1)));
            real.truncate(cut);
            let _ = decode_client_info(&real);
            let _ = scrub(&mut real);
        }
    }
}
