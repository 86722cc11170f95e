//! Enrolling for NLA: the password is asked for, hashed and sealed here, and goes nowhere.

use crate::client::{Client, Error, printable};
use crate::output::aligned;
use nix::unistd::{Uid, User, getuid};
use serde::Serialize;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use wrd_enrol::{EntryName, NtHash, PublicKey};
use wrd_proto::control::{Enrolment, Request, Response};
use wrd_proto::{Secret, UserName};
use zeroize::Zeroizing;

/// Asks for the password of `user`, or of whoever runs this, and has the server keep its hash.
pub fn enrol(client: &Client, user: Option<&str>) -> Result<(), Error> {
    // A password in a core file, or for other programs of the same user, is none of theirs.
    wrd_sys::harden::not_dumpable().map_err(|error| Error::Own(format!("cannot hide this process: {error}")))?;
    let (name, uid) = account(user)?;
    let entry_name = EntryName::try_from(name.as_str()).map_err(|error| Error::Own(format!("{name:?} is {error}")))?;
    // First, as somebody who is told that there is no server should not have typed a password for it.
    let key = match client.answers(&Request::EnrolmentKey)?.as_slice() {
        [Response::EnrolmentKey(text)] => PublicKey::decode(text.as_bytes()).map_err(|_| Error::Answer)?,
        _ => return Err(Error::Answer),
    };
    let password = ask_password(&name)?;
    if password.is_empty() {
        return Err(Error::Own("an empty password is not enrolled: nobody logs in with one".into()));
    }
    let hash = NtHash::of_password(password.as_bytes()).map_err(|error| Error::Own(error.to_string()))?;
    drop(password);
    let sealed = wrd_enrol::seal(&key, uid.as_raw(), &entry_name, &hash).map_err(|e| Error::Own(e.to_string()))?;
    drop(hash);
    let sealed = sealed.try_into().map_err(|_| Error::Answer)?;
    client.answers(&Request::Enrol { user: self::name(&name)?, sealed })?;
    Ok(())
}

/// A name for the server.
pub fn name(text: &str) -> Result<UserName, Error> {
    UserName::try_from(text).map_err(|error| Error::Own(format!("the user name has {error}")))
}

/// Name and uid of whom it is about: one's own, or for root anybody's.
fn account(user: Option<&str>) -> Result<(String, Uid), Error> {
    let own = getuid();
    let (found, asked) = match user {
        Some(name) => (User::from_name(name), name.to_owned()),
        None => (User::from_uid(own), own.to_string()),
    };
    match found {
        Ok(Some(user)) if user.uid == own || own.is_root() => Ok((user.name, user.uid)),
        Ok(Some(_)) => Err(Error::OwnRefusal("only root enrols somebody else".into())),
        Ok(None) => Err(Error::Own(format!("there is no user {}", printable(&asked)))),
        Err(errno) => Err(Error::Own(format!("cannot look up the user {}: {errno}", printable(&asked)))),
    }
}

/// From the terminal, twice and unseen, behind a word about what is kept; else the first line of the input.
fn ask_password(name: &str) -> Result<Zeroizing<String>, Error> {
    let failed = |error: io::Error| Error::Own(format!("cannot read the password: {error}"));
    if !io::stdin().is_terminal() {
        // Not by the standard library's own reader, whose buffer nobody wipes.
        let input = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
        return read_line(File::from(input)).map_err(failed);
    }
    eprint!("{WHAT_IS_KEPT}");
    let ask = |prompt: &str| rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(failed);
    let password = ask(&format!("Password of {}: ", printable(name)))?;
    if *ask("The same again: ")? != *password {
        return Err(Error::Own("these were two passwords".into()));
    }
    Ok(password)
}

