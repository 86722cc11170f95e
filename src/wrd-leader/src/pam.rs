//! PAM, from `pam_start` to `pam_end`: the only importer of a PAM binding.
//!
//! Always true: one [`PamLogin`] is one PAM transaction, and dropping it closes whatever it has open,
//! in the order the modules expect. The password is answered to prompts and nowhere else, and forgotten
//! after authentication; every other question is the user's. Deliberately absent: how the user is asked.

mod delay;
mod lock;

use crate::account::{self, Account};
use crate::authority::{Admission, Credentials, Door};
use crate::conversation::{Conversation, Heard, Quiet};
use crate::denial::{Again, Denial};
use crate::dialogue::Dialogue;
use lock::Lock;
use pam_client::{Context, ConversationHandler, ErrorCode, Flag, SessionToken};
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};
use wrd_proto::{Address, UserName};

/// One authenticated PAM transaction, with or without an open session.
pub struct PamLogin {
    context: Context<Quiet>,
    session: Option<SessionToken>,
}

/// Authenticates, checks the account, and has an expired password changed. Nothing is open afterwards.
pub fn admit(
    service: &str,
    credentials: Credentials,
    client: &Address,
    dialogue: &mut Dialogue<'_>,
) -> Result<Admission, Denial> {
    let begun = Instant::now();
    authenticate(service, credentials, client, dialogue).map_err(|denial| {
        // What modules spend on a user that there is, and not on one that there is not, disappears in the delay.
        let spent = if dialogue.has_asked() { Duration::ZERO } else { begun.elapsed() };
        denial.after(delay::take().saturating_sub(spent))
    })
}

fn authenticate(
    service: &str,
    credentials: Credentials,
    client: &Address,
    dialogue: &mut Dialogue<'_>,
) -> Result<Admission, Denial> {
    // Unknown users go through PAM as well, so that they cost the same time as a wrong password.
    let known = account::meanings(&credentials.user).find_map(|name| Account::named(name).ok().flatten());
    let name = match &known {
        Some(account) => account.name.clone(),
        None => credentials.user.as_str().to_owned(),
    };
    let conversation = Conversation::new(&name, credentials.password, dialogue);
    let mut context = start(service, &name, client, conversation)?;

    // The flag: no account without a password over the network, whatever `nullok` says.
    let authenticated = context.authenticate(Flag::DISALLOW_NULL_AUTHTOK);
    let password = context.conversation_mut().give_back();
    let heard = context.conversation_mut().finish();
    if let Err(error) = authenticated {
        let denial = authentication_denial(error.code(), &heard);
        return Err(match denial.blames_credentials() && !denial.explained {
            true => also(denial, lock::of(&name, password.as_ref())),
            false => denial,
        });
    }
    drop(password);

    context.conversation_mut().authenticated();
    check_account(&mut context, &name)?;

    let account = account(&context, &name)?;
    // The user is not asked again: from here on a session is made, and the screen goes away.
    let (context, _) = context
        .replace_conversation(Quiet::default())
        .map_err(|error| Denial::said(BROKEN, format!("PAM keeps its conversation: {:?}", error.code())))?;
    Ok(admission(account, context))
}

/// For who comes back to a session without a password: whether the account may still be used. Nothing is asked.
pub fn admit_returning(service: &str, user: &UserName, client: &Address) -> Result<Admission, Denial> {
    let mut context = start(service, user, client, Quiet::default())?;
    let usable = context.acct_mgmt(Flag::NONE);
    let heard = context.conversation_mut().finish();
    usable.map_err(|error| match error.code() {
        ErrorCode::NEW_AUTHTOK_REQD => Denial::said(LOG_IN_TO_CHANGE, "account: the password has expired"),
        code => account_denial(code, &heard),
    })?;
    let account = account(&context, user)?;
    Ok(admission(account, context))
}

fn admission(account: Account, context: Context<Quiet>) -> Admission {
    let login = PamLogin { context, session: None };
    Admission { account, door: Door::Pam(Box::new(login)) }
}

