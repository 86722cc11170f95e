//! What PAM's modules ask and say during one login. The user name and the password that were given answer what they can
//! answer; everything else goes to the user.
//!
//! Always true: what modules say before the password was right reaches nobody but the journal, unless they then ask
//! for more than the password; what they said before they had even seen it, not even then. Otherwise a stranger could
//! read there which accounts exist (pam_faillock says which are locked).

use crate::dialogue::Dialogue;
use pam_client::{ConversationHandler, ErrorCode};
use std::ffi::{CStr, CString};
use wrd_proto::Secret;
use wrd_proto::login::{Prompt, Tone};

/// The conversation from `pam_start` until the user is let in. The default one is what is left where that was: the
/// binding wants one, and it asks nobody.
#[derive(Default)]
pub struct Conversation<'a, 'd> {
    user: String,
    password: Option<Secret>,
    /// The prompt that the password was the answer to.
    answered: Option<CString>,
    heard: Heard,
    /// Said before the password was right: told with the next question, or once it was.
    held: Vec<(Tone, String)>,
    phase: Phase,
    dialogue: Option<&'a mut Dialogue<'d>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Authentication,
    /// The user is who they say they are, and may read everything.
    Authenticated,
}

/// What modules said during one PAM call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard(Vec<(Tone, String)>);

impl<'a, 'd> Conversation<'a, 'd> {
    pub fn new(user: &str, password: Secret, dialogue: &'a mut Dialogue<'d>) -> Self {
        Self { user: user.to_owned(), password: Some(password), dialogue: Some(dialogue), ..Self::default() }
    }

    /// The password, which is forgotten here, if nothing was asked of the user besides.
    pub fn give_back(&mut self) -> Option<Secret> {
        let alone = self.dialogue.as_ref().is_some_and(|dialogue| !dialogue.has_asked());
        self.password.take().filter(|_| alone)
    }

    /// What was heard since the last time; the password is forgotten.
    pub fn finish(&mut self) -> Heard {
        self.password = None;
        self.answered = None;
        std::mem::take(&mut self.heard)
    }

    /// PAM has said yes to the user.
    pub fn authenticated(&mut self) {
        self.phase = Phase::Authenticated;
        self.tell_held();
    }

    fn tell_held(&mut self) {
        for (tone, text) in std::mem::take(&mut self.held) {
            self.tell(tone, &text);
        }
    }

    fn tell(&mut self, tone: Tone, text: &str) {
        if let Some(dialogue) = &mut self.dialogue {
            dialogue.tell(tone, text);
        }
    }

    fn said(&mut self, tone: Tone, text: &CStr) {
        let text = readable(text);
        if text.is_empty() {
            return;
        }
        self.heard.keep(tone, &text);
        match self.phase {
            Phase::Authenticated => self.tell(tone, &text),
            Phase::Authentication if self.answered.is_some() && self.held.len() < MAX_MESSAGES => {
                self.held.push((tone, text));
            }
            Phase::Authentication => {}
        }
    }

    fn ask(&mut self, kind: Prompt, prompt: &str) -> Result<CString, ErrorCode> {
        self.tell_held();
        let prompt = if prompt.is_empty() { NO_PROMPT } else { prompt };
        // Why there is no answer is kept by the dialogue, for whoever reads PAM's verdict.
        let answered = self.dialogue.as_mut().and_then(|dialogue| dialogue.ask(kind, prompt).ok());
        c_string(&answered.ok_or(ErrorCode::CONV_ERR)?)
    }
}

impl ConversationHandler for Conversation<'_, '_> {
    fn prompt_echo_on(&mut self, prompt: &CStr) -> Result<CString, ErrorCode> {
        let prompt = readable(prompt);
        if asks_who(&prompt) {
            return CString::new(self.user.as_str()).map_err(|_| ErrorCode::CONV_ERR);
        }
        self.ask(Prompt::Shown, &prompt)
    }

    fn prompt_echo_off(&mut self, prompt: &CStr) -> Result<CString, ErrorCode> {
        // The first one is for the password; so is the same question from the next module in the stack.
        let same_question = self.answered.as_deref().is_none_or(|answered| answered == prompt);
        match &self.password {
            Some(password) if same_question => {
                let answer = c_string(password)?;
                self.answered = Some(prompt.to_owned());
                Ok(answer)
            }
            _ => self.ask(Prompt::Hidden, &readable(prompt)),
        }
    }

    fn text_info(&mut self, text: &CStr) {
        self.said(Tone::Info, text);
    }

    fn error_msg(&mut self, text: &CStr) {
        self.said(Tone::Error, text);
    }

    fn radio_prompt(&mut self, prompt: &CStr) -> Result<bool, ErrorCode> {
        let answer = self.ask(Prompt::Shown, &format!("{} [y/n]", readable(prompt)))?;
        Ok(matches!(answer.as_bytes().first(), Some(b'y' | b'Y')))
    }
}

