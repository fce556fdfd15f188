//! `math.random`, `math.randomseed` and `os.clock`.

use std::rc::Rc;

use mlua::{Lua, Table};

use super::number_argument;
use crate::error::{bad_argument, raise};
use crate::host::Host;
use crate::vm::{Arguments, Shared};

/// Largest value of [`next`].
const RANDOM_MAX: u64 = i32::MAX as u64;

/// The next value of the 48-bit linear congruential generator that POSIX names `lrand48`: Redis' scripts get the same
/// series for the same seed on every machine.
fn next(state: u64) -> u64 {
    state.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & 0xFFFF_FFFF_FFFF
}

pub(crate) fn add_random<H: Host>(lua: &Lua, math: &Table, shared: &Rc<Shared<H>>) -> mlua::Result<()> {
    let weak = Rc::downgrade(shared);
    let random = lua.create_function(move |lua, args: Arguments| {
        let fraction = match weak.upgrade() {
            Some(shared) => {
                let state = next(shared.random.get());
                shared.random.set(state);
                ((state >> 17) % RANDOM_MAX) as f64 / RANDOM_MAX as f64
            }
            None => 0.0,
        };
        let (low, high) = match args.len() {
            0 => return Ok(fraction),
            1 => (1.0, integer(number_argument(lua, &args, 0, "random")?)),
            2 => {
                let low = integer(number_argument(lua, &args, 0, "random")?);
                (low, integer(number_argument(lua, &args, 1, "random")?))
            }
            _ => return Err(raise(lua, "wrong number of arguments")),
        };
        if low > high {
            return Err(bad_argument(lua, args.len(), "random", "interval is empty"));
        }
        Ok((fraction * (high - low + 1.0)).floor() + low)
    })?;
    math.raw_set("random", random)?;
    let weak = Rc::downgrade(shared);
    let seed = lua.create_function(move |lua, args: Arguments| {
        let seed = number_argument(lua, &args, 0, "randomseed")? as i64 as u32;
        if let Some(shared) = weak.upgrade() {
            shared.random.set((u64::from(seed) << 16) | 0x330E);
            shared.seeded.set(true);
        }
        Ok(())
    })?;
    math.raw_set("randomseed", seed)
}

/// A bound as C's conversion to a 32-bit integer makes it.
fn integer(number: f64) -> f64 {
    f64::from(number as i64 as i32)
}

pub(crate) fn os<H: Host>(lua: &Lua, shared: &Rc<Shared<H>>) -> mlua::Result<Table> {
    let os = lua.create_table()?;
    let weak = Rc::downgrade(shared);
    let clock = lua.create_function(move |_, _: Arguments| match weak.upgrade() {
        Some(shared) => shared.with_host(Host::clock),
        None => Ok(0.0),
    })?;
    os.raw_set("clock", clock)?;
    Ok(os)
}