/// Whom PAM has let in.
fn account<C: ConversationHandler>(context: &Context<C>, name: &str) -> Result<Account, Denial> {
    // A module may have mapped the name to another account: that is not who asked.
    let user = context.user().map_err(|error| Denial::credentials(format!("PAM has no user any more: {error}")))?;
    if user != name {
        return Err(Denial::credentials(format!("PAM changed the user from {name:?} to {user:?}")));
    }
    Account::named(&user)
        .map_err(|errno| Denial::said(DATABASE_UNREACHABLE, format!("looking up {user:?}: {errno}")))?
        .ok_or_else(|| Denial::credentials(format!("PAM knows {user:?}, the user database does not")))
}

/// Whether the account may be used, with a new password where the old one has expired.
fn check_account(context: &mut Context<Conversation<'_, '_>>, user: &str) -> Result<(), Denial> {
    let usable = context.acct_mgmt(Flag::DISALLOW_NULL_AUTHTOK);
    let heard = context.conversation_mut().finish();
    match usable {
        Ok(()) => return Ok(()),
        Err(error) if error.code() == ErrorCode::NEW_AUTHTOK_REQD => {}
        Err(error) => return Err(account_denial(error.code(), &heard)),
    }
    tracing::info!(?user, "the password has expired, a new one is asked for");
    let changed = context.chauthtok(Flag::CHANGE_EXPIRED_AUTHTOK);
    let heard = context.conversation_mut().finish();
    changed.map_err(|error| change_denial(error.code(), &heard))?;
    tracing::info!(?user, "the password was changed");
    // Again: stacks may stop at an expired password (`new_authtok_reqd=done`) before others are asked.
    let usable = context.acct_mgmt(Flag::DISALLOW_NULL_AUTHTOK);
    let heard = context.conversation_mut().finish();
    usable.map_err(|error| account_denial(error.code(), &heard))
}

fn start<C: ConversationHandler>(
    service: &str,
    name: &str,
    client: &Address,
    conversation: C,
) -> Result<Context<C>, Denial> {
    let broken = |reason: String| Denial::said(BROKEN, reason).for_good();
    // libpam would take the service "other", which lets in whom nobody has meant to let in here.
    if !is_installed(service) {
        return Err(broken(format!("there is no PAM service {service} in {}", SERVICE_FOLDERS.join(", "))));
    }
    let begin = || -> pam_client::Result<Context<C>> {
        let mut context = Context::new(service, Some(name), conversation)?;
        context.set_rhost(Some(client))?;
        context.set_tty(Some(TTY))?;
        delay::keep_those_of(&mut context)?;
        Ok(context)
    };
    begin().map_err(|error| broken(format!("PAM service {service} does not start: {error}")))
}

/// Whether PAM has rules for `service`.
pub fn is_installed(service: &str) -> bool {
    SERVICE_FOLDERS.iter().any(|folder| Path::new(folder).join(service).is_file())
}

impl PamLogin {
    /// Opens the session; PAM's environment for it. The error is a text for the user.
    pub fn open(&mut self, account: &Account, variables: &[(&str, &str)]) -> Result<Vec<(OsString, OsString)>, String> {
        for (name, value) in variables {
            self.context
                .putenv(format!("{name}={value}"))
                .map_err(|error| format!("The session of {} cannot be opened: {error}.", account.name))?;
        }
        let opened = self.context.open_session(Flag::NONE).map(pam_client::Session::leak);
        let heard = self.context.conversation_mut().finish();
        let token = opened.map_err(|error| {
            format!("The session of {} cannot be opened: {}.", account.name, heard.or(&error.to_string()))
        })?;
        self.session = Some(token);
        Ok(self.context.envlist().into())
    }

