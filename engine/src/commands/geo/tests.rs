use crate::testing::{Scenario, check};

const SICILY: &str = "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania => :2";

fn sicily(script: &str) {
    Scenario::new().check(SICILY).check(script);
}

#[test]
fn adding() {
    check(
        r#"
        GEOADD g 13.361389 38.115556 Palermo => :1
          ! new g, zadd g
          > ZADD g 3479099956230698 Palermo
        GEOADD g XX CH 13.5 38 Palermo 1 2 other => :1
          > ZADD g XX CH 3479097324432493 Palermo 3378080408407459 other
        GEOADD g NX 13 38 Palermo => :0
          > nothing
        ZCARD g => :1
        GEOADD g NX XX 13 38 a => -ERR syntax error
        GEOADD g 13 38 a 14 => -ERR syntax error
        GEOADD g foo 13 38 a => -ERR syntax error
        GEOADD g 13.361389 95 P => -ERR invalid longitude,latitude pair 13.361389,95.000000
        GEOADD g 181 5 P => -ERR invalid longitude,latitude pair 181.000000,5.000000
        GEOADD g a b c => -ERR value is not a valid float
        GEOADD h 1 1 a 1 99 b => -ERR invalid longitude,latitude pair 1.000000,99.000000
        EXISTS h => :0
        SET s x => +OK
        GEOADD s 1 1 a => -WRONGTYPE Operation against a key holding the wrong kind of value
        "#,
    );
}

#[test]
fn places_and_distances() {
    sicily(
        r#"
        GEOPOS g Palermo none       => [["13.361389338970184", "38.1155563954963"], nil-array]
        GEOPOS none a               => [nil-array]
        GEODIST g Palermo Catania   => "166274.1516"
        GEODIST g Palermo Catania km => "166.2742"
        GEODIST g Palermo Palermo ft => "0.0000"
        GEODIST g Palermo none      => nil
        GEODIST none a b            => nil
        GEODIST none a b foo        => -ERR unsupported unit provided. please use M, KM, FT, MI
        GEODIST g a b km x          => -ERR syntax error
        GEOHASH g Palermo none      => ["sqc8b49rny0", nil]
        GEOHASH none                => []
        ZADD z 99999999999999999999 huge -5 negative 1.5 fraction => :3
        GEOPOS z negative           => [["180", "85.05112878"]]
        GEOHASH z huge negative fraction => ["00bh0hbj200", "bp05b5048p0", "00bh0hbj210"]
        GEODIST z huge negative     => "18919844.5891"
        SET s x                     => +OK
        GEOPOS s a                  => -WRONGTYPE Operation against a key holding the wrong kind of value
        resp3
        GEOPOS g Palermo none       => [[,13.361389338970184, ,38.1155563954963], _]
        GEODIST g Palermo Catania   => "166274.1516"
        "#,
    );
}

#[test]
fn searching() {
    sicily(
        r#"
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km => ["Palermo", "Catania"]
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC => ["Catania", "Palermo"]
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 100 km => ["Catania"]
        GEOSEARCH g BYRADIUS 200 km COUNT 1 FROMLONLAT 15 37 => ["Catania"]
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 ANY => ["Palermo"]
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 DESC => ["Palermo"]
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 120 mi WITHDIST => [["Palermo", "118.3357"], ["Catania", "35.0711"]]
        GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD WITHHASH WITHDIST => [["Catania", "56.4413", :3479447370796909, ["15.087267458438873", "37.50266842333162"]], ["Palermo", "190.4424", :3479099956230698, ["13.361389338970184", "38.1155563954963"]]]
        GEOSEARCH g FROMLONLAT 15 37 BYBOX 200 400 km => ["Catania"]
        GEOSEARCH g FROMMEMBER Palermo BYRADIUS 0 m => ["Palermo"]
        GEOSEARCH g FROMMEMBER Palermo BYRADIUS inf m => ["Palermo", "Catania"]
        GEOSEARCH g FROMMEMBER none BYRADIUS 1 km => -ERR could not decode requested zset member
        GEOSEARCH none FROMMEMBER none BYRADIUS 1 km => []
        GEOSEARCH g FROMMEMBER none BYRADIUS x y => -ERR could not decode requested zset member
        GEOSEARCH none FROMMEMBER none BYRADIUS x y => -ERR need numeric radius
        GEORADIUSBYMEMBER g none x km => -ERR could not decode requested zset member
        GEORADIUSBYMEMBER none none x y => []
        GEORADIUSBYMEMBER none none x y COUNT 0 => -ERR COUNT must be > 0
        GEORADIUS g 15 37 200 KM WITHDIST => [["Palermo", "190.4424"], ["Catania", "56.4413"]]
        GEORADIUS_RO g 15 37 200 km ASC => ["Catania", "Palermo"]
        GEORADIUSBYMEMBER g Palermo 200 km => ["Palermo", "Catania"]
        GEORADIUSBYMEMBER_RO g Palermo 1 km => ["Palermo"]
        "#,
    );
}

