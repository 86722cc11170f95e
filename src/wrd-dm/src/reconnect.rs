//! Makes the cookies that clients come back with. Which of them are good, and when, is the table's.
//!
//! Always true: the monitor keeps what a client will present, and not the cookie.

use crate::monitor::Monitor;
use crate::ntlm::Mac;
use wrd_proto::reconnect::{Claim, Cookie};
use wrd_proto::session::ToSession;
use wrd_proto::{ConnectionId, Key};

/// In the place of the client random, which there is none of under TLS (MS-RDPBCGR 5.5).
const CLIENT_RANDOM: [u8; 32] = [0; 32];

impl Monitor {
    /// A cookie for the attached client of a session, by way of the session's leader. Without one nobody can come back,
    /// and nothing else is wrong.
    pub fn make_cookie(&mut self, uid: u32, client: ConnectionId) {
        match random() {
            Ok(cookie) => {
                self.table.cookie_made(uid, client, claim(&cookie));
                self.tell_session(uid, &ToSession::Cookie { connection: client, cookie }, None);
            }
            Err(error) => tracing::warn!("ignoring that there is no randomness for a cookie: {error}; uid={uid}"),
        }
    }
}

fn random() -> Result<Cookie, getrandom::Error> {
    let (mut logon_id, mut secret) = ([0; 4], [0; 16]);
    getrandom::fill(&mut logon_id)?;
    getrandom::fill(&mut secret)?;
    Ok(Cookie { logon_id: u32::from_le_bytes(logon_id), secret: Key::new(secret) })
}

/// What a client makes of its cookie (MS-RDPBCGR 5.5).
fn claim(cookie: &Cookie) -> Claim {
    let verifier = Mac::over(cookie.secret.expose(), &[&CLIENT_RANDOM]).value();
    Claim { logon_id: cookie.logon_id, verifier: Key::new(*verifier) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claim_is_what_hmac_md5_makes_of_zeros() {
        let cookie = Cookie { logon_id: 7, secret: Key::new([0x0b; 16]) };
        // printf of 32 zeros | openssl dgst -md5 -mac HMAC -macopt hexkey:0b…0b
        let verifier = Key::new(VECTOR);
        assert_eq!(claim(&cookie), Claim { logon_id: 7, verifier });
    }

    #[test]
    fn no_two_cookies_are_the_same() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert!(one.secret != other.secret && claim(&one).verifier != claim(&other).verifier);
    }

    const VECTOR: [u8; 16] =
        [0x3b, 0x76, 0xf8, 0x49, 0x39, 0xbb, 0x9f, 0x0c, 0x2f, 0x92, 0xaf, 0x04, 0x23, 0xbe, 0x97, 0x16];
}
