//! One line of text being typed. It never grows past what was reserved for it, so that no copy of a
//! password is left behind, and it is wiped when it goes.

use std::ops::Range;
use zeroize::{Zeroize, Zeroizing};

/// In bytes of UTF-8.
const LONGEST_CHARACTER: usize = 4;

pub struct Field {
    text: Zeroizing<String>,
    most: usize,
    /// Byte offset of the caret, always at a character's edge.
    caret: usize,
    /// Everything is selected.
    selected: bool,
}

impl Field {
    /// A field of at most `most` bytes of UTF-8.
    pub fn new(most: usize) -> Self {
        Self { text: Zeroizing::new(String::with_capacity(most)), most, caret: 0, selected: false }
    }

    /// A field for at most `most` bytes that has room for a character more, so that what is too long can be told from
    /// what is not, instead of being tried without its end.
    pub fn one_over(most: usize) -> Self {
        Self::new(most + LONGEST_CHARACTER)
    }

    /// Replaces the text; what does not fit is left out.
    pub fn set(&mut self, text: &str) {
        self.clear();
        text.chars().for_each(|c| self.insert(c));
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Number of characters.
    pub fn count(&self) -> usize {
        self.text.chars().count()
    }

    /// Characters before the caret.
    pub fn caret(&self) -> usize {
        self.text.get(..self.caret).unwrap_or_default().chars().count()
    }

    pub fn is_selected(&self) -> bool {
        self.selected
    }

    pub fn clear(&mut self) {
        self.text.zeroize();
        self.caret = 0;
        self.selected = false;
    }

    pub fn insert(&mut self, c: char) {
        self.replace_selection();
        if self.text.len() + c.len_utf8() <= self.most && !c.is_control() {
            self.text.insert(self.caret, c);
            self.caret += c.len_utf8();
        }
    }

    pub fn backspace(&mut self) {
        if !self.replace_selection() {
            self.remove(self.before()..self.caret);
        }
    }

    pub fn delete(&mut self) {
        if !self.replace_selection() {
            self.remove(self.caret..self.after());
        }
    }

    /// Removes what is before the caret.
    pub fn clear_to_start(&mut self) {
        if !self.replace_selection() {
            self.remove(0..self.caret);
        }
    }

    pub fn select_all(&mut self) {
        self.selected = !self.is_empty();
        self.caret = self.text.len();
    }

    pub fn left(&mut self) {
        self.caret = if self.selected { 0 } else { self.before() };
        self.selected = false;
    }

    pub fn right(&mut self) {
        self.caret = if self.selected { self.text.len() } else { self.after() };
        self.selected = false;
    }

    pub fn home(&mut self) {
        self.place(0);
    }

    pub fn end(&mut self) {
        self.place(usize::MAX);
    }

    /// Puts the caret behind `characters` characters.
    pub fn place(&mut self, characters: usize) {
        self.caret = self.text.char_indices().nth(characters).map_or(self.text.len(), |(offset, _)| offset);
        self.selected = false;
    }

    fn replace_selection(&mut self) -> bool {
        let selected = self.selected;
        if selected {
            self.clear();
        }
        selected
    }

    fn before(&self) -> usize {
        self.text.get(..self.caret).and_then(|text| text.char_indices().next_back()).map_or(0, |(offset, _)| offset)
    }

    fn after(&self) -> usize {
        let next = self.text.get(self.caret..).and_then(|text| text.chars().next());
        self.caret + next.map_or(0, char::len_utf8)
    }

    fn remove(&mut self, range: Range<usize>) {
        self.caret = range.start;
        self.text.replace_range(range, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(char),
        Backspace,
        Delete,
        Left,
        Right,
        Home,
        End,
        Place(usize),
        All,
        ToStart,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            prop_oneof![Just('a'), Just('é'), Just('€'), Just('😀'), any::<char>()].prop_map(Op::Insert),
            Just(Op::Backspace),
            Just(Op::Delete),
            Just(Op::Left),
            Just(Op::Right),
            Just(Op::Home),
            Just(Op::End),
            (0usize..30).prop_map(Op::Place),
            Just(Op::All),
            Just(Op::ToStart),
        ]
    }

    proptest! {
        /// Against a vector of characters, which has no byte offsets to get wrong.
        #[test]
        fn editing_is_what_it_is_on_characters(ops in proptest::collection::vec(op(), 0..80)) {
            let mut field = Field::new(40);
            let room = field.text.capacity();
            let (mut model, mut caret, mut all) = (Vec::<char>::new(), 0usize, false);
            for op in ops {
                let cut = all && matches!(op, Op::Insert(_) | Op::Backspace | Op::Delete | Op::ToStart);
                if cut {
                    model.clear();
                    (caret, all) = (0, false);
                }
                match op {
                    Op::Insert(c) => {
                        field.insert(c);
                        let bytes = model.iter().map(|c| c.len_utf8()).sum::<usize>();
                        if bytes + c.len_utf8() <= 40 && !c.is_control() {
                            model.insert(caret, c);
                            caret += 1;
                        }
                    }
                    Op::Backspace => {
                        field.backspace();
                        if !cut && caret > 0 {
                            caret -= 1;
                            model.remove(caret);
                        }
                    }
                    Op::Delete => {
                        field.delete();
                        if !cut && caret < model.len() {
                            model.remove(caret);
                        }
                    }
                    Op::ToStart => {
                        field.clear_to_start();
                        if !cut {
                            model.drain(..caret);
                            caret = 0;
                        }
                    }
                    Op::Left => {
                        field.left();
                        caret = if all { 0 } else { caret.saturating_sub(1) };
                        all = false;
                    }
                    Op::Right => {
                        field.right();
                        caret = if all { model.len() } else { (caret + 1).min(model.len()) };
                        all = false;
                    }
                    Op::Home => { field.home(); (caret, all) = (0, false); }
                    Op::End => { field.end(); (caret, all) = (model.len(), false); }
                    Op::Place(n) => { field.place(n); (caret, all) = (n.min(model.len()), false); }
                    Op::All => { field.select_all(); (caret, all) = (model.len(), !model.is_empty()); }
                }
                prop_assert_eq!(field.text(), model.iter().collect::<String>());
                prop_assert_eq!((field.caret(), field.is_selected()), (caret, all));
                prop_assert_eq!(field.text.capacity(), room);
            }
        }
    }
}
