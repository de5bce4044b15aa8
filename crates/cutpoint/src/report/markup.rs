//! HTML and SVG under construction. Tags and attribute names are literals of this program; every
//! value and every text passes through one escape, so a name from a file can be nothing but text.

use std::fmt::{self, Display, Write};

/// The attributes of one element.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

/// A piece of a page.
#[derive(Debug, Default)]
pub(super) struct Markup {
    html: String,
}

impl Markup {
    /// Literal markup of this program: never anything that was read.
    pub(super) fn literal(&mut self, html: &'static str) {
        self.html.push_str(html);
    }

    /// Text, escaped.
    pub(super) fn text(&mut self, text: impl Display) {
        self.escaped(&text);
    }

    /// An element and what `fill` writes inside it.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        fill: impl FnOnce(&mut Markup),
    ) {
        self.start(tag, attributes);
        fill(self);
        self.html.push_str("</");
        self.html.push_str(tag);
        self.html.push('>');
    }

    /// An element that holds only text.
    pub(super) fn leaf(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        text: impl Display,
    ) {
        self.element(tag, attributes, |m| m.text(text));
    }

    /// An element without content and without an end tag in HTML, or an SVG shape.
    pub(super) fn start(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.html.push('<');
        self.html.push_str(tag);
        for (name, value) in attributes {
            self.html.push(' ');
            self.html.push_str(name);
            self.html.push_str("=\"");
            self.escaped(value);
            self.html.push('"');
        }
        self.html.push('>');
    }

    /// An SVG shape with a title, which is its hover text.
    pub(super) fn shape(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        title: impl Display,
    ) {
        self.element(tag, attributes, |m| m.leaf("title", &[], title));
    }

    /// The markup.
    pub(super) fn into_html(self) -> String {
        self.html
    }

    fn escaped(&mut self, value: &dyn Display) {
        write!(Escape(&mut self.html), "{value}").expect("writing to a string cannot fail");
    }
}

/// Passes text on with everything replaced that could end the text, or turn the reading direction
/// of what follows it.
struct Escape<'a>(&'a mut String);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    self.0.push('\u{fffd}');
                }
                c if c.is_control() && c != '\n' => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// A name cut to at most `limit` characters, its middle left out.
pub(super) fn shortened(name: &str, limit: usize) -> String {
    let count = name.chars().count();
    if count <= limit {
        return name.to_owned();
    }
    let head = (limit.saturating_sub(1)).div_ceil(2);
    let tail = limit.saturating_sub(1) - head;
    let start: String = name.chars().take(head).collect();
    let end: String = name.chars().skip(count - tail).collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_values_cannot_leave_their_place() {
        let mut markup = Markup::default();
        let hostile = "\"><script>alert('&')</script>";
        markup.leaf("td", &[("title", &hostile)], hostile);
        let escaped = "&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;";
        assert_eq!(markup.into_html(), format!("<td title=\"{escaped}\">{escaped}</td>"));
    }

    #[test]
    fn controls_and_reading_directions_are_replaced() {
        let mut markup = Markup::default();
        markup.text("a\u{0}b\u{202e}c\u{2067}d");
        assert_eq!(markup.into_html(), "a\u{fffd}b\u{fffd}c\u{fffd}d");
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shortened("features.0.conv", 20), "features.0.conv");
        assert_eq!(shortened("abcdefghij", 5), "ab…ij");
        assert_eq!(shortened("äöüäöüäöü", 4), "äö…ü");
    }
}
