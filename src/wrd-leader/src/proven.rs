//! What NLA had proven before the login: the only account that this connection's logins may be of.
//! Deliberately absent: any trust in it. PAM is asked all the same.

use crate::account::{Account, meanings};
use crate::denial::Denial;
use wrd_proto::UserName;

/// The name of the account that was proven, where NLA was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proven(Option<UserName>);

impl Proven {
    pub fn new(name: Option<UserName>) -> Self {
        Self(name)
    }

    /// Refuses the login of any other account.
    pub fn check(&self, account: &Account) -> Result<(), Denial> {
        match &self.0 {
            Some(name) if name.as_str() != account.name => {
                let text = format!("This connection was begun by {name}: nobody else can log in on it.");
                let reason = format!("PAM let {:?} in where NLA has proven {:?}", account.name, name.as_str());
                Err(Denial::said(&text, reason))
            }
            _ => Ok(()),
        }
    }

    /// Whether PAM has refused with `denial` what NLA has proven: the password of that account, delegated under
    /// `tried`, and not typed by somebody. Not so where PAM has another reason: whoever locks an account by guessing
    /// (pam_faillock) must not take its owner's entry away as well.
    pub fn is_stale(&self, tried: &UserName, denial: &Denial) -> bool {
        let same = |name: &UserName| meanings(tried).any(|meaning| meaning == name.as_str());
        self.0.as_ref().is_some_and(same) && denial.blames_credentials() && !denial.explained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> Account {
        Account { name: name.into(), uid: 7, gid: 7, home: "/".into(), shell: "/bin/sh".into() }
    }

    #[test]
    fn nobody_else_logs_in_on_a_connection_that_somebody_has_proven() {
        let proven = Proven::new(Some(UserName::truncated("alice")));
        assert_eq!(proven.check(&account("alice")), Ok(()));
        for other in ["bob", "Alice", "alice2", ""] {
            let denial = proven.check(&account(other)).unwrap_err();
            assert!(denial.reason.contains(other) && denial.reason.contains("alice"), "{denial:?}");
        }
        assert_eq!(Proven::default().check(&account("bob")), Ok(()));
    }

    #[test]
    fn stale_is_what_was_proven_and_then_refused_and_nothing_else() {
        let proven = Proven::new(Some(UserName::truncated("alice")));
        let name = UserName::truncated;
        let wrong = Denial::credentials("wrong password");
        for tried in ["alice", "HOST\\alice", "alice@example.org"] {
            assert!(proven.is_stale(&name(tried), &wrong), "{tried}");
        }
        assert!(!proven.is_stale(&name("alice"), &Denial { explained: true, ..wrong.clone() }));
        assert!(!proven.is_stale(&name("bob"), &wrong));
        assert!(!proven.is_stale(&name("alice"), &Denial::said("locked", "locked")));
        assert!(!Proven::default().is_stale(&name("alice"), &wrong));
    }
}
