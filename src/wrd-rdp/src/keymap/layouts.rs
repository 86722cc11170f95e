//! Windows keyboard layout identifiers (the `keyboardLayout` of GCC Core Data) and their xkb layouts.
//!
//! The low word is a language, the high word tells variants of its keyboard apart. Looked up in three
//! steps: the whole identifier, its language, the primary part of its language; else `us`.

use super::names::{LAYOUTS, LayoutName, US};
use crate::client::Keyboard;

/// The xkb layout of a client's keyboard.
pub fn xkb(keyboard: Keyboard) -> LayoutName {
    let klid = match keyboard.layout {
        // Input methods (0xe0010411 and its kind) sit on the plain layout of their language; handles of
        // devices (0xf...) have a number of their own in the high word that says nothing here.
        id if id >> 28 >= 0xe => id & 0xffff,
        id => id,
    };
    // A Korean keyboard says what it is in its type even where the layout is the US one.
    let klid = if keyboard.kind == 8 && klid == 0x0409 { 0x0412 } else { klid };
    let exact = LAYOUTS.iter().find(|(id, _)| *id == klid);
    let language = || LAYOUTS.iter().find(|(id, _)| *id == klid & 0xffff);
    let primary = || LAYOUTS.iter().find(|(id, _)| klid & 0x3ff != 0 && *id & 0x3ff == klid & 0x3ff);
    exact.or_else(language).or_else(primary).map_or(US, |(_, name)| *name)
}

/// The layout of exactly this identifier: of one that was chosen from the list, where nothing is to be guessed.
pub fn listed(klid: u32) -> Option<LayoutName> {
    LAYOUTS.iter().find(|(id, _)| *id == klid).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(layout: u32) -> (&'static str, &'static str) {
        let name = xkb(Keyboard { layout, kind: 4, subtype: 0 });
        (name.layout, name.variant)
    }

    #[test]
    fn common_keyboards_are_found() {
        assert_eq!(layout(0x0409), ("us", ""));
        assert_eq!(layout(0x0407), ("de", ""));
        assert_eq!(layout(0x0807), ("ch", ""));
        assert_eq!(layout(0x100c), ("ch", "fr"));
        assert_eq!(layout(0x0001_0409), ("us", "dvorak"));
        assert_eq!(layout(0x0411), ("jp", ""));
        assert_eq!(layout(0xe001_0411), ("jp", ""));
    }

    #[test]
    fn an_unknown_one_falls_back_to_its_language_then_to_us() {
        assert_eq!(layout(0x0009_0407), ("de", ""));
        assert_eq!(layout(0x3c0a), ("es", ""));
        assert_eq!(layout(0), ("us", ""));
        assert_eq!(layout(0xffff_ffff), ("us", ""));
        assert_eq!(layout(0xf0a2_040c), ("fr", ""));
    }

    #[test]
    fn a_korean_keyboard_is_korean_whatever_the_layout_says() {
        assert_eq!(xkb(Keyboard { layout: 0x0409, kind: 8, subtype: 6 }).layout, "kr");
    }

    #[test]
    fn what_was_chosen_is_in_the_list_or_nothing() {
        for (id, name) in LAYOUTS {
            assert_eq!(listed(*id), Some(*name));
        }
        for id in [0, 9, 0x0009_0407, 0xe001_0411, u32::MAX] {
            assert_eq!(listed(id), None, "{id:#x}");
        }
    }

    #[test]
    fn every_layout_exists_in_the_systems_rules() {
        let Ok(rules) = std::fs::read_to_string("/usr/share/X11/xkb/rules/evdev.lst") else {
            eprintln!("no xkb data here, nothing to compare with");
            return;
        };
        let section = |name: &str| {
            let lines = rules.lines().skip_while(move |line| *line != format!("! {name}")).skip(1);
            lines.take_while(|line| !line.starts_with('!')).collect::<Vec<_>>()
        };
        let (layouts, variants) = (section("layout"), section("variant"));
        for (id, LayoutName { layout, variant, .. }) in LAYOUTS {
            let known = layouts.iter().any(|line| line.split_whitespace().next() == Some(layout));
            assert!(known, "{id:#x}: layout {layout}");
            let owner = format!("{layout}:");
            let known = variant.is_empty()
                || variants.iter().any(|line| {
                    let mut words = line.split_whitespace();
                    words.next() == Some(variant) && words.next() == Some(&owner)
                });
            assert!(known, "{id:#x}: variant {variant} of {layout}");
        }
    }
}