/// The conversation of a session that is opened and closed: nobody is there to answer.
#[derive(Default)]
pub struct Quiet(Heard);

impl Quiet {
    /// What was heard since the last time.
    pub fn finish(&mut self) -> Heard {
        std::mem::take(&mut self.0)
    }

    fn refuse<T>(&mut self, prompt: &CStr) -> Result<T, ErrorCode> {
        tracing::warn!(prompt = %readable(prompt), "a PAM module asks when nobody is there to answer");
        Err(ErrorCode::CONV_ERR)
    }
}

impl ConversationHandler for Quiet {
    fn prompt_echo_on(&mut self, prompt: &CStr) -> Result<CString, ErrorCode> {
        self.refuse(prompt)
    }

    fn prompt_echo_off(&mut self, prompt: &CStr) -> Result<CString, ErrorCode> {
        self.refuse(prompt)
    }

    fn text_info(&mut self, text: &CStr) {
        self.0.keep(Tone::Info, &readable(text));
    }

    fn error_msg(&mut self, text: &CStr) {
        self.0.keep(Tone::Error, &readable(text));
    }

    fn radio_prompt(&mut self, prompt: &CStr) -> Result<bool, ErrorCode> {
        self.refuse(prompt)
    }
}

impl Heard {
    pub fn keep(&mut self, tone: Tone, text: &str) {
        if !text.is_empty() && self.0.len() < MAX_MESSAGES {
            self.0.push((tone, text.to_owned()));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the modules said, or `otherwise` where they said nothing.
    pub fn or(&self, otherwise: &str) -> String {
        if self.0.is_empty() { otherwise.to_owned() } else { self.joined(|_| true) }
    }

    /// What went wrong, in the words of the modules; may be nothing.
    pub fn errors(&self) -> String {
        self.joined(|tone| tone == Tone::Error)
    }

    fn joined(&self, which: impl Fn(Tone) -> bool) -> String {
        let texts = self.0.iter().filter(|(tone, _)| which(*tone)).map(|(_, text)| text.as_str());
        texts.collect::<Vec<_>>().join(" ")
    }
}

/// What PAM can take: C strings end at a NUL.
fn c_string(secret: &Secret) -> Result<CString, ErrorCode> {
    if secret.expose().contains(&0) {
        tracing::info!("an answer with a NUL in it is none");
        return Err(ErrorCode::CONV_ERR);
    }
    CString::new(secret.expose()).map_err(|_| ErrorCode::CONV_ERR)
}

/// Whether the prompt is for the name that was typed already.
fn asks_who(prompt: &str) -> bool {
    let words = prompt.to_lowercase();
    let words = words.trim_end_matches(|c: char| !c.is_alphanumeric());
    ["login", "user", "username", "user name", "login name"].iter().any(|asked| {
        words.strip_suffix(asked).is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
    })
}

/// One line of what a module said.
fn readable(text: &CStr) -> String {
    let text = text.to_string_lossy();
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

const MAX_MESSAGES: usize = 8;
const NO_PROMPT: &str = "The login service asks:";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialogue::End;
    use crate::dialogue::tests::{Ends, ends};
    use wrd_proto::login::{FromGate, FromLeader, MAX_QUESTIONS};

    fn conversation<'a, 'd>(dialogue: &'a mut Dialogue<'d>) -> Conversation<'a, 'd> {
        Conversation::new("alice", Secret::new(b"canary".to_vec()).unwrap(), dialogue)
    }

    /// What the client has heard by now, as short text.
    fn heard(ends: Ends) -> Vec<String> {
        let Ends { gate, client, .. } = ends;
        drop(gate);
        let message = |message| match message {
            FromLeader::Ask { kind, text } => format!("{kind:?}: {text}"),
            FromLeader::Tell { tone, text } => format!("{tone:?}: {text}"),
            other => format!("{other:?}"),
        };
        std::iter::from_fn(|| client.recv().ok()).map(message).collect()
    }

    #[test]
    fn the_password_answers_its_prompt_and_every_other_is_the_users() {
        let ends = ends();
        let mut dialogue = ends.dialogue();
        let mut c = conversation(&mut dialogue);
        assert_eq!(c.prompt_echo_off(c"Password: ").unwrap().as_c_str(), c"canary");
        assert_eq!(c.prompt_echo_off(c"Password: ").unwrap().as_c_str(), c"canary");
        assert_eq!(c.prompt_echo_on(c"login: ").unwrap().as_c_str(), c"alice");
        for answer in [&b"123456"[..], b"blue", b"yes", b"\xff\xfe"] {
            ends.answer(answer);
        }
        assert_eq!(c.prompt_echo_off(c"Verification code: ").unwrap().as_c_str(), c"123456");
        assert_eq!(c.prompt_echo_on(c"Favourite colour of user alice?").unwrap().as_c_str(), c"blue");
        assert_eq!(c.radio_prompt(c"Trust this device?"), Ok(true));
        assert_eq!(c.prompt_echo_off(c"").unwrap().as_bytes(), b"\xff\xfe");
        drop(dialogue);
        assert_eq!(
            heard(ends),
            [
                "Hidden: Verification code:",
                "Shown: Favourite colour of user alice?",
                "Shown: Trust this device? [y/n]",
                "Hidden: The login service asks:",
            ]
        );
    }

    #[test]
    fn the_password_is_forgotten_after_authentication() {
        let ends = ends();
        let mut dialogue = ends.dialogue();
        let mut c = conversation(&mut dialogue);
        c.finish();
        ends.answer(b"typed");
        assert_eq!(c.prompt_echo_off(c"Password: ").unwrap().as_c_str(), c"typed");
    }

    #[test]
    fn a_name_is_asked_for_in_few_words() {
        for prompt in ["login:", "lab login: ", "Username:", "User name", "user"] {
            assert!(asks_who(prompt), "{prompt}");
        }
        for prompt in ["", "Code for user alice:", "Superuser:", "Login token:", "One-time password"] {
            assert!(!asks_who(prompt), "{prompt}");
        }
    }

    #[test]
    fn strangers_read_nothing_that_tells_whether_an_account_exists() {
        let ends = ends();
        let mut dialogue = ends.dialogue();
        let mut c = conversation(&mut dialogue);
        // pam_faillock before the password, another module behind it, and no question.
        c.text_info(c"The account is locked due to 3 failed logins.");
        c.prompt_echo_off(c"Password: ").unwrap();
        c.error_msg(c"3 failures so far.");
        assert_eq!(c.finish().or(""), "The account is locked due to 3 failed logins. 3 failures so far.");
        drop(dialogue);
        assert_eq!(heard(ends), [""; 0]);
    }

    #[test]
    fn what_belongs_to_a_question_or_comes_after_the_password_was_right_is_told() {
        let ends = ends();
        let mut dialogue = ends.dialogue();
        let mut c = conversation(&mut dialogue);
        c.text_info(c"before");
        c.prompt_echo_off(c"Password: ").unwrap();
        c.text_info(c"A code was sent to +1…9.");
        ends.answer(b"1");
        c.prompt_echo_off(c"Code: ").unwrap();
        c.text_info(c"Welcome.");
        c.finish();
        c.authenticated();
        c.error_msg(c"Your password expires in 3 days.");
        drop(dialogue);
        assert_eq!(
            heard(ends),
            [
                "Info: A code was sent to +1…9.",
                "Hidden: Code:",
                "Info: Welcome.",
                "Error: Your password expires in 3 days.",
            ]
        );
    }

    #[test]
    fn a_thousand_questions_end_it() {
        let ends = ends();
        let mut dialogue = ends.dialogue();
        let mut c = conversation(&mut dialogue);
        c.prompt_echo_off(c"Password: ").unwrap();
        let mut asked = 0;
        for _ in 0..1000 {
            ends.answer(b"x");
            match c.prompt_echo_off(c"Code: ") {
                Ok(_) => asked += 1,
                Err(code) => assert_eq!(code, ErrorCode::CONV_ERR),
            }
            if asked == MAX_QUESTIONS {
                break;
            }
            ends.client.recv().unwrap();
        }
        (0..1000).for_each(|_| assert!(c.prompt_echo_on(c"Code: ").is_err()));
        assert_eq!(dialogue.take_end(), Some(End::TooMany));
    }

    #[test]
    fn no_answer_is_no_answer() {
        let ends = ends();
        let mut dialogue = ends.dialogue();
        let mut c = conversation(&mut dialogue);
        c.prompt_echo_off(c"Password: ").unwrap();
        // A NUL cannot be said to PAM; it ends nothing else.
        ends.answer(b"12\x0034");
        assert_eq!(c.prompt_echo_off(c"Code: "), Err(ErrorCode::CONV_ERR));
        ends.client.send(&FromGate::Cancel).unwrap();
        assert_eq!(c.prompt_echo_off(c"Code: "), Err(ErrorCode::CONV_ERR));
        assert_eq!(dialogue.take_end(), Some(End::Cancelled));
    }

    #[test]
    fn what_modules_say_becomes_one_line() {
        let mut quiet = Quiet::default();
        quiet.text_info(c"  System\n is\x1b[31m down. \n");
        quiet.error_msg(c"\n");
        assert_eq!(quiet.finish().or("x"), "System is [31m down.");
        assert!(quiet.prompt_echo_off(c"?").is_err());
    }
}
