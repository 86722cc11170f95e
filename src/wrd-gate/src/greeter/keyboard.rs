//! From a client's key events to the form's keys, by the client's own layout.

use super::compose::{compose, spacing};
use super::form::Key;
use std::collections::BTreeSet;
use std::path::Path;
use tracing::warn;
use wrd_rdp::input::{Action, Input, Locks, Scancode};
use wrd_rdp::keymap::{Keys, LayoutName};
use xkbcommon::xkb;
use xkbcommon::xkb::keysyms;

pub struct Keyboard {
    keys: Keys,
    /// `None` where the system has no keyboard data; then only text comes through that the client made itself.
    state: Option<xkb::State>,
    /// Keys that are down: a key that repeats comes again and again, and must count once.
    down: BTreeSet<u32>,
    dead: Option<u32>,
    /// First half of a character that comes in two.
    surrogate: Option<u16>,
}

const DATA: &str = "/usr/share/X11/xkb";
/// An xkb key code is an evdev code and this.
const OFFSET: u32 = 8;
const CAPS_LOCK: u32 = 58;
const NUM_LOCK: u32 = 69;

impl Keyboard {
    pub fn new(layout: LayoutName) -> Self {
        let state = compile(layout);
        Self { keys: Keys::default(), state, down: BTreeSet::new(), dead: None, surrogate: None }
    }

    pub fn has_layout(&self) -> bool {
        self.state.is_some()
    }

    pub fn caps_lock(&self) -> bool {
        self.is_locked(xkb::MOD_NAME_CAPS)
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
        let code = self.keys.evdev(key)? + OFFSET;
        let state = self.state.as_mut()?;
        if key.action == Action::Release {
            if self.down.remove(&code) {
                state.update_key(code.into(), xkb::KeyDirection::Up);
            }
            return Some(Key::Locks);
        }
        let keysym = state.key_get_one_sym(code.into());
        let text = char::from_u32(state.key_get_utf32(code.into())).filter(|c| *c != '\0');
        if self.down.insert(code) {
            state.update_key(code.into(), xkb::KeyDirection::Down);
        }
        self.pressed(keysym.raw(), text).or(Some(Key::Locks))
    }

