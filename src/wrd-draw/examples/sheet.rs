//! Writes a sheet of everything that can be drawn as a PPM to standard output, to be looked at.
use std::io::Write;
use wrd_draw::{Align, Area, Canvas, Icon, TextStyle, Weight, theme};

fn main() -> std::io::Result<()> {
    let Some(mut canvas) = Canvas::new(640, 300) else { return Ok(()) };
    canvas.fill(theme::BACKGROUND);
    canvas.rounded(Area::new(20.0, 20.0, 600.0, 260.0), 12.0, theme::SURFACE);
    let icons = [Icon::Close, Icon::Maximize, Icon::Restore, Icon::Minimize, Icon::Terminal, Icon::Disconnect];
    let more = [Icon::LogOut, Icon::Reveal, Icon::Warning, Icon::Keyboard];
    for (index, icon) in icons.into_iter().chain(more).enumerate() {
        canvas.icon(icon, Area::new(40.0 + 44.0 * index as f32, 40.0, 18.0, 18.0), theme::TEXT);
        canvas.icon(icon, Area::new(40.0 + 44.0 * index as f32, 70.0, 32.0, 32.0), theme::ACCENT);
    }
    for (index, size) in [11.0, 13.0, 14.0, 16.0, 20.0, 26.0].into_iter().enumerate() {
        let style = |weight| TextStyle { weight, size, color: theme::TEXT };
        let y = 130.0 + 24.0 * index as f32;
        canvas.text(40.0, y, "Sphinx of black quartz, 0123 Ärger żółć Привет", &style(Weight::Regular));
        canvas.text(430.0, y, "Log in", &style(Weight::SemiBold));
    }
    let button = Area::new(500.0, 230.0, 100.0, 34.0);
    canvas.rounded(button, theme::RADIUS, theme::ACCENT);
    let style = TextStyle { weight: Weight::SemiBold, size: 14.0, color: theme::ON_ACCENT };
    canvas.text_in(button, "Log in", &style, Align::Center);
    let (width, height) = canvas.size();
    let mut out = std::io::stdout().lock();
    writeln!(out, "P6 {width} {height} 255")?;
    for pixel in canvas.rgba().chunks_exact(4) {
        out.write_all(&pixel[..3])?;
    }
    Ok(())
}
