//! Keyboard layouts as tables, made by `build.rs` from the system's xkb data, and the modifiers of one keyboard.
//!
//! The same layouts could be had from libxkbcommon, which reads them from files when they are known: after the
//! client has spoken, when the gate is in its sandbox. Tables need no file, no C, and no memory of the process's
//! own. Every layout that a client can name is there (a test looks).

use wrd_rdp::keymap::LayoutName;

/// What a key gives by itself, with the modifiers as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    Char(char),
    /// A key that types nothing: a dead one, a special one, a modifier.
    Keysym(u32),
}

/// Real modifiers of the layouts, by xkb's numbers.
pub const LOCK: u8 = 1 << 1;
pub const CONTROL: u8 = 1 << 2;
pub const ALT: u8 = 1 << 3;
pub const NUM: u8 = 1 << 4;

pub struct Keymap {
    layout: &'static Layout,
    /// Held by these keys; two Shift keys may be down at once.
    held: Vec<Held>,
    latched: u8,
    locked: u8,
}

/// A modifier key that is down.
struct Held {
    modifier: &'static Modifier,
    /// A lock that was on when its key went down is off when it is let go.
    unlocks: bool,
}

struct Layout {
    layout: &'static str,
    variant: &'static str,
    /// Rows of `KEYS` and `MODIFIERS`: the first, and the one behind the last.
    keys: (usize, usize),
    modifiers: (usize, usize),
}

struct Key {
    /// evdev's.
    code: u8,
    selector: u8,
    /// The first of its `SYMBOLS`; its selector says which of them stands in which column.
    first: u16,
}

struct Modifier {
    code: u8,
    does: Does,
    mask: u8,
    /// In which columns it does so, a bit each.
    columns: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Set while the key is down.
    Hold,
    /// Set until the next key that types something.
    Latch,
    /// Switched on and off.
    Lock,
}

include!(concat!(env!("OUT_DIR"), "/keymaps.rs"));

/// Modifiers that choose among a key's symbols; bit `n` of a column stands for the `n`th of them.
const CHOOSERS: [u8; 5] = [1 << 0, LOCK, NUM, 1 << 5, 1 << 7];
/// Marks a keysym among the symbols.
const KEYSYM: u32 = 1 << 31;

impl Keymap {
    pub fn new(name: LayoutName) -> Self {
        let found = LAYOUTS.iter().find(|it| (it.layout, it.variant) == (name.layout, name.variant));
        let layout = found.unwrap_or_else(|| us());
        Self { layout, held: Vec::new(), latched: 0, locked: 0 }
    }

    /// Modifiers in effect.
    pub fn active(&self) -> u8 {
        self.held.iter().fold(self.latched | self.locked, |mask, held| mask | held.modifier.mask)
    }

    pub fn locked(&self) -> u8 {
        self.locked
    }

    /// What the key with this evdev code gives now.
    pub fn symbol(&self, code: u32) -> Option<Symbol> {
        let key = rows(&KEYS, self.layout.keys).iter().find(|key| u32::from(key.code) == code)?;
        let place = SELECTORS.get(usize::from(key.selector))?.get(self.column())?;
        match *SYMBOLS.get(usize::from(key.first) + usize::from(*place))? {
            0 => None,
            keysym if keysym & KEYSYM != 0 => Some(Symbol::Keysym(keysym & !KEYSYM)),
            c => char::from_u32(c).map(Symbol::Char),
        }
    }

    /// Which of a key's symbols the modifiers in effect choose.
    fn column(&self) -> usize {
        let active = self.active();
        CHOOSERS.iter().enumerate().filter(|(_, mask)| active & **mask != 0).map(|(bit, _)| 1 << bit).sum()
    }

    /// The key went down; only once until it is let go.
    pub fn press(&mut self, code: u32) {
        let mut is_modifier = false;
        let column = 1u32 << self.column();
        let is_it = |it: &&Modifier| u32::from(it.code) == code && it.columns & column != 0;
        for modifier in rows(&MODIFIERS, self.layout.modifiers).iter().filter(is_it) {
            is_modifier = true;
            let unlocks = self.locked & modifier.mask != 0;
            if modifier.does == Does::Lock {
                self.locked |= modifier.mask;
            }
            self.held.push(Held { modifier, unlocks });
        }
        if !is_modifier {
            self.latched = 0;
        }
    }

