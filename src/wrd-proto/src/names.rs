//! Which accounts a name may mean that somebody typed, or that their client sent: the same rules for everybody who
//! has to find one. Deliberately absent: which of them there are.

/// The names that `typed` may mean, most literal first: winbind's users have a backslash in their name and sssd's may
/// have a realm behind it, while Windows clients put `.\`, `HOST\` or a domain before the name of anybody, or
/// `@realm` behind it. A domain that is sent apart from the name means nothing.
pub fn meanings(typed: &str) -> impl Iterator<Item = &str> {
    let bare = typed.rsplit_once('\\').map(|(_, bare)| bare);
    let local = bare.unwrap_or(typed).rsplit_once('@').map(|(local, _)| local);
    std::iter::once(typed).chain(bare).chain(local).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_windows_clients_put_around_a_name_is_taken_off_last() {
        let all = |typed| meanings(typed).collect::<Vec<_>>();
        assert_eq!(all("alice"), ["alice"]);
        assert_eq!(all(".\\alice"), [".\\alice", "alice"]);
        assert_eq!(all("HOST\\alice"), ["HOST\\alice", "alice"]);
        assert_eq!(all("alice@example.org"), ["alice@example.org", "alice"]);
        assert_eq!(all("HOST\\alice@example.org"), ["HOST\\alice@example.org", "alice@example.org", "alice"]);
        assert_eq!(all("HOST\\"), ["HOST\\"]);
        assert_eq!(all("@example.org"), ["@example.org"]);
        assert_eq!(all(""), [""; 0]);
    }

    proptest! {
        #[test]
        fn a_meaning_is_never_empty_and_always_a_part_of_what_was_typed(typed in "[a@\\\\é.]{0,12}") {
            for name in meanings(&typed) {
                prop_assert!(!name.is_empty() && typed.contains(name));
            }
            prop_assert!(meanings(&typed).count() <= 3);
        }
    }
}
