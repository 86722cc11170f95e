//! PAM, from `pam_start` to `pam_end`: the only importer of a PAM binding.
//!
//! Always true: one [`PamLogin`] is one PAM transaction, and dropping it closes whatever it has open,
//! in the order the modules expect. The password is answered to prompts and nowhere else, and forgotten
//! after authentication. Deliberately absent: changing passwords (a later issue's conversation).

use crate::account::{self, Account};
use crate::authority::{Admission, Credentials, Door};
use crate::denial::{Again, Denial};
use pam_client::{Context, ConversationHandler, ErrorCode, Flag, SessionToken};
use std::ffi::{CStr, CString, OsString};
use wrd_proto::{Address, Secret};

/// One authenticated PAM transaction, with or without an open session.
pub struct PamLogin {
    context: Context<Conversation>,
    session: Option<SessionToken>,
}

/// Authenticates and checks the account. Nothing is open afterwards.
pub fn admit(service: &str, credentials: Credentials, client: &Address) -> Result<Admission, Denial> {
    // Unknown users go through PAM as well, so that they cost the same time as a wrong password.
    let known = account::meanings(&credentials.user).find_map(|name| Account::named(name).ok().flatten());
    let name = match &known {
        Some(account) => account.name.clone(),
        None => credentials.user.as_str().to_owned(),
    };
    let conversation = Conversation { user: name.clone(), password: Some(credentials.password), ..Default::default() };
    let mut context = start(service, &name, client, conversation)?;

    // The flag: no account without a password over the network, whatever `nullok` says.
    let authenticated = context.authenticate(Flag::DISALLOW_NULL_AUTHTOK);
    let heard = context.conversation_mut().finish();
    authenticated.map_err(|error| authentication_denial(error.code(), &heard))?;

    let usable = context.acct_mgmt(Flag::DISALLOW_NULL_AUTHTOK);
    let heard = context.conversation_mut().finish();
    usable.map_err(|error| account_denial(error.code(), &heard))?;

    // A module may have mapped the name to another account: that is not who asked.
    let user = context.user().map_err(|error| Denial::credentials(format!("PAM has no user any more: {error}")))?;
    if user != name {
        return Err(Denial::credentials(format!("PAM changed the user from {name:?} to {user:?}")));
    }
    let account = Account::named(&user)
        .map_err(|errno| Denial::said(DATABASE_UNREACHABLE, format!("looking up {user:?}: {errno}")))?
        .ok_or_else(|| Denial::credentials(format!("PAM knows {user:?}, the user database does not")))?;
    let login = PamLogin { context, session: None };
    Ok(Admission { account, door: Door::Pam(Box::new(login)) })
}

fn start(
    service: &str,
    name: &str,
    client: &Address,
    conversation: Conversation,
) -> Result<Context<Conversation>, Denial> {
    let begin = || -> pam_client::Result<Context<Conversation>> {
        let mut context = Context::new(service, Some(name), conversation)?;
        context.set_rhost(Some(client))?;
        context.set_tty(Some(TTY))?;
        Ok(context)
    };
    begin().map_err(|error| Denial::said(BROKEN, format!("PAM service {service} does not start: {error}")).for_good())
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

/// Answers what one user name and one password can answer, and keeps what modules say.
#[derive(Default)]
struct Conversation {
    user: String,
    password: Option<Secret>,
    /// The prompt that the password was the answer to.
    answered: Option<CString>,
    heard: Heard,
}

/// What modules said during one PAM call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Heard {
    messages: Vec<String>,
    /// A prompt that nobody here can answer.
    unanswered: Option<String>,
}

impl Conversation {
    /// What was heard since the last time; the password is forgotten.
    fn finish(&mut self) -> Heard {
        self.password = None;
        self.answered = None;
        std::mem::take(&mut self.heard)
    }

    fn refuse<T>(&mut self, prompt: &CStr) -> Result<T, ErrorCode> {
        self.heard.unanswered.get_or_insert_with(|| readable(prompt));
        Err(ErrorCode::CONV_ERR)
    }
}

impl ConversationHandler for Conversation {
    fn prompt_echo_on(&mut self, prompt: &CStr) -> Result<CString, ErrorCode> {
        let asks_who = ["login", "user"].iter().any(|word| readable(prompt).to_lowercase().contains(word));
        if !asks_who {
            return self.refuse(prompt);
        }
        CString::new(self.user.as_str()).map_err(|_| ErrorCode::CONV_ERR)
    }

    fn prompt_echo_off(&mut self, prompt: &CStr) -> Result<CString, ErrorCode> {
        // The first one is for the password; so is the same question from the next module in the stack.
        let same_question = self.answered.as_deref().is_none_or(|answered| answered == prompt);
        match &self.password {
            Some(password) if same_question => {
                let answer = CString::new(password.expose()).map_err(|_| ErrorCode::CONV_ERR)?;
                self.answered = Some(prompt.to_owned());
                Ok(answer)
            }
            _ => self.refuse(prompt),
        }
    }

    fn text_info(&mut self, text: &CStr) {
        self.heard.keep(text);
    }

    fn error_msg(&mut self, text: &CStr) {
        self.heard.keep(text);
    }

    fn radio_prompt(&mut self, prompt: &CStr) -> Result<bool, ErrorCode> {
        self.refuse(prompt)
    }
}

impl Heard {
    fn keep(&mut self, text: &CStr) {
        let text = readable(text);
        if !text.is_empty() && self.messages.len() < MAX_MESSAGES {
            self.messages.push(text);
        }
    }

    /// What the modules said, or `otherwise` where they said nothing.
    fn or(&self, otherwise: &str) -> String {
        if self.messages.is_empty() { otherwise.to_owned() } else { self.messages.join(" ") }
    }
}

