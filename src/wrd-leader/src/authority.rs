//! Who says yes to a login, and what holds the door open afterwards.
//!
//! PAM is the authority wherever this runs as root. A stand-alone server of an ordinary user has no
//! PAM: it serves that user alone, against a password made for this one run of the server.

use crate::account::{self, Account};
use crate::denial::Denial;
use crate::dialogue::Dialogue;
use crate::pam::PamLogin;
use anyhow::Context;
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::RawFd;
use std::time::Duration;
use wrd_proto::{Address, Secret, UserName};

/// Who decides.
#[derive(Debug)]
pub enum Authority {
    Pam { service: &'static str },
    OneTimePassword(OneTimePassword),
}

/// How a login asks its authority. What is configured is an [`Authority`]; the fuzz target has a script.
pub trait Admits {
    /// Tries `credentials` once; what PAM asks beyond them is asked by `dialogue`. A failure is
    /// known at once; how long it is kept from the user, it says.
    fn admit(
        &self,
        credentials: Credentials,
        client: &Address,
        dialogue: &mut Dialogue<'_>,
    ) -> Result<Admission, Denial>;

    /// For `user`, who has shown the cookie of their session to the monitor: whether the account may still be used.
    fn admit_returning(&self, user: &UserName, client: &Address) -> Result<Admission, Denial>;

    /// Has the audit log know that somebody was refused.
    fn note_denied(&self, user: &UserName, client: &Address);
}

/// What a client presented.
#[derive(Debug)]
pub struct Credentials {
    pub user: UserName,
    pub password: Secret,
}

/// A login that was allowed: an account, and what its session is opened and closed with.
pub struct Admission {
    pub account: Account,
    pub door: Door,
}

/// What a session is opened and closed with.
pub enum Door {
    Pam(Box<PamLogin>),
    /// The process is the user's already.
    OwnUser,
}

impl Admits for Authority {
    fn admit(
        &self,
        credentials: Credentials,
        client: &Address,
        dialogue: &mut Dialogue<'_>,
    ) -> Result<Admission, Denial> {
        // Refused before anybody else sees them: C strings end at a NUL, and an empty password opens
        // an LDAP server's anonymous door.
        if credentials.user.is_empty() || credentials.user.contains('\0') {
            return Err(unasked("the user name is empty or has a NUL in it"));
        }
        if credentials.password.is_empty() || credentials.password.expose().contains(&0) {
            return Err(unasked("the password is empty or has a NUL in it"));
        }
        match self {
            Self::Pam { service } => crate::pam::admit(service, credentials, client, dialogue),
            Self::OneTimePassword(password) => password.admit(&credentials),
        }
    }

    fn admit_returning(&self, user: &UserName, client: &Address) -> Result<Admission, Denial> {
        match self {
            Self::Pam { service } => crate::pam::admit_returning(service, user, client),
            Self::OneTimePassword(password) => password.admit_returning(user),
        }
    }

    fn note_denied(&self, user: &UserName, client: &Address) {
        crate::audit::denied(user, client);
    }
}

/// Nobody has said that the password is wrong: what NLA has proven by it is no worse.
fn unasked(reason: &str) -> Denial {
    Denial { explained: true, ..Denial::credentials(reason) }
}

impl Door {
    /// Opens the session; the environment that whoever opened it wants for the session. The error is a
    /// text for the user.
    pub fn open(&mut self, account: &Account, variables: &[(&str, &str)]) -> Result<Vec<(OsString, OsString)>, String> {
        match self {
            Self::Pam(login) => login.open(account, variables),
            Self::OwnUser => Ok(variables.iter().map(|(name, value)| (name.into(), value.into())).collect()),
        }
    }

    /// For a login that another leader's session takes: the account's failure counters are cleared and
    /// its tickets renewed, as after unlocking a screen.
    pub fn refresh(&mut self) {
        if let Self::Pam(login) = self {
            login.refresh();
        }
    }

    /// Closes what was opened. Dropping does the same.
    pub fn close(self) {}
}

/// The password of one run of a stand-alone server; it may be used as often as that server runs.
#[derive(Debug)]
pub struct OneTimePassword {
    password: Secret,
    owner: Account,
}

impl OneTimePassword {
    /// Reads it from the pipe that the monitor put at descriptor `number`.
    pub fn read(number: RawFd) -> anyhow::Result<Self> {
        let pipe = wrd_sys::listen::take_fd(number)?;
        let mut bytes = Vec::with_capacity(Secret::MAX + 1);
        std::fs::File::from(pipe).take(Secret::MAX as u64 + 1).read_to_end(&mut bytes)?;
        while bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        let password = Secret::new(bytes)?;
        anyhow::ensure!(!password.is_empty(), "it is empty");
        let owner = Account::own()?.context("the user who runs this server has no account")?;
        Ok(Self { password, owner })
    }

