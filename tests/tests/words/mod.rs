//! Reads what a client's screen says: a line is drawn as our programs draw it, and looked for.
//!
//! Always true: a line that is found stands there from its first letter to its last, with nothing beside it. Absent:
//! where it stands; and any other text than that which is looked for.

#![allow(dead_code, reason = "no test has all of them")]

use anyhow::{Context, ensure};
use std::ops::RangeInclusive;
use wrd_draw::{Area, Canvas, Color, TextStyle, Weight, theme};
use wrd_tests::client::Client;
use wrd_tests::screen::Picture;

/// How a text is written, all of them on the colour of cards.
#[derive(Clone, Copy)]
pub struct Look(TextStyle);

const fn look(weight: Weight, size: f32, color: Color) -> Look {
    Look(TextStyle { weight, size, color })
}

/// Why somebody does not get in, or what a PAM module has told them as an error.
pub const ERROR: Look = look(Weight::Regular, 13.0, theme::ERROR);
/// What was told, and is no error.
pub const TOLD: Look = look(Weight::Regular, 13.0, theme::TEXT_DIM);
/// What a PAM module asks.
pub const QUESTION: Look = look(Weight::SemiBold, 13.5, theme::TEXT);
/// The last word of a login screen.
pub const FINAL: Look = look(Weight::Regular, 14.0, theme::TEXT);
/// What the desktop says on a card of its own.
pub const PANEL: Look = look(Weight::Regular, 14.0, theme::TEXT_DIM);

/// How far apart the places are that a line is looked for at, in parts of a px: text may begin anywhere.
const PHASES: u8 = 16;
/// By how much a colour may differ for that, and by rounding: far less than by any other letter.
const NEAR: u8 = 24;
/// How far one line is below another, in px.
const LINES: RangeInclusive<usize> = 15..=25;
/// What a line has around it, in px.
const AROUND: f32 = 6.0;

/// Waits for a login screen to type on, and fails unless it says these lines, one below the other.
pub fn says(client: &mut Client<'_>, look: Look, lines: &[&str]) -> anyhow::Result<()> {
    client.wait_for_input()?;
    stand_on(&client.settle()?, look, lines)
}

/// Fails unless these lines are there, one below the other.
pub fn stand_on(screen: &Picture, look: Look, lines: &[&str]) -> anyhow::Result<()> {
    let mut above = None;
    for line in lines {
        let y = place_of(screen, look, line)?.with_context(|| format!("the screen does not say {line:?}"))?;
        let far = above.map(|above| y.saturating_sub(above));
        ensure!(far.is_none_or(|far| LINES.contains(&far)), "{line:?} is not below the line before it");
        above = Some(y);
    }
    Ok(())
}

/// Whether a line is there, all of it.
pub fn has(screen: &Picture, look: Look, line: &str) -> anyhow::Result<bool> {
    Ok(place_of(screen, look, line)?.is_some())
}

/// The row of pixels that a line's picture begins at.
fn place_of(screen: &Picture, Look(style): Look, line: &str) -> anyhow::Result<Option<usize>> {
    // Where to look closer: few pixels have a letter's full colour.
    let is_full = |pixel: u32, by| near(pixel, hex(style.color), by);
    let full: Vec<usize> = (0..screen.pixels.len()).filter(|index| is_full(screen.pixels[*index], 2 * NEAR)).collect();
    for phase in 0..PHASES {
        let drawn = draw(line, &style, f32::from(phase) / f32::from(PHASES))?;
        let first = drawn.pixels.iter().position(|pixel| is_full(*pixel, NEAR)).context("nothing to see")?;
        let (dx, dy) = (first % drawn.width, first / drawn.width);
        let mut begins = full.iter().filter_map(|index| {
            Some(((index % screen.width).checked_sub(dx)?, (index / screen.width).checked_sub(dy)?))
        });
        if let Some((_, y)) = begins.find(|(x, y)| is_at(screen, &drawn, *x, *y)) {
            return Ok(Some(y));
        }
    }
    Ok(None)
}

fn is_at(screen: &Picture, drawn: &Picture, x: usize, y: usize) -> bool {
    let fits = x + drawn.width <= screen.width && y + drawn.height <= screen.height;
    fits && (0..drawn.height)
        .all(|row| (0..drawn.width).all(|column| near(screen.at(x + column, y + row), drawn.at(column, row), NEAR)))
}

/// A line and what is around it.
fn draw(line: &str, style: &TextStyle, phase: f32) -> anyhow::Result<Picture> {
    let width = (wrd_draw::text_width(line, style) + 2.0 * AROUND).ceil();
    // From above the tallest letter to below the lowest, which is less than from one line to the next.
    let height = (style.size * 1.3).ceil();
    let mut canvas = Canvas::new(width as u32, height as u32).context("no such picture")?;
    canvas.fill(theme::SURFACE);
    let area = Area::new(AROUND + phase, 0.0, width, height);
    canvas.text_in(area, line, style, wrd_draw::Align::Left);
    let pixels = canvas.bgrx().chunks_exact(4).map(|p| u32::from_le_bytes([p[0], p[1], p[2], 0])).collect();
    Ok(Picture { width: width as usize, height: height as usize, pixels })
}

fn hex(color: Color) -> u32 {
    u32::from_be_bytes([0, color.r, color.g, color.b])
}

fn near(one: u32, other: u32, by: u8) -> bool {
    one.to_be_bytes().iter().zip(other.to_be_bytes()).all(|(one, other)| one.abs_diff(other) <= by)
}