/// One line of what a module said.
fn readable(text: &CStr) -> String {
    let text = text.to_string_lossy();
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `pam_authenticate` said no. What modules said goes to the journal only: it may tell a stranger
/// whether an account exists.
fn authentication_denial(code: ErrorCode, heard: &Heard) -> Denial {
    let reason = format!("authentication: {code:?}: {}", heard.or("no message"));
    if let Some(prompt) = &heard.unanswered {
        return Denial::said(MORE_THAN_A_PASSWORD, format!("{reason}; unanswered prompt {prompt:?}"));
    }
    match code {
        ErrorCode::AUTHINFO_UNAVAIL => Denial::said(DATABASE_UNREACHABLE, reason),
        ErrorCode::ABORT | ErrorCode::SYSTEM_ERR | ErrorCode::OPEN_ERR | ErrorCode::BUF_ERR => {
            Denial::said(BROKEN, reason).for_good()
        }
        ErrorCode::MAXTRIES => Denial { again: Again::Pointless, ..Denial::credentials(reason) },
        _ => Denial::credentials(reason),
    }
}

/// `pam_acct_mgmt` said no: the password was right, so the user may know why.
fn account_denial(code: ErrorCode, heard: &Heard) -> Denial {
    let reason = format!("account: {code:?}: {}", heard.or("no message"));
    match code {
        ErrorCode::NEW_AUTHTOK_REQD => Denial::said(PASSWORD_EXPIRED, reason),
        ErrorCode::ACCT_EXPIRED => Denial::said(ACCOUNT_EXPIRED, reason),
        _ if heard.unanswered.is_some() => Denial::said(MORE_THAN_A_PASSWORD, reason),
        _ => Denial::said(&heard.or(NOT_ALLOWED), reason),
    }
}

const TTY: &str = "wrd";
const MAX_MESSAGES: usize = 8;

const MORE_THAN_A_PASSWORD: &str =
    "This account needs more than a password to log in, and this server cannot ask for more yet.";
const PASSWORD_EXPIRED: &str =
    "Your password has expired. Change it on the console or over ssh, then log in here again.";
const ACCOUNT_EXPIRED: &str = "This account has expired. Ask the administrator of this machine.";
const NOT_ALLOWED: &str = "This account may not log in here now. Ask the administrator of this machine.";
const DATABASE_UNREACHABLE: &str = "The user database cannot be reached at the moment. Try again later.";
const BROKEN: &str = "This machine cannot check passwords: its login service is not set up. The log says more.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denial::WRONG_CREDENTIALS;

    fn conversation() -> Conversation {
        Conversation { user: "alice".into(), password: Secret::new(b"canary".to_vec()).ok(), ..Default::default() }
    }

    #[test]
    fn a_password_answers_the_password_prompt_and_no_other() {
        let mut c = conversation();
        assert_eq!(c.prompt_echo_off(c"Password: ").unwrap().as_c_str(), c"canary");
        assert_eq!(c.prompt_echo_off(c"Password: ").unwrap().as_c_str(), c"canary");
        assert_eq!(c.prompt_echo_off(c"Verification code: "), Err(ErrorCode::CONV_ERR));
        assert_eq!(c.prompt_echo_on(c"Token: "), Err(ErrorCode::CONV_ERR));
        assert_eq!(c.prompt_echo_on(c"login: ").unwrap().as_c_str(), c"alice");
        let heard = c.finish();
        assert_eq!(heard.unanswered.as_deref(), Some("Verification code:"));
        assert_eq!(authentication_denial(ErrorCode::CONV_ERR, &heard).text.as_str(), MORE_THAN_A_PASSWORD);
    }

    #[test]
    fn the_password_is_forgotten_after_authentication() {
        let mut c = conversation();
        c.finish();
        assert!(c.prompt_echo_off(c"Password: ").is_err());
    }

    #[test]
    fn unknown_users_and_wrong_passwords_read_the_same_whatever_modules_say() {
        let talkative = Heard { messages: vec!["alice is locked".into()], unanswered: None };
        for code in [ErrorCode::AUTH_ERR, ErrorCode::USER_UNKNOWN, ErrorCode::PERM_DENIED, ErrorCode::MAXTRIES] {
            for heard in [&Heard::default(), &talkative] {
                let denial = authentication_denial(code, heard);
                assert_eq!(denial.text.as_str(), WRONG_CREDENTIALS);
                assert_eq!(denial.reason.contains("locked"), !heard.messages.is_empty());
            }
        }
        assert_eq!(authentication_denial(ErrorCode::MAXTRIES, &talkative).again, Again::Pointless);
    }

    #[test]
    fn who_has_the_right_password_is_told_what_is_wrong() {
        let none = Heard::default();
        assert_eq!(account_denial(ErrorCode::NEW_AUTHTOK_REQD, &none).text.as_str(), PASSWORD_EXPIRED);
        assert_eq!(account_denial(ErrorCode::ACCT_EXPIRED, &none).text.as_str(), ACCOUNT_EXPIRED);
        assert_eq!(account_denial(ErrorCode::AUTH_ERR, &none).text.as_str(), NOT_ALLOWED);
        let nologin = Heard { messages: vec!["System is going down.".into()], unanswered: None };
        assert_eq!(account_denial(ErrorCode::AUTH_ERR, &nologin).text.as_str(), "System is going down.");
    }

    #[test]
    fn what_modules_say_becomes_one_line() {
        let mut c = conversation();
        c.text_info(c"  System\n is\x1b[31m down. \n");
        c.error_msg(c"\n");
        assert_eq!(c.finish().or("x"), "System is [31m down.");
    }
}