    fn admit(&self, credentials: &Credentials) -> Result<Admission, Denial> {
        self.check(credentials).map(|()| self.admission()).map_err(|denial| denial.after(WRONG_ANSWER_DELAY))
    }

    fn admit_returning(&self, user: &UserName) -> Result<Admission, Denial> {
        match user.as_str() == self.owner.name {
            true => Ok(self.admission()),
            false => Err(Denial::credentials(NOBODY_ELSE)),
        }
    }

    fn admission(&self) -> Admission {
        Admission { account: self.owner.clone(), door: Door::OwnUser }
    }

    fn check(&self, credentials: &Credentials) -> Result<(), Denial> {
        let right_user = account::meanings(&credentials.user).any(|name| name == self.owner.name);
        let right_password = same(self.password.expose(), credentials.password.expose());
        match (right_user, right_password) {
            (true, true) => Ok(()),
            (true, false) => Err(Denial::credentials("wrong one-time password")),
            (false, _) => Err(Denial::credentials(NOBODY_ELSE)),
        }
    }
}

/// Compares in a time that depends on the lengths only.
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let difference = a.iter().zip(b).fold(0, |sum, (x, y)| std::hint::black_box(sum | (x ^ y)));
    difference == 0
}

const NOBODY_ELSE: &str = "this server serves the user who started it, nobody else";
const WRONG_ANSWER_DELAY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denial::WRONG_CREDENTIALS;
    use crate::dialogue::tests::ends;
    use proptest::prelude::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec()).unwrap()
    }

    fn authority() -> Authority {
        let owner =
            Account { name: "alice".into(), uid: 7, gid: 7, home: "/home/alice".into(), shell: "/bin/sh".into() };
        Authority::OneTimePassword(OneTimePassword { password: secret("kelp-otter-42"), owner })
    }

    fn admit(user: &str, password: &str) -> Result<Admission, Denial> {
        let credentials = Credentials { user: UserName::truncated(user), password: secret(password) };
        authority().admit(credentials, &Address::truncated("192.0.2.7"), &mut ends().dialogue())
    }

    #[test]
    fn the_owner_gets_in_with_the_password_and_under_a_windows_prefix_too() {
        for user in ["alice", ".\\alice", "PC\\alice"] {
            assert_eq!(admit(user, "kelp-otter-42").ok().unwrap().account.uid, 7);
        }
    }

    #[test]
    fn every_refusal_reads_the_same_and_gives_nothing_away() {
        let tries = [("alice", "kelp-otter-43"), ("bob", "kelp-otter-42"), ("alice", ""), ("", "kelp-otter-42")];
        for (user, password) in tries.into_iter().chain([("alice\0", "kelp-otter-42"), ("alice", "kelp-otter-42\0")]) {
            let denial = admit(user, password).err().unwrap();
            assert_eq!(denial.text.as_str(), WRONG_CREDENTIALS);
            assert!(!denial.reason.contains("kelp"));
        }
    }

    #[test]
    fn what_nobody_was_asked_about_is_no_word_against_a_password() {
        let says_it_is_wrong = |user, password| !admit(user, password).err().unwrap().explained;
        assert!(says_it_is_wrong("alice", "kelp-otter-43"));
        for (user, password) in [("alice", "kelp-otter-42\0x"), ("alice", ""), ("alice\0", "kelp-otter-42")] {
            assert!(!says_it_is_wrong(user, password), "{user:?} {password:?}");
        }
    }

    #[test]
    fn the_owner_comes_back_and_nobody_else() {
        let back = |user: &str| authority().admit_returning(&UserName::truncated(user), &Address::default());
        assert_eq!(back("alice").ok().unwrap().account.uid, 7);
        for user in ["bob", "", "PC\\alice"] {
            assert!(back(user).is_err(), "{user}");
        }
    }

    #[test]
    fn a_wrong_answer_costs_a_delay() {
        assert_eq!(admit("alice", "wrong").err().unwrap().pause, WRONG_ANSWER_DELAY);
    }

    proptest! {
        #[test]
        fn the_comparison_is_equality(a in proptest::collection::vec(any::<u8>(), 0..4), b in proptest::collection::vec(any::<u8>(), 0..4)) {
            prop_assert_eq!(same(&a, &b), a == b);
            prop_assert!(same(&a, &a));
        }
    }
}
