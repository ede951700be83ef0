//! SVG documents, and the size of text.

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
    sync::LazyLock,
};

use skrifa::{
    FontRef, MetadataProvider,
    instance::{LocationRef, Size},
};

use super::Picture;

/// The font family of the PNG.
pub(super) const FAMILY: &str = "Noto Sans";

/// Titles.
pub(super) const INK: &str = "#1f2430";
/// Names of axes.
pub(super) const SOFT: &str = "#3f4756";
/// Tick labels and captions.
pub(super) const FAINT: &str = "#697180";
/// Frames of axes.
pub(super) const RULE: &str = "#c7ccd4";
/// Lines of a grid.
pub(super) const GRID: &str = "#eceef2";
/// The colour of what is most important.
pub(super) const ACCENT: &str = "#c22f6d";

/// The margin around every picture.
pub(super) const MARGIN: f64 = 18.0;

pub(super) const CAPTION: Text = Text::new(10.5, FAINT);
pub(super) const TITLE: Text = Text::new(15.0, INK).bold();

/// A rectangle of the canvas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Area {
    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }

    pub fn contains(&self, [x, y]: [f64; 2]) -> bool {
        (self.x..=self.right()).contains(&x) && (self.y..=self.bottom()).contains(&y)
    }
}

static FACES: LazyLock<Option<[FontRef<'static>; 2]>> = LazyLock::new(|| {
    let regular = FontRef::new(notosans::REGULAR_TTF).ok()?;
    Some([regular, FontRef::new(notosans::BOLD_TTF).ok()?])
});

/// The characters of a text that the font lacks.
fn lacking(text: &str) -> impl Iterator<Item = char> {
    let map = FACES.as_ref().map(|[regular, _]| regular.charmap());
    let is_lacking = move |c: &char| {
        let glyph = map.as_ref().and_then(|map| map.map(*c));
        !c.is_control() && glyph.is_none_or(|glyph| glyph.to_u32() == 0)
    };
    text.chars().filter(is_lacking)
}

/// The alignment and the look of text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub size: f64,
    colour: &'static str,
    bold: bool,
    anchor: &'static str,
    turn: i32,
}

impl Text {
    pub const fn new(size: f64, colour: &'static str) -> Self {
        Self {
            size,
            colour,
            bold: false,
            anchor: "start",
            turn: 0,
        }
    }

    pub const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub const fn middle(self) -> Self {
        Self {
            anchor: "middle",
            ..self
        }
    }

    pub const fn end(self) -> Self {
        Self {
            anchor: "end",
            ..self
        }
    }

    /// Rotated by a right angle: -90 reads upwards, 90 downwards.
    pub const fn turned(self, turn: i32) -> Self {
        Self { turn, ..self }
    }

    /// The width of `text`, without kerning.
    pub fn width(&self, text: &str) -> f64 {
        let Some(faces) = &*FACES else {
            return 0.6 * self.size * text.chars().count() as f64;
        };
        let face = &faces[usize::from(self.bold)];
        let metrics = face.glyph_metrics(Size::new(self.size as f32), LocationRef::default());
        let map = face.charmap();
        text.chars()
            .map(|c| {
                let advance = map.map(c).and_then(|glyph| metrics.advance_width(glyph));
                f64::from(advance.unwrap_or(self.size as f32))
            })
            .sum()
    }

    /// `text`, shortened with an ellipsis if it is wider than `width`.
    pub fn cut(&self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let mut kept: Vec<char> = text.chars().collect();
        while kept.pop().is_some() {
            let shorter = kept.iter().collect::<String>().trim_end().to_owned() + "…";
            if self.width(&shorter) <= width {
                return shorter;
            }
        }
        String::new()
    }

    /// `text` in lines not wider than `width`, broken at spaces.
    pub fn lines(&self, text: &str, width: f64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let word = self.cut(word, width);
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= width => {
                    line.push(' ');
                    line.push_str(&word);
                }
                _ => lines.push(word),
            }
        }
        lines
    }
}

