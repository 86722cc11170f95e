//! Dead keys: an accent, then a letter. No file can be read from the sandbox, and those in which X
//! keeps these pairs are large; this is what Latin keyboards have.

/// What an accent (named by its dead key's keysym, 0xfe50 and on) and a letter make.
pub fn compose(dead: u32, letter: char) -> Option<char> {
    let (_, spacing, pairs) = ACCENTS.iter().find(|(keysym, ..)| *keysym == dead)?;
    // The accent itself comes with the space bar.
    if letter == ' ' {
        return Some(*spacing);
    }
    let mut chars = pairs.chars();
    while let (Some(base), Some(composed)) = (chars.next(), chars.next()) {
        if base == letter {
            return Some(composed);
        }
    }
    None
}

/// The accent by itself, for when the key is pressed twice.
pub fn spacing(dead: u32) -> Option<char> {
    ACCENTS.iter().find(|(keysym, ..)| *keysym == dead).map(|(_, spacing, _)| *spacing)
}

/// Keysym, the accent by itself, letters each followed by what they become.
const ACCENTS: &[(u32, char, &str)] = &[
    (0xfe50, '`', "aàeèiìoòuùnǹwẁyỳAÀEÈIÌOÒUÙNǸWẀYỲ"),
    (0xfe51, '´', "aáeéiíoóuúyýcćlĺnńrŕsśzźwẃAÁEÉIÍOÓUÚYÝCĆLĹNŃRŔSŚZŹWẂαάεέηήιίοόυύωώΑΆΕΈΗΉΙΊΟΌΥΎΩΏ"),
    (0xfe52, '^', "aâeêiîoôuûcĉgĝhĥjĵsŝwŵyŷzẑAÂEÊIÎOÔUÛCĈGĜHĤJĴSŜWŴYŶZẐ"),
    (0xfe53, '~', "aãnñoõiĩuũeẽyỹAÃNÑOÕIĨUŨEẼYỸ"),
    (0xfe54, '¯', "aāeēiīoōuūyȳAĀEĒIĪOŌUŪYȲ"),
    (0xfe55, '˘', "aăeĕgğiĭoŏuŭAĂEĔGĞIĬOŎUŬ"),
    (0xfe56, '˙', "cċeėgġiızżIİCĊEĖGĠZŻ"),
    (0xfe57, '¨', "aäeëiïoöuüyÿAÄEËIÏOÖUÜYŸιϊυϋΙΪΥΫ"),
    (0xfe58, '°', "aåuůAÅUŮ"),
    (0xfe59, '˝', "oőuűOŐUŰ"),
    (0xfe5a, 'ˇ', "cčdďeělľnňrřsštťzžgǧCČDĎEĚLĽNŇRŘSŠTŤZŽGǦ"),
    (0xfe5b, '¸', "cçsştţgģkķlļnņrŗCÇSŞTŢGĢKĶLĻNŅRŖ"),
    (0xfe5c, '˛', "aąeęiįuųAĄEĘIĮUŲ"),
    (0xfe63, '/', "oøOØlłLŁdđDĐhħHĦtŧTŦ"),
    (0xfe6e, ',', "sștțSȘTȚ"),
    (0xfe6f, '¤', "e€E€l£L£y¥Y¥c¢"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_and_letters_meet() {
        assert_eq!(compose(0xfe52, 'e'), Some('ê'));
        assert_eq!(compose(0xfe57, 'U'), Some('Ü'));
        assert_eq!(compose(0xfe51, ' '), Some('´'));
        assert_eq!(compose(0xfe51, 'q'), None);
        assert_eq!(compose(0xfe00, 'a'), None);
        assert_eq!(spacing(0xfe50), Some('`'));
    }

    #[test]
    fn every_row_is_pairs_of_two_different_letters() {
        for (keysym, _, pairs) in ACCENTS {
            let chars: Vec<_> = pairs.chars().collect();
            assert!(chars.chunks(2).all(|pair| pair.len() == 2 && pair[0] != pair[1]), "{keysym:#x}");
        }
    }
}
