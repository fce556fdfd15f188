//! The packed formats that Redis no longer writes: ziplist (to 6.2) and zipmap (to 2.4).
//!
//! ```text
//! ziplist   bytes u32  last u32  count u16  entries…  255
//!   entry   length of the previous entry (1 or 5 bytes), encoding and length, text or integer
//! zipmap    count  (length field length free value free-bytes)…  255
//! ```
//!
//! Everything is checked on the way: what comes out is what a sound ziplist holds, or nothing.

use engine::ds::listpack::{Elem, Listpack};

const ZIPLIST_HEAD: usize = 10;
const END: u8 = 255;
/// A previous length in five bytes.
const PREVIOUS_5: u8 = 254;
/// The count says nothing from here on.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// The elements of a ziplist; `None` when it is not sound.
pub(crate) fn ziplist(bytes: &[u8]) -> Option<Vec<Elem<'_>>> {
    let total = u32::from_le_bytes(*bytes.first_chunk()?);
    let last = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?) as usize;
    let count = u16::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
    if total as usize != bytes.len() || *bytes.last()? != END || bytes.len() <= ZIPLIST_HEAD {
        return None;
    }
    let end = bytes.len() - 1;
    let (mut at, mut previous) = (ZIPLIST_HEAD, 0);
    let mut elements = Vec::new();
    let mut last_at = ZIPLIST_HEAD;
    while at < end {
        let (elem, next) = ziplist_entry(&bytes[..end], at, previous)?;
        elements.push(elem);
        last_at = at;
        previous = next - at;
        at = next;
    }
    let counted = count == COUNT_UNKNOWN || usize::from(count) == elements.len();
    (at == end && last == last_at && counted).then_some(elements)
}

/// The entry at `at`, which follows one of `previous` bytes; and where the next one begins.
fn ziplist_entry(bytes: &[u8], at: usize, previous: usize) -> Option<(Elem<'_>, usize)> {
    let rest = bytes.get(at..)?;
    let (told, head) = match *rest.first()? {
        END => return None,
        PREVIOUS_5 => (u32::from_le_bytes(*rest.get(1..)?.first_chunk()?) as usize, 5),
        short => (usize::from(short), 1),
    };
    if told != previous {
        return None;
    }
    let rest = rest.get(head..)?;
    let first = *rest.first()?;
    let text = |skip: usize, len: usize| Some((Elem::Str(rest.get(skip..)?.get(..len)?), skip + len));
    let (elem, len) = match first >> 6 {
        0 => text(1, usize::from(first & 0x3f))?,
        1 => text(2, usize::from(first & 0x3f) << 8 | usize::from(*rest.get(1)?))?,
        2 => text(5, u32::from_be_bytes(*rest.get(1..)?.first_chunk()?) as usize)?,
        _ => {
            let rest = rest.get(1..)?;
            let (n, len) = match first {
                0xc0 => (i64::from(i16::from_le_bytes(*rest.first_chunk()?)), 2),
                0xd0 => (i64::from(i32::from_le_bytes(*rest.first_chunk()?)), 4),
                0xe0 => (i64::from_le_bytes(*rest.first_chunk()?), 8),
                0xf0 => {
                    let [a, b, c] = *rest.first_chunk()?;
                    (i64::from(i32::from_le_bytes([0, a, b, c]) >> 8), 3)
                }
                0xfe => (i64::from(*rest.first()? as i8), 1),
                0xf1..=0xfd => (i64::from(first & 0x0f) - 1, 0),
                _ => return None,
            };
            (Elem::Int(n), 1 + len)
        }
    };
    Some((elem, at + head + len))
}

/// The fields and values of a zipmap in turn; `None` when it is not sound.
pub(crate) fn zipmap(bytes: &[u8]) -> Option<Vec<Elem<'_>>> {
    let (&count, mut rest) = bytes.split_first()?;
    let mut elements = Vec::new();
    while rest.first() != Some(&END) {
        let field = zipmap_length(&mut rest)?;
        elements.push(Elem::Str(rest.split_off(..field)?));
        let value = zipmap_length(&mut rest)?;
        let free = usize::from(*rest.split_off_first()?);
        elements.push(Elem::Str(rest.split_off(..value)?));
        rest.split_off(..free)?;
    }
    let counted = count >= PREVIOUS_5 || usize::from(count) == elements.len() / 2;
    (rest.len() == 1 && counted).then_some(elements)
}

