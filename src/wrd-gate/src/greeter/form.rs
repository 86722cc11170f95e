//! What is typed and what is said: the login screen without its picture. Pure.

use super::field::Field;
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
    Button,
}

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    None,
    Submit,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Error,
}

/// Everything the picture depends on; holds no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub user: FieldView,
    pub password: FieldView,
    pub caps_lock: bool,
    pub message: Option<(Tone, String)>,
    pub button: ButtonView,
    /// Only a message and a button are there.
    pub final_text: bool,
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
    hovered: bool,
    pressed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Typing,
    Busy,
    Final,
}

impl Form {
    pub fn new(user: &UserName) -> Self {
        let mut form = Self {
            user: Field::new(LONGEST_USER),
            password: Field::new(Secret::MAX),
            focus: Target::User,
            message: None,
            state: State::Typing,
            tried: 0,
            hovered: false,
            pressed: false,
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

    /// Something is under way: nothing can be typed.
    pub fn busy(&mut self, text: &str) {
        self.state = State::Busy;
        self.say(Tone::Plain, text);
    }

    /// The credentials were wrong: the next try.
    pub fn denied(&mut self, text: &str) {
        self.state = State::Typing;
        self.password.clear();
        self.focus = if self.user.is_empty() { Target::User } else { Target::Password };
        self.say(Tone::Error, text);
    }

    /// No try is left: a text and a button to close.
    pub fn failed(&mut self, text: &str) {
        self.state = State::Final;
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

    pub fn key(&mut self, key: Key) -> Action {
        match (self.state, key) {
            (_, Key::Locks) | (State::Busy, _) => Action::None,
            (State::Final, Key::Enter | Key::Escape | Key::Char(' ')) => Action::Close,
            (State::Final, _) => Action::None,
            (State::Typing, key) => self.typed(key),
        }
    }

    pub fn hover(&mut self, target: Option<Target>) {
        self.hovered = target == Some(Target::Button);
    }

    /// The left button on `target`; `caret` is where in a field's text.
    pub fn click(&mut self, target: Option<Target>, pointer: Pointer, caret: Option<usize>) -> Action {
        self.hover(target);
        match (pointer, target) {
            (Pointer::Press, Some(Target::Button)) if self.state != State::Busy => self.pressed = true,
            (Pointer::Press, Some(target)) if self.state == State::Typing => {
                self.focus = target;
                if let (Some(field), Some(caret)) = (self.field(), caret) {
                    field.place(caret);
                }
            }
            (Pointer::Press, _) => {}
            // As everywhere: a button acts when it is let go, and only where it was pressed.
            (Pointer::Release, target) => {
                let pressed = std::mem::take(&mut self.pressed);
                if pressed && target == Some(Target::Button) {
                    return if self.state == State::Final { Action::Close } else { Action::Submit };
                }
            }
        }
        Action::None
    }

    pub fn view(&self, caps_lock: bool) -> View {
        let typing = self.state == State::Typing;
        let field = |field: &Field, target, shown| FieldView {
            shown,
            caret: field.caret(),
            selected: field.is_selected(),
            focused: typing && self.focus == target,
            enabled: typing,
        };
        let count = if self.state == State::Busy { self.tried } else { self.password.count() };
        let dots = std::iter::repeat_n(DOT, count).collect();
        View {
            user: field(&self.user, Target::User, self.user.text().to_owned()),
            password: field(&self.password, Target::Password, dots),
            caps_lock: caps_lock && typing,
            message: self.message.clone(),
            button: ButtonView {
                label: if self.state == State::Final { "Close" } else { "Log in" },
                focused: self.focus == Target::Button && self.state != State::Busy,
                hovered: self.hovered,
                pressed: self.pressed,
                enabled: self.state != State::Busy,
            },
            final_text: self.state == State::Final,
        }
    }

    fn typed(&mut self, key: Key) -> Action {
        match key {
            Key::Tab | Key::BackTab => self.move_focus(key),
            Key::Enter if self.focus == Target::User && self.password.is_empty() => self.focus = Target::Password,
            Key::Enter => return Action::Submit,
            Key::Char(' ') if self.focus == Target::Button => return Action::Submit,
            Key::Escape => {
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
        self.focus = match (self.focus, key) {
            (Target::User, Key::Tab) | (Target::Button, Key::BackTab) => Target::Password,
            (Target::Password, Key::Tab) | (Target::User, _) => Target::Button,
            (Target::Password | Target::Button, _) => Target::User,
        };
        if let Some(field) = self.field() {
            field.select_all();
        }
    }

    fn field(&mut self) -> Option<&mut Field> {
        match self.focus {
            Target::User => Some(&mut self.user),
            Target::Password => Some(&mut self.password),
            Target::Button => None,
        }
    }
}

fn edit(field: &mut Field, key: Key) {
    match key {
        Key::Char(c) => field.insert(c),
        Key::Backspace => field.backspace(),
        Key::Delete => field.delete(),
        Key::Left => field.left(),
        Key::Right => field.right(),
        Key::Home => field.home(),
        Key::End => field.end(),
        Key::SelectAll => field.select_all(),
        Key::ClearToStart => field.clear_to_start(),
        Key::Tab | Key::BackTab | Key::Enter | Key::Escape | Key::Locks => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(user: &str) -> Form {
        Form::new(&UserName::try_from(user).unwrap())
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
        form.denied("No.");
        assert!(form.view(false).password.shown.is_empty());
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
        use Target::{Button, Password, User};
        assert_eq!(order, [Password, Button, User, Button, Password, User]);
    }

    #[test]
    fn nothing_can_be_typed_while_something_is_under_way() {
        let mut form = form("alice");
        form.busy("Checking…");
        assert_eq!(form.key(Key::Char('x')), Action::None);
        assert_eq!(form.key(Key::Enter), Action::None);
        assert_eq!(form.click(Some(Target::Button), Pointer::Press, None), Action::None);
        assert_eq!(form.click(Some(Target::Button), Pointer::Release, None), Action::None);
        form.denied("No.");
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
