//! Which tiles of the login screen are to be sent: those that changed, and none that the client shows
//! already. Nothing larger than a tile is ever drawn at once.

use super::form::{Page, Target, View};
use super::picture::Picture;
use super::tiles::{TILE, Tile, update};
use super::words::Language;
use std::hash::{DefaultHasher, Hash, Hasher};
use wrd_draw::{Area, Canvas};
use wrd_rdp::DesktopSize;

pub struct Screen {
    size: DesktopSize,
    picture: Picture,
    view: Option<View>,
    columns: u16,
    rows: u16,
    /// One for each tile, row by row.
    tiles: Vec<TileState>,
    /// Where the search for the next dirty tile begins.
    next: usize,
    dirty: usize,
}

#[derive(Clone, Copy, Default)]
struct TileState {
    dirty: bool,
    /// Of the pixels that the client shows; 0 where it shows none of ours.
    hash: u64,
}

impl Screen {
    pub fn new(size: DesktopSize, scale: u32, host_name: &str, language: Language) -> Self {
        let (columns, rows) = (size.width.div_ceil(TILE), size.height.div_ceil(TILE));
        let tiles = vec![TileState { dirty: true, hash: 0 }; usize::from(columns) * usize::from(rows)];
        Self {
            size,
            picture: Picture::new(size, scale, host_name, language),
            view: None,
            columns,
            rows,
            dirty: tiles.len(),
            tiles,
            next: 0,
        }
    }

    /// What is to be shown from now on.
    pub fn update(&mut self, view: View) {
        let old = self.view.replace(view);
        let (Some(old), Some(new)) = (old, self.view.clone()) else { return };
        if old == new {
            return;
        }
        let layout = &self.picture.layout;
        let mut areas = Vec::new();
        let mut changed = |is: bool, area: Area| {
            if is {
                areas.push(area);
            }
        };
        let around = |area: Area| area.inset(-3.0 * layout.scale);
        match (&old.page, &new.page) {
            (Page::Dialogue(old), Page::Dialogue(new)) => {
                changed(old.words() != new.words(), layout.card);
                changed(old.answer() != new.answer(), around(layout.password));
                changed(old.cancel != new.cancel, around(layout.cancel));
            }
            (old, new) => changed(old != new, layout.card),
        }
        changed(old.choices.menu != new.choices.menu, layout.card);
        let below = |view: &View| (view.choices.layout.clone(), view.choices.session.clone(), view.focused);
        let pointed = |view: &View| view.hovered.filter(|target| matches!(target, Target::Menu(_)));
        changed(below(&old) != below(&new) || pointed(&old) != pointed(&new), layout.footer);
        changed(old.left != new.left, layout.left);
        if old.hovered != new.hovered {
            changed([old.hovered, new.hovered].contains(&Some(Target::Reveal)), layout.password);
            changed(new.choices.menu.is_some(), layout.menu);
        }
        changed(old.caps_lock != new.caps_lock, layout.message);
        changed(old.user != new.user, around(layout.user));
        changed(old.password != new.password, around(layout.password));
        changed(old.caps_lock != new.caps_lock, layout.password_label);
        changed(old.message != new.message, if new.page == Page::Final { layout.card } else { layout.message });
        changed(old.button != new.button, around(layout.button));
        for area in areas {
            self.mark(area);
        }
    }

    /// The client has lost its picture: everything again.
    pub fn redraw(&mut self) {
        self.tiles.fill(TileState { dirty: true, hash: 0 });
        self.dirty = self.tiles.len();
    }

    pub fn is_dirty(&self) -> bool {
        self.dirty > 0
    }

    /// The PDU of the next tile that differs from what the client shows; `None` when all is shown.
    pub fn next_tile(&mut self) -> Option<Vec<u8>> {
        while self.dirty > 0 {
            let index = self.next % self.tiles.len();
            self.next = index + 1;
            let state = self.tiles.get_mut(index)?;
            if !std::mem::take(&mut state.dirty) {
                continue;
            }
            self.dirty -= 1;
            if let Some(pdu) = self.tile(index) {
                return Some(pdu);
            }
        }
        None
    }

    /// What is at a place, in px.
    pub fn at(&self, x: u16, y: u16) -> Option<Target> {
        self.picture.at(x, y, self.view.as_ref()?)
    }

    /// The character edge next to `x` in a field's text.
    pub fn caret_at(&self, x: u16, target: Option<Target>) -> Option<usize> {
        self.picture.caret_at(x, self.view.as_ref()?, target)
    }

    fn mark(&mut self, area: Area) {
        let tile = f32::from(TILE);
        let range = |from: f32, length: f32, most: u16| {
            let first = (from / tile).floor().max(0.0) as u16;
            let last = ((from + length) / tile).ceil().max(0.0) as u16;
            first.min(most)..last.min(most)
        };
        for row in range(area.y, area.height, self.rows) {
            for column in range(area.x, area.width, self.columns) {
                let index = usize::from(row) * usize::from(self.columns) + usize::from(column);
                if let Some(state) = self.tiles.get_mut(index).filter(|state| !state.dirty) {
                    state.dirty = true;
                    self.dirty += 1;
                }
            }
        }
    }