fn zipmap_length(rest: &mut &[u8]) -> Option<usize> {
    match *rest.split_off_first()? {
        END => None,
        PREVIOUS_5 => {
            let (bytes, after) = rest.split_first_chunk()?;
            *rest = after;
            Some(u32::from_le_bytes(*bytes) as usize)
        }
        len => Some(usize::from(len)),
    }
}

/// The same elements as a listpack.
pub(crate) fn listpack(elements: &[Elem<'_>]) -> Listpack {
    let mut pack = Listpack::new();
    pack.extend_back(elements);
    pack
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[u8] = b"\x1b\0\0\0\x16\0\0\0\x04\0\0\x02a\0\x04\x02b\0\x04\x02c\0\x04\xf2\x02\xf5\xff";

    fn texts(elements: Option<Vec<Elem<'_>>>) -> Vec<String> {
        elements.unwrap().into_iter().map(|elem| String::from_utf8(elem.to_vec()).unwrap()).collect()
    }

    /// A ziplist of entries given without the lengths of their predecessors.
    fn of(entries: &[&[u8]]) -> Vec<u8> {
        let (mut body, mut previous, mut last) = (Vec::new(), 0usize, ZIPLIST_HEAD);
        for entry in entries {
            last = ZIPLIST_HEAD + body.len();
            let before = body.len();
            if previous < 254 {
                body.push(previous as u8);
            } else {
                body.push(PREVIOUS_5);
                body.extend((previous as u32).to_le_bytes());
            }
            body.extend_from_slice(entry);
            previous = body.len() - before;
        }
        let mut list = ((ZIPLIST_HEAD + body.len() + 1) as u32).to_le_bytes().to_vec();
        list.extend((last as u32).to_le_bytes());
        list.extend((entries.len() as u16).to_le_bytes());
        list.extend(body);
        list.push(END);
        list
    }

    #[test]
    fn every_encoding_of_a_ziplist() {
        let long = [&[0x80, 0, 0, 1, 0x2c][..], &[b'x'; 300]].concat();
        let list = of(&[
            b"\x02ab",
            &[0x40, 3, b'a', b'b', b'c'],
            &long,
            b"\xc0\xff\xff",
            b"\xd0\x00\x00\x01\x00",
            b"\xe0\x00\x00\x00\x00\x01\x00\x00\x00",
            b"\xf0\xff\xff\xff",
            b"\xfe\x80",
            b"\xf1",
            b"\xfd",
        ]);
        let long = "x".repeat(300);
        let expected = ["ab", "abc", &long, "-1", "65536", "4294967296", "-1", "-128", "0", "12"];
        assert_eq!(texts(ziplist(&list)), expected);
        let pack = listpack(&ziplist(&list).unwrap());
        assert_eq!(pack.len(), 10);
        // Any cut, and any wrong byte in a head or in a previous length, is noticed.
        assert!((0..list.len()).all(|len| ziplist(&list[..len]).is_none()));
        for at in (0..ZIPLIST_HEAD).chain([ZIPLIST_HEAD + 4]) {
            let mut wrong = list.clone();
            wrong[at] ^= 1;
            assert!(ziplist(&wrong).is_none(), "byte {at}");
        }
        assert!(ziplist(LIST).is_none(), "the lengths of the last entry are wrong");
    }

    #[test]
    fn zipmaps_with_free_bytes_and_long_values() {
        let mut map = b"\x02\x03foo\x03\x02bar\0\0\x01x\xfe".to_vec();
        map.extend(300u32.to_le_bytes());
        map.push(0);
        map.extend([b'y'; 300]);
        map.push(END);
        let long = "y".repeat(300);
        assert_eq!(texts(zipmap(&map)), ["foo", "bar", "x", &long]);
        assert!((0..map.len()).all(|len| zipmap(&map[..len]).is_none()));
        map[0] = 1;
        assert!(zipmap(&map).is_none(), "the count is wrong");
    }
}
