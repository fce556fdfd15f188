//! Places as numbers: 26 bits of latitude and 26 of longitude, interleaved, so that places near each other mostly have
//! numbers near each other, and a square cell of the map is a range of numbers. Sorted sets keep that number as the score.

use std::ops::Range;

/// Halvings of each coordinate in a score.
pub(super) const STEPS_MAX: u32 = 26;

const LON_MAX: f64 = 180.0;

/// Greatest latitude of the Mercator projection (EPSG:900913): with it the map is a square.
const LAT_MAX: f64 = 85.051_128_78;

/// Alphabet of geohash strings.
const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// A place on earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    pub(super) lon: f64,
    pub(super) lat: f64,
}

impl Position {
    /// Whether it is on the map.
    pub(super) fn is_valid(self) -> bool {
        (-LON_MAX..=LON_MAX).contains(&self.lon) && (-LAT_MAX..=LAT_MAX).contains(&self.lat)
    }

    /// The score of this place.
    pub(super) fn score(self) -> f64 {
        Cell::around(self, STEPS_MAX).bits() as f64
    }

    /// The middle of the cell that a score stands for. Scores that nobody made from a place give some place.
    pub(super) fn of_score(score: f64) -> Self {
        let area = Cell::of_score(score).area();
        let middle = |range: Range<f64>, max: f64| f64::midpoint(range.start, range.end).clamp(-max, max);
        Position { lon: middle(area.lon, LON_MAX), lat: middle(area.lat, LAT_MAX) }
    }

    /// The standard geohash string, whose latitudes reach to the poles. There are bits for ten characters and a half;
    /// the eleventh is always 0.
    pub(super) fn geohash(self) -> [u8; 11] {
        let bits = Cell::within(self, STEPS_MAX, 90.0).bits();
        std::array::from_fn(|i| if i < 10 { ALPHABET[(bits >> (47 - 5 * i) & 31) as usize] } else { b'0' })
    }
}

/// Bounds of a part of the map, in degrees.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) lon: Range<f64>,
    pub(super) lat: Range<f64>,
}

/// A square of the map after so many halvings, by its column and row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    lon: u32,
    lat: u32,
    steps: u32,
}

impl Cell {
    /// The cell around a place.
    pub(super) fn around(at: Position, steps: u32) -> Self {
        Self::within(at, steps, LAT_MAX)
    }

    fn within(at: Position, steps: u32, lat_max: f64) -> Self {
        let cells = f64::from(1 << steps);
        let index = |value: f64, max: f64| ((value + max) / (max - -max) * cells) as u32;
        Cell { lon: index(at.lon, LON_MAX), lat: index(at.lat, lat_max), steps }
    }

    fn of_score(score: f64) -> Self {
        // What a processor makes of a number out of range; nothing depends on it.
        let bits = match score {
            ..0.0 => score as i64 as u64,
            0.0..1.844_674_407_370_955_2e19 => score as u64,
            _ => 0,
        };
        Cell { lon: squash(bits >> 1), lat: squash(bits), steps: STEPS_MAX }
    }

    fn bits(self) -> u64 {
        spread(self.lat) | spread(self.lon) << 1
    }

    /// The scores of the places in this cell.
    pub(super) fn scores(self) -> Range<f64> {
        let shift = 2 * (STEPS_MAX - self.steps);
        (self.bits() << shift) as f64..((self.bits() + 1) << shift) as f64
    }

    /// The bounds of this cell.
    pub(super) fn area(self) -> Area {
        let cells = f64::from(1 << self.steps);
        let bounds = |index: u32, max: f64| {
            let at = |index: u32| -max + f64::from(index) / cells * (max - -max);
            at(index)..at(index.wrapping_add(1))
        };
        Area { lon: bounds(self.lon, LON_MAX), lat: bounds(self.lat, LAT_MAX) }
    }

    /// The cell so many columns to the east and rows to the north; the map is a torus.
    pub(super) fn neighbour(self, east: i32, north: i32) -> Self {
        let mask = (1 << self.steps) - 1;
        let moved = |index: u32, by: i32| if by == 0 { index } else { index.wrapping_add_signed(by) & mask };
        Cell { lon: moved(self.lon, east), lat: moved(self.lat, north), steps: self.steps }
    }
}

/// Puts a zero in front of each bit.
fn spread(bits: u32) -> u64 {
    const MASKS: [(u32, u64); 5] = [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ];
    MASKS.iter().fold(u64::from(bits), |bits, &(shift, mask)| (bits | bits << shift) & mask)
}

/// Every second bit, from the lowest on.
fn squash(bits: u64) -> u32 {
    const MASKS: [(u32, u64); 5] = [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ];
    MASKS.iter().fold(bits & 0x5555_5555_5555_5555, |bits, &(shift, mask)| (bits | bits >> shift) & mask) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn scores_and_places_are_those_of_redis() {
        let palermo = Position { lon: 13.361389, lat: 38.115556 };
        assert_eq!(palermo.score(), 3_479_099_956_230_698.0);
        let back = Position::of_score(palermo.score());
        assert_eq!((back.lon, back.lat), (13.361_389_338_970_184, 38.115_556_395_496_3));
        assert_eq!(&back.geohash(), b"sqc8b49rny0");
        // Scores that come from elsewhere.
        let corner = Position::of_score(-5.0);
        assert_eq!((corner.lon, corner.lat), (180.0, 85.051_128_78));
        for score in [f64::INFINITY, f64::NEG_INFINITY, 1e20, -1e20, 0.5] {
            assert!(Position::of_score(score).is_valid());
        }
    }

    #[test]
    fn bits_are_spread_and_squashed() {
        let mut rng = Rng::new(1);
        for _ in 0..1000 {
            let bits = rng.next_u64() as u32;
            assert_eq!(squash(spread(bits)), bits);
            assert_eq!(squash(spread(bits) << 1), 0);
        }
    }

    #[test]
    fn a_place_lies_in_its_cell() {
        let mut rng = Rng::new(2);
        let mut random = |max: f64| (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * 2.0 * max - max;
        for steps in 1..=STEPS_MAX {
            for _ in 0..100 {
                let at = Position { lon: random(LON_MAX), lat: random(LAT_MAX) };
                let cell = Cell::around(at, steps);
                let area = cell.area();
                assert!(area.lon.contains(&at.lon) && area.lat.contains(&at.lat), "{at:?} {area:?}");
                assert!(cell.scores().contains(&at.score()));
                assert_eq!(cell.neighbour(1, 0).neighbour(-1, -1).neighbour(0, 1), cell);
            }
        }
    }
}