/// A coordinate: at most two decimals.
pub(super) struct At(pub f64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.0 * 100.0).round() as i64;
        let (sign, size) = (if hundredths < 0 { "-" } else { "" }, hundredths.abs());
        match (size / 100, size % 100) {
            (whole, 0) => write!(f, "{sign}{whole}"),
            (whole, part) if part % 10 == 0 => write!(f, "{sign}{whole}.{}", part / 10),
            (whole, part) => write!(f, "{sign}{whole}.{part:02}"),
        }
    }
}

/// An SVG document under construction. Writing to a `String` cannot fail.
pub(super) struct Canvas {
    width: f64,
    height: f64,
    body: String,
    clips: usize,
    /// Characters that the font lacks.
    lacking: BTreeSet<char>,
}

impl Canvas {
    pub fn new(width: f64, height: f64) -> Self {
        Self {
            width: width.ceil(),
            height: height.ceil(),
            body: String::new(),
            clips: 0,
            lacking: BTreeSet::new(),
        }
    }

    pub fn width(&self) -> f64 {
        self.width
    }

    pub fn set_height(&mut self, height: f64) {
        self.height = height.ceil();
    }

    pub fn text(&mut self, x: f64, y: f64, style: Text, text: &str) {
        if text.is_empty() {
            return;
        }
        self.lacking.extend(lacking(text));
        let (x, y) = (At(x), At(y));
        let _ = write!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"",
            style.size, style.colour
        );
        if style.bold {
            self.body.push_str(" font-weight=\"bold\"");
        }
        if style.anchor != "start" {
            let _ = write!(self.body, " text-anchor=\"{}\"", style.anchor);
        }
        if style.turn != 0 {
            let _ = write!(self.body, " transform=\"rotate({} {x} {y})\"", style.turn);
        }
        let _ = writeln!(self.body, ">{}</text>", escape(text));
    }

    /// Lines of text from the baseline `y` of the first one downwards.
    pub fn lines(&mut self, x: f64, y: f64, style: Text, lines: &[String]) {
        for (i, line) in lines.iter().enumerate() {
            self.text(x, y + i as f64 * 1.4 * style.size, style, line);
        }
    }

    pub fn line(&mut self, from: [f64; 2], to: [f64; 2], colour: &str, width: f64) {
        self.path(
            &format!(
                "M{} {}L{} {}",
                At(from[0]),
                At(from[1]),
                At(to[0]),
                At(to[1])
            ),
            &format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\""),
        );
    }

    pub fn area(&mut self, area: Area, attributes: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" {attributes}/>",
            At(area.x),
            At(area.y),
            At(area.width),
            At(area.height)
        );
    }

    pub fn path(&mut self, data: &str, attributes: &str) {
        if !data.is_empty() {
            let _ = writeln!(self.body, "<path {attributes} d=\"{data}\"/>");
        }
    }

    pub fn dot(&mut self, [x, y]: [f64; 2], radius: f64) {
        let _ = write!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
            At(x),
            At(y),
            At(radius)
        );
    }

    /// Groups what `draw` draws.
    pub fn group(&mut self, attributes: &str, draw: impl FnOnce(&mut Self)) {
        let _ = write!(self.body, "<g {attributes}>");
        draw(self);
        self.body.push_str("</g>\n");
    }

    /// Clips what `draw` draws to `area`.
    pub fn clipped(&mut self, area: Area, draw: impl FnOnce(&mut Self)) {
        self.clips += 1;
        let name = format!("area{}", self.clips);
        let _ = write!(self.body, "<clipPath id=\"{name}\">");
        self.area(area, "");
        self.body.push_str("</clipPath>\n");
        self.group(&format!("clip-path=\"url(#{name})\""), draw);
    }

    /// A definition to be drawn by [`Canvas::reuse`].
    pub fn define(&mut self, name: &str, draw: impl FnOnce(&mut Self)) {
        self.body.push_str("<defs>");
        self.group(&format!("id=\"{name}\""), draw);
        self.body.push_str("</defs>\n");
    }

    /// Draws a definition moved by `(x, y)`.
    pub fn reuse(&mut self, name: &str, x: f64, y: f64) {
        let _ = writeln!(
            self.body,
            "<use href=\"#{name}\" x=\"{}\" y=\"{}\"/>",
            At(x),
            At(y)
        );
    }

    pub fn finish(mut self) -> Picture {
        if !self.lacking.is_empty() {
            let said = said_of(&self.lacking);
            let lines = CAPTION.lines(&said, self.width - 2.0 * MARGIN);
            self.lines(MARGIN, self.height + 4.0, CAPTION, &lines);
            self.height += 1.4 * CAPTION.size * lines.len() as f64 + 4.0;
        }
        let (width, height) = (self.width, self.height);
        Picture {
            svg: format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
                 viewBox=\"0 0 {width} {height}\" font-family=\"'{FAMILY}', sans-serif\">\n\
                 <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}</svg>\n",
                self.body
            ),
        }
    }
}

