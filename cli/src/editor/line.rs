//! The line being typed: keys in, edits and events out. Knows nothing of terminals.

use std::ops::Range;

use super::history::{Direction, Found, History};
use super::keys::Key;

/// Bytes of one line at most.
const TEXT_MAX: usize = 16 * 1024 * 1024;

/// Earlier states that Ctrl-_ can go back to, and bytes of a line that has any.
const UNDO_MAX: usize = 100;
const UNDO_TEXT_MAX: usize = 64 * 1024;

/// What a key brought about that its line cannot do alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The line has changed, or the cursor moved.
    Edited,
    /// Nothing to be done with this key.
    Refused,
    /// The line is finished.
    Submit,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D on an empty line.
    End,
    /// Tab: somebody is to [`offer`](Line::offer) what the line could become.
    Complete,
    /// Ctrl-L.
    Clear,
    /// F1.
    Help,
    /// Ctrl-X Ctrl-E: let another program edit.
    External,
    /// Ctrl-Z.
    Suspend,
}

/// A search in the history while it goes on.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    pub(crate) wanted: String,
    pub(crate) direction: Direction,
    pub(crate) found: Option<Found>,
    /// The line before the search.
    before: (String, usize),
}

/// Candidates of a completion, tried one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Candidates {
    /// Where in the text they stand.
    place: usize,
    /// What they replace, and what they are.
    original: String,
    pub(crate) texts: Vec<String>,
    /// `None`: the original.
    pub(crate) shown: Option<usize>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Line {
    text: String,
    /// In bytes.
    cursor: usize,
    pub(crate) history: History,
    /// The line of the history that is shown, and the text typed before going there.
    browsing: Option<(usize, String)>,
    search: Option<Search>,
    candidates: Option<Candidates>,
    /// What was cut last.
    cut: String,
    undo: Vec<(String, usize)>,
    /// Ctrl-X was pressed: the next key is part of it.
    prefixed: bool,
}

