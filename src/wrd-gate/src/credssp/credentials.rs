//! What CredSSP is there for: TSCredentials with TSPasswordCreds (MS-CSSP 2.2.1.2).
//!
//! No copy of the password is left behind but the one that is given back, and that one wipes itself.

use super::der::{DerError, INTEGER, OCTET_STRING, Reader, SEQUENCE, unsigned};
use wrd_proto::{Secret, UserName};
use zeroize::Zeroizing;

/// Who the client says is there, and the password that PAM decides by. A client that delegates nothing (Restricted
/// Admin) leaves all three empty.
#[derive(Clone, Debug)]
pub struct Delegated {
    pub user: UserName,
    pub domain: UserName,
    pub password: Secret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    #[error("malformed")]
    Der(#[from] DerError),
    /// 2 is a smart card, 6 is Remote Credential Guard.
    #[error("of kind {0}, and only passwords are served here")]
    Kind(u32),
    #[error("a name or a password that is no text")]
    Text,
    #[error("a name or a password that is too long")]
    TooLong,
}

/// Decodes what `authInfo` had sealed.
pub fn decode(bytes: &[u8]) -> Result<Delegated, CredentialsError> {
    const PASSWORD: u32 = 1;
    let mut outside = Reader::new(bytes);
    let mut fields = outside.enter(SEQUENCE)?;
    outside.end()?;
    let kind = unsigned(fields.read_field(0, INTEGER)?)?;
    if kind != PASSWORD {
        return Err(CredentialsError::Kind(kind));
    }
    let mut inner = Reader::new(fields.read_field(1, OCTET_STRING)?);
    fields.end()?;
    let mut fields = inner.enter(SEQUENCE)?;
    inner.end()?;
    let (domain, user) = (fields.read_field(0, OCTET_STRING)?, fields.read_field(1, OCTET_STRING)?);
    let password = text(fields.read_field(2, OCTET_STRING)?)?;
    fields.end()?;
    let name = |bytes| match text(bytes)? {
        name if name.contains('\0') => Err(CredentialsError::Text),
        name => UserName::try_from(name.as_str()).map_err(|_| CredentialsError::TooLong),
    };
    Ok(Delegated {
        user: name(user)?,
        domain: name(domain)?,
        password: Secret::new(password.as_bytes().to_vec()).map_err(|_| CredentialsError::TooLong)?,
    })
}

/// From UTF-16, strictly.
fn text(bytes: &[u8]) -> Result<Zeroizing<String>, CredentialsError> {
    let (units, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(CredentialsError::Text);
    }
    // Reserved in full, so that growing leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(units.len() * 3));
    for c in char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit))) {
        text.push(c.map_err(|_| CredentialsError::Text)?);
    }
    Ok(text)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::der::{element, field};
    use super::*;
    use proptest::prelude::*;

    pub fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// TSCredentials of a kind with these in them.
    pub fn encode(kind: u8, domain: &[u8], user: &[u8], password: &[u8]) -> Vec<u8> {
        let octets = |number, bytes: &[u8]| element(field(number), &[&element(OCTET_STRING, &[bytes])]);
        let inner = element(SEQUENCE, &[&octets(0, domain), &octets(1, user), &octets(2, password)]);
        let kind = element(field(0), &[&element(INTEGER, &[&[kind]])]);
        element(SEQUENCE, &[&kind, &octets(1, &inner)])
    }

    #[test]
    fn credentials_come_out_whole() {
        let delegated = decode(&encode(1, &utf16("DOM"), &utf16("jürgen"), &utf16("päss wörd€ 🔑\0x"))).unwrap();
        assert_eq!((delegated.user.as_str(), delegated.domain.as_str()), ("jürgen", "DOM"));
        assert_eq!(delegated.password.expose(), "päss wörd€ 🔑\0x".as_bytes());
        assert!(decode(&encode(1, &[], &[], &[])).unwrap().password.is_empty());
    }

    #[test]
    fn what_is_no_password_no_text_or_too_long_is_refused() {
        for kind in [0, 2, 6] {
            assert_eq!(decode(&encode(kind, &[], &[], &[])).unwrap_err(), CredentialsError::Kind(kind.into()));
        }
        let password = |bytes: &[u8]| decode(&encode(1, &[], &utf16("alice"), bytes));
        assert_eq!(password(&[0x00, 0xd8]).unwrap_err(), CredentialsError::Text);
        assert_eq!(password(b"a").unwrap_err(), CredentialsError::Text);
        assert_eq!(password(&utf16(&"x".repeat(1025))).unwrap_err(), CredentialsError::TooLong);
        assert_eq!(password(&utf16(&"x".repeat(10_000))).unwrap_err(), CredentialsError::TooLong);
        assert_eq!(password(&utf16(&"x".repeat(1024))).unwrap().password.expose().len(), 1024);
        assert_eq!(decode(&encode(1, &[], &utf16(&"x".repeat(257)), &[])).unwrap_err(), CredentialsError::TooLong);
        assert_eq!(decode(&encode(1, &[], &utf16("al\0ice"), &[])).unwrap_err(), CredentialsError::Text);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), at in any::<usize>(), with in any::<u8>()) {
            let _ = decode(&bytes);
            let mut bent = encode(1, &utf16("d"), &utf16("alice"), &utf16("canary"));
            let at = at % bent.len();
            bent[at] = with;
            let _ = decode(&bent);
        }
    }
}
