//! What is typed and what is said: the login screen without its picture. Pure.

use super::choices::{Choices, ChoicesView, What};
use super::dialogue::{Dialogue, DialogueView};
use super::field::Field;
use wrd_proto::login::Prompt;
use wrd_proto::{Secret, UserName};
use wrd_rdp::input::Action as Pointer;

/// A key as the form understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    Tab,
    BackTab,
    Enter,
    Escape,
    SelectAll,
    ClearToStart,
    /// The state of a lock may have changed.
    Locks,
}

/// What the pointer can be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    User,
    Password,
    /// The field below a question.
    Answer,
    Button,
    /// The button beside it, where something is asked.
    Cancel,
    /// The eye in a field whose text is hidden.
    Reveal,
    /// What opens a menu.
    Menu(What),
    /// A row of an open one.
    Row(usize),
}

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    None,
    Submit,
    /// What was asked is answered.
    Answer,
    /// What was asked is not answered.
    Cancel,
    /// Another layout was chosen for the keyboard.
    Layout,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Error,
}

/// Everything the picture depends on. It holds what is typed in secret only while the user wants to see that.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub user: FieldView,
    pub password: FieldView,
    pub caps_lock: bool,
    pub message: Option<(Tone, String)>,
    pub button: ButtonView,
    pub page: Page,
    pub choices: ChoicesView,
    /// What opens a menu, where the keys or the pointer are on it.
    pub focused: Option<Target>,
    pub hovered: Option<Target>,
    /// Seconds until the screen is taken away, where that is soon.
    pub left: Option<u64>,
}