    /// `PAM_REINITIALIZE_CRED`, for a session that another process has open.
    pub fn refresh(&mut self) {
        if let Err(error) = self.context.reinitialize_credentials(Flag::NONE) {
            tracing::warn!("ignoring that PAM did not renew the credentials: {error}");
        }
    }
}

impl Drop for PamLogin {
    fn drop(&mut self) {
        if let Some(token) = self.session.take() {
            // close_session, then setcred delete; pam_end follows with the context.
            if let Err(error) = self.context.unleak_session(token).close(Flag::NONE) {
                tracing::warn!("ignoring that PAM did not close the session cleanly: {error}");
            }
        }
    }
}

/// `pam_authenticate` said no. What modules said goes to the journal only: it may tell a stranger
/// whether an account exists.
fn authentication_denial(code: ErrorCode, heard: &Heard) -> Denial {
    let reason = format!("authentication: {code:?}: {}", heard.or("no message"));
    match code {
        ErrorCode::AUTHINFO_UNAVAIL => Denial::said(DATABASE_UNREACHABLE, reason),
        ErrorCode::ABORT | ErrorCode::SYSTEM_ERR | ErrorCode::OPEN_ERR | ErrorCode::BUF_ERR => {
            Denial::said(BROKEN, reason).for_good()
        }
        ErrorCode::MAXTRIES => Denial { again: Again::Pointless, explained: true, ..Denial::credentials(reason) },
        ErrorCode::AUTH_ERR | ErrorCode::USER_UNKNOWN => {
            Denial { explained: !heard.is_empty(), ..Denial::credentials(reason) }
        }
        _ => Denial { explained: true, ..Denial::credentials(reason) },
    }
}

/// With what PAM has not said of the password. To whom it is told that it is locked, it was theirs.
fn also(denial: Denial, lock: Lock) -> Denial {
    let reason = |what: &str| format!("{}; {what}", denial.reason);
    match lock {
        Lock::Open => denial,
        Lock::NoPassword => Denial { reason: reason("there is no password in /etc/shadow"), ..denial },
        Lock::Locked { known: false } => Denial { reason: reason("the password is locked"), ..denial },
        Lock::Locked { known: true } => Denial::said(LOCKED, reason("the password is right, and locked")),
    }
}

/// `pam_acct_mgmt` said no: the password was right, so the user may know why.
fn account_denial(code: ErrorCode, heard: &Heard) -> Denial {
    let reason = format!("account: {code:?}: {}", heard.or("no message"));
    match code {
        ErrorCode::NEW_AUTHTOK_REQD => Denial::said(PASSWORD_EXPIRED, reason),
        ErrorCode::ACCT_EXPIRED => Denial::said(ACCOUNT_EXPIRED, reason),
        _ => Denial::said(&heard.or(NOT_ALLOWED), reason),
    }
}

/// `pam_chauthtok` said no to a new password in place of one that has expired.
fn change_denial(code: ErrorCode, heard: &Heard) -> Denial {
    let reason = format!("new password: {code:?}: {}", heard.or("no message"));
    match heard.errors().as_str() {
        "" => Denial::said(NOT_CHANGED, reason),
        errors => Denial::said(&format!("Your password has expired and was not changed. {errors}"), reason),
    }
}

/// What we call our terminals, to PAM and to the audit log.
pub const TTY: &str = "wrd";
/// Where libpam looks for a service, on any distribution.
const SERVICE_FOLDERS: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d"];

