//! The shapes that are searched, and the cells of the map that cover one.

use super::cell::{Area, Cell, Position, STEPS_MAX};

/// Radius of the earth in metres, as Redis has it.
const EARTH_RADIUS: f64 = 6_372_797.560_856;

/// Half of the earth's circumference on the Mercator map, in metres.
const MERCATOR_MAX: f64 = 20_037_726.37;

/// Distance between two places on a sphere, in metres (haversine formula).
pub(super) fn distance(a: Position, b: Position) -> f64 {
    let half_lon = ((b.lon.to_radians() - a.lon.to_radians()) / 2.0).sin();
    if half_lon == 0.0 {
        return lat_distance(a.lat, b.lat);
    }
    let (a, b) = (a.lat.to_radians(), b.lat.to_radians());
    let half_lat = ((b - a) / 2.0).sin();
    let square = half_lat * half_lat + a.cos() * b.cos() * half_lon * half_lon;
    2.0 * EARTH_RADIUS * square.sqrt().asin()
}

/// Distance between two latitudes, in metres.
fn lat_distance(a: f64, b: f64) -> f64 {
    EARTH_RADIUS * (b.to_radians() - a.to_radians()).abs()
}

/// A shape around a centre. Lengths are in metres.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Circle {
        radius: f64,
    },
    Box {
        width: f64,
        height: f64,
    },
    /// At least three vertices on the flat map; the last is joined to the first. It does not reach across the 180th meridian.
    Polygon {
        vertices: Vec<Position>,
    },
}

impl Shape {
    /// The distance from the centre to a place inside, `None` for one outside.
    #[inline]
    pub(super) fn distance_inside(&self, centre: Position, at: Position) -> Option<f64> {
        match *self {
            Shape::Circle { radius } => {
                // Most candidates of other rows end here, without trigonometry.
                if lat_distance(at.lat, centre.lat) > radius {
                    return None;
                }
                Some(distance(centre, at)).filter(|&distance| distance <= radius)
            }
            Shape::Box { width, height } => {
                if lat_distance(at.lat, centre.lat) > height / 2.0 {
                    return None;
                }
                // Its own latitude is what counts for the distance from east to west.
                let beside = Position { lon: centre.lon, lat: at.lat };
                if distance(at, beside) > width / 2.0 {
                    return None;
                }
                Some(distance(centre, at))
            }
            Shape::Polygon { ref vertices } => is_inside(vertices, at).then(|| distance(centre, at)),
        }
    }

    /// The place that distances of a polygon's members are measured from: the mean of its vertices.
    pub(super) fn own_centre(&self) -> Option<Position> {
        let Shape::Polygon { vertices } = self else { return None };
        let mean = |of: fn(&Position) -> f64| vertices.iter().map(of).sum::<f64>() / vertices.len() as f64;
        Some(Position { lon: mean(|at| at.lon), lat: mean(|at| at.lat) })
    }

    /// The bounds of the shape around `centre`, and the radius in metres of a circle around them. Towards the pole a degree of
    /// longitude is shorter; the side that Redis takes is the one towards the nearer pole.
    fn bounds(&self, centre: Position) -> (Area, f64) {
        let (x, y, radius) = match self {
            &Shape::Circle { radius } => (radius, radius, radius),
            Shape::Box { width, height } => {
                let (x, y) = (width / 2.0, height / 2.0);
                (x, y, (x * x + y * y).sqrt())
            }
            Shape::Polygon { vertices } => return bounds_of(vertices),
        };
        let lat = degrees(y / EARTH_RADIUS);
        let lon = |lat: f64| degrees(x / EARTH_RADIUS / lat.to_radians().cos());
        let lon = if centre.lat < 0.0 { lon(centre.lat - lat) } else { lon(centre.lat + lat) };
        (Area { lon: centre.lon - lon..centre.lon + lon, lat: centre.lat - lat..centre.lat + lat }, radius)
    }

    /// The cells that cover the shape, in the order in which they are searched: the middle, north, south, east, west,
    /// north-east, north-west, south-east, south-west. Those that cannot touch it are left out.
    pub(super) fn cells(&self, centre: Position) -> Vec<Cell> {
        let (bounds, radius) = self.bounds(centre);
        // The vertices of a polygon may lie to one side of it.
        let centre = match self {
            Shape::Polygon { .. } => Position {
                lon: f64::midpoint(bounds.lon.start, bounds.lon.end),
                lat: f64::midpoint(bounds.lat.start, bounds.lat.end),
            },
            _ => centre,
        };
        let mut steps = steps_for(radius, centre.lat);
        let mut middle = Cell::around(centre, steps);
        // Near the edge of its cell, the shape may reach beyond the neighbours.
        let reaches_beyond = middle.neighbour(0, 1).area().lat.end < bounds.lat.end
            || middle.neighbour(0, -1).area().lat.start > bounds.lat.start
            || middle.neighbour(1, 0).area().lon.end < bounds.lon.end
            || middle.neighbour(-1, 0).area().lon.start > bounds.lon.start;
        if steps > 1 && reaches_beyond {
            steps -= 1;
            middle = Cell::around(centre, steps);
        }
        let area = middle.area();
        // With cells this large nothing is left out: the map's edges are near.
        let all = steps < 2;
        let north = all || area.lat.end <= bounds.lat.end;
        let south = all || area.lat.start >= bounds.lat.start;
        let east = all || area.lon.end <= bounds.lon.end;
        let west = all || area.lon.start >= bounds.lon.start;
        let mut cells: Vec<Cell> = [
            (true, 0, 0),
            (north, 0, 1),
            (south, 0, -1),
            (east, 1, 0),
            (west, -1, 0),
            (north && east, 1, 1),
            (north && west, -1, 1),
            (south && east, 1, -1),
            (south && west, -1, -1),
        ]
        .into_iter()
        .filter(|&(wanted, ..)| wanted)
        .map(|(_, east, north)| middle.neighbour(east, north))
        .collect();
        // Of two columns or rows, both neighbours are the same.
        cells.dedup();
        cells
    }
}