/// What is there between the title and the button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// User name and password.
    Credentials,
    /// What a module of PAM's says and asks.
    Dialogue(DialogueView),
    /// Only a message and a button.
    Final,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldView {
    /// The text, or as many dots as there are characters.
    pub shown: String,
    /// Characters before the caret.
    pub caret: usize,
    pub selected: bool,
    pub focused: bool,
    pub enabled: bool,
    /// Whether the text is revealed; nothing where it is never hidden.
    pub revealed: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ButtonView {
    pub label: &'static str,
    pub focused: bool,
    pub hovered: bool,
    pub pressed: bool,
    pub enabled: bool,
}

/// Stands for one character of a password.
pub const DOT: char = '•';
/// Longest user name that can be typed, in bytes.
const LONGEST_USER: usize = 256;

pub struct Form {
    user: Field,
    password: Field,
    focus: Target,
    message: Option<(Tone, String)>,
    state: State,
    /// Characters of the password that is being tried.
    tried: usize,
    /// In place of user name and password, once something was told or asked.
    dialogue: Option<Dialogue>,
    choices: Choices,
    /// What is hidden otherwise is to be seen.
    revealed: bool,
    hovered: Option<Target>,
    pressed: Option<Target>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Typing,
    Busy,
    Final,
}

impl Form {
    pub fn new(user: &UserName, choices: Choices) -> Self {
        let mut form = Self {
            user: Field::one_over(LONGEST_USER),
            password: Field::one_over(Secret::MAX),
            focus: Target::User,
            message: None,
            state: State::Typing,
            tried: 0,
            dialogue: None,
            choices,
            revealed: false,
            hovered: None,
            pressed: None,
        };
        form.user.set(user);
        if !form.user.is_empty() {
            form.focus = Target::Password;
        }
        form
    }

    pub fn say(&mut self, tone: Tone, text: &str) {
        self.message = Some((tone, text.to_owned()));
    }

    pub fn choices(&self) -> &Choices {
        &self.choices
    }

    /// Something is under way: nothing can be typed.
    pub fn busy(&mut self, text: &str) {
        self.rest();
        self.state = State::Busy;
        self.say(Tone::Plain, text);
    }

    /// Something is asked: it can be answered or cancelled.
    pub fn ask(&mut self, kind: Prompt, text: &str) {
        self.rest();
        self.state = State::Typing;
        self.dialogue.get_or_insert_default().ask(kind, text);
        self.focus = Target::Answer;
        self.message = None;
    }

    /// Something is told, and stays to be read until it is not of use any more.
    pub fn tell(&mut self, tone: Tone, text: &str) {
        self.dialogue.get_or_insert_default().tell(tone, text);
    }

    /// The credentials were wrong, or nobody answered: the next try.
    pub fn denied(&mut self, tone: Tone, text: &str) {
        self.state = State::Typing;
        self.dialogue = None;
        self.password.clear();
        self.focus = if self.user.is_empty() { Target::User } else { Target::Password };
        self.say(tone, text);
    }

    /// No try is left: a text and a button to close.
    pub fn failed(&mut self, text: &str) {
        self.rest();
        self.state = State::Final;
        self.dialogue = None;
        self.password.clear();
        self.focus = Target::Button;
        self.say(Tone::Error, text);
    }

    /// Takes what was typed, or says what is missing. The password is gone from the form afterwards; only its
    /// dots stay while it is tried.
    pub fn take_credentials(&mut self) -> Result<(UserName, Secret), &'static str> {
        let user = self.user.text().trim();
        if user.is_empty() {
            self.focus = Target::User;
            return Err("Type your user name.");
        }
        let user = UserName::try_from(user).map_err(|_| "This user name is too long.")?;
        let secret = Secret::new(self.password.text().as_bytes().to_vec()).map_err(|_| "This password is too long.")?;
        self.tried = self.password.count();
        self.password.clear();
        Ok((user, secret))
    }

    /// Takes the answer that was typed; what stays of it is what can be seen.
    pub fn take_answer(&mut self) -> Result<Secret, &'static str> {
        self.dialogue.get_or_insert_default().take_answer()
    }

    /// Leaves the question.
    pub fn cancel(&mut self) {
        self.dialogue = None;
        self.tried = 0;
    }

    /// Whatever was open or revealed for what was typed is no more.
    fn rest(&mut self) {
        self.revealed = false;
        self.choices.close();
    }

    pub fn key(&mut self, key: Key) -> Action {
        if self.choices.is_open() {
            return chosen(self.choices.key(key));
        }
        match (self.state, key) {
            (_, Key::Locks) | (State::Busy, _) => Action::None,
            (State::Final, Key::Enter | Key::Escape | Key::Char(' ')) => Action::Close,
            (State::Final, _) => Action::None,
            (State::Typing, key) if self.dialogue.is_some() => self.typed_answer(key),
            (State::Typing, key) => self.typed(key),
        }
    }

    pub fn hover(&mut self, target: Option<Target>) {
        self.hovered = target;
    }

    /// The wheel, downwards where positive.
    pub fn scroll(&mut self, lines: isize) {
        self.choices.scroll(lines);
    }

    /// The left button on `target`; `caret` is where in a field's text.
    pub fn click(&mut self, target: Option<Target>, pointer: Pointer, caret: Option<usize>) -> Action {
        self.hover(target);
        match (pointer, target) {
            (Pointer::Press, Some(Target::Button | Target::Cancel))
                if self.state != State::Busy && !self.choices.is_open() =>
            {
                self.pressed = target;
            }
            (Pointer::Press, Some(Target::Row(row))) => return chosen(self.choices.click(row)),
            (Pointer::Press, _) if self.choices.is_open() => self.choices.close(),
            (Pointer::Press, Some(Target::Menu(what))) if self.state == State::Typing => self.choices.open(what),
            (Pointer::Press, Some(Target::Reveal)) if self.state == State::Typing => self.revealed = !self.revealed,
            (Pointer::Press, Some(target)) if self.state == State::Typing => {
                self.focus = target;
                if let (Some(field), Some(caret)) = (self.field(), caret) {
                    field.place(caret);
                }
            }
            (Pointer::Press, _) => {}
            // As everywhere: a button acts when it is let go, and only where it was pressed.
            (Pointer::Release, target) => {
                if let Some(pressed) = self.pressed.take().filter(|pressed| Some(*pressed) == target) {
                    return self.push(pressed);
                }
            }
        }
        Action::None
    }

    /// A button was pushed.
    fn push(&self, button: Target) -> Action {
        match (self.state, &self.dialogue, button) {
            (State::Busy, ..) => Action::None,
            (State::Final, ..) => Action::Close,
            (State::Typing, None, _) => Action::Submit,
            (State::Typing, Some(_), Target::Cancel) => Action::Cancel,
            (State::Typing, Some(_), _) => Action::Answer,
        }
    }

    pub fn view(&self, caps_lock: bool) -> View {
        let typing = self.state == State::Typing;
        let field = |field: &Field, target, shown, revealed| FieldView {
            shown,
            caret: field.caret(),
            selected: field.is_selected(),
            focused: typing && self.focus == target,
            enabled: typing,
            revealed,
        };
        let button = |target, label| ButtonView {
            label,
            focused: self.focus == target && self.state != State::Busy,
            hovered: self.hovered == Some(target),
            pressed: self.pressed == Some(target),
            enabled: self.state != State::Busy,
        };
        let revealed = typing && self.revealed;
        let password = match self.state {
            State::Busy => dots(self.tried),
            _ if revealed => self.password.text().to_owned(),
            _ => dots(self.password.count()),
        };
        let (page, label) = match (&self.dialogue, self.state) {
            (_, State::Final) => (Page::Final, "Close"),
            (None, _) => (Page::Credentials, "Log in"),
            (Some(dialogue), _) => {
                let answer = |answer: &Field, shown, hidden: bool| {
                    field(answer, Target::Answer, shown, hidden.then_some(revealed))
                };
                let view = dialogue.view(self.user.text(), button(Target::Cancel, "Cancel"), revealed, answer);
                (Page::Dialogue(view), "Continue")
            }
        };
        // Which session it is to be was said with the credentials.
        let mut choices = self.choices.view();
        choices.session = choices.session.filter(|_| self.dialogue.is_none());
        View {
            user: field(&self.user, Target::User, self.user.text().to_owned(), None),
            password: field(&self.password, Target::Password, password, Some(revealed)),
            caps_lock: caps_lock && typing,
            message: self.message.clone(),
            button: button(Target::Button, label),
            page,
            choices,
            focused: Some(self.focus).filter(|focus| typing && matches!(focus, Target::Menu(_))),
            hovered: self.hovered.filter(|target| !matches!(target, Target::User | Target::Password | Target::Answer)),
            left: None,
        }
    }

    /// Opens the menu that the keys are on.
    fn opens_menu(&mut self, key: Key) -> bool {
        let (Target::Menu(what), Key::Enter | Key::Char(' ') | Key::Down) = (self.focus, key) else { return false };
        self.choices.open(what);
        true
    }

    fn typed_answer(&mut self, key: Key) -> Action {
        if self.opens_menu(key) {
            return Action::None;
        }
        match key {
            Key::Escape => return Action::Cancel,
            Key::Enter if self.focus == Target::Cancel => return Action::Cancel,
            Key::Enter => return Action::Answer,
            Key::Char(' ') if self.focus != Target::Answer => return self.push(self.focus),
            Key::Tab | Key::BackTab => self.move_focus(key),
            key => {
                if let Some(field) = self.field() {
                    edit(field, key);
                }
            }
        }
        Action::None
    }

    fn typed(&mut self, key: Key) -> Action {
        if self.opens_menu(key) {
            return Action::None;
        }
        match key {
            Key::Tab | Key::BackTab => self.move_focus(key),
            Key::Enter if self.focus == Target::User && self.password.is_empty() => self.focus = Target::Password,
            Key::Enter => return Action::Submit,
            Key::Char(' ') if self.focus == Target::Button => return Action::Submit,
            Key::Escape => {
                self.revealed = false;
                self.message = None;
                self.password.clear();
            }
            key => {
                if let Some(field) = self.field() {
                    edit(field, key);
                }
            }
        }
        Action::None
    }

    fn move_focus(&mut self, key: Key) {
        const LAYOUT: Target = Target::Menu(What::Layout);
        const SESSION: Target = Target::Menu(What::Session);
        let round: &[Target] = match (&self.dialogue, self.choices.has_sessions()) {
            (Some(_), _) => &[Target::Answer, Target::Button, Target::Cancel, LAYOUT],
            (None, false) => &[Target::User, Target::Password, Target::Button, LAYOUT],
            (None, true) => &[Target::User, Target::Password, Target::Button, SESSION, LAYOUT],
        };
        let at = round.iter().position(|target| *target == self.focus).unwrap_or(0);
        let next = if key == Key::Tab { at + 1 } else { at + round.len() - 1 };
        self.focus = round.get(next % round.len()).copied().unwrap_or(self.focus);
        if let Some(field) = self.field() {
            field.select_all();
        }
    }

    fn field(&mut self) -> Option<&mut Field> {
        match self.focus {
            Target::User => Some(&mut self.user),
            Target::Password => Some(&mut self.password),
            Target::Answer => self.dialogue.as_mut().map(Dialogue::field),
            Target::Button | Target::Cancel | Target::Reveal | Target::Menu(_) | Target::Row(_) => None,
        }
    }
}