/// The first line without its end, of at most as many bytes as a password may have.
fn read_line(mut input: impl Read) -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; Secret::MAX + 2]);
    let mut length = 0;
    while let Some(spare) = bytes.get_mut(length..) {
        match input.read(spare) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if bytes.contains(&b'\n') {
            break;
        }
    }
    let read = bytes.get(..length).unwrap_or_default();
    let line = read.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > Secret::MAX {
        return Err(io::Error::other(format!("it has more than {} bytes", Secret::MAX)));
    }
    let text = std::str::from_utf8(line).map_err(|_| io::Error::other(wrd_enrol::NotText))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Who is enrolled, in JSON. Fields are only ever added.
#[derive(Debug, Serialize)]
pub struct Row {
    user: String,
    /// Null where the entry is so damaged that it does not say.
    uid: Option<u32>,
    /// `good`, `damaged`, or `orphaned`: there is no such account any more, or it has another uid.
    state: &'static str,
}

/// What the server has answered, beside what the system knows.
pub fn rows(answers: Vec<Response>) -> Result<Vec<Row>, Error> {
    let row = |response| match response {
        Response::Enrolled(Enrolment { user, uid, good }) => {
            let known = User::from_name(&user).ok().flatten().map(|user| user.uid.as_raw());
            let state = if !good {
                "damaged"
            } else if known == uid {
                "good"
            } else {
                "orphaned"
            };
            Ok(Row { user: user.into_string(), uid, state })
        }
        _ => Err(Error::Answer),
    };
    answers.into_iter().map(row).collect()
}

/// Everybody on a line, or a word that there is nobody.
pub fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "Nobody is enrolled.\n".into();
    }
    let mut cells = vec![["USER", "UID", "STATE"].map(str::to_owned).to_vec()];
    for row in rows {
        let uid = row.uid.map_or_else(|| "-".into(), |uid| uid.to_string());
        cells.push(vec![printable(&row.user), uid, row.state.to_owned()]);
    }
    aligned(&cells)
}

const WHAT_IS_KEPT: &str = "\
This keeps the NT hash of your password on this machine, for clients that insist on NLA.
It is sealed to a key of the server's, which root has. It lets nobody in here by itself,
but a service elsewhere that speaks NTLM takes it for the password, if that is the same.
Clients that offer TLS need none of this. `wrdctl forget` takes it back; see wrdctl(1).
";

#[cfg(test)]
mod tests {
    use super::*;

    fn line(input: &[u8]) -> io::Result<String> {
        read_line(input).map(|line| line.to_string())
    }

    #[test]
    fn a_password_is_the_first_line_of_the_input() {
        for input in ["pw\n", "pw", "pw\r\n", "pw\nmore\n"] {
            assert_eq!(line(input.as_bytes()).unwrap(), "pw");
        }
        assert_eq!(line(b" p w \n").unwrap(), " p w ");
        assert_eq!(line(b"").unwrap(), "");
        assert_eq!(line(&[b'x'; 1024]).unwrap().len(), 1024);
        assert_eq!(line(&[&[b'x'; 1024][..], b"\r\n"].concat()).unwrap().len(), 1024);
        assert!(line(&[b'x'; 1025]).is_err());
        assert!(line(&[b'x'; 5000]).is_err());
        // In pieces, as from a pipe.
        assert_eq!(*read_line(Read::chain(&b"p"[..], &b"w\nmore"[..])).unwrap(), "pw");
        assert!(line(b"\xff\n").is_err());
    }

    #[test]
    fn a_table_names_what_is_wrong() {
        let enrolled =
            |user: &str, uid, good| Response::Enrolled(Enrolment { user: UserName::truncated(user), uid, good });
        let answers = vec![
            enrolled("root", Some(0), true),
            enrolled("root", Some(7), true),
            enrolled("no\u{1b}such", Some(70_000), true),
            enrolled("alice", None, false),
        ];
        assert_eq!(
            table(&rows(answers).unwrap()),
            "USER     UID    STATE\nroot     0      good\nroot     7      orphaned\n\
             no?such  70000  orphaned\nalice    -      damaged\n"
        );
        assert_eq!(table(&[]), "Nobody is enrolled.\n");
        assert!(rows(vec![Response::Listening("x".try_into().unwrap())]).is_err());
    }
}
