//! The line to the user in the middle of PAM: what modules ask and tell goes to the gate, one question at a time, and
//! the answer comes back.
//!
//! Always true: a question is waited for no longer than the login may last, and not at all once the client or the
//! monitor has gone; whatever ends a dialogue ends it for the whole try, so that no module that shrugs it off is asked
//! on behalf of somebody who is not there. Deliberately absent: what the questions mean, and PAM.

use crate::deadlines::Deadlines;
use crate::login::{GateChannel, MonitorChannel};
use crate::wait::{Interest, wait};
use std::os::fd::AsFd;
use std::time::Instant;
use wrd_proto::leader::FromLeader;
use wrd_proto::login::{self, FromGate, MAX_QUESTIONS, MAX_TELLS, Prompt, Tone};
use wrd_proto::{Line, Secret};
use wrd_sys::channel::ChannelError;

/// One login's dialogue, all of its tries together.
pub struct Dialogue<'a> {
    gate: &'a GateChannel,
    monitor: &'a MonitorChannel,
    deadline: Instant,
    deadlines: Deadlines,
    asked: u32,
    told: u32,
    end: Option<End>,
}

/// Why there is no answer, now or to any further question of this try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The user does not want to answer.
    Cancelled,
    /// The client went away, or the monitor has ended the login.
    Gone,
    /// Nobody has answered in time.
    TooLate,
    /// More was asked than anybody should be.
    TooMany,
    /// The gate or the monitor does not keep to the protocol.
    Broken(String),
}

impl<'a> Dialogue<'a> {
    /// The login may last until `deadline`, and longer once if something is asked.
    pub fn new(gate: &'a GateChannel, monitor: &'a MonitorChannel, deadline: Instant, deadlines: Deadlines) -> Self {
        Self { gate, monitor, deadline, deadlines, asked: 0, told: 0, end: None }
    }

    /// Until when the login may last by now.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether anything was asked: then more has been tried than a password.
    pub fn has_asked(&self) -> bool {
        self.asked > 0
    }

    /// Whether something has ended this try: whatever is said in it now is said to nobody.
    pub fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// What has ended this try, if anything has; the next one begins with a clean slate.
    pub fn take_end(&mut self) -> Option<End> {
        self.end.take()
    }

    /// Has the user answer a question.
    pub fn ask(&mut self, kind: Prompt, text: &str) -> Result<Secret, End> {
        if let Some(end) = &self.end {
            return Err(end.clone());
        }
        let answer = self.ask_once(kind, text);
        if let Err(end) = &answer {
            self.end = Some(end.clone());
        }
        answer
    }

    /// Has the user read something. What is more than anybody reads is left out.
    pub fn tell(&mut self, tone: Tone, text: &str) {
        if self.told >= MAX_TELLS || self.is_over() {
            return;
        }
        self.told += 1;
        tracing::info!(?text, "PAM tells the user");
        let message = login::FromLeader::Tell { tone, text: Line::truncated(text) };
        if let Err(error) = self.gate.send(&message) {
            tracing::debug!("ignoring that the gate cannot be told: {error}");
        }
    }

    fn ask_once(&mut self, kind: Prompt, text: &str) -> Result<Secret, End> {
        if self.asked >= MAX_QUESTIONS {
            return Err(End::TooMany);
        }
        if self.asked == 0 {
            // Once only: a login must not last as long as its questions go on.
            self.deadline = self.deadline.max(Instant::now() + self.deadlines.answering);
            self.deadlines.arm_backstop();
        }
        self.asked += 1;
        tracing::info!(?text, "PAM asks the user");
        let gone = |_: ChannelError| End::Gone;
        self.monitor.send(&FromLeader::Asks).map_err(gone)?;
        self.gate.send(&login::FromLeader::Ask { kind, text: Line::truncated(text) }).map_err(gone)?;
        let answer = self.wait_for_answer()?;
        self.monitor.send(&FromLeader::Answered).map_err(gone)?;
        Ok(answer)
    }

