//! A cursor over the arguments of one request.

use crate::error::CommandError;

/// The arguments of a request, read from left to right. The command's own name is behind the cursor at the start.
#[derive(Clone, Debug)]
pub struct Args<'a> {
    argv: &'a [&'a [u8]],
    next: usize,
}

impl<'a> Args<'a> {
    /// A cursor that stands on the first argument after the command's name.
    #[must_use]
    pub fn new(argv: &'a [&'a [u8]]) -> Self {
        Args { argv, next: 1 }
    }

    /// The whole request, name included.
    #[must_use]
    pub fn argv(&self) -> &'a [&'a [u8]] {
        self.argv
    }

    /// The command's name as the client spelled it.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.argv[0]
    }

    /// How many arguments are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.argv.len() - self.next
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left() == 0
    }

    /// Everything that is left; the cursor stays.
    #[must_use]
    pub fn rest(&self) -> &'a [&'a [u8]] {
        &self.argv[self.next..]
    }

    /// Everything that is left; the cursor moves to the end.
    pub fn take_rest(&mut self) -> &'a [&'a [u8]] {
        let rest = self.rest();
        self.next = self.argv.len();
        rest
    }

    /// The next `n` arguments.
    ///
    /// # Errors
    /// [`CommandError::Syntax`] when fewer are left.
    pub fn take(&mut self, n: usize) -> Result<&'a [&'a [u8]], CommandError> {
        let taken = self.rest().get(..n).ok_or(CommandError::Syntax)?;
        self.next += n;
        Ok(taken)
    }

    /// The next argument, if any; the cursor stays.
    #[must_use]
    pub fn peek(&self) -> Option<&'a [u8]> {
        self.argv.get(self.next).copied()
    }

    /// The next argument as bytes: a key, a member, a value.
    ///
    /// # Errors
    /// [`CommandError::Syntax`] when none is left.
    #[expect(clippy::should_implement_trait, reason = "an argument that is missing is an error here, not an end")]
    pub fn next(&mut self) -> Result<&'a [u8], CommandError> {
        let arg = self.peek().ok_or(CommandError::Syntax)?;
        self.next += 1;
        Ok(arg)
    }

    /// Whether the next argument is this keyword, ASCII case aside. Moves past it when it is.
    pub fn keyword(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
        self.next += usize::from(found);
        found
    }

    /// Whether a flush that ends here is to be `ASYNC` rather than `SYNC`: as its only argument says, or `otherwise` when
    /// there is none. `None` for anything else.
    pub fn flushes_async(&mut self, otherwise: bool) -> Option<bool> {
        let later = match self.left() {
            0 => return Some(otherwise),
            _ if self.keyword("ASYNC") => true,
            _ if self.keyword("SYNC") => false,
            _ => return None,
        };
        self.is_done().then_some(later)
    }

    /// The next argument as a signed 64-bit integer, by Redis' strict rules.
    ///
    /// # Errors
    /// [`CommandError::NotInteger`], or [`CommandError::Syntax`] when none is left.
    pub fn i64(&mut self) -> Result<i64, CommandError> {
        resp::number::parse_i64(self.next()?).ok_or(CommandError::NotInteger)
    }

    /// The next argument as an integer whose negation is one, too: all but the least.
    ///
    /// # Errors
    /// [`CommandError::NotInteger`], a text of its own for the least, or [`CommandError::Syntax`] when none is left.
    pub fn i64_with_opposite(&mut self) -> Result<i64, CommandError> {
        const RANGE: &str =
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
        match self.i64()? {
            i64::MIN => Err(CommandError::Text(RANGE)),
            n => Ok(n),
        }
    }

    /// The next argument as the number of a database, of which there are `count`.
    ///
    /// # Errors
    /// [`CommandError::NotInteger`], a text of its own beyond 32 bits, [`CommandError::DbOutOfRange`], or
    /// [`CommandError::Syntax`] when none is left.
    pub fn database(&mut self, count: usize) -> Result<usize, CommandError> {
        const RANGE: &str = "ERR value is out of range, value must between -2147483648 and 2147483647";
        let n = i32::try_from(self.i64()?).map_err(|_| CommandError::Text(RANGE))?;
        usize::try_from(n).ok().filter(|&n| n < count).ok_or(CommandError::DbOutOfRange)
    }

    /// The next argument as an integer within `range`.
    ///
    /// # Errors
    /// `otherwise` when it is no integer or outside of the range.
    pub fn i64_in(
        &mut self,
        range: std::ops::RangeInclusive<i64>,
        otherwise: CommandError,
    ) -> Result<i64, CommandError> {
        let arg = self.next()?;
        resp::number::parse_i64(arg).filter(|n| range.contains(n)).ok_or(otherwise)
    }

    /// The next argument as a double; infinities are fine, NaN is not.
    ///
    /// # Errors
    /// [`CommandError::NotFloat`], or [`CommandError::Syntax`] when none is left.
    pub fn f64(&mut self) -> Result<f64, CommandError> {
        resp::number::parse_f64(self.next()?).ok_or(CommandError::NotFloat)
    }

    /// Ends the parse.
    ///
    /// # Errors
    /// [`CommandError::Syntax`] when an argument is left over.
    pub fn end(&self) -> Result<(), CommandError> {
        if self.is_done() { Ok(()) } else { Err(CommandError::Syntax) }
    }
}
