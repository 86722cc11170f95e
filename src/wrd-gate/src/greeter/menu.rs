//! A list to choose one line from, as many lines at a time as there is room for. Pure.

use super::form::Key;

/// Lines that are shown at once.
pub const ROWS: usize = 8;

/// What has become of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It stays open.
    None,
    /// The line with this number.
    Line(usize),
    /// The user leaves it as it was.
    Left,
}

/// What of a menu is to be seen.
#[derive(Clone, Debug, PartialEq)]
pub struct MenuView {
    pub rows: Vec<String>,
    /// The row of these that Enter chooses.
    pub selected: usize,
    /// How much of the list is above and below, each from 0 to 1.
    pub above: f32,
    pub below: f32,
}

pub struct Menu {
    lines: Vec<String>,
    selected: usize,
    /// The first line that is shown.
    top: usize,
    /// What was typed to find a line.
    typed: String,
}

impl Menu {
    /// `selected` is in sight from the start.
    pub fn new(lines: Vec<String>, selected: usize) -> Self {
        let mut menu = Self { lines, selected: 0, top: 0, typed: String::new() };
        menu.select(selected);
        menu.top = menu.selected.saturating_sub(ROWS / 2).min(menu.last_top());
        menu
    }

    pub fn key(&mut self, key: Key) -> Choice {
        let last = self.lines.len().saturating_sub(1);
        if !matches!(key, Key::Char(_) | Key::Locks) {
            self.typed.clear();
        }
        match key {
            Key::Up | Key::BackTab => self.select(self.selected.checked_sub(1).unwrap_or(last)),
            Key::Down | Key::Tab => self.select(if self.selected >= last { 0 } else { self.selected + 1 }),
            Key::Home => self.select(0),
            Key::End => self.select(last),
            Key::Enter => return self.choose(self.selected),
            Key::Escape => return Choice::Left,
            Key::Char(c) => self.find(c),
            _ => {}
        }
        Choice::None
    }

    /// Rolls by so many lines, downwards where they are positive.
    pub fn scroll(&mut self, lines: isize) {
        self.top = self.top.saturating_add_signed(lines).min(self.last_top());
    }

    /// A row of those that are shown was clicked.
    pub fn click(&self, row: usize) -> Choice {
        self.choose(self.top.saturating_add(row))
    }

    pub fn view(&self) -> MenuView {
        let all = self.lines.len().max(1) as f32;
        let rows: Vec<String> = self.lines.iter().skip(self.top).take(ROWS).cloned().collect();
        let below = self.lines.len().saturating_sub(self.top + rows.len());
        MenuView {
            rows,
            selected: self.selected.checked_sub(self.top).unwrap_or(usize::MAX),
            above: self.top as f32 / all,
            below: below as f32 / all,
        }
    }

    fn choose(&self, line: usize) -> Choice {
        if line < self.lines.len() { Choice::Line(line) } else { Choice::None }
    }

    fn select(&mut self, line: usize) {
        self.selected = line.min(self.lines.len().saturating_sub(1));
        self.top = self.top.clamp((self.selected + 1).saturating_sub(ROWS), self.selected);
    }

    /// The next line that begins with what was typed so far, or else with this letter alone.
    fn find(&mut self, c: char) {
        self.typed.push(c);
        let begins = |line: &str, with: &str| line.to_lowercase().starts_with(&with.to_lowercase());
        let typed = std::mem::take(&mut self.typed);
        let longer = self.lines.iter().position(|line| begins(line, &typed));
        let alone = c.to_string();
        let next = || {
            let later = self.lines.iter().enumerate().skip(self.selected + 1);
            later.chain(self.lines.iter().enumerate()).find(|(_, line)| begins(line, &alone)).map(|(index, _)| index)
        };
        match longer.filter(|_| typed.chars().count() > 1) {
            Some(line) => {
                self.select(line);
                self.typed = typed;
            }
            None => {
                if let Some(line) = next() {
                    self.select(line);
                    self.typed = alone;
                }
            }
        }
    }

    fn last_top(&self) -> usize {
        self.lines.len().saturating_sub(ROWS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 12] = [
        "Albanian",
        "Belgian",
        "Croatian",
        "Czech",
        "Danish",
        "Dutch",
        "English (UK)",
        "English (US)",
        "Finnish",
        "French",
        "German",
        "Greek",
    ];

    fn menu(selected: usize) -> Menu {
        Menu::new(NAMES.map(str::to_owned).to_vec(), selected)
    }

    #[test]
    fn the_present_line_is_in_sight_and_chosen_by_enter() {
        for (line, name) in NAMES.iter().enumerate() {
            let mut menu = menu(line);
            let view = menu.view();
            assert_eq!(view.rows[view.selected], *name);
            assert_eq!(menu.key(Key::Enter), Choice::Line(line));
        }
    }

    #[test]
    fn arrows_go_around_and_keep_the_line_in_sight() {
        let mut menu = menu(0);
        assert_eq!(menu.key(Key::Up), Choice::None);
        assert_eq!(menu.view().rows.last().unwrap(), "Greek");
        assert_eq!(menu.key(Key::Enter), Choice::Line(11));
        menu.key(Key::Down);
        assert_eq!(menu.key(Key::Enter), Choice::Line(0));
        assert_eq!(menu.key(Key::Escape), Choice::Left);
    }

    #[test]
    fn letters_find_a_line() {
        let mut menu = menu(0);
        let mut found = |keys: &str| {
            keys.chars().for_each(|c| assert_eq!(menu.key(Key::Char(c)), Choice::None));
            let found = menu.key(Key::Enter);
            assert!(matches!(found, Choice::Line(_)));
            let Choice::Line(line) = found else { return "" };
            NAMES[line]
        };
        assert_eq!(found("ge"), "German");
        assert_eq!(found("english (us"), "English (US)");
        assert_eq!(found("f"), "Finnish");
        assert_eq!(found("f"), "French");
        assert_eq!(found("x"), "French");
    }

    #[test]
    fn a_click_chooses_what_is_shown_there() {
        let mut menu = menu(0);
        menu.scroll(3);
        assert_eq!(menu.view().rows.first().unwrap(), "Czech");
        assert_eq!(menu.click(1), Choice::Line(4));
        menu.scroll(100);
        assert_eq!(menu.click(ROWS - 1), Choice::Line(11));
        assert_eq!(menu.click(ROWS), Choice::None);
        menu.scroll(-100);
        assert_eq!(menu.click(0), Choice::Line(0));
    }

    proptest! {
        #[test]
        fn whatever_is_done_a_full_page_is_shown(ops in proptest::collection::vec(0u8..9, 0..60), lines in 0usize..12) {
            let mut menu = Menu::new(NAMES.iter().take(lines).map(|name| (*name).to_owned()).collect(), 5);
            for op in ops {
                match op {
                    0 => drop(menu.key(Key::Up)),
                    1 => drop(menu.key(Key::Down)),
                    2 => drop(menu.key(Key::Home)),
                    3 => drop(menu.key(Key::End)),
                    4 => menu.scroll(2),
                    5 => menu.scroll(-3),
                    op => drop(menu.key(Key::Char(char::from(b'a' + op)))),
                }
                let view = menu.view();
                prop_assert_eq!(view.rows.len(), lines.min(ROWS));
                if lines > 0 {
                    prop_assert!(matches!(menu.key(Key::Enter), Choice::Line(line) if line < lines));
                }
            }
        }
    }
}