impl Line {
    pub(crate) fn new(history: History) -> Line {
        Line { history, ..Line::default() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(crate) fn search(&self) -> Option<&Search> {
        self.search.as_ref()
    }

    pub(crate) fn candidates(&self) -> Option<&Candidates> {
        self.candidates.as_ref()
    }

    /// Takes the text away for running it; the line is empty then.
    pub(crate) fn take(&mut self) -> String {
        let history = std::mem::take(&mut self.history);
        let cut = std::mem::take(&mut self.cut);
        let text = std::mem::take(&mut self.text);
        *self = Line { history, cut, ..Line::default() };
        text
    }

    /// Replaces the whole text; the cursor goes to its end.
    pub(crate) fn set(&mut self, text: String) {
        self.remember();
        self.cursor = text.len();
        self.text = text;
    }

    /// Puts text at the cursor.
    pub(crate) fn insert(&mut self, text: &str) -> Event {
        if self.text.len() + text.len() > TEXT_MAX {
            return Event::Refused;
        }
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
        Event::Edited
    }

    /// What one key does.
    pub(crate) fn key(&mut self, key: Key) -> Event {
        if self.search.is_some()
            && let Some(event) = self.key_in_search(&key)
        {
            return event;
        }
        if self.candidates.is_some()
            && let Some(event) = self.key_in_candidates(&key)
        {
            return event;
        }
        if std::mem::take(&mut self.prefixed) && key == Key::Ctrl('e') {
            return Event::External;
        }
        match key {
            Key::Char(character) => {
                // Going back in words, not in letters.
                if !character.is_alphanumeric() {
                    self.remember();
                }
                self.insert(character.encode_utf8(&mut [0; 4]))
            }
            Key::Paste(text) => {
                self.remember();
                self.insert(&text)
            }
            Key::AltEnter => self.insert("\n"),
            Key::Enter => Event::Submit,
            Key::Tab => Event::Complete,
            Key::Ctrl('c') => Event::Interrupt,
            Key::Ctrl('d') if self.text.is_empty() => Event::End,
            Key::Ctrl('l') => Event::Clear,
            Key::Ctrl('z') => Event::Suspend,
            Key::Help => Event::Help,
            Key::Ctrl('x') => {
                self.prefixed = true;
                Event::Edited
            }
            Key::Ctrl('r') => self.begin_search(Direction::Older),
            Key::Ctrl('s') => self.begin_search(Direction::Newer),
            Key::Up | Key::Ctrl('p') => self.go_up(),
            Key::Down | Key::Ctrl('n') => self.go_down(),
            Key::Alt('<') => self.browse(0),
            Key::Alt('>') => self.browse(self.history.len()),
            Key::Left | Key::Ctrl('b') => self.move_to(self.before(self.cursor)),
            Key::Right | Key::Ctrl('f') => self.move_to(self.after(self.cursor)),
            Key::WordLeft | Key::Alt('b') => self.move_to(self.word_before()),
            Key::WordRight | Key::Alt('f') => self.move_to(self.word_after()),
            Key::Home | Key::Ctrl('a') => self.move_to(self.row_start()),
            Key::End | Key::Ctrl('e') => self.move_to(self.row_end()),
            Key::Backspace => self.delete(self.before(self.cursor)..self.cursor),
            Key::Delete | Key::Ctrl('d') => self.delete(self.cursor..self.after(self.cursor)),
            Key::Ctrl('u') => self.cut(self.row_start()..self.cursor),
            Key::Ctrl('k') => self.cut(self.cursor..self.row_end()),
            Key::Ctrl('w') => self.cut(self.blank_word_before()..self.cursor),
            Key::AltBackspace => self.cut(self.word_before()..self.cursor),
            Key::Alt('d') => self.cut(self.cursor..self.word_after()),
            Key::Ctrl('y') => {
                self.remember();
                let text = self.cut.clone();
                self.insert(&text)
            }
            Key::Ctrl('t') => self.transpose(),
            Key::Ctrl('_') => self.undo(),
            _ => Event::Refused,
        }
    }

    /// What the text from `place` to the cursor could be replaced with.
    pub(crate) fn offer(&mut self, place: usize, texts: Vec<String>) -> Event {
        if texts.is_empty() || place > self.cursor || !self.text.is_char_boundary(place) {
            return Event::Refused;
        }
        self.remember();
        let original = self.text[place..self.cursor].to_owned();
        self.candidates = Some(Candidates { place, original, texts, shown: None });
        self.show_candidate(true);
        if let Some(candidates) = &self.candidates
            && candidates.texts.len() == 1
        {
            self.candidates = None;
        }
        Event::Edited
    }

    fn show_candidate(&mut self, forward: bool) {
        let Some(candidates) = &mut self.candidates else { return };
        // The original takes part in the round.
        let rounds = candidates.texts.len() + 1;
        let now = candidates.shown.map_or(rounds - 1, |shown| shown);
        let next = if forward { (now + 1) % rounds } else { (now + rounds - 1) % rounds };
        candidates.shown = (next + 1 < rounds).then_some(next);
        let text = candidates.shown.map_or(&candidates.original, |shown| &candidates.texts[shown]);
        self.text.replace_range(candidates.place..self.cursor, text);
        self.cursor = candidates.place + text.len();
    }

    fn key_in_candidates(&mut self, key: &Key) -> Option<Event> {
        match key {
            Key::Tab => self.show_candidate(true),
            Key::BackTab => self.show_candidate(false),
            Key::Escape | Key::Ctrl('g') => {
                if let Some(candidates) = self.candidates.take() {
                    self.text.replace_range(candidates.place..self.cursor, &candidates.original);
                    self.cursor = candidates.place + candidates.original.len();
                }
            }
            // Accepted: the key is for the line.
            _ => {
                self.candidates = None;
                return None;
            }
        }
        Some(Event::Edited)
    }

    fn begin_search(&mut self, direction: Direction) -> Event {
        let before = (self.text.clone(), self.cursor);
        self.search = Some(Search { wanted: String::new(), direction, found: None, before });
        Event::Edited
    }

    fn key_in_search(&mut self, key: &Key) -> Option<Event> {
        let search = self.search.as_mut()?;
        match key {
            Key::Char(character) => {
                search.wanted.push(*character);
                let from = search.found.map(|found| found.line);
                search.found = self.history.find(&search.wanted, from, search.direction);
            }
            Key::Backspace => {
                search.wanted.pop();
                search.found = self.history.find(&search.wanted, None, search.direction);
            }
            Key::Ctrl('r') => return Some(self.search_on(Direction::Older)),
            Key::Ctrl('s') => return Some(self.search_on(Direction::Newer)),
            Key::Ctrl('g') | Key::Escape => {
                let search = self.search.take()?;
                (self.text, self.cursor) = search.before;
            }
            // The line stays as it is now, to be edited.
            Key::Tab | Key::Up | Key::Down | Key::Left | Key::Right => self.accept_search(),
            Key::Ctrl('c') => {
                self.search = None;
                return None;
            }
            Key::Ctrl('j') => return Some(Event::Refused),
            _ => {
                self.accept_search();
                return None;
            }
        }
        Some(Event::Edited)
    }

    fn search_on(&mut self, direction: Direction) -> Event {
        let Some(search) = &mut self.search else { return Event::Refused };
        search.direction = direction;
        let Some(now) = search.found else {
            search.found = self.history.find(&search.wanted, None, direction);
            return Event::Edited;
        };
        // A line that looks the same is no progress.
        let mut at = now.line;
        loop {
            let next = match direction {
                Direction::Older => at.checked_sub(1),
                Direction::Newer => Some(at + 1),
            };
            let Some(found) = next.and_then(|from| self.history.find(&search.wanted, Some(from), direction)) else {
                return Event::Refused;
            };
            if self.history.line(found.line) != self.history.line(now.line) {
                search.found = Some(found);
                return Event::Edited;
            }
            at = found.line;
        }
    }

    fn accept_search(&mut self) {
        let Some(search) = self.search.take() else { return };
        match search.found {
            Some(found) => {
                self.browsing = Some((found.line, search.before.0));
                self.text = self.history.line(found.line).to_owned();
            }
            None if search.wanted.is_empty() => self.text = search.before.0,
            None => self.text = search.wanted,
        }
        self.cursor = self.text.len();
    }

    fn go_up(&mut self) -> Event {
        // Within a text of several rows, to the row above.
        let start = self.row_start();
        if start > 0 && self.browsing.is_none() {
            let column = self.text[start..self.cursor].chars().count();
            self.cursor = start - 1;
            let above = self.row_start();
            return self.move_to(self.column(above, start - 1, column));
        }
        match self.browsing.as_ref().map_or(self.history.len(), |(at, _)| *at).checked_sub(1) {
            Some(at) => self.browse(at),
            None => Event::Refused,
        }
    }

    fn go_down(&mut self) -> Event {
        let end = self.row_end();
        if end < self.text.len() && self.browsing.is_none() {
            let column = self.text[self.row_start()..self.cursor].chars().count();
            self.cursor = end + 1;
            let below_end = self.row_end();
            return self.move_to(self.column(end + 1, below_end, column));
        }
        match &self.browsing {
            Some((at, _)) => self.browse(at + 1),
            None => Event::Refused,
        }
    }

    /// The place of the character `column` of the row from `start` to `end`.
    fn column(&self, start: usize, end: usize, column: usize) -> usize {
        self.text[start..end].char_indices().nth(column).map_or(end, |(at, _)| start + at)
    }

    /// Shows a line of the history; the one after the last is the text typed before.
    fn browse(&mut self, at: usize) -> Event {
        let typed = match self.browsing.take() {
            Some((_, typed)) => typed,
            None => self.text.clone(),
        };
        if at < self.history.len() {
            self.text = self.history.line(at).to_owned();
            self.browsing = Some((at, typed));
        } else {
            self.text = typed;
        }
        self.cursor = self.text.len();
        Event::Edited
    }

    fn before(&self, at: usize) -> usize {
        self.text[..at].char_indices().next_back().map_or(0, |(start, _)| start)
    }

    fn after(&self, at: usize) -> usize {
        self.text[at..].chars().next().map_or(at, |character| at + character.len_utf8())
    }

    /// Where the word of letters and digits before the cursor begins.
    fn word_before(&self) -> usize {
        let text = self.text[..self.cursor].trim_end_matches(|character: char| !character.is_alphanumeric());
        text.trim_end_matches(char::is_alphanumeric).len()
    }

    fn word_after(&self) -> usize {
        let text = self.text[self.cursor..].trim_start_matches(|character: char| !character.is_alphanumeric());
        self.text.len() - text.trim_start_matches(char::is_alphanumeric).len()
    }

    /// Where the word between blanks before the cursor begins.
    fn blank_word_before(&self) -> usize {
        let text = self.text[..self.cursor].trim_end();
        text.trim_end_matches(|character: char| !character.is_whitespace()).len()
    }

    fn row_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn row_end(&self) -> usize {
        self.text[self.cursor..].find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    fn move_to(&mut self, place: usize) -> Event {
        self.cursor = place;
        Event::Edited
    }

    fn delete(&mut self, range: Range<usize>) -> Event {
        if range.is_empty() {
            return Event::Refused;
        }
        self.cursor = range.start;
        self.text.replace_range(range, "");
        Event::Edited
    }

    fn cut(&mut self, range: Range<usize>) -> Event {
        if range.is_empty() {
            return Event::Refused;
        }
        self.remember();
        self.cut = self.text[range.clone()].to_owned();
        self.delete(range)
    }

    /// Swaps the two characters around the cursor, or the last two.
    fn transpose(&mut self) -> Event {
        let second = if self.cursor == self.text.len() { self.before(self.cursor) } else { self.cursor };
        let first = self.before(second);
        if first == second {
            return Event::Refused;
        }
        self.remember();
        let end = self.after(second);
        let swapped = format!("{}{}", &self.text[second..end], &self.text[first..second]);
        self.text.replace_range(first..end, &swapped);
        self.move_to(end)
    }

    fn remember(&mut self) {
        if self.text.len() > UNDO_TEXT_MAX || self.undo.last().is_some_and(|(text, _)| *text == self.text) {
            return;
        }
        if self.undo.len() == UNDO_MAX {
            self.undo.remove(0);
        }
        self.undo.push((self.text.clone(), self.cursor));
    }

    fn undo(&mut self) -> Event {
        match self.undo.pop() {
            Some((text, cursor)) => {
                (self.text, self.cursor) = (text, cursor);
                Event::Edited
            }
            None => Event::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::history;
    use super::super::keys::Decoder;
    use super::*;
    use proptest::prelude::*;

    fn typed(line: &mut Line, bytes: &[u8]) -> Event {
        Decoder::default().push(bytes).into_iter().fold(Event::Refused, |_, key| line.key(key))
    }

    /// Types and shows the text with `|` for the cursor.
    fn shown(bytes: &[u8]) -> String {
        let mut line = Line::new(history::of(&["keys one", "keys two", "GET blah"]));
        typed(&mut line, bytes);
        let mut text = line.text().to_owned();
        text.insert(line.cursor(), '|');
        text
    }

    #[test]
    fn editing() {
        for (bytes, expected) in [
            (&b"abc\x01x"[..], "x|abc"),
            (b"abc\x1b[D\x1b[D\x7f", "|bc"),
            (b"one two\x17", "one |"),
            (b"one two\x15\x19\x19", "one twoone two|"),
            (b"one two\x01\x1b[1;5C\x0b", "one|"),
            (b"ab\x14", "ba|"),
            (b"one two\x17\x1f", "one two|"),
            (b"a\x1b\rb\x1b[A", "a|\nb"),
            (b"\xc3\xa9\x7f", "|"),
            (b"x\x1b[A\x1b[A", "keys two|"),
            (b"x\x1b[A\x1b[B", "x|"),
        ] {
            assert_eq!(shown(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn searching() {
        for (bytes, expected) in [
            (&b"\x12ey\t"[..], "keys two|"),
            (b"\x12ey\x12\t", "keys one|"),
            (b"\x12ey\x12\x13\t", "keys two|"),
            (b"\x13ey\t", "keys one|"),
            (b"\x12nothing\t", "nothing|"),
            (b"draft\x12ey\x07", "draft|"),
            (b"draft\x12\t", "draft|"),
            (b"\x12ey\x1b[A\x1b[A", "keys one|"),
        ] {
            assert_eq!(shown(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
        let mut line = Line::new(history::of(&["keys one"]));
        assert_eq!(typed(&mut line, b"\x12ey\r"), Event::Submit);
        assert_eq!(line.take(), "keys one");
        assert_eq!(typed(&mut line, b"\x12ey\x03"), Event::Interrupt);
    }

    #[test]
    fn completion_goes_round() {
        let mut line = Line::default();
        assert_eq!(typed(&mut line, b"ge\t"), Event::Complete);
        line.offer(0, vec!["GET".into(), "GETSET".into()]);
        assert_eq!(line.text(), "GET");
        typed(&mut line, b"\t");
        assert_eq!(line.text(), "GETSET");
        typed(&mut line, b"\t");
        assert_eq!(line.text(), "ge");
        typed(&mut line, b"\x1b[Z");
        assert_eq!(line.text(), "GETSET");
        line.key(Key::Escape);
        assert_eq!(line.text(), "ge");
        assert_eq!(line.offer(0, Vec::new()), Event::Refused);
        line.offer(0, vec!["GET".into(), "GETSET".into()]);
        typed(&mut line, b" k");
        assert_eq!(line.text(), "GET k");
    }

    proptest! {
        #[test]
        fn any_keys_leave_a_cursor_on_a_boundary(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 1u8..32, Just(0x1b), Just(b'[')], 0..300)) {
            let mut line = Line::new(history::of(&["keys one", "GÉT \"x\ny\"", "é"]));
            for key in Decoder::default().push(&bytes) {
                if line.key(key) == Event::Complete {
                    line.offer(line.cursor() / 2, vec!["é".into(), "abc".into()]);
                }
                prop_assert!(line.text().is_char_boundary(line.cursor()));
            }
        }
    }
}