    fn pressed(&mut self, keysym: u32, text: Option<char>) -> Option<Key> {
        if (keysyms::KEY_dead_grave..=0xfe9f).contains(&keysym) {
            return match self.dead.take() {
                // Twice the same accent is the accent.
                Some(dead) if dead == keysym => spacing(dead).map(Key::Char),
                _ => {
                    self.dead = Some(keysym);
                    None
                }
            };
        }
        if let Some(key) = special(keysym) {
            self.dead = None;
            return Some(key);
        }
        if self.is_active(xkb::MOD_NAME_CTRL) {
            return match char::from_u32(keysym)?.to_ascii_lowercase() {
                'a' => Some(Key::SelectAll),
                'u' => Some(Key::ClearToStart),
                'h' => Some(Key::Backspace),
                _ => None,
            };
        }
        if self.is_active(xkb::MOD_NAME_ALT) {
            return None;
        }
        let c = text.filter(|c| !c.is_control())?;
        match self.dead.take() {
            None => Some(Key::Char(c)),
            // A pair that makes nothing is dropped, as everywhere.
            Some(dead) => compose(dead, c).map(Key::Char),
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
        for code in std::mem::take(&mut self.down) {
            if let Some(state) = &mut self.state {
                state.update_key(code.into(), xkb::KeyDirection::Up);
            }
        }
        for (name, key, on) in [(xkb::MOD_NAME_CAPS, CAPS_LOCK, locks.caps), (xkb::MOD_NAME_NUM, NUM_LOCK, locks.num)] {
            if self.is_locked(name) != on
                && let Some(state) = &mut self.state
            {
                state.update_key((key + OFFSET).into(), xkb::KeyDirection::Down);
                state.update_key((key + OFFSET).into(), xkb::KeyDirection::Up);
            }
        }
    }

    fn is_locked(&self, name: &str) -> bool {
        self.state.as_ref().is_some_and(|state| state.mod_name_is_active(name, xkb::STATE_MODS_LOCKED))
    }

    fn is_active(&self, name: &str) -> bool {
        self.state.as_ref().is_some_and(|state| state.mod_name_is_active(name, xkb::STATE_MODS_EFFECTIVE))
    }
}

fn special(keysym: u32) -> Option<Key> {
    Some(match keysym {
        keysyms::KEY_BackSpace => Key::Backspace,
        keysyms::KEY_Delete | keysyms::KEY_KP_Delete => Key::Delete,
        keysyms::KEY_Left | keysyms::KEY_KP_Left => Key::Left,
        keysyms::KEY_Right | keysyms::KEY_KP_Right => Key::Right,
        keysyms::KEY_Home | keysyms::KEY_KP_Home | keysyms::KEY_Up => Key::Home,
        keysyms::KEY_End | keysyms::KEY_KP_End | keysyms::KEY_Down => Key::End,
        keysyms::KEY_Tab => Key::Tab,
        keysyms::KEY_ISO_Left_Tab => Key::BackTab,
        keysyms::KEY_Return | keysyms::KEY_KP_Enter => Key::Enter,
        keysyms::KEY_Escape => Key::Escape,
        _ => return None,
    })
}

fn compile(layout: LayoutName) -> Option<xkb::State> {
    let mut context = xkb::Context::new(xkb::CONTEXT_NO_DEFAULT_INCLUDES | xkb::CONTEXT_NO_ENVIRONMENT_NAMES);
    context.set_log_level(xkb::LogLevel::Critical);
    if !context.include_path_append(Path::new(DATA)) {
        warn!("no keyboard data in {DATA}");
        return None;
    }
    for (layout, variant) in [(layout.layout, layout.variant), (layout.layout, ""), ("us", "")] {
        let flags = xkb::KEYMAP_COMPILE_NO_FLAGS;
        match xkb::Keymap::new_from_names(&context, "evdev", "pc105", layout, variant, None, flags) {
            Some(keymap) => return Some(xkb::State::new(&keymap)),
            None => warn!("the keyboard layout {layout} {variant} cannot be had"),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrd_rdp::client::Keyboard as Settings;
    use wrd_rdp::input::Prefix;
    use wrd_rdp::keymap::xkb as layout_of;

    fn keyboard(layout: u32) -> Option<Keyboard> {
        let keyboard = Keyboard::new(layout_of(Settings { layout, kind: 4, subtype: 0 }));
        if !keyboard.has_layout() {
            eprintln!("no keyboard data here, nothing to test with");
            return None;
        }
        Some(keyboard)
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
        let (Some(mut us), Some(mut de), Some(mut fr)) = (keyboard(0x409), keyboard(0x407), keyboard(0x40c)) else {
            return;
        };
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
        let Some(mut de) = keyboard(0x407) else { return };
        assert_eq!(tap(&mut de, 0x29), Some(Key::Locks));
        assert_eq!(tap(&mut de, 0x12), Some(Key::Char('ê')));
        assert_eq!(tap(&mut de, 0x12), Some(Key::Char('e')));
        tap(&mut de, 0x29);
        assert_eq!(tap(&mut de, 0x29), Some(Key::Char('^')));
    }

    #[test]
    fn a_repeated_modifier_is_let_go_once() {
        let Some(mut us) = keyboard(0x409) else { return };
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
        let Some(mut us) = keyboard(0x409) else { return };
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
        let mut none = Keyboard { state: None, ..Keyboard::new(layout_of(Settings::default())) };
        let unit = |unit| Input::Unicode { unit, action: Action::Press };
        assert_eq!(none.key(unit(0x20ac)), Some(Key::Char('€')));
        assert_eq!(none.key(unit(0xd83d)), None);
        assert_eq!(none.key(unit(0xde00)), Some(Key::Char('😀')));
        assert_eq!(none.key(unit(13)), Some(Key::Enter));
    }
}