/// What becomes of a choice. That of a session is asked for when there are credentials.
fn chosen(what: Option<What>) -> Action {
    if what == Some(What::Layout) { Action::Layout } else { Action::None }
}

/// What is shown of so many characters that must not be seen.
pub fn dots(count: usize) -> String {
    std::iter::repeat_n(DOT, count).collect()
}

fn edit(field: &mut Field, key: Key) {
    match key {
        Key::Char(c) => field.insert(c),
        Key::Backspace => field.backspace(),
        Key::Delete => field.delete(),
        Key::Left => field.left(),
        Key::Right => field.right(),
        // There is one line.
        Key::Home | Key::Up => field.home(),
        Key::End | Key::Down => field.end(),
        Key::SelectAll => field.select_all(),
        Key::ClearToStart => field.clear_to_start(),
        Key::Tab | Key::BackTab | Key::Enter | Key::Escape | Key::Locks => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrd_proto::gate::SessionEntry;
    use wrd_rdp::keymap::LAYOUTS;

    fn form(user: &str) -> Form {
        Form::new(&UserName::try_from(user).unwrap(), Choices::new(LAYOUTS[0].1, Vec::new()))
    }

    fn type_text(form: &mut Form, text: &str) {
        text.chars().for_each(|c| assert_eq!(form.key(Key::Char(c)), Action::None));
    }

    #[test]
    fn a_known_user_types_a_password_and_presses_enter() {
        let mut form = form("alice");
        type_text(&mut form, "geheim");
        assert_eq!(form.view(false).password.shown, "••••••");
        assert_eq!(form.key(Key::Enter), Action::Submit);
        let (user, password) = form.take_credentials().unwrap();
        assert_eq!((user.as_str(), password.expose()), ("alice", &b"geheim"[..]));
        assert!(form.view(false).password.shown.is_empty());
        form.busy("Checking…");
        assert_eq!(form.view(false).password.shown, "••••••");
        form.denied(Tone::Error, "No.");
        assert!(form.view(false).password.shown.is_empty());
    }

    #[test]
    fn what_is_too_long_is_told_and_not_cut() {
        for (last, longest) in [('x', 1024), ('\u{1f511}', 1021)] {
            let mut form = form("alice");
            type_text(&mut form, &"x".repeat(longest));
            form.key(Key::Char(last));
            assert_eq!(form.take_credentials().unwrap_err(), "This password is too long.");
            type_text(&mut form, &"x".repeat(9000));
            assert_eq!(form.take_credentials().unwrap_err(), "This password is too long.");
            while form.password.text().len() > 1024 {
                form.key(Key::Backspace);
            }
            assert!(form.take_credentials().unwrap().1.expose().len() > 1020);
        }
        let mut form = form("");
        type_text(&mut form, &"u".repeat(10_000));
        assert_eq!(form.take_credentials().unwrap_err(), "This user name is too long.");
        form.ask(Prompt::Hidden, "?");
        type_text(&mut form, &"a".repeat(10_000));
        assert_eq!(form.take_answer().unwrap_err(), "This answer is too long.");
    }

    #[test]
    fn a_stranger_types_both() {
        let mut form = form("");
        assert_eq!(form.key(Key::Enter), Action::None, "to the password first");
        assert_eq!(form.take_credentials().unwrap_err(), "Type your user name.");
        type_text(&mut form, "bob");
        form.key(Key::Tab);
        type_text(&mut form, "x y");
        form.key(Key::Tab);
        assert!(form.view(false).button.focused);
        assert_eq!(form.key(Key::Char(' ')), Action::Submit);
        let (user, password) = form.take_credentials().unwrap();
        assert_eq!((user.as_str(), password.expose()), ("bob", &b"x y"[..]));
    }

    #[test]
    fn focus_goes_round_both_ways() {
        let mut form = form("");
        let mut order = Vec::new();
        for key in [Key::Tab, Key::Tab, Key::Tab, Key::BackTab, Key::BackTab, Key::BackTab] {
            form.key(key);
            order.push(form.focus);
        }
        use Target::{Button, Menu, Password};
        assert_eq!(order, [Password, Button, Menu(What::Layout), Button, Password, Target::User]);
    }

    #[test]
    fn nothing_can_be_typed_while_something_is_under_way() {
        let mut form = form("alice");
        form.busy("Checking…");
        assert_eq!(form.key(Key::Char('x')), Action::None);
        assert_eq!(form.key(Key::Enter), Action::None);
        assert_eq!(form.click(Some(Target::Button), Pointer::Press, None), Action::None);
        assert_eq!(form.click(Some(Target::Button), Pointer::Release, None), Action::None);
        form.denied(Tone::Error, "No.");
        assert_eq!(form.view(false).message, Some((Tone::Error, "No.".to_owned())));
        type_text(&mut form, "x");
        assert_eq!(form.view(false).password.shown, "•");
    }

    #[test]
    fn a_final_failure_can_only_be_closed() {
        let mut form = form("alice");
        form.failed("Your account has expired.");
        assert_eq!(form.key(Key::Char('x')), Action::None);
        assert_eq!(form.key(Key::Enter), Action::Close);
        assert_eq!(form.key(Key::Escape), Action::Close);
        assert_eq!(form.click(Some(Target::Button), Pointer::Press, None), Action::None);
        assert_eq!(form.click(Some(Target::Button), Pointer::Release, None), Action::Close);
        assert_eq!(form.view(true).button.label, "Close");
    }

    fn dialogue(form: &Form) -> DialogueView {
        match form.view(false).page {
            Page::Dialogue(view) => view,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_question_is_answered_by_keyboard() {
        let mut form = form("alice");
        form.busy("Checking…");
        form.tell(Tone::Plain, "Your code was sent.");
        form.ask(Prompt::Hidden, "Code:");
        type_text(&mut form, "12 34");
        let view = dialogue(&form);
        assert_eq!((view.user.as_str(), view.told), ("alice", vec![(Tone::Plain, "Your code was sent.".to_owned())]));
        let question = view.question.unwrap();
        assert_eq!((question.text.as_str(), question.answer.shown.as_str()), ("Code:", "•••••"));
        assert!(question.answer.focused && form.view(false).message.is_none());
        assert_eq!(form.key(Key::Enter), Action::Answer);
        assert_eq!(form.take_answer().unwrap().expose(), b"12 34");
        form.busy("Checking…");
        assert_eq!(dialogue(&form).question.unwrap().answer.shown, "•••••", "its dots stay while it is tried");
        assert_eq!(form.key(Key::Char('x')), Action::None);
        assert_eq!(form.key(Key::Escape), Action::None);
        // The next one is another, and what is shown is shown.
        form.ask(Prompt::Shown, "Colour:");
        type_text(&mut form, "red");
        let view = dialogue(&form);
        assert!(view.told.is_empty(), "what was told belonged to the question before");
        assert_eq!(view.question.unwrap().answer.shown, "red");
        assert_eq!(form.key(Key::Enter), Action::Answer);
        assert_eq!(form.take_answer().unwrap().expose(), b"red");
        form.denied(Tone::Error, "No.");
        assert_eq!(form.view(false).page, Page::Credentials);
        assert!(form.view(false).password.focused);
    }

    #[test]
    fn a_question_is_left_by_escape_and_by_its_button() {
        let mut form = form("alice");
        form.ask(Prompt::Hidden, "Code:");
        type_text(&mut form, "12");
        assert_eq!(form.key(Key::Escape), Action::Cancel);
        let mut order = Vec::new();
        for key in [Key::Tab, Key::Tab, Key::Tab, Key::Tab, Key::BackTab, Key::BackTab, Key::BackTab, Key::BackTab] {
            form.key(key);
            order.push(form.focus);
        }
        use Target::{Answer, Button, Cancel};
        let layout = Target::Menu(What::Layout);
        assert_eq!(order, [Button, Cancel, layout, Answer, layout, Cancel, Button, Answer]);
        form.key(Key::BackTab);
        form.key(Key::BackTab);
        assert!(dialogue(&form).cancel.focused);
        assert_eq!(form.key(Key::Enter), Action::Cancel);
        assert_eq!(form.key(Key::Char(' ')), Action::Cancel);
        for (target, action) in [(Button, Action::Answer), (Cancel, Action::Cancel)] {
            assert_eq!(form.click(Some(target), Pointer::Press, None), Action::None);
            assert_eq!(form.click(Some(target), Pointer::Release, None), action);
        }
        // Pressed on one and let go on the other is neither.
        form.click(Some(Cancel), Pointer::Press, None);
        assert_eq!(form.click(Some(Button), Pointer::Release, None), Action::None);
        form.cancel();
        form.busy("Cancelling…");
        assert_eq!(form.view(false).page, Page::Credentials);
        form.denied(Tone::Plain, "Cancelled.");
        assert_eq!(form.view(false).message, Some((Tone::Plain, "Cancelled.".to_owned())));
    }

    #[test]
    fn a_layout_can_be_chosen_beside_a_question() {
        let entry = |id: &str| SessionEntry { id: id.try_into().unwrap(), name: id.try_into().unwrap() };
        let choices = Choices::new(LAYOUTS[0].1, vec![entry("a"), entry("b")]);
        let mut form = Form::new(&UserName::try_from("alice").unwrap(), choices);
        assert!(form.view(false).choices.session.is_some());
        form.ask(Prompt::Hidden, "Code:");
        type_text(&mut form, "12");
        form.key(Key::BackTab);
        let view = form.view(false);
        assert_eq!((view.focused, view.choices.session), (Some(Target::Menu(What::Layout)), None));
        for open in [Key::Enter, Key::Char(' '), Key::Down] {
            assert_eq!(form.key(open), Action::None);
            assert!(form.view(false).choices.menu.is_some());
            assert_eq!(form.key(Key::Escape), Action::None, "the menu is left, not the question");
        }
        form.key(Key::Enter);
        type_text(&mut form, "german");
        assert_eq!((form.key(Key::Enter), form.choices().layout().layout), (Action::Layout, "de"));
        // Back at the answer, which is what it was.
        form.key(Key::Tab);
        assert_eq!(form.key(Key::Enter), Action::Answer);
        assert_eq!(form.take_answer().unwrap().expose(), b"12");
    }

    #[test]
    fn an_answer_may_be_empty_and_no_longer_than_a_secret() {
        let mut form = form("alice");
        form.ask(Prompt::Hidden, "Press Enter");
        assert!(form.take_answer().unwrap().is_empty());
        form.ask(Prompt::Hidden, "Code:");
        type_text(&mut form, &"x".repeat(Secret::MAX));
        assert_eq!(form.take_answer().unwrap().expose().len(), Secret::MAX);
    }

    #[test]
    fn a_button_acts_where_it_was_pressed_only() {
        let mut form = form("alice");
        form.click(Some(Target::Button), Pointer::Press, None);
        assert_eq!(form.click(None, Pointer::Release, None), Action::None);
        form.click(Some(Target::User), Pointer::Press, Some(2));
        assert_eq!(form.click(Some(Target::Button), Pointer::Release, None), Action::None);
        assert_eq!(form.view(false).user.caret, 2);
    }
}
