//! What the modules of PAM say and ask: the newest of what was told, and the question that is to be answered. Pure.

use super::field::Field;
use super::form::{ButtonView, FieldView, Tone, dots};
use wrd_proto::Secret;
use wrd_proto::login::Prompt;

/// What of it is to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogueView {
    /// Who is asked.
    pub user: String,
    /// Oldest first.
    pub told: Vec<(Tone, String)>,
    pub question: Option<QuestionView>,
    pub cancel: ButtonView,
}

/// What of a dialogue takes part in its layout.
type Words<'a> = (&'a str, &'a [(Tone, String)], Option<&'a str>);

impl DialogueView {
    /// Everything that the user reads.
    pub fn words(&self) -> Words<'_> {
        (&self.user, &self.told, self.question.as_ref().map(|question| question.text.as_str()))
    }

    /// What the user types.
    pub fn answer(&self) -> Option<&FieldView> {
        self.question.as_ref().map(|question| &question.answer)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionView {
    /// The module's own words.
    pub text: String,
    pub answer: FieldView,
    /// The answer must not be seen.
    pub hidden: bool,
}

pub struct Dialogue {
    told: Vec<(Tone, String)>,
    question: Option<Question>,
    answer: Field,
}

struct Question {
    kind: Prompt,
    text: String,
    /// What is shown of an answer that was given.
    given: Option<String>,
}

/// Most messages that stay; there is no room for more.
const MOST_TOLD: usize = 4;

impl Default for Dialogue {
    fn default() -> Self {
        Self { told: Vec::new(), question: None, answer: Field::one_over(Secret::MAX) }
    }
}

impl Dialogue {
    pub fn ask(&mut self, kind: Prompt, text: &str) {
        self.answer.clear();
        self.question = Some(Question { kind, text: text.to_owned(), given: None });
    }

    /// A question that was answered makes room for what is said of the answer.
    pub fn tell(&mut self, tone: Tone, text: &str) {
        self.question = self.question.take().filter(|question| question.given.is_none());
        if self.told.len() >= MOST_TOLD {
            self.told.remove(0);
        }
        self.told.push((tone, text.to_owned()));
    }

    /// The answer is gone from here afterwards. What was told before has been read with the question.
    pub fn take_answer(&mut self) -> Result<Secret, &'static str> {
        let secret = Secret::new(self.answer.text().as_bytes().to_vec()).map_err(|_| "This answer is too long.")?;
        if let Some(question) = &mut self.question {
            question.given = Some(shown(question.kind, &self.answer));
        }
        self.told.clear();
        self.answer.clear();
        Ok(secret)
    }

    pub fn field(&mut self) -> &mut Field {
        &mut self.answer
    }

    /// `field` completes how the answer is shown.
    pub fn view(
        &self,
        user: &str,
        cancel: ButtonView,
        revealed: bool,
        field: impl Fn(&Field, String, bool) -> FieldView,
    ) -> DialogueView {
        let question = self.question.as_ref().map(|question| {
            let (hidden, kind) =
                (question.kind == Prompt::Hidden, if revealed { Prompt::Shown } else { question.kind });
            let shown = question.given.clone().unwrap_or_else(|| shown(kind, &self.answer));
            QuestionView { text: question.text.clone(), answer: field(&self.answer, shown, hidden), hidden }
        });
        DialogueView { user: user.to_owned(), told: self.told.clone(), question, cancel }
    }
}

fn shown(kind: Prompt, answer: &Field) -> String {
    match kind {
        Prompt::Hidden => dots(answer.count()),
        Prompt::Shown => answer.text().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut dialogue = Dialogue::default();
        (0..1000).for_each(|number| dialogue.tell(Tone::Plain, &number.to_string()));
        let told: Vec<&str> = dialogue.told.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(told, ["996", "997", "998", "999"]);
    }

    #[test]
    fn what_is_said_of_an_answer_takes_the_place_of_the_question() {
        let mut dialogue = Dialogue::default();
        dialogue.ask(Prompt::Hidden, "New password:");
        dialogue.tell(Tone::Plain, "At least eight characters.");
        assert!(dialogue.question.is_some());
        dialogue.take_answer().unwrap();
        assert!(dialogue.told.is_empty() && dialogue.question.is_some());
        dialogue.tell(Tone::Error, "BAD PASSWORD");
        assert!(dialogue.question.is_none());
        dialogue.ask(Prompt::Hidden, "New password:");
        assert_eq!(dialogue.told.len(), 1);
    }
}
