//! What can be chosen besides user and password: the keyboard's layout, and which session a first login starts. Pure.

use super::form::Key;
use super::menu::{Choice, Menu, MenuView};
use wrd_proto::gate::SessionEntry;
use wrd_proto::login::SessionChoice;
use wrd_rdp::keymap::{LAYOUTS, LayoutName};

/// What a menu is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Layout,
    Session,
}

/// What of the choices is to be seen.
#[derive(Clone, Debug, PartialEq)]
pub struct ChoicesView {
    pub layout: String,
    /// Nothing where there is no choice.
    pub session: Option<String>,
    pub menu: Option<(What, MenuView)>,
}

pub struct Choices {
    /// By name, each with its Windows identifier.
    layouts: Vec<(u32, LayoutName)>,
    /// The one that keys are read by.
    layout: LayoutName,
    /// That the user chose it, and by which identifier.
    chosen_layout: Option<u32>,
    sessions: Vec<SessionEntry>,
    /// Nothing for the one that the user had last.
    session: Option<usize>,
    menu: Option<(What, Menu)>,
}

/// In place of a session's name: the one that the user had last.
pub const LAST: &str = "Last session";

impl Choices {
    pub fn new(layout: LayoutName, sessions: Vec<SessionEntry>) -> Self {
        let mut layouts = LAYOUTS.to_vec();
        layouts.sort_by_key(|(_, layout)| layout.name);
        layouts.dedup_by_key(|(_, layout)| layout.name);
        Self { layouts, layout, chosen_layout: None, sessions, session: None, menu: None }
    }

    pub fn layout(&self) -> LayoutName {
        self.layout
    }

    /// What the user chose in place of the client's, by its Windows identifier.
    pub fn chosen_layout(&self) -> Option<u32> {
        self.chosen_layout
    }

    pub fn session(&self) -> SessionChoice {
        self.chosen().map_or(SessionChoice::Last, |entry| SessionChoice::Named(entry.id.clone()))
    }

    fn chosen(&self) -> Option<&SessionEntry> {
        self.sessions.get(self.session?)
    }

    pub fn has_sessions(&self) -> bool {
        self.sessions.len() > 1
    }

    pub fn is_open(&self) -> bool {
        self.menu.is_some()
    }

    pub fn open(&mut self, what: What) {
        let menu = match what {
            What::Layout => {
                let names = self.layouts.iter().map(|(_, layout)| layout.name.to_owned()).collect();
                Menu::new(names, self.layouts.iter().position(|(_, layout)| *layout == self.layout).unwrap_or(0))
            }
            What::Session => {
                let names = self.sessions.iter().map(|session| session.name.to_string());
                Menu::new([LAST.to_owned()].into_iter().chain(names).collect(), self.session.map_or(0, |it| it + 1))
            }
        };
        self.menu = Some((what, menu));
    }

    pub fn close(&mut self) {
        self.menu = None;
    }

    /// A key while a menu is open; what was chosen by it.
    pub fn key(&mut self, key: Key) -> Option<What> {
        let (what, menu) = self.menu.as_mut()?;
        let (what, choice) = (*what, menu.key(key));
        self.done(what, choice)
    }

    /// A row of the open menu was clicked.
    pub fn click(&mut self, row: usize) -> Option<What> {
        let (what, menu) = self.menu.as_ref()?;
        let (what, choice) = (*what, menu.click(row));
        self.done(what, choice)
    }

    /// The wheel, downwards where positive.
    pub fn scroll(&mut self, lines: isize) {
        if let Some((_, menu)) = &mut self.menu {
            menu.scroll(lines);
        }
    }

    pub fn view(&self) -> ChoicesView {
        let session = self.chosen().map_or(LAST, |session| session.name.as_str()).to_owned();
        ChoicesView {
            layout: self.layout.name.to_owned(),
            session: self.has_sessions().then_some(session),
            menu: self.menu.as_ref().map(|(what, menu)| (*what, menu.view())),
        }
    }

    fn done(&mut self, what: What, choice: Choice) -> Option<What> {
        let line = match choice {
            Choice::None => return None,
            Choice::Left => {
                self.menu = None;
                return None;
            }
            Choice::Line(line) => line,
        };
        self.menu = None;
        match what {
            What::Layout => {
                if let Some((id, layout)) = self.layouts.get(line) {
                    (self.layout, self.chosen_layout) = (*layout, Some(*id));
                }
            }
            What::Session => self.session = line.checked_sub(1).filter(|line| *line < self.sessions.len()),
        }
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrd_proto::gate::SessionEntry;
    use wrd_proto::login::SessionChoice;
    use wrd_rdp::client::Keyboard;
    use wrd_rdp::keymap::{listed, xkb};

    fn choices(sessions: &[&str]) -> Choices {
        let session = |id: &&str| SessionEntry {
            id: (*id).try_into().unwrap(),
            name: id.to_uppercase().as_str().try_into().unwrap(),
        };
        let german = xkb(Keyboard { layout: 0x407, ..Keyboard::default() });
        Choices::new(german, sessions.iter().map(session).collect())
    }

    #[test]
    fn the_clients_layout_is_the_first_choice_and_another_can_be_found() {
        let mut choices = choices(&[]);
        assert_eq!(choices.view().layout, "German");
        choices.open(What::Layout);
        "french (bel".chars().for_each(|c| assert_eq!(choices.key(Key::Char(c)), None));
        assert_eq!(choices.key(Key::Enter), Some(What::Layout));
        assert_eq!((choices.layout().layout, choices.is_open()), ("be", false));
        choices.open(What::Layout);
        assert_eq!(choices.key(Key::Escape), None);
        assert_eq!((choices.layout().layout, choices.is_open()), ("be", false));
    }

    #[test]
    fn a_layout_is_chosen_by_whoever_presses_enter_on_it_the_clients_too() {
        let mut choices = choices(&[]);
        choices.open(What::Layout);
        choices.key(Key::Escape);
        assert_eq!(choices.chosen_layout(), None);
        choices.open(What::Layout);
        choices.key(Key::Enter);
        assert_eq!(choices.chosen_layout(), Some(0x407));
        choices.open(What::Layout);
        for c in "english (us, c".chars() {
            choices.key(Key::Char(c));
        }
        choices.key(Key::Enter);
        assert_eq!(choices.chosen_layout(), Some(0x6_0409));
        assert_eq!(choices.chosen_layout().and_then(listed), Some(choices.layout()));
    }

    #[test]
    fn every_layout_is_there_once() {
        let choices = choices(&[]);
        assert!(choices.layouts.len() > 50);
        for (_, layout) in LAYOUTS {
            let alike = choices.layouts.iter().filter(|(_, other)| other.name == layout.name);
            assert_eq!(alike.count(), 1, "{}", layout.name);
        }
    }

    #[test]
    fn a_session_is_the_last_one_until_another_is_chosen() {
        assert_eq!(choices(&["default"]).view().session, None, "nothing to choose");
        let mut choices = choices(&["default", "sway"]);
        assert_eq!((choices.view().session.as_deref(), choices.session()), (Some(LAST), SessionChoice::Last));
        choices.open(What::Session);
        assert_eq!(choices.view().menu.unwrap().1.rows, [LAST, "DEFAULT", "SWAY"]);
        assert_eq!(choices.click(2), Some(What::Session));
        assert_eq!(choices.session(), SessionChoice::Named("sway".try_into().unwrap()));
        choices.open(What::Session);
        assert_eq!(choices.click(3), None);
        assert_eq!(choices.click(0), Some(What::Session));
        assert_eq!(choices.session(), SessionChoice::Last);
    }
}
