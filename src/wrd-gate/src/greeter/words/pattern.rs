//! Texts with holes in them, `{}`: what of a text stands in the holes of a key, and a translation with that in its own.
//! Pure.
//!
//! Always true: a text is gone through once, whatever is in it, and what came out of it is not looked into for holes.
//! Deliberately absent: which texts there are.

use std::borrow::Cow;

/// What stands in the holes of `key` where `text` is one of its texts. Where that can be seen in more than one way, each
/// hole takes as little as it can, from left to right, and the last one the rest.
pub fn holes<'a>(key: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let (front, end) = key.rsplit_once(HOLE)?;
    let mut between = front.split(HOLE);
    let mut rest = text.strip_suffix(end)?.strip_prefix(between.next()?)?;
    let mut holes = Vec::new();
    for literal in between {
        let (hole, behind) = rest.split_once(literal)?;
        holes.push(hole);
        rest = behind;
    }
    holes.push(rest);
    Some(holes)
}

/// `words` with these in its holes: in their order, or as it numbers them from `{1}` on.
pub fn fill(words: &str, holes: &[Cow<'_, str>]) -> String {
    let mut filled = String::new();
    let (mut rest, mut in_order) = (words, holes.iter());
    while let Some((before, number, behind)) = next_hole(rest) {
        let hole = match number.parse::<usize>() {
            Ok(number) => number.checked_sub(1).and_then(|index| holes.get(index)),
            Err(_) => in_order.next(),
        };
        filled.push_str(before);
        filled.push_str(hole.map_or("", AsRef::as_ref));
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

/// What is before the first hole, its number, and what is behind it.
fn next_hole(words: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = words.split_once('{')?;
    let (number, behind) = rest.split_once('}')?;
    Some((before, number, behind))
}

const HOLE: &str = "{}";

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The numbers of the holes of `words`, or their order.
    pub fn numbers(words: &str) -> Vec<usize> {
        let mut numbers = Vec::new();
        let mut rest = words;
        while let Some((_, number, behind)) = next_hole(rest) {
            numbers.push(if number.is_empty() { numbers.len() + 1 } else { number.parse().unwrap() });
            rest = behind;
        }
        numbers
    }

    fn filled(words: &str, holes: &[&str]) -> String {
        fill(words, &holes.iter().map(|hole| Cow::Borrowed(*hole)).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_around_the_holes_decides() {
        let shell = "The shell of {}, {}, cannot be run.";
        assert_eq!(holes(shell, "The shell of bob, /bin/x, cannot be run."), Some(vec!["bob", "/bin/x"]));
        assert_eq!(holes(shell, "The shell of , , cannot be run."), Some(vec!["", ""]));
        for other in
            ["", "The shell of bob", "The shell of bob, cannot be run.", "The shell of bob, /bin/x, can be run."]
        {
            assert_eq!(holes(shell, other), None, "{other}");
        }
        assert_eq!(holes("{} is gone", "all is gone"), Some(vec!["all"]));
        assert_eq!(holes("no holes", "no holes"), None);
        // The same letters are not taken for two parts of a key.
        assert_eq!(holes("aba{}bab", "abab"), None);
        assert_eq!(holes("aba{}bab", "abaübab"), Some(vec!["ü"]));
    }

    #[test]
    fn where_there_are_several_ways_the_first_hole_takes_the_least() {
        assert_eq!(holes("{}: {}.", "a: b: c.d."), Some(vec!["a", "b: c.d"]));
        assert_eq!(holes("a {} b {} c", "a 1 b 2 b 3 c 4 c"), Some(vec!["1", "2 b 3 c 4"]));
    }

    #[test]
    fn holes_are_filled_in_order_or_by_number_and_once() {
        assert_eq!(filled("{} of {}.", &["a", "b"]), "a of b.");
        assert_eq!(filled("{2} has {1}, {3}", &["a", "b", "c"]), "b has a, c");
        assert_eq!(filled("{} {}", &["{2}{}", "{1}"]), "{2}{} {1}");
        assert_eq!(filled("nothing", &["a"]), "nothing");
        // A wrong table is none to fall over.
        assert_eq!(filled("{} {} {0} {9} {", &["a"]), "a    {");
    }
}