/// Whether a place lies inside of a polygon: a line to the east of it crosses an odd number of sides.
fn is_inside(vertices: &[Position], at: Position) -> bool {
    let sides = vertices.iter().zip(vertices.iter().cycle().skip(1));
    let crossed = sides.filter(|(a, b)| {
        (a.lat > at.lat) != (b.lat > at.lat) && at.lon < (b.lon - a.lon) * (at.lat - a.lat) / (b.lat - a.lat) + a.lon
    });
    crossed.count() % 2 == 1
}

/// The bounds of a polygon, and the radius in metres of a circle around them.
fn bounds_of(vertices: &[Position]) -> (Area, f64) {
    let range = |of: fn(&Position) -> f64| {
        let all = || vertices.iter().map(of);
        all().fold(f64::INFINITY, f64::min)..all().fold(f64::NEG_INFINITY, f64::max)
    };
    let (lon, lat) = (range(|at| at.lon), range(|at| at.lat));
    // As wide as at the latitude nearest to the equator.
    let widest = if lat.start <= 0.0 && lat.end >= 0.0 { 0.0 } else { lat.start.abs().min(lat.end.abs()) };
    let x = (lon.end - lon.start).to_radians() / 2.0 * EARTH_RADIUS * widest.to_radians().cos();
    let y = (lat.end - lat.start).to_radians() / 2.0 * EARTH_RADIUS;
    (Area { lon, lat }, (x * x + y * y).sqrt())
}

/// The inverse of `to_radians`, to the last bit as Redis computes it.
fn degrees(radians: f64) -> f64 {
    radians / (std::f64::consts::PI / 180.0)
}

/// How often the map is halved so that a cell and its neighbours cover a circle of this radius.
fn steps_for(radius: f64, lat: f64) -> u32 {
    if radius == 0.0 {
        return STEPS_MAX;
    }
    let (mut reach, mut steps) = (radius, 1i32);
    while reach < MERCATOR_MAX && steps <= STEPS_MAX as i32 + 4 {
        reach *= 2.0;
        steps += 1;
    }
    // Two less cover the circle in the worst case; towards the poles cells are narrower.
    let narrow = i32::from(lat.abs() > 66.0) + i32::from(lat.abs() > 80.0);
    (steps - 2 - narrow).clamp(1, STEPS_MAX as i32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn distances() {
        let at = |lon, lat| Position { lon, lat };
        assert_eq!(distance(at(5.0, 7.0), at(5.0, 7.0)), 0.0);
        let quarter = std::f64::consts::FRAC_PI_2 * EARTH_RADIUS;
        assert!((distance(at(0.0, 0.0), at(90.0, 0.0)) - quarter).abs() < 1e-6);
        assert!((distance(at(0.0, 0.0), at(0.0, 80.0)) - quarter * 80.0 / 90.0).abs() < 1e-6);
    }

    #[test]
    fn cells_cover_the_shape() {
        let mut rng = Rng::new(4);
        let mut random = |max: f64| (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * 2.0 * max - max;
        for round in 0..3000 {
            let centre = Position { lon: random(180.0), lat: random(70.0) };
            let size = 10f64.powf(random(3.0) + 3.5);
            let shape = if round % 2 == 0 {
                Shape::Circle { radius: size }
            } else {
                Shape::Box { width: size, height: size * 10f64.powf(random(1.0)) }
            };
            let cells = shape.cells(centre);
            assert!(cells.len() <= 9);
            let (x, y) = match shape {
                Shape::Box { width, height } => (width / 2.0, height / 2.0),
                _ => (size, size),
            };
            for _ in 0..50 {
                let at = Position {
                    lon: centre.lon + degrees(random(1.5) * x / EARTH_RADIUS),
                    lat: centre.lat + degrees(random(1.0) * y / EARTH_RADIUS),
                };
                if at.is_valid() && at.lat.abs() < 70.0 && shape.distance_inside(centre, at).is_some() {
                    let found = cells.iter().filter(|cell| cell.scores().contains(&at.score())).count();
                    assert_eq!(found, 1, "{at:?} in {shape:?} around {centre:?}");
                }
            }
        }
    }

    #[test]
    fn cells_cover_polygons() {
        let mut rng = Rng::new(6);
        let mut random = |max: f64| (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * 2.0 * max - max;
        for _ in 0..500 {
            let (middle, size) = (Position { lon: random(120.0), lat: random(50.0) }, 10f64.powf(random(1.6)));
            let vertices: Vec<Position> = (0..7)
                .map(|_| Position {
                    lon: middle.lon + random(size),
                    lat: (middle.lat + random(size)).clamp(-70.0, 70.0),
                })
                .collect();
            let shape = Shape::Polygon { vertices };
            let centre = shape.own_centre().expect("a polygon has one");
            let cells = shape.cells(centre);
            for _ in 0..100 {
                let at = Position { lon: middle.lon + random(size), lat: middle.lat + random(size) };
                if at.is_valid() && shape.distance_inside(centre, at).is_some() {
                    let found = cells.iter().filter(|cell| cell.scores().contains(&at.score())).count();
                    assert_eq!(found, 1, "{at:?} in {shape:?}");
                }
            }
        }
    }
}