const PASSWORD_EXPIRED: &str = "Your password has expired, and this machine does not take a new one.";
const LOG_IN_TO_CHANGE: &str = "Your password has expired. Log in with it to choose a new one.";
const NOT_CHANGED: &str = "Your password has expired and was not changed.";
const ACCOUNT_EXPIRED: &str = "This account has expired. Ask the administrator of this machine.";
const LOCKED: &str = "This account is locked. Ask the administrator of this machine.";
const NOT_ALLOWED: &str = "This account may not log in here now. Ask the administrator of this machine.";
const DATABASE_UNREACHABLE: &str = "The user database cannot be reached at the moment. Try again later.";
const BROKEN: &str = "This machine cannot check passwords: its login service is not set up. The log says more.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denial::WRONG_CREDENTIALS;
    use crate::dialogue::tests::ends;
    use wrd_proto::Secret;
    use wrd_proto::login::Tone;

    fn heard(text: &str) -> Heard {
        let mut heard = Heard::default();
        heard.keep(Tone::Error, text);
        heard
    }

    #[test]
    fn unknown_users_and_wrong_passwords_read_the_same_whatever_modules_say() {
        for code in [ErrorCode::AUTH_ERR, ErrorCode::USER_UNKNOWN, ErrorCode::PERM_DENIED, ErrorCode::MAXTRIES] {
            for said in ["", "alice is locked"] {
                let denial = authentication_denial(code, &heard(said));
                assert_eq!(denial.text.as_str(), WRONG_CREDENTIALS);
                assert_eq!(denial.reason.contains("locked"), !said.is_empty());
                let is_of_the_password =
                    said.is_empty() && matches!(code, ErrorCode::AUTH_ERR | ErrorCode::USER_UNKNOWN);
                assert_eq!(denial.explained, !is_of_the_password, "{code:?} {said:?}");
            }
        }
        assert_eq!(authentication_denial(ErrorCode::MAXTRIES, &heard("")).again, Again::Pointless);
    }

    #[test]
    fn a_lock_is_told_to_who_has_the_password_and_to_the_journal() {
        let refused = || authentication_denial(ErrorCode::AUTH_ERR, &heard(""));
        assert_eq!(also(refused(), Lock::Open), refused());
        for (lock, reason) in [(Lock::Locked { known: false }, "locked"), (Lock::NoPassword, "no password")] {
            let denial = also(refused(), lock);
            assert!(denial.reason.starts_with(&refused().reason) && denial.reason.contains(reason), "{denial:?}");
            assert_eq!(Denial { reason: refused().reason, ..denial }, refused());
        }
        let known = also(refused(), Lock::Locked { known: true });
        assert_eq!(known.text.as_str(), LOCKED);
        assert!(!known.blames_credentials() && known.reason.contains("locked"), "{known:?}");
    }

    #[test]
    fn who_has_the_right_password_is_told_what_is_wrong() {
        let none = heard("");
        assert_eq!(account_denial(ErrorCode::NEW_AUTHTOK_REQD, &none).text.as_str(), PASSWORD_EXPIRED);
        assert_eq!(account_denial(ErrorCode::ACCT_EXPIRED, &none).text.as_str(), ACCOUNT_EXPIRED);
        assert_eq!(account_denial(ErrorCode::AUTH_ERR, &none).text.as_str(), NOT_ALLOWED);
        let nologin = heard("System is going down.");
        assert_eq!(account_denial(ErrorCode::AUTH_ERR, &nologin).text.as_str(), "System is going down.");
        let weak = change_denial(ErrorCode::AUTHTOK_ERR, &heard("BAD PASSWORD: too short"));
        assert_eq!(weak.text.as_str(), "Your password has expired and was not changed. BAD PASSWORD: too short");
        let mut only_said = Heard::default();
        only_said.keep(Tone::Info, "Changing password for alice.");
        assert_eq!(change_denial(ErrorCode::AUTHTOK_ERR, &only_said).text.as_str(), NOT_CHANGED);
    }

    #[test]
    fn a_service_that_is_missing_lets_nobody_in() {
        let password = Secret::new(b"secret".to_vec()).unwrap();
        let credentials = Credentials { user: UserName::truncated("root"), password };
        let denial = admit("wrd-no-such-service", credentials, &Address::default(), &mut ends().dialogue());
        let denial = denial.err().unwrap();
        assert_eq!((denial.text.as_str(), denial.again), (BROKEN, Again::Pointless));
        assert!(denial.reason.contains("wrd-no-such-service"));
    }
}