    /// Draws one tile and packs it, unless the client shows it already.
    fn tile(&mut self, index: usize) -> Option<Vec<u8>> {
        let columns = usize::from(self.columns);
        let x = u16::try_from(index % columns).ok()? * TILE;
        let y = u16::try_from(index / columns).ok()? * TILE;
        let (width, height) = ((self.size.width - x).min(TILE), (self.size.height - y).min(TILE));
        let stride = width.next_multiple_of(4);
        let mut canvas = Canvas::new(stride.into(), height.into())?;
        canvas.set_origin(f32::from(x), f32::from(y));
        let part = Area::new(x.into(), y.into(), stride.into(), height.into());
        self.picture.draw(&mut canvas, part, self.view.as_ref()?);
        let mut hasher = DefaultHasher::new();
        canvas.rgba().hash(&mut hasher);
        let hash = hasher.finish().max(1);
        let state = self.tiles.get_mut(index)?;
        if std::mem::replace(&mut state.hash, hash) == hash {
            return None;
        }
        update(&Tile { x, y, width, height, stride, rgba: canvas.rgba() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::choices::Choices;
    use super::super::form::Form;
    use super::super::form::Key;
    use super::super::layout::{Layout, Shown, wrap};
    use super::*;
    use wrd_draw::text_width;
    use wrd_proto::UserName;
    use wrd_proto::login::Prompt;
    use wrd_rdp::keymap::LAYOUTS;

    fn size(width: u16, height: u16) -> DesktopSize {
        DesktopSize { width, height }
    }

    fn form() -> Form {
        Form::new(&UserName::try_from("alice").unwrap(), Choices::new(LAYOUTS[0].1, Vec::new()))
    }

    fn drain(screen: &mut Screen) -> usize {
        std::iter::from_fn(|| screen.next_tile()).count()
    }

    #[test]
    fn everything_is_sent_once_and_then_only_what_changed() {
        let mut form = form();
        let mut screen = Screen::new(size(1280, 800), 100, "server", Language::German);
        screen.update(form.view(false));
        assert_eq!(drain(&mut screen), 20 * 13);
        screen.update(form.view(false));
        assert_eq!(drain(&mut screen), 0);
        form.key(Key::Char('x'));
        screen.update(form.view(false));
        let typed = drain(&mut screen);
        assert!((1..=3).contains(&typed), "{typed} tiles for a dot");
        screen.redraw();
        assert_eq!(drain(&mut screen), 20 * 13);
    }

    #[test]
    fn an_answer_that_is_typed_is_drawn_in_its_field_only() {
        let mut form = form();
        let mut screen = Screen::new(size(1280, 800), 200, "server", Language::German);
        form.ask(Prompt::Hidden, "Code:");
        screen.update(form.view(false));
        drain(&mut screen);
        for key in [Key::Char('x'), Key::Tab, Key::Tab] {
            form.key(key);
            screen.update(form.view(false));
            assert!((1..=60).contains(&screen.dirty), "{} tiles for {key:?}", screen.dirty);
            assert!(drain(&mut screen) > 0);
        }
        // Another question is drawn as a whole.
        form.ask(Prompt::Hidden, "Another code:");
        screen.update(form.view(false));
        assert!(screen.dirty > 100);
    }

    #[test]
    fn the_card_is_on_every_screen() {
        for (width, height) in [(200, 200), (640, 480), (801, 603), (1920, 1080), (8192, 8192), (8192, 200)] {
            for percent in [100, 150, 500] {
                let screen = Screen::new(size(width, height), percent, "server", Language::English);
                let Layout { card, button, footer, .. } = screen.picture.layout;
                let all = Area::new(0.0, 0.0, width.into(), height.into());
                for area in [card, button, footer] {
                    assert!(all.contains(area.x, area.y), "{width}×{height} at {percent}: {area:?}");
                    assert!(area.x + area.width <= all.width && area.y + area.height <= all.height, "{area:?}");
                }
            }
        }
    }

    #[test]
    fn places_are_found() {
        let mut screen = Screen::new(size(1024, 768), 100, "server", Language::German);
        let form = form();
        screen.update(form.view(false));
        let middle = |area: Area| ((area.x + area.width / 2.0) as u16, (area.y + area.height / 2.0) as u16);
        for (area, target) in [
            (screen.picture.layout.user, Target::User),
            (screen.picture.layout.password, Target::Password),
            (screen.picture.layout.button, Target::Button),
        ] {
            let (x, y) = middle(area);
            assert_eq!(screen.at(x, y), Some(target));
        }
        assert_eq!(screen.at(0, 0), None);
        let x = screen.picture.layout.user.x as u16;
        assert_eq!(screen.caret_at(x, Some(Target::User)), Some(0));
        assert_eq!(screen.caret_at(x + 300, Some(Target::User)), Some(5));
    }

    #[test]
    fn long_text_is_wrapped_and_long_names_scroll() {
        let layout = Layout::new(size(1024, 768), 100);
        let style = layout.field_style(&form().view(false).user);
        let lines = wrap(&"word ".repeat(60), 200.0, &style, 3);
        assert_eq!(lines.len(), 3);
        assert!(text_width(&lines[0], &style) <= 200.0);
        let mut form = form();
        form.key(Key::BackTab);
        "x".repeat(200).chars().for_each(|c| {
            form.key(Key::Char(c));
        });
        let view = form.view(false);
        let area = layout.text_area(layout.user, &form.view(false).user);
        let shown = Shown::new(&view.user, &area, &style);
        assert!(shown.skipped > 0 && shown.caret_x <= area.width && shown.width <= area.width);
    }
}