/// What is said of characters that are drawn nowhere but with a reader's own fonts.
fn said_of(lacking: &BTreeSet<char>) -> String {
    const SHOWN: usize = 12;
    let codes = lacking.iter().take(SHOWN);
    let codes: Vec<String> = codes.map(|c| format!("U+{:04X}", u32::from(*c))).collect();
    let more = match lacking.len() - codes.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "{FAMILY} has no glyph for {}{more}: the SVG shows them where a font is installed that has \
         them, the PNG does not.",
        codes.join(", ")
    )
}

/// The text of an XML element; control characters, which XML 1.0 cannot hold, become spaces.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short() {
        for (value, text) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (-0.001, "0"),
            (-0.25, "-0.25"),
            (12.345, "12.35"),
            (3.05, "3.05"),
        ] {
            assert_eq!(At(value).to_string(), text);
        }
    }

    #[test]
    fn long_text_is_cut_to_the_width_given() {
        let style = Text::new(12.0, INK);
        let cut = style.cut("a population with a long name", 60.0);
        assert!(cut.ends_with('…') && style.width(&cut) <= 60.0, "{cut}");
        assert_eq!(style.cut("short", 60.0), "short");
        let lines = style.lines("one two three four five six", 60.0);
        assert!(lines.len() > 1);
        assert_eq!(lines.join(" "), "one two three four five six");
        assert!(lines.iter().all(|line| style.width(line) <= 60.0));
    }

    #[test]
    fn glyphs_that_the_font_lacks_are_spoken_of() {
        let picture = |text: &str| {
            let mut canvas = Canvas::new(300.0, 100.0);
            canvas.text(10.0, 20.0, Text::new(12.0, INK), text);
            canvas.finish()
        };
        let plain = picture("größe − Ωμέγα Время …");
        assert!(!plain.svg().contains("no glyph"), "{}", plain.svg());
        let lacking = picture("day 3 \u{7d30}\u{80de}");
        assert!(
            lacking.svg().contains("U+7D30, U+80DE: the"),
            "{}",
            lacking.svg()
        );
        let high = |picture: &Picture| picture.tree().unwrap().size().height();
        assert!(high(&lacking) > high(&plain));
    }

    /// Noto Sans: 'i' is 258 and 'm' 932 units of 1000 wide (its hmtx table).
    #[test]
    fn widths_are_those_of_the_font() {
        let style = Text::new(100.0, INK);
        assert!(
            (style.width("i") - 25.8).abs() < 0.05,
            "{}",
            style.width("i")
        );
        assert!(
            (style.width("m") - 93.2).abs() < 0.35,
            "{}",
            style.width("m")
        );
    }
}
