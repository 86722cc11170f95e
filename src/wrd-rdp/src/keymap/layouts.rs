//! Windows keyboard layout identifiers (the `keyboardLayout` of GCC Core Data) and their xkb layouts.
//!
//! The low word is a language, the high word tells variants of its keyboard apart. Looked up in three
//! steps: the whole identifier, its language, the primary part of its language; else `us`.

use crate::client::Keyboard;

/// An xkb layout by its names in the rules `evdev`; the model is always `pc105`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutName {
    pub layout: &'static str,
    /// Empty for the layout's own default.
    pub variant: &'static str,
    /// For people, in English.
    pub name: &'static str,
}

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

const US: LayoutName = named("us", "", "English (US)");

const fn named(layout: &'static str, variant: &'static str, name: &'static str) -> LayoutName {
    LayoutName { layout, variant, name }
}

/// In each primary language the row that stands for the others comes first.
const LAYOUTS: &[(u32, LayoutName)] = &[
    (0x0000_0409, US),
    (0x0001_0409, named("us", "dvorak", "English (US, Dvorak)")),
    (0x0002_0409, named("us", "intl", "English (US, international)")),
    (0x0003_0409, named("us", "dvorak-l", "English (US, Dvorak left hand)")),
    (0x0004_0409, named("us", "dvorak-r", "English (US, Dvorak right hand)")),
    (0x0006_0409, named("us", "colemak", "English (US, Colemak)")),
    (0x0000_0809, named("gb", "", "English (UK)")),
    (0x0000_0452, named("gb", "extd", "English (UK, extended)")),
    (0x0000_1809, named("ie", "", "Irish")),
    (0x0000_083c, named("ie", "", "Irish")),
    (0x0001_1809, named("gb", "gla", "Scottish Gaelic")),
    (0x0000_0c09, named("us", "", "English (Australia)")),
    (0x0000_1009, named("us", "", "English (Canada)")),
    (0x0000_1409, named("us", "", "English (New Zealand)")),
    (0x0000_4009, named("in", "eng", "English (India)")),
    (0x0000_0407, named("de", "", "German")),
    (0x0001_0407, named("de", "", "German (IBM)")),
    (0x0002_0407, named("de", "e1", "German (E1)")),
    (0x0003_0407, named("de", "e2", "German (E2)")),
    (0x0000_0c07, named("at", "", "German (Austria)")),
    (0x0000_0807, named("ch", "", "German (Switzerland)")),
    (0x0000_1007, named("ch", "", "German (Luxembourg)")),
    (0x0000_1407, named("ch", "", "German (Liechtenstein)")),
    (0x0000_040c, named("fr", "", "French")),
    (0x0001_040c, named("fr", "bepo", "French (BÉPO)")),
    (0x0002_040c, named("fr", "afnor", "French (AZERTY, AFNOR)")),
    (0x0000_080c, named("be", "", "French (Belgium)")),
    (0x0001_080c, named("be", "", "Belgian (comma)")),
    (0x0000_100c, named("ch", "fr", "French (Switzerland)")),
    (0x0000_0c0c, named("ca", "fr-legacy", "French (Canada, legacy)")),
    (0x0000_1009 | 0x1_0000, named("ca", "multix", "Canadian multilingual")),
    (0x0001_1009, named("ca", "multix", "Canadian multilingual")),
    (0x0000_140c, named("ch", "fr", "French (Luxembourg)")),
    (0x0000_0c0a, named("es", "", "Spanish")),
    (0x0000_040a, named("es", "", "Spanish")),
    (0x0001_040a, named("es", "", "Spanish (variation)")),
    (0x0000_080a, named("latam", "", "Spanish (Latin America)")),
    (0x0000_2c0a, named("latam", "", "Spanish (Argentina)")),
    (0x0000_340a, named("latam", "", "Spanish (Chile)")),
    (0x0000_240a, named("latam", "", "Spanish (Colombia)")),
    (0x0000_280a, named("latam", "", "Spanish (Peru)")),
    (0x0000_200a, named("latam", "", "Spanish (Venezuela)")),
    (0x0000_540a, named("us", "intl", "Spanish (United States)")),
    (0x0000_0403, named("es", "cat", "Catalan")),
    (0x0000_0456, named("es", "", "Galician")),
    (0x0000_042d, named("es", "", "Basque")),
    (0x0000_0410, named("it", "", "Italian")),
    (0x0001_0410, named("it", "ibm", "Italian (142)")),
    (0x0000_0810, named("ch", "", "Italian (Switzerland)")),
    (0x0000_0816, named("pt", "", "Portuguese")),
    (0x0000_0416, named("br", "", "Portuguese (Brazil, ABNT2)")),
    (0x0001_0416, named("br", "", "Portuguese (Brazil, ABNT2)")),
    (0x0000_0413, named("us", "intl", "Dutch")),
    (0x0000_0813, named("be", "", "Dutch (Belgium)")),
    (0x0000_0406, named("dk", "", "Danish")),
    (0x0000_0438, named("fo", "", "Faroese")),
    (0x0000_041d, named("se", "", "Swedish")),
    (0x0000_081d, named("fi", "", "Swedish (Finland)")),
    (0x0000_0414, named("no", "", "Norwegian")),
    (0x0000_043b, named("no", "smi", "Northern Saami (Norway)")),
    (0x0000_083b, named("se", "smi", "Northern Saami (Sweden)")),
    (0x0000_040b, named("fi", "", "Finnish")),
    (0x0000_040f, named("is", "", "Icelandic")),
    (0x0000_0415, named("pl", "", "Polish (programmers)")),
    (0x0001_0415, named("pl", "qwertz", "Polish (214)")),
    (0x0000_0405, named("cz", "", "Czech")),
    (0x0001_0405, named("cz", "qwerty", "Czech (QWERTY)")),
    (0x0002_0405, named("cz", "ucw", "Czech (programmers)")),
    (0x0000_041b, named("sk", "", "Slovak")),
    (0x0001_041b, named("sk", "qwerty", "Slovak (QWERTY)")),
    (0x0000_040e, named("hu", "", "Hungarian")),
    (0x0001_040e, named("hu", "101_qwerty_comma_dead", "Hungarian (101 keys)")),
    (0x0000_0424, named("si", "", "Slovenian")),
    (0x0000_041a, named("hr", "", "Croatian")),
    (0x0000_081a, named("rs", "latin", "Serbian (Latin)")),
    (0x0000_0c1a, named("rs", "", "Serbian (Cyrillic)")),
    (0x0000_141a, named("ba", "", "Bosnian")),
    (0x0000_201a, named("rs", "", "Bosnian (Cyrillic)")),
    (0x0000_042f, named("mk", "", "Macedonian")),
    (0x0000_0418, named("ro", "winkeys", "Romanian (legacy)")),
    (0x0001_0418, named("ro", "std", "Romanian (standard)")),
    (0x0002_0418, named("ro", "", "Romanian (programmers)")),
    (0x0000_0402, named("bg", "", "Bulgarian (typewriter)")),
    (0x0001_0402, named("us", "", "Bulgarian (Latin)")),
    (0x0002_0402, named("bg", "phonetic", "Bulgarian (phonetic)")),
    (0x0003_0402, named("bg", "bas_phonetic", "Bulgarian (phonetic, traditional)")),
    (0x0004_0402, named("bg", "bas_phonetic", "Bulgarian (phonetic, traditional)")),
    (0x0000_041c, named("al", "", "Albanian")),
    (0x0000_0408, named("gr", "", "Greek")),
    (0x0000_0419, named("ru", "", "Russian")),
    (0x0001_0419, named("ru", "typewriter", "Russian (typewriter)")),
    (0x0002_0419, named("ru", "phonetic", "Russian (phonetic)")),
    (0x0000_0422, named("ua", "", "Ukrainian")),
    (0x0002_0422, named("ua", "winkeys", "Ukrainian (enhanced)")),
    (0x0000_0423, named("by", "", "Belarusian")),
    (0x0000_0425, named("ee", "", "Estonian")),
    (0x0000_0426, named("lv", "", "Latvian")),
    (0x0001_0426, named("lv", "", "Latvian (QWERTY)")),
    (0x0002_0426, named("lv", "modern", "Latvian (standard)")),
    (0x0000_0427, named("lt", "", "Lithuanian")),
    (0x0001_0427, named("lt", "", "Lithuanian")),
    (0x0002_0427, named("lt", "std", "Lithuanian (standard)")),
    (0x0000_041f, named("tr", "", "Turkish (Q)")),
    (0x0001_041f, named("tr", "f", "Turkish (F)")),
    (0x0000_042c, named("az", "", "Azerbaijani (Latin)")),
    (0x0000_082c, named("az", "cyrillic", "Azerbaijani (Cyrillic)")),
    (0x0000_042b, named("am", "", "Armenian")),
    (0x0000_0437, named("ge", "", "Georgian")),
    (0x0000_043f, named("kz", "", "Kazakh")),
    (0x0000_0440, named("kg", "", "Kyrgyz")),
    (0x0000_0444, named("ru", "tt", "Tatar")),
    (0x0000_0843, named("uz", "", "Uzbek (Cyrillic)")),
    (0x0000_0450, named("mn", "", "Mongolian")),
    (0x0000_0428, named("tj", "", "Tajik")),
    (0x0000_0442, named("tm", "", "Turkmen")),
    (0x0000_043a, named("mt", "us", "Maltese (47 keys)")),
    (0x0001_043a, named("mt", "", "Maltese (48 keys)")),
    (0x0000_040d, named("il", "", "Hebrew")),
    (0x0002_040d, named("il", "", "Hebrew (standard)")),
    (0x0000_0401, named("ara", "", "Arabic (101)")),
    (0x0001_0401, named("ara", "", "Arabic (102)")),
    (0x0002_0401, named("ara", "azerty", "Arabic (102, AZERTY)")),
    (0x0000_0429, named("ir", "", "Persian")),
    (0x0005_0429, named("ir", "", "Persian (standard)")),
    (0x0000_0420, named("pk", "", "Urdu")),
    (0x0000_0463, named("af", "ps", "Pashto")),
    (0x0000_045a, named("sy", "syc", "Syriac")),
    (0x0000_0465, named("mv", "", "Divehi")),
    (0x0000_0439, named("in", "", "Hindi (traditional)")),
    (0x0001_0439, named("in", "", "Devanagari (INSCRIPT)")),
    (0x0000_044e, named("in", "marathi", "Marathi")),
    (0x0000_0461, named("np", "", "Nepali")),
    (0x0000_0445, named("in", "ben", "Bangla")),
    (0x0000_0845, named("bd", "", "Bangla (Bangladesh)")),
    (0x0000_0446, named("in", "guru", "Punjabi")),
    (0x0000_0447, named("in", "guj", "Gujarati")),
    (0x0000_0448, named("in", "ori", "Odia")),
    (0x0000_0449, named("in", "tam", "Tamil")),
    (0x0000_044a, named("in", "tel", "Telugu")),
    (0x0000_044b, named("in", "kan", "Kannada")),
    (0x0000_044c, named("in", "mal", "Malayalam")),
    (0x0000_044d, named("in", "ben", "Assamese")),
    (0x0000_045b, named("lk", "", "Sinhala")),
    (0x0000_041e, named("th", "", "Thai (Kedmanee)")),
    (0x0001_041e, named("th", "pat", "Thai (Pattachote)")),
    (0x0000_0453, named("kh", "", "Khmer")),
    (0x0000_0454, named("la", "", "Lao")),
    (0x0000_042a, named("vn", "", "Vietnamese")),
    (0x0000_0451, named("cn", "tib", "Tibetan")),
    (0x0000_0480, named("cn", "ug", "Uyghur")),
    (0x0000_0804, named("cn", "", "Chinese (simplified)")),
    (0x0000_0404, named("tw", "", "Chinese (traditional)")),
    (0x0000_0c04, named("us", "", "Chinese (Hong Kong)")),
    (0x0000_1004, named("us", "", "Chinese (Singapore)")),
    (0x0000_1404, named("us", "", "Chinese (Macao)")),
    (0x0000_0411, named("jp", "", "Japanese")),
    (0x0000_0412, named("kr", "", "Korean")),
];

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
