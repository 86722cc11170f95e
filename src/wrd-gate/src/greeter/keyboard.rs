//! From a client's key events to the form's keys, by the client's own layout.

use super::compose::{compose, spacing};
use super::form::Key;
use super::keymap::{ALT, CONTROL, Keymap, LOCK, NUM, Symbol};
use std::collections::BTreeSet;
use wrd_rdp::input::{Action, Input, Locks, Scancode};
use wrd_rdp::keymap::{Keys, LayoutName};

pub struct Keyboard {
    keys: Keys,
    keymap: Keymap,
    /// Keys that are down: a key that repeats comes again and again, and must count once.
    down: BTreeSet<u32>,
    dead: Option<u32>,
    /// First half of a character that comes in two.
    surrogate: Option<u16>,
}

impl Keyboard {
    pub fn new(layout: LayoutName) -> Self {
        let keymap = Keymap::new(layout);
        Self { keys: Keys::default(), keymap, down: BTreeSet::new(), dead: None, surrogate: None }
    }

    /// Another layout from now on; keys that are down stay so, and locks as they are.
    pub fn set_layout(&mut self, layout: LayoutName) {
        let locked = self.keymap.locked();
        self.keymap = Keymap::new(layout);
        self.keymap.synchronise(locked);
        self.dead = None;
    }

    pub fn caps_lock(&self) -> bool {
        self.keymap.locked() & LOCK != 0
    }

    /// The key that an event means, if it means one.
    pub fn key(&mut self, event: Input) -> Option<Key> {
        match event {
            Input::Scancode(key) => self.scancode(key),
            Input::Unicode { unit, action: Action::Press } => self.unicode(unit),
            Input::Sync(locks) => {
                self.synchronise(locks);
                Some(Key::Locks)
            }
            _ => None,
        }
    }

    fn scancode(&mut self, key: Scancode) -> Option<Key> {
        let code = self.keys.evdev(key)?;
        if key.action == Action::Release {
            if self.down.remove(&code) {
                self.keymap.release(code);
            }
            return Some(Key::Locks);
        }
        let symbol = self.keymap.symbol(code);
        if self.down.insert(code) {
            self.keymap.press(code);
        }
        symbol.and_then(|symbol| self.pressed(symbol)).or(Some(Key::Locks))
    }

    fn pressed(&mut self, symbol: Symbol) -> Option<Key> {
        let active = self.keymap.active();
        match symbol {
            Symbol::Keysym(keysym) if DEAD.contains(&keysym) => match self.dead.take() {
                // Twice the same accent is the accent.
                Some(dead) if dead == keysym => spacing(dead).map(Key::Char),
                _ => {
                    self.dead = Some(keysym);
                    None
                }
            },
            Symbol::Keysym(keysym) => {
                let key = special(keysym)?;
                self.dead = None;
                Some(key)
            }
            Symbol::Char(c) if active & CONTROL != 0 => match c.to_ascii_lowercase() {
                'a' => Some(Key::SelectAll),
                'u' => Some(Key::ClearToStart),
                'h' => Some(Key::Backspace),
                _ => None,
            },
            Symbol::Char(_) if active & ALT != 0 => None,
            Symbol::Char(c) => match self.dead.take() {
                None => Some(Key::Char(c)),
                // A pair that makes nothing is dropped, as everywhere.
                Some(dead) => compose(dead, c).map(Key::Char),
            },
        }
    }

    fn unicode(&mut self, unit: u16) -> Option<Key> {
        let first = self.surrogate.take();
        if (0xd800..0xdc00).contains(&unit) {
            self.surrogate = Some(unit);
            return None;
        }
        let c = char::decode_utf16(first.into_iter().chain([unit])).next()?.ok()?;
        Some(match c {
            '\r' | '\n' => Key::Enter,
            '\t' => Key::Tab,
            '\u{8}' => Key::Backspace,
            '\u{1b}' => Key::Escape,
            c if c.is_control() => return None,
            c => Key::Char(c),
        })
    }

    /// All keys are up and exactly these locks are on.
    fn synchronise(&mut self, locks: Locks) {
        self.dead = None;
        self.down.clear();
        let lock = |on, mask| if on { mask } else { 0 };
        self.keymap.synchronise(lock(locks.caps, LOCK) | lock(locks.num, NUM));
    }
}

/// Keysyms of dead keys, KEY_dead_grave and on.
const DEAD: std::ops::RangeInclusive<u32> = 0xfe50..=0xfe9f;