#[test]
fn storing() {
    sicily(
        r#"
        GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km => :2
          ! new d, geosearchstore d
        ZRANGE d 0 -1 WITHSCORES => ["Palermo", "3479099956230698", "Catania", "3479447370796909"]
        GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST COUNT 1 => :1
        ZRANGE d 0 -1 WITHSCORES => ["Catania", "56.4412578701582"]
        GEORADIUS g 15 37 200 km STORE a STOREDIST d => :2
          ! georadiusstore d
        EXISTS a => :0
        ZSCORE d Palermo => "190.44242984775784"
        GEORADIUSBYMEMBER g Palermo 200 km STORE g => :2
        ZSCORE g Catania => "3479447370796909"
        GEOSEARCHSTORE d none FROMLONLAT 15 37 BYRADIUS 200 km => :0
          ! keymiss none, del d
        GEOSEARCHSTORE d none FROMLONLAT 15 37 BYRADIUS 200 km => :0
          > nothing
        "#,
    );
}

#[test]
fn polygons() {
    sicily(
        r#"
        GEOSEARCH g BYPOLYGON 3 14 36 17 36 15 39 => ["Catania"]
        GEOSEARCH g BYPOLYGON 4 12 36 17 36 17 39 12 39 DESC => ["Palermo", "Catania"]
        GEOSEARCH g BYPOLYGON 4 12 36 17 36 17 39 12 39 COUNT 1 WITHDIST => [["Catania", "51821.3520"]]
        GEOSEARCHSTORE d g BYPOLYGON 3 14 36 17 36 15 39 => :1
        GEOSEARCH g BYPOLYGON 3 1 1 2 2 3 1 => []
        GEOSEARCH g BYPOLYGON 2 1 1 2 2 1 1 => -ERR GEOSEARCH BYPOLYGON must have at least 3 vertices
        GEOSEARCH g BYPOLYGON 9223372036854775807 1 1 2 2 3 3 => -ERR syntax error
        GEOSEARCH g BYPOLYGON 3 1 1 2 2 3 99 => -ERR invalid longitude,latitude pair 3.000000,99.000000
        GEOSEARCH g BYPOLYGON 3 1 1 2 2 3 1 FROMLONLAT 1 1 => -ERR syntax error
        GEOSEARCH g FROMLONLAT 1 1 BYPOLYGON 3 1 1 2 2 3 1 => -ERR syntax error
        "#,
    );
}

#[test]
fn mistakes() {
    sicily("SET s x => +OK");
    for (request, reply) in [
        ("GEORADIUS g 15 37 -1 km", "-ERR radius cannot be negative"),
        ("GEORADIUS g 15 37 x km", "-ERR need numeric radius"),
        ("GEORADIUS g 15 37 nan km", "-ERR need numeric radius"),
        ("GEORADIUS g 15 37 1 xx", "-ERR unsupported unit provided. please use M, KM, FT, MI"),
        ("GEORADIUS g 195 37 1 km", "-ERR invalid longitude,latitude pair 195.000000,37.000000"),
        ("GEORADIUS none x 37 1 km", "-ERR value is not a valid float"),
        ("GEORADIUS g 15 37 200 km COUNT", "-ERR syntax error"),
        ("GEORADIUS g 15 37 200 km COUNT 0", "-ERR COUNT must be > 0"),
        ("GEORADIUS g 15 37 200 km COUNT x", "-ERR value is not an integer or out of range"),
        ("GEORADIUS g 15 37 200 km ANY", "-ERR the ANY argument requires COUNT argument"),
        ("GEORADIUS g 15 37 200 km STORE", "-ERR syntax error"),
        ("GEORADIUS_RO g 15 37 200 km STORE d", "-ERR syntax error"),
        (
            "GEORADIUS g 15 37 200 km STORE d WITHDIST",
            "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
        ("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 1 km BYBOX 1 1 km", "-ERR syntax error"),
        ("GEOSEARCH g FROMLONLAT 15 37 FROMMEMBER a BYRADIUS 1 km", "-ERR syntax error"),
        ("GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST", "-ERR syntax error"),
        ("GEOSEARCH g FROMLONLAT 15 37 BYBOX -1 1 km", "-ERR height or width cannot be negative"),
        ("GEOSEARCH g FROMLONLAT 15 37 BYBOX x 1 km", "-ERR need numeric width"),
        ("GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 y km", "-ERR need numeric height"),
        (
            "GEOSEARCH g BYBOX 1 1 km ASC WITHDIST",
            "-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH",
        ),
        (
            "GEOSEARCH g FROMLONLAT 15 37 ASC WITHDIST",
            "-ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH",
        ),
        (
            "GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km WITHDIST",
            "-ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
    ] {
        sicily(&format!("{request} => {reply}"));
    }
}

#[test]
fn both_encodings_find_the_same() {
    let mut small = Scenario::new();
    let mut large = Scenario::new();
    for i in 0..100 {
        let add = format!("GEOADD g {} {} m{i}", f64::from(i * 37 % 360) - 180.0, f64::from(i * 13 % 170) - 85.0);
        small.line(&add);
        large.line(&add);
    }
    large.engine.config.zset_max_listpack_entries = 0;
    large.check("ZADD g 0 trigger => :1\n ZREM g trigger => :1");
    for radius in [100, 1000, 3000, 8000, 20000] {
        for at in ["0 0", "179 60", "-100 -70", "10 85"] {
            let search = format!("GEOSEARCH g FROMLONLAT {at} BYRADIUS {radius} km");
            assert_eq!(small.line(&search), large.line(&search), "{search}");
        }
    }
}
