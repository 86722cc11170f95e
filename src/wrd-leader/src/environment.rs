//! The environment a session starts with: a clean base, the system's locale, and PAM's list over it.
//!
//! Always true: pure; nothing of the leader's own environment gets in but what is named here.

use crate::account::Account;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The variables of a session, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// What every login has.
    pub fn base(account: &Account) -> Self {
        let path = if account.uid == 0 { ROOT_PATH } else { USER_PATH };
        let mut environment = Self::default();
        environment.set("PATH", path);
        environment.set("LANG", DEFAULT_LANG);
        environment.set("HOME", &account.home);
        environment.set("USER", &account.name);
        environment.set("LOGNAME", &account.name);
        environment.set("SHELL", &account.shell);
        environment
    }

    /// Takes over what is harmless and useful of a user's own environment: for a server that runs as
    /// that user.
    pub fn keep_own(&mut self, own: impl IntoIterator<Item = (OsString, OsString)>) {
        self.extend(own.into_iter().filter(|(name, _)| is_kept(name)));
    }

    pub fn set(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.0.insert(name.into(), value.as_ref().into());
    }

    pub fn remove(&mut self, name: &str) {
        self.0.remove(OsStr::new(name));
    }

    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Sets each of `variables`, over what is there. A name or value that no environment can hold is
    /// left out.
    pub fn extend(&mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) {
        for (name, value) in variables {
            let bytes = name.as_bytes();
            let fits = !bytes.is_empty() && !bytes.contains(&b'=') && !bytes.contains(&0);
            if fits && !value.as_bytes().contains(&0) {
                self.0.insert(name, value);
            }
        }
    }

    /// In the form that exec takes.
    pub fn to_strings(&self) -> Vec<CString> {
        let join = |(name, value): (&OsString, &OsString)| {
            let mut line = name.clone().into_vec();
            line.push(b'=');
            line.extend_from_slice(value.as_bytes());
            CString::new(line).ok()
        };
        self.0.iter().filter_map(join).collect()
    }
}

/// The locale variables in the text of `/etc/locale.conf` or `/etc/default/locale`.
pub fn locale(text: &str) -> Vec<(OsString, OsString)> {
    let parse = |line: &str| {
        let (name, value) = line.trim().trim_start_matches("export ").split_once('=')?;
        let value = value.trim();
        let quoted = |q: char| value.strip_prefix(q).and_then(|v| v.strip_suffix(q));
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
        (is_locale(name) && !value.is_empty()).then(|| (name.into(), value.into()))
    };
    text.lines().filter_map(parse).collect()
}

fn is_locale(name: &str) -> bool {
    name == "LANG" || name == "LANGUAGE" || name.starts_with("LC_")
}

fn is_kept(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| is_locale(name) || KEPT.contains(&name))
}

/// Where locales are configured: everywhere, and on Debian.
pub const LOCALE_FILES: [&str; 2] = ["/etc/locale.conf", "/etc/default/locale"];

const USER_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";
const ROOT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// UTF-8 without a language, where nobody has chosen one.
const DEFAULT_LANG: &str = "C.UTF-8";
/// Of a user's own environment, where the server runs as that user.
const KEPT: [&str; 11] = [
    "PATH",
    "TZ",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CONFIG_HOME",
    "XDG_DATA_DIRS",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "XCURSOR_THEME",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alice() -> Account {
        Account { name: "alice".into(), uid: 1000, gid: 1000, home: "/home/alice".into(), shell: "/bin/bash".into() }
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        list.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn the_base_has_what_a_login_has() {
        let environment = Environment::base(&alice());
        for (name, value) in [("HOME", "/home/alice"), ("USER", "alice"), ("LOGNAME", "alice"), ("SHELL", "/bin/bash")]
        {
            assert_eq!(environment.get(name).unwrap(), value);
        }
        assert!(environment.get("PATH").unwrap().to_str().unwrap().contains("/usr/bin"));
        assert_eq!(environment.to_strings().len(), 6);
    }

    #[test]
    fn what_comes_later_counts() {
        let mut environment = Environment::base(&alice());
        environment.extend(locale("LANG=de_DE.UTF-8\n"));
        environment.extend(pairs(&[("LANG", "fr_FR.UTF-8"), ("XDG_RUNTIME_DIR", "/run/user/1000")]));
        assert_eq!(environment.get("LANG").unwrap(), "fr_FR.UTF-8");
        assert!(environment.to_strings().contains(&c"XDG_RUNTIME_DIR=/run/user/1000".to_owned()));
    }

    #[test]
    fn of_the_own_environment_only_what_is_named_is_kept() {
        let own = pairs(&[
            ("PATH", "/opt/bin:/bin"),
            ("LC_TIME", "de_DE.UTF-8"),
            ("HOME", "/tmp"),
            ("LD_PRELOAD", "x.so"),
            ("WAYLAND_DISPLAY", "wayland-0"),
            ("DISPLAY", ":0"),
            ("SSH_AUTH_SOCK", "/tmp/agent"),
        ]);
        let mut environment = Environment::base(&alice());
        environment.keep_own(own);
        assert_eq!(environment.get("PATH").unwrap(), "/opt/bin:/bin");
        assert_eq!(environment.get("LC_TIME").unwrap(), "de_DE.UTF-8");
        assert_eq!(environment.get("HOME").unwrap(), "/home/alice");
        for name in ["LD_PRELOAD", "WAYLAND_DISPLAY", "DISPLAY", "SSH_AUTH_SOCK"] {
            assert_eq!(environment.get(name), None);
        }
    }

    #[test]
    fn locale_files_are_read_with_quotes_comments_and_strangers() {
        let text =
            "# comment\nLANG=\"de_DE.UTF-8\"\nexport LC_TIME='en_GB.UTF-8'\nLC_ALL=\nPATH=/evil\nLANGUAGE=de:en\njunk";
        let expected = pairs(&[("LANG", "de_DE.UTF-8"), ("LC_TIME", "en_GB.UTF-8"), ("LANGUAGE", "de:en")]);
        assert_eq!(locale(text), expected);
    }

    proptest! {
        #[test]
        fn every_variable_ends_up_as_one_string(list in proptest::collection::vec(("[A-Z=\0]{0,4}", "[a-z\0]{0,4}"), 0..8)) {
            let mut environment = Environment::default();
            environment.extend(list.into_iter().map(|(name, value)| (name.into(), value.into())));
            prop_assert_eq!(environment.to_strings().len(), environment.0.len());
        }

        #[test]
        fn no_text_panics_as_a_locale_file(text in ".{0,200}") {
            for (name, _) in locale(&text) {
                prop_assert!(is_locale(name.to_str().unwrap()));
            }
        }
    }
}
