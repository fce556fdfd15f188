//! Draws the line being typed: over what was drawn before, however many rows it takes.

use unicode_width::UnicodeWidthChar;

/// Stands before every row but the first of a text that has several.
const CONTINUED: &str = "... ";

/// Hint and rows below a line are shown in grey.
const GREY: &str = "\x1b[0;90;49m";
const PLAIN: &str = "\x1b[0m";

/// What is to be seen.
#[derive(Debug, Default)]
pub(crate) struct View<'a> {
    pub(crate) prompt: &'a str,
    /// What the user has typed: pieces, each behind the bytes that set its looks.
    pub(crate) text: Vec<(&'static str, &'a str)>,
    /// In bytes of the text.
    pub(crate) cursor: usize,
    /// Behind the text; cut where the row ends.
    pub(crate) hint: &'a str,
    /// Rows below the text, with the bytes that set their looks.
    pub(crate) below: Vec<String>,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Screen {
    /// Characters of a row; as many as one likes when nobody looks.
    pub(crate) columns: usize,
    /// The row of the cursor, counted from the prompt's.
    cursor_row: usize,
}

/// Where the next character goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    row: usize,
    column: usize,
}

impl Screen {
    pub(crate) fn new(columns: usize) -> Screen {
        Screen { columns: columns.max(1), cursor_row: 0 }
    }

    /// Nothing of ours is on the screen: the next drawing begins where the cursor is.
    pub(crate) fn forget(&mut self) {
        self.cursor_row = 0;
    }

    /// The terminal has another width now, and has laid out the old rows anew.
    pub(crate) fn resize(&mut self, columns: usize, shown: &View<'_>) {
        self.columns = columns.max(1);
        let mut unseen = Vec::new();
        let cursor = Pen { columns: self.columns, out: &mut unseen, at: Place::default() }.text(shown);
        self.cursor_row = cursor.row;
    }

    /// Appends what draws the view.
    pub(crate) fn draw(&mut self, out: &mut Vec<u8>, view: &View<'_>) {
        out.push(b'\r');
        if self.cursor_row > 0 {
            out.extend_from_slice(format!("\x1b[{}A", self.cursor_row).as_bytes());
        }
        out.extend_from_slice(b"\x1b[J");
        let mut pen = Pen { columns: self.columns, out, at: Place::default() };
        let cursor = pen.text(view);
        pen.hint(view.hint);
        pen.settle();
        for row in &view.below {
            pen.line_break("");
            pen.row(row);
        }
        let (end, out) = (pen.at, pen.out);
        out.push(b'\r');
        if end.row > cursor.row {
            out.extend_from_slice(format!("\x1b[{}A", end.row - cursor.row).as_bytes());
        }
        if cursor.column > 0 {
            out.extend_from_slice(format!("\x1b[{}C", cursor.column).as_bytes());
        }
        self.cursor_row = cursor.row;
    }
}

/// Writes characters and knows where they come to stand.
struct Pen<'a> {
    columns: usize,
    out: &'a mut Vec<u8>,
    at: Place,
}

impl Pen<'_> {
    /// Prompt and text; gives the place of the cursor.
    fn text(&mut self, view: &View<'_>) -> Place {
        view.prompt.chars().for_each(|character| self.character(character));
        let (mut offset, mut cursor) = (0, None);
        for (looks, piece) in &view.text {
            self.out.extend_from_slice(looks.as_bytes());
            for character in piece.chars() {
                if offset == view.cursor {
                    cursor = Some(self.place(character));
                }
                offset += character.len_utf8();
                match character {
                    '\n' => self.line_break(CONTINUED),
                    _ => self.character(character),
                }
            }
        }
        cursor.unwrap_or_else(|| {
            self.settle();
            self.at
        })
    }

    /// Where this character will stand: on the next row when it finds no room.
    fn place(&self, character: char) -> Place {
        if self.at.column + width(character) > self.columns || self.at.column == self.columns {
            return Place { row: self.at.row + 1, column: 0 };
        }
        self.at
    }

    fn character(&mut self, character: char) {
        if character.is_control() {
            self.plain('^');
            let named = char::from_u32(u32::from(character) ^ 0x40).filter(char::is_ascii_graphic);
            return self.plain(named.unwrap_or('?'));
        }
        self.plain(character);
    }

    fn plain(&mut self, character: char) {
        self.at = self.place(character);
        self.at.column += width(character);
        self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// A terminal goes to the next row only with the next character: the cursor needs it now.
    fn settle(&mut self) {
        if self.at.column == self.columns {
            self.line_break("");
        }
    }

    fn line_break(&mut self, start: &str) {
        self.out.extend_from_slice(b"\r\n");
        self.at = Place { row: self.at.row + 1, column: 0 };
        start.chars().for_each(|character| self.character(character));
    }

    fn hint(&mut self, hint: &str) {
        if hint.is_empty() {
            return;
        }
        self.out.extend_from_slice(GREY.as_bytes());
        self.row(hint);
        self.out.extend_from_slice(PLAIN.as_bytes());
    }

    /// Text that is cut at the end of the row; bytes that set looks take no room.
    fn row(&mut self, text: &str) {
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character == '\x1b' {
                self.out.push(0x1b);
                for part in characters.by_ref() {
                    self.out.extend_from_slice(part.encode_utf8(&mut [0; 4]).as_bytes());
                    if part.is_ascii_alphabetic() {
                        break;
                    }
                }
            } else if self.at.column + width(character) < self.columns && !character.is_control() {
                self.plain(character);
            }
        }
    }
}

fn width(character: char) -> usize {
    match character.is_control() {
        true => 1,
        false => character.width().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(columns: usize, view: &View<'_>) -> String {
        let mut out = Vec::new();
        Screen::new(columns).draw(&mut out, view);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_row() {
        let view = View { prompt: "> ", text: vec![("", "GET ")], cursor: 4, hint: "key", ..View::default() };
        assert_eq!(drawn(80, &view), "\r\x1b[J> GET \x1b[0;90;49mkey\x1b[0m\r\x1b[6C");
        // The hint never begins a row.
        assert_eq!(drawn(8, &view), "\r\x1b[J> GET \x1b[0;90;49mk\x1b[0m\r\x1b[6C");
    }

    #[test]
    fn several_rows() {
        let mut screen = Screen::new(4);
        let mut out = Vec::new();
        screen.draw(&mut out, &View { prompt: "> ", text: vec![("", "abcdef")], cursor: 6, ..View::default() });
        // The last row is full: the cursor stands on the next.
        assert_eq!(out, b"\r\x1b[J> abcdef\r\n\r");
        out.clear();
        screen.draw(&mut out, &View { prompt: "> ", text: vec![("", "a\nb")], cursor: 0, ..View::default() });
        assert_eq!(out, b"\r\x1b[2A\x1b[J> a\r\n... b\r\x1b[2A\x1b[2C");
        out.clear();
        screen.draw(&mut out, &View::default());
        assert_eq!(out, b"\r\x1b[J\r");
    }

    #[test]
    fn wide_and_unprintable_characters() {
        let view = View { prompt: "", text: vec![("", "漢\x01x")], cursor: 5, ..View::default() };
        assert_eq!(drawn(80, &view), "\r\x1b[J漢^Ax\r\x1b[5C");
        let view = View { prompt: "abc", text: vec![("", "漢")], cursor: 0, ..View::default() };
        assert_eq!(drawn(4, &view), "\r\x1b[Jabc漢\r");
    }
}