/// By keysym (xkbcommon-keysyms.h); each with what the keypad has of it.
fn special(keysym: u32) -> Option<Key> {
    Some(match keysym {
        0xff08 => Key::Backspace,
        0xffff | 0xff9f => Key::Delete,
        0xff51 | 0xff96 => Key::Left,
        0xff53 | 0xff98 => Key::Right,
        0xff52 | 0xff97 => Key::Up,
        0xff54 | 0xff99 => Key::Down,
        0xff50 | 0xff95 => Key::Home,
        0xff57 | 0xff9c => Key::End,
        0xff09 => Key::Tab,
        // Shift and Tab.
        0xfe20 => Key::BackTab,
        0xff0d | 0xff8d => Key::Enter,
        0xff1b => Key::Escape,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrd_rdp::client::Keyboard as Settings;
    use wrd_rdp::input::Prefix;
    use wrd_rdp::keymap::xkb as layout_of;

    fn keyboard(layout: u32) -> Keyboard {
        Keyboard::new(layout_of(Settings { layout, kind: 4, subtype: 0 }))
    }

    fn press(keyboard: &mut Keyboard, code: u8) -> Option<Key> {
        keyboard.key(Input::Scancode(Scancode { code, prefix: Prefix::None, action: Action::Press }))
    }

    fn release(keyboard: &mut Keyboard, code: u8) {
        keyboard.key(Input::Scancode(Scancode { code, prefix: Prefix::None, action: Action::Release }));
    }

    fn tap(keyboard: &mut Keyboard, code: u8) -> Option<Key> {
        let key = press(keyboard, code);
        release(keyboard, code);
        key
    }

    #[test]
    fn letters_follow_the_clients_layout() {
        let (mut us, mut de, mut fr) = (keyboard(0x409), keyboard(0x407), keyboard(0x40c));
        assert_eq!(tap(&mut us, 0x15), Some(Key::Char('y')));
        assert_eq!(tap(&mut de, 0x15), Some(Key::Char('z')));
        assert_eq!(tap(&mut fr, 0x10), Some(Key::Char('a')));
        press(&mut de, 0x2a);
        assert_eq!(tap(&mut de, 0x27), Some(Key::Char('Ö')));
        release(&mut de, 0x2a);
        // AltGr and Q on a German keyboard.
        de.key(Input::Scancode(Scancode { code: 0x38, prefix: Prefix::E0, action: Action::Press }));
        assert_eq!(tap(&mut de, 0x10), Some(Key::Char('@')));
    }

    #[test]
    fn dead_keys_wait_for_their_letter() {
        let mut de = keyboard(0x407);
        assert_eq!(tap(&mut de, 0x29), Some(Key::Locks));
        assert_eq!(tap(&mut de, 0x12), Some(Key::Char('ê')));
        assert_eq!(tap(&mut de, 0x12), Some(Key::Char('e')));
        tap(&mut de, 0x29);
        assert_eq!(tap(&mut de, 0x29), Some(Key::Char('^')));
    }

    #[test]
    fn a_repeated_modifier_is_let_go_once() {
        let mut us = keyboard(0x409);
        for _ in 0..5 {
            press(&mut us, 0x2a);
        }
        assert_eq!(tap(&mut us, 0x1e), Some(Key::Char('A')));
        release(&mut us, 0x2a);
        assert_eq!(tap(&mut us, 0x1e), Some(Key::Char('a')));
        press(&mut us, 0x1d);
        assert_eq!(tap(&mut us, 0x1e), Some(Key::SelectAll));
        us.key(Input::Sync(Locks::default()));
        assert_eq!(tap(&mut us, 0x1e), Some(Key::Char('a')));
    }

    #[test]
    fn locks_follow_the_client() {
        let mut us = keyboard(0x409);
        us.key(Input::Sync(Locks { caps: true, num: true, ..Default::default() }));
        assert!(us.caps_lock());
        assert_eq!(tap(&mut us, 0x1e), Some(Key::Char('A')));
        assert_eq!(tap(&mut us, 0x4f), Some(Key::Char('1')));
        us.key(Input::Sync(Locks::default()));
        assert!(!us.caps_lock());
        assert_eq!(tap(&mut us, 0x4f), Some(Key::End));
    }

    #[test]
    fn text_made_by_the_client_comes_through() {
        let mut us = keyboard(0x409);
        let unit = |unit| Input::Unicode { unit, action: Action::Press };
        assert_eq!(us.key(unit(0x20ac)), Some(Key::Char('€')));
        assert_eq!(us.key(unit(0xd83d)), None);
        assert_eq!(us.key(unit(0xde00)), Some(Key::Char('😀')));
        assert_eq!(us.key(unit(13)), Some(Key::Enter));
    }
}