    pub fn release(&mut self, code: u32) {
        let (mut latched, mut unlocked) = (0, 0);
        self.held.retain(|held| {
            let is = u32::from(held.modifier.code) == code;
            match held.modifier.does {
                Does::Latch if is => latched |= held.modifier.mask,
                Does::Lock if is && held.unlocks => unlocked |= held.modifier.mask,
                _ => {}
            }
            !is
        });
        self.latched |= latched;
        self.locked &= !unlocked;
    }

    /// All keys are up, and exactly these locks are on.
    pub fn synchronise(&mut self, locked: u8) {
        self.held.clear();
        self.latched = 0;
        self.locked = locked;
    }
}

fn us() -> &'static Layout {
    const NONE: Layout = Layout { layout: "", variant: "", keys: (0, 0), modifiers: (0, 0) };
    LAYOUTS.iter().find(|it| (it.layout, it.variant) == ("us", "")).unwrap_or(&NONE)
}

fn rows<T>(all: &'static [T], (from, to): (usize, usize)) -> &'static [T] {
    all.get(from..to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wrd_rdp::keymap::LAYOUTS as NAMES;
    use xkbcommon::xkb;

    #[test]
    fn every_layout_that_a_client_can_name_is_here() {
        for (id, name) in NAMES {
            let found = Keymap::new(*name).layout;
            assert_eq!((found.layout, found.variant), (name.layout, name.variant), "{id:#x}");
        }
    }

    fn state(name: LayoutName) -> xkb::State {
        let context = xkb::Context::new(xkb::CONTEXT_NO_ENVIRONMENT_NAMES);
        let flags = xkb::KEYMAP_COMPILE_NO_FLAGS;
        let keymap = xkb::Keymap::new_from_names(&context, "evdev", "pc105", name.layout, name.variant, None, flags);
        xkb::State::new(&keymap.expect("a layout that build.rs has compiled"))
    }

    fn of_xkb(state: &xkb::State, code: u32) -> Option<Symbol> {
        match char::from_u32(state.key_get_utf32((code + 8).into())) {
            Some(c) if c != '\0' && !c.is_control() => Some(Symbol::Char(c)),
            _ => Some(state.key_get_one_sym((code + 8).into()).raw()).filter(|sym| *sym != 0).map(Symbol::Keysym),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
        /// Whatever is pressed, and in which order: the tables say what libxkbcommon says.
        #[test]
        fn the_tables_are_the_layouts(
            layout in 0..NAMES.len(),
            // Of all keys mostly those that are or may be modifiers: Shift, Caps Lock, Num Lock, AltGr, 102nd, …
            keys in proptest::collection::vec(
                prop_oneof![1u32..=127, proptest::sample::select(vec![42u32, 54, 58, 69, 86, 100])], 1..40),
        ) {
            let (_, name) = NAMES[layout];
            let (mut ours, mut theirs) = (Keymap::new(name), state(name));
            let mut down = std::collections::BTreeSet::new();
            for code in keys {
                // With Control, xkb answers with control characters, and with Alt Print is another key: the login
                // screen has no use for either.
                if theirs.serialize_mods(xkb::STATE_MODS_EFFECTIVE) & u32::from(CONTROL | ALT) == 0 {
                    prop_assert_eq!(ours.symbol(code), of_xkb(&theirs, code), "{:?}, key {}, {:?} down", name, code, down);
                }
                if down.remove(&code) {
                    ours.release(code);
                    theirs.update_key((code + 8).into(), xkb::KeyDirection::Up);
                } else {
                    down.insert(code);
                    ours.press(code);
                    theirs.update_key((code + 8).into(), xkb::KeyDirection::Down);
                }
                prop_assert_eq!(u32::from(ours.locked()), theirs.serialize_mods(xkb::STATE_MODS_LOCKED));
            }
        }
    }
}
