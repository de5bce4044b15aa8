//! Text for the page: names that may hold anything, counts, times and ratios.

use cutpoint_plan::units::Time;
use serde_json::Value;

/// A name from a file, for people: at most `limit` characters, its middle left out. Controls, and
/// characters that turn the reading direction of what follows, are replaced.
pub(super) fn label(name: &str, limit: usize) -> String {
    let readable = |c: char| match c {
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let count = name.chars().count();
    let chars = name.chars().map(readable);
    if count <= limit {
        return chars.collect();
    }
    let kept = limit.saturating_sub(1);
    let head = kept.div_ceil(2);
    let tail = chars.clone().skip(count - (kept - head));
    chars.take(head).chain(['…']).chain(tail).collect()
}

/// Text as the content of an HTML element or a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

/// JSON that can stand inside a `<script>` element: in JSON, these characters occur in strings only.
pub(super) fn json_for_script(value: &Value) -> String {
    let json = value.to_string();
    let json = json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// A time for people: at most four figures, and a unit that fits. Number and unit stay on one line.
pub(super) fn time(time: Time) -> String {
    let ms = time.milliseconds();
    match ms {
        ..0.000_05 => "0\u{a0}ms".to_owned(),
        ..0.1 => format!("{:.1}\u{a0}µs", ms * 1e3),
        ..10.0 => format!("{ms:.2}\u{a0}ms"),
        ..1e3 => format!("{ms:.1}\u{a0}ms"),
        ..1e5 => format!("{:.3}\u{a0}s", ms / 1e3),
        _ => format!("{:.1}\u{a0}s", ms / 1e3),
    }
}

/// `time` as a multiple of `unit`; `None` where `unit` is zero.
pub(super) fn ratio(time: Time, unit: Time) -> Option<f64> {
    (unit > Time::ZERO).then(|| time.nanoseconds() as f64 / unit.nanoseconds() as f64)
}

/// How far `time` is from `reference`: "1.2 % above", "0.3 % below", "as long as".
pub(super) fn compared(time: Time, reference: Time) -> String {
    match ratio(time, reference).map(|r| 100.0 * (r - 1.0)) {
        Some(percent) if percent >= 0.05 => format!("{percent:.1}\u{a0}% above"),
        Some(percent) if percent <= -0.05 => format!("{:.1}\u{a0}% below", -percent),
        None if time > reference => "above".to_owned(),
        _ => "equal to".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ms(milliseconds: f64) -> Time {
        Time::from_milliseconds(milliseconds).unwrap()
    }

    #[test]
    fn escaped_text_cannot_leave_its_place() {
        let expected = "&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;";
        assert_eq!(escaped("\"><script>alert('&')</script>"), expected);
    }

    #[test]
    fn json_cannot_leave_its_script_element() {
        let value = json!({ "</script><!--": ["&amp;]]>", "a\u{2028}b\u{2029}c\u{0}\"" ] });
        let json = json_for_script(&value);
        assert!(!json.contains(['<', '>', '&', '\u{2028}', '\u{2029}', '\u{0}']), "{json}");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
    }

    #[test]
    fn controls_and_reading_directions_are_replaced() {
        assert_eq!(label("a\u{0}b\u{202e}c\u{2067}d", 60), "a\u{fffd}b\u{fffd}c\u{fffd}d");
    }

    #[test]
    fn long_names_are_shortened_in_the_middle() {
        assert_eq!(label("features.0.conv", 20), "features.0.conv");
        assert_eq!(label("abcdefghij", 5), "ab…ij");
        assert_eq!(label("äöüäöüäöü", 4), "äö…ü");
    }

    #[test]
    fn times_have_a_unit_that_fits() {
        let written = [0.0, 0.0123, 1.5, 123.456, 2345.6, 123_456.0].map(|t| time(ms(t)));
        assert_eq!(
            written.map(|t| t.replace('\u{a0}', " ")),
            ["0 ms", "12.3 µs", "1.50 ms", "123.5 ms", "2.346 s", "123.5 s"]
        );
    }

    #[test]
    fn ratios_to_zero_are_omitted() {
        assert_eq!(compared(ms(103.0), ms(100.0)), "3.0\u{a0}% above");
        assert_eq!(compared(ms(90.0), ms(100.0)), "10.0\u{a0}% below");
        assert_eq!(compared(ms(100.0), ms(100.0)), "equal to");
        assert_eq!(compared(ms(1.0), ms(0.0)), "above");
        assert_eq!(compared(ms(0.0), ms(0.0)), "equal to");
        assert_eq!(ratio(ms(1.0), ms(0.0)), None);
    }
}