    fn wait_for_answer(&self) -> Result<Secret, End> {
        let fds = [(self.gate.as_fd(), Interest::Read), (self.monitor.as_fd(), Interest::Read)];
        let events = wait(&fds, Some(self.deadline)).map_err(|errno| End::Broken(format!("cannot wait: {errno}")))?;
        if events.iter().skip(1).any(|monitor| monitor.readable) {
            return Err(match self.monitor.recv() {
                Err(ChannelError::Closed) => End::Gone,
                other => End::Broken(format!("{other:?} from the monitor during a login")),
            });
        }
        if !events.iter().any(|gate| gate.readable) {
            return Err(End::TooLate);
        }
        match self.gate.recv() {
            Ok(FromGate::Answer(answer)) => Ok(answer),
            Ok(FromGate::Cancel) => Err(End::Cancelled),
            Ok(FromGate::Credentials { .. }) => Err(End::Broken("credentials where an answer is due".into())),
            Err(ChannelError::Closed) => Err(End::Gone),
            Err(error) => Err(End::Broken(error.to_string())),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::time::Duration;
    use wrd_proto::leader::ToLeader;
    use wrd_sys::RawChannel;
    use wrd_sys::channel::Channel;

    /// Both ends of both channels of a login.
    pub struct Ends {
        pub gate: GateChannel,
        pub monitor: MonitorChannel,
        pub client: Channel<FromGate, login::FromLeader>,
        pub server: Channel<ToLeader, FromLeader>,
    }

    pub fn ends() -> Ends {
        let (gate, client) = RawChannel::pair().unwrap();
        let (monitor, server) = RawChannel::pair().unwrap();
        Ends { gate: gate.typed(), monitor: monitor.typed(), client: client.typed(), server: server.typed() }
    }

    impl Ends {
        pub fn dialogue(&self) -> Dialogue<'_> {
            Dialogue::new(&self.gate, &self.monitor, Instant::now() + Duration::from_secs(60), Deadlines::FULL)
        }

        pub fn answer(&self, text: &[u8]) {
            self.client.send(&FromGate::Answer(Secret::new(text.to_vec()).unwrap())).unwrap();
        }

        pub fn heard_by_client(&self) -> login::FromLeader {
            self.client.recv().unwrap()
        }
    }

    #[test]
    fn a_question_is_asked_and_answered_and_the_monitor_knows() {
        let ends = ends();
        ends.answer(b"123456");
        let answer = ends.dialogue().ask(Prompt::Hidden, "Code:").unwrap();
        assert_eq!(answer.expose(), b"123456");
        let text = Line::truncated("Code:");
        assert_eq!(ends.heard_by_client(), login::FromLeader::Ask { kind: Prompt::Hidden, text });
        assert_eq!(ends.server.recv().unwrap(), FromLeader::Asks);
        assert_eq!(ends.server.recv().unwrap(), FromLeader::Answered);
    }

    #[test]
    fn answers_are_bytes_of_any_kind_up_to_a_length() {
        let ends = ends();
        let mut dialogue = ends.dialogue();
        for answer in [&b""[..], b"a\0b", b"\xff\xfe", &[b'x'; Secret::MAX]] {
            ends.answer(answer);
            assert_eq!(dialogue.ask(Prompt::Hidden, "?").unwrap().expose(), answer);
        }
        // What cannot be sent as a message of ours is sent as one that looks like it.
        let long = (1u32, wrd_proto::Bytes::<10_000>::try_from(vec![b'x'; 10_000]).unwrap());
        drop(dialogue);
        let Ends { gate, monitor, client, server: _server } = ends;
        let raw: Channel<(u32, wrd_proto::Bytes<10_000>), login::FromLeader> = client.into_raw().typed();
        raw.send(&long).unwrap();
        let mut dialogue = Dialogue::new(&gate, &monitor, Instant::now(), Deadlines::FULL);
        assert!(matches!(dialogue.ask(Prompt::Hidden, "?"), Err(End::Broken(_))));
    }

    #[test]
    fn whatever_ends_it_ends_the_whole_try() {
        let cancelled = |ends: Ends| {
            ends.client.send(&FromGate::Cancel).unwrap();
            ends
        };
        let mut ends = cancelled(ends());
        let mut dialogue = ends.dialogue();
        assert_eq!(dialogue.ask(Prompt::Shown, "?").unwrap_err(), End::Cancelled);
        ends.answer(b"too late");
        assert_eq!(dialogue.ask(Prompt::Shown, "?").unwrap_err(), End::Cancelled);
        dialogue.tell(Tone::Info, "nobody hears this");
        assert_eq!(dialogue.take_end(), Some(End::Cancelled));
        // The next try.
        assert_eq!(dialogue.ask(Prompt::Shown, "?").unwrap().expose(), b"too late");
        assert_eq!(dialogue.take_end(), None);
        ends = self::ends();
        let (gate, monitor) = (&ends.gate, &ends.monitor);
        drop(ends.client);
        assert_eq!(
            Dialogue::new(gate, monitor, Instant::now(), Deadlines::FULL).ask(Prompt::Shown, "?").unwrap_err(),
            End::Gone
        );
    }

    #[test]
    fn a_client_or_a_monitor_that_goes_while_it_is_waited_for_ends_it_at_once() {
        for monitor_goes in [true, false] {
            let Ends { gate, monitor, client, server } = ends();
            let thread = std::thread::spawn(move || {
                client.recv().unwrap();
                std::thread::sleep(Duration::from_millis(50));
                if monitor_goes {
                    drop(server);
                    std::thread::sleep(Duration::from_millis(3000));
                } else {
                    drop(client);
                    std::thread::sleep(Duration::from_millis(3000));
                    drop(server);
                }
            });
            let begin = Instant::now();
            let mut dialogue = Dialogue::new(&gate, &monitor, begin + Duration::from_secs(60), Deadlines::FULL);
            assert_eq!(dialogue.ask(Prompt::Hidden, "?").unwrap_err(), End::Gone);
            assert!(begin.elapsed() < Duration::from_millis(2500), "{:?}", begin.elapsed());
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_thousand_questions_are_too_many_and_a_thousand_messages_are_not_sent() {
        let ends = ends();
        let mut dialogue = ends.dialogue();
        let mut answered = 0;
        for _ in 0..1000 {
            ends.answer(b"yes");
            if dialogue.ask(Prompt::Shown, "Sure?").is_err() {
                break;
            }
            ends.client.recv().unwrap();
            answered += 1;
        }
        assert_eq!(answered, MAX_QUESTIONS);
        assert_eq!(dialogue.take_end(), Some(End::TooMany));
        // Nor does another try allow more of them.
        assert_eq!(dialogue.ask(Prompt::Shown, "Sure?").unwrap_err(), End::TooMany);
        dialogue.take_end();
        (0..1000).for_each(|_| dialogue.tell(Tone::Error, "no"));
        drop(dialogue);
        let Ends { gate, client, .. } = ends;
        // The answer that nobody has asked for: unread, it would take what was told with it.
        gate.recv().unwrap();
        drop(gate);
        assert_eq!(std::iter::from_fn(|| client.recv().ok()).count(), MAX_TELLS as usize);
    }

    #[test]
    fn nobody_is_waited_for_longer_than_the_login_may_last() {
        let ends = ends();
        // A backstop would outlive the test.
        let deadlines = Deadlines { answering: Duration::from_millis(30), backstop: None, ..Deadlines::FULL };
        let began = Instant::now();
        let mut dialogue = Dialogue::new(&ends.gate, &ends.monitor, began, deadlines);
        assert_eq!(dialogue.ask(Prompt::Hidden, "?").unwrap_err(), End::TooLate);
        let deadline = dialogue.deadline();
        assert!(deadline >= began + deadlines.answering && Instant::now() >= deadline);
        // Once only.
        dialogue.take_end();
        assert_eq!(dialogue.ask(Prompt::Hidden, "?").unwrap_err(), End::TooLate);
        assert_eq!(dialogue.deadline(), deadline);
    }

    #[test]
    fn credentials_are_no_answer() {
        let ends = ends();
        let none = wrd_proto::UserName::default;
        let password = Secret::new(Vec::new()).unwrap();
        let session = login::SessionChoice::Last;
        ends.client.send(&FromGate::Credentials { user: none(), domain: none(), password, session }).unwrap();
        assert!(matches!(ends.dialogue().ask(Prompt::Hidden, "?"), Err(End::Broken(_))));
    }
}
